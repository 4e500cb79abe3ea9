//! Who has seen which incident. Comes in: acknowledgements from any process of the machine. Goes out: those that came since
//! the last look. One line each, added at the end of a file in the state folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Acknowledged by hand, a few a day; what would be longer is not from hands.
const LONGEST: u64 = 1 << 20;

/// Digits of an incident's identity.
const DIGITS: usize = 16;

/// The owner and the group may acknowledge.
const MODE: u32 = 0o660;

/// The acknowledgements of a state folder.
#[derive(Debug)]
pub struct Acknowledgements {
    path: PathBuf,
    /// How much of the file was looked at.
    read: u64,
}

/// Whether a text can be the identity of an incident.
pub fn is_incident(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Adds an acknowledgement to a state folder.
///
/// # Errors
/// The system's.
pub fn acknowledge(state: &Path, incident: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    let mut file = options.open(file_of(state))?;
    file.write_all(format!("{incident}\n").as_bytes())?;
    file.sync_data()
}

fn file_of(state: &Path) -> PathBuf {
    state.join("acknowledged")
}

impl Acknowledgements {
    /// Those of a state folder.
    pub fn of(state: &Path) -> Self {
        Self { path: file_of(state), read: 0 }
    }

    /// Those that came since the last look; a file that is not there, or is no such file, has none.
    pub fn news(&mut self) -> Vec<String> {
        self.look().unwrap_or_default()
    }

    fn look(&mut self) -> io::Result<Vec<String>> {
        let length = fs::symlink_metadata(&self.path)?.len();
        if length == self.read {
            return Ok(Vec::new());
        }
        // Shorter than before: somebody has begun it anew.
        let from = if length < self.read { 0 } else { self.read };
        let from = from.max(length.saturating_sub(LONGEST));
        let mut file =
            File::options().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.take(length - from).read_to_string(&mut text)?;
        self.read = length;
        Ok(text.lines().filter(|line| is_incident(line)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_acknowledgement_is_news_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledgements = Acknowledgements::of(folder.path());
        assert_eq!(acknowledgements.news(), Vec::<String>::new());
        acknowledge(folder.path(), "0123456789abcdef").unwrap();
        fs::OpenOptions::new()
            .append(true)
            .open(file_of(folder.path()))
            .unwrap()
            .write_all(b"no id\n")
            .unwrap();
        acknowledge(folder.path(), "fedcba9876543210").unwrap();
        assert_eq!(acknowledgements.news(), ["0123456789abcdef", "fedcba9876543210"]);
        assert_eq!(acknowledgements.news(), Vec::<String>::new());
        fs::write(file_of(folder.path()), "00000000000000aa\n").unwrap();
        assert_eq!(acknowledgements.news(), ["00000000000000aa"]);
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        assert!(is_incident("0123456789abcdef"));
        for text in ["", "0123456789ABCDEF", "0123456789abcde", "../../etc/passwd"] {
            assert!(!is_incident(text), "{text}");
        }
    }
}
