//! The checks, in order: the quick ones first.

use super::{
    interop, licences,
    step::{Failure, answer, cargo, command, run as run_command, say, target_folder},
};
use std::{fs, path::Path};

/// The processor class of a LoRa node (Cortex-M4F): no operating system, so the compiler proves that the protocol needs none.
const SMALL_TARGET: &str = "thumbv7em-none-eabihf";

/// Runs all checks.
///
/// # Errors
/// The first that fails.
pub(crate) fn run() -> Result<(), Failure> {
    cargo(&["fmt", "--all", "--", "--check"])?;
    cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    docs()?;
    // The README's test command, as it stands there.
    cargo(&["test", "--workspace"])?;
    interop::run()?;
    small_target()?;
    optimised()?;
    licences::check()?;
    say("\nAll checks hold.");
    Ok(())
}

/// Our own crates as a release has them, on the dependencies that the tests have built: the baselines by that program, and its fingerprints beside the tests'.
fn optimised() -> Result<(), Failure> {
    let compiled = |arguments: &[&str]| {
        let mut cargo = command("cargo", arguments);
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "3");
        cargo.env("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false");
        cargo.env("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false");
        cargo
    };
    let determinism = ["test", "--locked", "--workspace", "--test", "determinism"];
    run_command(compiled(&[&determinism[..], &["--no-run"]].concat()))?;
    // The tests' own program takes its place again with the next build.
    let program = target_folder().join("optimised/cosmosmesh");
    let copied = program
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::copy(target_folder().join("debug/cosmosmesh"), &program).map(|_| ()));
    copied.map_err(|error| Failure::Missing(format!("{}: {error}", program.display())))?;
    run_command(command(&program.to_string_lossy(), &["check"]))?;
    let mut test = command("cargo", &[&determinism[..], &["--", "--ignored"]].concat());
    test.env("COSMOSMESH_RELEASE_BIN", &program);
    run_command(test)
}

fn docs() -> Result<(), Failure> {
    let mut doc = command("cargo", &["doc", "--locked", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    run_command(doc)
}

fn small_target() -> Result<(), Failure> {
    if !is_installed(SMALL_TARGET) {
        run_command(command("rustup", &["target", "add", SMALL_TARGET])).map_err(|failure| {
            Failure::Missing(format!(
                "the standard library for {SMALL_TARGET} is not installed, and rustup could not add it: {failure}"
            ))
        })?;
    }
    // Checked and not generated: whether there is a standard library is a question of names and types.
    cargo(&["check", "--locked", "--package", "cosmosmesh-protocol", "--target", SMALL_TARGET])
}

fn is_installed(target: &str) -> bool {
    let libraries = answer(command("rustc", &["--print", "target-libdir", "--target", target]));
    libraries.is_some_and(|folder| Path::new(&folder).is_dir())
}

#[test]
fn a_target_without_its_library_is_not_installed() {
    assert!(!is_installed("no-such-target"));
    let version = answer(command("rustc", &["-vV"])).expect("rustc answers");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    assert!(is_installed(host));
}
