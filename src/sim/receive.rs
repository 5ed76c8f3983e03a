//! The receiving side of an asset's radios: everything is decided at the end of reception.

use super::{
    cell::{Cell, Surroundings},
    event::Incoming,
};
use crate::{
    engine::{LossReason, RecordKind},
    link::{Capacity, Circumstances, Reception, Verdict, VirtualLink},
    runtime::answer_of,
    units::{AssetIndex, SimTime},
};

impl Cell<'_> {
    /// A frame's last bit is here.
    pub(super) fn frame_ends(&mut self, around: &mut Surroundings<'_, '_>, now: SimTime, incoming: Incoming) {
        let link = &around.setting.course.links[incoming.link as usize];
        let (peer, bytes) = (link.from, incoming.flight.frame().bytes);
        match self.judge(around, now, &incoming) {
            // Nobody counts on it.
            Some(_) if !incoming.addressed => {}
            Some(reason) => self.record(around, now, RecordKind::FrameLost { peer, bytes, reason }),
            None => {
                if incoming.addressed {
                    self.record(around, now, RecordKind::FrameReceived { peer, bytes });
                }
                let receiver_link = link.receiver_link;
                if self.departs(around, now, &incoming) {
                    return;
                }
                if let Some(snr_db) = self.signal(around, now, &incoming) {
                    self.runtime.signal(now, receiver_link, snr_db, self.storage, &mut around.records);
                }
                let before = around.records.len();
                self.runtime.frame(now, receiver_link, &incoming.bytes, self.storage, &mut around.records);
                if let Some(attack) = incoming.attack {
                    let (answer, as_it_should) = answer_of(attack, &around.records[before..], self.asset);
                    let (attack, by) = (attack.word(), peer);
                    let kind = RecordKind::AttackAnswered { attack, by, answer, as_it_should };
                    self.record(around, now, kind);
                }
            }
        }
    }

    /// How strongly a frame was heard on a channel that is flooded, in whole dB over the noise.
    fn signal(&self, around: &Surroundings<'_, '_>, now: SimTime, incoming: &Incoming) -> Option<i8> {
        let course = around.setting.course;
        incoming.transmission.filter(|_| course.scenario.protocol.routing.floods_channel())?;
        self.snr_db(around, now, incoming)
    }

    /// How strongly a frame is heard over the noise, in whole dB, where the link has a modulation.
    pub(super) fn snr_db(
        &self,
        around: &Surroundings<'_, '_>,
        now: SimTime,
        incoming: &Incoming,
    ) -> Option<i8> {
        let course = around.setting.course;
        let link = &course.links[incoming.link as usize];
        let class = self.radios.0[link.to_radio as usize].class;
        let Capacity::Lora(lora) = &course.scenario.classes[class].capacity else { return None };
        let heard = course.received_dbm(class, link.from, link.to, now);
        let snr_db = heard - lora.modulation().sensitivity_dbm() + lora.modulation().snr_limit().0;
        Some(snr_db.clamp(-128.0, 127.0).round() as i8)
    }

    /// Why the frame is lost; `None`: it is received.
    fn judge(
        &mut self,
        around: &mut Surroundings<'_, '_>,
        now: SimTime,
        incoming: &Incoming,
    ) -> Option<LossReason> {
        let course = around.setting.course;
        let link = &course.links[incoming.link as usize];
        let radio = &self.radios.0[link.to_radio as usize];
        let class = radio.class;
        let mut lost = None;
        if let (Some(id), Some(channel)) = (incoming.transmission, around.channels[class].as_mut()) {
            let heard = |from: AssetIndex, to: AssetIndex| course.received_dbm(class, from, to, now);
            lost = match channel.judge(id, self.asset, heard) {
                Reception::Heard => None,
                Reception::TooWeak => Some(LossReason::BitErrors),
                Reception::Lost(reason) => Some(reason),
            };
            channel.finish(id);
        }
        let circumstances = Circumstances {
            sender: &course.outages[link.from.get()],
            link: &link.outages,
            receiver: &course.outages[self.asset.get()],
            receiver_sending: radio.half_duplex && radio.transmitter.was_sending(incoming.flight.reception()),
        };
        let make = || VirtualLink::new(course.class(link), &course.streams, link.stream);
        let receiver = self.receivers.end(link.receiver_link, make);
        let verdict = receiver.decide(&incoming.flight, &circumstances);
        let extra = link.extra_loss_at(incoming.flight.frame().start);
        let struck = extra > 0.0 && receiver.is_struck(extra);
        let verdict = match verdict {
            Verdict::Lost { reason, .. } => Some(reason),
            Verdict::Arrives { .. } | Verdict::Refused { .. } => None,
        };
        if self.battery.silent || struck {
            return Some(LossReason::Fault);
        }
        lost.or(verdict)
    }
}
