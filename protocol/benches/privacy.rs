//! Costs of secure aggregation and of noise: a round of 1,000 assets and what it weighs on the air.

#![expect(clippy::print_stdout, reason = "bytes are counts, which criterion does not report")]

use std::{hint::black_box, sync::Arc};

use chacha20::{ChaCha20, KeyIvInit as _, cipher::StreamCipher as _};
use cosmosmesh_protocol::{
    id::NodeId,
    planning::{
        message::FRACTION_BITS,
        privacy::{
            Aggregator, Asset, AssetSecret, CommitteeMember, Enrolled, MaskSum, MaskedContribution, Policy,
            Seat, SeatSecret, Terms, TermsParts,
            noise::{DiscreteGaussian, Mechanism, NoiseSettings, RHO_STEPS, WhenSpent},
        },
        solver::Contribution,
    },
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hkdf::Hkdf;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use sha2::Sha256;

const COORDINATOR: NodeId = NodeId(1);
const SLOTS: usize = 24;
const SEATS: u64 = 5;

fn seed(kind: u8, index: u64) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&index.to_be_bytes());
    seed
}

#[derive(Clone)]
struct Fleet {
    terms: Arc<Terms>,
    assets: Vec<Asset>,
    members: Vec<CommitteeMember>,
    aggregator: Aggregator,
}

fn fleet(assets: u64, bound: u64) -> Fleet {
    let seats: Vec<(NodeId, SeatSecret)> =
        (0..SEATS).map(|i| (NodeId(10 + i), SeatSecret::from_seed(seed(1, i)))).collect();
    let secrets: Vec<(NodeId, AssetSecret)> =
        (0..assets).map(|i| (NodeId(1000 + i), AssetSecret::from_seed(seed(2, i)))).collect();
    let committee = seats.iter().map(|(node, secret)| Seat {
        node: *node,
        mask_key: secret.mask_key(),
        share_key: secret.share_key(),
    });
    let terms = Terms::new(TermsParts {
        plan: 1,
        epoch: 1,
        entries: SLOTS,
        bits: Terms::fewest_bits(bound, assets as usize).unwrap(),
        bound,
        total: None,
        grain: 0,
        k_min: 3,
        cohort: 3,
        changes: 3,
        threshold: 3,
        recoveries: 1,
        committee: committee.collect(),
        roster: secrets
            .iter()
            .map(|(node, secret)| Enrolled { node: *node, key: secret.public_key() })
            .collect(),
    });
    let terms = Arc::new(terms.unwrap());
    let (trusted, roster) =
        (seats.iter().map(|one| one.0).collect(), secrets.iter().map(|one| one.0).collect());
    let policy = Policy { k_min: 2, tolerated: 1, cohort: 1, changes: 1, seats: trusted, roster };
    let assets = secrets
        .iter()
        .map(|(node, secret)| Asset::new(Arc::clone(&terms), *node, secret, &policy).unwrap())
        .collect();
    let members = seats
        .into_iter()
        .map(|(node, secret)| CommitteeMember::new(Arc::clone(&terms), node, secret, COORDINATOR).unwrap())
        .collect();
    Fleet { aggregator: Aggregator::new(Arc::clone(&terms)), terms, assets, members }
}

fn share(asset: usize, greatest: f64) -> Vec<i64> {
    let unit = f64::from(1_u32 << FRACTION_BITS);
    (0..SLOTS)
        .map(|slot| {
            let place = ((asset * 7 + slot * 13) % 101) as f64 / 50.0 - 1.0;
            (greatest * place * unit) as i64
        })
        .collect()
}

fn speak(fleet: &mut Fleet) -> Vec<(NodeId, Vec<u8>)> {
    let roster = fleet.terms.parts().roster.clone();
    let occasion = *fleet.aggregator.occasion();
    let assets = fleet.assets.iter_mut().enumerate();
    let said = |asset: &mut Asset, i| asset.speak(&share(i, 20.0), &occasion).unwrap().encode();
    assets.map(|(i, asset)| (roster[i].node, said(asset, i))).collect()
}

/// What the coordinator and the committee do with contributions that came in: bytes to an opened sum.
fn aggregate(fleet: &mut Fleet, contributions: &[(NodeId, Vec<u8>)]) -> Vec<i64> {
    for (from, bytes) in contributions {
        let contribution = MaskedContribution::decode(bytes, &fleet.terms).unwrap();
        fleet.aggregator.on_contribution(*from, &contribution).unwrap();
    }
    let survivors = fleet.aggregator.close().unwrap();
    let mut opened = None;
    for member in &mut fleet.members {
        let reply = member.on_survivors(COORDINATOR, &survivors).unwrap().encode();
        let reply = MaskSum::decode(&reply, &fleet.terms).unwrap();
        opened = fleet.aggregator.on_mask_sum(member.node(), &reply).unwrap();
    }
    opened.unwrap().sum
}

/// The least that masks cost by their definition: for each of so many, one HKDF-Expand (RFC 5869) of a key and one ChaCha20 keystream (RFC 8439) of 24 entries.
fn bare(masks: u64, bits: u8) -> u64 {
    let mut held = 0;
    let mut stream = [0_u8; SLOTS * 8];
    let stream = &mut stream[..SLOTS * usize::from(bits).div_ceil(8)];
    for mask in 0..masks {
        let kdf = Hkdf::<Sha256>::from_prk(&[7; 32]).unwrap();
        let mut key = [0; 32];
        kdf.expand_multi_info(&[b"occasion", &[9; 32], &mask.to_be_bytes()], &mut key).unwrap();
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&mask.to_be_bytes());
        ChaCha20::new((&key).into(), (&nonce).into()).apply_keystream(stream);
        held += u64::from(stream[0]);
    }
    held
}

fn rounds(criterion: &mut Criterion) {
    let bound = 20 << FRACTION_BITS;
    let mut fleet = fleet(1000, bound);
    let silent = fleet.clone();
    let contributions = speak(&mut fleet);
    criterion.bench_function("privacy: 1,000 assets mask 24 entries for 5 members", |bench| {
        bench.iter_batched_ref(|| silent.clone(), |fleet| black_box(speak(fleet)), BatchSize::LargeInput);
    });
    criterion.bench_function("privacy: aggregate and open 1,000 contributions, all 5 members", |bench| {
        let run = |fleet: &mut Fleet| black_box(aggregate(fleet, &contributions));
        bench.iter_batched_ref(|| silent.clone(), run, BatchSize::LargeInput);
    });
    let bits = fleet.terms.parts().bits;
    criterion.bench_function("privacy: bare HKDF-Expand and ChaCha20 of 5,000 masks", |bench| {
        bench.iter(|| black_box(bare(1000 * SEATS, bits)));
    });
    let secret = SeatSecret::from_seed(seed(1, 0));
    let terms = Arc::clone(&fleet.terms);
    criterion.bench_function("privacy: a member agrees on keys with 1,000 assets, once an epoch", |bench| {
        bench.iter(|| {
            CommitteeMember::new(Arc::clone(&terms), NodeId(10), secret.clone(), COORDINATOR).unwrap()
        });
    });
}

fn noise(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let gaussian = DiscreteGaussian::new(1 << 32).unwrap();
    criterion.bench_function("privacy: one exact discrete Gaussian, σ = 2^16", |bench| {
        bench.iter(|| black_box(gaussian.sample(&mut rng)));
    });
    let settings = NoiseSettings {
        grain_bits: 14,
        clip: 20 << 16,
        norm: None,
        slope_bits: 0,
        variance: 1 << 32,
        budget: u64::MAX - RHO_STEPS,
        when_spent: WhenSpent::KeepLast,
    };
    let mechanism = Mechanism::new(settings, SLOTS).unwrap();
    let share = share(3, 20.0);
    criterion.bench_function("privacy: clip a share of 24 entries and add noise", |bench| {
        let run = |mechanism: &mut Mechanism| mechanism.release(&share, 1 << 50, &mut rng);
        bench.iter_batched_ref(|| mechanism.clone(), run, BatchSize::SmallInput);
    });
}

/// Bytes of every message, before envelopes and bundles: 16 assets and 1,000, shares spread over ± the bound of the terms.
fn bytes(_: &mut Criterion) {
    let mut out = String::from(
        "| Assets | Greatest share | Bits | Plain contribution | Masked | Ratio | Survivors | Mask sum | Deal | Terms |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for assets in [16, 1000] {
        for greatest in [1.0, 20.0, 1000.0] {
            let unit = f64::from(1_u32 << FRACTION_BITS);
            let mut fleet = fleet(assets, (greatest * unit) as u64);
            let (mut plain, mut masked) = (0, 0);
            for index in 0..assets as usize {
                let share = share(index, greatest);
                let occasion = *fleet.aggregator.occasion();
                let contribution = fleet.assets[index].speak(&share, &occasion).unwrap();
                masked += contribution.encode().len();
                plain +=
                    Contribution { horizon: 1, term: 0, round: 1, base: 0, entries: share }.encode().len();
                let from = fleet.terms.parts().roster[index].node;
                fleet.aggregator.on_contribution(from, &contribution).unwrap();
            }
            let survivors = fleet.aggregator.close().unwrap();
            let reply = fleet.members[0].on_survivors(COORDINATOR, &survivors).unwrap();
            let deal = fleet.members[0].deal().unwrap().unwrap();
            let (plain, masked) = (plain as f64 / assets as f64, masked as f64 / assets as f64);
            out += &format!(
                "| {assets} | ±{greatest} | {} | {plain:.1} | {masked:.1} | {:.3} | {} | {} | {} | {} |\n",
                fleet.terms.parts().bits,
                masked / plain,
                survivors.encode().len(),
                reply.encode().len(),
                deal.encode().len(),
                fleet.terms.encode().len(),
            );
        }
    }
    print!("{out}");
}

criterion_group!(benches, bytes, rounds, noise);
criterion_main!(benches);
