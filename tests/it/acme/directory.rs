//! An authority that speaks ACME, written for the tests: it verifies every signature with the account's key, uses each nonce
//! once, looks at the gate's ports to see whether names are its own, and signs what was asked for.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use menshen::demo::certificates::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    SignatureAlgorithm,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use super::look;
use menshen::clock::Clock;

const PROBLEM: &str = "urn:ietf:params:acme:error:";

/// Where the gate's ports are, once it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) tls: SocketAddr,
    pub(crate) plain: Option<SocketAddr>,
}

/// How it behaves; a test changes it.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    /// So many requests with a good nonce are told that it is bad.
    pub(crate) bad_nonces: usize,
    /// Orders are refused as too many, for so many seconds.
    pub(crate) rate_limited_s: Option<u64>,
    /// Nothing is believed of what stands on the ports.
    pub(crate) believes_nothing: bool,
    /// New accounts must be known from elsewhere: an id and a key.
    pub(crate) external: Option<(String, Vec<u8>)>,
    /// From when to when certificates are good, seconds from now.
    pub(crate) good: (i64, i64),
    /// Issues for another name than was asked for.
    pub(crate) other_name: bool,
    /// Issues for a key of its own, and hands that out as well.
    pub(crate) own_key: bool,
    /// Asks for proof of a name that nobody ordered.
    pub(crate) asks_for_another: bool,
    /// When it suggests to renew, seconds from now.
    pub(crate) suggests: Option<(i64, i64)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            bad_nonces: 0,
            rate_limited_s: None,
            believes_nothing: false,
            external: None,
            good: (-60, 90 * 24 * 3600),
            other_name: false,
            own_key: false,
            asks_for_another: false,
            suggests: None,
        }
    }
}

/// The running directory; dropping it closes its port.
pub(crate) struct Directory {
    address: SocketAddr,
    /// Who vouches for its own port.
    pub(crate) tls_ca_pem: String,
    /// Who vouches for what it issues.
    pub(crate) root_pem: String,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    base: String,
    issuer: Issuer<'static, KeyPair>,
    behaviour: Mutex<Behaviour>,
    ports: tokio::sync::watch::Sender<Option<Ports>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    nonces: HashSet<String>,
    /// Account to public key, as 65 bytes.
    accounts: HashMap<String, Vec<u8>>,
    orders: Vec<Order>,
    authorizations: Vec<Authorization>,
    /// What was asked, without what is asked again and again.
    asked: Vec<String>,
    faults: Vec<String>,
}

#[derive(Clone, Debug)]
struct Order {
    names: Vec<String>,
    first: usize,
    replaces: Option<String>,
    certificate: Option<String>,
}

#[derive(Clone, Debug)]
struct Authorization {
    name: String,
    token: String,
    /// Whether it was believed, once it was looked at, by which challenge, or why not.
    seen: Option<Result<&'static str, (&'static str, String)>>,
}

/// A request whose signature was verified.
struct Signed {
    payload: Value,
    key: Vec<u8>,
    account: Option<String>,
}

type Refusal = (u16, &'static str, String);
type Told = (u16, Vec<(&'static str, String)>, Vec<u8>);

impl Directory {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let authority = Authority::new("the directory's own CA", &Clock::system()).unwrap();
        let shown = authority.issue(&["127.0.0.1"]).unwrap();
        let acceptor = TlsAcceptor::from(shown.server_config().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "what the tests issue");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root_pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            base: format!("https://{address}"),
            issuer,
            behaviour: Mutex::new(behaviour),
            ports: tokio::sync::watch::Sender::new(None),
            inner: Mutex::default(),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (served, until, inner) = (Arc::clone(&shared), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            until.run_until_cancelled(serve(listener, acceptor, served, inner)).await
        });
        let tls_ca_pem = authority.certificate_pem().to_owned();
        Self { address, tls_ca_pem, root_pem, shared, _stop: stop.drop_guard() }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/directory", self.address)
    }

    pub(crate) fn knows(&self, ports: Ports) {
        self.shared.ports.send_replace(Some(ports));
    }

    pub(crate) fn behaves(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().unwrap());
    }

    /// How often it was asked for this.
    pub(crate) fn count(&self, what: &str) -> usize {
        let inner = self.shared.inner.lock().unwrap();
        inner.asked.iter().filter(|asked| asked.as_str() == what).count()
    }

    /// What a client must not do and this one did.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.inner.lock().unwrap().faults.clone()
    }

    /// By which challenge each name was believed.
    pub(crate) fn believed(&self) -> Vec<(String, &'static str)> {
        let inner = self.shared.inner.lock().unwrap();
        let seen = inner.authorizations.iter();
        seen.filter_map(|one| Some((one.name.clone(), *one.seen.as_ref()?.as_ref().ok()?)))
            .collect()
    }

    /// Which certificates orders said that they replace.
    pub(crate) fn replaced(&self) -> Vec<String> {
        let inner = self.shared.inner.lock().unwrap();
        inner.orders.iter().filter_map(|order| order.replaces.clone()).collect()
    }

    pub(crate) fn accounts(&self) -> usize {
        self.shared.inner.lock().unwrap().accounts.len()
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    tasks: TaskTracker,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tasks.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            served.await.unwrap_or_default();
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let mut whole = Vec::new();
    let mut body = body;
    while let Some(frame) = body.frame().await {
        whole.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    let body = whole;
    let told = shared.tell(&parts, &body).await;
    let (status, headers, body) = told.unwrap_or_else(|(status, kind, detail)| {
        let problem =
            json!({ "type": format!("{PROBLEM}{kind}"), "detail": detail, "status": status });
        let mut headers = vec![("content-type", "application/problem+json".to_owned())];
        if kind == "rateLimited" {
            headers.push(("retry-after", detail));
        }
        (status, headers, problem.to_string().into_bytes())
    });
    let mut response = Response::builder().status(status).header("replay-nonce", shared.nonce());
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

impl Shared {
    fn nonce(&self) -> String {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).unwrap();
        let nonce = URL_SAFE_NO_PAD.encode(bytes);
        self.inner.lock().unwrap().nonces.insert(nonce.clone());
        nonce
    }

    fn asked(&self, what: &str) {
        self.inner.lock().unwrap().asked.push(what.to_owned());
    }

    async fn tell(&self, parts: &http::request::Parts, body: &[u8]) -> Result<Told, Refusal> {
        let path = parts.uri.path().to_owned();
        let behaviour = self.behaviour.lock().unwrap().clone();
        if parts.method == Method::GET && path == "/directory" {
            return Ok(self.directory(&behaviour));
        }
        if parts.method == Method::HEAD && path == "/nonce" {
            return Ok((200, Vec::new(), Vec::new()));
        }
        if parts.method == Method::GET && path.starts_with("/renewal/") {
            self.asked("renewal");
            let (from, to) = behaviour.suggests.unwrap();
            let window = json!({ "suggestedWindow": { "start": moment(from), "end": moment(to) } });
            return Ok((
                200,
                vec![("retry-after", "21600".to_owned())],
                window.to_string().into_bytes(),
            ));
        }
        let signed = self.signed(parts, body, &path)?;
        let (kind, number) =
            path.trim_start_matches('/').split_once('/').unwrap_or((&path[1..], ""));
        let number: usize = number.parse().unwrap_or(0);
        match kind {
            "account" => self.account(&signed, &behaviour),
            "order" if path == "/order" => self.order(&signed, &behaviour),
            "order" => Ok(self.told_order(number, 200)),
            "authorization" => Ok(self.told_authorization(number, &behaviour)),
            "challenge-http" => self.look(number, "http-01", &signed).await,
            "challenge-tls" => self.look(number, "tls-alpn-01", &signed).await,
            "finalize" => self.finalize(number, &signed, &behaviour),
            "certificate" => {
                let certificate = self.inner.lock().unwrap().orders[number].certificate.clone();
                let kind = ("content-type", "application/pem-certificate-chain".to_owned());
                Ok((200, vec![kind], certificate.unwrap().into_bytes()))
            }
            _ => Err((404, "malformed", path)),
        }
    }

    fn directory(&self, behaviour: &Behaviour) -> Told {
        let base = &self.base;
        let mut directory = json!({
            "newNonce": format!("{base}/nonce"), "newAccount": format!("{base}/account"),
            "newOrder": format!("{base}/order"),
        });
        if behaviour.suggests.is_some() {
            directory["renewalInfo"] = json!(format!("{base}/renewal"));
        }
        (200, Vec::new(), directory.to_string().into_bytes())
    }

    /// Verifies the signature with the account's key, and that the nonce is new and the address the one that was signed.
    fn signed(
        &self,
        parts: &http::request::Parts,
        body: &[u8],
        path: &str,
    ) -> Result<Signed, Refusal> {
        let malformed = |why: &str| {
            self.inner.lock().unwrap().faults.push(format!("{path}: {why}"));
            (400, "malformed", why.to_owned())
        };
        let is_jose =
            parts.headers.get("content-type").is_some_and(|v| v == "application/jose+json");
        if parts.method != Method::POST || !is_jose {
            return Err(malformed("it is no signed POST"));
        }
        let jws: Value = serde_json::from_slice(body).map_err(|_why| malformed("no JSON"))?;
        let text = |name: &str| jws[name].as_str().unwrap_or_default().to_owned();
        let decoded = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).unwrap_or_default();
        let protected: Value =
            serde_json::from_slice(&decoded("protected")).map_err(|_why| malformed("no header"))?;
        if protected["alg"] != "ES256" || protected["url"] != format!("{}{path}", self.base) {
            return Err(malformed("another algorithm or address"));
        }
        let account = protected["kid"].as_str().map(str::to_owned);
        let key = match (&account, protected.get("jwk")) {
            (Some(account), None) => self.inner.lock().unwrap().accounts.get(account).cloned(),
            (None, Some(jwk)) if path == "/account" => Some(raw(jwk)),
            _ => return Err(malformed("a key and an account, or neither")),
        };
        let key = key.ok_or((400, "accountDoesNotExist", String::new()))?;
        let input = format!("{}.{}", text("protected"), text("payload"));
        let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key)
            .verify(input.as_bytes(), &decoded("signature"));
        verified.map_err(|_why| malformed("a signature that does not verify"))?;
        let nonce = protected["nonce"].as_str().unwrap_or_default();
        if !self.inner.lock().unwrap().nonces.remove(nonce) {
            return Err((400, "badNonce", "used or unknown".to_owned()));
        }
        let mut behaviour = self.behaviour.lock().unwrap();
        if behaviour.bad_nonces > 0 {
            behaviour.bad_nonces -= 1;
            drop(behaviour);
            self.asked("bad nonce");
            return Err((400, "badNonce", "by the test".to_owned()));
        }
        let payload = decoded("payload");
        let payload = if payload.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&payload).unwrap()
        };
        Ok(Signed { payload, key, account })
    }

    fn account(&self, signed: &Signed, behaviour: &Behaviour) -> Result<Told, Refusal> {
        self.asked("account");
        if signed.payload["termsOfServiceAgreed"] != true {
            return Err((403, "userActionRequired", "the terms".to_owned()));
        }
        if let Some((id, key)) = &behaviour.external {
            let bound = &signed.payload["externalAccountBinding"];
            let text = |name: &str| bound[name].as_str().unwrap_or_default().to_owned();
            let decoded = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).unwrap_or_default();
            let header: Value = serde_json::from_slice(&decoded("protected")).unwrap_or_default();
            let jwk: Value = serde_json::from_slice(&decoded("payload")).unwrap_or_default();
            let input = format!("{}.{}", text("protected"), text("payload"));
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            let is_bound = hmac::verify(&key, input.as_bytes(), &decoded("signature")).is_ok();
            let is_meant = header["alg"] == "HS256"
                && header["kid"] == id.as_str()
                && header["url"] == format!("{}/account", self.base)
                && raw(&jwk) == signed.key;
            if !is_bound || !is_meant {
                return Err((403, "externalAccountRequired", "not bound".to_owned()));
            }
        }
        let mut inner = self.inner.lock().unwrap();
        let location = format!("{}/account/{}", self.base, inner.accounts.len() + 1);
        inner.accounts.insert(location.clone(), signed.key.clone());
        let contact = signed.payload["contact"].clone();
        let body = json!({ "status": "valid", "contact": contact }).to_string();
        Ok((201, vec![("location", location)], body.into_bytes()))
    }

    fn order(&self, signed: &Signed, behaviour: &Behaviour) -> Result<Told, Refusal> {
        self.asked("order");
        if let Some(seconds) = behaviour.rate_limited_s {
            return Err((429, "rateLimited", seconds.to_string()));
        }
        assert!(signed.account.is_some());
        let identifiers = signed.payload["identifiers"].as_array().unwrap().clone();
        let names: Vec<String> =
            identifiers.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect();
        let mut inner = self.inner.lock().unwrap();
        let (number, first) = (inner.orders.len(), inner.authorizations.len());
        for name in &names {
            let mut bytes = [0; 24];
            rand::fill(&mut bytes).unwrap();
            let token = URL_SAFE_NO_PAD.encode(bytes);
            inner.authorizations.push(Authorization { name: name.clone(), token, seen: None });
        }
        let replaces = signed.payload["replaces"].as_str().map(str::to_owned);
        inner.orders.push(Order { names, first, replaces, certificate: None });
        drop(inner);
        Ok(self.told_order(number, 201))
    }

    fn told_order(&self, number: usize, status: u16) -> Told {
        let (base, inner) = (&self.base, self.inner.lock().unwrap());
        let order = &inner.orders[number];
        let range = order.first..order.first + order.names.len();
        let seen: Vec<_> =
            inner.authorizations[range.clone()].iter().map(|a| a.seen.clone()).collect();
        let state = match &order.certificate {
            Some(_) => "valid",
            None if seen.iter().any(|one| matches!(one, Some(Err(_)))) => "invalid",
            None if seen.iter().all(Option::is_some) => "ready",
            None => "pending",
        };
        let mut told = json!({
            "status": state,
            "identifiers": order.names.iter().map(|n| json!({ "type": "dns", "value": n })).collect::<Vec<_>>(),
            "authorizations": range.map(|n| format!("{base}/authorization/{n}")).collect::<Vec<_>>(),
            "finalize": format!("{base}/finalize/{number}"),
        });
        if order.certificate.is_some() {
            told["certificate"] = json!(format!("{base}/certificate/{number}"));
        }
        if let Some(replaces) = &order.replaces {
            told["replaces"] = json!(replaces);
        }
        let location = ("location", format!("{base}/order/{number}"));
        (status, vec![location], told.to_string().into_bytes())
    }

    fn told_authorization(&self, number: usize, behaviour: &Behaviour) -> Told {
        let (base, inner) = (&self.base, self.inner.lock().unwrap());
        let Authorization { name, token, seen } = &inner.authorizations[number];
        let name = if behaviour.asks_for_another { "other.example" } else { name };
        let state = match seen {
            None => "pending",
            Some(Ok(_)) => "valid",
            Some(Err(_)) => "invalid",
        };
        let challenge = |kind: &str, at: &str| {
            let mut told = json!({
                "type": kind, "url": format!("{base}/{at}/{number}"), "token": token, "status": "pending",
            });
            if let Some(Err((failed, why))) = seen
                && *failed == kind
            {
                told["status"] = json!("invalid");
                told["error"] = json!({ "type": format!("{PROBLEM}unauthorized"), "detail": why });
            }
            told
        };
        let told = json!({
            "status": state, "identifier": { "type": "dns", "value": name },
            "challenges": [
                json!({ "type": "dns-01", "url": format!("{base}/x"), "token": token, "status": "pending" }),
                challenge("http-01", "challenge-http"), challenge("tls-alpn-01", "challenge-tls"),
            ],
        });
        (200, Vec::new(), told.to_string().into_bytes())
    }

    /// Looks at the gate's port, as the authority does that is about to believe.
    async fn look(
        &self,
        number: usize,
        kind: &'static str,
        signed: &Signed,
    ) -> Result<Told, Refusal> {
        self.asked(kind);
        let Authorization { name, token, .. } =
            self.inner.lock().unwrap().authorizations[number].clone();
        let text = format!("{token}.{}", thumbprint(&signed.key));
        let mut ports = self.ports.subscribe();
        let known = tokio::time::timeout(Duration::from_secs(30), ports.wait_for(Option::is_some));
        let ports = known.await.unwrap().unwrap().unwrap();
        let looked = match kind {
            "http-01" => look::at_plain(ports.plain.unwrap(), &name, &token, &text).await,
            _ => look::at_tls(ports.tls, &name, digest(&SHA256, text.as_bytes()).as_ref()).await,
        };
        let looked = match self.behaviour.lock().unwrap().believes_nothing {
            true => Err("by the test".to_owned()),
            false => looked,
        };
        let seen = looked.map(|()| kind).map_err(|why| (kind, why));
        self.inner.lock().unwrap().authorizations[number].seen = Some(seen);
        let url = format!(
            "{}/{}",
            self.base,
            if kind == "http-01" { "challenge-http" } else { "challenge-tls" }
        );
        let told = json!({ "type": kind, "url": format!("{url}/{number}"), "token": token, "status": "processing" });
        Ok((200, Vec::new(), told.to_string().into_bytes()))
    }

    /// Signs the request, if it is signed by its own key and for the names of the order.
    fn finalize(
        &self,
        number: usize,
        signed: &Signed,
        behaviour: &Behaviour,
    ) -> Result<Told, Refusal> {
        self.asked("finalize");
        let bad = |why: &str| (400, "badCSR", why.to_owned());
        let der = URL_SAFE_NO_PAD.decode(signed.payload["csr"].as_str().unwrap_or_default());
        let der = der.map_err(|_why| bad("no base64url"))?;
        let (_, csr) =
            X509CertificationRequest::from_der(&der).map_err(|_why| bad("no request"))?;
        let key = csr.certification_request_info.subject_pki.subject_public_key.data.to_vec();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key)
            .verify(csr.certification_request_info.raw, &csr.signature_value.data)
            .map_err(|_why| bad("not signed by its key"))?;
        let mut names = Vec::new();
        for extension in csr.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(alternative) = extension {
                for name in &alternative.general_names {
                    if let GeneralName::DNSName(name) = name {
                        names.push((*name).to_owned());
                    }
                }
            }
        }
        let ordered = self.inner.lock().unwrap().orders[number].names.clone();
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        if sorted(&names) != sorted(&ordered) {
            return Err(bad("other names"));
        }
        if behaviour.other_name {
            names = vec!["other.example".to_owned()];
        }
        let mut params = CertificateParams::new(names).unwrap();
        let now = rcgen::date_time_ymd(1970, 1, 1) + seconds(Clock::system().unix_s());
        let at = |offset: i64| match offset < 0 {
            true => now - seconds(-offset),
            false => now + seconds(offset),
        };
        params.not_before = at(behaviour.good.0);
        params.not_after = at(behaviour.good.1);
        params.use_authority_key_identifier_extension = true;
        let certificate = match behaviour.own_key {
            false => params.signed_by(&Key(key), &self.issuer).unwrap().pem(),
            true => {
                let own = KeyPair::generate().unwrap();
                params.signed_by(&own, &self.issuer).unwrap().pem() + &own.serialize_pem()
            }
        };
        self.inner.lock().unwrap().orders[number].certificate = Some(certificate);
        Ok(self.told_order(number, 200))
    }
}

/// A public key as it came in a request.
struct Key(Vec<u8>);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap())
}

/// So many seconds from now, as RFC 3339 has it.
fn moment(from_now_s: i64) -> String {
    let at = Clock::system().unix_s() + from_now_s;
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

/// The point of a JWK.
fn raw(jwk: &Value) -> Vec<u8> {
    let part = |name: &str| {
        URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap_or_default()
    };
    [vec![4], part("x"), part("y")].concat()
}

/// RFC 7638.
fn thumbprint(key: &[u8]) -> String {
    let (x, y) = key[1..].split_at(32);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y));
    text(digest(&SHA256, jwk.as_bytes()).as_ref())
}
