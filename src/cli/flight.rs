//! One run with everything that watches it: digest, metrics, oracles, run folder, trace file.

use super::{CliError, reference};
use crate::{
    engine::{AssetLog, Digest, Fingerprint, Record, SentBundle, Sink, TraceWriter},
    metrics::{Metrics, MetricsSet, Places, RunShape},
    oracle::{OracleReport, Oracles},
    report::{
        AssetFacts, Capture, CapturedLink, OracleFacts, PlanFacts, ReportError, RunEnd, RunFacts, RunFolder,
        Timing, words, write_log,
    },
    scenario::{PlanSpec, PrivacySpec, Scenario, Tolerance},
    sim::{Free, Options, Outside, Progress, Reality, SimError, Simulation},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::planning::solver::Kind;
use std::{
    fs::File,
    io::{self, BufWriter},
    num::NonZeroUsize,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// What is to be written of a run.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// The run folder.
    pub(super) folder: PathBuf,
    /// Whether it gets a trace file.
    pub(super) trace: bool,
    /// Whether it gets a packet capture.
    pub(super) pcap: bool,
}

/// How a run is made.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// The scenario's file.
    pub(super) path: &'a Path,
    /// Seed in place of the scenario's.
    pub(super) seed: Option<u64>,
    /// How much further the seed is.
    pub(super) shift: u64,
    /// What replaces the plan's budget of privacy.
    pub(super) budget: Option<Budget>,
    /// Threads.
    pub(super) threads: NonZeroUsize,
    /// Where to stop before the scenario's end.
    pub(super) until: Option<SimTime>,
    /// What to write, if anything.
    pub(super) output: Option<Output>,
    /// The method of planning in place of the scenario's.
    pub(super) solver: Option<Kind>,
}

/// A budget of privacy in place of the scenario's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Budget {
    /// Masks alone.
    NoNoise,
    /// ε at the scenario's δ.
    Epsilon(f64),
}

impl Budget {
    /// Puts it in; `None` when the plan has no noise.
    fn replace(self, scenario: &mut Scenario) -> Option<()> {
        let plan = scenario.planning.as_mut()?;
        let PrivacySpec::Masked(masks) = &mut plan.privacy else { return None };
        let noise = masks.noise.as_mut()?;
        match self {
            Self::Epsilon(epsilon) => noise.epsilon = epsilon,
            Self::NoNoise => masks.noise = None,
        }
        Some(())
    }
}

/// What a run gave.
#[derive(Debug)]
pub(super) struct Flown {
    pub(super) facts: RunFacts,
    pub(super) fingerprint: Fingerprint,
    /// When it ended.
    pub(super) end: SimTime,
    pub(super) metrics: MetricsSet,
    pub(super) oracles: OracleReport,
    /// How far the scenario lets the metrics be from a baseline.
    pub(super) tolerances: Vec<Tolerance>,
    pub(super) timing: Timing,
    pub(super) folder: Option<PathBuf>,
}

/// Loads a scenario and runs it.
///
/// # Errors
/// [`CliError`] when the scenario has mistakes, cannot be simulated, or the run folder cannot be written.
pub(super) fn fly(
    request: &Request<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Flown, CliError> {
    fly_loaded(
        request,
        Scenario::load(request.path)?,
        Beside { reality: Reality::default(), outside: &mut Free },
        progress,
    )
}

/// What is beside the simulation.
pub(super) struct Beside<'a> {
    /// What is real.
    pub(super) reality: Reality,
    /// Where it is.
    pub(super) outside: &'a mut dyn Outside,
}

/// Runs a scenario beside what is real.
///
/// # Errors
/// As [`fly`].
pub(super) fn fly_loaded(
    request: &Request<'_>,
    mut scenario: Scenario,
    beside: Beside<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Flown, CliError> {
    let started = wall_clock();
    if let (Some(plan), Some(kind)) = (&mut scenario.planning, request.solver) {
        plan.solver = Some(kind);
    }
    if request.budget.is_some_and(|budget| budget.replace(&mut scenario).is_none()) {
        let reason = "its plan has no noise: `privacy: Masked(noise: (…))`".to_owned();
        return Err(CliError::Input { path: request.path.into(), reason });
    }
    let seed = request.seed.unwrap_or(scenario.seed).wrapping_add(request.shift);
    let scenario = Arc::new(scenario);
    let input = |reason: String| CliError::Input { path: request.path.into(), reason };
    let capture = request.output.as_ref().is_some_and(|output| output.pcap);
    let options = Options { seed: Some(seed), threads: request.threads, until: request.until, capture };
    let simulation = Simulation::beside(scenario.clone(), options, beside.reality);
    let simulation = simulation.map_err(|error| input(error.to_string()))?;
    let end = simulation.course().end;
    let mut facts = facts(&scenario, Some(seed), end);
    let real: Vec<AssetIndex> =
        indices(&scenario).filter(|asset| simulation.reality().has_node(*asset)).collect();
    if !real.is_empty() {
        let names: Vec<&str> = real.iter().map(|asset| scenario.asset(*asset).name.as_str()).collect();
        let ours = format!(
            "not simulated, so that what they send and are sent is not counted: {}",
            names.join(", ")
        );
        facts.caveat = Some(facts.caveat.map_or(ours.clone(), |caveat| format!("{caveat}; {ours}")));
    }
    let folder = match &request.output {
        Some(output) => Some(open_folder(request.path, output, &facts)?),
        None => None,
    };
    let mut watch = Watch::new(&simulation, &scenario, end, folder).map_err(input)?;
    watch.oracles.pass_over(real);
    watch.oracles.lose_disks(simulation.fleet().lives().clone());
    watch.oracles.pass_over_ways(simulation.reality().ways().collect());
    if request.output.as_ref().is_some_and(|output| output.trace) {
        watch.open_trace(&scenario)?;
    }
    if capture {
        watch.open_capture(&scenario, &simulation)?;
    }
    let summary =
        simulation.run_beside(beside.outside, &mut watch, progress).map_err(|error| match error {
            SimError::Interrupted => CliError::Interrupted,
            error => input(error.to_string()),
        })?;
    let wall_s = started.elapsed().as_secs_f64();
    let timing = Timing {
        wall_s,
        threads: u32::try_from(request.threads.get()).unwrap_or(u32::MAX),
        events: summary.events,
        events_per_s: summary.events as f64 / wall_s,
    };
    facts.duration_s = summary.end.as_secs_f64();
    // A session's log is whole even when the run folder cannot be written.
    beside.outside.reached(summary.end, watch.digest.fingerprint());
    watch.finish(&scenario, facts, summary.end, timing)
}

fn open_folder(path: &Path, output: &Output, facts: &RunFacts) -> Result<RunFolder, CliError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| CliError::File { path: path.into(), source })?;
    Ok(RunFolder::create(&output.folder, facts.clone(), &text)?)
}

fn indices(scenario: &Scenario) -> impl Iterator<Item = AssetIndex> {
    (0..scenario.assets.len() as u32).map(AssetIndex)
}

fn facts(scenario: &Scenario, seed: Option<u64>, end: SimTime) -> RunFacts {
    let asset = |asset: &crate::scenario::Asset| AssetFacts {
        name: asset.name.clone(),
        kind: words::asset_kind(asset.kind).into(),
    };
    RunFacts {
        format: RunFacts::FORMAT.into(),
        scenario: scenario.name.clone(),
        scenario_hash: scenario.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        caveat: scenario.protocol.service.caveat().map(Into::into),
        seed: seed.unwrap_or(scenario.seed),
        version: env!("CARGO_PKG_VERSION").into(),
        fingerprint: String::new(),
        epoch_utc: scenario.epoch.utc(SimTime::ZERO),
        duration_s: end.as_secs_f64(),
        assets: scenario.assets.iter().map(asset).collect(),
        plan: scenario.planning.as_ref().map(plan_facts),
        oracles: OracleFacts::default(),
    }
}

fn plan_facts(plan: &PlanSpec) -> PlanFacts {
    PlanFacts {
        commodities: plan.commodities.clone(),
        slots: plan.slots,
        slot_s: plan.slot.as_secs_f64(),
        constraints: plan.coupling_names(0),
        shift: plan.rolling.map_or(0, |rolling| rolling.shift),
        later: (1..plan.horizons()).map(|horizon| plan.coupling_names(horizon)).collect(),
    }
}

/// The trace's readers.
struct Watch {
    digest: Digest,
    metrics: Metrics,
    oracles: Oracles,
    folder: Option<RunFolder>,
    trace: Option<(PathBuf, TraceWriter<BufWriter<File>>)>,
    capture: Option<(PathBuf, Capture<BufWriter<File>>)>,
    /// The first failure to write: the run goes on, and then tells.
    failure: Option<ReportError>,
}

impl Watch {
    fn new(
        simulation: &Simulation,
        scenario: &Scenario,
        end: SimTime,
        folder: Option<RunFolder>,
    ) -> Result<Self, String> {
        let shape = RunShape {
            duration: end,
            replicas: scenario.shared_state.as_ref().map_or_else(Vec::new, |shared| shared.members.clone()),
            plan: reference::of_start(simulation.fleet())?,
            replan: Some(reference::later(simulation.shared_fleet())),
            places: Places {
                ephemeris: simulation.course().ephemeris.clone(),
                trajectories: simulation.course().trajectories.clone(),
            },
            adversaries: scenario.adversaries.iter().map(|adversary| adversary.asset).collect(),
            lives: simulation.fleet().lives().clone(),
        };
        let longest = simulation
            .course()
            .plan
            .contacts()
            .iter()
            .flat_map(|contact| contact.range.iter().map(|sample| contact.owlt_at(sample.time)));
        // A frame is on air for an hour at the most; see the radios' memory.
        let longest_flight = longest.max().map(|light_time| light_time + SimTime::from_secs(3600));
        Ok(Self {
            digest: Digest::new(),
            metrics: Metrics::new(shape),
            oracles: Oracles::new(longest_flight),
            folder,
            trace: None,
            capture: None,
            failure: None,
        })
    }

    fn open_trace(&mut self, scenario: &Scenario) -> Result<(), CliError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.path().join("trace.jsonl");
        let file = File::create(&path).map_err(|source| CliError::File { path: path.clone(), source })?;
        let names = scenario.assets.iter().map(|asset| asset.name.as_str());
        self.trace = Some((path, TraceWriter::new(BufWriter::new(file), names)));
        Ok(())
    }

    fn open_capture(&mut self, scenario: &Scenario, simulation: &Simulation) -> Result<(), CliError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.path().join("bundles.pcapng");
        let unwritable = |source| CliError::File { path: path.clone(), source };
        let file = File::create(&path).map_err(unwritable)?;
        let epoch = Duration::from_nanos(scenario.epoch.posix_ns(SimTime::ZERO).unwrap_or(0));
        let links = captured_links(scenario, simulation);
        let capture = Capture::new(BufWriter::new(file), epoch, links).map_err(unwritable)?;
        self.capture = Some((path, capture));
        Ok(())
    }

    fn finish(
        mut self,
        scenario: &Scenario,
        mut facts: RunFacts,
        end: SimTime,
        timing: Timing,
    ) -> Result<Flown, CliError> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        if let Some((path, writer)) = self.trace {
            let flushed = writer.finish().and_then(|mut out| io::Write::flush(&mut out));
            flushed.map_err(|source| CliError::File { path, source })?;
        }
        if let Some((path, capture)) = self.capture {
            let flushed = capture.finish().and_then(|mut out| io::Write::flush(&mut out));
            flushed.map_err(|source| CliError::File { path, source })?;
        }
        let mut metrics = self.metrics.finish(end);
        if let Some(caveat) = &facts.caveat {
            metrics.stamp(caveat);
        }
        let healed = is_healed(scenario, end);
        let oracles = self.oracles.finish(end, healed);
        let fingerprint = self.digest.fingerprint();
        facts.fingerprint = fingerprint.to_string();
        facts.oracles = (&oracles).into();
        let folder = match self.folder {
            Some(folder) => Some(folder.finish(RunEnd {
                end,
                fingerprint: fingerprint.to_string(),
                metrics: &metrics,
                derived: self.metrics.derived(),
                links: self.metrics.links(),
                oracles: &oracles,
                timing,
            })?),
            None => None,
        };
        let tolerances = scenario.metrics.clone();
        Ok(Flown { facts, fingerprint, end, metrics, oracles, tolerances, timing, folder })
    }
}

impl Sink for Watch {
    fn record(&mut self, record: &Record) {
        self.digest.record(record);
        self.metrics.record(record);
        self.oracles.record(record);
        if let Some((_, trace)) = &mut self.trace {
            trace.record(record);
        }
        if let Some(folder) = &mut self.folder
            && self.failure.is_none()
        {
            self.failure = folder.record(record, self.metrics.derived()).err();
        }
    }

    fn bundle(&mut self, bundle: &SentBundle) {
        if let Some((_, capture)) = &mut self.capture {
            capture.add(bundle);
        }
    }

    fn log(&mut self, log: &AssetLog) {
        if let Some(folder) = &self.folder
            && self.failure.is_none()
        {
            let name = &folder.assets()[log.asset.get()].name;
            self.failure = write_log(folder.path(), name, log).err();
        }
    }
}

/// How the links of a run are shown in its packet capture.
fn captured_links(scenario: &Scenario, simulation: &Simulation) -> Vec<CapturedLink> {
    let fleet = simulation.fleet();
    let links = simulation.course().links.iter();
    links
        .map(|link| {
            let name = |asset| &scenario.asset(asset).name;
            let class = &scenario.classes[link.class].name;
            CapturedLink {
                name: format!("{} to {}, {class} {}", name(link.from), name(link.to), link.sender_link),
                from: fleet.node(link.from).0,
                to: fleet.node(link.to).0,
            }
        })
        .collect()
}

/// Whether replicas have had the time to agree: writes stopped early enough for a whole lifetime of their messages.
fn is_healed(scenario: &Scenario, end: SimTime) -> bool {
    scenario.shared_state.as_ref().is_some_and(|shared| shared.end + shared.lifetime <= end)
}

#[expect(clippy::disallowed_methods, reason = "the command line tells the user how long a run took")]
fn wall_clock() -> Instant {
    Instant::now()
}
