//! Roles that nobody holds together.

use super::super::{DenialKind, Principal, Reason, compile};
use super::{ask, caller, program, source};

const BANK: &str = "
grades: { 1: {} }
purposes: [service]
entities: { customer: { subject: id, fields: { id: 1 } } }
routes:
  one: { match: 'GET bank.example/one/{id}', to: core, action: view, returns: { customer: $ } }
roles: { teller: {}, clerk: { includes: [teller] }, security: {}, auditor: {} }
rules:
  - { name: work, allow: view, to: any, of: customer, clear: id }
";

#[test]
fn whoever_holds_two_roles_that_are_kept_apart_may_do_nothing_by_whichever_account() {
    let program = program(&format!("{BANK}apart: [[security, auditor], [teller, auditor]]\n"));
    let asked = |roles: &[&str], elsewhere: &[&str]| {
        let roles_elsewhere = elsewhere.iter().map(|role| (*role).to_owned()).collect();
        let principal = Principal { roles_elsewhere, ..caller(roles) };
        ask(&program, principal, "GET /one/1", None)
    };
    for (roles, elsewhere) in [
        (&["security"][..], &[][..]),
        (&["auditor"], &["auditor"]),
        (&["security", "teller"], &["clerk"]),
        (&["auditor", "nobody's"], &["stranger"]),
        (&[], &[]),
    ] {
        asked(roles, elsewhere).unwrap();
    }
    for (roles, elsewhere, two) in [
        (&["auditor", "security"][..], &[][..], ("security", "auditor")),
        (&["security"], &["auditor"], ("security", "auditor")),
        (&["auditor"], &["security"], ("security", "auditor")),
        // A role that includes another is that one too.
        (&["clerk"], &["auditor"], ("teller", "auditor")),
        (&[], &["security", "auditor"], ("security", "auditor")),
    ] {
        let denial = asked(roles, elsewhere).unwrap_err();
        assert_eq!(denial.kind, DenialKind::Forbidden);
        let (one, other) = (two.0.to_owned(), two.1.to_owned());
        assert_eq!(denial.reasons, [Reason::HeldTogether { one, other }]);
    }
}

#[test]
fn a_role_that_is_two_of_those_kept_apart_a_set_of_one_and_an_unknown_role_are_faults() {
    for (apart, said) in [
        (
            "[[teller, clerk]]",
            "whoever holds `clerk` holds `teller` and `clerk`, which are kept apart",
        ),
        ("[[teller]]", "at least two roles are kept apart"),
        ("[[teller, teller]]", "at least two roles are kept apart"),
        ("[[teller, auditer]]", "auditer"),
        ("[{ teller: auditor }]", "roles that are kept apart"),
    ] {
        let faults = compile(&[source(&format!("{BANK}apart: {apart}\n"))]).unwrap_err();
        assert!(faults.to_string().contains(said), "{apart}: {faults}");
    }
}
