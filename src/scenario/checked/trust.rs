//! Certificates, access control and the log.

use cosmosmesh_protocol::{
    access::Policy,
    delivery::RateLimit,
    identity::{Cause, Role, Scope},
};
use std::{collections::BTreeMap, sync::Arc};

use crate::units::{AssetIndex, SimTime};

/// Trust by certificates.
#[derive(Clone, Debug)]
pub struct TrustSpec {
    /// Who holds the authority's key.
    pub authority: AssetIndex,
    /// What assets are granted; who is not named is a contributor everywhere.
    pub grants: BTreeMap<AssetIndex, Grant>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Who signs others' logs.
    pub witnesses: Vec<AssetIndex>,
    /// How long a certificate holds.
    pub certificate_lifetime: SimTime,
    /// How long before its end it is renewed.
    pub renew_before: SimTime,
    /// How long after its end it still serves for harmless things.
    pub grace: SimTime,
    /// How fast one member's messages are taken, if that is limited.
    pub share: Option<RateLimit>,
    /// How often an asset tells the next one what it knows.
    pub interval: SimTime,
    /// Lifetime of these messages.
    pub lifetime: SimTime,
    /// Keys that are taken back.
    pub revocations: Vec<Revocation>,
}

/// A role, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// In which role.
    pub role: Role,
    /// For which part of the fleet.
    pub scope: Scope,
    /// Which part of the fleet the asset belongs to.
    pub home: Scope,
}

/// A key that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub asset: AssetIndex,
    /// When.
    pub at: SimTime,
    /// Why.
    pub cause: Cause,
}

impl TrustSpec {
    /// What an asset is granted.
    #[must_use]
    pub fn grant(&self, asset: AssetIndex) -> Grant {
        let role = if asset == self.authority { Role::Admin } else { Role::Contributor };
        let default = Grant { role, scope: Scope::everything(), home: Scope::everything() };
        self.grants.get(&asset).cloned().unwrap_or(default)
    }
}
