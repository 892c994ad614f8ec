//! A factor that is too weak or too old is asked for as RFC 9470 says.

use serde_json::json;

use crate::harness::gate::session_of;
use crate::harness::{Ask, Gate, NOW_S, Reply};

fn export() -> Ask {
    Ask::get("/api/customers/export").header("menshen-purpose", "complaint")
}

#[tokio::test]
async fn an_export_with_a_weak_or_stale_factor_is_asked_for_a_better_one() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json("[]"));
    let mut connection = gate.h1().await;
    for changes in [
        json!({ "acr": "1" }),
        json!({ "acr": null }),
        json!({ "acr": "gold" }),
        json!({ "auth_time": NOW_S - 901 }),
        json!({ "auth_time": null }),
    ] {
        let mut claims = changes.clone();
        claims["roles"] = json!(["supervisor"]);
        let answer = connection.send(export().bearer(&gate.token(&claims))).await;
        let asked = answer.expect(401).header("www-authenticate").unwrap();
        let scheme = "Bearer error=\"insufficient_user_authentication\", error_description=\"";
        assert!(asked.starts_with(scheme), "{changes}: {asked}");
        assert!(asked.ends_with("\", acr_values=\"2\", max_age=900"), "{changes}: {asked}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("one-time code"));
    }
    assert_eq!(gate.upstream.hits(), 0);
    let fresh = gate.token(&json!({ "roles": ["supervisor"] }));
    connection.send(export().bearer(&fresh)).await.expect(200);
    gate.advance_s(901);
    connection.send(export().bearer(&fresh)).await.expect(401);
}

#[tokio::test]
async fn a_one_time_code_lifts_a_session_for_as_long_as_it_is_fresh() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json("[]"));
    gate.add_account("chen", "a quiet lantern", "supervisor").await;
    let secret = gate.enrol("chen").await;
    let mut connection = gate.h2().await;
    let mut session = gate.sign_in("chen", "a quiet lantern").await;
    connection.send(export().cookie(&session)).await.expect(401);
    for _ in 0..2 {
        let code = json!({ "code": gate.code(&secret) }).to_string();
        let answer = connection.send(Ask::post("/.menshen/code", &code).cookie(&session)).await;
        assert_eq!(answer.expect(200).json()["assurance"], 2);
        session = session_of(&answer);
        connection.send(export().cookie(&session)).await.expect(200);
        gate.advance_s(901);
        let stale = connection.send(export().cookie(&session)).await;
        assert!(stale.expect(401).header("www-authenticate").unwrap().contains("max_age=900"));
    }
}
