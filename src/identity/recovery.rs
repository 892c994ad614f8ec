//! Recovery codes, for whoever has lost the device with their factor: ten, each good once, beside the password.
//!
//! 50 bits each, stored as keyed hashes. A slow hash would protect nothing more: whoever has the state and the
//! master key has the secrets of one-time codes as well, and whoever guesses is locked out as with those.

use aws_lc_rs::rand;
use zeroize::Zeroize as _;

use super::account::AccountError;
use super::caller::{Factor, FactorMethod};
use super::session::LiveSession;
use super::{Cookie, Identity, NewSession, SignInError};
use crate::secret::{Secret, SecretError, Tagger};
use crate::state::{Proof, RecoveryTag, Settled};

/// How many codes an account has.
const COUNT: usize = 10;
/// Letters of a code; 5 bits each.
const LENGTH: usize = 10;
/// Without those that are taken for others (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// New codes; they are shown now and never again.
#[derive(Clone, Debug)]
pub struct RecoveryCodes(Vec<Secret<String>>);

impl RecoveryCodes {
    /// The codes, in two halves each: `7k3pq-0vw9d`.
    pub fn shown(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.expose().as_str())
    }
}

/// Whether this has the form of a recovery code, and not that of a one-time code.
#[must_use]
pub fn is_recovery_code(typed: &Secret<String>) -> bool {
    plain(typed).is_some()
}

/// The letters of a code as it was typed, without what people put between them.
fn plain(typed: &Secret<String>) -> Option<Secret<Vec<u8>>> {
    let typed = typed.expose();
    if typed.len() > 4 * LENGTH {
        return None;
    }
    let letters = typed.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| {
        let folded = match byte.to_ascii_lowercase() {
            b'o' => b'0',
            b'i' | b'l' => b'1',
            other => other,
        };
        LETTERS.contains(&folded).then_some(folded)
    });
    let letters = Secret::new(letters.collect::<Option<Vec<u8>>>()?);
    (letters.expose().len() == LENGTH).then_some(letters)
}

fn draw() -> Result<Secret<String>, SecretError> {
    let mut bytes = [0_u8; LENGTH];
    rand::fill(&mut bytes)?;
    let mut code = String::with_capacity(LENGTH + 1);
    for (place, byte) in bytes.iter().enumerate() {
        if place == LENGTH / 2 {
            code.push('-');
        }
        let letter = LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'0');
        code.push(char::from(letter));
    }
    bytes.zeroize();
    Ok(Secret::new(code))
}

fn tag(tagger: &Tagger, account: &str, code: &Secret<Vec<u8>>) -> RecoveryTag {
    tagger.tag(&[b"code", account.as_bytes(), code.expose()])
}

impl Identity {
    /// Gives an account ten new recovery codes; older ones die. Whoever calls this has been authorised.
    ///
    /// # Errors
    /// [`AccountError`], also if there is no such account; older codes stay good then.
    pub async fn make_recovery_codes(&self, account: &str) -> Result<RecoveryCodes, AccountError> {
        let (codes, tags) = self.draw_codes(account)?;
        self.store.set_recovery_codes(account, tags).await?;
        Ok(codes)
    }

    /// The same for whoever holds this session, which must just have shown its strongest factor.
    ///
    /// # Errors
    /// [`SignInError::Unproved`] if the session must prove more first.
    pub async fn make_own_recovery_codes(
        &self,
        cookie: &Cookie,
    ) -> Result<RecoveryCodes, SignInError> {
        let session = self.live_session(cookie).await?;
        let account = &session.row.name;
        let passkeys = self.store.passkeys(account).await?;
        if let Some(level) = self.unproved(&session, &passkeys) {
            return Err(SignInError::Unproved { level });
        }
        let (codes, tags) = self.draw_codes(account)?;
        self.store.clone().acting_as(account).set_recovery_codes(account, tags).await?;
        Ok(codes)
    }

    /// How many codes the holder of this session has left.
    ///
    /// # Errors
    /// [`SignInError`] if the session is no more.
    pub async fn recovery_codes_left(&self, cookie: &Cookie) -> Result<u32, SignInError> {
        let session = self.live_session(cookie).await?;
        Ok(self.store.recovery_codes_left(&session.row.name).await?)
    }

    fn draw_codes(&self, account: &str) -> Result<(RecoveryCodes, Vec<RecoveryTag>), SecretError> {
        let codes = (0..COUNT).map(|_| draw()).collect::<Result<Vec<_>, _>>()?;
        let letters = codes.iter().filter_map(plain);
        let tags = letters.map(|code| tag(&self.recovery_tagger, account, &code)).collect();
        Ok((RecoveryCodes(codes), tags))
    }

    /// Raises a session to assurance 2 with a recovery code, which is used up.
    pub(super) async fn present_recovery_code(
        &self,
        cookie: &Cookie,
        session: LiveSession,
        code: &Secret<String>,
        charged: crate::state::Charged,
    ) -> Result<NewSession, SignInError> {
        let code = plain(code).ok_or(SignInError::Refused)?;
        let mut factors = session.factors.clone();
        factors.retain(|factor| factor.method != FactorMethod::Recovery);
        factors.push(Factor {
            level: 2,
            at_unix_s: Some(self.clock.unix_s()),
            method: FactorMethod::Recovery,
        });
        // Wrong, or used: nobody learns which.
        let proof = Proof::Recovery(tag(&self.recovery_tagger, &session.row.name, &code));
        self.raise(cookie, session, factors, (proof, Settled::All(charged)), false).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> Option<Vec<u8>> {
        plain(&Secret::new(typed.to_owned())).map(|code| code.expose().clone())
    }

    #[test]
    fn a_code_is_read_however_people_type_it() {
        for typed in ["7k3pq-0vw9d", "7K3PQ0VW9D", " 7k3p q0vw 9d ", "7k3pq-ovw9d"] {
            assert_eq!(read(typed).as_deref(), Some(b"7k3pq0vw9d".as_slice()), "{typed}");
        }
        assert_eq!(read("il1o0-00000").as_deref(), Some(b"1110000000".as_slice()));
    }

    #[test]
    fn what_is_no_recovery_code_is_none() {
        for typed in ["", "123456", "7k3pq-0vw9", "7k3pq-0vw9dd", "7k3pq-0vw9u", "7k3pq-0vw9é"] {
            assert_eq!(read(typed), None, "{typed}");
        }
        assert_eq!(read(&"-".repeat(1_000_000)), None);
    }

    #[test]
    fn drawn_codes_have_fifty_bits_and_differ() {
        let codes: Vec<_> = (0..200).map(|_| draw().unwrap()).collect();
        let seen: std::collections::BTreeSet<_> =
            codes.iter().map(|code| code.expose().clone()).collect();
        assert_eq!(seen.len(), codes.len());
        let letters: std::collections::BTreeSet<_> =
            codes.iter().flat_map(|code| read(code.expose()).unwrap()).collect();
        assert_eq!(letters.len(), 32, "every letter is drawn");
    }
}
