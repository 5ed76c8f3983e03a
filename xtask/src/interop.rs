//! Bundles to and from other people's nodes, for those that are on this machine: docs/INTEROP.md says how they get there.

use super::{
    peers,
    step::{Failure, answer, command, run as run_command, say},
};
use std::{env, path::PathBuf};

/// A module of tests, and the programs that they need.
pub(crate) struct Peer {
    tests: &'static str,
    /// The test programs that it is in: `interop` is one of the protocol's convergence layers, and one of the whole daemon.
    tests_in: &'static [&'static str],
    programs: &'static [&'static str],
    /// A module that the first program, a Python, must have.
    module: Option<&'static str>,
    /// What installs them, in order; `target/peers` stands for the folder.
    pub(crate) installation: &'static [&'static [&'static str]],
}

impl Peer {
    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.tests.trim_end_matches(':')
    }
}

pub(crate) const PEERS: &[Peer] = &[
    Peer {
        tests: "dtnd::",
        tests_in: &["interop"],
        programs: &["dtnd", "dtnsend", "dtnrecv"],
        module: None,
        installation: &[&[
            "cargo",
            "install",
            "dtn7",
            "--version",
            "0.21.0",
            "--locked",
            "--root",
            peers::ROOT,
        ]],
    },
    Peer {
        tests: "hardy::",
        tests_in: &["interop"],
        programs: &["hardy-peer"],
        module: None,
        installation: &[&[
            "cargo",
            "install",
            "--debug",
            "--locked",
            "--path",
            "protocol/tests/interop/hardy-peer",
            "--root",
            peers::ROOT,
        ]],
    },
    Peer {
        tests: "pyd3tn::",
        tests_in: &["interop"],
        programs: &["python3"],
        module: Some("pyd3tn"),
        installation: &[
            &["python3", "-m", "venv", "target/peers/venv"],
            &["target/peers/venv/bin/pip", "install", "pyd3tn==0.15.2"],
        ],
    },
    Peer {
        tests: "direwolf::",
        tests_in: &["interop", "hil"],
        programs: &["direwolf", "mkfifo"],
        module: None,
        installation: &[&["apt-get", "install", "--yes", "direwolf"]],
    },
    Peer {
        tests: "pycddl::",
        tests_in: &["interop"],
        programs: &["python3"],
        module: Some("pycddl"),
        installation: &[
            &["python3", "-m", "venv", "target/peers/venv"],
            &["target/peers/venv/bin/pip", "install", "pycddl==0.6.4"],
        ],
    },
    Peer {
        tests: "acsets::",
        tests_in: &["catopt"],
        programs: &["python3"],
        module: Some("acsets"),
        installation: &[
            &["python3", "-m", "venv", "target/peers/venv"],
            &["target/peers/venv/bin/pip", "install", "acsets==0.0.2"],
        ],
    },
    Peer {
        tests: "meshtastic::",
        tests_in: &["hil"],
        programs: &["python3", "socat"],
        module: Some("meshtastic"),
        installation: &[
            &["python3", "-m", "venv", "target/peers/venv"],
            &["target/peers/venv/bin/pip", "install", "meshtastic==2.7.11"],
        ],
    },
];

/// Runs the tests of each peer that is installed, and says which are not.
///
/// # Errors
/// When a test of an installed peer fails.
pub(crate) fn run() -> Result<(), Failure> {
    for peer in PEERS {
        if is_installed(peer) {
            // The tests look where this program looks.
            let folders = env::join_paths(folders()).map_err(|error| Failure::Missing(error.to_string()))?;
            // In the whole workspace, so that nothing is built again with other features.
            let mut tests = vec!["test", "--locked", "--workspace"];
            tests.extend(peer.tests_in.iter().flat_map(|&name| ["--test", name]));
            tests.extend(["--", "--ignored", peer.tests]);
            let mut test = command("cargo", &tests);
            test.env("COSMOSMESH_PEERS", &folders);
            run_command(test)?;
        } else {
            let name = peer.name();
            say(&format!(
                "\nskipped: interoperation with {name}, which is not installed (cargo xtask peers {name})"
            ));
        }
    }
    Ok(())
}

pub(crate) fn is_installed(peer: &Peer) -> bool {
    let found: Option<Vec<PathBuf>> = peer.programs.iter().map(|name| program(name)).collect();
    let Some([first, ..]) = found.as_deref() else { return false };
    let first = first.to_string_lossy();
    peer.module.is_none_or(|module| answer(command(&first, &["-c", &format!("import {module}")])).is_some())
}

/// A program: in the folders of `COSMOSMESH_PEERS`, then where `cargo xtask peers` installs, then in those of `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").into_iter().flat_map(|list| env::split_paths(&list).collect::<Vec<_>>());
    folders().into_iter().chain(path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The folders before those of `PATH`.
fn folders() -> Vec<PathBuf> {
    let named = env::var_os("COSMOSMESH_PEERS");
    named.iter().flat_map(env::split_paths).chain(peers::folders()).collect()
}

#[test]
fn a_peer_without_its_programs_or_module_is_not_installed() {
    let stranger = |program: &'static str, module| {
        let programs: &'static [&'static str] = match program {
            "cargo" => &["cargo"],
            _ => &["no-such-program"],
        };
        Peer { tests: "x::", tests_in: &["interop"], programs, module, installation: &[] }
    };
    assert!(!is_installed(&stranger("no-such-program", None)));
    assert!(is_installed(&stranger("cargo", None)));
    // Cargo is no Python, so it has no module.
    assert!(!is_installed(&stranger("cargo", Some("pyd3tn"))));
}
