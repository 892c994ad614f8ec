//! Tables in other character encodings: what leaves is what leaves of the same table in UTF-8.

use bytes::Bytes;
use menshen::guard::json::Caps;
use menshen::guard::{BodyFault, BodyGuard, Charset, Codings, Wire};
use menshen::policy::Format;

use super::csv::plan;
use super::input::Input;
use super::plans::Desk;

const LABELS: &[(&str, &encoding_rs::Encoding)] = &[
    ("gbk", encoding_rs::GBK),
    ("gb18030", encoding_rs::GB18030),
    ("euc-kr", encoding_rs::EUC_KR),
    ("big5", encoding_rs::BIG5),
    ("shift_jis", encoding_rs::SHIFT_JIS),
    ("euc-jp", encoding_rs::EUC_JP),
    ("tis-620", encoding_rs::WINDOWS_874),
    ("windows-1252", encoding_rs::WINDOWS_1252),
    ("utf-16le", encoding_rs::UTF_16LE),
    ("utf-16be", encoding_rs::UTF_16BE),
];

/// Any bytes as a table in one of the encodings.
pub fn charset(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let (label, encoding) = LABELS[usize::from(input.flags) % LABELS.len()];
    let charset = Charset::labelled(label).expect("it is known");
    let [whole, bytes, pieces] =
        input.splits(input.body).map(|pieces| run(&input, charset, &pieces));
    assert_eq!(whole.is_ok(), bytes.is_ok(), "byte by byte");
    assert_eq!(whole.is_ok(), pieces.is_ok(), "in pieces");
    let Ok(whole) = whole else { return };
    assert_eq!((Some(&whole), Some(&whole)), (bytes.ok().as_ref(), pieces.ok().as_ref()));
    let text = encoding.decode_with_bom_removal(input.body);
    assert!(!text.1, "what stands for no character was let out");
    let text = Bytes::from(text.0.into_owned().into_bytes());
    let plain = run(&input, Charset::UTF_8, &[text]).expect("the same table in UTF-8 passes");
    let mark = "\u{feff}".as_bytes();
    let unmarked = |bytes: &[u8]| bytes.strip_prefix(mark).unwrap_or(bytes).to_vec();
    assert_eq!(unmarked(&whole), unmarked(&plain));
}

fn run(input: &Input<'_>, charset: Charset, pieces: &[Bytes]) -> Result<Vec<u8>, BodyFault> {
    let format = if input.is_odd() { Format::Tsv } else { Format::Csv };
    let wire = Wire { format, charset, codings: Codings::NONE };
    let desk = Desk { room: input.room, taken: vec![] };
    let mut guard = BodyGuard::response(wire, plan(input.plan), Caps::default(), desk);
    let mut output = Vec::new();
    for piece in pieces {
        guard.push(piece.clone())?;
        output.extend(guard.take_output().concat());
    }
    guard.finish()?;
    output.extend(guard.take_output().concat());
    Ok(output)
}
