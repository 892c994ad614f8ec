//! GraphQL over POST, the answer: judged by place like other JSON. What the schema did not declare to the
//! policy does not pass: aliases, errors, extensions.

use crate::fails_closed::assert_clean;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

/// A bank that answers GraphQL: one customer, a list, and a list in edges and nodes.
async fn bank() -> Gate {
    let route = "  graph.search:\n    match: POST bank.example/graphql\n    to: core\n    action: search\n    \
                 returns: { customer: [$.data.customer, \"$.data.customers[]\", \"$.data.page.edges[].node\"], \
                 pass: [$.data.page.pageInfo.hasNextPage] }\nroles: { teller";
    let policy = OPEN_BANK.replace("roles: { teller", route);
    assert_ne!(policy, OPEN_BANK);
    Setup::policy(&policy).start().await
}

async fn answered(gate: &Gate, body: &str) -> crate::harness::Answer {
    let media_type = ("content-type", "application/graphql-response+json; charset=utf-8");
    gate.upstream.answers(Reply::with(200, &[media_type], body));
    gate.ask(Ask::new("POST", "/graphql").by(&gate.teller())).await
}

const RECORD: &str =
    r#"{"id":1,"name":"a","phone":"13812345678","secret":"CANARY","__typename":"CANARY"}"#;
const SHOWN: &str = r#"{"id":1,"name":"a","phone":"138****5678"}"#;

#[tokio::test]
async fn records_are_judged_wherever_the_answer_declares_them() {
    let gate = bank().await;
    for (body, wanted) in [
        (
            format!(r#"{{"data":{{"customer":{RECORD}}}}}"#),
            format!(r#"{{"data":{{"customer":{SHOWN}}}}}"#),
        ),
        (
            format!(r#"{{"data":{{"customers":[{RECORD},{RECORD}]}}}}"#),
            format!(r#"{{"data":{{"customers":[{SHOWN},{SHOWN}]}}}}"#),
        ),
        (
            format!(
                r#"{{"data":{{"page":{{"totalCount":9,"edges":[{{"cursor":"CANARY","node":{RECORD}}}],"pageInfo":{{"endCursor":"CANARY","hasNextPage":true}}}}}}}}"#
            ),
            format!(
                r#"{{"data":{{"page":{{"edges":[{{"node":{SHOWN}}}],"pageInfo":{{"hasNextPage":true}}}}}}}}"#
            ),
        ),
    ] {
        let answer = answered(&gate, &body).await;
        assert_eq!(answer.expect(200).text(), wanted);
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn errors_and_extensions_lose_their_text_and_an_alias_is_undeclared() {
    let gate = bank().await;
    for beside in [
        r#""errors":[{"message":"no customer CANARY","path":["CANARY"],"extensions":{"sql":"CANARY"}}]"#,
        r#""extensions":{"trace":"CANARY"}"#,
        r#""errors":"CANARY","x":"CANARY""#,
    ] {
        let answer =
            answered(&gate, &format!(r#"{{{beside},"data":{{"customer":{RECORD}}}}}"#)).await;
        assert_clean(beside, answer.expect(200));
        assert_eq!(answer.text(), format!(r#"{{"data":{{"customer":{SHOWN}}}}}"#));
    }
    for alias in [
        r#"{"data":{"customer":{"id":1,"name":"a","x":"CANARY"}}}"#,
        r#"{"data":{"customer":{"id":1,"name":"a"},"also":{"id":2,"name":"CANARY"}}}"#,
        r#"{"data":{"customer":{"id":1,"name":"a","friend":{"id":2,"name":"CANARY"}}}}"#,
        r#"{"data":{"customer":{"id":1,"name":"a"},"__schema":{"types":[{"name":"CANARY"}]}}}"#,
        r#"{"data":{"customer":{"id":1,"name":"a","phone":{"x":"CANARY"}}}}"#,
        r#"{"data":{"customer":{"id":1,"name":"a"}},"data2":{"customer":{"name":"CANARY"}}}"#,
    ] {
        let answer = answered(&gate, alias).await;
        assert_clean(alias, answer.expect(200));
        assert_eq!(answer.json()["data"]["customer"]["name"], "a", "{alias}");
    }
}

#[tokio::test]
async fn an_answer_of_errors_alone_tells_that_there_is_nothing_and_no_more() {
    let gate = bank().await;
    let only = r#"{"data":null,"errors":[{"message":"CANARY"}]}"#;
    let answer = answered(&gate, only).await;
    assert_clean(only, &answer);
    assert_eq!(answer.expect(200).text(), r#"{"data":null}"#);
    for other in [
        r#"{"errors":[{"message":"CANARY"}]}"#,
        r#"[{"data":{"customer":{"id":1,"name":"CANARY"}}}]"#,
        r#""CANARY""#,
    ] {
        let answer = answered(&gate, other).await;
        assert_clean(other, &answer);
    }
}
