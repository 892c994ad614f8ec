//! A Redis of our own: started, paused, emptied and killed by the test.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A private server, ended with the test.
pub(crate) struct SharedStore {
    child: Option<Child>,
    port: u16,
    /// Lines of its configuration.
    more: String,
    folder: TempDir,
}

impl SharedStore {
    pub(crate) fn start() -> Self {
        Self::with(tempfile::tempdir().unwrap(), |port| format!("port {port}"))
    }

    /// Starts with these lines of configuration, on a port, in a folder that has what they name.
    pub(crate) fn with(folder: TempDir, lines: impl Fn(u16) -> String) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut store = Self { child: None, port, more: lines(port), folder };
        store.again();
        store
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts it, empty, where it was before.
    pub(crate) fn again(&mut self) {
        let mut child = Command::new("redis-server")
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("tests/setup.sh installs redis-server: {e}"));
        let (port, folder) = (self.port, self.folder.path().display());
        let settings =
            format!("{}\nbind 127.0.0.1\nsave \"\"\nappendonly no\ndir {folder}\n", self.more);
        child.stdin.take().unwrap().write_all(settings.as_bytes()).unwrap();
        self.child = Some(child);
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server did not start");
    }

    /// Lines for `menshen.yaml`.
    pub(crate) fn yaml(&self, gates: u32) -> String {
        format!("shared:\n  redis: \"redis://127.0.0.1:{}\"\n  gates: {gates}", self.port)
    }

    /// It answers nobody, and breaks no connection.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Forgets everything.
    pub(crate) async fn flush(&self) {
        self.command(&["FLUSHALL"]).await;
    }

    /// Says something to it that no gate says.
    pub(crate) async fn command(&self, words: &[&str]) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async::<()>(&mut connection).await.unwrap();
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        self.kill();
    }
}
