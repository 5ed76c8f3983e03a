//! A warehouse: a dispatcher sends orders to three robots, one of which is switched off half-way and comes back. Sessions are inside of TLS, by the
//! members' own keys; every order is signed, durable, carried out once and confirmed.
//!
//! ```text
//! robot 2 ──┐
//! robot 3 ──┼── TLS ──► dispatcher (node 1)
//! robot 4 ──┘
//! ```
//!
//! All have the preset `Production`: what was accepted survives a power loss, and nobody takes a bundle that its sender did not sign.
//!
//! `cargo run --package cosmosmesh-node --example warehouse_fleet`

use cosmosmesh_node::{Client, Config, key};
use cosmosmesh_protocol::{
    contract::{Record, Registry, Value},
    envelope::Purpose,
    id::NodeId,
};
use std::{error::Error, net::TcpListener, path::Path, thread, time::Duration};

type Failure = Box<dyn Error + Send + Sync>;

const DISPATCHER: NodeId = NodeId(1);
const ROBOTS: [u64; 3] = [2, 3, 4];
const ORDERS_EACH: u32 = 4;
const LIFETIME: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration: quick to send again, since all is on one machine.
fn configure(folder: &Path, node: u64, rest: &str) -> Result<Config, Failure> {
    let text = format!(
        "(node: {node}, state: \"node-{node}\", tls: Require, {rest}, limits: (retransmission_ms: 500))"
    );
    Ok(Config::parse("warehouse", &text, folder)?)
}

/// Carries out so many orders, and confirms each.
fn work(robot: &Client, orders: u32) -> Result<(), Failure> {
    let contracts = Registry::standard();
    let event = contracts.newest("event").ok_or("no contract of events")?;
    for _ in 0..orders {
        let order = robot.receive(PATIENCE)?.ok_or("no order")?;
        let Some(Value::Text(action)) = contracts.read(&order.payload)?.fields.remove(&1) else {
            return Err("an order without an action".into());
        };
        let done = Record::new(event)
            .with(1, Value::Uint(order.created_ms))
            .with(2, Value::Text("done".to_owned()))
            .with(3, Value::Uint(6))
            .with(4, Value::Text(action));
        done.check(event)?;
        robot.send(DISPATCHER, Purpose::Event, LIFETIME, &done.encode())?;
        // Taken only now: a robot that fails before does it again.
        robot.take(&order)?;
    }
    Ok(())
}

/// Waits until the dispatcher has acknowledged so many confirmations: what a robot that is switched off still has, nobody sees.
fn settle(robot: &Client, confirmations: u32) -> Result<(), Failure> {
    let line = format!("fate=\"acknowledged\",purpose=\"event\"}} {confirmations}\n");
    for _ in 0..PATIENCE.as_millis() / 20 {
        if robot.metrics()?.contains(&line) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err("a confirmation was not acknowledged".into())
}

#[expect(clippy::print_stdout, reason = "an example shows what happens")]
fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let did = |node: u64| -> Result<String, Failure> {
        let path = folder.path().join(format!("node-{node}")).join("key");
        Ok(key::did(&key::read_or_create(&path)?).to_string())
    };
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut peers = String::new();
    for robot in ROBOTS {
        peers += &format!("(node: {robot}, did: \"{}\", via: Inbound), ", did(robot)?);
    }
    let rest = format!("preset: Production, listen: (tcpcl: \"{address}\"), peers: [{peers}]");
    let dispatcher = Client::embed(configure(folder.path(), DISPATCHER.0, &rest)?)?;
    let dispatcher_did = did(DISPATCHER.0)?;
    let start = |robot: u64| -> Result<Client, Failure> {
        let peer = format!("(node: 1, did: \"{dispatcher_did}\", via: Tcpcl(\"{address}\"))");
        Ok(Client::embed(configure(folder.path(), robot, &format!("preset: Production, peers: [{peer}]"))?)?)
    };

    let contracts = Registry::standard();
    let command = contracts.newest("command").ok_or("no contract of commands")?;
    for number in 1..=ORDERS_EACH {
        for robot in ROBOTS {
            let action = format!("fetch shelf {robot}-{number}");
            let order = Record::new(command).with(1, Value::Text(action)).encode();
            dispatcher.send(NodeId(robot), Purpose::Command, LIFETIME, &order)?;
        }
    }
    println!("{} orders are durable, and no robot is switched on", ORDERS_EACH * ROBOTS.len() as u32);

    thread::scope(|scope| -> Result<(), Failure> {
        let mut robots = Vec::new();
        for robot in ROBOTS {
            let start = &start;
            robots.push(scope.spawn(move || -> Result<(), Failure> {
                let client = start(robot)?;
                let before = if robot == ROBOTS[0] { ORDERS_EACH / 2 } else { ORDERS_EACH };
                work(&client, before)?;
                settle(&client, before)?;
                client.shutdown()?;
                if before < ORDERS_EACH {
                    println!("robot {robot} was switched off, and is switched on again");
                    let client = start(robot)?;
                    work(&client, ORDERS_EACH - before)?;
                    settle(&client, ORDERS_EACH - before)?;
                    client.shutdown()?;
                }
                Ok(())
            }));
        }
        for _ in 0..ORDERS_EACH * ROBOTS.len() as u32 {
            let event = dispatcher.receive(PATIENCE)?.ok_or("an order was not carried out")?;
            if let Some(Value::Text(detail)) = contracts.read(&event.payload)?.fields.get(&4) {
                println!("{}: done: {detail}", event.source);
            }
            dispatcher.take(&event)?;
        }
        for robot in robots {
            robot.join().expect("no robot panics")?;
        }
        Ok(())
    })?;
    let extra = dispatcher.receive(Duration::from_millis(500))?;
    println!("every order was carried out{}", if extra.is_none() { " once" } else { "" });
    dispatcher.shutdown()?;
    Ok(())
}
