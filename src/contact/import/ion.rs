//! ION's `ionadmin` commands (ion-open-source, man page ionrc(5)).
//!
//! `a contact start end from to bytes_per_second [confidence]`, `a range start end from to light_seconds`, `@ time` moves the
//! reference of relative times; `@ +n` moves it on from where it was, as `ionadmin` does ([`Shifts`]). Rates are bytes per second and light time whole seconds. A range from a lower to a higher
//! node number holds for the reverse too unless that is stated.
//!
//! Where several ranges cover a contact, its parts continue one another, each with its light time. ION itself takes one light time for
//! all of a contact: that of its start (`bpv7/cgr/libcgr.c`, `getApplicableRange`), or when Unibo-CGR times a route, that of the moment
//! when the first byte leaves (`phase_three.c`).

use super::{
    Complaint, ImportWarning, ImportedContact, ImportedPlan, Shifts,
    text::{bounded, civil_seconds, node, quoted, span},
};
use crate::units::{BitsPerSecond, SimTime};
use std::collections::BTreeSet;

/// Commands of `ionadmin` that say nothing about the topology.
const HARMLESS: [&str; 16] = ["1", "?", "e", "h", "i", "l", "m", "q", "r", "s", "t", "v", "w", "x", "^", "!"];

struct Range {
    from: u64,
    to: u64,
    start: SimTime,
    end: SimTime,
    owlt: SimTime,
}

struct PlannedContact {
    line: usize,
    from: u64,
    to: u64,
    start: SimTime,
    end: SimTime,
    rate: BitsPerSecond,
    /// How likely it is, from 0 to 1.
    confidence: f64,
}

/// Reads the commands of `text`.
pub(super) fn read(text: &str, epoch_unix_s: Option<i64>, shifts: Shifts) -> Result<ImportedPlan, Complaint> {
    let mut reader = Reader { epoch_unix_s, reference_s: 0, ranges: Vec::new(), contacts: Vec::new() };
    let mut plan = ImportedPlan::default();
    for (number, content) in text.lines().enumerate() {
        let line = number + 1;
        let words: Vec<&str> = content.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["@", time] => {
                let moved = reader.seconds(line, time)?;
                if shifts == Shifts::Applied {
                    reader.reference_s = moved;
                }
            }
            ["a", "contact", rest @ ..] => reader.contact(line, rest)?,
            ["a", "range", rest @ ..] => reader.range(line, rest)?,
            [first, ..] if HARMLESS.contains(first) => {
                let command = quoted(&words[..words.len().min(2)].join(" "));
                plan.warnings.push(ImportWarning::Skipped { line, command: command.replace('`', "") });
            }
            _ => {
                let allowed = "`a contact`, `a range`, `@`, a comment, or a command that changes no contact";
                return Err(Complaint::new(line, quoted(content.trim()), allowed));
            }
        }
    }
    reader.join(plan)
}

/// The earliest absolute time (`yyyy/mm/dd-hh:mm:ss`) that the commands of `text` name, as it is written there, and in seconds since
/// 1970-01-01T00:00:00 UTC without leap seconds.
#[must_use]
pub fn earliest_date(text: &str) -> Option<(&str, i64)> {
    let mut earliest: Option<(&str, i64)> = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let times = match (words.next(), words.next()) {
            (Some("@"), time) => [time, None],
            (Some("a"), Some("contact" | "range")) => [words.next(), words.next()],
            _ => continue,
        };
        for word in times.into_iter().flatten().filter(|word| !word.starts_with('+')) {
            if let Ok(seconds) = civil_seconds(0, word)
                && earliest.is_none_or(|(_, known)| seconds < known)
            {
                earliest = Some((word, seconds));
            }
        }
    }
    earliest
}

struct Reader {
    epoch_unix_s: Option<i64>,
    reference_s: i64,
    ranges: Vec<Range>,
    contacts: Vec<PlannedContact>,
}

impl Reader {
    /// Seconds from the plan's origin.
    fn seconds(&self, line: usize, word: &str) -> Result<i64, Complaint> {
        let seconds = if let Some(offset) = word.strip_prefix('+') {
            let offset = offset.bytes().all(|byte| byte.is_ascii_digit()).then(|| offset.parse::<i64>().ok());
            let offset = offset.flatten().and_then(|offset| self.reference_s.checked_add(offset));
            offset.ok_or_else(|| {
                Complaint::new(line, quoted(word), "a time as +seconds, or yyyy/mm/dd-hh:mm:ss")
            })?
        } else {
            let civil = civil_seconds(line, word)?;
            let epoch = self.epoch_unix_s.and_then(|epoch| civil.checked_sub(epoch));
            epoch.ok_or_else(|| {
                Complaint::new(line, quoted(word), "+seconds only, as the plan's epoch is not given")
            })?
        };
        bounded(line, seconds as f64, word)?;
        Ok(seconds)
    }

    fn times(&self, line: usize, start: &str, end: &str) -> Result<(SimTime, SimTime), Complaint> {
        let (start, end) = (self.seconds(line, start)?, self.seconds(line, end)?);
        span(line, SimTime::from_secs(start), SimTime::from_secs(end))
    }

    fn contact(&mut self, line: usize, words: &[&str]) -> Result<(), Complaint> {
        let ([start, end, from, to, rate] | [start, end, from, to, rate, _]) = words else {
            let allowed = "a contact start end from to bytes_per_second [confidence]";
            return Err(Complaint::new(line, format!("{} fields", words.len()), allowed));
        };
        let mut confidence = 1.0;
        if let [.., word] = &words[5..] {
            let stated = word.parse::<f64>().ok().filter(|stated| (0.0..=1.0).contains(stated));
            confidence =
                stated.ok_or_else(|| Complaint::new(line, quoted(word), "a confidence from 0 to 1"))?;
        }
        let (start, end) = self.times(line, start, end)?;
        let bytes = integer(line, rate, "bytes per second")?;
        let rate = BitsPerSecond(bytes as f64 * 8.0);
        let (from, to) = (node(line, from)?, node(line, to)?);
        self.contacts.push(PlannedContact { line, from, to, start, end, rate, confidence });
        Ok(())
    }

    fn range(&mut self, line: usize, words: &[&str]) -> Result<(), Complaint> {
        let [start, end, from, to, light] = words else {
            let allowed = "a range start end from to light_seconds";
            return Err(Complaint::new(line, format!("{} fields", words.len()), allowed));
        };
        let (start, end) = self.times(line, start, end)?;
        let owlt = bounded(line, integer(line, light, "seconds of light time")? as f64, light)?;
        self.ranges.push(Range { from: node(line, from)?, to: node(line, to)?, start, end, owlt });
        Ok(())
    }

    /// Gives every contact the light time of the ranges that cover it; one that several cover is divided into parts.
    fn join(mut self, mut plan: ImportedPlan) -> Result<ImportedPlan, Complaint> {
        self.ranges.sort_by_key(|range| (range.from, range.to, range.start));
        let last = self.ranges.iter().map(|range| range.end).max().unwrap_or(SimTime::ZERO);
        plan.beyond_ranges = self.contacts.iter().filter(|contact| contact.start >= last).count();
        let mut stated = BTreeSet::new();
        for contact in &self.contacts {
            let PlannedContact { line, from, to, start, end, rate, .. } = *contact;
            if !stated.insert((from, to, start, end, rate.0.to_bits())) {
                plan.warnings.push(ImportWarning::Repeated { line, from, to });
                continue;
            }
            let mut covered = SimTime::ZERO;
            let mut parts = Vec::new();
            for (start, end, owlt) in self.cover(contact) {
                covered += end - start;
                if contact.confidence < 1.0 {
                    plan.confidences.insert(plan.contacts.len() + parts.len(), contact.confidence);
                }
                parts.push(ImportedContact { from, to, start, end, rate: Some(rate), owlt });
            }
            plan.push_parts(line, parts)?;
            if covered < contact.end - contact.start || contact.start == contact.end {
                let PlannedContact { line, from, to, .. } = *contact;
                plan.warnings.push(ImportWarning::WithoutRange { line, from, to });
            }
        }
        Ok(plan)
    }

    /// The ranges within a contact's time, in order: those stated for its direction, and where there are none, those of the
    /// reverse direction if they are stated from the lower to the higher number.
    fn cover(&self, contact: &PlannedContact) -> Vec<(SimTime, SimTime, SimTime)> {
        let stated = self.within(contact.from, contact.to, contact.start, contact.end);
        if contact.from <= contact.to {
            return stated;
        }
        let mut cover = Vec::new();
        let mut time = contact.start;
        for &(start, end, owlt) in &stated {
            cover.extend(self.within(contact.to, contact.from, time, start));
            cover.push((start, end, owlt));
            time = end;
        }
        cover.extend(self.within(contact.to, contact.from, time, contact.end));
        cover
    }

    /// Ranges stated from one node to another, cut to [start, end]; of two that overlap the earlier holds.
    fn within(&self, from: u64, to: u64, start: SimTime, end: SimTime) -> Vec<(SimTime, SimTime, SimTime)> {
        let first = self.ranges.partition_point(|range| (range.from, range.to) < (from, to));
        let ranges = self.ranges[first..].iter().take_while(|range| (range.from, range.to) == (from, to));
        let mut time = start;
        let mut within = Vec::new();
        for range in ranges {
            let (low, high) = (range.start.max(time), range.end.min(end));
            if low < high {
                within.push((low, high, range.owlt));
                time = high;
            }
        }
        within
    }
}

fn integer(line: usize, word: &str, what: &str) -> Result<u64, Complaint> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if digits { word.parse().ok() } else { None };
    parsed.ok_or_else(|| Complaint::new(line, quoted(word), format!("{what}: a whole number, 0 or more")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lights(plan: &ImportedPlan) -> Vec<(u64, u64, i64, i64, i64)> {
        let secs = |time: SimTime| time.as_nanos() / 1_000_000_000;
        plan.contacts.iter().map(|c| (c.from, c.to, secs(c.start), secs(c.end), secs(c.owlt))).collect()
    }

    #[test]
    fn a_range_holds_for_the_reverse_unless_that_is_stated() {
        let text = "a range +0 +100 5 9 5\na range +0 +50 9 5 1\na contact +0 +100 5 9 10\na contact +0 +100 9 5 10\n";
        let plan = read(text, None, Shifts::Applied).expect("a plan");
        assert_eq!(lights(&plan), [(5, 9, 0, 100, 5), (9, 5, 0, 50, 1), (9, 5, 50, 100, 5)]);
        assert_eq!(plan.continues, [2].into());
        assert_eq!(plan.warnings, []);
    }

    #[test]
    fn a_range_from_the_higher_number_does_not_hold_for_the_reverse() {
        let plan =
            read("a range +0 +100 9 5 1\na contact +0 +100 5 9 10\n", None, Shifts::Applied).expect("a plan");
        assert_eq!(plan.contacts, []);
        assert_eq!(plan.warnings, [ImportWarning::WithoutRange { line: 2, from: 5, to: 9 }]);
    }

    #[test]
    fn rates_are_bytes_and_the_reference_shifts() {
        let text =
            "m horizon +0\na range +0 +9000 1 2 3\n@ +1200\n@ +1200 \na contact +0 +60 1 2 125 0.5 # no\n";
        assert_eq!(read(text, None, Shifts::Applied).expect_err("a comment stands on its own line").line, 5);
        let plan = read(&text.replace(" # no", ""), None, Shifts::Applied).expect("a plan");
        assert_eq!(lights(&plan), [(1, 2, 2400, 2460, 3)]);
        assert_eq!(plan.contacts[0].rate, Some(BitsPerSecond(1000.0)));
    }

    #[test]
    fn without_shifts_all_times_count_from_the_base_of_the_plan() {
        let text = "a range +0 +90 1 2 3\n@ +1200\n@ +1200\na contact +0 +60 1 2 125 0.5\n";
        let applied = read(text, None, Shifts::Applied).expect("a plan");
        assert_eq!((applied.contacts.len(), applied.beyond_ranges), (0, 1));
        let ignored = read(text, None, Shifts::Ignored).expect("a plan");
        assert_eq!((lights(&ignored), ignored.beyond_ranges), (vec![(1, 2, 0, 60, 3)], 0));
        assert_eq!(ignored.confidences.get(&0), Some(&0.5));
    }

    #[test]
    fn absolute_times_count_from_the_epoch() {
        let text = "a range 2026/01/01-00:00:00 2026/01/02-00:00:00 1 2 3\n\
                    a contact 2026/01/01-00:00:10 2026/01/01-00:01:00 2 1 125\n";
        let epoch = civil_seconds(1, "2026/01/01-00:00:00").expect("a date");
        assert_eq!(lights(&read(text, Some(epoch), Shifts::Applied).expect("a plan")), [(2, 1, 10, 60, 3)]);
        assert_eq!(read(text, None, Shifts::Applied).expect_err("no epoch").line, 1);
        assert_eq!(earliest_date(text), Some(("2026/01/01-00:00:00", epoch)));
        assert_eq!(earliest_date("# 2020/01/01-00:00:00\n@ +10\na contact +0 +5 1 2 3\n"), None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        let wrong = [
            "a contact +10 +5 1 2 100",
            "a contact +0 +99999999999999999999 1 2 100",
            "a contact +0 +9999999999 1 2 100",
            "a contact +0 +10 1 -2 100",
            "a contact +0 +10 1 2 1.5",
            "a contact +0 +10 1 2 100 1.5",
            "a contact +0 +10 1 2",
            "a range +0 +10 1 2 99999999999",
            "d contact +0 1 2",
            "@ tomorrow",
            "a contact ++5 +10 1 2 3",
        ];
        for line in wrong {
            let error = read(&format!("# first\n{line}\n"), None, Shifts::Applied).expect_err(line);
            assert_eq!(error.line, 2, "{line}: {error:?}");
        }
    }
}
