//! Content types: what a body is said to be, and whether that is something that can be judged.

use super::charset::Charset;
use crate::policy::Format;

/// Why a body's content type is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeFault {
    /// There is none, so nobody can say what the body is.
    #[error("the body has no content type, expected `application/json`")]
    Missing,
    /// It is not well formed, or there is more than one.
    #[error("the content type is malformed")]
    Malformed,
    /// A type that is not judged.
    #[error(
        "content type `{0}` is not supported, only `application/json` and `application/*+json`"
    )]
    Unsupported(String),
    /// A type that the route does not have.
    #[error("content type `{0}` is none that the route may answer with")]
    Undeclared(String),
    /// A type in which the route takes no body.
    #[error("content type `{0}` is none in which this route takes a body")]
    Unsent(String),
    /// A character encoding that is not read, or not in this format.
    #[error(
        "charset `{0}` is not supported: JSON must be `utf-8`, tables may be in one that is listed"
    )]
    Charset(String),
    /// Rows without one that names their columns.
    #[error("the body says that it has no header row")]
    NoHeader,
}

/// Checks that a message's body is JSON in UTF-8, from the values of all its `Content-Type` fields.
///
/// # Errors
/// A [`ContentTypeFault`] for anything but `application/json` and `application/*+json`.
pub fn check_json<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<(), ContentTypeFault> {
    let (media_type, parameters) = split(fields)?;
    if format_of(&media_type) != Some(Format::Json) {
        return Err(ContentTypeFault::Unsupported(cut(&media_type)));
    }
    utf8_only(charset(parameters)?).map(drop)
}

/// Which of these formats a message's body is in, and in which character encoding, from the values of all
/// its `Content-Type` fields.
///
/// JSON in whatever framing must be in UTF-8 (RFC 8259, 8.1), or in that part of it which is ASCII; what says nothing is
/// in UTF-8.
///
/// # Errors
/// A [`ContentTypeFault`] for any other.
pub fn check_format<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    accepted: &[Format],
) -> Result<(Format, Charset), ContentTypeFault> {
    let (media_type, parameters) = split(fields)?;
    let format = format_of(&media_type).filter(|format| accepted.contains(format));
    let format = format.ok_or_else(|| ContentTypeFault::Undeclared(cut(&media_type)))?;
    let charset = charset(parameters)?;
    if !format.is_table() {
        let charset = if charset.is_ascii() { charset } else { utf8_only(charset)? };
        return Ok((format, charset));
    }
    check_header(parameters)?;
    Ok((format, charset))
}

/// The media type of a body that is not read: in lower case and without parameters, which are checked
/// for their form all the same.
///
/// # Errors
/// A [`ContentTypeFault`] for anything that two readers could take differently.
pub fn media_type<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> Result<String, ContentTypeFault> {
    let (media_type, parameters) = split(fields)?;
    let is_whole = media_type.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
    if !is_whole {
        return Err(ContentTypeFault::Malformed);
    }
    for parameter in each(parameters) {
        parameter?;
    }
    Ok(media_type)
}

fn format_of(media_type: &str) -> Option<Format> {
    let (kind, subtype) = media_type.split_once('/')?;
    match (kind, subtype) {
        ("application", "json") => Some(Format::Json),
        ("application", "x-ndjson" | "ndjson" | "jsonl" | "jsonlines" | "x-jsonlines") => {
            Some(Format::NdJson)
        }
        ("text", "csv") => Some(Format::Csv),
        ("text", "tab-separated-values") => Some(Format::Tsv),
        ("text", "event-stream") => Some(Format::EventStream),
        ("application", "json-seq") => Some(Format::JsonSeq),
        ("application", other) if other.strip_suffix("+json-seq").is_some_and(is_token) => {
            Some(Format::JsonSeq)
        }
        ("application", other) if other.strip_suffix("+json").is_some_and(is_token) => {
            Some(Format::Json)
        }
        _ => None,
    }
}

/// The one content type of a message: type in lower case, and its parameters.
pub(super) fn split<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(String, &'a str), ContentTypeFault> {
    let mut fields = fields.into_iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => return Err(ContentTypeFault::Missing),
        (Some(field), None) => field,
        (Some(_), Some(_)) => return Err(ContentTypeFault::Malformed),
    };
    let Some(field) = std::str::from_utf8(field).ok().filter(|field| field.is_ascii()) else {
        return Err(ContentTypeFault::Malformed);
    };
    let (media_type, parameters) = field.split_once(';').unwrap_or((field, ""));
    Ok((media_type.trim().to_ascii_lowercase(), parameters))
}

pub(super) fn cut(media_type: &str) -> String {
    media_type.chars().take(64).collect()
}

fn is_token(text: &str) -> bool {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_char)
}

/// Each parameter as `name=value` or `name="value"`. What is escaped in quotes is refused: some readers take the escaped
/// quote for the last.
pub(super) fn each(
    parameters: &str,
) -> impl Iterator<Item = Result<(&str, &str), ContentTypeFault>> {
    between_semicolons(parameters).map(str::trim).filter(|part| !part.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').ok_or(ContentTypeFault::Malformed)?;
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').ok_or(ContentTypeFault::Malformed)?,
            None => value,
        };
        if name.contains('"') || value.contains(['"', '\\']) {
            return Err(ContentTypeFault::Malformed);
        }
        Ok((name, value))
    })
}

/// The parts between semicolons that stand outside of quotes.
fn between_semicolons(parameters: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    parameters.split(move |sign| {
        is_quoted ^= sign == '"';
        sign == ';' && !is_quoted
    })
}

/// A `charset` must be UTF-8 and may stand once.
pub(super) fn check_charset(parameters: &str) -> Result<(), ContentTypeFault> {
    utf8_only(charset(parameters)?).map(drop)
}

/// A `charset` must be one that is read, and may stand once.
fn charset(parameters: &str) -> Result<Charset, ContentTypeFault> {
    let mut found = None;
    for parameter in each(parameters) {
        let (name, value) = parameter?;
        if !name.eq_ignore_ascii_case("charset") {
            continue;
        }
        let known = Charset::labelled(value);
        let known =
            known.ok_or_else(|| ContentTypeFault::Charset(value.chars().take(32).collect()));
        if found.replace(known).is_some() {
            return Err(ContentTypeFault::Malformed);
        }
    }
    found.unwrap_or(Ok(Charset::UTF_8))
}

fn utf8_only(charset: Charset) -> Result<Charset, ContentTypeFault> {
    if charset.is_utf8() {
        Ok(charset)
    } else {
        Err(ContentTypeFault::Charset(charset.to_string()))
    }
}

/// Without a header row nobody can say which column is which (RFC 4180, `header`).
fn check_header(parameters: &str) -> Result<(), ContentTypeFault> {
    for parameter in each(parameters) {
        let (name, value) = parameter?;
        if name.eq_ignore_ascii_case("header") && !value.eq_ignore_ascii_case("present") {
            return Err(ContentTypeFault::NoHeader);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_read() {
        let check =
            |fields: &[&'static str]| check_json(fields.iter().map(|field| field.as_bytes()));
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/problem+json",
            "application/json;charset=\"utf-8\"",
            "application/json; charset=utf8",
            "application/graphql-response+json",
            "application/json; profile=x;",
            r#"application/json; profile="a;b""#,
            r#"application/json; profile="a, charset=gbk;b=c"; charset=utf-8;"#,
            r#"application/json;a=";";b=";;""#,
        ] {
            assert_eq!(check(&[good]), Ok(()), "{good}");
        }
        for odd in [
            r#"application/json; profile="a;b"#,
            r#"application/json; profile="a"b";c""#,
            r#"application/json; profile="a\";charset=gbk;b=\"c""#,
            r#"application/json; profile=a";b""#,
            r#"application/json; profile="a"; charset="utf-8;""#,
            r#"application/json; profile="a;b" c"#,
            r#"application/json; "profile;a"=b"#,
        ] {
            assert!(check(&[odd]).is_err(), "{odd}");
        }
        assert_eq!(check(&[]), Err(ContentTypeFault::Missing));
        assert_eq!(check(&["application/json", "text/html"]), Err(ContentTypeFault::Malformed));
        assert_eq!(
            check(&["application/json; charset=gbk"]),
            Err(ContentTypeFault::Charset("gbk".into()))
        );
        assert_eq!(
            check(&["application/json; charset=utf-8; charset=gbk"]),
            Err(ContentTypeFault::Malformed)
        );
        for other in ["utf-16", "utf-16le", "us-ascii", "iso-8859-1", "utf-7", "utf-32", ""] {
            let fault = check_json([format!("application/json; charset={other}").as_bytes()]);
            assert_eq!(fault, Err(ContentTypeFault::Charset(other.into())), "{other}");
        }
        for bad in [
            "application/json-seq",
            "application/geo+json-seq",
            "text/event-stream",
            "text/json",
            "text/plain",
            "application/x-ndjson",
            "application/jsonp",
            "application/+json",
            "application/a b+json",
            "json",
            "",
        ] {
            assert!(matches!(check(&[bad]), Err(ContentTypeFault::Unsupported(_))), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_in_one_of_the_formats_of_its_route() {
        let check =
            |field: &'static str, accepted: &[Format]| check_format([field.as_bytes()], accepted);
        let all: Vec<Format> = Format::NAMES.iter().map(|(_, format)| *format).collect();
        for (field, format) in [
            ("application/json", Format::Json),
            ("application/hal+json; charset=utf-8", Format::Json),
            ("application/x-ndjson", Format::NdJson),
            ("Application/JSONL;charset=UTF-8", Format::NdJson),
            ("text/csv; header=present", Format::Csv),
            ("text/tab-separated-values", Format::Tsv),
            ("application/json-seq", Format::JsonSeq),
            ("application/geo+json-seq", Format::JsonSeq),
            ("text/event-stream; charset=utf-8", Format::EventStream),
        ] {
            assert_eq!(
                check(field, &all),
                Ok((format, Charset::labelled("utf-8").unwrap())),
                "{field}"
            );
            let others: Vec<Format> =
                all.iter().copied().filter(|other| *other != format).collect();
            let refused = check(field, &others);
            assert!(matches!(refused, Err(ContentTypeFault::Undeclared(_))), "{field}");
        }
        for (field, name) in [
            ("application/json; charset=US-ASCII", "us-ascii"),
            ("application/x-ndjson; charset=us-ascii", "us-ascii"),
            ("text/csv; charset=GBK", "gbk"),
            ("text/csv;charset=\"utf-16\"; header=present", "utf-16"),
            ("text/tab-separated-values; charset=euc-kr", "euc-kr"),
        ] {
            let (_, charset) = check(field, &all).unwrap();
            assert_eq!(charset.to_string(), name);
        }
        for (field, label) in [
            ("text/csv; charset=iso-2022-jp", "iso-2022-jp"),
            ("text/csv; charset=utf-7", "utf-7"),
            ("application/x-ndjson; charset=gbk", "gbk"),
            ("application/json-seq; charset=utf-16le", "utf-16le"),
            ("text/event-stream; charset=iso-8859-1", "iso-8859-1"),
        ] {
            assert_eq!(check(field, &all), Err(ContentTypeFault::Charset(label.into())), "{field}");
        }
        for twice in ["text/csv; charset=gbk; charset=gbk", "text/csv; charset=x; Charset=utf-8"] {
            assert_eq!(check(twice, &all), Err(ContentTypeFault::Malformed), "{twice}");
        }
        for headless in [
            "text/csv; header=absent",
            "text/csv;Header=\"Absent\"",
            "text/csv; header=",
            "text/tab-separated-values; header=absent",
        ] {
            assert_eq!(check(headless, &all), Err(ContentTypeFault::NoHeader), "{headless}");
        }
        for other in [
            "text/plain",
            "text/html",
            "text/xml",
            "application/pdf",
            "application/+json-seq",
            "",
            "json",
        ] {
            assert!(matches!(check(other, &all), Err(ContentTypeFault::Undeclared(_))), "{other}");
        }
    }

    #[test]
    fn the_type_of_an_unread_body_has_one_reading_or_is_refused() {
        let read = |field: &'static str| media_type([field.as_bytes()]);
        assert_eq!(read("Application/PDF ; version=1.7").unwrap(), "application/pdf");
        assert_eq!(read(r#"image/png; x="a;b""#).unwrap(), "image/png");
        for bad in [
            "",
            "pdf",
            "/pdf",
            "image/",
            "image/png,text/html",
            "image/png; x",
            r#"image/png; x="a;b"#,
            "a b/c",
            "*/*",
        ] {
            assert_eq!(read(bad), Err(ContentTypeFault::Malformed), "{bad}");
        }
        let twice: [&[u8]; 2] = [b"image/png", b"text/html"];
        assert_eq!(media_type(twice), Err(ContentTypeFault::Malformed));
        assert_eq!(media_type([]), Err(ContentTypeFault::Missing));
    }
}
