//! `gzip` and `deflate`: the same compression in three frames.

use flate2::{Decompress, FlushDecompress, Status};

use super::layer::{Damaged, Step, Unpack};

/// Of deflate's own windows, the largest: 32 KiB.
const WINDOW_BITS: u8 = 15;
/// The low half of zlib's first byte, which says that deflate follows.
const ZLIB_METHOD: u8 = 8;

/// Members, one behind the other, are one body (RFC 1952, 2.2).
pub(super) struct Gzip {
    member: Decompress,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { member: Decompress::new_gzip(WINDOW_BITS) }
    }
}

impl Unpack for Gzip {
    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Step, Damaged> {
        inflate(&mut self.member, input, room)
    }

    /// Whatever follows a member must be another one; anything else fails at its header.
    fn restart(&mut self) -> bool {
        *self = Self::new();
        true
    }
}

/// Either kind of deflate; begun with the first byte.
///
/// RFC 9110 means the one in zlib's frame, but some servers send it bare. The first byte tells: zlib's ends
/// with `1000`. Without a frame, that would be a stored block whose padding is not zero, which
/// no compressor writes. What begins so and is no valid zlib is refused, not tried the other way.
#[derive(Default)]
pub(super) struct Deflate {
    stream: Option<Decompress>,
}

impl Unpack for Deflate {
    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Step, Damaged> {
        let stream = match (&mut self.stream, input.first()) {
            (Some(stream), _) => stream,
            (None, None) => return Ok(Step::default()),
            (begun @ None, Some(first)) => {
                let has_frame = first & 0x0f == ZLIB_METHOD;
                begun.insert(Decompress::new_with_window_bits(has_frame, WINDOW_BITS))
            }
        };
        inflate(stream, input, room)
    }

    fn restart(&mut self) -> bool {
        false
    }
}

fn inflate(stream: &mut Decompress, input: &[u8], room: &mut [u8]) -> Result<Step, Damaged> {
    let (read, wrote) = (stream.total_in(), stream.total_out());
    let Ok(status) = stream.decompress(input, room, FlushDecompress::None) else {
        return Err(Damaged);
    };
    let length = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
    Ok(Step {
        read: length(stream.total_in(), read),
        wrote: length(stream.total_out(), wrote),
        is_end: status == Status::StreamEnd,
    })
}
