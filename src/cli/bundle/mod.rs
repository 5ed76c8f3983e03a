//! `cosmosmesh bundle`: looks into a bundle, or makes one.

mod anatomy;
mod create;
mod decoded;
mod input;
mod inspect;
mod item;
mod names;
mod outline;
mod refusal;

use clap::{Args, Subcommand, ValueEnum};
use cosmosmesh_protocol::bundle;

use super::{CliError, Outcome};

/// Explains a bundle of the Bundle Protocol Version 7, or makes one.
#[derive(Debug, Args)]
pub struct BundleArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Inspect(inspect::InspectArgs),
    Create(Box<create::CreateArgs>),
}

/// How strictly a bundle is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Every rule of RFC 9171: what a node accepts from a peer.
    Strict,
    /// Form only.
    Lenient,
}

impl From<Policy> for bundle::Policy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Strict => Self::Strict,
            Policy::Lenient => Self::Lenient,
        }
    }
}

/// Runs it.
///
/// # Errors
/// As the exit codes of its verbs say.
pub fn execute(args: BundleArgs) -> Result<Outcome, CliError> {
    match args.verb {
        Verb::Inspect(args) => inspect::execute(&args),
        Verb::Create(args) => create::execute(&args),
    }
}
