//! The checks, in order: the quick ones first.

use super::{
    interop, licences,
    step::{Failure, answer, cargo, command, run as run_command, say, target_folder},
};
use std::path::Path;

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
    baselines()?;
    debug_equals_release()?;
    licences::check()?;
    say("\nAll checks hold.");
    Ok(())
}

/// The scenarios beside their baselines, by an optimised program: how fast it is does not matter here, so nothing is spent on linking it well.
fn baselines() -> Result<(), Failure> {
    let mut check = command("cargo", &["run", "--release", "--", "check"]);
    check.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    run_command(check)
}

/// The tests' build and the optimised one fly to the same fingerprints.
fn debug_equals_release() -> Result<(), Failure> {
    let tests = ["test", "--locked", "--workspace", "--test", "determinism", "--", "--ignored"];
    let mut test = command("cargo", &tests);
    test.env("COSMOSMESH_RELEASE_BIN", target_folder().join("release/cosmosmesh"));
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
