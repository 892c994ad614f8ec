//! Whether a new password withstands guessing (NIST SP 800-63B: length, what others try first, and what
//! belongs to its owner; no rules of composition, which make passwords no better).
//!
//! Guesses are estimated by zxcvbn, whose lists are English; those of `words` are of the places where menshen
//! is used. Pure, and slow for long passwords: a few milliseconds.

use std::sync::LazyLock;

use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use crate::secret::Secret;

/// Fewest and most characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;
/// 10^8 guesses, which takes years where ten wrong ones lock an account, and argon2 makes dear where they do not.
const LEAST: Score = Score::Three;
/// 10^6 guesses without blanks and signs, which are guessed with the words they stand between.
const LEAST_BARE: Score = Score::Two;
/// So many letters must be left when the owner's and the house's words are taken out.
const LEAST_OWN: usize = 4;
/// So much of a password must be strong enough: what follows costs time to judge and nobody's memory.
const JUDGED: usize = 64;
/// The most words about the owner and the house.
const MOST_WORDS: usize = 64;

/// Words that passwords are made of in Chinese, Thai, Korean and Indonesian; each file says where it is from.
static LOCAL: LazyLock<Vec<&str>> = LazyLock::new(|| {
    [
        include_str!("words/zh.txt"),
        include_str!("words/th.txt"),
        include_str!("words/ko.txt"),
        include_str!("words/id.txt"),
    ]
    .into_iter()
    .flat_map(str::lines)
    .filter(|line| !line.starts_with('#'))
    .collect()
});

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// It is too short or too long.
    #[error("a password must have 12 to 128 characters")]
    Length,
    /// It is the account's name, once or repeated.
    #[error("a password must not be the account's name")]
    Name,
    /// It is one of those that are tried first.
    #[error("this password is among the most common ones")]
    Common,
    /// Too few guesses find it.
    #[error(
        "this password is easy to guess; three or four words that have nothing to do with you or each other are not"
    )]
    Guessable,
    /// It is the one that it should replace.
    #[error("the new password must be another one than the old")]
    Same,
}

/// Whose password it will be: what stands here adds nothing to its strength.
#[derive(Clone, Debug, Default)]
pub struct Whose<'a> {
    /// The account's name.
    pub account: &'a str,
    /// The name for people.
    pub display_name: &'a str,
    /// Words of the house, such as its name and its products.
    pub house: &'a [String],
}

impl Whose<'_> {
    /// Those words and their parts.
    fn words(&self) -> Vec<&str> {
        let house = self.house.iter().map(String::as_str);
        let whole = [self.account, self.display_name, "menshen"].into_iter().chain(house);
        let parts = whole.flat_map(|word| {
            let parts = word.split(|letter: char| !letter.is_alphanumeric());
            std::iter::once(word).chain(parts)
        });
        parts.filter(|word| word.chars().count() > 2).take(MOST_WORDS).collect()
    }
}

/// Checks a new password against the rules.
///
/// # Errors
/// The [`PasswordFault`].
pub fn check_new_password(
    whose: &Whose<'_>,
    password: &Secret<String>,
) -> Result<(), PasswordFault> {
    let folded = password.expose().to_lowercase();
    if !LENGTH.contains(&password.expose().chars().count()) {
        return Err(PasswordFault::Length);
    }
    let account = whose.account.to_lowercase();
    if !account.is_empty() && folded.replace(&account, "").is_empty() {
        return Err(PasswordFault::Name);
    }
    let mut letters = folded.chars();
    let first = letters.next();
    let is_one_letter = letters.all(|letter| Some(letter) == first);
    if is_one_letter || include_str!("common_passwords.txt").lines().any(|line| line == folded) {
        return Err(PasswordFault::Common);
    }
    if is_guessable(whose, password) { Err(PasswordFault::Guessable) } else { Ok(()) }
}

/// Whether hardly anything but words about the owner is in it.
fn is_about(words: &[&str], bare: &str) -> bool {
    let mut rest = Zeroizing::new(bare.to_lowercase());
    let mut has_one = false;
    for word in words {
        let word = word.to_lowercase();
        if rest.contains(&word) {
            rest = Zeroizing::new(rest.replace(&word, " "));
            has_one = true;
        }
    }
    has_one && rest.chars().filter(|letter| letter.is_alphabetic()).count() < LEAST_OWN
}

fn is_guessable(whose: &Whose<'_>, password: &Secret<String>) -> bool {
    let bare = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).collect();
    let judged: Zeroizing<String> =
        Zeroizing::new(password.expose().chars().take(JUDGED).collect());
    let judged_bare: Zeroizing<String> = Zeroizing::new(bare(&judged));
    let mut words = whose.words();
    let joined: Vec<String> = words.iter().map(|word| bare(word)).collect();
    words.extend(joined.iter().map(String::as_str).filter(|word| word.chars().count() > 2));
    if is_about(&words, &judged_bare) {
        return true;
    }
    words.extend(LOCAL.iter());
    zxcvbn(&judged, &words).score() < LEAST || zxcvbn(&judged_bare, &words).score() < LEAST_BARE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), PasswordFault> {
        let house = ["Bintang Bank".to_owned()];
        let whose =
            Whose { account: "wang-xiaoming", display_name: "Wang Xiaoming", house: &house };
        check_new_password(&whose, &Secret::new(password.into()))
    }

    #[test]
    fn short_long_common_and_own_names_are_refused() {
        assert_eq!(check("eleven-char"), Err(PasswordFault::Length));
        assert_eq!(check(&"密".repeat(129)), Err(PasswordFault::Length));
        assert_eq!(check("Wang-Xiaoming"), Err(PasswordFault::Name));
        assert_eq!(check("Password1234"), Err(PasswordFault::Common));
        assert_eq!(check("zzzzzzzzzzzzzz"), Err(PasswordFault::Common));
        assert_eq!(check("门神守住这一扇门不放行"), Err(PasswordFault::Length));
        assert_eq!(check("门神守住这一扇门不放行人"), Ok(()));
        assert_eq!(check("a quiet lantern"), Ok(()));
    }

    #[test]
    fn what_takes_few_guesses_is_refused_however_it_is_dressed_up() {
        for password in [
            "P@ssw0rd2024!",
            "Qwertyuiop[]1",
            "W-a-n-g-X-i-a-o-m-i-n-g",
            "abcdefgh12345678",
            "monkeymonkeymonkey",
            "19850412 19850412",
            "summer summer 2026",
        ] {
            assert!(
                matches!(check(password), Err(PasswordFault::Guessable | PasswordFault::Common)),
                "{password}"
            );
        }
    }

    #[test]
    fn the_owners_name_and_the_houses_words_add_nothing() {
        for password in [
            "xiaoming2026",
            "Wang Xiaoming 88",
            "bintangbank2026",
            "BintangBintang1",
            "Wang-2026-Wang",
            "menshen-2026",
        ] {
            assert_eq!(check(password), Err(PasswordFault::Guessable), "{password}");
        }
    }

    #[test]
    fn passwords_made_of_local_words_are_refused_in_four_languages() {
        for password in [
            "woxihuanni520",
            "Zhongguo2026",
            "isylzjko1234",
            "sawasdeekrub1",
            "rakmae rakmae",
            "qlalfqjsgh12",
            "saranghaeyo1004",
            "tkfkdgotkfkdgo",
            "sayangku1234",
            "Bismillah123!",
            "akusayangkamu1",
        ] {
            assert_eq!(check(password), Err(PasswordFault::Guessable), "{password}");
        }
        let guesses = |password: &str, words: &[&str]| zxcvbn(password, words).guesses();
        let (password, none) = ("woxihuanni520", guesses("woxihuanni520", &[]));
        assert!(none > 1000 * guesses(password, &LOCAL), "the lists are what refuses it");
    }

    #[test]
    fn every_local_word_is_one_in_lower_case_and_no_list_grows_large() {
        assert!((500..2000).contains(&LOCAL.len()), "{}", LOCAL.len());
        for word in LOCAL.iter() {
            assert!(word.trim() == *word && word.to_lowercase() == *word, "`{word}`");
            assert!(word.chars().count() >= 3 || !word.is_ascii(), "`{word}`");
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the time that a check takes is what is measured"
    )]
    fn the_longest_password_is_judged_in_little_time() {
        let began = std::time::Instant::now();
        for letter in ["aB3$", "woaini", "密码是", "a\u{301}z", "1234567890", "p@55w0rd"] {
            let long: String = letter.chars().cycle().take(128).collect();
            assert_ne!(check(&long), Err(PasswordFault::Length));
        }
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_makes_the_check_panic(text in "\\PC{12,40}") {
            assert_ne!(check(&text), Err(PasswordFault::Same));
        }
    }
}
