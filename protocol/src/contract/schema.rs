//! [`Schema`]: the fields of a contract's records, and their canonical text.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;
use sha2::{Digest, Sha256};

/// A contract's name and version, as in `trade 1.2`. Versions of one major number are compatible with each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The contract: a small letter, then small letters, digits and hyphens; up to 32 in all.
    pub name: String,
    /// What is not compatible gets another major number, and is another contract.
    pub major: u16,
    /// Grows with what is added and left out.
    pub minor: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{}", self.name, self.major, self.minor)
    }
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// An unsigned number from the first to the last.
    Uint(u64, u64),
    /// A number from the first, which is below zero, to the last.
    Int(i64, i64),
    /// A finite float of 64 bits, at least this if there is one.
    Float(Option<f64>),
    /// True or false.
    Bool,
    /// A text of at most so many bytes.
    Text(u32),
    /// Bytes, at most so many.
    Bytes(u32),
    /// At most so many of something that is no array.
    Array(u32, Box<Self>),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(0, u64::MAX) => f.write_str("uint"),
            Self::Uint(least, most) => write!(f, "{least}..{most}"),
            Self::Int(least, most) => write!(f, "{least}..{most}"),
            Self::Float(None) => f.write_str("float64"),
            Self::Float(Some(least)) => write!(f, "float64 .ge {least:?}"),
            Self::Bool => f.write_str("bool"),
            Self::Text(most) => write!(f, "tstr .size (0..{most})"),
            Self::Bytes(most) => write!(f, "bstr .size (0..{most})"),
            Self::Array(most, of) => write!(f, "[0*{most} {of}]"),
        }
    }
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its key in the record's map. Never given to another field.
    pub number: u32,
    /// What it is called: small letters, digits and underscores.
    pub name: String,
    /// Whether a record must have it.
    pub required: bool,
    /// What it holds.
    pub holds: Type,
}

/// SHA-256 of a schema's canonical text: names it and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaId(pub [u8; 32]);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One version of a contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// Its name and number.
    pub version: Version,
    /// By rising number.
    pub fields: Vec<Field>,
}

impl Schema {
    /// The canonical text in CDDL: a line that names the version, and a map from field numbers, which leaves others open.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("; {}\n{} = {{\n", self.version, self.version.name);
        for field in &self.fields {
            let optional = if field.required { "" } else { "? " };
            text.push_str(&format!("  {optional}{}: {}, ; {}\n", field.number, field.holds, field.name));
        }
        text.push_str("  * uint => any\n}\n");
        text
    }

    /// The digest of its text.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        SchemaId(Sha256::digest(self.text()).into())
    }

    /// The field of this number.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&Field> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(at)
    }
}
