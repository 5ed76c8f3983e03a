//! An asset's energy.

use crate::{scenario::PowerSpec, units::SimTime};
use bevy_ecs::component::Component;

/// The energy account of an asset. Assets on the grid have only the account, no battery.
#[derive(Component, Clone, Debug)]
pub struct Battery {
    spec: Option<PowerSpec>,
    stored_j: f64,
    /// Share of the Sun's disk that shines on the panels, 0 to 1.
    pub sunlight: f64,
    /// Energy spent on sending and receiving since the start.
    pub radio_j: f64,
    /// Whether the charge is too low for the radios.
    pub silent: bool,
}

impl Battery {
    /// The account at the epoch.
    #[must_use]
    pub fn new(spec: Option<PowerSpec>) -> Self {
        let stored_j = spec.map_or(0.0, |spec| spec.battery_capacity.0 * spec.initial_charge);
        let silent = spec.is_some_and(|spec| spec.initial_charge < spec.min_charge);
        Self { spec, stored_j, sunlight: 0.0, radio_j: 0.0, silent }
    }

    /// Whether there is a battery.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.spec.is_some()
    }

    /// Energy in the battery over its capacity, 0 to 1; 1 on the grid.
    #[must_use]
    pub fn state_of_charge(&self) -> f64 {
        self.spec.map_or(1.0, |spec| self.stored_j / spec.battery_capacity.0)
    }

    /// Lets `elapsed` pass in which the radios took `radio_j`. What exceeds the capacity is lost; an empty battery stays empty.
    pub fn pass(&mut self, elapsed: SimTime, radio_j: f64) {
        self.radio_j += radio_j;
        let Some(spec) = self.spec else { return };
        let power_w = spec.solar_peak.0 * self.sunlight + spec.constant_source.0 - spec.base_load.0;
        let stored_j = self.stored_j + power_w * elapsed.as_secs_f64() - radio_j;
        self.stored_j = stored_j.clamp(0.0, spec.battery_capacity.0);
        self.silent = self.state_of_charge() < spec.min_charge;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Joules, Watts};

    fn battery() -> Battery {
        Battery::new(Some(PowerSpec {
            battery_capacity: Joules(1000.0),
            initial_charge: 0.5,
            solar_peak: Watts(10.0),
            constant_source: Watts(1.0),
            base_load: Watts(5.0),
            min_charge: 0.2,
        }))
    }

    #[test]
    fn sunlight_fills_the_battery_up_to_its_capacity() {
        let mut battery = battery();
        battery.sunlight = 1.0;
        battery.pass(SimTime::from_secs(10), 20.0);
        assert!((battery.state_of_charge() - 0.54).abs() < 1e-12, "500 + 10 · (10 + 1 − 5) − 20 = 540 J");
        battery.pass(SimTime::from_secs(1000), 0.0);
        assert_eq!(battery.state_of_charge(), 1.0);
    }

    #[test]
    fn radios_fall_silent_below_the_least_charge() {
        let mut battery = battery();
        battery.pass(SimTime::from_secs(80), 0.0);
        assert!(battery.silent, "500 − 80 · 4 = 180 J of 1000");
        battery.sunlight = 1.0;
        battery.pass(SimTime::from_secs(10), 0.0);
        assert!(!battery.silent);
    }
}
