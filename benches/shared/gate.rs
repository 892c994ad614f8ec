//! The gate in a process of its own, with everything that it needs.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use menshen::clock::Clock;
use menshen::demo::certificates::{Authority, write_public};
use menshen::secret::MasterKey;

pub(crate) const HOST: &str = "bank.example";

/// What a benchmark says of its gate, beside what all have; more keys begin with a comma and a space.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    pub(crate) policy: &'a str,
    /// Whole lines of the configuration.
    pub(crate) lines: &'a str,
    /// More keys of the listener.
    pub(crate) listener: &'a str,
    /// More keys of the upstream.
    pub(crate) upstream: &'a str,
}

/// Writes everything the gate needs and gives a token of the role `caller`.
pub(crate) fn prepare(
    folder: &Path,
    setup: &Setup<'_>,
    authority: &Authority,
    backend: u16,
    clock: &Clock,
) -> String {
    MasterKey::generate()
        .and_then(|key| key.write_new(&folder.join("master.key")))
        .expect("a master key");
    let files = authority
        .issue(&[HOST])
        .and_then(|issued| issued.write(folder, "gate"))
        .expect("the gate's certificate");
    write_public(&folder.join("ca.pem"), authority.certificate_pem()).expect("the CA's file");
    std::fs::create_dir(folder.join("policies")).expect("a policy folder");
    std::fs::write(folder.join("policies/bench.yaml"), setup.policy).expect("a policy");
    let config = format!(
        "node: bench\nstate: state\nlog: log\nkey: master.key\npolicies: policies\n{lines}\
         listeners:\n  - {{ address: \"127.0.0.1:{port}\", zone: bench, certificate: {chain:?}, key: {key:?}{listener} }}\n\
         upstreams:\n  core: {{ address: \"localhost:{backend}\", ca: ca.pem{upstream} }}\n\
         issuers:\n  - {{ name: bench, issuer: bench, audience: menshen, keys: jwks.json }}\n",
        port = free_port(),
        lines = setup.lines,
        listener = setup.listener,
        upstream = setup.upstream,
        chain = files.chain,
        key = files.key,
    );
    std::fs::write(folder.join("menshen.yaml"), config).expect("a configuration");
    token(folder, clock)
}

/// A token of the one issuer, whose public key goes to `jwks.json`.
fn token(folder: &Path, clock: &Clock) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let pair = rcgen::KeyPair::generate().expect("a key");
    // An uncompressed point: 0x04, then both coordinates.
    let (x, y) = pair.public_key_raw().get(1..).expect("a point").split_at(32);
    let jwks = serde_json::json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]});
    std::fs::write(folder.join("jwks.json"), jwks.to_string()).expect("a key file");
    let now = clock.unix_s();
    let claims = serde_json::json!({
        "iss": "bench", "aud": "menshen", "sub": "caller", "roles": ["caller"],
        "iat": now, "nbf": now, "exp": now + 3600,
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("bench".to_owned());
    let key = jsonwebtoken::EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key.expect("a signing key")).expect("a token")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// The gate in a process of its own, ended with this value.
pub(crate) struct Gate {
    child: Child,
    pub(crate) port: u16,
}

impl Gate {
    pub(crate) fn start(folder: &Path) -> Self {
        let config = folder.join("menshen.yaml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
        command.args(["run", "--config"]).arg(&config);
        Self::spawn(folder, command)
    }

    /// This benchmark once more, to be the gate itself.
    #[allow(dead_code, reason = "most benchmarks run the product")]
    pub(crate) fn start_other(folder: &Path, word: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this benchmark"));
        command.arg(word).arg(folder);
        Self::spawn(folder, command)
    }

    fn spawn(folder: &Path, mut command: Command) -> Self {
        let child = command.stdout(Stdio::null()).spawn().expect("the gate");
        let text = std::fs::read_to_string(folder.join("menshen.yaml")).expect("the configuration");
        let port = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the gate did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port }
    }

    #[allow(dead_code, reason = "not every benchmark is about memory")]
    pub(crate) fn memory_kib(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the gate's status");
        let line = status.lines().find(|line| line.starts_with(what)).expect("its memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }

    /// User and system time of the gate, from hundredths of a second.
    #[allow(dead_code, reason = "nor about processor time")]
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("the gate's times");
        let after_name = stat.rsplit(')').next().expect("its fields");
        let times = after_name.split_whitespace().skip(11).take(2);
        times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
