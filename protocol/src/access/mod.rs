//! Access control: who may do what, by role, contract and scope, and which rule says so.
//!
//! Every door of the node asks [`Policy::decide`], with the [`crate::identity::Speaker`] that a signature and a certificate have shown, and
//! nothing else. What a certificate does not cover no rule allows; then the first rule that matches decides; what no rule allows is denied.

mod action;
mod policy;
mod rule;
mod wire;

pub use action::Action;
pub use policy::{
    CERTIFICATE_GRACE, CERTIFICATE_SCOPE, Decision, MAX_NAME, MAX_ROLES, MAX_RULES, NO_RULE, Policy,
    PolicyError, Step,
};
pub use rule::{Actions, Effect, Mismatch, Request, Rule};
pub use wire::PolicyWireError;
