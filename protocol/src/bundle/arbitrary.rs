//! Bundles for property tests.

use alloc::{format, vec::Vec};
use proptest::{collection::vec, option, prelude::*};

use super::{
    BlockFlags, BlockKind, Bundle, BundleFlags, CrcKind, CreationTimestamp, Fragment, HopCount, Primary,
};
use crate::{
    id::{EndpointId, NodeId},
    time::DtnTime,
};

pub(crate) fn crc() -> impl Strategy<Value = CrcKind> {
    prop_oneof![Just(CrcKind::X25), Just(CrcKind::Castagnoli)]
}

/// An endpoint with a node number of the default allocator, or of another one. Services stay within 32 bits: hardy takes
/// no larger ones.
pub(crate) fn endpoint() -> impl Strategy<Value = EndpointId> + Clone {
    prop_oneof![
        4 => (1..u64::from(u32::MAX), 0..u64::from(u32::MAX)).prop_map(|(node, service)| NodeId(node).endpoint(service)),
        1 => (1_u64.., any::<u32>()).prop_map(|(node, service)| NodeId(node).endpoint(u64::from(service))),
        1 => "[a-z]{1,9}".prop_map(|name| EndpointId::Dtn(format!("//{name}/mail").into())),
    ]
}

pub(crate) fn primary(endpoint: impl Strategy<Value = EndpointId> + Clone) -> impl Strategy<Value = Primary> {
    let creation = (1_u64..1 << 45, any::<u32>()).prop_map(|(time, sequence)| CreationTimestamp {
        time: DtnTime(time),
        sequence: u64::from(sequence),
    });
    (endpoint.clone(), endpoint.clone(), endpoint, creation, 1_u64..1 << 40, crc(), any::<bool>()).prop_map(
        |(source, destination, report_to, creation, lifetime_ms, crc, ack)| Primary {
            flags: if ack { BundleFlags::ACKNOWLEDGEMENT_REQUESTED } else { BundleFlags::default() },
            crc,
            report_to,
            ..Primary::new(source, destination, creation, lifetime_ms)
        },
    )
}

/// A bundle that no rule forbids.
pub(crate) fn bundle(endpoint: impl Strategy<Value = EndpointId> + Clone) -> impl Strategy<Value = Bundle> {
    let hops = (1_u8.., 0_u64..200).prop_map(|(limit, count)| HopCount { limit, count });
    let extra = option::of(vec(any::<u8>(), 0..40));
    let parts = (option::of(endpoint.clone()), option::of(0_u64..1 << 40), option::of(hops), extra);
    let fragment = option::weighted(0.2, (0_u64..9999, 0_u64..9999));
    (primary(endpoint), vec(any::<u8>(), 0..300), parts, fragment).prop_map(
        |(mut primary, payload, (previous, age, hops, extra), fragment)| {
            primary.fragment = fragment
                .map(|(offset, after)| Fragment { offset, total: offset + payload.len() as u64 + after });
            let mut bundle = Bundle::new(primary, payload);
            if let Some(node) = previous {
                bundle.set_previous_node(&node);
            }
            if let Some(data) = extra {
                bundle.push_block(BlockKind(192), BlockFlags::REPLICATE, data);
            }
            if let Some(age_ms) = age {
                bundle.set_age_ms(age_ms);
            }
            if let Some(hops) = hops {
                bundle.set_hop_count(hops);
            }
            bundle
        },
    )
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}
