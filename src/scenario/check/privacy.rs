//! What protects the answers to a plan's coordinator.

use cosmosmesh_protocol::planning::{privacy::noise::WhenSpent, solver::Kind};

use super::Checker;
use crate::{
    scenario::{
        checked::{Asset, AssetKind, MaskSpec, NoiseSpec, PlanSpec, PrivacySpec},
        decode::{Place, Spanned},
        diagnostic::Mistake,
        raw::{RawMasks, RawNoise, RawPlan, RawPrivacy, RawWhenSpent},
    },
    units::AssetIndex,
};

/// Seats of a committee that a scenario does not name: enough that one may be lost and one may collude.
const SEATS: usize = 4;
/// The fewest seats of such a committee.
const LEAST_SEATS: usize = 3;
/// The greatest budget ε that a ledger can hold.
const MAX_EPSILON: f64 = 1e7;
/// The most coordinators for which keys are published.
const MAX_EPOCHS: u32 = 1024;
/// The fewest answers that are opened, unless a scenario says so.
const K_MIN: u32 = 3;

impl Checker<'_> {
    /// Masks unless they are switched off, or there is nobody who could open them.
    pub(super) fn privacy(&mut self, raw: &RawPlan, plan: &PlanSpec, assets: &[Asset]) -> PrivacySpec {
        let possible = committee(plan, assets);
        let spanned = raw.privacy.as_ref();
        match spanned.map(|privacy| &privacy.value) {
            Some(RawPrivacy::Off) => PrivacySpec::Off { why: "off in the scenario" },
            Some(RawPrivacy::Masked(masks)) => {
                self.no_noisy_requests(masks, raw, plan);
                let place = &spanned.unwrap_or_else(|| unreachable!("it was matched")).place;
                PrivacySpec::Masked(self.masks(masks, place, raw, plan, possible))
            }
            // With as many participants as are opened at least, one that is lost would stop everything.
            None if plan.participants.len() <= K_MIN as usize => {
                PrivacySpec::Off { why: "fewer than four participants" }
            }
            None if possible.len() < LEAST_SEATS => PrivacySpec::Off {
                why: "fewer than three habitats, satellites or ground stations beside the coordinator",
            },
            None => PrivacySpec::Masked(defaults(plan, possible)),
        }
    }

    /// A count of who takes a pass that is noisy grants it twice, or to nobody.
    fn no_noisy_requests(&mut self, masks: &RawMasks, raw: &RawPlan, plan: &PlanSpec) {
        if masks.noise.is_none() || !requests(plan) {
            return;
        }
        let terms = raw.participants.value.iter().flat_map(|one| &one.value.terms.value);
        let requests = terms.filter_map(|term| term.value.requests.as_ref()).find(|requests| requests.value);
        if let Some(place) = requests.map(|requests| requests.place.clone()) {
            let allowed = "no requests under noise (masks alone are possible): a noisy count of who takes a pass grants it twice, or to nobody";
            self.report(&place, Mistake::Inconsistent, "requests in a plan with noise", allowed);
        }
    }

    fn masks(
        &mut self,
        raw: &RawMasks,
        place: &Place,
        plan_raw: &RawPlan,
        plan: &PlanSpec,
        possible: Vec<AssetIndex>,
    ) -> MaskSpec {
        let mut committee = raw.committee.as_ref().map_or(possible, |list| self.members(list));
        committee.sort_unstable();
        committee.dedup();
        let seats = committee.len();
        if !(2..=16).contains(&seats) {
            let place = raw.committee.as_ref().map_or(place, |list| &list.place);
            let found = format!("a committee of {seats}");
            self.report(place, Mistake::OutOfRange, found, "2 to 16 seats: name them in `committee`");
        }
        let most = plan.participants.len() as u32;
        let shared = if seats >= SEATS { 3 } else { 0 };
        let mut masks = defaults(plan, committee);
        masks.k_min = self.count_or(raw.k_min.as_ref(), K_MIN.min(most), 2, most.max(2));
        masks.cohort = self.count_or(raw.cohort.as_ref(), masks.k_min, 1, most.max(1));
        masks.threshold = raw.threshold.as_ref().map_or(shared, |threshold| threshold.value);
        if let Some(threshold) = raw.threshold.as_ref().filter(|threshold| threshold.value != 0) {
            let holds = (3..seats as u32).contains(&threshold.value);
            self.expect(
                holds,
                &threshold.place,
                format!("0, or 3 to {}: one less than the seats", seats.max(1) - 1),
            );
        }
        let one = u32::from(masks.threshold > 0);
        // One colluding member is always borne.
        let largest = masks.threshold.saturating_sub(2);
        masks.recoveries = self.count_or(raw.recoveries.as_ref(), one, 0, largest);
        masks.patience = self.above_zero_or(raw.patience.as_ref(), plan.round_timeout);
        masks.epochs = self.count_or(raw.coordinators.as_ref(), masks.epochs, epochs(plan), MAX_EPOCHS);
        masks.changes = self.count_or(raw.changes.as_ref(), masks.k_min, 1, 10_000);
        masks.noise = raw.noise.as_ref().map(|noise| self.noise(&noise.value, plan_raw, plan));
        masks
    }

    fn noise(&mut self, raw: &RawNoise, plan_raw: &RawPlan, plan: &PlanSpec) -> NoiseSpec {
        if let (Some(solver), Some(kind)) = (&plan_raw.solver, plan.solver)
            && !matches!(kind, Kind::Exchange | Kind::AsynchronousExchange)
        {
            let found = format!("{} under noise", self.written(&solver.place));
            let allowed = "Exchange, AsynchronousExchange or Auto: other methods live on squares, values or slopes, which noise would spoil";
            self.report(&solver.place, Mistake::Inconsistent, found, allowed);
        }
        let delta = raw.delta.as_ref().map_or(1e-6, |delta| delta.value);
        if let Some(number) = &raw.delta {
            let holds = delta > 0.0 && delta < 1.0;
            self.expect(holds, &number.place, "a number above 0 and below 1");
        }
        if let Some(epsilon) = Some(&raw.epsilon).filter(|epsilon| epsilon.value > MAX_EPSILON) {
            self.out_of_range(&epsilon.place, format!("at most {MAX_EPSILON:e}: more is no budget"));
        }
        NoiseSpec {
            clip: self.magnitude(&raw.clip),
            norm: raw.norm.as_ref().map(|norm| self.magnitude(norm)),
            epsilon: self.positive(&raw.epsilon, |number| *number),
            delta,
            answers: self.count_or(Some(&raw.answers), 1, 1, 100_000),
            when_spent: match raw.when_spent.as_ref().map(|word| &word.value) {
                None | Some(RawWhenSpent::KeepLast) => WhenSpent::KeepLast,
                Some(RawWhenSpent::Leave) => WhenSpent::Leave,
            },
        }
    }

    /// A magnitude of shares, in their unit.
    fn magnitude(&mut self, number: &Spanned<f64>) -> f64 {
        let holds = number.value > 0.0 && number.value <= 1e6;
        self.expect(holds, &number.place, "above zero, and at most 1e6");
        number.value
    }
}

fn defaults(plan: &PlanSpec, committee: Vec<AssetIndex>) -> MaskSpec {
    let shared = committee.len() >= SEATS;
    MaskSpec {
        committee,
        k_min: K_MIN,
        cohort: K_MIN,
        threshold: if shared { 3 } else { 0 },
        recoveries: u32::from(shared),
        patience: plan.round_timeout,
        // Beside what the horizons need, each candidate may take the lead twice.
        epochs: (epochs(plan) + 2 * candidates(plan)).clamp(8, MAX_EPOCHS),
        changes: K_MIN,
        noise: None,
    }
}

/// How many coordinators there are to take turns.
fn candidates(plan: &PlanSpec) -> u32 {
    plan.successors.len() as u32 + 1
}

/// The epochs that a plan's horizons use up when nobody fails: answers of another length need the coordinator's next term, one round of candidates later.
fn epochs(plan: &PlanSpec) -> u32 {
    let lengths: Vec<usize> =
        (0..plan.horizons()).map(|horizon| plan.coupling_names(horizon).len()).collect();
    let changes = lengths.windows(2).filter(|pair| pair[0] != pair[1]).count() as u32;
    1 + changes * candidates(plan)
}

/// Whether anybody's values are taken or not.
fn requests(plan: &PlanSpec) -> bool {
    plan.participants.iter().flat_map(|one| &one.terms).any(|term| term.requests)
}

/// Who could sit in a committee: those that take part first, habitats before satellites before ground stations, then by index. Not the coordinator:
/// its seat would be one that colludes with it.
fn committee(plan: &PlanSpec, assets: &[Asset]) -> Vec<AssetIndex> {
    let rank = |kind: AssetKind| match kind {
        AssetKind::Habitat => Some(0),
        AssetKind::Satellite => Some(1),
        AssetKind::GroundStation => Some(2),
        _ => None,
    };
    let mut possible: Vec<(bool, u8, AssetIndex)> = (0_u32..)
        .map(AssetIndex)
        .zip(assets)
        .filter(|(index, _)| *index != plan.coordinator)
        .filter_map(|(index, asset)| {
            let part = plan.participants.iter().any(|one| one.asset == index);
            Some((!part, rank(asset.kind)?, index))
        })
        .collect();
    possible.sort_unstable();
    possible.truncate(SEATS);
    let mut seats: Vec<AssetIndex> = possible.into_iter().map(|(_, _, index)| index).collect();
    seats.sort_unstable();
    seats
}
