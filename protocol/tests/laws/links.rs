//! Layers that keep no session: frames, streams of bundles, datagrams.

use super::{Verdict, bundles::bundles, pieces, run, split};
use cosmosmesh_protocol::{
    convergence::{
        mtcp,
        small_frame::{Reassembler, ReassemblyLimits},
        udpcl::{self, Messages, UdpclMessage},
    },
    time::Instant,
};
use std::time::Duration;

/// One frame for a fresh peer.
pub(super) fn small_frame(bytes: &[u8]) -> Verdict {
    let mut reassembler = Reassembler::new(LIMITS);
    reassembler.accept(Instant::ZERO, bytes).map(drop).map_err(|error| error.reason())
}

const LIMITS: ReassemblyLimits =
    ReassemblyLimits { transfers: 8, bytes: 1 << 16, timeout: Duration::from_secs(60) };

/// Frames of one peer, each behind two bytes with its length; the first that is refused is told.
pub(super) fn small_frames(bytes: &[u8]) -> Verdict {
    let mut reassembler = Reassembler::new(LIMITS);
    let (mut now, mut verdict) = (0, Ok(()));
    for frame in pieces(bytes) {
        now += 1_000_000_000;
        let accepted = reassembler.accept(Instant::from_nanos(now), frame);
        assert!(reassembler.bytes() <= LIMITS.bytes && reassembler.transfers() <= LIMITS.transfers);
        verdict = verdict.and(accepted.map(drop).map_err(|error| error.reason()));
    }
    verdict
}

/// The first byte: how long the pieces are in which the stream comes. What it holds does not depend on them.
pub(super) fn mtcp(bytes: &[u8]) -> Verdict {
    let Some((piece, stream)) = bytes.split_first() else { return Err("no_stream") };
    let read = |piece: usize| {
        let (mut parser, mut bundles) = (mtcp::Parser::new(1 << 16), Vec::new());
        for mut chunk in stream.chunks(piece) {
            while !chunk.is_empty() {
                match parser.take(&mut chunk) {
                    Ok(bundle) => bundles.extend(bundle),
                    Err(error) => return (bundles, Err(error.reason())),
                }
            }
        }
        let verdict = if parser.is_between_bundles() { Ok(()) } else { Err("unfinished_bundle") };
        (bundles, verdict)
    };
    let (bundles, verdict) = read(usize::from(*piece).max(1));
    assert_eq!((&bundles, verdict), (&read(stream.len().max(1)).0, read(stream.len().max(1)).1));
    assert!(bundles.iter().map(Vec::len).sum::<usize>() <= stream.len());
    verdict
}

/// One datagram.
pub(super) fn udpcl(bytes: &[u8]) -> Verdict {
    let mut verdict = Ok(());
    for (count, message) in Messages::new(bytes).enumerate() {
        assert!(count <= bytes.len(), "each message takes a byte");
        match message {
            Ok(UdpclMessage::Bundle(bundle)) => assert_eq!(bundle, bytes, "alone in its datagram"),
            Ok(UdpclMessage::Extensions(map)) => {
                assert!(map.transfer.is_none_or(|transfer| transfer.bundle.len() < bytes.len()));
            }
            Ok(_) => {}
            Err(error) => verdict = verdict.and(Err(error.reason())),
        }
    }
    verdict
}

pub(super) fn frames() -> Vec<Vec<u8>> {
    bundles()
        .iter()
        .flat_map(|bundle| [split(bundle, 2000), split(bundle, 60)])
        .map(|mut all| all.remove(0))
        .collect()
}

pub(super) fn frame_runs() -> Vec<Vec<u8>> {
    let frames = |bundle: &Vec<u8>| split(bundle, 60);
    bundles().iter().map(|bundle| run(frames(bundle).iter().map(Vec::as_slice))).collect()
}

pub(super) fn mtcp_streams() -> Vec<Vec<u8>> {
    let mut stream = vec![7];
    for bundle in bundles() {
        mtcp::put_frame(&mut stream, &bundle);
    }
    vec![stream]
}

pub(super) fn datagrams() -> Vec<Vec<u8>> {
    let mut all = bundles();
    // {2: [7, h'9fff']}: a transfer of one segment.
    all.extend([udpcl::sender_listen("ipn:7.0", 5000), vec![0xa1, 2, 0x82, 7, 0x42, 0x9f, 0xff]]);
    all.push(udpcl::KEEPALIVE.to_vec());
    all
}
