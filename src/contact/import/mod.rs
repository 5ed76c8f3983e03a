//! Contact plans of other people's tools, read into one form: [`ImportedPlan`].

mod asabr;
mod hdtn;
mod ion;
mod one;
mod text;

pub use asabr::Manager;
pub use ion::earliest_date;
pub use text::epoch;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    astro::SPEED_OF_LIGHT_MPS,
    contact::{Contact, ContactPlan, RangeSample},
    units::{AssetIndex, BitsPerSecond, SimTime},
};

/// The latest time in an imported plan, seconds from its origin: some 280 years, so that sums stay within [`SimTime`].
const MAX_SECONDS: f64 = 8.8e9;
/// Largest number of contacts that one file may hold.
const MAX_CONTACTS: usize = 2_000_000;

/// What the file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFormat {
    /// ION's `ionadmin` commands (`.ionrc`).
    Ion,
    /// HDTN's JSON.
    Hdtn,
    /// A-SABR's text.
    Asabr,
    /// The ONE's trace of connections.
    One,
}

/// What ION's `@` does to the relative times (`+n`) that follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shifts {
    /// It moves their reference, and moves add up: `@ +n` is itself relative to the reference before. So `ionadmin` does it
    /// (`ici/utils/ionadmin.c`, `processLine`; `ici/library/ion.c`, `readTimestamp`).
    #[default]
    Applied,
    /// Nothing: every relative time counts from the plan's own base. Not what ION does.
    Ignored,
}

/// What a plan is read with, beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The civil time of the plan's origin in seconds since 1970-01-01T00:00:00 UTC: absolute times (ION) need it. Leap seconds between the
    /// two are not counted.
    pub epoch_unix_s: Option<i64>,
    /// What ION's `@` does.
    pub shifts: Shifts,
    /// How contacts of A-SABR that name no manager are written.
    pub manager: Manager,
}

/// One contact as the file says it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedContact {
    /// The sending node's number.
    pub from: u64,
    /// The receiving node's number.
    pub to: u64,
    /// First moment of transmission, from the plan's origin.
    pub start: SimTime,
    /// Last moment of transmission.
    pub end: SimTime,
    /// Data rate; `None`: not limited (HDTN's rate 0).
    pub rate: Option<BitsPerSecond>,
    /// One-way light time.
    pub owlt: SimTime,
}

/// Something in a plan that was left out or read with less than it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportWarning {
    /// No range covers (part of) the contact: ION does not use it then, and neither do we.
    #[error("line {line}: contact {from} to {to} has no range for part of its time, which is left out")]
    WithoutRange {
        /// Line of the contact.
        line: usize,
        /// The sender.
        from: u64,
        /// The receiver.
        to: u64,
    },
    /// The same contact stands in an earlier line.
    #[error("line {line}: contact {from} to {to} is stated already, and is left out")]
    Repeated {
        /// Line of the contact.
        line: usize,
        /// The sender.
        from: u64,
        /// The receiver.
        to: u64,
    },
    /// The contact ends before it starts. HDTN's own samples hold such contacts, and HDTN never opens them.
    #[error("contact {index} ends at {end_s} s, before its start at {start_s} s, and is left out")]
    NeverOpen {
        /// The contact's place in the file, from 0.
        index: usize,
        /// Its start in seconds.
        start_s: u64,
        /// Its end in seconds.
        end_s: u64,
    },
    /// A command that says something beyond contacts and ranges.
    #[error("line {line}: `{command}` has no meaning here and is skipped")]
    Skipped {
        /// Its line.
        line: usize,
        /// The command's first words.
        command: String,
    },
}

/// A contact plan as read from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedPlan {
    /// Node numbers with their names where the file gives some, in order.
    pub nodes: BTreeMap<u64, Option<String>>,
    /// The contacts in the order of the file; those from a node to itself too.
    pub contacts: Vec<ImportedContact>,
    /// Contacts, by their place in `contacts`, that are one contact of the file with the one before: its next part, with another rate
    /// or light time, which begins where that one ends. What is sent goes on from one to the other.
    pub continues: BTreeSet<usize>,
    /// How likely the contacts are that are not certain, by their place in `contacts` (ION's confidence, 0 to 1).
    pub confidences: BTreeMap<usize, f64>,
    /// The most bytes of a contact that its bundles of each priority may take, the lowest first, where the file says so (A-SABR's budgets),
    /// by its place in `contacts`.
    pub budgets: BTreeMap<usize, [u64; 3]>,
    /// Contacts that start after the last range of the plan has ended, so that no light time is stated for anything (ION).
    pub beyond_ranges: usize,
    /// What was left out.
    pub warnings: Vec<ImportWarning>,
}

/// Why a plan is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: found {found}, allowed: {allowed}")]
pub struct ImportError {
    /// The file's name as given.
    pub file: String,
    /// The line, from 1 (0: the file as a whole).
    pub line: usize,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

/// A line and a complaint; the file's name is added at the door.
#[derive(Debug)]
struct Complaint {
    line: usize,
    found: String,
    allowed: String,
}

impl Complaint {
    fn new(line: usize, found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { line, found: found.into(), allowed: allowed.into() }
    }
}

impl PlanFormat {
    /// The format that `bytes` look like: an object is HDTN's, A-SABR's entries open with their kind, and ION's with a command.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
        match first.split_whitespace().next() {
            Some(word) if word.starts_with(['{', '[']) => Self::Hdtn,
            Some("contact" | "node" | "enode" | "vnode") => Self::Asabr,
            _ => Self::Ion,
        }
    }
}

/// Reads a contact plan. `file` is its name for errors. `epoch_unix_s` is the civil time of the plan's origin in seconds
/// since 1970-01-01T00:00:00 UTC: absolute times (ION) need it. Leap seconds between the two are not counted.
///
/// # Errors
/// The first thing in the file that is not understood or not possible, with its line.
pub fn import(
    file: &str,
    bytes: &[u8],
    format: PlanFormat,
    epoch_unix_s: Option<i64>,
) -> Result<ImportedPlan, ImportError> {
    import_with(file, bytes, format, ImportOptions { epoch_unix_s, ..ImportOptions::default() })
}

/// As [`import`], with a say in what ION's `@` does and which manager A-SABR's contacts have.
///
/// # Errors
/// As [`import`].
pub fn import_with(
    file: &str,
    bytes: &[u8],
    format: PlanFormat,
    options: ImportOptions,
) -> Result<ImportedPlan, ImportError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        Complaint::new(line, format!("byte 0x{:02x}", bytes[error.valid_up_to()]), "text in UTF-8")
    });
    text.and_then(|text| match format {
        PlanFormat::Ion => ion::read(text, options.epoch_unix_s, options.shifts),
        PlanFormat::Hdtn => hdtn::read(text),
        PlanFormat::Asabr => asabr::read(text, options.manager),
        PlanFormat::One => one::read(text),
    })
    .map_err(|Complaint { line, found, allowed }| ImportError {
        file: file.to_owned(),
        line,
        found,
        allowed,
    })
}

impl ImportedPlan {
    /// Adds a contact and its nodes.
    fn push(&mut self, line: usize, contact: ImportedContact) -> Result<(), Complaint> {
        if self.contacts.len() >= MAX_CONTACTS {
            return Err(Complaint::new(line, "one contact more", format!("at most {MAX_CONTACTS} contacts")));
        }
        self.nodes.entry(contact.from).or_default();
        self.nodes.entry(contact.to).or_default();
        self.contacts.push(contact);
        Ok(())
    }

    /// Adds the parts of one contact, in order of time; those that follow at once go on where the one before ends.
    fn push_parts(&mut self, line: usize, parts: Vec<ImportedContact>) -> Result<(), Complaint> {
        let mut end = None;
        for part in parts {
            if end == Some(part.start) {
                self.continues.insert(self.contacts.len());
            }
            end = Some(part.end);
            self.push(line, part)?;
        }
        Ok(())
    }

    /// The contacts between assets. `asset` tells the asset with a node number; contacts of other nodes, and of a node with
    /// itself, are left out. Radios are each asset's first, bits have no errors, and an unlimited rate is infinite.
    #[must_use]
    pub fn contact_plan(&self, asset: impl Fn(u64) -> Option<AssetIndex>) -> ContactPlan {
        let contacts =
            self.contacts.iter().filter(|contact| contact.from != contact.to).filter_map(|contact| {
                let range_m = contact.owlt.as_secs_f64() * SPEED_OF_LIGHT_MPS;
                Some(Contact {
                    from: asset(contact.from)?,
                    to: asset(contact.to)?,
                    from_radio: 0,
                    to_radio: 0,
                    start: contact.start,
                    end: contact.end,
                    rate: contact.rate.unwrap_or(BitsPerSecond(f64::INFINITY)),
                    bit_error_rate: 0.0,
                    max_elevation_deg: None,
                    range: vec![RangeSample { time: contact.start, range_m, range_rate_mps: 0.0 }],
                })
            });
        ContactPlan::new(contacts.collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [PlanFormat; 4] = [PlanFormat::Ion, PlanFormat::Hdtn, PlanFormat::Asabr, PlanFormat::One];

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_line() {
        for format in FORMATS {
            let error = import("plan", b"# a\n\xff", format, None).expect_err("not UTF-8");
            assert_eq!((error.line, error.found.as_str()), (2, "byte 0xff"));
        }
    }

    fn words() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("a".to_owned()),
            Just("contact".to_owned()),
            Just("range".to_owned()),
            Just("node".to_owned()),
            Just("@".to_owned()),
            Just("\n".to_owned()),
            Just("seg".to_owned()),
            Just("rate".to_owned()),
            Just("[".to_owned()),
            Just("]".to_owned()),
            Just(",".to_owned()),
            Just("evl".to_owned()),
            Just("2026/02/30-25:61:61".to_owned()),
            Just("18446744073709551616".to_owned()),
            Just("1e999".to_owned()),
            Just("-1".to_owned()),
            Just("\u{e9}\u{1f680}".to_owned()),
            Just("delay".to_owned()),
            Just("NaN".to_owned()),
            any::<u64>().prop_map(|n| n.to_string()),
            any::<i64>().prop_map(|n| format!("+{n}")),
            any::<f64>().prop_map(|x| x.to_string()),
            (0_u64..100).prop_map(|n| n.to_string()),
        ];
        prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn any_text_is_a_plan_or_an_error(text in any::<String>(), words in words(), epoch in any::<Option<i64>>()) {
            for format in FORMATS {
                drop(import("plan", text.as_bytes(), format, epoch));
                drop(import("plan", words.as_bytes(), format, epoch));
            }
        }
    }
}
