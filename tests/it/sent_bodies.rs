//! What a request may carry: bodies in the forms that a route declares, and parameters that name fields.

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, holds};

/// A bank whose changes come as JSON or forms; on `/soft` what may not be written is left out.
fn bank() -> Setup {
    let policy = OPEN_BANK
        .replace("    accepts: { customer: $ }\n", "    accepts: { customer: $ }\n    sent-as: [json, form]\n")
        .replace("write: [name, note, phone]", "write: [name, note, phone, address.city]")
        .replace(
            "sort: sort }",
            "sort: sort, fields: fields, f: { means: filter, as: brackets }, q: { means: filter, as: colons }, \
             with: { means: include, of: [cards] }, short: { means: customer.name, at-least: 3 } }",
        );
    let soft = concat!(
        "  soft.update:\n    match: PATCH bank.example/soft/{id}\n    to: core\n    action: update\n",
        "    accepts: { customer: $ }\n    sent-as: [json, form]\n    unwritable: drop\n",
        "  clamped.search:\n    match: GET bank.example/clamped\n    to: core\n    action: search\n",
        "    query: { per_page: { means: page-size, too-large: clamp } }\n",
        "    returns: { customer: \"$.items[]\" }\n",
        "roles:",
    );
    let limits = "limits: [{ to: teller, page: 20 }]\n";
    Setup::policy(&format!("{}{limits}", policy.replacen("roles:", soft, 1)))
}

fn form(method: &str, path: &str, body: &str) -> Ask {
    Ask::new(method, path).form(body)
}

fn last_body(gate: &Gate) -> String {
    String::from_utf8(gate.upstream.asked().pop().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_form_is_judged_like_json_and_goes_on_in_one_encoding() {
    let gate = bank().start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json("{\"id\":1,\"name\":\"a\"}"));
    let ask =
        form("POST", "/one", "phone=138%2D1234%2d5678&name=%e5%bc%a0+a&address.city=x").by(&token);
    for mut connection in [gate.h1().await, gate.h2().await] {
        connection.send(ask.clone()).await.expect(200);
        let asked = gate.upstream.asked().pop().unwrap();
        assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(last_body(&gate), "address.city=x&name=%E5%BC%A0%20a&phone=138-1234-5678");
    }
    let before = gate.upstream.asked().len();
    for (body, said) in [
        ("name=a&secret=x", "secret"),
        ("name=a&address.street=x", "street"),
        ("name=a&unknown=x", "unknown"),
        ("name=a&name=b", "twice"),
        ("name=a&n%61me=b", "twice"),
        ("name=a&address=b&address.city=c", "twice"),
        ("name[]=a", "name[]"),
        ("name=a%", "malformed"),
        ("name=a%ff", "text"),
        ("name=a&_method=DELETE", "_method"),
        ("name=a&_charset_=gbk", "encoding"),
        ("phone=138****5678", "masked"),
        ("phone=138%2A%2A%2A%2A5678", "masked"),
        ("{\"name\":\"a\"}", "malformed"),
    ] {
        let told = gate.ask(form("POST", "/one", body).by(&token)).await;
        assert!(told.expect(400).text().contains(said), "{body}: {}", told.text());
    }
    let gbk = Ask::new("POST", "/one")
        .by(&token)
        .header("content-type", "application/x-www-form-urlencoded; charset=gbk")
        .body(b"name=a");
    gate.ask(gbk).await.expect(415);
    let packed = form("POST", "/one", "name=a").by(&token).header("content-encoding", "gzip");
    assert!([400, 415].contains(&gate.ask(packed).await.status.as_u16()));
    for (media_type, body) in
        [("text/plain", "name=a"), ("multipart/form-data; boundary=x", "--x--")]
    {
        let ask = Ask::new("POST", "/one").by(&token).header("content-type", media_type);
        gate.ask(ask.body(body.as_bytes())).await.expect(415);
    }
    assert_eq!(gate.upstream.asked().len(), before, "none of it reached the backend");
}

#[tokio::test]
async fn a_route_without_forms_takes_none() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    gate.ask(form("POST", "/one", "name=a").by(&token)).await.expect(415);
}

#[tokio::test]
async fn what_may_not_be_written_is_left_out_where_the_route_says_so() {
    let mut gate = bank().start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::with(204, &[], ""));
    let json = concat!(
        "{\"secret\":\"CANARY\",\"name\":\"a\",\"x\":[{\"y\":\"CANARY\"}],",
        "\"address\":{\"street\":\"CANARY\",\"city\":\"c\"},\"id\":\"CANARY\"}"
    );
    gate.ask(Ask::patch("/soft/1", json).by(&token)).await.expect(204);
    assert_eq!(last_body(&gate), "{\"name\":\"a\",\"address\":{\"city\":\"c\"}}");
    gate.ask(form("PATCH", "/soft/1", "secret=CANARY&note=b&_x=CANARY").by(&token))
        .await
        .expect(204);
    assert_eq!(last_body(&gate), "note=b");
    let before = gate.upstream.asked().len();
    for (body, said) in [
        ("{\"secret\":\"x\"}", "nothing"),
        ("{}", ""),
        ("[]", "may not be written"),
        ("null", "may not be written"),
        ("{\"name\":{\"x\":1}}", "nothing"),
        ("{\"phone\":\"138****5678\",\"name\":\"a\"}", "masked"),
        ("{\"name\":\"a\",\"secret\":", ""),
        ("{\"address\":null}", "nothing"),
    ] {
        let told = gate.ask(Ask::patch("/soft/1", body).by(&token)).await;
        if body != "{}" {
            assert!(told.expect(400).text().contains(said), "{body}: {}", told.text());
        }
    }
    gate.ask(form("PATCH", "/soft/1", "note=b&_method=DELETE").by(&token)).await.expect(400);
    gate.ask(Ask::patch("/one/1", json).by(&token)).await.expect(400);
    assert!(gate.upstream.asked()[before..].iter().all(|asked| asked.body == b"{}"));
    let entries = gate.entries().await;
    let dropped = |entry: &menshen::audit::Entry| {
        let request = entry.request.as_ref()?;
        Some(request.dropped.iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let dropped: Vec<Vec<String>> =
        entries.iter().filter_map(dropped).filter(|names| !names.is_empty()).collect();
    let wanted = ["customer.id", "customer.address.street", "customer.secret", "x"];
    assert_eq!(dropped[0], wanted, "{dropped:?}");
    assert_eq!(dropped[1], ["customer.secret", "_x"]);
}

#[tokio::test]
async fn parameters_that_name_fields_name_only_what_the_caller_may_see() {
    let gate = bank().start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json("{\"items\":[]}"));
    for (query, asked) in [
        ("fields=name,phone", "fields=name%2Cphone%2Cid"),
        ("f[name]=a&f[address.city][ne]=b", "f%5Bname%5D=a&f%5Baddress.city%5D%5Bne%5D=b"),
        ("q=name:eq:a", "q=name%3Aeq%3Aa"),
        ("with=cards", "with=cards"),
        ("short=abc", "short=abc"),
    ] {
        gate.ask(Ask::get(&format!("/list?{query}")).by(&token)).await.expect(200);
        let target = gate.upstream.asked().pop().unwrap().target;
        assert_eq!(target, format!("/list?{asked}&per_page=20"), "{query}");
    }
    let before = gate.upstream.asked().len();
    for (query, status) in [
        ("fields=secret", 403),
        ("fields=name,unknown", 403),
        ("f[phone]=13812345678", 403),
        ("q=phone:eq:13812345678", 403),
        ("q=name:starts:a", 400),
        ("with=accounts", 400),
        ("short=ab", 400),
        ("short=ab*", 400),
        ("per_page=21", 400),
    ] {
        let told = gate.ask(Ask::get(&format!("/list?{query}")).by(&token)).await;
        assert!(!holds(&told.expect(status).bytes(), "12345678"), "{query}");
    }
    assert_eq!(gate.upstream.asked().len(), before);
    gate.ask(Ask::get("/clamped?per_page=1000").by(&token)).await.expect(200);
    assert_eq!(gate.upstream.asked().pop().unwrap().target, "/clamped?per_page=20");
}
