//! Bundles from a link: for this node, or onward.

use super::{
    InputError, Node, Report, StreamKey,
    blocks::Blocks,
    bundle_service::Whose,
    forward::{ENVELOPES, Origin},
    keep,
    output::{Delivery, DropReason},
};
use crate::{
    bundle::{Bundle, BundleFlags, Policy, ReportReason, Status},
    delivery::{Incoming, Message, Standing},
    dtn::{
        contact_plan::{MAX_OWLT, PlannedContact},
        store::Priority,
    },
    envelope::{Header, Parsed, Purpose},
    id::{EndpointId, NodeId},
    time::{DtnTime, Instant},
};
use alloc::vec::Vec;
use core::time::Duration;

/// How a bundle came to this node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    /// The neighbour that brought it.
    pub(super) from: Option<NodeId>,
    /// Tunnels that it came out of.
    pub(super) depth: u8,
    /// Who wants to be rid of its custody.
    pub(super) entrusted_by: Option<NodeId>,
    /// How long it has been under way since somebody wrote its age into it.
    pub(super) under_way: Duration,
}

/// What became of a bundle that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// This node has it, sends it on, or has delivered it.
    Taken,
    /// This node does not want it.
    Dropped(DropReason),
}

impl Node {
    /// A whole bundle came in from `peer`, who is not known when its link went down meanwhile. `absent`: bytes of its payload that are
    /// counted and not there.
    pub(super) fn on_bundle(
        &mut self,
        peer: Option<NodeId>,
        bytes: &[u8],
        absent: u32,
    ) -> Result<Fate, InputError> {
        let policy = self.policy(peer);
        let mut bundle = Bundle::decode_with(bytes, policy).map_err(|error| self.refuse(error.reason()))?;
        if absent > 0 {
            if !self.config.counted_payloads || !bundle.payload().is_empty() {
                return Err(self.refuse("counted_payload"));
            }
            bundle.set_absent(absent);
        }
        self.attribute(&mut bundle, peer);
        if let Some(teller) = self.summary_from(&bundle) {
            return self.take_summary(bundle, teller, peer).map(|()| Fate::Taken);
        }
        let under_way = if bundle.age_ms().is_some() { self.light_time_from(peer) } else { Duration::ZERO };
        self.receive(bundle, bytes, Arrival { from: peer, under_way, ..Arrival::default() })
    }

    /// The light time from `peer` to here now, as far as the contact plan knows it.
    fn light_time_from(&self, peer: Option<NodeId>) -> Duration {
        let (now, here) = (self.now, self.config.id);
        let Some(peer) = peer else { return Duration::ZERO };
        let earliest = Instant::from_nanos(now.as_nanos().saturating_sub(MAX_OWLT.as_nanos() as u64));
        let is_open = |contact: &&PlannedContact| {
            let (first, last) =
                (contact.start.saturating_add(contact.owlt), contact.end.saturating_add(contact.owlt));
            contact.to == here && first <= now && now <= last
        };
        let mut contacts = self.plan.from_node(peer, earliest).map(|(_, contact)| contact);
        contacts.find(is_open).map_or(Duration::ZERO, |contact| contact.owlt)
    }

    /// How old a bundle is.
    fn age_of(&self, bundle: &Bundle) -> Duration {
        let created = bundle.primary().creation.time;
        match self.civil_now() {
            now if now != DtnTime::UNKNOWN && created != DtnTime::UNKNOWN => {
                Duration::from_millis(now.0.saturating_sub(created.0))
            }
            _ => Duration::from_millis(bundle.age_ms().unwrap_or(0)),
        }
    }

    /// How bundles from `peer` are judged.
    pub(super) fn policy(&self, peer: Option<NodeId>) -> Policy {
        let settings = &self.config.bundles;
        peer.and_then(|peer| settings.policies.get(&peer)).copied().unwrap_or(settings.policy)
    }

    /// A bundle that was read (RFC 9171 §5.6).
    pub(super) fn receive(
        &mut self,
        mut bundle: Bundle,
        encoded: &[u8],
        arrival: Arrival,
    ) -> Result<Fate, InputError> {
        let (source, destination) = (&bundle.primary().source, &bundle.primary().destination);
        if source.is_local_node() || destination.is_local_node() {
            // RFC 9758 §5.4: such names have no meaning beyond the node that wrote them.
            return Err(self.refuse("local_node"));
        }
        if let Some(source) = source.node().filter(|source| self.is_blocked(*source)) {
            self.remind_the_blocked(source);
            return Err(self.refuse("blocked_source"));
        }
        let mut changed = false;
        if let Some(age) = bundle.age_ms().filter(|_| !arrival.under_way.is_zero()) {
            // RFC 9171 §4.4.2: an age counts the way between nodes too.
            let under_way = u64::try_from(arrival.under_way.as_millis()).unwrap_or(u64::MAX);
            bundle.set_age_ms(age.saturating_add(under_way));
            changed = true;
        }
        let Some(left) = self.lifetime_left(&bundle) else {
            return Ok(self.turn_away(&bundle, DropReason::Expired, arrival));
        };
        if arrival.depth > 0 {
            // Nobody can say who among the neighbours has what comes out of a tunnel.
            self.attribute(&mut bundle, None);
        }
        // A strategy of copies wants to hear of its own bundles too.
        // But that it knows a name is no answer to a custodian: the copy may be one that makes way, or a neighbour's.
        if arrival.entrusted_by.is_none() && self.is_duplicate(&bundle) {
            return Err(self.refuse("duplicate_bundle"));
        }
        if self.whose(&bundle.primary().source) == Whose::Ours {
            return Ok(self.turn_away(&bundle, DropReason::Loop, arrival));
        }
        if bundle.hop_count().is_some_and(|hops| hops.count > u64::from(hops.limit)) {
            return Ok(self.turn_away(&bundle, DropReason::HopLimit, arrival));
        }
        let blocks = bundle.blocks().len();
        let mut bundle = self.check_security(bundle)?;
        changed |= bundle.blocks().len() != blocks;
        self.report_status(&bundle, Status::Received, ReportReason::NONE);
        match self.process_blocks(&mut bundle) {
            Blocks::Kept if !changed => self.dispatch_bundle(bundle, encoded, left, arrival),
            // What is kept on the disk is what is in the store.
            Blocks::Kept | Blocks::Discarded => {
                let encoded = bundle.encode();
                self.dispatch_bundle(bundle, &encoded, left, arrival)
            }
            Blocks::DeleteBundle => Ok(self.turn_away(&bundle, DropReason::UnsupportedBlock, arrival)),
        }
    }

    fn dispatch_bundle(
        &mut self,
        bundle: Bundle,
        encoded: &[u8],
        left: Duration,
        arrival: Arrival,
    ) -> Result<Fate, InputError> {
        match self.whose(&bundle.primary().destination) {
            Whose::Ours => self.on_destined(bundle, left, arrival),
            // What has no name cannot be known again, and copies of it would never end (RFC 9171 §4.2.3).
            Whose::Node(_) if self.spread.is_some() && bundle.primary().source == EndpointId::Null => {
                Ok(self.turn_away(&bundle, DropReason::NoRoute, arrival))
            }
            Whose::Node(node) => Ok(self.pass_on(bundle, node, left, encoded, arrival)),
            Whose::Nobody => Ok(self.turn_away(&bundle, DropReason::NoDestination, arrival)),
            Whose::Unknown => Ok(self.turn_away(&bundle, DropReason::NoRoute, arrival)),
        }
    }

    /// Drops a bundle, unless somebody else keeps its custody then.
    pub(super) fn turn_away(&mut self, bundle: &Bundle, reason: DropReason, arrival: Arrival) -> Fate {
        if arrival.entrusted_by.is_some() {
            return Fate::Dropped(reason);
        }
        self.drop_bundle(bundle, reason)
    }

    /// A bundle for this node. A message that was delivered before in another bundle is delivered too.
    fn on_destined(&mut self, bundle: Bundle, left: Duration, arrival: Arrival) -> Result<Fate, InputError> {
        let named = bundle.primary().source != EndpointId::Null;
        let noted = (self.spread.is_some() && named).then(|| bundle.clone());
        let result = self.on_local(bundle, left, arrival);
        if let Some(bundle) = noted
            && matches!(result, Ok(_) | Err(InputError::Refused { reason: "duplicate" }))
        {
            self.note_delivered(&bundle, left);
        }
        result
    }

    /// What is left of a bundle's lifetime, at most [`super::BundleSettings::max_lifetime`]; `None` when it is over.
    ///
    /// By the creation time where both ends have a clock, else by the age that the bundle tells (RFC 9171 §4.4.2). With neither,
    /// it counts as just made.
    pub(super) fn lifetime_left(&self, bundle: &Bundle) -> Option<Duration> {
        let primary = bundle.primary();
        let now = self.civil_now();
        let clocks = primary.creation.time != DtnTime::UNKNOWN && now != DtnTime::UNKNOWN;
        let max = u64::try_from(self.config.bundles.max_lifetime.as_millis()).unwrap_or(u64::MAX);
        let left = if clocks {
            // The bound counts from the creation, so that no copy comes back to life when this node has forgotten the bundle.
            let age = now.0.saturating_sub(primary.creation.time.0);
            let in_bounds = self.ahead(bundle) <= self.config.bundles.max_lifetime;
            primary.lifetime_ms.min(max).checked_sub(age).filter(|_| in_bounds)
        } else {
            primary.lifetime_ms.checked_sub(bundle.age_ms().unwrap_or(0)).map(|left| left.min(max))
        };
        left.filter(|left| *left > 0).map(Duration::from_millis)
    }

    /// By how much a bundle's creation lies in the future; zero where one of the ends has no clock.
    fn ahead(&self, bundle: &Bundle) -> Duration {
        match self.civil_now() {
            DtnTime::UNKNOWN => Duration::ZERO,
            now => Duration::from_millis(bundle.primary().creation.time.0.saturating_sub(now.0)),
        }
    }

    /// For how long the name of a bundle that has so much left must be remembered: until every copy of it is too old.
    pub(super) fn memorable(&self, bundle: &Bundle, left: Duration) -> Duration {
        left + self.ahead(bundle)
    }

    /// A bundle for another node.
    fn pass_on(
        &mut self,
        bundle: Bundle,
        destination: NodeId,
        left: Duration,
        encoded: &[u8],
        arrival: Arrival,
    ) -> Fate {
        if bundle.hop_count().is_some_and(|hops| hops.count >= u64::from(hops.limit)) {
            return self.turn_away(&bundle, DropReason::HopLimit, arrival);
        }
        let priority = self.priority_of(&bundle);
        let Some(sender) = arrival.entrusted_by else {
            if self.is_critical(&bundle) {
                return self.pass_on_critical(bundle, priority, left, encoded, arrival);
            }
            return match self.store_bundle(bundle, priority, left, Origin::Kept(encoded)) {
                Some(_) => Fate::Taken,
                None => Fate::Dropped(DropReason::StoreFull),
            };
        };
        match self.custodian(destination).filter(|custodian| *custodian != sender) {
            Some(custodian) if self.take_custody(bundle, custodian, priority, left) => Fate::Taken,
            Some(_) => Fate::Dropped(DropReason::StoreFull),
            None => Fate::Dropped(DropReason::NoRoute),
        }
    }

    /// A bundle for this node, or a part of one.
    fn on_local(&mut self, bundle: Bundle, left: Duration, arrival: Arrival) -> Result<Fate, InputError> {
        if bundle.primary().fragment.is_none() {
            return self.on_whole(bundle, left, arrival);
        }
        if !self.is_wanted(bundle.primary()) {
            return Ok(self.turn_away(&bundle, DropReason::NoDestination, arrival));
        }
        let Some((whole, joined)) = self.on_fragment(bundle, left, arrival)? else { return Ok(Fate::Taken) };
        // RFC 9172 §5.1.1: what secures the whole is checked on the whole.
        let result = self.check_security(whole).and_then(|whole| self.on_whole(whole, left, arrival));
        self.settle_fragments(joined, &result);
        result
    }

    /// A whole bundle for this node.
    fn on_whole(&mut self, mut bundle: Bundle, left: Duration, arrival: Arrival) -> Result<Fate, InputError> {
        if let Err(error) = bundle.decompress(self.config.bundles.max_payload) {
            self.turn_away(&bundle, DropReason::Unintelligible, arrival);
            return Err(self.refuse(error.reason()));
        }
        let primary = bundle.primary();
        if primary.flags.contains(BundleFlags::ADMINISTRATIVE_RECORD) {
            return self.on_record(&bundle, Arrival { under_way: self.age_of(&bundle), ..arrival });
        }
        match &primary.destination {
            EndpointId::Ipn { service: ENVELOPES, .. } => {
                self.on_envelope(&bundle, arrival.from)?;
                self.report_status(&bundle, Status::Delivered, ReportReason::NONE);
                Ok(Fate::Taken)
            }
            _ => self.deliver_bundle(&bundle, left, arrival),
        }
    }

    /// An envelope that this neighbour brought, checked from cheap to dear.
    fn on_envelope(&mut self, bundle: &Bundle, from: Option<NodeId>) -> Result<(), InputError> {
        let parsed = Parsed::parse(bundle.payload()).map_err(|error| self.refuse(error.reason()))?;
        let header = *parsed.header();
        parsed.check_addressee(self.config.id).map_err(|error| self.refuse(error.reason()))?;
        if bundle.primary().source.node() != Some(header.sender) {
            return Err(self.refuse("source_mismatch"));
        }
        if header.purpose == Purpose::Acknowledgement {
            self.replay.check(&header).map_err(|error| self.refuse(error.reason()))?;
            let opened = self.verify(parsed)?;
            self.replay.commit(&header).map_err(|error| self.refuse(error.reason()))?;
            self.note_heard(header.sender, header.created, from);
            return self.on_control(header.sender, opened.payload).map_err(|reason| self.refuse(reason));
        }
        if header.purpose == Purpose::Membership {
            self.replay.check(&header).map_err(|error| self.refuse(error.reason()))?;
            if !self.has_share(header.sender, bundle.payload().len()) {
                return Err(self.refuse("share_exceeded"));
            }
            let opened = self.verify(parsed)?;
            self.spend_share(header.sender, bundle.payload().len());
            self.replay.commit(&header).map_err(|error| self.refuse(error.reason()))?;
            return self.on_gossip(header.sender, opened.payload).map_err(|reason| self.refuse(reason));
        }
        self.on_message(&header, parsed, bundle.payload(), from)
    }

    /// A message of a stream.
    fn on_message(
        &mut self,
        header: &Header,
        parsed: Parsed<'_>,
        sealed: &[u8],
        from: Option<NodeId>,
    ) -> Result<(), InputError> {
        let key = StreamKey { peer: header.sender, purpose: header.purpose };
        if self.config.directory.key(key.peer).is_none() {
            return Err(self.refuse("unknown_sender"));
        }
        if header.sequence == 0 {
            return Err(self.refuse("sequence_zero"));
        }
        let window = self.config.window;
        let known = self.incoming.get(&key);
        let standing = known.map_or_else(
            || Incoming::new(window).standing(header.incarnation, header.sequence),
            |stream| stream.standing(header.incarnation, header.sequence),
        );
        match standing {
            Standing::Fresh => {}
            Standing::Duplicate => {
                // Nothing secret in repeating an acknowledgement, so the signature need not be checked for it.
                self.repeat_acknowledgement(key.peer);
                if self.has_share(key.peer, sealed.len()) {
                    self.on_repeated(key, header, parsed, (sealed, from));
                }
                return Err(self.refuse("duplicate"));
            }
            Standing::StaleEpoch => return Err(self.refuse("old_incarnation")),
            Standing::BeyondWindow => {
                if self.has_share(key.peer, sealed.len()) {
                    self.tell_where_a_stream_stands(key, header, parsed);
                }
                return Err(self.refuse("sequence_too_far"));
            }
        }
        if !self.has_share(key.peer, sealed.len()) {
            return Err(self.refuse("share_exceeded"));
        }
        let opened = self.verify(parsed)?;
        self.spend_share(key.peer, sealed.len());
        self.note_heard(key.peer, header.created, from);
        self.note_way_back(key.peer, from);
        self.note_taken(key, header, sealed, opened.payload);
        let message =
            Message { sequence: header.sequence, created: header.created, payload: opened.payload.to_vec() };
        self.take_message(key, header.incarnation, message);
        Ok(())
    }

    fn take_message(&mut self, key: StreamKey, epoch: u32, message: Message) {
        let window = self.config.window;
        let sequence = message.sequence;
        self.forget_old_epoch(key, epoch);
        let mut due = core::mem::take(&mut self.due);
        let stream = self.incoming.entry(key).or_insert_with(|| Incoming::new(window));
        let floor = stream.floor();
        if sequence == 1 + if epoch > stream.epoch() { 0 } else { floor } {
            stream.accept(epoch, message, &mut due);
            let floor = stream.floor();
            self.keep_incoming_stream(key, epoch, floor);
            for message in due.drain(..) {
                if message.sequence != sequence {
                    self.delete(keep::key(keep::Kept::EarlyMessage, key, message.sequence));
                }
                self.consume(key, epoch, message);
            }
        } else {
            self.keep_early_message(key, &message);
            self.incoming
                .entry(key)
                .or_insert_with(|| Incoming::new(window))
                .accept(epoch, message, &mut due);
            let stream = &self.incoming[&key];
            let (epoch, floor) = (stream.epoch(), stream.floor());
            self.keep_incoming_stream(key, epoch, floor);
        }
        self.due = due;
        self.owe_acknowledgement(key);
    }

    /// The sender starts anew: what is kept of messages beyond a gap of its earlier epoch goes.
    pub(super) fn forget_old_epoch(&mut self, key: StreamKey, epoch: u32) {
        let Some(stream) = self.incoming.get(&key).filter(|stream| epoch > stream.epoch()) else { return };
        let early: Vec<u64> = stream.early().collect();
        for sequence in early {
            self.delete(keep::key(keep::Kept::EarlyMessage, key, sequence));
        }
    }

    /// An application's message, opened if it was sealed.
    pub(super) fn deliver_opened(&mut self, key: StreamKey, epoch: u32, message: Message) {
        let Message { sequence, created, payload } = message;
        let (source, purpose) = (key.peer, key.purpose);
        if let Err(error) = self.judge_message(purpose, &payload) {
            // Its turn is over: what follows does not wait for it.
            return self.report_durable(Report::ModuleRefused { reason: error.reason() });
        }
        self.batch.deliveries.push(Delivery { source, purpose, epoch, sequence, created, payload });
    }

    /// A message whose turn has come.
    pub(super) fn consume(&mut self, key: StreamKey, epoch: u32, message: Message) {
        let Message { sequence, created, payload } = message;
        let (source, purpose) = (key.peer, key.purpose);
        if !self.admits(source, purpose) {
            return;
        }
        match purpose {
            Purpose::Telemetry | Purpose::Command | Purpose::Event => {
                let message = Message { sequence, created, payload };
                if let Some(message) = self.unseal(key, epoch, message) {
                    self.deliver_opened(key, epoch, message);
                }
                return;
            }
            Purpose::Sync => self.on_sync_message(source, &payload),
            Purpose::Plan => self.on_plan_message(source, &payload),
            Purpose::Trust => self.on_trust_message(source, &payload),
            Purpose::Governance => self.on_governance_message(source, &payload),
            Purpose::GroupKey => self.on_group_key(source, &payload),
            // These are not streams.
            Purpose::Acknowledgement | Purpose::Membership => {}
        }
        let bytes = payload.len();
        self.report_durable(Report::Consumed { source, purpose, epoch, sequence, bytes, created });
    }
}

impl Node {
    /// BPv7 bundles carry no class of service (RFC 9171 dropped it). A relay takes it from the envelope, unverified: whoever lies about it, in
    /// the name of a member, gains a place in a queue, no more; for room in the store it counts as any other.
    fn priority_of(&self, bundle: &Bundle) -> Priority {
        let EndpointId::Ipn { service: ENVELOPES, .. } = bundle.primary().destination else {
            return Priority::Normal;
        };
        let Ok(parsed) = Parsed::parse(bundle.payload()) else { return Priority::Normal };
        let header = parsed.header();
        let member = bundle.primary().source.node() == Some(header.sender)
            && self.config.directory.key(header.sender).is_some();
        match header.purpose {
            Purpose::Command | Purpose::Plan | Purpose::Acknowledgement if member => Priority::Expedited,
            _ => Priority::Normal,
        }
    }
}
