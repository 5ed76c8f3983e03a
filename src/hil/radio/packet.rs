//! A packet between emulated mesh radios, as it flies: as long on air as a Meshtastic packet (a header of 16 bytes), and of a format of our own, since nothing
//! but emulated radios hears it.
//!
//! | Bytes | |
//! |---|---|
//! | 0 | [`MARK`]: no frame of a link begins so |
//! | 1 | bit 0: an acknowledgement is asked for |
//! | 2–3 | port |
//! | 4–7, 8–11, 12–15 | to, from, number |
//! | 16– | payload; of an acknowledgement the number of the packet that arrived |
//!
//! Numbers are big-endian.

/// The first byte of a packet: version 4 of the small frames, and a kind that is free for other traffic.
pub(in crate::hil) const MARK: u8 = 0x4f;
const HEADER_LEN: usize = 16;
const WANT_ACK: u8 = 1;

/// A packet between emulated radios.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) want_ack: bool,
    pub(super) port: u16,
    pub(super) to: u32,
    pub(super) from: u32,
    pub(super) id: u32,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + self.payload.len());
        out.extend([MARK, u8::from(self.want_ack) * WANT_ACK]);
        out.extend(self.port.to_be_bytes());
        for number in [self.to, self.from, self.id] {
            out.extend(number.to_be_bytes());
        }
        out.extend_from_slice(&self.payload);
        out
    }

    /// `None` for what is no packet.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk::<HEADER_LEN>()?;
        if header[0] != MARK || header[1] & !WANT_ACK != 0 {
            return None;
        }
        let number =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        Some(Self {
            want_ack: header[1] & WANT_ACK != 0,
            port: u16::from_be_bytes([header[2], header[3]]),
            to: number(4),
            from: number(8),
            id: number(12),
            payload: payload.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packet_survives_its_bytes(
            want_ack: bool, port: u16, to: u32, from: u32, id: u32,
            payload in prop::collection::vec(any::<u8>(), 0..233),
        ) {
            let packet = Packet { want_ack, port, to, from, id, payload };
            prop_assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }

        #[test]
        fn other_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(packet) = Packet::decode(&bytes) {
                prop_assert_eq!(packet.encode(), bytes);
            }
        }
    }
}
