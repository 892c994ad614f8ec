//! What the listener shows and accepts before any request, and whom it trusts as a backend.

use std::process::{Command, Stdio};

use menshen::clock::Clock;
use menshen::demo::certificates::Authority;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

/// What `openssl s_client` says of a handshake with these arguments.
async fn openssl(gate: &Gate, arguments: &'static [&'static str]) -> (bool, String) {
    let address = gate.client().address.to_string();
    let ca = gate.path("ca.pem");
    let run = move || {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &address, "-servername", "bank.example", "-CAfile"])
            .arg(ca)
            .args(["-verify_return_error"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn old_versions_and_weak_ciphers_get_no_handshake() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    for arguments in [
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"],
    ] {
        let (succeeded, said) = openssl(&gate, arguments).await;
        assert!(!succeeded, "{arguments:?}: {said}");
    }
    for (arguments, version) in [
        (&["-tls1_3"][..], "TLSv1.3"),
        (&["-tls1_2"], "TLSv1.2"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "TLSv1.2"),
    ] {
        let (succeeded, said) = openssl(&gate, arguments).await;
        assert!(succeeded && said.contains(version), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn the_protocol_is_agreed_on_in_the_handshake() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let client = gate.client();
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = client.shake(offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed, "{offered:?}");
    }
    assert!(client.shake(&["spdy/3"]).await.is_err(), "no protocol in common");
}

#[tokio::test]
async fn a_host_that_is_not_the_one_of_the_handshake_is_misdirected() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut client = gate.client();
    client.host = "other.example".to_owned();
    for host in ["bank.example", "BANK.example", "bank.example:443"] {
        let ask = Ask::get("/one/1").by(&token).header("host", host);
        client.h1().await.send(ask).await.expect(421);
    }
    let mut connection = client.h2().await;
    connection.host = "bank.example".to_owned();
    connection.send(Ask::get("/one/1").by(&token)).await.expect(421);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn plain_http_on_the_listener_gets_no_answer_in_clear() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let gate = Setup::policy(OPEN_BANK).start().await;
    let mut stream = tokio::net::TcpStream::connect(gate.client().address).await.unwrap();
    stream.write_all(b"GET /one/1 HTTP/1.1\r\nhost: bank.example\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    drop(crate::harness::soon("the end", stream.read_to_end(&mut said)).await);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_backend_that_its_ca_did_not_sign_is_sent_nothing() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let stranger = Authority::new("a stranger's CA", &Clock::system()).unwrap();
    std::fs::write(gate.path("ca.pem"), stranger.certificate_pem()).unwrap();
    gate.restart().await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(502);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_backend_with_another_name_is_sent_nothing() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        if let menshen::upstream::Transport::Tls(tls) = &mut config.upstreams[0].transport {
            tls.server_name = Some("another.internal".to_owned());
        }
    });
    let gate = setup.start().await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(502);
    assert_eq!(gate.upstream.hits(), 0);
}
