//! [`Membership`]: gossip that is checked before it is believed.

use super::{
    advert::{Advert, AdvertError, MAX_ADVERT_LEN},
    codec::{CodecError, MEMBER_LEN, Plain},
    identity::Life,
    presence::{Expectation, Presence},
    runtime::Queue,
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    identity::PublicKey,
    time::Instant,
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::{num::NonZeroU8, num::NonZeroUsize, time::Duration};
use foca::{Codec as _, Config, Foca, Member, Message, NoCustomBroadcast, PeriodicParams, State, Timer};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

/// Largest packet of the gossip, in bytes, adverts aside.
pub const MAX_PACKET: usize = 512;
/// How far above a member's own word on its incarnation others' are taken.
pub const MAX_STEP: u16 = 4;
/// Adverts in a packet: the sender's own, and others' in turn.
const ADVERTS: usize = 3;
/// Of whom the plan knows nothing, and gossip neither, a word is due within so many periods.
const SILENCE: u32 = 64;

/// How fast gossip goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// One member is probed in each, more than twice the round trip.
    pub period: Duration,
    /// How long a direct answer may take.
    pub round_trip: Duration,
    /// How long a suspect has to refute.
    pub suspicion: Duration,
}

/// Why a packet, or a part of one, is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Not a packet of the gossip.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// An advert that is none.
    #[error(transparent)]
    Advert(#[from] AdvertError),
    /// The packet says to come from another than who signed its envelope.
    #[error("in the name of node {named}")]
    Name {
        /// In whose name.
        named: NodeId,
    },
    /// The protocol's own objection.
    #[error("refused by the gossip protocol")]
    Protocol,
}

impl GossipError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.reason(),
            Self::Codec(_) => "gossip_malformed",
            Self::Advert(error) => error.reason(),
            Self::Name { .. } => "gossip_name",
            Self::Protocol => "gossip_protocol",
        }
    }
}

/// A packet for a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whom it is for.
    pub to: NodeId,
    /// `[gossip, [advert…]]`.
    pub bytes: Vec<u8>,
}

/// What is known of a member's own word.
#[derive(Clone, Debug)]
struct Known {
    advert: Advert,
    bytes: Vec<u8>,
    /// The greatest incarnation that it was heard in itself.
    heard: u16,
    /// Or that a third party told within the bound.
    incarnation: u16,
}

/// Who is there. At most as many members as the node has in its directory are remembered.
pub struct Membership {
    foca: Foca<Life, Plain, ChaCha8Rng, NoCustomBroadcast>,
    queue: Queue,
    pace: Pace,
    known: BTreeMap<NodeId, Known>,
    /// This node's own incarnation, and of which life.
    own: (Life, u16),
    /// When members of other places were last heard, by any message of theirs.
    heard: BTreeMap<NodeId, Instant>,
    max_members: usize,
    turn: usize,
    /// What was not believed, by reason.
    refused: BTreeMap<&'static str, u64>,
}

impl core::fmt::Debug for Membership {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Membership").field("life", &self.life()).finish_non_exhaustive()
    }
}

impl Membership {
    /// A membership that knows nobody yet. `seed`: the node's, fresh in each incarnation.
    #[must_use]
    pub fn new(own: NodeId, incarnation: u32, pace: Pace, max_members: usize, seed: [u8; 32]) -> Self {
        const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("two");
        const ONE: NonZeroUsize = NonZeroUsize::new(1).expect("one");
        let every = |times: u32, num_members| {
            Some(PeriodicParams { frequency: pace.period.saturating_mul(times), num_members })
        };
        let config = Config {
            probe_period: pace.period,
            probe_rtt: pace.round_trip,
            num_indirect_probes: TWO,
            max_transmissions: NonZeroU8::new(6).expect("six"),
            suspect_to_down_after: pace.suspicion,
            remove_down_after: None,
            max_packet_size: NonZeroUsize::new(MAX_PACKET).expect("not zero"),
            // Nobody takes another's word for its own death, and who speaks is alive again: see `hear_out`.
            notify_down_members: false,
            periodic_announce: every(8, ONE),
            periodic_announce_to_down_members: every(12, ONE),
            periodic_gossip: None,
        };
        let life = Life { node: own, incarnation, renewal: 0 };
        Self {
            foca: Foca::new(life, config, ChaCha8Rng::from_seed(seed), Plain),
            queue: Queue::default(),
            pace,
            known: BTreeMap::new(),
            own: (life, 0),
            heard: BTreeMap::new(),
            max_members,
            turn: 0,
            refused: BTreeMap::new(),
        }
    }

    /// This node's own life: it changes when others had taken it for dead.
    #[must_use]
    pub fn life(&self) -> Life {
        *self.foca.identity()
    }

    /// How often this node has refuted a suspicion in its present life.
    #[must_use]
    pub fn refuted(&self) -> u16 {
        if self.own.0 == self.life() { self.own.1 } else { 0 }
    }

    /// What was not believed, by reason.
    #[must_use]
    pub const fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    /// Packets and timers that found no room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.queue.dropped
    }

    /// A member's own word about itself.
    #[must_use]
    pub fn advert(&self, node: NodeId) -> Option<&Advert> {
        self.known.get(&node).map(|known| &known.advert)
    }

    /// When a timer is due next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.timers.keys().next().map(|(at, _)| *at)
    }

    /// A neighbour has come into range: this node tells it that it is here.
    pub fn greet(&mut self, now: Instant, peer: NodeId) {
        self.queue.now = now;
        let life = self
            .known
            .get(&peer)
            .map_or(Life { node: peer, incarnation: 0, renewal: 0 }, |known| known.advert.life);
        // Only an own identity is refused.
        let _ = self.foca.announce(life, &mut self.queue);
    }

    /// Any message of a member, by whatever way: it was alive at `at`, when it wrote that.
    pub fn note_heard(&mut self, at: Instant, node: NodeId) {
        if self.heard.len() < self.max_members || self.heard.contains_key(&node) {
            let heard = self.heard.entry(node).or_insert(at);
            *heard = at.max(*heard);
        }
    }

    /// Timers that are due. `expected`: what the contact plan lets one expect of a member.
    pub fn on_deadline(&mut self, now: Instant, expected: impl Fn(NodeId) -> Expectation) {
        self.queue.now = now;
        while let Some(timer) = self.queue.pop_due() {
            if let Timer::ChangeSuspectToDown { member_id, .. } = &timer {
                // Nobody is dead for keeping to the plan, nor for a link that is too slow for probes: it is asked again when a word is due. Without
                // a next contact, now and then.
                let pause = now.saturating_add(self.pace.period.saturating_mul(SILENCE));
                let at = match expected(member_id.node) {
                    Expectation::Heard => None,
                    Expectation::Slow { .. } => Some(pause),
                    Expectation::Silent { until, .. } => {
                        Some(until.map_or(pause, |until| until.max(now).saturating_add(self.pace.suspicion)))
                    }
                };
                if let Some(at) = at {
                    self.queue.arm(at, timer);
                    continue;
                }
            }
            if self.foca.handle_timer(timer, &mut self.queue).is_err() {
                self.refuse("gossip_timer");
            }
        }
    }

    fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(reason).or_default() += 1;
    }

    /// A packet of a neighbour, who has signed its envelope. `key`: the key in force of a member that is certified and not blocked.
    ///
    /// # Errors
    /// [`GossipError`] when it is none, or in another's name. What is not believed of it is left out and counted.
    pub fn on_packet<'k>(
        &mut self,
        now: Instant,
        from: NodeId,
        bytes: &[u8],
        key: impl Fn(NodeId) -> Option<&'k PublicKey>,
        expected: impl Fn(NodeId) -> Expectation,
    ) -> Result<(), GossipError> {
        self.queue.now = now;
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        let (at, packet) = (reader.position(), reader.bytes()?);
        let (expected_len, found) = (MAX_PACKET as u64, packet.len() as u64);
        if found > expected_len {
            return Err(CborError::Items { at, expected: expected_len, found }.into());
        }
        let (at, found) = (reader.position(), reader.array()?);
        if found > ADVERTS as u64 {
            return Err(CborError::Items { at, expected: ADVERTS as u64, found }.into());
        }
        let adverts = (0..found).map(|_| reader.bytes()).collect::<Result<Vec<_>, _>>()?;
        reader.end()?;
        for advert in adverts {
            self.take_advert(advert, &key);
        }
        self.take_gossip(from, packet, &key, &expected)
    }

    fn take_advert<'k>(&mut self, bytes: &[u8], key: &impl Fn(NodeId) -> Option<&'k PublicKey>) {
        if bytes.len() > MAX_ADVERT_LEN || self.known.values().any(|known| known.bytes == bytes) {
            return;
        }
        let opened = Advert::peek(bytes).map(|node| key(node).map(|key| Advert::open(bytes, key)));
        let advert = match opened {
            Ok(Some(Ok(advert))) => advert,
            Ok(None) => return self.refuse("gossip_stranger"),
            Ok(Some(Err(error))) | Err(error) => return self.refuse(error.reason()),
        };
        let node = advert.life.node;
        if node == self.life().node {
            return;
        }
        let known = self.known.get(&node);
        let (newer, full) = (
            known.is_none_or(|known| (known.advert.life, known.advert.count) < (advert.life, advert.count)),
            known.is_none() && self.known.len() >= self.max_members,
        );
        if full {
            return self.refuse("gossip_full");
        }
        if newer {
            let same = known.filter(|known| known.advert.life == advert.life);
            let (heard, incarnation) = same.map_or((0, 0), |known| (known.heard, known.incarnation));
            let (heard, incarnation) = (heard.max(advert.refuted), incarnation.max(advert.refuted));
            self.known.insert(node, Known { advert, bytes: bytes.to_vec(), heard, incarnation });
        }
    }

    fn take_gossip<'k>(
        &mut self,
        from: NodeId,
        packet: &[u8],
        key: &impl Fn(NodeId) -> Option<&'k PublicKey>,
        expected: &impl Fn(NodeId) -> Expectation,
    ) -> Result<(), GossipError> {
        let mut rest = packet;
        let header = Plain.decode_header(&mut rest)?;
        if header.src.node != from {
            return Err(GossipError::Name { named: header.src.node });
        }
        if self.known.get(&from).is_none_or(|known| known.advert.life != header.src) {
            self.refuse("gossip_life");
            return Ok(());
        }
        if let Some(known) = self.known.get_mut(&from) {
            // Its own word.
            known.heard = known.heard.max(header.src_incarnation);
            known.incarnation = known.incarnation.max(header.src_incarnation);
        }
        if header.message == Message::TurnUndead {
            // That it is dead a node knows better, and another's suspicion it refutes. It would begin another life for everybody who says so.
            self.refuse("gossip_undead");
            return Ok(());
        }
        let mut checked = packet[..packet.len() - rest.len()].to_vec();
        if rest.len() >= 2 && header.message != Message::Broadcast {
            let members = Self::members(&rest[2..], u16::from_be_bytes([rest[0], rest[1]]))?;
            let believed: Vec<Member<Life>> =
                members.into_iter().filter_map(|member| self.believe(from, member, key, expected)).collect();
            checked.extend_from_slice(&(believed.len() as u16).to_be_bytes());
            for member in believed {
                Plain.encode_member(&member, &mut checked)?;
            }
        }
        self.note_heard(self.queue.now, from);
        self.hear_out(header.src);
        self.foca.handle_data(&checked, &mut self.queue).map_err(|_| GossipError::Protocol)
    }

    /// Who speaks is alive: a suspicion or a death that this node holds against it is forgotten. No new life and no greater incarnation is
    /// needed, which it could not know of: after a long silence nobody tells it any more that it was suspected.
    fn hear_out(&mut self, life: Life) {
        let held = self.foca.iter_membership_state().find(|member| *member.id() == life);
        let Some((incarnation, state)) = held.map(|member| (member.incarnation(), member.state())) else {
            return;
        };
        if state == State::Alive {
            return;
        }
        // The protocol forgets the dead only; nobody is told of this death.
        let down = Member::new(life, incarnation, State::Down);
        let _ = self.foca.apply_many(core::iter::once(down), false, &mut self.queue);
        let _ = self.foca.handle_timer(Timer::RemoveDown(life), &mut self.queue);
        let is_verdict = |timer: &Timer<Life>| matches!(timer, Timer::ChangeSuspectToDown { member_id, .. } if *member_id == life);
        self.queue.timers.retain(|_, timer| !is_verdict(timer));
    }

    fn members(mut rest: &[u8], count: u16) -> Result<Vec<Member<Life>>, CodecError> {
        if rest.len() != usize::from(count) * MEMBER_LEN {
            return Err(CodecError::Truncated);
        }
        (0..count).map(|_| Plain.decode_member(&mut rest)).collect()
    }

    /// What is believed of a third party's word about a member.
    fn believe<'k>(
        &mut self,
        from: NodeId,
        member: Member<Life>,
        key: &impl Fn(NodeId) -> Option<&'k PublicKey>,
        expected: &impl Fn(NodeId) -> Expectation,
    ) -> Option<Member<Life>> {
        let (life, incarnation) = (*member.id(), member.incarnation());
        let own = self.life();
        if life.node == own.node {
            // That it is dead, a node knows better; it refutes a suspicion of its present life, in an incarnation that others may hold it to have.
            let most = self.refuted().saturating_add(MAX_STEP);
            return match member.state() {
                State::Alive => None,
                State::Suspect | State::Down if life == own && incarnation <= most => {
                    if incarnation >= self.refuted() {
                        // From the last one on, the protocol begins another life.
                        self.own = (own, incarnation.saturating_add(1));
                    }
                    Some(Member::new(life, incarnation, State::Suspect))
                }
                State::Suspect | State::Down => {
                    self.refuse("gossip_incarnation");
                    None
                }
            };
        }
        if key(life.node).is_none() {
            self.refuse("gossip_stranger");
            return None;
        }
        let Some(known) = self.known.get_mut(&life.node).filter(|known| known.advert.life == life) else {
            self.refuse("gossip_life");
            return None;
        };
        let most = if member.state() == State::Alive {
            known.heard.saturating_add(MAX_STEP)
        } else {
            known.incarnation
        };
        if incarnation > most && from != life.node {
            self.refuse("gossip_incarnation");
            return None;
        }
        known.incarnation = known.incarnation.max(incarnation);
        match member.state() {
            State::Alive => Some(member),
            State::Suspect | State::Down if expected(life.node) != Expectation::Heard => {
                self.refuse("gossip_planned_silence");
                None
            }
            State::Suspect => Some(member),
            // Nobody takes another's word for a death.
            State::Down => Some(Member::new(life, incarnation, State::Suspect)),
        }
    }

    /// Forgets who is blocked: from now on it counts as down, whatever it says.
    pub fn block(&mut self, now: Instant, node: NodeId) {
        self.queue.now = now;
        if let Some(known) = self.known.remove(&node) {
            let down = Member::new(known.advert.life, u16::MAX, State::Down);
            let _ = self.foca.apply_many(core::iter::once(down), false, &mut self.queue);
        }
        self.heard.remove(&node);
    }

    /// Whether packets wait to be sent.
    #[must_use]
    pub fn has_packets(&self) -> bool {
        !self.queue.packets.is_empty()
    }

    /// The next packet to send, with this node's `advert` and a few others'.
    pub fn poll_packet(&mut self, advert: &[u8]) -> Option<Packet> {
        let (to, gossip) = self.queue.packets.pop_front()?;
        let others: Vec<&Known> = self.known.values().collect();
        let mut adverts: Vec<&[u8]> = [advert].to_vec();
        for offset in 0..others.len().min(ADVERTS - 1) {
            adverts.push(&others[(self.turn + offset) % others.len()].bytes);
        }
        self.turn = self.turn.wrapping_add(ADVERTS - 1);
        let mut bytes = Vec::with_capacity(gossip.len() + adverts.len() * 128);
        cbor::put_head(&mut bytes, cbor::ARRAY, 2);
        cbor::put_bytes(&mut bytes, &gossip);
        cbor::put_head(&mut bytes, cbor::ARRAY, adverts.len() as u64);
        adverts.iter().for_each(|advert| cbor::put_bytes(&mut bytes, advert));
        Some(Packet { to, bytes })
    }

    /// What is believed of a member at `now`.
    #[must_use]
    pub fn presence(&self, now: Instant, node: NodeId, expected: Expectation, blocked: bool) -> Presence {
        if blocked {
            return Presence::Blocked;
        }
        let state = self.foca.iter_membership_state().find(|member| member.id().node == node);
        let (state, heard) = (state.map(Member::state), self.heard.get(&node).copied());
        match (state, heard, expected) {
            // Whose whole last contact went by without a word is not silent as planned.
            (None, Some(heard), Expectation::Silent { last: Some(last), .. }) if heard < last => {
                Presence::Down
            }
            // While the plan says that it is silent, nothing can be told of it.
            (_, heard, Expectation::Silent { until, .. }) if heard.is_some() || until.is_some() => {
                Presence::Silent { until }
            }
            // Probes do not go by a slow contact: any word in it counts.
            (_, Some(heard), Expectation::Slow { since: Some(since) }) if heard < since => Presence::Suspect,
            (_, Some(_), Expectation::Slow { since: Some(_) }) => Presence::Alive,
            (Some(State::Alive), ..) => Presence::Alive,
            (Some(State::Suspect), ..) => Presence::Suspect,
            (Some(State::Down), ..) => Presence::Down,
            (None, Some(heard), _) => self.outside(now.saturating_since(heard)),
            (None, None, _) => Presence::Unknown,
        }
    }

    /// What is believed of one that neither gossip nor the plan tells of, that was heard so long ago.
    fn outside(&self, silence: Duration) -> Presence {
        let due = self.pace.period.saturating_mul(SILENCE);
        if silence <= due {
            Presence::Alive
        } else if silence <= due.saturating_mul(2) {
            Presence::Suspect
        } else {
            Presence::Down
        }
    }
}
