//! An open WebSocket: bytes both ways, frame by frame within their rules, counted durably before they leave.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::super::outcome::Disclosure;
use super::super::right::Right;
use super::ending::End;
use super::frames::{Frames, Sender, closing};
use crate::audit::Data;
use crate::limits::{Seat, Take};
use crate::listen::Ends;
use crate::policy::SocketCaps;
use crate::upstream::UpstreamSocket;

/// So much is read at once.
const PIECE_BYTES: usize = 16 * 1024;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// So much of what still comes is thrown away meanwhile.
const LATE_BYTES: usize = 64 * 1024;

/// An open WebSocket.
pub(super) struct Tunnel<'t> {
    pub(super) caller: TokioIo<Upgraded>,
    pub(super) backend: UpstreamSocket,
    pub(super) caps: SocketCaps,
    pub(super) is_packed: bool,
    /// How long to wait for whoever does not read.
    pub(super) patience: Duration,
    pub(super) giving: Giving<'t>,
}

/// What takes the right away, or the place.
pub(super) struct Watched {
    pub(super) right: Right,
    pub(super) ends: Ends,
}

/// One of the two ways.
struct Way {
    frames: Frames,
    bytes: u64,
    /// Whether a frame of the gate's own may come behind what was written.
    is_free: bool,
}

impl Way {
    fn wrote(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.is_free = self.frames.is_between() && !self.frames.has_closed();
    }
}

/// What both ways share.
struct Common {
    moved: Mutex<Instant>,
    caller_closed: AtomicBool,
    backend_closed: AtomicBool,
}

impl Common {
    fn moves(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn are_closed(&self) -> bool {
        self.caller_closed.load(Ordering::Acquire) && self.backend_closed.load(Ordering::Acquire)
    }

    /// Waits until nothing has moved for so long.
    async fn idle(&self, idle: Duration) {
        loop {
            let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            if moved.elapsed() >= idle {
                return;
            }
            tokio::time::sleep_until(moved + idle).await;
        }
    }
}

/// How finely a second is told apart,
const PART_MS: u128 = 50;
/// and how many parts it has.
const PARTS: u128 = 20;

/// So many frames in any second: those of a part count until all of it is a second ago.
struct Pace {
    most: u32,
    began: Instant,
    parts: VecDeque<(u128, u32)>,
}

impl Pace {
    fn new(most: u32) -> Self {
        Self { most, began: Instant::now(), parts: VecDeque::new() }
    }

    fn allows(&mut self, frames: u32) -> bool {
        let part = self.began.elapsed().as_millis() / PART_MS;
        while self.parts.front().is_some_and(|(old, _)| part - old > PARTS) {
            self.parts.pop_front();
        }
        match self.parts.back_mut() {
            Some((newest, count)) if *newest == part => *count = count.saturating_add(frames),
            Some(_) | None => self.parts.push_back((part, frames)),
        }
        self.parts.iter().fold(0, |sum: u32, (_, count)| sum.saturating_add(*count)) <= self.most
    }
}

impl Tunnel<'_> {
    /// Passes bytes until something ends it, and says what. What is still to be said goes out with [`Farewell::say`].
    pub(super) async fn run(self, watched: &mut Watched) -> (End, Farewell) {
        let Self { caller, backend, caps, is_packed, patience, giving } = self;
        let replaced = backend.replaced();
        let (mut from_caller, mut to_caller) = tokio::io::split(caller);
        let (mut from_backend, mut to_backend) = tokio::io::split(backend);
        let way = |sender| Way {
            frames: Frames::new(sender, caps.message_bytes, is_packed),
            bytes: 0,
            is_free: true,
        };
        let (mut sent, mut received) = (way(Sender::Caller), way(Sender::Backend));
        let (no, moved) = (AtomicBool::new, Mutex::new(Instant::now()));
        let common = Common { moved, caller_closed: no(false), backend_closed: no(false) };
        let end = {
            let up = up(&mut from_caller, &mut to_backend, &mut sent, (&caps, patience), &common);
            let down = down(
                &mut from_backend,
                &mut to_caller,
                (&mut received, &giving),
                (&caps, patience),
                &common,
            );
            let idle = common.idle(Duration::from_secs(caps.idle_s.into()));
            let lifetime = tokio::time::sleep(Duration::from_secs(caps.lifetime_s.into()));
            let (up, down) = (pin!(up), pin!(down));
            tokio::select! {
                biased;
                cut = watched.right.lost() => End::from(cut),
                told = watched.ends.told() => End::from(told),
                () = replaced => End::BackendReplaced,
                () = lifetime => End::Lifetime,
                end = down => end,
                end = up => end,
                () = idle => End::Idle,
            }
        };
        giving.disclosure.with(|entry| {
            entry.request.get_or_insert_default().bytes = Some(sent.bytes);
        });
        let to_say = |way: &Way, sender| way.is_free.then(|| closing(sender, end.code()));
        let (caller_frame, backend_frame) =
            (to_say(&received, Sender::Backend), to_say(&sent, Sender::Caller));
        let farewell = Farewell {
            caller: from_caller.unsplit(to_caller),
            backend: from_backend.unsplit(to_backend),
            caller_frame,
            backend_frame,
        };
        (end, farewell)
    }
}

/// What is still to be said to both sides.
pub(super) struct Farewell {
    caller: TokioIo<Upgraded>,
    backend: UpstreamSocket,
    caller_frame: Option<Vec<u8>>,
    backend_frame: Option<Vec<u8>>,
}

impl Farewell {
    /// Says it where a frame may come, and lets the other side take it. What the caller holds is theirs until they have
    /// gone: so is the connection.
    pub(super) async fn say(self, held: impl Send) {
        let Self { caller, backend, caller_frame, backend_frame } = self;
        let of_caller = async {
            part(caller, caller_frame).await;
            drop(held);
        };
        tokio::join!(of_caller, part(backend, backend_frame));
    }
}

/// A socket that is closed with bytes unread is reset, and what was said last is lost with it.
async fn part(mut io: impl AsyncRead + AsyncWrite + Unpin, frame: Option<Vec<u8>>) {
    let parting = async {
        if let Some(frame) = frame {
            io.write_all(&frame).await?;
        }
        io.shutdown().await?;
        let (mut piece, mut late) = ([0; 1024], 0);
        while late < LATE_BYTES {
            match io.read(&mut piece).await? {
                0 => break,
                bytes => late += bytes,
            }
        }
        std::io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(GOODBYE, parting).await {
        tracing::debug!(%error, "one side of a WebSocket had gone");
    }
}

/// From the caller to the backend.
async fn up(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    way: &mut Way,
    (caps, patience): (&SocketCaps, Duration),
    common: &Common,
) -> End {
    let mut pace = Pace::new(caps.frames_per_s);
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let Some(piece) = read(from, &mut buffer).await else {
            let is_over = common.caller_closed.load(Ordering::Acquire);
            return if is_over { End::Closed } else { End::CallerLeft };
        };
        common.moves();
        let bytes = way.bytes.saturating_add(piece.len() as u64);
        if bytes > caps.sent_bytes {
            return End::Sent;
        }
        match way.frames.take(piece) {
            Ok(frames) if pace.allows(frames) => {}
            Ok(_) => return End::Rate,
            Err(fault) => return End::Frame(Sender::Caller, fault),
        }
        way.is_free = false;
        if !matches!(timeout(patience, write(to, piece)).await, Ok(Ok(()))) {
            return End::BackendLeft;
        }
        way.wrote(bytes);
        if way.frames.has_closed() {
            common.caller_closed.store(true, Ordering::Release);
        }
        if common.are_closed() {
            return End::Closed;
        }
    }
}

/// What is needed to let something leave.
pub(super) struct Giving<'t> {
    pub(super) seat: &'t Seat,
    pub(super) disclosure: &'t Disclosure,
    pub(super) entity: &'t str,
}

impl Giving<'_> {
    /// Counts bytes, durably.
    async fn count(&self, bytes: u64) -> Result<(), End> {
        if let Take::HoldBack(limit) = self.seat.take_bytes(bytes) {
            tracing::debug!(%limit, "no more bytes may leave");
            return Err(End::Limit);
        }
        self.seat.persist().await.map_err(|error| {
            tracing::error!(%error, "what leaves could not be counted, so it does not leave");
            End::Uncounted
        })
    }

    /// Notes how much has left.
    fn note(&self, bytes: u64) {
        self.disclosure.with(|entry| {
            let data = entry.data.get_or_insert_with(|| Data {
                entity: self.entity.into(),
                records: Some(1),
                ..Data::default()
            });
            data.bytes = Some(bytes);
        });
    }
}

/// From the backend to the caller.
async fn down(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    (way, giving): (&mut Way, &Giving<'_>),
    (caps, patience): (&SocketCaps, Duration),
    common: &Common,
) -> End {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let Some(piece) = read(from, &mut buffer).await else {
            let is_over = common.backend_closed.load(Ordering::Acquire);
            return if is_over { End::Closed } else { End::BackendLeft };
        };
        common.moves();
        let bytes = way.bytes.saturating_add(piece.len() as u64);
        if bytes > caps.received_bytes {
            return End::Received;
        }
        if let Err(fault) = way.frames.take(piece) {
            return End::Frame(Sender::Backend, fault);
        }
        if let Err(end) = giving.count(piece.len() as u64).await {
            return end;
        }
        way.is_free = false;
        // What may have left is told, also where the caller goes away meanwhile.
        giving.note(bytes);
        match timeout(patience, write(to, piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => return End::CallerLeft,
            Err(_elapsed) => return End::Unread,
        }
        way.wrote(bytes);
        if way.frames.has_closed() {
            common.backend_closed.store(true, Ordering::Release);
        }
        if common.are_closed() {
            return End::Closed;
        }
    }
}

/// The next piece; none once the other side has gone.
async fn read<'b>(from: &mut (impl AsyncRead + Unpin), buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = from.read(buffer).await.ok().filter(|length| *length > 0)?;
    buffer.get(..length)
}

async fn write(to: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> std::io::Result<()> {
    to.write_all(piece).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_frames_than_may_be_wherever_it_begins() {
        let wait = async |ms| tokio::time::advance(Duration::from_millis(ms)).await;
        let mut pace = Pace::new(20);
        wait(900).await;
        assert!(pace.allows(20));
        for ms in [99, 2, 898] {
            wait(ms).await;
            assert!(!pace.allows(1), "within a second of the others");
        }
        let mut pace = Pace::new(20);
        for _ in 0..10 {
            assert!((0..20).all(|_| pace.allows(1)) && pace.parts.len() <= 21);
            wait(1050).await;
        }
        for _ in 0..100 {
            assert!(pace.allows(1), "so many, evenly");
            wait(60).await;
        }
    }
}
