//! How often a caller may ask an interface of the gate's own.

use super::allowance::Rate;
use super::rate::KeyedRate;
use crate::clock::Clock;

/// One person at a keyboard, or a program that looks now and then.
const RATE: Rate = Rate { per_window: 120, window_s: 60, burst: 60 };
/// Callers remembered; further ones are refused until one has been quiet.
const CALLERS: usize = 4096;

/// A rate for each caller.
#[derive(Debug)]
pub struct CallerRate(KeyedRate<String>);

impl CallerRate {
    /// One that nobody has used yet.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        Self(KeyedRate::new(RATE, CALLERS, clock))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// How many seconds to wait.
    pub fn check(&self, caller: &str) -> Result<(), u64> {
        match self.0.check(&caller.to_owned()) {
            Ok(_left) => Ok(()),
            Err(too_fast) => Err(too_fast.wait.as_secs().max(1)),
        }
    }
}
