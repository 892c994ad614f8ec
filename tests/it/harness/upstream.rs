//! A backend that answers as the test says, byte for byte, and remembers what it was asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use menshen::demo::certificates::Issued;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::soon;

/// A request as it came to the backend.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The head as it came.
    pub(crate) head: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// One thing that the backend does while it answers.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Goes on once the test adds a permit.
    Wait(Arc<Semaphore>),
    /// Closes in good order.
    Close,
    /// Closes with a reset.
    Reset,
    /// Says nothing more and stays.
    Stall,
    /// Speaks another protocol from here on, until either side closes.
    Talk(Arc<Talk>),
}

/// A conversation in another protocol, as a test leads it.
#[derive(Debug)]
pub(crate) struct Talk {
    say: mpsc::Sender<Vec<u8>>,
    to_say: tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>,
    heard: watch::Sender<Heard>,
}

/// What came, and whether the other side has closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_over: bool,
}

impl Talk {
    pub(crate) fn new() -> Arc<Self> {
        let (say, to_say) = mpsc::channel(16);
        let heard = watch::Sender::default();
        Arc::new(Self { say, to_say: tokio::sync::Mutex::new(to_say), heard })
    }

    /// Says it; closes where that is nothing.
    pub(crate) async fn say(&self, bytes: impl Into<Vec<u8>>) {
        self.say.send(bytes.into()).await.unwrap();
    }

    /// Waits until that is what was heard.
    pub(crate) async fn heard(&self, is_it: impl FnMut(&Heard) -> bool) -> Heard {
        let mut heard = self.heard.subscribe();
        soon("what the backend hears", heard.wait_for(is_it)).await.unwrap().clone()
    }

    fn hear(&self, bytes: &[u8]) {
        self.heard.send_modify(|heard| heard.bytes.extend_from_slice(bytes));
    }

    async fn go_on(&self, stream: &mut impl OverTcp, early: &[u8]) {
        self.hear(early);
        let mut to_say = self.to_say.lock().await;
        let mut piece = vec![0; 4096];
        loop {
            tokio::select! {
                bytes = to_say.recv() => match bytes {
                    Some(bytes) if !bytes.is_empty() => drop(send(stream, &bytes).await),
                    Some(_) | None => break,
                },
                read = stream.read(&mut piece) => match read {
                    Ok(length) if length > 0 => self.hear(&piece[..length]),
                    Ok(_) | Err(_) => break,
                },
            }
        }
        stream.shutdown().await.unwrap_or_default();
        self.heard.send_modify(|heard| heard.is_over = true);
    }
}

/// An answer, step by step. After the last step the connection stays open for the next request.
#[derive(Clone, Debug)]
pub(crate) struct Reply(pub(crate) Vec<Step>);

impl Reply {
    /// 200 with a JSON body and its true length.
    pub(crate) fn json(body: impl AsRef<[u8]>) -> Self {
        Self::with(200, &[("content-type", "application/json")], body)
    }

    /// Any head, and a body with its true length.
    pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut bytes = head(status, &[headers, &[("content-length", &length)]].concat());
        bytes.extend_from_slice(body);
        Self(vec![Step::Send(bytes)])
    }

    /// 200 with a JSON body in these chunks, each written on its own, and its end.
    pub(crate) fn chunked<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Self {
        Self::open(chunks).then(Step::Send(b"0\r\n\r\n".to_vec()))
    }

    /// As [`Reply::chunked`], but the body does not end.
    pub(crate) fn open<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Self {
        let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
        let mut steps = vec![Step::Send(head(200, &headers))];
        steps.extend(chunks.into_iter().map(|c| Step::Send(chunk(c.as_ref()))));
        Self(steps)
    }

    /// These bytes, whatever they mean.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Step::Send(bytes.into())])
    }

    pub(crate) fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

/// The bytes of a head.
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The bytes of a chunk of a chunked body.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// The running backend; dropping it closes its port and its connections.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    script: Mutex<Script>,
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
}

impl Upstream {
    /// Starts on a free port; with `tls` it speaks TLS only, else plain HTTP only.
    pub(crate) async fn start(tls: Option<&Issued>) -> Self {
        Self::with(tls.map(|issued| TlsAcceptor::from(issued.server_config().unwrap()))).await
    }

    /// Starts on a free port with TLS, and speaks to nobody who has no certificate by that authority.
    pub(crate) async fn asking(issued: &Issued, authority_pem: &str) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let chain = CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key);
        Self::with(Some(TlsAcceptor::from(Arc::new(config.unwrap())))).await
    }

    async fn with(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let nothing: Script = Arc::new(|_| Reply::json("{}"));
        let shared = Arc::new(Shared {
            script: Mutex::new(nothing),
            asked: Mutex::default(),
            connections: Mutex::default(),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(accept(listener, acceptor, Arc::clone(&shared), stop.clone(), tasks.clone()));
        Self { address, shared, _stop: stop.drop_guard() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers every request so from now on.
    pub(crate) fn answers(&self, reply: Reply) {
        self.answers_by(move |_| reply.clone());
    }

    /// Answers each request as `script` says from now on.
    pub(crate) fn answers_by(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// The requests that came, in their order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How many requests came.
    pub(crate) fn hits(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (acceptor, shared, stop) = (acceptor.clone(), Arc::clone(&shared), stop.clone());
        tasks.spawn(async move {
            let talk = async move {
                stream.set_nodelay(true).unwrap();
                *shared.connections.lock().unwrap() += 1;
                match acceptor {
                    None => converse(stream, &shared).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            converse(stream, &shared).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = talk => {}
            }
        });
    }
}

trait OverTcp: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl OverTcp for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl OverTcp for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

async fn converse(mut stream: impl OverTcp, shared: &Shared) {
    let mut buffer = Vec::new();
    while let Some(asked) = read_request(&mut stream, &mut buffer).await {
        let script = Arc::clone(&shared.script.lock().unwrap());
        let reply = script(&asked);
        shared.asked.lock().unwrap().push(asked);
        for step in reply.0 {
            let done = match step {
                Step::Send(bytes) => send(&mut stream, &bytes).await,
                Step::Wait(permits) => permits.acquire().await.map(|p| p.forget()).is_ok(),
                Step::Close => {
                    stream.shutdown().await.unwrap_or_default();
                    false
                }
                Step::Reset => {
                    stream.tcp().set_zero_linger().unwrap();
                    false
                }
                Step::Stall => std::future::pending().await,
                Step::Talk(talk) => {
                    talk.go_on(&mut stream, &std::mem::take(&mut buffer)).await;
                    false
                }
            };
            if !done {
                return;
            }
        }
    }
}

async fn send(stream: &mut impl OverTcp, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

async fn read_request(stream: &mut impl OverTcp, buffer: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let text = String::from_utf8(head.clone()).unwrap();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut asked = Asked { method, target, headers, body: Vec::new(), head };
    assert_eq!(asked.header("transfer-encoding"), None, "the gate sends bodies with their length");
    let length = asked.header("content-length").map_or(0, |text| text.parse().unwrap());
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    asked.body = buffer.drain(..length).collect();
    Some(asked)
}

async fn more(stream: &mut impl OverTcp, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
