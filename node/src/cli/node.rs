//! `cosmosmesh node`: runs a node until it is told to stop.

use super::{CliError, Outcome};
use crate::{
    config::Config,
    daemon::{Daemon, Start, StartError},
    key,
    log::{self, LogFormat, LogLevel},
    masks, opening,
};
use clap::Args;
use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

/// Runs a node until it is told to stop: by SIGTERM, by Ctrl-C, or by `ctl shutdown`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh node --config rover.ron --identity     print the node's did:key, for the configurations of others
  cosmosmesh node --config rover.ron --log json     run it")]
pub struct NodeArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print the public name of the node's key and end. The key is made where there is none.
    #[arg(long)]
    identity: bool,
    /// Print the line of this node's public keys for the masks of plans, for so many coordinators in a row, and end. The file of all lines is `keys` in
    /// `plan: (answers: Masked(...))`.
    #[arg(long, value_name = "EPOCHS", conflicts_with = "identity", value_parser = clap::value_parser!(u64).range(1..=masks::MAX_EPOCHS))]
    mask_keys: Option<u64>,
    /// A store that cannot be read is renamed, and an empty one begun. Messages in it are lost to the node; the file stays.
    #[arg(long)]
    set_aside_store: bool,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    log: LogFormat,
    /// What is logged.
    #[arg(long, value_enum, default_value_t)]
    log_level: LogLevel,
}

pub(super) fn execute(args: &NodeArgs) -> Result<Outcome, CliError> {
    if args.identity {
        let config = Config::read_without_plan(&args.config)?;
        let (keys, _) = opening::keys(&config, false).map_err(Box::new)?;
        writeln!(io::stdout().lock(), "{}", key::did(&keys))?;
        return Ok(Outcome::Done);
    }
    if let Some(epochs) = args.mask_keys {
        let config = Config::read_without_plan(&args.config)?;
        let (keys, _) = opening::keys(&config, false).map_err(Box::new)?;
        let line = masks::line(&config, &keys, epochs).map_err(StartError::from).map_err(Box::new)?;
        write!(io::stdout().lock(), "{line}")?;
        return Ok(Outcome::Done);
    }
    let config = Config::read(&args.config)?;
    log::start(args.log, args.log_level);
    let start = Start { set_aside_store: args.set_aside_store, ..Start::default() };
    let daemon = Arc::new(Daemon::start_with(config, start).map_err(Box::new)?);
    let stopped = Arc::downgrade(&daemon);
    // A second handler in one process is refused: then the first one stays.
    let _ = ctrlc::set_handler(move || {
        if let Some(daemon) = stopped.upgrade() {
            daemon.stop();
        }
    });
    // A defect of ours is no orderly end: whoever started it should start it again.
    Ok(if daemon.wait() { Outcome::Done } else { Outcome::No })
}
