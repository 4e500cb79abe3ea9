//! A file that holds a key. Comes in: its path. Goes out: the key, or why it is none; nothing that it holds is ever shown.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Failure;
use crate::alert::{KEY_DIGITS, PseudonymKey};

/// What others may do with a key file: nothing. The group of whoever runs this may read it.
const FORBIDDEN: u32 = 0o037;

/// Reads a key of pseudonyms from a regular file that others can neither read nor change.
pub fn read(path: &Path) -> Result<PseudonymKey, Failure> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Failure::usage(format!("pseudonymize: {}: {reason}", path.display()))
    };
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let about = file.metadata().map_err(|error| wrong(&error))?;
    if !about.is_file() {
        return Err(wrong(&"is no file"));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & FORBIDDEN != 0 {
        return Err(wrong(&format_args!(
            "others can read or change it (mode {mode:04o}): chmod 600 {}",
            path.display()
        )));
    }
    let mut text = Vec::new();
    // A line end more, and one byte that shows that it is too long.
    file.take(KEY_DIGITS as u64 + 3).read_to_end(&mut text).map_err(|error| wrong(&error))?;
    PseudonymKey::parse(&text).map_err(|error| wrong(&error))
}
