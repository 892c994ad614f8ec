//! The gate as a process of its own, for what happens to processes: limits of the system, signals,
//! and everything that it writes to its error stream.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::sync::mpsc;

use super::client::Client;
use super::{Gate, soon};

/// `menshen run` on the files of a gate that was prepared; killed when dropped.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    ca_pem: String,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it, with events down to this level, and waits until it listens.
    ///
    /// A write beyond the limit on files fails then, as on a full disk, rather than killing it.
    pub(crate) async fn run(gate: &Gate, events: &str) -> Self {
        Self::run_under(gate, events, "", &[]).await
    }

    /// The same, after these words of a shell and in this environment.
    pub(crate) async fn run_under(
        gate: &Gate,
        events: &str,
        before: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("trap '' XFSZ; {before} exec \"$0\" run --config \"$1\""))
            .arg(env!("CARGO_BIN_EXE_menshen"))
            .arg(gate.path("menshen.yaml"))
            .env("MENSHEN_EVENTS", events)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, mut addresses) = mpsc::unbounded_channel();
        let all = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(address) = line.split_once("listening address=").map(|(_, a)| a) {
                    // The second listener's address is of no interest once the test goes on.
                    sender.send(address.parse::<SocketAddr>().unwrap()).unwrap_or_default();
                }
                all.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let Some(address) = soon("the gate to listen", addresses.recv()).await else {
            panic!("the gate did not start: {}", said.lock().unwrap());
        };
        Self { child, address, ca_pem: gate.ca_pem.clone(), said }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address, &self.ca_pem)
    }

    /// How large a file it may write from now on; `None` is without limit.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        rustix::process::prlimit(Some(self.pid()), Resource::Fsize, limit).unwrap();
    }

    /// Sends it SIGHUP.
    pub(crate) fn hang_up(&self) {
        rustix::process::kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// What it wrote to its error stream so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    pub(crate) async fn says(&self, words: &str) {
        let waiting = async {
            while !self.said().contains(words) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        soon(words, waiting).await;
    }

    /// Asks it to stop and waits.
    pub(crate) async fn stop(mut self) -> (ExitStatus, String) {
        rustix::process::kill_process(self.pid(), Signal::TERM).unwrap();
        let ended = tokio::task::spawn_blocking(move || {
            let status = self.child.wait().unwrap();
            (status, self.said.lock().unwrap().clone())
        });
        soon("the gate to stop", ended).await.unwrap()
    }

    /// The number that the system knows it by.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a stop there is nothing left to kill.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

/// Runs `menshen` with these arguments to its end.
pub(crate) fn menshen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_menshen")).args(arguments).output().unwrap()
}
