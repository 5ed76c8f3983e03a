//! Who may do what, and which rule says so.

use super::*;
use crate::id::NodeId;
use proptest::prelude::*;

fn speaker(role: Role, scope: &str, standing: Standing) -> Speaker {
    Speaker { node: NodeId(7), role, scope: scope.parse().unwrap(), standing }
}

fn asked(policy: &Policy, speaker: &Speaker, action: Action, scope: &str) -> (bool, alloc::string::String) {
    let scope = scope.parse().unwrap();
    let decision = policy.decide(speaker, &Request { action, contract: None, scope: &scope });
    (decision.allowed, decision.rule.into())
}

fn rule(name: &str, effect: Effect, roles: &[Role], action: Action, scope: &str) -> Rule {
    Rule {
        name: name.into(),
        effect,
        roles: roles.to_vec(),
        actions: [action].into_iter().collect(),
        contract: None,
        scope: scope.parse().unwrap(),
    }
}

#[test]
fn the_standard_policy_climbs_from_observer_to_admin() {
    let policy = Policy::default();
    let may = |role: Role| -> Vec<&str> {
        let speaker = speaker(role, "", Standing::Valid);
        let allowed = |action: &Action| asked(&policy, &speaker, *action, "mars").0;
        Action::ALL.into_iter().filter(allowed).map(Action::word).collect()
    };
    assert_eq!(may(Role::Observer), ["report", "read-log"]);
    assert_eq!(may(Role::Contributor), ["report", "share", "contribute", "read-log"]);
    assert_eq!(
        may(Role::Operator),
        ["report", "command", "share", "contribute", "coordinate", "read-log", "witness"]
    );
    assert_eq!(may(Role::Admin).len(), Action::ALL.len());
}

#[test]
fn a_refusal_names_the_rule() {
    let policy = Policy::default();
    let valid = |role| speaker(role, "mars", Standing::Valid);
    let named = |allowed: bool, rule: &str| (allowed, rule.into());
    assert_eq!(
        asked(&policy, &valid(Role::Operator), Action::Command, "mars/base"),
        named(true, "operators-command")
    );
    assert_eq!(asked(&policy, &valid(Role::Observer), Action::Command, "mars/base"), named(false, NO_RULE));
    assert_eq!(
        asked(&policy, &valid(Role::Operator), Action::Command, "moon"),
        named(false, CERTIFICATE_SCOPE)
    );
    let late = speaker(Role::Admin, "", Standing::Grace);
    assert_eq!(asked(&policy, &late, Action::Command, "mars"), named(false, CERTIFICATE_GRACE));
    assert_eq!(asked(&policy, &late, Action::Report, "mars"), named(true, "members-report"));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let own = Role::Own(OwnRole::new(0).unwrap());
    let rules = [
        rule("no-orders-in-the-north", Effect::Deny, &[Role::Operator], Action::Command, "mars/north"),
        rule("operators", Effect::Allow, &[Role::Operator], Action::Command, ""),
        rule("medics-see-the-log", Effect::Allow, &[own], Action::ReadLog, "mars"),
    ];
    let policy = Policy::new(rules.to_vec(), [Box::from("medic")].to_vec()).unwrap();
    let operator = speaker(Role::Operator, "", Standing::Valid);
    assert_eq!(asked(&policy, &operator, Action::Command, "mars/north/lab").1, "no-orders-in-the-north");
    assert_eq!(asked(&policy, &operator, Action::Command, "mars/south"), (true, "operators".into()));
    let medic = speaker(policy.role("medic").unwrap(), "", Standing::Valid);
    assert_eq!((medic.role, policy.role_name(medic.role)), (own, "medic"));
    assert!(asked(&policy, &medic, Action::ReadLog, "mars").0);
    assert_eq!(asked(&policy, &medic, Action::ReadLog, "moon"), (false, NO_RULE.into()));
}

#[test]
fn a_rule_about_a_contract_says_nothing_of_others() {
    let mut about = rule("thrust", Effect::Allow, &[], Action::Command, "");
    about.contract = Some("Thrust".into());
    let policy = Policy::new([about].to_vec(), Vec::new()).unwrap();
    let speaker = speaker(Role::Observer, "", Standing::Valid);
    let scope = Scope::everything();
    let allowed = |contract| {
        policy.decide(&speaker, &Request { action: Action::Command, contract, scope: &scope }).allowed
    };
    assert!(allowed(Some("Thrust")));
    assert!(!allowed(Some("Camera")) && !allowed(None));
}

#[test]
fn an_explanation_lists_every_rule_asked_and_why_it_was_silent() {
    let policy = Policy::default();
    let contributor = speaker(Role::Contributor, "", Standing::Valid);
    let scope = Scope::everything();
    let request = Request { action: Action::Share, contract: None, scope: &scope };
    let (decision, steps) = policy.explain(&contributor, &request);
    assert_eq!(decision, policy.decide(&contributor, &request));
    assert_eq!(
        steps,
        [
            Step { rule: "members-report", mismatch: Some(Mismatch::Action) },
            Step { rule: "contributors-share", mismatch: None },
        ]
    );
    let (_, steps) = policy.explain(&contributor, &Request { action: Action::Command, ..request });
    assert_eq!(steps.last(), Some(&Step { rule: NO_RULE, mismatch: None }));
    assert_eq!(steps[2].mismatch, Some(Mismatch::Role));
}

#[test]
fn rules_that_are_no_policy_are_refused() {
    let good = rule("a", Effect::Allow, &[], Action::Report, "");
    let refused = |rules: &[Rule], roles: &[&str]| {
        Policy::new(rules.to_vec(), roles.iter().map(|role| Box::from(*role)).collect()).is_err()
    };
    assert!(!refused(core::slice::from_ref(&good), &["medic"]));
    assert!(refused(&[good.clone(), good.clone()], &[]));
    assert!(refused(&[Rule { name: NO_RULE.into(), ..good.clone() }], &[]));
    assert!(refused(&[Rule { name: "".into(), ..good.clone() }], &[]));
    assert!(refused(&[Rule { actions: Actions::default(), ..good.clone() }], &[]));
    assert!(refused(&[], &["medic", "medic"]));
    assert!(refused(&[], &["admin"]));
    let many: Vec<Rule> = (0..=MAX_RULES)
        .map(|number| Rule { name: alloc::format!("{number}").into(), ..good.clone() })
        .collect();
    assert!(refused(&many, &[]));
}

proptest! {
    #[test]
    fn grace_never_allows_more_than_validity_and_a_smaller_scope_never_more_than_a_larger(
        number in 0..4_u64, action in prop::sample::select(&Action::ALL[..]),
    ) {
        let policy = Policy::default();
        let role = Role::from_number(number).unwrap();
        let may = |scope: &str, standing| asked(&policy, &speaker(role, scope, standing), action, "mars").0;
        prop_assert!(!may("mars", Standing::Grace) || may("mars", Standing::Valid));
        prop_assert!(!may("mars/base", Standing::Valid), "a certificate for less than the asset");
        prop_assert!(!may("mars", Standing::Valid) || may("", Standing::Valid));
    }
}
