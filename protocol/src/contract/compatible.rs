//! Whether two versions of a contract can be read by each other's readers.

use super::schema::{Field, Schema, Type};
use alloc::string::String;

/// Why two versions of one contract are not compatible: full compatibility, forwards and backwards, between *any* two versions, since peers
/// upgrade in any order and a record may be older or newer than its reader.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Incompatible {
    /// There are as many versions as a registry holds of one contract.
    #[error("there are {max} versions already")]
    Many {
        /// The most there may be.
        max: usize,
    },
    /// They are not versions of one contract.
    #[error("another contract")]
    Contract,
    /// The version is there already, with another text.
    #[error("minor version {minor} is another schema already")]
    Taken {
        /// Its minor number.
        minor: u16,
    },
    /// A field holds something else. A wider range is refused by the older reader, a narrower one by the newer.
    #[error("field {number} holds `{before}` in minor version {minor}, not `{after}`")]
    Holds {
        /// The field.
        number: u32,
        /// What it holds in the version that is there.
        before: Type,
        /// What it would hold.
        after: Type,
        /// The version that is there.
        minor: u16,
    },
    /// A number is given to another field.
    #[error("field {number} is `{before}` in minor version {minor}, not `{after}`")]
    Name {
        /// The field.
        number: u32,
        /// Its name in the version that is there.
        before: String,
        /// The name that it would have.
        after: String,
        /// The version that is there.
        minor: u16,
    },
    /// A field must be in one version's records, and need not, or cannot, be in the other's.
    #[error("field {number} is required in only one of this and minor version {minor}")]
    Required {
        /// The field.
        number: u32,
        /// The version that is there.
        minor: u16,
    },
}

impl Incompatible {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Many { .. } => "contract_too_many_versions",
            Self::Contract => "contract_other",
            Self::Taken { .. } => "contract_version_taken",
            Self::Holds { .. } => "contract_field_type",
            Self::Name { .. } => "contract_field_name",
            Self::Required { .. } => "contract_field_required",
        }
    }
}

/// Checks `new` against a version that is there.
pub(super) fn check(there: &Schema, new: &Schema) -> Result<(), Incompatible> {
    let minor = there.version.minor;
    if (&there.version.name, there.version.major) != (&new.version.name, new.version.major) {
        return Err(Incompatible::Contract);
    }
    if minor == new.version.minor {
        return if there == new { Ok(()) } else { Err(Incompatible::Taken { minor }) };
    }
    for before in &there.fields {
        let number = before.number;
        match new.field(number) {
            Some(after) => check_field(before, after, minor)?,
            None if before.required => return Err(Incompatible::Required { number, minor }),
            None => {}
        }
    }
    let added = new.fields.iter().find(|field| field.required && there.field(field.number).is_none());
    added.map_or(Ok(()), |field| Err(Incompatible::Required { number: field.number, minor }))
}

fn check_field(before: &Field, after: &Field, minor: u16) -> Result<(), Incompatible> {
    let number = before.number;
    if before.name != after.name {
        let (before, after) = (before.name.clone(), after.name.clone());
        return Err(Incompatible::Name { number, before, after, minor });
    }
    if before.holds != after.holds {
        let (before, after) = (before.holds.clone(), after.holds.clone());
        return Err(Incompatible::Holds { number, before, after, minor });
    }
    if before.required != after.required {
        return Err(Incompatible::Required { number, minor });
    }
    Ok(())
}
