//! GraphQL over POST, the request: only operations that the backend has stored, by name or hash. A query
//! of the caller's own is a member that nobody may write.

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

async fn bank() -> Gate {
    let policy = OPEN_BANK
        .replacen(
            "routes:\n",
            concat!(
                "  operation:\n    fields:\n      operationName: 1\n      variables: { id: 1, first: 1 }\n",
                "      extensions: { persistedQuery: { version: 1, sha256Hash: 1 } }\n",
                "routes:\n  graph.call:\n    match: POST bank.example/graph\n    to: core\n    action: call\n",
                "    accepts: { operation: $ }\n    returns: { customer: $.data.customer }\n",
            ),
            1,
        );
    let rules = concat!(
        "  - name: tellers run what is stored\n    allow: call\n    to: teller\n    of: operation\n",
        "    write: [operationName, variables.id, extensions.persistedQuery.version, ",
        "extensions.persistedQuery.sha256Hash]\n",
        "  - name: tellers see what it gives\n    allow: call\n    to: teller\n    of: customer\n",
        "    clear: [id, name]\n    masked: phone\n",
    );
    Setup::policy(&format!("{policy}{rules}")).start().await
}

#[tokio::test]
async fn an_operation_that_is_stored_runs_with_the_variables_that_may_be_set() {
    let gate = bank().await;
    let token = gate.teller();
    let answer = r#"{"data":{"customer":{"id":1,"name":"a","phone":"13812345678","secret":"x"}}}"#;
    gate.upstream.answers(Reply::json(answer));
    for body in [
        r#"{"operationName":"customer","variables":{"id":1}}"#,
        r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}},"variables":{"id":1}}"#,
    ] {
        let told = gate.ask(Ask::post("/graph", body).by(&token)).await;
        let wanted = r#"{"data":{"customer":{"id":1,"name":"a","phone":"138****5678"}}}"#;
        assert_eq!(told.expect(200).text(), wanted);
        assert_eq!(gate.upstream.asked().pop().unwrap().body, body.as_bytes());
    }
}

#[tokio::test]
async fn a_query_of_the_callers_own_is_refused_whatever_it_asks() {
    let gate = bank().await;
    let token = gate.teller();
    for body in [
        r#"{"query":"{ customer(id: 1) { name } }"}"#,
        r#"{"query":"{ __schema { types { name } } }"}"#,
        r#"{"query":"mutation { remove(id: 1) }","operationName":"customer"}"#,
        r#"{"operationName":"customer","\u0071uery":"{ customer { name: phone } }"}"#,
        r#"{"operationName":"customer","Query":"{ customer { name: phone } }"}"#,
        r#"{"operationName":"customer","variables":{"first":1000}}"#,
        r#"{"operationName":"customer","variables":{"id":{"x":1}}}"#,
        r#"{"operationName":"customer","variables":null}"#,
        r#"{"operationName":"customer","extensions":{"trace":true}}"#,
        r#"[{"operationName":"customer"},{"operationName":"customer"}]"#,
    ] {
        gate.ask(Ask::post("/graph", body).by(&token)).await.expect(400);
    }
    let graphql =
        Ask::new("POST", "/graph").by(&token).header("content-type", "application/graphql");
    gate.ask(graphql.body(b"{ customer { phone } }")).await.expect(415);
    gate.ask(Ask::get("/graph?query=%7Bcustomer%7D").by(&token)).await.expect(404);
    assert!(gate.upstream.asked().is_empty());
}
