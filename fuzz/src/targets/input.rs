//! How an input is read: its first bytes choose the rules and the way, the rest is the body.

use bytes::Bytes;
use menshen::guard::json::Caps;

/// Choices and a body.
pub struct Input<'a> {
    /// Which plan.
    pub plan: u8,
    /// How many records may go out.
    pub room: usize,
    /// What else is chosen.
    pub flags: u8,
    seed: u8,
    /// The body.
    pub body: &'a [u8],
}

/// The bytes before the body.
pub const HEAD: usize = 4;

impl<'a> Input<'a> {
    /// Reads an input; `None` if it is too short or too large to tell anything new.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let (&[plan, room, flags, seed], body) = data.split_first_chunk::<HEAD>()?;
        let room = if room < 8 { usize::from(room) } else { usize::MAX };
        (body.len() <= 1 << 16).then_some(Self { plan, room, flags, seed, body })
    }

    /// One more choice.
    pub fn is_odd(&self) -> bool {
        self.seed % 2 == 1
    }

    /// A body in pieces: one byte each, then in sizes that the seed gives.
    pub fn splits(&self, body: &[u8]) -> [Vec<Bytes>; 3] {
        let whole = vec![Bytes::copy_from_slice(body)];
        let bytes = body.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
        [whole, bytes, pieces(body, u32::from(self.seed))]
    }
}

/// Cuts a body into pieces of 0 to 40 bytes by chance.
fn pieces(mut rest: &[u8], mut seed: u32) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = ((seed >> 20) % 41).min(rest.len() as u32) as usize;
        let (piece, behind) = rest.split_at(size);
        pieces.push(Bytes::copy_from_slice(piece));
        rest = behind;
    }
    pieces
}

/// Caps so small that a fuzzer reaches them.
pub fn small_caps() -> Caps {
    Caps {
        depth: 5,
        key_bytes: 12,
        value_bytes: 16,
        record_bytes: 120,
        number_bytes: 8,
        columns: 6,
        gap_bytes: 3,
    }
}
