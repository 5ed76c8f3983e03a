//! [`Door`]: between the log and the kernel. A function of what comes and goes, in its order, so that a replay does the same.

use super::{Framing, journal::LoggedFrame};
use crate::{
    scenario::Scenario,
    sim::{Arrival, Departure, Interface},
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::{
    convergence::{
        small_frame::{Accepted, Fragmenter, Reassembler, ReassemblyLimits, on_air_len},
        udpcl::{Messages, UdpclMessage},
    },
    time::Instant,
};
use std::collections::BTreeMap;

/// What the door turned away, by interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorCounts {
    /// Frames from outside that are longer than the link's MTU, or bundles that cannot be cut into frames.
    pub too_long: u64,
    /// Datagrams from outside that hold no bundle where bundles are expected.
    pub not_a_bundle: u64,
    /// Frames to the outside that make no bundle.
    pub unreadable: u64,
}

struct Way {
    framing: Framing,
    mtu: usize,
    /// Number of the next transfer of several frames.
    transfer: u16,
    /// By sender: transfers of several senders have the same numbers.
    reassemblers: BTreeMap<AssetIndex, Reassembler>,
    counts: DoorCounts,
}

/// Cuts what comes in into frames, and makes bundles of frames that go out, where an interface carries bundles.
pub struct Door {
    ways: Vec<Way>,
}

impl Door {
    /// For the interfaces of a session and what each of them carries.
    #[must_use]
    pub fn new(scenario: &Scenario, interfaces: &[Interface], framings: &[Framing]) -> Self {
        let way = |(one, framing): (&Interface, &Framing)| {
            let class = scenario.asset(one.asset).radios[one.radio as usize].class;
            let mtu = scenario.classes[class].mtu_bytes as usize;
            let (reassemblers, counts) = (BTreeMap::new(), DoorCounts::default());
            Way { framing: *framing, mtu, transfer: 0, reassemblers, counts }
        };
        Self { ways: interfaces.iter().zip(framings).map(way).collect() }
    }

    /// What it turned away so far, by interface.
    pub fn counts(&self) -> impl Iterator<Item = DoorCounts> {
        self.ways.iter().map(|way| way.counts)
    }

    /// A logged frame comes in: appends the frames that it makes to `arrivals`, all with its stamp.
    pub fn enter(&mut self, frame: LoggedFrame, arrivals: &mut Vec<Arrival>) {
        let LoggedFrame { time, interface, entrance, bytes, .. } = frame;
        let Some(way) = self.ways.get_mut(interface as usize) else { return };
        let mut arrive = |bytes| arrivals.push(Arrival { time, interface, entrance, bytes });
        match way.framing {
            // A counted payload is on air as long as it says it is: years, if a stranger may say so.
            Framing::Frames if bytes.len() > way.mtu || on_air_len(&bytes) > way.mtu => {
                way.counts.too_long += 1
            }
            // A mesh radio has limits of its own, and so has a node.
            Framing::Frames | Framing::Mesh | Framing::Application => arrive(bytes),
            Framing::Bundles => {
                for message in Messages::new(&bytes) {
                    match message {
                        Ok(UdpclMessage::Bundle(bundle)) => way.cut(bundle, &mut arrive),
                        Ok(
                            UdpclMessage::Keepalive | UdpclMessage::Padding(_) | UdpclMessage::Extensions(_),
                        ) => {}
                        Ok(UdpclMessage::Dtls(_)) | Err(_) => way.counts.not_a_bundle += 1,
                    }
                }
            }
        }
    }

    /// A frame goes out: what is to be sent by its interface, if that makes something whole.
    pub fn leave(&mut self, departure: &Departure) -> Option<Vec<u8>> {
        let way = self.ways.get_mut(departure.interface as usize)?;
        match way.framing {
            Framing::Frames | Framing::Mesh | Framing::Application => Some(departure.bytes.clone()),
            Framing::Bundles => way.gather(departure),
        }
    }
}

impl Way {
    fn cut(&mut self, bundle: &[u8], arrive: &mut impl FnMut(Vec<u8>)) {
        let Ok(fragmenter) = Fragmenter::new(bundle, self.transfer, self.mtu) else {
            self.counts.too_long += 1;
            return;
        };
        if fragmenter.frames() > 1 {
            self.transfer = self.transfer.wrapping_add(1);
        }
        for index in 0..fragmenter.frames() {
            let mut frame = Vec::with_capacity(self.mtu);
            fragmenter.put_frame(index, &mut frame);
            arrive(frame);
        }
    }

    fn gather(&mut self, departure: &Departure) -> Option<Vec<u8>> {
        let from = self.reassemblers.entry(departure.from);
        let reassembler = from.or_insert_with(|| Reassembler::new(ReassemblyLimits::default()));
        match reassembler.accept(instant(departure.time), &departure.bytes) {
            Ok(Accepted::Bundle(bundle)) => Some(bundle.into_owned()),
            Ok(Accepted::Partial { .. } | Accepted::Duplicate) => None,
            Ok(Accepted::Counted(..)) | Err(_) => {
                self.counts.unreadable += 1;
                None
            }
        }
    }
}

fn instant(time: SimTime) -> Instant {
    Instant::from_nanos(time.as_nanos().unsigned_abs())
}
