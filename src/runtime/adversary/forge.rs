//! The bytes of each attack.

use super::{FLOOD, Mischief, STALE};
use crate::{
    engine::{MessageKind, RecordKind},
    runtime::Fleet,
    scenario::Attack,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    bundle::{Bundle, CreationTimestamp, Primary},
    cbor,
    delivery::{Control, Incoming, Message},
    envelope::{Header, Purpose, seal},
    id::NodeId,
    identity::{Certificate, KeyPair, RevocationList, Role, Scope, Statement, Succession, Summary},
    planning::solver::Contribution,
    sync::{Op, Replica, SyncLimits, SyncMessage, VersionVector},
    time::DtnTime,
};

/// Lifetime of its bundles, in milliseconds.
const LIFETIME_MS: u64 = 3_600_000;
/// The order of the base point, little-endian (RFC 8032 §5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Who attacks whom, when.
struct Scene {
    keys: KeyPair,
    own: NodeId,
    victim: NodeId,
    /// Another member, in whose name much is done.
    other: NodeId,
    target: AssetIndex,
    time: DtnTime,
    link: u32,
}

impl Scene {
    fn header(&self, sender: NodeId, purpose: Purpose, sequence: u64) -> Header {
        let (incarnation, destination, created) = (1, self.victim, self.time);
        Header { sender, incarnation, purpose, destination, sequence, created }
    }

    fn made(&self, attack: Attack) -> RecordKind {
        RecordKind::AttackMade { attack: attack.word(), target: self.target }
    }
}

impl Mischief {
    /// Makes an attack and puts it in line: what the trace is told of it.
    pub(super) fn make(
        &mut self,
        fleet: &Fleet,
        asset: AssetIndex,
        now: SimTime,
        attack: Attack,
        target: AssetIndex,
    ) -> Vec<RecordKind> {
        let (own, victim) = (fleet.node(asset), fleet.node(target));
        let Some(link) = self.link_to(victim) else { return Vec::new() };
        let scenario = fleet.scenario();
        let others =
            scenario.asset_indices().filter(|other| !scenario.is_adversary(*other) && *other != target);
        let others: Vec<NodeId> = others.map(|other| fleet.node(other)).collect();
        let Some(other) = others.get(self.bundles as usize % others.len().max(1)).copied() else {
            return Vec::new();
        };
        let time = DtnTime(fleet.scenario().epoch.dtn_time_ms(now).unwrap_or(0));
        let scene = Scene { keys: fleet.keys(asset), own, victim, other, target, time, link };
        match attack {
            Attack::Replay => self.replay(&scene, now),
            Attack::BitFlip => self.flip(&scene, now),
            Attack::Flood => self.flood(&scene),
            Attack::Equivocation => self.equivocate(&scene),
            Attack::UnlawfulOrder
            | Attack::KeySubstitution
            | Attack::ForgedRevocation
            | Attack::PoisonedState
            | Attack::NotANumber => self.speak(&scene, attack),
            Attack::Swallow => Vec::new(),
            _ => self.forge(&scene, attack),
        }
    }

    fn bundle(&mut self, scene: &Scene, source: NodeId, payload: Vec<u8>) -> Vec<u8> {
        self.bundles += 1;
        let creation = CreationTimestamp { time: scene.time, sequence: 1 << 40 | self.bundles };
        let primary = Primary::new(source.endpoint(1), scene.victim.endpoint(1), creation, LIFETIME_MS);
        let mut bundle = Bundle::new(primary, payload);
        bundle.set_previous_node(&scene.own.endpoint(0));
        if scene.time == DtnTime::UNKNOWN {
            bundle.set_age_ms(0);
        }
        bundle.encode()
    }

    fn send(&mut self, scene: &Scene, source: NodeId, payload: Vec<u8>, attack: Option<Attack>) {
        let bundle = self.bundle(scene, source, payload);
        self.put(scene.link, &bundle, attack);
    }

    /// Envelopes that nobody's key has signed so, and bytes that are none.
    fn forge(&mut self, scene: &Scene, attack: Attack) -> Vec<RecordKind> {
        let Scene { own, other, .. } = *scene;
        let order = |sender, purpose, sequence| {
            seal(&scene.keys, &scene.header(sender, purpose, sequence), b"open the airlock")
        };
        let fresh = self.sequences.get(&(scene.victim, Purpose::Command)).map_or(1, |last| last + 1);
        let stranger = NodeId(0xffff_0000 | u64::from(scene.target.0));
        let (source, envelope) = match attack {
            // Nobody sends events but the adversary: the number is a fresh one.
            Attack::ForgedSignature => (other, order(other, Purpose::Event, 1)),
            Attack::Stranger => (stranger, order(stranger, Purpose::Command, 1)),
            Attack::NotTheSource => (other, order(own, Purpose::Command, fresh)),
            Attack::WrongPurpose => (own, with_purpose(order(own, Purpose::Event, fresh), Purpose::Command)),
            Attack::Nested => (own, vec![0x81; 400]),
            Attack::NonCanonical => (own, lengthened(order(own, Purpose::Command, fresh))),
            // It says to be a text of 4 GiB, and is not.
            Attack::Oversize => (own, [&[0xd2, 0x84, 0x5a, 0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat()),
            Attack::Downgrade => (own, with_algorithm(order(own, Purpose::Command, fresh), 0x26)),
            Attack::UnknownCritical => (own, with_critical(order(own, Purpose::Command, fresh))),
            Attack::HighScalar => (own, with_high_scalar(order(own, Purpose::Command, fresh))),
            Attack::SequenceJump => (own, order(own, Purpose::Command, u64::MAX)),
            Attack::FalseAcknowledgement => {
                let said = acknowledgement();
                let header = scene.header(other, Purpose::Acknowledgement, 1 << 20 | self.bundles);
                (other, seal(&scene.keys, &header, &said))
            }
            _ => return Vec::new(),
        };
        self.send(scene, source, envelope, Some(attack));
        vec![scene.made(attack)]
    }

    /// What its own key signs as a member, and no member may say.
    fn speak(&mut self, scene: &Scene, attack: Attack) -> Vec<RecordKind> {
        let statements = |list: Vec<Statement>| (Purpose::Trust, MessageKind::Trust, statements(&list));
        let (purpose, kind, payload) = match attack {
            Attack::KeySubstitution => statements(substitution(scene)),
            Attack::ForgedRevocation => {
                let issued = DtnTime(scene.time.0 + 1000);
                let list = RevocationList { version: 1 << 20, issued, ..RevocationList::default() };
                statements(vec![Statement::Revocations(list.issue(&scene.keys))])
            }
            Attack::PoisonedState => (Purpose::Sync, MessageKind::Sync, poison(scene)),
            Attack::NotANumber => (Purpose::Plan, MessageKind::Plan, no_number(&mut self.rng)),
            _ => (Purpose::Command, MessageKind::Command, b"open the airlock".to_vec()),
        };
        let sequence = self.next(scene.victim, purpose);
        let envelope = seal(&scene.keys, &scene.header(scene.own, purpose, sequence), &payload);
        self.send(scene, scene.own, envelope, Some(attack));
        // A member did send it; what is refused of it is what it says.
        let (destination, bytes) = (scene.target, payload.len() as u32);
        vec![scene.made(attack), RecordKind::Submitted { sequence, destination, kind, bytes }]
    }

    fn equivocate(&mut self, scene: &Scene) -> Vec<RecordKind> {
        let sequence = self.next(scene.victim, Purpose::Event);
        let header = scene.header(scene.own, Purpose::Event, sequence);
        let (first, second) = (b"all is well", b"send for help");
        self.send(scene, scene.own, seal(&scene.keys, &header, first), None);
        self.send(scene, scene.own, seal(&scene.keys, &header, second), Some(Attack::Equivocation));
        let (destination, kind, bytes) = (scene.target, MessageKind::Event, first.len() as u32);
        vec![scene.made(Attack::Equivocation), RecordKind::Submitted { sequence, destination, kind, bytes }]
    }

    fn flood(&mut self, scene: &Scene) -> Vec<RecordKind> {
        let mut records = Vec::new();
        let (destination, kind) = (scene.target, MessageKind::Event);
        for _ in 0..FLOOD {
            let sequence = self.next(scene.victim, Purpose::Event);
            let mut payload = vec![0; 200];
            self.rng.fill(&mut payload);
            let envelope = seal(&scene.keys, &scene.header(scene.own, Purpose::Event, sequence), &payload);
            self.send(scene, scene.own, envelope, Some(Attack::Flood));
            let bytes = payload.len() as u32;
            records.push(scene.made(Attack::Flood));
            records.push(RecordKind::Submitted { sequence, destination, kind, bytes });
        }
        records
    }

    /// A bundle of somebody else that went by this link long enough ago.
    fn stale(&mut self, scene: &Scene, now: SimTime) -> Option<Vec<u8>> {
        let old = |at: SimTime| now - at >= STALE;
        let known: Vec<usize> = (0..self.captured.len())
            .filter(|place| self.captured[*place].link == scene.link && old(self.captured[*place].at))
            .collect();
        let place = *known.get(self.rng.range(known.len().max(1) as u64) as usize)?;
        Some(self.captured[place].bytes.clone())
    }

    fn replay(&mut self, scene: &Scene, now: SimTime) -> Vec<RecordKind> {
        let Some(bytes) = self.stale(scene, now) else { return Vec::new() };
        self.put(scene.link, &bytes, Some(Attack::Replay));
        vec![scene.made(Attack::Replay)]
    }

    fn flip(&mut self, scene: &Scene, now: SimTime) -> Vec<RecordKind> {
        let Some(mut bytes) = self.stale(scene, now) else { return Vec::new() };
        let for_victim = |bundle: &Bundle| bundle.primary().destination.node() == Some(scene.victim);
        let whole = Bundle::decode(&bytes).ok().filter(for_victim).filter(|_| self.rng.chance(0.5));
        match whole {
            // Under a checksum that is right again, and a name that is new.
            Some(bundle) => {
                let mut payload = bundle.payload().to_vec();
                let at = self.rng.range(payload.len() as u64) as usize;
                payload[at] ^= 1 << self.rng.range(8);
                let Some(source) = bundle.primary().source.node() else { return Vec::new() };
                bytes = self.bundle(scene, source, payload);
            }
            None => {
                let at = self.rng.range(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.rng.range(8);
            }
        }
        self.put(scene.link, &bytes, Some(Attack::BitFlip));
        vec![scene.made(Attack::BitFlip)]
    }
}

/// A certificate for another's name, by itself as the authority, and a succession of another's key, by its own.
fn substitution(scene: &Scene) -> Vec<Statement> {
    let not_before = DtnTime(scene.time.0 / 1000 * 1000 + 1000);
    let certificate = Certificate {
        subject: scene.other,
        key: scene.keys.public().clone(),
        role: Role::Admin,
        scope: Scope::everything(),
        not_before,
        expires: DtnTime(not_before.0 + 86_400_000),
    };
    let succession = Succession::sign(scene.other, 1, scene.time, &scene.keys, &scene.keys);
    vec![Statement::Certificate(certificate.issue(&scene.keys)), Statement::Succession(succession)]
}

/// A message of trust that brings statements and says nothing else.
fn statements(list: &[Statement]) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::put_head(&mut out, cbor::ARRAY, 9);
    cbor::put_uint(&mut out, 1);
    cbor::put_uint(&mut out, 0);
    Summary::default().encode(&mut out);
    cbor::put_bytes(&mut out, &[]);
    (0..3).for_each(|_| cbor::put_head(&mut out, cbor::ARRAY, 0));
    cbor::put_head(&mut out, cbor::ARRAY, list.len() as u64);
    for statement in list {
        let (number, bytes) = statement.parts();
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_uint(&mut out, number);
        cbor::put_bytes(&mut out, bytes);
    }
    cbor::put_bytes(&mut out, &[]);
    out
}

/// A write in another's name, signed by the adversary's key.
fn poison(scene: &Scene) -> Vec<u8> {
    let mut replica = Replica::new(scene.other, SyncLimits::default());
    let _ = replica.write(Op::Register { name: b"goal", value: b"the cliff" }, scene.time);
    replica.sign(&scene.keys);
    let delta = replica.delta_since(&VersionVector::default(), usize::MAX);
    delta.map_or_else(Vec::new, |delta| SyncMessage::Delta(delta).encode())
}

/// A contribution whose entries are floats: not a number, infinite, or 1e308.
fn no_number(rng: &mut crate::engine::Rng) -> Vec<u8> {
    let value = [f64::NAN, f64::INFINITY, 1e308][rng.range(3) as usize];
    let good = Contribution { horizon: 0, term: 0, round: 1, base: 0, entries: vec![0] }.encode();
    let mut bytes = good[..good.len() - 1].to_vec();
    bytes.push(0xfb);
    bytes.extend_from_slice(&value.to_be_bytes());
    bytes
}

/// That the first command has arrived.
fn acknowledgement() -> Vec<u8> {
    let mut stream = Incoming::new(16);
    stream.accept(
        1,
        Message { sequence: 1, created: DtnTime::UNKNOWN, payload: Vec::new() },
        &mut Vec::new(),
    );
    let acknowledgements = vec![stream.acknowledgement(Purpose::Command)];
    Control { acknowledgements, forwards: Vec::new() }.encode()
}

/// Where the protected headers of an envelope begin: `d2 84 58 LENGTH`.
const PROTECTED: usize = 4;

fn with_purpose(mut envelope: Vec<u8>, purpose: Purpose) -> Vec<u8> {
    let event = Purpose::Event.number();
    let place = envelope.windows(3).position(|part| part == [0x85, 1, event]);
    if let Some(place) = place {
        envelope[place + 2] = purpose.number();
    }
    envelope
}

fn with_algorithm(mut envelope: Vec<u8>, algorithm: u8) -> Vec<u8> {
    envelope[PROTECTED + 2] = algorithm;
    envelope
}

/// `{1: -8, 2: [99], …}`.
fn with_critical(mut envelope: Vec<u8>) -> Vec<u8> {
    envelope[PROTECTED] += 1;
    envelope[PROTECTED - 1] += 4;
    envelope.splice(PROTECTED + 3..PROTECTED + 3, [2, 0x81, 0x18, 99]);
    envelope
}

/// The length of the payload in two bytes where one is enough.
fn lengthened(mut envelope: Vec<u8>) -> Vec<u8> {
    let at = envelope.len() - 2 - 64 - b"open the airlock".len() - 1;
    let length = envelope[at] & 0x1f;
    envelope.splice(at..=at, [0x58, length]);
    envelope
}

fn with_high_scalar(mut envelope: Vec<u8>) -> Vec<u8> {
    let at = envelope.len() - 32;
    let mut carry = 0_u16;
    for (byte, order) in envelope[at..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    envelope
}
