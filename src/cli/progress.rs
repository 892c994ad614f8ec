//! How far long work is: a line on the error stream that is written over, only where somebody looks at it.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// The line is written so often at most, and not before the work has taken that long.
const EVERY: Duration = Duration::from_millis(200);

/// Work of which the end is known.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    unit: &'static str,
    end: u64,
    is_shown: bool,
    is_written: bool,
    told: Instant,
}

impl Progress {
    /// Begins; `end` is 0 if it is not known.
    #[expect(
        clippy::disallowed_methods,
        reason = "how often somebody is told is no matter of the log's time"
    )]
    pub(super) fn new(what: &'static str, unit: &'static str, end: u64) -> Self {
        let is_shown = stderr().is_terminal();
        Self { what, unit, end, is_shown, is_written: false, told: Instant::now() }
    }

    /// Says how far it is.
    #[expect(
        clippy::disallowed_methods,
        reason = "how often somebody is told is no matter of the log's time"
    )]
    pub(super) fn at(&mut self, done: u64) {
        if !self.is_shown || self.told.elapsed() < EVERY {
            return;
        }
        (self.told, self.is_written) = (Instant::now(), true);
        let line = match (done.saturating_mul(100)).checked_div(self.end) {
            Some(percent) => {
                format!("{}: {} % of {} {}", self.what, percent.min(100), self.end, self.unit)
            }
            None => format!("{}: {done} {}", self.what, self.unit),
        };
        // Nobody needs it.
        write!(stderr(), "\r{line}\u{1b}[K").unwrap_or_default();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_written {
            write!(stderr(), "\r\u{1b}[K").unwrap_or_default();
        }
    }
}
