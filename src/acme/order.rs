//! One order: names, challenges, a key of its own, and a certificate that is tested before anybody gets it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::account::Accounts;
use super::client::Directory;
use super::stored::{in_pem, span};
use super::{AcmeError, Challenge, Settings, Span};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::tls::{self, Challenges};

/// From the first question to the certificate.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long the authority may take to look at the challenges, and to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));
/// The most certificates of a chain.
const CHAIN: usize = 8;

/// A certificate with its chain and key.
pub struct Obtained {
    /// All of it in PEM, the certificate first and the key last.
    pub pem: Secret<String>,
    /// From when to when it is good.
    pub span: Span,
}

/// Orders at one directory.
pub struct Orders {
    settings: Settings,
    accounts: Accounts,
    challenges: Arc<Challenges>,
    asked_s: Arc<AtomicU64>,
    clock: Clock,
}

impl Orders {
    /// Reads and asks nothing yet: what vouches for the directory is read for each order, since it may be another one by then.
    #[must_use]
    pub fn new(
        settings: Settings,
        folder: &Path,
        challenges: Arc<Challenges>,
        clock: Clock,
    ) -> Self {
        let accounts = Accounts::new(folder);
        Self { settings, accounts, challenges, asked_s: Arc::default(), clock }
    }

    /// For how many seconds the directory asked to be left alone in its last refusal.
    #[must_use]
    pub fn asked_s(&self) -> u64 {
        self.asked_s.load(Ordering::Relaxed)
    }

    /// Orders a certificate for the names and waits for it; `replaces` is the one that it will take the place of.
    ///
    /// # Errors
    /// [`AcmeError`]; nothing was changed then.
    pub async fn obtain(
        &self,
        names: &[String],
        replaces: Option<&CertificateDer<'_>>,
    ) -> Result<Obtained, AcmeError> {
        // What it asked for before says nothing of a failure on the way to it.
        self.asked_s.store(0, Ordering::Relaxed);
        let obtained = tokio::time::timeout(DEADLINE, self.order(names, replaces)).await;
        // Whatever came of it, no challenge is answered any longer.
        self.challenges.clear();
        obtained.map_err(|_late| AcmeError::Late(DEADLINE))?
    }

    /// When the authority suggests to renew this certificate, and for how many seconds that is good; nothing if it has no opinion.
    ///
    /// # Errors
    /// [`AcmeError`] if it cannot be asked.
    pub async fn suggested(
        &self,
        certificate: &CertificateDer<'_>,
    ) -> Result<Option<((i64, i64), u64)>, AcmeError> {
        let Ok(id) = CertificateIdentifier::try_from(certificate) else { return Ok(None) };
        let account = self.account().await?;
        match account.renewal_info(&id).await {
            Ok((info, again)) => {
                let window = info.suggested_window;
                let window = (window.start.unix_timestamp(), window.end.unix_timestamp());
                Ok(Some((window, again.as_secs())))
            }
            Err(instant_acme::Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn account(&self) -> Result<Account, AcmeError> {
        let (ca, asked_s) = (self.settings.ca.clone(), Arc::clone(&self.asked_s));
        let opened = tokio::task::spawn_blocking(move || Directory::open(&ca, asked_s)).await;
        let broken = |broken| AcmeError::File {
            path: self.settings.ca.clone(),
            source: std::io::Error::other(broken),
        };
        self.accounts.at(&self.settings, &opened.map_err(broken)??).await
    }

    async fn order(
        &self,
        names: &[String],
        replaces: Option<&CertificateDer<'_>>,
    ) -> Result<Obtained, AcmeError> {
        let account = self.account().await?;
        let identifiers: Vec<_> = names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut order = match replaces.and_then(|old| CertificateIdentifier::try_from(old).ok()) {
            // A directory may know neither renewals nor that certificate: then it is an order like any other.
            Some(old) => {
                match account.new_order(&NewOrder::new(&identifiers).replaces(old)).await {
                    Ok(order) => order,
                    Err(error) if is_rate(&error) => return Err(error.into()),
                    Err(_other) => account.new_order(&NewOrder::new(&identifiers)).await?,
                }
            }
            None => account.new_order(&NewOrder::new(&identifiers)).await?,
        };
        self.answer(&mut order, names).await?;
        match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_ended) => return Err(refusal(&mut order).await),
            // Why not, the challenges say better than the order does.
            Err(error @ instant_acme::Error::Api(_)) => {
                let why = refusal(&mut order).await;
                let says_more = matches!(why, AcmeError::NotOurs { .. });
                return Err(if says_more { why } else { error.into() });
            }
            Err(error) => return Err(error.into()),
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let issued = order.poll_certificate(&PATIENCE).await?;
        tested(&issued, &key, names, self.clock.unix_s())
    }

    /// Puts the answers where the ports look, and says so; for these names and nothing else, whatever the authority asks for.
    async fn answer(&self, order: &mut Order, names: &[String]) -> Result<(), AcmeError> {
        let wanted = match self.settings.challenge {
            Challenge::Http01 => ChallengeType::Http01,
            Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let asked = order.state().authorizations.len();
        if asked > names.len() {
            return Err(AcmeError::NotOrdered(format!("{asked} names")));
        }
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            let name = authorization.identifier().to_string();
            if !names.iter().any(|ordered| ordered.eq_ignore_ascii_case(&name)) {
                return Err(AcmeError::NotOrdered(name));
            }
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = authorization.challenge(wanted.clone());
            let mut challenge = challenge.ok_or_else(|| AcmeError::NoChallenge(name.clone()))?;
            let answer = challenge.key_authorization();
            match self.settings.challenge {
                Challenge::Http01 => self.challenges.put_token(&challenge.token, answer.as_str()),
                Challenge::TlsAlpn01 => {
                    let digest = answer.digest();
                    let digest = digest.as_ref().try_into();
                    let digest = digest.map_err(|_other| AcmeError::Unusable("a challenge"))?;
                    self.challenges.put_name(&name, digest)?;
                }
            }
            challenge.set_ready().await?;
        }
        Ok(())
    }
}

fn is_rate(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:rateLimited")
}

/// Why an order came to nothing: what the authority says of the first name that it does not believe to be ours.
async fn refusal(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let name = authorization.identifier().to_string();
        let mut errors = authorization.challenges.iter().filter_map(|one| one.error.as_ref());
        if let Some(why) = errors.next().map(ToString::to_string) {
            return AcmeError::NotOurs { name, why };
        }
    }
    AcmeError::Ended(format!("{:?}", order.state().status).to_ascii_lowercase())
}

/// What was issued with our own key, if it is a chain for it and these names, good now. Nothing is taken of it but certificates:
/// a key that came with them would be one that somebody else knows.
pub(super) fn tested(
    issued: &str,
    key: &KeyPair,
    names: &[String],
    now_s: i64,
) -> Result<Obtained, AcmeError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(issued.as_bytes()).collect();
    let chain = chain.unwrap_or_default();
    if !(1..=CHAIN).contains(&chain.len()) {
        return Err(AcmeError::Unusable("it has no certificate, or too many"));
    }
    let own = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(chain.clone(), own, &tls::provider())
        .map_err(|_does_not_fit| AcmeError::Unusable("it is not for the key of the order"))?;
    let leaf = chain.first().ok_or(AcmeError::Unusable("it has no certificate"))?;
    let span = good_now(leaf, names, now_s)?;
    Ok(Obtained { pem: in_pem(&chain, key), span })
}

/// Whether the certificate is for these names, and good now.
fn good_now(leaf: &CertificateDer<'_>, names: &[String], now_s: i64) -> Result<Span, AcmeError> {
    let (_, read) = X509Certificate::from_der(leaf)
        .map_err(|_not_one| AcmeError::Unusable("its certificate cannot be read"))?;
    let alternative = read.subject_alternative_name().ok().flatten();
    let has = |name: &str| {
        let mut known = alternative.iter().flat_map(|names| &names.value.general_names);
        known.any(
            |known| matches!(known, GeneralName::DNSName(dns) if dns.eq_ignore_ascii_case(name)),
        )
    };
    if !names.iter().all(|name| has(name)) {
        return Err(AcmeError::Unusable("it lacks a name that was ordered"));
    }
    let span = span(leaf).ok_or(AcmeError::Unusable("it is good at no time"))?;
    // The clocks of two machines differ.
    if !(span.begins_s - 300..span.ends_s).contains(&now_s) {
        return Err(AcmeError::Unusable("it is not good now"));
    }
    Ok(span)
}
