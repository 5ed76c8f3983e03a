//! The slot model of [`crate::planning::solver::slots`], with masks and a committee that takes time.
//!
//! The coordinator closes a window at the end of a slot in which one is due, and the committee's mask sums are there `unmasking` slots
//! later: one window at a time. Nothing else differs, so what masks cost is the difference between the two courses.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng as _};

use super::{MaskedAnswer, MaskedRequest, SecureAsset, SecureCoordinator, SecureError};
use crate::{
    id::NodeId,
    planning::{
        fleet::FleetProblem,
        message::{FRACTION_BITS, MAX_SHARE},
        privacy::{
            self, Aggregator, AssetSecret, CommitteeMember, Enrolled, MaskSum, Policy, PrivacyError, Seat,
            SeatSecret, Survivors, Terms, TermsParts,
            noise::{Ledger, Mechanism, NoiseSettings},
        },
        qp::QpSettings,
        solver::{Asset, Coordinator, MethodSettings, Pace, slots::Course, slots::SlotModel},
    },
    time::Instant,
};

/// How windows are opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unmasking {
    /// The least number of contributions that are opened.
    pub k_min: usize,
    /// Seats of the committee, 2 to 16; they are no assets of the plan.
    pub seats: usize,
    /// Slots from a survivor set to the last mask sum.
    pub slots: usize,
    /// The greatest magnitude of an entry of an answer; with the fewest bits for it.
    pub greatest: f64,
    /// Noise on every answer.
    pub noise: Option<NoiseSettings>,
}

impl Unmasking {
    /// Four seats that answer at once, for entries as large as a solver allows.
    #[must_use]
    pub const fn at_once(k_min: usize) -> Self {
        Self { k_min, seats: 4, slots: 0, greatest: MAX_SHARE, noise: None }
    }
}

/// What a run showed, beside its course: `bytes_up` and `bytes_down` of the course are those of assets.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedCourse {
    /// As without masks. `bytes_up` and `bytes_down` are those of the assets' links.
    pub course: Course,
    /// Windows that were opened.
    pub windows: usize,
    /// Bytes of survivor sets, over all members.
    pub bytes_to_committee: usize,
    /// Bytes of mask sums, over all members.
    pub bytes_of_committee: usize,
    /// The greatest ρ that an asset has spent; 0 without noise.
    pub rho: f64,
}

/// Runs a fleet whose optimum is `best` under a method and masks until it commits or the slots end.
///
/// # Errors
/// [`SecureError`] when a setting is out of range or a local problem cannot be solved.
pub fn run(
    fleet: &FleetProblem,
    best: f64,
    settings: MethodSettings,
    model: SlotModel,
    unmasking: Unmasking,
) -> Result<MaskedCourse, SecureError> {
    let mut run = Run::new(fleet, settings, model, unmasking)?;
    for slot in 0..model.limit {
        run.slot(slot)?;
        let values: Vec<&[f64]> = run.assets.iter().map(|asset| asset.asset().values()).collect();
        let course = &mut run.shown.course;
        course.gaps.push(fleet.gap(&values, best));
        course.outcome = run.coordinator.coordinator().outcome();
        if course.outcome.is_some() {
            break;
        }
    }
    let ledgers = run.assets.iter().filter_map(SecureAsset::ledger);
    run.shown.rho = ledgers.map(Ledger::rho).fold(0.0, f64::max);
    Ok(run.shown)
}

const SLOT: Duration = Duration::from_secs(1);
const COORDINATOR: NodeId = NodeId(u32::MAX as u64 - 1);

struct Run {
    coordinator: SecureCoordinator,
    assets: Vec<SecureAsset>,
    committee: Vec<CommitteeMember>,
    model: SlotModel,
    unmasking: Unmasking,
    contacts: ChaCha8Rng,
    published: VecDeque<Vec<MaskedRequest>>,
    in_flight: VecDeque<(usize, NodeId, MaskedAnswer)>,
    /// The survivor set that the committee is asked for, and when its answers are there.
    asked: Option<(usize, Survivors)>,
    shown: MaskedCourse,
}

impl Run {
    fn new(
        fleet: &FleetProblem,
        settings: MethodSettings,
        model: SlotModel,
        unmasking: Unmasking,
    ) -> Result<Self, SecureError> {
        let members: Vec<NodeId> = fleet.locals().iter().map(|(node, _)| *node).collect();
        let (deadline, gather) = (Duration::from_secs(1 << 30), Duration::ZERO);
        let pace = Pace { deadline, gather, quorum: members.len(), max_rounds: 1 << 20, ..Pace::default() };
        let coordinator = Coordinator::new(settings, pace, fleet.couplings(), members.clone())?;
        let (terms, secrets, seats) = terms(&members, coordinator.entries(), unmasking)?;
        let mut coordinator = SecureCoordinator::new(coordinator, Aggregator::new(Arc::clone(&terms)))?;
        coordinator.start(Instant::ZERO);
        let nodes = terms.parts().committee.iter().map(|seat| seat.node);
        let policy = Policy {
            k_min: unmasking.k_min,
            tolerated: 1,
            cohort: 1,
            changes: 1,
            seats: nodes.clone().collect(),
            roster: members,
        };
        let assets = fleet.locals().iter().zip(&secrets).map(|((node, problem), secret)| {
            let masks = privacy::Asset::new(Arc::clone(&terms), *node, secret, &policy)?;
            let asset = SecureAsset::new(Asset::new(*node, problem.clone(), QpSettings::default())?, masks);
            let Some(noise) = unmasking.noise else { return Ok(asset) };
            Ok(asset.with_noise(Mechanism::new(noise, terms.parts().entries)?, seed(3, node.0 ^ model.seed)))
        });
        let assets = assets.collect::<Result<Vec<_>, SecureError>>()?;
        let member = |(node, secret)| CommitteeMember::new(Arc::clone(&terms), node, secret, COORDINATOR);
        let committee = nodes.clone().zip(seats).map(member).collect::<Result<Vec<_>, PrivacyError>>()?;
        let contacts = ChaCha8Rng::seed_from_u64(model.seed);
        let course = Course { gaps: Vec::new(), outcome: None, answers: 0, bytes_up: 0, bytes_down: 0 };
        let shown =
            MaskedCourse { course, windows: 0, bytes_to_committee: 0, bytes_of_committee: 0, rho: 0.0 };
        let (published, in_flight) = (VecDeque::new(), VecDeque::new());
        Ok(Self {
            coordinator,
            assets,
            committee,
            model,
            unmasking,
            contacts,
            published,
            in_flight,
            asked: None,
            shown,
        })
    }

    fn slot(&mut self, slot: usize) -> Result<(), SecureError> {
        let now = Instant::ZERO.saturating_add(SLOT * slot as u32);
        self.arrivals(slot, now)?;
        let published = self.assets.iter().filter_map(|a| self.coordinator.request(a.asset().node()));
        self.published.push_back(published.collect());
        if self.published.len() > self.model.out + 1 {
            self.published.pop_front();
        }
        self.contacts(slot)?;
        if self.model.back == 0 {
            self.arrivals(slot, now)?;
        }
        Ok(())
    }

    fn arrivals(&mut self, slot: usize, now: Instant) -> Result<(), SecureError> {
        while self.in_flight.front().is_some_and(|(at, ..)| *at <= slot) {
            let Some((_, node, answer)) = self.in_flight.pop_front() else { break };
            // What is refused was overtaken; the asset learns from the next request.
            let _ = self.coordinator.on_answer(now, node, &answer);
        }
        self.unmask(slot, now)?;
        if self.coordinator.is_due() {
            self.asked = Some((slot + self.unmasking.slots, self.coordinator.close()?));
            self.unmask(slot, now)?;
        }
        Ok(())
    }

    fn unmask(&mut self, slot: usize, now: Instant) -> Result<(), SecureError> {
        let Some((_, survivors)) = self.asked.take_if(|(at, _)| *at <= slot) else { return Ok(()) };
        for member in &mut self.committee {
            let reply: MaskSum = member.on_survivors(COORDINATOR, &survivors)?;
            self.shown.bytes_to_committee += survivors.encode().len();
            self.shown.bytes_of_committee += reply.encode().len();
            self.coordinator.on_mask_sum(now, member.node(), &reply)?;
        }
        self.shown.windows += 1;
        Ok(())
    }

    fn contacts(&mut self, slot: usize) -> Result<(), SecureError> {
        let seen = (self.published.len() > self.model.out).then(|| self.published.front()).flatten();
        let (present, back) = (self.model.presence, self.model.back);
        for (index, asset) in self.assets.iter_mut().enumerate() {
            let in_contact = unit(&mut self.contacts) < present;
            let Some(asked) = seen.map(|seen| &seen[index]).filter(|_| in_contact) else { continue };
            let before = asset.masks().sequence();
            if asked.request.round < asset.asset().round() && asked.request.committed.is_none() {
                continue;
            }
            let Some(answer) = asset.on_request(asked)? else { continue };
            if asset.masks().sequence() == before {
                continue;
            }
            self.shown.course.answers += 1;
            self.shown.course.bytes_up += answer.encode().len();
            self.shown.course.bytes_down += asked.encode().len();
            self.in_flight.push_back((slot + back, asset.asset().node(), answer));
        }
        Ok(())
    }
}

/// Seeds that only a model may have: they follow from numbers.
fn seed(kind: u8, number: u64) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed
}

type Enrolment = (Arc<Terms>, Vec<AssetSecret>, Vec<SeatSecret>);

/// Terms for these members, with secrets that only a model may have: they follow from the nodes' numbers.
fn terms(members: &[NodeId], entries: usize, unmasking: Unmasking) -> Result<Enrolment, PrivacyError> {
    let secrets: Vec<AssetSecret> =
        members.iter().map(|node| AssetSecret::from_seed(seed(1, node.0))).collect();
    let seats: Vec<SeatSecret> =
        (0..unmasking.seats).map(|seat| SeatSecret::from_seed(seed(2, seat as u64))).collect();
    let roster = members.iter().zip(&secrets);
    let committee = seats.iter().zip(u64::from(u32::MAX) + 1..).map(|(secret, node)| Seat {
        node: NodeId(node),
        mask_key: secret.mask_key(),
        share_key: secret.share_key(),
    });
    let bound = (unmasking.greatest * f64::from(1_u32 << FRACTION_BITS)) as u64;
    let terms = Terms::new(TermsParts {
        plan: 1,
        epoch: 1,
        entries,
        bits: Terms::fewest_bits(bound, members.len()).unwrap_or(64),
        bound,
        total: None,
        grain: 0,
        k_min: unmasking.k_min,
        cohort: unmasking.k_min,
        changes: unmasking.k_min,
        threshold: 0,
        recoveries: 0,
        committee: committee.collect(),
        roster: roster.map(|(node, secret)| Enrolled { node: *node, key: secret.public_key() }).collect(),
    })?;
    Ok((Arc::new(terms), secrets, seats))
}

/// Uniform in [0, 1): 53 random bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
