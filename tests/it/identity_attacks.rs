//! Attacks on who somebody is that were tried against a running gate; docs/guide/identity-threats.md lists all.

use serde_json::json;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

const PASSWORD: &str = "lanterns-at-dusk";

async fn bank(yaml: &str) -> Gate {
    let gate = Setup::policy(OPEN_BANK).plain().yaml(yaml).start().await;
    gate.upstream.answers(Reply::json("{\"id\":1,\"name\":\"a\"}"));
    gate
}

#[tokio::test]
async fn a_cookie_bomb_is_refused_and_our_cookie_is_found_among_many() {
    let gate = bank("").await;
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    let ours = format!("__Host-menshen={session}");
    let others: Vec<String> = (0..200).map(|n| format!("c{n}=__Host-menshen{n}")).collect();
    let many = format!("{}; {ours}; {}", others[..100].join("; "), others[100..].join("; "));
    gate.ask(Ask::get("/one/1").header("cookie", &many)).await.expect(200);
    // Two of ours, even alike, are a confusion; one in pieces is none.
    let twice = format!("{ours}; {ours}");
    gate.ask(Ask::get("/one/1").header("cookie", &twice)).await.expect(401);
    let long = format!("{ours}{}", "A".repeat(4096));
    gate.ask(Ask::get("/one/1").header("cookie", &long)).await.expect(401);
    // Larger than a head may be: refused before a word of it is understood, and others go on.
    let hits = gate.upstream.hits();
    let bomb = format!("{ours}; bomb={}", "x".repeat(1 << 20));
    let head = format!("GET /one/1 HTTP/1.1\r\nhost: bank.example\r\ncookie: {bomb}\r\n\r\n");
    let answer = gate.client().raw(head.as_bytes()).await;
    assert_ne!(answer, Some(200));
    assert_eq!(gate.upstream.hits(), hits);
    gate.ask(Ask::get("/one/1").header("cookie", &ours)).await.expect(200);
}

#[tokio::test]
async fn a_name_that_looks_like_another_is_nobodys() {
    let gate = bank("").await;
    gate.add_account("wang", PASSWORD, "teller").await;
    for name in
        ["w\u{430}ng", "\u{ff57}ang", "wang\u{200b}", "WANG", "wang ", "w\u{e1}ng", "wang\0"]
    {
        let body = json!({ "account": name, "password": PASSWORD }).to_string();
        let answer = gate.ask(Ask::post("/.menshen/login", &body)).await;
        // Capitals and a space at an end are how people type their own name; nothing else is passed over.
        let is_own = name.trim().eq_ignore_ascii_case("wang");
        assert_eq!(answer.status.as_u16() == 200, is_own, "{name:?} as wang");
        let new = menshen::identity::NewAccount {
            name: name.to_owned(),
            display_name: "Wang".to_owned(),
            kind: menshen::identity::CallerKind::Staff,
            roles: vec!["teller".to_owned()],
            attributes: [].into(),
            password: menshen::secret::Secret::new(PASSWORD.to_owned()),
        };
        assert!(gate.identity().add_account(new).await.is_err(), "{name:?} can be made");
    }
    gate.sign_in("wang", PASSWORD).await;
    // A token's subject may be any text, and is never a local account: its issuer stands before it.
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let own = json!({ "account": "corp:wang", "password": PASSWORD }).to_string();
    gate.ask(Ask::post("/.menshen/login", &own)).await.expect(401);
}

#[tokio::test]
async fn codes_guessed_over_many_accounts_run_out_for_their_address() {
    let gate = bank("sign-in: { failures-per-address: 6 }").await;
    let names = ["a1", "a2", "a3", "a4"];
    let mut sessions = Vec::new();
    let mut secrets = Vec::new();
    for name in names {
        gate.add_account(name, PASSWORD, "teller").await;
        secrets.push(gate.enrol(name).await);
        sessions.push(gate.sign_in(name, PASSWORD).await);
    }
    let present = async |session: &str, code: &str| {
        let body = json!({ "code": code }).to_string();
        let ask = Ask::post("/.menshen/code", &body);
        gate.ask(ask.header("cookie", &format!("__Host-menshen={session}"))).await.status.as_u16()
    };
    for session in &sessions[..3] {
        for _ in 0..2 {
            assert_eq!(present(session, "000000").await, 401);
        }
    }
    let right = gate.code(&secrets[3]);
    assert_eq!(
        present(&sessions[3], &right).await,
        429,
        "six guesses in all, not six for each name"
    );
}

#[tokio::test]
async fn one_code_shown_in_two_sessions_over_two_connections_raises_one() {
    let gate = bank("").await;
    for name in ["li.na", "wang"] {
        gate.add_account(name, PASSWORD, "teller").await;
    }
    let secret = gate.enrol("li.na").await;
    gate.enrol("wang").await;
    let sessions = [gate.sign_in("li.na", PASSWORD).await, gate.sign_in("li.na", PASSWORD).await];
    let foreign = gate.sign_in("wang", PASSWORD).await;
    let code = gate.code(&secret);
    let body = json!({ "code": code }).to_string();
    let present = async |session: &str| {
        gate.ask(Ask::post("/.menshen/code", &body).cookie(session)).await.status.as_u16()
    };
    assert_eq!(present(&foreign).await, 401, "it is not the code of somebody else");
    let [one, other] = &sessions;
    let (one, other) = tokio::join!(present(one), present(other));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}
