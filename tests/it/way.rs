//! The way of a request when all is well.

use serde_json::json;

use crate::harness::{Ask, Gate, Reply};

const CUSTOMER: &str = r#"{"id":"C1","name":"王小明","phone":"13812345678","branch":"sh01","segment":"retail","password_hash":"x","surprise":1}"#;

#[tokio::test]
async fn a_teller_sees_a_customer_with_the_phone_masked_over_both_protocols() {
    let mut gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(CUSTOMER));
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/api/customers/C1").by(&token)).await;
        let seen = json!({
            "id": "C1", "name": "王小明", "phone": "138****5678", "branch": "sh01", "segment": "retail"
        });
        assert_eq!(answer.expect(200).json(), seen);
    }
    assert_eq!(gate.upstream.hits(), 2);
    assert_eq!(gate.upstream.asked()[0].target, "/api/customers/C1");
    let entries = gate.entries().await;
    assert_eq!(entries.len(), 5, "{entries:?}");
}
