//! [`Policy`]: rules in order, of which the first that matches decides.

use super::{
    action::Action,
    rule::{Actions, Effect, Mismatch, Request, Rule},
};
use crate::identity::{OwnRole, Role, Scope, Speaker, Standing};
use alloc::{boxed::Box, vec::Vec};

/// Most rules of a policy.
pub const MAX_RULES: usize = 256;
/// Most roles that a rule names.
pub const MAX_ROLES: usize = 32;
/// Longest name of a rule or a role, in bytes.
pub const MAX_NAME: usize = 48;

/// Says so when no rule matches: what nobody allowed is denied.
pub const NO_RULE: &str = "no-rule";
/// Says so when a member's certificate is for another part of the fleet.
pub const CERTIFICATE_SCOPE: &str = "certificate-scope";
/// Says so when a member's certificate is in grace: it may report, share, contribute and read, and give no orders.
pub const CERTIFICATE_GRACE: &str = "certificate-grace";

/// Why rules are no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too many rules.
    #[error("{found} rules, at most {MAX_RULES} are allowed")]
    TooManyRules {
        /// How many.
        found: usize,
    },
    /// Two rules, or two roles, of one name, or one of a name that every policy has.
    #[error("`{name}` is there twice")]
    Twice {
        /// The name.
        name: Box<str>,
    },
    /// A name that is empty or too long, or a rule about nothing, or about too many roles.
    #[error(
        "rule or role `{name}`: no name, one of more than {MAX_NAME} bytes, no action, or more than {MAX_ROLES} roles"
    )]
    Malformed {
        /// The name.
        name: Box<str>,
    },
}

/// The verdict on a request, and the rule that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule's name.
    pub rule: &'a str,
}

/// A step on the way to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The rule that was looked at.
    pub rule: &'a str,
    /// Why it says nothing here; `None` for the one that decides.
    pub mismatch: Option<Mismatch>,
}

/// Who may do what. The same at every node of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    /// Names of the fleet's own roles, by index.
    roles: Vec<Box<str>>,
}

impl Policy {
    /// A policy of these rules, with the names of the fleet's own roles in the order of their numbers.
    ///
    /// # Errors
    /// [`PolicyError`] for too many rules, names that are there twice, or a rule that is about nothing.
    pub fn new(rules: Vec<Rule>, roles: Vec<Box<str>>) -> Result<Self, PolicyError> {
        if rules.len() > MAX_RULES {
            return Err(PolicyError::TooManyRules { found: rules.len() });
        }
        let fixed = [NO_RULE, CERTIFICATE_SCOPE, CERTIFICATE_GRACE];
        for (place, rule) in rules.iter().enumerate() {
            let named = (1..=MAX_NAME).contains(&rule.name.len());
            if !named || rule.actions.is_empty() || rule.roles.len() > MAX_ROLES {
                return Err(PolicyError::Malformed { name: rule.name.clone() });
            }
            if fixed.contains(&&*rule.name) || rules[..place].iter().any(|before| before.name == rule.name) {
                return Err(PolicyError::Twice { name: rule.name.clone() });
            }
        }
        for (place, role) in roles.iter().enumerate() {
            if !(1..=MAX_NAME).contains(&role.len()) || place > 239 {
                return Err(PolicyError::Malformed { name: role.clone() });
            }
            let built_in = Role::BUILT_IN.iter().any(|known| known.word() == Some(role));
            if built_in || roles[..place].contains(role) {
                return Err(PolicyError::Twice { name: role.clone() });
            }
        }
        Ok(Self { rules, roles })
    }

    /// The rules, in the order in which they are asked.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The contracts that rules about an action name.
    pub fn contracts(&self, action: Action) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().filter(move |rule| rule.actions.contains(action));
        rules.filter_map(|rule| rule.contract.as_deref())
    }

    /// Names of the fleet's own roles, in the order of their numbers.
    #[must_use]
    pub fn own_roles(&self) -> &[Box<str>] {
        &self.roles
    }

    /// The role of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Role> {
        let built_in = Role::BUILT_IN.into_iter().find(|role| role.word() == Some(name));
        built_in.or_else(|| {
            let index = self.roles.iter().position(|own| **own == *name)?;
            OwnRole::new(u8::try_from(index).ok()?).map(Role::Own)
        })
    }

    /// The name of a role.
    #[must_use]
    pub fn role_name(&self, role: Role) -> &str {
        match role {
            Role::Own(own) => self.roles.get(usize::from(own.index())).map_or("unnamed", |name| name),
            built_in => built_in.word().unwrap_or_default(),
        }
    }

    /// Whether `speaker` may do it. O(rules), without allocation.
    #[must_use]
    pub fn decide(&self, speaker: &Speaker, request: &Request<'_>) -> Decision<'_> {
        if let Some(decision) = Self::by_certificate(speaker, request) {
            return decision;
        }
        for rule in &self.rules {
            if let Ok(effect) = rule.matches(speaker.role, request) {
                return Decision { allowed: effect == Effect::Allow, rule: &rule.name };
            }
        }
        Decision { allowed: false, rule: NO_RULE }
    }

    /// What a certificate does not cover, no rule allows.
    fn by_certificate(speaker: &Speaker, request: &Request<'_>) -> Option<Decision<'static>> {
        let harmless =
            matches!(request.action, Action::Report | Action::Share | Action::Contribute | Action::ReadLog);
        if speaker.standing == Standing::Grace && !harmless {
            return Some(Decision { allowed: false, rule: CERTIFICATE_GRACE });
        }
        let covered = speaker.scope.covers(request.scope);
        (!covered).then_some(Decision { allowed: false, rule: CERTIFICATE_SCOPE })
    }

    /// How it comes to its decision: every rule that was asked, the one that decides last.
    #[must_use]
    pub fn explain(&self, speaker: &Speaker, request: &Request<'_>) -> (Decision<'_>, Vec<Step<'_>>) {
        let decision = self.decide(speaker, request);
        let mut steps = Vec::new();
        if Self::by_certificate(speaker, request).is_none() {
            for rule in &self.rules {
                let mismatch = rule.matches(speaker.role, request).err();
                steps.push(Step { rule: &rule.name, mismatch });
                if mismatch.is_none() {
                    return (decision, steps);
                }
            }
        }
        steps.push(Step { rule: decision.rule, mismatch: None });
        (decision, steps)
    }
}

impl Default for Policy {
    /// Everybody with a certificate reports and reads the log; contributors share and contribute; operators also command, coordinate and
    /// witness; admins may do everything.
    fn default() -> Self {
        use Action::{
            ChangePolicy, ChangeSchema, Command, Contribute, Coordinate, ReadLog, Report, Share, Witness,
        };
        let rule = |name: &str, roles: &[Role], actions: &[Action]| Rule {
            name: name.into(),
            effect: Effect::Allow,
            roles: roles.to_vec(),
            actions: actions.iter().copied().collect::<Actions>(),
            contract: None,
            scope: Scope::everything(),
        };
        let (contributor, operator, admin) = (Role::Contributor, Role::Operator, Role::Admin);
        let rules = alloc::vec![
            rule("members-report", &[], &[Report, ReadLog]),
            rule("contributors-share", &[contributor, operator, admin], &[Share, Contribute]),
            rule("operators-command", &[operator, admin], &[Command, Coordinate, Witness]),
            rule("admins-change", &[admin], &[ChangeSchema, ChangePolicy]),
        ];
        Self { rules, roles: Vec::new() }
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
