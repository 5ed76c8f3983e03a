//! Bundles to and from other people's nodes, for those that are on this machine: docs/INTEROP.md says how they get there.

use super::step::{Failure, answer, cargo, command, say};
use std::{env, path::PathBuf};

/// A module of `protocol/tests/interop.rs`, and the programs that its tests need.
struct Peer {
    tests: &'static str,
    programs: &'static [&'static str],
    /// A module that the first program, a Python, must have.
    module: Option<&'static str>,
}

const PEERS: &[Peer] = &[
    Peer { tests: "dtnd::", programs: &["dtnd", "dtnsend", "dtnrecv"], module: None },
    Peer { tests: "hardy::", programs: &["hardy-peer"], module: None },
    Peer { tests: "pyd3tn::", programs: &["python3"], module: Some("pyd3tn") },
];

/// Runs the tests of each peer that is installed, and says which are not.
///
/// # Errors
/// When a test of an installed peer fails.
pub(crate) fn run() -> Result<(), Failure> {
    for peer in PEERS {
        let name = peer.tests.trim_end_matches(':');
        if is_installed(peer) {
            let tests = ["test", "--locked", "--package", "cosmosmesh-protocol", "--test", "interop", "--"];
            cargo(&[&tests[..], &["--ignored", peer.tests]].concat())?;
        } else {
            say(&format!("\nskipped: interoperation with {name}, which is not installed (docs/INTEROP.md)"));
        }
    }
    Ok(())
}

fn is_installed(peer: &Peer) -> bool {
    let found: Option<Vec<PathBuf>> = peer.programs.iter().map(|name| program(name)).collect();
    let Some([first, ..]) = found.as_deref() else { return false };
    let first = first.to_string_lossy();
    peer.module.is_none_or(|module| answer(command(&first, &["-c", &format!("import {module}")])).is_some())
}

/// A program, looked for as the tests do: in the folders of `COSMOSMESH_PEERS`, then of `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let lists = [env::var_os("COSMOSMESH_PEERS"), env::var_os("PATH")];
    let folders: Vec<PathBuf> = lists.iter().flatten().flat_map(env::split_paths).collect();
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[test]
fn a_peer_without_its_programs_or_module_is_not_installed() {
    assert!(!is_installed(&Peer { tests: "x::", programs: &["no-such-program"], module: None }));
    assert!(is_installed(&Peer { tests: "x::", programs: &["cargo"], module: None }));
    // Cargo is no Python, so it has no module.
    assert!(!is_installed(&Peer { tests: "x::", programs: &["cargo"], module: Some("pyd3tn") }));
}
