//! What was packed comes out again, at any split; whatever else is refused.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bare(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn brotli(text: &[u8], window: u32) -> Vec<u8> {
    let mut packed = Vec::new();
    {
        let mut encoder = ::brotli::CompressorWriter::new(&mut packed, 4096, 5, window);
        encoder.write_all(text).unwrap();
    }
    packed
}

/// A frame with a checksum.
fn zstd(text: &[u8], window: u32) -> Vec<u8> {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.window_log(window).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A frame to be skipped, which holds this.
fn skipped(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [&0x184D_2A53_u32.to_le_bytes(), &length, text].concat()
}

fn pack(coding: Coding, text: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(text),
        Coding::Deflate => zlib(text),
        Coding::Brotli => brotli(text, 18),
        Coding::Zstd => zstd(text, 18),
    }
}

fn codings(fields: &[&str]) -> Result<Codings, EncodingFault> {
    Codings::of(fields.iter().map(|field| field.as_bytes()))
}

fn decode(
    codings: impl Into<Codings>,
    cap: Option<u64>,
    body: &[u8],
    size: usize,
) -> Result<Vec<u8>, EncodingFault> {
    let mut decoder = Decoder::new(codings.into(), cap);
    let mut text = Vec::new();
    for chunk in body.chunks(size) {
        decoder.push(Bytes::copy_from_slice(chunk), |piece| {
            text.extend(piece);
            Ok::<(), EncodingFault>(())
        })?;
    }
    decoder.finish()?;
    Ok(text)
}

#[test]
fn four_codings_and_two_over_one_another_are_undone_and_no_other() {
    assert_eq!(codings(&[]), Ok(Codings::NONE));
    assert_eq!(codings(&["Identity"]), Ok(Codings::NONE));
    for (name, coding) in [
        (" GZip ", Coding::Gzip),
        ("x-gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("BR", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ] {
        assert_eq!(codings(&[name]), Ok(coding.into()), "{name}");
    }
    let two = codings(&["gzip,br"]).unwrap();
    assert_eq!(two.to_string(), "gzip, br");
    assert_eq!(codings(&["gzip", " br "]), Ok(two));
    for fields in [
        &["compress"][..],
        &["rot13"],
        &[""],
        &["gzip,"],
        &[",gzip"],
        &["gzip", ""],
        &["gzip;q=1"],
        &["gzip", "identity"],
        &["identity, identity"],
        &["dcz"],
        &["aes128gcm"],
    ] {
        assert!(matches!(codings(fields), Err(EncodingFault::Unsupported(_))), "{fields:?}");
    }
    for fields in [&["gzip, br, zstd"][..], &["gzip, gzip", "gzip"], &["a", "b", "c"], &[",,"]] {
        assert_eq!(codings(fields), Err(EncodingFault::TooMany), "{fields:?}");
    }
}

#[test]
fn members_and_frames_are_one_body_and_anything_else_behind_them_is_refused() {
    for (coding, packed) in [
        (Coding::Gzip, [gzip(b"ab"), gzip(b""), gzip(b"cd")].concat()),
        (Coding::Zstd, [zstd(b"ab", 18), zstd(b"", 18), zstd(b"cd", 18)].concat()),
        (
            Coding::Zstd,
            [skipped(b"x"), zstd(b"ab", 18), skipped(b""), zstd(b"cd", 18), skipped(b"secret")]
                .concat(),
        ),
    ] {
        for size in [1, 7, 1000] {
            assert_eq!(decode(coding, None, &packed, size).unwrap(), b"abcd", "{coding}");
        }
    }
    assert_eq!(decode(Coding::Zstd, None, &skipped(b"secret"), 1).unwrap(), b"");
    for coding in ALL {
        for behind in [&b"\0"[..], b"x", b"garbage garbage garbage", &[0; 20]] {
            let body = [pack(coding, b"ab"), behind.to_vec()].concat();
            for size in [1, 7, 1000] {
                assert!(decode(coding, None, &body, size).is_err(), "{coding} {behind:?}");
            }
        }
    }
    for (coding, packed) in [
        (Coding::Deflate, zlib(b"ab")),
        (Coding::Deflate, bare(b"ab")),
        (Coding::Brotli, brotli(b"ab", 18)),
    ] {
        let twice = packed.repeat(2);
        assert_eq!(decode(coding, None, &twice, 3), Err(EncodingFault::Trailing(coding)));
    }
}

#[test]
fn deflate_is_read_with_and_without_its_frame_and_never_both_ways() {
    let text = b"hello, hello, hello".repeat(9);
    for packed in [zlib(&text), bare(&text), bare(b"").to_vec()] {
        let plain = decode(Coding::Deflate, None, &packed, 1).unwrap();
        assert!(plain == text || plain.is_empty());
    }
    // A frame without valid header: of another method, with a wrong check, with a dictionary, too wide.
    for header in [[0x78, 0x9d], [0x88, 0x1c], [0x78, 0xbb], [0x08, 0x00]] {
        let body = [&header[..], &bare(b"ab")].concat();
        assert_eq!(
            decode(Coding::Deflate, None, &body, 1),
            Err(EncodingFault::Corrupt(Coding::Deflate))
        );
    }
    let mut wrong_sum = zlib(b"ab");
    *wrong_sum.last_mut().unwrap() ^= 1;
    assert!(decode(Coding::Deflate, None, &wrong_sum, 1).is_err());
    assert!(decode(Coding::Deflate, None, b"{\"a\":1}", 1).is_err());
}

#[test]
fn a_truncated_body_is_refused_wherever_it_ends() {
    let text = b"hello, hello, hello";
    let mut bodies: Vec<(Coding, Vec<u8>)> =
        ALL.iter().map(|coding| (*coding, pack(*coding, text))).collect();
    bodies.push((Coding::Deflate, bare(text)));
    for (coding, body) in bodies {
        for cut in 0..body.len() {
            let wanted = Err(EncodingFault::Truncated(coding));
            assert_eq!(decode(coding, None, &body[..cut], 3), wanted, "{coding} {cut}");
        }
    }
}

#[test]
fn a_damaged_body_or_one_of_another_coding_is_refused() {
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
        let body = pack(coding, b"hello, hello, hello");
        for back in [1, 3] {
            let mut damaged = body.clone();
            damaged[body.len() - back] ^= 1;
            assert!(decode(coding, None, &damaged, 3).is_err(), "{coding} {back}");
        }
    }
    for coding in ALL {
        for other in ALL.iter().filter(|other| **other != coding) {
            let body = pack(*other, b"{\"id\":1,\"name\":\"a name\"}");
            assert!(decode(coding, None, &body, 3).is_err(), "{other} as {coding}");
        }
        assert!(decode(coding, None, b"{\"id\":1,\"name\":\"a name\"}", 3).is_err(), "{coding}");
    }
    for first in 0..=255_u8 {
        let junk = [first, 0xff, 0x5a, 0x13, 0xee, 0x01, 0x77, 0x42, 0xd0];
        assert!(decode(Coding::Zstd, None, &junk, 1).is_err());
        assert!(decode(Coding::Gzip, None, &junk, 1).is_err());
    }
}

#[test]
fn a_window_larger_than_eight_mebibytes_is_refused() {
    let text = vec![b'x'; 3000];
    for (bits, passes) in [(10, true), (16, true), (22, true), (23, true), (24, false)] {
        let packed = brotli(&text, bits);
        assert_eq!(decode(Coding::Brotli, None, &packed, 100).is_ok(), passes, "br {bits}");
        let packed = zstd(&text, bits);
        assert_eq!(decode(Coding::Zstd, None, &packed, 100).is_ok(), passes, "zstd {bits}");
    }
    // Windows beyond RFC 7932, and frames of zstd before version 1 or with a dictionary.
    assert!(decode(Coding::Brotli, None, &[0x11, 0x18, 0x00, 0x03], 1).is_err());
    let old = [0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0];
    assert!(decode(Coding::Zstd, None, &old, 1).is_err());
    let dictionary = [0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x07, 0x02, 0x11, 0, 0, b'a', b'b'];
    assert!(decode(Coding::Zstd, None, &dictionary, 1).is_err());
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked_in_every_coding() {
    let zeros = vec![b' '; 3_000_000];
    let small = vec![b' '; 1_000_000];
    for coding in ALL {
        let bomb = pack(coding, &zeros);
        for size in [1, 4096, 1_000_000] {
            assert_eq!(decode(coding, None, &bomb, size), Err(EncodingFault::Bomb), "{coding}");
        }
        let packed = pack(coding, &small);
        assert_eq!(decode(coding, None, &packed, 4096).unwrap().len(), 1_000_000);
        let cap = EncodingFault::TooLarge { cap: 999_999 };
        assert_eq!(decode(coding, Some(999_999), &packed, 4096), Err(cap), "{coding}");
    }
    let cap = EncodingFault::TooLarge { cap: 999_999 };
    assert_eq!(decode(Codings::NONE, Some(999_999), &small, 4096), Err(cap));
}

#[test]
fn a_bomb_in_a_bomb_is_held_against_what_was_sent() {
    // Of two, each alone stays below the ratio.
    let digit = |n: u32| n.wrapping_mul(2_654_435_761) >> 29;
    let block: String = (0..400).map(|n| format!("{}{}", digit(n), " ".repeat(99))).collect();
    for coding in [Coding::Gzip, Coding::Zstd] {
        let inner = pack(coding, block.as_bytes()).repeat(200);
        let plain = decode(coding, None, &inner, 1000).unwrap();
        let outer = gzip(&inner);
        assert!(decode(Coding::Gzip, None, &outer, 1000).unwrap() == inner);
        assert!(outer.len() * 200 < plain.len(), "{coding} is no bomb");
        let both = codings(&[&format!("{coding}, gzip")]).unwrap();
        assert_eq!(decode(both, None, &outer, 1000), Err(EncodingFault::Bomb), "{coding}");
    }
}

#[test]
fn of_two_codings_both_must_be_whole() {
    let two = codings(&["br, gzip"]).unwrap();
    let body = gzip(&brotli(b"hello", 18));
    assert_eq!(decode(two, None, &body, 1).unwrap(), b"hello");
    let inner = brotli(b"hello", 18);
    let cut = gzip(&inner[..inner.len() - 1]);
    assert_eq!(decode(two, None, &cut, 1), Err(EncodingFault::Truncated(Coding::Brotli)));
    let cut = &body[..body.len() - 1];
    assert_eq!(decode(two, None, cut, 1), Err(EncodingFault::Truncated(Coding::Gzip)));
    let longer = gzip(&[inner, b"x".to_vec()].concat());
    assert_eq!(decode(two, None, &longer, 1), Err(EncodingFault::Trailing(Coding::Brotli)));
    // In the other order it is neither.
    let turned = codings(&["gzip, br"]).unwrap();
    assert!(decode(turned, None, &body, 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_encoded_is_decoded_for_every_split(
        text in prop::collection::vec(any::<u8>(), 0..3000),
        repeats in 1..9_usize,
        size in 1..500_usize,
    ) {
        let text = text.repeat(repeats);
        for coding in ALL {
            prop_assert!(decode(coding, None, &pack(coding, &text), size).unwrap() == text);
        }
        prop_assert!(decode(Coding::Deflate, None, &bare(&text), size).unwrap() == text);
    }

    #[test]
    fn what_was_encoded_twice_is_decoded_for_every_split(
        text in prop::collection::vec(any::<u8>(), 0..3000),
        first in 0..4_usize,
        second in 0..4_usize,
        size in 1..500_usize,
    ) {
        let (first, second) = (ALL[first], ALL[second]);
        let body = pack(second, &pack(first, &text));
        let both = codings(&[&format!("{first}, {second}")]).unwrap();
        prop_assert!(decode(both, None, &body, size).unwrap() == text);
    }

    #[test]
    fn no_junk_makes_a_decoder_panic(
        junk in prop::collection::vec(any::<u8>(), 0..600),
        coding in 0..4_usize,
        place in 0..400_usize,
        size in 1..100_usize,
    ) {
        let coding = ALL[coding];
        let _whatever = decode(coding, Some(1 << 20), &junk, size);
        let mut body = pack(coding, &b"hello, ".repeat(99));
        let place = place % body.len();
        body.splice(place..place, junk);
        let _whatever = decode(coding, Some(1 << 20), &body, size);
    }
}
