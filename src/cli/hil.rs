//! `cosmosmesh hil`: a part of a scenario is real, in real time.

use super::{
    CliError, Outcome,
    flight::{Beside, Output, Request, fly_loaded},
    interrupt,
    replay::again,
};
use crate::{
    engine::Fingerprint,
    hil::{
        Attachment, Binding, ClockMode, Ended, JournalWriter, LagPolicy, Live, Mailbox, Session,
        SessionReport, Setup, open, write_nodes,
    },
    scenario::{Scenario, parse_duration},
    units::SimTime,
};
use clap::Args;
use std::{
    io::{self, BufRead as _, Write},
    num::NonZeroUsize,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// Runs a scenario in real time with a part of it real, and logs the session so that it can be replayed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh hil scenarios/hil_link.ron --bind rover/uhf=udp:127.0.0.1:9001
  cosmosmesh hil scenarios/hil_link.ron --bind rover/uhf=udpcl:127.0.0.1:4561@127.0.0.1:4560 --wall-clock
  cosmosmesh hil scenarios/hil_link.ron --emulate-link --bind rover/uhf=udpcl:127.0.0.1:4561@127.0.0.1:4571 \\
      --bind habitat/uhf=udpcl:127.0.0.1:4562@127.0.0.1:4572
  cosmosmesh hil scenarios/hil_link.ron --attach 'rover=python3 node/examples/adapters/rover.py 2'
  cosmosmesh replay runs/hil_link.hil

A bound asset is not simulated: what comes in by its interface is sent by its radio, with that radio's airtime and queue, and what reaches it after \
the link's delay, windows and loss goes out. ASSET/RADIO>PEER binds the way to one peer; without a peer, what comes in reaches all that the radio serves. With --bind-way the asset is simulated, and only the way to the \
peer is real: bind both ends, and two real modems carry what two simulated nodes say.

Transports: udp:PEER[@LOCAL] (a datagram is a frame of the link); udpcl:PEER[@LOCAL] (a datagram is a bundle, as between daemons); and in a program built \
with the feature `daemon` kiss:HOST:PORT[#OWN>PEER] and serial:DEVICE[@BAUD][#OWN>PEER] (a KISS modem, with callsigns; frames of at most 256 bytes), meshtastic:HOST:PORT or :DEVICE (a real radio; frames of at most 233 \
bytes), meshtastic-radio:HOST:PORT (an emulated radio, for programs that drive a real one; also at every other asset, beside its node).

--attach needs the feature `daemon` too. The node stays simulated: what the program sends is submitted to it, beside what the scenario gives the asset to do, and \
what is delivered to the asset is told to the program. `take` lets more messages come (64 are given ahead). The session goes on when a program ends.

The log holds the scenario, its seed (and with it the keys of all simulated nodes) and every real frame: its mode is 0600.

Exit codes: 0 done; 1 an oracle found a violation, or the lag limit was exceeded; 2 bad input, or the log cannot be written.")]
pub struct HilArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// A radio of an asset, and where its real side is.
    #[arg(long = "bind", value_name = "ASSET/RADIO[>PEER]=TRANSPORT:ADDRESS")]
    bindings: Vec<Binding>,
    /// The way from a simulated asset to its peer is real: what its radio sends there goes out, and what comes in it hears.
    #[arg(long = "bind-way", value_name = "ASSET/RADIO>PEER=TRANSPORT:ADDRESS")]
    ways: Vec<Binding>,
    /// A program, run by the shell, is the application of a simulated asset: it speaks JSON lines, as with `ctl attach` beside a daemon.
    #[arg(long = "attach", value_name = "ASSET=COMMAND")]
    attachments: Vec<Attachment>,
    /// Simulate only links: no node but those that are bound.
    #[arg(long)]
    emulate_link: bool,
    /// Write into this folder what daemons need to be the assets of udpcl bindings (ASSET/node.ron and its key), and end.
    #[arg(long, value_name = "DIR")]
    write_nodes: Option<PathBuf>,
    /// Simulated nodes go by this machine's time of day, as real ones do, instead of the scenario's.
    #[arg(long)]
    wall_clock: bool,
    /// How time passes: realtime, scaled(x), or stepped(duration), a step for each line on standard input.
    #[arg(long, value_name = "MODE", default_value = "realtime")]
    clock: ClockMode,
    /// What happens when the simulation is late: best-effort, hard-limit(duration), or slip(duration).
    #[arg(long, value_name = "POLICY", default_value = "best-effort")]
    lag: LagPolicy,
    /// The log [default: runs/NAME.hil]. One that is there already is kept: it gets a number.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Seed in place of the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The run folder [default: runs/NAME]. A run folder that is there is replaced at the end.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; the result does not depend on it.
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// Stop after this much simulated time, such as "10 min".
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    until: Option<SimTime>,
    /// Write the whole trace, one JSON object per line, to trace.jsonl in the run folder.
    #[arg(long)]
    trace: bool,
    /// Print one JSON object instead of a summary.
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<SimTime, String> {
    parse_duration(text)
        .filter(|time| *time > SimTime::ZERO)
        .ok_or_else(|| format!("`{text}` is not a duration above zero, such as \"10 min\""))
}

/// The place of something beside the run folders, by the scenario's name.
fn place(args: &HilArgs, extension: &str) -> PathBuf {
    let stem = args.scenario.file_stem().unwrap_or(args.scenario.as_os_str());
    let mut name = stem.to_owned();
    name.push(extension);
    Path::new("runs").join(name)
}

/// Runs it.
///
/// # Errors
/// As the exit codes say.
pub fn execute(args: &HilArgs) -> Result<Outcome, CliError> {
    let usage = |error: &dyn std::fmt::Display| CliError::Usage(error.to_string());
    if args.wall_clock && args.clock != ClockMode::Realtime {
        return Err(usage(
            &"--wall-clock needs --clock realtime: this machine's time of day is neither scaled nor stepped",
        ));
    }
    if args.lag != LagPolicy::BestEffort && matches!(args.clock, ClockMode::Stepped(_)) {
        return Err(usage(&"--lag has no meaning with --clock stepped: a step takes as long as it takes"));
    }
    if args.wall_clock && matches!(args.lag, LagPolicy::Slip(_)) {
        return Err(usage(
            &"--wall-clock and --lag slip: a clock that slips does not stay with the time of day",
        ));
    }
    let ways = args.ways.iter().cloned().map(|way| Binding { way: true, ..way });
    let bindings: Vec<Binding> = args.bindings.iter().cloned().chain(ways).collect();
    if bindings.is_empty() && args.attachments.is_empty() {
        return Err(usage(
            &"nothing is real: say --bind ASSET/RADIO=TRANSPORT:ADDRESS, --bind-way, or --attach ASSET=COMMAND",
        ));
    }
    let (scenario, files) = Scenario::load_with_files(&args.scenario)?;
    let mut session = Session::new(&bindings, &scenario).map_err(|error| usage(&error))?;
    for attachment in &args.attachments {
        session.attach(attachment, &scenario).map_err(|error| usage(&error))?;
    }
    session.reality.links_alone = args.emulate_link;
    let mut since = None;
    if args.wall_clock {
        let begins = session.go_by_time_of_day(&scenario);
        since = Some(begins.ok_or_else(|| usage(&"--wall-clock needs an epoch after the year 2000"))?);
    }
    session.reality.check(&scenario).map_err(|error| usage(&error))?;
    if let Some(folder) = &args.write_nodes {
        let seed = args.seed.unwrap_or(scenario.seed);
        let written =
            write_nodes(folder, &bindings, &session, &scenario, seed).map_err(|error| usage(&error))?;
        for path in written {
            writeln!(io::stdout(), "{}", path.display())?;
        }
        return Ok(Outcome::Done);
    }
    let seed = args.seed.unwrap_or(scenario.seed);
    let words = (args.clock.to_string(), args.lag.to_string());
    let header = session.header(&scenario, files, seed, args.until, words);
    // Better now than after the session.
    if let Err(error) = again(&header) {
        let reason =
            format!("a replay could not read it from the log, which has its files without links: {error}");
        return Err(CliError::Input { path: args.scenario.clone(), reason });
    }
    let mailbox = Arc::new(Mailbox::new(session.bindings.len()));
    let wires = open(&bindings, &session, &scenario, &mailbox).map_err(|error| usage(&error))?;
    for (binding, wire) in &wires {
        writeln!(io::stderr(), "{binding}: {}", wire.place())?;
    }
    let log = args.log.clone().unwrap_or_else(|| place(args, ".hil"));
    let journal = JournalWriter::create(&log, &header)
        .map_err(|error| CliError::Input { path: log.clone(), reason: error.to_string() })?;
    if matches!(args.clock, ClockMode::Stepped(_)) {
        step_by_lines(&mailbox)?;
    }
    let interrupted = interrupt::watch();
    let mut live = Live::new(Setup {
        mode: args.clock,
        policy: args.lag,
        door: session.door(&scenario),
        wires,
        mailbox,
        journal,
        since,
        stop: Box::new(move || interrupted.flow().is_break()),
    });
    let folder = args.out.clone().unwrap_or_else(|| place(args, ""));
    let request = Request {
        path: &args.scenario,
        seed: Some(seed),
        shift: 0,
        budget: None,
        threads: args.threads,
        until: args.until,
        output: Some(Output { folder, trace: args.trace, pcap: false }),
        solver: None,
    };
    let beside = Beside { reality: session.reality, outside: &mut live };
    let flown = fly_loaded(&request, scenario, beside, &mut |_| ControlFlow::Continue(()));
    let ended = live.ended().clone();
    let failed =
        |error: &dyn std::fmt::Display| CliError::Input { path: log.clone(), reason: error.to_string() };
    let flown = match (flown, live.at_end()) {
        (Ok(flown), _) => flown,
        (Err(error), None) => return Err(error),
        // The session was flown and is logged; only its run folder is not there.
        (Err(error), Some((end, fingerprint))) => {
            let report = live.finish(end, fingerprint).map_err(|error| failed(&error))?;
            tell(&report, fingerprint, &log)?;
            return Err(error);
        }
    };
    let report = live.finish(flown.end, flown.fingerprint).map_err(|error| failed(&error))?;
    if let Some(folder) = &flown.folder {
        let path = folder.join("hil.json");
        let text = serde_json::to_string_pretty(&report).map_err(|error| failed(&error))?;
        std::fs::write(&path, format!("{text}\n")).map_err(|source| CliError::File { path, source })?;
    }
    if args.json {
        let mut out = io::stdout().lock();
        let value = serde_json::json!({
            "fingerprint": flown.fingerprint.to_string(),
            "log": log,
            "folder": flown.folder,
            "session": report,
        });
        writeln!(out, "{value:#}")?;
    } else {
        tell(&report, flown.fingerprint, &log)?;
    }
    let good = flown.oracles.holds() && !matches!(ended, Ended::TooLate { .. });
    Ok(if good { Outcome::Done } else { Outcome::No })
}

fn tell(report: &SessionReport, fingerprint: Fingerprint, log: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    print(&mut out, report)?;
    writeln!(out, "fingerprint  {fingerprint}")?;
    writeln!(out, "log          {} (holds the seed, and so every simulated key)", log.display())
}

fn print(out: &mut impl Write, report: &SessionReport) -> io::Result<()> {
    let ms = |span: &crate::hil::SpanSummary| {
        format!("p50 {:.3} ms, p99 {:.3} ms, longest {:.3} ms", span.p50_ms, span.p99_ms, span.max_ms)
    };
    writeln!(out, "session      {} ({}, {})", report.reason, report.clock, report.policy)?;
    writeln!(out, "time         {:.3} s simulated in {:.3} s", report.simulated_s, report.wall_s)?;
    writeln!(out, "lag          {}; {} late", ms(&report.lag), report.late_events)?;
    if report.slips > 0 {
        writeln!(out, "slips        {}, {:.3} ms in all", report.slips, report.slipped_ms)?;
    }
    for one in &report.interfaces {
        writeln!(out, "{}", one.binding)?;
        writeln!(
            out,
            "  in         {} frames, {} bytes; {}",
            one.frames_in,
            one.bytes_in,
            ms(&one.in_delay)
        )?;
        writeln!(
            out,
            "  out        {} frames, {} bytes; {}",
            one.frames_out,
            one.bytes_out,
            ms(&one.out_delay)
        )?;
        let refused = [
            ("dropped", one.dropped),
            ("refused", one.refused),
            ("lines lost", one.lines_lost),
            ("too long", one.too_long),
            ("unreadable", one.unreadable),
            ("send errors", one.send_errors),
            ("stamped late", one.late_in),
        ];
        for (what, count) in refused.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "  {what:<10} {count}")?;
        }
    }
    Ok(())
}

/// A step for each line on standard input; its end is the session's.
fn step_by_lines(mailbox: &Arc<Mailbox>) -> io::Result<()> {
    let mailbox = mailbox.clone();
    thread::Builder::new().name("hil steps".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            // A number is so many steps.
            match line.trim() {
                "" => mailbox.step(1),
                number => match number.parse() {
                    Ok(steps) => mailbox.step(steps),
                    Err(_) => {
                        let _ = writeln!(
                            io::stderr(),
                            "`{number}` is no number of steps; an empty line is one step"
                        );
                    }
                },
            }
        }
        mailbox.end();
    })?;
    Ok(())
}
