//! [`find`]: every contact between a fleet's radios.

use std::{collections::BTreeMap, num::NonZeroUsize};

use rayon::prelude::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};

use super::{
    ContactPlan,
    scene::{AssetTrack, Scene},
    sightline::Demands,
    track::Track,
    window::{Direction, contacts},
};
use crate::{
    astro::{Body, Ephemeris, Trajectory, Vec3},
    link::{LinkBudget, LinkClass, MissingFigure, RadioSpec},
    units::{AssetIndex, SimTime},
};

/// Assets are sampled this far beyond the span, where a path that starts within it may end: above Mars' greatest light time.
const BEYOND: SimTime = SimTime(1_800_000_000_000);
/// The first intervals in which an asset's motion is sampled.
const ASSET_CELL: SimTime = SimTime(900_000_000_000);

/// A radio where it is.
#[derive(Clone, Copy)]
pub struct Terminal<'a> {
    /// The asset that carries it.
    pub asset: AssetIndex,
    /// Its place among the asset's radios.
    pub radio: u32,
    /// How the asset moves; equal for all radios of an asset.
    pub trajectory: &'a Trajectory,
    /// What it is.
    pub spec: &'a RadioSpec,
}

/// Why contacts cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// A radio names a class that is not among those given.
    #[error("asset {asset:?}, radio {radio}: link class {class} of {classes}")]
    UnknownClass {
        /// The asset.
        asset: AssetIndex,
        /// Its radio.
        radio: u32,
        /// The class that the radio names.
        class: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// The link budget lacks a figure.
    #[error("from asset {from:?}, radio {from_radio} to asset {to:?}, radio {to_radio}: {missing}")]
    Budget {
        /// The sender.
        from: AssetIndex,
        /// Its radio.
        from_radio: u32,
        /// The receiver.
        to: AssetIndex,
        /// Its radio.
        to_radio: u32,
        /// What is missing.
        missing: MissingFigure,
    },
    /// The threads asked for could not be started.
    #[error("cannot start {threads} threads")]
    Threads {
        /// How many.
        threads: NonZeroUsize,
    },
}

/// Every contact within `span` (within the ephemeris' span) between two of the `terminals` on different assets whose radios
/// are of one class, in both directions. The answer does not depend on the number of `threads` (`None`: rayon's default).
///
/// A contact needs a sight along the light path past the Sun, Earth, Moon and Mars, elevations above both masks, a range
/// within the class's and the link budget's, and the Sun far enough from the peer at both ends. Edges are refined to 10 µs
/// on motions sampled to 0.1 m. Windows shorter than the class's shortest contact are left out; any other of at least 1 s
/// is found, and so is a gap of at least 1 s (less where the shortest contact is below 1 s). The data rate is one per
/// contact: the highest of the modem's that closes over the whole of it. Between two assets on one body there is no terrain:
/// the sight clears the smooth ellipsoid with antennas at the assets' heights, but at least 2 m high.
///
/// O(n) samplings and O(n²) searches for n radios of a class; some 100 µs for a low orbit and a station over a day.
///
/// # Errors
/// When a class is unknown, a link budget lacks a figure, or the threads cannot be started.
pub fn find(
    ephemeris: &Ephemeris,
    terminals: &[Terminal<'_>],
    classes: &[LinkClass],
    span: (SimTime, SimTime),
    threads: Option<NonZeroUsize>,
) -> Result<ContactPlan, FindError> {
    find_between(ephemeris, terminals, classes, span, threads, &|_, _| true)
}

/// As [`find()`], for those ordered pairs (sender, receiver) of which `may_talk` says so.
///
/// # Errors
/// As [`find()`].
pub fn find_between(
    ephemeris: &Ephemeris,
    terminals: &[Terminal<'_>],
    classes: &[LinkClass],
    span: (SimTime, SimTime),
    threads: Option<NonZeroUsize>,
    may_talk: &dyn Fn(&Terminal<'_>, &Terminal<'_>) -> bool,
) -> Result<ContactPlan, FindError> {
    let directions = directions(terminals, classes, may_talk)?;
    let work = || {
        let scene = scene(ephemeris, terminals, span);
        // Collected in the order of `directions`: the plan is the same for any number of threads.
        let found: Vec<_> = directions.par_iter().map(|one| contacts(&scene, one, span)).collect();
        ContactPlan::new(found.into_iter().flatten().collect())
    };
    let Some(threads) = threads else { return Ok(work()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build();
    Ok(pool.map_err(|_| FindError::Threads { threads })?.install(work))
}

/// All ordered pairs that can talk, in the order of the terminals.
fn directions(
    terminals: &[Terminal<'_>],
    classes: &[LinkClass],
    may_talk: &dyn Fn(&Terminal<'_>, &Terminal<'_>) -> bool,
) -> Result<Vec<Direction>, FindError> {
    let mut directions = Vec::new();
    for one in terminals {
        let Terminal { asset, radio, .. } = *one;
        let unknown = FindError::UnknownClass { asset, radio, class: one.spec.class, classes: classes.len() };
        let class = classes.get(one.spec.class).ok_or(unknown)?;
        let peer = |other: &&Terminal<'_>| {
            other.asset != asset && other.spec.class == one.spec.class && may_talk(one, other)
        };
        for other in terminals.iter().filter(peer) {
            let budget =
                LinkBudget::new(class, one.spec, other.spec).map_err(|missing| FindError::Budget {
                    from: asset,
                    from_radio: radio,
                    to: other.asset,
                    to_radio: other.radio,
                    missing,
                })?;
            let demands = Demands {
                sender_mask_rad: one.spec.min_elevation_deg.to_radians(),
                receiver_mask_rad: other.spec.min_elevation_deg.to_radians(),
                reach_m: budget.reach().map_or(f64::INFINITY, |reach| reach.0),
                solar_exclusion_rad: class.solar_exclusion_deg.to_radians(),
            };
            let (from, to) = ((asset, radio), (other.asset, other.radio));
            directions.push(Direction { from, to, demands, budget, min_contact: class.min_contact });
        }
    }
    Ok(directions)
}

/// Samples bodies and assets.
fn scene(ephemeris: &Ephemeris, terminals: &[Terminal<'_>], span: (SimTime, SimTime)) -> Scene {
    let until = span.1 + BEYOND;
    let moving: BTreeMap<AssetIndex, &Trajectory> =
        terminals.iter().map(|one| (one.asset, one.trajectory)).collect();
    let moving: Vec<(AssetIndex, &Trajectory)> = moving.into_iter().collect();
    let tracks: Vec<(AssetIndex, AssetTrack)> = (0..moving.len())
        .into_par_iter()
        .with_max_len(1)
        .map(|at| (moving[at].0, asset_track(ephemeris, moving[at].1, (span.0, until))))
        .collect();
    let poles = Body::ALL.map(|body| ephemeris.rotation(body, span.0) * Vec3::z());
    Scene::new(
        (span.0, until),
        |body, time| ephemeris.body_state(body, time),
        poles,
        tracks.into_iter().collect(),
    )
}

fn asset_track(ephemeris: &Ephemeris, trajectory: &Trajectory, (from, to): (SimTime, SimTime)) -> AssetTrack {
    let track = Track::sample(from, to, ASSET_CELL, &mut |time| trajectory.state(ephemeris, time));
    let center = trajectory.center();
    let at = |seconds: f64| SimTime::from_secs_f64(seconds);
    let height_m =
        |time: f64| trajectory.surface(ephemeris, at(time)).map_or(0.0, |surface| surface.height_m);
    let spin = |time: f64| ephemeris.spin_rad_s(center, at(time));
    let ground = trajectory.surface(ephemeris, from).map(|_| (height_m, spin));
    AssetTrack::new(center, track, ground)
}
