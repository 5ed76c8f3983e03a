//! What trust costs: envelopes beside bare signatures, the log, proofs, decisions. All in turn in one run, the least of each: on a machine that
//! others share only ratios within a run say something.
//!
//! `cargo bench -p cosmosmesh-protocol --bench trust`

#![expect(clippy::print_stdout, reason = "a bench reports on the terminal")]

use cosmosmesh_protocol::{
    access::{Action, Actions, Effect, Policy, Request, Rule},
    envelope::{Header, Purpose, open, seal},
    id::NodeId,
    identity::{Directory, KeyPair, Role, Scope, Speaker, Standing},
    log::{Brief, Entry, Event, Journal, LogId, MessageName, Tree, leaf_hash, verify_inclusion},
    time::DtnTime,
};
use ed25519_dalek::{Signer as _, SigningKey};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Entries of the large log.
const ENTRIES: u64 = 1_000_000;

/// One thing that is timed.
struct Work<'a> {
    name: &'static str,
    times: u32,
    run: Box<dyn FnMut() + 'a>,
    least: Duration,
}

fn work<'a>(name: &'static str, times: u32, run: impl FnMut() + 'a) -> Work<'a> {
    Work { name, times, run: Box::new(run), least: Duration::MAX }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn measure(all: &mut [Work<'_>], rounds: usize) {
    for _ in 0..rounds {
        for work in all.iter_mut() {
            let begun = Instant::now();
            (0..work.times).for_each(|_| (work.run)());
            work.least = work.least.min(begun.elapsed() / work.times);
        }
    }
}

fn entry(index: u64) -> Vec<u8> {
    let message = MessageName { peer: NodeId(10_001), purpose: Purpose::Command, epoch: 3, sequence: index };
    let event = Event::Accepted { message, payload: Brief([7; 8]) };
    Entry { index, clock_ms: 1_000 * index, time: DtnTime(850_000_000_000), event }.encode()
}

/// Thirty rules, of which the last but one decides.
fn policy() -> Policy {
    let rule = |number: usize| Rule {
        name: format!("rule-{number}").into(),
        effect: Effect::Allow,
        roles: if number == 28 { vec![Role::Contributor] } else { vec![Role::Admin, Role::Operator] },
        actions: [Action::Command, Action::Share].into_iter().collect::<Actions>(),
        contract: None,
        scope: "mars/camp".parse().expect("a scope"),
    };
    Policy::new((0..30).map(rule).collect(), Vec::new()).expect("a policy")
}

fn main() {
    let payload = [5_u8; 64];
    let (keys, here) = (KeyPair::from_seed([7; 32]), NodeId(20_002));
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
    // As many bytes as the envelope's signature is about: headers, domain, payload and their heads.
    let bare = SigningKey::from_bytes(&[7; 32]);
    let text = [5_u8; 150];
    let (signature, bare_key) = (bare.sign(&text), bare.verifying_key());

    let mut journal = Journal::new(LogId { node: NodeId(1), born: 1 });
    let one = entry(0);
    let tree: Tree = (0..ENTRIES).map(|index| leaf_hash(&entry(index))).collect();
    let root = tree.root(ENTRIES).expect("all of it");
    let place = 314_159;
    let proof = tree.inclusion(place, ENTRIES).expect("there");
    let leaf = leaf_hash(&entry(place));

    let policy = policy();
    let scope: Scope = "mars/camp/north".parse().expect("a scope");
    let speaker = Speaker {
        node: NodeId(3),
        role: Role::Contributor,
        scope: "mars".parse().expect("a scope"),
        standing: Standing::Valid,
    };
    let request = Request { action: Action::Share, contract: None, scope: &scope };
    assert!(policy.decide(&speaker, &request).allowed);

    let mut all = [
        work("bare sign, 150 bytes", 20, || _ = black_box(bare.sign(black_box(&text)))),
        work("seal, 64 bytes", 20, || drop(black_box(seal(&keys, black_box(&header), black_box(&payload))))),
        work("bare verify_strict, 150 bytes", 20, || {
            bare_key.verify_strict(black_box(&text), &signature).expect("good");
        }),
        work("open, 64 bytes", 20, || {
            black_box(open(black_box(&envelope), &directory, here).expect("good"));
        }),
        work("hash of an entry", 200, || _ = black_box(leaf_hash(black_box(&one)))),
        work("append to the log", 200, || journal.append(black_box(&one))),
        work("proof in 10^6 entries", 5, || drop(black_box(tree.inclusion(black_box(place), ENTRIES)))),
        work("check of that proof", 50, || {
            verify_inclusion(leaf, place, ENTRIES, black_box(&proof), &root).expect("good");
        }),
        work("decision by the 29th of 30 rules", 1000, || {
            black_box(policy.decide(black_box(&speaker), black_box(&request)));
        }),
    ];
    measure(&mut all, 100);
    for work in &all {
        println!("{:36} {:10.3} µs", work.name, work.least.as_nanos() as f64 / 1000.0);
    }
    let ratio = |above: usize, below: usize| all[above].least.as_secs_f64() / all[below].least.as_secs_f64();
    println!("{:36} {:10.3}", "seal / bare sign", ratio(1, 0));
    println!("{:36} {:10.3}", "open / bare verify_strict", ratio(3, 2));
    println!("{:36} {:10} bytes", "envelope over payload", envelope.len() - payload.len());
}
