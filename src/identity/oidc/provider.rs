//! The issuer's own words about itself (discovery), and the exchange of a code for tokens.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use super::begun::Sealed;
use super::{OidcFault, QUERY, encoded};
use crate::clock::Clock;
use crate::identity::due::Due;
use crate::identity::fetch::{Fetch, FetchAsk, FetchError};
use crate::identity::settings::{IssuerSettings, SignInSettings};
use crate::secret::Secret;

/// For how many seconds what an issuer says of itself is believed without asking again.
const GOOD_S: i64 = 3600;
/// Seconds between two questions while it does not answer.
const APART_S: i64 = 5;
/// The longest code and token.
const TOKEN_LIMIT: usize = 16 * 1024;

/// What is used of an issuer's metadata.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) authorization: String,
    token: String,
    /// It names itself in every answer (RFC 9207).
    pub(super) tells_issuer: bool,
    /// The client's secret goes into the header, else into the form.
    by_header: bool,
}

#[derive(Deserialize)]
struct RawMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl RawMetadata {
    fn check(self, issuer: &IssuerSettings) -> Result<Metadata, OidcFault> {
        if self.issuer != issuer.issuer {
            return Err(OidcFault::Metadata("its `issuer` is not the one of the configuration"));
        }
        let is_https = |url: &String| url.starts_with("https://") && url.is_ascii();
        if !is_https(&self.authorization_endpoint) || !is_https(&self.token_endpoint) {
            return Err(OidcFault::Metadata("its addresses must begin with `https://`"));
        }
        let offers = |list: &Option<Vec<String>>, wanted: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|word| word == wanted))
        };
        if !offers(&self.code_challenge_methods_supported, "S256") {
            return Err(OidcFault::Metadata("it does not offer PKCE with `S256`"));
        }
        let methods = &self.token_endpoint_auth_methods_supported;
        Ok(Metadata {
            by_header: offers(methods, "client_secret_basic"),
            authorization: self.authorization_endpoint,
            token: self.token_endpoint,
            tells_issuer: self.authorization_response_iss_parameter_supported,
        })
    }
}

/// What an issuer gives for a code.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    pub(super) access_token: String,
    token_type: String,
}

/// The issuers at which people sign in, as far as they are known.
#[derive(Debug)]
pub(in crate::identity) struct Providers {
    secrets: HashMap<String, Secret<String>>,
    known: RwLock<HashMap<String, (i64, Arc<Metadata>)>>,
    turns: HashMap<String, (tokio::sync::Mutex<()>, Due)>,
}

impl Providers {
    /// None asked yet; `secrets` are those of the clients, by issuer.
    pub(in crate::identity) fn new(
        issuers: &[IssuerSettings],
        secrets: HashMap<String, Secret<String>>,
    ) -> Self {
        let turn = |issuer: &IssuerSettings| {
            (issuer.name.clone(), (tokio::sync::Mutex::default(), Due::every(APART_S)))
        };
        let turns = issuers.iter().map(turn).collect();
        Self { secrets, known: RwLock::default(), turns }
    }

    /// What the issuer says of itself, asked once an hour.
    pub(super) async fn metadata(
        &self,
        issuer: &IssuerSettings,
        (fetch, clock): (&Arc<dyn Fetch>, &Clock),
    ) -> Result<Arc<Metadata>, OidcFault> {
        let now = i64::try_from(clock.steady().as_secs()).unwrap_or(i64::MAX);
        if let Some(known) = self.known(&issuer.name, now) {
            return Ok(known);
        }
        let client = issuer.sign_in.as_ref().ok_or(OidcFault::Unknown)?;
        let (turn, due) = self.turns.get(&issuer.name).ok_or(OidcFault::Unknown)?;
        let _one_at_a_time = turn.lock().await;
        if let Some(known) = self.known(&issuer.name, now) {
            return Ok(known);
        }
        let base = issuer.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        if !due.is_now(now) {
            return Err(FetchError::TimedOut(url).into());
        }
        let text = fetch.fetch(FetchAsk::document(&url, client.ca.clone())).await?;
        let raw: RawMetadata = serde_json::from_slice(&text)
            .map_err(|_no_json| OidcFault::Metadata("it is not JSON with all that is needed"))?;
        let checked = Arc::new(raw.check(issuer)?);
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(issuer.name.clone(), (now, Arc::clone(&checked)));
        Ok(checked)
    }

    fn known(&self, issuer: &str, now: i64) -> Option<Arc<Metadata>> {
        let all = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (at, metadata) = all.get(issuer)?;
        (0..GOOD_S).contains(&now.saturating_sub(*at)).then(|| Arc::clone(metadata))
    }

    /// Gives the code for tokens; the verifier shows that we are who asked for it.
    pub(super) async fn exchange(
        &self,
        issuer: &IssuerSettings,
        metadata: &Metadata,
        (begun, code): (&Sealed, &str),
        fetch: &Arc<dyn Fetch>,
    ) -> Result<Tokens, OidcFault> {
        let client = issuer.sign_in.as_ref().ok_or(OidcFault::Unknown)?;
        if code.is_empty() || code.len() > TOKEN_LIMIT {
            return Err(OidcFault::State);
        }
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", begun.redirect.clone()),
            ("code_verifier", begun.verifier.clone()),
        ];
        let secret = self.secrets.get(&issuer.name);
        let authorization = match secret {
            Some(secret) if metadata.by_header => Some(basic(client, secret)),
            Some(secret) => {
                form.push(("client_id", client.client_id.clone()));
                form.push(("client_secret", secret.expose().clone()));
                None
            }
            None => {
                form.push(("client_id", client.client_id.clone()));
                None
            }
        };
        let ask = FetchAsk {
            form: Some(Secret::new(encoded(&form))),
            authorization,
            ..FetchAsk::document(&metadata.token, client.ca.clone())
        };
        let text = fetch.fetch(ask).await.map_err(|error| {
            if matches!(error, FetchError::Status { status: 400 | 401, .. }) {
                // A code that it does not know: whoever brought it did not get it for this sign-in.
                return OidcFault::Denied("invalid_grant".to_owned());
            }
            error.into()
        })?;
        let tokens: Tokens = serde_json::from_slice(&text)
            .map_err(|_no_json| OidcFault::Metadata("its tokens are not JSON with all of them"))?;
        let fits = tokens.id_token.len() <= TOKEN_LIMIT
            && tokens.access_token.len() <= TOKEN_LIMIT
            && tokens.token_type.eq_ignore_ascii_case("bearer");
        if fits { Ok(tokens) } else { Err(OidcFault::Metadata("its tokens are not of our kind")) }
    }
}

/// `Authorization` of a client (RFC 6749 section 2.3.1).
fn basic(client: &SignInSettings, secret: &Secret<String>) -> Secret<String> {
    let part = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pair = Secret::new(format!("{}:{}", part(&client.client_id), part(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}
