//! Which published entry point a request meets: host, path and method to a route.
//!
//! A path is normalised once, here; what was judged is exactly what is forwarded. What a route means
//! is the policy's.

mod host;
mod path;
mod table;
mod template;

pub use host::normalise_host;
pub use path::{PATH_LIMIT_BYTES, Path, PathError, SEGMENT_LIMIT};
pub use table::{Ambiguity, Entry, Match, Table};
pub use template::{Template, TemplateError};
