//! The lines, each an object.

use super::record::{RecordTextError, from_json, to_json};
use crate::{
    engine::purpose_word,
    ledger::LogLine,
    message::Message,
    state::{Bytes, StateItem, StateKind, StateQuery, StateWrite},
};
use cosmosmesh_protocol::{
    contract::{Registry, Schema},
    envelope::Purpose,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Entries of the log that are told at once: with their words, they are no longer than a line may be.
pub const MAX_ENTRIES: u64 = 1000;

/// What the adapter tells a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Told {
    /// First of all.
    Hello {
        /// [`super::VERSION`].
        version: u32,
        /// The node whose program it is.
        node: u64,
    },
    /// A message came.
    Message {
        /// What to say when it is taken.
        number: u64,
        /// From whom.
        source: String,
        /// What for; none for a plain bundle.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        purpose: Option<String>,
        /// When it was made, in milliseconds since 2000; 0 where nobody knows.
        created_ms: u64,
        /// Its fields, where it is a record of a contract.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        record: Option<Map<String, Json>>,
        /// Its bytes, where it is not.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        payload_hex: Option<String>,
    },
    /// What was sent is durable.
    Accepted {
        /// As it was said.
        id: Json,
        /// Its number in its stream.
        sequence: u64,
    },
    /// What was sent or said is not taken.
    Refused {
        /// As it was said; null where the line could not be read.
        id: Json,
        /// A stable word.
        reason: String,
        /// In a sentence.
        problem: String,
    },
    /// What was written to shared state is durable.
    Written {
        /// As it was said.
        id: Json,
        /// The number of the write.
        sequence: u64,
    },
    /// What there is in shared state of what was asked for.
    State {
        /// As it was said.
        id: Json,
        /// Each object, key or member.
        items: Vec<StateItem>,
    },
    /// Another has written to shared state: to a program that watches it.
    Changed {
        /// How it reads now.
        item: StateItem,
    },
    /// What the node's log holds of what was asked for.
    Entries {
        /// As it was said.
        id: Json,
        /// How many entries the log has.
        size: u64,
        /// Those that were asked for, in their order.
        entries: Vec<LogLine>,
    },
    /// Changes were missed: what is to be known is to be read.
    Missed,
    /// It is to end.
    Stop,
}

impl Told {
    /// What is told of a message.
    #[must_use]
    pub fn of(message: &Message, contracts: &Registry) -> Self {
        let read = contracts.read(&message.payload).ok();
        let record = read.and_then(|record| Some(to_json(contracts.newest(&record.name)?, &record)));
        let payload_hex = record.is_none().then(|| crate::message::hex::digits(&message.payload));
        Self::Message {
            number: message.number,
            source: message.source.clone(),
            purpose: message.purpose.clone(),
            created_ms: message.created_ms,
            record,
            payload_hex,
        }
    }

    /// The line, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("texts and numbers can be written");
        line.push('\n');
        line
    }
}

/// What a program says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// A message is to be sent.
    Send(Send),
    /// All messages up to this one are dealt with.
    Take {
        /// The message's number.
        number: u64,
    },
    /// Something is to be written to shared state.
    Write(Write),
    /// Something is to be read of shared state.
    Read(Read),
    /// What others write to shared state is to be told from now on.
    Watch,
    /// Something is to be read of the node's own log of what it has sent, accepted, refused and learned.
    Entries(Entries),
    /// Something for the log of the daemon, or of the session.
    Log {
        /// What.
        text: String,
    },
}

/// A write of a program to shared state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// Comes back with the answer.
    #[serde(default)]
    pub id: Json,
    /// What.
    #[serde(flatten)]
    pub write: StateWrite,
}

/// A question of a program about shared state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Comes back with the answer.
    #[serde(default)]
    pub id: Json,
    /// Of this kind only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<StateKind>,
    /// This object, with what is in it; without it, the names of all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<Bytes>,
    /// This key or member.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<Bytes>,
    /// Only what comes after this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Bytes>,
}

impl Read {
    /// As a daemon is asked.
    #[must_use]
    pub fn query(self) -> (Json, StateQuery) {
        let Self { id, kind, name, key, after } = self;
        (id, StateQuery { kind, name, key, after, most: None })
    }
}

/// A question of a program about the node's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// Comes back with the answer.
    #[serde(default)]
    pub id: Json,
    /// From this entry on.
    #[serde(default)]
    pub first: u64,
    /// At most so many, and at most [`MAX_ENTRIES`]; none only asks how many there are.
    #[serde(default)]
    pub most: u64,
}

/// A message that a program sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Comes back with the answer.
    #[serde(default)]
    pub id: Json,
    /// To whom.
    pub to: u64,
    /// `telemetry`, `command` or `event`.
    pub purpose: String,
    /// How long it is worth delivering, in seconds; a day without it.
    #[serde(default = "a_day")]
    pub lifetime_s: u64,
    /// What it says, as a record of the purpose's contract.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<Map<String, Json>>,
    /// What it says, as text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// What it says, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_hex: Option<String>,
}

const fn a_day() -> u64 {
    86_400
}

/// Why a line is refused.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No object of the protocol.
    #[error("{0}")]
    Form(#[from] serde_json::Error),
    /// No purpose of applications.
    #[error("{found:?} is no purpose: allowed are telemetry, command and event")]
    Purpose {
        /// What was said.
        found: String,
    },
    /// Not exactly one of `record`, `text` and `payload_hex`.
    #[error("a message has a record, or a text, or a payload_hex")]
    Payload,
    /// Not pairs of hexadecimal digits.
    #[error("payload_hex is not pairs of hexadecimal digits")]
    Hex,
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordTextError),
}

impl LineError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(_) => "line",
            Self::Purpose { .. } => "purpose",
            Self::Payload => "payload",
            Self::Hex => "hex",
            Self::Record(RecordTextError::Record(error)) => error.reason(),
            Self::Record(_) => "record",
        }
    }
}

impl Said {
    /// Reads a line.
    ///
    /// # Errors
    /// [`LineError::Form`].
    pub fn read(line: &str) -> Result<Self, LineError> {
        Ok(serde_json::from_str(line)?)
    }
}

impl Send {
    /// What the message is for, and its bytes.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn message(&self, contracts: &Registry) -> Result<(Purpose, Vec<u8>), LineError> {
        let purposes = [Purpose::Telemetry, Purpose::Command, Purpose::Event];
        let purpose = purposes.into_iter().find(|purpose| purpose_word(*purpose) == self.purpose);
        let purpose = purpose.ok_or_else(|| LineError::Purpose { found: self.purpose.clone() })?;
        let bytes = match (&self.record, &self.text, &self.payload_hex) {
            (Some(object), None, None) => {
                let schema: &Schema = contracts.newest(&self.purpose).ok_or(LineError::Payload)?;
                from_json(schema, object)?.encode()
            }
            (None, Some(text), None) => text.clone().into_bytes(),
            (None, None, Some(digits)) => crate::message::hex::bytes(digits).ok_or(LineError::Hex)?,
            _ => return Err(LineError::Payload),
        };
        Ok((purpose, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmosmesh_protocol::{log::Entry, time::DtnTime};

    fn send(rest: &str) -> Result<(Purpose, Vec<u8>), String> {
        let line = format!("{{\"type\":\"send\",\"id\":1,\"to\":2,{rest}}}");
        let Said::Send(send) = Said::read(&line).map_err(|error| error.to_string())? else {
            panic!("a message")
        };
        send.message(&Registry::standard()).map_err(|error| error.to_string())
    }

    #[test]
    fn records_cross_as_objects_with_the_names_of_their_fields() {
        let record = "{\"time\":5,\"quantity\":\"battery\",\"value\":1,\"unit\":\"\"}";
        let (purpose, payload) =
            send(&format!("\"purpose\":\"telemetry\",\"record\":{record}")).expect("a record");
        assert_eq!(purpose, Purpose::Telemetry);
        let message = Message {
            number: 3,
            source: "ipn:2.0".to_owned(),
            purpose: Some("telemetry".to_owned()),
            sequence: 1,
            epoch: 1,
            created_ms: 9,
            destination: None,
            payload,
        };
        let told = Told::of(&message, &Registry::standard());
        let line = told.line();
        assert!(
            line.contains("\"record\":{\"quantity\":\"battery\",\"time\":5,\"unit\":\"\",\"value\":1.0}"),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Told>(&line).expect("the same"), told);
        let plain = Told::of(&Message { payload: b"\xFFhi".to_vec(), ..message }, &Registry::standard());
        assert!(plain.line().contains("\"payload_hex\":\"ff6869\""));
    }

    #[test]
    fn writes_and_questions_about_shared_state_are_read() {
        let put = "{\"type\":\"write\",\"id\":4,\"write\":\"put\",\"map\":\"site\",\"key\":\"door\",\"value\":\"open\"}";
        let Said::Write(Write { id, write }) = Said::read(put).expect("a write") else { panic!("a write") };
        let [map, key, value] = ["site", "door", "open"].map(Bytes::from);
        assert_eq!((id, write), (Json::from(4), StateWrite::Put { map, key, value }));
        let read = "{\"type\":\"read\",\"kind\":\"map\",\"name\":\"site\"}";
        let Said::Read(read) = Said::read(read).expect("a question") else { panic!("a question") };
        assert_eq!(read.query().1.kind, Some(StateKind::Map));
    }

    #[test]
    fn questions_about_the_log_are_read_and_entries_are_told_in_words() {
        let asked = "{\"type\":\"entries\",\"id\":5,\"first\":3,\"most\":2}";
        let expected = Entries { id: Json::from(5), first: 3, most: 2 };
        assert_eq!(Said::read(asked).expect("a question"), Said::Entries(expected));
        let event = cosmosmesh_protocol::log::Event::Started { incarnation: 4 };
        let entry = Entry { index: 3, clock_ms: 17, time: DtnTime(9), event };
        let lines = vec![LogLine::of(&entry.encode()).expect("an entry")];
        assert_eq!(LogLine::of(b"no entry"), None);
        let line = Told::Entries { id: Json::from(5), size: 4, entries: lines }.line();
        let start = "{\"type\":\"entries\",\"id\":5,\"size\":4,\"entries\":[{\"index\":3,\"clock_ms\":17,\"time_ms\":9,\"words\":\"started, incarnation 4\",\"entry_hex\":\"";
        assert!(line.starts_with(start), "{line}");
    }

    #[test]
    fn bytes_of_a_command_are_hexadecimal_digits() {
        let rest = "\"purpose\":\"command\",\"record\":{\"action\":\"drill\",\"arguments\":\"00ff\"}";
        let (_, payload) = send(rest).expect("a record");
        let record = Registry::standard().read(&payload).expect("the record");
        assert_eq!(record.fields[&4], cosmosmesh_protocol::contract::Value::Bytes(vec![0, 255]));
    }

    #[test]
    fn what_is_no_message_is_refused_with_what_is_wrong() {
        for (rest, word) in [
            ("\"purpose\":\"sync\",\"text\":\"x\"", "is no purpose"),
            ("\"purpose\":\"event\"", "a record, or a text"),
            ("\"purpose\":\"event\",\"text\":\"x\",\"payload_hex\":\"00\"", "a record, or a text"),
            ("\"purpose\":\"event\",\"payload_hex\":\"0\"", "hexadecimal"),
            ("\"purpose\":\"event\",\"record\":{\"time\":1}", "field 2 is missing"),
            (
                "\"purpose\":\"event\",\"record\":{\"when\":1}",
                "is no field of event 1.0; its fields are time",
            ),
            ("\"purpose\":\"event\",\"record\":{\"time\":-1}", "time is to be uint"),
            ("\"purpose\":\"event\",\"record\":{\"time\":1,\"kind\":\"x\",\"severity\":8}", "field 3"),
            ("\"purpose\":\"event\",\"txt\":\"x\"", "unknown field `txt`"),
        ] {
            let problem = send(rest).expect_err(rest);
            assert!(problem.contains(word), "{rest}: {problem}");
        }
        for (line, word) in [
            ("{\"type\":\"write\",\"write\":\"put\",\"map\":\"a\",\"key\":\"b\"}", "missing field `value`"),
            ("{\"type\":\"write\",\"write\":\"burn\",\"map\":\"a\"}", "unknown variant `burn`"),
            ("{\"type\":\"read\",\"nam\":\"a\"}", "unknown field `nam`"),
        ] {
            let problem = Said::read(line).expect_err(line).to_string();
            assert!(problem.contains(word), "{line}: {problem}");
        }
        for line in ["", "{}", "[1]", "{\"type\":\"shout\"}", "{\"type\":\"take\"}"] {
            assert!(Said::read(line).is_err(), "{line}");
        }
    }
}
