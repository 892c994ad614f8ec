//! Whose turn it is on a processor that those who answer share with work that nobody waits for, such as the log's index.
//!
//! The system takes a turn away after milliseconds, of which a request has few. So such work counts less, and hands the processor on
//! by itself after a fraction of that.

use std::io;

use tokio::sync::oneshot;

/// How much less a thread counts that stands back, in steps of `nice`: about a third. Less, and a gate that is busy all day has no
/// index.
const STEPS: i32 = 5;

/// Has the calling thread count less than others from now on; there is no way back.
pub(crate) fn stand_back() {
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(%error, "a thread beside requests counts as much as theirs");
    }
}

/// Does work on a thread of its own that stands back, and gives what came of it; nothing if it panicked.
///
/// # Errors
/// The thread cannot be started.
pub(crate) async fn beside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        stand_back();
        // Whoever does not wait any more does not want to know.
        drop(done.send(work()));
    })?;
    Ok(ended.await.ok())
}

/// Counts pieces of work and hands the processor on between them.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pieces: u32,
}

impl Turns {
    /// A piece was done, of which so many are one turn. Goes on at once where nobody else is ready.
    pub(crate) fn done(&mut self, turn: u32) {
        self.pieces += 1;
        if self.pieces >= turn {
            self.pieces = 0;
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_beside_counts_less_than_who_waits_for_it_and_its_panic_ends_nothing_else() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let own = nice();
        let beside_us = beside("beside", nice).await.unwrap();
        assert_eq!((beside_us, nice()), (Some((own + STEPS).min(19)), own));
        let panicked = beside("panics", || panic!("as a test")).await.unwrap();
        assert_eq!(panicked, None::<()>);
    }
}
