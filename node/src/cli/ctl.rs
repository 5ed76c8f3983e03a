//! `cosmosmesh ctl`: asks something of a node that runs.

use super::{CliError, Outcome};
use crate::{
    adapter::attach, client::Client, config::Config, message::Message, metrics::PeerStatus, token::Token,
};
use clap::{Args, Subcommand, ValueEnum};
use cosmosmesh_protocol::{
    envelope::Purpose,
    id::{EndpointId, NodeId},
};
use serde::Serialize;
use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _, Write},
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Asks something of a node that runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh ctl --config rover.ron status
  cosmosmesh ctl --config rover.ron send 2 'dust storm'
  cosmosmesh ctl --config habitat.ron --json receive --wait-s 10
  cosmosmesh ctl --control 127.0.0.1:7480 --token state/token peers
  cosmosmesh ctl --config rover.ron state put site airlock open
  cosmosmesh ctl --config rover.ron log --entry 0

Exit codes: 0 done; 1 the answer is no (not ready, nothing received, no plan committed); 2 bad usage, or nobody answers.")]
pub struct CtlArgs {
    /// The node's control address.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "config", conflicts_with = "config")]
    control: Option<SocketAddr>,
    /// The node's configuration, which says the address and where the token is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The file of the node's token, `token` in its state folder. Without it, --control gets no more than metrics.
    #[arg(long, value_name = "FILE", requires = "control")]
    token: Option<PathBuf>,
    /// Answer in JSON, one value a line.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    request: Request,
}

#[derive(Debug, Subcommand)]
enum Request {
    /// How the node is.
    Status,
    /// Its peers, and whether they can be reached.
    Peers,
    /// Contacts that are open now.
    Contacts,
    /// The plan: its round, prices, and what this node's asset plans.
    Plan {
        /// Begins a later horizon, as this file tells it. Every node that takes part is told, the coordinator last.
        #[arg(long, value_name = "FILE")]
        next: Option<PathBuf>,
    },
    /// Its counters, as OpenMetrics text.
    Metrics,
    /// Sends a message to a member of the fleet.
    Send {
        /// The member's number.
        to: u64,
        #[command(flatten)]
        payload: Payload,
        /// What for.
        #[arg(long, value_enum, default_value = "telemetry")]
        purpose: PurposeName,
    },
    /// Sends a plain bundle to any endpoint.
    Bundle {
        /// The endpoint, such as `dtn://peer/in` or `ipn:9.1`.
        to: EndpointId,
        #[command(flatten)]
        payload: Payload,
    },
    /// Takes messages out of the inbox, and prints them.
    Receive {
        /// How long to wait for the first one, in seconds.
        #[arg(long, default_value_t = 0)]
        wait_s: u32,
        /// How many at most.
        #[arg(long, default_value_t = 1)]
        most: u32,
        /// Leave them in the inbox.
        #[arg(long)]
        keep: bool,
    },
    /// Runs a program as the node's application: it speaks JSON lines on its standard input and output, and its end is ours.
    Attach {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<OsString>,
    },
    /// Tells the node what the authority has signed since: certificates, and keys that were taken back. It tells the others.
    Learn {
        /// Files of statements.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Takes a member's key back, at the node that holds the authority's key, and prints the list for `learn`. It tells its neighbours at
    /// once, and they tell theirs.
    Revoke(super::revoke::Revoke),
    /// The node's tamper-evident log: how long it is, an entry with its proof, or a copy for `audit`.
    Log(super::ledger::Log),
    /// The state that the fleet shares: maps, registers, sets and counters.
    State(super::state::State),
    /// Shuts the node down in order.
    Shutdown,
}

#[derive(Debug, Args)]
struct Payload {
    /// What it says; standard input without it.
    text: Option<String>,
    /// A file that holds what it says.
    #[arg(long, conflicts_with = "text")]
    file: Option<PathBuf>,
    /// How long it is worth delivering, in seconds.
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    lifetime_s: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PurposeName {
    Telemetry,
    Command,
    Event,
}

impl Payload {
    fn read(&self) -> Result<Vec<u8>, CliError> {
        match (&self.text, &self.file) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(path)) => {
                fs::read(path).map_err(|source| CliError::File { path: path.clone(), source })
            }
            (None, None) => {
                let mut bytes = Vec::new();
                let path = PathBuf::from("standard input");
                let read = io::stdin().lock().read_to_end(&mut bytes);
                read.map(|_| bytes).map_err(|source| CliError::File { path, source })
            }
        }
    }

    const fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_s)
    }
}

pub(super) fn execute(args: &CtlArgs) -> Result<Outcome, CliError> {
    let client = connect(args)?;
    let out = &mut io::stdout().lock();
    match &args.request {
        Request::Status => {
            let health = client.health()?;
            if args.json {
                tell(out, &health)?;
            } else {
                let ready = if health.ready { "ready" } else { "not ready" };
                writeln!(
                    out,
                    "node {} ({}), {}: {ready}\n{}",
                    health.node, health.version, health.preset, health.did
                )?;
                health.troubles.iter().try_for_each(|trouble| writeln!(out, "  {trouble}"))?;
                health.listens.iter().try_for_each(|listens| writeln!(out, "listens: {listens}"))?;
            }
            Ok(if health.ready { Outcome::Done } else { Outcome::No })
        }
        Request::Peers => peers(out, args.json, client.peers()?),
        Request::Contacts => {
            peers(out, args.json, client.peers()?.into_iter().filter(|peer| peer.links_up > 0).collect())
        }
        Request::Plan { next: Some(file) } => next_horizon(&client, out, args.json, file),
        Request::Plan { next: None } => plan(&client, out, args.json),
        Request::Metrics => {
            out.write_all(client.metrics()?.as_bytes())?;
            Ok(Outcome::Done)
        }
        Request::Send { to, payload, purpose } => {
            let purpose = match purpose {
                PurposeName::Telemetry => Purpose::Telemetry,
                PurposeName::Command => Purpose::Command,
                PurposeName::Event => Purpose::Event,
            };
            let accepted = client.send(NodeId(*to), purpose, payload.lifetime(), &payload.read()?)?;
            if args.json {
                tell(out, &accepted)?;
            } else {
                writeln!(out, "accepted as number {}", accepted.sequence)?;
            }
            Ok(Outcome::Done)
        }
        Request::Bundle { to, payload } => {
            let accepted = client.send_bundle(to, payload.lifetime(), &payload.read()?)?;
            if args.json {
                tell(out, &accepted)?;
            } else {
                writeln!(
                    out,
                    "accepted, created {} number {}",
                    accepted.created_ms.unwrap_or(0),
                    accepted.sequence
                )?;
            }
            Ok(Outcome::Done)
        }
        Request::Receive { wait_s, most, keep } => receive(&client, out, args.json, (*wait_s, *most, *keep)),
        Request::Attach { program } => attach_program(&client, &connect(args)?, program),
        Request::Learn { files } => learn(&client, out, args.json, files),
        Request::Revoke(revoke) => super::revoke::execute(&client, out, args.json, revoke),
        Request::Log(log) => super::ledger::execute(&client, out, args.json, log),
        Request::State(state) => super::state::execute(&client, out, args.json, state),
        Request::Shutdown => {
            client.shutdown()?;
            Ok(Outcome::Done)
        }
    }
}

fn plan(client: &Client, out: &mut impl Write, json: bool) -> Result<Outcome, CliError> {
    let view = client.plan()?;
    match &view {
        _ if json => tell(out, &view)?,
        Some(view) => write!(out, "{view}")?,
        None => writeln!(out, "no plan, or none that has begun")?,
    }
    let committed = view.is_some_and(|view| view.committed.is_some());
    Ok(if committed { Outcome::Done } else { Outcome::No })
}

fn next_horizon(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    file: &PathBuf,
) -> Result<Outcome, CliError> {
    let text = fs::read_to_string(file).map_err(|source| CliError::File { path: file.clone(), source })?;
    let horizon = client.next_horizon(&text)?;
    if json {
        tell(out, &horizon)?;
    } else {
        writeln!(out, "horizon {horizon} begins here")?;
    }
    Ok(Outcome::Done)
}

fn learn(client: &Client, out: &mut impl Write, json: bool, files: &[PathBuf]) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::Done;
    for file in files {
        let text = fs::read_to_string(file);
        let text = text.map_err(|source| CliError::File { path: file.clone(), source })?;
        let name = file.display();
        for learned in client.learn(&text)? {
            // What is known already is no news, and no mistake.
            if learned.as_ref().is_err_and(|refusal| refusal.reason != "trust_stale") {
                outcome = Outcome::No;
            }
            match learned {
                learned if json => tell(out, &learned)?,
                Ok(()) => writeln!(out, "{name}: learned")?,
                Err(refusal) => writeln!(out, "{name}: {refusal}")?,
            }
        }
    }
    Ok(outcome)
}

fn attach_program(sending: &Client, receiving: &Client, program: &[OsString]) -> Result<Outcome, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    ctrlc::set_handler(move || told.store(true, Ordering::Release))
        .map_err(|error| CliError::Usage(error.to_string()))?;
    let (first, rest) = program.split_first().ok_or_else(|| CliError::Usage("no program".to_owned()))?;
    let status = attach(Command::new(first).args(rest), sending, receiving, &stop)?;
    Ok(if status.success() { Outcome::Done } else { Outcome::No })
}

fn connect(args: &CtlArgs) -> Result<Client, CliError> {
    if let Some(path) = &args.config {
        let config = Config::read_without_plan(path)?;
        return match config.control {
            Some(_) => Ok(Client::connect_to(&config)?),
            None => Err(CliError::Usage(format!("{}: it says no `control` address", path.display()))),
        };
    }
    let address = args.control.ok_or_else(|| CliError::Usage("no address".to_owned()))?;
    let token = args
        .token
        .as_ref()
        .map(|path| Token::read(path).map_err(|source| CliError::File { path: path.clone(), source }));
    Ok(Client::connect(address, token.transpose()?.as_ref())?)
}

pub(super) fn tell(out: &mut impl Write, value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(out, "{text}")?)
}

fn peers(out: &mut impl Write, json: bool, peers: Vec<PeerStatus>) -> Result<Outcome, CliError> {
    if json {
        tell(out, &peers)?;
        return Ok(Outcome::Done);
    }
    for peer in peers {
        let state = if peer.links_up > 0 { "up" } else { "down" };
        let presence = peer.presence.map_or_else(String::new, |presence| format!("  {presence:<7}"));
        let barred = peer.barred.map_or_else(String::new, |why| format!("  {why}"));
        let (node, via, addresses) = (peer.node, peer.via, peer.addresses.join(", "));
        let line = format!("{node:>8}  {state:<4}{presence}  {via}  {addresses}{barred}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(Outcome::Done)
}

fn receive(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    (wait_s, most, keep): (u32, u32, bool),
) -> Result<Outcome, CliError> {
    let mut patience = Duration::from_secs(u64::from(wait_s));
    let mut last: Option<Message> = None;
    for _ in 0..most {
        let Some(message) = client.receive(patience)? else { break };
        patience = Duration::ZERO;
        if json {
            tell(out, &message)?;
        } else {
            let purpose = message.purpose.as_deref().unwrap_or("bundle");
            let text = String::from_utf8_lossy(&message.payload);
            writeln!(out, "{} {purpose} {}: {text}", message.source, message.sequence)?;
        }
        last = Some(message);
    }
    out.flush()?;
    // Taken only when they are printed.
    match &last {
        Some(message) if !keep => client.take(message)?,
        _ => {}
    }
    Ok(if last.is_some() { Outcome::Done } else { Outcome::No })
}
