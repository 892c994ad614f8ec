//! What shows a receiver that a notice is ours: HMAC-SHA-256, as each of them wants it.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

fn hmac(key: &[u8], message: &[u8]) -> String {
    BASE64_STANDARD.encode(sign(&Key::new(HMAC_SHA256, key), message))
}

/// The key in a secret of the Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
pub(super) fn hook_key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

/// The header `webhook-signature` of the Standard Webhooks.
pub(super) fn hook(key: &[u8], id: &str, at_s: i64, body: &str) -> String {
    format!("v1,{}", hmac(key, format!("{id}.{at_s}.{body}").as_bytes()))
}

/// What a robot of DingTalk wants to find in the query, before it is written for a URL.
pub(super) fn ding_talk(secret: &str, at_ms: i64) -> String {
    hmac(secret.as_bytes(), format!("{at_ms}\n{secret}").as_bytes())
}

/// What a robot of Feishu wants to find in the body: time and secret are the key, and the message is empty.
pub(super) fn feishu(secret: &str, at_s: i64) -> String {
    hmac(format!("{at_s}\n{secret}").as_bytes(), b"")
}
