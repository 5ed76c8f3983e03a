//! How this node trusts: from the configuration's files to what the node is told.

use crate::{
    config::{Config, Trust},
    credential::{self, CredentialError},
    daemon::StartError,
    key,
};
use cosmosmesh_protocol::{
    access::Policy,
    identity::{Certificate, KeyPair, TimeRule},
    node::{Issuer, TrustConfig},
    time::DtnTime,
};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);
/// How long what is told of trust is worth delivering.
const LIFETIME: Duration = DAY;
/// How long certificates hold that the node renews which has the authority's key, and how long before their end it does.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// Reads what the authority has signed; nothing without an authority. `now`: civil time, where it is known.
///
/// # Errors
/// A file that cannot be read; a certificate that is not the authority's for this node and its key.
pub(crate) fn read(
    config: &Config,
    keys: &KeyPair,
    now: Option<DtnTime>,
) -> Result<Option<TrustConfig>, StartError> {
    let Some(trust) = &config.trust else { return Ok(None) };
    let Trust { authority, certificate, statements: files, issuer, scope, grace, interval } = trust;
    let own = credential::own_certificate(certificate, config.node, keys, authority)?;
    if let Ok(opened) = Certificate::open(own.parts().1, authority)
        && now.is_some_and(|now| opened.expires <= now)
    {
        tracing::warn!("this node's certificate has ended: it goes on in grace, and hopes for a renewal");
    }
    let mut statements = vec![own];
    for file in files {
        statements.extend(credential::read(file)?);
    }
    let issuer = match issuer {
        None => None,
        Some(path) => {
            let keys = key::read(path)?;
            if keys.public() != authority {
                return Err(CredentialError::NotAuthority { path: path.clone() }.into());
            }
            Some(Issuer { keys, lifetime: CERTIFICATE_LIFETIME, renew_before: RENEW_BEFORE })
        }
    };
    Ok(Some(TrustConfig {
        authority: authority.clone(),
        statements,
        issuer,
        rule: TimeRule { grace: *grace, ..TimeRule::default() },
        policy: Arc::new(Policy::default()),
        scope: scope.clone(),
        witness: false,
        share: None,
        interval: *interval,
        lifetime: LIFETIME,
    }))
}
