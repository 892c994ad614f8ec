//! The certificates of one upstream: whom it must be signed by, and what it is shown of the gate. They are
//! read again while the gate runs; what cannot be used leaves the old ones in place.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::error::OpenError;
use super::settings::{Settings, TlsSettings, Transport};
use crate::tls::client::{ClientIdentity, client_config};

/// How an upstream is reached: TLS always comes with its certificates, so that none is taken for one without.
#[derive(Clone)]
pub(super) enum Way {
    Tls(Arc<Secure>),
    Plain { beyond_loopback: bool },
}

impl Way {
    /// Reads the certificates.
    pub(super) fn open(settings: &Settings) -> Result<Self, OpenError> {
        Ok(match &settings.transport {
            Transport::Plain { beyond_loopback } => {
                Self::Plain { beyond_loopback: *beyond_loopback }
            }
            Transport::Tls(tls) => {
                Self::Tls(Arc::new(Secure::open(&settings.name, tls, settings.http2.is_some())?))
            }
        })
    }

    pub(super) fn secure(&self) -> Option<&Arc<Secure>> {
        match self {
            Self::Tls(secure) => Some(secure),
            Self::Plain { .. } => None,
        }
    }
}

/// What new connections are made with.
pub(super) struct Secure {
    name: String,
    /// Whether HTTP/2 is offered.
    http2: bool,
    settings: TlsSettings,
    config: ArcSwap<ClientConfig>,
    /// What the files held when they were last read, whether or not it could be used.
    seen: Mutex<Print>,
}

type Print = [u8; 32];

/// Files that are others than before, as they can or cannot be used.
pub struct Fresh {
    print: Print,
    made: Result<Arc<ClientConfig>, OpenError>,
}

impl Fresh {
    /// Why they cannot be used, if they cannot.
    #[must_use]
    pub fn fault(&self) -> Option<&OpenError> {
        self.made.as_ref().err()
    }
}

impl Secure {
    /// Reads the files for the first time.
    pub(super) fn open(name: &str, settings: &TlsSettings, http2: bool) -> Result<Self, OpenError> {
        let (print, made) = read(name, settings, http2)?;
        Ok(Self {
            name: name.into(),
            http2,
            settings: settings.clone(),
            config: ArcSwap::new(made?),
            seen: Mutex::new(print),
        })
    }

    /// The name that must be certified, where it is not that of the address.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.settings.server_name.as_deref()
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config.load_full())
    }

    /// For a connection that is to speak HTTP/1.1 whatever else is offered.
    pub(super) fn connector_of_one(&self) -> TlsConnector {
        let mut config = self.config.load_full();
        if self.http2 {
            Arc::make_mut(&mut config).alpn_protocols.retain(|protocol| protocol != b"h2");
        }
        TlsConnector::from(config)
    }

    /// Reads the files again; `None` if they are what they were. Blocks.
    pub(super) fn look(&self) -> Result<Option<Fresh>, OpenError> {
        let (print, made) = read(&self.name, &self.settings, self.http2)?;
        let is_known = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == print;
        Ok((!is_known).then_some(Fresh { print, made }))
    }

    /// Uses them from the next connection on; of those that cannot be used it is only noted that they were seen.
    pub(super) fn take(&self, fresh: Fresh) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = fresh.print;
        if let Ok(config) = fresh.made {
            self.config.store(config);
        }
    }
}

/// The print and the configuration are of the same bytes, whatever happens to the files meanwhile.
fn read(
    name: &str,
    settings: &TlsSettings,
    http2: bool,
) -> Result<(Print, Result<Arc<ClientConfig>, OpenError>), OpenError> {
    let trust = read_file(name, &settings.ca)?;
    let identity = match &settings.identity {
        None => None,
        Some(files) => Some((read_file(name, &files.chain)?, read_file(name, &files.key)?)),
    };
    let mut context = Context::new(&SHA256);
    let shown = identity.iter().flat_map(|(chain, key)| [chain, key]);
    for bytes in std::iter::once(&trust).chain(shown) {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    }
    let mut print = Print::default();
    for (to, from) in print.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    let identity =
        identity.as_ref().map(|(chain_pem, key_pem)| ClientIdentity { chain_pem, key_pem });
    let made = client_config(&trust, identity).map(|mut config| {
        if http2 {
            Arc::make_mut(&mut config).alpn_protocols.insert(0, b"h2".to_vec());
        }
        config
    });
    let made = made.map_err(|source| OpenError::Tls { name: name.into(), source });
    Ok((print, made))
}

fn read_file(name: &str, path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|source| OpenError::File {
        name: name.into(),
        path: path.display().to_string(),
        source,
    })
}
