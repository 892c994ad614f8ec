//! Names inside the texts of holders and budgets: what is not plain is written as `%` and hexadecimal,
//! so that a text has one meaning in every store and in a header.

/// A name in plain ASCII.
pub(super) fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// The name that a text stands for; `None` if [`encoded`] would not have written it.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|name| encoded(name) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_has_one_text() {
        for name in ["", "guests.list", "รายชื่อ", "a;b=c,d%20", "100%"] {
            let text = encoded(name);
            assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b','));
            assert_eq!(decoded(&text).as_deref(), Some(name));
        }
        for text in ["%", "%4", "%61", "%zz", "%2f", "a b", "%FF"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
