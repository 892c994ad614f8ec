//! The gate as a person with `curl` meets it.

use std::process::Command;

use crate::harness::{Gate, Reply};

/// Runs curl against the gate; gives its exit code and all it printed.
async fn curl(gate: &Gate, arguments: &[&str]) -> (i32, String) {
    let port = gate.client().address.port();
    let resolve = format!("bank.example:{port}:127.0.0.1");
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "15",
        "--resolve",
        &resolve,
        "--cacert",
    ]);
    command.arg(gate.path("ca.pem"));
    for argument in arguments {
        command.arg(
            argument.replace("https://bank.example/", &format!("https://bank.example:{port}/")),
        );
    }
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap_or_else(|error| panic!("curl is needed: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_person_signs_in_sees_a_customer_masked_changes_a_phone_and_leaves() {
    let mut gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(
        r#"{"id":"C1","name":"王小明","phone":"13812345678","branch":"sh01","segment":"retail","password_hash":"x"}"#,
    ));
    gate.add_account("wang", "a quiet lantern", "teller").await;
    let secret = gate.enrol("wang").await;
    let jar = gate.path("cookies.txt").display().to_string();
    let keep = ["--cookie", &jar, "--cookie-jar", &jar];
    let json = ["--header", "content-type: application/json"];
    let url = "https://bank.example/api/customers/C1";

    let (code, said) = curl(&gate, &["--write-out", " %{http_code}", url]).await;
    assert!(code == 0 && said.ends_with(" 401"), "{said}");
    let login = [
        "--data",
        r#"{"account":"wang","password":"a quiet lantern"}"#,
        "https://bank.example/.menshen/login",
    ];
    let (code, said) = curl(&gate, &[&keep[..], &json, &login].concat()).await;
    assert!(code == 0 && said.contains(r#""assurance":1"#), "{said}");
    let data = format!(r#"{{"code":"{}"}}"#, gate.code(&secret));
    let present = ["--data", &data, "https://bank.example/.menshen/code"];
    let (code, said) = curl(&gate, &[&keep[..], &json, &present].concat()).await;
    assert!(code == 0 && said.contains(r#""assurance":2"#), "{said}");

    let purpose = ["--header", "menshen-purpose: service"];
    for protocol in ["--http2", "--http1.1"] {
        let (code, said) = curl(&gate, &[&keep[..], &purpose, &[protocol, url]].concat()).await;
        assert_eq!(code, 0, "{said}");
        let seen = r#"{"id":"C1","name":"王小明","phone":"138****5678","branch":"sh01","segment":"retail"}"#;
        assert_eq!(said, seen);
    }
    let change = ["--request", "PATCH", "--data", r#"{"phone":"13900000000"}"#, url];
    let (code, said) = curl(&gate, &[&keep[..], &purpose, &json, &change].concat()).await;
    assert!(code == 0 && said.contains("138****5678"), "{said}");
    let search = ["--fail", "https://bank.example/api/customers?phone=13812345678"];
    let (code, said) = curl(&gate, &[&keep[..], &purpose, &search].concat()).await;
    assert!(code == 22 && said.contains("403"), "{said}");

    let logout = ["--request", "POST", "https://bank.example/.menshen/logout"];
    let (code, said) = curl(&gate, &[&keep[..], &logout].concat()).await;
    assert_eq!((code, said.as_str()), (0, ""));
    let (_, said) =
        curl(&gate, &[&keep[..], &["--write-out", " %{http_code}", url]].concat()).await;
    assert!(said.ends_with(" 401"), "{said}");
    assert!(gate.upstream.asked().iter().all(|asked| asked.header("cookie").is_none()));
    assert_eq!(gate.entries().await.iter().filter(|e| e.subjects.is_some()).count(), 3);
}

#[tokio::test]
async fn a_person_follows_a_step_up_by_reading_nothing_but_the_answers() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json("[]"));
    gate.add_account("chen", "a quiet lantern", "supervisor").await;
    let secret = gate.enrol("chen").await;
    let jar = gate.path("cookies.txt").display().to_string();
    let keep = ["--cookie", &jar, "--cookie-jar", &jar];
    let login = [
        "--header",
        "content-type: application/json",
        "--data",
        r#"{"account":"chen","password":"a quiet lantern"}"#,
        "https://bank.example/.menshen/login",
    ];
    curl(&gate, &[&keep[..], &login].concat()).await;
    let export =
        ["--header", "menshen-purpose: complaint", "https://bank.example/api/customers/export"];
    let (_, said) = curl(&gate, &[&keep[..], &export].concat()).await;
    let steps = serde_json::from_str::<serde_json::Value>(&said).unwrap()["step_up"].clone();
    assert_eq!((&steps["acr_values"], &steps["max_age"]), (&"2".into(), &900.into()), "{said}");
    assert!(steps["then"].as_str().unwrap().starts_with("repeat this request"), "{said}");
    let field = steps["fields"][0].as_str().unwrap();
    let data = format!(r#"{{"{field}":"{}"}}"#, gate.code(&secret));
    let content_type = format!("content-type: {}", steps["content_type"].as_str().unwrap());
    let url = format!("https://bank.example{}", steps["post"].as_str().unwrap());
    let post = ["--header", &content_type, "--data", &data, &url];
    curl(&gate, &[&keep[..], &post].concat()).await;
    let (code, said) = curl(&gate, &[&keep[..], &export].concat()).await;
    assert_eq!((code, said.as_str()), (0, "[]"));
}

#[tokio::test]
async fn curl_notices_that_a_stream_was_cut() {
    let setup = crate::harness::Setup::policy(crate::harness::OPEN_BANK);
    let gate = setup.yaml("bodies: { held-kib: 4 }").start().await;
    let record = format!(r#"{{"id":1,"note":"{}"}}"#, "n".repeat(9000));
    gate.upstream.answers(Reply::chunked([format!("[{record},"), "oops]".to_owned()]));
    let token = format!("authorization: Bearer {}", gate.teller());
    for (protocol, expected) in [("--http1.1", 18), ("--http2", 92)] {
        let ask = ["--header", &token, protocol, "https://bank.example/all"];
        let (code, said) = curl(&gate, &ask).await;
        assert_eq!(code, expected, "{said}");
    }
}
