//! A thin host for convergence layers: one blocking socket, the machine's clock.

use super::peer::{PATIENCE, clock};
use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, CreationTimestamp, Policy, Primary},
    convergence::{
        mtcp,
        tcpcl::{Acknowledgements, Config, Output, Role, Session, TerminationReason, TransferToken},
    },
    id::EndpointId,
    time::{DtnTime, Instant},
};
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds from 1970 to 2000, where DTN time begins.
const DTN_EPOCH_UNIX: Duration = Duration::from_secs(946_684_800);

#[expect(clippy::disallowed_methods, reason = "real peers judge lifetimes by civil time")]
fn civil() -> DtnTime {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    DtnTime((unix - DTN_EPOCH_UNIX).as_millis() as u64)
}

/// A bundle from `source` to `destination`, of an hour, with CRC-32C on its blocks.
pub(crate) fn bundle(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let eid = |text: &str| text.parse::<EndpointId>().expect("an endpoint");
    let creation = CreationTimestamp { time: civil(), sequence: 0 };
    let mut primary = Primary::new(eid(source), eid(destination), creation, 3_600_000);
    primary.flags = BundleFlags::MUST_NOT_FRAGMENT;
    Bundle::new(primary, payload.to_vec()).encode()
}

/// Reads a peer's bundle under `policy`.
pub(crate) fn read(bytes: &[u8], policy: Policy) -> Bundle {
    Bundle::decode_with(bytes, policy).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"))
}

/// A TCPCL session on a blocking socket.
pub(crate) struct TcpclHost {
    stream: TcpStream,
    session: Session,
    started: std::time::Instant,
    pub(crate) outputs: Vec<Output>,
    /// Bytes that the session did not take yet.
    unread: Vec<u8>,
}

impl TcpclHost {
    /// Establishes a session on `stream`.
    pub(crate) fn start(stream: TcpStream, role: Role, node_id: &str, how: Acknowledgements) -> Self {
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let mut config = Config::new(node_id.to_owned());
        config.acknowledgements = how;
        // Small segments, so that peers put several together.
        config.segment_mru = 1000;
        config.max_segment_bytes = 1000;
        let session = Session::new(role, config, Instant::ZERO);
        let mut host = Self { stream, session, started: clock(), outputs: Vec::new(), unread: Vec::new() };
        host.run_until(|output| matches!(output, Output::Established(_)));
        host
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.started.elapsed().as_nanos() as u64)
    }

    /// Moves bytes until an output is as wanted, and gives it.
    pub(crate) fn run_until(&mut self, wanted: impl Fn(&Output) -> bool) -> Output {
        let start = clock();
        loop {
            self.turn();
            while let Some(output) = self.session.poll_output() {
                self.outputs.push(output.clone());
                if wanted(&output) {
                    return output;
                }
            }
            assert!(start.elapsed() < PATIENCE, "the peer took too long: {:?}", self.outputs);
            assert!(!self.session.is_closed(), "the session ended: {:?}", self.outputs);
        }
    }

    /// Writes what is to be written, reads what is there, and keeps time.
    fn turn(&mut self) {
        let mut out = Vec::new();
        while self.session.poll_transmit(self.now(), &mut out) > 0 {}
        if self.stream.write_all(&out).is_err() {
            self.session.connection_lost(self.now());
        }
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.session.connection_lost(self.now()),
            Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.session.connection_lost(self.now()),
        }
        let now = self.now();
        let taken = self.session.handle_bytes(now, &self.unread);
        self.unread.drain(..taken);
        self.session.handle_timeout(now);
    }

    /// Sends a bundle, and waits until the peer acknowledged all of it.
    pub(crate) fn send(&mut self, token: u64, bundle: Vec<u8>) {
        let token = TransferToken(token);
        self.session.send(token, bundle).expect("the session is established");
        self.run_until(|output| *output == Output::TransferAcknowledged { token });
    }

    /// The next bundle of the peer.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let is_bundle = |output: &Output| matches!(output, Output::BundleReceived { .. });
        let earlier = self.outputs.iter().position(is_bundle).map(|at| self.outputs.remove(at));
        match earlier.unwrap_or_else(|| self.run_until(is_bundle)) {
            Output::BundleReceived { bundle, .. } => {
                self.outputs.retain(|output| !is_bundle(output));
                bundle
            }
            other => panic!("{other:?}"),
        }
    }

    /// Ends the session in order, and says that nothing went wrong in it.
    pub(crate) fn finish(mut self) {
        let now = self.now();
        self.session.terminate(now, TerminationReason::UNKNOWN);
        let start = clock();
        while !self.session.is_closed() {
            self.turn();
            assert!(start.elapsed() < PATIENCE, "the peer does not let go");
        }
        while let Some(output) = self.session.poll_output() {
            self.outputs.push(output);
        }
        let faults: Vec<_> =
            self.session.counters().keys().filter(|reason| **reason != "connection_lost").collect();
        assert!(faults.is_empty(), "{:?}: {:?}", self.session.counters(), self.outputs);
    }
}

/// The receiving end of an MTCP connection. It keeps what a read brought beyond the end of a bundle.
pub(crate) struct MtcpReceiver<'a> {
    stream: &'a mut TcpStream,
    parser: mtcp::Parser,
    unread: VecDeque<u8>,
}

impl<'a> MtcpReceiver<'a> {
    pub(crate) fn new(stream: &'a mut TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, parser: mtcp::Parser::new(1 << 20), unread: VecDeque::new() }
    }

    /// The next bundle of the peer.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        loop {
            let mut input = &*self.unread.make_contiguous();
            let before = input.len();
            let bundle = self.parser.take(&mut input).expect("an MTCP stream");
            let taken = before - input.len();
            self.unread.drain(..taken);
            if let Some(bundle) = bundle {
                return bundle;
            }
            // Small, so that bundles come in pieces.
            let mut buffer = [0; 7];
            let count = self.stream.read(&mut buffer).expect("the peer sends");
            assert!(count > 0, "the peer closed the connection");
            self.unread.extend(&buffer[..count]);
        }
    }
}

/// Sends bundles on an MTCP connection.
pub(crate) fn send_mtcp(stream: &mut TcpStream, bundles: &[Vec<u8>]) {
    let mut out = Vec::new();
    for bundle in bundles {
        mtcp::put_frame(&mut out, bundle);
    }
    stream.write_all(&out).expect("the peer reads");
}
