//! JSON texts in sequences and in streams of events: read and judged as lines are, and framed anew.

use bytes::Bytes;
use menshen::guard::json::Caps;
use menshen::guard::{BodyFault, BodyGuard, Charset, Codings, Wire};
use menshen::policy::Format;

use super::input::Input;
use super::json::{is_cap, naive};
use super::plans::{Desk, plan};
use super::tree::{Tree, may_hold_surrogate, read};

/// Any bytes as a JSON text sequence (RFC 7464).
pub fn sequence(data: &[u8]) {
    judge(data, Format::JsonSeq, |body| {
        let Some((first, texts)) = body
            .split(|byte| *byte == 0x1e)
            .collect::<Vec<_>>()
            .split_first()
            .map(|(f, t)| (*f, t.to_vec()))
        else {
            return Some(Vec::new());
        };
        let is_ended = texts.iter().all(|text| text.is_empty() || text.ends_with(b"\n"));
        (first.is_empty() && is_ended).then(|| texts.into_iter().map(<[u8]>::to_vec).collect())
    });
}

/// Any bytes as a stream of events.
pub fn events(data: &[u8]) {
    judge(data, Format::EventStream, |body| {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut text = body.to_vec();
        // CR LF and CR end a line as LF does.
        let mut plain = Vec::new();
        let mut bytes = text.drain(..).peekable();
        while let Some(byte) = bytes.next() {
            plain.push(if byte == b'\r' { b'\n' } else { byte });
            if byte == b'\r' {
                bytes.next_if_eq(&b'\n');
            }
        }
        let mut events = Vec::new();
        let mut data: Option<Vec<u8>> = None;
        let mut lines = plain.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let is_last = lines.peek().is_none();
            let value = match line.strip_prefix(b"data") {
                Some(b"") => Some(&b""[..]),
                Some([b':', b' ', rest @ ..] | [b':', rest @ ..]) => Some(rest),
                _ => None,
            };
            // What was begun and not ended is refused.
            if is_last
                && (data.is_some()
                    || value.is_some()
                    || b"data".starts_with(line) && !line.is_empty())
            {
                return None;
            }
            if let Some(value) = value {
                match &mut data {
                    Some(data) => data.extend([b"\n", value].concat()),
                    None => data = Some(value.to_vec()),
                }
            }
            if line.is_empty() {
                events.extend(data.take());
            }
        }
        Some(events)
    });
}

/// `deframe` gives the texts as one would without caring for memory; `None` for what must be refused.
fn judge(data: &[u8], format: Format, deframe: impl Fn(&[u8]) -> Option<Vec<Vec<u8>>>) {
    let Some(input) = Input::of(data) else { return };
    let plan = plan(input.plan);
    let run = |pieces: &[Bytes]| {
        let wire = Wire { format, charset: Charset::UTF_8, codings: Codings::NONE };
        let desk = Desk { room: input.room, taken: vec![] };
        let mut guard = BodyGuard::response(wire, plan.clone(), Caps::default(), desk);
        let mut output = Vec::new();
        for piece in pieces {
            guard.push(piece.clone())?;
            output.extend(guard.take_output().concat());
        }
        guard.finish()?;
        output.extend(guard.take_output().concat());
        Ok::<_, BodyFault>((output, guard.hooks().taken.clone()))
    };
    let texts = |output: &[u8]| -> Option<Vec<Tree>> {
        let is_blank = |text: &Vec<u8>| text.iter().all(u8::is_ascii_whitespace);
        let texts = deframe(output)?.into_iter().filter(|text| !is_blank(text));
        texts.map(|text| read(&text, 9)).collect()
    };
    let [whole, bytes, pieces] = input.splits(input.body).map(|pieces| run(&pieces));
    for split in [&bytes, &pieces] {
        match (&whole, split) {
            (Ok((one, taken)), Ok((other, counted))) => {
                assert_eq!((texts(one), taken), (texts(other), counted));
            }
            (Err(_), Err(_)) => {}
            (one, other) => panic!("{one:?}, in pieces {other:?}"),
        }
    }
    if may_hold_surrogate(input.body) {
        return;
    }
    let shown = input.body.escape_ascii();
    let wanted = texts(input.body).and_then(|texts| naive(&plan, input.room).lines(&texts).ok());
    match (whole, wanted) {
        (Ok((output, _)), Some(wanted)) => {
            assert_eq!(texts(&output), Some(wanted), "{shown} gives {}", output.escape_ascii());
        }
        (Err(_), None) => {}
        (Err(BodyFault::Json(fault)), Some(_)) if is_cap(&fault) => {}
        (got, wanted) => panic!("{shown} gives {got:?}, not {wanted:?}"),
    }
}
