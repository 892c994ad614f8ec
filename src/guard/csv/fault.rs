//! Why a table was refused. No variant carries a value of the body, only numbers and offsets.

/// A body that does not pass, and the byte at which that became certain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}, at byte {offset}")]
pub struct Fault {
    /// What is wrong.
    pub cause: Cause,
    /// Offset of the offending byte in the (decoded) body, from 0; of its row's first byte where the row
    /// as a whole is wrong.
    pub offset: u64,
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8")]
    InvalidUtf8,
    /// A control character that is no tab and no end of a line (RFC 4180 has none of them).
    #[error("a cell holds a control character")]
    ControlCharacter,
    /// A quote inside a cell that does not start with one; between tabs, a cell that starts with one.
    #[error("a quote stands where none may stand")]
    BareQuote,
    /// Something between a closing quote and the end of its cell.
    #[error("something follows the closing quote of a cell")]
    BehindQuote,
    /// CR without LF outside of quotes: some readers end a row there, others do not.
    #[error("CR without LF stands outside of quotes")]
    BareReturn,
    /// The body ends inside a quoted cell.
    #[error("the body ends inside a quoted cell")]
    Truncated,
    /// There is no first row, or none of its cells names a declared field.
    #[error("the first row names no declared field, expected a header row")]
    NoHeader,
    /// Two columns have one name: two readers could take different ones.
    #[error("two columns have the same name")]
    DuplicateColumn,
    /// A column's name is too long.
    #[error("a column's name is longer than {cap} bytes")]
    NameTooLong {
        /// The longest that passes, in bytes as sent.
        cap: usize,
    },
    /// There are too many columns.
    #[error("there are more than {cap} columns")]
    TooManyColumns {
        /// The most that pass.
        cap: usize,
    },
    /// A row has fewer or more cells than the header.
    #[error("a row has another number of cells than the header, which has {columns}")]
    CellCount {
        /// How many the header has.
        columns: usize,
    },
    /// A cell that must be looked at is too long.
    #[error("a cell that must be masked, compared or searched is longer than {cap} bytes")]
    ValueTooLong {
        /// The longest that passes, in bytes as sent.
        cap: usize,
    },
    /// A row is too large to be held until it is judged.
    #[error("a row is larger than {cap} bytes")]
    RowTooLarge {
        /// The largest that passes, its end included, in bytes.
        cap: usize,
    },
}

impl Cause {
    /// Puts the cause at a byte.
    pub(super) fn at(self, offset: u64) -> Fault {
        Fault { cause: self, offset }
    }
}
