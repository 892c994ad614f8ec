//! The guard: which bytes of a request and of an answer pass. Bytes in, bytes out; no sockets, no
//! clock. What a caller may see is the policy's, which hands it over as a plan.
//!
//! There is no way through it for bytes that it has not parsed and allowed.

mod encoding;
pub mod json;
pub mod mask;
mod query;
mod response;

pub use encoding::{EncodingFault, Refusal};
pub use json::{Caps, Cause, Fault, FieldCount, Filter, Hooks, Mode, Report, Take};
pub use query::{CheckedQuery, QueryCause, QueryFault, check_query};
pub use response::{ResponseFault, ResponseGuard, check_request_type};
