//! What the daemon counts, and how it tells it: OpenMetrics text.

use crate::{histogram::Histogram, plan::PlanView};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

/// Counters, levels and distributions. The engine keeps them; others see copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Messages by what became of them and what they are for.
    pub(crate) messages: BTreeMap<(&'static str, &'static str), u64>,
    /// What was refused: at which door, and why.
    pub(crate) refused: BTreeMap<(&'static str, &'static str), u64>,
    /// Bundles that left the node's care undelivered, by reason.
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    /// By peer: bundles and bytes sent, bundles and bytes received.
    pub(crate) traffic: BTreeMap<u64, [u64; 4]>,
    /// Frames by radio's place and what became of them.
    pub(crate) radio: BTreeMap<(usize, &'static str), u64>,
    /// How long messages took from their source's seal to the disk here, by the two clocks.
    pub(crate) delivery: Histogram,
    /// How long messages took until their acknowledgement was here.
    pub(crate) acknowledgement: Histogram,
    /// How long the node took for one input.
    pub(crate) input: Histogram,
    /// Inputs that took longer than the budget.
    pub(crate) over_budget: u64,
    /// How long the disk took for one group.
    pub(crate) commit: Histogram,
    /// Batches made durable.
    pub(crate) batches: u64,
}

impl Counts {
    pub(crate) fn message(&mut self, fate: &'static str, purpose: &'static str) {
        *self.messages.entry((fate, purpose)).or_default() += 1;
    }

    pub(crate) fn refuse(&mut self, door: &'static str, reason: &'static str) {
        *self.refused.entry((door, reason)).or_default() += 1;
    }

    pub(crate) fn sent(&mut self, peer: u64, bytes: usize) {
        let counts = self.traffic.entry(peer).or_default();
        counts[0] += 1;
        counts[1] += bytes as u64;
    }

    pub(crate) fn radio(&mut self, radio: usize, fate: &'static str) {
        *self.radio.entry((radio, fate)).or_default() += 1;
    }

    /// Bytes of frames, whose bundles the node alone knows.
    pub(crate) fn sent_bytes(&mut self, peer: u64, bytes: usize) {
        self.traffic.entry(peer).or_default()[1] += bytes as u64;
    }

    /// The same of what came in.
    pub(crate) fn received_bytes(&mut self, peer: u64, bytes: usize) {
        self.traffic.entry(peer).or_default()[3] += bytes as u64;
    }

    pub(crate) fn received(&mut self, peer: u64, bytes: usize) {
        let counts = self.traffic.entry(peer).or_default();
        counts[2] += 1;
        counts[3] += bytes as u64;
    }
}

/// One peer, and whether it can be reached now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its number.
    pub node: u64,
    /// How it is reached.
    pub via: String,
    /// Links to it that are up.
    pub links_up: u32,
    /// Where it connects from, or is connected to.
    pub addresses: Vec<String>,
    /// Whether a key speaks for it.
    pub member: bool,
    /// Whether it is there, as far as gossip tells: `unknown`, `alive`, `suspect`, `silent` (as planned), `down` or `blocked`; none without gossip.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence: Option<String>,
    /// Why it gets no session, where the authority has taken its key back: `key_superseded`, `key_blocked` or `key_compromised`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub barred: Option<String>,
}

/// A copy of what the engine knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) counts: Counts,
    pub(crate) peers: Vec<PeerStatus>,
    pub(crate) plan: Option<Arc<PlanView>>,
    /// Names of the radios.
    pub(crate) radios: Vec<String>,
    /// What keeps it from doing its work; empty when it is ready.
    pub(crate) troubles: Vec<String>,
    pub(crate) queues: BTreeMap<&'static str, u64>,
    pub(crate) signatures: [u64; 2],
    /// Entries of the log, where one is kept.
    pub(crate) log_entries: Option<u64>,
    /// Cells of shared state, where some is shared.
    pub(crate) shared_cells: Option<u64>,
    /// What one input should take at most.
    pub(crate) budget: Duration,
    /// Whether one took longer within the last minute.
    pub(crate) over_budget_lately: bool,
    /// When it was made: a heartbeat.
    pub(crate) at: Duration,
}

impl Snapshot {
    /// OpenMetrics 1.0 text.
    pub(crate) fn open_metrics(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        let counts = &self.counts;
        counter(&mut out, "messages", "Messages by what became of them and what they are for.", |line| {
            for ((fate, purpose), count) in &counts.messages {
                line(&format!("fate=\"{fate}\",purpose=\"{purpose}\""), *count);
            }
        });
        counter(&mut out, "refused", "Inputs refused, by door and reason.", |line| {
            for ((door, reason), count) in &counts.refused {
                line(&format!("door=\"{door}\",reason=\"{reason}\""), *count);
            }
        });
        counter(&mut out, "bundles_dropped", "Bundles that left this node undelivered, by reason.", |line| {
            for (reason, count) in &counts.dropped {
                line(&format!("reason=\"{reason}\""), *count);
            }
        });
        let names = [
            ("bundles_sent", "Bundles handed to a neighbour."),
            ("bytes_sent", "Bytes of bundles handed to a neighbour."),
            ("bundles_received", "Bundles from a neighbour."),
            ("bytes_received", "Bytes of bundles from a neighbour."),
        ];
        for (at, (name, help)) in names.into_iter().enumerate() {
            counter(&mut out, name, help, |line| {
                for (peer, traffic) in &counts.traffic {
                    line(&format!("peer=\"{peer}\""), traffic[at]);
                }
            });
        }
        counter(&mut out, "radio_frames", "Frames by radio and what became of them.", |line| {
            for ((radio, fate), count) in &counts.radio {
                let name = label(self.radios.get(*radio).map_or("", String::as_str));
                line(&format!("radio=\"{name}\",fate=\"{fate}\""), *count);
            }
        });
        counter(&mut out, "signatures", "Envelope signatures made and checked.", |line| {
            line("work=\"made\"", self.signatures[0]);
            line("work=\"checked\"", self.signatures[1]);
        });
        counter(&mut out, "batches", "Batches made durable.", |line| line("", counts.batches));
        counter(&mut out, "inputs_over_budget", "Inputs that took longer than the stated budget.", |line| {
            line("", counts.over_budget);
        });
        gauge(&mut out, "queue_depth", "What waits, by queue.", |line| {
            for (queue, depth) in &self.queues {
                line(&format!("queue=\"{queue}\""), *depth);
            }
        });
        gauge(&mut out, "log_entries", "Entries of the tamper-evident log.", |line| {
            self.log_entries.iter().for_each(|entries| line("", *entries));
        });
        gauge(&mut out, "shared_cells", "Cells of the replica of shared state.", |line| {
            self.shared_cells.iter().for_each(|cells| line("", *cells));
        });
        gauge(&mut out, "contact_links_up", "Links to a peer that are up.", |line| {
            for peer in &self.peers {
                line(&format!("peer=\"{}\"", peer.node), u64::from(peer.links_up));
            }
        });
        gauge(&mut out, "member_presence", "What gossip says of a member.", |line| {
            for (peer, state) in
                self.peers.iter().filter_map(|peer| Some((peer.node, peer.presence.as_ref()?)))
            {
                line(&format!("peer=\"{peer}\",state=\"{state}\""), 1);
            }
        });
        gauge(&mut out, "ready", "Whether it can do its work.", |line| {
            line("", u64::from(self.troubles.is_empty()));
        });
        gauge(
            &mut out,
            "input_budget_alarm",
            "Whether an input took longer than its budget within the last minute.",
            |line| {
                line("", u64::from(self.over_budget_lately));
            },
        );
        let budget = self.budget.as_secs_f64();
        let _ = writeln!(
            out,
            "# TYPE cosmosmesh_input_budget_seconds gauge\n# UNIT cosmosmesh_input_budget_seconds seconds\n\
             cosmosmesh_input_budget_seconds {budget:?}"
        );
        let longest = counts.input.longest().as_secs_f64();
        let _ = writeln!(
            out,
            "# TYPE cosmosmesh_input_longest_seconds gauge\n# UNIT cosmosmesh_input_longest_seconds seconds\n\
             cosmosmesh_input_longest_seconds {longest:?}"
        );
        let name = "cosmosmesh_delivery_latency_seconds";
        counts.delivery.write(&mut out, name, "From a message's seal to its delivery here, by both clocks.");
        let name = "cosmosmesh_acknowledgement_latency_seconds";
        counts.acknowledgement.write(&mut out, name, "From a message's acceptance to its acknowledgement.");
        counts.input.write(&mut out, "cosmosmesh_input_seconds", "Time of the node for one input.");
        counts.commit.write(&mut out, "cosmosmesh_commit_seconds", "Time of the disk for one group.");
        out.push_str("# EOF\n");
        out
    }
}

/// A text as the value of a label: three characters have to be written otherwise (OpenMetrics 1.0, `escaped-char`).
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn counter(out: &mut String, name: &str, help: &str, lines: impl FnOnce(&mut dyn FnMut(&str, u64))) {
    let _ = writeln!(out, "# TYPE cosmosmesh_{name} counter\n# HELP cosmosmesh_{name} {help}");
    family(out, &format!("cosmosmesh_{name}_total"), lines);
}

fn gauge(out: &mut String, name: &str, help: &str, lines: impl FnOnce(&mut dyn FnMut(&str, u64))) {
    let _ = writeln!(out, "# TYPE cosmosmesh_{name} gauge\n# HELP cosmosmesh_{name} {help}");
    family(out, &format!("cosmosmesh_{name}"), lines);
}

fn family(out: &mut String, name: &str, lines: impl FnOnce(&mut dyn FnMut(&str, u64))) {
    lines(&mut |labels, value| {
        let _ = match labels {
            "" => writeln!(out, "{name} {value}"),
            labels => writeln!(out, "{name}{{{labels}}} {value}"),
        };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_open_metrics() {
        let mut snapshot = Snapshot::default();
        snapshot.counts.message("accepted", "telemetry");
        snapshot.counts.refuse("udp", "unknown_peer");
        snapshot.counts.sent(2, 180);
        let text = snapshot.open_metrics();
        for line in [
            "cosmosmesh_messages_total{fate=\"accepted\",purpose=\"telemetry\"} 1",
            "cosmosmesh_refused_total{door=\"udp\",reason=\"unknown_peer\"} 1",
            "cosmosmesh_bytes_sent_total{peer=\"2\"} 180",
            "cosmosmesh_ready 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(label("a\"b\\c\nd é"), "a\\\"b\\\\c\\nd é");
        let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut once = types.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(types.len(), once.len(), "a family is told once");
    }
}
