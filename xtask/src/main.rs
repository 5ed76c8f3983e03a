//! The project's own checks: `cargo xtask ci` runs what `.ci/run` runs, and stops at the first that fails. `cargo xtask peers` installs what some of
//! them need.

mod checks;
mod interop;
mod licences;
mod peers;
mod step;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask ci\n       cargo xtask peers [dtnd] [hardy] [pyd3tn] [direwolf] [pycddl] [acsets]\n\nci runs every check of the project in order, and stops at the first that fails.\npeers installs other people's programs into the target folder: then ci tests with them, too.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ci"] => exit(checks::run()),
        ["peers", names @ ..] => exit(peers::install(names)),
        _ => {
            step::say(USAGE);
            ExitCode::from(2)
        }
    }
}

fn exit(outcome: Result<(), step::Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            step::say(&format!("failed: {failure}"));
            ExitCode::from(1)
        }
    }
}
