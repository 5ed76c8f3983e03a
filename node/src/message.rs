//! A message as an application sees it.

use crate::{
    engine::purpose_word,
    inbox::{InboxEntry, Received},
};
use cosmosmesh_protocol::node::Delivery;
use serde::{Deserialize, Serialize};

/// What came for the application, and waits until it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in the inbox: what [`crate::Client::take`] is given.
    pub number: u64,
    /// Who sent it: `ipn:2.0` for a member, whose envelope was verified; any endpoint for a plain bundle, which nobody has signed.
    pub source: String,
    /// What for: `telemetry`, `command`, `event`; none for a plain bundle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// Its number in the stream of its source for this purpose; of a plain bundle, in its creation timestamp.
    pub sequence: u64,
    /// The epoch of its stream: together with source, purpose and sequence it names the message for good.
    pub epoch: u32,
    /// When it was made by the source's clock, in milliseconds since 2000; 0 when the source knew no time.
    pub created_ms: u64,
    /// The endpoint of a plain bundle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination: Option<String>,
    /// What it says; in hexadecimal digits as JSON.
    #[serde(rename = "payload_hex", with = "hex")]
    pub payload: Vec<u8>,
}

impl Message {
    /// A message of a member, as the application is given it under a number.
    #[must_use]
    pub fn of_delivery(number: u64, message: Delivery) -> Self {
        Self {
            number,
            source: message.source.endpoint(0).to_string(),
            purpose: Some(purpose_word(message.purpose).to_owned()),
            sequence: message.sequence,
            epoch: message.epoch,
            created_ms: message.created.as_millis(),
            destination: None,
            payload: message.payload,
        }
    }
}

impl From<InboxEntry> for Message {
    fn from(entry: InboxEntry) -> Self {
        let number = entry.number.0;
        match entry.received {
            Received::Message(message) => Self::of_delivery(number, message),
            Received::Bundle(bundle) => Self {
                number,
                source: bundle.source.to_string(),
                purpose: None,
                sequence: bundle.creation.sequence,
                epoch: 0,
                created_ms: bundle.creation.time.as_millis(),
                destination: Some(bundle.destination.to_string()),
                payload: bundle.payload,
            },
        }
    }
}

pub(crate) mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    /// Two digits for each byte.
    pub(crate) fn digits(bytes: &[u8]) -> String {
        let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// The bytes of pairs of digits.
    pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
        let half = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some((half(*high)? << 4 | half(*low)?) as u8),
            _ => None,
        };
        text.as_bytes().chunks(2).map(byte).collect()
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digits(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        bytes(&text).ok_or_else(|| D::Error::custom("not pairs of hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_json() {
        let message = Message {
            number: 7,
            source: "ipn:2.0".to_owned(),
            purpose: Some("telemetry".to_owned()),
            sequence: 1,
            epoch: 1,
            created_ms: 5,
            destination: None,
            payload: (0..=255).collect(),
        };
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        for bad in ["0", "0g", "+1", "é"] {
            let cut = text.find("payload_hex\":\"").unwrap() + "payload_hex\":\"".len();
            let text = format!("{}{bad}\"}}", &text[..cut]);
            assert!(serde_json::from_str::<Message>(&text).is_err(), "{text}");
        }
    }
}
