//! Costs of the store, the router and delta-sync.

use std::hint::black_box;

use cosmosmesh_protocol::{
    dtn::{
        routing::{RouteQuery, RouteScratch, earliest_arrival},
        store::{Priority, Queue, Store, StoreLimits, StoreMeta},
    },
    id::NodeId,
    identity::{Directory, KeyPair},
    sync::{Audited, Finding, Op, Replica, SyncLimits, SyncMessage, Trust},
    time::{DtnTime, Instant},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

mod ion;

const BUNDLES: u64 = 100_000;

fn meta(index: u64) -> StoreMeta {
    let priority = [Priority::Normal, Priority::Bulk, Priority::Expedited][(index % 3) as usize];
    let expires = Instant::from_nanos(1 + index * 7_919 % 1_000_003);
    StoreMeta { destination: NodeId(index % 50), priority, expires, bytes: 200, received: Instant::ZERO }
}

fn store(criterion: &mut Criterion) {
    let mut full = Store::new(StoreLimits { bytes: u64::MAX, count: usize::MAX });
    for index in 0..BUNDLES {
        full.insert(meta(index), Queue::Hop(NodeId(index % 20)), index).unwrap();
    }
    let mut index = BUNDLES;
    criterion.bench_function("store: insert and take one, 100,000 held", |bench| {
        bench.iter(|| {
            index += 1;
            let queue = Queue::Hop(NodeId(index % 20));
            full.insert(meta(index), queue, index).unwrap();
            black_box(full.pop(queue))
        });
    });
}

fn routing(criterion: &mut Criterion) {
    let plan = ion::mars();
    let mut scratch = RouteScratch::default();
    for now in [0, 3_000, 86_400] {
        let query = RouteQuery::new(NodeId(9), NodeId(1), Instant::from_nanos(now * 1_000_000_000), 1_000);
        criterion.bench_function(
            &format!("route: ION plan of {} contacts, from {now} s", plan.len()),
            |bench| {
                bench.iter(|| black_box(earliest_arrival(&plan, &query, &mut scratch)));
            },
        );
    }
}

fn keys(actor: u64) -> KeyPair {
    KeyPair::from_seed([actor as u8; 32])
}

fn write(replica: &mut Replica, keys: std::ops::Range<u32>, time: u64) {
    for key in keys {
        let put = Op::MapPut { name: b"map", key: &key.to_be_bytes(), value: &time.to_be_bytes() };
        replica.write(put, DtnTime(time)).unwrap();
    }
}

/// Beside yrs: `benches/beside-yrs`.
#[expect(clippy::print_stdout, reason = "sizes are results")]
fn sync(criterion: &mut Criterion) {
    let directory: Directory = (1..3).map(|actor| (NodeId(actor), keys(actor).public().clone())).collect();
    let trust = Trust { directory: &directory, now: DtnTime::UNKNOWN };
    let new = |actor| Replica::new(NodeId(actor), SyncLimits::default());
    let (mut ours, mut theirs) = (new(1), new(2));
    write(&mut ours, 0..1_000, 800_000_000_000);
    ours.sign(&keys(1));
    theirs.apply_from(NodeId(1), &ours.delta_since(theirs.version(), usize::MAX).unwrap(), trust).unwrap();
    write(&mut ours, 0..50, 800_000_000_001);
    write(&mut theirs, 25..75, 800_000_000_001);
    ours.sign(&keys(1));
    let delta = ours.delta_since(theirs.version(), usize::MAX).unwrap();
    println!("delta of 50 updates by one actor (4-byte keys, 8-byte values): {} bytes", delta.encode().len());
    criterion.bench_function("sync: delta of 50 updates on 1,000 keys, encoded", |bench| {
        bench.iter(|| black_box(ours.delta_since(theirs.version(), usize::MAX).unwrap().encode()));
    });
    criterion.bench_function("sync: check and apply that delta", |bench| {
        bench.iter_batched(
            || theirs.clone(),
            |mut peer| peer.apply_from(NodeId(1), &delta, trust).map(|_| peer),
            BatchSize::SmallInput,
        );
    });
    audits(criterion);
}

/// 100 of 10,000 entries lost, told by symbols that go one way.
#[expect(clippy::print_stdout, reason = "sizes are results")]
fn audits(criterion: &mut Criterion) {
    let mut full = Replica::new(NodeId(1), SyncLimits::default());
    let mut part = Replica::new(NodeId(2), SyncLimits::default());
    write(&mut full, 0..9_900, 800_000_000_000);
    part.apply_kept(&full.delta_since(part.version(), usize::MAX).unwrap()).unwrap();
    write(&mut full, 9_900..10_000, 800_000_000_000);
    let tell = |nonce: u64, count: usize| {
        let (_, message) = part.audit(NodeId(1), nonce, count);
        let bytes = message.encode();
        let SyncMessage::Audit { nonce, cells, first, symbols } = message else { panic!("symbols") };
        let audited = Audited::take(None, &full, NodeId(2), (nonce, cells, first), symbols).unwrap();
        (bytes.len(), audited.finding(&full, usize::MAX))
    };
    let mut sizes: Vec<usize> = (0..20)
        .map(|nonce| {
            let told = |count: &usize| !matches!(tell(nonce, *count).1, Finding::Undecided(_));
            tell(nonce, (101..300).find(told).expect("fewer than three for each difference")).0
        })
        .collect();
    sizes.sort_unstable();
    println!("audit, 100 of 10,000 entries, one way: median {} bytes, most {} bytes", sizes[10], sizes[19]);
    criterion.bench_function("sync: 160 symbols of 10,000 entries, made and told", |bench| {
        bench.iter(|| black_box(tell(7, 160)));
    });
}

criterion_group!(benches, store, routing, sync);
criterion_main!(benches);
