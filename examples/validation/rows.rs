//! The rows of the comparison: what another simulator says, what ours says, and whether they agree.

use cosmosmesh::{
    engine::{Record, RecordKind, Sink},
    oracle::Journeys,
    scenario::Scenario,
    sim::{Options, Simulation},
    units::SimTime,
};
use std::{ops::ControlFlow, path::Path, sync::Arc};

/// How many were delivered, and their mean latency in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) delivered: u64,
    pub(crate) mean_s: f64,
}

/// What an outcome is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// Equal, the mean to the millisecond.
    Exact,
    /// Both within so many per cent.
    Percent(f64),
    /// No more delivered and no sooner than the foremost journeys.
    NeverBetter,
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) title: &'static str,
    /// The scenario's file name without its ending.
    pub(crate) scenario: &'static str,
    pub(crate) theirs: Outcome,
    pub(crate) bound: Bound,
}

/// The foremost journeys of the trace, by an independent search that is not ours.
pub(crate) const FOREMOST: Outcome = Outcome { delivered: 1436, mean_s: 841.895 };

/// All cases. `theirs` are results of The ONE 1.6, except the first.
pub(crate) const CASES: [Case; 5] = [
    Case {
        title: "Epidemic, transfers take no time, stores without a limit",
        scenario: "helsinki_foremost",
        theirs: FOREMOST,
        bound: Bound::Exact,
    },
    Case {
        title: "Epidemic, 1 GB/s, stores without a limit",
        scenario: "helsinki_gigabyte",
        theirs: Outcome { delivered: 1434, mean_s: 870.43 },
        bound: Bound::NeverBetter,
    },
    Case {
        title: "Direct delivery, 250 kB/s, 5 MB, 300 min",
        scenario: "helsinki_direct",
        theirs: Outcome { delivered: 472, mean_s: 6315.6 },
        bound: Bound::Percent(5.0),
    },
    Case {
        title: "Spray and wait, binary, 10 copies, 250 kB/s, 5 MB, 300 min",
        scenario: "helsinki_spray",
        theirs: Outcome { delivered: 605, mean_s: 2161.8 },
        bound: Bound::Percent(5.0),
    },
    Case {
        title: "Epidemic, 250 kB/s, 5 MB, 300 min",
        scenario: "helsinki_epidemic",
        theirs: Outcome { delivered: 317, mean_s: 3120.0 },
        bound: Bound::Percent(5.0),
    },
];

impl Case {
    /// Whether `ours` is within the bound.
    pub(crate) fn holds(&self, ours: Outcome) -> bool {
        let near = |ours: f64, theirs: f64, percent: f64| (ours / theirs - 1.0).abs() * 100.0 <= percent;
        match self.bound {
            Bound::Exact => {
                ours.delivered == self.theirs.delivered && (ours.mean_s - self.theirs.mean_s).abs() < 5e-4
            }
            Bound::Percent(percent) => {
                near(ours.delivered as f64, self.theirs.delivered as f64, percent)
                    && near(ours.mean_s, self.theirs.mean_s, percent)
            }
            Bound::NeverBetter => {
                ours.delivered < FOREMOST.delivered
                    || (ours.delivered == FOREMOST.delivered && ours.mean_s >= FOREMOST.mean_s - 5e-4)
            }
        }
    }

    /// Loads the case's scenario from the repository.
    pub(crate) fn load(&self) -> Arc<Scenario> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{}.ron", self.scenario));
        Arc::new(Scenario::load(&path).unwrap_or_else(|mistakes| panic!("{}", mistakes.render())))
    }
}

/// Counts deliveries.
#[derive(Debug, Default)]
struct Deliveries {
    count: u64,
    nanos: i128,
}

impl Sink for Deliveries {
    fn record(&mut self, record: &Record) {
        if let RecordKind::Delivered { latency, .. } = record.kind {
            self.count += 1;
            self.nanos += i128::from(latency.as_nanos());
        }
    }
}

/// Flies a scenario with the nodes' real protocol, by its own seed or another one.
pub(crate) fn fly(scenario: &Arc<Scenario>, seed: Option<u64>) -> Outcome {
    let options = Options { seed, ..Options::default() };
    let simulation = Simulation::new(scenario.clone(), options).expect("the scenario can be set out");
    let mut deliveries = Deliveries::default();
    simulation.run(&mut deliveries, &mut |_| ControlFlow::Continue(())).expect("it is not interrupted");
    mean(deliveries.count, deliveries.nanos)
}

/// The foremost journey of every message, by our own search, which knows neither nodes nor routing.
pub(crate) fn foremost(scenario: &Arc<Scenario>) -> Outcome {
    let simulation =
        Simulation::new(scenario.clone(), Options::default()).expect("the scenario can be set out");
    let course = simulation.course();
    let journeys = Journeys::new(scenario.assets.len(), course.plan.contacts());
    let list = scenario.messages.as_ref().expect("the scenario lists its messages");
    let (mut count, mut nanos) = (0, 0);
    for message in &list.list {
        let arrival = journeys.foremost(message.from, message.to, message.time, course.end);
        if let Some(arrival) = arrival.filter(|arrival| *arrival > SimTime::ZERO) {
            count += 1;
            nanos += i128::from((arrival - message.time).as_nanos());
        }
    }
    mean(count, nanos)
}

fn mean(count: u64, nanos: i128) -> Outcome {
    Outcome { delivered: count, mean_s: nanos as f64 / 1e9 / count.max(1) as f64 }
}
