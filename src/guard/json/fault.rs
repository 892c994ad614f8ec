//! Why a body was refused. No variant carries a value of the body, only names, sizes and offsets.

/// A body that does not pass, and the byte at which that became certain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}, at byte {offset}")]
pub struct Fault {
    /// What is wrong.
    pub cause: Cause,
    /// Offset of the offending byte in the (decoded) body, from 0.
    pub offset: u64,
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8")]
    InvalidUtf8,
    /// It starts with a byte order mark.
    #[error("the body starts with a byte order mark")]
    ByteOrderMark,
    /// A byte that cannot stand here.
    #[error("the body is not JSON: expected {expected}")]
    Unexpected {
        /// What could stand here.
        expected: &'static str,
    },
    /// A comma before a closing bracket.
    #[error("the body is not JSON: a comma before a closing bracket")]
    TrailingComma,
    /// Something follows the one value that a body, or a line of it, may hold.
    #[error("something follows the one value that may stand here")]
    TrailingBytes,
    /// A line of a body of lines ends in the middle of its value.
    #[error("a line ends in the middle of its value")]
    LineEndsEarly,
    /// A control character inside a string.
    #[error("the body is not JSON: a bare control character in a string")]
    ControlCharacter,
    /// A backslash sequence that JSON does not know.
    #[error("the body is not JSON: an unknown escape sequence")]
    BadEscape,
    /// A number that JSON does not know.
    #[error("the body is not JSON: a malformed number")]
    BadNumber,
    /// Neither `true`, `false` nor `null`.
    #[error("the body is not JSON: a malformed literal")]
    BadLiteral,
    /// Half a surrogate pair in a member's name: two readers could disagree on the name.
    #[error("a member's name holds half a surrogate pair")]
    LoneSurrogateInKey,
    /// Nothing but white space.
    #[error("the body is empty")]
    Empty,
    /// The body ends in the middle of its value.
    #[error("the body ends too early")]
    Truncated,
    /// Too many levels of objects and arrays.
    #[error("the body is nested deeper than {cap} levels")]
    TooDeep {
        /// The most levels that pass.
        cap: usize,
    },
    /// A member's name is too long.
    #[error("a member's name is longer than {cap} bytes")]
    KeyTooLong {
        /// The longest that passes, in bytes as sent.
        cap: usize,
    },
    /// A value that must be looked at is too long.
    #[error("a value that must be masked, compared or searched is longer than {cap} bytes")]
    ValueTooLong {
        /// The longest that passes, in bytes as sent.
        cap: usize,
    },
    /// A number has too many digits.
    #[error("a number is longer than {cap} bytes")]
    NumberTooLong {
        /// The longest that passes, in bytes.
        cap: usize,
    },
    /// A record is too large to be held until it is judged.
    #[error("a record is larger than {cap} bytes")]
    RecordTooLarge {
        /// The largest that passes, in bytes.
        cap: usize,
    },
    /// A member that decides on its record stands there twice: two readers could disagree on the verdict.
    #[error("a member that decides on its record stands there twice")]
    DuplicateCondition,
    /// A member that the caller may not write.
    #[error("`{field}` may not be written")]
    NotWritable {
        /// The field's name; where it has none, the member's name as sent, cut to 64 characters.
        field: String,
    },
    /// A masked form or a pseudonym was sent where a true value is expected.
    #[error("`{field}` holds a masked value, which cannot be written back")]
    MaskedValue {
        /// The field's name, as in [`Cause::NotWritable`].
        field: String,
    },
    /// A value holds what its field is not graded for.
    #[error(
        "`{field}` holds what looks like a value of the kind `{kind}`, which does not belong there"
    )]
    Detected {
        /// The field's name, as in [`Cause::NotWritable`].
        field: String,
        /// The name of the kind.
        kind: &'static str,
    },
    /// The caller may not write this row.
    #[error("a record of `{entity}` may not be written by this caller")]
    RowNotWritable {
        /// The entity's name.
        entity: String,
    },
    /// The rules of a record did not settle; the plan contradicts itself.
    #[error("the rules of a record contradict each other")]
    Unsettled,
}

impl Cause {
    /// Puts the cause at a byte.
    pub(super) fn at(self, offset: u64) -> Fault {
        Fault { cause: self, offset }
    }
}
