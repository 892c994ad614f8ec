//! Keys that a token is bound to (RFC 7800, `cnf`): of a client certificate (RFC 8705), or one that makes proofs
//! (RFC 9449). Pure.
//!
//! Whoever steals such a token has nothing without the key. A way of binding that is not known here
//! refuses the token: it must not be taken for one that anybody may bear.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Place, TokenFault};

/// The keys that must be shown beside a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// SHA-256 of the client certificate.
    pub certificate: Option<[u8; 32]>,
    /// Thumbprint of the key that proofs are made with.
    pub key: Option<[u8; 32]>,
}

impl Binding {
    /// Reads the claim `cnf`.
    pub(super) fn read(cnf: Option<&Value>) -> Result<Self, TokenFault> {
        let mut binding = Self::default();
        let Some(cnf) = cnf else { return Ok(binding) };
        let members = cnf.as_object().filter(|members| !members.is_empty());
        for (name, value) in members.ok_or(TokenFault::Bound)? {
            let hash = value.as_str().and_then(hash).ok_or(TokenFault::Bound)?;
            match name.as_str() {
                "x5t#S256" => binding.certificate = Some(hash),
                "jkt" => binding.key = Some(hash),
                _ => return Err(TokenFault::Bound),
            }
        }
        Ok(binding)
    }

    /// Whether the token is bound to anything.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        *self != Self::default()
    }

    /// Compares it with what the request showed, and with the key that made its proof. A proof for a token
    /// that asks for none is refused too: somebody expects more of it than it is.
    pub(super) fn check(&self, place: &Place, key: Option<[u8; 32]>) -> Result<(), TokenFault> {
        let shown = place.certificate.as_ref().map(|certificate| certificate.sha256());
        let is_shown = self.certificate.is_none_or(|bound| shown == Some(bound));
        if is_shown && self.key == key { Ok(()) } else { Err(TokenFault::Unproved) }
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_way_of_binding_that_is_not_known_refuses_the_token() {
        let good = URL_SAFE_NO_PAD.encode([7; 32]);
        let read = |cnf: &Value| Binding::read(Some(cnf));
        assert_eq!(read(&json!({ "x5t#S256": good })).unwrap().certificate, Some([7; 32]));
        assert_eq!(Binding::read(None), Ok(Binding::default()));
        for cnf in [
            json!({}),
            json!(null),
            json!([]),
            json!("x"),
            json!({ "jwk": {} }),
            json!({ "kid": "k" }),
            json!({ "jkt": "x" }),
            json!({ "x5t#S256": good, "jwk": {} }),
            json!({ "x5t#S256": good, "x5t": good }),
            json!({ "x5t#S256": 7 }),
            json!({ "x5t#S256": "" }),
            json!({ "x5t#S256": URL_SAFE_NO_PAD.encode([7; 31]) }),
            json!({ "x5t#S256": format!("{good}=") }),
        ] {
            assert_eq!(read(&cnf), Err(TokenFault::Bound), "{cnf}");
        }
    }
}
