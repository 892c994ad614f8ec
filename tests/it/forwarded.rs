//! Who the client is where a load balancer stands in front, and the port without TLS that only says where to come.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use menshen::listen::{Forwarders, RedirectSettings, Told};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

async fn behind(network: &str, told: Told) -> Gate {
    let networks = vec![network.parse().unwrap()];
    let setup = Setup::policy(OPEN_BANK).tweak(move |config| {
        let forwarders = Arc::new(Forwarders { networks: networks.clone(), told });
        for one in &mut config.listeners {
            one.tls.http1_alone = !forwarders.introduce();
            one.socket.forwarders = Some(Arc::clone(&forwarders));
        }
        config.addresses.concurrent = 2;
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

/// Where the requests came from, as the log has it.
async fn origins(gate: &mut Gate) -> Vec<String> {
    let entries = gate.entries().await.into_iter().filter(|entry| entry.decision.is_some());
    let seen: Vec<IpAddr> = entries.filter_map(|entry| entry.origin?.address).collect();
    seen.iter().map(IpAddr::to_string).collect()
}

fn head(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 10.0.0.9 4711 443\r\n").into_bytes()
}

#[tokio::test]
async fn the_proxy_protocol_says_who_the_client_is_and_each_has_caps_of_its_own() {
    let mut gate = behind("127.0.0.0/8", Told::ByProxyProtocol).await;
    let token = gate.teller();
    let mut client = gate.client();
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend([192, 0, 2, 8, 10, 0, 0, 9, 0x12, 0x67, 1, 187]);
    for head in [head("192.0.2.7"), second, b"PROXY UNKNOWN\r\n".to_vec()] {
        client.head = head;
        let mut connection = client.h2().await;
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    client.head = head("192.0.2.9");
    let kept = (client.shake(&["h2"]).await.unwrap(), client.shake(&["h2"]).await.unwrap());
    assert!(client.shake(&["h2"]).await.is_err(), "a third of one client");
    client.head = head("192.0.2.10");
    client.shake(&["h2"]).await.unwrap();
    drop(kept);
    // Who says nothing, or something else, is no forwarder.
    client.head = Vec::new();
    assert!(client.shake(&["h2"]).await.is_err());
    client.head = b"PROXY TCP4 nonsense\r\n".to_vec();
    assert!(client.shake(&["h2"]).await.is_err());
    assert_eq!(origins(&mut gate).await, ["192.0.2.7", "192.0.2.8", "127.0.0.1"]);
}

#[tokio::test]
async fn nobody_but_a_forwarder_says_for_whom_they_speak() {
    let mut gate = behind("10.0.0.0/8", Told::ByProxyProtocol).await;
    for sent in [head("192.0.2.7"), Vec::new()] {
        let mut client = gate.client();
        client.head = sent;
        assert!(client.shake(&["h2"]).await.is_err(), "it came around the forwarder");
    }
    assert!(origins(&mut gate).await.is_empty());
    let mut gate = behind("10.0.0.0/8", Told::ByXForwardedFor).await;
    let ask = Ask::get("/one/1").by(&gate.teller()).header("x-forwarded-for", "192.0.2.7");
    gate.h1().await.send(ask).await.expect(200);
    assert_eq!(origins(&mut gate).await, ["127.0.0.1"]);
}

#[tokio::test]
async fn a_header_of_a_forwarder_tells_the_client_of_each_request() {
    for (told, name, lines) in [
        (Told::ByXForwardedFor, "x-forwarded-for", ["8.8.8.8, 192.0.2.7", "192.0.2.8, 127.0.0.2"]),
        (Told::ByForwarded, "forwarded", ["for=8.8.8.8, for=192.0.2.7", "for=\"192.0.2.8:4711\""]),
    ] {
        let mut gate = behind("127.0.0.0/8", told).await;
        let token = gate.teller();
        // One of many on a connection that stalls would end it for all.
        assert!(
            gate.client().shake(&["h2"]).await.is_err(),
            "each connection has one request at a time"
        );
        let mut connection = gate.h1().await;
        for line in lines {
            connection.send(Ask::get("/one/1").by(&token).header(name, line)).await.expect(200);
        }
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
        // A forwarder holds more connections than one client may, and shakes hands at once.
        let client = gate.client();
        for _ in 0..6 {
            client.h1().await.send(Ask::get("/one/1").by(&token)).await.expect(200);
        }
        let asked = gate.upstream.asked();
        assert!(asked.iter().all(|asked| asked.header(name).is_none()), "{name} goes no further");
        drop(connection);
        let seen = origins(&mut gate).await;
        assert_eq!(seen[..3], ["192.0.2.7", "192.0.2.8", "127.0.0.1"]);
    }
}

/// Whoever is refused with a question unread is told by a reset.
async fn said(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    if let Err(error) = soon("an answer", stream.read_to_end(&mut answer)).await {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_port_without_tls_says_where_to_come_and_does_nothing_else() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let hosts = vec!["bank.example".to_owned()];
        config.redirect = Some(RedirectSettings { address, hosts, port: 443, forwarders: None });
    });
    let mut gate = setup.start().await;
    let address = gate.server().redirect_address().unwrap();
    let answer = said(address, "GET /a?b=1 HTTP/1.1\r\nHost: bank.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("\r\nlocation: https://bank.example/a?b=1\r\n"), "{answer}");
    let answer = said(
        address,
        "POST /.menshen/login HTTP/1.1\r\nHost: bank.example\r\nContent-Length: 5\r\n\r\nhello",
    );
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("sent unencrypted"), "{answer}");
    for request in [
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: bank.example\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: bank.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: bank.example\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let answer = said(address, request).await;
        assert!(
            !answer.contains("location") && answer.starts_with("HTTP/1.1 4"),
            "{request} {answer}"
        );
    }
    assert!(gate.upstream.asked().is_empty());
    gate.stop().await;
}

#[tokio::test]
async fn the_port_without_tls_hears_for_whom_a_forwarder_comes() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let forwarders = Some(Arc::new(Forwarders { networks, told: Told::ByProxyProtocol }));
        let hosts = vec!["bank.example".to_owned()];
        config.redirect = Some(RedirectSettings { address, hosts, port: 443, forwarders });
        config.addresses.concurrent = 1;
    });
    let mut gate = setup.start().await;
    let address = gate.server().redirect_address().unwrap();
    let asked = "GET / HTTP/1.1\r\nHost: bank.example\r\n\r\n";
    let introduced = |client: &str| String::from_utf8(head(client)).unwrap() + asked;
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(&head("192.0.2.7")).await.unwrap();
    let answer = said(address, &introduced("192.0.2.8")).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert_eq!(said(address, asked).await, "", "who does not say for whom");
    let mut later = TcpStream::connect(address).await.unwrap();
    let second = async {
        loop {
            let mut again = TcpStream::connect(address).await.unwrap();
            again.write_all(introduced("192.0.2.7").as_bytes()).await.unwrap();
            let mut answer = String::new();
            if again.read_to_string(&mut answer).await.is_err() || answer.is_empty() {
                return;
            }
        }
    };
    soon("a second connection of one client to be refused", second).await;
    drop(kept);
    later.write_all(introduced("192.0.2.9").as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("an answer", later.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    gate.stop().await;
}

#[test]
fn what_stands_before_the_port_is_checked_as_the_rest_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    for (text, fault) in [
        ("redirect: { address: \"0.0.0.0:80\" }", "`redirect` needs `hosts`"),
        ("redirect: { address: \"0.0.0.0:80\", hosts: [\"a.example:80\"] }", "without a port"),
        ("redirect: { address: here, hosts: [a.example] }", "an IP address and a port"),
        (
            "listeners: [{ zone: a, certificate: a, key: b, address: \"0.0.0.0:443\", forwarders: { from: [10.0.0.0/33], by: forwarded } }]",
            "must be an address, or a network",
        ),
        (
            "listeners: [{ zone: a, certificate: a, key: b, address: \"0.0.0.0:443\", forwarders: { from: [10.0.0.1], by: x-forwarded-host } }]",
            "x-forwarded-for",
        ),
    ] {
        let file = dir.path().join("menshen.yaml");
        std::fs::write(&file, format!("{text}\n")).unwrap();
        let ran = menshen(&["check", "--config", file.to_str().unwrap()]);
        let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
        assert!(said.contains(fault), "{text}\n{said}");
    }
}
