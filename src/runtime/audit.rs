//! The audit trail of shared state: what is written, dropped and read, so that one can say afterwards why replicas agree.

use super::{Runtime, Storage, translate::number};
use crate::{
    engine::{RandomStreams, Record, RecordKind, Rng, Stream},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    contract::{Record as Contract, Schema, Type, Value},
    node::Input,
    sync::{Dot, Kind, Op, Replica, Written},
};

/// The longest value that is told, in bytes; of longer ones the beginning and the length.
const MAX_VALUE: usize = 32;
/// Most items that one replica tells of at the end.
const MAX_ITEMS: usize = 10_000;
/// Longest texts, bytes and arrays in records that are drawn.
const MAX_DRAWN: u32 = 8;

impl Runtime {
    /// Publishes a schema; one that is not compatible with those that count is refused with the reason.
    pub fn publish_schema(
        &mut self,
        now: SimTime,
        schema: &Schema,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let Some(registry) = self.node.as_ref().and_then(|node| node.registry()) else { return };
        let own = |op: Op<'_>| match op {
            Op::MapPut { key, value, .. } => (key.to_vec(), value.to_vec()),
            _ => (Vec::new(), Vec::new()),
        };
        match registry.publish(schema, own) {
            Ok((key, value)) => {
                let put =
                    Op::MapPut { name: cosmosmesh_protocol::contract::OBJECT, key: &key, value: &value };
                self.input_write(now, put, storage, out);
            }
            Err(incompatible) => {
                let kind = RecordKind::InputRefused { reason: incompatible.reason() };
                out.push(Record { time: now, asset: self.asset, kind });
            }
        }
    }

    /// Writes a record of the newest version of a contract that the node knows, its fields drawn with `seed`.
    pub(super) fn write_record(
        &mut self,
        now: SimTime,
        (name, key): (&str, &[u8]),
        seed: u64,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let registry = self.node.as_ref().and_then(|node| node.registry());
        let Some(schema) = registry.and_then(|registry| registry.newest(name)) else { return };
        let value = draw(schema, seed).encode();
        self.input_write(now, Op::MapPut { name: name.as_bytes(), key, value: &value }, storage, out);
    }

    /// Hands a write to the node, and tells what it says.
    pub(super) fn input_write(
        &mut self,
        now: SimTime,
        operation: Op<'_>,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let own = |runtime: &Self| {
            let replica = runtime.node.as_ref()?.replica()?;
            Some(Dot { actor: replica.actor(), sequence: replica.version().get(replica.actor()) })
        };
        let before = own(self);
        self.input(now, Input::Write(operation), storage, out);
        let Some(dot) = own(self).filter(|dot| before.is_some_and(|before| before != *dot)) else { return };
        let written = self.node.as_ref().and_then(|node| node.replica()?.written(dot));
        let Some(Written::Value { kind, name, item, write, seen }) = written else { return };
        let kind = RecordKind::SyncContent {
            sequence: number(dot),
            item: item_name(kind, &name, &item),
            role: write.role.0,
            clock_ms: write.clock.time().as_millis(),
            clock_counter: write.clock.counter(),
            value: write.value.as_deref().map(cut),
            replaces: seen.into_iter().map(|dot| self.named(dot)).collect(),
        };
        out.push(Record { time: now, asset: self.asset, kind });
    }

    fn named(&self, dot: Dot) -> (AssetIndex, u64) {
        (self.fleet.asset(dot.actor.node), number(dot))
    }

    /// What an own write drops, if that is what it does.
    pub(super) fn dropped(&self, kind: Option<&RecordKind>) -> Option<RecordKind> {
        let &RecordKind::SyncWrite { sequence } = kind? else { return None };
        let replica = self.node.as_ref()?.replica()?;
        let actor = replica.actor();
        let life = number(Dot { actor, sequence: 0 });
        let dot = Dot { actor, sequence: sequence.checked_sub(life)? };
        let Some(Written::Dropped(spans)) = replica.written(dot) else { return None };
        let spans = spans.into_iter().map(|(first, last)| (life + first, life + last)).collect();
        Some(RecordKind::SyncDropped { sequence, spans })
    }

    /// What a replica reads of each item that is ranked.
    pub(super) fn held(&self, replica: &Replica) -> Vec<RecordKind> {
        let held = replica.explanations().take(MAX_ITEMS).map(|(kind, name, item, explanation)| {
            let (actor, sequence) = self.named(explanation.stands.dot);
            let others = explanation.others.len() as u32;
            RecordKind::SyncHeld { item: item_name(kind, name, item), actor, sequence, others }
        });
        held.collect()
    }
}

fn item_name(kind: Kind, name: &[u8], item: &[u8]) -> String {
    let name = name.escape_ascii();
    if kind == Kind::Map { format!("{name}/{}", item.escape_ascii()) } else { name.to_string() }
}

fn cut(value: &[u8]) -> String {
    match value.get(..MAX_VALUE).filter(|_| value.len() > MAX_VALUE) {
        Some(beginning) => format!("{}… ({} bytes)", beginning.escape_ascii(), value.len()),
        None => value.escape_ascii().to_string(),
    }
}

/// A record whose fields hold anything that the schema allows; of the fields that need not be there, about half are.
fn draw(schema: &Schema, seed: u64) -> Contract {
    let mut rng = RandomStreams::new(seed).stream(Stream::Workload, 0);
    let mut record = Contract::new(schema);
    for field in &schema.fields {
        if field.required || rng.chance(0.5) {
            record = record.with(field.number, value(&field.holds, &mut rng));
        }
    }
    record
}

fn value(of: &Type, rng: &mut Rng) -> Value {
    let length = |most: u32, rng: &mut Rng| rng.range(u64::from(most.min(MAX_DRAWN)) + 1) as usize;
    match of {
        Type::Uint(least, most) => Value::Uint(least + rng.range((most - least).min(1 << 40) + 1)),
        Type::Int(least, most) => {
            Value::Int(least + rng.range(most.abs_diff(*least).min(1 << 40) + 1) as i64)
        }
        Type::Float(least) => Value::Float(least.unwrap_or(-50.0) + rng.range(1_000) as f64 / 10.0),
        Type::Bool => Value::Bool(rng.chance(0.5)),
        Type::Text(most) => Value::Text("abcdefgh"[..length(*most, rng)].into()),
        Type::Bytes(most) => Value::Bytes(vec![0x55; length(*most, rng)]),
        Type::Array(most, of) => Value::Array((0..length(*most, rng)).map(|_| value(of, rng)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmosmesh_protocol::contract::standard;

    #[test]
    fn what_is_drawn_is_a_record_of_its_contract() {
        for schema in standard() {
            for seed in 0..50 {
                assert_eq!(draw(&schema, seed).check(&schema), Ok(()), "{} {seed}", schema.version);
            }
        }
    }

    #[test]
    fn long_values_are_cut_and_all_are_escaped() {
        assert_eq!(cut(b"a\"b\n\xff"), "a\\\"b\\n\\xff");
        assert_eq!(cut(&[b'x'; 40]), format!("{}… (40 bytes)", "x".repeat(32)));
    }
}
