//! `cosmosmesh bundle inspect`: what is in a bundle, and everything for which it is refused.

use std::io::{self, Write};

use clap::Args;
use cosmosmesh_protocol::bundle::{self, Bundle, BundleError};
use serde_json::json;

use super::{
    Policy,
    anatomy::{Anatomy, dissect},
    input, outline,
    refusal::Refusal,
};
use crate::cli::{CliError, Outcome};

/// Explains a bundle: its blocks, and everything for which a node would refuse it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh bundle inspect received.cbor
  cosmosmesh bundle inspect 9f88070000820282010282028202018202820201820018281a000f4240850101000040ff --policy lenient
  cosmosmesh bundle create --source ipn:1.1 --destination ipn:2.1 --payload hello | cosmosmesh bundle inspect - --json

The JSON has accepted, refusals (reason, section, message, block, at, found, allowed) and bundle (bytes, primary, blocks); of \
a refused bundle, as much as can be read.

Exit codes: 0 accepted; 1 refused; 2 not usable input: unreadable, neither a file nor hexadecimal, empty.")]
pub(super) struct InspectArgs {
    /// A file (binary or hexadecimal), hexadecimal digits, or - for standard input.
    #[arg(value_name = "FILE|HEX")]
    bundle: String,
    /// How strictly to judge.
    #[arg(long, value_enum, default_value_t = Policy::Strict)]
    policy: Policy,
    /// Print JSON in place of lines.
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// As the exit codes say.
pub(super) fn execute(args: &InspectArgs) -> Result<Outcome, CliError> {
    let bytes = input::read(&args.bundle)?;
    let (anatomy, refusals) = judge(&bytes, args.policy.into());
    let mut out = io::stdout().lock();
    if args.json {
        let shown = (anatomy.primary.is_some() || !anatomy.blocks.is_empty()).then_some(&anatomy);
        let value = json!({ "accepted": refusals.is_empty(), "refusals": refusals, "bundle": shown });
        writeln!(out, "{value:#}")?;
    } else {
        outline::write(&mut out, &anatomy, &refusals)?;
    }
    Ok(if refusals.is_empty() { Outcome::Done } else { Outcome::No })
}

/// The protocol's own decoder has the verdict. Of what it refuses, everything else that is wrong is told too.
fn judge(bytes: &[u8], policy: bundle::Policy) -> (Anatomy, Vec<Refusal>) {
    let (anatomy, findings) = dissect(bytes);
    let mut errors: Vec<BundleError> = Vec::new();
    if let Err(first) = Bundle::decode_with(bytes, policy) {
        let broken_rules = Bundle::decode_with(bytes, bundle::Policy::Lenient)
            .map(|bundle| bundle.objections(policy))
            .unwrap_or_default();
        for error in [first].into_iter().chain(findings).chain(broken_rules) {
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
    }
    let refusals = errors.iter().map(|error| Refusal::new(error, &anatomy)).collect();
    (anatomy, refusals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bundle::{BlockFlags, BlockKind, CreationTimestamp, HopCount, Primary};
    use cosmosmesh_protocol::{id::NodeId, time::DtnTime};
    use proptest::prelude::*;

    fn good() -> Vec<u8> {
        let creation = CreationTimestamp { time: DtnTime(800_000_000_000), sequence: 1 };
        let mut bundle = Bundle::new(
            Primary::new(NodeId(1).endpoint(1), NodeId(2).endpoint(1), creation, 60_000),
            b"hello".to_vec(),
        );
        bundle.set_previous_node(&NodeId(3).endpoint(0));
        bundle.set_hop_count(HopCount { limit: 9, count: 2 });
        bundle.push_block(BlockKind(77), BlockFlags::REPLICATE, vec![0x83, 1, 2, 3]);
        bundle.encode()
    }

    fn reasons(bytes: &[u8]) -> Vec<&'static str> {
        judge(bytes, bundle::Policy::Strict).1.iter().map(|refusal| refusal.reason).collect()
    }

    #[test]
    fn a_good_bundle_is_shown_whole_and_nothing_is_found() {
        let bytes = good();
        let (anatomy, findings) = dissect(&bytes);
        assert_eq!(findings, []);
        let primary = anatomy.primary.expect("a primary block");
        assert_eq!((primary.at, primary.destination.as_deref()), (1, Some("ipn:2.1")));
        let names: Vec<_> = anatomy.blocks.iter().map(|block| block.name).collect();
        assert_eq!(names, ["previous node", "hop count", "unassigned", "payload"]);
        assert_eq!(anatomy.blocks[1].data, serde_json::json!({ "limit": 9, "count": 2 }));
        assert_eq!(anatomy.blocks[3].at + anatomy.blocks[3].bytes + 1, bytes.len());
        assert!(
            anatomy.blocks.iter().all(|block| block.crc.as_ref().is_some_and(|crc| crc.holds == Some(true)))
        );
    }

    #[test]
    fn two_mistakes_are_told_at_once() {
        let mut bytes = good();
        let (anatomy, _) = dissect(&bytes);
        // The last byte of two blocks is the last of their checksums.
        for block in &anatomy.blocks[1..3] {
            bytes[block.at + block.bytes - 1] ^= 1;
        }
        let (_, refusals) = judge(&bytes, bundle::Policy::Strict);
        let told: Vec<_> = refusals.iter().map(|refusal| (refusal.reason, refusal.block)).collect();
        assert_eq!(told, [("crc_mismatch", Some(3)), ("crc_mismatch", Some(4))]);
        assert!(refusals.iter().all(|refusal| refusal.section == "RFC 9171 §4.2.2"));
    }

    #[test]
    fn what_is_no_bundle_has_a_reason() {
        assert_eq!(reasons(b"\x00"), ["not_a_bundle"]);
        assert_eq!(reasons(&[0x9f]), ["truncated"]);
        assert_eq!(reasons(&[0x9f, 0xff])[0], "non_canonical");
        let mut long = good();
        long.push(0);
        assert_eq!(reasons(&long), ["trailing_bytes"]);
    }

    proptest! {
        /// The explanation never finds fault with what a node accepts.
        #[test]
        fn what_the_decoder_accepts_has_no_findings(at in 0..good().len(), flip in 1_u8..) {
            let mut bytes = good();
            bytes[at] ^= flip;
            let (_, findings) = dissect(&bytes);
            if Bundle::decode_with(&bytes, bundle::Policy::Lenient).is_ok() {
                prop_assert_eq!(findings, []);
            } else {
                prop_assert!(!judge(&bytes, bundle::Policy::Strict).1.is_empty());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = judge(&bytes, bundle::Policy::Strict);
            let _ = judge(&[&[0x9f][..], &bytes].concat(), bundle::Policy::Strict);
        }
    }
}
