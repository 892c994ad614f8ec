//! Backends: whether each can be reached and is who it should be, believes the gate alone, and has the same time.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::tls::client::{ClientIdentity, client_config};
use crate::upstream::{Address, Settings, TlsSettings, Transport};

/// For each step.
const DEADLINE: Duration = Duration::from_secs(5);
/// What is read of an answer.
const MOST: u64 = 16 * 1024;
/// A clock that differs more makes tokens and codes fail.
const MOST_APART_S: i64 = 5;

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for upstream in &config.upstreams {
        let asserts = config.vouching.contains_key(&upstream.name);
        for address in &upstream.addresses {
            findings.extend(Backend { upstream, address }.examined(asserts).await);
        }
    }
    findings
}

/// What a backend answered, if it did.
type Said = Result<String, String>;

/// One address of an upstream.
#[derive(Clone, Copy)]
struct Backend<'a> {
    upstream: &'a Settings,
    address: &'a Address,
}

impl Backend<'_> {
    async fn examined(self, asserts: bool) -> Vec<Finding> {
        let about = match self.upstream.addresses.as_slice() {
            [_only] => format!("backend {}", self.upstream.name),
            _ => format!("backend {} at {}", self.upstream.name, self.address),
        };
        let said = self.ask(true).await;
        let Ok(answer) = said else {
            let why = said.err().unwrap_or_default();
            return vec![Finding::bad(about, why)];
        };
        let mut findings =
            vec![Finding::good(&about, "it can be reached, and is who it should be")];
        findings.extend(clock(&about, &answer));
        findings.push(self.alone(&about, asserts).await);
        findings
    }

    /// Whether it can know that it is the gate that asks.
    async fn alone(self, about: &str, asserts: bool) -> Finding {
        let about = format!("{about}, only us");
        let transport = &self.upstream.transport;
        let shows = matches!(transport, Transport::Tls(tls) if tls.identity.is_some());
        if !shows && asserts {
            let said = "it is given a signed assertion; whether it checks that, `backend.md` says how to try";
            return Finding::good(about, said);
        }
        if !shows {
            let said = "nothing tells it that the gate asks: `certificate` or `assertion`, and a network that lets nobody else through";
            return Finding::warning(about, said);
        }
        let is_closed = self.ask(false).await.map_or(true, |answer| is_refusal(&answer));
        match is_closed {
            true => Finding::good(about, "it refuses whoever comes without our certificate"),
            false => Finding::bad(
                about,
                "it answered somebody who showed no certificate: have it demand ours, else whoever reaches it walks around the gate",
            ),
        }
    }

    /// Connects as the gate does, or without its certificate, and asks what any server may be asked.
    async fn ask(self, as_gate: bool) -> Said {
        let (host, port) = match self.address {
            Address::Host { host, port } => (host.as_str(), *port),
            Address::Unix(path) => {
                let stream = within(UnixStream::connect(path)).await?;
                return talk(stream, "localhost").await;
            }
        };
        let stream = within(TcpStream::connect((host, port))).await?;
        let Transport::Tls(tls) = &self.upstream.transport else { return talk(stream, host).await };
        let name = tls.server_name.as_deref().unwrap_or(host);
        let called = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
        let connector = connector(tls, as_gate)?;
        talk(within(connector.connect(called, stream)).await?, name).await
    }
}

/// What is connected within the deadline.
async fn within<T>(connecting: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, connecting).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_late) => Err("no connection within 5 s".to_owned()),
    }
}

/// 400 and 403 are what servers say that look at the certificate after the handshake; 49x is nginx's own.
fn is_refusal(answer: &str) -> bool {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    matches!(status, "400" | "401" | "403" | "421" | "495" | "496")
}

fn clock(about: &str, answer: &str) -> Option<Finding> {
    let mut lines = answer.lines().filter_map(|line| line.split_once(':'));
    let (_, date) = lines.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let then = jiff::fmt::rfc2822::parse(date.trim()).ok()?.timestamp().as_second();
    let apart = Clock::system().unix_s().saturating_sub(then);
    let about = format!("{about}, clock");
    Some(match apart.abs() {
        0..=MOST_APART_S => Finding::good(about, "the same as here"),
        _ => Finding::warning(
            about,
            format!(
                "{} s {} here: one of both is wrong, and tokens and codes go by it",
                apart.abs(),
                if apart > 0 { "behind" } else { "ahead of" }
            ),
        ),
    })
}

fn connector(tls: &TlsSettings, as_gate: bool) -> Result<TlsConnector, String> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    let own = match tls.identity.as_ref().filter(|_| as_gate) {
        Some(own) => Some((read(&own.chain)?, read(&own.key)?)),
        None => None,
    };
    let own = own.as_ref().map(|(chain_pem, key_pem)| ClientIdentity { chain_pem, key_pem });
    let config = client_config(&read(&tls.ca)?, own).map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::clone(&config)))
}

/// The head of the answer to `OPTIONS *`.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, host: &str) -> Said {
    let request = format!("OPTIONS * HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        let (mut stream, mut answer) = ((&mut stream).take(MOST), Vec::new());
        // Not to the end: a server may keep the connection open all the same.
        while !answer.windows(4).any(|four| four == b"\r\n\r\n")
            && stream.read_buf(&mut answer).await? > 0
        {}
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.") => {
            Ok(String::from_utf8_lossy(&answer).into_owned())
        }
        Ok(Ok(_)) => Err("it closed the connection, or speaks no HTTP/1.1".to_owned()),
        Ok(Err(error)) => Err(format!("it closed the connection: {error}")),
        Err(_late) => Err("it did not answer within 5 s".to_owned()),
    }
}
