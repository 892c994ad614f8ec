//! The context of a trace as it travels in headers (W3C Trace Context, levels 1 and 2): read strictly, and what of it
//! cannot be read is as if it had not been there.

use std::fmt;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// Which trace a request belongs to, and under which span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems on the way added to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Version, trace, span and flags with their hyphens.
const PARENT_BYTES: usize = 55;
/// The longest of a later version that is looked at.
const LONGEST_PARENT: usize = 256;
/// The longest state that must be passed on (section 3.3.1.5); a longer one is left out.
const LONGEST_STATE: usize = 512;
/// The most members of a state.
const MOST_MEMBERS: usize = 32;
const SAMPLED: u8 = 1;

/// The id of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub(super) [u8; 16]);

/// The id of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub(super) [u8; 8]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What somebody trusted says of the trace that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) is_sampled: bool,
    pub(super) state: Option<HeaderValue>,
}

impl Parent {
    /// Reads the headers of a request; nothing if they do not name exactly one parent.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        let (trace, span, flags) = parent(line.as_bytes())?;
        Some(Self { trace, span, is_sampled: flags & SAMPLED != 0, state: state(headers) })
    }
}

/// What is told to whoever is asked next.
pub(super) fn told(trace: TraceId, span: SpanId, is_sampled: bool) -> Option<HeaderValue> {
    let flags = u8::from(is_sampled);
    HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")).ok()
}

fn parent(line: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    let (known, more) = line.split_at_checked(PARENT_BYTES)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let [version] = hex::<1>(parts.next()?)?;
    let trace = hex::<16>(parts.next()?)?;
    let span = hex::<8>(parts.next()?)?;
    let [flags] = hex::<1>(parts.next()?)?;
    let is_whole = match version {
        0 => more.is_empty(),
        // What a later version adds stands behind another hyphen.
        1..=254 => more.is_empty() || (more.starts_with(b"-") && line.len() <= LONGEST_PARENT),
        255 => false,
    };
    let is_one = is_whole && parts.next().is_none() && trace != [0; 16] && span != [0; 8];
    is_one.then_some((TraceId(trace), SpanId(span), flags))
}

/// Lower-case digits, as many as fill the array.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (value(*high)? << 4) | value(*low)?;
    }
    Some(bytes)
}

/// The state in one line, if all of it can be read.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut members: Vec<&str> = Vec::new();
    for line in headers.get_all(TRACESTATE) {
        for member in line.to_str().ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']);
            // Empty ones may stand there and say nothing.
            if !member.is_empty() {
                members.push(member);
            }
            if members.len() > MOST_MEMBERS {
                return None;
            }
        }
    }
    let mut keys: Vec<&str> = Vec::new();
    for member in &members {
        let (key, value) = member.split_once('=')?;
        if !is_key(key) || !is_value(value) || keys.contains(&key) {
            return None;
        }
        keys.push(key);
    }
    let line = members.join(",");
    (!line.is_empty() && line.len() <= LONGEST_STATE).then(|| HeaderValue::try_from(line).ok())?
}

/// `vendor`, or `tenant@vendor`.
fn is_key(key: &str) -> bool {
    let may = |text: &str| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/".contains(&b))
    };
    let begins = |text: &str, digits: bool| {
        text.bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || (digits && b.is_ascii_digit()))
    };
    match key.split_once('@') {
        None => key.len() <= 256 && begins(key, false) && may(key),
        Some((tenant, vendor)) => {
            let fits = tenant.len() <= 241 && vendor.len() <= 14;
            fits && begins(tenant, true) && may(tenant) && begins(vendor, false) && may(vendor)
        }
    }
}

fn is_value(value: &str) -> bool {
    let may = |byte: u8| matches!(byte, 0x20..=0x2b | 0x2d..=0x3c | 0x3e..=0x7e);
    (1..=256).contains(&value.len()) && value.bytes().all(may) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// All of it but the version.
    const REST: &str = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(lines: &[(&'static str, &str)]) -> Option<Parent> {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        Parent::read(&headers)
    }

    fn state_of(lines: &[&str]) -> Option<String> {
        let mut all = vec![("traceparent", GOOD)];
        all.extend(lines.iter().map(|line| ("tracestate", *line)));
        let state = read(&all).unwrap().state;
        state.map(|state| state.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_example_of_the_recommendation_reads_and_is_told_alike() {
        let parent = read(&[("traceparent", GOOD)]).unwrap();
        assert!(parent.is_sampled && parent.state.is_none());
        assert_eq!(told(parent.trace, parent.span, true).unwrap(), GOOD);
        let unsampled = GOOD.replace("-01", "-00");
        assert!(!read(&[("traceparent", &unsampled)]).unwrap().is_sampled);
        // Of the flags one is known.
        assert!(read(&[("traceparent", &GOOD.replace("-01", "-ff"))]).unwrap().is_sampled);
    }

    #[test]
    fn what_is_no_parent_is_none() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let long = format!("cc{REST}-{}", "a".repeat(300));
        for bad in [
            "",
            "-",
            "---",
            &GOOD.to_uppercase(),
            GOOD.strip_suffix('1').unwrap(),
            &format!("{GOOD}-00"),
            &format!("{GOOD} "),
            &format!("ff-{trace}-{span}-01"),
            &format!("0x-{trace}-{span}-01"),
            &format!("00-{}-{span}-01", "0".repeat(32)),
            &format!("00-{trace}-{}-01", "0".repeat(16)),
            &format!("00-{trace}-{span}-0g"),
            &format!("00-{trace}{span}--01"),
            &format!("00-{trace}-{span}_01"),
            &format!("01-{trace}-{span}-01x"),
            &"a".repeat(4000),
            "\u{e9}0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &long,
        ] {
            assert_eq!(read(&[("traceparent", bad)]), None, "{bad}");
        }
        assert_eq!(read(&[("traceparent", GOOD), ("traceparent", GOOD)]), None);
        assert_eq!(read(&[("tracestate", "a=1")]), None);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_this_one_goes() {
        let later = format!("cc{REST}");
        assert!(read(&[("traceparent", &later)]).is_some());
        assert!(read(&[("traceparent", &format!("{later}-what-comes"))]).is_some());
        assert!(read(&[("traceparent", &format!("{later}.what"))]).is_none());
    }

    #[test]
    fn a_state_passes_whole_or_not_at_all() {
        let good = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";
        assert_eq!(state_of(&[good]).unwrap(), good);
        assert_eq!(state_of(&["a=1 , ,b@x/y=2"]).unwrap(), "a=1,b@x/y=2");
        assert_eq!(state_of(&["a=1,", "\t2t@v=x y"]).unwrap(), "a=1,2t@v=x y");
        assert_eq!(state_of(&[]), None);
        assert_eq!(state_of(&["", ","]), None);
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=1")).collect();
        assert!(state_of(&[&many[..32].join(",")]).is_some());
        for bad in [
            &many.join(","),
            "a",
            "=1",
            "a=",
            "A=1",
            "1a=1",
            "a=1,a=2",
            "a=b=c",
            "a=\u{e9}",
            "a=1;b\u{7}",
            "a@=1",
            "@a=1",
            &format!("a={}", "v".repeat(257)),
            &format!("{}=1", "k".repeat(257)),
            &format!("a={},b={}", "v".repeat(256), "v".repeat(256)),
        ] {
            let Ok(_a_header_at_all) = HeaderValue::from_str(bad) else { continue };
            assert_eq!(state_of(&[bad]), None, "{bad}");
        }
    }
}
