//! Where entries go, as the operator's file says.

use std::path::PathBuf;
use std::time::Duration;

/// One place that entries are carried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name, which is that of its cursor.
    pub name: String,
    /// How old the oldest entry that is not there yet may become before an alert.
    pub alert_after: Duration,
    /// How long entries are gathered for one batch.
    pub gather: Duration,
    /// The form that entries leave in.
    pub form: Form,
    /// The place.
    pub to: To,
}

/// The forms that entries leave in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The canonical JSON, as the log has it.
    #[default]
    Json,
    /// OCSF, an object each.
    Ocsf,
    /// CEF, a line each.
    Cef,
}

/// The kinds of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A file that grows by a line for each entry.
    File(PathBuf),
    /// A receiver of syslog.
    Syslog(SyslogSettings),
    /// A server that takes lines of JSON by POST.
    Webhook(WebhookSettings),
    /// A stream of NATS JetStream.
    Nats(NatsSettings),
    /// A store that speaks S3.
    S3(S3Settings),
}

/// Somebody to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// TLS, or not.
    pub security: Security,
}

/// Whether a connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not: for addresses of this machine only.
    PlainOnLoopback,
    /// With TLS.
    Tls {
        /// The name that the certificate must have.
        server_name: String,
        /// The file of authorities; nobody else's signature is believed.
        ca: PathBuf,
        /// What we show, if we are asked.
        identity: Option<IdentityFiles>,
    },
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate and its chain.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A receiver of syslog, RFC 5424 over TLS (RFC 5425).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// The receiver.
    pub peer: Peer,
    /// The facility's number.
    pub facility: u8,
}

/// A URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The server.
    pub peer: Peer,
    /// Host and, where it is not the usual one, the port.
    pub authority: String,
    /// The path with the query; begins with a slash.
    pub path: String,
}

impl Endpoint {
    /// The endpoint of a URL: of `https`, or of `http` where `security` says that its host is spoken to without TLS.
    #[must_use]
    pub fn parse(url: &str, security: impl FnOnce(&str) -> Security) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let security = security(host);
        let (scheme, usual) = match security {
            Security::PlainOnLoopback => ("http", 80),
            Security::Tls { .. } => ("https", 443),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        (uri.scheme_str() == Some(scheme)).then(|| Self {
            peer: Peer {
                host: host.to_owned(),
                port: authority.port_u16().unwrap_or(usual),
                security,
            },
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
        })
    }
}

/// A server that takes lines of JSON by POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where to.
    pub endpoint: Endpoint,
    /// The file of a bearer token.
    pub token: Option<PathBuf>,
}

/// A stream of NATS JetStream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsSettings {
    /// The server.
    pub peer: Peer,
    /// The subject to publish on, which a stream must take.
    pub subject: String,
    /// How to sign in.
    pub login: NatsLogin,
}

/// How to sign in at NATS, besides a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// Not.
    None,
    /// With the token in this file.
    Token(PathBuf),
    /// With a name and the password in this file.
    Password {
        /// The name.
        user: String,
        /// The file.
        file: PathBuf,
    },
}

/// A store that speaks S3, addressed by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// The server; its path is empty but for the slash.
    pub endpoint: Endpoint,
    /// The bucket.
    pub bucket: String,
    /// What all names begin with; empty or with a slash at its end.
    pub prefix: String,
    /// The region that signatures name.
    pub region: String,
    /// The file with the id of a key and the key, a line each.
    pub credentials: PathBuf,
}
