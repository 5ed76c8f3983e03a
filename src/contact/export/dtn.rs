//! Plans for ION and HDTN, and what is lost in them.
//!
//! Both take whole seconds only: windows are cut inward to them, and light time is rounded to the nearest. ION's rates are
//! bytes per second, HDTN's bits per second, whole numbers rounded down. HDTN's rate 0 means no limit, so that a contact
//! slower than the unit is left out instead.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{Label, label};
use crate::{
    contact::{Contact, ContactPlan},
    units::{AssetIndex, SimTime},
};

const NANOS_PER_S: i64 = 1_000_000_000;

/// A plan as text, with what was lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The file's content.
    pub text: String,
    /// What the format cannot hold.
    pub losses: Vec<PrecisionLoss>,
}

/// Something that a format cannot hold, and in how many contacts.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PrecisionLoss {
    /// Windows cut to whole seconds.
    #[error("{contacts} contacts: start or end moved inward to whole seconds, by up to {worst_s:.3} s")]
    Times {
        /// How many.
        contacts: usize,
        /// Largest shift.
        worst_s: f64,
    },
    /// Light time rounded, or taken as constant.
    #[error("{contacts} contacts: light time as one whole number of seconds, off by up to {worst_s:.6} s")]
    LightTime {
        /// How many.
        contacts: usize,
        /// Largest error at the start or the end of a contact.
        worst_s: f64,
    },
    /// Rates rounded down.
    #[error("{contacts} contacts: rate rounded down, by up to {worst_bps} bit/s")]
    Rate {
        /// How many.
        contacts: usize,
        /// Largest loss.
        worst_bps: f64,
    },
    /// Contacts that do not contain two whole seconds, begin before the plan's origin, are slower than the unit, or are
    /// unlimited where there is no way to say so (ION).
    #[error("{contacts} contacts left out: shorter than a second, or at a rate that the format cannot state")]
    LeftOut {
        /// How many.
        contacts: usize,
    },
    /// Contacts of one pair of nodes at the same time (over several radios), which neither tool tells apart.
    #[error("{contacts} contacts overlap another between the same two nodes")]
    Overlap {
        /// How many.
        contacts: usize,
    },
}

/// A contact in whole units.
struct Whole {
    from: u64,
    to: u64,
    start_s: i64,
    end_s: i64,
    rate: u64,
    owlt_s: i64,
}

#[derive(Default)]
struct Losses {
    times: (usize, f64),
    light: (usize, f64),
    rate: (usize, f64),
    left_out: usize,
    overlap: usize,
}

/// The plan as ION's `ionadmin` commands, with times relative to the plan's origin.
///
/// # Panics
/// When an asset of the plan has no label.
#[must_use]
pub fn ion(plan: &ContactPlan, labels: &[Label]) -> Exported {
    let (contacts, losses) = whole(plan, labels, 8.0, false);
    let mut text = String::from("# Contact plan: rates in bytes per second, light times in whole seconds.\n");
    text.push_str("# Times are relative to the scenario's epoch: set it with an `@` line before these.\n");
    let mut covered = BTreeMap::new();
    for Whole { from, to, start_s, end_s, owlt_s, .. } in &contacts {
        // Ranges of one pair must not overlap; both directions are stated, as a range implies its reverse otherwise.
        let until = covered.entry((from, to)).or_insert(i64::MIN);
        let start_s = *start_s.max(until);
        if start_s < *end_s {
            let _ = writeln!(text, "a range +{start_s} +{end_s} {from} {to} {owlt_s}");
            *until = *end_s;
        }
    }
    for Whole { from, to, start_s, end_s, rate, .. } in &contacts {
        let _ = writeln!(text, "a contact +{start_s} +{end_s} {from} {to} {rate}");
    }
    Exported { text, losses }
}

#[derive(Serialize)]
struct HdtnPlan {
    contacts: Vec<HdtnContact>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HdtnContact {
    contact: usize,
    source: u64,
    dest: u64,
    start_time: i64,
    end_time: i64,
    rate_bits_per_sec: u64,
    owlt: i64,
}

/// The plan as HDTN's JSON, with times relative to the plan's origin.
///
/// # Panics
/// When an asset of the plan has no label.
#[must_use]
pub fn hdtn(plan: &ContactPlan, labels: &[Label]) -> Exported {
    let (contacts, losses) = whole(plan, labels, 1.0, true);
    let contacts = contacts.into_iter().enumerate().map(|(contact, one)| HdtnContact {
        contact,
        source: one.from,
        dest: one.to,
        start_time: one.start_s,
        end_time: one.end_s,
        rate_bits_per_sec: one.rate,
        owlt: one.owlt_s,
    });
    let plan = HdtnPlan { contacts: contacts.collect() };
    let mut text = serde_json::to_string_pretty(&plan).expect("numbers and lists are always JSON");
    text.push('\n');
    Exported { text, losses }
}

/// The contacts in whole seconds and units of `unit_bits`; `unlimited`: rate 0 says so.
fn whole(
    plan: &ContactPlan,
    labels: &[Label],
    unit_bits: f64,
    unlimited: bool,
) -> (Vec<Whole>, Vec<PrecisionLoss>) {
    let mut losses = Losses::default();
    let mut ends: BTreeMap<(AssetIndex, AssetIndex), SimTime> = BTreeMap::new();
    let mut contacts = Vec::new();
    for contact in plan.contacts() {
        let end = ends.entry((contact.from, contact.to)).or_insert(SimTime(i64::MIN));
        losses.overlap += usize::from(contact.start < *end);
        *end = contact.end.max(*end);
        match round(contact, unit_bits, unlimited, &mut losses) {
            Some((start_s, end_s, rate, owlt_s)) => contacts.push(Whole {
                from: label(labels, contact.from).node,
                to: label(labels, contact.to).node,
                start_s,
                end_s,
                rate,
                owlt_s,
            }),
            None => losses.left_out += 1,
        }
    }
    (contacts, losses.list())
}

fn round(
    contact: &Contact,
    unit_bits: f64,
    unlimited: bool,
    losses: &mut Losses,
) -> Option<(i64, i64, u64, i64)> {
    let (whole, rest) =
        (contact.start.as_nanos().div_euclid(NANOS_PER_S), contact.start.as_nanos().rem_euclid(NANOS_PER_S));
    let (start_s, end_s) = (whole + i64::from(rest > 0), contact.end.as_nanos().div_euclid(NANOS_PER_S));
    let units = (contact.rate.0 / unit_bits).floor();
    let rate = match contact.rate.0.is_finite() {
        true if units >= 1.0 => units as u64,
        false if unlimited => 0,
        _ => return None,
    };
    if start_s < 0 || end_s <= start_s {
        return None;
    }
    let (start, end) = (SimTime::from_secs(start_s), SimTime::from_secs(end_s));
    let (first, last) = (contact.owlt_at(start), contact.owlt_at(end));
    let owlt_s = (0.5 * (first.as_secs_f64() + last.as_secs_f64())).round() as i64;
    let error = |owlt: SimTime| (owlt - SimTime::from_secs(owlt_s)).as_secs_f64().abs();
    count(&mut losses.light, error(first).max(error(last)));
    count(&mut losses.times, (start - contact.start).as_secs_f64().max((contact.end - end).as_secs_f64()));
    if rate > 0 {
        count(&mut losses.rate, contact.rate.0 - units * unit_bits);
    }
    Some((start_s, end_s, rate, owlt_s))
}

fn count(loss: &mut (usize, f64), amount: f64) {
    if amount > 0.0 {
        *loss = (loss.0 + 1, loss.1.max(amount));
    }
}

impl Losses {
    fn list(&self) -> Vec<PrecisionLoss> {
        let all = [
            PrecisionLoss::Times { contacts: self.times.0, worst_s: self.times.1 },
            PrecisionLoss::LightTime { contacts: self.light.0, worst_s: self.light.1 },
            PrecisionLoss::Rate { contacts: self.rate.0, worst_bps: self.rate.1 },
            PrecisionLoss::LeftOut { contacts: self.left_out },
            PrecisionLoss::Overlap { contacts: self.overlap },
        ];
        all.into_iter().filter(|loss| loss.contacts() > 0).collect()
    }
}

impl PrecisionLoss {
    /// How many contacts it touches.
    #[must_use]
    pub const fn contacts(&self) -> usize {
        match *self {
            Self::Times { contacts, .. }
            | Self::LightTime { contacts, .. }
            | Self::Rate { contacts, .. }
            | Self::LeftOut { contacts }
            | Self::Overlap { contacts } => contacts,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        contact::{
            RangeSample,
            import::{PlanFormat, import},
        },
        units::BitsPerSecond,
    };

    fn labels() -> Vec<Label> {
        (0..5).map(|i| Label { name: format!("asset {i}"), node: 100 - 7 * i }).collect()
    }

    fn contact(from: u32, to: u32, span: (SimTime, SimTime), rate: f64, owlt_s: f64) -> Contact {
        let range_m = owlt_s * 299_792_458.0;
        Contact {
            from: AssetIndex(from),
            to: AssetIndex(to),
            from_radio: 0,
            to_radio: 0,
            start: span.0,
            end: span.1,
            rate: BitsPerSecond(rate),
            bit_error_rate: 0.0,
            max_elevation_deg: None,
            range: vec![RangeSample { time: span.0, range_m, range_rate_mps: 0.0 }],
        }
    }

    fn back(text: &str, format: PlanFormat) -> ContactPlan {
        let plan = import("plan", text.as_bytes(), format, None).expect("what is written is read");
        assert_eq!(plan.warnings, []);
        let labels = labels();
        plan.contact_plan(|node| labels.iter().position(|l| l.node == node).map(|at| AssetIndex(at as u32)))
    }

    #[test]
    fn every_loss_is_told() {
        let fine = (SimTime(500_000_000), SimTime(9_250_000_000));
        let brief = (SimTime(20_100_000_000), SimTime(20_900_000_000));
        let plan = ContactPlan::new(vec![
            contact(0, 1, fine, 1004.5, 0.25),
            contact(0, 1, fine, 3.0, 0.0),
            contact(1, 0, brief, 8.0, 0.0),
        ]);
        let ion = ion(&plan, &labels());
        let expected = [
            PrecisionLoss::Times { contacts: 1, worst_s: 0.5 },
            PrecisionLoss::LightTime { contacts: 1, worst_s: 0.25 },
            PrecisionLoss::Rate { contacts: 1, worst_bps: 4.5 },
            PrecisionLoss::LeftOut { contacts: 2 },
            PrecisionLoss::Overlap { contacts: 1 },
        ];
        assert_eq!(ion.losses, expected);
        assert!(ion.text.ends_with("a range +1 +9 100 93 0\na contact +1 +9 100 93 125\n"), "{}", ion.text);
    }

    #[test]
    fn an_unlimited_rate_is_zero_in_hdtn_and_not_said_in_ion() {
        let span = (SimTime::ZERO, SimTime::from_secs(5));
        let plan = ContactPlan::new(vec![contact(0, 1, span, f64::INFINITY, 3.0)]);
        let written = hdtn(&plan, &labels());
        assert_eq!((written.losses, back(&written.text, PlanFormat::Hdtn)), (Vec::new(), plan.clone()));
        assert_eq!(ion(&plan, &labels()).losses, [PrecisionLoss::LeftOut { contacts: 1 }]);
    }

    proptest! {
        /// Contacts of one pair that follow each other without overlap, in whole units.
        #[test]
        fn a_plan_in_whole_units_comes_back_as_it_was(
            gaps in prop::collection::vec((0_u32..5, 1_u32..5, 0_i64..500, 1_i64..500, 1_u32..1_000_000, 0_u32..1500), 0..40),
        ) {
            let mut time_s = 0;
            let contacts = gaps.iter().map(|&(from, hop, gap, length, rate, owlt)| {
                time_s += gap;
                let span = (SimTime::from_secs(time_s), SimTime::from_secs(time_s + length));
                time_s += length;
                contact(from, (from + hop) % 5, span, f64::from(rate) * 8.0, f64::from(owlt))
            });
            let plan = ContactPlan::new(contacts.collect());
            let (ion, hdtn) = (ion(&plan, &labels()), hdtn(&plan, &labels()));
            prop_assert_eq!((&ion.losses, &hdtn.losses), (&Vec::new(), &Vec::new()));
            prop_assert_eq!(&back(&ion.text, PlanFormat::Ion), &plan);
            prop_assert_eq!(&back(&hdtn.text, PlanFormat::Hdtn), &plan);
        }
    }
}
