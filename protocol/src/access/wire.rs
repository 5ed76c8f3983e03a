//! A [`Policy`] as bytes: how a policy that a fleet decides upon travels. One policy has one form, deterministic CBOR.
//!
//! `[[role name…], [name, effect, [role…], actions, contract or null as an empty text, scope]…]`

use super::{
    policy::{MAX_NAME, MAX_ROLES, MAX_RULES, Policy, PolicyError},
    rule::{Actions, Effect, Rule},
};
use crate::{
    cbor::{self, CborError, Reader},
    identity::{Role, ScopeError},
};
use alloc::{boxed::Box, vec::Vec};

/// Most names of the fleet's own roles.
const MAX_OWN_ROLES: u64 = 240;

/// Why bytes are no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyWireError {
    /// Not deterministic CBOR of the expected shape.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A number without meaning here: an effect, a role or a set of actions.
    #[error("{found} has no meaning before byte {at}")]
    Unknown {
        /// The number found.
        found: u64,
        /// Where.
        at: usize,
    },
    /// A scope that is none.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// Rules that make no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl PolicyWireError {
    /// A stable word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.reason(),
            Self::Unknown { .. } => "policy_number",
            Self::Scope(_) => "policy_scope",
            Self::Policy(_) => "policy_rules",
        }
    }
}

impl Policy {
    /// The policy as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.rules().len() * 48);
        cbor::put_head(&mut out, cbor::ARRAY, 2);
        cbor::put_head(&mut out, cbor::ARRAY, self.own_roles().len() as u64);
        self.own_roles().iter().for_each(|name| cbor::put_text(&mut out, name));
        cbor::put_head(&mut out, cbor::ARRAY, self.rules().len() as u64);
        for rule in self.rules() {
            cbor::put_head(&mut out, cbor::ARRAY, 6);
            cbor::put_text(&mut out, &rule.name);
            cbor::put_uint(&mut out, u64::from(rule.effect == Effect::Deny));
            cbor::put_head(&mut out, cbor::ARRAY, rule.roles.len() as u64);
            rule.roles.iter().for_each(|role| cbor::put_uint(&mut out, u64::from(role.number())));
            cbor::put_uint(&mut out, u64::from(rule.actions.bits()));
            cbor::put_text(&mut out, rule.contract.as_deref().unwrap_or_default());
            cbor::put_text(&mut out, rule.scope.as_str());
        }
        out
    }

    /// Reads a policy. Every length is checked before anything is allocated for it.
    ///
    /// # Errors
    /// [`PolicyWireError`] for anything that [`Policy::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, PolicyWireError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        let mut roles = Vec::new();
        for _ in 0..counted(&mut reader, MAX_OWN_ROLES)? {
            roles.push(name(&mut reader)?);
        }
        let mut rules = Vec::new();
        for _ in 0..counted(&mut reader, MAX_RULES as u64)? {
            rules.push(rule(&mut reader)?);
        }
        reader.end()?;
        Ok(Self::new(rules, roles)?)
    }
}

fn rule(reader: &mut Reader<'_>) -> Result<Rule, PolicyWireError> {
    reader.array_of(6)?;
    let name = name(reader)?;
    let at = reader.position();
    let effect = match reader.uint()? {
        0 => Effect::Allow,
        1 => Effect::Deny,
        found => return Err(PolicyWireError::Unknown { found, at }),
    };
    let mut roles = Vec::new();
    for _ in 0..counted(reader, MAX_ROLES as u64)? {
        let (at, found) = (reader.position(), reader.uint()?);
        roles.push(Role::from_number(found).ok_or(PolicyWireError::Unknown { found, at })?);
    }
    let (at, found) = (reader.position(), reader.uint()?);
    let actions = u16::try_from(found).ok().and_then(Actions::from_bits);
    let actions = actions.ok_or(PolicyWireError::Unknown { found, at })?;
    let contract = Some(self::name(reader)?).filter(|contract| !contract.is_empty());
    let scope = reader.text()?.parse()?;
    Ok(Rule { name, effect, roles, actions, contract, scope })
}

fn name(reader: &mut Reader<'_>) -> Result<Box<str>, CborError> {
    let (at, text) = (reader.position(), reader.text()?);
    let (expected, found) = (MAX_NAME as u64, text.len() as u64);
    if found > expected { Err(CborError::Items { at, expected, found }) } else { Ok(text.into()) }
}

fn counted(reader: &mut Reader<'_>, max: u64) -> Result<u64, CborError> {
    let (at, found) = (reader.position(), reader.array()?);
    if found > max { Err(CborError::Items { at, expected: max, found }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Action, identity::OwnRole};
    use proptest::prelude::*;

    fn policy() -> Policy {
        let digger = Role::Own(OwnRole::new(0).unwrap());
        let rule = Rule {
            name: "diggers-dig".into(),
            effect: Effect::Deny,
            roles: [digger, Role::Admin].to_vec(),
            actions: [Action::Command, Action::ReadLog].into_iter().collect(),
            contract: Some("dig".into()),
            scope: "mars/base".parse().unwrap(),
        };
        let rules = [rule].into_iter().chain(Policy::default().rules().to_vec()).collect();
        Policy::new(rules, ["digger".into()].to_vec()).unwrap()
    }

    #[test]
    fn a_policy_survives_the_way_and_has_one_form() {
        for policy in [Policy::default(), policy()] {
            let bytes = policy.encode();
            assert_eq!(Policy::decode(&bytes).as_ref(), Ok(&policy));
            assert_eq!(Policy::decode(&bytes).unwrap().encode(), bytes);
        }
    }

    #[test]
    fn other_bytes_are_refused_by_reason() {
        let bytes = policy().encode();
        let reason = |bytes: &[u8]| Policy::decode(bytes).map_or_else(|error| error.reason(), |_| "taken");
        assert_eq!(reason(&[&bytes[..], &[0]].concat()), "trailing_bytes");
        assert_eq!(reason(&bytes[..9]), "truncated");
        assert_eq!(reason(&[0x82, 0x80, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "malformed");
        let unknown_actions =
            [&[0x82, 0x80, 0x81, 0x86, 0x61, b'a', 0, 0x80][..], &[0x19, 0x80, 0, 0x60, 0x60]].concat();
        assert_eq!(reason(&unknown_actions), "policy_number");
        let no_action = [0x82, 0x80, 0x81, 0x86, 0x61, b'a', 0, 0x80, 0, 0x60, 0x60];
        assert_eq!(reason(&no_action), "policy_rules");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Policy::decode(&bytes);
        }
    }
}
