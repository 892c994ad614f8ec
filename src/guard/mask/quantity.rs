//! Numbers that are coarsened, not starred: amounts of money as bands, positions on the earth to a few
//! decimals. What is coarse already stays as it is.

use crate::policy::kind::Style;

/// The bounds of the bands; each band runs from one up to but not including the next.
const BOUNDS: &[(f64, &str)] = &[
    (0.0, "0"),
    (1e3, "1k"),
    (5e3, "5k"),
    (1e4, "10k"),
    (5e4, "50k"),
    (1e5, "100k"),
    (5e5, "500k"),
    (1e6, "1M"),
    (5e6, "5M"),
    (1e7, "10M"),
    (5e7, "50M"),
    (1e8, "100M"),
    (5e8, "500M"),
    (1e9, "1B"),
    (5e9, "5B"),
    (1e10, "10B"),
    (5e10, "50B"),
    (1e11, "100B"),
    (5e11, "500B"),
    (1e12, "1T"),
];
const BELOW: &str = "<0";
const ABOVE: &str = "1T+";

/// The band that an amount lies in: `10k-50k`, `<0`, `1T+`.
pub(super) fn amount(text: &str, out: &mut String) -> Option<()> {
    let low_and_high = || BOUNDS.iter().zip(BOUNDS.iter().skip(1));
    let named = |low: &str, high: &str| {
        text.strip_prefix(low).and_then(|rest| rest.strip_prefix('-')) == Some(high)
    };
    if text == BELOW || text == ABOVE || low_and_high().any(|((_, l), (_, h))| named(l, h)) {
        out.push_str(text);
        return Some(());
    }
    let amount = number(text)?;
    if amount < 0.0 {
        out.push_str(BELOW);
        return Some(());
    }
    match low_and_high().find(|(_, (bound, _))| amount < *bound) {
        Some(((_, low), (_, high))) => out.extend([low, "-", high]),
        None => out.push_str(ABOVE),
    }
    Some(())
}

/// A number as JSON writes it, or with a `+` before it or commas between thousands.
fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let fits = is_whole(whole) && is_digits(fraction) && is_digits(exponent);
    if fits { text.replace(',', "").parse().ok() } else { None }
}

fn is_whole(text: &str) -> bool {
    match text.split_once(',') {
        None => is_digits(text),
        Some((first, rest)) => {
            is_digits(first)
                && first.len() <= 3
                && rest.split(',').all(|group| group.len() == 3 && is_digits(group))
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One coordinate or two, in degrees: `39.91,116.40`. Decimals are cut off, not rounded.
pub(super) fn location(style: Style, text: &str, out: &mut String) -> Option<()> {
    let decimals = if style == Style::OneDecimal { 1 } else { 2 };
    let is_between = |char: char| matches!(char, ',' | ';') || char.is_whitespace();
    let parts: Vec<&str> = text.split(is_between).filter(|part| !part.is_empty()).collect();
    if !matches!(parts.as_slice(), [_] | [_, _]) {
        return None;
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        coordinate(part, decimals, out)?;
    }
    Some(())
}

fn coordinate(text: &str, decimals: usize, out: &mut String) -> Option<()> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_on_earth = whole.len() <= 3
        && is_digits(whole)
        && is_digits(fraction)
        && unsigned.parse().is_ok_and(|degrees: f64| degrees <= 180.0);
    if !is_on_earth {
        return None;
    }
    out.extend([sign, whole, "."]);
    out.extend(fraction.chars().chain("00".chars()).take(decimals));
    Some(())
}
