//! Applications outside of the simulation, beside simulated nodes: what they ask for comes in, and what they are told goes out, as bytes.

use super::{
    cell::{Cell, Surroundings},
    outside::Departure,
    request::{self, Answer, Asked, MAX_TOLD},
};
use crate::{
    runtime::Said,
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{dtn::store::Priority, node::Submission};

impl Cell<'_> {
    /// The asset's application asks for something.
    pub(super) fn asks(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, bytes: &[u8]) {
        let Some(asked) = Asked::decode(bytes) else {
            return self.record_no_request(around, now);
        };
        let look = asked.look();
        match &asked {
            Asked::Send { number, destination, purpose, lifetime, payload } => {
                let submission = Submission {
                    destination: *destination,
                    purpose: *purpose,
                    priority: Priority::Normal,
                    lifetime: *lifetime,
                    payload: payload.clone(),
                };
                self.runtime.ask(now, *number, submission, self.storage, &mut around.records);
            }
            Asked::Write { number, write } => match request::op(write) {
                Some(op) => {
                    self.runtime.ask_to_write(now, *number, op, self.storage, &mut around.records);
                }
                None => self.record_no_request(around, now),
            },
            Asked::Read { number, .. } => {
                if let Some(look) = look {
                    self.runtime.ask_for_items(*number, &look);
                }
            }
            Asked::Watch => self.runtime.ask_for_changes(),
            Asked::Entries { number, first, most } => {
                let most = usize::try_from(*most).unwrap_or(MAX_TOLD).min(MAX_TOLD);
                self.runtime.ask_for_entries(*number, (*first, most), self.storage);
            }
        }
    }

    fn record_no_request(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        let kind = crate::engine::RecordKind::InputRefused { reason: "outside_no_request" };
        self.record(around, now, kind);
    }

    /// Gives the asset's application what its node has told, if one is outside.
    pub(super) fn tell_application(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime) {
        let Some(interface) = self.port.application() else { return };
        for said in self.runtime.take_said() {
            let from = match &said {
                Said::Delivered(from, _) => *from,
                _ => self.asset,
            };
            let answer = match said {
                Said::Accepted { number, sequence } => Answer::Accepted { number, sequence },
                Said::Refused { number, reason } => Answer::Refused { number, reason: reason.to_owned() },
                Said::Delivered(_, delivery) => Answer::Message(delivery),
                Said::Written { number, sequence } => Answer::Written { number, sequence },
                Said::Items { number, items } => Answer::Items { number, items },
                Said::Changed(item) => Answer::Changed(item),
                Said::Entries { number, size, entries } => Answer::Entries { number, size, entries },
            };
            around.departures.push(departure(now, interface, from, &answer));
        }
    }
}

fn departure(time: SimTime, interface: u32, from: AssetIndex, answer: &Answer) -> Departure {
    Departure { time, interface, from, snr_db: None, bytes: answer.encode() }
}
