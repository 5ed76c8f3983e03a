//! The slot model in which solvers are measured: contacts by chance, answers with delay.
//!
//! A slot is one contact opportunity. In every slot each asset is in contact with probability `presence`, independently. An
//! asset in contact sees what the coordinator published `out` slots ago, answers at once if it has something to answer, and
//! the answer arrives `back` slots later: the delay of a figure is `out + back`, the least time between an answer and the
//! first request that knows of it. The plan that is measured is the one that the assets hold at the end of a slot. What it sees is
//! always the newest: an asset of the asynchronous method that sees newer prices while its answer is on its way sends one for them
//! after it, and lets its plan follow.

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{
    asset::Asset,
    contribution::Contribution,
    coordinator::{Coordinator, Pace},
    method::MethodSettings,
    request::Request,
};
use crate::{
    id::NodeId,
    planning::{exchange::PlanError, fleet::FleetProblem, message::Outcome, qp::QpSettings},
    time::Instant,
};

/// How contacts come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotModel {
    /// The probability of a contact in a slot, in \[0, 1\].
    pub presence: f64,
    /// Slots from the coordinator to an asset.
    pub out: usize,
    /// Slots from an asset to the coordinator.
    pub back: usize,
    /// The seed of the contacts.
    pub seed: u64,
    /// The most slots.
    pub limit: usize,
}

impl SlotModel {
    /// The published model: 60 % contact, 4 slots of delay.
    #[must_use]
    pub const fn published(seed: u64) -> Self {
        Self { presence: 0.6, out: 2, back: 2, seed, limit: 1000 }
    }

    /// Everyone in contact always, without delay: a slot is a round.
    #[must_use]
    pub const fn rounds(limit: usize) -> Self {
        Self { presence: 1.0, out: 0, back: 0, seed: 0, limit }
    }
}

/// What a run showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The plan-optimality gap at the end of every slot.
    pub gaps: Vec<f64>,
    /// How the plan ended; `None` at the limit of slots.
    pub outcome: Option<Outcome>,
    /// Requests that an asset answered, over all assets.
    pub answers: usize,
    /// Bytes of contributions, over all assets.
    pub bytes_up: usize,
    /// Bytes of requests that were answered, over all assets.
    pub bytes_down: usize,
}

impl Course {
    /// The number of slots after which the gap stayed at most `limit`; `None` when it never did.
    #[must_use]
    pub fn slots_to(&self, limit: f64) -> Option<usize> {
        let slots = self.gaps.iter().rposition(|gap| gap.is_nan() || *gap > limit).map_or(0, |last| last + 1);
        (slots < self.gaps.len()).then_some(slots + 1)
    }
}

/// Runs a fleet whose optimum is `best` under a method until it commits or the slots end.
///
/// # Errors
/// [`PlanError`] when a setting is out of range or a local problem cannot be solved.
pub fn run(
    fleet: &FleetProblem,
    best: f64,
    settings: MethodSettings,
    model: SlotModel,
) -> Result<Course, PlanError> {
    let mut run = Run::new(fleet, settings, model)?;
    let mut course = Course { gaps: Vec::new(), outcome: None, answers: 0, bytes_up: 0, bytes_down: 0 };
    for slot in 0..model.limit {
        run.slot(slot, &mut course)?;
        let values: Vec<&[f64]> = run.assets.iter().map(Asset::values).collect();
        course.gaps.push(fleet.gap(&values, best));
        course.outcome = run.coordinator.outcome();
        if course.outcome.is_some() {
            break;
        }
    }
    Ok(course)
}

const SLOT: Duration = Duration::from_secs(1);

struct Run {
    coordinator: Coordinator,
    assets: Vec<Asset>,
    model: SlotModel,
    contacts: ChaCha8Rng,
    /// What was published in the last slots, for every asset.
    published: VecDeque<Vec<Request>>,
    in_flight: VecDeque<(usize, NodeId, Contribution)>,
}

impl Run {
    fn new(fleet: &FleetProblem, settings: MethodSettings, model: SlotModel) -> Result<Self, PlanError> {
        let assets: Result<Vec<Asset>, PlanError> = (fleet.locals().iter())
            .map(|(node, problem)| Asset::new(*node, problem.clone(), QpSettings::default()))
            .collect();
        let members = fleet.locals().iter().map(|(node, _)| *node).collect();
        // Rounds wait for everyone, and nobody is asked twice: whatever is sent arrives.
        let (deadline, gather) = (Duration::from_secs(1 << 30), SLOT / 2);
        let pace =
            Pace { deadline, gather, quorum: fleet.locals().len(), max_rounds: 1 << 20, ..Pace::default() };
        let mut coordinator = Coordinator::new(settings, pace, fleet.couplings(), members)?;
        coordinator.start(Instant::ZERO);
        let contacts = ChaCha8Rng::seed_from_u64(model.seed);
        let (published, in_flight) = (VecDeque::new(), VecDeque::new());
        Ok(Self { coordinator, assets: assets?, model, contacts, published, in_flight })
    }

    fn slot(&mut self, slot: usize, course: &mut Course) -> Result<(), PlanError> {
        let start = Instant::ZERO.saturating_add(SLOT * slot as u32);
        self.arrivals(slot, start);
        let published =
            self.assets.iter().filter_map(|asset| self.coordinator.request(asset.node())).collect();
        self.published.push_back(published);
        if self.published.len() > self.model.out + 1 {
            self.published.pop_front();
        }
        self.contacts(slot, course)?;
        if self.model.back == 0 {
            self.arrivals(slot, start);
        }
        Ok(())
    }

    fn arrivals(&mut self, slot: usize, start: Instant) {
        while let Some((at, node, contribution)) = self.in_flight.pop_front() {
            if at > slot {
                self.in_flight.push_front((at, node, contribution));
                break;
            }
            // What is refused was overtaken; the asset learns from the next request.
            let _ = self.coordinator.on_contribution(start, node, &contribution);
        }
        self.coordinator.on_timeout(start.saturating_add(SLOT / 2));
    }

    fn contacts(&mut self, slot: usize, course: &mut Course) -> Result<(), PlanError> {
        let seen = (self.published.len() > self.model.out).then(|| self.published.front()).flatten();
        let (present, back) = (self.model.presence, self.model.back);
        for (index, asset) in self.assets.iter_mut().enumerate() {
            let in_contact = unit(&mut self.contacts) < present;
            let Some(request) = seen.map(|seen| &seen[index]).filter(|_| in_contact) else { continue };
            let before = asset.round();
            if request.round <= before && request.committed.is_none() {
                continue;
            }
            let Some(contribution) = asset.on_request(request)? else { continue };
            if asset.round() == before {
                continue;
            }
            course.answers += 1;
            course.bytes_up += contribution.encode().len();
            course.bytes_down += request.encode().len();
            self.in_flight.push_back((slot + back, asset.node(), contribution));
        }
        Ok(())
    }
}

/// Uniform in [0, 1): 53 random bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
