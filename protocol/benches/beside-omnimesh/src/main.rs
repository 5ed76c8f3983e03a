//! Seal and open of a 64-byte command: this envelope, omnimesh's, and bare signatures, in turn in one run; the least of each.
//!
//! omnimesh hashes header and payload (BLAKE3), signs the hash, and verifies with `verify`, which is not the strict check; opening includes
//! reading the bytes, as ours does. Each is beside bare signing and checking by the version of dalek that it uses, of as many bytes as it signs.

use cosmosmesh_protocol::{
    envelope::{Header, Purpose, open, seal},
    id::NodeId,
    identity::{Directory, KeyPair},
    time::DtnTime,
};
use ed25519_dalek_2::Signer as _;
use omnimesh::{Did, EnvelopeHeader, MessageId, PayloadStorage, PayloadType, Priority, SignedEnvelope};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 300;
const TIMES: u32 = 20;

fn main() {
    let payload = [5_u8; 64];
    let keys = KeyPair::from_seed([7; 32]);
    let here = NodeId(20_002);
    let header = Header {
        sender: NodeId(10_001),
        incarnation: 3,
        purpose: Purpose::Command,
        destination: here,
        sequence: 1000,
        created: DtnTime(850_000_000_000),
    };
    let directory: Directory = [(header.sender, keys.public().clone())].into_iter().collect();
    let envelope = seal(&keys, &header, &payload);

    let theirs = ed25519_dalek_2::SigningKey::from_bytes(&[7; 32]);
    let their_key = theirs.verifying_key();
    let their_header = EnvelopeHeader::new(
        1,
        MessageId::new([1; 16]),
        Did::new([2; 32]),
        Did::new([3; 32]),
        1000,
        1_700_000_000_000_000,
        Priority::High,
        PayloadType::RobotCommand,
    );
    let storage = || PayloadStorage::<64>::try_from_slice(&payload).expect("64 bytes");
    let mut their_bytes = [0; 512];
    let length = SignedEnvelope::sign(their_header, storage(), &theirs)
        .serialize_into(&mut their_bytes)
        .expect("room");
    let their_bytes = &their_bytes[..length];

    // What each signs: ours 64 bytes with headers and domain; theirs a hash of 32.
    let bare = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let text = vec![5_u8; 150];
    let signature = ed25519_dalek::Signer::sign(&bare, &text);
    let bare_key = bare.verifying_key();
    let hash = [5_u8; 32];
    let their_signature = theirs.sign(&hash);

    let mut run: Vec<(&str, Box<dyn FnMut() + '_>)> = vec![
        ("dalek 3 sign, 150 bytes", Box::new(|| drop(black_box(ed25519_dalek::Signer::sign(&bare, black_box(&text)))))),
        ("our seal", Box::new(|| drop(black_box(seal(&keys, black_box(&header), black_box(&payload)))))),
        ("dalek 3 verify_strict, 150 bytes", Box::new(|| bare_key.verify_strict(black_box(&text), &signature).expect("good"))),
        ("our open", Box::new(|| drop(black_box(open(black_box(&envelope), &directory, here).expect("good"))))),
        ("dalek 2 sign, 32 bytes", Box::new(|| drop(black_box(theirs.sign(black_box(&hash)))))),
        (
            "omnimesh seal",
            Box::new(|| {
                let mut out = [0; 512];
                let sealed = SignedEnvelope::sign(black_box(their_header), storage(), &theirs);
                black_box(sealed.serialize_into(&mut out).expect("room"));
            }),
        ),
        (
            "dalek 2 verify, 32 bytes",
            Box::new(|| ed25519_dalek_2::Verifier::verify(&their_key, black_box(&hash), &their_signature).expect("good")),
        ),
        (
            "omnimesh open",
            Box::new(|| {
                let opened = SignedEnvelope::<64>::deserialize(black_box(their_bytes)).expect("good");
                opened.verify_signature(&their_key).expect("good");
            }),
        ),
    ];
    let mut least = vec![Duration::MAX; run.len()];
    for _ in 0..ROUNDS {
        for ((_, work), least) in run.iter_mut().zip(&mut least) {
            let begun = Instant::now();
            (0..TIMES).for_each(|_| work());
            *least = (*least).min(begun.elapsed() / TIMES);
        }
    }
    for ((name, _), least) in run.iter().zip(&least) {
        println!("{name:36} {:8.2} µs", least.as_nanos() as f64 / 1000.0);
    }
    for (above, below) in [(1, 0), (3, 2), (5, 4), (7, 6), (1, 5), (3, 7)] {
        let ratio = least[above].as_nanos() as f64 / least[below].as_nanos() as f64;
        println!("{:36} {ratio:8.3} × {}", run[above].0, run[below].0);
    }
    println!("bytes over the payload: ours {}, omnimesh {}", envelope.len() - 64, length - 64);
}
