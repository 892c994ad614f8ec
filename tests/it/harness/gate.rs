//! A whole gate in a temporary folder: its files, its accounts, its issuer, its backend.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use menshen::audit::{self, Effect, Entry, Frame, OpenedFrames, Opener, Reader, RestKey, Verified};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::demo::certificates::{Authority, Issued};
use menshen::identity::{self, Attribute, CallerKind, Identity, NewAccount};
use menshen::secret::{MasterKey, Secret};
use menshen::server::Server;
use menshen::state::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Client, HOST};
use super::tokens::{ISSUER, Signer, claims, header};
use super::{Answer, Ask, Connection, NOW_S, Upstream, soon};

/// How often to ask for what must come soon.
const POLL: Duration = Duration::from_millis(10);

type Tweak = Box<dyn Fn(&mut Config) + Send + Sync>;

/// The detections that may hold somebody, all off.
const UNWATCHED: &str = "
detections:
  own-median: off
  sequential-ids: off
  zero-hits: off
  new-place: off
  dormant: off
  page-depth: off
  partner-volume: off
";

/// What a gate starts with, where it is not the demo's policy, a backend over TLS and the defaults.
#[derive(Default)]
pub(crate) struct Setup {
    policy: Option<String>,
    is_plain: bool,
    core: String,
    beside: usize,
    asks: Option<String>,
    yaml: String,
    tweaks: Vec<Tweak>,
}

impl Setup {
    /// The demo's policy.
    pub(crate) fn demo() -> Self {
        Self::default()
    }

    /// This policy, in one file. Where it says nothing of detections nobody is watched: most tests' callers do what no
    /// person does, such as thousands of requests for the same few customers.
    pub(crate) fn policy(text: &str) -> Self {
        let watched = text.lines().any(|line| line.starts_with("detections:"));
        let more = if watched { "" } else { UNWATCHED };
        Self { policy: Some(format!("{text}{more}")), ..Self::default() }
    }

    /// The backend speaks plain HTTP.
    pub(crate) fn plain(mut self) -> Self {
        self.is_plain = true;
        self
    }

    /// More keys of the upstream, as they stand within its braces.
    pub(crate) fn core(mut self, keys: &str) -> Self {
        self.core = format!(", {keys}");
        self
    }

    /// So many further backends at addresses of their own, [`Gate::beside`].
    pub(crate) fn beside(mut self, backends: usize) -> Self {
        self.beside = backends;
        self
    }

    /// The backend speaks to nobody without a certificate by this authority.
    pub(crate) fn asking(mut self, authority_pem: &str) -> Self {
        self.asks = Some(authority_pem.to_owned());
        self
    }

    /// More lines for `menshen.yaml`.
    pub(crate) fn yaml(mut self, lines: &str) -> Self {
        writeln!(self.yaml, "{lines}").unwrap();
        self
    }

    /// Changes the configuration after it was read, for what no file can say.
    pub(crate) fn tweak(mut self, tweak: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        self.tweaks.push(Box::new(tweak));
        self
    }

    /// Boxed, so that no test carries all that a start takes on the way.
    pub(crate) fn start(self) -> impl Future<Output = Gate> {
        Box::pin(async move {
            let mut gate = self.prepare(Clock::fixed(NOW_S * 1000)).await;
            gate.start().await;
            gate
        })
    }

    /// Writes all files and starts the backend, but not the gate.
    pub(crate) fn prepare(self, clock: Clock) -> impl Future<Output = Gate> {
        Box::pin(self.prepare_unboxed(clock))
    }

    async fn prepare_unboxed(self, clock: Clock) -> Gate {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("the tests' CA", &Clock::system()).unwrap();
        let gate_files =
            authority.issue(&[HOST, "other.example", "xn--bnk-qla.example", "127.0.0.1"]).unwrap();
        let backend = authority.issue(&["core.internal"]).unwrap();
        let signer = Signer::new();
        let upstream = match &self.asks {
            None => Upstream::start((!self.is_plain).then_some(&backend)).await,
            Some(authority_pem) => Upstream::asking(&backend, authority_pem).await,
        };
        let mut beside = Vec::new();
        for _ in 0..self.beside {
            beside.push(Upstream::start((!self.is_plain).then_some(&backend)).await);
        }
        gate_files.write(folder.path(), "gate").unwrap();
        MasterKey::generate().unwrap().write_new(&folder.path().join("master.key")).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        std::fs::write(folder.path().join("jwks.json"), signer.jwks()).unwrap();
        self.write_policy(&folder.path().join("policies"));
        let all = std::iter::once(&upstream).chain(&beside).map(Upstream::address);
        let yaml = self.menshen_yaml(&all.collect::<Vec<_>>());
        std::fs::write(folder.path().join("menshen.yaml"), yaml).unwrap();
        let ca_pem = authority.certificate_pem().to_owned();
        let ca_key_hash = authority.key_hash();
        let (tweaks, server) = (self.tweaks, None);
        Gate {
            folder,
            clock,
            signer,
            upstream,
            beside,
            backend,
            ca_pem,
            ca_key_hash,
            tweaks,
            server,
        }
    }

    fn write_policy(&self, folder: &Path) {
        std::fs::create_dir(folder).unwrap();
        if let Some(text) = &self.policy {
            std::fs::write(folder.join("policy.yaml"), text).unwrap();
            return;
        }
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
        for name in ["catalogue.yaml", "routes.yaml", "rules.yaml"] {
            std::fs::copy(demo.join(name), folder.join(name)).unwrap();
        }
    }

    fn menshen_yaml(&self, upstreams: &[SocketAddr]) -> String {
        let addresses = match upstreams {
            [one] => format!("address: \"{one}\""),
            several => {
                let quoted: Vec<_> = several.iter().map(|one| format!("\"{one}\"")).collect();
                format!("addresses: [{}]", quoted.join(", "))
            }
        };
        let transport = if self.is_plain {
            "plain: loopback"
        } else {
            "server-name: core.internal, ca: ca.pem"
        };
        let listener = "address: \"127.0.0.1:0\", certificate: gate.pem, key: gate.key";
        let core = &self.core;
        format!(
            "node: gate-1\nstate: state\nlog: log\nkey: master.key\npolicies: policies\n\
             listeners:\n  - {{ zone: business, {listener} }}\n  - {{ zone: public, {listener} }}\n\
             upstreams:\n  core: {{ {addresses}, {transport}{core} }}\n\
             issuers:\n  - name: corp\n    issuer: \"{ISSUER}\"\n    audience: menshen\n    \
             keys: jwks.json\n    attributes: {{ branch: branch, tenant: tenant, partner: partner }}\n    assurance: {{ \"2\": 2, \"3\": 3 }}\n\
             {}",
            self.yaml
        )
    }
}

/// A running gate, or one that was stopped.
pub(crate) struct Gate {
    folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) signer: Signer,
    pub(crate) upstream: Upstream,
    /// The further backends, where there are some; dropped, one is gone.
    pub(crate) beside: Vec<Upstream>,
    /// What a backend shows, for one that a test starts itself.
    pub(crate) backend: Issued,
    pub(crate) ca_pem: String,
    /// What a browser must know to trust the gate.
    pub(crate) ca_key_hash: String,
    tweaks: Vec<Tweak>,
    server: Option<Server>,
}

impl Gate {
    /// A gate with the demo's policy.
    pub(crate) async fn demo() -> Self {
        Setup::demo().start().await
    }

    /// Starts on the folders as they are; [`Gate::stop`] must have come before.
    pub(crate) async fn start(&mut self) {
        assert!(self.server.is_none(), "it runs already");
        let started = Box::pin(Server::start(self.config(), self.clock.clone())).await;
        self.server = Some(started.unwrap_or_else(|error| panic!("{error}")));
    }

    /// Drains and closes.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            soon("the drain", server.drain()).await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// The configuration as it would be read now.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::load(&self.path("menshen.yaml")).unwrap();
        for tweak in &self.tweaks {
            tweak(&mut config);
        }
        config
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a copy of one of its folders beside it, as `cp` does. A state that is just closed loses files under its hands.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.path(name));
        let is_copied = |_| {
            std::fs::remove_dir_all(&to).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(50));
            let mut cp = std::process::Command::new("cp");
            cp.arg("-r").args([&from, &to]).status().unwrap().success()
        };
        assert!((0..20).any(is_copied), "{} cannot be copied", from.display());
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn advance_s(&self, seconds: i64) {
        self.clock.advance_ms(seconds * 1000);
    }
}

/// Asking it.
impl Gate {
    /// A client of the listener in the zone `business`.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.server().addresses()[0], &self.ca_pem)
    }

    /// A client of the listener in the zone `public`.
    pub(crate) fn public_client(&self) -> Client {
        Client::new(self.server().addresses()[1], &self.ca_pem)
    }

    pub(crate) async fn h1(&self) -> Connection {
        self.client().h1().await
    }

    pub(crate) async fn h2(&self) -> Connection {
        self.client().h2().await
    }

    /// Asks over a new HTTP/1.1 connection.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        self.h1().await.send(ask).await
    }

    /// Asks again and again until the answer has this status: what follows from something is there soon, not in the same
    /// moment. Over one connection, since an address may not open many.
    pub(crate) async fn until(&self, status: u16, ask: &Ask) -> Answer {
        let mut connection = self.h1().await;
        let asking = async {
            loop {
                let answer = connection.send(ask.clone()).await;
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        soon(&format!("{status} for {}", ask.path), asking).await
    }

    /// A token for a teller of branch `sh01`.
    pub(crate) fn teller(&self) -> String {
        self.token(&json!({}))
    }

    /// A teller's token with these claims changed; `null` takes one away.
    pub(crate) fn token(&self, changes: &Value) -> String {
        self.signer.token(self.clock.unix_s(), changes)
    }

    /// A token in which a claim is `null`; among the changes of others that takes it away.
    pub(crate) fn token_with_null(&self, claim: &str) -> String {
        let mut claims = claims(self.clock.unix_s(), &json!({}));
        claims[claim] = Value::Null;
        self.signer.sign(&header(), &claims)
    }
}

/// Accounts, beside the running gate as `menshen account` makes them.
impl Gate {
    /// Adds a local account of branch `sh01`.
    pub(crate) async fn add_account(&self, name: &str, password: &str, role: &str) {
        let account = NewAccount {
            name: name.to_owned(),
            display_name: name.to_owned(),
            kind: CallerKind::Staff,
            roles: vec![role.to_owned()],
            attributes: BTreeMap::from([("branch".to_owned(), Attribute::Text("sh01".into()))]),
            password: Secret::new(password.to_owned()),
        };
        Box::pin(self.identity().add_account(account)).await.unwrap();
    }

    /// Enrols one-time codes for the account.
    pub(crate) async fn enrol(&self, name: &str) -> Secret<Vec<u8>> {
        Box::pin(self.identity().enrol_totp(name)).await.unwrap().secret
    }

    /// The code that an app with this secret shows now.
    pub(crate) fn code(&self, secret: &Secret<Vec<u8>>) -> String {
        identity::totp_code_at(secret, self.clock.unix_s()).unwrap()
    }

    /// Signs in with a password and gives the session cookie's value.
    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> String {
        let body = json!({ "account": name, "password": password }).to_string();
        let answer = self.ask(Ask::post("/.menshen/login", &body)).await;
        session_of(answer.expect(200))
    }

    pub(crate) fn identity(&self) -> Identity {
        let master = MasterKey::read(&self.path("master.key")).unwrap();
        let store = Store::open(&self.path("state"), &master, self.clock.clone()).unwrap();
        let settings = identity::Settings::default();
        Identity::new(settings, store, &master, self.clock.clone()).unwrap()
    }
}

/// The value of the session cookie that an answer gives.
#[track_caller]
pub(crate) fn session_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").unwrap();
    let value = cookie.strip_prefix("__Host-menshen=").unwrap();
    value.split(';').next().unwrap().to_owned()
}

/// What it left in its log.
impl Gate {
    /// Stops the gate, so that every outcome is written, verifies the log and reads it.
    pub(crate) async fn entries(&mut self) -> Vec<Entry> {
        let verifier = self.server().log().verifier().clone();
        self.stop().await;
        verify(&self.path("log"), &verifier);
        self.entries_so_far()
    }

    /// The text of every entry that is durable at this moment.
    pub(crate) fn log_text(&self) -> Vec<u8> {
        let log = self.path("log");
        let frames = OpenedFrames::new(&log, 0, opener(&log, &self.path("master.key")));
        let texts = frames.map(|frame| match frame.unwrap().1 {
            Frame::Json(json) => json,
            Frame::Closed(closed) => panic!("{closed}"),
        });
        texts.collect::<Vec<_>>().concat()
    }

    /// The entries once each request that was allowed has its outcome: nobody waits for that, so it follows the answer.
    pub(crate) async fn entries_ended(&self) -> Vec<Entry> {
        soon("every outcome", async {
            loop {
                let entries = self.entries_so_far();
                let ended: BTreeSet<_> = entries.iter().filter_map(|one| one.decided_by).collect();
                let is_allowed = |one: &&Entry| {
                    one.decision.as_ref().is_some_and(|told| told.effect == Effect::Allow)
                };
                if entries.iter().filter(is_allowed).all(|one| ended.contains(&one.id)) {
                    return entries;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    /// The entries that are durable at this moment.
    pub(crate) fn entries_so_far(&self) -> Vec<Entry> {
        entries(&self.path("log"), &self.path("master.key"))
    }
}

/// What opens a log's entries with this master key.
pub(crate) fn opener(log: &Path, key: &Path) -> Opener {
    Opener::new(log, vec![RestKey::new(&MasterKey::read(key).unwrap()).unwrap()])
}

/// The entries of a log, all of which this master key opens.
pub(crate) fn entries(log: &Path, key: &Path) -> Vec<Entry> {
    Reader::new(log, 0, opener(log, key)).map(|read| read.unwrap().1.entry().unwrap()).collect()
}

pub(crate) fn verify(log: &Path, verifier: &audit::note::Verifier) -> Verified {
    audit::verify(log, verifier, None).unwrap()
}
