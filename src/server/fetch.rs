//! Fetches documents of issuers over https: one request, a pinned authority, no redirect, caps on size and time.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::{FETCH_LIMIT, Fetch, FetchAsk, FetchError, FetchFuture};
use crate::tls::client::client_config;
use crate::tls::{self, ExchangeError};

/// From the look-up of the name to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;

/// Fetches over https.
#[derive(Debug)]
pub struct HttpsFetch;

impl Fetch for HttpsFetch {
    fn fetch(&self, ask: FetchAsk) -> FetchFuture {
        Box::pin(async move {
            let url = ask.url.clone();
            let fetched = tokio::time::timeout(DEADLINE, exchange(ask)).await;
            fetched.unwrap_or(Err(FetchError::TimedOut(url)))
        })
    }
}

/// Reads a file of certificates that shall vouch for an issuer, to see that it can be used.
///
/// # Errors
/// [`FetchError::Ca`]
pub(super) fn check_ca(ca: &Path) -> Result<(), FetchError> {
    read_ca(ca).map(drop)
}

fn read_ca(ca: &Path) -> Result<TlsConnector, FetchError> {
    let fault = |reason: String| FetchError::Ca { path: ca.display().to_string(), reason };
    let pem = std::fs::read(ca).map_err(|error| fault(error.to_string()))?;
    let config = client_config(&pem, None).map_err(|error| fault(error.to_string()))?;
    Ok(TlsConnector::from(config))
}

/// An address taken apart.
struct Target {
    url: String,
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
}

impl Target {
    fn of(url: &str) -> Result<Self, FetchError> {
        let bad = || FetchError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_not_one| bad())?;
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS));
        let authority = authority.filter(|a| !a.as_str().contains('@')).ok_or_else(bad)?;
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(443),
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_never| bad())?,
            path: path.to_owned(),
        })
    }

    fn unreachable(&self, reason: impl std::fmt::Display) -> FetchError {
        FetchError::Unreachable { url: self.url.clone(), reason: reason.to_string() }
    }

    async fn connect(&self, tls: &TlsConnector) -> Result<TlsStream<TcpStream>, FetchError> {
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|_not_one| FetchError::Url(self.url.clone()))?;
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut last = self.unreachable("the name has no address");
        for address in found.map_err(|error| self.unreachable(error))?.take(MAX_ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let shaken = tls.connect(name, stream).await;
                    return shaken.map_err(|error| self.unreachable(error));
                }
                Err(error) => last = self.unreachable(error),
            }
        }
        Err(last)
    }

    fn request(&self, ask: &FetchAsk) -> Result<Request<Full<Bytes>>, FetchError> {
        let mut request = Request::builder()
            .uri(self.path.as_str())
            .header(HOST, self.authority.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json");
        if let Some(authorization) = &ask.authorization {
            let value = HeaderValue::try_from(authorization.expose());
            let mut value = value.map_err(|_not_one| FetchError::Url(self.url.clone()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let body = match &ask.form {
            None => Bytes::new(),
            Some(form) => {
                request = request
                    .method(Method::POST)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                Bytes::copy_from_slice(form.expose().as_bytes())
            }
        };
        request.body(Full::new(body)).map_err(|error| self.unreachable(error))
    }
}

async fn exchange(ask: FetchAsk) -> Result<Vec<u8>, FetchError> {
    let target = Target::of(&ask.url)?;
    let ca = ask.ca.clone();
    // Read each time: an authority that is replaced counts from the next fetch on.
    let trust = tokio::task::spawn_blocking(move || read_ca(&ca)).await;
    let trust = trust.map_err(|error| target.unreachable(error))??;
    let stream = target.connect(&trust).await?;
    let answer = tls::exchange(stream, target.request(&ask)?, FETCH_LIMIT).await;
    let url = || target.url.clone();
    match answer {
        Ok(answer) if answer.status() == StatusCode::OK => Ok(answer.into_body()),
        Ok(answer) => Err(FetchError::Status { url: url(), status: answer.status().as_u16() }),
        Err(ExchangeError::TooLarge { status, .. }) if status != StatusCode::OK.as_u16() => {
            Err(FetchError::Status { url: url(), status })
        }
        Err(ExchangeError::TooLarge { .. }) => Err(FetchError::TooLarge(url())),
        Err(ExchangeError::Http(error)) => Err(target.unreachable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_https_without_a_password_are_asked() {
        for good in ["https://a.example/keys?x=1", "https://[::1]:8443", "https://127.0.0.1/"] {
            assert!(Target::of(good).is_ok(), "{good}");
        }
        for bad in
            ["http://a.example/keys", "a.example/keys", "https://u:p@a.example/", "", "https:/a"]
        {
            assert!(Target::of(bad).is_err(), "{bad}");
        }
    }
}
