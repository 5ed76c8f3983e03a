//! An application outside of the simulation, beside a simulated node: what it asks for, and what it is told.

use super::{Runtime, Storage, translate};
use crate::{
    engine::{Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    envelope::Purpose,
    id::NodeId,
    node::{Delivery, Input, InputError, Node, Report, Submission},
    sync::{Item, Look, Op, Written},
};
use std::collections::{BTreeMap, VecDeque};

/// What an application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// What it asked for by this number is durable, and has this number in its stream.
    Accepted {
        /// Its own number.
        number: u64,
        /// The message's.
        sequence: u64,
    },
    /// What it asked for by this number is not done.
    Refused {
        /// Its own number.
        number: u64,
        /// A stable word.
        reason: &'static str,
    },
    /// A message came from an asset.
    Delivered(AssetIndex, Delivery),
    /// What it wrote to shared state by this number is durable.
    Written {
        /// Its own number.
        number: u64,
        /// The write's.
        sequence: u64,
    },
    /// What there is in shared state of what it asked for.
    Items {
        /// Its own number.
        number: u64,
        /// In their order.
        items: Vec<Item>,
    },
    /// Another has written to a map or a register of shared state: how it reads now.
    Changed(Item),
    /// What the node's log holds of what it asked for.
    Entries {
        /// Its own number.
        number: u64,
        /// How many entries are durable.
        size: u64,
        /// In their order.
        entries: Vec<Vec<u8>>,
    },
}

/// Messages of one stream that are not accepted yet: by the application's number, or without one where the scenario sends them.
type Waiting = VecDeque<Option<u64>>;

/// What is between a node and its application.
#[derive(Debug, Default)]
pub(super) struct Application {
    waiting: BTreeMap<(NodeId, u8), Waiting>,
    said: Vec<Said>,
    /// Writes that are not durable yet: the write's number and the application's.
    writes: VecDeque<(u64, u64)>,
    /// The last own write that is durable.
    durable: u64,
    /// Whether it is told what others write.
    watches: bool,
}

impl Runtime {
    /// From now on, [`Runtime::take_said`] tells what the node has for its application.
    pub fn attach_application(&mut self) {
        self.application = Some(Box::default());
    }

    /// What the node had for its application since the last time; nothing without one.
    pub fn take_said(&mut self) -> Vec<Said> {
        self.application.as_mut().map_or_else(Vec::new, |application| std::mem::take(&mut application.said))
    }

    /// The application outside asks for a message to be sent; `number` comes back with the answer.
    pub fn ask(
        &mut self,
        now: SimTime,
        number: u64,
        submission: Submission,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let known = self.fleet.asset_of(&submission.destination.endpoint(0)).is_some();
        let allowed = matches!(submission.purpose, Purpose::Telemetry | Purpose::Command | Purpose::Event);
        let reason = match (known, allowed) {
            (false, _) => "no_destination",
            (_, false) => "purpose",
            (true, true) => return self.submit_for(now, Some(number), submission, storage, out),
        };
        self.say(Said::Refused { number, reason });
        let kind = RecordKind::InputRefused { reason: "outside_no_request" };
        out.push(Record { time: now, asset: self.asset, kind });
    }

    /// The application outside writes to shared state; `number` comes back with the answer, when the write is durable.
    pub fn ask_to_write(
        &mut self,
        now: SimTime,
        number: u64,
        op: Op<'_>,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let reason = if self.node.is_none() {
            "asset_down"
        } else {
            match self.try_input(now, Input::Write(op), storage, out) {
                Ok(()) => return self.wait_for_write(number),
                Err(InputError::Write(error)) => error.reason(),
                Err(InputError::NotConfigured { .. }) => "not_configured",
                Err(InputError::Contract { reason } | InputError::Refused { reason }) => reason,
                Err(_) => "not_taken",
            }
        };
        self.say(Said::Refused { number, reason });
        out.push(Record { time: now, asset: self.asset, kind: RecordKind::InputRefused { reason } });
    }

    /// The application is told when the last write is durable: now, where the disk takes no time.
    fn wait_for_write(&mut self, number: u64) {
        let Some(replica) = self.node.as_ref().and_then(Node::replica) else { return };
        let sequence = replica.version().get(replica.actor());
        let Some(application) = &mut self.application else { return };
        if sequence <= application.durable {
            application.said.push(Said::Written { number, sequence });
        } else {
            application.writes.push_back((sequence, number));
        }
    }

    /// The application outside asks what there is in shared state.
    pub fn ask_for_items(&mut self, number: u64, look: &Look<'_>) {
        let said = match (&self.node, self.node.as_ref().and_then(Node::replica)) {
            (None, _) => Said::Refused { number, reason: "asset_down" },
            (_, None) => Said::Refused { number, reason: "not_configured" },
            (_, Some(replica)) => Said::Items { number, items: replica.look(look) },
        };
        self.say(said);
    }

    /// The application outside is told from now on what others write to shared state.
    pub fn ask_for_changes(&mut self) {
        if let Some(application) = &mut self.application {
            application.watches = true;
        }
    }

    /// The application outside asks for entries of the node's log: those that are durable, from the first one on, at most so many.
    pub fn ask_for_entries(&mut self, number: u64, (first, most): (u64, usize), storage: &Storage) {
        let log = storage.log();
        let entries = log.iter().skip(usize::try_from(first).unwrap_or(usize::MAX)).take(most);
        let keeps_one = self.node.as_ref().is_some_and(|node| node.journal().is_some());
        self.say(match keeps_one || !log.is_empty() {
            true => Said::Entries { number, size: log.len() as u64, entries: entries.cloned().collect() },
            false => Said::Refused { number, reason: "no_log" },
        });
    }

    /// Tells the application of a write that is durable here: its own, or another's that it watches for.
    pub(super) fn note_visible(&mut self, report: &Report) {
        let (Some(application), Report::Visible { dot }) = (&mut self.application, report) else { return };
        let Some(replica) = self.node.as_ref().and_then(Node::replica) else { return };
        if dot.actor == replica.actor() {
            application.durable = application.durable.max(dot.sequence);
            while let Some((sequence, number)) =
                application.writes.pop_front_if(|(sequence, _)| *sequence <= dot.sequence)
            {
                application.said.push(Said::Written { number, sequence });
            }
        } else if application.watches
            && let Some(Written::Value { kind, name, item, .. }) = replica.written(*dot)
            && let Some(item) = replica.item(kind, &name, &item)
        {
            application.said.push(Said::Changed(item));
        }
    }

    /// Submits a message: the application's by its number, the scenario's without one.
    pub(super) fn submit_for(
        &mut self,
        now: SimTime,
        number: Option<u64>,
        submission: Submission,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let (destination, purpose) = (submission.destination, submission.purpose);
        let reason = if self.node.is_none() {
            "asset_down"
        } else {
            // Before it may be accepted, which is at once where the disk takes no time.
            if let Some(application) = &mut self.application {
                application.waiting.entry((destination, purpose.number())).or_default().push_back(number);
            }
            match self.try_input(now, Input::Submit(submission), storage, out) {
                Ok(()) => return,
                Err(InputError::Submit(error)) => error.reason(),
                // Whatever else: it has no place among those that wait.
                Err(_) => "not_taken",
            }
        };
        if let Some(application) = self.application.as_mut().filter(|_| self.node.is_some()) {
            application.waiting.entry((destination, purpose.number())).or_default().pop_back();
        }
        if let Some(number) = number {
            self.say(Said::Refused { number, reason });
        }
        let (destination, kind) = (self.fleet.asset(destination), translate::kind(purpose));
        let refused = RecordKind::SubmissionRefused { destination, kind, reason };
        out.push(Record { time: now, asset: self.asset, kind: refused });
    }

    fn say(&mut self, said: Said) {
        if let Some(application) = &mut self.application {
            application.said.push(said);
        }
    }

    /// Tells the application what it waits for, if it is that.
    pub(super) fn note_accepted(&mut self, report: &Report) {
        let (Some(application), Report::Accepted { destination, purpose, sequence, .. }) =
            (&mut self.application, report)
        else {
            return;
        };
        let waiting = application.waiting.get_mut(&(*destination, purpose.number()));
        if let Some(Some(number)) = waiting.and_then(VecDeque::pop_front) {
            application.said.push(Said::Accepted { number, sequence: *sequence });
        }
    }

    /// Tells the application of a message that is durable.
    pub(super) fn note_delivery(&mut self, delivery: &Delivery) {
        let from = self.fleet.asset(delivery.source);
        self.say(Said::Delivered(from, delivery.clone()));
    }

    /// The node stops: what was not accepted by then is lost.
    pub(super) fn forget_asked(&mut self) {
        if let Some(application) = &mut self.application {
            let lost = std::mem::take(&mut application.waiting).into_values().flatten().flatten();
            let writes = std::mem::take(&mut application.writes).into_iter().map(|(_, number)| number);
            // Its next life may count its writes anew.
            application.durable = 0;
            let lost = lost.chain(writes);
            application.said.extend(lost.map(|number| Said::Refused { number, reason: "asset_down" }));
        }
    }
}
