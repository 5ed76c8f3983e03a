//! [`Digest`]: the sink that hashes a run's trace into its [`Fingerprint`].

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use super::{Record, Sink, encode_record};

/// Hashed before the first record: names the encoding and its version.
const DOMAIN: &[u8] = b"cosmosmesh trace 1\n";
/// Records gather up to this many bytes before they are hashed: hashing whole blocks is cheaper than record by record.
const BUFFER_BYTES: usize = 16 * 1024;

/// SHA-256 over a run's trace: equal for equal runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// It has another length than 64 bytes.
    #[error("a fingerprint has 64 hexadecimal digits, found {found} bytes")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// A byte is no hexadecimal digit.
    #[error("not a hexadecimal digit at byte {at}")]
    Digit {
        /// Where, from 0.
        at: usize,
    },
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        if text.len() != 64 {
            return Err(FingerprintError::Length { found: text.len() });
        }
        let mut bytes = [0; 32];
        for (at, digit) in text.bytes().enumerate() {
            let value = char::from(digit).to_digit(16).ok_or(FingerprintError::Digit { at })?;
            bytes[at / 2] = bytes[at / 2] << 4 | value as u8;
        }
        Ok(Self(bytes))
    }
}

/// A sink that hashes the canonical bytes of every record.
#[derive(Clone, Debug)]
pub struct Digest {
    hash: Sha256,
    buffer: Vec<u8>,
    records: u64,
}

impl Digest {
    /// A digest of no records yet.
    #[must_use]
    pub fn new() -> Self {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + 1024);
        buffer.extend_from_slice(DOMAIN);
        Self { hash: Sha256::new(), buffer, records: 0 }
    }

    /// Records so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// The fingerprint of the records so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = self.hash.clone();
        hash.update(&self.buffer);
        Fingerprint(hash.finalize().into())
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for Digest {
    #[inline]
    fn record(&mut self, record: &Record) {
        encode_record(record, &mut self.buffer);
        self.records += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.hash.update(&self.buffer);
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::RecordKind,
        units::{AssetIndex, SimTime},
    };

    fn record(time: i64) -> Record {
        Record { time: SimTime(time), asset: AssetIndex(0), kind: RecordKind::SyncWrite { sequence: 1 } }
    }

    #[test]
    fn the_fingerprint_is_the_hash_of_domain_and_bytes() {
        // More records than the buffer holds, so that it is hashed in parts.
        let (mut digest, mut bytes) = (Digest::new(), DOMAIN.to_vec());
        for time in 0..5_000 {
            digest.record(&record(time));
            encode_record(&record(time), &mut bytes);
        }
        assert!(bytes.len() > 2 * BUFFER_BYTES);
        assert_eq!(digest.fingerprint().0, <[u8; 32]>::from(Sha256::digest(&bytes)));
        assert_eq!(digest.records(), 5_000);
    }

    #[test]
    fn the_order_of_records_matters() {
        let of = |times: [i64; 2]| {
            let mut digest = Digest::new();
            times.iter().for_each(|&time| digest.record(&record(time)));
            digest.fingerprint()
        };
        assert_ne!(of([1, 2]), of([2, 1]));
    }

    #[test]
    fn a_fingerprint_survives_its_text() {
        let mut digest = Digest::new();
        digest.record(&record(7));
        let fingerprint = digest.fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }

    #[test]
    fn other_texts_are_no_fingerprints() {
        assert_eq!("ab".parse::<Fingerprint>(), Err(FingerprintError::Length { found: 2 }));
        let text = format!("{}g{}", "0".repeat(10), "0".repeat(53));
        assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError::Digit { at: 10 }));
    }
}
