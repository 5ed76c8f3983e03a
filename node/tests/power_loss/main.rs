//! The disk when the power goes: no answered commit is lost, none is half there, and no message is lost or doubled between two nodes.

mod platter;
mod two_nodes;

use cosmosmesh_node::{Disk, Received};
use cosmosmesh_protocol::{
    envelope::Purpose,
    id::NodeId,
    node::{Batch, Change, Delivery, Ticket},
    time::DtnTime,
};
use platter::Platter;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

fn batch(number: u64) -> Batch {
    let value = number.to_be_bytes().to_vec();
    let delivery = Delivery {
        source: NodeId(1),
        purpose: Purpose::Event,
        epoch: 1,
        sequence: number,
        created: DtnTime(0),
        payload: vec![number as u8; 700],
    };
    let last = Change::Put { key: b"last".to_vec(), value: value.clone() };
    let own = Change::Put { key: [b"own".as_slice(), &value].concat(), value: vec![7; 300] };
    let before = Change::Delete { key: [b"own".as_slice(), &(number - 1).to_be_bytes()].concat() };
    Batch {
        ticket: Ticket(number),
        changes: vec![last, own, before],
        deliveries: vec![delivery],
        ..Batch::default()
    }
}

#[test]
fn no_answered_commit_is_lost_and_none_is_half_there() {
    let mut cut_short = 0;
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let platter = Platter::new(Vec::new(), 20 + u64::from(rng.next_u32() % 400));
        let mut answered = 0;
        if let Ok(disk) = Disk::open_on(platter.clone()) {
            while answered < 60 && disk.commit(&batch(answered + 1)).is_ok() {
                answered += 1;
            }
        }
        cut_short += u32::from(answered < 60);
        let disk = Disk::open_on(Platter::new(platter.after_power_loss(seed), u64::MAX))
            .unwrap_or_else(|error| panic!("seed {seed}: not readable after the power loss: {error}"));
        let records = disk.records().expect("readable");
        let last = records.iter().find(|(key, _)| key == b"last");
        let last = last
            .map_or(0, |(_, value)| u64::from_be_bytes(value.as_slice().try_into().expect("eight bytes")));
        assert!(last == answered || last == answered + 1, "seed {seed}: {answered} answered, {last} there");
        assert_eq!(records.len(), if last == 0 { 0 } else { 2 }, "seed {seed}: half a batch");
        let mut inbox = Vec::new();
        while let Some(entry) = disk.next_in_inbox().expect("readable") {
            let Received::Message(message) = entry.received else { panic!("no bundle was written") };
            inbox.push(message.sequence);
            disk.take(entry.number).expect("writable");
        }
        assert_eq!(inbox, (1..=last).collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(cut_short > 200, "the power went in {cut_short} of 300 trials");
}

#[test]
fn every_incarnation_is_new_whenever_the_power_goes() {
    for seed in 0..100 {
        let (mut image, mut last) = (Vec::new(), 0);
        for life in 0..6 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed * 100 + life);
            let platter = Platter::new(image, 5 + u64::from(rng.next_u32() % 60));
            if let Ok(disk) = Disk::open_on(platter.clone()) {
                while let Ok(incarnation) = disk.begin_incarnation() {
                    assert!(incarnation > last, "seed {seed}: {incarnation} after {last}");
                    last = incarnation;
                }
            }
            image = platter.after_power_loss(seed * 100 + life);
        }
    }
}

#[test]
fn a_file_is_there_again_when_it_is_opened_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("node.redb");
    {
        let disk = Disk::open(&path).expect("made");
        disk.commit(&batch(1)).expect("written");
        assert!(Disk::open(&path).is_err(), "one process at a time");
    }
    let disk = Disk::open(&path).expect("opened");
    assert_eq!(disk.records().expect("readable").len(), 2);
    let entry = disk.next_in_inbox().expect("readable").expect("one message");
    assert_eq!(entry.received, Received::Message(batch(1).deliveries[0].clone()));
}
