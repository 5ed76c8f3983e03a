//! `cosmosmesh ctl revoke`: the node that holds the authority's key takes a member's key back.

use super::{CliError, Outcome, certify::Cause};
use crate::client::Client;
use clap::Args;
use cosmosmesh_protocol::id::NodeId;
use std::io::Write;

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Whose key in force.
    node: u64,
    /// Why.
    #[arg(long, value_enum)]
    cause: Cause,
    /// Also where it is the node that is asked: nobody believes it any more, and nobody renews certificates.
    #[arg(long)]
    own: bool,
}

pub(super) fn execute(
    client: &Client,
    out: &mut impl Write,
    json: bool,
    args: &Revoke,
) -> Result<Outcome, CliError> {
    let (node, cause) = (NodeId(args.node), args.cause.into());
    let revocation = if args.own { client.revoke_even_own(node, cause) } else { client.revoke(node, cause) }?;
    if json {
        super::ctl::tell(out, &revocation)?;
    } else {
        // A file of statements, for those who are to know it before it comes to them.
        writeln!(out, "# version {}, {} keys", revocation.version, revocation.keys)?;
        writeln!(out, "{}", revocation.statement)?;
    }
    Ok(Outcome::Done)
}
