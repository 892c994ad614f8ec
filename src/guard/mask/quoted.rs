//! The short way for a string of JSON that stands in a longer input, with its quotes: a whole block is looked at
//! and written at once, whatever of it is wanted. What it gives is what [`common`](super::common) gives between
//! quotes; what it does not know it leaves to that.

use bytes::BytesMut;
use wide::u8x16;

use super::phone::has_known_plan;
use crate::policy::kind::{Kind, Mask, Style};

const BLOCK_BYTES: usize = 16;
/// No longer string is known here, in bytes with its quotes.
const LONGEST: usize = 2 * BLOCK_BYTES;

type Block = [u8; BLOCK_BYTES];

/// Appends the masked form of the string of so many bytes, quotes included, with which `input` starts; `false`, and
/// nothing appended, if it has no common form or stands too near to the end of the input.
#[inline]
pub(in crate::guard) fn quoted_form_into(
    mask: Mask,
    input: &[u8],
    length: usize,
    out: &mut BytesMut,
) -> bool {
    let (Some((first, second)), 2..=LONGEST) = (two_blocks(input), length) else { return false };
    let done = match (mask.kind(), mask.style()) {
        (Kind::Phone, Style::Ends) => {
            cn_mobile(first, length, out).or_else(|| foreign_number(first, length, out))
        }
        (Kind::CnResidentId, Style::Ends) => cn_resident_id(first, second, length, out),
        (Kind::Email, Style::First2) => email(input, first, second, length, out),
        _others => None,
    };
    done.is_some()
}

fn two_blocks(input: &[u8]) -> Option<(&Block, &Block)> {
    let (first, behind) = input.split_first_chunk()?;
    Some((first, behind.first_chunk()?))
}

/// Appends a block, of which only the first bytes are wanted.
#[inline]
fn put(block: u128, wanted: usize, out: &mut BytesMut) {
    let end = out.len() + wanted;
    out.extend_from_slice(&block.to_le_bytes());
    out.truncate(end);
}

/// Has ones in all bytes from `from` to `to`.
const fn bytes(from: u32, to: u32) -> u128 {
    (u128::MAX >> (128 - 8 * (to - from))) << (8 * from)
}

const STARS: u128 = u128::from_le_bytes([b'*'; BLOCK_BYTES]);

/// `"138****5678"`
#[inline]
fn cn_mobile(block: &Block, length: usize, out: &mut BytesMut) -> Option<()> {
    const HIDDEN: u128 = bytes(4, 8);
    let [_, b'1', b'3'..=b'9', ..] = block else { return None };
    if length != 13 || digits(block) & 0xffe != 0xffe {
        return None;
    }
    put(u128::from_le_bytes(*block) & !HIDDEN | STARS & HIDDEN, length, out);
    Some(())
}

/// `"********6789"`, of a number behind a calling code whose plan nobody knows.
#[inline]
fn foreign_number(block: &Block, length: usize, out: &mut BytesMut) -> Option<()> {
    let [_, b'+', first, second, ..] = block else { return None };
    let count = length.checked_sub(3).filter(|count| (7..=13).contains(count))?;
    let all_digits = ((1_u32 << count) - 1) << 2;
    if has_known_plan(*first, *second) || digits(block) & all_digits != all_digits {
        return None;
    }
    let shown = if count < 10 { 2 } else { 4 };
    let hidden = bytes(1, u32::try_from(1 + count - shown).ok()?);
    let quote = u128::from(b'"');
    let without_sign = u128::from_le_bytes(*block) >> 8 & !0xff | quote;
    put(without_sign & !hidden | STARS & hidden, length - 1, out);
    Some(())
}

/// `"1****************X"`
#[inline]
fn cn_resident_id(first: &Block, second: &Block, length: usize, out: &mut BytesMut) -> Option<()> {
    const SHOWN: u128 = bytes(0, 2);
    let [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9' | b'x' | b'X', ..] = second else { return None };
    if length != 20 || digits(first) != 0xfffe {
        return None;
    }
    put(u128::from_le_bytes(*first) & SHOWN | STARS & !SHOWN, BLOCK_BYTES, out);
    put(u128::from_le_bytes(*second) & !SHOWN | STARS & SHOWN, length - BLOCK_BYTES, out);
    Some(())
}

/// `"li***@example.com"`
#[inline]
fn email(
    input: &[u8],
    first: &Block,
    second: &Block,
    length: usize,
    out: &mut BytesMut,
) -> Option<()> {
    const SHOWN: u128 = bytes(0, 3);
    let last = 1 << length.checked_sub(2)?;
    let inside = (last | (last - 1)) & !1;
    let Both { labels, dots } = labels_and_dots(first, second);
    let at = (inside & !(labels | dots)).trailing_zeros();
    let sign = 1_u32.checked_shl(at)?;
    let domain = inside & !(sign | (sign - 1));
    // Labels stand at both ends of the domain and between two dots.
    let never_dots = sign << 1 | last | dots << 1;
    let fits = at > 3
        && input.get(at as usize) == Some(&b'@')
        && domain & !(labels | dots) == 0
        && domain & dots != 0
        && domain & dots & never_dots == 0;
    let domain = input.get(at as usize..).and_then(two_blocks).filter(|_| fits)?;
    put(u128::from_le_bytes(*first) & SHOWN | STARS & !SHOWN, 6, out);
    let length = length - at as usize;
    put(u128::from_le_bytes(*domain.0), length.min(BLOCK_BYTES), out);
    if length > BLOCK_BYTES {
        put(u128::from_le_bytes(*domain.1), length - BLOCK_BYTES, out);
    }
    Some(())
}

/// Has a bit set for each digit of a block, the first byte's lowest.
#[inline]
fn digits(block: &Block) -> u32 {
    within(u8x16::new(*block), b'0', b'9').to_bitmask()
}

/// A bit for each letter, digit and hyphen of two blocks, and one for each dot.
struct Both {
    labels: u32,
    dots: u32,
}

/// Not inlined: what is asked of the bits would be asked of each byte instead.
#[inline(never)]
fn labels_and_dots(first: &Block, second: &Block) -> Both {
    let both = |find: fn(u8x16) -> u8x16| {
        let bits = |block: &Block| find(u8x16::new(*block)).to_bitmask();
        bits(first) | bits(second) << BLOCK_BYTES
    };
    Both { labels: both(are_labels), dots: both(|block| block.simd_eq(u8x16::splat(b'.'))) }
}

#[inline]
fn are_labels(block: u8x16) -> u8x16 {
    let letters = within(block | u8x16::splat(0x20), b'a', b'z');
    letters | block.simd_eq(u8x16::splat(b'-')) | within(block, b'0', b'9')
}

#[inline]
fn within(block: u8x16, low: u8, high: u8) -> u8x16 {
    block.max(u8x16::splat(low)).min(u8x16::splat(high)).simd_eq(block)
}

#[cfg(test)]
mod tests {
    use super::super::mask as masked;
    use super::*;
    use proptest::prelude::*;

    /// What is appended for a text with this behind it, without the quotes.
    fn form(kind: Kind, text: &str, behind: &str) -> Option<String> {
        let input = format!("\"{text}\"{behind}");
        let mut out = BytesMut::from("x");
        let is_done = quoted_form_into(Mask::of(kind), input.as_bytes(), text.len() + 2, &mut out);
        let out = std::str::from_utf8(&out).unwrap();
        if !is_done {
            assert_eq!(out, "x");
            return None;
        }
        Some(out.strip_prefix("x\"").unwrap().strip_suffix('"').unwrap().to_owned())
    }

    const BEHIND: &str = r#","more":"1234567890@example.com","and":"so on"}"#;

    #[test]
    fn common_strings_go_the_short_way_unless_the_input_ends_behind_them() {
        for (kind, text) in [
            (Kind::Phone, "13812345678"),
            (Kind::Phone, "+420123456789"),
            (Kind::Phone, "+4912345"),
            (Kind::Phone, "+491234567"),
            (Kind::Phone, "+4912345678"),
            (Kind::Phone, "+1234567890123"),
            (Kind::CnResidentId, "11010119900307123X"),
            (Kind::CnResidentId, "110101199003071234"),
            (Kind::Email, "li.si@example.com"),
            (Kind::Email, "li-S9@mail.example.cn"),
            (Kind::Email, "abc@a-very-long.example.com"),
        ] {
            assert_eq!(form(kind, text, BEHIND), Some(masked(Mask::of(kind), text)), "{text}");
            assert_eq!(form(kind, text, ""), None, "{text}");
        }
    }

    #[test]
    fn what_differs_in_any_byte_is_masked_alike_or_left_to_the_long_way() {
        for (kind, text) in [
            (Kind::Phone, "13812345678"),
            (Kind::Phone, "+420123456789"),
            (Kind::CnResidentId, "11010119900307123X"),
            (Kind::Email, "li.si@mail.example.com"),
        ] {
            for at in 0..text.len() {
                for byte in 0..=0x7f_u8 {
                    let mut other = text.as_bytes().to_vec();
                    other[at] = byte;
                    let other = String::from_utf8(other).unwrap();
                    if let Some(form) = form(kind, &other, BEHIND) {
                        assert_eq!(form, masked(Mask::of(kind), &other), "{other}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_gives_what_the_long_way_gives(
            text in r"[0-9]{11}|\+[0-9]{0,16}|1[3-9][0-9]{9}|[0-9]{17}[0-9xX]|[a-c._@+\-é]{0,12}@[a-c._@\-]{0,9}\.[a-c]{0,5}",
        ) {
            for kind in [Kind::Phone, Kind::CnResidentId, Kind::Email] {
                if let Some(form) = form(kind, &text, BEHIND) {
                    prop_assert_eq!(form, masked(Mask::of(kind), &text));
                }
            }
        }
    }
}
