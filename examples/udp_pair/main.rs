//! Two nodes on this machine talk over UDP, with no simulator anywhere: the driver beside this file is all that a host needs.
//!
//! ```text
//! rover ── 127.0.0.1 UDP, every fourth frame lost ── habitat
//! ```
//!
//! `cargo run --example udp_pair` sends ten readings, and lets the habitat crash among them; each arrives once and in order.

mod driver;

use cosmosmesh_protocol::{
    bundle::CrcKind,
    dtn::{
        contact_plan::{ContactPlan, PlannedContact},
        store::{Priority, StoreLimits},
        strategy::RoutingConfig,
    },
    envelope::Purpose,
    id::NodeId,
    identity::{Directory, KeyPair},
    node::{BundleSettings, Input, NodeConfig, Report, Retransmission, Submission},
    time::Instant,
};
use driver::{UdpHost, always_up};
use std::{error::Error, net::UdpSocket, sync::Arc, thread, time::Duration};

const ROVER: NodeId = NodeId(1);
const HABITAT: NodeId = NodeId(2);

#[expect(clippy::print_stdout, reason = "an example shows what happens")]
fn main() -> Result<(), Box<dyn Error>> {
    let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    sockets[0].connect(sockets[1].local_addr()?)?;
    sockets[1].connect(sockets[0].local_addr()?)?;
    let [mut rover, mut habitat] = hosts(sockets)?;
    let mut frames = 0;
    rover.air = Box::new(move |_| {
        frames += 1;
        frames % 4 != 0
    });
    for number in 1..=10 {
        let payload = format!("reading {number}").into_bytes();
        rover.input(Input::Submit(Submission {
            destination: HABITAT,
            purpose: Purpose::Telemetry,
            priority: Priority::Normal,
            lifetime: Duration::from_secs(60),
            payload,
        }))?;
    }
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            habitat.serve(Duration::from_millis(100))?;
            habitat.crash();
            habitat.boot();
            habitat.serve(Duration::from_millis(1900))
        });
        rover.serve(Duration::from_secs(2))?;
        other.join().expect("serving does not panic")
    })?;
    for delivery in &habitat.deliveries {
        println!(
            "habitat: {} ({}, number {})",
            String::from_utf8_lossy(&delivery.payload),
            delivery.source,
            delivery.sequence
        );
    }
    let count = |wanted: fn(&Report) -> bool| rover.reports.iter().filter(|report| wanted(report)).count();
    let again = count(|report| matches!(report, Report::Retransmitted { .. }));
    let acknowledged = count(|report| matches!(report, Report::Acknowledged { .. }));
    println!("rover: {acknowledged} acknowledged, {again} sent again");
    Ok(())
}

fn hosts([first, second]: [UdpSocket; 2]) -> Result<[UdpHost; 2], Box<dyn Error>> {
    // Example keys: a real host makes them once, from random bytes, and keeps them.
    let keys = [KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32])];
    let members = [ROVER, HABITAT].into_iter().zip(keys.iter().map(|pair| pair.public().clone()));
    let directory = Arc::new(members.collect::<Directory>());
    let contact = |from, to| PlannedContact {
        from,
        to,
        start: Instant::ZERO,
        end: Instant::ZERO.saturating_add(Duration::from_secs(3600)),
        rate_bps: 10_000_000,
        owlt: Duration::from_millis(1),
    };
    let plan = ContactPlan::from_contacts([contact(ROVER, HABITAT), contact(HABITAT, ROVER)])?;
    let [rover_keys, habitat_keys] = keys;
    Ok([
        UdpHost::start(config(ROVER, &directory), rover_keys, first, plan.clone(), always_up(HABITAT)),
        UdpHost::start(config(HABITAT, &directory), habitat_keys, second, plan, always_up(ROVER)),
    ])
}

fn config(id: NodeId, directory: &Arc<Directory>) -> NodeConfig {
    NodeConfig {
        id,
        directory: directory.clone(),
        routing: RoutingConfig::default(),
        store: StoreLimits { bytes: 1 << 20, count: 1024 },
        keep_bundles: true,
        hop_limit: 4,
        crc: CrcKind::Castagnoli,
        window: 256,
        submission_rate: None,
        replay_window: 1024,
        max_payload: 4096,
        retransmission: Retransmission {
            max_attempts: 20,
            min_timeout: Duration::from_millis(200),
            ack_delay: Duration::from_millis(20),
            margin_percent: 150,
        },
        reroute_after: Duration::from_secs(10),
        route_slack: Duration::from_secs(1),
        control_lifetime: Duration::from_secs(10),
        security: None,
        bundles: BundleSettings::default(),
        counted_payloads: false,
        contracts: false,
        shared_state: None,
        trust: None,
        governance: None,
        discovery: None,
        sealing: None,
        plan: None,
    }
}
