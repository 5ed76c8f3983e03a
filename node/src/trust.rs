//! How this node trusts: from the configuration's files to what the node is told.

use crate::{
    config::{Config, Trust},
    credential::{self, CredentialError},
    daemon::StartError,
    key,
};
use cosmosmesh_protocol::{
    access::Policy,
    id::NodeId,
    identity::{
        Certificate, KeyPair, Keyring, PublicKey, RevocationList, Statement, Succession, TimeRule, TrustError,
    },
    node::{Issuer, TrustConfig},
    time::DtnTime,
};
use std::{path::Path, sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);
/// How long what is told of trust is worth delivering.
const LIFETIME: Duration = DAY;
/// How long certificates hold that the node renews which has the authority's key, and how long before their end it does.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// Reads what the authority has signed; nothing without an authority.
///
/// # Errors
/// A file that cannot be read, or has a statement that nobody has signed; a certificate that is not the authority's for this node and its key.
pub(crate) fn read(config: &Config, keys: &KeyPair) -> Result<Option<TrustConfig>, StartError> {
    let Some(trust) = &config.trust else { return Ok(None) };
    let Trust { authority, certificate, statements: files, issuer, scope, grace, interval } = trust;
    let own = credential::own_certificate(certificate, config.node, keys, authority)?;
    let rule = TimeRule { grace: *grace, ..TimeRule::default() };
    let mut statements = vec![own];
    for file in files {
        statements.extend(judged(file, authority)?);
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
        rule,
        policy: Arc::new(Policy::default()),
        scope: scope.clone(),
        witness: false,
        share: None,
        interval: *interval,
        lifetime: LIFETIME,
    }))
}

/// The statements of a file. What another key than the authority's has signed may be of its successor, which is known by what was kept; the
/// node goes on without it, and says so.
fn judged(file: &Path, authority: &PublicKey) -> Result<Vec<Statement>, CredentialError> {
    let mut statements = Vec::new();
    for (line, statement) in credential::read_lines(file)? {
        let failed = match &statement {
            Statement::Certificate(bytes) => Certificate::open(bytes, authority).err().map(TrustError::from),
            Statement::Revocations(bytes) => {
                RevocationList::open(bytes, authority).err().map(TrustError::from)
            }
            Statement::Succession(bytes) => Succession::peek(bytes).err().map(TrustError::from),
        };
        match failed {
            None => {}
            Some(source) if source.reason() == "other_authority" => {
                tracing::warn!(file = %file.display(), line, %source, "a statement is not the authority's, and does not count");
            }
            Some(source) => {
                return Err(CredentialError::Statement { path: file.to_owned(), line, source });
            }
        }
        statements.push(statement);
    }
    Ok(statements)
}

/// Says it if this node's certificate has ended: the one that counts, which may be younger than that of its file.
pub(crate) fn tell_of_end(keyring: &Keyring, node: NodeId, now: Option<DtnTime>) {
    let ended = keyring.certificate(node).zip(now).is_some_and(|(own, now)| own.expires <= now);
    if ended {
        tracing::warn!("this node's certificate has ended: it goes on in grace, and hopes for a renewal");
    }
}
