//! Threads that hash passwords: a few, and behind all others of the machine, so that whoever floods the sign-in takes
//! only the time that requests leave over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// How far behind other threads, as `nice` counts.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end when this is dropped and their work is done.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// What the system says if there can be no more threads.
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..count {
            let waiting = Arc::clone(&waiting);
            let worker = std::thread::Builder::new().name("password-hash".to_owned());
            worker.spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs })
    }

    /// Has the next free thread do it; `false` if there is none any more.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.send(Box::new(job)).is_ok()
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    // On Linux this is of the calling thread alone. Where it is refused hashing is as urgent as the rest.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "password hashes run as urgently as requests");
    }
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // One password that a library stumbles over must not cost a thread, and in the end the sign-in.
            Ok(job) => {
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a password could not be judged or hashed; its sign-in failed");
                }
            }
            Err(_nobody_asks_any_more) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_fails_costs_no_thread_and_all_end_with_whoever_asks() {
        let workers = Workers::start(1).unwrap();
        let (told, heard) = channel();
        assert!(workers.run(|| std::panic::resume_unwind(Box::new("no such password"))));
        assert!(
            workers
                .run(move || told.send(std::thread::current().name().map(str::to_owned)).unwrap())
        );
        assert_eq!(heard.recv().unwrap().as_deref(), Some("password-hash"));
        drop(workers);
        assert!(heard.recv().is_err());
    }
}
