//! The bodies of the matrix, each with what must come out of it, byte for byte.

use super::table::Cell;

/// What the test lowers the guard's caps to, so that their edges are cheap to meet.
pub(super) const KEY_BYTES: usize = 64;
pub(super) const VALUE_BYTES: usize = 256;
pub(super) const NUMBER_BYTES: usize = 32;
pub(super) const RECORD_BYTES: usize = 1024;
pub(super) const GAP_BYTES: usize = 16;
pub(super) const DEPTH: usize = 8;
pub(super) const COLUMNS: usize = 8;
/// What leaves at once; more streams.
pub(super) const HELD_BYTES: usize = 2048;

/// What a bomb unpacks to.
pub(super) const BOMB_BYTES: usize = 3_000_000;
/// Which records a large body has; at most so many bytes of one pass.
const LARGE_RECORDS: usize = 100;
const HUGE_RECORDS: usize = 4000;

/// How records stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Json,
    Lines,
    /// Texts behind record separators.
    Sequence,
    /// Events whose data are texts.
    Events,
    Table,
    /// Rows with tabs.
    Tabs,
    /// A body that is not read.
    Unread,
}

/// How a body of this content type is written.
pub(super) fn family(content: &str) -> Family {
    let essence = content.split([';', ',']).next().unwrap().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-ndjson" | "application/jsonl" => Family::Lines,
        "application/json-seq" => Family::Sequence,
        "text/event-stream" => Family::Events,
        "text/csv" => Family::Table,
        "text/tab-separated-values" => Family::Tabs,
        json if json.ends_with("json") => Family::Json,
        "two types in two fields" | "an empty one" | "none at all" => Family::Json,
        _ => Family::Unread,
    }
}

/// Whether these bytes can stand in a body of this content type.
pub(super) fn fits(bytes: &str, content: &str) -> bool {
    match family(content) {
        Family::Json | Family::Lines | Family::Sequence => !bytes.starts_with("table: "),
        Family::Table if encoding(content).is_some() => bytes == "well formed",
        Family::Table => bytes == "well formed" || bytes.starts_with("table: "),
        Family::Tabs | Family::Events | Family::Unread => bytes == "well formed",
    }
}

/// A body, and what must come out of it.
pub(super) struct Body {
    pub(super) sent: Vec<u8>,
    pub(super) wanted: Vec<u8>,
}

impl Body {
    pub(super) fn of(cell: &Cell) -> Self {
        let (content, size) = (cell.value("content"), cell.value("size"));
        if size == "nothing" {
            return Self { sent: Vec::new(), wanted: Vec::new() };
        }
        let family = family(content);
        let (count, pad_to) = match size {
            "small" => (0, None),
            "large" => (LARGE_RECORDS, None),
            "huge" => (HUGE_RECORDS, None),
            "as large as is held" => (10, Some(HELD_BYTES)),
            "one byte larger" => (10, Some(HELD_BYTES + 1)),
            other => panic!("no size `{other}`"),
        };
        let write = |pad: usize| match family {
            Family::Unread => unread(content),
            Family::Table | Family::Tabs => {
                let mut body = table(cell.value("bytes"), count, pad);
                if family == Family::Tabs {
                    body.sent
                        .iter_mut()
                        .chain(&mut body.wanted)
                        .filter(|b| **b == b',')
                        .for_each(|b| *b = b'\t');
                }
                if cell.value("coding").ends_with("bomb") {
                    body.sent.extend(b" ".repeat(BOMB_BYTES));
                }
                in_charset(content, body)
            }
            Family::Json | Family::Lines | Family::Sequence | Family::Events => {
                json(family, cell.value("bytes"), count, pad, cell.value("coding"))
            }
        };
        let plain = write(0);
        match pad_to {
            Some(length) if family != Family::Unread => write(length - plain.wanted.len()),
            Some(_) | None => plain,
        }
    }
}

/// A body that is something else, in the shape that its type says.
fn unread(content: &str) -> Body {
    let sent: &[u8] = match content {
        "application/x-www-form-urlencoded" => b"id=1&note=CANARY",
        "text/html" => b"<!doctype html><p>CANARY</p>",
        "application/xml" => b"<?xml version=\"1.0\"?><id>CANARY</id>",
        "multipart/mixed" | "multipart/byteranges" => {
            b"--x\r\ncontent-type: application/json\r\n\r\n[{\"id\":1,\"note\":\"CANARY\"}]\r\n--x--\r\n"
        }
        "application/pdf" => b"%PDF-1.7 CANARY",
        "application/msgpack" => b"\x82\xa2id\x01\xa4note\xa6CANARY",
        _ => b"[{\"id\":1,\"note\":\"CANARY\"}]",
    };
    Body { sent: sent.to_vec(), wanted: Vec::new() }
}

/// Text by chance, the same each time, that packs to half its size and no less.
fn noise(seed: usize) -> String {
    let mut state = seed as u64;
    (0..4)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            format!("{:016x}", state ^ (state >> 29))
        })
        .collect()
}

/// A record of JSON before and after, without its braces.
type Pair = (Vec<u8>, Option<Vec<u8>>);

fn pair(sent: impl Into<Vec<u8>>, wanted: impl Into<Vec<u8>>) -> Pair {
    (sent.into(), Some(wanted.into()))
}

fn filler(id: usize, pad: usize) -> Pair {
    let note = noise(id) + &"x".repeat(pad);
    pair(
        format!(r#"{{"id":{id},"note":"{note}","phone":"CANARY{id}","secret":"CANARY"}}"#),
        format!(r#"{{"id":{id},"note":"{note}","phone":"***"}}"#),
    )
}

fn json(family: Family, bytes: &str, count: usize, pad: usize, coding: &str) -> Body {
    let level = if family == Family::Json { 2 } else { 1 };
    let mut records: Vec<Pair> =
        (1..=count).map(|id| filler(id, if id == 1 { pad.min(800) } else { 0 })).collect();
    if pad > 800 {
        records[1] = filler(2, pad - 800);
    }
    records.push(odd(bytes, count + 1, level));
    let (open, between, close): (&[u8], &[u8], &[u8]) = match family {
        Family::Json => (b"[", b",", b"]"),
        Family::Sequence => (b"\x1e", b"\n\x1e", b"\n"),
        Family::Events => (b"data: ", b"\n\ndata: ", b"\n\n"),
        Family::Lines | Family::Table | Family::Tabs | Family::Unread => (b"", b"\n", b"\n"),
    };
    let gap = match bytes {
        "white space as long as may be" => GAP_BYTES,
        "white space one byte longer" => GAP_BYTES + 1,
        _ => 0,
    };
    let mut sent = [before(bytes), open].concat();
    let (mut wanted, mut follows) = (open.to_vec(), false);
    for (index, (text, passed)) in records.iter().enumerate() {
        if index > 0 {
            sent.extend_from_slice(between);
        }
        sent.extend(b" ".repeat(gap));
        sent.extend_from_slice(text);
        let Some(passed) = passed else { continue };
        if follows {
            wanted.extend_from_slice(between);
        }
        follows = true;
        wanted.extend(b" ".repeat(if gap > GAP_BYTES { 0 } else { gap }));
        wanted.extend_from_slice(passed);
    }
    if coding.contains("bomb") {
        sent.extend(b" ".repeat(BOMB_BYTES));
    }
    sent.extend_from_slice(match bytes {
        "two roots" if family != Family::Json => br#"{"id":1,"note":"CANARY"}"#.as_slice(),
        "cut in the middle" => b"",
        _ => close,
    });
    sent.extend_from_slice(behind(bytes, family));
    if family != Family::Json && !follows {
        wanted.clear();
    } else {
        wanted.extend_from_slice(close);
    }
    if bytes == "UTF-16 that nobody said" {
        sent = String::from_utf8(sent).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    }
    Body { sent, wanted }
}

fn before(bytes: &str) -> &'static [u8] {
    match bytes {
        "a byte order mark" => b"\xef\xbb\xbf",
        "a prefix against hijacking" => b")]}',CANARY\n",
        _ => b"",
    }
}

fn behind(bytes: &str, family: Family) -> &'static [u8] {
    match (bytes, family) {
        ("two roots", Family::Json) => br#"[{"id":1,"note":"CANARY"}]"#,
        ("rubbish behind", _) => b" CANARY",
        ("a zero byte behind", _) => b"\0CANARY",
        _ => b"",
    }
}

/// The last record, which is the odd one.
fn odd(bytes: &str, id: usize, level: usize) -> Pair {
    if let Some(record) = broken(bytes, id) {
        return (record, None);
    }
    let record = |sent: &str, wanted: &str| {
        let comma = if wanted.is_empty() { "" } else { "," };
        pair(
            format!(r#"{{"id":{id},{sent},"secret":"CANARY"}}"#),
            format!(r#"{{"id":{id}{comma}{wanted}}}"#),
        )
    };
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        record(&format!(r#""new":{open}"CANARY"{close}"#), "")
    };
    let sized = |length: usize| {
        let text = |pad: usize| format!(r#"{{"id":{id},"new":"CANARY{}"}}"#, "x".repeat(pad));
        pair(text(length - text(0).len()), format!(r#"{{"id":{id}}}"#))
    };
    let key = |length: usize| record(&format!(r#""{}":"CANARY""#, "k".repeat(length)), "");
    let masked = |length: usize| {
        record(&format!(r#""phone":"CANARY{}""#, "x".repeat(length - 6)), r#""phone":"***""#)
    };
    match bytes {
        "a key twice" => record(
            r#""note":"a","secret":"CANARY","note":"b","phone":"CANARY1","phone":"CANARY2""#,
            r#""note":"a","note":"b","phone":"***","phone":"***""#,
        ),
        "an escaped key" => record(
            r#""\u0073ecret":"CANARY","s\u0065cret":"CANARY","\u006eote":"n","\u0070hone":"CANARY""#,
            r#""\u006eote":"n","\u0070hone":"***""#,
        ),
        "keys of another case" => {
            record(r#""NOTE":"CANARY","Note":"CANARY","ID":"CANARY","note":"n""#, r#""note":"n""#)
        }
        "a key with an accent apart" => record(
            "\"note\u{301}\":\"CANARY\",\"ｎｏｔｅ\":\"CANARY\",\"nоte\":\"CANARY\",\"note\":\"n\"",
            r#""note":"n""#,
        ),
        "a byte order mark inside a key" => record(
            "\"\u{feff}note\":\"CANARY\",\"note\u{200b}\":\"CANARY\",\"\\ufeffnote\":\"CANARY\",\"note\":\"n\"",
            r#""note":"n""#,
        ),
        "a zero byte escaped in a key" => {
            record(r#""note\u0000":"CANARY","\u0000note":"CANARY","note":"n""#, r#""note":"n""#)
        }
        "an undeclared member" => record(
            r#""new":{"note":"CANARY"},"customer":{"id":1,"note":"CANARY"},"":"CANARY","note":"n""#,
            r#""note":"n""#,
        ),
        "a container in a scalar's place" => record(
            r#""note":["CANARY"],"name":{"note":"CANARY"},"phone":[["CANARY"],{"x":"CANARY"}]"#,
            "",
        ),
        "a scalar in a container's place" => {
            record(r#""address":"CANARY","note":"n""#, r#""note":"n""#)
        }
        "half a surrogate pair in a value" => {
            record(r#""note":"\ud800x\udc00""#, r#""note":"\ud800x\udc00""#)
        }
        "half a surrogate pair in a masked value" => {
            record(r#""phone":"CANARY\ud800""#, r#""phone":"***""#)
        }
        "a number out of every range" => {
            record(r#""note":-1.0E+9999,"name":1e-400"#, r#""note":-1.0E+9999,"name":1e-400"#)
        }
        "a number as long as may be" => record(&number(NUMBER_BYTES), &number(NUMBER_BYTES)),
        "a key as long as may be" => key(KEY_BYTES),
        "a key one byte too long" => key(KEY_BYTES + 1),
        "a masked value as long as may be" => masked(VALUE_BYTES),
        "a masked value one byte too long" => masked(VALUE_BYTES + 1),
        "a record as large as may be" => sized(RECORD_BYTES),
        "a record one byte too large" => sized(RECORD_BYTES + 1),
        "nested as deep as may be" => deep(DEPTH - level),
        "nested one level too deep" => deep(DEPTH - level + 1),
        "a record without its key" => (br#"{"note":"CANARY","secret":"CANARY"}"#.to_vec(), None),
        _ => record(r#""note":"n","phone":"CANARY""#, r#""note":"n","phone":"***""#),
    }
}

fn number(digits: usize) -> String {
    format!(r#""note":{}"#, "7".repeat(digits))
}

/// A record that is no JSON, or that no two readers take alike.
fn broken(bytes: &str, id: usize) -> Option<Vec<u8>> {
    let spoiled = |inside: &[u8]| {
        let head = format!("{{\"id\":{id},");
        [head.as_bytes(), inside, b",\"secret\":\"CANARY\",\"name\":\"CANARY\"}"].concat()
    };
    Some(match bytes {
        "a number one digit too long" => spoiled(number(NUMBER_BYTES + 1).as_bytes()),
        "the record's key twice" => spoiled(br#""id":"CANARY","note":"n""#),
        "half a surrogate pair in a key" => spoiled(br#""\ud800":"CANARY""#),
        "a comma too many" => format!(r#"{{"id":{id},"note":"CANARY",}}"#).into_bytes(),
        "a comment" => spoiled(br#"/* CANARY */"note":"n""#),
        "NaN" => spoiled(br#""note":NaN"#),
        "a leading zero" => spoiled(br#""note":01"#),
        "a bare key" => spoiled(br#"note:"CANARY""#),
        "single quotes" => spoiled(br"'note':'CANARY'"),
        "a bare control character" => spoiled(b"\"note\":\"\x01CANARY\""),
        "an unknown escape" => spoiled(br#""note":"\x41CANARY""#),
        "a wrong bracket" => format!(r#"{{"id":{id},"note":"CANARY"]"#).into_bytes(),
        "a byte that is no UTF-8" => spoiled(b"\"note\":\"\xd5\xc5CANARY\""),
        "an overlong slash" => spoiled(b"\"note\":\"\xc0\xafCANARY\""),
        "a surrogate in UTF-8" => spoiled(b"\"note\":\"\xed\xa0\x80CANARY\""),
        "cut in the middle" => format!(r#"{{"id":{id},"note":"CANA"#).into_bytes(),
        _ => return None,
    })
}

/// A table; its last row or its header is the odd one.
fn table(bytes: &str, count: usize, pad: usize) -> Body {
    let bytes = bytes.strip_prefix("table: ").unwrap_or(bytes);
    let header: String = match bytes {
        "a column twice" => "id,note,phone,note\r\n".to_owned(),
        "no header row" => "1,CANARY,CANARY,CANARY\r\n".to_owned(),
        "another separator" => "id;note;phone;secret\r\n".to_owned(),
        "a column of another case" => "id,note,phone,Note\r\n".to_owned(),
        "an undeclared column" => "id,note,phone,new\r\n".to_owned(),
        "too many columns" => format!("id,note,phone,secret{}\r\n", ",new".repeat(COLUMNS)),
        _ => "id,note,phone,secret\r\n".to_owned(),
    };
    let mut sent = if bytes == "a byte order mark" { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let mut wanted = sent.clone();
    sent.extend_from_slice(header.as_bytes());
    wanted.extend_from_slice(b"id,note,phone\r\n");
    for id in 1..=count {
        let long = match id {
            1 => pad.min(800),
            2 => pad.saturating_sub(800),
            _ => 0,
        };
        let note = noise(id) + &"x".repeat(long);
        sent.extend(format!("{id},{note},CANARY{id},CANARY\r\n").bytes());
        wanted.extend(format!("{id},{note},***\r\n").bytes());
    }
    let (row, passed) = odd_row(bytes, count + 1);
    sent.extend(row);
    wanted.extend(passed.unwrap_or_default());
    Body { sent, wanted }
}

fn odd_row(bytes: &str, id: usize) -> Pair {
    let row = |note: &str, passed: &str| {
        pair(format!("{id},{note},CANARY,CANARY\r\n"), format!("{id},{passed},***\r\n"))
    };
    let spoiled = |rest: &[u8]| ([format!("{id},").as_bytes(), rest, b"\r\n"].concat(), None);
    let cell = |length: usize| format!("{id},n,CANARY{},CANARY\r\n", "x".repeat(length - 6));
    match bytes {
        "a quoted line break" => row("\"a\r\nb,c\"", "\"a\r\nb,c\""),
        "quotes inside quotes" => row("\"a \"\"b\"\"\"", "\"a \"\"b\"\"\""),
        "a formula" => row("=1+1", "\"'=1+1\""),
        "a row without its key" => (b",CANARY,CANARY,CANARY\r\n".to_vec(), None),
        "a cell too many" => spoiled(b"CANARY,CANARY,CANARY,CANARY"),
        "a cell too few" => spoiled(b"CANARY,CANARY"),
        "a bare quote" => spoiled(b"CANA\"RY,CANARY,CANARY"),
        "something behind a quote" => spoiled(b"\"CANARY\"x,CANARY,CANARY"),
        "a bare return" => spoiled(b"CANARY,CANARY,CANARY\rCANARY"),
        "a zero byte" => spoiled(b"CANARY\0,CANARY,CANARY"),
        "a byte that is no UTF-8" => spoiled(b"\xd5\xc5CANARY,CANARY,CANARY"),
        "a quote without end" => spoiled(b"\"CANARY,CANARY,CANARY"),
        "a masked cell one byte too long" => (cell(VALUE_BYTES + 1).into(), None),
        "a row one byte too large" => {
            let text = |pad: usize| format!("{id},n,,CANARY{}\r\n", "x".repeat(pad));
            (text(RECORD_BYTES + 1 - text(0).len()).into(), None)
        }
        _ => row("n", "n"),
    }
}

/// The character encoding of a table, if it is said to be in another one than UTF-8.
pub(super) fn encoding(content: &str) -> Option<&'static encoding_rs::Encoding> {
    let label = content.split_once("charset=")?.1.split(' ').next()?;
    encoding_rs::Encoding::for_label(label.as_bytes()).filter(|known| *known != encoding_rs::UTF_8)
}

/// A table in the character encoding of its type, with a row in the script that it is for.
fn in_charset(content: &str, mut body: Body) -> Body {
    let Some(encoding) = encoding(content) else { return body };
    let note = match encoding.name() {
        "GBK" | "gb18030" => "张三丰",
        "EUC-KR" => "홍길동",
        "windows-874" => "สมชาย",
        "windows-1252" => "Müller",
        _ => "张ü한ส😀",
    };
    let row = |phone: &str, end: &str| format!("9999,{note},{phone}{end}\r\n");
    body.sent.extend(row("CANARY", ",CANARY").bytes());
    body.wanted.extend(row("***", "").bytes());
    if content.ends_with("that is UTF-8") {
        body.sent.extend_from_slice("9998,\u{20ac},CANARY,CANARY\r\n".as_bytes());
        return body;
    }
    let text = String::from_utf8(body.sent).unwrap();
    body.sent = match encoding.name() {
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => encoding.encode(&text).0.into_owned(),
    };
    if content.ends_with("charset=utf-16") {
        body.sent.splice(0..0, *b"\xff\xfe");
        body.wanted.splice(0..0, *b"\xef\xbb\xbf");
    }
    body
}
