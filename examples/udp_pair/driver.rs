//! A plain driver of the node: one UDP socket for a link, the machine's clock, a map for a disk. The contract that it
//! keeps is docs/adr/0001-node-contract.md; tests/conformance.rs holds it to it.

use cosmosmesh_protocol::{
    dtn::contact_plan::ContactPlan,
    identity::KeyPair,
    node::{
        Batch, Change, Convergence, Delivery, Input, InputError, LinkId, LinkUp, Node, NodeConfig, Output,
        Report,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{collections::BTreeMap, io, net::UdpSocket, time::Duration};

/// Seconds from 1970 to 2000, where DTN time begins.
const DTN_EPOCH_UNIX: Duration = Duration::from_secs(946_684_800);

/// What the way does to a frame: changes it, or loses it (`false`).
pub(crate) type Air = Box<dyn FnMut(&mut Vec<u8>) -> bool + Send>;

/// A host with one neighbour.
pub(crate) struct UdpHost {
    /// Bound, and connected to the neighbour.
    pub(crate) socket: UdpSocket,
    pub(crate) air: Air,
    /// What survives a crash.
    pub(crate) disk: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) reports: Vec<Report>,
    /// Nothing becomes durable for the moment.
    pub(crate) disk_stalls: bool,
    node: Option<Node>,
    /// Persist requests that are not done.
    unwritten: Vec<Batch>,
    config: NodeConfig,
    keys: KeyPair,
    plan: ContactPlan,
    neighbour: LinkUp,
    incarnation: u32,
    started: std::time::Instant,
}

impl UdpHost {
    /// Starts the first incarnation. The plan is on the host's clock, which begins now.
    pub(crate) fn start(
        config: NodeConfig,
        keys: KeyPair,
        socket: UdpSocket,
        plan: ContactPlan,
        neighbour: LinkUp,
    ) -> Self {
        let (disk, deliveries, reports, unwritten) = <_>::default();
        let (node, incarnation, disk_stalls) = (None, 0, false);
        let (air, started): (Air, _) = (Box::new(|_| true), clock());
        let mut host = Self {
            socket,
            air,
            disk,
            deliveries,
            reports,
            disk_stalls,
            node,
            unwritten,
            config,
            keys,
            plan,
            neighbour,
            incarnation,
            started,
        };
        host.boot();
        host
    }

    /// Begins the next incarnation with what the disk holds, and tells it time, plan and link.
    pub(crate) fn boot(&mut self) {
        self.incarnation += 1;
        let now = self.now();
        let (config, keys) = (self.config.clone(), self.keys.clone());
        // A real host asks its operating system for 32 random bytes. Never the same twice: nonces would repeat.
        let own = self.config.id.0 as u8;
        let seed = std::array::from_fn(|place| own ^ (self.incarnation as u8).rotate_left(place as u32));
        let civil = civil(now);
        self.node = Some(if self.incarnation == 1 {
            Node::new(config, keys, seed, now)
        } else {
            let kept = self.disk.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
            let node = Node::restore(config, keys, seed, now, self.incarnation, Some(civil), kept);
            node.expect("a node reads its own records")
        });
        for input in
            [Input::Civil(civil), Input::ContactPlan(self.plan.clone()), Input::LinkUp(self.neighbour)]
        {
            self.input(input).expect("a driver's own inputs");
        }
    }

    /// The process dies: all that is not on the disk is gone.
    pub(crate) fn crash(&mut self) {
        self.node = None;
        self.unwritten.clear();
    }

    /// The node, unless it has crashed.
    pub(crate) const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Monotonic time since the host started.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.started.elapsed())
    }

    /// Serves the link and the node's timer for `span`, asleep when neither has anything to do.
    pub(crate) fn serve(&mut self, span: Duration) -> io::Result<()> {
        let end = self.now().saturating_add(span);
        let mut buffer = [0; 65_536];
        loop {
            let now = self.now();
            if now >= end {
                return Ok(());
            }
            let due = self.node().and_then(Node::poll_timeout).unwrap_or(end).min(end);
            if due <= now {
                self.input(Input::Timeout).expect("a timeout is never misuse");
                continue;
            }
            // Zero would mean to wait for ever.
            self.socket.set_read_timeout(Some(due.saturating_since(now).max(Duration::from_micros(1))))?;
            match self.socket.recv(&mut buffer) {
                // A refused frame has moved a counter, which is all that it deserves.
                Ok(length) => {
                    drop(self.input(Input::Frame { link: self.neighbour.link, bytes: &buffer[..length] }))
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the node one input, and does all that it asks for in return. A crashed node takes nothing.
    pub(crate) fn input(&mut self, input: Input<'_>) -> Result<(), InputError> {
        let now = self.now();
        let Some(node) = self.node.as_mut() else { return Ok(()) };
        let result = node.handle_input(now, input);
        self.drain(now);
        result
    }

    /// Outputs until there are none, then frames until there are none.
    pub(crate) fn drain(&mut self, now: Instant) {
        let Some(node) = self.node.as_mut() else { return };
        loop {
            while let Some(output) = node.poll_output() {
                match output {
                    // `FrameTaken` and `FrameRefused` are not among them: they come on links of whole bundles, whose driver owes its
                    // peer an answer. A datagram has none, and the node repairs what is lost.
                    Output::Report(report) => self.reports.push(report),
                    Output::Persist(batch) => self.unwritten.push(batch),
                }
            }
            if self.disk_stalls || self.unwritten.is_empty() {
                break;
            }
            for batch in self.unwritten.drain(..) {
                for change in batch.changes {
                    match change {
                        Change::Put { key, value } => drop(self.disk.insert(key, value)),
                        Change::Delete { key } => drop(self.disk.remove(&key)),
                    }
                }
                self.deliveries.extend(batch.deliveries);
                self.reports.extend(batch.reports);
                node.handle_input(now, Input::Persisted(batch.ticket))
                    .expect("tickets are answered in order");
            }
        }
        while let Some(mut frame) = node.poll_transmit(now, self.neighbour.link) {
            if (self.air)(&mut frame) {
                // A datagram that cannot be sent is a lost frame: the node repairs it.
                let _ = self.socket.send(&frame);
            }
        }
    }
}

/// A link that is always up.
pub(crate) const fn always_up(peer: cosmosmesh_protocol::id::NodeId) -> LinkUp {
    LinkUp {
        link: LinkId(0),
        peer,
        mtu: 1200,
        rate_bps: 10_000_000,
        until: None,
        convergence: Convergence::SmallFrame,
        session: false,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver of real time reads the clock, so that the node need not"
)]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver of real time reads the clock, so that the node need not"
)]
fn civil(at: Instant) -> UtcEstimate {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let utc = DtnTime(unix.saturating_sub(DTN_EPOCH_UNIX).as_millis() as u64);
    UtcEstimate { at, utc, uncertainty: Duration::from_secs(1) }
}
