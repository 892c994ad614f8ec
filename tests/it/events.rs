//! Streams of events whose data are JSON: each event is one record, judged, counted and recorded as it comes.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming as Body;
use menshen::audit::Ending;
use menshen::clock::Clock;
use menshen::demo::certificates::Authority;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::harness::client::{Client, finish};
use crate::harness::upstream::{Talk, chunk, head};
use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, Step, holds, soon};

const PASSWORD: &str = "lanterns-at-dusk";

const EVENTS: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");

/// A bank whose changes of customers can be followed, but for those with the note `hidden`; and events that are not read,
/// with a factor that is fresh.
fn bank(limits: &str) -> Setup {
    let route = "  live.search:\n    match: GET bank.example/live\n    to: core\n    action: search\n    \
                 returns: { customer: \"$[]\" }\n    as: event-stream\n  ticks:\n    match: GET bank.example/ticks\n    \
                 to: core\n    action: search\n    opaque: { types: text/event-stream, grade: 1 }\nroles: { teller";
    let policy = OPEN_BANK.replace("roles: { teller", route);
    assert_ne!(policy, OPEN_BANK);
    let hidden = "  - name: tellers see what goes on\n    allow: search\n    to: teller\n    route: ticks\n    \
                  require: { assurance: 1, fresh: 15m }\n  - name: the hidden stay hidden\n    deny: search\n    to: any\n    of: customer\n    \
                  where: record.note == \"hidden\"\n";
    Setup::policy(&format!("{policy}{hidden}{limits}"))
}

fn record(id: u32) -> String {
    format!(r#"{{"id":{id},"name":"n","phone":"13812345678","secret":"CANARY","note":"x"}}"#)
}

fn shown(id: u32) -> String {
    format!("data: {{\"id\":{id},\"name\":\"n\",\"phone\":\"138****5678\",\"note\":\"x\"}}\n\n")
}

/// A stream whose parts are sent one by one, as the test goes on.
fn in_parts(parts: &[String]) -> (Reply, Arc<Semaphore>) {
    let go_on = Arc::new(Semaphore::new(0));
    let headers = [EVENTS, ("transfer-encoding", "chunked")];
    let mut steps = vec![Step::Send(head(200, &headers))];
    for part in parts {
        steps.push(Step::Wait(Arc::clone(&go_on)));
        steps.push(Step::Send(chunk(part.as_bytes())));
    }
    (Reply(steps), go_on)
}

#[tokio::test]
async fn each_event_is_judged_as_a_record_and_only_its_data_pass() {
    let mut gate = bank("").start().await;
    let token = gate.teller();
    let body = format!(
        "event: CANARY\nid: CANARY\nretry: 8675309\ndata: {}\n\n\
         data: {{\"id\":2,\"name\":\"CANARY\",\ndata: \"note\":\"hidden\"}}\r\n\r\n\
         event: CANARY\n\ndata: {{\"name\":\"CANARY\"}}\n\nCANARY: CANARY\ndata:{}\r\r",
        record(1),
        record(3)
    );
    let wanted = shown(1) + &shown(3);
    for size in [1, 7, 10_000] {
        let mut answer = head(200, &[EVENTS, ("transfer-encoding", "chunked")]);
        body.as_bytes().chunks(size).for_each(|piece| answer.extend(chunk(piece)));
        answer.extend_from_slice(b"0\r\n\r\n");
        gate.upstream.answers(Reply::raw(answer));
        for mut connection in [gate.h1().await, gate.h2().await] {
            let ask = Ask::get("/live").by(&token).header("accept", "text/event-stream");
            let answer = connection.send(ask).await;
            assert_eq!(answer.expect(200).text(), wanted, "in {size}s");
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            assert_eq!((answer.header("cache-control"), &answer.cut), (Some("no-store"), &None));
        }
    }
    assert_eq!(gate.upstream.asked()[0].header("accept"), Some("text/event-stream"));
    let entries = gate.entries().await;
    let data = entries.last().unwrap().data.as_ref().unwrap();
    assert_eq!((data.entity.as_str(), data.records), ("customer", Some(2)));
    assert!(data.masked.iter().any(|name| name == "customer.phone"));
}

#[tokio::test]
async fn an_event_leaves_as_it_comes_and_a_comment_without_its_text() {
    let mut gate = bank("").start().await;
    let token = gate.teller();
    let parts = [
        format!("data: {}\n\n", record(1)),
        ": CANARY\n\n".to_owned(),
        format!("data: {}\n\n", record(2)),
    ];
    for is_h2 in [false, true] {
        let (reply, go_on) = in_parts(&parts);
        gate.upstream.answers(reply.then(Step::Stall));
        let mut connection = if is_h2 { gate.h2().await } else { gate.h1().await };
        let begun = connection.begin(Ask::get("/live").by(&token));
        let response = soon("the head, before any event", begun).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        for wanted in [shown(1), ":\n\n".to_owned(), shown(2)] {
            go_on.add_permits(1);
            let mut event = Vec::new();
            while event.len() < wanted.len() {
                let frame = soon("an event", body.frame()).await.unwrap().unwrap();
                event.extend(frame.into_data().unwrap());
            }
            assert_eq!(String::from_utf8(event).unwrap(), wanted);
        }
    }
    let entries = gate.entries().await;
    let left: Vec<_> = entries.iter().filter_map(|entry| entry.data.as_ref()?.records).collect();
    assert_eq!(left, [2, 2], "what left is recorded however the stream ends");
}

#[tokio::test]
async fn a_stream_that_reaches_a_limit_is_cut_rather_than_silent() {
    let limits = "limits:\n  - { to: teller, subjects: 2/h }\n";
    let mut gate = bank(limits).start().await;
    let parts: Vec<String> = (1..=3).map(|id| format!("data: {}\n\n", record(id))).collect();
    let (reply, go_on) = in_parts(&parts);
    gate.upstream.answers(reply.then(Step::Stall));
    go_on.add_permits(3);
    let mut connection = gate.h1().await;
    let begun = connection.begin(Ask::get("/live").by(&gate.teller()));
    let answer = finish(soon("the head", begun).await.unwrap()).await;
    assert_eq!(String::from_utf8(answer.body).unwrap(), shown(1) + &shown(2));
    assert!(answer.cut.is_some());
    let entries = gate.entries().await;
    let outcome = entries.last().unwrap();
    assert_eq!(outcome.result.as_ref().unwrap().ended, Some(Ending::Limited));
    assert_eq!(outcome.data.as_ref().unwrap().held_back, Some(1));
}

#[tokio::test]
async fn a_stream_is_cut_when_its_caller_loses_the_right() {
    let mut gate = bank("").start().await;
    let (reply, go_on) = in_parts(&[format!("data: {}\n\n", record(1))]);
    gate.upstream.answers(reply.then(Step::Stall));
    let mut connection = gate.h2().await;
    let begun = connection.begin(Ask::get("/live").by(&gate.teller()));
    let mut body = soon("the head", begun).await.unwrap().into_body();
    go_on.add_permits(1);
    soon("an event", body.frame()).await.unwrap().unwrap();
    let policy = std::fs::read_to_string(gate.path("policies/policy.yaml")).unwrap();
    let closed = policy.replace("to: teller\n    of: customer", "to: stranger\n    of: customer");
    std::fs::write(gate.path("policies/policy.yaml"), closed).unwrap();
    // The backend says nothing more, so that only the new policy can end it.
    let end = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return true;
            }
        }
        false
    };
    assert!(soon("the cut", end).await, "it ended as if it were whole");
    let entries = gate.entries().await;
    let outcome = entries.iter().find(|entry| entry.decided_by.is_some()).unwrap();
    assert_eq!(outcome.result.as_ref().unwrap().ended, Some(Ending::AbortedByPolicy));
}

/// A stream that is open, over which one event has come.
async fn opened(client: &Client, ask: Ask, go_on: &Semaphore) -> Body {
    let begun = client.h2().await.begin(ask).await;
    let mut body = begun.unwrap_or_else(|error| panic!("{error}")).into_body();
    go_on.add_permits(1);
    soon("an event", body.frame()).await.unwrap().unwrap();
    body
}

/// Whether it is cut off; `false` where it ends as if it were whole.
async fn is_cut(mut body: Body) -> bool {
    let end = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return true;
            }
        }
        false
    };
    soon("the end of the stream", end).await
}

/// Events one by one, and then nothing for ever: whatever ends such a stream is the gate.
fn one_and_silence(gate: &Gate) -> Arc<Semaphore> {
    let (reply, go_on) = in_parts(&[format!("data: {}\n\n", record(1))]);
    gate.upstream.answers(reply.then(Step::Stall));
    go_on
}

#[tokio::test]
async fn a_stream_ends_with_the_token_or_session_that_opened_it_and_with_what_it_was_good_for() {
    let mut gate = bank("").start().await;
    gate.add_account("li.na", PASSWORD, "teller").await;
    for (path, what) in [
        ("/live", "roles"),
        ("/ticks", "roles"),
        ("/live", "session"),
        ("/ticks", "session"),
        ("/ticks", "factor"),
        ("/live", "token"),
        ("/ticks", "token"),
    ] {
        let set_roles = async |roles: &[&str]| {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            gate.identity().set_roles("li.na", roles).await.unwrap();
        };
        set_roles(&["teller"]).await;
        let session = gate.sign_in("li.na", PASSWORD).await;
        let go_on = one_and_silence(&gate);
        let ask = match what {
            "token" => Ask::get(path).by(&gate.token(&json!({ "exp": gate.clock.unix_s() + 60 }))),
            "factor" => Ask::get(path).by(&gate.teller()),
            _ => Ask::get(path).cookie(&session).header("menshen-purpose", "service"),
        };
        let body = opened(&gate.client(), ask, &go_on).await;
        match what {
            "token" => gate.advance_s(600),
            "factor" => gate.advance_s(15 * 60 + 1),
            "roles" => set_roles(&["stranger", "teller"]).await,
            _ => {
                let out = Ask::post("/.menshen/logout", "{}").cookie(&session);
                gate.ask(out.header("sec-fetch-site", "same-origin")).await;
            }
        }
        let began = Instant::now();
        assert!(is_cut(body).await, "{path}, {what}: it ended as if it were whole");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{path}, {what}: {took:?}");
    }
    let entries = gate.entries().await;
    let results = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(results.filter(|ended| *ended == Ending::AbortedByPolicy).count(), 7);
}

/// As many events as the backend likes do not put it off.
#[tokio::test]
async fn a_stream_in_which_much_happens_ends_with_its_token_as_well() {
    let gate = bank("").start().await;
    let (talk, begins) = (Talk::new(), head(200, &[EVENTS, ("transfer-encoding", "chunked")]));
    let talked = Arc::clone(&talk);
    gate.upstream
        .answers_by(move |_| Reply::raw(begins.clone()).then(Step::Talk(Arc::clone(&talked))));
    for path in ["/live", "/ticks"] {
        let token = gate.token(&json!({ "exp": gate.clock.unix_s() + 60 }));
        let begun = gate.client().h2().await.begin(Ask::get(path).by(&token)).await.unwrap();
        let event = chunk(format!("data: {}\n\n", record(1)).as_bytes());
        let cut = is_cut(begun.into_body());
        let speaks = async {
            for round in 0.. {
                talk.say(event.clone()).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
                if round == 50 {
                    gate.advance_s(600);
                }
            }
        };
        tokio::select! {
            () = speaks => {}
            cut = cut => assert!(cut, "{path}"),
        }
    }
}

/// The program itself, and the time of day.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_the_program_ends_when_its_token_does() {
    let gate = bank("").prepare(Clock::system()).await;
    let process = Process::run(&gate, "info").await;
    for path in ["/live", "/ticks"] {
        let go_on = one_and_silence(&gate);
        // Good for three seconds more: an issuer's clock may differ by thirty.
        let token = gate.token(&json!({ "exp": gate.clock.unix_s() - 27 }));
        let began = Instant::now();
        let body = opened(&process.client(), Ask::get(path).by(&token), &go_on).await;
        assert!(is_cut(body).await, "{path}: it ended as if it were whole");
        let took = began.elapsed();
        assert!((1..=5).contains(&took.as_secs()), "{path}: {took:?}");
    }
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
    let entries = gate.entries_so_far();
    let results = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(results.filter(|ended| *ended == Ending::AbortedByPolicy).count(), 2);
}

/// As a WebSocket does; the program itself, since it reads its configuration again.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_backend_or_what_that_is_believed_by_is_replaced() {
    let setup = bank("").core("connections: 8").yaml("config-watch: false");
    let gate = setup.prepare(Clock::system()).await;
    let process = Process::run(&gate, "info").await;
    let edit = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(gate.path(file)).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(gate.path(file), text.replacen(from, to, 1)).unwrap();
        process.hang_up();
    };
    let open = async |path: &str| {
        let go_on = one_and_silence(&gate);
        opened(&process.client(), Ask::get(path).by(&gate.teller()), &go_on).await
    };
    let other = Authority::new("another", &Clock::system()).unwrap();
    let other = format!("{}\n", other.certificate_pem());
    for (file, from, to) in
        [("ca.pem", "", other.as_str()), ("menshen.yaml", "connections: 8", "connections: 9")]
    {
        let (judged, unread) = (open("/live").await, open("/ticks").await);
        edit(file, from, to);
        assert!(is_cut(judged).await && is_cut(unread).await, "{file}");
    }
    // What is opened then stays, also when something else of the configuration changes.
    let mut stays = open("/live").await;
    edit(
        "menshen.yaml",
        "config-watch: false",
        "config-watch: false\ncontact: \"it@bank.example\"",
    );
    let waited = tokio::time::timeout(Duration::from_millis(700), stays.frame()).await;
    assert!(waited.is_err(), "{waited:?}");
    let ended = || {
        let entries = gate.entries_so_far();
        let results = entries.into_iter().filter_map(|entry| entry.result);
        let told = results.filter(|result| result.cause.as_str() == "backend_replaced");
        told.filter(|result| result.ended == Some(Ending::AbortedByUpstream)).count()
    };
    assert_eq!(ended(), 4);
}

#[tokio::test]
async fn an_event_that_two_readers_could_take_differently_cuts_the_stream() {
    let gate = bank("").start().await;
    let token = gate.teller();
    for bad in [
        "data: CANARY\n\n",
        "data: [DONE]\n\n",
        "data: {\"id\":2,\"name\":\"CANARY\"}{}\n\n",
        "data: {\"id\":2,\ndata:\n\n",
        "data: {\"id\":2,\"name\":\"CANARY",
        "data: {\"id\":2,\"name\":\"CANARY\ndata: x\"}\n\n",
        "data: {\"id\":2,\"name\":\"CANARY\"}\n",
        "data: \u{feff}{\"id\":2,\"name\":\"CANARY\"}\n\n",
    ] {
        let body = format!("data: {}\n\n{bad}", record(1));
        let mut answer = head(200, &[EVENTS, ("transfer-encoding", "chunked")]);
        answer.extend(chunk(body.as_bytes()));
        answer.extend_from_slice(b"0\r\n\r\n");
        gate.upstream.answers(Reply::raw(answer));
        for mut connection in [gate.h1().await, gate.h2().await] {
            let answer = connection.send(Ask::get("/live").by(&token)).await;
            assert!(answer.cut.is_some(), "{bad:?} ended as if it were whole");
            assert!(!holds(&answer.bytes(), "CANARY"), "{bad:?}");
        }
    }
    // And where no stream of events is declared, none passes.
    gate.upstream.answers(Reply::with(200, &[EVENTS], format!("data: {}\n\n", record(1))));
    gate.ask(Ask::get("/all").by(&token)).await.expect(502);
}
