//! `cosmosmesh ctl state`: the state that the fleet shares.

use super::{CliError, Outcome, ctl::tell};
use crate::{
    client::Client,
    state::{Bytes, StateItem, StateKind, StateQuery, StateWrite},
};
use clap::{Args, Subcommand};
use std::{
    io::{self, Read as _, Write},
    path::PathBuf,
    time::Duration,
};

#[derive(Debug, Args)]
#[command(after_help = "Names, keys and values are text, or `hex:` and two digits for each byte.

Examples:
  cosmosmesh ctl --config rover.ron state put site airlock open
  cosmosmesh ctl --config habitat.ron state get site airlock
  cosmosmesh ctl --config habitat.ron state list site
  cosmosmesh ctl --config habitat.ron --json state watch")]
pub(super) struct State {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Writes a key of a map.
    Put {
        /// The map.
        map: String,
        /// The key.
        key: String,
        /// What to write; standard input without it.
        value: Option<String>,
    },
    /// Prints the value of a key of a map; of a register without a key. Ends with 1 where there is none.
    Get {
        /// The map, or the register.
        name: String,
        /// The key.
        key: Option<String>,
    },
    /// Removes a key of a map.
    Remove {
        /// The map.
        map: String,
        /// The key.
        key: String,
    },
    /// Writes a register.
    Register {
        /// The register.
        register: String,
        /// What to write; standard input without it.
        value: Option<String>,
    },
    /// Adds a member to a set.
    Add {
        /// The set.
        set: String,
        /// The member.
        member: String,
    },
    /// Removes a member from a set.
    Drop {
        /// The set.
        set: String,
        /// The member.
        member: String,
    },
    /// Adds to a counter.
    Count {
        /// The counter.
        counter: String,
        /// How much.
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        by: i64,
    },
    /// All objects, or all that is in one.
    List {
        /// The object.
        name: Option<String>,
        /// Of this kind only: map, register, set or counter.
        #[arg(long, value_parser = kind)]
        kind: Option<StateKind>,
    },
    /// Prints what others write to maps and registers, until it is interrupted.
    Watch {
        /// For so long at most, in seconds.
        #[arg(long)]
        for_s: Option<u64>,
    },
}

fn kind(word: &str) -> Result<StateKind, String> {
    word.parse().map_err(|()| "expected map, register, set or counter".to_owned())
}

fn bytes(text: &str) -> Result<Bytes, CliError> {
    Bytes::read(text).ok_or_else(|| CliError::Usage(format!("{text}: not pairs of hexadecimal digits")))
}

fn value(text: Option<&String>) -> Result<Bytes, CliError> {
    if let Some(text) = text {
        return bytes(text);
    }
    let mut read = Vec::new();
    let path = PathBuf::from("standard input");
    io::stdin().lock().read_to_end(&mut read).map_err(|source| CliError::File { path, source })?;
    Ok(Bytes(read))
}

pub(super) fn execute(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    args: &State,
) -> Result<Outcome, CliError> {
    let write = match &args.what {
        What::Put { map, key, value: text } => {
            StateWrite::Put { map: bytes(map)?, key: bytes(key)?, value: value(text.as_ref())? }
        }
        What::Remove { map, key } => StateWrite::Remove { map: bytes(map)?, key: bytes(key)? },
        What::Register { register, value: text } => {
            StateWrite::Register { register: bytes(register)?, value: value(text.as_ref())? }
        }
        What::Add { set, member } => StateWrite::Add { set: bytes(set)?, member: bytes(member)? },
        What::Drop { set, member } => StateWrite::Drop { set: bytes(set)?, member: bytes(member)? },
        What::Count { counter, by } => StateWrite::Count { counter: bytes(counter)?, by: *by },
        What::Get { name, key } => return get(client, out, json, name, key.as_ref()),
        What::List { name, kind } => return list(client, out, json, name.as_ref(), *kind),
        What::Watch { for_s } => return watch(client, out, json, *for_s),
    };
    let dot = client.write_state(write)?;
    if json {
        tell(out, &dot)?;
    } else {
        writeln!(out, "written as number {}", dot.sequence)?;
    }
    Ok(Outcome::Done)
}

/// The value alone, as it was written.
fn get(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    name: &str,
    key: Option<&String>,
) -> Result<Outcome, CliError> {
    let kind = Some(if key.is_some() { StateKind::Map } else { StateKind::Register });
    let (name, key) = (Some(bytes(name)?), key.map(|key| bytes(key)).transpose()?);
    let found = client.read_state(StateQuery { kind, name, key, ..StateQuery::default() })?;
    let Some((item, value)) = found.first().and_then(|item| Some((item, item.value.as_ref()?))) else {
        return Ok(Outcome::No);
    };
    if json {
        tell(out, item)?;
    } else {
        out.write_all(&value.0)?;
        writeln!(out)?;
    }
    Ok(Outcome::Done)
}

fn list(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    name: Option<&String>,
    kind: Option<StateKind>,
) -> Result<Outcome, CliError> {
    let name = name.map(|name| bytes(name)).transpose()?;
    let kinds = kind.map_or_else(|| StateKind::ALL.to_vec(), |kind| vec![kind]);
    let mut is_empty = true;
    for kind in kinds {
        let mut after = None;
        loop {
            let (kind, name) = (Some(kind), name.clone());
            let items = client.read_state(StateQuery { kind, name, after, ..StateQuery::default() })?;
            for item in &items {
                print(out, json, item)?;
            }
            is_empty &= items.is_empty();
            // Of a register or a counter, nothing follows.
            after = items.last().map(|last| last.key.clone().unwrap_or_else(|| last.name.clone()));
            if after.is_none() {
                break;
            }
        }
    }
    Ok(if is_empty { Outcome::No } else { Outcome::Done })
}

fn watch(client: &Client, out: &mut impl Write, json: bool, for_s: Option<u64>) -> Result<Outcome, CliError> {
    let (begun, longest) = (crate::clock::monotonic(), for_s.map(Duration::from_secs));
    let mut after = client.state_changes(None, Duration::ZERO)?.next;
    loop {
        let left = longest.map_or(Duration::from_secs(10), |longest| longest.saturating_sub(begun.elapsed()));
        if left.is_zero() {
            return Ok(Outcome::Done);
        }
        let changes = client.state_changes(Some(after), left.min(Duration::from_secs(10)))?;
        if changes.missed {
            writeln!(io::stderr(), "changes were missed: `state list` tells all that there is")?;
        }
        changes.items.iter().try_for_each(|item| print(out, json, item))?;
        out.flush()?;
        after = changes.next;
    }
}

fn print(out: &mut impl Write, json: bool, item: &StateItem) -> Result<(), CliError> {
    if json {
        return tell(out, item);
    }
    Ok(writeln!(out, "{item}")?)
}
