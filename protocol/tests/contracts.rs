//! Data contracts between two nodes: schemas travel with the shared state, and what breaks them is refused with the reason.

use cosmosmesh_protocol::{
    contract::{Field, Record, Schema, Type, Value, standard},
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::Priority,
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{
        Convergence, Delivery, Input, InputError, LinkId, LinkUp, Node, NodeConfig, Output, Report,
        SharedStateConfig, Submission, SubmitError,
    },
    sync::{Op, SyncLimits},
    time::{DtnTime, Instant, UtcEstimate},
};
use std::{sync::Arc, time::Duration};

const LINK: LinkId = LinkId(1);
const LIFETIME: Duration = Duration::from_secs(3600);

/// Two nodes on a link without delay, and what each told and was given.
struct Pair {
    now: Instant,
    nodes: [Node; 2],
    refused: [Vec<&'static str>; 2],
    delivered: [Vec<Delivery>; 2],
}

fn keys(node: u64) -> KeyPair {
    KeyPair::from_seed([node as u8; 32])
}

impl Pair {
    fn new() -> Self {
        let directory: Directory = (1..=2).map(|node| (NodeId(node), keys(node).public().clone())).collect();
        let directory = Arc::new(directory);
        let node = |node: u64| {
            let mut config = NodeConfig::new(NodeId(node), directory.clone());
            config.contracts = true;
            config.shared_state = Some(SharedStateConfig {
                members: vec![NodeId(1), NodeId(2)],
                limits: SyncLimits::default(),
                push_interval: Duration::from_secs(10),
                anti_entropy_interval: Duration::from_secs(600),
                audit_every: 0,
                horizon: Duration::from_secs(86_400),
                roles: Arc::default(),
                max_delta: 4000,
                lifetime: LIFETIME,
            });
            Node::new(config, keys(node), [node as u8; 32], Instant::ZERO)
        };
        let (refused, delivered) = Default::default();
        let mut pair = Self { now: Instant::ZERO, nodes: [node(1), node(2)], refused, delivered };
        pair.connect();
        pair
    }

    fn connect(&mut self) {
        let contact = |from, to| PlannedContact {
            from: NodeId(from),
            to: NodeId(to),
            start: Instant::ZERO,
            end: Instant::from_nanos(u64::MAX / 2),
            rate_bps: 1_000_000,
            owlt: Duration::ZERO,
        };
        let plan = ContactPlan::from_contacts([contact(1, 2), contact(2, 1)]).expect("a plain plan");
        for at in [0, 1] {
            let utc = UtcEstimate {
                at: Instant::ZERO,
                utc: DtnTime(800_000_000_000),
                uncertainty: Duration::from_millis(10),
            };
            let up = LinkUp {
                link: LINK,
                peer: NodeId(2 - at as u64),
                mtu: 1_000,
                rate_bps: 1_000_000,
                until: None,
                convergence: Convergence::SmallFrame,
                session: false,
            };
            for input in [Input::Civil(utc), Input::ContactPlan(plan.clone()), Input::LinkUp(up)] {
                self.input(at, input).expect("no misuse");
            }
        }
    }

    fn input(&mut self, at: usize, input: Input<'_>) -> Result<(), InputError> {
        let result = self.nodes[at].handle_input(self.now, input);
        self.drain(at);
        result
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].poll_output() {
            let reports = match output {
                Output::Report(report) => vec![report],
                Output::Persist(batch) => {
                    self.delivered[at].extend(batch.deliveries);
                    self.nodes[at].handle_input(self.now, Input::Persisted(batch.ticket)).expect("in order");
                    batch.reports
                }
            };
            let reasons = reports.into_iter().filter_map(|report| match report {
                Report::ModuleRefused { reason } => Some(reason),
                _ => None,
            });
            self.refused[at].extend(reasons);
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        while self.now < end {
            for at in [0, 1] {
                while let Some(bytes) = self.nodes[at].poll_transmit(self.now, LINK) {
                    self.drain(at);
                    let _ = self.input(1 - at, Input::Frame { link: LINK, bytes: &bytes });
                }
                self.input(at, Input::Timeout).expect("early is allowed");
            }
            self.now = self.now.saturating_add(Duration::from_secs(1));
        }
    }

    fn submit(&mut self, at: usize, payload: Vec<u8>) -> Result<(), InputError> {
        let destination = NodeId(2 - at as u64);
        let (purpose, priority, lifetime) = (Purpose::Telemetry, Priority::Normal, LIFETIME);
        self.input(at, Input::Submit(Submission { destination, purpose, priority, lifetime, payload }))
    }

    fn put(&mut self, at: usize, value: &[u8]) -> Result<(), InputError> {
        self.input(at, Input::Write(Op::MapPut { name: b"telemetry", key: b"latest", value }))
    }

    fn publish(&mut self, at: usize, schema: &Schema) {
        let registry = self.nodes[at].registry().expect("it knows the standard ones");
        let own = |op: Op<'_>| match op {
            Op::MapPut { name, key, value } => [name, key, value].map(<[u8]>::to_vec),
            _ => panic!("a schema is put"),
        };
        let [name, key, value] = registry.publish(schema, own).expect("compatible, as far as it knows");
        self.input(at, Input::Write(Op::MapPut { name: &name, key: &key, value: &value })).expect("admitted");
    }
}

/// Telemetry with one more field that need not be there.
fn newer(minor: u16, field: &str, holds: Type) -> Schema {
    let mut schema = standard().remove(0);
    schema.version.minor = minor;
    schema.fields.push(Field { number: 9, name: field.into(), required: false, holds });
    schema
}

fn reading(schema: &Schema) -> Record {
    Record::new(schema)
        .with(1, Value::Uint(5))
        .with(2, Value::Text("temperature".into()))
        .with(3, Value::Float(280.5))
}

#[test]
fn a_message_that_breaks_its_contract_is_refused_here_and_there() {
    let mut pair = Pair::new();
    let reason = |result: Result<(), InputError>| match result {
        Err(InputError::Submit(SubmitError::Contract { reason })) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(pair.submit(0, b"anything".to_vec())), "record_malformed");
    let (known, unknown) = (standard().remove(0), newer(1, "room", Type::Text(8)));
    pair.submit(0, reading(&known).encode()).expect("a record");
    // The other one has not heard of this version, and reads what it knows of it.
    pair.publish(0, &unknown);
    let sent = reading(&unknown).with(9, Value::Text("lab".into())).encode();
    pair.submit(0, sent.clone()).expect("a record of the newer version");
    pair.run_for(Duration::from_secs(5));
    assert_eq!(
        pair.delivered[1].iter().map(|it| it.payload.clone()).collect::<Vec<_>>(),
        [reading(&known).encode(), sent]
    );
    // A new major version is another contract: who does not know it cannot read it.
    let mut other = known.clone();
    other.version.major = 2;
    pair.publish(0, &other);
    pair.submit(0, reading(&other).encode()).expect("it knows that version itself");
    pair.submit(0, reading(&known).encode()).expect("a record");
    pair.run_for(Duration::from_secs(5));
    assert_eq!((pair.delivered[1].len(), &pair.refused[1][..]), (3, &["record_unknown_version"][..]));
    // The schema comes with the shared state, and then it is read.
    pair.run_for(Duration::from_secs(30));
    pair.submit(0, reading(&other).encode()).expect("a record");
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.delivered[1].len(), 4);
}

#[test]
fn of_two_schemas_that_break_each_other_one_counts_everywhere_and_records_by_the_other_are_refused() {
    let mut pair = Pair::new();
    let (high, low) = (newer(2, "room", Type::Text(8)), newer(1, "floor", Type::Uint(0, 9)));
    pair.publish(0, &high);
    pair.run_for(Duration::from_secs(1));
    // Later, under a lower number, by one who has not heard of the other.
    pair.publish(1, &low);
    pair.put(1, &reading(&low).with(9, Value::Uint(3)).encode()).expect("it counts there as yet");
    pair.run_for(Duration::from_secs(120));
    for at in [0, 1] {
        let registry = pair.nodes[at].registry().expect("a registry");
        assert_eq!(registry.newest("telemetry").map(|schema| schema.version.minor), Some(2), "{at}");
        let reasons: Vec<_> = registry.refused().values().map(|refused| refused.reason()).collect();
        assert_eq!(reasons, ["contract_field_name"]);
        let record = pair.nodes[at].record(b"telemetry", b"latest").expect("a value");
        assert_eq!(record.map_err(|breach| breach.reason()), Err("record_refused_version"));
        assert!(pair.refused[at].contains(&"contract_field_name"), "{at}: {:?}", pair.refused[at]);
    }
    assert!(pair.refused[0].contains(&"record_refused_version"));
    let again = pair.put(1, &reading(&low).encode());
    assert_eq!(again, Err(InputError::Contract { reason: "record_refused_version" }));
    // A record of the one that counts is read, carried through, and written back by one who does not know all of it.
    let value = reading(&newer(5, "room", Type::Text(8)))
        .with(9, Value::Text("lab".into()))
        .with(11, Value::Unknown(vec![1]));
    pair.put(0, &value.encode()).expect("admitted");
    pair.run_for(Duration::from_secs(120));
    let mut read = pair.nodes[1].record(b"telemetry", b"latest").expect("a value").expect("a record");
    assert_eq!(read.fields[&11], Value::Unknown(vec![1]));
    read.fields.insert(3, Value::Float(281.0));
    pair.put(1, &read.encode()).expect("what it does not know is carried through");
}
