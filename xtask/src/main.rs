//! The project's own checks: `cargo xtask ci` runs what `.ci/run` runs, and stops at the first that fails.

mod checks;
mod interop;
mod licences;
mod step;

use std::process::ExitCode;

const USAGE: &str =
    "usage: cargo xtask ci\n\nRuns every check of the project in order, and stops at the first that fails.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ci"] => match checks::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                step::say(&format!("failed: {failure}"));
                ExitCode::from(1)
            }
        },
        _ => {
            step::say(USAGE);
            ExitCode::from(2)
        }
    }
}
