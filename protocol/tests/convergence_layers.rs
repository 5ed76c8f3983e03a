//! Nodes over links that speak LTP or carry whole bundles: what stays in the store, for how long, and what goes first.

use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::Priority,
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{
        BundleSubmission, Convergence, Delivery, Input, InputError, LinkId, LinkUp, LtpLink, Node,
        NodeConfig, Output, Report, Retransmission, Submission, Ticket, Transfer, WholeLink,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{sync::Arc, time::Duration};

const RATE_BPS: u64 = 64_000;
const OWLT: Duration = Duration::from_secs(30);
const LINK: LinkId = LinkId(0);

const fn at(secs: u64) -> Instant {
    Instant::from_nanos(secs * 1_000_000_000)
}

/// Two nodes, 1 and 2, in virtual time.
struct Pair {
    now: Instant,
    nodes: [Node; 2],
    delivered: [Vec<Delivery>; 2],
    bundles: [usize; 2],
    reports: [Vec<Report>; 2],
    flights: Vec<(Instant, usize, Vec<u8>)>,
    up: LinkUp,
    open: bool,
    /// Every so many frames are lost.
    lose_every: usize,
    sent: usize,
    /// Whether a node's disk takes its time, and what waits for it.
    slow_disk: [bool; 2],
    writing: [Vec<Ticket>; 2],
}

fn contact(from: u64, to: u64, start: u64, end: u64) -> PlannedContact {
    let (from, to, start, end) = (NodeId(from), NodeId(to), at(start), at(end));
    PlannedContact { from, to, start, end, rate_bps: RATE_BPS, owlt: OWLT }
}

impl Pair {
    /// Contacts both ways in each of `windows`.
    fn new(convergence: Convergence, mtu: u32, windows: &[(u64, u64)]) -> Self {
        Self::with(convergence, mtu, windows, |_| {})
    }

    /// As [`Pair::new`], with nodes set up by `change`.
    fn with(
        convergence: Convergence,
        mtu: u32,
        windows: &[(u64, u64)],
        change: impl Fn(&mut NodeConfig),
    ) -> Self {
        let keys = |node: u64| KeyPair::from_seed([node as u8; 32]);
        let directory: Directory = (1..=2).map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let node = |id: u64| {
            let mut config = NodeConfig {
                retransmission: Retransmission {
                    max_attempts: 20,
                    min_timeout: Duration::from_secs(5),
                    ack_delay: Duration::from_secs(1),
                    margin_percent: 150,
                },
                route_slack: Duration::from_secs(30),
                control_lifetime: Duration::from_secs(36_000),
                ..NodeConfig::new(NodeId(id), directory.clone())
            };
            change(&mut config);
            Node::new(config, keys(id), [id as u8; 32], Instant::ZERO)
        };
        let up = LinkUp {
            link: LINK,
            peer: NodeId(0),
            mtu,
            rate_bps: RATE_BPS,
            until: None,
            convergence,
            session: false,
        };
        let mut pair = Self {
            now: Instant::ZERO,
            nodes: [node(1), node(2)],
            delivered: [vec![], vec![]],
            bundles: [0; 2],
            reports: [vec![], vec![]],
            flights: vec![],
            up,
            open: false,
            lose_every: usize::MAX,
            sent: 0,
            slow_disk: [false; 2],
            writing: [vec![], vec![]],
        };
        let contacts =
            windows.iter().flat_map(|&(start, end)| [contact(1, 2, start, end), contact(2, 1, start, end)]);
        let plan = ContactPlan::from_contacts(contacts).expect("a plain plan");
        let civil =
            UtcEstimate { at: Instant::ZERO, utc: DtnTime(800_000_000_000), uncertainty: Duration::ZERO };
        for side in 0..2 {
            pair.input(side, Input::Civil(civil)).unwrap();
            pair.input(side, Input::ContactPlan(plan.clone())).unwrap();
        }
        pair
    }

    fn link_up(&mut self, until: u64) {
        self.open = true;
        for side in 0..2 {
            let up = LinkUp { peer: NodeId(2 - side as u64), until: Some(at(until)), ..self.up };
            self.input(side, Input::LinkUp(up)).unwrap();
        }
    }

    fn link_down(&mut self) {
        self.open = false;
        for side in 0..2 {
            self.input(side, Input::LinkDown { link: LINK }).unwrap();
        }
    }

    fn input(&mut self, side: usize, input: Input<'_>) -> Result<(), InputError> {
        let answer = self.nodes[side].handle_input(self.now, input);
        self.drain(side);
        answer
    }

    fn drain(&mut self, side: usize) {
        let node = &mut self.nodes[side];
        while let Some(output) = node.poll_output() {
            match output {
                Output::Report(report) => self.reports[side].push(report),
                Output::Persist(batch) => {
                    self.delivered[side].extend(batch.deliveries);
                    self.bundles[side] += batch.bundles.len();
                    self.reports[side].extend(batch.reports);
                    if self.slow_disk[side] {
                        self.writing[side].push(batch.ticket);
                        continue;
                    }
                    node.handle_input(self.now, Input::Persisted(batch.ticket)).expect("tickets in order");
                }
            }
        }
        if matches!(self.up.convergence, Convergence::Whole(_)) || !self.open {
            return;
        }
        while let Some(frame) = node.poll_transmit(self.now, LINK) {
            assert!(frame.len() <= self.up.mtu as usize);
            self.sent += 1;
            if !self.sent.is_multiple_of(self.lose_every) {
                let airtime = Duration::from_nanos(frame.len() as u64 * 8 * 1_000_000_000 / RATE_BPS);
                self.flights.push((self.now.saturating_add(airtime + OWLT), 1 - side, frame));
            }
        }
    }

    fn run_until(&mut self, end: u64) {
        loop {
            let flight = self.flights.iter().enumerate().map(|(index, flight)| (flight.0, index)).min();
            let timer = (0..2).filter_map(|side| Some((self.nodes[side].poll_timeout()?, side))).min();
            let next = flight.map(|f| f.0).into_iter().chain(timer.map(|t| t.0)).min();
            let Some(next) = next.filter(|next| *next <= at(end)) else { break };
            self.now = next.max(self.now);
            match (flight, timer) {
                (Some((due, index)), _) if due == next => {
                    let (_, to, bytes) = self.flights.remove(index);
                    let _ = self.input(to, Input::Frame { link: LINK, bytes: &bytes });
                }
                (_, Some((_, side))) => self.input(side, Input::Timeout).unwrap(),
                _ => break,
            }
        }
        self.now = at(end);
    }

    fn submit(&mut self, priority: Priority, payload: Vec<u8>) {
        let (destination, lifetime) = (NodeId(2), Duration::from_secs(36_000));
        let submission = Submission { destination, purpose: Purpose::Telemetry, priority, lifetime, payload };
        self.input(0, Input::Submit(submission)).unwrap();
    }

    fn next_transfer(&mut self) -> Option<Transfer> {
        self.nodes[0].poll_bundle(self.now, LINK).map(|(transfer, _)| transfer)
    }

    /// The disk of `side` is done with everything.
    fn finish_writing(&mut self, side: usize) {
        self.slow_disk[side] = false;
        for ticket in std::mem::take(&mut self.writing[side]) {
            self.input(side, Input::Persisted(ticket)).expect("tickets in order");
        }
    }

    /// A bundle without an envelope.
    fn send_bundle(&mut self, payload: Vec<u8>) {
        let (source, destination) = (NodeId(1).endpoint(9), NodeId(2).endpoint(9));
        let submission = BundleSubmission::new(source, destination, Duration::from_secs(36_000), payload);
        self.input(0, Input::SendBundle(submission)).unwrap();
    }

    fn resent(&self) -> usize {
        self.reports[0].iter().filter(|report| matches!(report, Report::Retransmitted { .. })).count()
    }
}

fn ltp() -> Convergence {
    Convergence::Ltp(LtpLink::over(OWLT))
}

#[test]
fn over_ltp_a_bundle_stays_in_the_store_until_the_peer_reports_it() {
    let mut pair = Pair::new(ltp(), 300, &[(0, 10_000)]);
    pair.link_up(10_000);
    pair.submit(Priority::Normal, vec![7; 1000]);
    pair.run_until(20);
    assert_eq!(pair.nodes[0].stored(), 1, "sent, and not reported");
    pair.run_until(65);
    assert_eq!(pair.delivered[1].len(), 1);
    assert_eq!(pair.nodes[0].stored(), 0, "reported");
    pair.run_until(9_000);
    assert_eq!((pair.nodes[0].stored(), pair.nodes[1].stored()), (0, 0));
    assert!(pair.reports[0].iter().any(|report| matches!(report, Report::Acknowledged { .. })));
}

#[test]
fn ltp_mends_a_lossy_link_that_small_frames_leave_to_the_ends() {
    let fly = |convergence| {
        let mut pair = Pair::new(convergence, 233, &[(0, 100_000)]);
        pair.lose_every = 17;
        pair.link_up(100_000);
        for index in 0..40_u8 {
            pair.submit(Priority::Normal, vec![index; 1500]);
        }
        pair.run_until(99_000);
        assert_eq!(pair.delivered[1].len(), 40);
        let in_order: Vec<u8> = pair.delivered[1].iter().map(|delivery| delivery.payload[0]).collect();
        assert_eq!(in_order, (0..40).collect::<Vec<u8>>());
        assert_eq!((pair.nodes[0].stored(), pair.nodes[1].stored()), (0, 0));
        pair.resent()
    };
    let (frames, ltp) = (fly(Convergence::SmallFrame), fly(ltp()));
    assert!(
        frames >= 15 && ltp == 0,
        "end-to-end retransmissions: {frames} with small frames, {ltp} with LTP"
    );
}

#[test]
fn over_ltp_what_a_contact_leaves_open_goes_on_in_the_next() {
    let windows = [(0, 100), (1000, 1200), (5000, 5200)];
    let mut pair = Pair::new(ltp(), 300, &windows);
    pair.lose_every = 5;
    for index in 0..30_u8 {
        pair.submit(Priority::Normal, vec![index; 1000]);
    }
    for (start, end) in windows {
        pair.run_until(start);
        pair.link_up(end);
        pair.run_until(end);
        pair.link_down();
    }
    pair.run_until(6000);
    assert_eq!(pair.delivered[1].len(), 30);
    assert_eq!(pair.nodes[0].stored(), 0);
}

#[test]
fn a_link_that_fails_gives_its_bundles_back() {
    let mut pair = Pair::new(ltp(), 300, &[(0, 10_000)]);
    pair.lose_every = 1;
    pair.link_up(10_000);
    pair.submit(Priority::Normal, vec![7; 1000]);
    pair.run_until(10);
    pair.link_down();
    pair.run_until(200);
    // It works again: the bundle is sent anew, as nothing of it was reported.
    pair.lose_every = usize::MAX;
    pair.link_up(10_000);
    pair.run_until(400);
    assert_eq!(pair.delivered[1].len(), 1);
    assert_eq!(pair.nodes[0].stored(), 0);
}

#[test]
fn a_whole_bundle_waits_for_the_drivers_word() {
    let mut pair = Pair::new(Convergence::Whole(WholeLink { window: 2 }), 1 << 20, &[(0, 10_000)]);
    pair.link_up(10_000);
    for index in 0..3_u8 {
        pair.submit(Priority::Normal, vec![index; 100]);
    }
    let now = pair.now;
    let (first, bundle) = pair.nodes[0].poll_bundle(now, LINK).unwrap();
    let (second, _) = pair.nodes[0].poll_bundle(now, LINK).unwrap();
    assert_eq!((first, second), (Transfer(0), Transfer(1)));
    assert_eq!(pair.nodes[0].poll_bundle(now, LINK), None, "the window is full");
    assert_eq!(pair.nodes[0].stored(), 3);
    pair.input(0, Input::Transmitted { link: LINK, transfer: first }).unwrap();
    assert_eq!(pair.nodes[0].stored(), 2);
    pair.input(1, Input::Frame { link: LINK, bytes: &bundle }).unwrap();
    assert_eq!(pair.delivered[1].len(), 1);
    // What failed goes again after a second; its number is new.
    pair.input(0, Input::TransmissionFailed { link: LINK, transfer: second }).unwrap();
    assert_eq!(pair.next_transfer(), Some(Transfer(2)));
    assert_eq!(pair.next_transfer(), None, "what failed waits");
    pair.run_until(1);
    assert_eq!(pair.next_transfer(), Some(Transfer(3)));
    let now = pair.now;
    let unknown = pair.input(0, Input::Transmitted { link: LINK, transfer: second });
    assert_eq!(unknown, Err(InputError::UnknownTransfer(second)));
    // The link goes down: nothing is lost, nothing is answered any more.
    pair.link_down();
    assert_eq!(pair.nodes[0].stored(), 2);
    assert!(pair.input(0, Input::Transmitted { link: LINK, transfer: Transfer(2) }).is_err());
    pair.link_up(10_000);
    assert!(pair.nodes[0].poll_bundle(now, LINK).is_some_and(|(transfer, _)| transfer == Transfer(4)));
}

#[test]
fn a_bundle_too_long_for_the_rest_of_a_contact_lets_shorter_ones_pass() {
    for convergence in [Convergence::SmallFrame, ltp()] {
        let mut pair = Pair::new(convergence, 300, &[(0, 1), (5000, 6000)]);
        // 1 s holds 8000 bytes.
        pair.submit(Priority::Expedited, vec![1; 9000]);
        pair.submit(Priority::Normal, vec![2; 500]);
        pair.link_up(1);
        pair.run_until(1);
        pair.link_down();
        pair.run_until(100);
        // The stream delivers in order, so the second message waits behind the first: look at what went over the link.
        assert!(pair.sent > 0, "{convergence:?}: the short one had its turn");
        pair.run_until(5000);
        pair.link_up(6000);
        pair.run_until(5900);
        assert_eq!(pair.delivered[1].len(), 2, "{convergence:?}");
        assert_eq!(pair.nodes[0].stored(), 0, "{convergence:?}");
    }
}

#[test]
fn a_bundle_that_no_frames_hold_lets_others_pass() {
    let mut pair = Pair::new(Convergence::Whole(WholeLink { window: 9 }), 600, &[(0, 10_000)]);
    pair.link_up(10_000);
    pair.submit(Priority::Expedited, vec![1; 900]);
    pair.submit(Priority::Normal, vec![2; 100]);
    let now = pair.now;
    assert!(pair.nodes[0].poll_bundle(now, LINK).is_some_and(|(_, bundle)| bundle.len() < 600));
    assert_eq!(pair.nodes[0].poll_bundle(now, LINK), None);
    assert_eq!(pair.nodes[0].stored(), 2);
}

#[test]
fn over_ltp_a_bundle_is_reported_when_it_is_durable_and_not_before() {
    let mut pair = Pair::new(ltp(), 300, &[(0, 10_000)]);
    pair.slow_disk[1] = true;
    pair.link_up(10_000);
    pair.submit(Priority::Normal, vec![7; 1000]);
    pair.run_until(65);
    assert_eq!(pair.delivered[1].len(), 1, "it is there");
    assert_eq!(pair.nodes[0].stored(), 1, "a crash of the peer would lose it now");
    pair.finish_writing(1);
    pair.run_until(400);
    assert_eq!(pair.nodes[0].stored(), 0);
    assert_eq!(pair.delivered[1].len(), 1);
}

#[test]
fn over_ltp_a_bundle_for_which_the_peer_has_no_room_stays_and_is_tried_ever_more_rarely() {
    let mut pair = Pair::with(ltp(), 300, &[(0, 10_000)], |config| config.bundles.max_remembered = 0);
    pair.link_up(10_000);
    pair.send_bundle(vec![7; 1000]);
    pair.run_until(9_000);
    assert_eq!(pair.nodes[0].stored(), 1);
    let refused = pair.nodes[1].refusals()["ltp_block_without_room"];
    // 60 s there and back, and a wait of 1, 2, 4, .. 256 s: at once every time, it would be 140.
    assert!((20..50).contains(&refused), "{refused} attempts");
}

#[test]
fn the_driver_hears_in_order_which_frames_were_taken_and_when_they_are_durable() {
    let whole = Convergence::Whole(WholeLink { window: 9 });
    let mut pair = Pair::with(whole, 1 << 20, &[(0, 10_000)], |config| config.bundles.max_remembered = 1);
    pair.link_up(10_000);
    let mut frames = vec![];
    for index in 0..2 {
        pair.send_bundle(vec![index; 100]);
        frames.push(pair.nodes[0].poll_bundle(pair.now, LINK).unwrap().1);
    }
    let told = |pair: &Pair| -> Vec<bool> {
        let told = pair.reports[1].iter().filter_map(|report| match report {
            Report::FrameTaken { link: LINK } => Some(true),
            Report::FrameRefused { link: LINK } => Some(false),
            _ => None,
        });
        told.collect()
    };
    pair.slow_disk[1] = true;
    pair.input(1, Input::Frame { link: LINK, bytes: &frames[0] }).unwrap();
    assert!(
        pair.input(1, Input::Frame { link: LINK, bytes: &frames[1] }).is_err(),
        "one name fills the memory"
    );
    assert!(pair.input(1, Input::Frame { link: LINK, bytes: &frames[0] }).is_err(), "a repetition");
    assert!(told(&pair).is_empty(), "nothing is durable");
    pair.finish_writing(1);
    assert_eq!(told(&pair), [true, false, true]);
}

#[test]
fn what_fails_on_a_link_that_is_up_waits_twice_as_long_each_time() {
    let mut pair = Pair::new(Convergence::Whole(WholeLink { window: 2 }), 1 << 20, &[(0, 10_000)]);
    pair.link_up(10_000);
    pair.submit(Priority::Normal, vec![1; 100]);
    for wait in [1, 2, 4, 8, 16] {
        let transfer = pair.next_transfer().expect("its time has come");
        pair.input(0, Input::TransmissionFailed { link: LINK, transfer }).unwrap();
        let now = pair.now.as_nanos() / 1_000_000_000;
        pair.run_until(now + wait - 1);
        assert_eq!(pair.next_transfer(), None, "{wait} s are not over");
        pair.run_until(now + wait);
    }
    let transfer = pair.next_transfer().expect("its time has come");
    pair.input(0, Input::Transmitted { link: LINK, transfer }).unwrap();
    assert_eq!(pair.nodes[0].stored(), 0);
}

#[test]
fn a_link_that_comes_up_to_another_peer_carries_nothing_meant_for_the_one_before() {
    let to = |pair: &Pair, peer| LinkUp { peer: NodeId(peer), until: None, ..pair.up };
    // Over LTP, while reports are awaited with the link down.
    let mut pair = Pair::new(ltp(), 300, &[(0, 10_000)]);
    pair.link_up(10_000);
    pair.submit(Priority::Normal, vec![7; 1000]);
    pair.link_down();
    let up = to(&pair, 3);
    pair.input(0, Input::LinkUp(up)).unwrap();
    assert_eq!(pair.nodes[0].poll_transmit(pair.now, LINK), None);
    assert_eq!(pair.nodes[0].stored(), 1);
    // With small frames, in the midst of a bundle and without a word that the link went down.
    let mut pair = Pair::new(Convergence::SmallFrame, 300, &[(0, 10_000)]);
    pair.submit(Priority::Normal, vec![7; 1000]);
    for peer in [2, 3] {
        let up = to(&pair, peer);
        pair.input(0, Input::LinkUp(up)).unwrap();
        assert_eq!(pair.nodes[0].poll_transmit(pair.now, LINK).is_some(), peer == 2);
    }
    assert_eq!(pair.nodes[0].stored(), 1);
}

#[test]
fn parts_of_one_peer_do_not_join_those_of_the_next_on_the_same_link() {
    let mut sender = Pair::new(Convergence::SmallFrame, 300, &[(0, 10_000)]);
    sender.link_up(10_000);
    sender.send_bundle(vec![7; 1000]);
    let frames: Vec<Vec<u8>> = sender.flights.iter().map(|(_, _, frame)| frame.clone()).collect();
    assert!(frames.len() > 2);
    for second in [1, 3] {
        let mut pair = Pair::new(Convergence::SmallFrame, 300, &[(0, 10_000)]);
        for (peer, frames) in [(1, &frames[..1]), (second, &frames[1..])] {
            let up = LinkUp { peer: NodeId(peer), until: None, ..pair.up };
            pair.input(1, Input::LinkUp(up)).unwrap();
            for frame in frames {
                let _ = pair.input(1, Input::Frame { link: LINK, bytes: frame });
            }
        }
        assert_eq!(pair.nodes[1].refusals().len(), 0, "{:?}", pair.nodes[1].refusals());
        assert_eq!(pair.bundles[1], usize::from(second == 1), "the rest from {second}");
    }
}

#[test]
fn a_bundle_that_only_forwarding_makes_too_long_leaves_in_parts() {
    let whole = Convergence::Whole(WholeLink { window: 9 });
    let mut parts = [0; 3];
    for length in 300..560 {
        let mut pair =
            Pair::with(whole, 600, &[(0, 10_000)], |config| config.bundles.min_fragment = Some(64));
        pair.link_up(10_000);
        pair.send_bundle(vec![7; length]);
        let mut count = 0;
        while let Some((transfer, bundle)) = pair.nodes[0].poll_bundle(pair.now, LINK) {
            assert!(bundle.len() <= 600);
            pair.input(1, Input::Frame { link: LINK, bytes: &bundle }).unwrap();
            pair.input(0, Input::Transmitted { link: LINK, transfer }).unwrap();
            count += 1;
        }
        assert_eq!(pair.nodes[0].stored(), 0, "{length} bytes");
        parts[count] += 1;
    }
    assert!(parts[1] > 100 && parts[2] > 0, "{parts:?}");
}

#[test]
fn malformed_segments_are_counted_by_reason() {
    let mut pair = Pair::new(ltp(), 300, &[(0, 10_000)]);
    pair.link_up(10_000);
    for bytes in [&[][..], &[0x40, 1, 2, 3], &[5, 2, 1, 0], &[0, 9, 1, 0, 1, 0, 1, 7]] {
        assert!(pair.input(0, Input::Frame { link: LINK, bytes }).is_err());
    }
    let refusals: Vec<_> = pair.nodes[0].refusals().iter().map(|(reason, count)| (*reason, *count)).collect();
    assert_eq!(refusals, [("ltp_stranger", 1), ("ltp_truncated", 1), ("ltp_type", 1), ("ltp_version", 1)]);
}
