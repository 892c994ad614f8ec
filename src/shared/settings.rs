//! Where the server is and how it is known: `redis://host:port`, or `rediss://` with the authority that vouches for it.

use std::path::PathBuf;
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

/// Where a shared store is, and how to come in.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `rediss://host:port/0`, without a password; `redis://` is for a server of the same machine.
    pub url: String,
    /// The certificates that vouch for it, in PEM. No others are trusted.
    pub ca: Option<PathBuf>,
    /// The file that holds the password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// How long to wait for an answer.
    pub deadline: Duration,
}

/// Why a shared store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RedisFault {
    /// The address.
    #[error("`{0}` is no address of a shared store; one looks like `rediss://store.example:6379`")]
    Url(String),
    /// A password that anybody who reads the configuration reads, too.
    #[error(
        "a password does not belong into the address of the shared store; name a `password-file`"
    )]
    Password,
    /// An encrypted way needs somebody who vouches for its end, and only that one needs it.
    #[error(
        "`rediss://` needs a `ca` that vouches for the shared store, and `redis://` can use none"
    )]
    Ca,
    /// An encrypted way to whoever answers.
    #[error("`#insecure` lets anybody answer for the shared store; name a `ca` instead")]
    Unproven,
    /// A way that anybody may read and change.
    #[error(
        "`redis://` is not encrypted, so it may lead to this machine only; use `rediss://` for `{0}`"
    )]
    Plain(String),
    /// A file.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The client.
    #[error("the shared store cannot be used: {0}")]
    Client(#[from] redis::RedisError),
}

impl RedisSettings {
    /// Checks what can be checked without the server.
    ///
    /// # Errors
    /// [`RedisFault`], the first.
    pub fn check(&self) -> Result<(), RedisFault> {
        self.client().map(drop)
    }

    /// Checks the address alone, without reading a file.
    ///
    /// # Errors
    /// [`RedisFault`] if nobody should go that way.
    pub fn check_address(&self) -> Result<(), RedisFault> {
        self.address().map(drop)
    }

    fn address(&self) -> Result<ConnectionInfo, RedisFault> {
        let unknown = |_error| RedisFault::Url(self.url.chars().take(64).collect());
        let info: ConnectionInfo = self.url.as_str().into_connection_info().map_err(unknown)?;
        if info.redis_settings().password().is_some() {
            return Err(RedisFault::Password);
        }
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(RedisFault::Unproven);
        }
        let is_encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        if is_encrypted != self.ca.is_some() {
            return Err(RedisFault::Ca);
        }
        let host = info.addr().to_string();
        if !is_encrypted && !is_here(&host) {
            return Err(RedisFault::Plain(host));
        }
        Ok(info)
    }

    pub(super) fn client(&self) -> Result<Client, RedisFault> {
        let info = self.address()?;
        let info = match &self.password_file {
            None => info,
            Some(path) => {
                let password = read(path)?;
                let password = String::from_utf8_lossy(&password);
                let settings = info.redis_settings().clone().set_password(password.trim());
                info.set_redis_settings(settings)
            }
        };
        let Some(ca) = &self.ca else { return Ok(Client::open(info)?) };
        let root_cert = Some(read(ca)?);
        Ok(Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?)
    }
}

/// Whether an address is of this machine: a loopback one or a socket in the file system.
fn is_here(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.starts_with('/')
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, RedisFault> {
    std::fs::read(path).map_err(|source| RedisFault::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(url: &str, ca: Option<&str>) -> String {
        let settings = RedisSettings {
            url: url.into(),
            ca: ca.map(Into::into),
            password_file: None,
            deadline: Duration::from_millis(200),
        };
        settings.check().err().map_or_else(String::new, |fault| fault.to_string())
    }

    #[test]
    fn a_way_that_others_may_read_leads_to_this_machine_only() {
        assert_eq!(fault("redis://127.0.0.1:6379", None), "");
        assert_eq!(fault("redis://localhost", None), "");
        assert!(fault("redis://store.example:6379", None).contains("not encrypted"));
        assert!(fault("rediss://store.example:6379", None).contains("`ca`"));
        assert!(fault("redis://127.0.0.1", Some("/ca.pem")).contains("`ca`"));
        assert!(fault("valkeys://store.example:6379", None).contains("`ca`"));
        assert!(fault("valkey://store.example:6379", None).contains("not encrypted"));
        assert_ne!(fault("rediss://store.example:6379/#insecure", Some("/ca.pem")), "");
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let told = fault("redis://:hunter2@127.0.0.1:6379", None);
        assert!(told.contains("password-file") && !told.contains("hunter2"), "{told}");
        assert!(!fault("nonsense", None).is_empty());
    }
}
