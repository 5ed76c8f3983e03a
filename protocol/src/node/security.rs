//! Bundle security at the node (RFC 9172): what it makes is signed, what comes is checked at every hop.

use super::{InputError, Node};
use crate::{
    bpsec::{
        AadScope, CoseProfile, Integrity, Placement, Role, SecurityPolicy, add_integrity, is_secured, process,
    },
    bundle::{Bundle, PAYLOAD_NUMBER},
};

/// How much of the public key names it in a signature, in bytes.
const KEY_IDENTIFIER_LEN: usize = 8;

/// What a node does for the security of bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleSecurity {
    /// Signs the bundles that it makes: an integrity block of the COSE context, with Ed25519, on the payload and bound to the primary block.
    pub sign: bool,
    /// What it demands of the bundles that it takes. The keys are those of the directory.
    pub policy: SecurityPolicy,
}

impl BundleSecurity {
    /// Every bundle is signed by the node that made it, and every hop asks for it.
    #[must_use]
    pub const fn hop_by_hop() -> Self {
        let policy = SecurityPolicy {
            payload_integrity: true,
            primary_integrity: true,
            by_bundle_source: true,
            payload_confidentiality: false,
            refuse_confidentiality: false,
            refuse_unknown: true,
        };
        Self { sign: true, policy }
    }
}

impl Node {
    /// Signs a bundle of this node's own, if it is set up to.
    pub(super) fn sign_bundle(&mut self, bundle: &mut Bundle) {
        if !self.config.security.is_some_and(|security| security.sign) {
            return;
        }
        let scope = AadScope::default();
        let kid = &self.keys.public().as_bytes()[..KEY_IDENTIFIER_LEN];
        let service = Integrity::Sign1 { keys: &self.keys, profile: CoseProfile::new(&scope, kid) };
        let source = bundle.primary().source.clone();
        add_integrity(bundle, &[PAYLOAD_NUMBER], &source, &service, Placement::plain())
            .expect("a bundle of the node's own is whole, has room and no security block yet");
        self.signatures.made += 1;
    }

    /// Checks a bundle that came, or was put together: as its acceptor when it is for this node, else as a verifier.
    ///
    /// Extension blocks whose operations fail are gone from the result. A fragment passes: the whole is checked where it is put together.
    pub(super) fn check_security(&mut self, mut bundle: Bundle) -> Result<Bundle, InputError> {
        let Some(security) = self.config.security else { return Ok(bundle) };
        let SecurityPolicy { payload_integrity, primary_integrity, payload_confidentiality, .. } =
            security.policy;
        let demands = payload_integrity || primary_integrity || payload_confidentiality;
        if !demands && !is_secured(&bundle) {
            return Ok(bundle);
        }
        let here = bundle.primary().destination.node() == Some(self.config.id);
        let role = if here { Role::Acceptor } else { Role::Verifier };
        let directory = self.config.directory.clone();
        let verdict = process(&mut bundle, role, &security.policy, &*directory);
        self.signatures.checked += verdict.findings.len() as u64;
        match verdict.result {
            Ok(()) => Ok(bundle),
            Err(error) => Err(self.refuse(error.reason())),
        }
    }
}
