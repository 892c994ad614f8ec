//! Sets up the demo: folder, certificates, keys, policies, accounts, backend, and the gate before it.
//!
//! The gate is started from the files in the folder, as an operator would start it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio_util::task::TaskTracker;

use super::DemoError;
use super::backend::{Backend, Desk};
use super::certificates::{Authority, write_private, write_public};
use super::codes;
use super::doorman::{self, Doorman};
use super::folder::Folder;
use super::script::{Part, Script};
use super::tokens::{self, TokenSigner};
use crate::clock::Clock;
use crate::config::Config;
use crate::consent::Register;
use crate::identity::{self, Enrolment, Identity};
use crate::secret::MasterKey;
use crate::server::Server;
use crate::state::Store;

/// The name in the backend's certificate.
pub(super) const BACKEND_NAME: &str = "core.internal";
const TOKEN_SECONDS: i64 = 12 * 3600;

/// How to set up a demo.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the gate listens: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// An empty folder, which stays; else a temporary one is made and removed at the end.
    pub folder: Option<PathBuf>,
}

/// What makes a gate one of several that share a store.
#[derive(Clone, Debug)]
pub(super) struct Sharing {
    /// Its name, another for each.
    pub(super) node: &'static str,
    /// The same for all.
    pub(super) master: MasterKey,
    /// Where the store is, on this machine.
    pub(super) port: u16,
}

/// A demo that runs.
pub struct Stage {
    clock: Clock,
    backend: Backend,
    server: Option<Server>,
    tasks: TaskTracker,
    host: String,
    people: Vec<Part>,
    enrolments: BTreeMap<String, Enrolment>,
    signer: TokenSigner,
    ca_pem: String,
    ca_key_hash: String,
    // Last, so that the folder goes when nothing works in it any more.
    folder: Folder,
}

impl Stage {
    /// Sets up the bank and starts the gate. Blocks for a second or so of disk and hashing.
    ///
    /// # Errors
    /// [`DemoError`]; nothing runs then and a temporary folder is gone.
    pub async fn set(options: &Options, clock: Clock) -> Result<Self, DemoError> {
        Self::play(Script::bank()?, options, clock).await
    }

    /// Sets up what the script says and starts the gate.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub async fn play(script: Script, options: &Options, clock: Clock) -> Result<Self, DemoError> {
        // On the heap: whoever waits does not carry what all the parts take on the way.
        Box::pin(Self::build(script, options, clock, None)).await
    }

    /// The bank once more, behind a gate that shares a store with others.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub(super) async fn share(
        options: &Options,
        clock: Clock,
        sharing: &Sharing,
    ) -> Result<Self, DemoError> {
        Box::pin(Self::build(Script::bank()?, options, clock, Some(sharing))).await
    }

    async fn build(
        script: Script,
        options: &Options,
        clock: Clock,
        sharing: Option<&Sharing>,
    ) -> Result<Self, DemoError> {
        if !options.listen.ip().is_loopback() {
            return Err(DemoError::NotLoopback(options.listen));
        }
        let folder = Folder::open(options.folder.as_deref())?;
        let path = folder.path();
        let tasks = TaskTracker::new();
        let Script { host, policies, people, said, zones, desk } = script;
        let (ca_pem, ca_key_hash) = write_gate_certificate(path, &host, &clock)?;
        let master = match sharing {
            Some(sharing) => sharing.master.clone(),
            None => MasterKey::generate()?,
        };
        master.write_new(&path.join("master.key"))?;
        let doorman = Doorman::of(&master, &clock)?;
        let backend = start_backend(path, desk, doorman, &clock, &tasks).await?;
        write_policies(path, &policies)?;
        let signer = write_tokens(path, &clock)?;
        let enrolments = open_accounts(path, &people, &master, &clock).await?;
        if !said.is_empty() {
            let store = Store::open(&path.join("state"), &master, clock.clone())?;
            Register::new(store, &master, clock.clone())?.put("demo", &said).await?;
        }
        codes::write(path, &enrolments)?;
        let configuration = configuration(options.listen, &zones, &backend, sharing);
        write_public(&path.join("menshen.yaml"), &configuration)?;
        let server = None;
        let mut stage = Self {
            clock,
            backend,
            server,
            tasks,
            host,
            people,
            enrolments,
            signer,
            ca_pem,
            ca_key_hash,
            folder,
        };
        stage.start().await?;
        Ok(stage)
    }

    async fn start(&mut self) -> Result<(), DemoError> {
        let config = Config::load(&self.path().join("menshen.yaml"))?;
        self.server = Some(Server::start(config, self.clock.clone()).await?);
        Ok(())
    }

    /// Stops the gate and starts it again on the same files.
    ///
    /// # Errors
    /// [`DemoError::Config`] or [`DemoError::Start`]; the gate stays stopped then.
    pub async fn restart(&mut self) -> Result<(), DemoError> {
        self.stop().await;
        self.start().await
    }

    /// Lets open requests end and stops the gate; the backend and the folder stay.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain().await;
        }
    }

    /// Ends everything; a temporary folder is removed.
    pub async fn strike(mut self) {
        self.stop().await;
        let Self { backend, tasks, folder, .. } = self;
        drop(backend);
        tasks.close();
        tasks.wait().await;
        drop(folder);
    }

    /// Where the gate listens for its first zone; `None` while it is stopped.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses().first().copied()
    }

    /// Where the gate listens, in the order of the script's zones; none while it is stopped.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.as_ref().map_or(&[], Server::addresses)
    }

    /// The host that is published.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Who can sign in.
    pub(super) fn people(&self) -> &[Part] {
        &self.people
    }

    /// The folder with all its files.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the folder stays after the demo.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.folder.is_kept()
    }

    /// Has the gate read its policy folder again.
    pub fn reload(&self) {
        if let Some(server) = &self.server {
            server.reload();
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(super) fn signer(&self) -> &TokenSigner {
        &self.signer
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// By what Chromium is told to trust the demo's authority.
    #[must_use]
    pub fn ca_key_hash(&self) -> &str {
        &self.ca_key_hash
    }

    pub(super) fn enrolment(&self, account: &str) -> Option<&Enrolment> {
        self.enrolments.get(account)
    }
}

/// Gives the certificate of the authority that clients are to trust, and the hash of its key.
fn write_gate_certificate(
    folder: &Path,
    host: &str,
    clock: &Clock,
) -> Result<(String, String), DemoError> {
    let authority = Authority::new("menshen demo CA", clock)?;
    authority.issue(&[host])?.write(folder, "gate")?;
    write_public(&folder.join("ca.pem"), authority.certificate_pem())?;
    Ok((authority.certificate_pem().to_owned(), authority.key_hash()))
}

/// The backend has an authority of its own: the gate trusts that one and no other.
async fn start_backend(
    folder: &Path,
    desk: Desk,
    doorman: Doorman,
    clock: &Clock,
    tasks: &TaskTracker,
) -> Result<Backend, DemoError> {
    let authority = Authority::new("menshen demo backend CA", clock)?;
    write_public(&folder.join("backend-ca.pem"), authority.certificate_pem())?;
    let tls = authority.issue(&[BACKEND_NAME])?.server_config()?;
    Backend::open(desk, Some(doorman), tasks, Some(tls)).await
}

fn write_policies(folder: &Path, policies: &[(&str, &str)]) -> Result<(), DemoError> {
    let folder = folder.join("policies");
    std::fs::create_dir(&folder)
        .map_err(|source| DemoError::File { path: folder.display().to_string(), source })?;
    policies.iter().try_for_each(|(name, text)| write_public(&folder.join(name), text))
}

/// Writes the issuer's public keys, and for the guide one good token and one without a signature.
fn write_tokens(folder: &Path, clock: &Clock) -> Result<TokenSigner, DemoError> {
    let signer = TokenSigner::generate()?;
    write_public(&folder.join("jwks.json"), &signer.jwks())?;
    let claims = tokens::claims(clock.unix_s(), TOKEN_SECONDS);
    write_private(&folder.join("partner.token"), &signer.sign(&claims))?;
    write_private(&folder.join("unsigned.token"), &tokens::without_signature(&claims))?;
    Ok(signer)
}

/// Adds everybody before the gate starts, as `menshen account add --totp` would.
async fn open_accounts(
    folder: &Path,
    people: &[Part],
    master: &MasterKey,
    clock: &Clock,
) -> Result<BTreeMap<String, Enrolment>, DemoError> {
    let store = Store::open(&folder.join("state"), master, clock.clone())?;
    let identity = Identity::new(identity::Settings::default(), store, master, clock.clone())?;
    let mut enrolments = BTreeMap::new();
    for person in people {
        identity.add_account(person.account()).await?;
        enrolments.insert(person.name.clone(), identity.enrol_totp(&person.name).await?);
    }
    Ok(enrolments)
}

/// The first zone listens where the options say, any other on a free port beside it.
fn configuration(
    listen: SocketAddr,
    zones: &[String],
    backend: &Backend,
    sharing: Option<&Sharing>,
) -> String {
    let mut listeners = String::new();
    for (at, zone) in zones.iter().enumerate() {
        let address = if at == 0 { listen } else { SocketAddr::new(listen.ip(), 0) };
        listeners.push_str(&format!(
            "  - {{ address: \"{address}\", zone: {zone}, certificate: gate.pem, key: gate.key }}\n"
        ));
    }
    let node = sharing.map_or("demo-1", |sharing| sharing.node);
    let shared = sharing.map_or_else(String::new, |Sharing { port, .. }| {
        format!("shared: {{ redis: \"redis://127.0.0.1:{port}\", gates: 2 }}\n")
    });
    format!(
        r#"# The operator's file of this demo. Paths are relative to its folder.
node: {node}
state: state
log: log
key: master.key
policies: policies
listeners:
{listeners}upstreams:
  core:
    address: "{backend}"
    server-name: {BACKEND_NAME}
    ca: backend-ca.pem
    assertion: {{ audience: {DOORMAN} }}
issuers:
  - name: partners
    issuer: {issuer}
    audience: {audience}
    keys: jwks.json
    kind: machine
drain: 5s
{shared}"#,
        backend = backend.address(),
        issuer = tokens::ISSUER,
        audience = tokens::AUDIENCE,
        DOORMAN = doorman::AUDIENCE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_demo_listens_on_loopback_only() {
        let options = Options { listen: "0.0.0.0:0".parse().unwrap(), folder: None };
        let refused = Stage::set(&options, Clock::system()).await;
        assert!(matches!(refused, Err(DemoError::NotLoopback(_))));
    }

    #[tokio::test]
    async fn a_demo_that_ends_leaves_nothing_behind() {
        let options = Options { listen: "127.0.0.1:0".parse().unwrap(), folder: None };
        let stage = Stage::set(&options, Clock::system()).await.unwrap();
        let (address, path) = (stage.address().unwrap(), stage.path().to_owned());
        assert!(path.join("menshen.yaml").exists());
        stage.strike().await;
        assert!(!path.exists());
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}
