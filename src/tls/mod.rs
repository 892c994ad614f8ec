//! tls
pub mod client;
