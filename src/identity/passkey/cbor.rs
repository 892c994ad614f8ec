//! The part of CBOR (RFC 8949) that authenticators speak, in the strict form of CTAP2: definite lengths, the
//! shortest form of every number, no name twice, no tags and no floats.
//!
//! Borrows from its input, sets nothing aside that a length merely promises, and goes no deeper than
//! [`DEPTH`]. The order of names is not checked: where none stands twice, it changes no meaning.

/// How deep lists and maps may stand in each other; an attestation object without statement needs 2.
const DEPTH: u8 = 4;
/// The most items in one piece of CBOR.
const ITEMS: u32 = 512;
/// The longest piece of CBOR.
pub(super) const LENGTH: usize = 64 * 1024;

/// What stands in a piece of CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<Value<'a>>),
    Map(Map<'a>),
    Bool(bool),
    Null,
}

/// Names, each a number or a text and each once, and what they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map<'a>(Vec<(Value<'a>, Value<'a>)>);

impl<'a> Map<'a> {
    pub(super) fn number(&self, name: i64) -> Option<&Value<'a>> {
        self.find(&Value::Integer(name))
    }

    pub(super) fn text(&self, name: &'a str) -> Option<&Value<'a>> {
        self.find(&Value::Text(name))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, name: &Value<'_>) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// Why bytes are not of the CBOR that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborFault {
    /// They end within an item.
    #[error("it ends within an item")]
    Cut,
    /// Something stands behind the item.
    #[error("something stands behind it")]
    Trailing,
    /// More than 64 KiB or 512 items.
    #[error("it must be at most 64 KiB with at most 512 items")]
    TooLarge,
    /// Lists and maps stand in each other more than four deep.
    #[error("it is nested more than four deep")]
    TooDeep,
    /// A number in more bytes than it takes, or beyond 63 bits.
    #[error("a number is not in its shortest form or too large")]
    Number,
    /// An item whose length is not said at its beginning.
    #[error("an item has no definite length")]
    Indefinite,
    /// A tag, a float or a simple value other than true, false and null.
    #[error("it has a tag, a float or an unknown simple value")]
    Kind,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// The name of a map's entry is neither a number nor a text.
    #[error("a name in a map is neither a number nor a text")]
    Name,
    /// A map names something twice.
    #[error("a map has the same name twice")]
    Duplicate,
}

/// Reads one item that takes all of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Value<'_>, CborFault> {
    let (value, rest) = decode_first(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(CborFault::Trailing) }
}

/// Reads the item at the beginning of `bytes`, and gives what stands behind it.
pub(super) fn decode_first(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), CborFault> {
    if bytes.len() > LENGTH {
        return Err(CborFault::TooLarge);
    }
    let mut reader = Reader { rest: bytes, items: ITEMS };
    let value = reader.item(0)?;
    Ok((value, reader.rest))
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many more items may come.
    items: u32,
}

impl<'a> Reader<'a> {
    fn item(&mut self, depth: u8) -> Result<Value<'a>, CborFault> {
        self.items = self.items.checked_sub(1).ok_or(CborFault::TooLarge)?;
        let first = *self.rest.first().ok_or(CborFault::Cut)?;
        self.take(1)?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            return match info {
                20 => Ok(Value::Bool(false)),
                21 => Ok(Value::Bool(true)),
                22 => Ok(Value::Null),
                31 => Err(CborFault::Indefinite),
                _ => Err(CborFault::Kind),
            };
        }
        let number = self.number(info)?;
        match major {
            0 => i64::try_from(number).map(Value::Integer).map_err(|_large| CborFault::Number),
            1 => i64::try_from(number)
                .map(|n| Value::Integer(-1 - n))
                .map_err(|_large| CborFault::Number),
            2 => Ok(Value::Bytes(self.take(number)?)),
            3 => std::str::from_utf8(self.take(number)?)
                .map(Value::Text)
                .map_err(|_bytes| CborFault::Text),
            4 => self.list(number, deeper(depth)?),
            5 => self.map(number, deeper(depth)?),
            _ => Err(CborFault::Kind),
        }
    }

    /// The number that `info` begins, in its shortest form.
    fn number(&mut self, info: u8) -> Result<u64, CborFault> {
        let (length, least) = match info {
            0..=23 => return Ok(info.into()),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Err(CborFault::Indefinite),
            _ => return Err(CborFault::Kind),
        };
        let bytes = self.take(length)?;
        let number = bytes.iter().fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
        if number < least { Err(CborFault::Number) } else { Ok(number) }
    }

    fn list(&mut self, length: u64, depth: u8) -> Result<Value<'a>, CborFault> {
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.item(depth)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, length: u64, depth: u8) -> Result<Value<'a>, CborFault> {
        let mut map = Map::default();
        for _ in 0..length {
            let name = self.item(depth)?;
            if !matches!(name, Value::Integer(_) | Value::Text(_)) {
                return Err(CborFault::Name);
            }
            if map.find(&name).is_some() {
                return Err(CborFault::Duplicate);
            }
            map.0.push((name, self.item(depth)?));
        }
        Ok(Value::Map(map))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborFault> {
        let length = usize::try_from(length).map_err(|_large| CborFault::Cut)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborFault::Cut)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn deeper(depth: u8) -> Result<u8, CborFault> {
    if depth < DEPTH { Ok(depth.saturating_add(1)) } else { Err(CborFault::TooDeep) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_8949_read_as_they_should() {
        let cases: &[(&[u8], Value<'_>)] = &[
            (&[0x00], Value::Integer(0)),
            (&[0x17], Value::Integer(23)),
            (&[0x18, 0x18], Value::Integer(24)),
            (&[0x19, 0x03, 0xe8], Value::Integer(1000)),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], Value::Integer(1_000_000)),
            (&[0x20], Value::Integer(-1)),
            (&[0x39, 0x03, 0xe7], Value::Integer(-1000)),
            (&[0x44, 1, 2, 3, 4], Value::Bytes(&[1, 2, 3, 4])),
            (&[0x64, b'I', b'E', b'T', b'F'], Value::Text("IETF")),
            (&[0xf5], Value::Bool(true)),
            (&[0xf6], Value::Null),
            (&[0x82, 0x01, 0x20], Value::List(vec![Value::Integer(1), Value::Integer(-1)])),
        ];
        for (bytes, value) in cases {
            assert_eq!(decode(bytes).as_ref(), Ok(value), "{bytes:02x?}");
        }
        let Value::Map(map) = decode(&[0xa2, 0x01, 0x02, 0x61, b'a', 0x03]).unwrap() else {
            panic!("a map");
        };
        assert_eq!(
            (map.number(1), map.text("a")),
            (Some(&Value::Integer(2)), Some(&Value::Integer(3)))
        );
    }

    #[test]
    fn whatever_has_a_second_reading_is_refused() {
        let cases: &[(&[u8], CborFault)] = &[
            (&[], CborFault::Cut),
            (&[0x18], CborFault::Cut),
            (&[0x44, 1, 2, 3], CborFault::Cut),
            (&[0x00, 0x00], CborFault::Trailing),
            (&[0x18, 0x17], CborFault::Number),
            (&[0x19, 0x00, 0xff], CborFault::Number),
            (&[0x1a, 0x00, 0x00, 0xff, 0xff], CborFault::Number),
            (&[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], CborFault::Number),
            (&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0], CborFault::Number),
            (&[0x58, 0x01, 0x00], CborFault::Number),
            (&[0x1c], CborFault::Kind),
            (&[0x5f, 0x41, 0x00, 0xff], CborFault::Indefinite),
            (&[0x9f, 0xff], CborFault::Indefinite),
            (&[0xbf, 0xff], CborFault::Indefinite),
            (&[0xff], CborFault::Indefinite),
            (&[0xc0, 0x00], CborFault::Kind),
            (&[0xf9, 0x3c, 0x00], CborFault::Kind),
            (&[0xf7], CborFault::Kind),
            (&[0xf8, 0x20], CborFault::Kind),
            (&[0x61, 0xff], CborFault::Text),
            (&[0xa1, 0x41, 0x00, 0x00], CborFault::Name),
            (&[0xa2, 0x01, 0x02, 0x01, 0x03], CborFault::Duplicate),
            (&[0xa2, 0x61, b'a', 0x02, 0x61, b'a', 0x03], CborFault::Duplicate),
        ];
        for (bytes, fault) in cases {
            assert_eq!(decode(bytes), Err(*fault), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_length_that_promises_the_world_sets_nothing_aside() {
        for major in [0x5b, 0x7b, 0x9b, 0xbb] {
            let bytes = [major, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
            assert_eq!(decode(&bytes), Err(CborFault::Cut), "{major:02x}");
        }
    }

    #[test]
    fn depth_items_and_length_are_capped() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
        assert!(decode(&nested(4)).is_ok());
        assert_eq!(decode(&nested(5)), Err(CborFault::TooDeep));
        assert_eq!(decode(&nested(60_000)), Err(CborFault::TooDeep));
        let list = |length: u16| {
            let [high, low] = length.to_be_bytes();
            [vec![0x99, high, low], vec![0x00; length.into()]].concat()
        };
        assert!(decode(&list(511)).is_ok());
        assert_eq!(decode(&list(512)), Err(CborFault::TooLarge));
        assert_eq!(decode(&vec![0x00; 1 << 20]), Err(CborFault::TooLarge));
    }
}
