//! Scanners of files: an ICAP service or a command says of a file whether it is clean.
//!
//! Only a clear yes is clean. Whoever cannot be reached, takes too long or says something else than the
//! protocol knows has said nothing, and nothing then passes. What a file holds is not judged here.

mod command;
mod icap;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// One scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name by which the policy calls it.
    pub name: String,
    /// How it is asked.
    pub way: Way,
    /// How long one file may take, waiting for a place included.
    pub time: Duration,
    /// Files that are scanned at once.
    pub at_once: usize,
}

/// How a scanner is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A service that speaks ICAP (RFC 3507).
    Icap(IcapService),
    /// A program that reads the file from its standard input.
    Command(Command),
}

/// A service that speaks ICAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcapService {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path of the service, with its slash.
    pub path: String,
    /// Whether files are sent as a client's (`REQMOD`) instead of as a server's (`RESPMOD`).
    pub as_requests: bool,
}

/// A program. It is run without a shell and without an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program, by its full path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The exit code that means clean.
    pub clean: i32,
    /// The exit code that means that something was found.
    pub found: i32,
}

/// What a scanner said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Something was found: its name where the scanner told it, else nothing.
    Found(String),
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// No such scanner is configured.
    #[error("no scanner is called `{0}`")]
    Unknown(String),
    /// It did not answer in time.
    #[error("no verdict within {0:?}")]
    Timeout(Duration),
    /// It could not be reached or run, or broke off.
    #[error("the scanner could not be asked: {0}")]
    Unreachable(#[from] std::io::Error),
    /// Its answer is none that means clean or found.
    #[error("the scanner answered with {0}, which is no verdict")]
    NoVerdict(i32),
    /// Its answer is not of its protocol.
    #[error("the scanner's answer is malformed")]
    Malformed,
    /// It said clean before it had the whole file.
    #[error("the scanner answered before it had the whole file")]
    TooEarly,
}

/// All scanners by name.
#[derive(Debug, Default)]
pub struct Scanners {
    by_name: HashMap<String, Scanner>,
}

#[derive(Debug)]
struct Scanner {
    way: Way,
    time: Duration,
    places: Arc<Semaphore>,
}

impl Scanners {
    /// The scanners of these settings; none of them is asked yet.
    #[must_use]
    pub fn new(settings: &[Settings]) -> Self {
        let scanner = |settings: &Settings| Scanner {
            way: settings.way.clone(),
            time: settings.time,
            places: Arc::new(Semaphore::new(settings.at_once.clamp(1, 1024))),
        };
        Self { by_name: settings.iter().map(|s| (s.name.clone(), scanner(s))).collect() }
    }

    /// Asks a scanner about a file.
    ///
    /// Cancel safe: dropped, it leaves the scanner; a command then still ends within its time.
    ///
    /// # Errors
    /// [`ScanError`] for anything but a verdict.
    pub async fn scan(
        &self,
        name: &str,
        file: &Bytes,
        media_type: &str,
    ) -> Result<Verdict, ScanError> {
        let scanner = self.by_name.get(name).ok_or_else(|| ScanError::Unknown(name.to_owned()))?;
        let late = |_elapsed| ScanError::Timeout(scanner.time);
        timeout(scanner.time, scanner.ask(file, media_type)).await.map_err(late)?
    }
}

impl Scanner {
    async fn ask(&self, file: &Bytes, media_type: &str) -> Result<Verdict, ScanError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.ok().ok_or(ScanError::Timeout(self.time))?;
        match &self.way {
            Way::Icap(service) => {
                let verdict = icap::ask(service, file, media_type).await;
                drop(place);
                verdict
            }
            Way::Command(command) => command::ask(command, file, self.time, place).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_files_are_scanned_at_once_than_is_said() {
        let dir = tempfile::tempdir().unwrap();
        // Whoever finds another at work gives no verdict.
        let alone = format!(
            "cat >/dev/null; mkdir {0} || exit 9; sleep 0.05; rmdir {0}",
            dir.path().join("at-work").display()
        );
        let command = Command {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), alone],
            clean: 0,
            found: 1,
        };
        let settings = Settings {
            name: "one".to_owned(),
            way: Way::Command(command),
            time: Duration::from_secs(30),
            at_once: 1,
        };
        let scanners = Scanners::new(&[settings]);
        let file = Bytes::from_static(b"file");
        let scan = || scanners.scan("one", &file, "text/plain");
        let (one, two, three) = tokio::join!(scan(), scan(), scan());
        for verdict in [one, two, three] {
            assert!(matches!(verdict.unwrap(), Verdict::Clean));
        }
    }
}
