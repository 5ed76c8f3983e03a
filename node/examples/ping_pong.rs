//! Two daemons in one process play ping-pong over TCPCLv4 on loopback, with signed messages and a durable store.
//!
//! ```text
//! rover (ipn:1) ── connects ──► habitat (ipn:2)
//! ```
//!
//! `cargo run --package cosmosmesh-node --example ping_pong`

use cosmosmesh_node::{Client, Config, key};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    error::Error,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

const ROVER: NodeId = NodeId(1);
const HABITAT: NodeId = NodeId(2);
const LIFETIME: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const ROUNDS: u32 = 10;

#[expect(clippy::print_stdout, reason = "an example shows what happens")]
#[expect(clippy::disallowed_methods, reason = "round trips are measured by the machine's clock")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    // Who is who: each knows the other's key before they meet.
    let did =
        |name: &str| key::read_or_create(&folder.path().join(name).join("key")).map(|keys| key::did(&keys));
    let (rover, habitat) = (did("rover")?, did("habitat")?);
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let configure = |text: String| Config::parse("example", &text, folder.path());
    let habitat_client = Client::embed(configure(format!(
        "(node: 2, state: \"habitat\", listen: (tcpcl: \"{address}\"),
          peers: [(node: 1, did: \"{rover}\", via: Inbound)])"
    ))?)?;
    let rover = Client::embed(configure(format!(
        "(node: 1, state: \"rover\", peers: [(node: 2, did: \"{habitat}\", via: Tcpcl(\"{address}\"))])"
    ))?)?;
    let habitat = habitat_client;

    thread::scope(|scope| {
        let answering = scope.spawn(|| -> Result<(), Box<dyn Error + Send + Sync>> {
            for _ in 0..ROUNDS {
                let ping = habitat.receive(PATIENCE)?.ok_or("no ping")?;
                habitat.send(
                    ROVER,
                    Purpose::Event,
                    LIFETIME,
                    &[b"pong to ".as_slice(), &ping.payload].concat(),
                )?;
                habitat.take(&ping)?;
            }
            Ok(())
        });
        for round in 1..=ROUNDS {
            let begun = Instant::now();
            rover.send(HABITAT, Purpose::Event, LIFETIME, format!("ping {round}").as_bytes())?;
            let pong = rover.receive(PATIENCE)?.ok_or("no pong")?;
            println!(
                "{} from {} after {:?}",
                String::from_utf8_lossy(&pong.payload),
                pong.source,
                begun.elapsed()
            );
            rover.take(&pong)?;
        }
        answering.join().expect("answering does not panic").map_err(|error| error.to_string())?;
        Ok::<(), Box<dyn Error>>(())
    })?;
    rover.shutdown()?;
    habitat.shutdown()?;
    Ok(())
}
