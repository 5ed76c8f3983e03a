//! Application messages on their way into a node, as streams or as datagrams.

use super::{Runtime, Storage};
use crate::{
    engine::{MessageKind, Record, RecordKind},
    scenario::{Priority, Service},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    bundle::{BundleFlags, CreationTimestamp},
    dtn::store,
    envelope::Purpose,
    id::EndpointId,
    node::{BundleDelivery, BundleSubmission, Input, InputError, Submission},
};
use std::time::Duration;

/// Service number at which assets take datagrams.
const DATAGRAMS: u64 = 64;

/// A message of the application.
#[derive(Clone, Debug)]
pub struct Message {
    /// Addressee.
    pub destination: AssetIndex,
    /// Telemetry, command or event.
    pub kind: MessageKind,
    /// Class of service.
    pub priority: Priority,
    /// How long it is worth delivering.
    pub lifetime: SimTime,
    /// Whether it travels from custodian to custodian; only as a datagram.
    pub custody: bool,
    /// The status reports that its bundle asks for; only as a datagram.
    pub reports: BundleFlags,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Carried(Vec<u8>),
    /// So many bytes that nobody reads: only in datagrams.
    Counted(u32),
}

impl Runtime {
    /// The application sends a message, by the scenario's service.
    pub fn send(&mut self, now: SimTime, message: Message, storage: &mut Storage, out: &mut Vec<Record>) {
        match self.fleet.scenario().protocol.service {
            Service::Streams => {
                let submission = self.stream_submission(message);
                self.submit(now, submission, storage, out);
            }
            Service::Datagrams { .. } => self.send_datagram(now, message, storage, out),
        }
    }

    fn stream_submission(&self, message: Message) -> Submission {
        Submission {
            destination: self.fleet.node(message.destination),
            purpose: match message.kind {
                MessageKind::Command => Purpose::Command,
                MessageKind::Event => Purpose::Event,
                _ => Purpose::Telemetry,
            },
            priority: class(message.priority),
            lifetime: span(message.lifetime),
            payload: match message.content {
                Content::Carried(bytes) => bytes,
                Content::Counted(bytes) => vec![0; bytes as usize],
            },
        }
    }

    fn send_datagram(
        &mut self,
        now: SimTime,
        message: Message,
        storage: &mut Storage,
        out: &mut Vec<Record>,
    ) {
        let Message { destination, priority, lifetime, custody, reports, content, .. } = message;
        let kind = MessageKind::Datagram;
        let refused = |reason| RecordKind::SubmissionRefused { destination, kind, reason };
        if !self.is_up() {
            out.push(Record { time: now, asset: self.asset, kind: refused("asset_down") });
            return;
        }
        let own = self.fleet.endpoint(self.asset, DATAGRAMS);
        let (payload, absent) = match content {
            Content::Carried(bytes) => (bytes, 0),
            Content::Counted(bytes) => (Vec::new(), bytes),
        };
        let mut submission = BundleSubmission::new(
            own.clone(),
            self.fleet.endpoint(destination, DATAGRAMS),
            span(lifetime),
            payload,
        );
        if reports != BundleFlags::default() {
            (submission.flags, submission.report_to) = (reports, own);
        }
        (submission.priority, submission.absent) = (class(priority), absent);
        submission.custody = custody;
        if let Err(InputError::Submit(error)) =
            self.try_input(now, Input::SendBundle(submission), storage, out)
        {
            out.push(Record { time: now, asset: self.asset, kind: refused(error.reason()) });
        }
    }

    /// The trace's record of a bundle that the node accepted.
    pub(super) fn datagram_accepted(
        &self,
        creation: CreationTimestamp,
        destination: &EndpointId,
        bytes: usize,
    ) -> Option<RecordKind> {
        Some(RecordKind::Submitted {
            sequence: number(creation),
            destination: self.fleet.asset_of(destination)?,
            kind: MessageKind::Datagram,
            bytes: bytes as u32,
        })
    }

    /// The trace's record of a bundle that reached the application; its latency is the ledger's to fill in.
    pub(super) fn datagram_delivered(&self, delivery: &BundleDelivery) -> Option<RecordKind> {
        Some(RecordKind::Delivered {
            source: self.fleet.asset_of(&delivery.source)?,
            sequence: number(delivery.creation),
            kind: MessageKind::Datagram,
            bytes: delivery.payload.len() as u32 + delivery.absent,
            latency: SimTime::ZERO,
        })
    }
}

/// A number for a datagram that no other of its source has: 2²⁰ of each millisecond in each of 16 incarnations, which nodes count above
/// the lower 32 bits of their sequence numbers.
const fn number(creation: CreationTimestamp) -> u64 {
    let CreationTimestamp { time, sequence } = creation;
    if time.0 == 0 {
        return sequence;
    }
    (time.0 << 20) + (sequence & 0xf_ffff) + ((sequence >> 32) << 60)
}

const fn class(priority: Priority) -> store::Priority {
    match priority {
        Priority::Expedited => store::Priority::Expedited,
        Priority::Normal => store::Priority::Normal,
        Priority::Bulk => store::Priority::Bulk,
    }
}

fn span(time: SimTime) -> Duration {
    Duration::from_nanos(time.as_nanos().unsigned_abs())
}
