//! [`Capture`]: the bundles of a run as a packet capture (pcapng) that Wireshark reads.
//!
//! Each bundle stands once for each time that a node began to send it, in the moment in which its first frame started on air: as the IPv4
//! and UDP datagram that a UDP convergence layer would have sent, from and to port 4556. What the link itself did to it (frames, segments,
//! losses) is not in here; the trace tells. Of a bundle above 65,507 bytes, which no such datagram holds, the
//! packet has what stands before the payload, marked as cut while capturing, and a comment with the length. One interface per link, created when the link is first used; stamps in nanoseconds of UTC,
//! counted on from the scenario's epoch without leap seconds.
//!
//! Format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>, link type 101 (raw IP).

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use cosmosmesh_protocol::{
    bundle::{Bundle, Policy},
    cbor::head_len,
};
use etherparse::PacketBuilder;
use pcap_file::{
    DataLink, Endianness, PcapError,
    pcapng::{
        PcapNgBlock as _, PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};

use crate::engine::SentBundle;

/// The port of bundles over UDP (RFC 7122, registered as dtn-bundle).
const PORT: u16 = 4556;
/// The most that a UDP datagram over IPv4 holds.
const MAX_DATAGRAM: usize = 65_507;
/// What is kept of a bundle that no datagram holds and whose blocks cannot be told apart: a part of its primary block.
const KEPT_AT_LEAST: usize = 24;
/// Length of the IPv4 and UDP headers.
const HEADERS: usize = 28;
/// Hops that the datagrams may make.
const TIME_TO_LIVE: u8 = 64;

/// How a link is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedLink {
    /// The interface's name.
    pub name: String,
    /// Node number of the sender.
    pub from: u64,
    /// Node number of the receiver.
    pub to: u64,
}

/// A capture file in the making.
pub struct Capture<W: Write> {
    writer: PcapNgWriter<W>,
    epoch: Duration,
    links: Vec<CapturedLink>,
    /// Interface of a link that was used.
    interfaces: BTreeMap<u32, u32>,
    packet: Vec<u8>,
    failure: Option<io::Error>,
}

impl<W: Write> Capture<W> {
    /// A capture without a packet. `epoch`: simulated time zero since 1970; `links` by their index.
    ///
    /// # Errors
    /// What `out` refuses.
    pub fn new(out: W, epoch: Duration, links: Vec<CapturedLink>) -> io::Result<Self> {
        let application =
            SectionHeaderOption::UserApplication(concat!("cosmosmesh ", env!("CARGO_PKG_VERSION")).into());
        let section = SectionHeaderBlock {
            // The same bytes on every machine.
            endianness: Endianness::Little,
            options: vec![application],
            ..SectionHeaderBlock::default()
        };
        let writer = PcapNgWriter::with_section_header(out, section).map_err(refused)?;
        let (interfaces, packet) = (BTreeMap::new(), Vec::new());
        Ok(Self { writer, epoch, links, interfaces, packet, failure: None })
    }

    /// Adds a bundle. The first failure is kept, and told by [`Capture::finish`].
    pub fn add(&mut self, bundle: &SentBundle) {
        if self.failure.is_none() {
            self.failure = self.try_add(bundle).err();
        }
    }

    /// Gives the file back.
    ///
    /// # Errors
    /// The first failure.
    pub fn finish(self) -> io::Result<W> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.writer.into_inner()),
        }
    }

    fn try_add(&mut self, bundle: &SentBundle) -> io::Result<()> {
        let interface_id = self.interface(bundle.link)?;
        let link = &self.links[bundle.link as usize];
        let length = bundle.wire.len();
        let fits = length <= MAX_DATAGRAM;
        self.packet.clear();
        let headers = PacketBuilder::ipv4(address(link.from), address(link.to), TIME_TO_LIVE).udp(PORT, PORT);
        headers
            .write(&mut self.packet, &bundle.wire[..length.min(MAX_DATAGRAM)])
            .map_err(io::Error::other)?;
        let original_len = self.packet.len() as u32;
        let mut options = Vec::new();
        if !fits {
            let kept = before_payload(&bundle.wire);
            self.packet.truncate(HEADERS + kept);
            let comment =
                format!("a bundle of {length} bytes, too long for UDP: the {kept} bytes before its payload");
            options.push(EnhancedPacketOption::Comment(comment.into()));
        }
        let since_epoch = Duration::from_nanos(bundle.time.as_nanos().unsigned_abs());
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: self.epoch + since_epoch,
            original_len,
            data: Cow::Borrowed(&self.packet),
            options,
        };
        self.writer.write_block(&block.into_block()).map(drop).map_err(refused)
    }

    /// The interface of `link`.
    fn interface(&mut self, link: u32) -> io::Result<u32> {
        let next = self.interfaces.len() as u32;
        if let Some(&interface) = self.interfaces.get(&link) {
            return Ok(interface);
        }
        let name = self.links[link as usize].name.clone();
        // A resolution of 9: ten to the minus ninth of a second.
        let options =
            vec![InterfaceDescriptionOption::IfName(name.into()), InterfaceDescriptionOption::IfTsResol(9)];
        let block = InterfaceDescriptionBlock { linktype: DataLink::RAW, snaplen: 0, options };
        self.writer.write_block(&block.into_block()).map_err(refused)?;
        self.interfaces.insert(link, next);
        Ok(next)
    }
}

/// How much of a bundle stands before the payload's byte string. A reader that comes to the end there sees a packet that was cut while
/// capturing; one that sees the string's head finds it longer than the datagram, and calls the packet malformed.
fn before_payload(wire: &[u8]) -> usize {
    let Ok(bundle) = Bundle::decode_with(wire, Policy::Lenient) else { return KEPT_AT_LEAST };
    let payload = bundle.payload_block();
    let crc = if payload.crc.is_empty() { 0 } else { 1 + payload.crc.len() };
    // The break comes last.
    let tail = head_len(payload.data.len() as u64) + payload.data.len() + crc + 1;
    let kept = wire.len().saturating_sub(tail);
    if kept < MAX_DATAGRAM { kept } else { KEPT_AT_LEAST }
}

/// A node's address: its number's last 24 bits in the private network 10.0.0.0/8 (RFC 1918).
const fn address(node: u64) -> [u8; 4] {
    let [.., a, b, c] = node.to_be_bytes();
    [10, a, b, c]
}

fn refused(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{AssetIndex, SimTime};
    use pcap_file::pcapng::{Block, PcapNgReader};

    fn captured(bundles: &[(i64, u32, usize)]) -> Vec<u8> {
        let link = |from: u64, to: u64| CapturedLink { name: format!("{from} to {to}"), from, to };
        let epoch = Duration::from_secs(1_767_225_600);
        let mut capture = Capture::new(Vec::new(), epoch, vec![link(1, 2), link(2, 0x0102_0304)]).unwrap();
        for (time, link, length) in bundles {
            let wire = vec![0x9f; *length];
            capture.add(&SentBundle { time: SimTime(*time), from: AssetIndex(0), link: *link, wire });
        }
        capture.finish().unwrap()
    }

    #[test]
    fn packets_stand_on_their_links_with_nanoseconds() {
        let bytes = captured(&[(1, 1, 5), (2_000_000_001, 0, 7), (2_000_000_001, 1, 9)]);
        let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
        let (mut names, mut packets) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block() {
            match block.unwrap().into_owned() {
                Block::InterfaceDescription(interface) => {
                    assert_eq!(interface.linktype, DataLink::RAW);
                    assert!(interface.options.contains(&InterfaceDescriptionOption::IfTsResol(9)));
                    names.extend(interface.options.into_iter().filter_map(|option| match option {
                        InterfaceDescriptionOption::IfName(name) => Some(name.into_owned()),
                        _ => None,
                    }));
                }
                Block::EnhancedPacket(packet) => packets.push(packet),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(names, ["2 to 16909060", "1 to 2"]);
        let stamps: Vec<_> =
            packets.iter().map(|packet| (packet.interface_id, packet.timestamp.as_nanos())).collect();
        let epoch = 1_767_225_600_000_000_000;
        assert_eq!(stamps, [(0, epoch + 1), (1, epoch + 2_000_000_001), (0, epoch + 2_000_000_001)]);
        let parsed = etherparse::SlicedPacket::from_ip(&packets[0].data).unwrap();
        let Some(etherparse::NetSlice::Ipv4(ip)) = parsed.net else { panic!("IPv4") };
        assert_eq!(ip.header().source_addr().octets(), [10, 0, 0, 2]);
        assert_eq!(ip.header().destination_addr().octets(), [10, 2, 3, 4]);
        let Some(etherparse::TransportSlice::Udp(udp)) = parsed.transport else { panic!("UDP") };
        assert_eq!((udp.source_port(), udp.destination_port(), udp.payload()), (4556, 4556, &[0x9f; 5][..]));
    }

    #[test]
    fn what_no_datagram_holds_is_shown_in_part() {
        let bytes = captured(&[(0, 0, MAX_DATAGRAM), (0, 0, MAX_DATAGRAM + 1)]);
        let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
        let mut lengths = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap() {
                lengths.push((packet.data.len(), packet.original_len, packet.options.len()));
            }
        }
        assert_eq!(lengths, [(65_535, 65_535, 0), (KEPT_AT_LEAST + HEADERS, 65_535, 1)]);
    }
}
