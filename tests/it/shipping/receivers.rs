//! Receivers within the test: of syslog, and of lines by POST.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use menshen::demo::certificates::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

async fn listener(authority: &Authority) -> (TcpListener, TlsAcceptor) {
    let issued = authority.issue(&["localhost"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener, TlsAcceptor::from(issued.server_config().unwrap()))
}

/// A receiver of syslog whose first connections break, each a little later than the one before.
pub(super) struct Syslog {
    pub(super) address: SocketAddr,
    messages: Arc<Mutex<Vec<String>>>,
    breaks: Arc<AtomicUsize>,
}

impl Syslog {
    pub(super) async fn start(authority: &Authority, breaks: usize) -> Self {
        let (listener, acceptor) = listener(authority).await;
        let address = listener.local_addr().unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let breaks = Arc::new(AtomicUsize::new(breaks));
        let (all, left) = (Arc::clone(&messages), Arc::clone(&breaks));
        TaskTracker::new().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let breaks =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
                Self::receive(stream, breaks.is_ok(), &all).await;
            }
        });
        Self { address, messages, breaks }
    }

    async fn receive(mut stream: TlsStream<TcpStream>, breaks: bool, all: &Mutex<Vec<String>>) {
        loop {
            let mut length = String::new();
            loop {
                let mut byte = [0];
                match stream.read(&mut byte).await {
                    Ok(0) => return stream.shutdown().await.unwrap_or_default(),
                    Ok(_) if byte[0] == b' ' => break,
                    Ok(_) => length.push(char::from(byte[0])),
                    Err(_) => return,
                }
            }
            let mut message = vec![0; length.parse().unwrap()];
            if stream.read_exact(&mut message).await.is_err() || breaks {
                return;
            }
            all.lock().unwrap().push(String::from_utf8(message).unwrap());
        }
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    pub(super) fn left_to_break(&self) -> usize {
        self.breaks.load(Ordering::SeqCst)
    }
}

/// A server that takes lines by POST: it fails at first, asks to wait, and takes few at a time.
pub(super) struct Hook {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    asked: usize,
    lines: Vec<String>,
    heads: Vec<String>,
}

impl Hook {
    pub(super) async fn start(authority: &Authority, most: usize) -> Self {
        let (listener, acceptor) = listener(authority).await;
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let all = Arc::clone(&seen);
        TaskTracker::new().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let (head, body) = request(&mut stream).await;
                let answer = all.lock().unwrap().answer(head, &body, most);
                let told = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(told.as_bytes()).await.unwrap_or_default();
                stream.shutdown().await.unwrap_or_default();
            }
        });
        Self { address, seen }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().lines.clone()
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }
}

impl Seen {
    fn answer(&mut self, head: String, body: &str, most: usize) -> &'static str {
        self.asked += 1;
        self.heads.push(
            head.to_ascii_lowercase().replacen("post", "POST", 1).replacen("http", "HTTP", 1),
        );
        match self.asked {
            1 => "503 Service Unavailable",
            2 => "429 Too Many Requests\r\nretry-after: 1",
            _ if body.lines().count() > most => "413 Content Too Large",
            _ => {
                self.lines.extend(body.lines().map(str::to_owned));
                "204 No Content"
            }
        }
    }
}

async fn request(stream: &mut TlsStream<TcpStream>) -> (String, String) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(read).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}
