//! [`Record`]: a contract's data, as deterministic CBOR: `[name, major, first 8 bytes of the schema's digest, {number: value}]`.

use super::schema::{Schema, SchemaId, Type, Version};
use crate::cbor::{self, CborError, Reader};
use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

/// Most fields of a record.
const MAX_FIELDS: u64 = 128;
/// How deep a value that is only carried through may be nested.
const MAX_DEPTH: usize = 8;
/// Simple values and floats.
const SIMPLE: u8 = 7;
const FLOAT64: u8 = 0xfb;

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An unsigned number.
    Uint(u64),
    /// A number.
    Int(i64),
    /// A float of 64 bits, finite.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several values of one type.
    Array(Vec<Self>),
    /// One item of CBOR of which the reader's schema says nothing: carried through as it is.
    Unknown(Vec<u8>),
}

/// Why a record is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not deterministic CBOR, or of another form.
    #[error("malformed at byte {position}")]
    Malformed {
        /// Where reading stopped.
        position: usize,
    },
    /// Nobody here knows the contract.
    #[error("unknown contract {name} {major}")]
    Contract {
        /// Its name.
        name: String,
        /// Its major number.
        major: u16,
    },
    /// Of a contract that is known in other major versions only: it is not compatible with those.
    #[error("contract {name} is not known in version {found}")]
    Major {
        /// Its name.
        name: String,
        /// Its major number.
        found: u16,
    },
    /// It was made by a schema that does not count.
    #[error("made by a schema that does not count: {reason}")]
    Version {
        /// Why it does not, as [`super::Refused::reason`].
        reason: &'static str,
    },
    /// A field is not there that must be.
    #[error("field {number} is missing")]
    Missing {
        /// Which.
        number: u32,
    },
    /// A field holds what its type does not allow.
    #[error("field {number} does not hold what the contract says")]
    Holds {
        /// Which.
        number: u32,
    },
}

impl RecordError {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "record_malformed",
            Self::Contract { .. } => "record_unknown_contract",
            Self::Major { .. } => "record_unknown_version",
            Self::Version { .. } => "record_refused_version",
            Self::Missing { .. } => "record_field_missing",
            Self::Holds { .. } => "record_field_type",
        }
    }
}

impl From<CborError> for RecordError {
    fn from(_: CborError) -> Self {
        Self::Malformed { position: 0 }
    }
}

/// A contract's data.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The contract.
    pub name: String,
    /// Its major number.
    pub major: u16,
    /// The beginning of the digest of the schema that it was made by.
    pub made_by: [u8; 8],
    /// By field number.
    pub fields: BTreeMap<u32, Value>,
}

impl Record {
    /// A record by `schema`, without fields.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let Version { name, major, .. } = schema.version.clone();
        Self { name, major, made_by: short(schema.id()), fields: BTreeMap::new() }
    }

    /// The record with a field.
    #[must_use]
    pub fn with(mut self, number: u32, value: Value) -> Self {
        self.fields.insert(number, value);
        self
    }

    /// Checks it against a schema of its contract. Fields that the schema does not name are allowed, and only those may be unknown.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn check(&self, schema: &Schema) -> Result<(), RecordError> {
        let missing =
            schema.fields.iter().find(|field| field.required && !self.fields.contains_key(&field.number));
        if let Some(field) = missing {
            return Err(RecordError::Missing { number: field.number });
        }
        for (&number, value) in &self.fields {
            if schema.field(number).is_some_and(|field| !holds(&field.holds, value)) {
                return Err(RecordError::Holds { number });
            }
        }
        Ok(())
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::ARRAY, 4);
        cbor::put_text(&mut out, &self.name);
        cbor::put_uint(&mut out, u64::from(self.major));
        cbor::put_bytes(&mut out, &self.made_by);
        cbor::put_head(&mut out, cbor::MAP, self.fields.len() as u64);
        for (&number, value) in &self.fields {
            cbor::put_uint(&mut out, u64::from(number));
            put_value(&mut out, value);
        }
        out
    }

    /// Reads [`Record::encode`] by the schema that `find` gives for (name, major, beginning of the digest), and checks it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode<'s>(
        bytes: &[u8],
        find: impl FnOnce(&str, u16, [u8; 8]) -> Option<&'s Schema>,
    ) -> Result<Self, RecordError> {
        let mut input = Reader::new(bytes);
        let record = Self::read(&mut input, find).map_err(|error| match error {
            RecordError::Malformed { .. } => RecordError::Malformed { position: input.position() },
            other => other,
        })?;
        input.end()?;
        Ok(record)
    }

    fn read<'s>(
        input: &mut Reader<'_>,
        find: impl FnOnce(&str, u16, [u8; 8]) -> Option<&'s Schema>,
    ) -> Result<Self, RecordError> {
        const MALFORMED: RecordError = RecordError::Malformed { position: 0 };
        input.array_of(4)?;
        let name = input.text()?;
        let major = u16::try_from(input.uint()?).map_err(|_| MALFORMED)?;
        let made_by: [u8; 8] = input.bytes()?.try_into().map_err(|_| MALFORMED)?;
        let schema = find(name, major, made_by);
        let schema = schema.ok_or_else(|| RecordError::Contract { name: name.to_string(), major })?;
        let count = input.map()?;
        if count > MAX_FIELDS {
            return Err(MALFORMED);
        }
        let mut fields = BTreeMap::new();
        for _ in 0..count {
            let number = u32::try_from(input.uint()?).map_err(|_| MALFORMED)?;
            if fields.last_key_value().is_some_and(|(&last, _)| last >= number) {
                return Err(MALFORMED);
            }
            let value = match schema.field(number) {
                Some(field) => read_value(input, &field.holds)?.ok_or(RecordError::Holds { number })?,
                None => {
                    let from = input.position();
                    skip(input)?;
                    Value::Unknown(input.since(from).to_vec())
                }
            };
            fields.insert(number, value);
        }
        let record = Self { name: name.to_string(), major, made_by, fields };
        record.check(schema)?;
        Ok(record)
    }
}

/// The beginning of a digest by which records name the schema that they were made by.
pub(super) fn short(id: SchemaId) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&id.0[..8]);
    short
}

fn holds(of: &Type, value: &Value) -> bool {
    match (of, value) {
        (Type::Uint(least, most), Value::Uint(value)) => (least..=most).contains(&value),
        (Type::Int(least, most), Value::Int(value)) => (least..=most).contains(&value),
        (Type::Float(least), Value::Float(value)) => {
            value.is_finite() && least.is_none_or(|least| *value >= least)
        }
        (Type::Bool, Value::Bool(_)) => true,
        (Type::Text(most), Value::Text(text)) => text.len() <= *most as usize,
        (Type::Bytes(most), Value::Bytes(bytes)) => bytes.len() <= *most as usize,
        (Type::Array(most, of), Value::Array(values)) => {
            values.len() <= *most as usize && values.iter().all(|value| holds(of, value))
        }
        _ => false,
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Uint(value) => cbor::put_uint(out, *value),
        Value::Int(value) if *value < 0 => cbor::put_head(out, cbor::NEGATIVE, !*value as u64),
        Value::Int(value) => cbor::put_uint(out, *value as u64),
        Value::Float(value) => {
            out.push(FLOAT64);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Bool(value) => out.push(SIMPLE << 5 | if *value { 21 } else { 20 }),
        Value::Text(text) => cbor::put_text(out, text),
        Value::Bytes(bytes) => cbor::put_bytes(out, bytes),
        Value::Array(values) => {
            cbor::put_head(out, cbor::ARRAY, values.len() as u64);
            values.iter().for_each(|value| put_value(out, value));
        }
        Value::Unknown(item) => out.extend_from_slice(item),
    }
}

/// A value of this type; `None` when the item is of another.
fn read_value(input: &mut Reader<'_>, of: &Type) -> Result<Option<Value>, RecordError> {
    let major = input.peek().map_or(u8::MAX, |byte| byte >> 5);
    let value = match (of, major) {
        (Type::Uint(..), cbor::UINT) => Value::Uint(input.uint()?),
        (Type::Int(..), cbor::UINT | cbor::NEGATIVE) => {
            let (major, argument) = input.head()?;
            let Ok(value) = i64::try_from(argument) else { return Ok(None) };
            Value::Int(if major == cbor::UINT { value } else { !value })
        }
        (Type::Float(_), SIMPLE) => return Ok(read_float(input).map(Value::Float)),
        (Type::Bool, SIMPLE) if input.skip_byte(0xf4) => Value::Bool(false),
        (Type::Bool, SIMPLE) if input.skip_byte(0xf5) => Value::Bool(true),
        (Type::Text(_), cbor::TEXT) => Value::Text(input.text()?.to_string()),
        (Type::Bytes(_), cbor::BYTES) => Value::Bytes(input.bytes()?.to_vec()),
        (Type::Array(most, of), cbor::ARRAY) => {
            let count = input.array()?;
            if count > u64::from(*most) {
                return Ok(None);
            }
            let mut values = Vec::new();
            for _ in 0..count {
                let Some(value) = read_value(input, of)? else { return Ok(None) };
                values.push(value);
            }
            Value::Array(values)
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// A float of 64 bits. Contracts have no shorter ones: a column of them has one width.
fn read_float(input: &mut Reader<'_>) -> Option<f64> {
    let mut bytes = [0; 8];
    input.skip_byte(FLOAT64).then_some(())?;
    for byte in &mut bytes {
        *byte = input.peek()?;
        input.skip_byte(*byte);
    }
    Some(f64::from_be_bytes(bytes))
}

/// Skips one item of well-formed deterministic CBOR, without recursion.
fn skip(input: &mut Reader<'_>) -> Result<(), RecordError> {
    const MALFORMED: RecordError = RecordError::Malformed { position: 0 };
    let mut open: Vec<u64> = alloc::vec![1];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        match input.peek().ok_or(MALFORMED)? {
            FLOAT64 => drop(read_float(input).ok_or(MALFORMED)?),
            byte if byte >> 5 == cbor::BYTES => drop(input.bytes()?),
            byte if byte >> 5 == cbor::TEXT => drop(input.text()?),
            byte if byte >> 5 == SIMPLE && byte & 0x1f > 23 => return Err(MALFORMED),
            _ => {
                let (major, argument) = input.head()?;
                let items = match major {
                    cbor::ARRAY => argument,
                    cbor::MAP => argument.checked_mul(2).ok_or(MALFORMED)?,
                    cbor::TAG => 1,
                    _ => 0,
                };
                if items > 0 {
                    (open.len() < MAX_DEPTH).then_some(()).ok_or(MALFORMED)?;
                    open.push(items);
                }
            }
        }
    }
    Ok(())
}
