//! Opening a file of records: created 0640, never through a symbolic link, never behind half a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Begin, SinkError};

/// Readable by the owner and the group: alerts name addresses.
const MODE: u32 = 0o640;

/// Longer than any record.
const LONGEST: u64 = 4 << 20;

/// Opens `path` for adding lines.
pub(super) fn open(path: &Path, begin: Begin) -> Result<File, SinkError> {
    let mut options = OpenOptions::new();
    // Appending even after truncation: whoever rotates by truncating in place gets no hole.
    options.append(true).create(true).mode(MODE).custom_flags(no_follow(path));
    let file = options.open(path).map_err(|error| reason(path, error))?;
    match begin {
        Begin::Truncate => truncate(&file),
        Begin::Append => end_line(path, &file),
        Begin::Mend => cut_line(path, &file),
    }
    .map_err(|error| SinkError::Open { path: path.to_owned(), error })?;
    Ok(file)
}

/// Devices are symbolic links by right (`/dev/stdout`); only the system can lay links there.
fn no_follow(path: &Path) -> i32 {
    if path.starts_with("/dev") || path.starts_with("/proc") { 0 } else { OFlags::NOFOLLOW.bits() as i32 }
}

fn reason(path: &Path, error: io::Error) -> SinkError {
    let path = path.to_owned();
    if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) && path.is_symlink() {
        SinkError::Link { path }
    } else {
        SinkError::Open { path, error }
    }
}

/// Pipes and devices hold nothing that could go.
fn truncate(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

/// Ends a line that an earlier run left without its end; a file that cannot be read is taken as it is.
fn end_line(path: &Path, mut file: &File) -> io::Result<()> {
    match half_line(path, file) {
        Some(_) => file.write_all(b"\n"),
        None => Ok(()),
    }
}

/// Takes away a line that an earlier run left without its end: its record will be written again.
fn cut_line(path: &Path, file: &File) -> io::Result<()> {
    match half_line(path, file) {
        Some(begin) => file.set_len(begin),
        None => Ok(()),
    }
}

/// Where the last line begins, if it has no end.
fn half_line(path: &Path, file: &File) -> Option<u64> {
    let held = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let reader = OpenOptions::new().read(true).custom_flags(no_follow(path)).open(path).ok()?;
    let from = held.len().saturating_sub(LONGEST);
    let mut tail = vec![0; usize::try_from(held.len() - from).ok()?];
    reader.read_exact_at(&mut tail, from).ok()?;
    let end = memchr::memrchr(b'\n', &tail).map_or(0, |at| at + 1);
    (end < tail.len()).then_some(from + end as u64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_file_is_for_owner_and_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        let mode = open(&path, Begin::Append).unwrap().metadata().unwrap().permissions().mode();
        // Whatever the process' mask takes away, nothing is added.
        assert_eq!(mode & 0o777 & !MODE, 0);
        assert_eq!(mode & 0o600, 0o600);
    }

    #[test]
    fn truncating_and_appending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        fs::write(&path, "old\nhalf a li").unwrap();
        open(&path, Begin::Append).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nhalf a li\nnew\n");
        open(&path, Begin::Append).unwrap().write_all(b"more\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nhalf a li\nnew\nmore\n");
        open(&path, Begin::Truncate).unwrap().write_all(b"only\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "only\n");
    }

    #[test]
    fn half_a_line_goes_where_its_record_will_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        for (held, left) in [("", ""), ("half", ""), ("one\nha", "one\n"), ("one\n", "one\n")] {
            fs::write(&path, held).unwrap();
            open(&path, Begin::Mend).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), left, "{held:?}");
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("shadow"), folder.path().join("alerts.jsonl"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(open(&link, Begin::Truncate), Err(SinkError::Link { .. })));
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let told = open(Path::new("/nonexistent/alerts.jsonl"), Begin::Append).unwrap_err().to_string();
        assert!(told.starts_with("/nonexistent/alerts.jsonl: cannot be opened: "), "{told}");
    }
}
