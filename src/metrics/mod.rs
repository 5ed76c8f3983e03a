//! What a run is worth: recorders that read the trace record by record.
//!
//! Memory is bounded by assets, streams and writes under way, never by simulated time. The names are those of DESIGN.md.

mod attacks;
mod delivery;
mod energy;
mod governance;
mod latency;
mod link;
mod plan;
mod privacy;
mod rounds;
mod security;
mod sync;
mod value;

pub use attacks::AttackRecorder;
pub use delivery::{DeliveryRecorder, is_application};
pub use energy::EnergyRecorder;
pub use governance::GovernanceRecorder;
pub use latency::Latencies;
pub use link::{LOSS_REASONS, LinkRecorder, LinkTotals};
pub use plan::{HorizonRow, PlanRecorder, PlanReference, PlanSituation, Replan};
pub use privacy::PrivacyRecorder;
pub use rounds::{Places, RoundRow, RoundsRecorder};
pub use security::SecurityRecorder;
pub use sync::SyncRecorder;
pub use value::{Metric, MetricsSet};

use crate::{
    engine::Record,
    units::{AssetIndex, SimTime},
    world::Lives,
};

/// A row of the convergence table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvergenceRow {
    /// When the gap or the residuals changed.
    pub time: SimTime,
    /// The highest round reached.
    pub round: u32,
    /// |f − f*| / max(1, |f*|), once every participant holds a plan.
    pub objective_gap: Option<f64>,
    /// Largest constraint violation / max(1, ‖b‖∞).
    pub violation: Option<f64>,
    /// ‖r‖₂ of the last closed round.
    pub primal_residual: Option<f64>,
    /// ‖s‖₂ of the last closed round.
    pub dual_residual: Option<f64>,
}

/// A row of the staleness table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StalenessRow {
    /// When the sample was taken.
    pub time: SimTime,
    /// The replica.
    pub asset: AssetIndex,
    /// Age of the oldest write that it does not see; zero when it sees all.
    pub staleness: SimTime,
}

/// A table row that metrics compute on the way.
#[derive(Clone, Debug, PartialEq)]
pub enum DerivedRow {
    /// The gap or the residuals changed.
    Convergence(ConvergenceRow),
    /// A round of planning was closed.
    Round(RoundRow),
    /// A horizon of the plan is over.
    Horizon(HorizonRow),
    /// A replica's staleness was sampled.
    Staleness(StalenessRow),
}

/// What the recorders must know of a run before it starts.
#[derive(Clone, Debug, Default)]
pub struct RunShape {
    /// Length of the run.
    pub duration: SimTime,
    /// Assets that hold the replicated state.
    pub replicas: Vec<AssetIndex>,
    /// What plans are measured against; none when there is no planning.
    pub plan: Option<PlanReference>,
    /// How the reference follows when the plan goes on; none when it does not.
    pub replan: Option<Replan>,
    /// Where the assets are.
    pub places: Places,
    /// Assets whose hosts are adversaries.
    pub adversaries: Vec<AssetIndex>,
    /// When assets lose what they keep.
    pub lives: Lives,
}

/// All recorders of a run.
#[derive(Clone, Debug)]
pub struct Metrics {
    delivery: DeliveryRecorder,
    sync: SyncRecorder,
    plan: PlanRecorder,
    rounds: RoundsRecorder,
    privacy: PrivacyRecorder,
    link: LinkRecorder,
    energy: EnergyRecorder,
    governance: GovernanceRecorder,
    security: SecurityRecorder,
    attacks: AttackRecorder,
    derived: Vec<DerivedRow>,
}

impl Metrics {
    /// Recorders for a run of this shape.
    #[must_use]
    pub fn new(shape: RunShape) -> Self {
        let participants = shape.plan.iter().flat_map(|plan| plan.problem.participants());
        let participants = participants.map(|participant| participant.asset).collect();
        Self {
            rounds: RoundsRecorder::new(shape.places, participants),
            delivery: DeliveryRecorder::new(shape.lives),
            sync: SyncRecorder::new(&shape.replicas, shape.duration),
            plan: PlanRecorder::new(shape.plan, shape.replan),
            privacy: PrivacyRecorder::default(),
            link: LinkRecorder::default(),
            energy: EnergyRecorder::default(),
            governance: GovernanceRecorder::default(),
            security: SecurityRecorder::default(),
            attacks: AttackRecorder::new(shape.adversaries),
            derived: Vec::new(),
        }
    }

    /// Takes the next record, in the trace's order.
    pub fn record(&mut self, record: &Record) {
        self.derived.clear();
        self.delivery.record(record);
        self.sync.record(record, &mut self.derived);
        self.plan.record(record, &mut self.derived);
        self.rounds.record(record, &mut self.derived);
        self.privacy.record(record);
        self.link.record(record);
        self.energy.record(record);
        self.governance.record(record);
        self.security.record(record);
        self.attacks.record(record);
    }

    /// Table rows that came out of the last call of [`Metrics::record`] or [`Metrics::finish`].
    #[must_use]
    pub fn derived(&self) -> &[DerivedRow] {
        &self.derived
    }

    /// Sums by directed pair of assets.
    #[must_use]
    pub const fn links(&self) -> &LinkRecorder {
        &self.link
    }

    /// Closes the run at `end`, after the last record, and computes the figures.
    pub fn finish(&mut self, end: SimTime) -> MetricsSet {
        self.derived.clear();
        self.sync.finish(end, &mut self.derived);
        self.rounds.finish(&mut self.derived);
        self.plan.finish(&mut self.derived);
        self.link.finish(end);
        let mut set = MetricsSet::default();
        self.delivery.write(&mut set);
        self.sync.write(&mut set);
        self.plan.write(&mut set);
        self.rounds.write(&mut set);
        self.link.write(&mut set);
        self.energy.write(self.delivery.delivered_bytes(), &mut set);
        self.governance.write(&mut set);
        self.security.write(&mut set);
        self.attacks.write(&mut set);
        self.privacy.write(&mut set);
        set
    }
}
