//! Password hashes (argon2id, peppered) on threads of their own and never too many at once.
//!
//! A hash takes 19 MiB and some 20 ms of a core, so whoever may ask for hashes without limit can
//! stop the machine. Seats are given before anything else of a sign-in happens.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier as _, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::IdentityError;
use super::strength::PasswordFault;
use super::workers::Workers;
use crate::secret::{MasterKey, Secret};

/// Verified for names that do not exist, so that they take as long as those that do; and of accounts whose
/// person has set no password yet. Made with the same parameters; no password gives these 32 zero bytes.
pub(super) const NEVER: &str = "$argon2id$v=19$m=19456,t=2,p=1$bWVuc2hlbi1kdW1teTAwMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// The most bytes hashed; a password of 128 characters never has more.
const BYTES_LIMIT: usize = 512;
/// The costs of a stored hash that are still verified; a planted hash must not stop the machine.
const MEMORY_LIMIT_KIB: u32 = 64 * 1024;
const PASSES_LIMIT: u32 = 8;
const LANES_LIMIT: u32 = 4;

/// Why a password was neither right nor wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HashError {
    /// Too many sign-ins wait already.
    #[error("too many sign-ins at once")]
    Busy,
    /// The hash could not be computed.
    #[error("the password hash could not be computed")]
    Failed,
}

/// Hashes and verifies passwords, a few at a time.
#[derive(Debug)]
pub(super) struct Hasher {
    seats: Arc<Semaphore>,
    running: Arc<Semaphore>,
    workers: Workers,
    patience: Duration,
    pepper: Arc<Secret<[u8; 32]>>,
}

/// The right to one hash, soon.
#[derive(Debug)]
pub(super) struct Seat(OwnedSemaphorePermit);

impl Hasher {
    /// Hashes at most `at_once` passwords while `waiting` more may wait, each for at most `patience`.
    pub(super) fn new(
        master: &MasterKey,
        at_once: usize,
        waiting: usize,
        patience: Duration,
    ) -> Result<Self, IdentityError> {
        let at_once = at_once.clamp(1, 64);
        Ok(Self {
            seats: Arc::new(Semaphore::new(at_once.saturating_add(waiting.min(1024)))),
            running: Arc::new(Semaphore::new(at_once)),
            workers: Workers::start(at_once).map_err(IdentityError::Threads)?,
            patience,
            pepper: Arc::new(master.derive("password-pepper")?),
        })
    }

    /// Gives a seat at once or never.
    pub(super) fn seat(&self) -> Result<Seat, HashError> {
        let permit = Arc::clone(&self.seats).try_acquire_owned();
        permit.map(Seat).map_err(|_none_left| HashError::Busy)
    }

    /// The PHC string of a password that somebody has chosen, if it is a good one.
    pub(super) async fn hash_chosen(
        &self,
        seat: Seat,
        password: Secret<String>,
        check: impl FnOnce(&Secret<String>) -> Result<(), PasswordFault> + Send + 'static,
    ) -> Result<Result<Secret<String>, PasswordFault>, HashError> {
        self.run(seat, move |pepper| match check(&password) {
            Ok(()) => phc(pepper, &password).map(Ok),
            Err(fault) => Some(Err(fault)),
        })
        .await
    }

    /// Whether the password is that of the stored hash. `None`, for an account that does not exist,
    /// takes as long and is always wrong.
    pub(super) async fn verify(
        &self,
        seat: Seat,
        password: Secret<String>,
        stored: Option<Secret<String>>,
    ) -> Result<bool, HashError> {
        self.run(seat, move |pepper| {
            let stored = stored.as_ref().map_or(NEVER, |phc| phc.expose());
            let hash = PasswordHash::new(stored).ok().filter(is_affordable)?;
            // Too long to be anybody's: hash nothing in its place, the outcome is wrong all the same.
            let shown = password.expose().as_bytes();
            let shown = if shown.len() > BYTES_LIMIT { b"" } else { shown };
            Some(argon(pepper)?.verify_password(shown, &hash).is_ok())
        })
        .await
    }

    /// Cancel safety: the work goes on when its caller leaves, and keeps its seat until it ends.
    async fn run<T, F>(&self, seat: Seat, work: F) -> Result<T, HashError>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> Option<T> + Send + 'static,
    {
        let running = Arc::clone(&self.running).acquire_owned();
        let running = tokio::time::timeout(self.patience, running).await;
        let running = running.map_err(|_too_long| HashError::Busy)?;
        let running = running.map_err(|_closed| HashError::Failed)?;
        let pepper = Arc::clone(&self.pepper);
        let (answer, done) = oneshot::channel();
        let is_taken = self.workers.run(move || {
            let done = work(pepper.expose());
            drop((running, seat.0));
            // Whoever asked may have left.
            let _unheard = answer.send(done);
        });
        if !is_taken {
            return Err(HashError::Failed);
        }
        done.await.ok().flatten().ok_or(HashError::Failed)
    }
}

fn phc(pepper: &[u8], password: &Secret<String>) -> Option<Secret<String>> {
    let phc = argon(pepper)?.hash_password(password.expose().as_bytes()).ok()?;
    Some(Secret::new(phc.to_string()))
}

/// 19 MiB, two passes, one lane: what OWASP asks for at least, and the crate's default.
fn argon(pepper: &[u8]) -> Option<Argon2<'_>> {
    let params = Params::new(19_456, 2, 1, None).ok()?;
    Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params).ok()
}

fn is_affordable(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|costs| {
        costs.m_cost() <= MEMORY_LIMIT_KIB
            && costs.t_cost() <= PASSES_LIMIT
            && costs.p_cost() <= LANES_LIMIT
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    fn hasher(key: u8) -> Hasher {
        hasher_with(key, Duration::from_secs(20))
    }

    fn hasher_with(key: u8, patience: Duration) -> Hasher {
        Hasher::new(&MasterKey::from_bytes([key; 32]), 1, 1, patience).unwrap()
    }

    async fn hashed(hasher: &Hasher, password: &str) -> Secret<String> {
        let seat = hasher.seat().unwrap();
        hasher.hash_chosen(seat, secret(password), |_| Ok(())).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_hash_verifies_only_its_password_and_only_under_its_pepper() {
        let (ours, theirs) = (hasher(1), hasher(2));
        let phc = hashed(&ours, "a quiet lantern").await;
        assert!(phc.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = async |hasher: &Hasher, password: &str| {
            let seat = hasher.seat().unwrap();
            hasher.verify(seat, secret(password), Some(phc.clone())).await
        };
        assert_eq!(verify(&ours, "a quiet lantern").await, Ok(true));
        assert_eq!(verify(&ours, "a quiet lanterm").await, Ok(false));
        assert_eq!(verify(&theirs, "a quiet lantern").await, Ok(false));
    }

    #[tokio::test]
    async fn the_dummy_is_hashed_in_full_and_fits_no_password() {
        let hasher = hasher(1);
        let fresh = hashed(&hasher, "a quiet lantern").await;
        let costs = |phc: &str| phc.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(costs(NEVER), costs(fresh.expose()));
        assert_eq!(NEVER.len(), fresh.expose().len());
        for password in ["", "a quiet lantern", &"x".repeat(BYTES_LIMIT + 1)] {
            let seat = hasher.seat().unwrap();
            assert_eq!(hasher.verify(seat, secret(password), None).await, Ok(false));
        }
    }

    #[tokio::test]
    async fn seats_run_out_and_come_back() {
        let hasher = hasher(1);
        let (one, two) = (hasher.seat().unwrap(), hasher.seat().unwrap());
        assert_eq!(hasher.seat().unwrap_err(), HashError::Busy);
        drop(two);
        hasher.verify(one, secret("x"), None).await.unwrap();
        assert!(hasher.seat().is_ok() && hasher.seat().is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_too_long_for_a_hash_is_told_to_come_again() {
        let hasher = hasher_with(1, Duration::from_millis(1));
        let (one, two) = (hasher.seat().unwrap(), hasher.seat().unwrap());
        let (first, second) = tokio::join!(
            hasher.verify(one, secret("x"), None),
            hasher.verify(two, secret("x"), None)
        );
        assert_eq!((first, second), (Ok(false), Err(HashError::Busy)));
        let again = hasher.seat().unwrap();
        assert_eq!(hasher.verify(again, secret("x"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_planted_hash_of_enormous_cost_is_not_computed() {
        let hasher = hasher(1);
        let planted = NEVER.replace("m=19456", "m=4194304");
        let seat = hasher.seat().unwrap();
        let tried = hasher.verify(seat, secret("x"), Some(secret(&planted))).await;
        assert_eq!(tried, Err(HashError::Failed));
    }
}
