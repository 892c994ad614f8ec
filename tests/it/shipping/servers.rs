//! Servers that others wrote, as processes of their own; killed when dropped.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Elsewhere, until};

/// How one is started again.
type Start = Box<dyn Fn() -> Child + Send>;

pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    start: Start,
    ca: String,
}

impl Server {
    /// `nats-server` with JetStream on a disk, TLS and a password.
    pub(crate) async fn nats(elsewhere: &Elsewhere) -> Self {
        let port = free_port();
        let [cert, key, store] =
            ["server.pem", "server.key", "store"].map(|name| elsewhere.path(name));
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{store}\" }}\n\
             authorization {{ user: gate, password: hush }}\n\
             tls {{ cert_file: \"{cert}\", key_file: \"{key}\", timeout: 20 }}\n"
        );
        let file = elsewhere.secret("nats.conf", &config);
        Self::begin(elsewhere, port, "nats-server", vec!["-c".into(), file]).await
    }

    /// `rsyslogd`, which writes what it receives to the file `received`.
    pub(crate) async fn rsyslog(elsewhere: &Elsewhere) -> Self {
        let port = free_port();
        let [ca, cert, key, received, work] =
            ["ca.pem", "server.pem", "server.key", "received", ""].map(|name| elsewhere.path(name));
        let config = format!(
            "global(workDirectory=\"{work}\" maxMessageSize=\"128k\" DefaultNetstreamDriver=\"gtls\" \
             DefaultNetstreamDriverCAFile=\"{ca}\" DefaultNetstreamDriverCertFile=\"{cert}\" \
             DefaultNetstreamDriverKeyFile=\"{key}\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"raw\" type=\"string\" string=\"%structured-data% %msg%\\n\")\n\
             action(type=\"omfile\" file=\"{received}\" template=\"raw\")\n"
        );
        let file = elsewhere.secret("rsyslog.conf", &config);
        let arguments = ["-n", "-iNONE", "-f", &file].map(str::to_owned).to_vec();
        let program = if Path::new("/usr/sbin/rsyslogd").exists() {
            "/usr/sbin/rsyslogd"
        } else {
            "rsyslogd"
        };
        Self::begin(elsewhere, port, program, arguments).await
    }

    /// The emulator of S3; it forgets everything when it is killed.
    pub(crate) async fn s3(elsewhere: &Elsewhere) -> Self {
        let port = free_port();
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/s3/venv/bin/moto_server");
        assert!(Path::new(python).exists(), "run `sh tests/setup.sh`");
        let [cert, key] = ["server.pem", "server.key"].map(|name| elsewhere.path(name));
        let port_text = port.to_string();
        let arguments = ["-H", "127.0.0.1", "-p", &port_text, "-s", "-c", &cert, "-k", &key];
        Self::begin(elsewhere, port, python, arguments.map(str::to_owned).to_vec()).await
    }

    pub(crate) async fn begin(
        elsewhere: &Elsewhere,
        port: u16,
        program: &str,
        arguments: Vec<String>,
    ) -> Self {
        let program = program.to_owned();
        let start: Start = Box::new(move || {
            let mut command = Command::new(&program);
            command
                .args(&arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
                .spawn()
                .unwrap_or_else(|error| panic!("`{program}`: {error}; run `sh tests/setup.sh`"))
        });
        let server = Self { port, child: start(), start, ca: elsewhere.path("ca.pem") };
        server.listens().await;
        server
    }

    async fn listens(&self) {
        let port = self.port;
        until("a server to listen", || {
            let address = ([127, 0, 0, 1], port).into();
            std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
        .await;
    }

    /// Kills it without a word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn again(&mut self) {
        self.child = (self.start)();
        self.listens().await;
    }

    /// What a client that others wrote sees in a bucket. The gate goes on meanwhile, so the test's runtime has several threads:
    /// the store shakes hands on the thread that accepts, and a gate that stood still in the middle would hold up everybody.
    pub(crate) fn look(&self, verb: &str, bucket: &str, prefix: &str) -> String {
        let s3 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/s3");
        let mut look = Command::new(format!("{s3}/venv/bin/python"));
        look.arg(format!("{s3}/look.py"));
        look.args([&format!("https://localhost:{}", self.port), &self.ca, verb, bucket, prefix]);
        let ran = tokio::task::block_in_place(|| look.output().unwrap());
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
