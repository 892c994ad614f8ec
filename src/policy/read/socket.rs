//! `websocket` of an opaque route: who may open one, and how much may pass.

use super::super::socket::{Socket, SocketCaps};
use super::opaque::size;
use crate::document::{Code, Keys, Node, Pair, Reader, cut};
use crate::route::normalise_host;

const KEYS: [&str; 11] = [
    "sent",
    "received",
    "message",
    "frames",
    "idle",
    "lifetime",
    "each",
    "all",
    "origins",
    "protocols",
    "compression",
];
const NAME_LIMIT: usize = 32;
/// An hour of silence, and a day in all.
const IDLE_LIMIT_S: u32 = 3600;
const LIFETIME_LIMIT_S: u32 = 24 * 3600;
const MESSAGE_BYTES: u64 = 64 * 1024;

/// Reads `websocket`, beside the method and other keys of its route.
pub(super) fn socket(
    reader: &mut Reader<'_>,
    route: &Keys<'_>,
    method: &str,
    pair: &Pair,
) -> Option<Socket> {
    if let Some(matched) = route.find("match").filter(|_| method != "GET") {
        let message = format!("a WebSocket begins with a GET, not with a {method}");
        reader.fault(matched.value.span, Code::Contradiction, message, None);
    }
    let keys = reader.keys(&pair.value, "`websocket`", &KEYS);
    for (key, example) in [("sent", "1MiB"), ("received", "20MiB")] {
        if keys.find(key).is_none() {
            reader.missing(pair.key_span, "`websocket`", key, example);
        }
    }
    let origins = keys.find("origins").map_or(Vec::new(), |p| origins(reader, &p.value));
    let protocols = keys.find("protocols").map_or(Vec::new(), |p| protocols(reader, &p.value));
    let compresses = keys.find("compression").is_some_and(|p| compression(reader, &p.value));
    let caps = caps(reader, &keys)?;
    Some(Socket { origins, protocols, compresses, caps })
}

fn caps(reader: &mut Reader<'_>, keys: &Keys<'_>) -> Option<SocketCaps> {
    let mut bytes =
        |key: &str| keys.find(key).map(|pair| size(reader, &format!("`{key}`"), &pair.value));
    let (sent, received, message) = (bytes("sent"), bytes("received"), bytes("message"));
    let mut number = |key: &str, most: u32, usual: u32| {
        let found = keys.find(key);
        let read = found.map(|pair| reader.number(&pair.value, &format!("`{key}`"), 1, most));
        read.unwrap_or(Some(usual))
    };
    let (frames, each) = (number("frames", 10_000, 100), number("each", 1_000, 4));
    let all = number("all", 100_000, 256);
    let mut time = |key: &str, most: u32, usual: u32| {
        let Some(pair) = keys.find(key) else { return Some(usual) };
        let seconds = reader.duration(&pair.value, &format!("`{key}`"))?;
        if seconds > most {
            let message = format!("`{key}` must be at most {}h", most / 3600);
            reader.fault(pair.value.span, Code::WrongValue, message, None);
        }
        Some(seconds)
    };
    let (idle, lifetime) =
        (time("idle", IDLE_LIMIT_S, 60), time("lifetime", LIFETIME_LIMIT_S, 3600));
    Some(SocketCaps {
        sent_bytes: sent??,
        received_bytes: received??,
        message_bytes: message.unwrap_or(Some(MESSAGE_BYTES))?,
        frames_per_s: frames?,
        idle_s: idle?,
        lifetime_s: lifetime?,
        each: each?,
        all: all?,
    })
}

/// `https://` and a host, with a port where it is not 443, as browsers write it.
fn origins(reader: &mut Reader<'_>, node: &Node) -> Vec<Box<str>> {
    named(reader, node, "origins", |word| {
        let rest = word.strip_prefix("https://");
        let is_origin = rest.and_then(normalise_host).is_some() && !word.ends_with(":443");
        let help = "write it as browsers do: `https://bank.example`, with a port if it is not 443";
        if is_origin { Ok(()) } else { Err(help) }
    })
}

/// Tokens, as RFC 6455 section 4.1 has them.
fn protocols(reader: &mut Reader<'_>, node: &Node) -> Vec<Box<str>> {
    named(reader, node, "protocols", |word| {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let is_name = !word.is_empty() && word.len() <= 64 && word.bytes().all(is_token);
        if is_name { Ok(()) } else { Err("write the name of a subprotocol, such as `chat.v2`") }
    })
}

fn named(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    check: impl Fn(&str) -> Result<(), &'static str>,
) -> Vec<Box<str>> {
    let words = reader.words(node, &format!("`{key}`"));
    if words.is_empty() || words.len() > NAME_LIMIT {
        let message = format!("`{key}` must name at least one, at most {NAME_LIMIT}");
        reader.fault(node.span, Code::WrongValue, message, None);
    }
    let mut found = Vec::new();
    for (word, span) in words.into_iter().take(NAME_LIMIT) {
        match check(word) {
            Ok(()) => found.push(word.into()),
            Err(help) => {
                let message = format!("`{}` cannot be one of `{key}`", cut(word));
                reader.fault(span, Code::WrongValue, message, Some(help.to_owned()));
            }
        }
    }
    found
}

/// The one extension that is in use.
fn compression(reader: &mut Reader<'_>, node: &Node) -> bool {
    match reader.text(node, "`compression`") {
        Some("permessage-deflate") => true,
        Some(other) => {
            let message =
                format!("`compression` must be `permessage-deflate`, got `{}`", cut(other));
            let help = "leave the key out where nothing is packed".to_owned();
            reader.fault(node.span, Code::WrongValue, message, Some(help));
            false
        }
        None => false,
    }
}
