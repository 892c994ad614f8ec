//! What an issuer says of how somebody signed in (`acr`, `amr`), in our words: levels and methods.
//!
//! A level is given only by what the operator declared. A method without one is named in the log and
//! proves no more than a password.

use super::caller::{Factor, FactorMethod};
use super::settings::IssuerSettings;

/// What values of `amr` mean: those of RFC 8176 of which we have a word.
const KNOWN: &[(&str, FactorMethod)] = &[
    ("pwd", FactorMethod::Password),
    ("otp", FactorMethod::Totp),
    ("hwk", FactorMethod::HardwareKey),
    ("sc", FactorMethod::HardwareKey),
    // OpenID Connect Extended Authentication Profile: phishing-resistant, the second in hardware.
    ("phr", FactorMethod::Passkey),
    ("phrh", FactorMethod::HardwareKey),
];

/// From the weakest; the strongest bears the level.
const BY_STRENGTH: [FactorMethod; 6] = [
    FactorMethod::Token,
    FactorMethod::Password,
    FactorMethod::Recovery,
    FactorMethod::Totp,
    FactorMethod::Passkey,
    FactorMethod::HardwareKey,
];

/// The factors of a token, the strongest first; at least one.
pub(super) fn factors(
    issuer: &IssuerSettings,
    acr: Option<&str>,
    amr: &[&str],
    at_unix_s: Option<i64>,
) -> Vec<Factor> {
    let declared = acr.and_then(|acr| issuer.assurance.get(acr)).copied();
    let shown = amr.iter().filter_map(|amr| issuer.methods_assurance.get(*amr)).copied().max();
    let level = declared.max(shown).unwrap_or(1);
    let named = |word: &&str| method(issuer, word);
    let mut methods: Vec<FactorMethod> =
        acr.iter().filter_map(named).chain(amr.iter().filter_map(named)).collect();
    methods.sort_by_key(|method| std::cmp::Reverse(strength(*method)));
    methods.dedup();
    if methods.is_empty() {
        methods.push(FactorMethod::Token);
    }
    let mut level = Some(level);
    // The others prove no more than a password: nobody said what they are worth alone.
    let factor = |method| Factor { level: level.take().unwrap_or(1), at_unix_s, method };
    methods.into_iter().map(factor).collect()
}

fn method(issuer: &IssuerSettings, word: &str) -> Option<FactorMethod> {
    let known = || KNOWN.iter().find(|(name, _)| *name == word).map(|(_, method)| *method);
    issuer.methods.get(word).copied().or_else(known)
}

fn strength(method: FactorMethod) -> Option<usize> {
    BY_STRENGTH.iter().position(|known| *known == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> IssuerSettings {
        let mut issuer = IssuerSettings::new("a", "https://a", "menshen", "x".into());
        issuer.assurance = [("urn:mfa".into(), 2)].into();
        issuer
    }

    fn told(issuer: &IssuerSettings, acr: Option<&str>, amr: &[&str]) -> Vec<(u8, FactorMethod)> {
        let factors = factors(issuer, acr, amr, Some(7));
        factors.into_iter().map(|factor| (factor.level, factor.method)).collect()
    }

    #[test]
    fn a_hardware_key_is_named_and_bears_the_level_that_the_acr_declares() {
        use FactorMethod::{HardwareKey, Password};
        let told = told(&issuer(), Some("urn:mfa"), &["pwd", "hwk", "pwd"]);
        assert_eq!(told, [(2, HardwareKey), (1, Password)]);
    }

    #[test]
    fn a_method_that_nobody_declared_proves_no_more_than_a_password() {
        let issuer = issuer();
        assert_eq!(told(&issuer, None, &["hwk"]), [(1, FactorMethod::HardwareKey)]);
        assert_eq!(told(&issuer, Some("gold"), &["mfa"]), [(1, FactorMethod::Token)]);
        assert_eq!(told(&issuer, None, &[]), [(1, FactorMethod::Token)]);
    }

    #[test]
    fn a_declared_method_gives_its_level_and_a_declared_word_its_name() {
        let mut issuer = issuer();
        issuer.methods_assurance = [("hwk".into(), 3), ("yubi".into(), 3)].into();
        issuer.methods = [("yubi".into(), FactorMethod::HardwareKey)].into();
        assert_eq!(told(&issuer, Some("urn:mfa"), &["hwk"]), [(3, FactorMethod::HardwareKey)]);
        assert_eq!(told(&issuer, None, &["yubi"]), [(3, FactorMethod::HardwareKey)]);
    }
}
