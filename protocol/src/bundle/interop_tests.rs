//! Two independent implementations read what we write, and we read what they write.

extern crate std;

use alloc::{string::ToString as _, vec::Vec};
use core::time::Duration;
use hardy_bpv7::{
    block as hardy_block, bpsec::no_keys, builder::Builder, bundle::ParsedBundle, crc::CrcType,
    creation_timestamp::CreationTimestamp as HardyTimestamp, dtn_time::DtnTime as HardyTime,
    hop_info::HopInfo,
};
use proptest::{collection::vec, prelude::*};

use super::{
    BlockKind, Bundle, CrcKind, HopCount,
    arbitrary::{bundle, crc, endpoint, unhex},
};
use crate::id::{EndpointId, NodeId};

/// Endpoints that bp7 knows: it takes no allocators (RFC 9758).
fn plain_endpoint() -> impl Strategy<Value = EndpointId> + Clone {
    (1..u64::from(u32::MAX), 1..u64::from(u32::MAX))
        .prop_map(|(node, service)| NodeId(node).endpoint(service))
}

/// The example in bp7's documentation: dtn endpoints, CRC-16, a delivery report asked for.
#[test]
fn bp7s_documented_bundle_is_read_and_written_alike() {
    let bytes = unhex(
        "9f89071a000200040182016d2f2f6e6f6465322f696e626f7882016e2f2f6e6f6465312f31323334353682016e2f2f6e6f6465312f31\
         32333435368200001a0036ee8042bc98860101000143414243420f56ff",
    );
    let bundle = Bundle::decode_with(&bytes, super::Policy::Lenient).unwrap();
    assert_eq!(bundle.primary().destination.to_string(), "dtn://node2/inbox");
    assert_eq!(bundle.primary().crc, CrcKind::X25);
    assert_eq!(bundle.payload(), b"ABC");
    assert_eq!(bundle.primary().encode(), bundle.primary_wire);
    assert_eq!(bundle.encode(), bytes);
}

proptest! {
    #[test]
    fn hardy_reads_our_bundles(ours in bundle(endpoint())) {
        let bytes = ours.encode();
        let parsed = ParsedBundle::parse(&bytes, no_keys).unwrap();
        prop_assert!(!parsed.non_canonical);
        let theirs = parsed.bundle;
        let primary = ours.primary();
        prop_assert_eq!(theirs.id.timestamp.creation_time().map(HardyTime::millisecs), Some(primary.creation.time.0));
        prop_assert_eq!(theirs.id.timestamp.sequence_number(), primary.creation.sequence);
        prop_assert_eq!(theirs.id.fragment_info.map(|f| (f.offset, f.total_adu_length)), primary.fragment.map(|f| (f.offset, f.total)));
        prop_assert_eq!(theirs.id.source.to_string(), primary.source.to_string());
        prop_assert_eq!(theirs.destination.to_string(), primary.destination.to_string());
        prop_assert_eq!(theirs.lifetime, Duration::from_millis(primary.lifetime_ms));
        prop_assert_eq!(theirs.previous_node.map(|node| node.to_string()), ours.previous_node().map(|node| node.to_string()));
        prop_assert_eq!(theirs.age, ours.age_ms().map(Duration::from_millis));
        let hops = theirs.hop_count.map(|hops| (hops.limit, hops.count));
        prop_assert_eq!(hops, ours.hop_count().map(|hops| (u64::from(hops.limit), hops.count)));
        prop_assert_eq!(theirs.blocks[&1].payload(&bytes), Some(ours.payload()));
        prop_assert_eq!(theirs.blocks.len(), 2 + ours.blocks().len());
    }

    #[test]
    fn we_read_hardys_bundles(
        payload in vec(any::<u8>(), 0..300), time in 1_u64..1 << 45, sequence: u32, limit in 1_u8.., crc in crc(),
        source in endpoint(), destination in endpoint(), age in 0_u64..1 << 40,
    ) {
        let kind = if crc == CrcKind::X25 { CrcType::CRC16_X25 } else { CrcType::CRC32_CASTAGNOLI };
        let stamp = HardyTimestamp::from_parts(Some(HardyTime::new(time)), u64::from(sequence));
        let age_block = minicbor::to_vec(age).unwrap();
        let (_, bytes) = Builder::new(source.to_string().parse().unwrap(), destination.to_string().parse().unwrap())
            .with_crc_type(kind)
            .with_hop_count(&HopInfo { limit: u64::from(limit), count: 3 })
            .add_extension_block(hardy_block::Type::BundleAge).unwrap().build(age_block.into())
            .with_payload(payload.clone().into())
            .build(stamp)
            .unwrap();
        let ours = Bundle::decode(&bytes).unwrap();
        prop_assert_eq!(&ours.primary().source, &source);
        prop_assert_eq!(&ours.primary().destination, &destination);
        prop_assert_eq!(ours.primary().creation.time.0, time);
        prop_assert_eq!(ours.hop_count(), Some(HopCount { limit, count: 3 }));
        prop_assert_eq!(ours.age_ms(), Some(age));
        prop_assert_eq!(ours.payload(), &payload);
        prop_assert_eq!(ours.encode(), bytes.to_vec());
    }

    #[test]
    fn bp7_reads_our_bundles_and_writes_the_same_bytes(ours in bundle(plain_endpoint())) {
        let bytes = ours.encode();
        let mut theirs = bp7::Bundle::try_from(bytes.clone()).unwrap();
        prop_assert!(theirs.crc_valid());
        prop_assert_eq!(theirs.primary.source.to_string(), ours.primary().source.to_string());
        prop_assert_eq!(theirs.primary.creation_timestamp.dtntime(), ours.primary().creation.time.0);
        prop_assert_eq!(theirs.primary.lifetime.as_millis(), u128::from(ours.primary().lifetime_ms));
        prop_assert_eq!(theirs.payload().map(Vec::as_slice), Some(ours.payload()));
        prop_assert_eq!(theirs.previous_node().map(|node| node.to_string()), ours.previous_node().map(|node| node.to_string()));
        let age = theirs.extension_block_by_type(BlockKind::BUNDLE_AGE.0).and_then(|block| block.bundle_age_get());
        prop_assert_eq!(age, ours.age_ms().map(u128::from));
        prop_assert_eq!(theirs.to_cbor(), bytes);
    }

    #[test]
    fn we_read_bp7s_bundles(payload in vec(any::<u8>(), 0..300), time in 1_u64..1 << 45, sequence: u32, limit in 1_u8.., age in 0_u64..1 << 40) {
        let node = |n| bp7::EndpointID::with_ipn(n, 1).unwrap();
        let primary = bp7::primary::PrimaryBlockBuilder::default()
            .source(node(5))
            .destination(node(6))
            .report_to(node(7))
            .creation_timestamp(bp7::CreationTimestamp::with_time_and_seq(time, u64::from(sequence)))
            .lifetime(Duration::from_secs(60))
            .build()
            .unwrap();
        let flags = bp7::flags::BlockControlFlags::empty;
        let mut theirs = bp7::bundle::BundleBuilder::default()
            .primary(primary)
            .canonicals(std::vec![
                bp7::canonical::new_hop_count_block(2, flags(), limit),
                bp7::canonical::new_bundle_age_block(3, flags(), age),
                bp7::canonical::new_previous_node_block(4, flags(), node(9)),
                bp7::canonical::new_payload_block(flags(), payload.clone()),
            ])
            .build()
            .unwrap();
        theirs.set_crc(bp7::crc::CRC_32);
        let bytes = theirs.to_cbor();
        let ours = Bundle::decode(&bytes).unwrap();
        prop_assert_eq!(&ours.primary().source, &NodeId(5).endpoint(1));
        prop_assert_eq!(ours.hop_count(), Some(HopCount { limit, count: 0 }));
        prop_assert_eq!(ours.age_ms(), Some(age));
        prop_assert_eq!(ours.previous_node(), Some(NodeId(9).endpoint(1)));
        prop_assert_eq!(ours.payload(), &payload);
        prop_assert_eq!(ours.encode(), bytes);
    }
}
