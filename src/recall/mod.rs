//! What a gate knows by heart of what its state says: a table of keyed hashes in little memory, and how old that
//! knowledge is. What the hashes stand for is the business of whoever keeps them.

mod age;
mod table;

pub(crate) use age::Age;
pub(crate) use table::{Ends, Table};
