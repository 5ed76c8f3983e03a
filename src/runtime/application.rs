//! An application outside of the simulation, beside a simulated node: what it asks for, and what it is told.

use super::{Runtime, Storage, translate};
use crate::{
    engine::{Record, RecordKind},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    envelope::Purpose,
    id::NodeId,
    node::{Delivery, Input, InputError, Report, Submission},
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
}

/// Messages of one stream that are not accepted yet: by the application's number, or without one where the scenario sends them.
type Waiting = VecDeque<Option<u64>>;

/// What is between a node and its application.
#[derive(Debug, Default)]
pub(super) struct Application {
    waiting: BTreeMap<(NodeId, u8), Waiting>,
    said: Vec<Said>,
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
            application.said.extend(lost.map(|number| Said::Refused { number, reason: "asset_down" }));
        }
    }
}
