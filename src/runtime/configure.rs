//! From a scenario to the configuration of its nodes.

use super::{
    horizon::Carried,
    planning::{Done, assembly, contested, local_problem, requests},
    privacy::Masks,
};
use crate::{
    engine::{RandomStreams, Stream},
    scenario::{
        CrcKind, CustodySpec, MaskSpec, PlanSpec, Routing, Scenario, Service, SharedState, TableLine,
    },
    units::{AssetIndex, SimTime},
    world::Lives,
};
use cosmosmesh_protocol::{
    bundle,
    dtn::{
        store::StoreLimits,
        strategy::{FloodingConfig, ProphetConfig, RoutingConfig, StaticRoute},
    },
    id::{EndpointId, NodeId},
    identity::{Directory, KeyPair},
    node::{
        BundleSecurity, BundleSettings, CustodySettings, NodeConfig, PlanConfig, Requests, Retransmission,
        SharedStateConfig,
    },
    planning::{
        Couplings, FleetProblem, IntegerError, IntegerFleet, LocalProblem, PlanError, ProblemError,
        QpSettings,
        solver::{Asset, Coordinator, MethodSettings, Pace},
    },
    sync::{Role, Roles, SyncLimits},
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What the nodes of a run have in common.
#[derive(Debug)]
pub struct Fleet {
    scenario: Arc<Scenario>,
    pub(super) streams: RandomStreams,
    directory: Arc<Directory>,
    nodes: Vec<NodeId>,
    /// Milliseconds between the nodes' civil time and the scenario's.
    civil_offset_ms: i64,
    /// Names in the `dtn` scheme.
    names: BTreeMap<Box<str>, NodeId>,
    problems: BTreeMap<AssetIndex, LocalProblem>,
    couplings: Option<Couplings>,
    masks: Option<Masks>,
    /// The authority of each asset's writes.
    roles: Arc<Roles>,
    lives: Lives,
}

/// The key pair of an asset: split from the run's seed.
#[must_use]
pub fn keys_of(streams: &RandomStreams, asset: AssetIndex) -> KeyPair {
    KeyPair::from_seed(streams.seed_256(Stream::Identity, u64::from(asset.0)))
}

impl Fleet {
    /// Makes the fleet's keys and local problems.
    ///
    /// # Errors
    /// The asset and [`ProblemError`] when its planning problem has no solution or no single one.
    pub fn new(scenario: Arc<Scenario>, streams: RandomStreams) -> Result<Self, (AssetIndex, ProblemError)> {
        let nodes: Vec<NodeId> = scenario.assets.iter().map(|asset| asset.node).collect();
        let key = |(index, node): (usize, &NodeId)| {
            (*node, keys_of(&streams, AssetIndex(index as u32)).public().clone())
        };
        let directory = Arc::new(nodes.iter().enumerate().map(key).collect());
        let mut problems = BTreeMap::new();
        let (mut couplings, mut masks) = (None, None);
        if let Some(plan) = &scenario.planning {
            let node = |asset: AssetIndex| nodes[asset.0 as usize];
            let assembly = assembly(plan, 0, node).expect("the scenario's check allows no other");
            for participant in &plan.participants {
                let asset = participant.asset;
                let problem = local_problem(plan, participant, node(asset), &assembly, 0, &Done::default());
                problems.insert(asset, problem.map_err(|error| (asset, error))?);
            }
            let count = assembly.couplings().len();
            let spec = plan.privacy.masks();
            masks = spec.map(|spec| {
                let mut horizons = later_problems(plan, node);
                horizons.push(problems.values().cloned().collect());
                let roster: Vec<AssetIndex> = problems.keys().copied().collect();
                Masks::new((spec, plan), (&horizons, most_at_once(plan), &roster), count, &streams, node)
            });
            couplings = Some(assembly.couplings().clone());
        }
        let assets = scenario.assets.iter();
        let names =
            assets.filter_map(|asset| Some((asset.dtn_name.as_deref()?.into(), asset.node))).collect();
        // Where certificates say who is what, they say it here too.
        let role = |asset: AssetIndex| match &scenario.trust {
            Some(trust) => trust.grant(asset).role,
            None => scenario.asset(asset).role.identity(),
        };
        let role = |asset: AssetIndex| (scenario.asset(asset).node, Role::from(role(asset)));
        let roles = Roles::new(scenario.asset_indices().map(role).collect(), Role::default());
        let roles = Arc::new(roles);
        let (civil_offset_ms, lives) = (0, Lives::new(&scenario.faults));
        Ok(Self {
            civil_offset_ms,
            streams,
            directory,
            nodes,
            names,
            problems,
            couplings,
            masks,
            roles,
            lives,
            scenario,
        })
    }

    /// Sets how far the nodes' civil time is from the scenario's, milliseconds.
    pub const fn set_civil_offset(&mut self, offset_ms: i64) {
        self.civil_offset_ms = offset_ms;
    }

    /// Checks the plan's settings, which nodes trust.
    ///
    /// # Errors
    /// What the coordinator refuses.
    pub fn check_plan(&self) -> Result<(), PlanError> {
        let Some(plan) = &self.scenario.planning else { return Ok(()) };
        let Some(couplings) = &self.couplings else { return Ok(()) };
        let members = plan.participants.iter().map(|participant| self.node(participant.asset)).collect();
        // The method that is picked may be any: its settings are those of the exchange.
        Coordinator::new(settings(plan, couplings.len()), pace(plan), couplings, members)?;
        for (asset, problem) in &self.problems {
            Asset::new(self.node(*asset), problem.clone(), QpSettings::default())?;
        }
        Ok(())
    }

    /// The local planning problems by asset.
    #[must_use]
    pub const fn problems(&self) -> &BTreeMap<AssetIndex, LocalProblem> {
        &self.problems
    }

    /// The constraints that bind the fleet, if there is a plan.
    #[must_use]
    pub const fn couplings(&self) -> Option<&Couplings> {
        self.couplings.as_ref()
    }

    /// The fleet's problem with its requests; none without requests.
    ///
    /// # Errors
    /// [`IntegerError`] when a constraint of the fleet cannot be met.
    pub fn integer(&self) -> Result<Option<IntegerFleet>, IntegerError> {
        let (Some(plan), Some(couplings)) = (&self.scenario.planning, &self.couplings) else {
            return Ok(None);
        };
        let lists =
            plan.participants.iter().map(|participant| (participant.asset, requests(plan, participant, 0)));
        let requests: BTreeMap<NodeId, Vec<usize>> =
            lists.map(|(asset, list)| (self.node(asset), list)).collect();
        if requests.values().all(Vec::is_empty) {
            return Ok(None);
        }
        let locals = self.problems.iter().map(|(asset, problem)| (self.node(*asset), problem.clone()));
        let problem = FleetProblem::new(couplings.clone(), locals.collect())?;
        IntegerFleet::new(problem, requests.into_values().collect()).map(Some)
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// When assets lose what they keep.
    #[must_use]
    pub const fn lives(&self) -> &Lives {
        &self.lives
    }

    /// The node number of an asset.
    #[must_use]
    pub fn node(&self, asset: AssetIndex) -> NodeId {
        self.nodes[asset.get()]
    }

    /// Where an asset takes bundles for its service number `service`: by its name in the `dtn` scheme, if it has one.
    #[must_use]
    pub fn endpoint(&self, asset: AssetIndex, service: u64) -> EndpointId {
        match &self.scenario.asset(asset).dtn_name {
            Some(name) => EndpointId::Dtn(format!("//{name}/{service}").into()),
            None => self.node(asset).endpoint(service),
        }
    }

    /// The asset that an endpoint belongs to.
    #[must_use]
    pub fn asset_of(&self, endpoint: &EndpointId) -> Option<AssetIndex> {
        let node = match endpoint {
            EndpointId::Dtn(name) => *self.names.get(name.strip_prefix("//")?.split('/').next()?)?,
            _ => endpoint.node()?,
        };
        // A bundle from outside may name anyone.
        self.nodes.binary_search(&node).ok().map(|place| AssetIndex(place as u32))
    }

    /// The asset with this node number.
    ///
    /// # Panics
    /// For a number that is not in the scenario: nodes accept only members.
    #[must_use]
    pub fn asset(&self, node: NodeId) -> AssetIndex {
        AssetIndex(self.nodes.binary_search(&node).expect("a member of the fleet") as u32)
    }

    /// The key pair of an asset.
    #[must_use]
    pub fn keys(&self, asset: AssetIndex) -> KeyPair {
        keys_of(&self.streams, asset)
    }

    /// The host's estimate of civil time at an asset. `None` where it has no clock, and before the year 2000, which the DTN time scale
    /// does not have.
    #[must_use]
    pub fn civil(&self, asset: AssetIndex, now: SimTime) -> Option<UtcEstimate> {
        if !self.scenario.asset(asset).has_clock {
            return None;
        }
        let utc = self.scenario.epoch.dtn_time_ms(now)?.checked_add_signed(self.civil_offset_ms)?;
        let utc = DtnTime(utc);
        let at = Instant::from_nanos(u64::try_from(now.as_nanos()).ok()?);
        Some(UtcEstimate { at, utc, uncertainty: span(self.scenario.protocol.clock_uncertainty) })
    }

    /// The configuration of an asset's node in its incarnation, from 1, in the horizon of the plan in which it begins.
    #[must_use]
    pub fn config(&self, asset: AssetIndex, incarnation: u32, carried: &Carried) -> NodeConfig {
        let scenario = &self.scenario;
        let protocol = &scenario.protocol;
        let storage = scenario.asset(asset).storage;
        let honest = !scenario.is_adversary(asset);
        let shared =
            scenario.shared_state.as_ref().filter(|shared| honest && shared.members.contains(&asset));
        NodeConfig {
            id: self.node(asset),
            directory: self.directory.clone(),
            routing: self.routing(asset),
            store: StoreLimits { bytes: storage.bytes, count: storage.bundles as usize },
            keep_bundles: storage.keeps_transit,
            hop_limit: protocol.hop_limit,
            crc: match protocol.crc {
                CrcKind::Crc16 => bundle::CrcKind::X25,
                CrcKind::Crc32c => bundle::CrcKind::Castagnoli,
            },
            window: u64::from(protocol.stream_window),
            submission_rate: protocol.submission_rate,
            replay_window: protocol.replay_window,
            max_payload: protocol.max_payload as usize,
            retransmission: Retransmission {
                max_attempts: protocol.retransmission.max_attempts,
                min_timeout: span(protocol.retransmission.min_timeout),
                ack_delay: span(protocol.retransmission.ack_delay),
                margin_percent: (protocol.retransmission.margin_factor * 100.0).round() as u32,
            },
            reroute_after: span(protocol.reroute_after),
            route_slack: span(protocol.reroute_after),
            control_lifetime: span(protocol.lifetimes[0]),
            security: protocol.signs_bundles.then(BundleSecurity::hop_by_hop),
            bundles: self.bundles(asset),
            counted_payloads: protocol.service == Service::Datagrams { size_only: true },
            contracts: false,
            shared_state: shared.map(|shared| self.shared_state(shared)),
            trust: self.trust(asset).filter(|_| honest),
            governance: self.governance(asset).filter(|_| honest),
            discovery: self.discovery().filter(|_| honest),
            sealing: self.sealing(),
            plan: scenario
                .planning
                .as_ref()
                .filter(|_| honest && !self.has_lost_masks(asset, incarnation))
                .and_then(|plan| self.plan(plan, asset, carried)),
        }
    }

    /// Whether an asset has lost, with its disk, the secret of its masks and how often it has used each. Its public keys are the ones that the mission has
    /// published, so it has no other secret, and takes no further part: an answer under a mask that was used before is told to the coordinator.
    #[must_use]
    pub(super) fn has_lost_masks(&self, asset: AssetIndex, incarnation: u32) -> bool {
        let masks = self.scenario.planning.as_ref().and_then(|plan| plan.privacy.masks());
        let has = |masks: &MaskSpec| masks.committee.contains(&asset) || self.problems.contains_key(&asset);
        masks.is_some_and(has) && self.lives.of_incarnation(asset, incarnation) > 0
    }

    /// How an asset's node treats bundles without envelopes.
    #[must_use]
    pub fn bundles(&self, asset: AssetIndex) -> BundleSettings {
        let protocol = &self.scenario.protocol;
        // A run has no strangers: lifetimes are the scenario's to set.
        BundleSettings {
            max_lifetime: Duration::MAX,
            names: self.scenario.asset(asset).dtn_name.iter().map(|name| name.as_str().into()).collect(),
            nodes: self.names.clone(),
            policy: self.scenario.asset(asset).policy,
            status_reports: protocol.status_reports,
            min_fragment: protocol.min_fragment.map(|bytes| bytes as usize),
            custody: protocol.custody.map(|custody| self.custody(asset, custody)),
            compression: protocol.compression,
            ..BundleSettings::default()
        }
    }

    fn routing(&self, asset: AssetIndex) -> RoutingConfig {
        match self.scenario.protocol.routing {
            Routing::Static => {
                let lines = self.scenario.asset(asset).routes.iter();
                let line = |line: &TableLine| StaticRoute {
                    destination: Some(self.node(line.to)),
                    next: self.node(line.via),
                };
                RoutingConfig::Static(lines.map(line).collect())
            }
            routing => strategy(routing),
        }
    }

    fn custody(&self, asset: AssetIndex, spec: CustodySpec) -> CustodySettings {
        let table = self.scenario.asset(asset).custodians.iter();
        CustodySettings {
            via: table.map(|line| (self.node(line.to), self.node(line.via))).collect(),
            direct: spec.direct,
            bundles: spec.bundles as usize,
            bytes: usize::try_from(spec.bytes).unwrap_or(usize::MAX),
            signal_delay: span(spec.signal_delay),
        }
    }

    fn shared_state(&self, shared: &SharedState) -> SharedStateConfig {
        let push_interval = span(shared.push_interval);
        SharedStateConfig {
            members: shared.members.iter().map(|member| self.node(*member)).collect(),
            limits: SyncLimits::default(),
            push_interval,
            // A backstop for pushes that were given up: rare beside them.
            anti_entropy_interval: (push_interval * 24).max(Duration::from_secs(3600)),
            audit_every: 8,
            horizon: span(shared.horizon),
            roles: self.roles.clone(),
            max_delta: (self.scenario.protocol.max_payload as usize).min(8192),
            lifetime: span(shared.lifetime),
        }
    }

    /// What binds the fleet in a horizon of the plan, an asset's own problem in it, if it takes part, and which variables are requests.
    ///
    /// # Errors
    /// [`ProblemError`] when what the asset did leaves it no plan.
    pub fn horizon(
        &self,
        asset: AssetIndex,
        horizon: u64,
        done: &Done,
    ) -> Result<Option<(Couplings, Option<LocalProblem>, Requests)>, ProblemError> {
        let Some(plan) = &self.scenario.planning else { return Ok(None) };
        let node = |asset: AssetIndex| self.node(asset);
        let assembly = assembly(plan, horizon, node).expect("the scenario's check allows no other");
        let participant = plan.participants.iter().find(|one| one.asset == asset);
        let problem = participant
            .map(|one| local_problem(plan, one, self.node(asset), &assembly, horizon, done))
            .transpose()?;
        let own = participant.map_or_else(Vec::new, |one| requests(plan, one, horizon));
        let requests = Requests { own, couplings: contested(plan, &assembly, horizon) };
        Ok(Some((assembly.couplings().clone(), problem, requests)))
    }

    fn plan(&self, plan: &PlanSpec, asset: AssetIndex, carried: &Carried) -> Option<PlanConfig> {
        let takes_part = self.problems.contains_key(&asset);
        let seated = plan.privacy.masks().is_some_and(|masks| masks.committee.contains(&asset));
        let leads = plan.coordinator == asset || plan.successors.contains(&asset);
        if !takes_part && !leads && !seated {
            return None;
        }
        let horizon = carried.horizon;
        let (couplings, problem, requests) = self.horizon(asset, horizon, &carried.done).ok()??;
        Some(PlanConfig {
            coordinator: self.node(plan.coordinator),
            successors: plan.successors.iter().map(|asset| self.node(*asset)).collect(),
            // Without successors too: a coordinator that crashed goes on when it is back.
            succession: Some(span(plan.succession)),
            participants: (plan.participants.iter())
                .filter(|participant| participant.joins.is_none())
                .map(|participant| self.node(participant.asset))
                .collect(),
            joiners: (plan.participants.iter())
                .filter(|participant| participant.joins.is_some())
                .map(|participant| self.node(participant.asset))
                .collect(),
            horizon,
            requests,
            absence: Some(span(plan.absence)),
            settings: settings(plan, couplings.len()),
            auto: plan.solver.is_none().then(|| span(plan.slot) * plan.slots),
            pace: pace(plan),
            couplings,
            problem,
            privacy: self.masks.as_ref().map(|masks| masks.config(&self.streams, asset)),
            lifetime: span(plan.lifetime),
        })
    }
}

/// The most that each participant can bring into constraints that sum over slots, by constraint: what it did before a horizon, what it does in it, and what it
/// leaves for later stand in one entry, and are bounded slot by slot.
fn most_at_once(plan: &PlanSpec) -> Vec<Vec<f64>> {
    let sums = plan.constraints.iter().filter(|constraint| !constraint.each_slot());
    let most = sums.map(|constraint| {
        let bound = plan.participants.iter().filter(|one| constraint.binds(one.asset));
        let terms = bound.flat_map(|one| &one.terms).filter(|term| term.commodity == constraint.commodity);
        terms
            .map(|term| {
                let slots = constraint.slots.clone().filter_map(|slot| {
                    let (least, most) = (term.min.get(slot)?, term.max.get(slot)?);
                    Some(least.abs().max(most.abs()))
                });
                slots.sum::<f64>()
            })
            .collect()
    });
    most.collect()
}

/// The participants' problems of each later horizon, as far as they are known beforehand: for their bounds.
fn later_problems(plan: &PlanSpec, node: impl Fn(AssetIndex) -> NodeId + Copy) -> Vec<Vec<LocalProblem>> {
    let horizons = plan.rolling.map_or(1, |rolling| u64::from(rolling.horizons));
    let of = |horizon: u64| {
        let assembly = assembly(plan, horizon, node).ok();
        let one = move |participant| {
            local_problem(
                plan,
                participant,
                node(participant.asset),
                assembly.as_ref()?,
                horizon,
                &Done::default(),
            )
            .ok()
        };
        plan.participants.iter().filter_map(one).collect::<Vec<_>>()
    };
    (1..horizons).map(of).collect()
}

/// The same at every node.
fn strategy(routing: Routing) -> RoutingConfig {
    match routing {
        Routing::Sabr => RoutingConfig::Sabr,
        Routing::Static => RoutingConfig::Static(Vec::new()),
        Routing::DirectDelivery(settings) => RoutingConfig::DirectDelivery(settings),
        Routing::Epidemic(settings) => RoutingConfig::Epidemic(settings),
        Routing::SprayAndWait { copies, binary, settings } => {
            RoutingConfig::SprayAndWait { copies, binary, settings }
        }
        Routing::Prophet(settings) => RoutingConfig::Prophet { config: ProphetConfig::default(), settings },
        Routing::ManagedFlooding { channel, settings } => {
            let config = FloodingConfig { shared: channel, ..FloodingConfig::default() };
            RoutingConfig::ManagedFlooding { config, settings }
        }
    }
}

fn settings(plan: &PlanSpec, couplings: usize) -> MethodSettings {
    MethodSettings {
        rho: plan.rho,
        relaxation: plan.over_relaxation,
        eps_abs: plan.eps_abs,
        eps_rel: plan.eps_rel,
        ..MethodSettings::of(plan.solver.unwrap_or_default())
    }
    .fit(couplings, usize::MAX)
}

fn pace(plan: &PlanSpec) -> Pace {
    let deadline = span(plan.round_timeout);
    Pace {
        deadline,
        // Long enough that what comes through one contact makes one step, short beside any light time between planets.
        gather: (deadline / 100).min(Duration::from_secs(10)),
        // A majority: no two coordinators of a fleet that is cut in two have one each.
        quorum: plan.participants.len() / 2 + 1,
        max_rounds: plan.max_rounds,
        ..Pace::default()
    }
}

fn span(time: SimTime) -> Duration {
    Duration::from_nanos(u64::try_from(time.as_nanos()).unwrap_or(0))
}
