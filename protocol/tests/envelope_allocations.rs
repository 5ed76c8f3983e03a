//! What is allocated for each message that is sealed and opened, counted by the allocator.

use allocation_counter::measure;
use cosmosmesh_protocol::{
    envelope::{Header, Parsed, Purpose, ReplayWindow, open, seal},
    id::NodeId,
    identity::{Directory, KeyPair},
    time::DtnTime,
};

const HERE: NodeId = NodeId(20_002);

fn header(sequence: u64) -> Header {
    Header {
        sender: NodeId(10_001),
        incarnation: 3,
        purpose: Purpose::Command,
        destination: HERE,
        sequence,
        created: DtnTime(850_000_000_000),
    }
}

#[test]
fn sealing_allocates_the_envelope_alone_and_opening_nothing() {
    let keys = KeyPair::from_seed([7; 32]);
    let directory: Directory = [(NodeId(10_001), keys.public().clone())].into_iter().collect();
    for length in [0, 64, 400] {
        let payload = vec![5; length];
        let sealed = measure(|| drop(seal(&keys, &header(1), &payload)));
        assert_eq!(sealed.count_total, 1, "the envelope, {length} bytes of payload");
        let envelope = seal(&keys, &header(1), &payload);
        let opened = measure(|| assert!(open(&envelope, &directory, HERE).is_ok()));
        assert_eq!(opened.count_total, 0, "{length} bytes of payload");
    }
    // What does not fit on the stack is gathered once, to be signed or checked.
    let long = vec![5; 4000];
    let envelope = seal(&keys, &header(1), &long);
    assert_eq!(measure(|| drop(seal(&keys, &header(1), &long))).count_total, 2);
    assert_eq!(measure(|| assert!(open(&envelope, &directory, HERE).is_ok())).count_total, 1);
}

#[test]
fn the_replay_window_of_a_known_sender_allocates_nothing() {
    let mut window = ReplayWindow::default();
    window.commit(&header(1)).expect("the first");
    let costs = measure(|| {
        for sequence in 2..100 {
            window.commit(&header(sequence)).expect("fresh");
        }
    });
    assert_eq!(costs.count_total, 0);
}

#[test]
fn an_envelope_adds_at_most_120_bytes_to_a_command() {
    let keys = KeyPair::from_seed([7; 32]);
    // Numbers as the default allocator gives them (below 2^32), a sequence below 2^32, a time of this century.
    let greatest = Header {
        sender: NodeId(u64::from(u32::MAX)),
        incarnation: 1 << 16,
        destination: NodeId(u64::from(u32::MAX)),
        sequence: u64::from(u32::MAX),
        ..header(1)
    };
    let overhead = |header: &Header| seal(&keys, header, &[5; 64]).len() - 64;
    assert!(overhead(&header(1000)) <= 110, "{}", overhead(&header(1000)));
    assert!(overhead(&greatest) <= 120, "{}", overhead(&greatest));
    let envelope = seal(&keys, &greatest, &[5; 64]);
    assert!(Parsed::parse(&envelope).is_ok());
}
