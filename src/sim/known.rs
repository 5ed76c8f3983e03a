//! What nodes know of the contacts before a run.

use crate::{
    link::{LinkClass, SharedChannel},
    runtime::Fleet,
    units::SimTime,
    world::{Course, is_shared},
};
use cosmosmesh_protocol::{
    dtn::contact_plan::{ContactPlan as NodePlan, PlanError, PlannedContact},
    time::Instant,
};
use std::time::Duration;

pub(super) fn channel(class: &LinkClass) -> Option<SharedChannel> {
    let lora = class.lora().filter(|_| is_shared(class))?;
    let modulation = lora.modulation();
    Some(SharedChannel::new(&modulation, modulation.sensitivity_dbm(), lora.capture_threshold))
}

/// The rate at which full frames move payload, bits per second: what a node may count on.
pub(super) fn effective_rate(course: &Course, contact: &crate::contact::Contact) -> u64 {
    let radio = &course.scenario.asset(contact.from).radios[contact.from_radio as usize];
    let class = &course.scenario.classes[radio.class];
    let airtime = class.time_on_air(class.mtu_bytes, contact.rate).as_nanos().max(1);
    let rate = i128::from(class.mtu_bytes) * 8 * 1_000_000_000 / i128::from(airtime);
    u64::try_from(rate).unwrap_or(u64::MAX).max(1)
}

/// The contact plan as nodes know it: without faults, with the longest light time of each contact.
pub(super) fn node_plan(course: &Course, fleet: &Fleet, rates_bps: &[u64]) -> Result<NodePlan, PlanError> {
    let planned =
        course.plan.contacts().iter().zip(rates_bps).filter(|(contact, _)| contact.start < contact.end);
    NodePlan::from_contacts(planned.map(|(contact, rate_bps)| {
        let light_times = contact.range.iter().map(|sample| contact.owlt_at(sample.time));
        let owlt = light_times.max().unwrap_or(SimTime::ZERO);
        PlannedContact {
            from: fleet.node(contact.from),
            to: fleet.node(contact.to),
            start: Instant::from_nanos(contact.start.as_nanos().unsigned_abs()),
            end: Instant::from_nanos(contact.end.as_nanos().unsigned_abs()),
            rate_bps: *rate_bps,
            owlt: Duration::from_nanos(owlt.as_nanos().unsigned_abs()),
        }
    }))
}
