//! Certificates, access control and the log.

use super::Checker;
use crate::scenario::{
    checked::{Grant, Priority, ProtocolSettings, Revocation, Service, TrustSpec},
    decode::{List, Spanned},
    diagnostic::Mistake,
    raw::{RawCause, RawEffect, RawGrant, RawRevocation, RawRule, RawTrust},
};
use crate::units::{AssetIndex, SimTime};
use cosmosmesh_protocol::{
    access::{Action, Effect, Policy, Rule},
    identity::{Cause, Role, Scope},
};
use std::{collections::BTreeMap, sync::Arc};

const DAY: SimTime = SimTime::from_secs(86_400);

impl Checker<'_> {
    pub(super) fn trust(&mut self, raw: &Spanned<RawTrust>, protocol: &ProtocolSettings) -> TrustSpec {
        if protocol.service != Service::Streams {
            let found = "trust by certificates with datagrams";
            self.report(
                &raw.place,
                Mistake::Inconsistent,
                found,
                "`service: Streams`: datagrams are signed by nobody",
            );
        }
        let raw = &raw.value;
        let authority = self.asset(&raw.authority).unwrap_or(AssetIndex(0));
        let policy = self.policy(raw);
        let mut grants = BTreeMap::new();
        for grant in raw.grants.iter().flat_map(|grants| &grants.value) {
            let granted = self.grant(&grant.value, &policy);
            for member in self.members(&grant.value.members) {
                grants.insert(member, granted.clone());
            }
        }
        let lifetime = self.above_zero_or(raw.certificate_lifetime.as_ref(), SimTime(30 * DAY.0));
        let renew_before =
            self.above_zero_or(raw.renew_before.as_ref(), SimTime(10 * DAY.0).min(SimTime(lifetime.0 / 3)));
        if let Some(written) = raw.renew_before.as_ref().filter(|_| renew_before >= lifetime) {
            self.out_of_range(&written.place, format!("a time below the certificate's lifetime, {lifetime}"));
        }
        TrustSpec {
            authority,
            grants,
            policy: Arc::new(policy),
            witnesses: raw.witnesses.as_ref().map_or_else(|| vec![authority], |names| self.members(names)),
            certificate_lifetime: lifetime,
            renew_before,
            grace: self.not_negative_or(raw.grace.as_ref(), SimTime(14 * DAY.0)),
            share: raw.share.as_ref().map(|share| self.rate_limit(&share.value)),
            interval: self.above_zero_or(raw.interval.as_ref(), SimTime::from_secs(3600)),
            lifetime: self.above_zero_or(raw.lifetime.as_ref(), protocol.lifetime(Priority::Normal)),
            revocations: self.revocations(raw.revocations.as_ref()),
        }
    }

    fn policy(&mut self, raw: &RawTrust) -> Policy {
        let names =
            raw.roles.iter().flat_map(|roles| &roles.value).map(|name| name.value.as_str().into()).collect();
        let place = raw.roles.as_ref().map(|roles| roles.place.clone());
        let bare = match Policy::new(Vec::new(), names) {
            Ok(policy) => policy,
            Err(error) => {
                let place = place.expect("names that were written");
                self.report(&place, Mistake::Inconsistent, error.to_string(), "up to 240 names, each once");
                Policy::default()
            }
        };
        let own: Vec<Box<str>> =
            raw.roles.iter().flat_map(|roles| &roles.value).map(|name| name.value.as_str().into()).collect();
        let (rules, place) = match &raw.policy {
            None => (Policy::default().rules().to_vec(), &raw.authority.place),
            Some(list) => {
                (list.value.iter().map(|rule| self.rule(&rule.value, &bare)).collect(), &list.place)
            }
        };
        Policy::new(rules, own).unwrap_or_else(|error| {
            self.report(
                place,
                Mistake::Inconsistent,
                error.to_string(),
                "up to 256 rules, each of its own name and about something",
            );
            Policy::default()
        })
    }

    pub(super) fn rule(&mut self, raw: &RawRule, policy: &Policy) -> Rule {
        let mut actions = Vec::new();
        for name in &raw.actions.value {
            match Action::from_word(&name.value) {
                Some(action) => actions.push(action),
                None => self.unknown_name(name, "an action", &Action::ALL.map(Action::word)),
            }
        }
        let roles = raw.roles.iter().flat_map(|roles| &roles.value);
        Rule {
            name: raw.name.value.as_str().into(),
            effect: match raw.effect.as_ref().map(|effect| &effect.value) {
                None | Some(RawEffect::Allow) => Effect::Allow,
                Some(RawEffect::Deny) => Effect::Deny,
            },
            roles: roles.map(|role| self.role(role, policy)).collect(),
            actions: actions.into_iter().collect(),
            contract: raw.contract.as_ref().map(|contract| contract.value.as_str().into()),
            scope: self.scope(raw.scope.as_ref()).unwrap_or_default(),
        }
    }

    fn role(&mut self, name: &Spanned<String>, policy: &Policy) -> Role {
        policy.role(&name.value).unwrap_or_else(|| {
            let known = Role::BUILT_IN.map(|role| role.word().unwrap_or_default());
            self.unknown_name(name, "a role", &known);
            Role::default()
        })
    }

    fn scope(&mut self, text: Option<&Spanned<String>>) -> Option<Scope> {
        let text = text?;
        match text.value.parse() {
            Ok(scope) => Some(scope),
            Err(error) => {
                let allowed = format!("a path such as \"mars/base\": {error}");
                self.out_of_range(&text.place, allowed);
                None
            }
        }
    }

    fn grant(&mut self, raw: &RawGrant, policy: &Policy) -> Grant {
        let role = self.role(&raw.role, policy);
        let scope = self.scope(raw.scope.as_ref()).unwrap_or_default();
        let home = self.scope(raw.home.as_ref()).unwrap_or_else(|| scope.clone());
        Grant { role, scope, home }
    }

    fn revocations(&mut self, raw: Option<&List<RawRevocation>>) -> Vec<Revocation> {
        let run = self.run;
        let raw = raw.map(|raw| raw.value.as_slice()).unwrap_or_default();
        let mut revocations = Vec::new();
        for revocation in raw {
            let RawRevocation { asset, at, cause } = &revocation.value;
            let holds = (SimTime::ZERO..run).contains(&at.value.0);
            self.expect(holds, &at.place, format!("a time within the run, 0 s to below {run}"));
            let cause = match cause.as_ref().map(|cause| &cause.value) {
                Some(RawCause::Superseded) => Cause::Superseded,
                Some(RawCause::Blocked) => Cause::Blocked,
                None | Some(RawCause::Compromised) => Cause::Compromised,
            };
            let asset = self.asset(asset).unwrap_or(AssetIndex(0));
            revocations.push(Revocation { asset, at: at.value.0, cause });
        }
        revocations
    }
}
