//! Messages that a file lists.

use super::Checker;
use crate::{
    engine::MessageKind,
    scenario::{
        checked::{ListedMessage, Messages, Priority, ProtocolSettings},
        diagnostic::{Mistake, nearest},
        raw::{RawMessageKind, RawMessages, RawPriority},
    },
    units::{AssetIndex, SimTime},
};

/// Longest list.
const MAX_MESSAGES: usize = 10_000_000;

/// What is wrong with a line: what was found, what is allowed.
type Complaint = (String, String);

impl Checker<'_> {
    pub(super) fn messages(&mut self, raw: &RawMessages, protocol: &ProtocolSettings) -> Messages {
        let priority = match raw.priority.as_ref().map(|priority| &priority.value) {
            Some(RawPriority::Expedited) => Priority::Expedited,
            Some(RawPriority::Normal) | None => Priority::Normal,
            Some(RawPriority::Bulk) => Priority::Bulk,
        };
        let kind = match raw.kind.as_ref().map(|kind| &kind.value) {
            Some(RawMessageKind::Telemetry) | None => MessageKind::Telemetry,
            Some(RawMessageKind::Command) => MessageKind::Command,
            Some(RawMessageKind::Event) => MessageKind::Event,
        };
        let lifetime = self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(priority));
        let custody = raw.custody.as_ref().is_some_and(|custody| custody.value);
        let mut messages = Messages { kind, lifetime, priority, custody, list: Vec::new() };
        let Some(source) = self.files.import(&raw.file) else { return messages };
        for (number, content) in source.text.lines().enumerate() {
            match self.message(content, protocol.max_payload) {
                Ok(message) => messages.list.extend(message),
                Err((found, allowed)) => {
                    let found = format!("{found} in line {} of the list", number + 1);
                    self.report(&raw.file.place, Mistake::Include, found, allowed);
                    return messages;
                }
            }
            if messages.list.len() > MAX_MESSAGES {
                self.report(
                    &raw.file.place,
                    Mistake::TooLarge,
                    "one more message",
                    format!("at most {MAX_MESSAGES} messages"),
                );
                return messages;
            }
        }
        messages.list.sort_by_key(|message| message.time);
        messages
    }

    /// A line of the list; nothing for empty ones and comments.
    fn message(&self, content: &str, largest: u32) -> Result<Option<ListedMessage>, Complaint> {
        let mut words = content.split_ascii_whitespace();
        let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { return Ok(None) };
        let (Some(_name), Some(size), Some(from), Some(to)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            let shown: String = content.chars().take(40).collect();
            return Err((format!("`{shown}`"), "time, name, size, source and destination".to_owned()));
        };
        let run = self.run;
        let time = first.parse::<f64>().ok().filter(|seconds| (0.0..=1e9).contains(seconds));
        let time = time.map(SimTime::from_secs_f64).filter(|time| *time <= run);
        let time =
            time.ok_or_else(|| (format!("`{first}`"), format!("a time within the run, 0 to {run}")))?;
        let bytes = size.parse::<u32>().ok().filter(|bytes| (1..=largest).contains(bytes));
        let bytes =
            bytes.ok_or_else(|| (format!("`{size}`"), format!("a size from 1 to {largest} bytes")))?;
        let (from, to) = (self.listed_asset(from)?, self.listed_asset(to)?);
        if from == to {
            return Err(("a message to its own sender".to_owned(), "another destination".to_owned()));
        }
        Ok(Some(ListedMessage { time, from, to, bytes }))
    }

    fn listed_asset(&self, name: &str) -> Result<AssetIndex, Complaint> {
        self.names.get(name).copied().ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            let meant = nearest(name, self.names.keys().map(String::as_str));
            let meant = meant.map_or_else(String::new, |meant| format!(" (such as \"{meant}\")"));
            (format!("`{shown}`"), format!("the name of an asset{meant}"))
        })
    }
}
