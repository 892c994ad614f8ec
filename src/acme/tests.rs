//! What is kept, and what is taken of what was issued.

use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};

use super::account::external_key;
use super::order::tested;
use super::stored::{file_of, span_of, write_private};
use super::*;

const NOW_S: i64 = 1_800_000_000;

fn issued(names: &[&str], (from, to): (i32, i32)) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_issued_must_be_for_the_names_the_key_and_this_time() {
    let wanted = names(&["bank.example", "api.bank.example"]);
    let (good, own) = issued(&["api.bank.example", "BANK.example", "more.example"], (2026, 2028));
    let span = tested(&good, &own, &wanted, NOW_S).unwrap().span;
    assert!(span.begins_s < NOW_S && NOW_S < span.ends_s);
    let both = ["bank.example", "api.bank.example"];
    for (what, (pem, key), why) in [
        ("another key", (good.clone(), KeyPair::generate().unwrap()), "key of the order"),
        ("a name too few", issued(&["bank.example"], (2026, 2028)), "lacks a name"),
        ("over", issued(&both, (2024, 2025)), "not good now"),
        ("not yet", issued(&both, (2029, 2030)), "not good now"),
        ("nothing", (String::new(), KeyPair::generate().unwrap()), "no certificate"),
        ("too many", (good.repeat(9), KeyPair::generate().unwrap()), "too many"),
    ] {
        let refused = tested(&pem, &key, &wanted, NOW_S).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(why), "{what}: {refused}");
    }
}

#[test]
fn a_key_that_comes_with_a_certificate_is_never_taken() {
    let wanted = names(&["bank.example"]);
    let (certificate, theirs) = issued(&["bank.example"], (2026, 2028));
    let with_theirs = format!("{}{certificate}{}", theirs.serialize_pem(), theirs.serialize_pem());
    let own = KeyPair::generate().unwrap();
    let refused = tested(&with_theirs, &own, &wanted, NOW_S).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("key of the order"), "{refused}");
    // Beside a certificate for our own it goes as all else does that is none.
    let other = KeyPair::generate().unwrap().serialize_pem();
    let answer = format!("{other}what anybody may write\n{certificate}{other}");
    let taken = tested(&answer, &theirs, &wanted, NOW_S).unwrap();
    let kept = taken.pem.expose();
    assert_eq!(kept.matches("PRIVATE KEY-----\n").count(), 2, "one, with its end: {kept}");
    assert!(kept.ends_with(&theirs.serialize_pem()) && !kept.contains("anybody"), "{kept}");
    assert!(kept.starts_with(certificate.replace('\r', "").trim_end()), "{kept} {certificate}");
}

#[test]
fn a_directorys_words_are_one_line_that_ends() {
    let words = format!("no\nERROR forged \u{1b}[31m\u{202e}{}", "x".repeat(5000));
    let name = "a\rb".to_owned();
    let told = AcmeError::NotOurs { name, why: words.clone() }.to_string();
    assert!(told.chars().all(|c| !crate::unseen::is_unseen(c)), "{told}");
    assert!(told.contains(r"no\u{a}ERROR") && told.ends_with("x…") && told.len() < 500, "{told}");
    let problem = instant_acme::Problem {
        r#type: Some(words.clone()),
        detail: Some(words),
        status: None,
        subproblems: Vec::new(),
    };
    let told = AcmeError::from(instant_acme::Error::Api(problem)).to_string();
    assert!(told.chars().all(|c| !crate::unseen::is_unseen(c)) && told.len() < 500, "{told}");
}

#[test]
fn what_is_kept_is_its_owners_alone_and_replaced_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_of(dir.path(), &names(&["bank.example"]));
    assert!(span_of(&path).is_none());
    for year in [2028, 2029] {
        let (certificate, key) = issued(&["bank.example"], (2026, year));
        let obtained = tested(&certificate, &key, &names(&["bank.example"]), NOW_S);
        store(&path, &obtained.unwrap()).unwrap();
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
    let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o640);
    let said = external_key(&path).unwrap_err().to_string();
    assert!(said.contains("others may read it") && !said.contains("c2VjcmV0"), "{said}");
    mode(0o600);
    assert_eq!(external_key(&path).unwrap(), b"secret-key-1");
    for bad in ["", "not base64!", "====\n"] {
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(external_key(&path), Err(AcmeError::ExternalKey(_))), "{bad}");
    }
    let gone = dir.path().join("gone");
    assert!(external_key(&gone).unwrap_err().to_string().contains("gone"));
}

#[tokio::test]
async fn what_vouches_for_the_directory_is_read_for_each_order() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let settings = Settings {
        directory: "https://127.0.0.1:1/directory".to_owned(),
        ca: ca.clone(),
        contact: Vec::new(),
        challenge: Challenge::TlsAlpn01,
        external: None,
    };
    let clock = crate::clock::Clock::system();
    let orders = Orders::new(settings.clone(), dir.path(), Arc::default(), clock);
    let wanted = names(&["bank.example"]);
    let asked = async || orders.obtain(&wanted, None).await.map(|_| ()).unwrap_err();
    assert!(matches!(asked().await, AcmeError::File { .. }));
    assert!(matches!(check(&settings), Err(AcmeError::File { .. })));
    std::fs::write(&ca, "").unwrap();
    assert!(matches!(asked().await, AcmeError::Ca { .. }));
    assert!(matches!(check(&settings), Err(AcmeError::Ca { .. })));
    std::fs::write(&ca, issued(&["ca.example"], (2026, 2028)).0).unwrap();
    assert!(matches!(asked().await, AcmeError::Refused(_)), "nobody is there");
    check(&settings).unwrap();
    let key = dir.path().join("eab.key");
    let external = Some(ExternalAccount { id: "kid-1".to_owned(), key });
    let refused = check(&Settings { external, ..settings });
    assert!(matches!(refused, Err(AcmeError::Secret(_))), "{refused:?}");
}
