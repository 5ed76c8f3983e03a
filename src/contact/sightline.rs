//! [`Sightline`]: whether, along the light's path, one radio sees another; as a margin in seconds.
//!
//! The light leaves the sender at t and meets the receiver at t + τ, where the receiver then is. Each body judges in its own
//! frame: the sender where it was relative to the body at t, the receiver at t + τ. Over the light's passage the body moves
//! uniformly to within centimetres near it, so that this is the body's place as the light passes it, and elevations are
//! those that an observer on it sees (aberration included).
//!
//! Earth and Mars block as ellipsoids (WGS-84, IAU WGCCRE 2015), the Sun and the Moon as the spheres that they are there.
//! There is no atmosphere: no refraction. An end on a surface has its elevation mask in place of that body's limb. Between
//! two ends on one body there is no terrain and no mask: the sight must clear the smooth ellipsoid, lowered where the lower
//! end stands less than [`ANTENNA_HEIGHT_M`] over it.

use super::scene::{AssetTrack, Scene};
use crate::{
    astro::{Body, SPEED_OF_LIGHT_MPS, Vec3},
    units::AssetIndex,
};

/// Least height of an antenna over the smooth ground between two ends on one body, metres.
const ANTENNA_HEIGHT_M: f64 = 2.0;
/// Light time is iterated until it changes by less than this, seconds: 3 mm.
const LIGHT_TOLERANCE_S: f64 = 1e-11;
/// Each iteration gains four digits even at 30 km/s.
const LIGHT_ITERATIONS: usize = 12;
/// The fastest that a body turns, rad/s (Earth's 7.292e-5, rounded up).
const SPIN_RAD_S: f64 = 7.3e-5;
/// The fastest that the Sun's direction turns for an observer on or around Earth, the Moon or Mars, rad/s: over five times
/// that of a low Earth orbit.
const SUN_TURN_RAD_S: f64 = 2e-6;

/// What two radios demand of a sight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Demands {
    /// Lowest elevation at the sender, where it stands on a surface, radians.
    pub sender_mask_rad: f64,
    /// Lowest elevation at the receiver.
    pub receiver_mask_rad: f64,
    /// Longest range, metres; infinite where there is none.
    pub reach_m: f64,
    /// Least angle between peer and Sun at either end, radians; 0: not considered.
    pub solar_exclusion_rad: f64,
}

/// One direction between two assets.
pub(crate) struct Sightline<'a> {
    scene: &'a Scene,
    sender: &'a AssetTrack,
    receiver: &'a AssetTrack,
    demands: Demands,
    /// Bodies that can come between the two.
    obstacles: Vec<Obstacle>,
    /// Bound of the rate of change of the range.
    closing_mps: f64,
}

/// A body that may block the sight.
struct Obstacle {
    body: Body,
    pole: Vec3,
    /// Equatorial radius, metres.
    radius_m: f64,
    /// Equatorial by polar radius.
    stretch: f64,
    /// Bound of the speed at which the limb and either end approach.
    speed_mps: f64,
}

/// A light path: leaves the sender at one time, meets the receiver `light_s` later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    sent_s: f64,
    received_s: f64,
    /// The sender relative to its own centre when it sends.
    from: Vec3,
    /// The receiver relative to its own centre when it receives.
    to: Vec3,
    /// Length, metres.
    pub range_m: f64,
}

impl<'a> Sightline<'a> {
    /// From one asset of the scene to another.
    pub(crate) fn new(scene: &'a Scene, sender: AssetIndex, receiver: AssetIndex, demands: Demands) -> Self {
        let (sender, receiver) = (scene.asset(sender), scene.asset(receiver));
        let apart = scene.relative_speed_mps(sender.center, receiver.center);
        let neighbours =
            sender.center == receiver.center && sender.ground.is_some() && receiver.ground.is_some();
        let closing_mps = match (neighbours, sender.ground, receiver.ground) {
            (true, Some(one), Some(other)) => one.speed_mps + other.speed_mps,
            _ => sender.speed_mps + receiver.speed_mps + apart,
        };
        let mut line = Self { scene, sender, receiver, demands, obstacles: Vec::new(), closing_mps };
        for body in Body::ALL {
            let stands_on = [sender, receiver].iter().any(|end| end.ground.is_some() && end.center == body);
            if (neighbours && stands_on) || (!stands_on && line.may_block(body)) {
                let obstacle = line.obstacle(body, neighbours);
                line.obstacles.push(obstacle);
            }
        }
        line
    }

    /// Whether a body can come between the ends at all.
    fn may_block(&self, body: Body) -> bool {
        let center = self.sender.center;
        if center != self.receiver.center || center == body {
            return true;
        }
        let far = self.sender.distance_m.1.max(self.receiver.distance_m.1);
        far + 1.1 * body.equatorial_radius_m() > self.scene.least_distance_m(center, body)
    }

    fn obstacle(&self, body: Body, neighbours: bool) -> Obstacle {
        let least =
            [self.sender, self.receiver].into_iter().filter_map(|end| end.ground).map(|g| g.least_height_m);
        let lowered =
            if neighbours { (least.fold(f64::INFINITY, f64::min) - ANTENNA_HEIGHT_M).min(0.0) } else { 0.0 };
        let (equatorial, polar) = (body.equatorial_radius_m() + lowered, body.polar_radius_m() + lowered);
        let stretch = equatorial / polar;
        let speed = |end: &AssetTrack| end.speed_mps + self.scene.relative_speed_mps(end.center, body);
        let speed_mps =
            if neighbours { self.closing_mps } else { speed(self.sender).max(speed(self.receiver)) }
                * stretch;
        Obstacle { body, pole: *self.scene.pole(body), radius_m: equatorial, stretch, speed_mps }
    }

    /// The path of light that leaves at `sent_s`.
    pub(crate) fn path(&self, sent_s: f64) -> Path {
        let from = self.sender.track.position(sent_s);
        let one_center = self.sender.center == self.receiver.center;
        let sender_center =
            if one_center { Vec3::zeros() } else { self.scene.body(self.sender.center).position(sent_s) };
        let mut light_s = 0.0;
        let mut path = Path { sent_s, received_s: sent_s, from, to: from, range_m: 0.0 };
        for _ in 0..LIGHT_ITERATIONS {
            path.received_s = sent_s + light_s;
            path.to = self.receiver.track.position(path.received_s);
            let offset = if one_center {
                Vec3::zeros()
            } else {
                self.scene.body(self.receiver.center).position(path.received_s) - sender_center
            };
            path.range_m = (path.to + offset - from).norm();
            let next = path.range_m / SPEED_OF_LIGHT_MPS;
            if (next - light_s).abs() < LIGHT_TOLERANCE_S {
                break;
            }
            light_s = next;
        }
        path
    }

    /// Range and its rate of change with the time of transmission, metres and metres per second.
    pub(crate) fn range(&self, sent_s: f64) -> (f64, f64) {
        let path = self.path(sent_s);
        let at = |end: &AssetTrack, time_s: f64| {
            let (own, body) = (end.track.state(time_s), self.scene.body(end.center).state(time_s));
            // Two ends around one centre are judged in its frame, as their paths are.
            if self.sender.center == self.receiver.center { own } else { own + body }
        };
        let (one, other) = (at(self.sender, sent_s), at(self.receiver, path.received_s));
        let along = (other.position_m - one.position_m) / path.range_m;
        // d(range)/dt where the receiver's clock runs 1 + (d range/dt) / c as fast as the sender's.
        let (closing, receding) = (along.dot(&one.velocity_mps), along.dot(&other.velocity_mps));
        (path.range_m, (receding - closing) / (1.0 - receding / SPEED_OF_LIGHT_MPS))
    }

    /// How far the sight at `sent_s` is from the next change, in seconds: not negative where a frame may start. No change
    /// lies within that time.
    pub(crate) fn margin_s(&self, sent_s: f64) -> f64 {
        let path = self.path(sent_s);
        let mut margin = (self.demands.reach_m - path.range_m) / self.closing_mps;
        for obstacle in &self.obstacles {
            margin = margin.min(self.clearance_s(&path, obstacle));
        }
        let masks = [self.demands.sender_mask_rad, self.demands.receiver_mask_rad];
        for (elevation, mask) in self.elevations(&path).into_iter().zip(masks) {
            if let Some(elevation) = elevation {
                margin = margin.min(self.turning_s(&path, elevation - mask, SPIN_RAD_S));
            }
        }
        if self.demands.solar_exclusion_rad > 0.0 {
            for angle in self.sun_angles(&path) {
                let excess = angle - self.demands.solar_exclusion_rad;
                margin = margin.min(self.turning_s(&path, excess, SUN_TURN_RAD_S));
            }
        }
        margin
    }

    /// The ends relative to a body, each at its own time.
    fn relative_to(&self, body: Body, path: &Path) -> (Vec3, Vec3) {
        let offset = |end: &AssetTrack, time_s: f64| {
            if end.center == body {
                return Vec3::zeros();
            }
            self.scene.body(end.center).position(time_s) - self.scene.body(body).position(time_s)
        };
        let from = path.from + offset(self.sender, path.sent_s);
        let to = path.to + offset(self.receiver, path.received_s);
        (from, to)
    }

    /// Time within which the sight cannot touch (or leave) the body: its distance from the body, stretched to a sphere, by
    /// the speed of the faster end.
    fn clearance_s(&self, path: &Path, obstacle: &Obstacle) -> f64 {
        let round =
            |place: Vec3| place + obstacle.pole * ((obstacle.stretch - 1.0) * place.dot(&obstacle.pole));
        let (from, to) = self.relative_to(obstacle.body, path);
        let (from, to) = (round(from), round(to));
        let along = to - from;
        let nearest = (-from.dot(&along) / along.norm_squared()).clamp(0.0, 1.0);
        ((from + along * nearest).norm() - obstacle.radius_m) / obstacle.speed_mps
    }

    /// Elevation of the peer at the sender and at the receiver, radians over the plane normal to the ellipsoid; `None` at an
    /// end in orbit, and where both stand on one body.
    pub(crate) fn elevations(&self, path: &Path) -> [Option<f64>; 2] {
        if self.between_neighbours() {
            return [None, None];
        }
        self.raw_elevations(path)
    }

    /// As [`Sightline::elevations`], but between neighbours too.
    pub(crate) fn raw_elevations(&self, path: &Path) -> [Option<f64>; 2] {
        let elevation = |end: &AssetTrack, sending: bool| {
            end.ground?;
            let (from, to) = self.relative_to(end.center, path);
            let (here, there) = if sending { (from, to) } else { (to, from) };
            let stretch = end.center.equatorial_radius_m() / end.center.polar_radius_m();
            let pole = self.scene.pole(end.center);
            // The gradient of the ellipsoid through the place; its error is below 0.0005° up to 10 km of height.
            let up = here + pole * ((stretch * stretch - 1.0) * here.dot(pole));
            let sight = there - here;
            let sine = up.dot(&sight) / (up.norm_squared() * sight.norm_squared()).sqrt();
            Some(libm::asin(sine.clamp(-1.0, 1.0)))
        };
        [elevation(self.sender, true), elevation(self.receiver, false)]
    }

    fn between_neighbours(&self) -> bool {
        self.sender.center == self.receiver.center
            && self.sender.ground.is_some()
            && self.receiver.ground.is_some()
    }

    /// Angles between peer and Sun at the sender and at the receiver.
    fn sun_angles(&self, path: &Path) -> [f64; 2] {
        let (from, to) = self.relative_to(Body::Sun, path);
        let sight = to - from;
        [angle(&sight, &-from), angle(&-sight, &-to)]
    }

    /// Time within which a direction to the peer cannot turn by `angle_rad`, where the frame turns by `frame_rad_s`: the
    /// peer's turning grows as the range shrinks, at most by the closing speed.
    fn turning_s(&self, path: &Path, angle_rad: f64, frame_rad_s: f64) -> f64 {
        let speed = self.closing_mps + frame_rad_s * path.range_m;
        (path.range_m / speed * -libm::expm1(-angle_rad.abs())).copysign(angle_rad)
    }
}

/// The angle between two directions, also when it is small (Kahan).
fn angle(one: &Vec3, other: &Vec3) -> f64 {
    libm::atan2(one.cross(other).norm(), one.dot(other))
}
