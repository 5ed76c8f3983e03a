//! Attacks with bytes: what is no envelope of this profile, or no envelope at all, at the door of a node.

use crate::fleet::{DAY, Fleet, keys, refused};
use cosmosmesh_protocol::{
    cbor::{self, Reader},
    envelope::{Header, Purpose, seal},
    node::{Input, Submission},
    time::DtnTime,
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// An envelope in its parts.
struct Parts {
    protected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(envelope: &[u8]) -> Self {
        let mut reader = Reader::new(envelope);
        assert_eq!(reader.tag(), Ok(18));
        reader.array_of(4).expect("four parts");
        let protected = reader.bytes().expect("protected headers").to_vec();
        assert_eq!(reader.map(), Ok(0));
        let (payload, signature) = (reader.bytes().expect("a payload"), reader.bytes().expect("a signature"));
        Self { protected, payload: payload.to_vec(), signature: signature.to_vec() }
    }

    fn joined(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::put_head(&mut out, cbor::TAG, 18);
        cbor::put_head(&mut out, cbor::ARRAY, 4);
        cbor::put_bytes(&mut out, &self.protected);
        cbor::put_head(&mut out, cbor::MAP, 0);
        cbor::put_bytes(&mut out, &self.payload);
        cbor::put_bytes(&mut out, &self.signature);
        out
    }
}

fn good(fleet: &Fleet) -> Vec<u8> {
    seal(&keys(2), &fleet.header(2, 3, Purpose::Command, 1), b"dig")
}

/// Brings each, and shows that the honest message with their number is still taken.
fn refuse_each(envelopes: Vec<(&'static str, Vec<u8>)>) {
    let mut fleet = Fleet::new();
    for (number, (reason, bytes)) in envelopes.into_iter().enumerate() {
        assert_eq!(refused(fleet.bring(3, 2, 100 + number as u64, bytes)), Some(reason), "number {number}");
    }
    assert!(fleet.texts(3).is_empty());
    let honest = good(&fleet);
    assert_eq!(refused(fleet.bring(3, 2, 9, honest)), None);
    assert_eq!(fleet.texts(3), ["dig"]);
}

#[test]
fn oversize_nested_and_non_canonical_envelopes_are_refused() {
    let fleet = Fleet::new();
    let honest = good(&fleet);
    let parts = Parts::of(&honest);
    // A length in two bytes where one would do.
    let long_length = {
        let at = honest.len() - 64 - 2 - 3 - 1;
        assert_eq!(&honest[at..at + 4], &[0x43, b'd', b'i', b'g']);
        [&honest[..at], &[0x58, 3], &honest[at + 1..]].concat()
    };
    let trailing = [&honest[..], &[0]].concat();
    let other_tag = [&[0xd1][..], &honest[1..]].concat();
    let short_signature = Parts { signature: parts.signature[..63].to_vec(), ..Parts::of(&honest) }.joined();
    refuse_each(vec![
        ("non_canonical", long_length),
        ("trailing_bytes", trailing),
        ("malformed", other_tag),
        ("malformed", short_signature),
        ("malformed", vec![0x81; 5000]),
        ("non_canonical", [&[0xd2][..], &[0x9f; 100]].concat()),
        ("truncated", vec![0xd2, 0x84, 0x5a, 0xff, 0xff, 0xff, 0xff]),
        ("truncated", Vec::from([0xd2])),
        ("too_long", [&[0xd2][..], &vec![0; 1 << 20]].concat()),
    ]);
}

#[test]
fn a_downgraded_algorithm_and_unknown_critical_headers_are_refused() {
    let fleet = Fleet::new();
    let honest = good(&fleet);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut parts = Parts::of(&honest);
        change(&mut parts.protected);
        parts.joined()
    };
    // {1: -8, 4: …, -65537: […]}: the algorithm is the third byte.
    assert_eq!(Parts::of(&honest).protected[..4], [0xa3, 1, 0x27, 4]);
    let es256 = changed(&|protected| protected[2] = 0x26);
    let hmac = changed(&|protected| protected[2] = 0x05);
    let critical = changed(&|protected| {
        protected[0] = 0xa4;
        protected.splice(3..3, [2, 0x81, 0x18, 99]);
    });
    let content_type = changed(&|protected| {
        protected[0] = 0xa4;
        protected.splice(3..3, [3, 0]);
    });
    let unprotected = {
        let at = 2 + 2 + Parts::of(&honest).protected.len();
        assert_eq!(honest[at], 0xa0);
        [&honest[..at], &[0xa1, 1, 0x26], &honest[at + 1..]].concat()
    };
    refuse_each(vec![
        ("wrong_algorithm", es256),
        ("wrong_algorithm", hmac),
        ("unknown_critical", critical),
        ("unknown_header", content_type),
        ("unprotected_headers", unprotected),
    ]);
}

#[test]
fn a_flipped_bit_in_any_byte_of_an_envelope_is_refused() {
    let mut fleet = Fleet::new();
    let honest = good(&fleet);
    for at in 0..honest.len() {
        let mut bytes = honest.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(refused(fleet.bring(3, 2, 1000 + at as u64, bytes)).is_some(), "byte {at}");
    }
    assert!(fleet.texts(3).is_empty());
    assert_eq!(refused(fleet.bring(3, 2, 9, honest)), None);
}

#[test]
fn messages_that_come_in_another_order_are_delivered_in_theirs_and_once() {
    let mut fleet = Fleet::new();
    for sequence in [3, 1, 4, 2, 3, 4] {
        let header = fleet.header(2, 3, Purpose::Command, sequence);
        let envelope = seal(&keys(2), &header, format!("order {sequence}").as_bytes());
        let number = fleet.refusals(3, "duplicate") * 10 + sequence;
        let _ = fleet.bring(3, 2, number, envelope);
    }
    assert_eq!(fleet.texts(3), ["order 1", "order 2", "order 3", "order 4"]);
    assert_eq!(fleet.refusals(3, "duplicate"), 2);
}

#[test]
fn a_replay_after_the_window_has_moved_on_is_refused() {
    let mut fleet = Fleet::new();
    let first = seal(&keys(2), &fleet.header(2, 3, Purpose::Command, 1), b"order 1");
    assert_eq!(refused(fleet.bring(3, 2, 1, first.clone())), None);
    // More than any window holds.
    for sequence in 2..=1500 {
        let envelope = seal(&keys(2), &fleet.header(2, 3, Purpose::Command, sequence), b"x");
        assert_eq!(refused(fleet.bring(3, 2, sequence, envelope)), None);
    }
    assert_eq!(refused(fleet.bring(3, 2, 5000, first.clone())), Some("duplicate"));
    fleet.restart(3);
    assert_eq!(refused(fleet.bring(3, 2, 5001, first)), Some("duplicate"));
    assert_eq!(fleet.texts(3).len(), 1500);
}

#[test]
fn a_forged_acknowledgement_releases_nothing() {
    let mut fleet = Fleet::new();
    for peer in [1, 2, 4] {
        fleet.meet(3, peer, false);
    }
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    // What node 3 would say: all up to 1 has arrived. As bytes: one acknowledgement for commands of incarnation 1, floor 1, nothing beyond.
    let forged = {
        use cosmosmesh_protocol::delivery::{Acknowledgement, Control, Incoming, Message};
        let mut stream = Incoming::new(16);
        let message = Message { sequence: 1, created: DtnTime::UNKNOWN, payload: Vec::new() };
        stream.accept(1, message, &mut Vec::new());
        let acknowledgement: Acknowledgement = stream.acknowledgement(Purpose::Command);
        Control { acknowledgements: vec![acknowledgement], forwards: Vec::new() }.encode()
    };
    let by_stranger = fleet.header(3, 2, Purpose::Acknowledgement, 1);
    assert_eq!(fleet.forge_bytes(&keys(66), by_stranger, &forged), Some("bad_signature"));
    // A relay speaks for itself only: what it says of its own streams frees nothing of another's.
    let by_relay = fleet.header(4, 2, Purpose::Acknowledgement, 1 << 20);
    assert_eq!(fleet.forge_bytes(&keys(4), by_relay, &forged), None);
    assert!(fleet.texts(3).is_empty());
    for peer in [1, 2, 4] {
        fleet.meet(3, peer, true);
    }
    fleet.run_for(Duration::from_millis(DAY));
    assert_eq!(fleet.texts(3), ["dig"], "it is still sent until node 3 itself says that it has it");
}

#[test]
fn a_member_that_floods_is_held_to_its_share_and_others_are_served() {
    let share = cosmosmesh_protocol::delivery::RateLimit { bytes_per_second: 500, burst_bytes: 5_000 };
    let mut fleet =
        Fleet::with(&[(1, 1, &[3]), (2, 2, &[3]), (3, 3, &[1, 2])], |_, trust| trust.share = Some(share));
    let checked = |fleet: &Fleet| fleet.hosts[&3].node.signatures().checked;
    let (before, entries) = (checked(&fleet), fleet.entries(3).len());
    let flood = [b'x'; 400];
    let mut taken = 0;
    for sequence in 1..=1000 {
        let header = fleet.header(2, 3, Purpose::Event, sequence);
        match fleet.forge_bytes(&keys(2), header, &flood) {
            None => taken += 1,
            Some(reason) => assert!(matches!(reason, "share_exceeded" | "sequence_too_far"), "{reason}"),
        }
    }
    assert!((8..=12).contains(&taken), "a burst, and no more: {taken}");
    assert_eq!(checked(&fleet) - before, taken, "what is above the share costs no signature check");
    assert!(fleet.entries(3).len() - entries <= 40, "nor room in the log");
    // Nobody else pays for it, neither now nor later.
    fleet.submit(1, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    assert_eq!(fleet.texts(3).into_iter().filter(|text| text == "dig").count(), 1);
    // A forger cannot spend another's share: what it signs is not the other's.
    for sequence in 1..=100 {
        let header = fleet.header(1, 3, Purpose::Event, sequence);
        assert_eq!(fleet.forge_bytes(&keys(66), header, &flood), Some("bad_signature"));
    }
    fleet.submit(1, 3, Purpose::Command, "dig again");
    fleet.run_for(MINUTE);
    assert!(fleet.texts(3).contains(&"dig again".into()));
    // Once it is within its share again, the member is heard.
    fleet.run_for(MINUTE);
    let header = fleet.header(2, 3, Purpose::Event, taken + 1);
    assert_eq!(fleet.forge_bytes(&keys(2), header, &flood), None);
}

#[test]
fn an_envelope_from_the_far_future_moves_no_clock() {
    let mut fleet = Fleet::new();
    let heard = |fleet: &Fleet| fleet.hosts[&3].node.keyring().map(|ring| ring.heard());
    let before = heard(&fleet);
    let header = fleet.header(2, 3, Purpose::Telemetry, 1);
    let late = Header { created: DtnTime(header.created.0 + 4000 * DAY), ..header };
    assert_eq!(fleet.forge(&keys(2), late, "from the year 2037"), None, "a reading is a reading");
    assert_eq!(heard(&fleet), before, "only the authority moves it");
    fleet.submit(2, 3, Purpose::Command, "dig");
    fleet.run_for(MINUTE);
    assert!(fleet.texts(3).contains(&"dig".into()), "and nobody's certificate has ended");
}

#[test]
fn applications_cannot_speak_for_the_node() {
    let mut fleet = Fleet::new();
    for purpose in [Purpose::Sync, Purpose::Plan, Purpose::Trust, Purpose::Acknowledgement] {
        let submission = Submission {
            destination: cosmosmesh_protocol::id::NodeId(3),
            purpose,
            priority: cosmosmesh_protocol::dtn::store::Priority::Normal,
            lifetime: MINUTE,
            payload: b"x".to_vec(),
        };
        assert!(fleet.input(2, Input::Submit(submission)).is_err(), "{purpose:?}");
    }
}
