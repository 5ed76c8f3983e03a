//! What a host keeps of an asset, so that what the coordinator counts on survives a crash.

use alloc::vec::Vec;

use super::{Answer, Asset};
use crate::planning::{
    message::{FRACTION_BITS, Outcome},
    solver::{layout::MAX_ENTRIES, request::Request},
};

impl Asset {
    /// The asset's place in the rounds as bytes, big-endian: `horizon (8), outcome (1), base, last request (32-bit length and its
    /// bytes), last answer, values (n × f64)`, where an answer is `round (4), ρ (8), entries, target, plan` and a list its 32-bit length
    /// and 8 bytes an entry; a plan that is the values is left out. The problem is the host's to give again; Anderson's remembered rounds are not kept.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.horizon.to_be_bytes());
        bytes.push(self.committed.map_or(0, Outcome::code));
        let none = Answer::default();
        write_answer(&mut bytes, self.base.as_ref().unwrap_or(&none), &self.x);
        let (request, answer) = match &self.last {
            // Before the first answer of a horizon there is only where it starts warm, which is not kept.
            Some((request, answer)) if !answer.entries.is_empty() => (request.encode(), answer),
            _ => (Vec::new(), &none),
        };
        bytes.extend_from_slice(&(request.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&request);
        write_answer(&mut bytes, answer, &self.x);
        self.x.iter().for_each(|value| bytes.extend_from_slice(&value.to_bits().to_be_bytes()));
        bytes
    }

    /// Goes on from a snapshot of an asset with this problem. `None`, and nothing changes, when the bytes are not one: also when its
    /// problem had other sizes.
    pub fn restore(&mut self, bytes: &[u8]) -> Option<()> {
        let m = self.problem.couplings();
        let mut reader = Reader { bytes };
        let horizon = u64::from_be_bytes(reader.take()?);
        let committed = match reader.take::<1>()?[0] {
            0 => None,
            code => Some(Outcome::from_code(u64::from(code))?),
        };
        let mut base = reader.answer(m)?;
        let length = u32::from_be_bytes(reader.take()?) as usize;
        let (request, rest) = reader.bytes.split_at_checked(length)?;
        reader.bytes = rest;
        let mut answer = reader.answer(m)?;
        let x = reader.list::<f64>(self.x.len())?;
        if !reader.bytes.is_empty() || x.iter().any(|value| !value.is_finite()) {
            return None;
        }
        for answer in [&mut base, &mut answer].into_iter().flatten() {
            match answer.x.len() {
                0 => answer.x.clone_from(&x),
                length if length == x.len() => {}
                _ => return None,
            }
        }
        let last = match (request.is_empty(), answer) {
            (true, None) => None,
            (false, Some(answer)) => {
                let request = Request::decode(request).ok()?;
                let entries = request.question.layout(m).entries();
                let fits = request.prices.len() == m && request.horizon == horizon;
                if !fits || answer.round != request.round || answer.entries.len() != entries {
                    return None;
                }
                Some((request, answer))
            }
            _ => return None,
        };
        (self.horizon, self.committed, self.base, self.last, self.x) = (horizon, committed, base, last, x);
        self.steps.clear();
        self.residual.clear();
        Some(())
    }
}

fn write_answer(bytes: &mut Vec<u8>, answer: &Answer, values: &[f64]) {
    bytes.extend_from_slice(&answer.round.to_be_bytes());
    bytes.extend_from_slice(&answer.rho.to_bits().to_be_bytes());
    bytes.extend_from_slice(&(answer.entries.len() as u32).to_be_bytes());
    answer.entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.to_be_bytes()));
    bytes.extend_from_slice(&(answer.target.len() as u32).to_be_bytes());
    answer.target.iter().for_each(|value| bytes.extend_from_slice(&value.to_bits().to_be_bytes()));
    let plan = if answer.x == values { &[] } else { answer.x.as_slice() };
    bytes.extend_from_slice(&(plan.len() as u32).to_be_bytes());
    plan.iter().for_each(|value| bytes.extend_from_slice(&value.to_bits().to_be_bytes()));
}

struct Reader<'a> {
    bytes: &'a [u8],
}

/// What 8 bytes stand for.
trait Word {
    fn of(bytes: [u8; 8]) -> Self;
}

impl Word for i64 {
    fn of(bytes: [u8; 8]) -> Self {
        Self::from_be_bytes(bytes)
    }
}

impl Word for f64 {
    fn of(bytes: [u8; 8]) -> Self {
        Self::from_bits(u64::from_be_bytes(bytes))
    }
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }

    /// `length` words; allocates only what is there.
    fn list<T: Word>(&mut self, length: usize) -> Option<Vec<T>> {
        let (head, rest) = self.bytes.split_at_checked(length.checked_mul(8)?)?;
        self.bytes = rest;
        Some(head.chunks_exact(8).map(|word| T::of(word.try_into().unwrap_or_default())).collect())
    }

    /// An answer, which may be none: `Some(None)`.
    #[expect(
        clippy::option_option,
        reason = "bytes that are no answer differ from an answer that was never given"
    )]
    fn answer(&mut self, couplings: usize) -> Option<Option<Answer>> {
        let round = u32::from_be_bytes(self.take()?);
        let rho = f64::of(self.take()?);
        let length = u32::from_be_bytes(self.take()?) as usize;
        let entries: Vec<i64> = self.list(length)?;
        let length = u32::from_be_bytes(self.take()?) as usize;
        let target: Vec<f64> = self.list(length)?;
        let length = u32::from_be_bytes(self.take()?) as usize;
        let x: Vec<f64> = self.list(length)?;
        if entries.is_empty() {
            return (target.is_empty() && x.is_empty()).then_some(None);
        }
        let finite = target.iter().chain(&x).all(|value| value.is_finite());
        let sane = rho >= 0.0 && rho.is_finite() && finite;
        if !sane
            || entries.len() > MAX_ENTRIES
            || entries.len() < couplings
            || ![0, couplings].contains(&target.len())
        {
            return None;
        }
        let real = |&entry: &i64| libm::ldexp(entry as f64, -(FRACTION_BITS as i32));
        let share = entries[..couplings].iter().map(real).collect();
        Some(Some(Answer { round, entries, share, target, rho, x }))
    }
}
