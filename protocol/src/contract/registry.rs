//! [`Registry`]: the schemas that a fleet agreed upon.

use super::{
    builtin::standard,
    compatible::{Incompatible, check},
    parse::SchemaError,
    record::{Record, RecordError, short},
    schema::{Schema, SchemaId, Version},
};
use crate::{
    id::NodeId,
    sync::{Op, Replica, Role},
};
use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};
use core::cmp::Reverse;

/// The map of the replicated state that holds published schemas: from `name/major.minor/digest`, the numbers as five digits and of the digest
/// the first eight bytes, to the text. A text has one key and a key one text, so that no publication overwrites another.
pub const OBJECT: &[u8] = b"contract";

/// Most versions of one contract that count: each is checked against all of them.
const MAX_VERSIONS: usize = 128;

/// Why a schema that was published does not count, or may not be published.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It is no schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It is published under the name of another.
    #[error("published under another name than its own")]
    Place,
    /// It is not compatible with one that counts.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
    /// Its writer has no right to publish schemas.
    #[error("published by {writer}, who may not")]
    Denied {
        /// Who.
        writer: NodeId,
    },
    /// It was published, so that records may have been made by it: it cannot be taken back.
    #[error("a schema cannot be taken back")]
    Withdrawal,
}

impl Refused {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Schema(error) => error.reason(),
            Self::Place => "contract_misplaced",
            Self::Incompatible(error) => error.reason(),
            Self::Denied { .. } => "contract_denied",
            Self::Withdrawal => "contract_withdrawn",
        }
    }
}

/// Why a write to the shared state breaks a contract.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Breach {
    /// It publishes a schema that would not count.
    #[error(transparent)]
    Schema(#[from] Refused),
    /// It is no record that the members can read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It is a record of another contract than that of its object.
    #[error("a record of contract {found}")]
    Other {
        /// Its contract.
        found: String,
    },
}

impl Breach {
    /// A stable word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Schema(refused) => refused.reason(),
            Self::Record(error) => error.reason(),
            Self::Other { .. } => "record_other_contract",
        }
    }
}

/// The schemas that count: a function of the replicated state alone, so that equal replicas agree on it.
///
/// The built-in ones come first. Then, of each contract, what was published under a greater role; of one role, the greater minor version; of
/// one version, the smaller digest: each that is compatible with all that count before it. Time plays no part, so that what is published
/// later under a lower number takes nothing from what is there.
///
/// Records by a schema that does not count are refused, with the reason for which it does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    schemas: BTreeMap<(String, u16), Vec<(SchemaId, Schema)>>,
    refused: BTreeMap<Vec<u8>, Refused>,
    /// Those of them that are schemas, by what records say of them.
    refused_makers: BTreeMap<(String, u16, [u8; 8]), &'static str>,
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

    /// The built-in schemas and those that members published. O(n·m) for n schemas, and m versions of a contract that count.
    #[must_use]
    pub fn of(replica: &Replica) -> Self {
        Self::of_writers(replica, |_| true)
    }

    /// As [`Registry::of`], of those only that members published who may.
    #[must_use]
    pub fn of_writers(replica: &Replica, may: impl Fn(NodeId) -> bool) -> Self {
        let mut registry = Self::standard();
        let mut candidates: Vec<(Reverse<Role>, Schema, &[u8])> = Vec::new();
        for (key, text) in replica.map_entries(OBJECT) {
            let role = replica.map_role(OBJECT, key).unwrap_or_default();
            let writer = replica.map_write(OBJECT, key).map(|(dot, ..)| dot.actor.node);
            if let Some(writer) = writer.filter(|writer| !may(*writer)) {
                registry.refused.insert(key.to_vec(), Refused::Denied { writer });
                continue;
            }
            match parse(key, text) {
                Ok(schema) => candidates.push((Reverse(role), schema, key)),
                Err(refused) => drop(registry.refused.insert(key.to_vec(), refused)),
            }
        }
        // A stable sort: of one version, keys are in the order of their digests.
        candidates.sort_by_key(|(role, schema, _)| (*role, Reverse(schema.version.minor)));
        for (_, schema, key) in candidates {
            let Version { name, major, .. } = schema.version.clone();
            let maker = (name, major, short(schema.id()));
            if let Err(incompatible) = registry.add(schema) {
                let refused = Refused::from(incompatible);
                registry.refused_makers.insert(maker, refused.reason());
                registry.refused.insert(key.to_vec(), refused);
            }
        }
        for versions in registry.schemas.values_mut() {
            versions.sort_by_key(|(_, schema)| schema.version.minor);
        }
        registry
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
    /// [`Incompatible`] with the first that it is not compatible with, or because there are too many.
    pub fn check(&self, schema: &Schema) -> Result<(), Incompatible> {
        let versions = self.schemas.get(&(schema.version.name.clone(), schema.version.major));
        let versions = versions.map_or(&[][..], Vec::as_slice);
        versions.iter().try_for_each(|(_, there)| check(there, schema))?;
        let is_new = versions.iter().all(|(_, there)| there.version != schema.version);
        if is_new && versions.len() >= MAX_VERSIONS {
            return Err(Incompatible::Many { max: MAX_VERSIONS });
        }
        Ok(())
    }

    /// Whether this node may make a write: whether a schema that it publishes would count, and whether a value of an object that bears a
    /// contract's name is a record of it.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn admit(&self, op: &Op<'_>) -> Result<(), Breach> {
        match *op {
            Op::MapPut { name: OBJECT, key, value } => {
                self.check(&parse(key, value)?).map_err(Refused::from)?;
                Ok(())
            }
            Op::MapRemove { name: OBJECT, .. } => Err(Refused::Withdrawal.into()),
            Op::MapPut { name, value, .. } | Op::Register { name, value } if self.governs(name) => {
                self.read_of(name, value).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Whether values of the map or register `name` are records of a contract: that of its name.
    #[must_use]
    pub fn governs(&self, name: &[u8]) -> bool {
        let Ok(name) = core::str::from_utf8(name) else { return false };
        let first = self.schemas.range((name.to_string(), 0)..).next();
        first.is_some_and(|((contract, _), _)| contract == name)
    }

    /// Reads a record of one contract, as [`Registry::read`].
    ///
    /// # Errors
    /// [`Breach`].
    pub fn read_of(&self, contract: &[u8], bytes: &[u8]) -> Result<Record, Breach> {
        let record = self.read(bytes)?;
        if record.name.as_bytes() == contract {
            Ok(record)
        } else {
            Err(Breach::Other { found: record.name })
        }
    }

    /// Publishes a schema: hands the write to `write`, such as `Input::Write` of a node. Every other member checks it, too.
    ///
    /// # Errors
    /// [`Incompatible`]: nothing is written.
    pub fn publish<T>(&self, schema: &Schema, write: impl FnOnce(Op<'_>) -> T) -> Result<T, Incompatible> {
        self.check(schema)?;
        let (key, text) = (key(schema), schema.text());
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

    /// The greatest version of a contract.
    #[must_use]
    pub fn newest(&self, name: &str) -> Option<&Schema> {
        let majors = self.schemas.range((name.to_string(), 0)..=(name.to_string(), u16::MAX));
        majors.last()?.1.last().map(|(_, schema)| schema)
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
        let mut refused = None;
        let record = Record::decode(bytes, |name, major, made_by| {
            let key = (name.to_string(), major);
            let versions = self.schemas.get(&key)?;
            let (name, major) = key;
            refused = self.refused_makers.get(&(name, major, made_by)).copied();
            let exact = versions.iter().find(|(id, _)| short(*id) == made_by);
            exact.or(versions.last()).map(|(_, schema)| schema)
        });
        match (record, refused) {
            (_, Some(reason)) => Err(RecordError::Version { reason }),
            (Err(RecordError::Contract { name, major }), None) if self.governs(name.as_bytes()) => {
                Err(RecordError::Major { name, found: major })
            }
            (record, None) => record,
        }
    }
}

fn parse(key: &[u8], text: &[u8]) -> Result<Schema, Refused> {
    let text = core::str::from_utf8(text).map_err(|_| SchemaError::Line { line: 1 })?;
    let schema = Schema::parse(text)?;
    if self::key(&schema) == key { Ok(schema) } else { Err(Refused::Place) }
}

fn key(schema: &Schema) -> Vec<u8> {
    let Version { name, major, minor } = &schema.version;
    let digest = u64::from_be_bytes(short(schema.id()));
    alloc::format!("{name}/{major:05}.{minor:05}/{digest:016x}").into_bytes()
}
