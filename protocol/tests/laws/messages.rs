//! What travels inside of envelopes.

use super::{Verdict, keys};
use cosmosmesh_protocol::{
    contract::{Record, Registry, Value, standard},
    delivery::Control,
    id::NodeId,
    identity::Directory,
    planning::solver,
    sync::{Audited, Delta, Op, Replica, SyncLimits, SyncMessage, Trust, VersionVector},
    time::DtnTime,
};

pub(super) fn messages(bytes: &[u8]) -> Verdict {
    let mut known = false;
    if let Ok(message) = SyncMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes);
        replicate(message);
        known = true;
    }
    // These travel in such messages only, which say what they are.
    let _ = Delta::decode(bytes).map(|delta| assert_eq!(delta.encode(), bytes));
    let _ = VersionVector::decode(bytes).map(|version| assert_eq!(version.encode(), bytes));
    if let Ok(record) = Registry::standard().read(bytes) {
        assert_eq!(record.encode(), bytes);
        known = true;
    }
    if let Ok(request) = solver::Request::decode(bytes) {
        assert_eq!(request.encode(), bytes);
        known = true;
    }
    if let Ok(contribution) = solver::Contribution::decode(bytes) {
        assert_eq!(contribution.encode(), bytes);
        known = true;
    }
    known |= Control::decode(bytes).is_ok();
    if known { Ok(()) } else { Err("no_message") }
}

/// What a replica makes of a message: nothing is joined without a signature.
fn replicate(message: SyncMessage) {
    let directory = Directory::from_iter([(NodeId(1), keys(1).public().clone())]);
    let trust = Trust { directory: &directory, now: DtnTime(850_000_000_000) };
    let mut replica = Replica::new(NodeId(2), SyncLimits::default());
    match message {
        SyncMessage::Delta(delta) | SyncMessage::Repair { delta, .. } => {
            let Ok(applied) = replica.apply_from(NodeId(1), &delta, trust) else { return };
            assert!(applied.checked >= applied.news.len() as u64);
            assert_eq!(replica.version().is_empty(), applied.news.is_empty());
        }
        SyncMessage::Version(version) => assert_eq!(replica.delta_since(&version, 1_000), None),
        SyncMessage::Audit { nonce, cells, first, symbols } => {
            if let Ok(audited) = Audited::take(None, &replica, NodeId(1), (nonce, cells, first), symbols) {
                let _ = audited.finding(&replica, 1_000);
            }
        }
        SyncMessage::More { nonce, first, count } => {
            let (audit, _) = replica.audit(NodeId(1), nonce, 1);
            let _ = audit.more(&replica, first, count);
        }
    }
}

/// What replicas say, with signatures and in an audit; and a record with a field that nobody knows.
pub(super) fn examples() -> Vec<Vec<u8>> {
    let mut replica = Replica::new(NodeId(1), SyncLimits::default());
    for key in 0..8_u8 {
        let put = Op::MapPut { name: b"map", key: &[b'k', key], value: b"value" };
        replica.write(put, DtnTime(850_000_000_000)).expect("a write");
        replica.write(Op::SetAdd { name: b"set", member: &[key] }, DtnTime::UNKNOWN).expect("a write");
    }
    replica.sign(&keys(1));
    let delta = replica.delta_since(&VersionVector::new(), usize::MAX).expect("writes");
    let (_, audit) = replica.audit(NodeId(2), 7, 4);
    let repair = SyncMessage::Repair { nonce: 7, delta: delta.clone(), wanted: vec![1, 2] };
    let more = SyncMessage::More { nonce: 7, first: 4, count: 4 };
    let version = SyncMessage::Version(VersionVector::default());
    let messages = [SyncMessage::Delta(delta), audit, repair, more, version];
    let contribution =
        solver::Contribution { horizon: 0, term: 0, round: 2, base: 1, entries: vec![-1, 500] };
    let others = [record(), contribution.encode(), plan_request().encode()];
    messages.iter().map(SyncMessage::encode).chain(others).collect()
}

fn plan_request() -> solver::Request {
    let question =
        solver::Question::Response { curvature: solver::Curvature::Diagonal, others: vec![0.5, 0.25] };
    let prices = vec![1.0, -2.0];
    solver::Request {
        horizon: 0,
        term: 0,
        round: 2,
        accepted: 1,
        committed: None,
        unit: 1.0,
        prices,
        question,
    }
}

fn record() -> Vec<u8> {
    let schema = standard().into_iter().find(|schema| schema.version.name == "forecast").expect("a contract");
    let record = Record::new(&schema)
        .with(1, Value::Text("power".into()))
        .with(2, Value::Uint(850_000_000_000))
        .with(3, Value::Uint(60_000))
        .with(4, Value::Array(vec![Value::Float(1.5); 3]))
        .with(99, Value::Unknown(vec![0x82, 1, 2]));
    record.encode()
}
