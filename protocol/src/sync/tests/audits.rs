//! Audits: what differs is found and mended, whatever the versions say.

use super::*;

const BYTES: usize = 1 << 20;

/// Runs an audit of `audited` by `auditor` to its end; the bytes that went each way.
fn audit(auditor: &mut Replica, audited: &mut Replica, nonce: u64) -> (usize, usize) {
    auditor.sign(keys(auditor.actor.node));
    audited.sign(keys(audited.actor.node));
    let (there, back) = (&mut 0, &mut 0);
    let (own, first) = auditor.audit(audited.actor().node, nonce, 16);
    let mut message = first;
    let mut before = None;
    loop {
        *there += message.encode().len();
        assert_eq!(SyncMessage::decode(&message.encode()).as_ref(), Ok(&message));
        let SyncMessage::Audit { nonce, cells, first, symbols } = message else { panic!("symbols") };
        let taken =
            Audited::take(before.take(), audited, auditor.actor().node, (nonce, cells, first), symbols)
                .unwrap();
        match taken.finding(audited, BYTES) {
            Finding::Equal => return (*there, *back),
            Finding::Undecided(more) => {
                *back += more.encode().len();
                let SyncMessage::More { first, count, .. } = more else { panic!("more") };
                message = own.more(auditor, first, count).unwrap();
                before = Some(taken);
            }
            Finding::Differ { repair, rest } => {
                assert_eq!(SyncMessage::decode(&repair.encode()).as_ref(), Ok(&repair));
                *back += repair.encode().len();
                let SyncMessage::Repair { delta, wanted, .. } = repair else { panic!("a repair") };
                let (lacking, large) = own.wanted(auditor, &wanted, BYTES);
                assert!(rest.is_empty() && large.is_empty());
                *there += lacking.encode().len();
                apply(auditor, audited.actor().node.0, &delta);
                apply(audited, auditor.actor().node.0, &lacking);
                return (*there, *back);
            }
            Finding::TooMuch => panic!("too much"),
        }
    }
}

fn filled(actor: u64, keys: u64) -> Replica {
    let mut replica = replica(actor);
    for key in 0..keys {
        put(&mut replica, &key.to_be_bytes(), b"value", 1);
    }
    replica
}

#[test]
fn equal_replicas_are_found_equal_for_two_hundred_bytes() {
    let mut left = filled(1, 500);
    let mut right = replica(2);
    sync(&mut left, &mut right);
    let (there, back) = audit(&mut left, &mut right, 1);
    assert!(there <= 200 && back == 0, "{there}, {back}");
}

#[test]
fn what_each_side_lacks_is_found_and_mended() {
    let mut left = filled(1, 500);
    let mut right = replica(2);
    sync(&mut left, &mut right);
    for key in 0..40_u64 {
        put(&mut left, &key.to_be_bytes(), b"left", 2);
        put(&mut right, &(1_000 + key).to_be_bytes(), b"right", 2);
    }
    audit(&mut left, &mut right, 2);
    assert_eq!(left.version(), right.version());
    assert_eq!(left.digest(), right.digest());
}

#[test]
fn damage_that_versions_do_not_show_is_mended() {
    let mut left = filled(1, 300);
    let mut right = replica(2);
    sync(&mut left, &mut right);
    right.retire(Dot { actor: NodeId(1).into(), sequence: 17 });
    right.retire(Dot { actor: NodeId(1).into(), sequence: 200 });
    assert_eq!(left.version(), right.version());
    assert_ne!(left.digest(), right.digest());
    audit(&mut right, &mut left, 3);
    assert_eq!(left.digest(), right.digest());
    // The other way round, too.
    right.retire(Dot { actor: NodeId(1).into(), sequence: 5 });
    audit(&mut left, &mut right, 4);
    assert_eq!(left.digest(), right.digest());
}

#[test]
fn a_hundred_of_ten_thousand_are_found_with_two_kilobytes_one_way() {
    let mut writer = replica(1);
    for key in 0..10_000_u64 {
        put(&mut writer, &key.to_be_bytes(), b"v", 1);
    }
    let mut other = replica(2);
    sync(&mut writer, &mut other);
    (0..100).for_each(|sequence| other.retire(Dot { actor: NodeId(1).into(), sequence: 1 + 97 * sequence }));
    other.sign(keys(NodeId(2)));
    let (own, _) = other.audit(NodeId(1), 7, 16);
    let mut fewest = 0;
    for count in (100..200).step_by(5) {
        let Some(message) = own.more(&other, 0, count) else { panic!("too many") };
        let bytes = message.encode().len();
        let SyncMessage::Audit { nonce, cells, first, symbols } = message else { panic!("symbols") };
        let taken = Audited::take(None, &writer, NodeId(2), (nonce, cells, first), symbols).unwrap();
        if matches!(taken.finding(&writer, BYTES), Finding::Differ { .. }) {
            fewest = bytes;
            break;
        }
    }
    assert!((1..=2_000).contains(&fewest), "{fewest} bytes");
}

#[test]
fn a_difference_beyond_the_limit_is_left_to_the_whole_state() {
    let limits = SyncLimits { symbols: 64, ..SyncLimits::default() };
    let (mut left, right) = (filled(1, 500), Replica::new(NodeId(2), limits));
    left.sign(keys(NodeId(1)));
    let (own, message) = left.audit(NodeId(2), 5, 64);
    let SyncMessage::Audit { nonce, cells, first, symbols } = message else { panic!("symbols") };
    let taken = Audited::take(None, &right, NodeId(1), (nonce, cells, first), symbols.clone()).unwrap();
    assert_eq!(taken.finding(&right, BYTES), Finding::TooMuch);
    let over = Audited::take(Some(taken), &right, NodeId(1), (nonce, cells, 64), symbols.clone());
    assert!(matches!(over, Err(SyncError::TooMany { what: "symbols", found: 128, max: 64 })));
    let without_first = Audited::take(None, &right, NodeId(1), (nonce, cells, 64), symbols);
    assert!(matches!(without_first, Err(SyncError::TooMany { .. })));
    assert_eq!(own.more(&left, u64::MAX, 2), None);
    assert_eq!(own.more(&left, 0, 1 << 40), None);
}
