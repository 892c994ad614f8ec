//! One-time codes (RFC 6238: SHA-1, 6 digits, 30 s, one step of skew) and their enrolment.
//!
//! Pure: which step a code belongs to. That a step is accepted once is the state's part.

use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, QrCode};
use totp_rs::{Builder, Totp};

use super::AccountError;
use crate::secret::{Secret, SecretError};

/// The length of a new secret: 160 bits, as RFC 4226 recommends.
const SECRET_LENGTH: usize = 20;
const STEP_S: i64 = 30;

/// What a person needs to put their account into an authenticator app. Shown once.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The `otpauth` address with the secret in it.
    pub uri: Secret<String>,
    /// The same as a QR code in half blocks, for a dark terminal.
    pub qr_terminal: Secret<String>,
    /// The same for a page: an SVG element, dark on light with its quiet zone.
    pub qr_svg: Secret<String>,
    /// The secret in base32, to be typed.
    pub key: Secret<String>,
    /// The secret itself, for a demonstration or a test that plays the app.
    pub secret: Secret<Vec<u8>>,
}

impl Enrolment {
    /// The enrolment of `account` with this secret.
    pub(super) fn new(
        secret: &Secret<Vec<u8>>,
        issuer: &str,
        account: &str,
    ) -> Result<Self, AccountError> {
        let app = Builder::new()
            .with_secret(secret.expose().as_slice())
            .with_issuer(Some(issuer))
            .with_account_name(account);
        let app = app.build().map_err(|_unfit| AccountError::Enrolment)?;
        let uri = Secret::new(app.to_url().map_err(|_unfit| AccountError::Enrolment)?);
        let code = QrCode::new(uri.expose()).map_err(|_too_long| AccountError::Enrolment)?;
        // Dark modules are left blank and light ones drawn, since terminals are mostly dark.
        let drawn = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        let key = uri.expose().split(['?', '&']).find_map(|part| part.strip_prefix("secret="));
        Ok(Self {
            qr_terminal: Secret::new(drawn),
            qr_svg: Secret::new(svg(&code)),
            key: Secret::new(key.unwrap_or_default().to_owned()),
            uri,
            secret: secret.clone(),
        })
    }
}

/// A new secret.
pub(super) fn new_secret() -> Result<Secret<Vec<u8>>, SecretError> {
    let mut secret = vec![0; SECRET_LENGTH];
    aws_lc_rs::rand::fill(&mut secret)?;
    Ok(Secret::new(secret))
}

/// The code as one path, a square a module; no style, which a page's policy would not allow.
fn svg(code: &QrCode) -> String {
    const QUIET: usize = 4;
    let width = code.width();
    let side = width.saturating_add(2 * QUIET);
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (at % width.max(1) + QUIET, at / width.max(1) + QUIET);
            path.push_str(&format!("M{x} {y}h1v1h-1z"));
        }
    }
    format!(
        "<svg class=\"qr\" role=\"img\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

/// The code that an app with this secret shows at that time; `None` if the secret is too short.
#[must_use]
pub fn totp_code_at(secret: &Secret<Vec<u8>>, unix_s: i64) -> Option<String> {
    Some(app(secret)?.generate(u64::try_from(unix_s).ok()?).to_string())
}

/// The step that `code` belongs to, if it is the present one or one beside it. The digits are
/// compared in constant time.
pub(super) fn matching_step(secret: &Secret<Vec<u8>>, code: &str, unix_s: i64) -> Option<i64> {
    let step = app(secret)?.check(code, u64::try_from(unix_s).ok()?)?;
    i64::try_from(step).ok()
}

/// The newest step whose codes could have been accepted by `unix_s`.
pub(super) fn newest_step(unix_s: i64) -> i64 {
    unix_s.div_euclid(STEP_S).saturating_add(1)
}

/// When the step of `unix_s` ends, Unix seconds: the next code is another one.
#[must_use]
pub fn next_code_at(unix_s: i64) -> i64 {
    unix_s.div_euclid(STEP_S).saturating_add(1).saturating_mul(STEP_S)
}

fn app(secret: &Secret<Vec<u8>>) -> Option<Totp> {
    Builder::new().with_secret(secret.expose().as_slice()).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B: times and 8-digit codes for SHA-1; six digits are their last six.
    const VECTORS: [(i64, &str); 6] = [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ];

    fn rfc_secret() -> Secret<Vec<u8>> {
        Secret::new(b"12345678901234567890".to_vec())
    }

    #[test]
    fn the_vectors_of_rfc_6238_are_accepted_for_their_step() {
        for (time, code) in VECTORS {
            let code = code.get(2..).unwrap();
            assert_eq!(matching_step(&rfc_secret(), code, time), Some(time / 30), "{time}");
            assert_eq!(totp_code_at(&rfc_secret(), time).as_deref(), Some(code));
        }
    }

    #[test]
    fn a_code_is_accepted_one_step_early_or_late_and_no_further() {
        let (time, code) = (1_111_111_109, "081804");
        for (shift, accepted) in [(-60, false), (-30, true), (30, true), (60, false)] {
            let step = matching_step(&rfc_secret(), code, time + shift);
            assert_eq!(step, accepted.then_some(time / 30), "{shift}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for code in ["", "28708", "2870822", "+87082", " 87082", "28708a", "２８７０８２"] {
            assert_eq!(matching_step(&rfc_secret(), code, 59), None, "{code}");
        }
    }

    #[test]
    fn an_enrolment_holds_the_secret_in_base32_and_draws_a_square() {
        let enrolment = Enrolment::new(&rfc_secret(), "menshen", "wang").unwrap();
        let uri = enrolment.uri.expose();
        assert!(uri.starts_with("otpauth://totp/menshen:wang?"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{uri}");
        let rows: Vec<_> = enrolment.qr_terminal.expose().lines().collect();
        assert!(rows.len() > 10);
        assert!(rows.iter().all(|row| row.chars().count() == rows[0].chars().count()));
        assert!(rows[0].chars().all(|c| c == '█'));
    }

    #[test]
    fn the_next_code_comes_with_the_next_step() {
        assert_eq!(next_code_at(59), 60);
        assert_eq!(next_code_at(60), 90);
    }
}
