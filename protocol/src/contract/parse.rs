//! Reading the canonical text of a schema. Another text of the same meaning is refused, so that a meaning has one name.

use super::schema::{Field, Schema, Type, Version};
use alloc::{boxed::Box, string::ToString, vec::Vec};

/// Most fields of a schema.
const MAX_FIELDS: usize = 64;
/// The longest name of a contract or a field.
const MAX_NAME: usize = 32;

/// Why a text is no schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A line does not have the form that it should have.
    #[error("line {line} is not of the canonical form")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// Too many fields.
    #[error("{found} fields exceed {max}")]
    Fields {
        /// How many there are.
        found: usize,
        /// The most allowed.
        max: usize,
    },
    /// It can be read, and another text says the same in the canonical form.
    #[error("not the canonical form")]
    NotCanonical,
}

impl SchemaError {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Line { .. } => "schema_malformed",
            Self::Fields { .. } => "schema_too_many_fields",
            Self::NotCanonical => "schema_not_canonical",
        }
    }
}

impl Schema {
    /// Reads [`Schema::text`].
    ///
    /// # Errors
    /// [`SchemaError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let lines: Vec<&str> = text.lines().collect();
        let line = |number: usize| SchemaError::Line { line: number };
        let [head, opening, fields @ .., open, closing] = lines.as_slice() else { return Err(line(1)) };
        let version = version(head).ok_or_else(|| line(1))?;
        if opening.strip_suffix(" = {") != Some(version.name.as_str()) {
            return Err(line(2));
        }
        if (*open, *closing) != ("  * uint => any", "}") {
            return Err(line(lines.len()));
        }
        if fields.len() > MAX_FIELDS {
            return Err(SchemaError::Fields { found: fields.len(), max: MAX_FIELDS });
        }
        let read = |(index, text): (usize, &&str)| field(text).ok_or_else(|| line(index + 3));
        let fields: Vec<Field> = fields.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let schema = Self { version, fields };
        let ordered = schema.fields.is_sorted_by(|left, right| left.number < right.number);
        if ordered && schema.text() == text { Ok(schema) } else { Err(SchemaError::NotCanonical) }
    }
}

fn version(line: &str) -> Option<Version> {
    let (name, number) = line.strip_prefix("; ")?.split_once(' ')?;
    let (major, minor) = number.split_once('.')?;
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let named = name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.ends_with('-');
    (named && name.len() <= MAX_NAME && name.bytes().all(good)).then_some(())?;
    Some(Version { name: name.to_string(), major: major.parse().ok()?, minor: minor.parse().ok()? })
}

fn field(line: &str) -> Option<Field> {
    let line = line.strip_prefix("  ")?;
    let (line, name) = line.split_once(", ; ")?;
    let (line, required) = line.strip_prefix("? ").map_or((line, true), |line| (line, false));
    let (number, holds) = line.split_once(": ")?;
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(good)).then_some(())?;
    Some(Field { number: number.parse().ok()?, name: name.to_string(), required, holds: array(holds)? })
}

fn array(text: &str) -> Option<Type> {
    let Some(inner) = text.strip_prefix("[0*") else { return scalar(text) };
    let (most, of) = inner.strip_suffix(']')?.split_once(' ')?;
    Some(Type::Array(most.parse().ok()?, Box::new(scalar(of)?)))
}

fn scalar(text: &str) -> Option<Type> {
    match text {
        "uint" => return Some(Type::Uint(0, u64::MAX)),
        "float64" => return Some(Type::Float(None)),
        "bool" => return Some(Type::Bool),
        _ => {}
    }
    let size = |rest: &str| rest.strip_prefix(" .size (0..")?.strip_suffix(')')?.parse().ok();
    if let Some(rest) = text.strip_prefix("tstr") {
        return size(rest).map(Type::Text);
    }
    if let Some(rest) = text.strip_prefix("bstr") {
        return size(rest).map(Type::Bytes);
    }
    if let Some(least) = text.strip_prefix("float64 .ge ") {
        return least
            .parse()
            .ok()
            .filter(|least: &f64| least.is_finite())
            .map(|least| Type::Float(Some(least)));
    }
    let (least, most) = text.split_once("..")?;
    if least.starts_with('-') {
        let (least, most) = (least.parse().ok()?, most.parse().ok()?);
        return (least < most).then_some(Type::Int(least, most));
    }
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (least < most).then_some(Type::Uint(least, most))
}
