//! Content types: what is taken for a format is named so by no other reading.

use menshen::guard::{check_format, check_json, media_type};
use menshen::policy::Format;

/// Any bytes as one content type, or as two where a line break stands between.
pub fn content_type(data: &[u8]) {
    let fields: Vec<&[u8]> = data.splitn(3, |byte| *byte == b'\n').collect();
    let all: Vec<Format> = Format::NAMES.iter().map(|(_, format)| *format).collect();
    let checked = check_format(fields.iter().copied(), &all);
    let json = check_json(fields.iter().copied());
    // ASCII is for answers alone.
    let is_utf8_json = matches!(checked, Ok((Format::Json, charset)) if charset.is_utf8());
    assert_eq!(json.is_ok(), is_utf8_json);
    let Ok((format, charset)) = checked else { return };
    assert_eq!(fields.len(), 1, "one field");
    let text = std::str::from_utf8(data).expect("ASCII").to_ascii_lowercase();
    let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let essence = essence.trim();
    assert_eq!(media_type(fields.iter().copied()).as_deref(), Ok(essence));
    match format {
        Format::Json => assert!(essence == "application/json" || essence.ends_with("+json")),
        Format::NdJson => {
            assert!(["ndjson", "jsonl", "jsonlines"].iter().any(|end| essence.ends_with(end)));
        }
        Format::JsonSeq => assert!(essence.ends_with("json-seq")),
        Format::EventStream => assert_eq!(essence, "text/event-stream"),
        Format::Csv => assert_eq!(essence, "text/csv"),
        Format::Tsv => assert_eq!(essence, "text/tab-separated-values"),
    }
    let mut is_quoted = false;
    let ends = |sign| {
        is_quoted ^= sign == '"';
        sign == ';' && !is_quoted
    };
    let charsets: Vec<&str> = parameters
        .split(ends)
        .filter_map(|parameter| parameter.trim().strip_prefix("charset="))
        .collect();
    assert!(charsets.len() <= 1, "{text}");
    let named = charsets.first().map_or("utf-8", |name| name.trim_matches('"'));
    assert!(charset.is_utf8() == matches!(named, "utf-8" | "utf8"), "{text}");
    let is_table = matches!(format, Format::Csv | Format::Tsv);
    assert!(charset.is_utf8() || is_table || named == "us-ascii", "{text}");
    // Another format must not be reached by declaring fewer.
    for one in all {
        let alone = check_format(fields.iter().copied(), &[one]);
        assert_eq!(alone.is_ok(), one == format);
    }
}
