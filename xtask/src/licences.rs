//! Licences, bans and sources by cargo-deny, where it is there or can be had.

use super::step::{Failure, answer, command, run, say, workspace};
use std::path::PathBuf;

const CHECK: &[&str] = &["check", "licenses", "bans", "sources"];

/// Longest time for building cargo-deny, in seconds: `.ci/run` is to end within half an hour.
const INSTALL_LIMIT_S: &str = "480";

/// Holds the dependencies against `deny.toml`.
///
/// Without cargo-deny, in continuous integration, an attempt is made to build it. If that fails too, this is said; the test
/// `every_licence_is_allowed` has then held the licences against the same list.
///
/// # Errors
/// cargo-deny says no.
pub(crate) fn check() -> Result<(), Failure> {
    let own = own_copy();
    let own = own.to_string_lossy();
    for program in ["cargo-deny", &own] {
        if is_there(program) {
            return run(command(program, CHECK));
        }
    }
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        // `timeout` ends the compilers that cargo has started, too.
        let root = workspace().join("target/tools");
        let built = root.join("build");
        let install = command(
            "timeout",
            &[
                INSTALL_LIMIT_S,
                "cargo",
                "install",
                "cargo-deny",
                "--locked",
                "--root",
                &root.to_string_lossy(),
                "--target-dir",
                &built.to_string_lossy(),
            ],
        );
        match run(install) {
            Ok(()) if is_there(&own) => return run(command(&own, CHECK)),
            Ok(()) => say("cargo-deny was installed and does not start."),
            Err(failure) => say(&format!("cargo-deny could not be installed: {failure}")),
        }
    } else {
        say("\ncargo-deny is not installed (`cargo install cargo-deny --locked` installs it).");
    }
    say(
        "Not checked: bans and sources. Licences were held against deny.toml by the test every_licence_is_allowed.",
    );
    Ok(())
}

fn own_copy() -> PathBuf {
    workspace().join("target/tools/bin/cargo-deny")
}

fn is_there(program: &str) -> bool {
    answer(command(program, &["--version"])).is_some()
}
