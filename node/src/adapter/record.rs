//! Records of contracts as JSON objects with the names of their fields.

use cosmosmesh_protocol::contract::{Record, RecordError, Schema, Type, Value};
use serde_json::{Map, Value as Json};

/// Why an object is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordTextError {
    /// A field that the contract does not have.
    #[error("{field:?} is no field of {contract}; its fields are {known}")]
    Field {
        /// The field.
        field: String,
        /// The contract.
        contract: String,
        /// What it has.
        known: String,
    },
    /// A field of another type.
    #[error("{field} is to be {wanted}")]
    Type {
        /// The field.
        field: String,
        /// Its type in CDDL.
        wanted: String,
    },
    /// What the contract itself says.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The record of a contract that an object is.
///
/// # Errors
/// [`RecordTextError`].
pub fn from_json(schema: &Schema, object: &Map<String, Json>) -> Result<Record, RecordTextError> {
    let mut record = Record::new(schema);
    for (name, json) in object {
        let Some(field) = schema.fields.iter().find(|field| field.name == *name) else {
            let names: Vec<&str> = schema.fields.iter().map(|field| &*field.name).collect();
            let (contract, known) = (schema.version.to_string(), names.join(", "));
            return Err(RecordTextError::Field { field: name.clone(), contract, known });
        };
        let value = value_of(&field.holds, json)
            .ok_or_else(|| RecordTextError::Type { field: name.clone(), wanted: field.holds.to_string() })?;
        record.fields.insert(field.number, value);
    }
    record.check(schema)?;
    Ok(record)
}

/// A record as an object. Fields that the schema does not name are left out.
#[must_use]
pub fn to_json(schema: &Schema, record: &Record) -> Map<String, Json> {
    let named = record
        .fields
        .iter()
        .filter_map(|(number, value)| Some((schema.field(*number)?.name.to_string(), json_of(value)?)));
    named.collect()
}

/// Limits of what a type holds are the record's own matter.
fn value_of(holds: &Type, json: &Json) -> Option<Value> {
    Some(match (holds, json) {
        (Type::Uint(..), json) => Value::Uint(json.as_u64()?),
        (Type::Int(..), json) => Value::Int(json.as_i64()?),
        (Type::Float(_), json) => Value::Float(json.as_f64()?),
        (Type::Bool, Json::Bool(value)) => Value::Bool(*value),
        (Type::Text(_), Json::String(text)) => Value::Text(text.clone()),
        (Type::Bytes(_), Json::String(digits)) => Value::Bytes(crate::message::hex::bytes(digits)?),
        (Type::Array(_, of), Json::Array(items)) => {
            Value::Array(items.iter().map(|item| value_of(of, item)).collect::<Option<_>>()?)
        }
        (Type::Bool | Type::Text(_) | Type::Bytes(_) | Type::Array(..), _) => return None,
    })
}

fn json_of(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Uint(number) => Json::from(*number),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Bool(value) => Json::from(*value),
        Value::Text(text) => Json::from(text.clone()),
        Value::Bytes(bytes) => Json::from(crate::message::hex::digits(bytes)),
        Value::Array(items) => Json::Array(items.iter().map(json_of).collect::<Option<_>>()?),
        Value::Unknown(_) => return None,
    })
}
