//! `cosmosmesh completions`: completion scripts for shells.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliError, Outcome};

/// Prints a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh completions bash > ~/.local/share/bash-completion/completions/cosmosmesh
  cosmosmesh completions fish > ~/.config/fish/completions/cosmosmesh.fish")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn execute(args: CompletionsArgs) -> Result<Outcome, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cosmosmesh", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Outcome::Done)
}
