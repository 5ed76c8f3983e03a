//! Layers that keep sessions, as a peer finds them that does as it likes at whatever time.

use super::{Verdict, bundles::bundles, pieces, run};
use cosmosmesh_protocol::{
    convergence::{
        ltp::{Config as LtpConfig, Engine, Event, Limits, LinkPath},
        tcpcl::{
            Acknowledgements, Config, ContactHeader, Message, Output, Role, SessInit, Session,
            TerminationReason, TransferRefusal, TransferToken, XferFlags, XferSegment,
        },
    },
    time::Instant,
};
use std::time::Duration;

const BOUNDS: Limits = Limits {
    sessions_out: 4,
    sessions_in: 4,
    block: 4096,
    buffer: 8192,
    pieces: 16,
    retransmissions: 2,
    cycles: 4,
    reports: 8,
    control: 16,
    closed: 4,
    idle: Duration::from_secs(60),
};
const LIGHT: Duration = Duration::from_secs(1);

fn later(now: Instant, seconds: u64) -> Instant {
    now.saturating_add(Duration::from_secs(seconds))
}

fn engine(number: u64, peer: u64) -> Engine {
    let config =
        LtpConfig { engine: number, peer: Some(peer), client_service: 1, seed: number, limits: BOUNDS };
    let mut engine = Engine::new(config, Instant::ZERO);
    engine.link_up(Instant::ZERO, LinkPath { mtu: 120, light_time: LIGHT, margin: LIGHT });
    engine
}

/// Segments for an engine that has a block of its own on its way. Of each, the first byte is no part: how many seconds pass before it,
/// and whether the driver takes the block that it may complete.
pub(super) fn ltp(bytes: &[u8]) -> Verdict {
    let (mut engine, mut now, mut verdict) = (engine(2, 1), Instant::ZERO, Ok(()));
    engine.send(vec![7; 500], 1).expect("room");
    while engine.poll_segment(now).is_some() {}
    let (mut heard, mut handed, mut fates) = (0, 0, 0);
    for piece in pieces(bytes) {
        let Some((how, segment)) = piece.split_first() else { continue };
        now = later(now, u64::from(how / 2));
        engine.handle_timeout(now);
        heard += segment.len();
        verdict = verdict.and(engine.handle_segment(now, segment).map_err(|error| error.reason()));
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Block { session, data } => {
                    handed += data.len();
                    let answered =
                        if how % 2 == 0 { engine.accept(now, session) } else { engine.refuse(now, session) };
                    assert!(answered, "a block is answered once");
                }
                Event::Green { data, .. } => handed += data.len(),
                Event::Delivered { .. } | Event::Cancelled { .. } => fates += 1,
                Event::ReceptionCancelled { .. } => {}
            }
        }
        while engine.poll_segment(now).is_some() {}
        let (out, inward) = engine.sessions();
        assert!(out <= BOUNDS.sessions_out && inward <= BOUNDS.sessions_in);
        assert!(engine.held() <= BOUNDS.buffer && engine.waiting() <= BOUNDS.control);
    }
    assert!(handed <= heard && fates <= 1);
    // Left alone, it comes to rest: nothing is tried for ever.
    for _ in 0..1000 {
        let Some(at) = engine.poll_timeout() else { break };
        now = now.max(at);
        engine.handle_timeout(now);
        while engine.poll_segment(now).is_some() {}
        while engine.poll_event().is_some() {}
    }
    assert_eq!((engine.poll_timeout(), engine.sessions(), engine.held()), (None, (0, 0), 0));
    verdict
}

/// What engine 1 sends to engine 2: a bundle in segments.
pub(super) fn ltp_segments() -> Vec<Vec<u8>> {
    let mut peer = engine(1, 2);
    peer.send(bundles().remove(1), 1).expect("room");
    std::iter::from_fn(|| peer.poll_segment(Instant::ZERO)).collect()
}

/// The same in order; and each second segment before the one that it follows, with the first once more.
pub(super) fn ltp_runs() -> Vec<Vec<u8>> {
    let mut segments = ltp_segments();
    segments.iter_mut().for_each(|segment| segment.insert(0, 2));
    let mut swapped = segments.clone();
    swapped.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    swapped.push(segments[0].clone());
    [segments, swapped].iter().map(|all| run(all.iter().map(Vec::as_slice))).collect()
}

/// What a peer and a host do to a session. The first byte sets it up; then each piece is bytes of the peer, behind one that says how many
/// seconds pass before it and what the host does after it.
pub(super) fn tcpcl(bytes: &[u8]) -> Verdict {
    let Some((&setting, rest)) = bytes.split_first() else { return Err("no_stream") };
    let mut config = Config::new("ipn:2.0".to_owned());
    (config.segment_mru, config.transfer_mru, config.max_extension_bytes) = (1024, 4096, 256);
    (config.max_queued, config.max_held, config.max_segment_bytes) = (4, 2, 100);
    config.hold_final_acknowledgement = setting & 1 != 0;
    let lenient = setting & 2 != 0;
    config.acknowledgements = if lenient { Acknowledgements::Lenient } else { Acknowledgements::Strict };
    let role = if setting & 4 == 0 { Role::Passive } else { Role::Active };
    let mut host = Host {
        session: Session::new(role, config, Instant::ZERO),
        now: Instant::ZERO,
        unread: Vec::new(),
        held: Vec::new(),
        tokens: 0,
        fates: 0,
        received: 0,
    };
    for piece in pieces(rest) {
        let Some((how, data)) = piece.split_first() else { continue };
        host.turn(u64::from(how & 0x0f), how >> 4, data);
    }
    assert!(host.received <= rest.len(), "no bundle is longer than what came");
    // Left alone, it ends: no peer holds a session, or a bundle of ours, for ever.
    host.session.connection_lost(host.now);
    host.drain();
    assert!(host.session.is_closed() && host.session.poll_timeout().is_none());
    assert_eq!(host.fates, host.tokens, "each bundle of ours has one fate");
    let benign = ["connection_lost", "repeated_acknowledgement"];
    let fault = host.session.counters().keys().find(|reason| !benign.contains(*reason));
    fault.map_or(Ok(()), |reason| Err(*reason))
}

struct Host {
    session: Session,
    now: Instant,
    /// Bytes that the session did not take yet.
    unread: Vec<u8>,
    /// Bundles that wait for this host's word.
    held: Vec<u64>,
    tokens: u64,
    fates: u64,
    received: usize,
}

impl Host {
    fn turn(&mut self, seconds: u64, act: u8, data: &[u8]) {
        self.now = later(self.now, seconds);
        self.session.handle_timeout(self.now);
        if self.unread.len() < 1 << 16 {
            self.unread.extend_from_slice(data);
        }
        match act {
            // It does not look at what the session says.
            1 => drop(self.session.handle_bytes(self.now, &data[..0])),
            2 if self.session.send(TransferToken(self.tokens), vec![0x9f; 250]).is_ok() => self.tokens += 1,
            3 => {
                for transfer in self.held.drain(..) {
                    self.session.accept(self.now, transfer);
                }
            }
            4 => {
                for transfer in self.held.drain(..) {
                    self.session.refuse(self.now, transfer, TransferRefusal::NO_RESOURCES);
                }
            }
            5 => self.session.terminate(self.now, TerminationReason::UNKNOWN),
            6 => self.session.connection_lost(self.now),
            _ => {}
        }
        loop {
            let taken = self.session.handle_bytes(self.now, &self.unread);
            assert!(taken <= self.unread.len());
            self.unread.drain(..taken);
            if act != 1 {
                self.drain();
            }
            if taken == 0 || act == 1 {
                break;
            }
        }
    }

    fn drain(&mut self) {
        let mut out = Vec::new();
        while self.session.poll_transmit(self.now, &mut out) > 0 {
            out.clear();
        }
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::BundleReceived { transfer, bundle } => {
                    self.received += bundle.len();
                    self.held.push(transfer);
                }
                Output::TransferAcknowledged { .. }
                | Output::TransferRefused { .. }
                | Output::TransferFailed { .. } => self.fates += 1,
                Output::StartTls { .. }
                | Output::Established(_)
                | Output::ReceptionFailed { .. }
                | Output::Ending { .. }
                | Output::Closed(_) => {}
            }
        }
    }
}

/// An honest peer that sends two bundles, in pieces of its messages' size and of seven bytes.
pub(super) fn tcpcl_streams() -> Vec<Vec<u8>> {
    let mut messages = vec![Vec::new(), Vec::new()];
    ContactHeader::new(false).encode(&mut messages[0]);
    let init = SessInit {
        keepalive_s: 30,
        segment_mru: 4096,
        transfer_mru: 4096,
        node_id: b"ipn:1.0".to_vec(),
        extensions: vec![],
    };
    Message::SessInit(init).encode(&mut messages[1]);
    for (transfer, bundle) in (0..).zip(bundles()) {
        let half = bundle.len() / 2;
        for (first, data) in [(true, &bundle[..half]), (false, &bundle[half..])] {
            let flags = XferFlags::new(first, !first);
            let head = XferSegment { flags, transfer, extensions: vec![], data_len: data.len() as u64 };
            let mut message = Vec::new();
            Message::XferSegment(head).encode(&mut message);
            message.extend_from_slice(data);
            messages.push(message);
        }
    }
    let mut end = Vec::new();
    Message::SessTerm { flags: 0, reason: TerminationReason::UNKNOWN }.encode(&mut end);
    messages.extend([vec![4], end]);
    let whole = messages.concat();
    let timed = |setting: u8, pieces: Vec<&[u8]>| {
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| [&[1], *piece].concat()).collect();
        [&[setting][..], &run(pieces.iter().map(Vec::as_slice))].concat()
    };
    let by_message = messages.iter().map(Vec::as_slice).collect();
    vec![timed(0, by_message), timed(2, whole.chunks(7).collect())]
}
