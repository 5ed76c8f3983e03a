//! Custody transfer by bundle-in-bundle encapsulation (draft-ietf-dtn-bibect-03).
//!
//! A custodian keeps a bundle durably and sends it inside another one to the next custodian, again and again, until that one's signal
//! says that it is durable there. So a bundle is always in somebody's care, and a lost tunnel bundle costs time only.
//!
//! Ours, where the draft is silent or another choice is safer:
//! - Whoever takes custody either delivers the bundle or names a custodian in turn; a node that can do neither refuses.
//! - A repeated transmission keeps its transmission ID, and IDs are never used again after a restart, so a late signal cannot release another bundle.
//! - A bundle whose custody was taken is remembered until it expires: a second copy is answered "redundant" and goes nowhere.
//! - A signal counts only from the custodian that was asked. Signals are not signed: who must trust neither the links nor their peers
//!   protects the tunnel's bundles by BPSec.

use super::{
    Followup, InputError, Node, Report, Timer,
    bundle_service::Whose,
    delivered::Delivered,
    forward::{ADMINISTRATIVE, Origin},
    ingress::{Arrival, Fate},
    output::DropReason,
};
use crate::{
    bpsec::discard_secured,
    bundle::{
        AdministrativeRecord, BlockKind, Bpdu, Bundle, BundleId, CreationTimestamp, CustodySignal,
        Disposition, HopCount, MAX_SPANS,
    },
    dtn::store::{Priority, StoreKey},
    id::{EndpointId, NodeId},
    time::{DtnTime, Instant},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

/// Tunnels within tunnels that are followed.
const MAX_DEPTH: u8 = 4;
/// Most answers that wait to be signalled; the custodian before asks again for those beyond.
const MAX_ANSWERS: usize = 4096;

/// Custody of bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodySettings {
    /// Who takes custody next of bundles for a node.
    pub via: BTreeMap<NodeId, NodeId>,
    /// Whether destinations that are not in the table take custody themselves.
    pub direct: bool,
    /// Most bundles in this node's custody.
    pub bundles: usize,
    /// Most bytes of them, encoded.
    pub bytes: usize,
    /// How long answers are gathered.
    pub signal_delay: Duration,
}

impl Default for CustodySettings {
    fn default() -> Self {
        Self {
            via: BTreeMap::new(),
            direct: true,
            bundles: 1024,
            bytes: 32 << 20,
            signal_delay: Duration::from_secs(1),
        }
    }
}

/// A bundle in this node's custody.
#[derive(Debug)]
struct Entrusted {
    bundle: Bundle,
    bytes: usize,
    custodian: NodeId,
    priority: Priority,
    expires: Instant,
    /// Its age when it was taken, and when that was.
    age: Option<Duration>,
    taken: Instant,
    attempts: u32,
    /// The tunnel bundle of the last attempt, as long as it is in the store.
    tunnel: Option<StoreKey>,
}

/// What this node answers for, and what it owes others.
#[derive(Debug, Default)]
pub(super) struct Custody {
    held: BTreeMap<u64, Entrusted>,
    bytes: usize,
    /// Transmissions begun in this incarnation.
    count: u32,
    /// Bundles whose custody was taken.
    pub(super) taken: Delivered,
    answers: BTreeMap<EndpointId, BTreeMap<Disposition, BTreeSet<u64>>>,
    waiting: usize,
}

impl Node {
    /// Who would take custody of a bundle for `destination` after this node.
    pub(super) fn custodian(&self, destination: NodeId) -> Option<NodeId> {
        let settings = self.config.bundles.custody.as_ref()?;
        settings.via.get(&destination).copied().or_else(|| settings.direct.then_some(destination))
    }

    /// Takes custody of a bundle for another node: durable with the next batch, then with its custodian. `false`: no room.
    pub(super) fn take_custody(
        &mut self,
        mut bundle: Bundle,
        custodian: NodeId,
        priority: Priority,
        left: Duration,
    ) -> bool {
        let Some(settings) = &self.config.bundles.custody else { return false };
        let hops = bundle.hop_count().unwrap_or(HopCount { limit: u8::MAX, count: 0 });
        // RFC 9171 §5.4: the tunnel is one hop.
        discard_secured(&mut bundle, BlockKind::PREVIOUS_NODE);
        bundle.set_previous_node(&self.config.id.endpoint(ADMINISTRATIVE));
        bundle.set_hop_count(HopCount { count: hops.count.saturating_add(1), ..hops });
        let bytes = bundle.encoded_len();
        if self.custody.held.len() >= settings.bundles || self.custody.bytes + bytes > settings.bytes {
            return false;
        }
        self.custody.count += 1;
        let transmission = u64::from(self.incarnation) << 32 | u64::from(self.custody.count);
        self.keep_custody(transmission, custodian, priority, left, &bundle.encode());
        self.hold(transmission, custodian, priority, left, bundle);
        true
    }

    /// Holds a bundle that is kept; it is sent as soon as the node comes to it.
    pub(super) fn hold(
        &mut self,
        transmission: u64,
        custodian: NodeId,
        priority: Priority,
        left: Duration,
        bundle: Bundle,
    ) {
        let bytes = bundle.encoded_len();
        let expires = self.now.saturating_add(left);
        let age = bundle.age_ms().map(Duration::from_millis);
        let (taken, attempts, tunnel) = (self.now, 0, None);
        let entrusted =
            Entrusted { bundle, bytes, custodian, priority, expires, age, taken, attempts, tunnel };
        self.custody.bytes += bytes;
        self.custody.held.insert(transmission, entrusted);
        self.timers.arm(Timer::Custody(transmission), self.now);
    }

    /// The time for a signal is over.
    pub(super) fn on_custody_timeout(&mut self, transmission: u64) {
        let Some(entrusted) = self.custody.held.get(&transmission) else { return };
        if entrusted.expires <= self.now {
            if let Some(entrusted) = self.end_custody(transmission) {
                self.drop_bundle(&entrusted.bundle, DropReason::Expired);
            }
            return;
        }
        let waits = entrusted.tunnel.is_some_and(|key| self.store.get(key).is_some());
        let (custodian, attempts, bytes) = (entrusted.custodian, entrusted.attempts, entrusted.bytes as u64);
        let expires = entrusted.expires;
        let timeout = self.patience(custodian, bytes, expires, attempts);
        let timeout = self.jittered(timeout);
        if !waits {
            self.transmit_entrusted(transmission, timeout);
        }
        let again = self.now.saturating_add(timeout).min(expires);
        self.timers.arm(Timer::Custody(transmission), again);
    }

    fn transmit_entrusted(&mut self, transmission: u64, timeout: Duration) {
        let now = self.civil_now();
        let ours = self
            .custody
            .held
            .get(&transmission)
            .is_some_and(|entrusted| self.whose(&entrusted.bundle.primary().source) == Whose::Ours);
        let Some(entrusted) = self.custody.held.get_mut(&transmission) else { return };
        let left = entrusted.expires.saturating_since(self.now);
        if let Some(age) = entrusted.age {
            let age = age + self.now.saturating_since(entrusted.taken);
            entrusted.bundle.set_age_ms(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        }
        entrusted.attempts += 1;
        let (id, custodian, priority) = (entrusted.bundle.id(), entrusted.custodian, entrusted.priority);
        let repeated = entrusted.attempts > 1;
        let retransmission_time = match now {
            DtnTime::UNKNOWN => DtnTime::UNKNOWN,
            now => DtnTime(now.0.saturating_add(timeout.as_millis() as u64)),
        };
        let bundle = entrusted.bundle.encode();
        let bpdu = Bpdu { transmission_id: transmission, retransmission_time, bundle };
        if repeated {
            self.report(Report::CustodyRepeated { id, custodian });
        }
        let record = AdministrativeRecord::Encapsulated(bpdu);
        // What is in the tunnel has no more rights than it would have outside.
        let origin = if ours { Origin::Control } else { Origin::Prompted };
        let key = self.send_record(custodian.endpoint(ADMINISTRATIVE), &record, priority, left, origin);
        if let Some(entrusted) = self.custody.held.get_mut(&transmission) {
            entrusted.tunnel = key;
        }
    }

    /// An encapsulated bundle came in for this node, the end of a tunnel.
    pub(super) fn on_encapsulated(
        &mut self,
        source: &EndpointId,
        bpdu: &Bpdu,
        arrival: Arrival,
    ) -> Result<Fate, InputError> {
        if self.config.bundles.custody.is_none() {
            return Err(self.refuse("encapsulation_not_configured"));
        }
        let Whose::Node(sender) = self.whose(source) else {
            return Err(self.refuse("encapsulated_by_nobody"));
        };
        if arrival.depth >= MAX_DEPTH {
            return Err(self.refuse("encapsulated_too_deep"));
        }
        let policy = self.policy(Some(sender));
        let asks = bpdu.transmission_id != 0;
        let answer = |disposition| (source.clone(), disposition, bpdu.transmission_id);
        let bundle = match Bundle::decode_with(&bpdu.bundle, policy) {
            Ok(bundle) => bundle,
            Err(error) => {
                if asks {
                    self.answer(answer(Disposition::UNINTELLIGIBLE_BLOCK));
                }
                return Err(self.refuse(error.reason()));
            }
        };
        let entrusted_by = asks.then_some(sender);
        let arrival = Arrival { depth: arrival.depth + 1, entrusted_by, ..arrival };
        if !asks {
            return self.receive(bundle, &bpdu.bundle, arrival);
        }
        let id = match &bundle.primary().source {
            // What has no name (RFC 9171 §4.2.3) is known by its transmission.
            EndpointId::Null => BundleId {
                source: source.clone(),
                creation: CreationTimestamp { time: DtnTime::UNKNOWN, sequence: bpdu.transmission_id },
                fragment: None,
            },
            _ => bundle.id(),
        };
        // Fragments of one name may differ in length.
        let known = self.custody.taken.knows(&id);
        if known && !self.lacks_part(&bundle) {
            self.answer(answer(Disposition::REDUNDANT));
            return Err(self.refuse("custody_redundant"));
        }
        let left = self.lifetime_left(&bundle).map(|left| self.memorable(&bundle, left));
        let max = self.config.bundles.max_remembered;
        let lacks_memory = |left| !known && !self.custody.taken.has_room(&id, arrival.from, left, max);
        let fate = if left.is_some_and(lacks_memory) {
            Ok(Fate::Dropped(DropReason::StoreFull))
        } else {
            self.receive(bundle, &bpdu.bundle, arrival)
        };
        let disposition = disposition(&fate);
        if let (Disposition::ACCEPTED, Some(left), false) = (disposition, left, known) {
            self.remember_custody(id, arrival.from, left);
        }
        self.answer(answer(disposition));
        fate
    }

    fn remember_custody(&mut self, id: BundleId, from: Option<NodeId>, left: Duration) {
        let expires = self.now.saturating_add(left);
        self.keep_taken(&id, left);
        self.custody.taken.remember(id, expires, from);
        self.arm_forgetting_custody();
    }

    /// Bundles whose custody was taken and that have expired cannot come again.
    pub(super) fn on_forget_custody(&mut self) {
        for id in self.custody.taken.expire(self.now) {
            self.forget_taken(&id);
        }
        self.arm_forgetting_custody();
    }

    pub(super) fn arm_forgetting_custody(&mut self) {
        if let Some(at) = self.custody.taken.next_expiry() {
            self.timers.arm(Timer::ForgetCustody, at);
        }
    }

    /// Answers a custodian once everything that came in so far is durable: a repetition must not be answered before the first copy may be.
    fn answer(&mut self, (source, disposition, transmission): (EndpointId, Disposition, u64)) {
        let followup = Followup::CustodyAnswer(source, disposition, transmission);
        self.after_durable(followup);
    }

    /// What an answer waited for is durable.
    pub(super) fn on_answer_durable(
        &mut self,
        source: EndpointId,
        disposition: Disposition,
        transmission: u64,
    ) {
        if self.custody.waiting >= MAX_ANSWERS {
            return self.count("custody_answers_full");
        }
        let ids = self.custody.answers.entry(source).or_default().entry(disposition).or_default();
        self.custody.waiting += usize::from(ids.insert(transmission));
        let delay =
            self.config.bundles.custody.as_ref().map_or(Duration::ZERO, |custody| custody.signal_delay);
        self.timers.arm_by(Timer::CustodySignals, self.now.saturating_add(delay));
    }

    /// Sends the gathered answers.
    pub(super) fn on_custody_signals_due(&mut self) {
        self.custody.waiting = 0;
        for (source, dispositions) in core::mem::take(&mut self.custody.answers) {
            for (disposition, ids) in dispositions {
                let signal = CustodySignal::new(disposition, ids);
                for spans in signal.spans.chunks(MAX_SPANS as usize) {
                    let signal = CustodySignal { disposition, spans: spans.to_vec() };
                    let record = AdministrativeRecord::CustodySignal(signal);
                    let lifetime = self.config.control_lifetime;
                    let (to, urgent) = (source.clone(), Priority::Expedited);
                    if self.send_record(to, &record, urgent, lifetime, Origin::Prompted).is_none() {
                        // The custodian before will ask again.
                        self.count("custody_signal_not_sent");
                    }
                }
            }
        }
    }

    /// A signal came in: what its sender answers for now is let go.
    pub(super) fn on_custody_signal(
        &mut self,
        source: &EndpointId,
        signal: &CustodySignal,
    ) -> Result<Fate, InputError> {
        let sender = self.node_of(source);
        let (mut known, mut strange) = (false, false);
        for span in signal.spans.iter().filter(|span| span.count > 0) {
            let last = span.first.saturating_add(span.count - 1);
            let named: Vec<u64> = self.custody.held.range(span.first..=last).map(|(id, _)| *id).collect();
            for transmission in named {
                let custodian = self.custody.held.get(&transmission).map(|entrusted| entrusted.custodian);
                if custodian != sender {
                    strange = true;
                    continue;
                }
                known = true;
                self.on_disposition(transmission, signal.disposition);
            }
        }
        match (strange, known) {
            (true, _) => Err(self.refuse("custody_signal_stranger")),
            (false, false) => Err(self.refuse("custody_signal_unknown")),
            (false, true) => Ok(Fate::Taken),
        }
    }

    fn on_disposition(&mut self, transmission: u64, disposition: Disposition) {
        if !disposition.releases() {
            // Its time may come yet: the next attempt is made when it would have been without the answer.
            if let Some(entrusted) = self.custody.held.get(&transmission) {
                let (id, custodian) = (entrusted.bundle.id(), entrusted.custodian);
                self.report(Report::CustodyRefused { id, custodian, disposition });
            }
            return;
        }
        if let Some(entrusted) = self.end_custody(transmission) {
            let Entrusted { bundle, custodian, .. } = entrusted;
            self.report(Report::CustodyReleased { id: bundle.id(), custodian });
        }
    }

    fn end_custody(&mut self, transmission: u64) -> Option<Entrusted> {
        let entrusted = self.custody.held.remove(&transmission)?;
        self.custody.bytes -= entrusted.bytes;
        self.timers.disarm(Timer::Custody(transmission));
        self.forget_custody(transmission);
        if let Some(key) = entrusted.tunnel {
            self.release(key);
        }
        Some(entrusted)
    }
}

/// The draft's word for what became of an encapsulated bundle.
pub(super) fn disposition(fate: &Result<Fate, InputError>) -> Disposition {
    match fate {
        Ok(Fate::Taken) => Disposition::ACCEPTED,
        Ok(Fate::Dropped(reason)) => match reason {
            DropReason::StoreFull => Disposition::DEPLETED_STORAGE,
            DropReason::NoDestination => Disposition::UNINTELLIGIBLE_DESTINATION,
            DropReason::NoRoute | DropReason::Loop | DropReason::HopLimit => Disposition::NO_ROUTE,
            DropReason::Expired | DropReason::Incomplete => Disposition::NO_TIMELY_CONTACT,
            DropReason::UnsupportedBlock | DropReason::Unintelligible => Disposition::UNINTELLIGIBLE_BLOCK,
        },
        Err(InputError::Refused { reason }) => match *reason {
            "duplicate" | "duplicate_bundle" | "duplicate_fragment" => Disposition::REDUNDANT,
            "reassembly_full" | "delivered_memory_full" | "too_many_fragments" => {
                Disposition::DEPLETED_STORAGE
            }
            _ => Disposition::UNINTELLIGIBLE_BLOCK,
        },
        Err(_) => Disposition::UNINTELLIGIBLE_BLOCK,
    }
}
