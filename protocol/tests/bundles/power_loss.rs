//! The power goes while others' signed bundles wait here: what goes on afterwards is what was checked, and nothing that was taken out.

use crate::bench::{Bench, LEFT, RIGHT, Setup, foreign, keys};
use cosmosmesh_protocol::{
    bpsec::{AadScope, CoseProfile, Integrity, Placement, add_integrity},
    bundle::{BlockFlags, BlockKind, Bundle, PAYLOAD_NUMBER},
    id::NodeId,
    node::{BundleSecurity, Input, Kept},
};

/// An extension block that nobody here knows.
const EXTRA: BlockKind = BlockKind(200);

fn relay(slow_disk: bool) -> Bench {
    let security = Some(BundleSecurity::hop_by_hop());
    Bench::with(Setup { security, linked: false, slow_disk, ..Setup::default() })
}

/// A bundle from node 1 to `destination` with an extra block, whose targets node 1 signed: those of each list in one block.
fn signed(destination: &str, groups: &[&[u64]]) -> Bundle {
    let mut bundle = foreign("ipn:1.7", destination, 0, b"signed");
    bundle.push_block(EXTRA, BlockFlags::default(), b"extra".to_vec());
    let (pair, scope) = (keys(LEFT), AadScope::default());
    let kid = pair.public().as_bytes()[..8].to_vec();
    for targets in groups {
        let service = Integrity::Sign1 { keys: &pair, profile: CoseProfile::new(&scope, &kid) };
        add_integrity(&mut bundle, targets, &NodeId(LEFT).endpoint(0), &service, Placement::plain()).unwrap();
    }
    bundle
}

/// The same with an extra block that was changed on the way.
fn tampered(groups: &[&[u64]]) -> Bundle {
    let honest = signed("ipn:3.42", groups);
    let mut bundle = foreign("ipn:1.7", "ipn:3.42", 0, b"signed");
    bundle.push_block(EXTRA, BlockFlags::default(), b"forged".to_vec());
    for block in honest.blocks().iter().filter(|block| block.kind == BlockKind::BLOCK_INTEGRITY) {
        assert_eq!(bundle.push_block(block.kind, block.flags, block.data.clone()), block.number);
    }
    bundle
}

/// What the relay sends on to the right.
fn onward(bench: &mut Bench) -> Vec<Bundle> {
    bench.link_up(RIGHT);
    bench.sent(RIGHT)
}

/// Whether the next node finds all in order and delivers it.
fn arrives(bundle: &Bundle) -> bool {
    let security = Some(BundleSecurity::hop_by_hop());
    let mut right = Bench::with(Setup { id: RIGHT, security, ..Setup::default() });
    right.hear(2, bundle).is_ok() && right.payloads() == [b"signed"]
}

/// The payload's signature and the extra block's, in a block each and in one.
const GROUPS: [&[&[u64]]; 2] = [&[&[PAYLOAD_NUMBER], &[2]], &[&[PAYLOAD_NUMBER, 2]]];

#[test]
fn what_failed_its_check_stays_away_after_a_power_loss_and_what_held_still_holds() {
    for groups in GROUPS {
        let sent = [false, true].map(|crashes| {
            let mut bench = relay(false);
            bench.hear(LEFT, &tampered(groups)).unwrap();
            if crashes {
                bench.crash();
            }
            let mut sent = onward(&mut bench);
            assert_eq!(sent.len(), 1, "{groups:?}");
            sent.remove(0)
        });
        assert_eq!(sent[0], sent[1], "as without the power loss");
        assert!(sent[1].block(EXTRA).is_none() && sent[1].block(BlockKind::BLOCK_INTEGRITY).is_some());
        assert!(arrives(&sent[1]), "{groups:?}");
    }
}

#[test]
fn a_signed_bundle_that_held_comes_back_as_it_came() {
    for groups in GROUPS {
        let mut bench = relay(false);
        let bundle = signed("ipn:3.42", groups);
        bench.hear(LEFT, &bundle).unwrap();
        bench.crash();
        // A second loss, before anything was sent, makes no difference.
        bench.crash();
        let sent = onward(&mut bench);
        assert_eq!((sent.len(), sent[0].block(EXTRA)), (1, bundle.block(EXTRA)));
        assert!(arrives(&sent[0]), "{groups:?}");
        // It has left: its record too.
        bench.input(Input::Timeout).unwrap();
        assert!(bench.kept.keys().all(|key| key[0] != Kept::Bundle as u8));
    }
}

#[test]
fn what_the_disk_never_got_is_gone_and_what_it_got_unasked_is_there() {
    let mut bench = relay(true);
    bench.hear(LEFT, &tampered(GROUPS[0])).unwrap();
    // Written, and the power goes before the disk answers: the record is that of the checked bundle.
    let kept: Vec<Vec<u8>> = bench.kept.values().cloned().collect();
    assert!(kept.iter().all(|value| !value.windows(6).any(|part| part == b"forged")));
    bench.crash();
    assert_eq!(onward(&mut bench).len(), 1);
    // Torn off before the write: the neighbour keeps it, as nothing was acknowledged.
    let mut bench = relay(true);
    bench.hear(LEFT, &tampered(GROUPS[0])).unwrap();
    bench.kept.clear();
    bench.crash();
    assert!(onward(&mut bench).is_empty());
}
