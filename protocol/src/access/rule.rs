//! [`Rule`]: who may, or may not, do what, with which contract, where.

use super::action::Action;
use crate::identity::{Role, Scope};
use alloc::{boxed::Box, vec::Vec};

/// What a rule says of those whom it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(u16);

impl Actions {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Action::ALL.into_iter().collect()
    }

    /// The set as bits, each by its action's number.
    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    /// The set of these bits; `None` when one of them is no action's.
    pub(super) fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::all().0 == 0).then_some(Self(bits))
    }

    /// Whether `action` is among them.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |set, action| set | action.bit()))
    }
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which refusals tell.
    pub name: Box<str>,
    /// What it says.
    pub effect: Effect,
    /// Whom it matches; nobody named: everybody.
    pub roles: Vec<Role>,
    /// What it is about.
    pub actions: Actions,
    /// The contract that it is about; `None`: whatever the contract.
    pub contract: Option<Box<str>>,
    /// Where it holds.
    pub scope: Scope,
}

/// Why a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It is about other actions.
    Action,
    /// It is about other roles.
    Role,
    /// It is about another contract.
    Contract,
    /// It holds elsewhere.
    Scope,
}

impl Mismatch {
    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Action => "other action",
            Self::Role => "other role",
            Self::Contract => "other contract",
            Self::Scope => "other scope",
        }
    }
}

/// What is asked of a policy.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// To do what.
    pub action: Action,
    /// With which contract, if it is about one.
    pub contract: Option<&'a str>,
    /// Where: the scope of the asset whose door it is.
    pub scope: &'a Scope,
}

impl Rule {
    /// Whether it says something of a member in `role` who asks for this.
    ///
    /// # Errors
    /// The first reason why it does not.
    pub fn matches(&self, role: Role, request: &Request<'_>) -> Result<Effect, Mismatch> {
        if !self.actions.contains(request.action) {
            Err(Mismatch::Action)
        } else if !self.roles.is_empty() && !self.roles.contains(&role) {
            Err(Mismatch::Role)
        } else if self.contract.as_deref().is_some_and(|contract| request.contract != Some(contract)) {
            Err(Mismatch::Contract)
        } else if !self.scope.covers(request.scope) {
            Err(Mismatch::Scope)
        } else {
            Ok(self.effect)
        }
    }
}
