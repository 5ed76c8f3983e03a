//! [`Course`]: what is fixed before a run starts: who can talk to whom, when, over what, and what will break.

use crate::{
    astro::{Ephemeris, EphemerisError, MotionError, Trajectory},
    contact::{ContactPlan, FindError, Terminal, find_between},
    engine::{RandomStreams, pair},
    link::{Access, Interval, LinkBudget, LinkClass, MissingFigure, Outages, directed_link},
    scenario::{ContactSource, Fault, LinkSelector, Scenario},
    units::{AssetIndex, Meters, SimTime},
};
use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

/// Why a scenario cannot be set out.
#[derive(Debug, thiserror::Error)]
pub enum CourseError {
    /// The ephemeris does not reach.
    #[error(transparent)]
    Ephemeris(#[from] EphemerisError),
    /// An asset's motion cannot be computed.
    #[error("asset `{asset}`: {source}")]
    Motion {
        /// The asset's name.
        asset: String,
        /// Why.
        source: MotionError,
    },
    /// Contacts cannot be found.
    #[error(transparent)]
    Contacts(#[from] FindError),
    /// A radio lacks a figure that its class's capacity needs.
    #[error("asset `{asset}`: {source}")]
    Budget {
        /// The asset's name.
        asset: String,
        /// What.
        source: MissingFigure,
    },
}

/// One direction between two radios.
#[derive(Clone, Debug)]
pub struct DirectedLink {
    /// The sender.
    pub from: AssetIndex,
    /// Its radio.
    pub from_radio: u32,
    /// The receiver.
    pub to: AssetIndex,
    /// Its radio.
    pub to_radio: u32,
    /// Index into the scenario's link classes.
    pub class: usize,
    /// The link's number at the sender's node.
    pub sender_link: u32,
    /// The link's number at the receiver's node.
    pub receiver_link: u32,
    /// When it is out of order.
    pub outages: Outages,
    /// When frames are lost beyond what the class says, and how likely.
    pub extra_loss: Vec<(Interval, f64)>,
    /// Names its random streams.
    pub stream: u64,
}

impl DirectedLink {
    /// The extra loss at `time`.
    #[must_use]
    pub fn extra_loss_at(&self, time: SimTime) -> f64 {
        let kept = self.extra_loss.iter().filter(|(when, _)| when.contains(time));
        1.0 - kept.map(|(_, loss)| 1.0 - loss).product::<f64>()
    }
}

/// A contact, or the part of one that faults leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Index into the links.
    pub link: u32,
    /// Index into the contact plan.
    pub contact: u32,
    /// First moment at which a frame may start.
    pub start: SimTime,
    /// Last moment at which a frame may start.
    pub end: SimTime,
}

/// What is fixed before a run starts.
#[derive(Clone, Debug)]
pub struct Course {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The run's random streams.
    pub streams: RandomStreams,
    /// The bodies, if any asset has a place among them.
    pub ephemeris: Option<Arc<Ephemeris>>,
    /// How assets move, by index.
    pub trajectories: Vec<Option<Arc<Trajectory>>>,
    /// The contact plan, without faults.
    pub plan: ContactPlan,
    /// The links of the plan, in order of (from, from_radio, to, to_radio).
    pub links: Vec<DirectedLink>,
    /// Windows with faults taken out, by sender in order of time.
    pub windows: Vec<Vec<Window>>,
    /// When assets are off, by index.
    pub outages: Vec<Outages>,
    /// When the run ends.
    pub end: SimTime,
}

impl Course {
    /// Sets a scenario out: computes motions and contacts up to `end`.
    ///
    /// # Errors
    /// [`CourseError`] when a motion or contact cannot be computed.
    pub fn new(
        scenario: Arc<Scenario>,
        seed: u64,
        end: SimTime,
        threads: Option<NonZeroUsize>,
    ) -> Result<Self, CourseError> {
        let placed = scenario.assets.iter().any(|asset| asset.motion != crate::astro::Motion::Nowhere);
        let span = (SimTime::ZERO, end);
        let ephemeris = placed.then(|| Ephemeris::new(scenario.epoch, span).map(Arc::new)).transpose()?;
        let trajectories = trajectories(&scenario, ephemeris.as_deref())?;
        let plan = match &scenario.contacts {
            ContactSource::Imported { plan, .. } => plan.clone(),
            ContactSource::Computed => match ephemeris.as_deref() {
                Some(ephemeris) => computed(&scenario, ephemeris, &trajectories, span, threads)?,
                None => ContactPlan::default(),
            },
        };
        let outages = asset_outages(&scenario);
        let links = links(&scenario, &plan);
        let windows = windows(&scenario, &plan, &links, &outages, end);
        let streams = RandomStreams::new(seed);
        Ok(Self { scenario, streams, ephemeris, trajectories, plan, links, windows, outages, end })
    }

    /// The class of a link.
    #[must_use]
    pub fn class(&self, link: &DirectedLink) -> &LinkClass {
        &self.scenario.classes[link.class]
    }

    /// Power at `listener`'s radio of a frame from `sender`'s, dBm; −∞ where one has no place or no radio of the class.
    ///
    /// # Panics
    /// Never for a scenario whose budgets [`Course::new`] has checked.
    #[must_use]
    pub fn received_dbm(&self, class: usize, sender: AssetIndex, listener: AssetIndex, now: SimTime) -> f64 {
        let radio =
            |asset: AssetIndex| self.scenario.asset(asset).radios.iter().find(|radio| radio.class == class);
        let place = |asset: AssetIndex| {
            let (trajectory, ephemeris) =
                (self.trajectories[asset.get()].as_ref()?, self.ephemeris.as_ref()?);
            Some(trajectory.barycentric(ephemeris, now).position_m)
        };
        let (Some(from), Some(to)) = (radio(sender), radio(listener)) else { return f64::NEG_INFINITY };
        let (Some(here), Some(there)) = (place(sender), place(listener)) else { return f64::NEG_INFINITY };
        let range = Meters((there - here).norm().max(1.0));
        LinkBudget::new(&self.scenario.classes[class], from, to)
            .ok()
            .and_then(|budget| budget.received_dbm(range))
            .unwrap_or(f64::NEG_INFINITY)
    }
}

fn trajectories(
    scenario: &Scenario,
    ephemeris: Option<&Ephemeris>,
) -> Result<Vec<Option<Arc<Trajectory>>>, CourseError> {
    let compile = |asset: &crate::scenario::Asset| match ephemeris {
        Some(ephemeris) if asset.motion != crate::astro::Motion::Nowhere => {
            let compiled = Trajectory::new(&asset.motion, ephemeris);
            let named = |source| CourseError::Motion { asset: asset.name.clone(), source };
            compiled.map(|trajectory| Some(Arc::new(trajectory))).map_err(named)
        }
        _ => Ok(None),
    };
    scenario.assets.iter().map(compile).collect()
}

fn computed(
    scenario: &Scenario,
    ephemeris: &Ephemeris,
    trajectories: &[Option<Arc<Trajectory>>],
    span: (SimTime, SimTime),
    threads: Option<NonZeroUsize>,
) -> Result<ContactPlan, CourseError> {
    let mut terminals = Vec::new();
    for (index, asset) in scenario.assets.iter().enumerate() {
        let Some(trajectory) = &trajectories[index] else { continue };
        for (radio, spec) in asset.radios.iter().enumerate() {
            terminals.push(Terminal {
                asset: AssetIndex(index as u32),
                radio: radio as u32,
                trajectory,
                spec,
            });
        }
    }
    let may_talk =
        |from: &Terminal<'_>, to: &Terminal<'_>| scenario.may_talk(from.spec.class, from.asset, to.asset);
    Ok(find_between(ephemeris, &terminals, &scenario.classes, span, threads, &may_talk)?)
}

fn asset_outages(scenario: &Scenario) -> Vec<Outages> {
    let down = |index: u32| {
        let intervals = scenario.faults.iter().filter_map(|fault| match fault {
            Fault::AssetDown { asset, start, end, .. } if asset.0 == index => {
                Some(Interval { start: *start, end: *end })
            }
            _ => None,
        });
        Outages::new(intervals.collect())
    };
    (0..scenario.assets.len() as u32).map(down).collect()
}

fn links(scenario: &Scenario, plan: &ContactPlan) -> Vec<DirectedLink> {
    type Ends = (AssetIndex, u32, AssetIndex, u32);
    let mut ends: Vec<Ends> = Vec::new();
    for contact in plan.contacts() {
        ends.push((contact.from, contact.from_radio, contact.to, contact.to_radio));
        // The other direction has a number too: a receiver's node knows the link that a frame came by.
        ends.push((contact.to, contact.to_radio, contact.from, contact.from_radio));
    }
    ends.sort_unstable();
    ends.dedup();
    let mut numbers: BTreeMap<Ends, u32> = BTreeMap::new();
    let mut counts = vec![0; scenario.assets.len()];
    for &link in &ends {
        numbers.insert(link, counts[link.0.get()]);
        counts[link.0.get()] += 1;
    }
    let link = |&(from, from_radio, to, to_radio): &Ends| {
        let class = scenario.asset(from).radios.get(from_radio as usize).map_or(0, |radio| radio.class);
        DirectedLink {
            from,
            from_radio,
            to,
            to_radio,
            class,
            sender_link: numbers[&(from, from_radio, to, to_radio)],
            receiver_link: numbers[&(to, to_radio, from, from_radio)],
            outages: link_outages(scenario, from, to, class),
            extra_loss: extra_loss(scenario, from, to, class),
            stream: directed_link(from, from_radio, to, to_radio),
        }
    };
    ends.iter().map(link).collect()
}

fn concerns(links: &LinkSelector, from: AssetIndex, to: AssetIndex, class: usize) -> bool {
    match *links {
        LinkSelector::Between(a, b) => (a, b) == (from, to) || (b, a) == (from, to),
        LinkSelector::Of(asset) => asset == from || asset == to,
        LinkSelector::Class(found) => found == class,
    }
}

fn link_outages(scenario: &Scenario, from: AssetIndex, to: AssetIndex, class: usize) -> Outages {
    let intervals = scenario.faults.iter().filter_map(|fault| match fault {
        Fault::LinkDown { links, start, end } if concerns(links, from, to, class) => {
            Some(Interval { start: *start, end: *end })
        }
        _ => None,
    });
    Outages::new(intervals.collect())
}

fn extra_loss(scenario: &Scenario, from: AssetIndex, to: AssetIndex, class: usize) -> Vec<(Interval, f64)> {
    let losses = scenario.faults.iter().filter_map(|fault| match fault {
        Fault::ExtraLoss { links, probability, start, end } if concerns(links, from, to, class) => {
            Some((Interval { start: *start, end: *end }, *probability))
        }
        _ => None,
    });
    losses.collect()
}

/// The contacts by sender, less what faults of the link or of either end take away.
fn windows(
    scenario: &Scenario,
    plan: &ContactPlan,
    links: &[DirectedLink],
    outages: &[Outages],
    end: SimTime,
) -> Vec<Vec<Window>> {
    let mut windows = vec![Vec::new(); scenario.assets.len()];
    for (index, contact) in plan.contacts().iter().enumerate() {
        if contact.start >= end {
            continue;
        }
        let key = (contact.from, contact.from_radio, contact.to, contact.to_radio);
        let link = links
            .binary_search_by_key(&key, |link| (link.from, link.from_radio, link.to, link.to_radio))
            .expect("every contact has its link");
        let mut cuts: Vec<Interval> = links[link].outages.intervals().to_vec();
        cuts.extend_from_slice(outages[contact.from.get()].intervals());
        cuts.extend_from_slice(outages[contact.to.get()].intervals());
        let cuts = Outages::new(cuts);
        let whole =
            Window { link: link as u32, contact: index as u32, start: contact.start, end: contact.end };
        windows[contact.from.get()].extend(remaining(whole, &cuts));
    }
    for list in &mut windows {
        list.sort_by_key(|window| (window.start, window.link, window.contact));
    }
    windows
}

fn remaining(whole: Window, cuts: &Outages) -> Vec<Window> {
    let mut parts = Vec::new();
    let mut start = whole.start;
    for cut in cuts.intervals().iter().take_while(|cut| cut.start < whole.end) {
        if cut.start > start {
            parts.push(Window { start, end: cut.start, ..whole });
        }
        start = start.max(cut.end);
    }
    if start < whole.end {
        parts.push(Window { start, ..whole });
    }
    parts
}

/// Names the pair of an asset and its incarnation.
#[must_use]
pub const fn incarnation_entity(asset: AssetIndex, incarnation: u32) -> u64 {
    pair(asset.0, incarnation)
}

/// Whether a class's radios share one channel.
#[must_use]
pub fn is_shared(class: &LinkClass) -> bool {
    class.access == Access::SharedChannel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_the_middle_of_a_contact_leaves_two_windows() {
        let seconds = SimTime::from_secs;
        let whole = Window { link: 0, contact: 0, start: seconds(10), end: seconds(100) };
        let cut = |start, end| Interval { start: seconds(start), end: seconds(end) };
        let parts = remaining(whole, &Outages::new(vec![cut(0, 20), cut(40, 50), cut(90, 200)]));
        let spans: Vec<_> = parts.iter().map(|part| (part.start, part.end)).collect();
        assert_eq!(spans, [(seconds(20), seconds(40)), (seconds(50), seconds(90))]);
    }

    #[test]
    fn faults_before_and_after_a_contact_leave_it_whole() {
        let seconds = SimTime::from_secs;
        let whole = Window { link: 0, contact: 0, start: seconds(10), end: seconds(100) };
        let cut = |start, end| Interval { start: seconds(start), end: seconds(end) };
        assert_eq!(remaining(whole, &Outages::new(vec![cut(0, 10), cut(100, 200)])), [whole]);
    }
}
