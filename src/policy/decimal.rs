//! Numbers that are not whole or have more than 64 bits, exactly as they are written: what a binary number does not hold is
//! not the same as its neighbour.

use std::cmp::Ordering;

/// Whole numbers are told with so many digits at most; JSON can write `1e999999999`.
const LONGEST_WHOLE: usize = 128;

/// A number by its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    /// Neither the first nor the last is a zero, but zero has none.
    digits: Box<str>,
    /// Where the point stands, counted from before the first digit.
    point: i32,
}

impl Decimal {
    /// Reads the text of a JSON number; `None` if it is none, or has an exponent of more than 32 bits.
    pub(super) fn read(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-');
        let is_negative = unsigned.is_some();
        let unsigned = unsigned.unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent: i32 = exponent.parse().ok()?;
        let significant = all.trim_start_matches('0');
        let leading = i32::try_from(all.len().checked_sub(significant.len())?).ok()?;
        let digits = significant.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits: "".into(), point: 0 });
        }
        let point = i32::try_from(whole.len()).ok()?.checked_sub(leading)?.checked_add(exponent)?;
        Some(Self { is_negative, digits: digits.into(), point })
    }

    /// Its digits and sign, if it is whole and not absurdly long.
    #[must_use]
    pub fn whole(&self) -> Option<String> {
        let length = usize::try_from(self.point).ok()?;
        let zeros = length.checked_sub(self.digits.len()).filter(|_| length <= LONGEST_WHOLE)?;
        let sign = if self.is_negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &*self.digits };
        Some(format!("{sign}{digits}{}", "0".repeat(zeros)))
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without zeros before and behind them, digits stand in the order of their text.
            (false, false) => {
                self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        let text = whole.unsigned_abs().to_string();
        let digits = text.trim_end_matches('0');
        let length = if digits.is_empty() { 0 } else { text.len() };
        Self {
            is_negative: whole < 0,
            digits: digits.into(),
            point: i32::try_from(length).unwrap_or_default(),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Decimal {
        Decimal::read(text).unwrap()
    }

    #[test]
    fn numbers_stand_in_their_order_whatever_their_spelling() {
        let rising = [
            "-1e400",
            "-18446744073709551616",
            "-9223372036854775809",
            "-2.5",
            "-0.10000000000000000001",
            "-1e-1",
            "-1e-400",
            "0",
            "1e-400",
            "0.1",
            "0.1000000000000000055511151231257827",
            "7.99999999999999999999",
            "8",
            "17.9999999999999999999",
            "18",
            "18.0000000000000000001",
            "9007199254740992",
            "9007199254740992.9999",
            "9007199254740993",
            "9223372036854775808",
            "1e400",
        ];
        for (at, one) in rising.iter().enumerate() {
            for (other_at, other) in rising.iter().enumerate() {
                assert_eq!(read(one).cmp(&read(other)), at.cmp(&other_at), "{one} and {other}");
            }
        }
        for same in [
            ["18", "18.0"],
            ["18", "1.8e1"],
            ["18", "180e-1"],
            ["0", "-0.0"],
            ["0", "0e99999"],
            ["9007199254740993", "9.007199254740993e15"],
            ["0.1", "1E-1"],
            ["100", "1e+2"],
        ] {
            assert_eq!(read(same[0]), read(same[1]), "{same:?}");
        }
        for none in ["", "-", ".", "1e", "1e99999999999", "NaN", "inf", "1a", "--1"] {
            assert_eq!(Decimal::read(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_whole_is_told_by_its_digits() {
        for (text, whole) in [
            ("18446744073709551615", Some("18446744073709551615")),
            ("-9223372036854775809", Some("-9223372036854775809")),
            ("1e20", Some("100000000000000000000")),
            ("10.0", Some("10")),
            ("0.0", Some("0")),
            ("1.5", None),
            ("1e-400", None),
            ("1e400", None),
        ] {
            assert_eq!(read(text).whole().as_deref(), whole, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_of_64_bits_are_as_they_are(one in any::<i64>(), other in any::<i64>()) {
            let (left, right) = (Decimal::from(one), Decimal::from(other));
            prop_assert_eq!(&left, &read(&one.to_string()));
            prop_assert_eq!(left.cmp(&right), one.cmp(&other));
            prop_assert_eq!(left.whole(), Some(one.to_string()));
        }
    }
}
