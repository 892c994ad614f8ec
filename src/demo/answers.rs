//! How the backend words its answers: compact, pretty-printed, in ASCII only, compressed, and
//! errors that say far too much.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, SERVER, VARY};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use serde::Serialize;
use serde_json::json;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::export::Export;
use super::people::Customer;

/// What the backend sends: a held answer or a streamed export.
pub(super) type AnswerBody = Either<Full<Bytes>, Export>;
pub(super) type Answer = Response<AnswerBody>;

/// One record, pretty-printed, with headers that betray it as careless backends do.
pub(super) fn record(customer: &Customer) -> Answer {
    let mut answer = json_answer(StatusCode::OK, written(customer, PrettyFormatter::new()));
    let headers = answer.headers_mut();
    if let Ok(phone) = HeaderValue::from_str(&customer.phone) {
        headers.insert("x-customer-phone", phone);
    }
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}-{}\"", customer.id, customer.phone)) {
        headers.insert(ETAG, tag);
    }
    answer
}

/// A value without white space.
pub(super) fn compact(status: StatusCode, value: &impl Serialize) -> Answer {
    json_answer(status, written(value, CompactFormatter))
}

/// A value with everything beyond ASCII escaped, as many frameworks write it; compressed if asked.
pub(super) fn ascii(value: &impl Serialize, gzip: bool) -> Answer {
    let text = written(value, AsciiFormatter(CompactFormatter));
    if !gzip {
        return json_answer(StatusCode::OK, text);
    }
    let compressed = text.and_then(|text| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text)?;
        encoder.finish()
    });
    let mut answer = json_answer(StatusCode::OK, compressed);
    answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    answer
}

/// The stream of an export.
pub(super) fn export(export: Export) -> Answer {
    let mut answer = Response::new(Either::Right(export));
    dress(&mut answer);
    answer
}

/// An error that gives away a customer's data, the query and the code, as real ones do.
pub(super) fn fault(status: StatusCode, message: &str, example: Option<&Customer>) -> Answer {
    let nearest = example.map(|c| json!({"id": c.id, "name": c.name, "phone": c.phone}));
    let value = json!({
        "error": status.canonical_reason().unwrap_or("error"),
        "message": message,
        "nearest": nearest,
        "sql": "SELECT * FROM customers WHERE id = $1 /* crm-db-3.internal */",
        "trace": ["crm.customers.Repository.load:118", "crm.http.Dispatcher.call:57"],
    });
    compact(status, &value)
}

fn written<F: Formatter>(value: &impl Serialize, formatter: F) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, formatter))?;
    Ok(text)
}

fn json_answer(status: StatusCode, text: io::Result<Vec<u8>>) -> Answer {
    let (status, text) = match text {
        Ok(text) => (status, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, b"{\"error\":\"serializer\"}".to_vec()),
    };
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(text))));
    *answer.status_mut() = status;
    dress(&mut answer);
    answer
}

fn dress(answer: &mut Answer) {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(SERVER, HeaderValue::from_static("crm/4.2 (node crm-7.internal)"));
}

/// Escapes every character beyond ASCII, those beyond the basic plane as two surrogates.
struct AsciiFormatter(CompactFormatter);

impl Formatter for AsciiFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if character.is_ascii() {
                self.0.write_string_fragment(writer, character.encode_utf8(&mut [0; 4]))?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_is_ascii_and_reads_back_the_same() {
        let text = "王𬭎 said \"ครับ\"\n😊";
        let ascii = written(&text, AsciiFormatter(CompactFormatter)).unwrap();
        assert!(ascii.is_ascii());
        assert!(String::from_utf8_lossy(&ascii).contains("\\ud83d\\ude0a"));
        assert_eq!(serde_json::from_slice::<String>(&ascii).unwrap(), text);
    }
}
