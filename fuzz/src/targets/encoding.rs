//! The decoder of content codings beside the libraries' own readers, and what it gives in whatever coding.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use menshen::guard::encoding::Decoder;
use menshen::guard::{Codings, EncodingFault};

use super::input::Input;

/// A way to pack a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Plain,
    Gzip,
    /// gzip in two members.
    Members,
    /// gzip without compression.
    Stored,
    Zlib,
    /// deflate without a frame.
    Raw,
    Brotli,
    Zstd,
    /// Zstandard in two frames.
    Frames,
    /// zlib in gzip.
    Twice,
}

/// All ways, and what a backend calls them.
pub const WAYS: &[(&str, Way)] = &[
    ("identity", Way::Plain),
    ("gzip", Way::Gzip),
    ("x-gzip", Way::Members),
    ("gzip", Way::Stored),
    ("deflate", Way::Zlib),
    ("deflate", Way::Raw),
    ("br", Way::Brotli),
    ("zstd", Way::Zstd),
    ("zstd", Way::Frames),
    ("deflate, gzip", Way::Twice),
];

/// The codings that such a field names.
pub fn codings(field: &str) -> Codings {
    Codings::of([field.as_bytes()]).expect("a field of the list is known")
}

/// Packs a body.
pub fn encode(way: Way, body: &[u8]) -> Vec<u8> {
    let (first, second) = body.split_at(body.len() / 2);
    match way {
        Way::Plain => body.to_vec(),
        Way::Gzip => gzip(body, Compression::best()),
        Way::Members => {
            [gzip(first, Compression::fast()), gzip(second, Compression::best())].concat()
        }
        Way::Stored => gzip(body, Compression::none()),
        Way::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes it")
        }
        Way::Raw => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes it")
        }
        Way::Brotli => {
            let mut packed = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut packed, 4096, 5, 18);
            writer.write_all(body).and_then(|()| writer.flush()).expect("a vector takes it");
            drop(writer);
            packed
        }
        Way::Zstd => zstd::bulk::compress(body, 3).expect("a vector takes it"),
        Way::Frames => [encode(Way::Zstd, first), encode(Way::Zstd, second)].concat(),
        Way::Twice => gzip(&encode(Way::Zlib, body), Compression::fast()),
    }
}

fn gzip(body: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes it")
}

/// Any bytes as a packed body: what comes out is what a library's reader gives, for any split; any
/// bytes as a field that names codings.
pub fn decoder(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    drop(Codings::of([input.body]));
    let (field, _) = WAYS[usize::from(input.flags) % WAYS.len()];
    let cap = (input.room < 8).then(|| input.room as u64 * 1000);
    let decoded = |pieces: Vec<Bytes>| decode(codings(field), cap, &pieces);
    let [whole, bytes, pieces] = input.splits(input.body).map(decoded);
    assert_eq!(kind(&whole), kind(&bytes), "byte by byte");
    assert_eq!(kind(&whole), kind(&pieces), "in pieces");
    let theirs = match field {
        "identity" => Some(input.body.to_vec()),
        "gzip" | "x-gzip" => gunzip(input.body),
        _ => return,
    };
    match (whole, theirs) {
        (Ok(ours), theirs) => assert_eq!(Some(ours), theirs),
        (Err(EncodingFault::Bomb | EncodingFault::TooLarge { .. }), _) | (Err(_), None) => {}
        (Err(fault), Some(theirs)) => panic!("{fault}, though it holds {} bytes", theirs.len()),
    }
}

/// A body, or that there is none: a bomb may be seen at its size or at its damage, depending on the split.
fn kind(outcome: &Result<Vec<u8>, EncodingFault>) -> Option<&Vec<u8>> {
    outcome.as_ref().ok()
}

/// What was packed comes out again, in every way and for every split.
pub fn round_trip(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let (field, way) = WAYS[usize::from(input.flags) % WAYS.len()];
    let packed = encode(way, input.body);
    for pieces in input.splits(&packed) {
        let outcome = decode(codings(field), None, &pieces);
        assert_eq!(outcome.as_deref(), Ok(input.body), "{way:?}");
    }
    // Whatever is cut off its end is missed.
    let cut = packed.len().saturating_sub(1 + usize::from(input.plan) % 4);
    if way != Way::Plain && !input.body.is_empty() {
        let pieces = [Bytes::copy_from_slice(&packed[..cut])];
        let outcome = decode(codings(field), None, &pieces);
        assert!(outcome.is_err(), "{way:?} cut to {cut} of {}", packed.len());
    }
}

fn decode(codings: Codings, cap: Option<u64>, pieces: &[Bytes]) -> Result<Vec<u8>, EncodingFault> {
    let mut decoder = Decoder::new(codings, cap);
    let mut text = Vec::new();
    for piece in pieces {
        decoder.push(piece.clone(), |piece| {
            text.extend(piece);
            Ok::<(), EncodingFault>(())
        })?;
    }
    decoder.finish()?;
    Ok(text)
}

/// What the library's reader unpacks; `None` where it meets a fault, up to 64 MB.
fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut reader = MultiGzDecoder::new(body).take(64_000_000);
    reader.read_to_end(&mut text).ok()?;
    Some(text)
}
