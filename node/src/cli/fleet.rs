//! `cosmosmesh up` and `down`: a fleet on this machine, with keys, certificates and configurations made for it.

use super::{CliError, Outcome, certify};
use crate::{client::Client, clock::monotonic, config::Config, credential, folder, key, metrics::PeerStatus};
use clap::Args;
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Did, Role, Scope},
};
use std::{
    collections::BTreeMap,
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

/// A node of the fleet: where its configuration is, where it is asked, and by which name it is known again.
struct Member {
    node: u64,
    file: PathBuf,
    config: Config,
    control: SocketAddr,
    did: String,
}

impl Member {
    fn read(folder: &Path, node: u64) -> Result<Self, CliError> {
        let file = config_file(folder, node);
        let config = Config::read_without_plan(&file)?;
        let control = config.control;
        let control = control
            .ok_or_else(|| CliError::Usage(format!("{}: it says no `control` address", file.display())))?;
        let did = key::did(&key::read(&config.key_file())?).to_string();
        Ok(Self { node, file, config, control, did })
    }

    /// A hold on it, if it runs: another node may have been given the address since.
    fn running(&self) -> Option<Client> {
        let client = Client::connect_to(&self.config).ok()?;
        client.health().is_ok_and(|health| health.did == self.did).then_some(client)
    }

    /// Its peers, if it runs.
    fn peers(&self) -> Option<Vec<PeerStatus>> {
        self.running()?.peers().ok()
    }

    fn log(&self) -> PathBuf {
        self.file.with_file_name("log")
    }
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
    let members = (1..=args.nodes).map(|node| Member::read(&args.folder, node));
    let members = members.collect::<Result<Vec<Member>, CliError>>()?;
    let missing: Vec<&Member> = members.iter().filter(|member| member.running().is_none()).collect();
    let mut started: Vec<(&Member, Child)> = Vec::new();
    let outcome =
        start_fleet(&missing, &mut started).and_then(|()| wait_until_joined(&members, &mut started));
    let barred = match outcome {
        Ok(barred) => barred,
        Err(error) => {
            // What was started now is there as a whole or not at all.
            for (_, child) in &mut started {
                let _ = child.kill();
                let _ = child.wait();
            }
            return Err(error);
        }
    };
    let out = &mut io::stdout().lock();
    for member in &members {
        let Member { node, file, control, .. } = member;
        let process = started.iter().find(|(other, _)| other.node == *node);
        let process =
            process.map_or_else(|| "ran already".to_owned(), |(_, child)| format!("process {}", child.id()));
        let barred = barred.get(node).map_or_else(String::new, |why| format!(", alone: {why}"));
        writeln!(out, "node {node}: control {control}, {process}, {}{barred}", file.display())?;
    }
    Ok(Outcome::Done)
}

/// How long the certificates of a fleet hold, in days. Node 1 has the authority's key, and renews them.
const CERTIFICATE_DAYS: u64 = 365;

/// Keys, certificates and configurations, in a folder that takes its name when all is in it. Nothing that was there before is touched.
fn make_fleet(args: &UpArgs) -> Result<(), CliError> {
    let is_empty = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut found| found.next().is_none());
    if args.folder.file_name().is_none() || args.folder.exists() && !is_empty(&args.folder) {
        let folder = args.folder.display();
        return Err(CliError::Usage(format!(
            "{folder}: it is there and holds no fleet: give another --folder"
        )));
    }
    let new = folder::beside(&args.folder).map_err(failed(&args.folder))?;
    let made =
        fill(&new, args.nodes).and_then(|()| fs::rename(&new, &args.folder).map_err(failed(&args.folder)));
    if made.is_err() {
        // Ours: nobody else knows the name.
        let _ = fs::remove_dir_all(&new);
    }
    made
}

fn fill(new: &Path, nodes: u64) -> Result<(), CliError> {
    let authority = key::create(&new.join("authority"))?;
    let mut names = Vec::new();
    for node in 1..=nodes {
        let home = new.join(format!("node-{node}"));
        let keys = key::create(&home.join("state").join("key"))?;
        let grant = (Role::Operator, &Scope::everything());
        let text = certify::certificate(
            &authority,
            NodeId(node),
            keys.public(),
            grant,
            (CERTIFICATE_DAYS, certify::BACKDATED_S),
        )?;
        credential::write(&home.join("certificate"), &text)?;
        names.push(key::did(&keys));
    }
    for (node, text) in configurations(&key::did(&authority), &names)? {
        let path = config_file(new, node);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    Ok(())
}

/// The configurations: the node with the lower number connects to the one with the higher, inside of TLS.
fn configurations(authority: &Did, names: &[Did]) -> Result<Vec<(u64, String)>, CliError> {
    // Held all at once, so that no port is given twice.
    let listeners: Vec<TcpListener> =
        (0..2 * names.len()).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    let ports: Vec<SocketAddr> = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let (control, tcpcl) = ports.split_at(names.len());
    let mut made = Vec::new();
    for (place, node) in (1..=names.len() as u64).enumerate() {
        let issuer = if node == 1 { ", issuer: \"../authority\"" } else { "" };
        let mut text = format!(
            "// Node {node} of a fleet of {}, made by `up`.\n(\n    node: {node},\n    state: \"state\",\n    control: \"{}\",\n    \
             listen: (tcpcl: \"{}\"),\n    tls: Require,\n    gossip: (), shared_state: (),\n    trust: (authority: \"{authority}\", certificate: \"certificate\"{issuer}),\n    \
             peers: [\n",
            names.len(),
            control[place],
            tcpcl[place]
        );
        for (other, peer) in (1..=names.len() as u64).enumerate().filter(|(other, _)| *other != place) {
            let via = if node < peer { format!("Tcpcl(\"{}\")", tcpcl[other]) } else { "Inbound".to_owned() };
            // Writing into a text cannot fail.
            let _ = writeln!(text, "        (node: {peer}, did: \"{}\", via: {via}),", names[other]);
        }
        text.push_str("    ],\n)\n");
        made.push((node, text));
    }
    Ok(made)
}

fn start_fleet<'a>(missing: &[&'a Member], started: &mut Vec<(&'a Member, Child)>) -> Result<(), CliError> {
    let program = std::env::current_exe()?;
    for member in missing {
        let path = member.log();
        let log = File::options().append(true).create(true).open(&path).map_err(failed(&path))?;
        let mut command = Command::new(&program);
        command.args(["node", "--log", "json", "--config"]).arg(&member.file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // An interrupt at the terminal is for what runs there, not for the fleet.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        started.push((member, command.spawn().map_err(failed(&program))?));
    }
    Ok(())
}

/// Waits until each is connected with each, but for those whose keys were taken back: who they are.
fn wait_until_joined(
    members: &[Member],
    started: &mut [(&Member, Child)],
) -> Result<BTreeMap<u64, String>, CliError> {
    let begun = monotonic();
    loop {
        // First of all: who answers at an address may be another than who was started for it.
        for (other, child) in started.iter_mut() {
            if child.try_wait()?.is_some() {
                let log = other.log();
                return Err(CliError::Usage(format!(
                    "node {} ended: {} says why",
                    other.node,
                    log.display()
                )));
            }
        }
        let peers: Vec<(u64, Option<Vec<PeerStatus>>)> =
            members.iter().map(|member| (member.node, member.peers())).collect();
        let known = peers.iter().filter_map(|(_, peers)| peers.as_ref()).flatten();
        let barred: BTreeMap<u64, String> =
            known.filter_map(|peer| Some((peer.node, peer.barred.clone()?))).collect();
        let is_joined = |(node, peers): &(u64, Option<Vec<PeerStatus>>)| {
            let all = |peers: &Vec<PeerStatus>| {
                peers.iter().all(|peer| peer.links_up > 0 || barred.contains_key(&peer.node))
            };
            peers.as_ref().is_some_and(|peers| barred.contains_key(node) || all(peers))
        };
        let Some((node, _)) = peers.iter().find(|member| !is_joined(member)) else { return Ok(barred) };
        if begun.elapsed() > PATIENCE {
            let patience = PATIENCE.as_secs();
            return Err(CliError::Usage(format!(
                "node {node}: not connected with all others in {patience} s"
            )));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

pub(super) fn down(args: &DownArgs) -> Result<Outcome, CliError> {
    let nodes: Vec<u64> = (1..=32).take_while(|node| config_file(&args.folder, *node).exists()).collect();
    if nodes.is_empty() {
        let folder = args.folder.display();
        return Err(CliError::Usage(format!("{folder}: no fleet is there (`up` makes one)")));
    }
    let members = nodes.iter().map(|node| Member::read(&args.folder, *node));
    let members = members.collect::<Result<Vec<Member>, CliError>>()?;
    // One that does not answer has ended already; one that answers by another name is somebody else's.
    let running: Vec<&Member> = members
        .iter()
        .filter(|member| member.running().is_some_and(|client| client.shutdown().is_ok()))
        .collect();
    let begun = monotonic();
    for member in &running {
        while member.running().is_some() {
            if begun.elapsed() > PATIENCE {
                return Err(CliError::Usage(format!("{}: does not end", member.control)));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    writeln!(
        io::stdout().lock(),
        "{} of {} nodes were running, and have ended",
        running.len(),
        members.len()
    )?;
    Ok(Outcome::Done)
}
