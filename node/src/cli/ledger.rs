//! `cosmosmesh ctl log`: the node's tamper-evident log, an entry with its proof, and a copy for `cosmosmesh audit`.

use super::{CliError, Outcome, ctl::tell};
use crate::{client::Client, door::Health, folder, ledger::words, message::hex};
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

/// Writes the files of a run that `cosmosmesh audit` reads: `logs/node-N.log`, `logs/node-N.checkpoints`, and a line of `logs/members.csv`. They take their places when all
/// that is asked of the node is here: a copy of before stays until there is another.
fn export(client: &Client, out: &mut impl Write, run: &Path) -> Result<Outcome, CliError> {
    let (health, head) = (client.health()?, client.log()?);
    let (folder, name) = (run.join("logs"), format!("node-{}", health.node));
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let mut log = Beside::of(folder.join(format!("{name}.log")))?;
    let mut size = 0;
    // What came after the checkpoint nobody has signed yet.
    while size < head.size {
        let entries = client.log_entries(size, AT_ONCE.min(head.size - size))?;
        if entries.is_empty() {
            return Err(CliError::LogEnds { found: size, size: head.size });
        }
        size += entries.len() as u64;
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| cbor::put_bytes(&mut bytes, entry));
        log.write(&bytes)?;
    }

    let mut bytes = Vec::new();
    cbor::put_head(&mut bytes, cbor::ARRAY, 3);
    cbor::put_bytes(&mut bytes, &head.checkpoint);
    for list in [&head.seen_hex, &head.cosignatures_hex] {
        cbor::put_head(&mut bytes, cbor::ARRAY, list.len() as u64);
        list.iter().for_each(|signed| cbor::put_bytes(&mut bytes, &hex::bytes(signed).unwrap_or_default()));
    }
    let mut checkpoints = Beside::of(folder.join(format!("{name}.checkpoints")))?;
    checkpoints.write(&bytes)?;

    // Others who export into this run wait. Where a folder cannot be locked, nobody does.
    let _held = File::open(&folder).and_then(|folder| folder.lock().map(|()| folder));
    let mut members = Beside::of(folder.join("members.csv"))?;
    members.write(with_member(&members.path, &name, &health)?.as_bytes())?;
    // A log that is longer than its checkpoints say is one; a shorter one is none.
    log.put_in_place()?;
    checkpoints.put_in_place()?;
    members.put_in_place()?;
    writeln!(out, "{size} entries of {name} are in {}", folder.display())?;
    Ok(Outcome::Done)
}

/// The list of members with a node's line.
fn with_member(path: &Path, name: &str, health: &Health) -> Result<String, CliError> {
    let others = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{HEADER}\n"),
        Err(source) => return Err(failed(path)(source)),
    };
    let own = format!("{name},");
    let mut members: Vec<&str> = others.lines().filter(|line| !line.starts_with(&own)).collect();
    let line = format!("{name},{},{}", health.node, health.did);
    members.push(&line);
    Ok(format!("{}\n", members.join("\n")))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { path: path.clone(), source }
}

/// A file that is written beside its place, and takes it when it is whole. One that does not is removed.
struct Beside {
    path: PathBuf,
    beside: PathBuf,
    file: BufWriter<File>,
}

impl Beside {
    fn of(path: PathBuf) -> Result<Self, CliError> {
        let beside = folder::beside(&path).map_err(failed(&path))?;
        let file = File::create_new(&beside).map_err(failed(&beside))?;
        Ok(Self { path, beside, file: BufWriter::new(file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.file.write_all(bytes).map_err(failed(&self.beside))
    }

    fn put_in_place(mut self) -> Result<(), CliError> {
        let whole = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        whole.and_then(|()| fs::rename(&self.beside, &self.path)).map_err(failed(&self.path))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It has taken its place, or nobody misses it.
        let _ = fs::remove_file(&self.beside);
    }
}
