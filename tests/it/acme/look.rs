//! How an authority looks whether a name is ours (RFC 8555 section 8.3, RFC 8737 section 3).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// `id-pe-acmeIdentifier`.
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for the text of a token at the port without TLS, under this name.
pub(crate) async fn at_plain(
    address: SocketAddr,
    name: &str,
    token: &str,
    text: &str,
) -> Result<(), String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nhost: {name}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await.map_err(|_why| "late".to_owned())?;
    let answer = answer.map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if head.starts_with("HTTP/1.1 200 ") && body == text { Ok(()) } else { Err(answer) }
}

/// Shakes hands in the protocol of challenges, and looks at what is shown.
pub(crate) async fn at_tls(address: SocketAddr, name: &str, digest: &[u8]) -> Result<(), String> {
    let (seen, protocol) = shown(address, name, &[b"acme-tls/1"]).await?;
    if protocol.as_deref() != Some(b"acme-tls/1".as_slice()) {
        return Err("another protocol was agreed on".to_owned());
    }
    let (_, read) = X509Certificate::from_der(&seen).map_err(|error| error.to_string())?;
    let names = read.subject_alternative_name().unwrap().unwrap();
    let is_name =
        matches!(names.value.general_names.as_slice(), [GeneralName::DNSName(one)] if *one == name);
    let mut extensions = read.extensions().iter();
    let identifier = extensions.find(|one| one.oid.to_id_string() == ACME_IDENTIFIER);
    let is_digest =
        identifier.is_some_and(|one| one.critical && one.value == [&[4, 32][..], digest].concat());
    if is_name && is_digest { Ok(()) } else { Err("another certificate is shown".to_owned()) }
}

/// The certificate that is shown under a name to whoever offers these protocols, and the one that was agreed on.
pub(crate) async fn shown(
    address: SocketAddr,
    name: &str,
    protocols: &[&[u8]],
) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let seen = Arc::new(Seen::default());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    let shaken = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let stream = tokio::time::timeout(PATIENCE, shaken).await.map_err(|_why| "late".to_owned())?;
    let stream = stream.map_err(|error| error.to_string())?;
    let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let certificate = seen.0.lock().unwrap().take().unwrap();
    Ok((certificate, protocol))
}

/// Takes whatever is shown.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<Vec<u8>>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = Some(certificate.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
