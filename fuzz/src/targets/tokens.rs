//! What strangers bring to prove who they are: certificates, and tokens beside the keys that an issuer publishes. No
//! bytes make the readers fall over, and what is read is read whole and alike each time.

use menshen::identity::{Certificate, JwksOrigin, check_jwks, verify_token};

/// A certificate in DER.
pub fn certificate(data: &[u8]) {
    let Ok(read) = Certificate::read(data) else { return };
    let again = Certificate::read(data).ok();
    assert_eq!(again.as_ref().map(Certificate::key), Some(read.key()));
    assert_eq!(again.map(|again| again.sha256()), Some(read.sha256()));
    assert!(Certificate::read(&[data, &[0]].concat()).is_err(), "something stands behind it");
    assert!(Certificate::read(&data[..data.len() - 1]).is_err(), "it is cut");
    assert!(data.len() <= 16 * 1024);
    assert!(read.check(i64::MAX).is_err(), "it ends at some time");
}

/// A JWK Set, the length of which stands in front, and a token.
pub fn jws(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length));
    let Some((keys, token)) = rest.split_at_checked(length) else { return };
    let as_file = check_jwks(keys, JwksOrigin::File);
    let as_published = check_jwks(keys, JwksOrigin::Published);
    if let Ok(found) = &as_file {
        assert_eq!(
            as_published.as_ref().ok(),
            Some(found),
            "what a file may hold may be published"
        );
    }
    let Ok(token) = std::str::from_utf8(token) else { return };
    for origin in [JwksOrigin::File, JwksOrigin::Published] {
        let Ok(verified) = verify_token(keys, origin, token) else { continue };
        assert_eq!(token.split('.').count(), 3, "{token}");
        assert!(serde_json::from_str::<serde_json::Value>(&verified.claims).is_ok());
        assert!(verify_token(b"{\"keys\":[]}", origin, token).is_err(), "by no key");
        let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
        assert!(verify_token(keys, origin, &format!("{signed}.")).is_err(), "without signature");
        let (header, _claims) = signed.split_once('.').unwrap_or_default();
        let other = format!("{header}.e30.{signature}");
        assert!(verify_token(keys, origin, &other).is_err() || signed.ends_with(".e30"));
    }
}
