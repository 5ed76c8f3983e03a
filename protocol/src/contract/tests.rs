use super::*;
use crate::{
    id::NodeId,
    sync::{Replica, SyncLimits},
    time::DtnTime,
};
use alloc::{boxed::Box, string::ToString, vec, vec::Vec};
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

#[test]
fn members_agree_on_what_counts_whatever_was_published_meanwhile() {
    let mut members: Vec<Replica> =
        (1..=2).map(|actor| Replica::new(NodeId(actor), SyncLimits::default())).collect();
    // Two publish the next version at once, and one something that breaks it.
    for (member, name) in [(0, "grade"), (1, "colour")] {
        let schema = next(1, 9, name, false, Type::Text(8));
        let registry = Registry::of(&members[member]);
        registry.publish(&schema, |op| members[member].write(op, DtnTime(5)).unwrap()).unwrap();
    }
    let breaks = next(2, 9, "grade", false, Type::Text(8));
    let registry = Registry::of(&members[0]);
    registry.publish(&breaks, |op| members[0].write(op, DtnTime(6)).unwrap()).unwrap();
    let [left, right] = members.as_mut_slice() else { panic!("two") };
    let (from_left, from_right) = (left.snapshot(), right.snapshot());
    left.apply_kept(&crate::sync::Delta::decode(&from_right).unwrap()).unwrap();
    right.apply_kept(&crate::sync::Delta::decode(&from_left).unwrap()).unwrap();
    let registry = Registry::of(left);
    assert_eq!(registry, Registry::of(right));
    // The greater actor's stands; what was made for the other is refused, with the reason.
    assert_eq!(registry.versions("trade", 1).last().unwrap().1.fields[7].name, "colour");
    let reasons: Vec<_> = registry.refused().values().map(Refused::reason).collect();
    assert_eq!(reasons, ["contract_field_name"]);
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
