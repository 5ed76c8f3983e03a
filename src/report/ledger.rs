//! [`audit`]: whether the logs of a run hold, and what the first lie is; [`Audit::story`]: what they tell of one message or plan.
//!
//! A log is held against every checkpoint that its owner has signed: its own, and those that the others keep. Then the logs are held against
//! each other: what one accepted, the other must have sent.

use super::logs::{LogFile, Logs};
use cosmosmesh_protocol::{
    envelope::Purpose,
    id::NodeId,
    log::{
        Brief, Checkpoint, Entry, Event, Hash, LogId, MessageName, SignedCheckpoint, Tree, leaf_hash,
        verify_inclusion,
    },
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LieKind {
    /// There is no log of a member.
    Missing,
    /// Bytes that are no entry.
    Unreadable {
        /// Place of the first of them.
        entry: u64,
    },
    /// An entry stands in another's place.
    Reordered {
        /// Where it stands.
        entry: u64,
        /// Where it says to belong.
        says: u64,
    },
    /// Entries are gone from the end.
    Truncated {
        /// Entries that are there.
        entries: u64,
        /// Entries that the owner signed for.
        signed: u64,
        /// Who keeps that checkpoint.
        holder: String,
    },
    /// An entry was changed, or taken out or put in.
    Altered {
        /// The first entry that may be the one.
        from: u64,
        /// The last.
        to: u64,
        /// Who keeps the first checkpoint that the log does not fit.
        holder: String,
    },
    /// The owner has signed two logs.
    Forked {
        /// Entries at which both were signed.
        entries: u64,
        /// Who keeps the one.
        first: String,
        /// Who keeps the other.
        second: String,
    },
    /// A log of the owner's that others have seen is not here: its disk was lost, or its past was thrown away.
    Discarded {
        /// The incarnation that began it.
        born: u32,
        /// Entries that the owner signed for.
        signed: u64,
        /// Who keeps that checkpoint.
        holder: String,
    },
    /// Nobody's signature vouches for the log.
    Unsigned,
    /// It keeps a checkpoint in another's name that this one did not sign.
    BadSignature {
        /// In whose name.
        claimed: String,
    },
    /// It has signed for a log of another's that never was like that, as far as anybody can show.
    Unsupported {
        /// Whose log.
        owner: String,
        /// Entries that it signed for.
        signed: u64,
    },
    /// A member's log says that it caught this one showing two logs. The proof is that member's to show.
    Caught {
        /// Whose log says so.
        by: String,
        /// The entry.
        entry: u64,
        /// How.
        how: String,
    },
    /// It committed a version of the plan at other prices than another did: their coordinator told two stories.
    TwoPlans {
        /// The entry.
        entry: u64,
        /// The horizon.
        horizon: u64,
        /// Who committed it otherwise.
        peer: String,
    },
    /// It took a message that the other end did not send, or not like that.
    Contradiction {
        /// The entry.
        entry: u64,
        /// The other end.
        peer: String,
        /// What the other end's log says instead.
        instead: &'static str,
    },
}

/// Something wrong, and whose log it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lie {
    /// The log's owner.
    pub asset: String,
    /// The incarnation that began the log, of one that was lost with its disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u32>,
    /// What.
    #[serde(flatten)]
    pub kind: LieKind,
}

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    /// Everything wrong, by owner, the first in each log first.
    pub lies: Vec<Lie>,
    /// Entries that hold.
    pub entries: u64,
    /// Checkpoints that were held against the logs.
    pub checkpoints: u64,
    /// Signatures of others under checkpoints.
    pub cosignatures: u64,
    logs: Logs,
    trees: BTreeMap<Which, Tree>,
    decoded: BTreeMap<Which, Vec<Entry>>,
}

/// A member's log: its present one, or one of an earlier birth that was lost with its disk.
type Which = (NodeId, Option<u32>);

/// A line of a story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// Civil time by the asset's clock, in milliseconds since 2000; 0 without one.
    pub time_ms: u64,
    /// Whose log.
    pub asset: String,
    /// The entry's place in it.
    pub entry: u64,
    /// What happened.
    pub what: String,
    /// Whether a proof leads from the entry to a checkpoint that its owner signed.
    pub proven: bool,
}

/// A checkpoint whose signature holds, and who keeps it.
struct Kept {
    checkpoint: Checkpoint,
    holder: String,
}

/// Audits the logs of a run.
#[must_use]
pub fn audit(logs: Logs) -> Audit {
    let mut audit = Audit {
        lies: Vec::new(),
        entries: 0,
        checkpoints: 0,
        cosignatures: 0,
        logs,
        trees: BTreeMap::new(),
        decoded: BTreeMap::new(),
    };
    let members: Vec<NodeId> = audit.logs.members.keys().copied().collect();
    for node in &members {
        audit.check_log((*node, None));
        let births: Vec<u32> =
            audit.logs.earlier.range((*node, 0)..=(*node, u32::MAX)).map(|(key, _)| key.1).collect();
        births.into_iter().for_each(|born| audit.check_log((*node, Some(born))));
    }
    for node in &members {
        audit.check_messages(*node);
    }
    audit.check_plans();
    audit.check_caught();
    audit
}

impl Audit {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lies.is_empty()
    }

    /// The node of an asset.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.logs.node(name)
    }

    fn lie(&mut self, node: NodeId, kind: LieKind) {
        self.lie_in((node, None), kind);
    }

    fn lie_in(&mut self, (node, incarnation): Which, kind: LieKind) {
        let asset = self.logs.name(node);
        self.lies.push(Lie { asset, incarnation, kind });
    }

    fn file(&self, (node, born): Which) -> Option<&LogFile> {
        match born {
            None => self.logs.files.get(&node),
            Some(born) => self.logs.earlier.get(&(node, born)),
        }
    }

    fn check_log(&mut self, which: Which) {
        let Some(file) = self.file(which) else { return self.lie_in(which, LieKind::Missing) };
        let tree: Tree = file.entries.iter().map(|entry| leaf_hash(entry)).collect();
        let (ragged, mut wrong) = (file.ragged, None);
        let mut decoded = Vec::with_capacity(file.entries.len());
        for (place, bytes) in file.entries.iter().enumerate() {
            let entry = place as u64;
            match Entry::decode(bytes) {
                Ok(read) if read.index == entry => decoded.push(read),
                Ok(read) => {
                    wrong = wrong.or(Some(LieKind::Reordered { entry, says: read.index }));
                    decoded.push(read);
                }
                Err(_) => {
                    wrong = Some(wrong.unwrap_or(LieKind::Unreadable { entry }));
                    break;
                }
            }
        }
        let size = tree.size();
        if ragged {
            wrong = wrong.or(Some(LieKind::Unreadable { entry: size }));
        }
        self.trees.insert(which, tree);
        let born = match decoded.first().map(|first| &first.event) {
            Some(Event::Started { incarnation }) => Some(*incarnation),
            _ => None,
        };
        self.decoded.insert(which, decoded);
        // What an earlier log is said to be by its name, others' checkpoints are asked about.
        let born = which.1.or(born);
        let kept = self.checkpoints_of(which, born);
        self.checkpoints += kept.len() as u64;
        let contradicted = self.hold_against(which, &kept);
        let unsupported = self.check_cosignatures(which, born, &kept);
        if wrong.is_none() && contradicted.is_none() {
            // Where the owner's own signatures do not fit the log, that explains those of others.
            unsupported.into_iter().for_each(|(witness, lie)| self.lie(witness, lie));
        }
        match (wrong, contradicted) {
            // Where an entry stands in another's place, that is what was done to the log.
            (Some(wrong), _) | (None, Some(wrong)) => self.lie_in(which, wrong),
            (None, None) => self.entries += size,
        }
    }

    /// All checkpoints of a log that its owner signed, from the shortest to the longest.
    fn checkpoints_of(&mut self, which: Which, born: Option<u32>) -> Vec<Kept> {
        let node = which.0;
        let Some((_, key)) = self.logs.members.get(&node).cloned() else { return Vec::new() };
        let (mut kept, mut found, mut others) = (Vec::new(), Vec::new(), BTreeMap::new());
        let own = self.file(which).map(|file| &file.checkpoint);
        for (place, file) in &self.logs.files {
            let own = own.filter(|_| *place == node);
            for bytes in own.into_iter().chain(&file.seen) {
                let Ok(read) = SignedCheckpoint::parse(bytes) else { continue };
                if read.signer() != node {
                    continue;
                }
                let holder = self.logs.name(*place);
                match read.verify(&key) {
                    Ok(checkpoint) if born.is_none_or(|born| checkpoint.log == LogId { node, born }) => {
                        kept.push(Kept { checkpoint, holder });
                    }
                    Ok(checkpoint) if self.logs.earlier.contains_key(&(node, checkpoint.log.born)) => {}
                    Ok(checkpoint) => {
                        let longest = others.entry(checkpoint.log.born).or_insert((0, holder.clone()));
                        if checkpoint.size > longest.0 {
                            *longest = (checkpoint.size, holder);
                        }
                    }
                    // Who keeps what nobody signed lies, and not the one whose name is under it.
                    Err(_) => found.push((*place, LieKind::BadSignature { claimed: self.logs.name(node) })),
                }
            }
        }
        let discarded = |(born, (signed, holder))| (node, LieKind::Discarded { born, signed, holder });
        found.extend(others.into_iter().map(discarded));
        if which.1.is_none() {
            // Once, with the present log.
            found.into_iter().for_each(|(node, lie)| self.lie(node, lie));
        }
        kept.sort_by(|a, b| (a.checkpoint.size, &a.holder).cmp(&(b.checkpoint.size, &b.holder)));
        kept
    }

    /// Others' signatures under a log. They prove what their signers have seen, and nothing against the owner: a witness can sign what it likes. One
    /// that fits neither the log nor anything that the owner is known to have signed is its signer's to explain.
    fn check_cosignatures(
        &mut self,
        which: Which,
        born: Option<u32>,
        kept: &[Kept],
    ) -> Vec<(NodeId, LieKind)> {
        let node = which.0;
        let (mut found, mut good) = (Vec::new(), 0);
        let tree = self.trees.get(&which);
        for bytes in self.logs.files.get(&node).into_iter().flat_map(|file| &file.cosignatures) {
            let Ok(read) = SignedCheckpoint::parse_cosignature(bytes) else { continue };
            let Some((_, witness)) = self.logs.members.get(&read.signer()) else { continue };
            let Ok(checkpoint) = read.verify(witness) else { continue };
            if checkpoint.log.node != node || born.is_some_and(|born| checkpoint.log.born != born) {
                continue;
            }
            let fits = tree.is_some_and(|tree| tree.root(checkpoint.size) == Some(checkpoint.root));
            if fits || kept.iter().any(|kept| kept.checkpoint.agrees(&checkpoint)) {
                good += 1;
            } else {
                let (owner, signed) = (self.logs.name(node), checkpoint.size);
                found.push((read.signer(), LieKind::Unsupported { owner, signed }));
            }
        }
        self.cosignatures += good;
        found
    }

    /// Whoever was caught with two logs, by what the others' logs say.
    fn check_caught(&mut self) {
        let mut found = Vec::new();
        for ((node, _), entries) in &self.decoded {
            for entry in entries {
                let Event::Caught { peer, at, .. } = &entry.event else { continue };
                if matches!(&**at, "two_roots" | "inconsistent_log") {
                    let (by, how) = (self.logs.name(*node), at.to_string());
                    found.push((*peer, LieKind::Caught { by, entry: entry.index, how }));
                }
            }
        }
        found.into_iter().for_each(|(node, lie)| self.lie(node, lie));
    }

    /// The first checkpoint that the log does not fit.
    fn hold_against(&self, which: Which, kept: &[Kept]) -> Option<LieKind> {
        let tree = self.trees.get(&which)?;
        for pair in kept.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            if a.checkpoint.size == b.checkpoint.size && a.checkpoint.root != b.checkpoint.root {
                let (first, second) = (a.holder.clone(), b.holder.clone());
                return Some(LieKind::Forked { entries: a.checkpoint.size, first, second });
            }
        }
        let fits = |kept: &&Kept| tree.root(kept.checkpoint.size) == Some(kept.checkpoint.root);
        let Some(bad) = kept.iter().find(|kept| !fits(kept)) else {
            return kept.is_empty().then_some(LieKind::Unsigned);
        };
        // A log that fits a longer checkpoint, and not a shorter one that the owner signed too, was shown to others otherwise.
        if let Some(good) = kept.iter().filter(fits).find(|good| good.checkpoint.size > bad.checkpoint.size) {
            let (first, second) = (bad.holder.clone(), good.holder.clone());
            return Some(LieKind::Forked { entries: bad.checkpoint.size, first, second });
        }
        let (entries, signed) = (tree.size(), bad.checkpoint.size);
        let holder = bad.holder.clone();
        if signed > entries {
            return Some(LieKind::Truncated { entries, signed, holder });
        }
        let known = kept.iter().filter(fits).map(|kept| kept.checkpoint.size).filter(|size| *size < signed);
        let from = known.max().unwrap_or(0);
        Some(LieKind::Altered { from, to: signed - 1, holder })
    }

    /// What this one accepted, the other ends must have sent.
    fn check_messages(&mut self, node: NodeId) {
        let mut found = Vec::new();
        // What is wrong with a log is said of it already. What others made up of somebody silences nobody.
        let told = |owner: NodeId| {
            let wrong =
                |lie: &&Lie| !matches!(lie.kind, LieKind::BadSignature { .. } | LieKind::Unsupported { .. });
            self.lies.iter().filter(wrong).any(|lie| lie.asset == self.logs.name(owner))
        };
        if told(node) {
            return;
        }
        let mut sent: BTreeMap<NodeId, BTreeMap<MessageName, Brief>> = BTreeMap::new();
        for (born, entry) in self.entries_of(node) {
            let Event::Accepted { message, payload } = &entry.event else { continue };
            let peer = message.peer;
            if told(peer) || !self.decoded.contains_key(&(peer, None)) {
                continue;
            }
            let sent =
                sent.entry(peer).or_insert_with(|| sent_by(self.entries_of(peer).map(|(_, entry)| entry)));
            let name = MessageName { peer: node, ..*message };
            let instead = match sent.get(&name) {
                Some(known) if known == payload => continue,
                Some(_) => "another payload",
                None => "no such message",
            };
            let lie = LieKind::Contradiction { entry: entry.index, peer: self.logs.name(peer), instead };
            found.push((born, lie));
        }
        found.into_iter().for_each(|(born, lie)| self.lie_in((node, born), lie));
    }

    /// All that a member's logs hold, those of earlier births after the present one.
    fn entries_of(&self, node: NodeId) -> impl Iterator<Item = (Option<u32>, &Entry)> {
        let logs = self.decoded.range((node, None)..=(node, Some(u32::MAX)));
        logs.flat_map(|((_, born), entries)| entries.iter().map(|entry| (*born, entry)))
    }

    /// A version of the plan has the same digest for everyone.
    fn check_plans(&mut self) {
        let mut first: BTreeMap<(u64, u32, u32), (NodeId, Brief)> = BTreeMap::new();
        let mut found = Vec::new();
        for ((node, _), entries) in &self.decoded {
            for entry in entries {
                let Event::PlanCommitted { horizon, term, round, version, .. } = &entry.event else {
                    continue;
                };
                let (peer, known) = *first.entry((*horizon, *term, *round)).or_insert((*node, *version));
                if known != *version {
                    let (entry, horizon, peer) = (entry.index, *horizon, self.logs.name(peer));
                    found.push((*node, LieKind::TwoPlans { entry, horizon, peer }));
                }
            }
        }
        found.into_iter().for_each(|(node, lie)| self.lie(node, lie));
    }

    /// What the logs tell of a message.
    #[must_use]
    pub fn message(&self, from: NodeId, to: NodeId, purpose: Purpose, sequence: u64) -> Vec<Story> {
        self.story(|owner, event| match event {
            Event::Sent { message, .. } | Event::Accepted { message, .. } => {
                let ends = if matches!(event, Event::Sent { .. }) {
                    (owner, message.peer)
                } else {
                    (message.peer, owner)
                };
                ends == (from, to) && message.purpose == purpose && message.sequence == sequence
            }
            _ => false,
        })
    }

    /// What the logs tell of a horizon of the plan.
    #[must_use]
    pub fn plan(&self, number: u64) -> Vec<Story> {
        self.story(|_, event| matches!(event, Event::PlanCommitted { horizon, .. } if *horizon == number))
    }

    /// What the logs tell of refusals, denials, revocations and those who were caught.
    #[must_use]
    pub fn incidents(&self) -> Vec<Story> {
        self.story(|_, event| match event {
            Event::Refused { .. } | Event::Denied { .. } | Event::Caught { .. } => true,
            Event::Learned { what, .. } => **what != *"certificate",
            _ => false,
        })
    }

    /// The fleet's decisions, as each asset has written them down.
    #[must_use]
    pub fn decisions(&self) -> Vec<Story> {
        self.story(|_, event| matches!(event, Event::Governed { .. }))
    }

    fn story(&self, wanted: impl Fn(NodeId, &Event) -> bool) -> Vec<Story> {
        let mut lines = Vec::new();
        for (which, entries) in &self.decoded {
            let node = &which.0;
            for entry in entries.iter().filter(|entry| wanted(*node, &entry.event)) {
                lines.push(Story {
                    time_ms: entry.time.0,
                    asset: self.logs.name(*node),
                    entry: entry.index,
                    what: self.words(&entry.event),
                    proven: self.proves(*which, entry.index),
                });
            }
        }
        lines.sort_by(|a, b| (a.time_ms, &a.asset, a.entry).cmp(&(b.time_ms, &b.asset, b.entry)));
        lines
    }

    /// Whether an inclusion proof leads from the entry to the owner's own signed checkpoint.
    fn proves(&self, which: Which, index: u64) -> bool {
        let proof = || {
            let (tree, file) = (self.trees.get(&which)?, self.file(which)?);
            let (_, key) = self.logs.members.get(&which.0)?;
            let checkpoint = SignedCheckpoint::parse(&file.checkpoint).ok()?.verify(key).ok()?;
            let hashes: Vec<Hash> = tree.inclusion(index, checkpoint.size)?;
            verify_inclusion(*tree.leaf(index)?, index, checkpoint.size, &hashes, &checkpoint.root).ok()
        };
        proof().is_some()
    }

    fn words(&self, event: &Event) -> String {
        let name = |node: &NodeId| self.logs.name(*node);
        let hex = |brief: &Brief| brief.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let message = |message: &MessageName| {
            format!("{} {} of epoch {}", purpose_word(message.purpose), message.sequence, message.epoch)
        };
        match event {
            Event::Started { incarnation } => format!("began to run, incarnation {incarnation}"),
            Event::Sent { message: m, payload } => {
                format!("sent {} to {}, payload {}", message(m), name(&m.peer), hex(payload))
            }
            Event::Accepted { message: m, payload } => {
                format!("accepted {} from {}, payload {}", message(m), name(&m.peer), hex(payload))
            }
            Event::Refused { reason, count, .. } => format!("refused: {reason}, {count} so far"),
            Event::Denied { subject, action, rule } => {
                format!("denied {} to {action}: {rule}", name(subject))
            }
            Event::PlanCommitted { horizon, term, round, outcome, values, version } => {
                format!(
                    "committed the plan of horizon {horizon} at round {round} of term {term}, version {}: {outcome}, own part {}",
                    hex(version),
                    hex(values)
                )
            }
            Event::Reconciled { peer, writes, taken } => {
                format!("took {writes} cells from {}, {}", name(peer), hex(taken))
            }
            Event::Learned { what, about, .. } if about.0 == 0 => format!("learned {what} of the authority"),
            Event::Learned { what, about, .. } => format!("learned a {what} of {}", name(about)),
            Event::Witnessed { peer, size, .. } => format!("saw the log of {} at {size} entries", name(peer)),
            Event::Caught { peer, at, .. } => format!("caught {}: {at}", name(peer)),
            Event::Governed { slot, step, about, .. } if about.0 == 0 => format!("slot {slot}: {step}"),
            Event::Governed { slot, step, about, .. } => format!("slot {slot}: {step} by {}", name(about)),
        }
    }
}

fn sent_by<'e>(entries: impl Iterator<Item = &'e Entry>) -> BTreeMap<MessageName, Brief> {
    let sent = |entry: &Entry| match &entry.event {
        Event::Sent { message, payload } => Some((*message, *payload)),
        _ => None,
    };
    entries.filter_map(sent).collect()
}

/// The word for a purpose.
const fn purpose_word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Telemetry => "telemetry",
        Purpose::Command => "command",
        Purpose::Event => "event",
        Purpose::Sync => "sync",
        Purpose::Plan => "plan",
        Purpose::Acknowledgement => "acknowledgement",
        Purpose::Trust => "trust",
        Purpose::Governance => "governance",
        Purpose::Membership => "membership",
        Purpose::GroupKey => "group-key",
    }
}

/// The purpose of this word.
#[must_use]
pub fn purpose_of(word: &str) -> Option<Purpose> {
    Purpose::ALL.into_iter().find(|purpose| purpose_word(*purpose) == word)
}
