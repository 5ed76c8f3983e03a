//! Systems over the components, run at every tick of the power model.

use super::{Battery, Mobility, RadioBank, Sky};
use crate::{astro::sunlight, units::SimTime};
use bevy_ecs::{
    resource::Resource,
    schedule::{IntoScheduleConfigs as _, LogLevel, Schedule, ScheduleBuildSettings, ScheduleLabel},
    system::{Query, Res},
};

/// The tick that the systems account for.
#[derive(Resource, Clone, Copy, Debug)]
pub struct Pace {
    /// When the last one was.
    pub last: SimTime,
    /// Now.
    pub now: SimTime,
}

#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct PowerTick;

/// The systems of the power model, in their order: energy is spent and gained by the light of the past interval, then the light is
/// looked up for the next one. Two systems without an order between them are an error.
#[must_use]
pub fn power_schedule() -> Schedule {
    let mut schedule = Schedule::new(PowerTick);
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    });
    schedule.add_systems((spend_and_gain, look_at_the_sun).chain());
    schedule
}

fn spend_and_gain(pace: Res<'_, Pace>, mut assets: Query<'_, '_, (&mut Battery, &mut RadioBank)>) {
    for (mut battery, mut radios) in &mut assets {
        let spent_j = radios.0.iter_mut().map(|radio| radio.take_spent(pace.now)).sum();
        battery.pass(pace.now - pace.last, spent_j);
    }
}

fn look_at_the_sun(
    pace: Res<'_, Pace>,
    sky: Res<'_, Sky>,
    mut assets: Query<'_, '_, (&mut Battery, &Mobility)>,
) {
    let Some(ephemeris) = &sky.0 else { return };
    for (mut battery, mobility) in &mut assets {
        if let Some(trajectory) = mobility.0.as_ref().filter(|_| battery.is_limited()) {
            battery.sunlight = sunlight(trajectory, ephemeris, pace.now);
        }
    }
}
