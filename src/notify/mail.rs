//! A notice as a mail: RFC 5322 with MIME, text alone, all of it in ASCII.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::settings::MailSettings;

/// Base64 characters of a line.
const LINE: usize = 76;
/// Bytes of a subject that one encoded word takes, so that none is longer than 75 characters.
const WORD: usize = 42;

/// A mail, with lines that end as SMTP wants it; none begins with a dot, since none of ours does and base64 has none.
pub(super) fn message(
    settings: &MailSettings,
    id: &str,
    at_s: i64,
    (subject, text): (&str, &str),
) -> String {
    let date = jiff::Timestamp::from_second(at_s).unwrap_or_default();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S +0000");
    let domain = settings.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let mut mail = format!(
        "From: menshen <{from}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\n\
         Message-ID: <{id}@{domain}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        from = settings.from,
        to = settings.recipients.join(",\r\n "),
        subject = words(subject),
    );
    let body = BASE64_STANDARD.encode(text.replace('\n', "\r\n"));
    for line in body.as_bytes().chunks(LINE) {
        mail.push_str(&String::from_utf8_lossy(line));
        mail.push_str("\r\n");
    }
    mail
}

/// Any text as encoded words (RFC 2047), none of which is split within a character.
fn words(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars().filter(|c| !c.is_control()) {
        let is_full = words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD);
        if is_full {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let coded = |word: &String| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word));
    words.iter().map(coded).collect::<Vec<_>>().join("\r\n ")
}
