//! A client takes a member's key back.

use super::{Client, ClientError, Way, ask};
use crate::revocation::Revocation;
use cosmosmesh_protocol::{id::NodeId, identity::Cause};

impl Client {
    /// Takes back the key in force of a member: the daemon must hold the authority's key (`trust.issuer`). It tells its neighbours at once, and
    /// they tell theirs.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `not_configured` when the daemon does not hold the authority's key, `no_certificate` when it knows of no
    /// certificate of the member.
    pub fn revoke(&self, node: NodeId, cause: Cause) -> Result<Revocation, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().revoke(node, cause)?),
            Way::Remote(connection) => {
                let target = format!("/v1/revoke?node={}&cause={}", node.0, cause.word());
                ask(connection, "POST", &target, &[])
            }
        }
    }
}
