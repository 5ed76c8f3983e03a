//! Configurations of daemons that are assets of a scenario: the same number, key and neighbours.

use super::{Binding, Session};
use crate::{
    engine::{RandomStreams, Stream},
    runtime::keys_of,
    scenario::Scenario,
    units::AssetIndex,
};
use cosmosmesh_protocol::identity::Did;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Largest datagram that such a daemon sends; the door cuts bundles to the link's frames.
const UDP_BYTES: u32 = 16_384;

/// Why no configuration can be written.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// A binding that no daemon can be at the other end of.
    #[error("{binding}: {reason}")]
    Binding {
        /// The binding.
        binding: String,
        /// Why.
        reason: &'static str,
    },
    /// Somebody's identity is there already.
    #[error("{}: holds another key, and is not replaced", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Writes `ASSET/node.ron` and `ASSET/state/key` (mode 0600) into `folder` for each `udpcl` binding; gives the configurations' paths.
///
/// The keys are those of the scenario with this seed: whoever has the one has the other.
///
/// # Errors
/// [`NodesError`].
pub fn write_nodes(
    folder: &Path,
    bindings: &[Binding],
    session: &Session,
    scenario: &Scenario,
    seed: u64,
) -> Result<Vec<PathBuf>, NodesError> {
    let streams = RandomStreams::new(seed);
    let (mut written, mut assets) = (Vec::new(), BTreeSet::new());
    for (binding, one) in bindings.iter().zip(&session.reality.interfaces) {
        if binding.transport != "udpcl" {
            continue;
        }
        let wrong = |reason| NodesError::Binding { binding: binding.to_string(), reason };
        let (theirs, ours) = binding
            .address
            .split_once('@')
            .ok_or_else(|| wrong("a daemon needs to know where to send: udpcl:PEER@LOCAL"))?;
        let peer = one
            .peer
            .ok_or_else(|| wrong("a daemon tells neighbours apart by their addresses: ASSET/RADIO>PEER"))?;
        if !assets.insert(one.asset) {
            return Err(wrong("the asset has two such bindings; one daemon gets one neighbour here"));
        }
        let home = folder.join(&binding.asset);
        let state = home.join("state");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| NodesError::Io { path, source }
        };
        fs::create_dir_all(&state).map_err(failed(&state))?;
        let key = state.join("key");
        if !write_key(&key, streams.seed_256(Stream::Identity, u64::from(one.asset.0)))
            .map_err(failed(&key))?
        {
            return Err(NodesError::Key { path: key });
        }
        let config = home.join("node.ron");
        let text = configuration(scenario, &streams, (one.asset, peer), (theirs, ours));
        fs::write(&config, text).map_err(failed(&config))?;
        written.push(config);
    }
    Ok(written)
}

/// Writes a key, if it is not there already; says whether it is there now, and not another one.
fn write_key(path: &Path, seed: [u8; 32]) -> io::Result<bool> {
    let digits: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("ed25519-seed {digits}\n");
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return Ok(found? == text),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())?;
    Ok(true)
}

fn configuration(
    scenario: &Scenario,
    streams: &RandomStreams,
    (own, neighbour): (AssetIndex, AssetIndex),
    (theirs, ours): (&str, &str),
) -> String {
    let mut text =
        format!("// {} of the scenario {}, as a daemon.\n(\n", scenario.asset(own).name, scenario.name);
    // Its control, always of this machine, has the port's number over TCP.
    let control = format!("127.0.0.1:{}", theirs.rsplit(':').next().unwrap_or("0"));
    let retransmission = (scenario.protocol.retransmission.min_timeout.0 / 1_000_000).clamp(100, 3_600_000);
    let _ = writeln!(text, "    node: {},", scenario.asset(own).node.0);
    let _ = writeln!(
        text,
        "    preset: {},",
        if scenario.protocol.signs_bundles { "Production" } else { "Development" }
    );
    let _ = writeln!(
        text,
        "    state: \"state\",\n    control: \"{control}\",\n    listen: (udp: \"{theirs}\"),\n    peers: ["
    );
    for (index, asset) in scenario.assets.iter().enumerate() {
        let index = AssetIndex(index as u32);
        if index == own {
            continue;
        }
        let did = Did::new(keys_of(streams, index).public().clone());
        let via = if index == neighbour { format!("Udp(\"{ours}\")") } else { "Others".to_owned() };
        let _ = writeln!(
            text,
            "        (node: {}, did: \"{did}\", via: {via}),  // {}",
            asset.node.0, asset.name
        );
    }
    let _ = writeln!(text, "    ],\n    routes: [");
    let through = scenario.asset(neighbour).node.0;
    for (index, asset) in scenario.assets.iter().enumerate() {
        if index != own.get() && index != neighbour.get() {
            let _ = writeln!(text, "        (to: {}, via: {through}),", asset.node.0);
        }
    }
    let _ = writeln!(
        text,
        "    ],\n    limits: (udp_bytes: {UDP_BYTES}, retransmission_ms: {retransmission}),\n)"
    );
    text
}
