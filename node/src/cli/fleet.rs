//! `cosmosmesh up` and `down`: a fleet on this machine, with keys and configurations made for it.

use super::{CliError, Outcome};
use crate::{client::Client, clock::monotonic, config::Config, key};
use clap::Args;
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// How long a fleet may take to find each other, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a fleet of nodes on this machine, each connected with each. What `down` stopped goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh up 3                                  three nodes in the folder mesh
  cosmosmesh ctl --config mesh/node-1/node.ron send 2 hello
  cosmosmesh ctl --config mesh/node-2/node.ron receive --wait-s 5
  cosmosmesh down")]
pub struct UpArgs {
    /// How many nodes, 2 to 32.
    #[arg(value_parser = clap::value_parser!(u64).range(2..=32))]
    nodes: u64,
    /// Where their configurations, keys, stores and logs are.
    #[arg(long, default_value = "mesh")]
    folder: PathBuf,
}

/// Stops the fleet that `up` started. Its folder stays, with all that the nodes keep.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// The folder that `up` was given.
    #[arg(long, default_value = "mesh")]
    folder: PathBuf,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { path, source }
}

fn config_file(folder: &Path, node: u64) -> PathBuf {
    folder.join(format!("node-{node}")).join("node.ron")
}

pub(super) fn up(args: &UpArgs) -> Result<Outcome, CliError> {
    let files: Vec<PathBuf> = (1..=args.nodes).map(|node| config_file(&args.folder, node)).collect();
    match files.iter().filter(|file| file.exists()).count() {
        0 => make_fleet(args)?,
        found if found == files.len() && !config_file(&args.folder, args.nodes + 1).exists() => {}
        _ => {
            let folder = args.folder.display();
            return Err(CliError::Usage(format!(
                "{folder}: holds a fleet of another size: give another --folder"
            )));
        }
    }
    let mut started: Vec<(PathBuf, Child)> = Vec::new();
    let outcome = start_fleet(&files, &mut started).and_then(|()| wait_until_joined(&files, &mut started));
    if outcome.is_err() {
        // A fleet is there as a whole or not at all.
        for (_, child) in &mut started {
            let _ = child.kill();
            let _ = child.wait();
        }
        return outcome.map(|()| Outcome::Done);
    }
    let out = &mut io::stdout().lock();
    for ((file, child), node) in started.iter().zip(1_u64..) {
        let control = control_of(file)?;
        writeln!(out, "node {node}: control {control}, process {}, {}", child.id(), file.display())?;
    }
    Ok(Outcome::Done)
}

/// Keys and configurations: the node with the lower number connects to the one with the higher.
fn make_fleet(args: &UpArgs) -> Result<(), CliError> {
    // Held all at once, so that no port is given twice.
    let listeners: Vec<TcpListener> =
        (0..2 * args.nodes).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    let ports: Vec<SocketAddr> = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let (control, tcpcl) = ports.split_at(ports.len() / 2);
    let mut names = Vec::new();
    for node in 1..=args.nodes {
        let state = args.folder.join(format!("node-{node}")).join("state");
        names.push(key::did(&key::read_or_create(&state.join("key"))?));
    }
    for node in 1..=args.nodes {
        let place = node as usize - 1;
        let mut text = format!(
            "// Node {node} of a fleet of {}, made by `up`.\n(\n    node: {node},\n    state: \"state\",\n    control: \"{}\",\n    \
             listen: (tcpcl: \"{}\"),\n    peers: [\n",
            args.nodes, control[place], tcpcl[place]
        );
        for peer in (1..=args.nodes).filter(|peer| *peer != node) {
            let other = peer as usize - 1;
            let via = if node < peer { format!("Tcpcl(\"{}\")", tcpcl[other]) } else { "Inbound".to_owned() };
            // Writing into a text cannot fail.
            let _ = writeln!(text, "        (node: {peer}, did: \"{}\", via: {via}),", names[other]);
        }
        text.push_str("    ],\n)\n");
        let path = config_file(&args.folder, node);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    Ok(())
}

fn start_fleet(files: &[PathBuf], started: &mut Vec<(PathBuf, Child)>) -> Result<(), CliError> {
    let program = std::env::current_exe()?;
    for file in files {
        let path = file.with_file_name("log");
        let log = File::options().append(true).create(true).open(&path).map_err(failed(&path))?;
        let mut command = Command::new(&program);
        command.args(["node", "--log", "json", "--config"]).arg(file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // An interrupt at the terminal is for what runs there, not for the fleet.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        started.push((file.clone(), command.spawn().map_err(failed(&program))?));
    }
    Ok(())
}

fn control_of(file: &Path) -> Result<SocketAddr, CliError> {
    let control = Config::read(file)?.control;
    control.ok_or_else(|| CliError::Usage(format!("{}: it says no `control` address", file.display())))
}

fn wait_until_joined(files: &[PathBuf], started: &mut [(PathBuf, Child)]) -> Result<(), CliError> {
    let begun = monotonic();
    for file in files {
        let control = control_of(file)?;
        while !is_joined(control) {
            for (file, child) in started.iter_mut() {
                if child.try_wait()?.is_some() {
                    let log = file.with_file_name("log");
                    return Err(CliError::Usage(format!("a node ended: {} says why", log.display())));
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(CliError::Usage(format!(
                    "{}: not joined in {} s",
                    file.display(),
                    PATIENCE.as_secs()
                )));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn is_joined(control: SocketAddr) -> bool {
    let peers = Client::connect(control).and_then(|client| client.peers());
    peers.is_ok_and(|peers| peers.iter().all(|peer| peer.links_up > 0))
}

pub(super) fn down(args: &DownArgs) -> Result<Outcome, CliError> {
    let files: Vec<PathBuf> =
        (1..=32).map(|node| config_file(&args.folder, node)).take_while(|file| file.exists()).collect();
    if files.is_empty() {
        let folder = args.folder.display();
        return Err(CliError::Usage(format!("{folder}: no fleet is there (`up` makes one)")));
    }
    let mut running = Vec::new();
    for file in &files {
        let control = control_of(file)?;
        // One that does not answer has ended already.
        if Client::connect(control).is_ok_and(|client| client.shutdown().is_ok()) {
            running.push(control);
        }
    }
    let begun = monotonic();
    for control in &running {
        while Client::connect(*control).is_ok() {
            if begun.elapsed() > PATIENCE {
                return Err(CliError::Usage(format!("{control}: does not end")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    writeln!(io::stdout().lock(), "{} of {} nodes were running, and have ended", running.len(), files.len())?;
    Ok(Outcome::Done)
}
