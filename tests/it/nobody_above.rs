//! Promise 10: no role, kind or right exempts from the record, the limits and the rules.

use menshen::audit::{Actor, ActorKind, Effect, Event};
use menshen::identity::{Attribute, CallerKind, NewAccount};
use menshen::secret::Secret;
use serde_json::json;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

const CUSTOMER: &str = r#"{"id":"C1","name":"a","branch":"sh01","segment":"retail"}"#;

#[tokio::test]
async fn an_auditor_reads_no_customer_whatever_else_they_are() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(CUSTOMER));
    let mut connection = gate.h1().await;
    for roles in [
        json!(["auditor"]),
        json!(["teller", "auditor"]),
        json!(["auditor", "supervisor", "analyst", "partner", "teller"]),
    ] {
        let token = gate.token(&json!({ "roles": roles, "acr": "3" }));
        for path in [
            "/api/customers/C1",
            "/api/customers",
            "/api/customers/export",
            "/api/customers/C1/orders",
        ] {
            let ask = Ask::get(path).bearer(&token).header("menshen-purpose", "complaint");
            connection.send(ask).await.expect(403);
        }
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn an_administrator_is_recorded_and_counted_like_a_teller() {
    let policy = format!("{OPEN_BANK}limits:\n  - to: teller\n    subjects: [2/h]\n");
    let mut gate = Setup::policy(&policy).start().await;
    let accounts = [("root", CallerKind::Admin), ("wang", CallerKind::Staff)];
    for (name, kind) in accounts {
        let account = NewAccount {
            name: name.to_owned(),
            display_name: name.to_owned(),
            kind,
            roles: vec!["teller".to_owned()],
            attributes: [("branch".to_owned(), Attribute::Text("sh01".into()))].into(),
            password: Secret::new("a quiet lantern".to_owned()),
        };
        gate.identity().add_account(account).await.unwrap();
    }
    gate.upstream.answers_by(|asked| {
        Reply::json(format!(
            r#"{{"id":"{}","name":"a"}}"#,
            asked.target.trim_start_matches("/one/")
        ))
    });
    for (name, _) in accounts {
        let cookie = gate.sign_in(name, "a quiet lantern").await;
        for (id, status) in [(1, 200), (2, 200), (3, 429), (1, 200)] {
            gate.ask(Ask::get(&format!("/one/{id}")).cookie(&cookie)).await.expect(status);
        }
        gate.ask(Ask::get("/nowhere").cookie(&cookie)).await.expect(404);
    }
    let entries = gate.entries().await;
    let trace = |name: &str| {
        let of_them = entries.iter().filter(|entry| account(entry.actor.as_ref()) == Some(name));
        let told = of_them.map(|entry| {
            let effect = entry.decision.as_ref().map(|decision| decision.effect);
            let groups = [entry.request.is_some(), entry.auth.is_some(), entry.origin.is_some()];
            let counted = entry.subjects.as_ref().map(|subjects| subjects.count);
            (entry.event, effect, groups, counted)
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(trace("root"), trace("wang"));
    assert_eq!(trace("root").iter().filter(|t| t.0 == Event::Outcome).count(), 4);
    let is_denied =
        |t: &&(Event, Option<Effect>, [bool; 3], Option<u64>)| t.1 == Some(Effect::Deny);
    assert_eq!(trace("root").iter().filter(is_denied).count(), 0, "a limit is an outcome");
    let kinds = entries.iter().filter_map(|entry| entry.actor.as_ref()?.kind);
    assert!(kinds.clone().any(|kind| kind == ActorKind::Admin), "and the log says who they are");
}

fn account(actor: Option<&Actor>) -> Option<&str> {
    actor.map(|actor| actor.account.as_str())
}

#[tokio::test]
async fn no_header_or_claim_makes_anybody_more_than_they_are() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(CUSTOMER));
    let stranger =
        gate.token(&json!({ "roles": ["stranger"], "kind": "admin", "admin": true, "scope": "*" }));
    let mut connection = gate.h1().await;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=bank.example"),
        ("x-user-id", "root"),
        ("x-remote-user", "root"),
        ("x-roles", "teller,supervisor"),
        ("x-forwarded-host", "bank.example"),
        ("menshen-roles", "teller"),
        ("menshen-zone", "business"),
        ("x-client-cert", "anything"),
    ] {
        let ask = Ask::get("/api/customers/C1").by(&stranger).header(name, value);
        connection.send(ask).await.expect(403);
        let unknown = Ask::get("/nowhere").header(name, value);
        connection.send(unknown).await.expect(404);
        let nobody = Ask::get("/api/customers/C1").header(name, value);
        connection.send(nobody).await.expect(401);
    }
    // What asks for another request than the one that is judged is refused whoever asks.
    for (name, value) in [
        ("x-original-url", "/api/customers/C1"),
        ("x-rewrite-url", "/api/customers/C1"),
        ("x-http-method-override", "GET"),
    ] {
        let ask = Ask::get("/api/customers/C1").by(&stranger).header(name, value);
        connection.send(ask).await.expect(400);
        let nobody = Ask::get("/api/customers/C1").header(name, value);
        connection.send(nobody).await.expect(400);
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn whoever_replaces_a_password_stands_in_the_log_before_it_is_good_for_anything() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let account = NewAccount {
        name: "wang".to_owned(),
        display_name: "wang".to_owned(),
        kind: CallerKind::Staff,
        roles: vec!["teller".to_owned()],
        attributes: [].into(),
        password: Secret::new("a quiet lantern".to_owned()),
    };
    gate.identity().add_account(account).await.unwrap();
    std::fs::write(gate.path("new"), "another lantern\n").unwrap();
    let changed = std::process::Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["account", "passwd", "wang", "--password-file", "new"])
        .args(["--state", "state", "--key", "master.key"])
        .current_dir(gate.path(""))
        .output()
        .unwrap();
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    gate.sign_in("wang", "another lantern").await;
    let entries = gate.entries().await;
    let acts = entries.iter().filter_map(|entry| {
        let act = entry.act.as_ref()?;
        Some((act.name.as_str(), act.object.as_str(), account_name(entry)))
    });
    let acts: Vec<_> = acts.collect();
    let at = |name: &str| acts.iter().position(|act| act.0 == name).expect(name);
    assert!(at("account_added") < at("password_replaced"));
    assert!(at("password_replaced") < at("sign_in"), "{acts:?}");
    let (_, object, doer) = acts[at("password_replaced")];
    assert_eq!(object, "account wang");
    assert!(doer.starts_with("operator uid "), "{doer}");
    assert_eq!(acts.iter().filter(|act| act.0 == "password_replaced").count(), 1);
}

fn account_name(entry: &menshen::audit::Entry) -> &str {
    account(entry.actor.as_ref()).unwrap_or_default()
}
