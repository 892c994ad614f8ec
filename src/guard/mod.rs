//! guard

pub mod json;
pub mod mask;
