//! The parts of identity that are pure.

#[path = "../../src/identity/claims.rs"]
mod claims;
#[path = "../../src/identity/client_cert.rs"]
mod client_cert;
#[path = "../../src/identity/json.rs"]
mod json;
#[path = "../../src/identity/jwks.rs"]
mod jwks;
#[path = "../../src/identity/jws.rs"]
mod jws;
#[path = "../../src/identity/keys.rs"]
mod keys;

pub use crate::passkey;
pub use claims::TokenFault;
pub use client_cert::{Certificate, CertificateFault, SubjectName, UnknownName};
pub use jwks::{JwksKey, JwksOrigin, VerifiedToken, VerifyError, check_jwks, verify_token};
pub use keys::{KeyFault, KeyFileError};
