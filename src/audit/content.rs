//! The hash of what left: by it a file that is found somewhere is matched to its entry.

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 over bytes as they pass, and how many they were.
#[derive(Clone)]
pub struct ContentHash {
    context: Context,
    bytes: u64,
}

impl std::fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentHash").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Default for ContentHash {
    fn default() -> Self {
        Self { context: Context::new(&SHA256), bytes: 0 }
    }
}

impl ContentHash {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }

    /// How many bytes were taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash in hex: 64 characters in lower case, as `sha256sum` prints it.
    #[must_use]
    pub fn finish(self) -> String {
        let hash = self.context.finish();
        hash.as_ref()
            .iter()
            .fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_all_the_bytes_however_they_come() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(ContentHash::default().finish(), empty);
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut hash = ContentHash::default();
        hash.update(b"a");
        hash.update(b"bc");
        assert_eq!((hash.bytes(), hash.finish()), (3, abc.to_owned()));
    }
}
