//! The ONE's trace of connections (akeranen/the-one, `ConnectivityONEReport`): `time CONN host host up|down`.
//!
//! Times are seconds. A connection works both ways. What is up already and comes up again
//! stays up; the line is skipped with a warning. What is up at the end of the trace has no end here. A line may name hosts
//! by number, or by a prefix and a number (`p12`), as the simulator's settings have it; only the number counts.

use super::{
    Complaint, ImportWarning, ImportedContact, ImportedPlan,
    text::{quoted, seconds},
};
use crate::units::SimTime;
use std::collections::BTreeMap;

/// What a line may be.
const LINE: &str = "`time CONN host host up` or `time CONN host host down`";

/// Reads the lines of `text`; empty ones and those that begin with `#` are skipped.
pub(super) fn read(text: &str) -> Result<ImportedPlan, Complaint> {
    let mut plan = ImportedPlan::default();
    let mut up: BTreeMap<(u64, u64), SimTime> = BTreeMap::new();
    let mut last = SimTime::ZERO;
    for (number, content) in text.lines().enumerate() {
        let line = number + 1;
        let mut words = content.split_ascii_whitespace();
        let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let time = seconds(line, first, "a time in seconds")?;
        if time < last {
            let found = format!("{time} after {last}");
            return Err(Complaint::new(line, found, "times that do not go back"));
        }
        last = time;
        let (Some("CONN"), Some(a), Some(b), Some(state), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Complaint::new(line, quoted(content), LINE));
        };
        let (a, b) = (host(line, a)?, host(line, b)?);
        if a == b {
            return Err(Complaint::new(line, format!("host {a} connected with itself"), "two hosts"));
        }
        let pair = (a.min(b), a.max(b));
        match state {
            // Its own default scenario writes such lines.
            "up" if up.contains_key(&pair) => {
                plan.warnings.push(ImportWarning::Skipped { line, command: content.to_owned() });
            }
            "up" => drop(up.insert(pair, time)),
            "down" => {
                let start = up.remove(&pair).ok_or_else(|| {
                    Complaint::new(line, format!("hosts {a} and {b} down"), "`up` before `down`")
                })?;
                push(&mut plan, line, pair, start, time)?;
            }
            other => return Err(Complaint::new(line, quoted(other), "`up` or `down`")),
        }
    }
    for (pair, start) in up {
        push(&mut plan, 0, pair, start, SimTime::MAX)?;
    }
    Ok(plan)
}

/// Both directions of a connection.
fn push(
    plan: &mut ImportedPlan,
    line: usize,
    (a, b): (u64, u64),
    start: SimTime,
    end: SimTime,
) -> Result<(), Complaint> {
    for (from, to) in [(a, b), (b, a)] {
        let contact = ImportedContact { from, to, start, end, rate: None, owlt: SimTime::ZERO };
        plan.push(line, contact)?;
    }
    Ok(())
}

fn host(line: usize, word: &str) -> Result<u64, Complaint> {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse().map_err(|_| Complaint::new(line, quoted(word), "a host's number, such as `12` or `p12`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_two_contacts_and_one_without_an_end_stays_open() {
        let plan =
            read("# trace\n0.10 CONN 3 0 up\n1.5 CONN p0 p7 up\n2.50 CONN 0 3 down\n").expect("a trace");
        let seen: Vec<_> =
            plan.contacts.iter().map(|c| (c.from, c.to, c.start.as_nanos(), c.end.as_nanos())).collect();
        let end = SimTime::MAX.as_nanos();
        assert_eq!(
            seen,
            [
                (0, 3, 100_000_000, 2_500_000_000),
                (3, 0, 100_000_000, 2_500_000_000),
                (0, 7, 1_500_000_000, end),
                (7, 0, 1_500_000_000, end),
            ]
        );
    }

    #[test]
    fn what_is_up_already_stays_up_and_is_told() {
        let plan = read("0 CONN 1 2 up\n1 CONN 2 1 up\n2 CONN 1 2 down").expect("a trace");
        assert_eq!(
            (plan.contacts.len(), plan.contacts[0].end, plan.warnings.len()),
            (2, SimTime::from_secs(2), 1)
        );
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        for (text, line, found) in [
            ("0 CONN 1 2 down", 1, "hosts 1 and 2 down"),
            ("5 CONN 1 2 up\n4 CONN 1 3 up", 2, "4 s after 5 s"),
            ("0 CONN 1 1 up", 1, "host 1 connected with itself"),
            ("0 CONN 1 2 sideways", 1, "`sideways`"),
            ("0 CONN 1 x up", 1, "`x`"),
            ("0 CONN 1 2", 1, "`0 CONN 1 2`"),
            ("-1 CONN 1 2 up", 1, "`-1`"),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!((error.line, error.found.as_str()), (line, found), "{text}");
        }
    }
}
