//! `cargo xtask peers`: other people's nodes, installed where `cargo xtask ci` looks for them. docs/INTEROP.md has the same commands to type.

use super::{
    interop::{PEERS, Peer, is_installed},
    step::{Failure, command, run, say, target_folder},
};
use std::path::PathBuf;

/// The folders of programs that are installed by [`install`].
pub(crate) fn folders() -> [PathBuf; 2] {
    let root = target_folder().join("peers");
    [root.join("bin"), root.join("venv").join("bin")]
}

/// Installs the named peers, all when none is named, unless they are there.
///
/// # Errors
/// When one is unknown, or cannot be installed.
pub(crate) fn install(names: &[&str]) -> Result<(), Failure> {
    for name in names {
        if !PEERS.iter().any(|peer| peer.name() == *name) {
            let known: Vec<&str> = PEERS.iter().map(Peer::name).collect();
            return Err(Failure::Missing(format!(
                "no peer is called {name}: there are {}",
                known.join(", ")
            )));
        }
    }
    for peer in PEERS.iter().filter(|peer| names.is_empty() || names.contains(&peer.name())) {
        if is_installed(peer) {
            say(&format!("{} is installed", peer.name()));
            continue;
        }
        for step in peer.installation {
            let root = target_folder().join("peers").to_string_lossy().into_owned();
            let words: Vec<String> = step.iter().map(|word| word.replace(ROOT, &root)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            run(command(words[0], &words[1..]))?;
        }
    }
    Ok(())
}

/// Stands for the folder that everything goes to.
pub(crate) const ROOT: &str = "target/peers";

#[test]
fn the_document_has_the_commands_that_install_peers() {
    let page =
        std::fs::read_to_string(super::step::workspace().join("docs/INTEROP.md")).expect("the page is there");
    for step in PEERS.iter().flat_map(|peer| peer.installation) {
        assert!(page.contains(&step.join(" ")), "docs/INTEROP.md lacks `{}`", step.join(" "));
    }
}

#[test]
fn an_unknown_peer_is_refused() {
    assert!(matches!(install(&["no-such-peer"]), Err(Failure::Missing(_))));
}
