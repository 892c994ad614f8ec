//! What the log says to somebody who asks: a customer, a supervisor, the monthly reviewer, a stranger with a proof.

use std::process::Command;

use serde_json::Value;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

/// Two looks at customer 42 and one at 43.
async fn gate_with_looks() -> Gate {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    for key in [42, 43, 42] {
        gate.upstream.answers(Reply::json(format!(
            r#"{{"id":{key},"name":"<b>Wang</b>","phone":"13900001234"}}"#
        )));
        gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    gate.stop().await;
    gate
}

fn said(args: &[&str]) -> (Option<i32>, String, String) {
    let ran = menshen(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

#[tokio::test]
async fn a_privacy_officer_answers_who_saw_customer_42_in_one_command_and_the_customer_gets_a_page()
{
    let gate = gate_with_looks().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let report = |more: &[&str]| {
        said(&[&["report", "subject", "customer:42", "--config", &config], more].concat())
    };
    let (code, text, errors) = report(&["--format", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    let looks: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(looks.len(), 2, "{text}");
    assert_eq!((&looks[0]["how"], &looks[0]["what"]), (&"shown".into(), &"one.view".into()));
    assert!(looks[0]["clear"].as_array().unwrap().contains(&"customer.name".into()), "{text}");
    let account = looks[0]["account"].as_str().unwrap();
    assert!(!account.is_empty());
    let (_, table, _) = report(&[]);
    assert!(table.contains("2 times data was shown"), "{table}");
    assert_eq!(report(&["--scan", "--format", "json"]).1, text, "without the index it is the same");

    for (language, title) in [
        ("en", "Who saw your data"),
        ("zh", "谁查看过您的信息"),
        ("th", "ใครดูข้อมูลของคุณ"),
        ("ko", "내 정보를 누가 보았나"),
        ("id", "Siapa yang melihat data Anda"),
    ] {
        let (code, page, _) = report(&["--language", language]);
        assert_eq!(code, Some(0));
        assert!(page.contains(&format!("<h1>{title}</h1>")) && page.contains("@media print"));
        assert!(!page.contains(account), "an employee is not named: {page}");
        assert!(!page.contains("<script") && !page.contains("13900001234"));
        assert!(page.matches("<tr>").count() == 3, "{page}");
    }
    assert_eq!(report(&["--language", "fr"]).0, Some(64));
    let (_, nobody, _) =
        said(&["report", "subject", "customer:44", "--config", &config, "--language", "en"]);
    assert!(nobody.contains("Nobody saw data about you"), "{nobody}");
}

#[tokio::test]
async fn a_leaked_list_leads_to_who_received_these_people_or_to_a_signed_nobody() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let (wang, li) = (gate.teller(), gate.token(&serde_json::json!({ "sub": "li" })));
    let list = |keys: &[u32]| {
        let people: Vec<_> =
            keys.iter().map(|key| format!(r#"{{"id":{key},"phone":"139"}}"#)).collect();
        Reply::json(format!(r#"{{"items":[{}]}}"#, people.join(",")))
    };
    for (who, keys) in [(&wang, &[1, 2, 3, 4][..]), (&li, &[3, 9]), (&li, &[4, 8])] {
        gate.upstream.answers(list(keys));
        gate.ask(Ask::get("/list").by(who)).await.expect(200);
    }
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (config, leaked) = (path("menshen.yaml"), path("leaked.txt"));
    let trace = |people: &str, more: &[&str]| {
        std::fs::write(&leaked, people).unwrap();
        said(&[&["report", "trace", "--subjects", &leaked, "--config", &config], more].concat())
    };
    let (code, text, errors) = trace("1\ncustomer:3\n4\n\n4\n", &["--format", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |one: &Value| {
        let at_once = &one["at_once"];
        [&one["people"], &one["requests"], &at_once["people"], &at_once["of"]]
            .map(|number| number.as_u64().unwrap())
    };
    assert_eq!((told(&found[0]), told(&found[1])), ([3, 1, 3, 4], [2, 2, 1, 2]), "{text}");
    assert!(found[0]["account"].as_str().unwrap().contains("wang"), "{text}");
    let (_, table, _) = trace("1\n3\n4\n", &[]);
    assert!(table.contains("3 of 3") && table.contains("most at once"), "{table}");
    let (code, text, _) = trace("1\n", &["--field", "customer.secret"]);
    assert!(code == Some(1) && text.contains("nobody"), "a field that was not shown: {text}");

    let key = path("li.key");
    let (_, public, _) = said(&["review", "key", &key, "--name", "li.na"]);
    let sign = ["--reviewer-key", &key, "--name", "li.na"];
    let (code, statement, errors) = trace("77\n78\n", &sign);
    assert_eq!(code, Some(1), "{errors}");
    assert!(statement.contains("list 2 people") && statement.contains("received by nobody\n"));
    let reviewer: menshen::audit::note::Verifier = public.trim().parse().unwrap();
    reviewer.open_signed(statement.as_bytes()).unwrap();
    let forged = statement.replace("nobody", "wang");
    assert!(reviewer.open_signed(forged.as_bytes()).is_err());
    let (code, statement, _) = trace("1\n3\n4\n", &sign);
    assert_eq!(code, Some(0));
    let three = "corp:wang: 3 of them, 3 at once in request ";
    assert!(
        statement.contains(three) && statement.contains("corp:li: 2 of them, 1 at"),
        "{statement}"
    );
    // An index that lies says nobody; what is signed is read from the log.
    let index = rusqlite::Connection::open(gate.path("log-index/index.db")).unwrap();
    index.execute_batch("DELETE FROM terms").unwrap();
    drop(index);
    assert_eq!(trace("1\n3\n4\n", &[]).0, Some(1));
    assert!(trace("1\n3\n4\n", &sign).1.contains(three));
    // Nothing is signed about a log that does not hold.
    let mut bundle = gate.path("log/tile/entries");
    while bundle.is_dir() {
        bundle = std::fs::read_dir(&bundle).unwrap().last().unwrap().unwrap().path();
    }
    let whole = std::fs::read(&bundle).unwrap();
    let mut broken = whole.clone();
    broken[200] ^= 1;
    std::fs::write(&bundle, broken).unwrap();
    let (code, statement, errors) = trace("77\n", &sign);
    assert!(
        code == Some(70) && errors.contains("nothing is signed about a broken log"),
        "{errors}"
    );
    assert_eq!(statement, "");
    std::fs::write(&bundle, whole).unwrap();
    assert_eq!(trace("", &[]).0, Some(64));
    let (code, _, errors) = trace(&("77\n".to_owned() + &" ".repeat(16 * 1024 * 1024)), &[]);
    assert!(code == Some(64) && errors.contains("is longer than"), "no part of a list: {errors}");
}

#[tokio::test]
async fn one_employee_is_set_beside_others_with_their_roles() {
    let gate = gate_with_looks().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let (_, all, _) =
        said(&["log", "search", "--config", &config, "--route", "one.view", "--format", "json"]);
    let first: Value = serde_json::from_str(all.lines().next().unwrap()).unwrap();
    let account = first["entry"]["actor"]["account"].as_str().unwrap();
    let (code, text, errors) =
        said(&["report", "person", account, "--config", &config, "--format", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["own"]["requests"], 3, "{text}");
    assert_eq!(report["own"]["people"], 2);
    assert_eq!(report["own"]["routes"]["one.view"], 3);
    assert_eq!(report["peers"], 0);
}

#[tokio::test]
async fn a_monthly_review_is_made_signed_and_checked_and_one_that_was_altered_is_not() {
    let mut gate = gate_with_looks().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (config, file, key, sig) =
        (path("menshen.yaml"), path("review.json"), path("li.key"), path("review.sig"));
    let month = gate.entries_so_far()[0].time.to_string()[..7].to_owned();
    let (code, _, errors) =
        said(&["report", "monthly", &month, "--config", &config, "--view", "json", "--out", &file]);
    assert_eq!(code, Some(0), "{errors}");
    let review: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(review["seen"].as_u64().unwrap() >= 3, "{review}");
    assert!(
        review["changes"]["lines"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| { line["what"].as_str().unwrap().starts_with("started policy") })
    );
    let (_, public, _) = said(&["review", "key", &key, "--name", "li.na"]);
    let sign = |month: &str| {
        said(&[
            "review",
            "sign",
            "--report",
            &file,
            "--month",
            month,
            "--reviewer-key",
            &key,
            "--name",
            "li.na",
            "--remark",
            "two downloads asked about",
            "--config",
            &config,
        ])
    };
    assert_eq!(sign("1999-01").0, Some(64), "it is of another month");
    let (code, signature, errors) = sign(&month);
    assert_eq!(code, Some(0), "{errors}");
    std::fs::write(&sig, signature).unwrap();
    let check = || said(&["review", "check", &file, &sig, "--reviewer", public.trim()]);
    let (code, text, _) = check();
    assert_eq!((code, text.starts_with("ok  `li.na` signed")), (Some(0), true), "{text}");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(check().0, Some(1));

    // The next start brings it into the log.
    gate.start().await;
    let signed = |gate: &Gate| {
        let mut acts = gate.entries_so_far().into_iter().filter_map(|entry| entry.act);
        acts.rfind(|act| act.name.as_str() == "review_signed")
    };
    for _ in 0..3_000 {
        if signed(&gate).is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let act = signed(&gate).unwrap();
    assert_eq!(act.object.as_str(), format!("monthly {month}"));
    assert_eq!(act.after.as_str().len(), 64);
}

#[tokio::test]
async fn one_entry_is_proven_to_a_stranger_whose_tool_others_wrote() {
    let gate = gate_with_looks().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let entries = gate.entries_so_far();
    let key = std::fs::read_to_string(gate.path("log/verifier.key")).unwrap();
    let file = gate.path("proof").display().to_string();
    let outsider = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outsider");
    let python = std::path::Path::new(outsider).join("venv/bin/python");
    assert!(python.exists(), "run `sh tests/setup.sh`");
    for (place, id) in [(0, None), (3, Some(entries[3].id.to_string()))] {
        let place = id.unwrap_or_else(|| format!("{place}"));
        let (code, proof, errors) = said(&["log", "prove", &place, "--config", &config]);
        assert_eq!(code, Some(0), "{errors}");
        std::fs::write(&file, &proof).unwrap();
        let check = || said(&["log", "check-proof", &file, "--verifier", key.trim()]);
        assert_eq!(check().0, Some(0), "{}", check().1);
        let stranger = || {
            let script = format!("{outsider}/check_proof.py");
            Command::new(&python).args([&script, &file, key.trim()]).status().unwrap().success()
        };
        assert!(stranger());
        let mut altered = proof.into_bytes();
        altered[60] ^= 1;
        std::fs::write(&file, altered).unwrap();
        assert_eq!(check().0, Some(1));
        assert!(!stranger());
    }
    let (code, _, errors) = said(&["log", "prove", "999999", "--config", &config]);
    assert!(code == Some(64) && errors.contains("not under the checkpoint"), "{errors}");
}

#[tokio::test]
async fn a_part_of_the_log_is_exported_for_other_tools_and_the_log_knows_how_much() {
    let mut gate = gate_with_looks().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let export = |view: &str| {
        let args = ["log", "export", "--config", &config, "--route", "one.view", "--view", view];
        let (code, text, errors) = said(&args);
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains("customer:42"), "people go by reference or masked: {text}");
        text
    };
    let line: Value = serde_json::from_str(export("jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(line["subjects"], serde_json::json!(["customer:…"]));
    let event: Value = serde_json::from_str(export("ocsf").lines().next().unwrap()).unwrap();
    assert_eq!((&event["class_uid"], &event["type_uid"]), (&6003.into(), &600_302.into()));
    assert!(export("cef").starts_with("CEF:0|menshen|menshen|"));
    gate.start().await;
    let done = |gate: &Gate| {
        let acts = gate.entries_so_far().into_iter().filter_map(|entry| entry.act);
        acts.filter(|act| act.name.as_str() == "log_exported")
            .map(|act| act.count)
            .collect::<Vec<_>>()
    };
    for _ in 0..3_000 {
        if done(&gate).len() == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(done(&gate), [Some(3); 3]);
}
