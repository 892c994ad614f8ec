//! NATS JetStream: publishes each entry under its id and has it once the stream says so.
//!
//! The part of NATS' protocol that publishing needs: INFO, CONNECT, SUB, HPUB, MSG, PING and PONG. The id keeps a
//! stream from storing twice what is sent twice, within its window for that.

use std::collections::BTreeSet;
use std::io;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::batch::Batch;
use super::connect::{Stream, dial, secure};
use super::settings::{NatsLogin, NatsSettings, Peer};
use super::{ShipError, read_secret};
use crate::secret::random_token;

/// The longest line that a server sends, and the longest acknowledgement.
const LONGEST: usize = 64 * 1024;

pub(super) async fn deliver(settings: &NatsSettings, batch: &Batch) -> Result<(), ShipError> {
    let mut server = Server::meet(settings).await?;
    let inbox = random_token::<12>().map_err(|error| settings.peer.refused(error.to_string()))?;
    // A dot would make two words of it.
    let inbox = format!("_INBOX.menshen{}", inbox.expose());
    server.send(format!("SUB {inbox}.* 1\r\n").as_bytes()).await?;
    let mut waiting = BTreeSet::new();
    for (number, entry) in batch.entries.iter().enumerate() {
        let head = format!(
            "NATS/1.0\r\nNats-Msg-Id: {}\r\nMenshen-Index: {}\r\n\r\n",
            entry.id, entry.index
        );
        let total = head.len() + entry.text.len();
        let line = format!("HPUB {} {inbox}.{number} {} {total}\r\n", settings.subject, head.len());
        for part in [line.as_bytes(), head.as_bytes(), &entry.text, b"\r\n"] {
            server.send(part).await?;
        }
        waiting.insert(number);
    }
    server.flush().await?;
    while !waiting.is_empty() {
        if let Some(number) = server.acknowledged(&inbox).await? {
            waiting.remove(&number);
        }
    }
    Ok(())
}

/// A connection that is signed in.
struct Server<'a> {
    peer: &'a Peer,
    stream: BufReader<Stream>,
    /// What is not sent yet.
    out: Vec<u8>,
}

/// What a stream answers.
#[derive(Deserialize)]
struct Acknowledgement {
    #[serde(default)]
    stream: String,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    description: String,
}

impl<'a> Server<'a> {
    /// Connects and signs in.
    async fn meet(settings: &'a NatsSettings) -> Result<Self, ShipError> {
        let peer = &settings.peer;
        let mut tcp = dial(peer).await?;
        // By bytes: what follows the line belongs to TLS.
        let mut info = Vec::new();
        while info.last() != Some(&b'\n') {
            if info.len() > LONGEST {
                return Err(peer.refused("greets with too long a line"));
            }
            info.push(tcp.read_u8().await.map_err(|error| peer.broken(error))?);
        }
        if !info.starts_with(b"INFO ") {
            return Err(peer.refused("does not greet like a NATS server"));
        }
        let stream = secure(peer, tcp).await?;
        let mut server = Self { peer, stream: BufReader::new(stream), out: Vec::new() };
        let connect = sign_in(&settings.login)?;
        server.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await?;
        server.flush().await?;
        while server.line().await? != "PONG" {}
        Ok(server)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ShipError> {
        self.out.extend_from_slice(bytes);
        if self.out.len() > LONGEST {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ShipError> {
        let out = std::mem::take(&mut self.out);
        let sent = self.stream.write_all(&out).await;
        sent.map_err(|error| self.peer.broken(error))?;
        self.stream.flush().await.map_err(|error| self.peer.broken(error))
    }

    /// The next line; answers pings on the way and ends with the server's errors.
    async fn line(&mut self) -> Result<String, ShipError> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(LONGEST as u64).read_until(b'\n', &mut line).await;
            read.map_err(|error| self.peer.broken(error))?;
            if line.last() != Some(&b'\n') {
                let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(self.peer.broken(ended));
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line == "PING" {
                self.send(b"PONG\r\n").await?;
                self.flush().await?;
            } else if let Some(said) = line.strip_prefix("-ERR") {
                return Err(self.peer.refused(shown(said)));
            } else if line != "+OK" && !line.starts_with("INFO ") {
                return Ok(line);
            }
        }
    }

    /// The number of an entry that the stream has; none if the message was about something else.
    async fn acknowledged(&mut self, inbox: &str) -> Result<Option<usize>, ShipError> {
        let line = self.line().await?;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (kind, subject) = (words.first().copied(), words.get(1).copied().unwrap_or_default());
        let length: Option<usize> = words.last().and_then(|word| word.parse().ok());
        let length = length.filter(|length| *length <= LONGEST);
        let (Some("MSG" | "HMSG"), Some(length)) = (kind, length) else {
            return Err(self.peer.refused(format!("sends `{}`", shown(&line))));
        };
        let mut body = vec![0; length + 2];
        let read = self.stream.read_exact(&mut body).await;
        read.map_err(|error| self.peer.broken(error))?;
        body.truncate(length);
        let number = subject.strip_prefix(inbox).and_then(|rest| rest.strip_prefix('.'));
        let Some(number) = number.and_then(|number| number.parse().ok()) else { return Ok(None) };
        if kind == Some("HMSG") {
            return Err(self.peer.refused("no stream takes the subject"));
        }
        match serde_json::from_slice::<Acknowledgement>(&body) {
            Ok(Acknowledgement { error: Some(fault), .. }) => {
                Err(self.peer.refused(shown(&fault.description)))
            }
            Ok(Acknowledgement { error: None, stream }) if !stream.is_empty() => Ok(Some(number)),
            Ok(_) | Err(_) => Err(self.peer.refused("answers, but no stream does")),
        }
    }
}

/// What of a server's words is told on.
fn shown(said: &str) -> String {
    said.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}

fn sign_in(login: &NatsLogin) -> Result<String, ShipError> {
    let mut connect = serde_json::json!({
        "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
        "name": "menshen", "protocol": 1, "headers": true, "no_responders": true,
    });
    let mut add = |key: &str, value: &str| {
        if let Some(object) = connect.as_object_mut() {
            object.insert(key.to_owned(), value.into());
        }
    };
    match login {
        NatsLogin::None => {}
        NatsLogin::Token(file) => add("auth_token", read_secret(file)?.expose()),
        NatsLogin::Password { user, file } => {
            add("user", user);
            add("pass", read_secret(file)?.expose());
        }
    }
    Ok(connect.to_string())
}
