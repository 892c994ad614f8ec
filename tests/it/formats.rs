//! What the backend is asked for, and that an answer has one of the forms that its route declares.

use crate::harness::{Ask, OPEN_BANK, Reply, Setup, holds};

#[tokio::test]
async fn the_backend_is_asked_for_a_form_that_the_route_declares() {
    let policy = OPEN_BANK.replace(
        "action: export\n    returns: { customer: \"$[]\" }\n",
        "action: export\n    returns: { customer: \"$[]\" }\n    as: [json, ndjson, csv]\n",
    );
    assert_ne!(policy, OPEN_BANK);
    let gate = Setup::policy(&policy).start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json("[]"));
    for (path, accept, asked) in [
        ("/all", "", "application/json"),
        ("/all", "*/*", "application/json"),
        ("/all", "text/html, application/pdf;q=0.9", "application/json"),
        ("/all", "Text/CSV", "text/csv"),
        ("/all", "text/html, application/x-ndjson;q=0.9, text/csv", "application/x-ndjson"),
        ("/all", "application/json;q=0, text/csv; q=0.5", "text/csv"),
        ("/one/1", "text/csv", "application/json"),
        ("/list", "application/x-ndjson", "application/json"),
    ] {
        let ask = Ask::get(path).by(&token);
        let ask = if accept.is_empty() { ask } else { ask.header("accept", accept) };
        gate.ask(ask).await;
        let last = gate.upstream.asked().pop().unwrap();
        assert_eq!(last.header("accept"), Some(asked), "{path} {accept}");
    }
}

#[tokio::test]
async fn an_answer_in_a_form_that_the_route_does_not_declare_is_refused() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    for (media_type, body) in [
        ("text/csv", "id,name,phone\n1,a,13812345678\n"),
        ("application/x-ndjson", "{\"id\":1,\"phone\":\"13812345678\"}\n"),
    ] {
        gate.upstream.answers(Reply::with(200, &[("content-type", media_type)], body));
        let answer = gate.ask(Ask::get("/all").by(&token).header("accept", media_type)).await;
        assert!(!holds(&answer.expect(502).bytes(), "138"), "{media_type}");
    }
}
