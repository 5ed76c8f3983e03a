//! [`Ledger`]: the history of decisions, and the slot that is open.

use super::{
    ballot::{Ballot, Choice},
    certificate::{self, Certificate, MAX_CERTIFICATE_LEN},
    content::Content,
    electorate::Electorate,
    error::GovernanceError,
    record::{Record, Said, sign_ballot, sign_proposal},
    slot::{Cast, MAX_STEPS, Slot},
};
use crate::{
    id::NodeId,
    identity::{KeyId, KeyPair, Succession},
    log::{Brief, Hash},
};
use alloc::{collections::BTreeMap, vec::Vec};
use sha2::{Digest as _, Sha256};

/// Most decisions. With so many the ledger is full and takes no proposal: the fleet is provisioned with a new one.
pub const MAX_DECISIONS: usize = 256;

/// Most proposals on the table, times the voters: two of each, and one that each approves.
const MAX_PROPOSALS_EACH: usize = 3;

/// A proposal that is on the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Who proposes.
    pub proposer: NodeId,
    /// What.
    pub content: Content,
    pub(super) record: Vec<u8>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its slot, from 1.
    pub slot: u64,
    /// What was adopted, and who had proposed it; `None`: nothing.
    pub adopted: Option<(NodeId, Content)>,
    /// The head of the history with it: SHA-256 over the head before, the slot and the proposal's digest.
    pub head: Hash,
    /// What proves it to whoever knows the head before.
    pub certificate: Vec<u8>,
    /// The electorate that decided.
    pub(super) electorate: Electorate,
}

/// Two ballots of one voter in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Whether one key signed both. Else the other may be in a thief's hand, and nothing is proven of the voter.
    pub one_key: bool,
    /// Who.
    pub voter: NodeId,
    /// In which slot.
    pub slot: u64,
    /// The two records.
    pub records: [Vec<u8>; 2],
}

/// What a record changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Inserted {
    /// Nothing: it was there, or is of a slot that is decided.
    Known,
    /// A proposal is on the table.
    Proposed {
        /// Who proposes.
        proposer: NodeId,
        /// Its digest.
        digest: Hash,
    },
    /// A ballot was taken.
    Voted {
        /// Whose.
        voter: NodeId,
        /// In which step.
        step: u32,
        /// What it chooses.
        choice: Choice,
    },
    /// Two ballots stand in a voter's name.
    Exposed(Exposure),
    /// A certificate has decided the open slot.
    Decided,
}

/// What a voter thinks of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It approves.
    Approve,
    /// It does not.
    Reject,
    /// It does not know yet.
    Undecided,
}

/// One replica of the ledger: bounded by [`MAX_DECISIONS`] and what one slot can hold.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) genesis: Electorate,
    pub(super) electorate: Electorate,
    pub(super) decisions: Vec<Decision>,
    pub(super) proposals: BTreeMap<Hash, Proposal>,
    pub(super) slot: Slot,
    signatures: u64,
}

impl Ledger {
    /// An empty one that begins with this electorate. Every member of the fleet begins with the same.
    #[must_use]
    pub fn new(electorate: Electorate) -> Self {
        Self {
            genesis: electorate.clone(),
            electorate,
            decisions: Vec::new(),
            proposals: BTreeMap::new(),
            slot: Slot::default(),
            signatures: 0,
        }
    }

    /// Signatures that were checked so far.
    #[must_use]
    pub const fn signatures(&self) -> u64 {
        self.signatures
    }

    /// The slot that is open, from 1.
    #[must_use]
    pub const fn slot(&self) -> u64 {
        self.decisions.len() as u64 + 1
    }

    /// The head of the history: two replicas with one head have one history.
    #[must_use]
    pub fn head(&self) -> Hash {
        self.decisions.last().map_or_else(|| self.genesis.genesis(), |decision| decision.head)
    }

    /// The head after so many decisions.
    pub(super) fn head_at(&self, decisions: u64) -> Option<Hash> {
        match decisions {
            0 => Some(self.genesis.genesis()),
            count => {
                let place = usize::try_from(count - 1).ok()?;
                self.decisions.get(place).map(|decision| decision.head)
            }
        }
    }

    /// Who votes in the open slot.
    #[must_use]
    pub const fn electorate(&self) -> &Electorate {
        &self.electorate
    }

    /// All decisions in order.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// What is on the table of the open slot, by digest.
    #[must_use]
    pub const fn proposals(&self) -> &BTreeMap<Hash, Proposal> {
        &self.proposals
    }

    /// Whether anything lies on the table.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.proposals.is_empty() && self.slot.ballots.is_empty()
    }

    /// Whether `voter` has spoken in the open slot.
    #[must_use]
    pub fn has_approved(&self, voter: NodeId) -> bool {
        self.slot.ballots.contains_key(&(0, voter))
    }

    /// How many have approved `choice` in the open slot.
    #[must_use]
    pub fn approvals(&self, choice: Choice) -> usize {
        self.slot.approvals(choice)
    }

    /// Puts a proposal on the table. Returns its record, for the other members.
    ///
    /// # Errors
    /// [`GovernanceError`] when `voter` has no vote, the content cannot be decided by this electorate, or there is no room.
    pub fn propose(
        &mut self,
        voter: NodeId,
        keys: &KeyPair,
        links: &[Vec<u8>],
        content: &Content,
    ) -> Result<Vec<u8>, GovernanceError> {
        let path = self.path(voter, keys, links)?;
        let record = sign_proposal(voter, keys, path, (self.slot(), &self.head()), content);
        self.insert(&record)?;
        Ok(record)
    }

    /// Whether these successions lead from the key of a voter's seat to `keys`, and are not too many.
    #[must_use]
    pub fn may_vote(&self, voter: NodeId, keys: &KeyPair, links: &[Vec<u8>]) -> bool {
        self.path(voter, keys, links).is_ok()
    }

    /// The successions that lead from the key of a voter's seat to its own, of all that it had.
    fn path<'l>(
        &self,
        voter: NodeId,
        keys: &KeyPair,
        links: &'l [Vec<u8>],
    ) -> Result<&'l [Vec<u8>], GovernanceError> {
        let seat = self.electorate.key(voter).ok_or(GovernanceError::NoVote { node: voter })?;
        if seat == keys.public() {
            return Ok(&[]);
        }
        let id = KeyId::of(seat);
        let follows = |link: &Vec<u8>| Succession::claims(link).is_ok_and(|(former, _)| former == id);
        let from = links.iter().rposition(follows).ok_or(GovernanceError::BadSignature { node: voter })?;
        let path = &links[from..];
        if path.len() > self.electorate.max_links() {
            return Err(GovernanceError::Seat { node: voter });
        }
        Ok(path)
    }

    /// What `voter` says next in the open slot, if anything: the step and the choice. `stance`: what it thinks of a proposal; `give_up`: it has
    /// waited long enough for others, or for its own opinion.
    #[must_use]
    pub fn next_ballot(
        &self,
        voter: NodeId,
        stance: impl Fn(&Proposal) -> Stance,
        give_up: bool,
    ) -> Option<(u32, Choice)> {
        self.electorate.key(voter)?;
        if !self.has_approved(voter) {
            let mut rejected = !self.proposals.is_empty();
            for (digest, proposal) in &self.proposals {
                match stance(proposal) {
                    Stance::Approve => return Some((0, Some(*digest))),
                    Stance::Reject => {}
                    Stance::Undecided => rejected = false,
                }
            }
            if rejected || (give_up && !self.is_idle()) {
                return Some((0, None));
            }
        }
        // To what a quorum has approved, also before it is here: others have it.
        self.slot.next_commit(&self.electorate, voter, give_up && !self.is_idle())
    }

    /// Signs and takes a ballot of `voter`. Returns its record, for the other members.
    ///
    /// # Errors
    /// [`GovernanceError`] when the keys are not the voter's, or so many successions away from its seat that it has to be seated anew.
    pub fn vote(
        &mut self,
        voter: NodeId,
        keys: &KeyPair,
        links: &[Vec<u8>],
        (step, choice): (u32, Choice),
    ) -> Result<Vec<u8>, GovernanceError> {
        let ballot = Ballot { slot: self.slot(), parent: self.head(), step, choice };
        let record = sign_ballot(voter, keys, self.path(voter, keys, links)?, &ballot);
        self.insert(&record)?;
        Ok(record)
    }

    /// Takes a record or a certificate, from whoever brings it. Cheap checks first; nothing changes when it is refused.
    ///
    /// # Errors
    /// [`GovernanceError`]; [`GovernanceError::Slot`] when it is of a slot that this replica has not come to.
    pub fn insert(&mut self, bytes: &[u8]) -> Result<Inserted, GovernanceError> {
        if certificate::is_certificate(bytes) {
            return self.insert_certificate(bytes);
        }
        let record = Record::parse(bytes)?;
        let (slot, parent) = record.place();
        let open = self.slot();
        if slot < open {
            return Ok(Inserted::Known);
        }
        if slot > open {
            return Err(GovernanceError::Slot { found: slot, open });
        }
        if *parent != self.head() {
            return Err(GovernanceError::Parent { slot });
        }
        if self.decisions.len() >= MAX_DECISIONS {
            return Err(GovernanceError::Full { what: "decision" });
        }
        if self.electorate.key(record.voter).is_none() {
            return Err(GovernanceError::NoVote { node: record.voter });
        }
        match &record.said {
            Said::Proposal { content, digest, .. } => self.insert_proposal(&record, content, *digest, bytes),
            Said::Ballot(ballot) => self.insert_ballot(&record, ballot, bytes),
        }
    }

    fn insert_proposal(
        &mut self,
        record: &Record<'_>,
        content: &Content,
        digest: Hash,
        bytes: &[u8],
    ) -> Result<Inserted, GovernanceError> {
        if self.proposals.contains_key(&digest) {
            return Ok(Inserted::Known);
        }
        if !self.has_room_for(record.voter, &digest) {
            return Err(GovernanceError::Full { what: "proposal" });
        }
        self.put_proposal(record, content, digest, bytes)
    }

    /// Puts a proposal on the table; whether there is room for it is settled.
    fn put_proposal(
        &mut self,
        record: &Record<'_>,
        content: &Content,
        digest: Hash,
        bytes: &[u8],
    ) -> Result<Inserted, GovernanceError> {
        let proposer = record.voter;
        content.check(&self.electorate)?;
        self.verify(record)?;
        let proposal = Proposal { proposer, content: content.clone(), record: bytes.to_vec() };
        self.proposals.insert(digest, proposal);
        Ok(Inserted::Proposed { proposer, digest })
    }

    /// Takes back what was on the table before a restart: there was room for it then, even if liars have taken back what made it.
    pub(super) fn put_back(&mut self, bytes: &[u8]) -> Result<(), GovernanceError> {
        let record = Record::parse(bytes)?;
        let (slot, parent) = record.place();
        match &record.said {
            Said::Proposal { content, digest, .. } if slot == self.slot() && *parent == self.head() => {
                self.put_proposal(&record, content, *digest, bytes).map(drop)
            }
            _ => self.insert(bytes).map(drop),
        }
    }

    /// Whether there is room for a proposal: two of each proposer, and any that more than the liars approve, for a proposer may tell each voter
    /// something else, and what a quorum comes to approve has to be here. An honest voter approves one, so there are no more of these than voters.
    /// None goes for another: what has been heard so far does not tell which a quorum approves in the end.
    fn has_room_for(&self, proposer: NodeId, digest: &Hash) -> bool {
        let own = self.proposals.values().filter(|known| known.proposer == proposer).count();
        let approved = self.slot.approvals(Some(*digest)) > self.electorate.tolerated();
        own < 2 || approved && self.proposals.len() < MAX_PROPOSALS_EACH * self.electorate.len()
    }

    fn verify(&mut self, record: &Record<'_>) -> Result<(), GovernanceError> {
        self.signatures += record.signatures();
        record.verify(&self.electorate)
    }

    fn insert_ballot(
        &mut self,
        record: &Record<'_>,
        ballot: &Ballot,
        bytes: &[u8],
    ) -> Result<Inserted, GovernanceError> {
        if ballot.step > MAX_STEPS {
            return Err(GovernanceError::Unknown { found: u64::from(ballot.step) });
        }
        let place = (ballot.step, record.voter);
        let (choice, voter) = (ballot.choice, record.voter);
        let known = self.slot.ballots.get(&place);
        if known.is_some_and(|known| known.says(choice)) {
            return Ok(Inserted::Known);
        }
        let exposed = known.is_some_and(Cast::is_exposed);
        let weaker = exposed.then(|| self.slot.weaker(&self.electorate, place, choice)).flatten();
        if exposed && weaker.is_none() {
            return Ok(Inserted::Known);
        }
        self.verify(record)?;
        let voted = Inserted::Voted { voter, step: ballot.step, choice };
        let Some(known) = self.slot.ballots.get_mut(&place) else {
            self.slot.ballots.insert(place, Cast::new(choice, bytes.to_vec()));
            return Ok(voted);
        };
        if let Some(weaker) = weaker {
            known.replace(weaker, choice, bytes.to_vec());
            return Ok(voted);
        }
        let first = known.records().next().cloned().unwrap_or_default();
        known.add(choice, bytes.to_vec());
        let seat = self.electorate.key(voter);
        let signer = |record: &Record<'_>| record.signer().or_else(|| seat.cloned());
        let one_key = Record::parse(&first).is_ok_and(|first| signer(&first) == signer(record));
        let (slot, records) = (ballot.slot, [first, bytes.to_vec()]);
        Ok(Inserted::Exposed(Exposure { one_key, voter, slot, records }))
    }

    fn insert_certificate(&mut self, bytes: &[u8]) -> Result<Inserted, GovernanceError> {
        let certificate = Certificate::parse(bytes)?;
        let (slot, open) = (certificate.slot, self.slot());
        if slot == 0 || slot > open {
            return Err(GovernanceError::Slot { found: slot, open });
        }
        if slot < open {
            return self.compare(&certificate, bytes);
        }
        if self.decisions.len() >= MAX_DECISIONS {
            return Err(GovernanceError::Full { what: "decision" });
        }
        self.signatures += certificate.signatures();
        let proven = certificate.prove(&self.electorate, &self.head())?;
        self.decide(proven.choice, proven.adopted, bytes.to_vec());
        Ok(Inserted::Decided)
    }

    /// A certificate of a slot that is decided: it should say the same.
    fn compare(&mut self, certificate: &Certificate<'_>, bytes: &[u8]) -> Result<Inserted, GovernanceError> {
        let slot = certificate.slot;
        let known = &self.decisions[slot as usize - 1];
        if known.certificate == bytes {
            return Ok(Inserted::Known);
        }
        let parent = self.head_at(slot - 1).expect("a decision has a head before it");
        self.signatures += certificate.signatures();
        let Ok(proven) = certificate.prove(&known.electorate, &parent) else { return Ok(Inserted::Known) };
        if head(&parent, slot, proven.choice) == known.head {
            Ok(Inserted::Known)
        } else {
            Err(GovernanceError::Split { slot })
        }
    }

    /// Closes the open slot if its ballots decide it. To be called until it returns nothing.
    pub fn close(&mut self) -> Option<&Decision> {
        let (choice, ballots) = self.slot.decided(&self.electorate)?;
        let proposal = match choice {
            None => None,
            // Others have seen it: it comes.
            Some(digest) => Some(self.proposals.get(&digest)?),
        };
        let slot = self.decisions.len() as u64 + 1;
        let bytes = certificate::encode(slot, proposal.map(|proposal| proposal.record.as_slice()), &ballots);
        let adopted = proposal.map(|proposal| (proposal.proposer, proposal.content.clone()));
        assert!(bytes.len() <= MAX_CERTIFICATE_LEN, "no record is longer than has room in a certificate");
        self.decide(choice, adopted, bytes);
        self.decisions.last()
    }

    fn decide(&mut self, choice: Choice, adopted: Option<(NodeId, Content)>, certificate: Vec<u8>) {
        let (slot, parent) = (self.slot(), self.head());
        let electorate = self.electorate.clone();
        if let Some((_, content)) = &adopted {
            content.seat(&mut self.electorate);
        }
        let head = head(&parent, slot, choice);
        self.decisions.push(Decision { slot, adopted, head, certificate, electorate });
        self.proposals.clear();
        self.slot = Slot::default();
    }

    /// Short names of the records of the open slot.
    pub(super) fn names(&self) -> impl Iterator<Item = Brief> {
        self.records().map(Brief::of)
    }

    /// The records of the open slot: proposals, then ballots by step and voter.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let proposals = self.proposals.values().map(|proposal| proposal.record.as_slice());
        let ballots = self.slot.ballots.values();
        let ballots = ballots.flat_map(Cast::records);
        proposals.chain(ballots.map(Vec::as_slice))
    }
}

/// The head of the history after a decision.
fn head(parent: &Hash, slot: u64, choice: Choice) -> Hash {
    let mut hash = Sha256::new();
    hash.update(b"cosmosmesh-decision-v1");
    hash.update(parent);
    hash.update(slot.to_be_bytes());
    match choice {
        Some(digest) => {
            hash.update([1]);
            hash.update(digest);
        }
        None => hash.update([0]),
    }
    hash.finalize().into()
}
