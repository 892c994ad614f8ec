//! The way to the directory: https with a pinned authority, one connection a question, caps on time and size.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, RETRY_AFTER};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::AcmeError;
use crate::tls;
use crate::tls::client::client_config;

/// From the look-up of the name to the last byte of an answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// The most of an answer.
const ANSWER_BYTES: usize = 256 * 1024;
/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;
/// Nobody is waited for longer, whatever they ask for.
const LONGEST_ASKED_S: u64 = 7 * 24 * 3600;

/// Asks the directory.
#[derive(Clone)]
pub(super) struct Directory {
    trust: TlsConnector,
    asked_s: Arc<AtomicU64>,
}

impl Directory {
    /// Reads the certificates that vouch for it. Blocks. For how many seconds it last asked to be left alone (`Retry-After` of a
    /// refusal), if it did, stands in `asked_s` then.
    pub(super) fn open(ca: &Path, asked_s: Arc<AtomicU64>) -> Result<Self, AcmeError> {
        let source = |source| AcmeError::File { path: ca.to_owned(), source };
        let pem = std::fs::read(ca).map_err(source)?;
        let config = client_config(&pem, None);
        let config = config
            .map_err(|error| AcmeError::Ca { path: ca.to_owned(), reason: error.to_string() })?;
        Ok(Self { trust: TlsConnector::from(config), asked_s })
    }
}

impl HttpClient for Directory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let asked = tokio::time::timeout(DEADLINE, this.ask(request)).await;
            let late = || Error::Str("an answer of the directory in time");
            asked.unwrap_or_else(|_late| Err(late())).map(BytesResponse::from)
        })
    }
}

impl Directory {
    async fn ask(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Error> {
        let (mut head, mut body) = request.into_parts();
        let mut sent = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            if let Some(data) = frame.data_ref() {
                sent.extend_from_slice(data);
            }
        }
        let (host, port, authority) =
            place(&head.uri).ok_or(Error::Str("an address with https"))?;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        head.uri = path.parse()?;
        head.headers.insert(HOST, authority);
        let stream = self.connect(&host, port).await?;
        let request = Request::from_parts(head, Full::new(Bytes::from(sent)));
        let answer = tls::exchange(stream, request, ANSWER_BYTES).await.map_err(other)?;
        self.note(&answer);
        Ok(answer.map(|body| Full::new(Bytes::from(body))))
    }

    fn note(&self, answer: &Response<Vec<u8>>) {
        let is_refusal = answer.status().is_client_error() || answer.status().is_server_error();
        let asked =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let asked: Option<u64> = asked.filter(|_| is_refusal);
        self.asked_s.store(asked.unwrap_or(0).min(LONGEST_ASKED_S), Ordering::Relaxed);
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(other)?;
        let mut last = Error::Str("an address of the directory's name");
        let found = tokio::net::lookup_host((host, port)).await.map_err(other)?;
        for address in found.take(MAX_ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.trust.connect(name, stream).await.map_err(other),
                Err(error) => last = other(error),
            }
        }
        Err(last)
    }
}

fn other(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

/// Whom to connect to; nothing for an address without TLS, whoever gave it.
fn place(uri: &Uri) -> Option<(String, u16, HeaderValue)> {
    let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS))?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = HeaderValue::try_from(authority.as_str()).ok()?;
    Some((host.to_owned(), authority.port_u16().unwrap_or(443), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_without_tls_whatever_address_a_directory_gives() {
        for bad in ["http://acme.example/order", "ftp://a/", "/order", "https://u:p@acme.example/"]
        {
            assert!(place(&bad.parse().unwrap()).is_none(), "{bad}");
        }
        let (host, port, name) = place(&"https://[::1]:14000/dir".parse().unwrap()).unwrap();
        assert_eq!((host.as_str(), port, name.to_str().unwrap()), ("::1", 14_000, "[::1]:14000"));
    }
}
