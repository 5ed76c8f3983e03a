use super::*;
use crate::{bundle::arbitrary::unhex, id::NodeId};
use alloc::vec;
use proptest::{collection::vec as many, prelude::*};

fn reason(hex: &str) -> &'static str {
    SecurityBlock::decode(&unhex(hex)).unwrap_err().reason()
}

#[test]
fn malformed_blocks_are_refused_for_a_stated_reason() {
    // Targets 1, context 1, no parameters, source ipn:2.1, one empty set of results.
    let whole = "8101010082028202018180";
    assert!(SecurityBlock::decode(&unhex(whole)).is_ok());
    for (hex, expected) in [
        ("", "truncated"),
        ("8101010082028202", "truncated"),
        ("810101008202820201818000", "trailing_bytes"),
        ("80010082028202018180", "no_security_targets"),
        ("820101010082028202018180", "duplicate_target"),
        ("9841", "too_many_entries"),
        ("8101014082028202018180", "malformed"),
        ("8101010082010081", "null_security_source"),
        ("8101010082038202018180", "malformed_security_block"),
        ("8101010082028202018080", "result_sets"),
        ("810101008202820201828080", "result_sets"),
        // Parameters: one with two items more, one twice, and more than are accepted.
        ("81010101820282020181830100008180", "malformed"),
        ("810101018202820201828201008201008180", "duplicate_identifier"),
        ("81010101820282020191", "too_many_entries"),
        // Values: a longer head than needed, an indefinite length, keys out of order, too deep.
        ("810101018202820201818201180081", "non_canonical"),
        ("8101010182028202018182015f40ff81", "non_canonical"),
        ("810101018202820201818201a2010000008180", "non_canonical"),
        ("81010101820282020181820181818181818181818181008180", "malformed_security_block"),
        ("810101018202820201818201bbffffffffffffffff", "truncated"),
        ("810101018202820201818201", "truncated"),
        ("81013bffffffffffffffff0082028202018180", "malformed_security_block"),
    ] {
        assert_eq!(reason(hex), expected, "{hex}");
    }
}

fn item() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u64>().prop_map(|value| Item::uint(0, value).value),
        many(any::<u8>(), 0..40).prop_map(|value| Item::bytes(0, &value).value),
        any::<i64>().prop_map(|value| {
            let mut out = Vec::new();
            put_int(&mut out, value);
            out
        }),
    ]
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    many(item(), 0..5).prop_map(|values| {
        values.into_iter().enumerate().map(|(id, value)| Item { id: id as u64, value }).collect()
    })
}

prop_compose! {
    fn security_block()(
        targets in proptest::collection::btree_set(any::<u64>(), 1..9),
        context: i64, reserved in any::<u64>(), node in 1_u64.., service: u64,
        parameters in proptest::option::of(items()), results in many(items(), 9),
    ) -> SecurityBlock {
        let targets: Vec<u64> = targets.into_iter().collect();
        let results = results[..targets.len()].to_vec();
        SecurityBlock {
            targets,
            context: ContextId(context),
            reserved_flags: reserved & !1,
            source: SecuritySource::new(NodeId(node).endpoint(service)),
            parameters,
            results,
        }
    }
}

proptest! {
    #[test]
    fn every_security_block_survives_a_round_trip(block in security_block()) {
        prop_assert_eq!(SecurityBlock::decode(&block.encode()), Ok(block));
    }

    #[test]
    fn what_is_accepted_is_the_only_encoding_of_a_security_block(
        block in security_block(), at: prop::sample::Index, flip in 1_u8..,
    ) {
        let mut bytes = block.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = SecurityBlock::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn no_bytes_panic_as_a_security_block(bytes in many(any::<u8>(), 0..200)) {
        let _ = SecurityBlock::decode(&bytes);
    }
}

#[test]
fn a_three_element_source_is_written_as_it_came() {
    // ipn:977000.100.1 with allocator and number apart.
    let bytes = unhex("8101010082028 31a000ee868186401 8180".replace(' ', "").as_str());
    let block = SecurityBlock::decode(&bytes).unwrap();
    assert_eq!(*block.source.endpoint(), "ipn:977000.100.1".parse().unwrap());
    assert_eq!(block.encode(), bytes);
    assert_eq!(block.parameters(), vec![]);
}
