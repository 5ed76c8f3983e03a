//! `cosmosmesh ctl log`: the node's tamper-evident log, an entry with its proof, and a copy for `cosmosmesh audit`.

use super::{CliError, Outcome, ctl::tell};
use crate::{client::Client, ledger::words, message::hex};
use clap::Args;
use cosmosmesh_protocol::{
    cbor,
    identity::Did,
    log::{Entry, SignedCheckpoint},
};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Entries that are asked for at once.
const AT_ONCE: u64 = 4096;
const HEADER: &str = "name,node,did";

#[derive(Debug, Args)]
pub(super) struct Log {
    /// An entry, by its number from 0, with the proof that it is in the log as the node signs it now: it is checked before it is printed.
    #[arg(long, value_name = "NUMBER", conflicts_with = "export")]
    entry: Option<u64>,
    /// Copies the log into the folder of a run: with those of the other nodes in it, `cosmosmesh audit` verifies them against one another.
    #[arg(long, value_name = "RUN")]
    export: Option<PathBuf>,
}

pub(super) fn execute(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    args: &Log,
) -> Result<Outcome, CliError> {
    match (&args.entry, &args.export) {
        (Some(index), _) => entry(client, out, json, *index),
        (None, Some(run)) => export(client, out, run),
        (None, None) => head(client, out, json),
    }
}

fn head(client: &Client, out: &mut impl Write, json: bool) -> Result<Outcome, CliError> {
    let head = client.log()?;
    if json {
        tell(out, &head)?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "log of incarnation {}: {} entries", head.born, head.size)?;
    if let Ok(read) = SignedCheckpoint::parse(&head.checkpoint) {
        writeln!(out, "root {}", hex::digits(&read.claimed().root))?;
    }
    writeln!(out, "archived: {} segments, {} bytes", head.archived_segments, head.archived_bytes)?;
    let (seen, cosigned) = (head.seen_hex.len(), head.cosignatures_hex.len());
    writeln!(out, "{seen} checkpoints of others were seen; others have signed {cosigned} of its own")?;
    Ok(Outcome::Done)
}

fn entry(client: &Client, out: &mut impl Write, json: bool, index: u64) -> Result<Outcome, CliError> {
    let health = client.health()?;
    let did: Did = health.did.parse().map_err(|_| CliError::Usage(format!("{}: no did", health.did)))?;
    let proof = client.log_proof(index)?;
    let Entry { clock_ms, time, event, .. } = match proof.verify(did.key()) {
        Ok(entry) => entry,
        Err(error) => {
            writeln!(out, "entry {index} is NOT proven: {error}")?;
            return Ok(Outcome::No);
        }
    };
    if json {
        tell(out, &proof)?;
    } else {
        let (words, time) = (words(&event), time.0);
        writeln!(out, "entry {index}, {clock_ms} ms by the node's clock, {time} ms since 2000: {words}")?;
        writeln!(out, "proven: by {} hashes to what {did} has signed", proof.proof.len() / 32)?;
    }
    Ok(Outcome::Done)
}

/// Writes the files of a run that `cosmosmesh audit` reads: `logs/node-N.log`, `logs/node-N.checkpoints`, and a line of `logs/members.csv`.
fn export(client: &Client, out: &mut impl Write, run: &Path) -> Result<Outcome, CliError> {
    let (health, head) = (client.health()?, client.log()?);
    let (folder, name) = (run.join("logs"), format!("node-{}", health.node));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| CliError::File { path, source }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let path = folder.join(format!("{name}.log"));
    let mut file = BufWriter::new(File::create(&path).map_err(failed(&path))?);
    let mut size = 0;
    // What came after the checkpoint nobody has signed yet.
    while size < head.size {
        let entries = client.log_entries(size, AT_ONCE.min(head.size - size))?;
        if entries.is_empty() {
            return Err(CliError::Usage(format!("the log ends at {size} of {} entries", head.size)));
        }
        size += entries.len() as u64;
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| cbor::put_bytes(&mut bytes, entry));
        file.write_all(&bytes).map_err(failed(&path))?;
    }
    file.flush().map_err(failed(&path))?;

    let mut checkpoints = Vec::new();
    cbor::put_head(&mut checkpoints, cbor::ARRAY, 3);
    cbor::put_bytes(&mut checkpoints, &head.checkpoint);
    for list in [&head.seen_hex, &head.cosignatures_hex] {
        cbor::put_head(&mut checkpoints, cbor::ARRAY, list.len() as u64);
        list.iter()
            .for_each(|signed| cbor::put_bytes(&mut checkpoints, &hex::bytes(signed).unwrap_or_default()));
    }
    let path = folder.join(format!("{name}.checkpoints"));
    fs::write(&path, checkpoints).map_err(failed(&path))?;

    let path = folder.join("members.csv");
    let others = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{HEADER}\n"),
        Err(source) => return Err(CliError::File { path, source }),
    };
    let own = format!("{name},");
    let mut members: Vec<&str> = others.lines().filter(|line| !line.starts_with(&own)).collect();
    let line = format!("{name},{},{}", health.node, health.did);
    members.push(&line);
    fs::write(&path, format!("{}\n", members.join("\n"))).map_err(failed(&path))?;
    writeln!(out, "{size} entries of {name} are in {}", folder.display())?;
    Ok(Outcome::Done)
}
