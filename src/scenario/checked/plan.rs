//! The federated plan.

use std::ops::Range;

pub use cosmosmesh_protocol::planning::privacy::noise::NoiseBudget as NoiseSpec;
use cosmosmesh_protocol::planning::solver::Kind;

use crate::units::{AssetIndex, SimTime};

/// A plan that the participants find together: each minimises its own cost, and constraints bind the sums of their values.
/// Positive values give to the pool, negative ones take.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSpec {
    /// Who gathers contributions and closes rounds; it may also participate.
    pub coordinator: AssetIndex,
    /// Who coordinates when it is silent, in this order.
    pub successors: Vec<AssetIndex>,
    /// How long a coordinator is silent before its first successor takes its place.
    pub succession: SimTime,
    /// The method; none to let the coordinator pick from the contact plan.
    pub solver: Option<Kind>,
    /// Number of slots of the horizon, 1 or more.
    pub slots: u32,
    /// Length of a slot.
    pub slot: SimTime,
    /// When the first round starts.
    pub start: SimTime,
    /// Penalty parameter, more than zero.
    pub rho: f64,
    /// Over-relaxation, 1 to 1.95 (1: none).
    pub over_relaxation: f64,
    /// Absolute stopping tolerance.
    pub eps_abs: f64,
    /// Relative stopping tolerance.
    pub eps_rel: f64,
    /// No more rounds than this.
    pub max_rounds: u32,
    /// A round waits no longer for contributions.
    pub round_timeout: SimTime,
    /// Names of what is exchanged; [`PlanTerm::commodity`] is a position in this list.
    pub commodities: Vec<String>,
    /// Who takes part, in order of their assets.
    pub participants: Vec<PlanParticipant>,
    /// For each commodity, whether its values sum to zero over the participants in every slot.
    pub balanced: Vec<bool>,
    /// Further constraints that bind the fleet.
    pub constraints: Vec<PlanConstraint>,
    /// No shared term has less curvature than this.
    pub min_curvature: f64,
    /// Lifetime of its bundles.
    pub lifetime: SimTime,
    /// What protects the answers.
    pub privacy: PrivacySpec,
    /// How horizons follow each other; none for one horizon.
    pub rolling: Option<Rolling>,
    /// How long after it was asked a silent participant is retired.
    pub absence: SimTime,
}

/// What protects the participants' answers.
#[derive(Clone, Debug, PartialEq)]
pub enum PrivacySpec {
    /// Nothing: the coordinator reads every answer.
    Off {
        /// Why: a word for reports.
        why: &'static str,
    },
    /// Secure aggregation: it reads sums.
    Masked(MaskSpec),
}

impl PrivacySpec {
    /// The masks, if there are any.
    #[must_use]
    pub const fn masks(&self) -> Option<&MaskSpec> {
        match self {
            Self::Off { .. } => None,
            Self::Masked(masks) => Some(masks),
        }
    }
}

/// Secure aggregation of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskSpec {
    /// Who masks and opens, in order of assets.
    pub committee: Vec<AssetIndex>,
    /// Fewer answers than this are not opened.
    pub k_min: u32,
    /// Fewer newcomers than this are not opened.
    pub cohort: u32,
    /// Shares that recover a lost member's key; 0: keys are not shared.
    pub threshold: u32,
    /// Members that are recovered in an epoch.
    pub recoveries: u32,
    /// How long the committee is waited for.
    pub patience: SimTime,
    /// For how many coordinators in a row keys are published.
    pub epochs: u32,
    /// How many participants have to come or go within a horizon before the sum begins anew without or with them.
    pub changes: u32,
    /// Noise on answers.
    pub noise: Option<NoiseSpec>,
}

/// A receding horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rolling {
    /// How long after the last one a horizon begins.
    pub every: SimTime,
    /// The same in slots, 1 or more.
    pub shift: u32,
    /// How many horizons there are, 2 or more.
    pub horizons: u32,
}

impl PlanSpec {
    /// Whether an asset is there when the plan begins: it coordinates, may have to, or takes part from the beginning.
    #[must_use]
    pub fn begins_with(&self, asset: AssetIndex) -> bool {
        let participant = self.participants.iter().find(|participant| participant.asset == asset);
        let leads = self.coordinator == asset || self.successors.contains(&asset);
        participant.map_or(leads, |participant| participant.joins.is_none())
    }

    /// How many horizons there are, 1 or more.
    #[must_use]
    pub fn horizons(&self) -> u64 {
        self.rolling.map_or(1, |rolling| u64::from(rolling.horizons))
    }

    /// The slots of a horizon, counted from the first one's first.
    #[must_use]
    pub fn window(&self, horizon: u64) -> Range<usize> {
        let first = self.rolling.map_or(0, |rolling| rolling.shift as usize) * horizon as usize;
        first..first + self.slots as usize
    }

    /// How many slots all horizons cover together: as many have a preferred value, a least and a largest.
    #[must_use]
    pub fn span(&self) -> usize {
        self.window(self.horizons() - 1).end
    }

    /// The further constraints that bind a horizon: those whose slots reach into it.
    pub fn binding(&self, horizon: u64) -> impl Iterator<Item = (&PlanConstraint, Range<usize>)> {
        let window = self.window(horizon);
        self.constraints.iter().filter_map(move |constraint| {
            let (start, end) =
                (constraint.slots.start.max(window.start), constraint.slots.end.min(window.end));
            (start < end).then_some((constraint, start..end))
        })
    }

    /// Names of the constraints that bind the fleet in a horizon, in the order of their prices: balances by commodity and slot,
    /// then the further ones.
    #[must_use]
    pub fn coupling_names(&self, horizon: u64) -> Vec<String> {
        let each = |name: &str, slots: Range<usize>| -> Vec<String> {
            slots.map(|slot| format!("{name}[{slot}]")).collect()
        };
        let balances = self.commodities.iter().zip(&self.balanced).filter(|(_, balanced)| **balanced);
        let balances = balances.flat_map(|(name, _)| each(name, self.window(horizon)));
        let further = self.binding(horizon).flat_map(|(constraint, slots)| {
            if constraint.each_slot() { each(&constraint.name, slots) } else { vec![constraint.name.clone()] }
        });
        balances.chain(further).collect()
    }
}

/// What a constraint of the fleet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// A largest sum over the slots.
    Budget,
    /// A capacity in each slot.
    Exclusion,
    /// Bounds in each slot.
    Envelope,
    /// Bounds of the sum over the slots.
    Total,
}

/// A constraint on the sum of some participants' values of a commodity.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanConstraint {
    /// The name of its price.
    pub name: String,
    /// What it is for.
    pub kind: ConstraintKind,
    /// Index into the plan's commodities.
    pub commodity: usize,
    /// Whose values, ascending; none for everyone's.
    pub assets: Option<Vec<AssetIndex>>,
    /// The slots in which it holds, not empty.
    pub slots: Range<usize>,
    /// Least sum; −∞ for none.
    pub min: f64,
    /// Largest sum; +∞ for none.
    pub max: f64,
}

impl PlanConstraint {
    /// Whether each slot's sum is bounded, rather than that over all its slots.
    #[must_use]
    pub const fn each_slot(&self) -> bool {
        matches!(self.kind, ConstraintKind::Exclusion | ConstraintKind::Envelope)
    }

    /// Whether it binds `asset`.
    #[must_use]
    pub fn binds(&self, asset: AssetIndex) -> bool {
        self.assets.as_ref().is_none_or(|assets| assets.contains(&asset))
    }
}

/// One participant's own problem.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanParticipant {
    /// Who.
    pub asset: AssetIndex,
    /// When it joins; none for from the beginning.
    pub joins: Option<SimTime>,
    /// When it leaves; none for never.
    pub leaves: Option<SimTime>,
    /// One per commodity that it gives or takes, in order of commodities. It exchanges nothing of the others.
    pub terms: Vec<PlanTerm>,
    /// Quantities of its own, numbered after the plan's commodities in this order.
    pub private: Vec<PlanTerm>,
    /// What holds between its values in every slot.
    pub relations: Vec<PlanRelation>,
    /// Stores that its values draw on.
    pub reserves: Vec<PlanReserve>,
}

/// In every slot, a weighted sum of an asset's values stays within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRelation {
    /// Commodities or private quantities, ascending, each once, and their weights.
    pub terms: Vec<(usize, f64)>,
    /// Least sum, one per slot of the span; −∞ for none.
    pub min: Vec<f64>,
    /// Largest sum, one per slot of the span; +∞ for none.
    pub max: Vec<f64>,
}

/// A store: `initial − Σ` of the values up to and including a slot stays within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanReserve {
    /// The commodity or private quantity that is given from it.
    pub commodity: usize,
    /// Level before the first slot.
    pub initial: f64,
    /// Least level.
    pub min: f64,
    /// Largest level.
    pub max: f64,
}

/// Cost ½ · curvature · Σ (x − preferred)² over the slots, within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTerm {
    /// Index into the plan's commodities, or of a private quantity after them.
    pub commodity: usize,
    /// What it would do alone, one per slot of the span.
    pub preferred: Vec<f64>,
    /// Cost of departing from that, more than zero.
    pub curvature: f64,
    /// Least value, one per slot of the span.
    pub min: Vec<f64>,
    /// Largest value, one per slot of the span.
    pub max: Vec<f64>,
    /// Least sum over the slots.
    pub total_min: Option<f64>,
    /// Largest sum over the slots.
    pub total_max: Option<f64>,
    /// Largest change between neighbouring slots.
    pub ramp: Option<f64>,
    /// Whether its values are requests: 1 (taken) or 0 (not), where `max` is 1.
    pub requests: bool,
}
