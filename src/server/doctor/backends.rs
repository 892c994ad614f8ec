//! Backends: whether each can be reached and is who it should be, believes the gate alone, and has the same time.

use std::time::Duration;

use http::StatusCode;

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::upstream::{
    Address, ProbeError, Probed, Settings, Timeouts, Transport, UpstreamError, probe,
};

/// For each step.
const DEADLINE: Duration = Duration::from_secs(5);
/// A clock that differs more makes tokens and codes fail.
const MOST_APART_S: i64 = 5;

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for upstream in &config.upstreams {
        let asserts = config.vouching.contains_key(&upstream.name);
        let upstream = &hurried(upstream);
        for address in &upstream.addresses {
            findings.extend(Backend { upstream, address }.examined(asserts).await);
        }
    }
    findings
}

/// One address of an upstream.
#[derive(Clone, Copy)]
struct Backend<'a> {
    upstream: &'a Settings,
    address: &'a Address,
}

impl Backend<'_> {
    async fn examined(self, asserts: bool) -> Vec<Finding> {
        let about = match self.upstream.addresses.as_slice() {
            [_only] => format!("backend {}", self.upstream.name),
            _ => format!("backend {} at {}", self.upstream.name, self.address),
        };
        let answer = match probe(self.upstream, self.address, true).await {
            Ok(answer) => answer,
            Err(error) => return vec![Finding::bad(about, error.to_string())],
        };
        let mut findings =
            vec![Finding::good(&about, "it can be reached, and is who it should be")];
        findings.extend(clock(&about, &answer));
        findings.push(self.alone(&about, asserts, &answer).await);
        findings
    }

    /// Whether it can know that it is the gate that asks.
    async fn alone(self, about: &str, asserts: bool, shown: &Probed) -> Finding {
        let about = format!("{about}, only us");
        let transport = &self.upstream.transport;
        let shows = matches!(transport, Transport::Tls(tls) if tls.identity.is_some());
        if !shows && asserts {
            let said = "it is given a signed assertion; whether it checks that, `backend.md` says how to try";
            return Finding::good(about, said);
        }
        if !shows {
            let said = "nothing tells it that the gate asks: `certificate` or `assertion`, and a network that lets nobody else through";
            return Finding::warning(about, said);
        }
        let unshown = probe(self.upstream, self.address, false).await;
        match Lets::of(unshown, shown.status) {
            Lets::Nobody => {
                Finding::good(about, "it refuses whoever comes without our certificate")
            }
            Lets::Anybody => Finding::bad(
                about,
                "it answered somebody who showed no certificate: have it demand ours, else whoever reaches it walks around the gate",
            ),
            Lets::Unknown(why) => {
                let try_it = "ask it yourself for something that it gives the gate";
                Finding::warning(about, format!("cannot be told, since {why}: {try_it}"))
            }
        }
    }
}

/// The same without the patience that requests have.
fn hurried(upstream: &Settings) -> Settings {
    let Timeouts { connect, tls, head, .. } = upstream.timeouts;
    let [connect, tls, head] = [connect, tls, head].map(|limit| limit.min(DEADLINE));
    let timeouts = Timeouts { connect, tls, head, ..upstream.timeouts };
    Settings { timeouts, ..upstream.clone() }
}

/// Whom a backend lets in that shows no certificate.
#[derive(Debug, PartialEq, Eq)]
enum Lets {
    Nobody,
    Anybody,
    Unknown(String),
}

impl Lets {
    /// By what came of asking without the certificate, and the status with it.
    fn of(unshown: Result<Probed, ProbeError>, shown: StatusCode) -> Self {
        match unshown {
            Err(ProbeError::Upstream(UpstreamError::Tls(_) | UpstreamError::Closed(_))) => {
                Self::Nobody
            }
            Err(error) => Self::Unknown(error.to_string()),
            Ok(Probed { status, .. }) if !is_refusal(status) => Self::Anybody,
            Ok(Probed { status, .. }) if is_refusal(shown) => Self::Unknown(format!(
                "it answered {status} without our certificate and {shown} with it"
            )),
            Ok(_) => Self::Nobody,
        }
    }
}

/// 400 and 403 are what servers say that look at the certificate after the handshake; 49x is nginx's own.
fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 421 | 495 | 496)
}

fn clock(about: &str, answer: &Probed) -> Option<Finding> {
    let date = answer.date.as_deref()?;
    let then = jiff::fmt::rfc2822::parse(date.trim()).ok()?.timestamp().as_second();
    let apart = Clock::system().unix_s().saturating_sub(then);
    let about = format!("{about}, clock");
    Some(match apart.abs() {
        0..=MOST_APART_S => Finding::good(about, "the same as here"),
        _ => Finding::warning(
            about,
            format!(
                "{} s {} here: one of both is wrong, and tokens and codes go by it",
                apart.abs(),
                if apart > 0 { "behind" } else { "ahead of" }
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_it_refuses_everybody_else_is_said_only_where_it_answers_the_gate_otherwise() {
        let told = |unshown: u16, shown: u16| {
            let status = |code| StatusCode::from_u16(code).unwrap();
            Lets::of(Ok(Probed { status: status(unshown), date: None }), status(shown))
        };
        assert_eq!(
            (told(403, 200), told(496, 404), told(400, 405)),
            (Lets::Nobody, Lets::Nobody, Lets::Nobody)
        );
        assert_eq!((told(200, 200), told(404, 404)), (Lets::Anybody, Lets::Anybody));
        assert!(
            matches!(told(403, 403), Lets::Unknown(_)),
            "whoever asks `OPTIONS *` may be told so"
        );
        assert!(matches!(told(400, 401), Lets::Unknown(_)));
        let failed = |error| Lets::of(Err(ProbeError::Upstream(error)), StatusCode::OK);
        let io = || std::io::Error::other("certificate required");
        assert_eq!(failed(UpstreamError::Tls(io())), Lets::Nobody);
        let late = UpstreamError::Timeout(crate::upstream::Stage::Head, DEADLINE);
        assert!(matches!(failed(late), Lets::Unknown(_)), "it may be slow");
        assert!(matches!(failed(UpstreamError::Connect(io())), Lets::Unknown(_)));
    }
}
