//! `cosmosmesh replay`: a logged session again, with a free clock.

use super::{
    CliError, Outcome,
    flight::{Beside, Output, Request, fly_loaded},
    interrupt,
};
use crate::{
    hil::{Header, JournalReader, Replay, Session, Tail},
    scenario::Scenario,
    units::SimTime,
};
use clap::Args;
use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
};

/// Runs a logged session again, with a free clock: the same fingerprint, bit for bit.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh replay runs/hil_link.hil
  cosmosmesh replay runs/hil_link.hil --out runs/again --trace

A log that was cut (the process was killed, the disk was full) is replayed as far as it goes.

Exit codes: 0 the same as the live session; 1 it differs, or the log was cut, so that there is nothing to compare with; 2 the log cannot be read.")]
pub struct ReplayArgs {
    /// The log of a session.
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Write a run folder, as `run` does.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; the result does not depend on it.
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// Write the whole trace to trace.jsonl in the run folder.
    #[arg(long, requires = "out")]
    trace: bool,
}

/// Runs it.
///
/// # Errors
/// As the exit codes say.
pub fn execute(args: &ReplayArgs) -> Result<Outcome, CliError> {
    let input =
        |error: &dyn std::fmt::Display| CliError::Input { path: args.log.clone(), reason: error.to_string() };
    let (reader, header) = JournalReader::open(&args.log).map_err(|error| input(&error))?;
    let (_folder, path, scenario) = again(&header)?;
    let hash: String = scenario.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if hash != header.scenario_hash {
        return Err(input(&"the scenario in it is not the one that was run"));
    }
    let session = Session::of_header(&header, &scenario).map_err(|error| input(&error))?;
    let mut replay = Replay::new(reader, session.door(&scenario), session.framings.len());
    let request = Request {
        path: &path,
        seed: Some(header.seed),
        shift: 0,
        budget: None,
        threads: args.threads,
        until: header.until_ns.map(SimTime),
        output: args.out.clone().map(|folder| Output { folder, trace: args.trace, pcap: false }),
        solver: None,
    };
    let interrupted = interrupt::watch();
    let beside = Beside { reality: session.reality, outside: &mut replay };
    let flown = fly_loaded(&request, scenario, beside, &mut |_| interrupted.flow())?;
    let found = replay.finish().map_err(|error| input(&error))?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "replayed     {} frames in, {} frames out, {:.3} s simulated",
        found.frames_in,
        found.frames_out,
        flown.end.as_secs_f64()
    )?;
    writeln!(out, "fingerprint  {}", flown.fingerprint)?;
    if header.version != env!("CARGO_PKG_VERSION") {
        writeln!(
            out,
            "version      the session was version {}, this program is {}",
            header.version,
            env!("CARGO_PKG_VERSION")
        )?;
    }
    if let Tail::Cut { bytes } = found.tail {
        writeln!(out, "cut          the log ends in the middle of a record: {bytes} bytes are left over")?;
    }
    if let Some((interface, sequence)) = found.different {
        writeln!(out, "different    frame {sequence} of interface {interface} is not what the session sent")?;
    }
    if found.missing > 0 {
        writeln!(out, "missing      {} frames that the session sent", found.missing)?;
    }
    // A log that was cut may lack what the session sent last.
    let extra = if found.end.is_some() { found.extra } else { 0 };
    if extra > 0 {
        writeln!(out, "too many     {extra} frames that the session did not send")?;
    }
    let Some(end) = found.end else {
        writeln!(out, "compared     with nothing: the log does not say how the session ended")?;
        return Ok(Outcome::No);
    };
    let same =
        end.fingerprint == flown.fingerprint && found.different.is_none() && found.missing + extra == 0;
    if same {
        writeln!(out, "compared     the same as the live session ({})", end.reason)?;
    } else {
        writeln!(out, "compared     NOT the same: the live session reached {}", end.fingerprint)?;
    }
    Ok(if same { Outcome::Done } else { Outcome::No })
}

/// The scenario of a log, with the folder where it lies and its path there.
///
/// # Errors
/// [`CliError`] when the files of the log are no scenario.
pub(super) fn again(header: &Header) -> Result<(Scratch, PathBuf, Scenario), CliError> {
    let folder = Scratch::new()?;
    let path = header.unpack(&folder.0)?.map_err(|error| CliError::Usage(error.to_string()))?;
    let scenario = Scenario::load(&path)?;
    Ok((folder, path, scenario))
}

/// A folder for the scenario's files, removed at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        // Never one that is there: somebody else may have made it.
        let made = (0..100).map(|number| {
            let path =
                std::env::temp_dir().join(format!("cosmosmesh-replay-{}-{number}", std::process::id()));
            let mut builder = std::fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .create(&path)
                .map(|()| Self(path.clone()))
                .map_err(|source| CliError::File { path, source })
        });
        let mut last = None;
        for one in made {
            match one {
                Err(CliError::File { source, path }) if source.kind() == io::ErrorKind::AlreadyExists => {
                    last = Some(CliError::File { source, path });
                }
                other => return other,
            }
        }
        Err(last.unwrap_or(CliError::Interrupted))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system clears its folder for such files sooner or later.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
