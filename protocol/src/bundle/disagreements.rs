//! Where this decoder, bp7 and hardy-bpv7 disagree about a bundle, and who is right. The table is `docs/DISAGREEMENTS.md`, held to it here.

extern crate std;

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use hardy_bpv7::{bpsec::no_keys, bundle::ParsedBundle};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use std::panic::catch_unwind;

use super::{Bundle, BundleError, CrcKind, Policy, arbitrary::bundle};
use crate::{
    cbor::{self, put_bytes, put_head, put_uint},
    id::{EndpointId, NodeId},
};

/// A bundle as raw as a test needs it.
struct Raw {
    flags: u64,
    crc: CrcKind,
    destination: Vec<u8>,
    source: Vec<u8>,
    creation: (u64, u64),
    fragment: Option<(u64, u64)>,
    version: u64,
    /// Encoded blocks, the payload too.
    blocks: Vec<Vec<u8>>,
}

fn ipn(node: u64, service: u64) -> Vec<u8> {
    let mut out = vec![0x82, 2, 0x82];
    put_uint(&mut out, node);
    put_uint(&mut out, service);
    out
}

fn dtn(name: &str) -> Vec<u8> {
    let mut out = vec![0x82, 1];
    cbor::put_text(&mut out, name);
    out
}

/// A block with CRC-32C.
fn block(kind: u64, number: u64, flags: u64, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x86];
    [kind, number, flags, 2].iter().for_each(|value| put_uint(&mut out, *value));
    put_bytes(&mut out, data);
    CrcKind::Castagnoli.put(&mut out, 0);
    out
}

/// A block without a CRC, whose fields are given encoded.
fn bare(fields: &[u8]) -> Vec<u8> {
    [&[0x85], fields].concat()
}

fn payload() -> Vec<u8> {
    block(1, 1, 0, b"hello")
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            flags: 0,
            crc: CrcKind::Castagnoli,
            destination: ipn(2, 1),
            source: ipn(1, 1),
            creation: (800_000_000_000, 1),
            fragment: None,
            version: 7,
            blocks: vec![payload()],
        }
    }
}

impl Raw {
    fn primary(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let items = 8 + 2 * u64::from(self.fragment.is_some()) + u64::from(!self.crc.is_empty());
        put_head(&mut out, cbor::ARRAY, items);
        put_uint(&mut out, self.version);
        put_uint(&mut out, self.flags | u64::from(self.fragment.is_some()));
        put_uint(&mut out, u64::from(self.crc.code()));
        out.extend_from_slice(&self.destination);
        out.extend_from_slice(&self.source);
        out.extend_from_slice(&[0x82, 1, 0, 0x82]);
        put_uint(&mut out, self.creation.0);
        put_uint(&mut out, self.creation.1);
        put_uint(&mut out, 3_600_000);
        if let Some((offset, total)) = self.fragment {
            put_uint(&mut out, offset);
            put_uint(&mut out, total);
        }
        self.crc.put(&mut out, 0);
        out
    }

    fn bytes(&self) -> Vec<u8> {
        [&[0x9f][..], &self.primary(), &self.blocks.concat(), &[0xff]].concat()
    }
}

/// The default with extension blocks before the payload.
fn with(blocks: &[Vec<u8>]) -> Vec<u8> {
    Raw { blocks: [blocks, &[payload()]].concat(), ..Raw::default() }.bytes()
}

fn with_payload(block: Vec<u8>) -> Vec<u8> {
    Raw { blocks: vec![block], ..Raw::default() }.bytes()
}

/// Verdicts: ours strict, ours lenient, bp7, hardy.
type Verdicts = [bool; 4];

fn verdicts(bytes: &[u8]) -> Verdicts {
    let bp7 = catch_unwind(|| {
        bp7::Bundle::try_from(bytes).is_ok_and(|mut bundle| bundle.crc_valid() && bundle.validate().is_ok())
    });
    [
        Bundle::decode(bytes).is_ok(),
        Bundle::decode_with(bytes, Policy::Lenient).is_ok(),
        bp7.unwrap_or(false),
        ParsedBundle::parse(bytes, no_keys).is_ok(),
    ]
}

/// What is asked about, and the bytes that ask it.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let raw = Raw::default;
    let good = raw().bytes();
    let mut definite = good.clone();
    definite[0] = 0x82;
    definite.pop();
    let indefinite_primary = {
        let mut primary = raw().primary();
        primary[0] = 0x9f;
        let end = primary.len() - 5;
        primary.truncate(end);
        // The CRC is over what is there.
        let mut block = primary;
        block.extend_from_slice(&[0x44, 0, 0, 0, 0, 0xff]);
        let crc = super::crc_32c(&[&block]).to_be_bytes();
        let at = block.len() - 5;
        block[at..at + 4].copy_from_slice(&crc);
        [&[0x9f][..], &block, &payload(), &[0xff]].concat()
    };
    let many = |count: u64| (2..2 + count).map(|number| block(192, number, 0, &[0])).collect::<Vec<_>>();
    let mut broken = good.clone();
    let at = broken.len() - 2;
    broken[at] ^= 1;
    vec![
        ("a plain bundle", good.clone()),
        ("an unassigned bundle flag (bit 63)", Raw { flags: 1 << 63, ..raw() }.bytes()),
        ("an unassigned bundle flag (bit 3)", Raw { flags: 8, ..raw() }.bytes()),
        ("an unassigned block flag (bit 3)", with(&[block(192, 2, 8, &[0])])),
        (
            "the payload block is not last",
            Raw { blocks: vec![payload(), block(7, 2, 0, &[0])], ..raw() }.bytes(),
        ),
        ("the payload block's number is 2", with_payload(block(1, 2, 0, b"hello"))),
        ("the payload's data is a text", with_payload(bare(&[1, 1, 0, 0, 0x61, b'a']))),
        (
            "the payload's data is of indefinite length",
            with_payload(bare(&[1, 1, 0, 0, 0x5f, 0x41, 1, 0xff])),
        ),
        ("a block number twice", with(&[block(192, 2, 0, &[0]), block(193, 2, 0, &[0])])),
        ("an extension block with number 1", with(&[block(192, 1, 0, &[0])])),
        ("an extension block with number 0", with(&[block(192, 0, 0, &[0])])),
        ("CRC type 3", with(&[bare(&[0x18, 192, 2, 0, 3, 0x40])])),
        ("a CRC that does not hold", broken),
        (
            "creation time 0 and an age",
            Raw { creation: (0, 1), blocks: vec![block(7, 2, 0, &[5]), payload()], ..raw() }.bytes(),
        ),
        ("creation time 0 without an age", Raw { creation: (0, 1), ..raw() }.bytes()),
        ("destination ipn:0.5", Raw { destination: ipn(0, 5), ..raw() }.bytes()),
        ("destination dtn:none", Raw { destination: vec![0x82, 1, 0], ..raw() }.bytes()),
        ("destination dtn:none, as a text", Raw { destination: dtn("none"), ..raw() }.bytes()),
        ("a dtn name without an authority (dtn:node)", Raw { destination: dtn("node"), ..raw() }.bytes()),
        (
            "a dtn name without a slash after the node (dtn://node)",
            Raw { destination: dtn("//node"), ..raw() }.bytes(),
        ),
        (
            "an ipn name of three elements",
            Raw { destination: vec![0x82, 2, 0x83, 0x18, 99, 2, 1], ..raw() }.bytes(),
        ),
        (
            "an allocator in an ipn name of two elements",
            Raw { destination: ipn(99 << 32 | 2, 1), ..raw() }.bytes(),
        ),
        ("an ipn service of 2^32", Raw { destination: ipn(2, 1 << 32), ..raw() }.bytes()),
        ("endpoint scheme 3", Raw { destination: vec![0x82, 3, 0], ..raw() }.bytes()),
        ("version 6", Raw { version: 6, ..raw() }.bytes()),
        ("no CRC on the primary block, no BIB", Raw { crc: CrcKind::None, ..raw() }.bytes()),
        ("no CRC on the payload block", with_payload(bare(&[1, 1, 0, 0, 0x41, 0]))),
        ("300 extension blocks", with(&many(300))),
        ("a payload that announces 4 GiB", with_payload(bare(&[1, 1, 0, 0, 0x5b, 0, 0, 0, 1, 0, 0, 0, 0]))),
        ("a bundle of definite length", definite),
        ("a primary block of indefinite length", indefinite_primary),
        ("an extension block of indefinite length", with(&[vec![0x9f, 0x18, 192, 2, 0, 0, 0x40, 0xff]])),
        (
            "an endpoint of indefinite length",
            Raw { destination: vec![0x9f, 2, 0x9f, 2, 1, 0xff, 0xff], ..raw() }.bytes(),
        ),
        (
            "a dtn name in two texts",
            Raw { destination: [&[0x82, 1, 0x7f][..], b"\x63//a\x63b/c\xff"].concat(), ..raw() }.bytes(),
        ),
        ("a hop count of indefinite length", with(&[block(10, 2, 0, &[0x9f, 3, 0, 0xff])])),
        ("a number longer than needed", with(&[bare(&[0x18, 192, 0x18, 2, 0, 0, 0x40])])),
        ("a tagged number", with(&[bare(&[0x18, 192, 0xc1, 2, 0, 0, 0x40])])),
        ("bytes after the end", [&good[..], &[0]].concat()),
        ("hop limit 0", with(&[block(10, 2, 0, &[0x82, 0, 0])])),
        ("hop limit 256", with(&[block(10, 2, 0, &[0x82, 0x19, 1, 0, 0])])),
        ("hop count above the limit", with(&[block(10, 2, 0, &[0x82, 3, 9])])),
        ("two hop count blocks", with(&[block(10, 2, 0, &[0x82, 3, 0]), block(10, 3, 0, &[0x82, 3, 0])])),
        ("an age that is a text", with(&[block(7, 2, 0, &[0x61, b'5'])])),
        ("bytes behind the age", with(&[block(7, 2, 0, &[5, 5])])),
        ("an age longer than needed", with(&[block(7, 2, 0, &[0x18, 5])])),
        ("a fragment beyond its whole", Raw { fragment: Some((10, 12)), ..raw() }.bytes()),
        ("a fragment at the end of 2^64", Raw { fragment: Some((u64::MAX, u64::MAX)), ..raw() }.bytes()),
        ("no source, and may be fragmented", Raw { source: vec![0x82, 1, 0], ..raw() }.bytes()),
        ("no source, must not be fragmented", Raw { source: vec![0x82, 1, 0], flags: 4, ..raw() }.bytes()),
        (
            "no source, and reports asked for",
            Raw { source: vec![0x82, 1, 0], flags: 4 | 0x4000, ..raw() }.bytes(),
        ),
        ("an administrative record that asks for reports", Raw { flags: 2 | 0x4000, ..raw() }.bytes()),
        ("a fragment that must not be one", Raw { flags: 4, fragment: Some((0, 9)), ..raw() }.bytes()),
    ]
}

fn word(accepted: bool) -> &'static str {
    if accepted { "yes" } else { "no" }
}

/// The rows as the document has them: what is asked, and the four verdicts.
fn rows() -> Vec<String> {
    let row = |(name, bytes): (&str, Vec<u8>)| {
        let [strict, lenient, bp7, hardy] = verdicts(&bytes).map(word);
        format!("| {name} | {strict} | {lenient} | {bp7} | {hardy} |")
    };
    cases().into_iter().map(row).collect()
}

#[test]
fn the_document_says_what_each_implementation_says() {
    let document = include_str!("../../../docs/DISAGREEMENTS.md");
    let missing: Vec<String> = rows().into_iter().filter(|row| !document.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/DISAGREEMENTS.md has other rows than:\n{}", missing.join("\n"));
}

/// Endpoints that all three know.
fn plain_endpoint() -> impl Strategy<Value = EndpointId> + Clone {
    (1..u64::from(u32::MAX), 1..u64::from(u32::MAX))
        .prop_map(|(node, service)| NodeId(node).endpoint(service))
}

/// The reason why ours refuses, or that it accepts.
fn ours(bytes: &[u8]) -> &'static str {
    Bundle::decode_with(bytes, Policy::Lenient).err().map_or("accepted", |error| BundleError::reason(&error))
}

/// Changed bundles, with the checksums made right again so that more than they is asked.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    (bundle(plain_endpoint()), any::<prop::sample::Index>(), 1_u8.., any::<bool>()).prop_map(
        |(mut bundle, at, flip, bare)| {
            if bare {
                // Without checksums, a change goes deeper.
                bundle.payload.crc = CrcKind::None;
                bundle.blocks.iter_mut().for_each(|block| block.crc = CrcKind::None);
                bundle.primary.crc = CrcKind::None;
                bundle.primary_wire = bundle.primary.encode();
            }
            let mut bytes = bundle.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            bytes
        },
    )
}

/// What one of them accepts of changed bundles and we refuse, and the other way round, is of a kind that the document explains.
#[test]
fn disagreements_about_changed_bundles_are_of_known_kinds() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for _ in 0..20_000 {
        let bytes = changed().new_tree(&mut runner).unwrap().current();
        let [_, lenient, bp7, hardy] = verdicts(&bytes);
        for (name, theirs) in [("bp7", bp7), ("hardy", hardy)] {
            if theirs != lenient {
                *seen.entry((name, ours(&bytes))).or_default() += 1;
            }
        }
    }
    let unknown: Vec<_> = seen.iter().filter(|(kind, _)| !KNOWN.contains(kind)).collect();
    assert!(unknown.is_empty(), "{unknown:?} of {seen:?}");
}

/// Who disagrees with us, and what we say.
const KNOWN: [(&str, &str); 8] = [
    // What lenient leaves to policy, and unassigned flags.
    ("bp7", "accepted"),
    ("hardy", "accepted"),
    ("bp7", "fragment_out_of_range"),
    ("bp7", "malformed"),
    ("bp7", "malformed_block"),
    ("bp7", "non_canonical"),
    ("hardy", "malformed_block"),
    ("hardy", "unknown_scheme"),
];
