//! JWK Sets and signatures looked at by hand: what the gate would take of them, for `menshen jwks`.

use super::claims::TokenFault;
use super::jws::Jws;
use super::keys::{KeyFault, KeySet};

/// Where a JWK Set comes from, which decides how strictly it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwksOrigin {
    /// A file that the operator puts in place: refused whole for any doubtful key.
    File,
    /// What an issuer publishes: keys that are not understood are passed over.
    Published,
}

/// One key of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksKey {
    /// Its `kid`, or its place from 1.
    pub shown: String,
    /// The one algorithm that it is used with, or why it is not used.
    pub algorithm: Result<&'static str, String>,
}

/// A token under a good signature; its claims are not judged.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    /// The `kid` of the key that signed it, if it has one.
    pub key: Option<String>,
    /// The algorithm.
    pub algorithm: &'static str,
    /// Its claims as JSON.
    pub claims: String,
}

/// Why a token is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The set is refused.
    #[error("the JWK Set {0}")]
    Keys(#[from] KeyFault),
    /// The token is.
    #[error(transparent)]
    Token(#[from] TokenFault),
}

/// The keys of a set as the gate would use them.
///
/// # Errors
/// [`KeyFault`] if the gate would refuse the set.
pub fn check_jwks(text: &[u8], origin: JwksOrigin) -> Result<Vec<JwksKey>, KeyFault> {
    let read = match origin {
        JwksOrigin::File => KeySet::parse(text),
        JwksOrigin::Published => KeySet::parse_published(text),
    };
    read.map(drop)?;
    KeySet::report(text)
}

/// Checks the signature of a token, and nothing else of it.
///
/// # Errors
/// [`VerifyError`]
pub fn verify_token(
    text: &[u8],
    origin: JwksOrigin,
    token: &str,
) -> Result<VerifiedToken, VerifyError> {
    let keys = match origin {
        JwksOrigin::File => KeySet::parse(text)?,
        JwksOrigin::Published => KeySet::parse_published(text)?,
    };
    let jws = Jws::read(token)?;
    let key = jws.key(&keys)?;
    let (algorithm, id) = (key.algorithm.name(), key.id.clone());
    let claims = jws.verify(&keys)?.to_json();
    Ok(VerifiedToken { key: id, algorithm, claims })
}
