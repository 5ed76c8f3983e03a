//! Acknowledgements and forwards: what two ends of a stream tell each other.

use crate::envelope::Purpose;
use alloc::vec::Vec;
use minicbor::{Decoder, Encoder};

/// Most ranges beyond the cumulative point in one acknowledgement.
pub const MAX_RANGES: usize = 32;
/// Most entries of each sort in one control message: a node has at most one stream for each purpose with a peer.
const MAX_ENTRIES: u64 = 16;

/// What a receiver has persisted of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The stream's purpose.
    pub purpose: Purpose,
    /// The stream's epoch.
    pub epoch: u32,
    /// Every message up to this one is delivered or skipped.
    pub through: u64,
    /// First and last of runs received beyond a gap, ascending, at most [`MAX_RANGES`].
    pub ranges: Vec<(u64, u64)>,
}

/// The sender no longer sends any message up to `through`: the receiver may deliver what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The stream's purpose.
    pub purpose: Purpose,
    /// The stream's epoch.
    pub epoch: u32,
    /// Last message given up or acknowledged.
    pub through: u64,
}

/// The payload of an envelope whose purpose is [`Purpose::Acknowledgement`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Acknowledgements of streams that the sender of this message receives.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Forwards of streams that the sender of this message sends.
    pub forwards: Vec<Forward>,
}

/// Bytes that are not a control message in deterministic CBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed control message")]
pub struct ControlError;

impl From<minicbor::decode::Error> for ControlError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self
    }
}

impl Control {
    /// `[[[purpose, epoch, through, [first, last, …]] …], [[purpose, epoch, through] …]]` in deterministic CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(64));
        self.write(&mut encoder).expect("writing to a Vec cannot fail");
        encoder.into_writer()
    }

    fn write(
        &self,
        out: &mut Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        out.array(2)?.array(self.acknowledgements.len() as u64)?;
        for entry in &self.acknowledgements {
            out.array(4)?.u8(entry.purpose.number())?.u32(entry.epoch)?.u64(entry.through)?;
            out.array(2 * entry.ranges.len() as u64)?;
            for (first, last) in &entry.ranges {
                out.u64(*first)?.u64(*last)?;
            }
        }
        out.array(self.forwards.len() as u64)?;
        for entry in &self.forwards {
            out.array(3)?.u8(entry.purpose.number())?.u32(entry.epoch)?.u64(entry.through)?;
        }
        Ok(())
    }

    /// Reads what [`Control::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`ControlError`] for anything that is not the deterministic encoding of a control message within its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        let mut input = Decoder::new(bytes);
        expect_array(&mut input, 2)?;
        let mut control = Self::default();
        for _ in 0..bounded_array(&mut input, MAX_ENTRIES)? {
            control.acknowledgements.push(read_acknowledgement(&mut input)?);
        }
        for _ in 0..bounded_array(&mut input, MAX_ENTRIES)? {
            expect_array(&mut input, 3)?;
            let purpose = Purpose::from_number(input.u64()?).ok_or(ControlError)?;
            control.forwards.push(Forward { purpose, epoch: input.u32()?, through: input.u64()? });
        }
        // One encoding for one meaning: whatever is longer than needed or trails is refused.
        if control.encode() == bytes { Ok(control) } else { Err(ControlError) }
    }
}

fn read_acknowledgement(input: &mut Decoder<'_>) -> Result<Acknowledgement, ControlError> {
    expect_array(input, 4)?;
    let purpose = Purpose::from_number(input.u64()?).ok_or(ControlError)?;
    let (epoch, through) = (input.u32()?, input.u64()?);
    let bounds = bounded_array(input, 2 * MAX_RANGES as u64)?;
    if bounds % 2 != 0 {
        return Err(ControlError);
    }
    let mut ranges = Vec::new();
    let mut above = through;
    for _ in 0..bounds / 2 {
        let (first, last) = (input.u64()?, input.u64()?);
        if first <= above || last < first {
            return Err(ControlError);
        }
        above = last;
        ranges.push((first, last));
    }
    Ok(Acknowledgement { purpose, epoch, through, ranges })
}

fn expect_array(input: &mut Decoder<'_>, length: u64) -> Result<(), ControlError> {
    if input.array()? == Some(length) { Ok(()) } else { Err(ControlError) }
}

fn bounded_array(input: &mut Decoder<'_>, most: u64) -> Result<u64, ControlError> {
    input.array()?.filter(|length| *length <= most).ok_or(ControlError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Control {
        Control {
            acknowledgements: alloc::vec![Acknowledgement {
                purpose: Purpose::Telemetry,
                epoch: 1,
                through: 40,
                ranges: alloc::vec![(42, 44), (50, 50)],
            }],
            forwards: alloc::vec![Forward { purpose: Purpose::Command, epoch: 2, through: 7 }],
        }
    }

    #[test]
    fn a_control_message_survives_the_wire() {
        assert_eq!(Control::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn trailing_bytes_and_overlapping_ranges_are_refused() {
        let mut long = sample().encode();
        long.push(0);
        assert_eq!(Control::decode(&long), Err(ControlError));
        let mut overlapping = sample();
        overlapping.acknowledgements[0].ranges = alloc::vec![(42, 44), (44, 50)];
        assert_eq!(Control::decode(&overlapping.encode()), Err(ControlError));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Control::decode(&bytes);
        }
    }
}
