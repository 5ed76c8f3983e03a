//! [`RoundsRecorder`]: what each round of planning waited for, and what it cost.

use super::{DerivedRow, MetricsSet};
use crate::{
    astro::{Ephemeris, Trajectory, light_time},
    engine::{MessageKind, Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use std::{collections::BTreeMap, sync::Arc};

/// Where the assets of a run are, for the light time between two of them.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The bodies; `None` when no asset has a place among them.
    pub ephemeris: Option<Arc<Ephemeris>>,
    /// How assets move, by index.
    pub trajectories: Vec<Option<Arc<Trajectory>>>,
}

impl Places {
    /// One-way light time from `from` at `sent` to `to`, in a straight line whatever is in the way. Zero when a place is not
    /// known (an imported contact plan).
    fn light_time(&self, from: AssetIndex, to: AssetIndex, sent: SimTime) -> SimTime {
        let at = |asset: AssetIndex| self.trajectories.get(asset.get()).and_then(Option::as_ref);
        match (&self.ephemeris, at(from), at(to)) {
            (Some(ephemeris), Some(from), Some(to)) => light_time(from, to, ephemeris, sent).owlt,
            _ => SimTime::ZERO,
        }
    }
}

/// A row of the rounds table: a round that its coordinator closed.
///
/// The time is split along the message that closed the round, from the coordinator's signal to the answer that came last:
/// `light` is what no radio could have saved, `computation` what the asset took to answer, and `contacts` all the rest, which
/// is waiting for contacts and in queues, time on air, and repetition. A round that closed without somebody waited for that one,
/// and all its time counts as `contacts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundRow {
    /// The round.
    pub round: u32,
    /// When the one before was closed, or the first signal was sent.
    pub opened: SimTime,
    /// When it was closed.
    pub closed: SimTime,
    /// Contributions in it.
    pub contributions: u32,
    /// Whose contribution came last, when it was waited for; none when it was the coordinator's own or the round did not wait.
    pub slowest: Option<AssetIndex>,
    /// Participants that had not answered when it closed; none where a step waits for nobody.
    pub late: Vec<AssetIndex>,
    /// Light time there and back.
    pub light: SimTime,
    /// Computation at the slowest.
    pub computation: SimTime,
    /// The rest.
    pub contacts: SimTime,
    /// Payload bytes of planning messages that were submitted in it, by anybody.
    pub bytes: u64,
    /// Of these, answers to the coordinator.
    pub uplink: u64,
    /// Of these, what opens masked answers: survivor sets, mask sums, keys.
    pub committee: u64,
}

/// So long a node takes at most to keep what it got, which is told of only then: an answer may be told of before what it answers.
const KEPT: SimTime = SimTime::from_secs(1);

/// An asset's part in the round under way.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// When it was told something last.
    heard: Option<SimTime>,
    /// When it submitted last, and how long after it was told what it answers.
    answered: Option<(SimTime, SimTime)>,
    /// When its answer arrived, and where.
    arrived: Option<(SimTime, AssetIndex)>,
}

/// A round that its coordinator has closed. A node tells of a delivery when it is kept, which may be after the module it is for
/// has acted on it: the last answers of a round are told of after its end.
#[derive(Clone, Debug)]
struct Closing {
    coordinator: AssetIndex,
    opened: SimTime,
    at: SimTime,
    round: u32,
    contributions: u32,
    bytes: Bytes,
    parts: BTreeMap<AssetIndex, Part>,
}

/// Payload bytes of a round.
#[derive(Clone, Debug, Default)]
struct Bytes {
    all: u64,
    /// By addressee.
    to: BTreeMap<AssetIndex, u64>,
    /// Messages of the masks, by addressee.
    legs: BTreeMap<AssetIndex, u64>,
}

impl Closing {
    fn arrival(&self, asset: AssetIndex) -> Option<SimTime> {
        let (at, place) = self.parts.get(&asset)?.arrived?;
        (place == self.coordinator).then_some(at)
    }
}

/// Follows planning messages and closed rounds. Memory: one entry per asset.
#[derive(Clone, Debug)]
pub struct RoundsRecorder {
    places: Places,
    participants: Vec<AssetIndex>,
    parts: BTreeMap<AssetIndex, Part>,
    opened: Option<SimTime>,
    closing: Option<Closing>,
    bytes: Bytes,
    all_bytes: u64,
    all_uplink: u64,
    all_committee: u64,
    /// Whether answers are masked: then a committee's mask sums are no answers.
    masked: bool,
    /// Whether the method waits for nobody: a step that one answer leads to has no one who is late for it.
    steps: bool,
    /// The method of the latest coordinator, and why that one.
    solver: Option<String>,
    coordinators: u64,
    rounds: u64,
    late: u64,
    lost: [SimTime; 3],
}

impl RoundsRecorder {
    /// For these participants.
    #[must_use]
    pub fn new(places: Places, participants: Vec<AssetIndex>) -> Self {
        Self {
            places,
            participants,
            parts: BTreeMap::new(),
            opened: None,
            closing: None,
            bytes: Bytes::default(),
            all_bytes: 0,
            all_uplink: 0,
            all_committee: 0,
            masked: false,
            steps: false,
            solver: None,
            coordinators: 0,
            rounds: 0,
            late: 0,
            lost: [SimTime::ZERO; 3],
        }
    }

    /// Takes the next record; `rows` gets a row when a round was closed.
    pub fn record(&mut self, record: &Record, rows: &mut Vec<DerivedRow>) {
        match &record.kind {
            RecordKind::PlanEpoch { .. } => self.masked = true,
            RecordKind::PlanSolver { solver, why } => {
                self.steps = solver.starts_with("asynchronous");
                self.solver = Some(format!("{} ({why})", solver.replace('_', " ")));
                self.coordinators += 1;
            }
            RecordKind::PlanLeg { destination, bytes, .. } => {
                *self.bytes.legs.entry(*destination).or_default() += u64::from(*bytes);
            }
            RecordKind::Submitted { kind: MessageKind::Plan, bytes, destination, .. } => {
                self.opened.get_or_insert(record.time);
                self.bytes.all += u64::from(*bytes);
                *self.bytes.to.entry(*destination).or_default() += u64::from(*bytes);
                self.all_bytes += u64::from(*bytes);
                let masked = self.masked;
                let part = self.parts.entry(record.asset).or_default();
                // Under masks a member of the committee sends more than its answer, which is the first of it.
                let worked = part.heard.map_or(SimTime::ZERO, |heard| record.time - heard);
                part.answered = part.answered.filter(|_| masked).or(Some((record.time, worked)));
            }
            RecordKind::Delivered { kind: MessageKind::Plan, source, .. } => {
                if !self.belongs_to_closing(record, *source) {
                    let part = self.parts.entry(record.asset).or_default();
                    part.heard = Some(record.time);
                    if let Some((at, worked)) = &mut part.answered
                        && record.time - *at <= KEPT
                    {
                        *worked = SimTime::ZERO;
                    }
                    let there = self.parts.entry(*source).or_default();
                    there.arrived =
                        there.arrived.filter(|_| self.masked).or(Some((record.time, record.asset)));
                }
                if self.awaited() == 0 {
                    self.finish(rows);
                }
            }
            RecordKind::PlanRound { round, contributions, .. } => {
                self.finish(rows);
                self.closing = Some(Closing {
                    coordinator: record.asset,
                    opened: self.opened.replace(record.time).unwrap_or(record.time),
                    at: record.time,
                    round: *round,
                    contributions: *contributions,
                    bytes: std::mem::take(&mut self.bytes),
                    parts: std::mem::take(&mut self.parts),
                });
                if self.awaited() == 0 {
                    self.finish(rows);
                }
            }
            _ => {}
        }
    }

    /// How many answers of the closed round are not told of yet.
    fn awaited(&self) -> usize {
        let Some(closing) = &self.closing else { return 0 };
        let others = self.participants.iter().filter(|asset| **asset != closing.coordinator);
        let told = others.filter(|asset| closing.arrival(**asset).is_some()).count();
        let own = usize::from(self.participants.contains(&closing.coordinator));
        (closing.contributions as usize).saturating_sub(told + own)
    }

    /// Takes a delivery that the closed round still misses.
    fn belongs_to_closing(&mut self, record: &Record, source: AssetIndex) -> bool {
        let awaited = self.awaited() > 0;
        let Some(closing) = &mut self.closing else { return false };
        let missed = awaited && record.asset == closing.coordinator && closing.arrival(source).is_none();
        if missed {
            closing.parts.entry(source).or_default().arrived = Some((record.time, record.asset));
        }
        missed
    }

    /// Tells of the round that was closed last, if that was not told yet: nothing of it can come any more.
    pub fn finish(&mut self, rows: &mut Vec<DerivedRow>) {
        let Some(closing) = self.closing.take() else { return };
        let row = self.row(&closing);
        self.rounds += 1;
        self.late += row.late.len() as u64;
        self.all_uplink += row.uplink;
        self.all_committee += row.committee;
        for (sum, part) in self.lost.iter_mut().zip([row.light, row.contacts, row.computation]) {
            *sum += part;
        }
        rows.push(DerivedRow::Round(row));
    }

    fn row(&self, closing: &Closing) -> RoundRow {
        let Closing { coordinator, opened, at: now, round, contributions, .. } = *closing;
        let bytes = &closing.bytes;
        let to_it = |by: &BTreeMap<AssetIndex, u64>| by.get(&coordinator).copied().unwrap_or(0);
        let others = self.participants.iter().copied().filter(|asset| *asset != coordinator);
        let silent = others.clone().filter(|asset| !self.steps && closing.arrival(*asset).is_none());
        let late: Vec<AssetIndex> = silent.collect();
        let last =
            others.filter_map(|asset| Some((closing.arrival(asset)?, asset))).max_by_key(|(at, _)| *at);
        let slowest = last.filter(|_| late.is_empty()).map(|(_, asset)| asset);
        let (mut light, mut computation) = (SimTime::ZERO, SimTime::ZERO);
        if let Some(asset) = slowest {
            let part = closing.parts.get(&asset).copied().unwrap_or_default();
            let (answered, worked) = part.answered.unwrap_or((now, SimTime::ZERO));
            computation = worked;
            light = self.places.light_time(coordinator, asset, opened)
                + self.places.light_time(asset, coordinator, answered);
        }
        let whole = now - opened;
        light = light.min(whole);
        let contacts = (whole - light - computation).max(SimTime::ZERO);
        RoundRow {
            round,
            opened,
            closed: now,
            contributions,
            slowest,
            late,
            light,
            computation,
            contacts,
            bytes: bytes.all,
            uplink: to_it(&bytes.to).saturating_sub(to_it(&bytes.legs)),
            committee: bytes.legs.values().sum(),
        }
    }

    /// Writes what planning cost.
    pub fn write(&self, set: &mut MetricsSet) {
        let mean = (self.rounds > 0).then(|| self.all_bytes as f64 / self.rounds as f64);
        set.set("plan.bytes_per_round", mean, "B");
        let per = |bytes: u64| (self.rounds > 0).then(|| bytes as f64 / self.rounds as f64);
        set.set("plan.uplink_bytes_per_round", per(self.all_uplink), "B");
        set.set("plan.committee_bytes_per_round", per(self.all_committee), "B");
        set.count("plan.late", self.late, "1");
        if let Some(solver) = &self.solver {
            set.noted("plan.solver_chosen", self.coordinators as f64, solver);
        }
        for (name, lost) in ["light_time", "contacts", "computation"].into_iter().zip(self.lost) {
            let lost = (self.rounds > 0).then(|| lost.as_secs_f64());
            set.set(format!("plan.lost_to_{name}_s"), lost, "s");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: AssetIndex = AssetIndex(0);
    const NEAR: AssetIndex = AssetIndex(1);
    const FAR: AssetIndex = AssetIndex(2);

    fn at(seconds: i64, asset: AssetIndex, kind: RecordKind) -> Record {
        Record { time: SimTime::from_secs(seconds), asset, kind }
    }

    fn submitted(destination: AssetIndex, bytes: u32) -> RecordKind {
        RecordKind::Submitted { sequence: 0, destination, kind: MessageKind::Plan, bytes }
    }

    fn delivered(source: AssetIndex) -> RecordKind {
        let (kind, latency) = (MessageKind::Plan, SimTime::ZERO);
        RecordKind::Delivered { source, sequence: 0, kind, bytes: 1, latency }
    }

    fn closed(round: u32, contributions: u32) -> RecordKind {
        RecordKind::PlanRound {
            round,
            primal_residual: 0.0,
            dual_residual: 0.0,
            contributions,
            prices: Vec::new(),
        }
    }

    fn rows(records: &[Record]) -> (Vec<RoundRow>, MetricsSet) {
        let mut recorder = RoundsRecorder::new(Places::default(), vec![HUB, NEAR, FAR]);
        let mut rows = Vec::new();
        records.iter().for_each(|record| recorder.record(record, &mut rows));
        recorder.finish(&mut rows);
        let mut set = MetricsSet::default();
        recorder.write(&mut set);
        let round = |row| match row {
            DerivedRow::Round(row) => row,
            other => panic!("{other:?} is no round"),
        };
        (rows.into_iter().map(round).collect(), set)
    }

    #[test]
    fn a_round_waits_for_its_slowest_and_its_computation_is_told_apart() {
        let (rows, set) = rows(&[
            at(10, HUB, submitted(NEAR, 100)),
            at(10, HUB, submitted(FAR, 100)),
            at(12, NEAR, submitted(HUB, 50)),
            at(12, NEAR, delivered(HUB)),
            at(14, HUB, delivered(NEAR)),
            at(40, FAR, delivered(HUB)),
            at(47, FAR, submitted(HUB, 50)),
            at(90, HUB, closed(1, 3)),
            at(90, HUB, delivered(FAR)),
            at(90, HUB, submitted(NEAR, 100)),
        ]);
        let [row] = &rows[..] else { panic!("one round, not {rows:?}") };
        assert_eq!((row.slowest, &row.late[..], row.bytes), (Some(FAR), &[][..], 300));
        assert_eq!((row.opened, row.closed), (SimTime::from_secs(10), SimTime::from_secs(90)));
        assert_eq!(row.computation, SimTime::from_secs(7));
        assert_eq!(row.contacts, SimTime::from_secs(73));
        let bytes = set.get("plan.bytes_per_round").and_then(|metric| metric.value);
        assert_eq!(bytes, Some(400.0), "with the signal of the next");
    }

    #[test]
    fn what_an_asset_is_told_twice_in_a_round_is_no_computation_of_hours() {
        // A call for bids, its bids, and much later what it was granted: it answers each at once.
        let (rows, set) = rows(&[
            at(0, HUB, RecordKind::PlanSolver { solver: "asynchronous", why: "configured" }),
            at(0, HUB, submitted(FAR, 1)),
            at(10, FAR, delivered(HUB)),
            at(11, FAR, submitted(HUB, 1)),
            at(8000, FAR, submitted(HUB, 1)),
            at(8001, FAR, delivered(HUB)),
            at(8010, HUB, delivered(FAR)),
            at(8010, HUB, closed(1, 1)),
        ]);
        assert_eq!((rows[0].slowest, rows[0].computation), (Some(FAR), SimTime::ZERO));
        let chosen = set.get("plan.solver_chosen").expect("it was told");
        assert_eq!((chosen.value, chosen.note.as_deref()), (Some(1.0), Some("asynchronous (configured)")));
    }

    #[test]
    fn who_did_not_answer_before_the_deadline_is_late_and_its_answer_counts_in_the_next_round() {
        let (rows, set) = rows(&[
            at(0, HUB, submitted(NEAR, 1)),
            at(0, HUB, submitted(FAR, 1)),
            at(1, NEAR, delivered(HUB)),
            at(1, NEAR, submitted(HUB, 1)),
            at(2, HUB, delivered(NEAR)),
            at(60, HUB, closed(1, 2)),
            at(60, HUB, submitted(NEAR, 1)),
            at(61, NEAR, delivered(HUB)),
            at(61, NEAR, submitted(HUB, 1)),
            at(62, HUB, delivered(NEAR)),
            at(70, HUB, delivered(FAR)),
            at(70, HUB, closed(2, 3)),
        ]);
        assert_eq!((rows[0].slowest, &rows[0].late[..]), (None, &[FAR][..]));
        assert_eq!(rows[0].contacts, SimTime::from_secs(60));
        assert_eq!((rows[1].slowest, rows[1].late.len()), (Some(FAR), 0));
        assert_eq!(set.get("plan.late").and_then(|metric| metric.value), Some(1.0));
    }
}
