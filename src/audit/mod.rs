//! The log: a record of every decision and every disclosure that cannot be altered unnoticed.
//!
//! A transparency log (RFC 6962 tree, C2SP tiles, signed checkpoints) fed by a journal that is
//! durable before an answer leaves. It writes, verifies and reads entries; `index` searches them.

pub mod merkle;
pub mod note;
pub mod tile;

mod access;
mod anonymous;
mod at_rest;
mod attributes;
mod batch;
mod consistency;
mod content;
mod copies;
mod disk;
mod entry;
mod fault;
mod filter;
mod folder;
mod follow;
mod groups;
mod journal;
mod log;
mod lookup;
mod order;
mod proof;
mod publish;
mod queue;
mod reader;
mod reading;
mod recover;
mod retention;
mod shared;
mod snapshot;
mod subject;
mod text;
mod verify;
mod witness;
mod writer;

pub use access::{Access, Accesses};
pub use at_rest::{
    AtRest, Closed, Day, Frame, Lost, Needed, Opener, RestError, RestKey, Rewrapped, Tenants,
};
pub use attributes::{Attributes, Trait};
pub use consistency::{consistency_proof, verify_consistency};
pub use content::ContentHash;
pub use copies::CopySettings;
pub use entry::{Continues, Entry, EntryError, EntryId, MAX_SUBJECTS, Moment, Stamp, Subjects};
pub use fault::{Broken, Fault};
pub use filter::{Filter, normal};
pub use follow::{Durable, Feed, Followed, Follower};
pub use groups::{
    Act, Actor, ActorKind, Alert, Answer, Auth, Class, Concern, Data, Decision, Difference, Effect,
    Ending, Event, Extent, Found, Levels, Mode, Order, Origin, Query, QueryUse, Request, Uploads,
    Why,
};
pub use log::{Health, Log, LogError, Receipt, Settings, Sink};
pub use lookup::{Lookup, Stored, StoredEntries, destroyed_keys};
pub use order::{Fit, OrderKey};
pub use proof::{ProofError, Proven, check_proof, prove};
pub use reader::{OpenedFrames, ReadError, Reader, Record};
pub use reading::{Left, Reading, Readings};
pub use recover::Recovery;
pub use retention::{
    Certificate, Fate, Hold, Line, NOTICE_DAYS, Period, Periods, TenantPeriods, Tended, check_keys,
    survey,
};
pub use snapshot::LogSnapshot;
pub use subject::{MAX_SUBJECT_KEY_BYTES, SubjectError, SubjectRef, SubjectSealer};
pub use text::{FieldNames, Labels, Names, Text};
pub use verify::{Verified, is_written, verify};
pub use witness::{WitnessQuestion, cosigned_checkpoints, keep_cosigned};
