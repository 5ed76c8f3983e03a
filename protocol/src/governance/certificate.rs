//! The certificate of a decision: `[2, slot, proposal's record or nothing, [ballot's record…]]`.

use super::{
    ballot::Choice,
    content::Content,
    electorate::{Electorate, MAX_VOTERS},
    error::GovernanceError,
    record::{MAX_RECORD_LEN, Record, Said},
};
use crate::{
    cbor::{self, CborError, Reader},
    id::NodeId,
    log::Hash,
};
use alloc::{collections::BTreeSet, vec::Vec};

/// Longest certificate in bytes. [`Electorate::max_links`] is such that every decision has one.
pub const MAX_CERTIFICATE_LEN: usize = 56 * 1024;
/// What is in it beside records: the heads of its array and of the list of ballots, kind and slot.
pub(super) const FRAME_LEN: usize = 32;
const KIND: u64 = 2;

/// A certificate whose form is right.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    pub(super) slot: u64,
    proposal: Option<Record<'a>>,
    ballots: Vec<Record<'a>>,
}

/// What a certificate proves.
#[derive(Debug, PartialEq)]
pub(super) struct Proven {
    pub(super) choice: Choice,
    pub(super) adopted: Option<(NodeId, Content)>,
}

/// The certificate as bytes.
pub(super) fn encode(slot: u64, proposal: Option<&[u8]>, ballots: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 * (1 + ballots.len()));
    cbor::put_head(&mut out, cbor::ARRAY, 4);
    cbor::put_uint(&mut out, KIND);
    cbor::put_uint(&mut out, slot);
    cbor::put_bytes(&mut out, proposal.unwrap_or_default());
    cbor::put_head(&mut out, cbor::ARRAY, ballots.len() as u64);
    ballots.iter().for_each(|ballot| cbor::put_bytes(&mut out, ballot));
    out
}

/// Whether bytes say to be a certificate.
pub(super) fn is_certificate(bytes: &[u8]) -> bool {
    bytes.starts_with(&[cbor::ARRAY << 5 | 4, KIND as u8])
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, GovernanceError> {
        if bytes.len() > MAX_CERTIFICATE_LEN {
            return Err(GovernanceError::TooLong { found: bytes.len(), max: MAX_CERTIFICATE_LEN });
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(4)?;
        let found = reader.uint()?;
        if found != KIND {
            return Err(GovernanceError::Unknown { found });
        }
        let slot = reader.uint()?;
        let proposal = reader.bytes()?;
        let proposal = if proposal.is_empty() { None } else { Some(Record::parse(proposal)?) };
        let (at, found) = (reader.position(), reader.array()?);
        if found > MAX_VOTERS as u64 {
            return Err(CborError::Items { at, expected: MAX_VOTERS as u64, found }.into());
        }
        let ballots = (0..found)
            .map(|_| Record::parse(reader.bytes()?))
            .collect::<Result<Vec<_>, GovernanceError>>()?;
        reader.end()?;
        Ok(Self { slot, proposal, ballots })
    }

    /// Signatures that are checked when it is.
    pub(super) fn signatures(&self) -> u64 {
        self.proposal.iter().chain(&self.ballots).map(Record::signatures).sum()
    }

    /// What it proves to whoever knows the history before it: a quorum commits to one choice in one step. Form first, signatures last.
    pub(super) fn prove(&self, electorate: &Electorate, parent: &Hash) -> Result<Proven, GovernanceError> {
        let nothing = GovernanceError::Certificate { slot: self.slot };
        let mut voters = BTreeSet::new();
        let mut said = None;
        for record in &self.ballots {
            let Said::Ballot(ballot) = &record.said else { return Err(nothing) };
            let same = said.is_none_or(|known| known == (ballot.step, ballot.choice));
            if ballot.slot != self.slot || ballot.parent != *parent || ballot.step == 0 || !same {
                return Err(nothing);
            }
            said = Some((ballot.step, ballot.choice));
            if !voters.insert(record.voter) {
                return Err(nothing);
            }
        }
        let Some((_, choice)) = said.filter(|_| voters.len() >= electorate.quorum()) else {
            return Err(nothing);
        };
        let adopted = match (&self.proposal, choice) {
            (None, None) => None,
            (Some(record), Some(chosen)) => {
                Some(adopted(record, &chosen, (self.slot, parent)).ok_or(nothing)?)
            }
            _ => return Err(nothing),
        };
        if let Some((_, content)) = &adopted {
            content.check(electorate)?;
        }
        for record in self.proposal.iter().chain(&self.ballots) {
            record.verify(electorate)?;
        }
        Ok(Proven { choice, adopted })
    }
}

fn adopted(record: &Record<'_>, chosen: &Hash, place: (u64, &Hash)) -> Option<(NodeId, Content)> {
    let Said::Proposal { content, digest, .. } = &record.said else { return None };
    (digest == chosen && record.place() == place).then(|| (record.voter, content.clone()))
}

const _: () = assert!(MAX_RECORD_LEN < MAX_CERTIFICATE_LEN, "a certificate holds a proposal");
