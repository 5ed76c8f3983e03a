//! Compressed payloads at a node.

use crate::bench::{Bench, LEFT, RIGHT, Setup, foreign, submission};
use cosmosmesh_protocol::{
    bundle::{BlockFlags, BlockKind},
    node::{BundleSecurity, BundleSettings, CompressionSettings, DropReason},
};

fn text() -> Vec<u8> {
    b"bundle, contact, custody, ".iter().copied().cycle().take(4000).collect()
}

#[test]
fn a_bundle_is_compressed_where_it_pays_and_restored_at_its_destination() {
    let compression = Some(CompressionSettings::default());
    let settings = BundleSettings { compression, ..BundleSettings::default() };
    let mut sender = Bench::with(Setup { settings, ..Setup::default() });
    sender.send(submission("ipn:3.42", &text())).unwrap();
    sender.send(submission("ipn:3.42", b"short")).unwrap();
    let sent = sender.sent(RIGHT);
    assert!(sent[0].payload().len() < 400 && sent[0].block(BlockKind::COMPRESSION).is_some());
    assert_eq!(sent[1].payload(), b"short");
    let mut receiver = Bench::with(Setup { id: RIGHT, ..Setup::default() });
    receiver.hear(2, &sent[0]).unwrap();
    assert_eq!(receiver.payloads(), [text()]);
}

#[test]
fn what_goes_to_nodes_of_other_kinds_is_not_compressed() {
    let compression = Some(CompressionSettings::default());
    let settings = BundleSettings { compression, ..BundleSettings::default() };
    let mut sender = Bench::with(Setup { settings, ..Setup::default() });
    // Node 4 is no member.
    sender.send(submission("ipn:4.42", &text())).unwrap();
    assert_eq!(sender.sent(RIGHT)[0].payload(), text());
}

#[test]
fn a_signature_covers_the_compressed_payload() {
    let security = Some(BundleSecurity::hop_by_hop());
    let compression = Some(CompressionSettings::default());
    let settings = BundleSettings { compression, ..BundleSettings::default() };
    let mut sender = Bench::with(Setup { settings, security, ..Setup::default() });
    sender.send(submission("ipn:3.42", &text())).unwrap();
    let sent = sender.sent(RIGHT).remove(0);
    assert!(sent.block(BlockKind::COMPRESSION).is_some() && sent.block(BlockKind::BLOCK_INTEGRITY).is_some());
    let mut receiver = Bench::with(Setup { id: RIGHT, security, ..Setup::default() });
    receiver.hear(2, &sent).unwrap();
    assert_eq!(receiver.payloads(), [text()]);
    // Nobody signed this one.
    assert!(receiver.hear(2, &foreign("ipn:1.7", "ipn:3.42", 0, b"x")).is_err());
}

#[test]
fn a_payload_that_grows_past_the_limit_is_refused() {
    let settings = BundleSettings { max_payload: 3999, ..BundleSettings::default() };
    let mut bench = Bench::with(Setup { settings, ..Setup::default() });
    let mut bundle = foreign("ipn:1.7", "ipn:2.42", 0, &text());
    assert!(bundle.compress(10));
    assert!(bench.hear(LEFT, &bundle).is_err());
    let mut lying = foreign("ipn:1.7", "ipn:2.42", 1, bundle.payload());
    lying.push_block(BlockKind::COMPRESSION, BlockFlags::default(), vec![0x82, 1, 0x19, 0x0f, 0x00]);
    assert!(bench.hear(LEFT, &lying).is_err());
    assert_eq!((bench.refused("compression_too_large"), bench.refused("compression_length")), (1, 1));
    assert_eq!(bench.drops(), [DropReason::Unintelligible; 2]);
    assert!(bench.delivered.is_empty());
}
