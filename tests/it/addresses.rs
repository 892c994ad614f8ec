//! What an address may do before anybody is known: handshakes, requests of one connection, and who is let through.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Ask, Connection, Gate, OPEN_BANK, Reply, Setup, Step, soon};

/// The beginning of a handshake that never goes on.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";

async fn started(connections: &str) -> Gate {
    let gate = Setup::policy(OPEN_BANK).yaml(connections).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

async fn from(address: &str, gate: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    soon("a connection", socket.connect(gate)).await.unwrap()
}

/// Whether the gate closes without a word.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut byte)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn an_address_with_unfinished_handshakes_gets_no_more_and_keeps_nobody_else_waiting() {
    let gate = started("connections: { handshakes-per-address: 2 }").await;
    let address = gate.client().address;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = from("127.0.0.9", address).await;
        stream.write_all(HALF_A_HELLO).await.unwrap();
        assert!(!is_closed(&mut stream).await);
        held.push(stream);
    }
    assert!(is_closed(&mut from("127.0.0.9", address).await).await, "a third");
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    drop(held);
    for _ in 0..50 {
        if !is_closed(&mut from("127.0.0.9", address).await).await {
            return;
        }
    }
    panic!("a place that was given back is not taken again");
}

#[tokio::test]
async fn a_probe_is_let_in_though_its_address_is_used_up_and_proves_no_more_by_it() {
    let connections =
        "connections: { per-address: 1, new-per-minute: 3, probes: [127.0.0.8/31, \"::1\"] }";
    let gate = started(connections).await;
    let address = gate.client().address;
    let mut probes = Vec::new();
    for _ in 0..10 {
        let mut stream = from("127.0.0.9", address).await;
        assert!(!is_closed(&mut stream).await);
        probes.push(stream);
    }
    let mut one = from("127.0.0.10", address).await;
    assert!(!is_closed(&mut one).await);
    assert!(is_closed(&mut from("127.0.0.10", address).await).await, "no probe");
    gate.ask(Ask::get("/one/1")).await.expect(401);
}

async fn is_soon_closed(connection: &mut Connection) -> bool {
    for _ in 0..100 {
        if !connection.is_open().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn whoever_takes_back_many_requests_of_a_connection_loses_it() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.listeners[0].socket.resets = 5);
    let gate = setup.start().await;
    gate.upstream.answers_by(|_| Reply(vec![Step::Stall]));
    let token = gate.teller();
    let mut connection = gate.h2().await;
    for n in 0..6 {
        assert!(connection.is_open().await, "after {n}");
        let mut twin = connection.twin();
        let asked = twin.begin(Ask::get("/one/1").by(&token));
        assert!(tokio::time::timeout(Duration::from_millis(200), asked).await.is_err());
    }
    assert!(is_soon_closed(&mut connection).await);
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
}

#[tokio::test]
async fn a_connection_with_too_many_requests_a_second_is_told_to_end_and_what_is_open_ends_well() {
    let setup = Setup::policy(OPEN_BANK)
        .tweak(|config| config.listeners[0].socket.requests_per_second = 10);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let mut connection = gate.h2().await;
    let mut answered = 0;
    for _ in 0..200 {
        match connection.begin(Ask::get("/.menshen/style.css")).await {
            Ok(response) if response.status() == 200 => answered += 1,
            Ok(response) => panic!("{response:?}"),
            Err(_gone) => break,
        }
    }
    assert!((10..200).contains(&answered), "{answered}");
    assert!(is_soon_closed(&mut connection).await);
    gate.h2().await.send(Ask::get("/.menshen/style.css")).await.expect(200);
}
