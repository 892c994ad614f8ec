//! A store that speaks S3: objects by path, requests signed as AWS Signature Version 4 has it.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::batch::Batch;
use super::http::{Answer, ask};
use super::settings::{Endpoint, Form, S3Settings};
use super::{ShipError, read_secret};
use crate::secret::Secret;

/// What a signed path or query may have as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is read of an answer that is no object.
const MOST_OF_ANSWER: usize = 4 * 1024 * 1024;
/// Pages of names that are read; of a thousand names each.
const MOST_PAGES: usize = 1000;
/// How long an answer may take, and how much longer for each piece of what is carried.
const ANSWER: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 60 });
const PIECE_BYTES: usize = 64 * 1024;
const PIECE: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1000 });
/// How long all pages of names may take.
const LISTING: Duration = Duration::from_secs(600);

/// Puts a batch as one object, `PREFIX/NODE/YYYY/MM/DD/FIRST-LAST.ndjson`; sent again, it is the same object.
pub(super) async fn deliver(
    settings: &S3Settings,
    batch: &Batch,
    now_s: i64,
) -> Result<(), ShipError> {
    let (Some((first, last)), Some(oldest)) = (batch.range(), batch.entries.first()) else {
        return Ok(());
    };
    let day = oldest.time.get(..10).unwrap_or("undated").replace('-', "/");
    let ending = match batch.form {
        Form::Json | Form::Ocsf => "ndjson",
        Form::Cef => "cef",
    };
    let name = format!("{}/{day}/{first:020}-{last:020}.{ending}", batch.node);
    Bucket::new(settings).put(&name, batch.lines(), now_s).await
}

/// A bucket, or what of it is below a prefix.
#[derive(Debug)]
pub struct Bucket<'a> {
    settings: &'a S3Settings,
}

impl<'a> Bucket<'a> {
    /// The bucket that is described.
    #[must_use]
    pub fn new(settings: &'a S3Settings) -> Self {
        Self { settings }
    }

    /// Puts an object, in place of one of that name. `now_s` is Unix time in seconds: signatures have a date.
    ///
    /// # Errors
    /// [`ShipError`]; whether the object is there is not known then.
    pub async fn put(&self, name: &str, body: Vec<u8>, now_s: i64) -> Result<(), ShipError> {
        // Where objects are locked, a store wants a checksum.
        let sum = STANDARD.encode(digest(&SHA256, &body));
        let headers = [("x-amz-checksum-sha256", sum)];
        let call = Call { method: Method::PUT, name: Some(name), query: "", headers: &headers };
        let answer = self.ask(&call, body, now_s, MOST_OF_ANSWER).await?;
        answer.of_success(self.endpoint()).map(drop)
    }

    /// An object of at most `most` bytes; nothing if there is none of that name.
    ///
    /// # Errors
    /// [`ShipError`]
    pub async fn get(
        &self,
        name: &str,
        most: usize,
        now_s: i64,
    ) -> Result<Option<Vec<u8>>, ShipError> {
        let call = Call { method: Method::GET, name: Some(name), query: "", headers: &[] };
        let answer = self.ask(&call, Vec::new(), now_s, most).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(answer.of_success(self.endpoint())?.body))
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// [`ShipError`]
    pub async fn remove(&self, name: &str, now_s: i64) -> Result<(), ShipError> {
        let call = Call { method: Method::DELETE, name: Some(name), query: "", headers: &[] };
        let answer = self.ask(&call, Vec::new(), now_s, MOST_OF_ANSWER).await?;
        if answer.status == 404 {
            return Ok(());
        }
        answer.of_success(self.endpoint()).map(drop)
    }

    /// The names of all objects whose names begin so, below the prefix.
    ///
    /// # Errors
    /// [`ShipError`]
    pub async fn list(&self, begin: &str, now_s: i64) -> Result<Vec<String>, ShipError> {
        let slow = |_elapsed| ShipError::Slow { peer: self.endpoint().peer.shown(), time: LISTING };
        tokio::time::timeout(LISTING, self.list_all(begin, now_s)).await.map_err(slow)?
    }

    async fn list_all(&self, begin: &str, now_s: i64) -> Result<Vec<String>, ShipError> {
        let prefix = encoded(&format!("{}{begin}", self.settings.prefix));
        let (mut names, mut after) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            // Sorted, as the signature wants it.
            let query = match after.as_str() {
                "" => format!("list-type=2&prefix={prefix}"),
                last => format!("list-type=2&prefix={prefix}&start-after={}", encoded(last)),
            };
            let call = Call { method: Method::GET, name: None, query: &query, headers: &[] };
            let answer = self.ask(&call, Vec::new(), now_s, MOST_OF_ANSWER).await?;
            let body = answer.of_success(self.endpoint())?.body;
            let text = String::from_utf8_lossy(&body);
            let found: Vec<String> = elements(&text, "Key").map(unescaped).collect();
            let is_last = !elements(&text, "IsTruncated").any(|word| word == "true");
            let Some(last) = found.last() else { break };
            after.clone_from(last);
            let below = |name: &String| name.strip_prefix(&self.settings.prefix).map(str::to_owned);
            names.extend(found.iter().filter_map(below));
            if is_last {
                break;
            }
        }
        Ok(names)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.settings.endpoint
    }

    async fn ask(
        &self,
        call: &Call<'_>,
        body: Vec<u8>,
        now_s: i64,
        most: usize,
    ) -> Result<Answer, ShipError> {
        let keys = Keys::read(&self.settings.credentials)?;
        let mut path = format!("/{}", encoded(&self.settings.bucket));
        if let Some(name) = call.name {
            for segment in format!("{}{name}", self.settings.prefix).split('/') {
                path = format!("{path}/{}", encoded(segment));
            }
        }
        let time = Time::of(now_s);
        let (hash, carried) = (hex(digest(&SHA256, &body).as_ref()), body.len());
        let mut headers = vec![
            ("host", self.endpoint().authority.clone()),
            ("x-amz-content-sha256", hash.clone()),
            ("x-amz-date", time.long.clone()),
        ];
        headers.extend(call.headers.iter().cloned());
        headers.sort_unstable();
        let asked =
            Asked { method: &call.method, path: &path, query: call.query, headers: &headers };
        let authorization = asked.authorization(&hash, &time, &self.settings.region, &keys);
        let uri = if call.query.is_empty() { path } else { format!("{path}?{}", call.query) };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(uri)
            .header("authorization", authorization);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let peer = &self.endpoint().peer;
        let request = request.map_err(|error| peer.refused(error.to_string()))?;
        let time = within(call, carried, most);
        let slow = |_elapsed| ShipError::Slow { peer: peer.shown(), time };
        tokio::time::timeout(time, ask(self.endpoint(), request, most)).await.map_err(slow)?
    }
}

/// How long it may take: one that accepts and never answers must not hold up whoever waits for it.
fn within(call: &Call<'_>, carried: usize, most: usize) -> Duration {
    let comes = if call.method == Method::GET && call.name.is_some() { most } else { 0 };
    let pieces = carried.saturating_add(comes) / PIECE_BYTES;
    ANSWER.saturating_add(PIECE.saturating_mul(u32::try_from(pieces).unwrap_or(u32::MAX)))
}

/// What is asked of a store.
struct Call<'a> {
    method: Method,
    /// Of the object; without one it is the bucket.
    name: Option<&'a str>,
    query: &'a str,
    headers: &'a [(&'static str, String)],
}

/// The id of a key, and the key.
struct Keys {
    id: String,
    key: Secret<String>,
}

impl Keys {
    fn read(file: &Path) -> Result<Self, ShipError> {
        let text = read_secret(file)?;
        let lines = text.expose().split_once('\n');
        let lines = lines.map(|(id, key)| (id.trim(), key.trim()));
        match lines.filter(|(id, key)| is_word(id) && is_word(key)) {
            Some((id, key)) => Ok(Self { id: id.to_owned(), key: Secret::new(key.to_owned()) }),
            None => Err(ShipError::Form {
                path: file.display().to_string(),
                wanted: "two lines, the id of a key and the key",
            }),
        }
    }
}

/// Reads the file of credentials, to see that it can be used.
pub(super) fn check(settings: &S3Settings) -> Result<(), ShipError> {
    Keys::read(&settings.credentials).map(drop)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A moment as signatures have it.
struct Time {
    /// `20150830T123600Z`
    long: String,
    /// `20150830`
    day: String,
}

impl Time {
    fn of(unix_s: i64) -> Self {
        let time = jiff::Timestamp::from_second(unix_s).unwrap_or_default();
        let long = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        Self { long, day: time.strftime("%Y%m%d").to_string() }
    }
}

/// A request as it is signed; headers in order.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    headers: &'a [(&'static str, String)],
}

impl Asked<'_> {
    /// The header that carries the signature.
    fn authorization(&self, body_hash: &str, time: &Time, region: &str, keys: &Keys) -> String {
        let Self { method, path, query, headers } = self;
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body_hash}");
        let scope = format!("{}/{region}/s3/aws4_request", time.day);
        let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", time.long);
        let mut key = Secret::new(format!("AWS4{}", keys.key.expose()).into_bytes());
        for part in [time.day.as_str(), region, "s3", "aws4_request", &to_sign] {
            let hashed =
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), part.as_bytes());
            key = Secret::new(hashed.as_ref().to_vec());
        }
        let (id, signature) = (&keys.id, hex(key.expose()));
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}"
        )
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What stands between the tags of this name, which have no attributes and hold text only.
fn elements<'t>(xml: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inside, further) = after.split_once(&close)?;
        rest = further;
        Some(inside)
    })
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_accepts_and_never_answers_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = dir.path().join("keys");
        std::fs::write(&credentials, "id\nkey\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&credentials, mode).unwrap();
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let endpoint =
            Endpoint::parse(&url, |_| crate::ship::settings::Security::PlainOnLoopback).unwrap();
        let (bucket, prefix, region) = ("b".into(), String::new(), "r".into());
        let settings = S3Settings { endpoint, bucket, prefix, region, credentials };
        let bucket = Bucket::new(&settings);
        let patience = Duration::from_secs(60);
        let put = tokio::time::timeout(patience, bucket.put("a", vec![0; 9], 0)).await;
        assert!(matches!(put.expect("a deadline"), Err(ShipError::Slow { .. })));
        let listed = tokio::time::timeout(patience, bucket.list("", 0)).await;
        assert!(matches!(listed.expect("a deadline"), Err(ShipError::Slow { .. })));
        let call = Call { method: Method::PUT, name: Some("a"), query: "", headers: &[] };
        assert_eq!(within(&call, 128 * 1024, 9), ANSWER + PIECE * 2);
    }

    /// The example of AWS' documentation, "GET Object", without its range.
    #[test]
    fn a_request_is_signed_as_the_documentation_signs_it() {
        let nothing = hex(digest(&SHA256, b"").as_ref());
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com".to_owned()),
            ("range", "bytes=0-9".to_owned()),
            ("x-amz-content-sha256", nothing.clone()),
            ("x-amz-date", "20130524T000000Z".to_owned()),
        ];
        let asked = Asked { method: &Method::GET, path: "/test.txt", query: "", headers: &headers };
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        };
        let signed = asked.authorization(&nothing, &Time::of(1_369_353_600), "us-east-1", &keys);
        let wanted = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(signed.ends_with(wanted), "{signed}");
    }

    #[test]
    fn names_are_read_out_of_a_list() {
        let xml = "<R><IsTruncated>true</IsTruncated><Contents><Key>a/b&amp;c</Key></Contents><Contents><Key>d</Key></Contents></R>";
        let names: Vec<_> = elements(xml, "Key").map(unescaped).collect();
        assert_eq!(names, ["a/b&c", "d"]);
        assert!(elements(xml, "IsTruncated").any(|word| word == "true"));
    }
}
