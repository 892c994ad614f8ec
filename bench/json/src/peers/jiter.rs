//! Values that are skipped are copied as they stand; inside objects and arrays it goes on.

use bytes::Bytes;
use jiter::{Jiter, Peek};

use super::{begin_member, comma};
use crate::job::{Fate, Job, write_masked};

pub fn copy(job: &Job, body: &Bytes) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut reader = Jiter::new(body);
    let peek = reader.peek().expect("a value");
    value(job, &mut reader, peek, &mut out, &mut String::new());
    reader.finish().expect("the end");
    out
}

fn value(job: &Job, reader: &mut Jiter<'_>, peek: Peek, out: &mut Vec<u8>, name: &mut String) {
    match peek {
        Peek::Object => object(job, reader, out, name),
        Peek::Array => array(job, reader, out, name),
        _ => {
            let start = reader.current_index();
            reader.known_skip(peek).expect("a value");
            out.extend_from_slice(reader.slice_to_current(start));
        }
    }
}

fn array(job: &Job, reader: &mut Jiter<'_>, out: &mut Vec<u8>, name: &mut String) {
    out.push(b'[');
    let mut is_first = true;
    let mut next = reader.known_array().expect("an array");
    while let Some(peek) = next {
        comma(&mut is_first, out);
        value(job, reader, peek, out, name);
        next = reader.array_step().expect("an element");
    }
    out.push(b']');
}

fn object(job: &Job, reader: &mut Jiter<'_>, out: &mut Vec<u8>, name: &mut String) {
    out.push(b'{');
    let mut is_first = true;
    let mut is_open = keep(reader.known_object().expect("an object"), name);
    while is_open {
        let peek = reader.peek().expect("a value");
        match job.fate(name) {
            Fate::Dropped => reader.known_skip(peek).expect("a value"),
            Fate::Masked(mask) if peek == Peek::String => {
                begin_member(&mut is_first, name, out);
                write_masked(mask, reader.known_str().expect("a text"), out);
            }
            Fate::Masked(_) | Fate::Passes => {
                begin_member(&mut is_first, name, out);
                value(job, reader, peek, out, name);
            }
        }
        is_open = keep(reader.next_key().expect("a name"), name);
    }
    out.push(b'}');
}

/// The name that was read, if one was, outlives the reader's next step.
#[inline]
fn keep(found: Option<&str>, name: &mut String) -> bool {
    name.clear();
    found.map(|found| name.push_str(found)).is_some()
}
