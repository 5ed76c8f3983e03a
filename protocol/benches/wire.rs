//! What a message costs on the wire: bundles beside two other implementations, envelopes beside bare signatures.

use std::{hint::black_box, time::Duration};

use bp7::flags::BlockControlFlags;
use cosmosmesh_protocol::{
    bpsec::{
        AadScope, AesVariant, Confidentiality, CoseProfile, Integrity, Key, KeyStore, KeyUse, Keys,
        Placement, Role, ScopeFlags, SecurityPolicy, ShaVariant, add_confidentiality, add_integrity, process,
        verify_integrity,
    },
    bundle::{Bundle, CreationTimestamp, HopCount, Primary},
    envelope::{Header, Purpose, open, seal},
    id::NodeId,
    identity::{Directory, KeyPair},
    time::DtnTime,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hardy_bpv7::{
    bpsec::no_keys, builder::Builder, bundle::ParsedBundle,
    creation_timestamp::CreationTimestamp as HardyTimestamp, dtn_time::DtnTime as HardyTime,
    hop_info::HopInfo,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

const CREATED_MS: u64 = 850_000_000_000;
const SIZES: [usize; 3] = [100, 1_000, 64_000];

/// A bundle with a hop count, as all three implementations make it.
fn ours(payload: Vec<u8>) -> Bundle {
    let creation = CreationTimestamp { time: DtnTime(CREATED_MS), sequence: 1 };
    let mut bundle =
        Bundle::new(Primary::new(NodeId(1).endpoint(7), NodeId(2).endpoint(7), creation, 60_000), payload);
    bundle.set_hop_count(HopCount { limit: 30, count: 0 });
    bundle
}

fn encode_bp7(payload: Vec<u8>) -> Vec<u8> {
    let node = |n| bp7::EndpointID::with_ipn(n, 7).expect("a node number above 0");
    let primary = bp7::primary::PrimaryBlockBuilder::default()
        .source(node(1))
        .destination(node(2))
        .creation_timestamp(bp7::CreationTimestamp::with_time_and_seq(CREATED_MS, 1))
        .lifetime(Duration::from_secs(60))
        .build()
        .expect("a destination is given");
    let canonicals = vec![
        bp7::new_hop_count_block(2, BlockControlFlags::empty(), 30),
        bp7::new_payload_block(BlockControlFlags::empty(), payload),
    ];
    let mut bundle = bp7::Bundle::new(primary, canonicals);
    bundle.set_crc(bp7::crc::CRC_32);
    bundle.to_cbor()
}

fn encode_hardy(payload: &[u8]) -> Box<[u8]> {
    let [source, destination] = ["ipn:1.7", "ipn:2.7"].map(|name| name.parse().expect("a valid endpoint"));
    Builder::new(source, destination)
        .with_lifetime(Duration::from_secs(60))
        .with_hop_count(&HopInfo { limit: 30, count: 0 })
        .with_payload(payload.into())
        .build(HardyTimestamp::from_parts(Some(HardyTime::new(CREATED_MS)), 1))
        .expect("a valid bundle")
        .1
}

fn bundles(c: &mut Criterion) {
    let mut group = c.benchmark_group("bundle_encode");
    for size in SIZES {
        let payload = vec![0xa5; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("ours", size), |b| {
            b.iter(|| ours(black_box(&payload).clone()).encode())
        });
        group.bench_function(BenchmarkId::new("bp7", size), |b| {
            b.iter(|| encode_bp7(black_box(&payload).clone()))
        });
        group.bench_function(BenchmarkId::new("hardy", size), |b| {
            b.iter(|| encode_hardy(black_box(&payload)))
        });
    }
    group.finish();
    let mut group = c.benchmark_group("bundle_decode");
    for size in SIZES {
        let bytes = ours(vec![0xa5; size]).encode();
        group.throughput(Throughput::Bytes(size as u64));
        group
            .bench_function(BenchmarkId::new("ours", size), |b| b.iter(|| Bundle::decode(black_box(&bytes))));
        // bp7 checks checksums only when asked to.
        group.bench_function(BenchmarkId::new("bp7", size), |b| {
            b.iter(|| bp7::Bundle::try_from(black_box(&bytes[..])).map(|mut bundle| bundle.crc_valid()));
        });
        // hardy leaves the payload where it is.
        group.bench_function(BenchmarkId::new("hardy", size), |b| {
            b.iter(|| ParsedBundle::parse(black_box(&bytes), no_keys));
        });
    }
    group.finish();
}

fn envelopes(c: &mut Criterion) {
    let keys = KeyPair::from_seed([7; 32]);
    let directory = Directory::from_iter([(NodeId(1), keys.public().clone())]);
    let header = Header {
        sender: NodeId(1),
        incarnation: 1,
        purpose: Purpose::Telemetry,
        destination: NodeId(2),
        sequence: 1,
        created: DtnTime(CREATED_MS),
    };
    let payload = [0xa5; 64];
    let sealed = seal(&keys, &header, &payload);
    let signature = keys.sign(&payload);
    let mut group = c.benchmark_group("envelope_64_bytes");
    group.bench_function("sign_bare", |b| b.iter(|| keys.sign(black_box(&payload))));
    group.bench_function("seal", |b| b.iter(|| seal(&keys, &header, black_box(&payload))));
    group.bench_function("verify_bare", |b| b.iter(|| keys.public().verify(black_box(&payload), &signature)));
    group.bench_function("open", |b| {
        b.iter(|| open(black_box(&sealed), &directory, NodeId(2)).map(|o| o.header))
    });
    group.finish();
}

/// Securing and checking a bundle, beside the bare signatures in the group of envelopes.
fn security(c: &mut Criterion) {
    let keys = KeyPair::from_seed([1; 32]);
    let directory: Directory = [(NodeId(1), keys.public().clone())].into_iter().collect();
    let source = NodeId(1).endpoint(0);
    let mut store = KeyStore::new();
    store.insert_symmetric(source.clone(), KeyUse::Integrity, b"", &[2; 48]);
    store.insert_symmetric(source.clone(), KeyUse::Confidentiality, b"", &[3; 32]);
    let scope = AadScope::default();
    let sign = Integrity::Sign1 { keys: &keys, profile: CoseProfile::new(&scope, b"") };
    let hmac = Integrity::HmacSha2 {
        variant: ShaVariant::Sha384,
        scope: ScopeFlags::ALL,
        key: Key::Shared(&[2; 48]),
    };
    let aes = Confidentiality::AesGcm {
        variant: AesVariant::A256Gcm,
        scope: ScopeFlags::ALL,
        key: Key::Shared(&[3; 32]),
    };
    let mut rng = ChaCha8Rng::from_seed([4; 32]);
    let mut group = c.benchmark_group("security");
    for size in SIZES {
        let plain = ours(vec![7; size]);
        group.throughput(Throughput::Bytes(size as u64));
        for (name, service, keys) in
            [("cose_sign1", &sign, &directory as &dyn Keys), ("hmac_sha384", &hmac, &store)]
        {
            let add = |bundle: &mut Bundle| {
                add_integrity(bundle, &[1], &source, service, Placement::plain()).expect("a plain bundle")
            };
            group.bench_function(BenchmarkId::new(format!("{name}/make"), size), |b| {
                b.iter_batched_ref(|| plain.clone(), add, BatchSize::SmallInput);
            });
            let mut secured = plain.clone();
            add(&mut secured);
            group.bench_function(BenchmarkId::new(format!("{name}/verify"), size), |b| {
                b.iter(|| verify_integrity(black_box(&secured), 1, keys));
            });
        }
        let mut secured = plain.clone();
        add_confidentiality(&mut secured, &[1], &source, &aes, Placement::plain(), &mut rng).expect("plain");
        group.bench_function(BenchmarkId::new("aes256_gcm/accept", size), |b| {
            let accept = |bundle: &mut Bundle| {
                process(bundle, Role::Acceptor, &SecurityPolicy::default(), &store).result
            };
            b.iter_batched_ref(|| secured.clone(), accept, BatchSize::SmallInput);
        });
    }
}

criterion_group!(wire, bundles, envelopes, security);
criterion_main!(wire);
