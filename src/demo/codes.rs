//! Stands in for the authenticator app: keeps the demo's secrets of one-time codes in its folder
//! and tells the code of the moment. Nobody but a demo keeps them so.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::DemoError;
use super::certificates::write_private;
use crate::identity::{Enrolment, next_code_at, totp_code_at};
use crate::secret::Secret;

const FILE: &str = "authenticator.json";
const FILE_LIMIT_BYTES: u64 = 64 * 1024;

/// A code and for how long it is the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Six digits.
    pub digits: String,
    /// Seconds until the next one.
    pub seconds_left: i64,
}

/// Writes the secrets for [`current`].
pub(super) fn write(
    folder: &Path,
    enrolments: &BTreeMap<String, Enrolment>,
) -> Result<(), DemoError> {
    let secrets: BTreeMap<&str, String> = enrolments
        .iter()
        .map(|(name, enrolment)| (name.as_str(), URL_SAFE_NO_PAD.encode(enrolment.secret.expose())))
        .collect();
    let text = serde_json::to_string_pretty(&secrets).map_err(DemoError::Record)?;
    write_private(&folder.join(FILE), &text)
}

/// The current code of `account` in the demo whose folder this is.
///
/// # Errors
/// [`DemoError::NoDemo`] if the folder is not a demo's, [`DemoError::NoAccount`] if nobody there is
/// called so.
pub fn current(folder: &Path, account: &str, now_s: i64) -> Result<Code, DemoError> {
    let no_demo = || DemoError::NoDemo(folder.display().to_string());
    let path = folder.join(FILE);
    let is_small = std::fs::metadata(&path).is_ok_and(|m| m.len() <= FILE_LIMIT_BYTES);
    let text = is_small.then(|| std::fs::read(&path).ok()).flatten().ok_or_else(no_demo)?;
    let secrets: BTreeMap<String, String> =
        serde_json::from_slice(&text).ok().ok_or_else(no_demo)?;
    let Some(secret) = secrets.get(account) else {
        let names: Vec<&str> = secrets.keys().map(String::as_str).collect();
        return Err(DemoError::NoAccount { asked: account.into(), known: names.join(", ") });
    };
    let secret = Secret::new(URL_SAFE_NO_PAD.decode(secret).ok().ok_or_else(no_demo)?);
    let digits = totp_code_at(&secret, now_s).ok_or_else(no_demo)?;
    Ok(Code { digits, seconds_left: next_code_at(now_s).saturating_sub(now_s) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_for_accounts_of_the_demo_only() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(current(folder.path(), "li.na", 59), Err(DemoError::NoDemo(_))));
        let secret = URL_SAFE_NO_PAD.encode("12345678901234567890");
        std::fs::write(folder.path().join(FILE), format!("{{\"li.na\":\"{secret}\"}}")).unwrap();
        // RFC 6238, appendix B: at 59 s the code of this secret ends in 287082.
        let code = Code { digits: "287082".into(), seconds_left: 1 };
        assert_eq!(current(folder.path(), "li.na", 59).unwrap(), code);
        assert!(matches!(current(folder.path(), "wu", 59), Err(DemoError::NoAccount { .. })));
    }
}
