//! `governance.*` and `membership.*`: what the fleet decided and when all knew, and what assets believe of each other at the end.

use super::MetricsSet;
use crate::{
    engine::{Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use std::collections::{BTreeMap, BTreeSet};

/// A slot of the ledger, as the assets know it.
#[derive(Clone, Debug, Default)]
struct Slot {
    proposed: Option<SimTime>,
    first: Option<SimTime>,
    last: SimTime,
    /// The heads of the history with it: one, or the replicas disagree.
    heads: BTreeSet<[u8; 8]>,
    adopted: bool,
    known_by: BTreeSet<AssetIndex>,
}

/// Follows the ledger and the presences. Runs without either have no such metrics.
#[derive(Clone, Debug, Default)]
pub struct GovernanceRecorder {
    slots: BTreeMap<u64, Slot>,
    exposed: BTreeSet<AssetIndex>,
    presences: BTreeMap<(AssetIndex, AssetIndex), &'static str>,
    deaths: u64,
}

impl GovernanceRecorder {
    /// Takes the next record.
    pub fn record(&mut self, record: &Record) {
        match record.kind {
            RecordKind::Governance { slot, step, about, record: head, .. } => {
                let (time, asset) = (record.time, record.asset);
                let known = self.slots.entry(slot).or_default();
                match step {
                    "proposed" => known.proposed = known.proposed.or(Some(time)),
                    "adopted" | "closed" => {
                        known.first = known.first.or(Some(time));
                        known.last = time;
                        known.adopted = step == "adopted";
                        known.heads.insert(head);
                        known.known_by.insert(asset);
                    }
                    "exposed" => self.exposed.extend(about),
                    _ => {}
                }
            }
            RecordKind::Presence { about, presence } => {
                self.deaths += u64::from(presence == "down");
                self.presences.insert((record.asset, about), presence);
            }
            _ => {}
        }
    }

    /// Writes what there is.
    pub fn write(&self, set: &mut MetricsSet) {
        if !self.slots.is_empty() {
            let decided = || self.slots.values().filter(|slot| slot.first.is_some());
            set.count("governance.adopted", decided().filter(|slot| slot.adopted).count() as u64, "1");
            set.count("governance.closed", decided().filter(|slot| !slot.adopted).count() as u64, "1");
            set.count("governance.open", (self.slots.len() - decided().count()) as u64, "1");
            set.count("governance.split", decided().filter(|slot| slot.heads.len() > 1).count() as u64, "1");
            set.count("governance.exposed", self.exposed.len() as u64, "1");
            let knowers = decided().map(|slot| slot.known_by.len()).min().unwrap_or(0);
            set.count("governance.least_known_by", knowers as u64, "1");
            let longest = |until: fn(&Slot) -> Option<SimTime>| {
                let spans = decided().filter_map(|slot| Some(until(slot)?.0 - slot.proposed?.0));
                spans.max().map(|span| SimTime(span).as_secs_f64())
            };
            set.set("governance.decided_after_max_s", longest(|slot| slot.first), "s");
            set.set("governance.known_to_all_after_max_s", longest(|slot| Some(slot.last)), "s");
        }
        if !self.presences.is_empty() {
            for word in ["alive", "suspect", "silent", "down", "blocked"] {
                let count = self.presences.values().filter(|presence| **presence == word).count();
                set.count(format!("membership.{word}"), count as u64, "1");
            }
            set.count("membership.deaths", self.deaths, "1");
        }
    }
}
