//! [`Registry`]: the schemas that a fleet agreed upon.

use super::{
    builtin::standard,
    compatible::{Incompatible, check},
    parse::SchemaError,
    record::{Record, RecordError, short},
    schema::{Schema, SchemaId, Version},
};
use crate::sync::{Op, Replica};
use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

/// The map of the replicated state that holds published schemas: from `name/major.minor`, each number as five digits, to the text.
pub const OBJECT: &[u8] = b"contract";

/// Why a schema that was published does not count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It is no schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It is published under the name of another.
    #[error("published as another version than it is")]
    Place,
    /// It is not compatible with one that counts.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
}

impl Refused {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Schema(error) => error.reason(),
            Self::Place => "contract_misplaced",
            Self::Incompatible(error) => error.reason(),
        }
    }
}

/// The schemas that count: a function of the replicated state alone, so that equal replicas agree on it. Per contract in the order
/// of their minor numbers, each one that is compatible with all that count before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    schemas: BTreeMap<(String, u16), Vec<(SchemaId, Schema)>>,
    refused: BTreeMap<Vec<u8>, Refused>,
}

impl Registry {
    /// The built-in schemas alone.
    #[must_use]
    pub fn standard() -> Self {
        let mut registry = Self::default();
        for schema in standard() {
            registry.add(schema).expect("one version of each");
        }
        registry
    }

    /// The built-in schemas and those that members published. O(n·m) for n schemas of m versions each.
    #[must_use]
    pub fn of(replica: &Replica) -> Self {
        let mut registry = Self::standard();
        // Keys are ordered by contract and version.
        for (key, text) in replica.map_entries(OBJECT) {
            if let Err(refused) = registry.take(key, text) {
                registry.refused.insert(key.to_vec(), refused);
            }
        }
        registry
    }

    fn take(&mut self, key: &[u8], text: &[u8]) -> Result<(), Refused> {
        let text = core::str::from_utf8(text).map_err(|_| SchemaError::Line { line: 1 })?;
        let schema = Schema::parse(text)?;
        if self::key(&schema.version) != key {
            return Err(Refused::Place);
        }
        Ok(self.add(schema)?)
    }

    fn add(&mut self, schema: Schema) -> Result<(), Incompatible> {
        self.check(&schema)?;
        let versions = self.schemas.entry((schema.version.name.clone(), schema.version.major)).or_default();
        if versions.iter().all(|(_, there)| there.version != schema.version) {
            versions.push((schema.id(), schema));
        }
        Ok(())
    }

    /// Whether a schema is compatible with all versions that count.
    ///
    /// # Errors
    /// [`Incompatible`] with the first that it is not compatible with.
    pub fn check(&self, schema: &Schema) -> Result<(), Incompatible> {
        let versions = self.schemas.get(&(schema.version.name.clone(), schema.version.major));
        versions.into_iter().flatten().try_for_each(|(_, there)| check(there, schema))
    }

    /// Publishes a schema: hands the write to `write`, such as `Input::Write` of a node. Every other member checks it, too.
    ///
    /// # Errors
    /// [`Incompatible`]: nothing is written.
    pub fn publish<T>(&self, schema: &Schema, write: impl FnOnce(Op<'_>) -> T) -> Result<T, Incompatible> {
        self.check(schema)?;
        let (key, text) = (key(&schema.version), schema.text());
        Ok(write(Op::MapPut { name: OBJECT, key: &key, value: text.as_bytes() }))
    }

    /// The schema of this digest.
    #[must_use]
    pub fn schema(&self, id: SchemaId) -> Option<&Schema> {
        self.schemas.values().flatten().find(|(there, _)| *there == id).map(|(_, schema)| schema)
    }

    /// The versions of a contract that count, by rising minor number.
    pub fn versions(&self, name: &str, major: u16) -> impl Iterator<Item = (SchemaId, &Schema)> {
        let versions = self.schemas.get(&(name.to_string(), major));
        versions.into_iter().flatten().map(|(id, schema)| (*id, schema))
    }

    /// What was published and does not count, by its key, and why.
    #[must_use]
    pub const fn refused(&self) -> &BTreeMap<Vec<u8>, Refused> {
        &self.refused
    }

    /// Reads a record by the schema that it was made by, or, where that is not known yet, by the newest version of its contract that is.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn read(&self, bytes: &[u8]) -> Result<Record, RecordError> {
        Record::decode(bytes, |name, major, made_by| {
            let versions = self.schemas.get(&(name.to_string(), major))?;
            let exact = versions.iter().find(|(id, _)| short(*id) == made_by);
            exact.or(versions.last()).map(|(_, schema)| schema)
        })
    }
}

fn key(version: &Version) -> Vec<u8> {
    alloc::format!("{}/{:05}.{:05}", version.name, version.major, version.minor).into_bytes()
}
