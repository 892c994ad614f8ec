//! A grant about a search: that search alone, whichever page of it, and only where the policy lets there be one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Action, Coverage, Denial, Grant, Lack, NotGrantable, Permit, Query, Reason};
use super::{NOW, Program, caller, program};
use crate::route::Path;

const BANK: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, 4: { grant: required } }
roles: { clerk: {}, boss: { rank: 5 } }
entities:
  customer: { subject: id, fields: { id: 1, branch: 1, status: 1, balance: 4 } }
routes:
  customer.find:
    match: GET bank.example/customers
    to: core
    action: search
    require: { grant: required }
    query:
      branch: customer.branch
      status: customer.status
      filter: { means: filter, as: brackets }
      page: page
      size: page-size
      sort: sort
      lang: free
    returns: { customer: "$[]" }
  customer.all:
    match: GET bank.example/all
    to: core
    action: search
    query: { branch: customer.branch }
    returns: { customer: "$[]" }
  customer.file:
    match: GET bank.example/files/{id}
    to: core
    action: export
    query: { lang: free }
    opaque: { types: [application/pdf], size: 1MiB, grade: 4, of: customer, subject: id }
rules:
  - { name: desk, allow: [view, search], to: clerk, of: customer, clear: [id, branch, status, balance] }
  - { name: files, allow: export, to: clerk, route: customer.file }
grants:
  - { to: clerk, action: [search, export], grade: 4, by: higher-rank, rows: 50 }
"#;

fn pairs(search: &[(&str, &str)]) -> Vec<(String, String)> {
    search.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn about(route: &str, search: &[(&str, &str)]) -> Coverage {
    Coverage {
        actions: vec![Action::Search],
        routes: vec![route.to_owned()],
        search: pairs(search),
        ..Coverage::default()
    }
}

fn searched(bank: &Program, given: Option<&[(&str, &str)]>, path: &str) -> Result<Permit, Denial> {
    let coverage = about("customer.find", &[("branch", "12"), ("status", "open")]);
    let grant = Arc::new(Grant { id: "G-1".to_owned(), attributes: BTreeMap::new(), coverage });
    let (principal, given) = (Arc::new(caller(&["clerk"])), given.map(pairs));
    let met = bank.find("business", "bank.example", "GET", &Path::parse(path).unwrap()).unwrap();
    bank.decide(&Query {
        zone: "business",
        principal: &principal,
        route: &met.route,
        params: &met.params,
        search: given.as_deref(),
        method: "GET",
        host: "bank.example",
        purpose: None,
        ticket: None,
        grant: Some(&grant),
        ties: None,
        now_unix_s: NOW,
    })
}

#[test]
fn a_grant_about_a_search_opens_any_page_of_that_search_and_no_other() {
    let bank = program(BANK);
    let opened = |given: &[(&str, &str)]| searched(&bank, Some(given), "/customers").is_ok();
    assert!(opened(&[("branch", "12"), ("status", "open")]));
    assert!(opened(&[("status", "open"), ("branch", "12")]), "in whatever order");
    let page =
        [("branch", "12"), ("page", "7"), ("status", "open"), ("size", "20"), ("sort", "id")];
    assert!(opened(&page));
    for other in [
        &[][..],
        &[("branch", "12")],
        &[("branch", "13"), ("status", "open")],
        &[("branch", "12"), ("status", "closed")],
        &[("branch", "12"), ("status", "open"), ("filter[status]", "shut")],
        // What touches no field may all the same change what a backend finds.
        &[("branch", "12"), ("status", "open"), ("lang", "th")],
        &[("branch", "12"), ("status", "open"), ("unheard-of", "1")],
        &[("page", "1"), ("size", "20")],
    ] {
        assert!(!opened(other), "{other:?}");
    }
    let denied = searched(&bank, Some(&[("branch", "13")]), "/customers").unwrap_err();
    let is_told = |reason: &Reason| matches!(reason, Reason::NotCovered { lack: Lack::Search, .. });
    assert!(denied.reasons.iter().any(is_told), "{denied:?}");
    assert!(searched(&bank, None, "/customers").is_err(), "what was asked for is not known");
}

#[test]
fn what_is_searched_for_must_have_one_meaning_and_be_countable() {
    let bank = program(BANK);
    let clerk = ["clerk".to_owned()];
    let granting = |coverage: &Coverage| bank.granting(&clerk, coverage).map(|g| g.terms.rows);
    let find = |search: &[(&str, &str)]| granting(&about("customer.find", search));
    assert_eq!(find(&[("branch", "12")]), Ok(Some(50)));
    assert_eq!(find(&[("filter[status]", "open"), ("lang", "th")]), Ok(Some(50)));
    for unfit in [
        &[("lang", "th")][..],
        &[("branch", "12"), ("page", "2")],
        &[("branch", "12"), ("size", "20")],
        &[("branch", "12"), ("sort", "id")],
        &[("filter", "open")],
        &[("branch[x]", "12")],
        &[("nothing", "12")],
    ] {
        assert!(matches!(find(unfit), Err(NotGrantable::Search(_))), "{unfit:?}");
    }
    let search = [("branch", "12")];
    let two =
        Coverage { routes: pairs_of(&["customer.find", "customer.all"]), ..about("", &search) };
    let all = Coverage { routes: Vec::new(), ..about("", &search) };
    let file =
        Coverage { actions: vec![Action::Export], ..about("customer.file", &[("lang", "th")]) };
    for unfit in [two, all, file] {
        assert!(matches!(granting(&unfit), Err(NotGrantable::Search(_))), "{unfit:?}");
    }
}

fn pairs_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn where_one_entry_says_no_rows_no_grant_is_about_a_search() {
    let clerk = ["clerk".to_owned()];
    let rows = |more: &str| {
        let bank = program(&format!("{BANK}{more}"));
        bank.granting(&clerk, &about("customer.find", &[("branch", "12")])).unwrap().terms.rows
    };
    assert_eq!(rows(""), Some(50));
    assert_eq!(rows("  - { to: clerk, route: customer.find, grade: 4, rows: 10 }\n"), Some(10));
    assert_eq!(rows("  - { to: clerk, route: customer.find, grade: 4 }\n"), None);
}
