//! The handshake of a WebSocket (RFC 6455 section 4): what a caller asks for, what of it the backend is asked for, and
//! whether the backend agreed to that.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts as RequestHead;
use http::{Response, StatusCode, Version};

use crate::policy::Socket;

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const PACKED: &str = "permessage-deflate";
/// Bytes that a line of names may have.
const LINE_LIMIT: usize = 512;

/// Why a request does not begin a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::proxy) enum HandshakeFault {
    #[error(
        "this is a WebSocket: send `Upgrade: websocket` and nothing else there, with `Connection: upgrade`"
    )]
    NotAsked,
    #[error("a WebSocket is served over HTTP/1.1 only")]
    Http2,
    #[error("`Sec-WebSocket-Version` must be 13")]
    Version,
    #[error("`Sec-WebSocket-Key` must stand once and be 16 bytes in base64")]
    Key,
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    #[error("none of the subprotocols is spoken here")]
    Protocol,
    #[error("a page of this origin may not open it")]
    Origin,
}

/// What was asked for, as far as the route allows it.
#[derive(Debug)]
pub(super) struct Asked {
    key: String,
    origin: Option<HeaderValue>,
    protocols: Vec<String>,
    /// What packing is offered.
    packings: Vec<String>,
}

/// What was agreed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    protocol: Option<HeaderValue>,
    packing: Option<HeaderValue>,
}

impl Agreed {
    pub(super) fn is_packed(&self) -> bool {
        self.packing.is_some()
    }
}

/// What of a backend's answer was not asked for, or is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its handshake has a wrong `{0}`")]
pub(in crate::proxy) struct NotAgreed(&'static str);

/// Reads a handshake. `by_cookie` says that the caller is known by what a browser sends along by itself: then the page must
/// say where it comes from, since a page of any site may open a WebSocket to here.
pub(super) fn read(
    parts: &RequestHead,
    terms: &Socket,
    by_cookie: bool,
) -> Result<Asked, HandshakeFault> {
    let headers = &parts.headers;
    if parts.version != Version::HTTP_11 {
        return Err(HandshakeFault::Http2);
    }
    if !is_asked(headers) {
        return Err(HandshakeFault::NotAsked);
    }
    if one(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(HandshakeFault::Version);
    }
    let key = one(headers, &SEC_WEBSOCKET_KEY).ok_or(HandshakeFault::Key)?;
    let is_key = STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16);
    if !is_key {
        return Err(HandshakeFault::Key);
    }
    let origin = origin(headers, terms, by_cookie)?;
    Ok(Asked {
        key: key.to_owned(),
        origin,
        protocols: protocols(headers, terms)?,
        packings: packings(headers, terms)?,
    })
}

impl Asked {
    /// Adds it to the request that the backend gets.
    pub(super) fn ask(&self, headers: &mut HeaderMap) -> Result<(), HandshakeFault> {
        headers.remove(ACCEPT);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let mut put = |name: HeaderName, text: &str| {
            let value = HeaderValue::try_from(text);
            let value = value.ok().ok_or(HandshakeFault::Malformed("Sec-WebSocket-Key"))?;
            headers.insert(name, value);
            Ok(())
        };
        put(SEC_WEBSOCKET_KEY, &self.key)?;
        if !self.protocols.is_empty() {
            put(SEC_WEBSOCKET_PROTOCOL, &self.protocols.join(", "))?;
        }
        if !self.packings.is_empty() {
            put(SEC_WEBSOCKET_EXTENSIONS, &self.packings.join(", "))?;
        }
        if let Some(origin) = &self.origin {
            headers.insert(ORIGIN, origin.clone());
        }
        Ok(())
    }

    /// Whether the backend's answer is to this very request and agrees to nothing else.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Result<Agreed, NotAgreed> {
        if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
            return Err(NotAgreed("Content-Length"));
        }
        if !is_asked(headers) {
            return Err(NotAgreed("Upgrade"));
        }
        if one(headers, &SEC_WEBSOCKET_ACCEPT) != Some(&*self.accept()) {
            return Err(NotAgreed("Sec-WebSocket-Accept"));
        }
        let protocol = named(headers, &SEC_WEBSOCKET_PROTOCOL, |text| {
            self.protocols.iter().any(|asked| asked == text)
        })?;
        let packing = named(headers, &SEC_WEBSOCKET_EXTENSIONS, |text| {
            !self.packings.is_empty() && is_packing(text)
        })?;
        Ok(Agreed { protocol, packing })
    }

    /// Says it to the caller.
    pub(super) fn tell<B>(&self, agreed: &Agreed, response: &mut Response<B>) {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::try_from(self.accept()) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        let mut put = |name: HeaderName, value: &Option<HeaderValue>| {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        };
        put(SEC_WEBSOCKET_PROTOCOL, &agreed.protocol);
        put(SEC_WEBSOCKET_EXTENSIONS, &agreed.packing);
    }

    fn accept(&self) -> String {
        let whole = [self.key.as_bytes(), GUID].concat();
        STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole))
    }
}

/// Whether a head asks for a WebSocket, or agrees to one, and names no other protocol.
fn is_asked(headers: &HeaderMap) -> bool {
    let is_socket =
        one(headers, &UPGRADE).is_some_and(|word| word.eq_ignore_ascii_case("websocket"));
    let mut lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    is_socket && lines.any(|line| line.split(',').any(|w| w.trim().eq_ignore_ascii_case("upgrade")))
}

/// The text of a header that stands once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let (Some(only), None) = (lines.next(), lines.next()) else { return None };
    only.to_str().ok().map(str::trim).filter(|text| text.len() <= LINE_LIMIT)
}

/// The origin of the page, which every browser tells. A program that is known by its token tells none.
fn origin(
    headers: &HeaderMap,
    terms: &Socket,
    by_cookie: bool,
) -> Result<Option<HeaderValue>, HandshakeFault> {
    if !headers.contains_key(ORIGIN) {
        return if by_cookie { Err(HandshakeFault::Origin) } else { Ok(None) };
    }
    let own = one(headers, &HOST).unwrap_or_default().trim_end_matches(":443");
    let own = format!("https://{own}");
    match one(headers, &ORIGIN).filter(|origin| terms.opens_for(origin, &own)) {
        Some(_) => Ok(headers.get(ORIGIN).cloned()),
        None => Err(HandshakeFault::Origin),
    }
}

/// Those of the subprotocols that the route names, in the caller's order.
fn protocols(headers: &HeaderMap, terms: &Socket) -> Result<Vec<String>, HandshakeFault> {
    let asked = list(headers, &SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol")?;
    let known: Vec<String> =
        asked.iter().filter(|name| terms.speaks(name)).map(|name| (*name).to_owned()).collect();
    if known.is_empty() && !asked.is_empty() {
        return Err(HandshakeFault::Protocol);
    }
    Ok(known)
}

/// The offers to pack messages; other extensions are not agreed on, which every caller must take.
fn packings(headers: &HeaderMap, terms: &Socket) -> Result<Vec<String>, HandshakeFault> {
    if !terms.compresses() {
        return Ok(Vec::new());
    }
    let asked = list(headers, &SEC_WEBSOCKET_EXTENSIONS, "Sec-WebSocket-Extensions")?;
    Ok(asked.into_iter().filter(|offer| is_packing(offer)).map(str::to_owned).collect())
}

/// `permessage-deflate` with parameters, and nothing that a reader could take for more.
fn is_packing(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_=; ".contains(&b);
    text.split(';').next().is_some_and(|name| name.trim() == PACKED) && text.bytes().all(is_plain)
}

/// The parts of a list that may stand in several lines.
fn list<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    told: &'static str,
) -> Result<Vec<&'h str>, HandshakeFault> {
    let mut found = Vec::new();
    for line in headers.get_all(name) {
        let line = line.to_str().ok().filter(|line| line.len() <= LINE_LIMIT);
        let line = line.ok_or(HandshakeFault::Malformed(told))?;
        found.extend(line.split(',').map(str::trim));
    }
    if found.len() > 32 || found.iter().any(|part| part.is_empty()) {
        return Err(HandshakeFault::Malformed(told));
    }
    Ok(found)
}

/// What the backend chose, which must be among what it was asked for.
fn named(
    headers: &HeaderMap,
    name: &HeaderName,
    is_asked: impl Fn(&str) -> bool,
) -> Result<Option<HeaderValue>, NotAgreed> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let told = if *name == SEC_WEBSOCKET_PROTOCOL {
        "Sec-WebSocket-Protocol"
    } else {
        "Sec-WebSocket-Extensions"
    };
    let chosen = one(headers, name).filter(|text| is_asked(text)).ok_or(NotAgreed(told))?;
    HeaderValue::try_from(chosen).map(Some).map_err(|_not_text| NotAgreed(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_standard() {
        let asked = Asked {
            key: "dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
            origin: None,
            protocols: Vec::new(),
            packings: Vec::new(),
        };
        assert_eq!(asked.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_backend_agrees_to_nothing_that_was_not_asked_for() {
        let asked = Asked {
            key: "dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
            origin: None,
            protocols: vec!["chat".to_owned()],
            packings: vec![PACKED.to_owned()],
        };
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "chat"),
            ("sec-websocket-extensions", "permessage-deflate; server_max_window_bits=10"),
        ];
        let judged = |changed: Option<(&'static str, &'static str)>, more: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in good {
                headers.append(name, HeaderValue::from_static(value));
            }
            if let Some((name, value)) = changed {
                let value = HeaderValue::from_static(value);
                if more {
                    headers.append(name, value)
                } else {
                    headers.insert(name, value).is_some()
                };
            }
            asked.judge(&headers).is_ok()
        };
        assert!(judged(None, false));
        for (name, value) in [
            ("upgrade", "h2c"),
            ("connection", "close"),
            ("sec-websocket-accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("sec-websocket-protocol", "shell"),
            ("sec-websocket-extensions", "permessage-deflate, x"),
            ("sec-websocket-extensions", "x"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
        ] {
            assert!(!judged(Some((name, value)), false), "{name}: {value}");
        }
        for (name, value) in good {
            assert!(name == "connection" || !judged(Some((name, value)), true), "{name} twice");
        }
    }
}
