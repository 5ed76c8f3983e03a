//! How a delta joins: checked against the limits, the writers' roles and clocks, and their signatures of the outcome.

use super::{
    cell::{Cell, CellKey, Content, Leaf, cell_bytes, check_cell, check_count, leaf},
    delta::{Delta, Run},
    head::{Head, signed_text},
    limits::{SyncError, SyncLimits},
    replica::{Replica, Restored},
    spans::Spans,
    version::{Actor, Dot},
};
use crate::{
    id::NodeId,
    identity::{Directory, PublicKey},
    time::DtnTime,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// What a delta from a peer is held against.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Whose signatures count.
    pub directory: &'a Directory,
    /// Civil time now, which no write's clock may be far ahead of; [`DtnTime::UNKNOWN`]: not checked.
    pub now: DtnTime,
}

/// What applying a delta did. Its runs stand alone: one that is refused keeps no other out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The writes that are covered now and were not before. Some were replaced before they came.
    pub news: Vec<News>,
    /// The actors of whom an earlier delta is missing. Answer with our version to get it again.
    pub gaps: Vec<Actor>,
    /// The actors whose signature does not fit to what is here with what came: either is damaged, or this replica missed what
    /// everyone else has forgotten. Answer with our version without them, to get everything of them.
    pub reseed: Vec<Actor>,
    /// The life that began, if the host was found to have lost the end of what this member had written.
    pub life: Option<Actor>,
    /// The actors whose part was refused, and why.
    pub refused: Vec<(Actor, SyncError)>,
    /// What joined, for [`Replica::apply_kept`].
    pub joined: Delta,
    /// How many signatures were checked.
    pub checked: u64,
}

/// Writes of an actor, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Whose.
    pub actor: Actor,
    /// The first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// What an actor's cells would be.
struct Trial {
    /// Living cells that go.
    gone: BTreeSet<u64>,
    come: Vec<(CellKey, Cell, Leaf)>,
    leaves: BTreeMap<u64, Leaf>,
}

impl Replica {
    /// Joins a delta that `sender` sent. Joining one again changes nothing, and the order of deltas does not matter.
    ///
    /// # Errors
    /// [`SyncError`] when it names too many actors: nothing of it is then joined.
    pub fn apply_from(
        &mut self,
        sender: NodeId,
        delta: &Delta,
        trust: Trust<'_>,
    ) -> Result<Applied, SyncError> {
        let strangers = delta.runs.keys().filter(|&&actor| self.version.get(actor) == 0).count();
        check_count("actors", self.version.iter().len() + strangers, self.limits.actors)?;
        let mut applied = Applied::default();
        for (&actor, run) in &delta.runs {
            if let Err(error) = self.apply_run(sender, actor, run, trust, &mut applied) {
                applied.refused.push((actor, error));
            }
        }
        Ok(applied)
    }

    /// Joins what this replica or its host kept: no signature is asked for.
    ///
    /// # Errors
    /// [`SyncError`] when it breaks a limit; what came before the break is joined.
    pub fn apply_kept(&mut self, delta: &Delta) -> Result<(), SyncError> {
        for (&actor, run) in &delta.runs {
            self.check_run(actor, run)?;
            let known = self.version.get(actor);
            if run.base > known || !run.is_complete() {
                return Err(SyncError::Sequence { actor, found: run.base, max: known });
            }
            let trial = self.trial(actor, run);
            self.check_trial(actor, &trial)?;
            self.commit(actor, run, trial);
        }
        Ok(())
    }

    fn apply_run(
        &mut self,
        sender: NodeId,
        actor: Actor,
        run: &Run,
        trust: Trust<'_>,
        applied: &mut Applied,
    ) -> Result<(), SyncError> {
        self.check_run(actor, run)?;
        self.check_claims(actor, run, trust.now)?;
        let have = self.version.get(actor);
        if run.head < have {
            return Ok(());
        }
        let others = self.version.lives(actor.node).filter(|(life, _)| *life != actor).count();
        check_count("lives", 1 + others, self.limits.lives)?;
        let staged = self.stages.get(&(sender, actor));
        let merged =
            staged.filter(|part| run.base > 0 && run.base == part.upto).map(|part| join_parts(part, run));
        if merged.is_none() && run.head == have && run.base > 0 {
            return Ok(());
        }
        if merged.is_none() && run.base > have {
            applied.gaps.push(actor);
            return Ok(());
        }
        let run = merged.as_ref().unwrap_or(run);
        self.stages.remove(&(sender, actor));
        if !run.is_complete() {
            return self.stage(sender, actor, run.clone());
        }
        if run.head == have && self.is_same(actor, run) {
            return Ok(());
        }
        self.finish_run(actor, run, trust, applied)
    }

    /// Checks the outcome of a complete run, and takes it over.
    fn finish_run(
        &mut self,
        actor: Actor,
        run: &Run,
        trust: Trust<'_>,
        applied: &mut Applied,
    ) -> Result<(), SyncError> {
        let have = self.version.get(actor);
        let trial = self.trial(actor, run);
        let key = trust.directory.key(actor.node).ok_or(SyncError::Stranger { actor })?;
        let signature = run.signature.ok_or(SyncError::Signature { actor })?;
        applied.checked += 1;
        let text = signed_text(actor, run.head, trial.leaves.values());
        let forgotten = self.has_forgotten(actor, run);
        if !key.verify(&text, &signature) {
            if run.is_whole() {
                return Err(SyncError::Signature { actor });
            }
            applied.reseed.push(actor);
            return Ok(());
        }
        if actor == self.actor && run.head > have && !forgotten {
            return Err(SyncError::Twin { actor });
        }
        if forgotten && !run.is_whole() {
            applied.reseed.push(actor);
            return Ok(());
        }
        if run.head == have && !forgotten && self.stays(actor, key, &text) {
            return Ok(());
        }
        self.check_trial(actor, &trial)?;
        let later = if forgotten { self.written_since() } else { Vec::new() };
        self.commit(actor, run, trial);
        if forgotten {
            self.begin_life(later, applied)?;
        }
        let last = self.version.get(actor);
        if last > have {
            applied.news.push(News { actor, first: have + 1, last });
        }
        let joined = if forgotten || run.patch { self.whole(actor) } else { Some(run.clone()) };
        applied.joined.runs.extend(joined.map(|run| (actor, run)));
        Ok(())
    }

    /// Whether a run shows writes of this life that are not here, which the host lost: only this actor makes them.
    fn has_forgotten(&self, actor: Actor, run: &Run) -> bool {
        let have = self.version.get(actor);
        let since = |restored: &Restored| run.head > have || have > restored.last;
        actor == self.actor && run.head >= have && self.restored.as_ref().is_some_and(since)
    }

    /// Whether a run's cells are all here.
    fn is_same(&self, actor: Actor, run: &Run) -> bool {
        let here = |sequence| self.cell_at(Dot { actor, sequence });
        let equal = |(key, cell): &(CellKey, Cell)| here(cell.sequence) == Some((key, cell));
        run.cells.iter().all(equal) && (run.patch || run.cells.len() == self.leaves(actor).count())
    }

    /// Whether what is here stays, when an actor signed something else with the same number: it lost its memory, or lies. The state
    /// whose digest is greater stays, everywhere, until the actor writes again. What is here does not count when its own signature
    /// does not fit to it: then it was damaged.
    fn stays(&self, actor: Actor, key: &PublicKey, theirs: &[u8]) -> bool {
        let sequence = self.version.get(actor);
        let ours = signed_text(actor, sequence, self.leaves(actor).map(|(_, leaf)| leaf));
        let sound = match self.head(actor) {
            Some(head) => key.verify(&ours, &head.signature),
            None => actor == self.actor,
        };
        sound && ours.as_slice() >= theirs
    }

    fn check_run(&self, actor: Actor, run: &Run) -> Result<(), SyncError> {
        let SyncLimits { sequence, jump, .. } = self.limits;
        let known = self.version.get(actor);
        let (found, max) = (run.head, sequence.min(known.saturating_add(jump)));
        if found == 0 || found > max || run.upto > found || run.base >= run.upto {
            return Err(SyncError::Sequence { actor, found, max });
        }
        let mut places = BTreeSet::new();
        let mut last = run.base;
        for (key, cell) in &run.cells {
            let ordered = last < cell.sequence && cell.sequence <= run.upto;
            if !ordered || key.actor != actor || !places.insert(key) {
                return Err(SyncError::Inconsistent { actor, sequence: cell.sequence });
            }
            last = cell.sequence;
            check_cell(key, cell, &self.limits)?;
        }
        Ok(())
    }

    /// Whether a writer may claim the role that it claims, and the time.
    fn check_claims(&self, actor: Actor, run: &Run, now: DtnTime) -> Result<(), SyncError> {
        let granted = self.roles.of(actor.node);
        let drift = u64::try_from(self.limits.drift.as_millis()).unwrap_or(u64::MAX);
        let latest = DtnTime(now.as_millis().saturating_add(drift));
        for (_, cell) in &run.cells {
            let Content::Value { role, clock, .. } = cell.content else { continue };
            if role > granted {
                return Err(SyncError::Role { actor, found: role, max: granted });
            }
            if now != DtnTime::UNKNOWN && clock.time() > latest {
                return Err(SyncError::Time { actor, found: clock.time(), max: latest });
            }
        }
        Ok(())
    }

    /// Keeps a part aside.
    fn stage(&mut self, sender: NodeId, actor: Actor, run: Run) -> Result<(), SyncError> {
        let bytes = |run: &Run| run.cells.iter().map(|(key, cell)| cell_bytes(key, cell)).sum::<usize>();
        let (new, max) = (bytes(&run), self.limits.staged_bytes);
        if new > max {
            return Err(SyncError::TooMany { what: "staged bytes", found: new, max });
        }
        if new + self.stages.values().map(bytes).sum::<usize>() > max {
            self.stages.clear();
        }
        self.stages.insert((sender, actor), run);
        Ok(())
    }

    fn trial(&self, actor: Actor, run: &Run) -> Trial {
        let (have, mut gone) = (self.version.get(actor), BTreeSet::new());
        let mut leaves: BTreeMap<u64, Leaf> = self.leaves(actor).map(|(at, leaf)| (at, *leaf)).collect();
        if run.is_whole() {
            gone.extend(leaves.keys());
            leaves.clear();
        }
        let mut come = Vec::new();
        let mut dropped = Spans::new();
        for (key, cell) in &run.cells {
            // What is covered is here, or was replaced here.
            if !run.is_whole() && !run.patch && cell.sequence <= have {
                continue;
            }
            match self.cell(key).filter(|_| !run.is_whole()) {
                Some(old) if old.sequence > cell.sequence => continue,
                Some(old) => {
                    gone.insert(old.sequence);
                    leaves.remove(&old.sequence);
                }
                None => {}
            }
            if let Content::Dropped(spans) = &cell.content {
                dropped.join(spans);
            }
            let digest = leaf(key, cell);
            leaves.insert(cell.sequence, digest);
            come.push((key.clone(), cell.clone(), digest));
        }
        for &(first, last) in dropped.intervals() {
            let dead: Vec<u64> = leaves.range(first..=last).map(|(at, _)| *at).collect();
            leaves.retain(|at, _| !(first..=last).contains(at));
            gone.extend(dead);
        }
        Trial { gone, come, leaves }
    }

    fn check_trial(&self, actor: Actor, trial: &Trial) -> Result<(), SyncError> {
        let cost =
            |at: &u64| self.cell_at(Dot { actor, sequence: *at }).map(|(key, cell)| cell_bytes(key, cell));
        let gone: Vec<usize> = trial.gone.iter().filter_map(cost).collect();
        let come: usize = trial.come.iter().map(|(key, cell, _)| cell_bytes(key, cell)).sum();
        let more = trial.come.len().saturating_sub(gone.len());
        self.check_room(more, gone.iter().sum(), come)
    }

    fn commit(&mut self, actor: Actor, run: &Run, trial: Trial) {
        for &sequence in &trial.gone {
            self.retire(Dot { actor, sequence });
        }
        for (key, cell, leaf) in trial.come {
            self.join_cell(key, cell, leaf);
        }
        self.version.cover(actor, run.head);
        if let Some(signature) = run.signature {
            self.heads.insert(actor, Head { sequence: run.head, signature });
        } else {
            self.heads.remove(&actor);
        }
    }

    /// What this actor wrote since its host gave back less than there had been: it goes to the next life.
    fn written_since(&self) -> Vec<(CellKey, Content)> {
        let Some(Restored { last, totals, .. }) = &self.restored else { return Vec::new() };
        let since = self.range(self.actor, last + 1, u64::MAX);
        let cells = since.filter_map(|(_, key, _)| {
            let content = match self.cell(key)?.content.clone() {
                Content::Dropped(_) => return None,
                // What was counted before is in the total that comes back.
                Content::Total { plus, minus } => {
                    let (before, less) = totals.get(&key.name).copied().unwrap_or_default();
                    let (plus, minus) = (plus.saturating_sub(before), minus.saturating_sub(less));
                    Content::Total { plus, minus }
                }
                content => content,
            };
            Some((key.clone(), content))
        });
        cells.collect()
    }

    /// Begins the next life with these writes, and tells them as news.
    fn begin_life(&mut self, cells: Vec<(CellKey, Content)>, applied: &mut Applied) -> Result<(), SyncError> {
        let Some(Restored { next_life, .. }) = self.restored.take() else { return Ok(()) };
        self.actor.life = next_life;
        applied.life = Some(self.actor);
        for (key, content) in cells {
            self.put(key.kind, &key.name, &key.item, content)?;
        }
        let (actor, last) = (self.actor, self.version.get(self.actor));
        if last > 0 {
            applied.news.push(News { actor, first: 1, last });
        }
        applied.joined.runs.extend(self.whole(actor).map(|run| (actor, run)));
        Ok(())
    }
}

/// The parts of one run as one.
fn join_parts(first: &Run, next: &Run) -> Run {
    let mut dropped = Spans::new();
    let mut places = BTreeSet::new();
    for (key, cell) in &next.cells {
        places.insert(key);
        if let Content::Dropped(spans) = &cell.content {
            dropped.join(spans);
        }
    }
    let stays = |(key, cell): &(CellKey, Cell)| !places.contains(key) && !dropped.contains(cell.sequence);
    let mut cells: Vec<(CellKey, Cell)> = first.cells.iter().filter(|part| stays(part)).cloned().collect();
    cells.extend(next.cells.iter().cloned());
    Run { base: first.base, cells, ..next.clone() }
}
