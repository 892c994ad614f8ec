//! A gate that is told to stop ends quickly and in good order, whoever hangs on to it.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::Ending;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::harness::client::finish;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

/// An HTTP/2 client that says hello and nothing more; it answers no ping either.
const MUTE_H2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";

/// A backend that answers once the test adds a permit; it adds one to the first for each request.
fn slow(gate: &Gate) -> (Arc<Semaphore>, Arc<Semaphore>) {
    let (arrived, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    gate.upstream.answers_by(move |_| {
        tell.add_permits(1);
        let answer = Reply::json(r#"{"id":1}"#).0;
        Reply([vec![Step::Wait(Arc::clone(&wait))], answer].concat())
    });
    (arrived, go_on)
}

fn ended(entries: &[menshen::audit::Entry]) -> Vec<Ending> {
    entries.iter().filter_map(|entry| entry.result.as_ref()?.ended).collect()
}

#[tokio::test]
async fn open_requests_end_and_are_answered() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let (arrived, go_on) = slow(&gate);
    let ask = || Ask::get("/one/1").by(&gate.teller());
    let (asks, mut h1, mut h2) = ([ask(), ask()], gate.h1().await, gate.h2().await);
    let [first, second] = asks;
    let stopping = async {
        soon("both to arrive", arrived.acquire_many(2)).await.unwrap().forget();
        let go_on = async {
            tokio::task::yield_now().await;
            go_on.add_permits(2);
        };
        tokio::join!(gate.stop(), go_on);
    };
    let answers = async { tokio::join!(h1.send(first), h2.send(second)) };
    let ((one, two), ()) = tokio::join!(answers, stopping);
    one.expect(200);
    two.expect(200);
    assert_eq!(ended(&gate.entries_so_far()), [Ending::Complete; 2]);
}

#[tokio::test]
async fn whoever_has_no_open_request_holds_nothing_up() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    let (mut used_h1, mut used_h2) = (gate.h1().await, gate.h2().await);
    used_h1.send(Ask::get("/one/1").by(&token)).await.expect(200);
    used_h2.send(Ask::get("/one/1").by(&token)).await.expect(200);
    let mut half_hello = TcpStream::connect(gate.client().address).await.unwrap();
    half_hello.write_all(b"\x16\x03\x01").await.unwrap();
    let mut half_head = gate.client().shake(&["http/1.1"]).await.unwrap();
    half_head.write_all(b"GET /one/1 HT").await.unwrap();
    let mut mute = gate.client().shake(&["h2"]).await.unwrap();
    mute.write_all(MUTE_H2.as_bytes()).await.unwrap();
    let start = tokio::time::Instant::now();
    gate.stop().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_a_drain_cuts_off_is_recorded() {
    let setup = Setup::policy(OPEN_BANK).yaml("drain: 1s\nbodies: { held-kib: 4 }");
    let mut gate = setup.start().await;
    let token = gate.teller();
    let (mut h1, mut h2) = (gate.h1().await, gate.h2().await);
    let record = format!(r#"{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    gate.upstream.answers(Reply::open([format!("[{record}")]).then(Step::Stall));
    let streamed = h1.begin(Ask::get("/all").by(&token)).await.unwrap();
    let (arrived, _go_on) = slow(&gate);
    let waiting = h2.begin(Ask::get("/one/1").by(&token));
    let stopping = async {
        soon("the second to arrive", arrived.acquire()).await.unwrap().forget();
        gate.stop().await;
    };
    let (waiting, ()) = tokio::join!(waiting, stopping);
    assert!(waiting.is_err(), "cut off before there was an answer");
    assert!(finish(streamed).await.cut.is_some(), "not ended as if it were whole");
    assert_eq!(ended(&gate.entries_so_far()), [Ending::AbortedByClient; 2]);
}

#[tokio::test]
async fn what_was_done_beside_it_a_moment_ago_stands_in_the_log() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.add_account("late", "quiet lantern over water", "teller").await;
    let entries = gate.entries().await;
    let added = entries.iter().filter_map(|entry| entry.act.as_ref());
    let added: Vec<_> = added.filter(|act| act.name.as_str() == "account_added").collect();
    assert_eq!(added.len(), 1, "{entries:?}");
}
