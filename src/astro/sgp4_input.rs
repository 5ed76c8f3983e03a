//! Reading SGP4 element sets: two-line elements and OMM records (CCSDS 502.0-B-3) in JSON.

use sgp4::chrono::{Datelike, Timelike};

use super::{Epoch, EpochError};

/// Why a text is not an SGP4 element set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sgp4InputError {
    /// A two-line element set is wrong; the parser names line and column.
    #[error("two-line elements: {what}")]
    Tle {
        /// Line, columns and what is wrong there.
        what: String,
    },
    /// The OMM is not JSON of the expected shape.
    #[error("OMM, line {line}, column {column}: {what}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// The OMM file does not hold exactly one record.
    #[error("the OMM file holds {found} records, expected 1")]
    Records {
        /// How many it holds.
        found: usize,
    },
    /// The OMM states something that SGP4 elements cannot have.
    #[error("OMM field {field} is {found:?}, expected {expected:?}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it must say.
        expected: &'static str,
    },
}

/// Reads a two-line element set; catalogue numbers above 99999 in Alpha-5.
///
/// # Errors
/// [`Sgp4InputError::Tle`].
pub fn parse_tle(name: Option<&str>, line1: &str, line2: &str) -> Result<sgp4::Elements, Sgp4InputError> {
    sgp4::Elements::from_tle(
        name.map(str::to_owned),
        line1.trim_end().as_bytes(),
        line2.trim_end().as_bytes(),
    )
    .map_err(|error| Sgp4InputError::Tle { what: error.to_string() })
}

/// Reads one OMM record: a JSON object, or an array of one, as CelesTrak and Space-Track publish. Catalogue numbers are
/// not limited to five digits.
///
/// # Errors
/// [`Sgp4InputError`] other than [`Tle`](Sgp4InputError::Tle).
pub fn parse_omm_json(text: &str) -> Result<sgp4::Elements, Sgp4InputError> {
    const MUST_BE: [(&str, &str); 4] = [
        ("CENTER_NAME", "EARTH"),
        ("REF_FRAME", "TEME"),
        ("TIME_SYSTEM", "UTC"),
        ("MEAN_ELEMENT_THEORY", "SGP4"),
    ];
    let wrong = |error: serde_json::Error| Sgp4InputError::Json {
        line: error.line(),
        column: error.column(),
        what: error.to_string(),
    };
    let mut value: serde_json::Value = serde_json::from_str(text).map_err(wrong)?;
    if let serde_json::Value::Array(records) = &mut value {
        let found = records.len();
        value = match records.pop() {
            Some(record) if found == 1 => record,
            Some(_) | None => return Err(Sgp4InputError::Records { found }),
        };
    }
    for (field, expected) in MUST_BE {
        match value.get(field).map(|found| (found, found.as_str())) {
            None => {}
            Some((_, Some(found))) if found == expected => {}
            Some((found, _)) => {
                return Err(Sgp4InputError::Field { field, found: found.to_string(), expected });
            }
        }
    }
    serde_json::from_value(value).map_err(wrong)
}

/// The instant a set of elements belongs to.
pub(super) fn elements_epoch(elements: &sgp4::Elements) -> Result<Epoch, EpochError> {
    let at = &elements.datetime;
    Epoch::from_civil(
        (i64::from(at.year()), i64::from(at.month()), i64::from(at.day())),
        (i64::from(at.hour()), i64::from(at.minute()), i64::from(at.second())),
        i64::from(at.nanosecond()).min(999_999_999),
    )
}
