//! Checks that stand apart from the code under test: they see trace records, never the protocol's own state.

mod attacks;
mod conservation;
mod exactly_once;
mod foremost;
mod forged;
mod intervals;
mod optimum;
mod pairs;
mod replicas;

pub use attacks::AttacksMet;
pub use conservation::{FrameConservation, MessageConservation};
pub use exactly_once::{Brought, ExactlyOnce};
pub use foremost::Journeys;
pub use forged::NothingForged;
pub use intervals::IntervalSet;
pub use optimum::{
    CentralProblem, Gap, HeldPlan, Optimum, OptimumError, Participant, ProblemError, Row, SharedTerm,
};
pub use pairs::Pairs;
pub use replicas::ReplicasEqual;

use crate::{
    engine::{MessageKind, Record},
    units::{AssetIndex, SimTime},
    world::Lives,
};

/// A directed stream of messages: source, destination, kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Who submits.
    pub source: AssetIndex,
    /// Who receives.
    pub destination: AssetIndex,
    /// What for.
    pub kind: MessageKind,
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stream {:?} from asset {} to asset {}", self.kind, self.source.0, self.destination.0)
    }
}

/// One thing that an oracle saw and that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When; the end of the run for what only shows at the end.
    pub time: SimTime,
    /// The oracle.
    pub oracle: &'static str,
    /// What happened, in plain words.
    pub text: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}: {}", self.oracle, self.time, self.text)
    }
}

/// What the oracles have to say of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OracleReport {
    /// The first violations, in order of occurrence; at most [`OracleReport::KEPT`].
    pub violations: Vec<Violation>,
    /// How many there were, kept or not.
    pub total: u64,
}

impl OracleReport {
    /// Violations that are kept with their text.
    pub const KEPT: usize = 100;

    /// Whether nothing was found.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.total == 0
    }

    /// Adds a violation; only its count once [`OracleReport::KEPT`] are held.
    fn push(&mut self, time: SimTime, oracle: &'static str, text: impl FnOnce() -> String) {
        self.total += 1;
        if self.violations.len() < Self::KEPT {
            self.violations.push(Violation { time, oracle, text: text() });
        }
    }
}

/// All oracles over one run. Feed every record in the trace's order.
///
/// Memory grows with assets, streams and messages in flight, not with simulated time.
#[derive(Clone, Debug, Default)]
pub struct Oracles {
    exactly_once: ExactlyOnce,
    forged: NothingForged,
    frames: FrameConservation,
    messages: MessageConservation,
    replicas: ReplicasEqual,
    attacks: AttacksMet,
    report: OracleReport,
}

impl Oracles {
    /// `longest_flight` bounds the time from the start of a frame to the verdict on it (airtime and light time), where it
    /// is known: an undecided frame older than that at the end of the run is a violation.
    #[must_use]
    pub fn new(longest_flight: Option<SimTime>) -> Self {
        Self { frames: FrameConservation::new(longest_flight), ..Self::default() }
    }

    /// The nodes of these assets are real: what they submit is not in the trace.
    pub fn pass_over(&mut self, assets: Vec<AssetIndex>) {
        self.forged.pass_over(assets);
    }

    /// Between these, sender first, frames take real ways.
    pub fn pass_over_ways(&mut self, pairs: Vec<(AssetIndex, AssetIndex)>) {
        self.frames.pass_over(pairs);
    }

    /// These assets lose what they persisted, and begin anew.
    pub fn lose_disks(&mut self, lives: Lives) {
        self.exactly_once = ExactlyOnce::new(lives.clone());
        self.messages = MessageConservation::new(lives);
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        self.exactly_once.record(record, &mut self.report);
        self.forged.record(record, &mut self.report);
        self.frames.record(record, &mut self.report);
        self.messages.record(record, &mut self.report);
        self.replicas.record(record);
        self.attacks.record(record, &mut self.report);
    }

    /// What was found, after the last record at or before `end`.
    ///
    /// `healed` says whether the run gave replicas the time and the contacts to become equal; without it, replicas that
    /// differ are a metric and no violation.
    #[must_use]
    pub fn finish(mut self, end: SimTime, healed: bool) -> OracleReport {
        self.frames.finish(end, &mut self.report);
        if healed {
            self.replicas.finish(end, &mut self.report);
        }
        self.report
    }
}
