//! A client takes a member's key back.

use super::{Client, ClientError, Way, ask};
use crate::{engine::Own, revocation::Revocation};
use cosmosmesh_protocol::{id::NodeId, identity::Cause};

impl Client {
    /// Takes back the key in force of a member: the daemon must hold the authority's key (`trust.issuer`). It tells its neighbours at once, and
    /// they tell theirs.
    ///
    /// # Errors
    /// [`ClientError`]; with reason `not_configured` when the daemon does not hold the authority's key, `no_certificate` when it knows of no
    /// certificate of the member, `own_key` when it is the daemon itself.
    pub fn revoke(&self, node: NodeId, cause: Cause) -> Result<Revocation, ClientError> {
        self.revoke_or_own(node, cause, Own::Keep)
    }

    /// The same, also where the member is the daemon itself: nobody believes it any more, and nobody renews certificates.
    ///
    /// # Errors
    /// As [`Client::revoke`], but for `own_key`.
    pub fn revoke_even_own(&self, node: NodeId, cause: Cause) -> Result<Revocation, ClientError> {
        self.revoke_or_own(node, cause, Own::TakeBack)
    }

    fn revoke_or_own(&self, node: NodeId, cause: Cause, own: Own) -> Result<Revocation, ClientError> {
        match &self.way {
            Way::Embedded(daemon) => Ok(daemon.door().revoke(node, cause, own)?),
            Way::Remote(connection) => {
                let own = if own == Own::TakeBack { "&own=true" } else { "" };
                let target = format!("/v1/revoke?node={}&cause={}{own}", node.0, cause.word());
                ask(connection, "POST", &target, &[])
            }
        }
    }
}
