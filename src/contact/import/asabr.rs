//! A-SABR's text (DTN-MTP/A-SABR): `contact from to start end [manager] rate delay`, `node id name`.
//!
//! White space, line breaks among it, only separates words; `#` opens a comment. What follows a contact's times is its [`Manager`]'s: most
//! differ in how they book volume, which says nothing of a contact that nobody has booked, and take a rate and a delay, those with budgets three
//! volumes more; `seg` takes lists of intervals, and such a contact is divided into parts that continue one another. Rates are in whatever unit bundles are measured in there; A-SABR reads ION's bytes per second as they are, so they are taken as
//! bytes per second. A contact of which no rate or delay is stated for a part of its time is closed during that part.

use super::{
    Complaint, ImportWarning, ImportedContact, ImportedPlan,
    text::{node, number, quoted, seconds, span},
};
use crate::units::{BitsPerSecond, SimTime};

/// A-SABR's managers of contacts (`contact_manager/`), by the words that name them in a plan (`parsing.rs`). A plan in which contacts name
/// none has one for all, which its reader knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manager {
    /// `evl`, `eto`, `qd`, and with priorities `pevl`, `peto`, `pqd`: a rate and a delay. They differ in what bookings and queues do.
    #[default]
    Rate,
    /// `pbevl`, `pbeto`, `pbqd`: a rate, a delay and the most that bundles of each of three priorities may take, the lowest first.
    Budgeted,
    /// `seg`, `pseg`: lists of rates and of delays with their times.
    Segmented,
}

impl Manager {
    /// The words for managers.
    pub const WORDS: [&str; 11] =
        ["evl", "pevl", "pbevl", "eto", "peto", "pbeto", "qd", "pqd", "pbqd", "seg", "pseg"];

    /// The manager that `word` names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "evl" | "eto" | "qd" | "pevl" | "peto" | "pqd" => Some(Self::Rate),
            "pbevl" | "pbeto" | "pbqd" => Some(Self::Budgeted),
            "seg" | "pseg" => Some(Self::Segmented),
            _ => None,
        }
    }

    /// What a contact states for it.
    const fn takes(self) -> &'static str {
        match self {
            Self::Rate => {
                "a rate and a delay; where three budgets follow, the manager is pbevl, pbeto or pbqd, which the contact or the \
                 reader has to name"
            }
            Self::Budgeted => "a rate, a delay and three budgets",
            Self::Segmented => "`rate` and `delay` with their intervals",
        }
    }
}

/// Words that open an entry.
const ENTRIES: [&str; 4] = ["contact", "node", "enode", "vnode"];

/// Reads the entries of `text`.
pub(super) fn read(text: &str, manager: Manager) -> Result<ImportedPlan, Complaint> {
    let mut words = Words { words: words(text), next: 0, last_line: text.lines().count().max(1) };
    let mut plan = ImportedPlan::default();
    while let Some((line, word)) = words.take() {
        match word {
            "contact" => contact(line, &mut words, manager, &mut plan)?,
            "node" | "enode" => {
                let (id, name) = (words.node()?, words.expect("a name")?.1);
                plan.nodes.insert(id, Some(name.to_owned()));
                // What follows a name (`compress 1`, `none`) sets how a node treats bundles.
                words.skip_entry();
            }
            "vnode" => {
                plan.warnings.push(ImportWarning::Skipped { line, command: word.to_owned() });
                words.skip_entry();
            }
            _ => return Err(Complaint::new(line, quoted(word), "`contact`, `node`, `enode` or `vnode`")),
        }
    }
    Ok(plan)
}

fn contact(
    line: usize,
    words: &mut Words<'_>,
    manager: Manager,
    plan: &mut ImportedPlan,
) -> Result<(), Complaint> {
    let (from, to) = (words.node()?, words.node()?);
    let (start, end) = span(line, words.seconds("a start")?, words.seconds("an end")?)?;
    let named = words.peek().and_then(Manager::of);
    if named.is_some() {
        words.take();
    }
    let manager = named.unwrap_or(manager);
    if manager != Manager::Segmented {
        let (rate, owlt) = (words.rate()?, words.seconds("a delay")?);
        if manager == Manager::Budgeted {
            let budgets = [words.volume()?, words.volume()?, words.volume()?];
            plan.budgets.insert(plan.contacts.len(), budgets);
        }
        words.entry_ends(manager)?;
        return plan.push(line, ImportedContact { from, to, start, end, rate: Some(rate), owlt });
    }
    let (mut rates, mut delays) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        match words.expect("`rate` or `delay`")? {
            (_, "rate") => rates = words.intervals(Words::rate)?,
            (_, "delay") => delays = words.intervals(|words| words.seconds("a delay"))?,
            (line, other) => return Err(Complaint::new(line, quoted(other), "`rate` or `delay`")),
        }
    }
    words.entry_ends(manager)?;
    let mut parts = Vec::new();
    for &(rate_start, rate_end, rate) in &rates {
        for &(delay_start, delay_end, owlt) in &delays {
            let (start, end) = (start.max(rate_start).max(delay_start), end.min(rate_end).min(delay_end));
            if start < end {
                parts.push(ImportedContact { from, to, start, end, rate: Some(rate), owlt });
            }
        }
    }
    parts.sort_by_key(|part| part.start);
    plan.push_parts(line, parts)
}

/// Words with their lines; brackets and commas are words.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default();
        for chunk in content.split_whitespace() {
            let pieces = chunk.split_inclusive(['[', ']', ',']).flat_map(|piece| {
                let cut = piece.len() - usize::from(piece.ends_with(['[', ']', ',']));
                [&piece[..cut], &piece[cut..]]
            });
            words.extend(pieces.filter(|piece| !piece.is_empty()).map(|piece| (number + 1, piece)));
        }
    }
    words
}

struct Words<'a> {
    words: Vec<(usize, &'a str)>,
    next: usize,
    last_line: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|word| word.1)
    }

    fn take(&mut self) -> Option<(usize, &'a str)> {
        let word = self.words.get(self.next).copied();
        self.next += usize::from(word.is_some());
        word
    }

    fn expect(&mut self, allowed: &str) -> Result<(usize, &'a str), Complaint> {
        self.take().ok_or_else(|| Complaint::new(self.last_line, "the end of the file", allowed))
    }

    fn node(&mut self) -> Result<u64, Complaint> {
        let (line, word) = self.expect("a node number")?;
        node(line, word)
    }

    fn seconds(&mut self, what: &str) -> Result<SimTime, Complaint> {
        let (line, word) = self.expect(what)?;
        seconds(line, word, what)
    }

    fn rate(&mut self) -> Result<BitsPerSecond, Complaint> {
        let (line, word) = self.expect("a rate")?;
        let rate = number(line, word, "a rate")? * 8.0;
        if !rate.is_finite() {
            return Err(Complaint::new(line, quoted(word), "a rate below 1e307"));
        }
        Ok(BitsPerSecond(rate))
    }

    fn volume(&mut self) -> Result<u64, Complaint> {
        let (line, word) = self.expect("a budget")?;
        let volume = number(line, word, "a budget, in the unit of sizes")?;
        // Beyond the largest number of bytes, every budget is the same.
        Ok(volume as u64)
    }

    /// `[start end value, start end value]`; a comma may follow the last.
    fn intervals<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, Complaint>,
    ) -> Result<Vec<(SimTime, SimTime, T)>, Complaint> {
        let (line, open) = self.expect("`[`")?;
        if open != "[" {
            return Err(Complaint::new(line, quoted(open), "`[`"));
        }
        let mut intervals = Vec::new();
        while self.peek().is_some_and(|word| word != "]") {
            let (start, end) = span(line, self.seconds("a start")?, self.seconds("an end")?)?;
            intervals.push((start, end, value(self)?));
            match self.peek() {
                Some(",") => drop(self.take()),
                Some("]") | None => {}
                Some(other) => return Err(Complaint::new(line, quoted(other), "`,` or `]`")),
            }
        }
        self.expect("`]`")?;
        Ok(intervals)
    }

    /// Refuses words that the entry's manager does not take.
    fn entry_ends(&self, manager: Manager) -> Result<(), Complaint> {
        match self.words.get(self.next) {
            Some((line, word)) if !ENTRIES.contains(word) => Err(Complaint::new(
                *line,
                quoted(word),
                format!("the next entry: a contact has {}", manager.takes()),
            )),
            _ => Ok(()),
        }
    }

    fn skip_entry(&mut self) {
        while self.peek().is_some_and(|word| !ENTRIES.contains(&word)) {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segmented_contact_is_divided_where_rate_or_delay_changes() {
        let text =
            "contact 1 4 60 7260 seg\n delay [60 3660 10 , 3660 7260 15]\n rate [60 5000 10,5000 7260 20,]";
        let plan = read(text, Manager::Rate).expect("a plan");
        let secs = |time: SimTime| time.as_secs_f64();
        let parts: Vec<_> = plan
            .contacts
            .iter()
            .map(|c| (secs(c.start), secs(c.end), c.rate.map(|r| r.0), secs(c.owlt)))
            .collect();
        let expected = [
            (60.0, 3660.0, Some(80.0), 10.0),
            (3660.0, 5000.0, Some(80.0), 15.0),
            (5000.0, 7260.0, Some(160.0), 15.0),
        ];
        assert_eq!(parts, expected);
        assert_eq!(plan.continues, [1, 2].into());
    }

    #[test]
    fn intervals_go_by_time_and_a_gap_ends_what_continues() {
        let text = "contact 1 4 0 90 seg rate [30 50 2, 0 30 1, 60 90 3] delay [0 90 1]";
        let plan = read(text, Manager::Rate).expect("a plan");
        let starts: Vec<_> = plan.contacts.iter().map(|contact| contact.start.as_secs_f64()).collect();
        assert_eq!((starts, plan.continues), (vec![0.0, 30.0, 60.0], [1].into()));
    }

    #[test]
    fn a_manager_is_the_contacts_own_or_that_of_the_plan() {
        let text = "contact 0 1 100 200 10 10 1000 2000 3000\ncontact 1 2 0 9 pevl 1 0";
        let plan = read(text, Manager::Budgeted).expect("a plan");
        assert_eq!((plan.contacts.len(), plan.budgets), (2, [(0, [1000, 2000, 3000])].into()));
        let named = read("contact 0 1 100 200 pbqd 10 10 1 2 3", Manager::Rate).expect("a plan");
        assert_eq!(named.budgets, [(0, [1, 2, 3])].into());
        let error = read(text, Manager::Rate).expect_err("budgets that no manager takes");
        assert!(error.line == 1 && error.allowed.contains("pbevl"), "{error:?}");
        assert!(read("contact 0 1 100 200 10 10 1000 1000", Manager::Budgeted).is_err());
        assert!(Manager::WORDS.into_iter().all(|word| Manager::of(word).is_some()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        let wrong = [
            "contact 0 1 10 5 1 0",
            "contact 0 1 0 10 1",
            "contact 0 1 0 10 1 0 1000",
            "contact 0 1 0 NaN 1 0",
            "contact 0 1 0 inf 1 0",
            "contact 0 1 0 10 1e308 0",
            "contact 0 1 0 10 -1 0",
            "contact 0 x 0 10 1 0",
            "contact 0 1 0 10 seg rate [0 10 1 delay [0 10 1]",
            "contact 0 1 0 10 seg rate [0 10 1",
            "lorem",
        ];
        for entry in wrong {
            assert_eq!(
                read(&format!("# first\n{entry}"), Manager::Rate).err().map(|error| error.line),
                Some(2),
                "{entry}"
            );
        }
    }
}
