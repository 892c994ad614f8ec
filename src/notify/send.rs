//! One notice to one target. Nothing is kept here: whoever calls tries again.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;

use super::settings::{ChatSettings, HookSettings, MailSettings, Settings, To};
use super::{Language, Notice, NotifyError, mail, sign, smtp};
use crate::ship::{Endpoint, Security, ShipError, ask, check_peer, read_secret};

/// For all of it.
const DEADLINE: Duration = Duration::from_secs(60);
/// What is read of an answer.
const MOST_OF_ANSWER: usize = 64 * 1024;
/// What a signing secret must be.
const HOOK_SECRET: &str = "`whsec_` and 24 to 64 bytes in base64";

/// A notice as it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same each time that this very notice is tried; another one for every other.
    pub id: String,
    /// What is told.
    pub notice: Notice,
    /// When it leaves, Unix milliseconds.
    pub at_ms: i64,
}

/// What became of a notice that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Recipients of a mail that the server did not take, with what it said.
    pub refused: Vec<String>,
}

/// Sends it, within a minute.
///
/// # Errors
/// [`NotifyError`]; whether the target has it all the same is not known.
pub async fn send(settings: &Settings, message: &Message) -> Result<Delivered, NotifyError> {
    let done = tokio::time::timeout(DEADLINE, go(settings, message)).await;
    done.unwrap_or_else(|_elapsed| {
        let peer = settings.name.clone();
        Err(NotifyError::Way(ShipError::Slow { peer, time: DEADLINE }))
    })
}

async fn go(settings: &Settings, message: &Message) -> Result<Delivered, NotifyError> {
    match &settings.to {
        To::Webhook(hook) => to_hook(hook, settings.language, message).await,
        To::Mail(server) => to_mail(server, settings.language, message).await,
        To::Chat(room) => to_room(room, settings.language, message).await,
    }
}

/// Reads the certificates and secrets that a target needs, to see that they can be used. Blocks.
///
/// # Errors
/// [`NotifyError`], as a delivery would give it.
pub fn check(settings: &Settings) -> Result<(), NotifyError> {
    match &settings.to {
        To::Webhook(hook) => {
            key_of(hook)?;
            Ok(check_peer(&hook.endpoint.peer)?)
        }
        To::Mail(server) => {
            if let Some((_, file)) = &server.login {
                read_secret(file)?;
            }
            Ok(check_peer(&server.peer)?)
        }
        To::Chat(room) => {
            room.secret.as_deref().map(read_secret).transpose()?;
            Ok(check_peer(&endpoint_of(room)?.peer)?)
        }
    }
}

fn key_of(hook: &HookSettings) -> Result<Vec<u8>, NotifyError> {
    let secret = read_secret(&hook.secret)?;
    let path = || hook.secret.display().to_string();
    sign::hook_key(secret.expose())
        .ok_or_else(|| NotifyError::Secret { path: path(), wanted: HOOK_SECRET })
}

/// Where the room is: whoever knows the URL may write there, so it stands in a file of its own.
fn endpoint_of(room: &ChatSettings) -> Result<Endpoint, NotifyError> {
    let url = read_secret(&room.url)?;
    let security = |host: &str| match &room.ca {
        None => Security::PlainOnLoopback,
        Some(ca) => Security::Tls { server_name: host.to_owned(), ca: ca.clone(), identity: None },
    };
    Endpoint::parse(url.expose(), security)
        .ok_or_else(|| NotifyError::Address(room.url.display().to_string()))
}

async fn to_hook(
    hook: &HookSettings,
    language: Language,
    message: &Message,
) -> Result<Delivered, NotifyError> {
    let endpoint = &hook.endpoint;
    let Message { id, notice, at_ms } = message;
    let at_s = at_ms.div_euclid(1000);
    let body = hook_body(notice, language);
    let signature = sign::hook(&key_of(hook)?, id, at_s, &body);
    let request = post(&endpoint.path)
        .header("webhook-id", id)
        .header("webhook-timestamp", at_s)
        .header("webhook-signature", signature);
    asked(endpoint, request, body).await.map(|_answer| Delivered::default())
}

/// What programs read, and the text for people beside it.
fn hook_body(notice: &Notice, language: Language) -> String {
    let (title, text) = language.tell(notice);
    let time = jiff::Timestamp::from_millisecond(notice.at_ms).unwrap_or_default();
    json!({
        "type": format!("menshen.{}", notice.kind.word()),
        "timestamp": time.to_string(),
        "data": {
            "entry": notice.entry,
            "node": notice.node,
            "who": notice.who,
            "what": notice.what,
            "count": notice.count,
            "number": notice.number,
            "title": title,
            "text": text,
        },
    })
    .to_string()
}

async fn to_mail(
    server: &MailSettings,
    language: Language,
    message: &Message,
) -> Result<Delivered, NotifyError> {
    let (title, text) = language.tell(&message.notice);
    let at_s = message.at_ms.div_euclid(1000);
    let mail = mail::message(server, &message.id, at_s, (&format!("[menshen] {title}"), &text));
    smtp::deliver(server, mail).await
}

async fn to_room(
    room: &ChatSettings,
    language: Language,
    message: &Message,
) -> Result<Delivered, NotifyError> {
    let mut endpoint = endpoint_of(room)?;
    let secret = room.secret.as_deref().map(read_secret).transpose()?;
    let secret = secret.as_ref().map(|secret| secret.expose().as_str());
    let (title, text) = language.tell(&message.notice);
    // Robots may want to find a word of the operator's choice: this one is always there.
    let post_to = room.app.post(&format!("[menshen] {title}\n{text}"), secret, message.at_ms);
    if !post_to.query.is_empty() {
        let joint = if endpoint.path.contains('?') { '&' } else { '?' };
        endpoint.path = format!("{}{joint}{}", endpoint.path, post_to.query);
    }
    let answer = asked(&endpoint, post(&endpoint.path), post_to.body).await?;
    room.app.took(&endpoint.peer.shown(), &answer)?;
    Ok(Delivered::default())
}

fn post(path: &str) -> http::request::Builder {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
}

/// The body of an answer of success.
async fn asked(
    endpoint: &Endpoint,
    request: http::request::Builder,
    body: String,
) -> Result<Vec<u8>, NotifyError> {
    let request = request.body(Full::new(Bytes::from(body)));
    let request: Result<_, ShipError> =
        request.map_err(|error| endpoint.peer.refused(error.to_string()));
    let answer = ask(endpoint, request?, MOST_OF_ANSWER).await?;
    Ok(answer.of_success(endpoint)?.body)
}
