//! ION's plan of Mars, for the benches that ask for routes in it.

use cosmosmesh_protocol::{
    dtn::contact_plan::{ContactPlan, PlannedContact},
    id::NodeId,
    time::Instant,
};
use std::time::Duration;

/// ION's `a contact` and `a range` lines with ionadmin's reading of `@` (source: tests/data/contact-plans/README.md).
pub(crate) fn mars() -> ContactPlan {
    let (mut reference, mut contacts, mut ranges) = (0, Vec::new(), Vec::new());
    for line in include_str!("../../tests/data/contact-plans/ion/cgr-test.global.ionrc").lines() {
        let n: Vec<u64> =
            line.split_whitespace().filter_map(|word| word.trim_start_matches('+').parse().ok()).collect();
        match line.split_whitespace().take(2).collect::<Vec<_>>().as_slice() {
            ["@", _] => reference += n[0],
            ["a", "range"] => ranges.push((n[2], n[3], n[4])),
            ["a", "contact"] => contacts.push((n[2], n[3], reference + n[0], reference + n[1], n[4])),
            _ => {}
        }
    }
    let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
    let planned = contacts.into_iter().map(|(from, to, start, end, rate)| {
        let range = ranges.iter().find(|r| (r.0, r.1) == (from, to) || (r.0, r.1) == (to, from)).unwrap();
        let (from, to, owlt) = (NodeId(from), NodeId(to), Duration::from_secs(range.2));
        PlannedContact { from, to, start: at(start), end: at(end), rate_bps: rate * 8, owlt }
    });
    ContactPlan::from_contacts(planned).unwrap()
}
