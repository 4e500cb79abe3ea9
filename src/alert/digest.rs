//! The fingerprint of a run's alerts. Comes in: alert lines. Goes out: SHA-256 over each line and its line end.

use sha2::{Digest as _, Sha256};

/// SHA-256 over alert lines, each with its line end: what `sha256sum` says of a file that holds them alone.
#[derive(Debug, Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds a line, given without its line end.
    pub fn add(&mut self, line: &str) {
        self.0.update(line);
        self.0.update(b"\n");
    }

    /// The digest so far: 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.0.clone().finalize())
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sha256sum() {
        let mut digest = Digest::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.hex(), empty);
        digest.add("a");
        digest.add("b");
        // printf 'a\nb\n' | sha256sum
        assert_eq!(digest.hex(), "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2");
    }
}
