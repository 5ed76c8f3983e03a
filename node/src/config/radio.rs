//! Radios: modems and LoRa radios, each with any number of peers behind it.

use super::{
    check::Mistakes,
    place::Step,
    raw::{RawAt, RawRadio, RawSpeaks},
};
use crate::transport::{
    kiss::{PORTS, ax25::Callsign},
    meshtastic::MAX_PAYLOAD,
    wire::WireAt,
};

/// What a packet-radio modem transmits, where nothing is said, in bits per second.
const KISS_RATE_BPS: u64 = 1200;
/// What Meshtastic's first preset transmits, about, in bits per second.
const MESHTASTIC_RATE_BPS: u64 = 1000;
/// Bytes of a frame where nothing is said: what AX.25 stations agree upon without asking.
const FRAME_BYTES: u16 = 256;

/// A radio, as checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Radio {
    /// What peers name it by.
    pub name: String,
    /// Where it is.
    pub at: WireAt,
    /// What it is told.
    pub speaks: Speaks,
    /// What it transmits, in bits per second.
    pub rate_bps: u64,
    /// Bytes of ours in one of its frames.
    pub frame_bytes: u16,
}

/// What is spoken with a radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// KISS with frames of ours as they are: one peer.
    Kiss {
        /// The modem's port.
        port: u8,
    },
    /// KISS with AX.25 frames around ours: peers by their callsigns.
    Ax25 {
        /// The modem's port.
        port: u8,
        /// Our own.
        call: Callsign,
    },
    /// Meshtastic's client protocol: peers by their numbers in the mesh.
    Meshtastic {
        /// The channel's place in the radio's list.
        channel: u32,
        /// How often others may repeat a packet.
        hop_limit: u32,
    },
}

/// Who a peer is to a radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// The only one.
    Only,
    /// The one with this callsign.
    Call(Callsign),
    /// The one with this number in the mesh.
    Mesh(u32),
}

impl Station {
    /// Who is meant by what is typed for a peer behind a radio that speaks so.
    fn of(speaks: Speaks, address: Option<&str>) -> Result<Self, String> {
        match (speaks, address) {
            (Speaks::Kiss { .. }, None) => Ok(Self::Only),
            (Speaks::Kiss { .. }, Some(_)) => {
                Err("a modem that speaks Kiss has one peer, without an address: say Ax25 for more".to_owned())
            }
            (Speaks::Ax25 { .. }, Some(text)) => {
                text.parse().map(Self::Call).map_err(|error| format!("{error}"))
            }
            (Speaks::Meshtastic { .. }, Some(text)) => mesh_number(text).map(Self::Mesh).ok_or_else(|| {
                format!("{text:?} is no node of a mesh: expected ! and eight hexadecimal digits")
            }),
            (Speaks::Ax25 { .. } | Speaks::Meshtastic { .. }, None) => {
                Err("no `address`: several may be heard over this radio".to_owned())
            }
        }
    }
}

/// `!a1b2c3d4`, as the mesh writes its nodes. 0 and all ones are nobody's.
fn mesh_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('!').filter(|digits| digits.len() == 8)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|number| plain && *number != 0 && *number != u32::MAX)
}

pub(super) fn check_radio(raw: &[RawRadio], place: usize, mistakes: &mut Mistakes<'_>) -> Option<Radio> {
    let radio = &raw[place];
    let mut problems: Vec<(&'static str, String)> = Vec::new();
    let mut wrong = |name, problem| problems.push((name, problem));
    if radio.name.is_empty() || raw[..place].iter().any(|other| other.name == radio.name) {
        wrong("name", format!("{:?} is no name of its own", radio.name));
    }
    let at = match &radio.at {
        RawAt::Tcp(address) => WireAt::Tcp(*address),
        RawAt::Serial(path, baud) => WireAt::Serial { path: path.clone(), baud: *baud },
    };
    if matches!(at, WireAt::Serial { baud: 0, .. }) {
        wrong("at", "0 bits per second carry nothing".to_owned());
    }
    if raw[..place].iter().any(|other| other.at == radio.at) {
        wrong("at", format!("{at} is another radio's place"));
    }
    let port_of =
        |port: u8| (port < PORTS).then_some(port).ok_or_else(|| format!("port {port}: allowed are 0 to 15"));
    let speaks = match &radio.speaks {
        RawSpeaks::Kiss { port } => port_of(*port).map(|port| Speaks::Kiss { port }),
        RawSpeaks::Ax25 { port, call } => port_of(*port).and_then(|port| {
            let call = call.parse().map_err(|error| format!("{call:?}: {error}"))?;
            Ok(Speaks::Ax25 { port, call })
        }),
        RawSpeaks::Meshtastic { channel: 0..=7, hop_limit: 0..=7 } if radio.frame_bytes.is_some() => {
            Err(format!("a packet of a mesh has {MAX_PAYLOAD} bytes: `frame_bytes` is not to be said"))
        }
        RawSpeaks::Meshtastic { channel: channel @ 0..=7, hop_limit: hop_limit @ 0..=7 } => {
            Ok(Speaks::Meshtastic { channel: *channel, hop_limit: *hop_limit })
        }
        RawSpeaks::Meshtastic { .. } => Err("a channel and a hop limit are from 0 to 7".to_owned()),
    };
    let (rate, bytes) = match speaks {
        Ok(Speaks::Meshtastic { .. }) => (MESHTASTIC_RATE_BPS, MAX_PAYLOAD as u16),
        _ => (KISS_RATE_BPS, FRAME_BYTES),
    };
    let (rate_bps, frame_bytes) = (radio.rate_bps.unwrap_or(rate), radio.frame_bytes.unwrap_or(bytes));
    if rate_bps == 0 {
        wrong("rate_bps", "0 carries nothing".to_owned());
    }
    if !(32..=2048).contains(&frame_bytes) {
        wrong("frame_bytes", format!("{frame_bytes} is out of range: allowed are 32 to 2048"));
    }
    if let Err(problem) = &speaks {
        wrong("speaks", problem.clone());
    }
    let right = problems.is_empty();
    for (name, problem) in problems {
        mistakes.add(&[Step::Field("radios"), Step::Item(place), Step::Field(name)], problem);
    }
    let speaks = speaks.ok().filter(|_| right)?;
    Some(Radio { name: radio.name.clone(), at, speaks, rate_bps, frame_bytes })
}

/// The radio of a peer, by its place, and who the peer is to it.
///
/// # Errors
/// What is wrong, in a sentence. Of a radio that is itself wrong, nothing more is said.
pub(super) fn station(
    (raw, radios): (&[RawRadio], &[Option<Radio>]),
    name: &str,
    address: Option<&str>,
) -> Result<Option<(usize, Station)>, String> {
    let place =
        raw.iter().position(|radio| radio.name == name).ok_or_else(|| format!("{name:?} is no radio"))?;
    let Some(radio) = &radios[place] else { return Ok(None) };
    let station = Station::of(radio.speaks, address)?;
    if matches!(radio.speaks, Speaks::Ax25 { call, .. } if station == Station::Call(call)) {
        return Err("this is our own callsign".to_owned());
    }
    Ok(Some((place, station)))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Speaks, Station, Via};
    use std::path::Path;

    fn read(radios: &str, peers: &str) -> Result<Config, Vec<String>> {
        let text = format!("(node: 1, state: \"x\",\nradios: [{radios}],\npeers: [{peers}])");
        Config::parse("node.ron", &text, Path::new("/folder"))
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn radios_and_those_behind_them_are_what_is_written() {
        let config = read(
            "(name: \"uhf\", at: Tcp(\"127.0.0.1:8001\"), speaks: Ax25(call: \"N0CALL-1\"), rate_bps: 9600),
             (name: \"lora\", at: Serial(\"/dev/ttyACM0\", 115200), speaks: Meshtastic()),
             (name: \"raw\", at: Serial(\"/dev/ttyUSB0\", 9600), speaks: Kiss(port: 3), frame_bytes: 200)",
            "(node: 2, via: Radio(radio: \"uhf\", address: \"N0CALL-2\")), (node: 3, via: Radio(radio: \"raw\")),
             (node: 4, via: Radio(radio: \"lora\", address: \"!a1b2c3d4\"))",
        )
        .expect("a configuration");
        let vias: Vec<Via> = config.peers.iter().map(|peer| peer.via).collect();
        let call = "N0CALL-2".parse().expect("a callsign");
        let expected = [(0, Station::Call(call)), (2, Station::Only), (1, Station::Mesh(0xA1B2_C3D4))];
        assert_eq!(vias, expected.map(|(radio, station)| Via::Radio { radio, station }));
        assert_eq!(config.radios[1].speaks, Speaks::Meshtastic { channel: 0, hop_limit: 3 });
        let sizes: Vec<_> = config.radios.iter().map(|radio| (radio.rate_bps, radio.frame_bytes)).collect();
        assert_eq!(sizes, [(9600, 256), (1000, 233), (1200, 200)]);
        assert_eq!(config.peers[0].rate_bps, 9600, "a link is as fast as its radio");
    }

    #[test]
    fn mistakes_of_radios_are_told_with_their_place() {
        let told = read(
            "(name: \"a\", at: Tcp(\"127.0.0.1:1\"), speaks: Ax25(call: \"n0call\")),
(name: \"a\", at: Tcp(\"127.0.0.1:1\"), speaks: Kiss(port: 16), frame_bytes: 10, rate_bps: 0),
(name: \"m\", at: Serial(\"/dev/x\", 0), speaks: Meshtastic(hop_limit: 8)),
(name: \"k\", at: Tcp(\"10.0.0.1:2\"), speaks: Kiss()),
(name: \"l\", at: Tcp(\"127.0.0.1:3\"), speaks: Ax25(call: \"OURS\"))",
            "\n(node: 2, via: Radio(radio: \"none\")),\n(node: 3, via: Radio(radio: \"k\", address: \"X\")),
(node: 4, via: Radio(radio: \"l\")),\n(node: 5, via: Radio(radio: \"l\", address: \"OURS\")),
(node: 6, via: Radio(radio: \"l\", address: \"A\")),\n(node: 7, via: Radio(radio: \"l\", address: \"A-0\"))",
        )
        .expect_err("mistakes");
        let starts = [
            "node.ron:2:54: radios[0].speaks: \"n0call\": a callsign has",
            "node.ron:3:8: radios[1].name: \"a\" is no name of its own",
            "node.ron:3:17: radios[1].at: 127.0.0.1:1 is another radio's place",
            "node.ron:3:45: radios[1].speaks: port 16",
            "node.ron:3:74: radios[1].frame_bytes: 10 is out of range",
            "node.ron:3:88: radios[1].rate_bps: 0 carries nothing",
            "node.ron:4:17: radios[2].at: 0 bits per second",
            "node.ron:4:46: radios[2].speaks: a channel and a hop limit",
            "node.ron:5:17: radios[3].at: 10.0.0.1:2 is beyond this machine",
            "node.ron:8:16: peers[0].via: \"none\" is no radio",
            "node.ron:9:16: peers[1].via: a modem that speaks Kiss has one peer",
            "node.ron:10:16: peers[2].via: no `address`",
            "node.ron:11:16: peers[3].via: this is our own callsign",
            "node.ron:13:16: peers[5].via: another peer is there",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for (told, start) in told.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}\n{start}");
        }
    }
}
