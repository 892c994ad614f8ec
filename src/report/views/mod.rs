//! Requests and events of the log as other tools want them: OCSF 1.3 and CEF 0. Views, not the stored form.
//!
//! People go by reference, whatever the form; nothing here can name them.

mod cef;
mod ocsf;

pub use cef::{cef, cef_unreadable};
pub use ocsf::{ocsf, ocsf_unreadable};

const VERSION: &str = env!("CARGO_PKG_VERSION");
