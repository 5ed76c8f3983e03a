//! The `cosmosmesh` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cosmosmesh::cli::main()
}
