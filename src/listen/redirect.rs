//! A port without TLS that only says where to come with it.
//!
//! It reads a request's head and nothing behind, answers, and ends the connection. What somebody sent there unencrypted goes nowhere.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::door::{Door, Visitor};
use super::{Forwarders, Shutdown, Sockets};
use crate::limits::AddressLimits;
use crate::tls::Challenges;

/// From accept to the end of the one answer.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Below which the texts of tokens are asked for.
const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// A request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// Where the port is, and where it sends people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectSettings {
    /// The address without TLS.
    pub address: SocketAddr,
    /// The names that it answers for, in lower case; a name of somebody else would make it a redirect to anywhere.
    pub hosts: Vec<String>,
    /// The port with TLS.
    pub port: u16,
    /// Who may stand in front, if anybody does.
    pub forwarders: Option<Arc<Forwarders>>,
}

/// A bound port that is not served yet.
#[derive(Debug)]
pub struct Redirect {
    socket: TcpListener,
    settings: Arc<ArcSwap<RedirectSettings>>,
    challenges: Arc<Challenges>,
}

impl Redirect {
    /// Binds the address, unless it is among the sockets that were handed over.
    ///
    /// # Errors
    /// What the system said.
    pub async fn bind(
        settings: RedirectSettings,
        challenges: Arc<Challenges>,
        sockets: &mut Sockets,
    ) -> std::io::Result<Self> {
        let socket = sockets.bind(settings.address).await?;
        Ok(Self { socket, settings: Arc::new(ArcSwap::from_pointee(settings)), challenges })
    }

    /// The settings, which may be replaced while it serves; only the address stays.
    #[must_use]
    pub fn settings(&self) -> Arc<ArcSwap<RedirectSettings>> {
        Arc::clone(&self.settings)
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until told to stop.
    pub async fn serve(self, addresses: Arc<AddressLimits>, tasks: TaskTracker, stop: Shutdown) {
        let Self { socket, settings: kept, challenges } = self;
        let door = Door { socket, addresses: Arc::clone(&addresses) };
        loop {
            let visitor = tokio::select! {
                () = stop.finish.cancelled() => return,
                visitor = door.next(|| kept.load().forwarders.clone()) => visitor,
            };
            let (settings, addresses) = (kept.load_full(), Arc::clone(&addresses));
            let challenges = Arc::clone(&challenges);
            let cut = stop.cut.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = cut.cancelled() => {}
                    _late = tokio::time::timeout(CONNECTION_TIME, settings.serve(visitor, &addresses, &challenges)) => {}
                }
            });
        }
    }
}

impl RedirectSettings {
    async fn serve(&self, visitor: Visitor, addresses: &AddressLimits, challenges: &Challenges) {
        let visitor = match visitor.introduced(addresses).await {
            Ok(visitor) => visitor,
            Err(error) => {
                tracing::debug!(%error, "no connection without TLS");
                return;
            }
        };
        let service = service_fn(async |request: Request<Incoming>| {
            let told = told(&request, challenges);
            Ok::<_, Infallible>(told.unwrap_or_else(|| self.answer(&request)))
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(CONNECTION_TIME)
            .max_header_size(HEAD_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(visitor.stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection without TLS ended with an error");
        }
        drop(visitor.place);
    }

    /// 308 for what asks only. What changes something may have had a secret in it, and is told to think before it comes again.
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let is_asking = matches!(*request.method(), Method::GET | Method::HEAD);
        let (status, text) = match self.location(request) {
            None => (StatusCode::NOT_FOUND, "nothing is served without TLS\n"),
            Some(_) if !is_asking => (
                StatusCode::METHOD_NOT_ALLOWED,
                "this was sent unencrypted and went nowhere; send it with https\n",
            ),
            Some(_) => (StatusCode::PERMANENT_REDIRECT, ""),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if let (StatusCode::PERMANENT_REDIRECT, Some(location)) = (status, self.location(request)) {
            headers.insert(LOCATION, location);
        }
        response
    }

    /// The same place with TLS, if it is one of ours.
    fn location<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let uri = request.uri();
        let mut lines = request.headers().get_all(HOST).iter();
        let line = lines.next();
        if lines.next().is_some() {
            return None;
        }
        let named: Option<Authority> = line.and_then(|line| line.to_str().ok()?.parse().ok());
        let host = uri.authority().or(named.as_ref())?.host().to_ascii_lowercase();
        let path = uri.path_and_query().map(|path| path.as_str())?;
        if !self.hosts.contains(&host) || !path.starts_with('/') {
            return None;
        }
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        HeaderValue::try_from(format!("https://{host}{port}{path}")).ok()
    }
}

/// The text of a token, for an authority that looks whether a name is ours (RFC 8555 section 8.3), whatever name that is.
fn told<B>(request: &Request<B>, challenges: &Challenges) -> Option<Response<Full<Bytes>>> {
    let token = request.uri().path().strip_prefix(CHALLENGES)?;
    let text = challenges.of_token(token).filter(|_| *request.method() == Method::GET)?;
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(port: u16, method: &str, target: &str, hosts: &[&str]) -> (u16, Option<String>) {
        let address = SocketAddr::from(([0, 0, 0, 0], 80));
        let own = vec!["gate.example".to_owned(), "[2001:db8::1]".to_owned()];
        let settings = RedirectSettings { address, hosts: own, port, forwarders: None };
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let answer = settings.answer(&request.body(()).unwrap());
        let location = answer.headers().get(LOCATION).map(|at| at.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location)
    }

    #[test]
    fn whoever_asks_is_sent_to_the_same_place_with_tls() {
        let to = |text: &str| (308, Some(text.to_owned()));
        assert_eq!(
            told(443, "GET", "/a?b=c", &["Gate.Example:80"]),
            to("https://gate.example/a?b=c")
        );
        assert_eq!(told(8443, "HEAD", "/", &["gate.example"]), to("https://gate.example:8443/"));
        assert_eq!(
            told(443, "GET", "http://gate.example/x", &["other.example"]),
            to("https://gate.example/x")
        );
        assert_eq!(told(443, "GET", "/", &["[2001:db8::1]:80"]), to("https://[2001:db8::1]/"));
        assert_eq!(
            told(443, "GET", "//evil.example/", &["gate.example"]),
            to("https://gate.example//evil.example/")
        );
    }

    #[test]
    fn a_token_that_is_asked_for_is_told_under_any_name_and_no_other() {
        let challenges = Challenges::default();
        challenges.put_token("abc", "abc.def");
        let ask = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).header(HOST, "any.example");
            super::told(&request.body(()).unwrap(), &challenges).map(|answer| answer.status())
        };
        assert_eq!(ask("GET", "/.well-known/acme-challenge/abc"), Some(StatusCode::OK));
        for (method, path) in [
            ("POST", "/.well-known/acme-challenge/abc"),
            ("GET", "/.well-known/acme-challenge/abd"),
            ("GET", "/.well-known/acme-challenge/"),
            ("GET", "/.well-known/acme-challenge/abc/"),
            ("GET", "/abc"),
        ] {
            assert_eq!(ask(method, path), None, "{method} {path}");
        }
        challenges.clear();
        assert_eq!(ask("GET", "/.well-known/acme-challenge/abc"), None);
    }

    #[test]
    fn nobody_is_sent_elsewhere_and_nothing_is_done() {
        for hosts in [
            &["evil.example"][..],
            &[],
            &["gate.example", "evil.example"],
            &["gate.example@evil.example"],
        ] {
            assert_eq!(told(443, "GET", "/", hosts), (404, None), "{hosts:?}");
        }
        assert_eq!(told(443, "GET", "http://evil.example/", &["gate.example"]), (404, None));
        assert_eq!(told(443, "OPTIONS", "*", &["gate.example"]).1, None);
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert_eq!(told(443, method, "/", &["gate.example"]), (405, None));
        }
    }
}
