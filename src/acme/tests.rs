//! What is kept, and what is taken of what was issued.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair};

use super::account::external_key;
use super::order::check;
use super::stored::{file_of, span_of, write_private};
use super::*;

const NOW_S: i64 = 1_800_000_000;

fn issued(names: &[&str], (from, to): (i32, i32), own_key: bool) -> String {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let key = if own_key { key } else { KeyPair::generate().unwrap() };
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_issued_must_be_for_the_names_the_key_and_this_time() {
    let wanted = names(&["bank.example", "api.bank.example"]);
    let good = issued(&["api.bank.example", "BANK.example", "more.example"], (2026, 2028), true);
    let span = check(&good, &wanted, NOW_S).unwrap();
    assert!(span.begins_s < NOW_S && NOW_S < span.ends_s);
    let both = ["bank.example", "api.bank.example"];
    for (what, pem, why) in [
        ("another key", issued(&both, (2026, 2028), false), "key of the order"),
        ("a name too few", issued(&["bank.example"], (2026, 2028), true), "lacks a name"),
        ("over", issued(&both, (2024, 2025), true), "not good now"),
        ("not yet", issued(&both, (2029, 2030), true), "not good now"),
        ("nothing", String::new(), "no certificate"),
        ("no key", good.split("-----BEGIN PRIVATE").next().unwrap().to_owned(), "no key"),
        ("too many", format!("{}{good}", good.repeat(9)), "too many"),
    ] {
        let refused = check(&pem, &wanted, NOW_S).unwrap_err().to_string();
        assert!(refused.contains(why), "{what}: {refused}");
    }
}

#[test]
fn what_is_kept_is_its_owners_alone_and_replaced_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_of(dir.path(), &names(&["bank.example"]));
    assert!(span_of(&path).is_none());
    for year in [2027, 2028] {
        let pem = crate::secret::Secret::new(issued(&["bank.example"], (2026, year), true));
        let span = Span { begins_s: 0, ends_s: 1 };
        store(&path, &Obtained { pem, span }).unwrap();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let (span, _) = span_of(&path).unwrap();
        assert_eq!(span.begins_s, 1_767_225_600);
    }
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    // One that a crash left, readable by all.
    std::fs::write(path.with_extension("new"), "x").unwrap();
    write_private(&path, b"y").unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn each_set_of_names_has_its_file_whatever_their_order() {
    let state = std::path::Path::new("/s");
    let file = |list: &[&str]| file_of(state, &names(list));
    assert_eq!(file(&["a.example", "b.example"]).parent(), Some(folder(state).as_path()));
    assert_ne!(file(&["a.example"]), file(&["a.example", "b.example"]));
    let print = |list: &[&str]| {
        let name = file(list).file_stem().unwrap().to_string_lossy().into_owned();
        name.rsplit_once('-').unwrap().1.to_owned()
    };
    assert_eq!(print(&["a.example", "b.example"]), print(&["b.example", "a.example"]));
    assert!(!file(&["../../etc"]).to_string_lossy().contains("/etc"));
}

#[test]
fn the_key_of_an_account_known_from_elsewhere_is_base64url() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eab.key");
    std::fs::write(&path, "c2VjcmV0LWtleS0x==\n").unwrap();
    assert_eq!(external_key(&path).unwrap(), b"secret-key-1");
    for bad in ["", "not base64!", "====\n"] {
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(external_key(&path), Err(AcmeError::ExternalKey(_))), "{bad}");
    }
    let gone = dir.path().join("gone");
    assert!(external_key(&gone).unwrap_err().to_string().contains("gone"));
}
