//! What neighbours tell each other: summaries when they meet, news as long as they are linked.

use super::{
    super::{
        Summary, SummaryError,
        neighbour::{Neighbour, Telling},
        summary,
    },
    Spread,
};
use crate::{bundle::BundleId, id::NodeId, time::Instant};
use alloc::{collections::BTreeSet, vec::Vec};
use core::ops::Bound::{Excluded, Unbounded};
use rand_chacha::rand_core::Rng as _;

impl Spread {
    /// The next message to `peer` about what this node has; `None` when it knows all.
    pub fn next_summary(&mut self, now: Instant, peer: NodeId) -> Option<Vec<u8>> {
        if !self.strategy.exchanges() {
            return None;
        }
        let neighbour = self.neighbours.get(&peer).filter(|neighbour| neighbour.linked)?;
        match &neighbour.telling {
            Telling::Done if neighbour.news.is_empty() && neighbour.delivered.is_empty() => None,
            Telling::Done => Some(self.tell_news(peer)),
            Telling::Due => Some(self.tell_part(now, peer, None)),
            Telling::Behind(name) => {
                let name = name.clone();
                Some(self.tell_part(now, peer, Some(&name)))
            }
        }
    }

    /// One part of the summary: the names behind `from`.
    fn tell_part(&mut self, now: Instant, peer: NodeId, from: Option<&BundleId>) -> Vec<u8> {
        self.remembered.forget_expired(now);
        let limit = self.settings.names_per_message.max(1);
        let first = from.is_none();
        let predictabilities = if first { self.strategy.predictabilities(now, limit) } else { Vec::new() };
        let start = from.map_or(Unbounded, |name| Excluded(name.clone()));
        let held = self.ids.range((start, Unbounded)).map(|(name, _)| name);
        let mut names: Vec<&BundleId> = Vec::new();
        ascending(held, self.remembered.after(from), limit + 1, &mut names);
        let last = names.len() <= limit;
        names.truncate(limit);
        let acknowledged: Vec<&BundleId> =
            if first { self.acknowledged.after(None).take(limit).collect() } else { Vec::new() };
        let bytes = summary::encode((first, last), &names, &acknowledged, &predictabilities);
        let behind = names.last().map(|name| (*name).clone());
        let neighbour = self.neighbours.get_mut(&peer).expect("the caller looked at it");
        neighbour.telling = match behind {
            Some(name) if !last => Telling::Behind(name),
            _ => Telling::Done,
        };
        bytes
    }

    fn tell_news(&mut self, peer: NodeId) -> Vec<u8> {
        let limit = self.settings.names_per_message.max(1);
        let neighbour = self.neighbours.get_mut(&peer).expect("the caller looked at it");
        let news = take(&mut neighbour.news, limit);
        let delivered = take(&mut neighbour.delivered, limit);
        let (news, delivered): (Vec<_>, Vec<_>) = (news.iter().collect(), delivered.iter().collect());
        summary::encode((false, true), &news, &delivered, &[])
    }

    /// A message of `peer` about what it has.
    ///
    /// # Errors
    /// [`SummaryError`]; nothing changed.
    pub fn on_summary(&mut self, now: Instant, peer: NodeId, bytes: &[u8]) -> Result<(), SummaryError> {
        let summary = Summary::decode(bytes)?;
        if !self.neighbours.contains_key(&peer) {
            let strangers = self.neighbours.values().filter(|neighbour| !neighbour.linked).count();
            if strangers >= self.settings.max_strangers {
                return Err(SummaryError::Strangers { max: self.settings.max_strangers });
            }
            let nonce = self.rng.next_u64();
            self.neighbours.insert(peer, Neighbour::new(false, !self.strategy.exchanges(), nonce));
        }
        let Summary { first, last, has, delivered, predictabilities } = summary;
        let max = self.settings.max_names;
        let neighbour = self.neighbours.get_mut(&peer).expect("inserted just above");
        // To begin anew costs a look at all that is held. Whoever does so sooner than that is waited for only adds names.
        let patience = self.settings.patience;
        let anew = first && neighbour.began.is_none_or(|began| now >= began.saturating_add(patience));
        if anew {
            neighbour.began = Some(now);
            neighbour.forget();
        }
        neighbour.learn(has, max);
        for name in &delivered {
            neighbour.learn_one(name.clone(), max);
        }
        let waiting = !neighbour.ready;
        if self.settings.purge_delivered {
            for name in delivered {
                self.purge(now, &name, peer);
            }
        }
        if anew && !predictabilities.is_empty() {
            self.strategy.on_predictabilities(now, peer, &predictabilities);
        }
        if last && (waiting || anew) {
            self.make_ready(peer);
        }
        Ok(())
    }

    /// Neighbours that were told what this node has are told of one more bundle.
    pub(super) fn announce(&mut self, id: &BundleId, except: Option<NodeId>) {
        if !self.strategy.exchanges() {
            return;
        }
        for (peer, neighbour) in &mut self.neighbours {
            let told = neighbour.linked && neighbour.telling != Telling::Due;
            if !told || Some(*peer) == except || neighbour.has(id) {
                continue;
            }
            if neighbour.news.len() >= self.settings.names_per_message {
                // The link is too slow for single news: it is told everything anew.
                neighbour.news.clear();
                neighbour.telling = Telling::Due;
            } else {
                neighbour.news.insert(id.clone());
            }
        }
    }

    /// A bundle is known to be delivered: neighbours that were told the rest are told that too.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        id: &BundleId,
        expires: Instant,
        except: Option<NodeId>,
    ) {
        self.acknowledged.insert(now, id.clone(), expires);
        for (peer, neighbour) in &mut self.neighbours {
            let told = neighbour.linked && neighbour.telling != Telling::Due;
            if told && Some(*peer) != except && neighbour.delivered.len() < self.settings.names_per_message {
                neighbour.delivered.insert(id.clone());
            }
        }
    }

    /// A neighbour says that a bundle reached its destination. That is true for sure when it is the destination: it would get the bundle
    /// at once in any case. What others say of it is hearsay: it means that they want no copy, and no more.
    fn purge(&mut self, now: Instant, id: &BundleId, peer: NodeId) {
        // Only what is held here is passed on: of others neither the lifetime is known nor that they exist.
        let Some(key) = self.ids.get(id).copied().filter(|key| self.carried[key].destination == peer) else {
            return;
        };
        let expires = self.carried[&key].expires;
        self.acknowledge(now, id, expires, Some(peer));
        self.done.push_back(key);
    }
}

/// Takes up to `limit` names.
fn take(names: &mut BTreeSet<BundleId>, limit: usize) -> BTreeSet<BundleId> {
    match names.iter().nth(limit).cloned() {
        None => core::mem::take(names),
        Some(next) => {
            let rest = names.split_off(&next);
            core::mem::replace(names, rest)
        }
    }
}

/// Merges two ascending runs of names, each name once, at most `limit` of them.
fn ascending<'a>(
    left: impl Iterator<Item = &'a BundleId>,
    right: impl Iterator<Item = &'a BundleId>,
    limit: usize,
    out: &mut Vec<&'a BundleId>,
) {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    while out.len() < limit {
        let next = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if l < r => left.next(),
            (Some(l), Some(r)) if l == r => {
                left.next();
                right.next()
            }
            (_, Some(_)) => right.next(),
            (_, None) => left.next(),
        };
        let Some(next) = next else { break };
        out.push(next);
    }
}
