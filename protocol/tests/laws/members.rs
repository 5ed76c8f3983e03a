//! What a member signs, whatever it is: statements of trust, records of decisions, gossip, sealed messages and keys.

use super::{Verdict, config, keys, pieces, run};
use cosmosmesh_protocol::{
    access::Policy,
    bundle::{Bundle, CreationTimestamp, Primary},
    discovery::{Advert, Capabilities, Life, Pace},
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::Priority,
    },
    envelope::{Header, Parsed, Purpose, seal},
    governance::{Content, Electorate, GovernanceMessage},
    id::NodeId,
    identity::{Certificate, KeyPair, RevocationList, Role, Scope, Statement, Succession, TimeRule},
    log::{Brief, Checkpoint, Entry, Event, LogId, SignedCheckpoint},
    node::{
        Audience, Change, Convergence, DiscoveryConfig, GovernanceConfig, Input, InputError, Issuer, LinkId,
        LinkUp, Node, NodeConfig, Output, SealingConfig, Submission, TrustConfig, WholeLink,
    },
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const UTC: DtnTime = DtnTime(850_000_000_000);
const DAY_MS: u64 = 86_400_000;
const MINUTE: Duration = Duration::from_secs(60);
/// Most records of all kinds that a node keeps of what one member has said.
const MOST_RECORDS: usize = 4096;

fn authority() -> KeyPair {
    keys(200)
}

fn certificate(node: u64) -> Vec<u8> {
    let certificate = Certificate {
        subject: NodeId(node),
        key: keys(node as u8).public().clone(),
        role: if node == 1 { Role::Admin } else { Role::Contributor },
        scope: Scope::everything(),
        not_before: DtnTime(UTC.0 - DAY_MS),
        expires: DtnTime(UTC.0 + 30 * DAY_MS),
    };
    certificate.issue(&authority())
}

fn revocations() -> Vec<u8> {
    RevocationList { version: 1, issued: UTC, ..RevocationList::default() }.issue(&authority())
}

/// One signed or encoded statement, behind a byte that says of which kind.
pub(super) fn statement(bytes: &[u8]) -> Verdict {
    let Some((kind, bytes)) = bytes.split_first() else { return Err("no_statement") };
    let (own, authority) = (keys(1), authority());
    match kind % 9 {
        0 => Certificate::open(bytes, authority.public()).map(drop).map_err(|error| error.reason()),
        1 => RevocationList::open(bytes, authority.public()).map(drop).map_err(|error| error.reason()),
        2 => {
            let first = Succession::open(bytes, NodeId(1), 0, own.public());
            let walked = Succession::walk(NodeId(1), 0, own.public().clone(), [bytes]);
            assert_eq!(first.is_ok(), walked.is_ok(), "one link is a chain of one");
            first.map(drop).map_err(|error| error.reason())
        }
        3 => {
            let signed = SignedCheckpoint::parse(bytes).map_err(|error| error.reason())?;
            signed.verify(own.public()).map(drop).map_err(|error| error.reason())
        }
        4 => Advert::open(bytes, own.public()).map(drop).map_err(|error| error.reason()),
        5 => {
            let entry = Entry::decode(bytes).map_err(|error| error.reason())?;
            assert_eq!(entry.encode(), bytes, "one encoding");
            Ok(())
        }
        6 => {
            let policy = Policy::decode(bytes).map_err(|error| error.reason())?;
            assert_eq!(policy.encode(), bytes, "one encoding");
            Ok(())
        }
        7 => {
            let message = GovernanceMessage::decode(bytes).map_err(|error| error.reason())?;
            assert_eq!(message.encode(), bytes, "one encoding");
            Ok(())
        }
        _ => Content::decode(bytes).map(drop).map_err(|error| error.reason()),
    }
}

/// One of each kind.
pub(super) fn statements() -> Vec<Vec<u8>> {
    let own = keys(1);
    let succession = Succession::sign(NodeId(1), 1, UTC, &own, &keys(101));
    let log = LogId { node: NodeId(1), born: 1 };
    let checkpoint = Checkpoint { log, size: 3, root: [7; 32], time: UTC };
    let life = Life { node: NodeId(1), incarnation: 1, renewal: 0 };
    let capabilities = Capabilities::default();
    let advert = Advert { life, refuted: 3, count: 4, capabilities, store_bytes: 1 << 20 };
    let entry = Entry { index: 0, clock_ms: 7, time: UTC, event: Event::Started { incarnation: 1 } };
    let message = GovernanceMessage {
        asks: true,
        decisions: 0,
        head: [0; 32],
        range: (Brief([0; 8]), Brief([0xff; 8])),
        names: Vec::new(),
        records: Vec::new(),
    };
    let all = [
        certificate(1),
        revocations(),
        succession,
        checkpoint.sign(&own),
        advert.sign(&own),
        entry.encode(),
        Policy::default().encode(),
        message.encode(),
        Content::Policy(Box::default()).encode(),
    ];
    (0..).zip(all).map(|(kind, bytes)| [&[kind][..], &bytes].concat()).collect()
}

/// Node 2 or another of three, with all that members decide, prove and seal among themselves.
fn settings(node: u64) -> NodeConfig {
    let certificates = (1..=3).map(|node| Statement::Certificate(certificate(node)));
    let issuer =
        || Issuer { keys: authority(), lifetime: 1440 * 30 * MINUTE, renew_before: 1440 * 10 * MINUTE };
    let voters = (1..=3).map(|node| (NodeId(u64::from(node)), keys(node).public().clone()));
    NodeConfig {
        keep_bundles: true,
        trust: Some(TrustConfig {
            authority: authority().public().clone(),
            statements: certificates.chain([Statement::Revocations(revocations())]).collect(),
            issuer: (node == 1).then(issuer),
            rule: TimeRule::default(),
            policy: Arc::default(),
            scope: Scope::everything(),
            witness: node != 3,
            share: None,
            interval: MINUTE,
            lifetime: 1440 * MINUTE,
        }),
        governance: Some(GovernanceConfig {
            electorate: Electorate::new(voters).expect("three voters"),
            approves: true,
            patience: 60 * MINUTE,
            interval: MINUTE,
            lifetime: 1440 * MINUTE,
            standby: None,
        }),
        discovery: Some(DiscoveryConfig {
            pace: Pace {
                period: Duration::from_secs(20),
                round_trip: Duration::from_secs(5),
                suspicion: MINUTE,
            },
            max_light_time: Duration::from_secs(2),
            margin: MINUTE,
        }),
        sealing: Some(SealingConfig {
            purposes: BTreeSet::from([Purpose::Telemetry]),
            audience: Audience::Group {
                keeper: NodeId(1),
                members: (1..=3).map(NodeId).collect(),
                lifetime: 14_400 * MINUTE,
            },
        }),
        ..config(node)
    }
}

/// A node with a disk that is never late.
struct Member {
    id: u64,
    node: Node,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    now: Instant,
    sent: Vec<(u64, Vec<u8>)>,
}

impl Member {
    fn new(id: u64) -> Self {
        let node = Node::new(settings(id), keys(id as u8), [id as u8; 32], Instant::ZERO);
        let mut member = Self { id, node, kept: BTreeMap::new(), now: Instant::ZERO, sent: Vec::new() };
        member.brief();
        member
    }

    fn brief(&mut self) {
        let contact = |from, to| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(1 << 60),
            rate_bps: 1_000_000,
            owlt: Duration::ZERO,
        };
        let pairs = (1..=3).flat_map(|a| (1..=3).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let plan = ContactPlan::from_contacts(pairs.map(|(a, b)| contact(a, b))).expect("a plain plan");
        let utc = DtnTime(UTC.0 + self.now.as_nanos() / 1_000_000);
        let civil = UtcEstimate { at: self.now, utc, uncertainty: Duration::ZERO };
        for input in [Input::Civil(civil), Input::ContactPlan(plan)] {
            self.input(input).expect("a driver's own inputs");
        }
        let own = self.id;
        for peer in (1..=3).filter(|peer| *peer != own) {
            let up = LinkUp {
                link: LinkId(peer as u32),
                peer: NodeId(peer),
                mtu: 1 << 16,
                rate_bps: 1_000_000,
                until: None,
                convergence: Convergence::Whole(WholeLink { window: 16 }),
                session: false,
            };
            self.input(Input::LinkUp(up)).expect("a driver's own inputs");
        }
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), InputError> {
        let answer = self.node.handle_input(self.now, input);
        self.drain();
        answer
    }

    fn drain(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.node.poll_output() {
                let Output::Persist(batch) = output else { continue };
                idle = false;
                for change in batch.changes {
                    match change {
                        Change::Put { key, value } => drop(self.kept.insert(key, value)),
                        Change::Delete { key } => drop(self.kept.remove(&key)),
                    }
                }
                self.node.handle_input(self.now, Input::Persisted(batch.ticket)).expect("tickets in order");
            }
            for peer in 1..=3 {
                let link = LinkId(peer as u32);
                while let Some((transfer, bundle)) = self.node.poll_bundle(self.now, link) {
                    idle = false;
                    self.sent.push((peer, bundle));
                    let sent = Input::Transmitted { link, transfer };
                    self.node.handle_input(self.now, sent).expect("its own transfer");
                }
            }
            if idle {
                return;
            }
        }
    }

    /// Lets time pass; what is sent meanwhile is lost.
    fn pass(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Timeout).expect("a timeout is never misuse");
        }
        self.now = end;
        self.sent.clear();
    }

    /// The power goes and comes back.
    fn crash(&mut self) {
        let utc = DtnTime(UTC.0 + self.now.as_nanos() / 1_000_000);
        let civil = Some(UtcEstimate { at: self.now, utc, uncertainty: Duration::ZERO });
        let kept = self.kept.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        self.node = Node::restore(settings(self.id), keys(self.id as u8), [9; 32], self.now, 2, civil, kept)
            .expect("a node reads its own records, whatever a member made it write");
        self.brief();
    }
}

/// Messages of member 1 to node 2: each behind a byte for its purpose and the time before it. Whatever they say, the node keeps little, and
/// comes back from what it kept.
pub(super) fn member(bytes: &[u8]) -> Verdict {
    let mut host = Member::new(2);
    let mut sequences = BTreeMap::<Purpose, u64>::new();
    let mut verdict = Ok(());
    let mut bundles = 0;
    for piece in pieces(bytes) {
        let Some((how, payload)) = piece.split_first() else { continue };
        host.pass(Duration::from_secs(10 * u64::from(how >> 4)));
        let purpose = Purpose::ALL[usize::from(how & 0x0f) % Purpose::ALL.len()];
        let sequence = sequences.entry(purpose).or_default();
        *sequence += 1;
        let header = Header {
            sender: NodeId(1),
            incarnation: 1,
            purpose,
            destination: NodeId(2),
            sequence: *sequence,
            created: DtnTime(UTC.0 + host.now.as_nanos() / 1_000_000),
        };
        bundles += 1;
        let creation = CreationTimestamp { time: header.created, sequence: bundles };
        let primary = Primary::new(NodeId(1).endpoint(1), NodeId(2).endpoint(1), creation, 60_000_000);
        let bundle = Bundle::new(primary, seal(&keys(1), &header, payload)).encode();
        let answer = host.input(Input::Frame { link: LinkId(1), bytes: &bundle });
        verdict = verdict.and(match answer {
            Ok(()) => Ok(()),
            Err(InputError::Refused { reason }) => Err(reason),
            Err(error) => panic!("bytes are no misuse: {error}"),
        });
        assert!(host.kept.len() <= MOST_RECORDS, "{} records", host.kept.len());
    }
    host.pass(2 * MINUTE);
    host.crash();
    host.pass(2 * MINUTE);
    verdict
}

/// What member 1 tells node 2 in two hours of a fleet that decides, rotates and revokes: in runs of a few messages.
pub(super) fn said() -> Vec<Vec<u8>> {
    let mut members: Vec<Member> = (1..=3).map(Member::new).collect();
    let mut said: Vec<Vec<u8>> = Vec::new();
    for minute in 0..40_u64 {
        let at = Instant::ZERO.saturating_add(MINUTE * minute as u32);
        let first = &mut members[0];
        match minute {
            5 => first.input(Input::Propose(Box::new(Content::Policy(Box::default())))).expect("an admin"),
            15 => first.input(Input::RotateKey(Box::new(keys(101)))).expect("a key"),
            _ if minute.is_multiple_of(10) => {
                let submission = Submission {
                    destination: NodeId(2),
                    purpose: Purpose::Telemetry,
                    priority: Priority::Normal,
                    lifetime: 60 * MINUTE,
                    payload: b"reading".to_vec(),
                };
                first.input(Input::Submit(submission)).expect("room");
            }
            _ => {}
        }
        for member in &mut members {
            while let Some(due) = member.node.poll_timeout().filter(|due| *due <= at) {
                member.now = member.now.max(due);
                member.input(Input::Timeout).expect("a timeout is never misuse");
            }
            member.now = at;
        }
        while let Some((from, to, bytes)) =
            members.iter_mut().find_map(|from| from.sent.pop().map(|(to, bytes)| (from.id, to, bytes)))
        {
            if (from, to) == (1, 2) {
                said.push(piece(&bytes));
            }
            let _ = members[to as usize - 1].input(Input::Frame { link: LinkId(from as u32), bytes: &bytes });
        }
    }
    // Short ones, since a run is fed with a change at each of its places: the first of each purpose, and the last.
    let mut chosen = BTreeMap::<u8, Vec<Vec<u8>>>::new();
    for message in said.into_iter().filter(|message| message.len() < 400) {
        let of = chosen.entry(message[0]).or_default();
        of.truncate(1);
        of.push(message);
    }
    chosen.values().map(|messages| run(messages.iter().map(Vec::as_slice))).collect()
}

/// A message of member 1 as a piece: its purpose, and what the envelope says.
fn piece(bundle: &[u8]) -> Vec<u8> {
    let bundle = Bundle::decode(bundle).expect("a node's own bundle");
    let Ok(envelope) = Parsed::parse(bundle.payload()) else { return vec![0x0f] };
    let purpose =
        Purpose::ALL.iter().position(|one| *one == envelope.header().purpose).expect("all are there");
    [&[purpose as u8][..], envelope.claimed_payload()].concat()
}
