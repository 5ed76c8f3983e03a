//! What a host keeps of a participant, so that its state survives as long as the coordinator's.

use alloc::vec::Vec;

use super::Participant;
use crate::planning::message::{Contribution, Outcome, Signal};

impl Participant {
    /// The exchange state as bytes: `outcome (1), signal, contribution (each a 32-bit length and its bytes), target (m × f64),
    /// values (n × f64)`, big-endian. The problem is the host's to give again.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.push(match self.committed {
            None => 0,
            Some(Outcome::Converged) => 1,
            Some(Outcome::RoundLimit) => 2,
            Some(Outcome::Absent) => 3,
        });
        let (signal, answer) = match &self.last {
            Some((signal, answer)) => (signal.encode(), answer.encode()),
            None => (Vec::new(), Vec::new()),
        };
        for block in [signal, answer] {
            bytes.extend_from_slice(&(block.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&block);
        }
        for value in self.target.iter().chain(&self.x) {
            bytes.extend_from_slice(&value.to_bits().to_be_bytes());
        }
        bytes
    }

    /// Goes on from a snapshot of a participant with this problem. `None`, and nothing changes, when the bytes are not one:
    /// also when its problem had other sizes or another horizon.
    pub fn restore(&mut self, bytes: &[u8]) -> Option<()> {
        let (outcome, rest) = bytes.split_first()?;
        let committed = match outcome {
            0 => None,
            1 => Some(Outcome::Converged),
            2 => Some(Outcome::RoundLimit),
            3 => Some(Outcome::Absent),
            _ => return None,
        };
        let (signal, rest) = block(rest)?;
        let (answer, rest) = block(rest)?;
        let last = if signal.is_empty() && answer.is_empty() {
            None
        } else {
            Some((Signal::decode(signal).ok()?, Contribution::decode(answer).ok()?))
        };
        let (m, n) = (self.target.len(), self.x.len());
        if rest.len() != 8 * (m + n) {
            return None;
        }
        let float = |bytes: &[u8]| f64::from_bits(u64::from_be_bytes(bytes.try_into().unwrap_or_default()));
        let numbers: Vec<f64> = rest.chunks_exact(8).map(float).collect();
        if numbers.iter().any(|number| !number.is_finite()) {
            return None;
        }
        if let Some((signal, answer)) = &last {
            self.check(signal).ok()?;
            if answer.shared.len() != m || (answer.horizon, answer.round) != (signal.horizon, signal.round) {
                return None;
            }
            self.share = answer.share().collect();
        }
        self.target.copy_from_slice(&numbers[..m]);
        self.x.copy_from_slice(&numbers[m..]);
        (self.last, self.committed) = (last, committed);
        Some(())
    }
}

/// A block that its 32-bit length precedes, and what follows it.
fn block(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{participant, signal},
        *,
    };
    use alloc::vec;

    #[test]
    fn a_restored_participant_goes_on_where_it_was() {
        let (mut whole, mut crashed) = (participant(), participant());
        for round in 1..=5 {
            let before = whole.on_signal(&signal(round)).expect("accepted").expect("open");
            let answer = crashed.on_signal(&signal(round)).expect("accepted").expect("open");
            assert_eq!(before.shared.len(), answer.shared.len());
            // The solver starts cold after a crash: equal up to its tolerance.
            for (a, b) in before.share().zip(answer.share()) {
                assert!((a - b).abs() < 1e-6, "{a} {b} in round {round}");
            }
            let kept = crashed.snapshot();
            crashed = participant();
            assert_eq!(crashed.restore(&kept), Some(()));
            assert_eq!(crashed.on_signal(&signal(round)), Ok(Some(answer)), "the answer is repeated");
            assert_eq!(crashed.snapshot(), kept);
        }
        let last = Signal { committed: Some(Outcome::Converged), ..signal(6) };
        assert_eq!(crashed.on_signal(&last), Ok(None));
        let mut again = participant();
        assert_eq!(again.restore(&crashed.snapshot()), Some(()));
        assert_eq!((again.values(), again.committed()), (crashed.values(), crashed.committed()));
    }

    #[test]
    fn bytes_that_are_no_snapshot_change_nothing() {
        let mut known = participant();
        known.on_signal(&signal(1)).expect("accepted");
        let kept = known.snapshot();
        let mut fresh = participant();
        let before = alloc::format!("{fresh:?}");
        for length in 0..kept.len() {
            assert_eq!(fresh.restore(&kept[..length]), None);
        }
        let mut nan = kept.clone();
        let end = nan.len();
        nan[end - 8..].copy_from_slice(&f64::NAN.to_bits().to_be_bytes());
        for wrong in [nan, [kept.clone(), vec![0]].concat(), [vec![9], kept[1..].to_vec()].concat()] {
            assert_eq!(fresh.restore(&wrong), None);
        }
        assert_eq!(alloc::format!("{fresh:?}"), before);
        assert_eq!(fresh.restore(&kept), Some(()));
    }
}
