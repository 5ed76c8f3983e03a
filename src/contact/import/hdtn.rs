//! HDTN's JSON (nasa/HDTN, module/router): `contacts` with `source`, `dest`, `startTime`, `endTime`, `rateBitsPerSec`, `owlt`.
//!
//! Times are seconds, rates bits per second, missing fields mean 0, and rate 0 means no limit. Numbers may be in quotes. Other
//! fields are ignored, as HDTN does.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{Complaint, ImportWarning, ImportedContact, ImportedPlan, text::bounded};
use crate::units::BitsPerSecond;

#[derive(Deserialize)]
struct Plan {
    contacts: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    source: Whole,
    #[serde(default)]
    dest: Whole,
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
    #[serde(default)]
    rate_bits_per_sec: Whole,
    #[serde(default)]
    owlt: Seconds,
}

/// A whole number, in quotes or not.
#[derive(Clone, Copy, Default)]
struct Whole(u64);

/// Whole seconds that simulated time can hold.
#[derive(Clone, Copy, Default)]
struct Seconds(u64);

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, 0 or more")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<u64, E> {
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = if digits { value.parse().ok() } else { None };
        parsed.ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(WholeVisitor)?;
        match bounded(0, value as f64, &value.to_string()) {
            Ok(_) => Ok(Self(value)),
            Err(complaint) => {
                Err(de::Error::custom(format!("found {}, allowed: {}", complaint.found, complaint.allowed)))
            }
        }
    }
}

/// Reads the plan in `text`.
pub(super) fn read(text: &str) -> Result<ImportedPlan, Complaint> {
    let entries: Plan = serde_json::from_str(text).map_err(|error| {
        Complaint::new(
            error.line(),
            error.to_string(),
            "HDTN's JSON: an object with `contacts`, each with whole numbers",
        )
    })?;
    let mut plan = ImportedPlan::default();
    for (index, entry) in entries.contacts.iter().enumerate() {
        let (start_s, end_s) = (entry.start_time.0, entry.end_time.0);
        if end_s < start_s {
            plan.warnings.push(ImportWarning::NeverOpen { index, start_s, end_s });
            continue;
        }
        let (from, to, rate) = (entry.source.0, entry.dest.0, entry.rate_bits_per_sec.0);
        let contact = ImportedContact {
            from,
            to,
            start: bounded(0, start_s as f64, "start")?,
            end: bounded(0, end_s as f64, "end")?,
            rate: (rate > 0).then_some(BitsPerSecond(rate as f64)),
            owlt: bounded(0, entry.owlt.0 as f64, "owlt")?,
        };
        plan.push(0, contact)?;
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimTime;

    #[test]
    fn missing_fields_are_zero_and_rate_zero_is_unlimited() {
        let plan = read(r#"{"contacts": [{"contact": 7, "dest": 3, "endTime": 20, "unknown": [1]}]}"#)
            .expect("a plan");
        let expected = ImportedContact {
            from: 0,
            to: 3,
            start: SimTime::ZERO,
            end: SimTime::from_secs(20),
            rate: None,
            owlt: SimTime::ZERO,
        };
        assert_eq!(plan.contacts, [expected]);
    }

    #[test]
    fn rates_are_bits_and_may_stand_in_quotes() {
        let plan = read(r#"{"contacts": [{"rateBitsPerSec": "1000", "owlt": 2}]}"#).expect("a plan");
        assert_eq!(
            (plan.contacts[0].rate, plan.contacts[0].owlt),
            (Some(BitsPerSecond(1000.0)), SimTime::from_secs(2))
        );
    }

    #[test]
    fn a_contact_that_ends_before_it_starts_is_left_out_with_a_warning() {
        let plan = read(r#"{"contacts": [{"startTime": 9, "endTime": 3}]}"#).expect("a plan");
        assert_eq!(plan.contacts, []);
        assert_eq!(plan.warnings, [ImportWarning::NeverOpen { index: 0, start_s: 9, end_s: 3 }]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        for wrong in ["-1", "1.5", "1e400", "\"x\"", "99999999999999999999", "null", "9999999999"] {
            let text = format!("{{\"contacts\": [\n{{\"startTime\": {wrong}}}]}}");
            assert_eq!(read(&text).err().map(|error| error.line), Some(2), "{wrong}");
        }
        for wrong in ["", "{", "[]", "{\"contacts\": [{\"source\": 1", "{}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(read(&format!("{{\"contacts\": {deep}")).is_err());
        assert!(read(&format!("{{\"contacts\": [{{\"x\": {deep}")).is_err());
    }
}
