use super::*;
use crate::{
    id::NodeId,
    sync::{Delta, Op, Replica, Role, Roles, SyncLimits},
    time::DtnTime,
};
use alloc::{boxed::Box, collections::BTreeMap, string::ToString, sync::Arc, vec, vec::Vec};
use proptest::prelude::*;

fn trade() -> Schema {
    standard().into_iter().find(|schema| schema.version.name == "trade").unwrap()
}

/// The next version of trades, with one more field.
fn next(minor: u16, number: u32, name: &str, required: bool, holds: Type) -> Schema {
    let mut schema = trade();
    schema.version.minor = minor;
    schema.fields.push(Field { number, name: name.to_string(), required, holds });
    schema
}

fn offer(schema: &Schema) -> Record {
    Record::new(schema)
        .with(1, Value::Uint(0))
        .with(2, Value::Uint(1))
        .with(3, Value::Uint(800_000_000_000))
        .with(4, Value::Uint(800_000_060_000))
        .with(5, Value::Float(3.6e6))
        .with(6, Value::Float(-0.25))
}

#[test]
fn the_standard_contracts_are_these_texts() {
    let texts: Vec<_> = standard().iter().map(Schema::text).collect();
    assert_eq!(texts.concat(), include_str!("standard.cddl"));
    assert_eq!(
        trade().text(),
        "; trade 1.0\ntrade = {\n  1: 0..2, ; commodity\n  2: 0..1, ; side\n  3: uint, ; start\n  4: uint, ; end\n  \
         5: float64 .ge 0.0, ; amount\n  6: float64, ; price\n  ? 7: uint, ; partner\n  * uint => any\n}\n"
    );
    for schema in standard() {
        assert_eq!(Schema::parse(&schema.text()), Ok(schema));
    }
}

#[test]
fn the_plan_contract_states_the_least_curvature() {
    let plan = standard().pop().unwrap();
    let series = |curvature| {
        Record::new(&plan)
            .with(1, Value::Uint(1))
            .with(2, Value::Uint(1))
            .with(5, Value::Array(vec![Value::Float(curvature); 24]))
    };
    assert_eq!(series(MIN_CURVATURE).check(&plan), Ok(()));
    assert_eq!(series(0.01).check(&plan), Err(RecordError::Holds { number: 5 }));
    assert!(plan.text().contains("5: [0*1024 float64 .ge 0.3], ; curvature"));
}

#[test]
fn a_text_that_is_not_canonical_is_refused() {
    let good = trade().text();
    for (from, to, error) in [
        ("0..1", "0 .. 1", SchemaError::Line { line: 4 }),
        ("  1: 0..2", "  1: 00..2", SchemaError::NotCanonical),
        ("1: 0..2", "9: 0..2", SchemaError::NotCanonical),
        ("; trade 1.0", "; trade 1", SchemaError::Line { line: 1 }),
        ("trade = {", "other = {", SchemaError::Line { line: 2 }),
        ("  * uint => any\n", "", SchemaError::Line { line: 10 }),
        ("uint, ; start", "uint .size 4, ; start", SchemaError::Line { line: 5 }),
        ("; side", "; Side", SchemaError::Line { line: 4 }),
    ] {
        assert_eq!(Schema::parse(&good.replacen(from, to, 1)), Err(error), "{from}");
    }
    assert_eq!(Schema::parse(""), Err(SchemaError::Line { line: 1 }));
}

#[test]
fn every_change_that_breaks_a_reader_is_refused_with_its_reason() {
    let registry = Registry::standard();
    let changed = |change: &dyn Fn(&mut Schema)| {
        let mut schema = trade();
        schema.version.minor = 1;
        change(&mut schema);
        registry.check(&schema).map_err(|error| error.reason())
    };
    assert_eq!(changed(&|_| {}), Ok(()));
    assert_eq!(changed(&|schema| drop(schema.fields.pop())), Ok(()));
    assert_eq!(changed(&|schema| drop(schema.fields.remove(0))), Err("contract_field_required"));
    assert_eq!(changed(&|schema| schema.fields[6].required = true), Err("contract_field_required"));
    assert_eq!(changed(&|schema| schema.fields[0].holds = Type::Uint(0, 3)), Err("contract_field_type"));
    assert_eq!(changed(&|schema| schema.fields[5].name = "cost".into()), Err("contract_field_name"));
    assert_eq!(changed(&|schema| schema.version.minor = 0), Ok(()));
    assert_eq!(
        changed(&|schema| {
            schema.version.minor = 0;
            schema.fields.pop();
        }),
        Err("contract_version_taken")
    );
    let optional = next(1, 9, "grade", false, Type::Uint(0, 9));
    assert_eq!(registry.check(&optional), Ok(()));
    let required = registry.check(&next(1, 9, "grade", true, Type::Uint(0, 9)));
    assert_eq!(required, Err(Incompatible::Required { number: 9, minor: 0 }));
}

#[test]
fn a_number_is_never_given_to_another_field_though_it_was_left_out_between() {
    let mut replica = Replica::new(NodeId(1), SyncLimits::default());
    let mut publish = |schema: &Schema| {
        let registry = Registry::of(&replica);
        registry.publish(schema, |op| replica.write(op, DtnTime(1)).unwrap()).map(drop)
    };
    publish(&next(1, 9, "grade", false, Type::Uint(0, 9))).unwrap();
    let mut without = trade();
    without.version.minor = 2;
    publish(&without).unwrap();
    let again = publish(&next(3, 9, "colour", false, Type::Uint(0, 9)));
    assert_eq!(again.unwrap_err().reason(), "contract_field_name");
}

fn fleet(count: u64) -> Vec<Replica> {
    let roles = Arc::new(Roles::new(BTreeMap::from([(NodeId(3), Role(2))]), Role(1)));
    (1..=count)
        .map(|actor| Replica::new(NodeId(actor), SyncLimits::default()).with_roles(roles.clone()))
        .collect()
}

fn publish(member: &mut Replica, schema: &Schema, time: u64) {
    Registry::of(member).publish(schema, |op| member.write(op, DtnTime(time)).unwrap()).unwrap();
}

/// Everybody gets everything.
fn exchange(members: &mut [Replica]) {
    let all: Vec<_> = members.iter().map(|member| Delta::decode(&member.snapshot()).unwrap()).collect();
    for member in members {
        all.iter().for_each(|delta| member.apply_kept(delta).unwrap());
    }
}

#[test]
fn members_agree_on_what_counts_whatever_was_published_meanwhile() {
    let mut members = fleet(2);
    // Two publish the next version at once, and one something that breaks it.
    for (member, name) in [(0, "grade"), (1, "colour")] {
        publish(&mut members[member], &next(1, 9, name, false, Type::Text(8)), 5);
    }
    publish(&mut members[0], &next(2, 9, "grade", false, Type::Text(8)), 6);
    exchange(&mut members);
    let registry = Registry::of(&members[0]);
    assert_eq!(registry, Registry::of(&members[1]));
    // The greater version counts, and what goes with it.
    let named: Vec<_> =
        registry.versions("trade", 1).skip(1).map(|(_, it)| it.fields[7].name.clone()).collect();
    assert_eq!(named, ["grade", "grade"]);
    let reasons: Vec<_> = registry.refused().values().map(Refused::reason).collect();
    assert_eq!(reasons, ["contract_field_name"]);
}

#[test]
fn what_is_published_later_under_a_lower_number_evicts_nothing() {
    let mut members = fleet(2);
    publish(&mut members[0], &next(2, 9, "grade", false, Type::Text(8)), 5);
    // The other one has not heard of it.
    publish(&mut members[1], &next(1, 9, "colour", false, Type::Uint(0, 9)), 6);
    exchange(&mut members);
    let registry = Registry::of(&members[1]);
    assert_eq!(registry.newest("trade").unwrap().version.minor, 2);
    assert_eq!(registry.versions("trade", 1).count(), 2);
    assert_eq!(registry.refused().len(), 1);
    // Records by the one that counts are read; those by the other are refused, not read as something else.
    let by = |schema: &Schema, value| registry.read(&offer(schema).with(9, value).encode());
    assert!(by(&next(2, 9, "grade", false, Type::Text(8)), Value::Text("fine".into())).is_ok());
    let other = by(&next(1, 9, "colour", false, Type::Uint(0, 9)), Value::Uint(1));
    assert_eq!(other, Err(RecordError::Version { reason: "contract_field_name" }));
}

#[test]
fn what_a_greater_role_published_counts_whatever_its_number() {
    let mut members = fleet(3);
    publish(&mut members[0], &next(9, 9, "grade", false, Type::Text(8)), 6);
    publish(&mut members[2], &next(1, 9, "colour", false, Type::Text(8)), 5);
    exchange(&mut members);
    for member in &members {
        assert_eq!(Registry::of(member).newest("trade").unwrap().fields[7].name, "colour");
    }
}

#[test]
fn a_write_that_breaks_a_contract_is_not_admitted() {
    let mut member = fleet(1).remove(0);
    publish(&mut member, &next(1, 9, "grade", false, Type::Text(8)), 5);
    let registry = Registry::of(&member);
    let admit = |op: Op<'_>| registry.admit(&op).map_err(|breach| breach.reason());
    let put = |name: &'static [u8], value: &[u8]| admit(Op::MapPut { name, key: b"k", value });
    assert_eq!(put(b"status", b"anything"), Ok(()));
    assert_eq!(put(b"trade", b"anything"), Err("record_malformed"));
    assert_eq!(put(b"trade", &offer(&trade()).encode()), Ok(()));
    assert_eq!(put(b"forecast", &offer(&trade()).encode()), Err("record_other_contract"));
    let mut barter = offer(&trade());
    barter.major = 2;
    assert_eq!(put(b"trade", &barter.encode()), Err("record_unknown_version"));
    // What a newer minor version added is carried through by one who does not know it.
    let unknown = next(7, 11, "phase", false, Type::Bool);
    let changed = offer(&unknown).with(11, Value::Bool(true));
    assert_eq!(put(b"trade", &changed.encode()), Ok(()));
    let breaks = next(2, 9, "colour", false, Type::Text(8));
    let (text, named) = (breaks.text(), publish_key(&breaks));
    let publish = |key: &[u8]| admit(Op::MapPut { name: OBJECT, key, value: text.as_bytes() });
    assert_eq!(publish(&named), Err("contract_field_name"));
    assert_eq!(publish(b"trade/00001.00002"), Err("contract_misplaced"));
    assert_eq!(admit(Op::MapRemove { name: OBJECT, key: &named }), Err("contract_withdrawn"));
}

#[test]
fn a_flood_of_versions_has_an_end() {
    let mut member = fleet(1).remove(0);
    let mut refused = None;
    for minor in 1..200 {
        let schema = next(minor, 9, "grade", false, Type::Text(8));
        match Registry::of(&member).publish(&schema, |op| member.write(op, DtnTime(1)).unwrap()) {
            Ok(_) => assert!(refused.is_none()),
            Err(error) => refused = Some((minor, error.reason())),
        }
    }
    assert_eq!(refused, Some((199, "contract_too_many_versions")));
    assert_eq!(Registry::of(&member).versions("trade", 1).count(), 128);
}

/// The key under which a schema is published.
fn publish_key(schema: &Schema) -> Vec<u8> {
    let key = |op: Op<'_>| if let Op::MapPut { key, .. } = op { key.to_vec() } else { Vec::new() };
    Registry::default().publish(schema, key).unwrap()
}

#[test]
fn an_older_reader_carries_what_it_does_not_know_through() {
    let newer = next(1, 9, "grade", false, Type::Array(4, Box::new(Type::Bool)));
    let record = offer(&newer).with(9, Value::Array(vec![Value::Bool(true), Value::Bool(false)]));
    assert_eq!(record.check(&newer), Ok(()));
    let bytes = record.encode();
    let old = Registry::standard();
    let read = old.read(&bytes).unwrap();
    assert_eq!(read.fields[&9], Value::Unknown(vec![0x82, 0xf5, 0xf4]));
    let mut changed = read.clone();
    assert_eq!(read.encode(), bytes);
    // It changes what it knows, and the newer reader still finds the rest.
    changed.fields.insert(6, Value::Float(0.5));
    let again = Record::decode(&changed.encode(), |_, _, _| Some(&newer)).unwrap();
    assert_eq!(again.fields[&9], record.fields[&9]);
    assert_eq!(again.fields[&6], Value::Float(0.5));
}

#[test]
fn records_that_break_the_contract_are_refused() {
    let (registry, schema) = (Registry::standard(), trade());
    let read = |record: &Record| registry.read(&record.encode()).map_err(|error| error.reason()).map(drop);
    assert_eq!(read(&offer(&schema)), Ok(()));
    assert_eq!(read(&offer(&schema).with(1, Value::Uint(3))), Err("record_field_type"));
    assert_eq!(read(&offer(&schema).with(1, Value::Text("energy".into()))), Err("record_field_type"));
    assert_eq!(read(&offer(&schema).with(5, Value::Float(-1.0))), Err("record_field_type"));
    assert_eq!(read(&offer(&schema).with(5, Value::Float(f64::NAN))), Err("record_field_type"));
    let mut without = offer(&schema);
    without.fields.remove(&2);
    assert_eq!(read(&without), Err("record_field_missing"));
    let mut other = offer(&schema);
    other.name = "barter".into();
    assert_eq!(read(&other), Err("record_unknown_contract"));
    // Items without end, in a field that nobody knows.
    let deep = [vec![0x81; 1 << 16], vec![0]].concat();
    assert_eq!(read(&offer(&schema).with(99, Value::Unknown(deep))), Err("record_malformed"));
}

proptest! {
    #[test]
    fn what_is_read_is_the_only_encoding(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..3usize) {
        let registry = Registry::standard();
        let mut bytes = offer(&trade()).with(40, Value::Unknown(vec![0xa1, 0x01, 0x61, 0x78])).encode();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(bytes.len() - cut);
        if let Ok(record) = registry.read(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "[a-z;=* {}0-9.,:\n]{0,200}") {
        let _ = Registry::standard().read(&bytes);
        let _ = Schema::parse(&text);
    }
}
