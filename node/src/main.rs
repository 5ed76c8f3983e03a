//! The `cosmosmesh-node` command: the daemon without the simulator.

use clap::Parser;
use cosmosmesh_node::cli::{Command, exit_code};
use std::process::ExitCode;

/// A CosmosMesh node over real transports.
#[derive(Debug, Parser)]
#[command(name = "cosmosmesh-node", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    exit_code(Cli::parse().command.execute())
}
