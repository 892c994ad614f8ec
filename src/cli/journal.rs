//! The error stream, and what systemd's journal is told of each line on it: a number in front says how bad it is, by which
//! `journalctl -p warning` finds it (sd-daemon(3)). Anywhere else lines stay as they are.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Where events go.
pub(super) struct ErrorStream {
    is_journal: bool,
}

impl ErrorStream {
    pub(super) fn open() -> Self {
        Self { is_journal: leads_to_journal() }
    }
}

impl<'w> MakeWriter<'w> for ErrorStream {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { level: None }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Line {
        Line { level: self.is_journal.then(|| level(*meta.level())) }
    }
}

/// One event.
pub(super) struct Line {
    level: Option<&'static str>,
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.level {
            // At once, or other threads' lines would come between.
            Some(level) => io::stderr().write_all(&[level.as_bytes(), text].concat())?,
            None => io::stderr().write_all(text)?,
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What stands in front of the lines by which a command ends in failure.
pub(super) fn of_failure() -> &'static str {
    if leads_to_journal() { level(Level::ERROR) } else { "" }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// systemd says which stream leads there, and children inherit that while theirs may lead elsewhere.
fn leads_to_journal() -> bool {
    let Some(said) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(stream) = rustix::fs::fstat(io::stderr()) else { return false };
    said.to_str() == Some(&*format!("{}:{}", stream.st_dev, stream.st_ino))
}
