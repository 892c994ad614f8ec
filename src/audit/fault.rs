//! What can be wrong with a log, and where.

use std::fmt;

use super::note::NoteError;

/// The first place at which a log does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file, as a path below the log's folder.
    pub file: String,
    /// The first entry that is in doubt, where that is known.
    pub index: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
}

impl Broken {
    pub(super) fn new(
        file: impl Into<String>,
        index: impl Into<Option<u64>>,
        fault: Fault,
    ) -> Self {
        Self { file: file.into(), index: index.into(), fault }
    }
}

impl std::error::Error for Broken {}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.file)?;
        if let Some(index) = self.index {
            write!(f, ", entry {index}")?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The checkpoint does not hold.
    #[error("{0}")]
    Checkpoint(NoteError),
    /// The folder's verifier key is not the one given.
    #[error("the log's verifier key must be `{wanted}`, got `{found}`")]
    VerifierKey {
        /// The key that was given.
        wanted: String,
        /// The key in the folder.
        found: String,
    },
    /// A file that the checkpoint calls for is not there.
    #[error("the file is missing")]
    Missing,
    /// The system could not read the file.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// A file of the tree that the log does not have.
    #[error("the file does not belong to the log")]
    Unexpected,
    /// An entry does not give the hash that the tree has for it.
    #[error("the entry, or its hash in the tree, was altered")]
    Entry,
    /// A bundle does not hold the number of entries that it should.
    #[error("entries are missing from the bundle, or added to it")]
    Bundle,
    /// A tile does not hold the hashes that follow from the entries.
    #[error("the hashes were altered")]
    Hashes,
    /// The entries do not give the root that was signed.
    #[error(
        "the entries do not give the root that was signed: some were altered, removed, added or reordered"
    )]
    Root,
    /// The journal does not begin where the tiles end, or has a hole.
    #[error("the journal goes on with entry {found}: entries are missing")]
    Gap {
        /// The entry that the journal goes on with.
        found: u64,
    },
    /// A batch of the journal is damaged although later ones are whole.
    #[error("the journal was altered")]
    Journal,
    /// The journal's signature is not the log's.
    #[error("the journal's entries are not signed by the log's key")]
    Signature,
    /// The journal ends in bytes that are no batch.
    #[error(
        "the journal ends in {0} bytes that are no entry: the gate stopped hard and was not started since, or they were altered"
    )]
    Tail(u64),
    /// A certificate of a destruction does not hold.
    #[error("the certificate of a destruction: {0}")]
    Certificate(NoteError),
    /// A key's file is not one.
    #[error("the key is damaged: what it opens cannot be read, put it back from a copy of `keys`")]
    Key,
    /// A number of a key is left out.
    #[error(
        "the keys before it are missing: they were removed, and not by a destruction of the log"
    )]
    KeysMissing,
    /// A key that entries need is not there.
    #[error(
        "the key is missing, and entries need it: it was removed, and not by a destruction of the log"
    )]
    KeyMissing,
    /// The newest keys are not there.
    #[error(
        "{last} keys were made and {there} are there: the newest were removed, and not by a destruction of the log"
    )]
    LastKeysMissing {
        /// How many were made.
        last: u32,
        /// How many are there.
        there: u32,
    },
    /// A key is called destroyed, and no certificate says so.
    #[error("the key is called destroyed, but no certificate of the log says so")]
    Uncertified,
    /// A note on bundles that were removed does not hold.
    #[error("the note on entries that were removed: {0}")]
    Removal(NoteError),
    /// Entries were removed whose key is there still.
    #[error(
        "entries were removed whose key `{0}` is not destroyed: put their bundle back from a copy"
    )]
    RemovedEarly(String),
    /// The log is shorter than an earlier checkpoint says.
    #[error(
        "the log has {entries} entries, an earlier checkpoint says {size}: its end was cut off"
    )]
    Shorter {
        /// Entries in the log.
        entries: u64,
        /// Entries that the earlier checkpoint counts.
        size: u64,
    },
    /// The log does not continue an earlier checkpoint.
    #[error("the first {0} entries are not those of the earlier checkpoint: the log was rewritten")]
    Rewritten(u64),
}

impl Fault {
    /// What whoever finds it does next.
    #[must_use]
    pub fn to_do(&self) -> &'static str {
        match self {
            Self::Checkpoint(_) | Self::VerifierKey { .. } | Self::Signature | Self::Root => {
                "start no gate on it and keep the folder as it is: somebody without the log's key wrote it, or this is another log; \
                 compare with checkpoints and a verifier key that were kept elsewhere"
            }
            Self::Missing
            | Self::Entry
            | Self::Bundle
            | Self::Hashes
            | Self::Gap { .. }
            | Self::Journal => {
                "start no gate on it and keep the folder as it is; put the file back from a backup, and see in what was \
                 carried elsewhere what the entries said"
            }
            Self::Unreadable(_) => {
                "see that you may read it and that the disk is whole, and verify again; start no gate on it before"
            }
            Self::Unexpected => {
                "start no gate on it and keep the folder as it is: below `tile` it may be entries that a checkpoint put back \
                 no longer counts; compare with `--from` a checkpoint that was kept elsewhere, and find out who put it there"
            }
            Self::Tail(_) => {
                "start the gate, which removes them and says so in an entry; if it was stopped in good order, somebody \
                 altered the file: keep it as it is"
            }
            Self::Certificate(_)
            | Self::Key
            | Self::KeysMissing
            | Self::KeyMissing
            | Self::LastKeysMissing { .. }
            | Self::Uncertified => {
                "put `keys` and `certificates` back from a backup; what has no certificate was destroyed by somebody, not by \
                 the log"
            }
            Self::Removal(_) | Self::RemovedEarly(_) => {
                "put `removed` and the bundles that it names back from a backup; what no note of the log names was removed by \
                 somebody, not by the log"
            }
            Self::Shorter { .. } | Self::Rewritten(_) => {
                "start no gate on it: find the folder that has the missing entries, or a backup and what was carried \
                 elsewhere, and whoever could write here"
            }
        }
    }
}

/// A file that could not be read.
pub(super) fn unreadable(error: &std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Fault::Missing;
    }
    Fault::Unreadable(error.to_string())
}
