//! Costs of the store, the router and delta-sync.

use std::hint::black_box;

use cosmosmesh_protocol::{
    dtn::{
        routing::{RouteQuery, RouteScratch, earliest_arrival},
        store::{Priority, Queue, Store, StoreLimits, StoreMeta},
    },
    id::NodeId,
    sync::{Op, Replica, SyncLimits},
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

fn replica(actor: u64, keys: std::ops::Range<u32>, time: u64, replica: Option<Replica>) -> Replica {
    let mut replica = replica.unwrap_or_else(|| Replica::new(NodeId(actor), SyncLimits::default()));
    for key in keys {
        let put = Op::MapPut { name: b"map", key: &key.to_be_bytes(), value: &time.to_be_bytes() };
        replica.write(put, DtnTime(time)).unwrap();
    }
    replica
}

#[expect(clippy::print_stdout, reason = "the size of the delta is a result")]
fn sync(criterion: &mut Criterion) {
    let base = replica(1, 0..1_000, 800_000_000_000, None);
    let mut peer = Replica::new(NodeId(2), SyncLimits::default());
    peer.apply(&base.delta_since(peer.version(), usize::MAX).unwrap()).unwrap();
    let ours = replica(1, 0..50, 800_000_000_001, Some(base));
    let theirs = replica(2, 25..75, 800_000_000_001, Some(peer));
    let delta = ours.delta_since(theirs.version(), usize::MAX).unwrap();
    println!("delta of 50 concurrent updates (4-byte keys, 8-byte values): {} bytes", delta.encode().len());
    criterion.bench_function("sync: delta of 50 updates on 1,000 keys, encoded", |bench| {
        bench.iter(|| black_box(ours.delta_since(theirs.version(), usize::MAX).unwrap().encode()));
    });
    criterion.bench_function("sync: apply that delta", |bench| {
        bench.iter_batched(
            || theirs.clone(),
            |mut peer| peer.apply(&delta).map(|_| peer),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, store, routing, sync);
criterion_main!(benches);
