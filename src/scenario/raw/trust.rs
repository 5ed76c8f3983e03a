//! Certificates, access control and the log.

use super::{Optional, RawRateLimit};
use crate::scenario::{
    decode::{List, Spanned, choice, record},
    quantity::Duration,
};

record! {
    /// Trust by certificates: an authority says who speaks for whom and in which role, a policy who may do what, and every asset keeps a
    /// tamper-evident log, which the run folder gets.
    RawTrust "Trust" {
        authority: Spanned<String>, "", "The asset that holds the authority's key: it renews certificates and takes keys back. It is an admin.";
        grants: Option<List<RawGrant>>, "none", "Roles of assets; the others are contributors everywhere.";
        roles: Optional<Vec<Spanned<String>>>, "none", "Names of the fleet's own roles, beside observer, contributor, operator and admin.";
        policy: Option<List<RawRule>>, "the standard policy", "Rules in order; the first that matches decides, and what none allows is denied.";
        witnesses: Optional<Vec<Spanned<String>>>, "the authority", "Who signs the others' logs when it has seen that they have only grown: names or `\"@group\"`; each needs a role that may witness.";
        certificate_lifetime: Optional<Duration>, "30 d", "How long a certificate holds, more than zero.";
        renew_before: Optional<Duration>, "10 d", "How long before its end it is renewed, more than zero and less than its lifetime.";
        grace: Optional<Duration>, "14 d", "How long after its end it still serves to report, share and contribute, 0 or more.";
        share: Optional<RawRateLimit>, "none", "How fast an asset takes the messages of one other: a member that floods is held to it. Keep it above what honest members send.";
        interval: Optional<Duration>, "1 h", "How often an asset tells the next one what it knows, more than zero.";
        lifetime: Optional<Duration>, "the protocol's for Normal", "Lifetime of these messages, more than zero.";
        revocations: Option<List<RawRevocation>>, "none", "Keys that are taken back.";
    }
}

record! {
    /// A role, and where.
    RawGrant "Grant" {
        members: Spanned<Vec<Spanned<String>>>, "", "Who: names, `\"@group\"` or `\"@all\"`. A later grant takes the place of an earlier one.";
        role: Spanned<String>, "", "In which role: observer, contributor, operator, admin, or one of the fleet's own.";
        scope: Optional<String>, "everything", "For which part of the fleet, such as `\"mars/base\"`: it covers what is below.";
        home: Optional<String>, "the scope", "The part of the fleet that they belong to: who commands them must be certified for it.";
    }
}

record! {
    /// A rule of the policy.
    RawRule "Rule" {
        name: Spanned<String>, "", "Its name, which refusals tell.";
        effect: Optional<RawEffect>, "Allow", "Whether it allows or denies.";
        roles: Optional<Vec<Spanned<String>>>, "every role", "Whom it matches.";
        actions: Spanned<Vec<Spanned<String>>>, "", "What it is about: report, command, share, contribute, coordinate, change-schema, change-policy, read-log, witness.";
        contract: Optional<String>, "any", "The contract that it is about.";
        scope: Optional<String>, "everything", "Where it holds.";
    }
}

choice! {
    /// What a rule says.
    RawEffect "Effect" { Allow, Deny }
}

record! {
    /// A key that is taken back.
    RawRevocation "Revocation" {
        asset: Spanned<String>, "", "Whose.";
        at: Spanned<Duration>, "", "When, within the run.";
        cause: Optional<RawCause>, "Compromised", "Why.";
    }
}

choice! {
    /// Why a key is taken back. What was signed before counts for three more days with Superseded, and not at all with the others.
    RawCause "Cause" { Superseded, Blocked, Compromised }
}
