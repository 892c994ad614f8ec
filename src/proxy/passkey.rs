//! Passkeys as browsers speak of them: JSON that goes from and to `navigator.credentials` as it is.
//!
//! Four own paths, for pages of this host alone. Every step is recorded before it is answered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gate;
use super::body::{Answer, read_capped};
use super::entrance::place;
use super::head::{Head, same_origin};
use super::rejection::Rejection;
use super::respond::plain;
use super::sign_in::{JSON, session_cookie, told};
use super::step::Step;
use super::trail::Trail;
use crate::identity::passkey::Algorithm;
use crate::identity::{
    CHALLENGE_S, Cookie, CreationOptions, NewPasskey, RequestOptions, ShownPasskey, SignInError,
    Site,
};
use crate::listen::Facts;
use crate::secret::Secret;

/// Paths below this one are about passkeys.
pub(super) const PREFIX: &str = "/.menshen/passkey/";

/// A passkey with a long id and an RSA key takes some 4 KiB.
const BODY_LIMIT_BYTES: usize = 16 * 1024;

/// What a browser sends; which parts must be there depends on the path.
#[derive(Deserialize)]
struct Sent {
    /// What options are for: `register`, `sign-in` or `raise`.
    #[serde(default, rename = "for")]
    purpose: String,
    /// Whether the passkey must know its person; a sign-in asks for that by itself.
    #[serde(default)]
    verify: bool,
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    credential: Option<Credential>,
}

/// What `credential.toJSON()` gives; what stands in it besides is not looked at.
#[derive(Deserialize)]
struct Credential {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    response: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(default, rename = "attestationObject")]
    attestation_object: Option<String>,
    #[serde(default, rename = "authenticatorData")]
    authenticator_data: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default, rename = "userHandle")]
    user_handle: Option<String>,
}

/// One request about passkeys.
struct Asked<'a> {
    site: Site,
    head: &'a Head,
    parts: &'a RequestHead,
    facts: &'a Facts,
    trail: &'a mut Trail,
}

impl Gate {
    /// Answers the paths below [`PREFIX`].
    pub(super) async fn passkey(
        &self,
        head: &Head,
        parts: &RequestHead,
        body: &mut super::sent::Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let step = head.path.as_str().strip_prefix(PREFIX).unwrap_or_default();
        if head.method != Method::POST
            || !["options", "register", "sign-in", "raise"].contains(&step)
        {
            return Err(Rejection::NotFound);
        }
        if !same_origin(&parts.headers, &head.host) {
            return Err(Rejection::ForeignSite);
        }
        // Anybody can ask, and each question is kept and recorded.
        self.addresses.attempt(facts.peer.ip()).map_err(Rejection::Address)?;
        let sent = self.sent(parts, body).await?;
        self.record_acts().await?;
        let mut asked = Asked { site: site(head, parts), head, parts, facts, trail };
        match step {
            "options" => self.passkey_options(&mut asked, sent).await,
            "register" => self.register_passkey(&mut asked, sent).await,
            "sign-in" => self.sign_in_by_passkey(&mut asked, sent).await,
            _ => self.raise_by_passkey(&mut asked, sent).await,
        }
    }

    async fn passkey_options(
        &self,
        asked: &mut Asked<'_>,
        sent: Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let site = &asked.site.clone();
        let (account, step, options) = match sent.purpose.as_str() {
            "sign-in" => {
                let step = self.begin_step("passkey_sign_in_asked", "", asked.trail)?;
                let options = self.identity.begin_passkey_sign_in().await;
                (String::new(), step, options.map(|options| request(&options, site)))
            }
            "raise" => {
                let (cookie, account, step) = self.owned(asked, "passkey_raise_asked").await?;
                let options = self.identity.begin_raise(&cookie, site, sent.verify).await;
                (account, step, options.map(|options| request(&options, site)))
            }
            "register" => {
                let (cookie, account, step) = self.owned(asked, "passkey_register_asked").await?;
                let ticket = sent.ticket.map(Secret::new);
                let options = self.identity.begin_registration(&cookie, ticket.as_ref(), site);
                (account, step, options.await.map(|options| creation(&options, site)))
            }
            _ => return Err(Rejection::Form),
        };
        match options {
            Ok(options) => {
                step.succeeded(&account).await?;
                Ok(said(&options, asked.facts))
            }
            Err(error) => Err(refused(step, &account, error).await),
        }
    }

    async fn register_passkey(
        &self,
        asked: &mut Asked<'_>,
        sent: Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let new = new_passkey(sent).ok_or(Rejection::Form)?;
        let (cookie, account, step) = self.owned(asked, "passkey_register").await?;
        match self.identity.finish_registration(&cookie, new, &asked.site).await {
            Ok(passkey) => {
                step.succeeded(&account).await?;
                self.record_acts().await?;
                let told = json!({
                    "passkey": passkey.id,
                    "name": passkey.name,
                    "assurance": if passkey.verifies { 3 } else { 2 },
                });
                Ok(said(&told, asked.facts))
            }
            Err(error) => Err(refused(step, &account, error).await),
        }
    }

    async fn sign_in_by_passkey(
        &self,
        asked: &mut Asked<'_>,
        sent: Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let shown = shown_passkey(sent).ok_or(Rejection::Form)?;
        let step = self.begin_step("passkey_sign_in", "", asked.trail)?;
        let here = place(asked.head, asked.facts)?;
        let from = asked.facts.peer.ip();
        match self.identity.sign_in_by_passkey(&shown, &asked.site, &here, from).await {
            Ok(session) => {
                step.ended(&session.account, Ok(&session)).await?;
                Ok(told(&session, asked.facts))
            }
            Err(error) => Err(self.not_shown(step, "", error, asked).await),
        }
    }

    async fn raise_by_passkey(
        &self,
        asked: &mut Asked<'_>,
        sent: Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let shown = shown_passkey(sent).ok_or(Rejection::Form)?;
        let (cookie, account, step) = self.owned(asked, "passkey_raise").await?;
        let from = asked.facts.peer.ip();
        match self.identity.raise_by_passkey(&cookie, &shown, &asked.site, from).await {
            Ok(session) => {
                step.ended(&account, Ok(&session)).await?;
                Ok(told(&session, asked.facts))
            }
            Err(error) => Err(self.not_shown(step, &account, error, asked).await),
        }
    }

    /// The session that a step is taken in, whose it is, and the step's record. A cookie without a session
    /// begins none: anybody can invent one.
    async fn owned(
        &self,
        asked: &mut Asked<'_>,
        name: &str,
    ) -> Result<(Cookie, String, Step), Rejection> {
        let cookie = session_cookie(asked.head, asked.parts, asked.facts)?;
        let owner = self.identity.owner(&cookie).await;
        let owner = owner.map_err(Rejection::Credential)?;
        let mut step = self.begin_step(name, "", asked.trail)?;
        step.about_session(&self.identity.session_reference(&cookie));
        Ok((cookie, owner.account.clone(), step))
    }

    /// Records a passkey that was not accepted; one of which there are two is an alert as well.
    async fn not_shown(
        &self,
        step: Step,
        account: &str,
        error: SignInError,
        asked: &mut Asked<'_>,
    ) -> Rejection {
        if let SignInError::Cloned { account } = &error {
            self.alerts.cloned_passkey(account, asked.trail.id);
            return refused(step, &account.clone(), error).await;
        }
        refused(step, account, error).await
    }

    async fn sent(
        &self,
        parts: &RequestHead,
        body: &mut super::sent::Sent,
    ) -> Result<Sent, Rejection> {
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Rejection::Form);
        }
        let time = self.configured().settings.request_time;
        let body = read_capped(body, BODY_LIMIT_BYTES, time).await.map_err(Rejection::Body)?;
        serde_json::from_slice(&body).map_err(|_other_json| Rejection::Form)
    }
}

async fn refused(step: Step, account: &str, error: SignInError) -> Rejection {
    match step.failed(account, &error).await {
        Ok(()) => Rejection::SignInFailed(error),
        Err(unrecorded) => unrecorded,
    }
}

/// The page that asks: its host, and the port as the browser names it.
pub(super) fn site(head: &Head, parts: &RequestHead) -> Site {
    let line = || parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    let authority = parts.uri.authority().map(http::uri::Authority::as_str).or_else(line);
    let port = authority.and_then(|authority| authority.rsplit_once(':')).map(|(_, port)| port);
    let port = port.filter(|port| *port != "443" && port.bytes().all(|b| b.is_ascii_digit()));
    let origin = match port {
        Some(port) if !port.is_empty() => format!("https://{}:{port}", head.host),
        Some(_) | None => format!("https://{}", head.host),
    };
    Site { host: head.host.clone(), origin }
}

fn new_passkey(sent: Sent) -> Option<NewPasskey> {
    let credential = sent.credential.filter(|credential| credential.kind == "public-key")?;
    Some(NewPasskey {
        name: sent.name.unwrap_or_else(|| "passkey".to_owned()),
        id: bytes(&credential.id)?,
        client_data: bytes(&credential.response.client_data)?,
        attestation_object: bytes(&credential.response.attestation_object?)?,
    })
}

fn shown_passkey(sent: Sent) -> Option<ShownPasskey> {
    let credential = sent.credential.filter(|credential| credential.kind == "public-key")?;
    let user_handle = match credential.response.user_handle {
        Some(handle) => Some(bytes(&handle)?),
        None => None,
    };
    Some(ShownPasskey {
        id: bytes(&credential.id)?,
        user_handle,
        client_data: bytes(&credential.response.client_data)?,
        authenticator_data: bytes(&credential.response.authenticator_data?)?,
        signature: bytes(&credential.response.signature?)?,
    })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// `PublicKeyCredentialCreationOptionsJSON`.
fn creation(options: &CreationOptions, site: &Site) -> Value {
    let algorithms =
        Algorithm::ALL.map(|algorithm| json!({ "type": "public-key", "alg": algorithm.number() }));
    json!({ "publicKey": {
        "rp": { "id": site.host, "name": site.host },
        "user": {
            "id": options.user_handle,
            "name": options.account,
            "displayName": options.display_name,
        },
        "challenge": options.challenge,
        "pubKeyCredParams": algorithms,
        "timeout": u64::from(CHALLENGE_S) * 1000,
        "excludeCredentials": descriptors(&options.exclude),
        "authenticatorSelection": { "residentKey": "preferred", "userVerification": "preferred" },
        "attestation": "none",
    }})
}

/// `PublicKeyCredentialRequestOptionsJSON`.
fn request(options: &RequestOptions, site: &Site) -> Value {
    json!({ "publicKey": {
        "challenge": options.challenge,
        "timeout": u64::from(CHALLENGE_S) * 1000,
        "rpId": site.host,
        "allowCredentials": descriptors(&options.allow),
        "userVerification": if options.must_verify { "required" } else { "preferred" },
    }})
}

fn descriptors(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| json!({ "type": "public-key", "id": id })).collect()
}

fn said(value: &Value, facts: &Facts) -> Response<Answer> {
    plain(StatusCode::OK, JSON, Bytes::from(format!("{value}\n")), facts)
}
