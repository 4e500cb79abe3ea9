//! What outlives a run: learned baselines in one file. Comes in: baselines, or a file's bytes. Goes out: a file that is
//! whole or not there, or baselines that can have been learned. Knows nothing of what the numbers mean.
//!
//! A file is one line of JSON that says what follows ([`Header`]) and then the baselines as JSON. It is written beside its
//! place, brought to the disk and renamed, so that a reader never sees half of one.

mod acknowledged;
mod keeper;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::detect::baseline::{Baselines, Unsound};

pub use acknowledged::{Acknowledgements, acknowledge, is_incident};
pub use keeper::Keeper;

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// What the file is.
    kind: String,
    /// The shape of what follows.
    format: u32,
    /// The version of bongsu that wrote it.
    bongsu: String,
    /// The length of what follows.
    bytes: u64,
    /// The SHA-256 of what follows.
    sha256: String,
}

const KIND: &str = "bongsu baseline";
const FORMAT: u32 = 1;

/// A service with every table full takes some 6 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// Longer than any header.
const MAX_HEADER: usize = 512;

/// What is learned of people's addresses is for the owner and the group.
const PRIVATE: u32 = 0o640;

/// Copies of damaged files beside each other.
const MAX_ASIDE: u32 = 1_000;

/// Reads a file of baselines.
///
/// # Errors
/// Where it cannot be read, is larger than any can be, or is not what [`encode`] writes.
pub fn read(path: &Path) -> Result<Baselines, StoreError> {
    let failed = |error| StoreError::Read { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    decode(&bytes).map_err(|damage| StoreError::Damaged { path: path.to_owned(), damage })
}

/// Writes a file of baselines in place of what was there, all of it or nothing.
///
/// # Errors
/// Where the folder or the file cannot be written, or there is too much to write.
pub fn write(path: &Path, baselines: &Baselines) -> Result<(), StoreError> {
    let bytes = encode(baselines).map_err(|damage| StoreError::Damaged { path: path.to_owned(), damage })?;
    write_whole(path, &bytes)
}

/// Writes a file in place of what was there, all of it or nothing.
///
/// # Errors
/// Where the folder or the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    // The file itself, where the path is a link to it.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |error| StoreError::Write { path: path.clone(), error };
    let beside = with_suffix(&path, &format!(".{}.new", std::process::id()));
    let written = write_through(&beside, bytes).and_then(|()| fs::rename(&beside, &path));
    if let Err(error) = written {
        // What is left of the attempt helps nobody; that it cannot be removed is no news either.
        let _ = fs::remove_file(&beside);
        return Err(failed(error));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Moves a damaged file to `FILE.damaged-N`; answers where it is now.
///
/// # Errors
/// Where it cannot be moved, or a thousand such files are there.
pub fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::Write { path: path.to_owned(), error };
    for number in 1..=MAX_ASIDE {
        let aside = with_suffix(path, &format!(".damaged-{number}"));
        if !aside.try_exists().map_err(failed)? {
            return fs::rename(path, &aside).map(|()| aside).map_err(failed);
        }
    }
    Err(failed(io::Error::other(format!("{MAX_ASIDE} damaged files are beside it already"))))
}

/// The bytes of a file.
///
/// # Errors
/// Where they would be more than a file may have.
pub fn encode(baselines: &Baselines) -> Result<Vec<u8>, Damage> {
    seal(&serde_json::to_vec(baselines).map_err(Damage::Body)?)
}

/// A file with these contents, whatever they are.
///
/// # Errors
/// Where they are more than a file may have.
pub fn seal(body: &[u8]) -> Result<Vec<u8>, Damage> {
    let header = Header {
        kind: KIND.to_owned(),
        format: FORMAT,
        bongsu: env!("CARGO_PKG_VERSION").to_owned(),
        bytes: body.len() as u64,
        sha256: checksum(body),
    };
    let mut bytes = serde_json::to_vec(&header).map_err(Damage::Body)?;
    bytes.push(b'\n');
    bytes.extend(body);
    if bytes.len() as u64 > MAX_BYTES { Err(Damage::Size) } else { Ok(bytes) }
}

/// The baselines that a file's bytes hold.
///
/// # Errors
/// What is wrong with them: nothing is believed of a file whose checksum is not right.
pub fn decode(bytes: &[u8]) -> Result<Baselines, Damage> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Damage::Size);
    }
    let end = bytes.iter().take(MAX_HEADER).position(|byte| *byte == b'\n').ok_or(Damage::Header)?;
    let (first, rest) = bytes.split_at(end);
    let body = rest.get(1..).unwrap_or_default();
    let header: Header = serde_json::from_slice(first).map_err(|_| Damage::Header)?;
    if header.kind != KIND {
        return Err(Damage::Header);
    }
    if header.format != FORMAT {
        return Err(Damage::Format { found: header.format });
    }
    if header.bytes != body.len() as u64 {
        return Err(Damage::Length { told: header.bytes, found: body.len() as u64 });
    }
    if header.sha256 != checksum(body) {
        return Err(Damage::Checksum);
    }
    let baselines: Baselines = serde_json::from_slice(body).map_err(Damage::Body)?;
    baselines.check()?;
    Ok(baselines)
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left over by a process that had the same number.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file cannot be written.
    #[error("{}: not written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not what was written.
    #[error("{}: no baseline that can be used: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
}

impl StoreError {
    /// Whether there is no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Read { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file is there and cannot be believed; one that a later version wrote can, by that version.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { damage, .. } if !matches!(damage, Damage::Format { .. }))
    }
}

/// What is wrong with a file's bytes.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The first line is no header.
    #[error("its first line does not say that it is one")]
    Header,
    /// Another version's shape.
    #[error("its format is {found}, this version reads {FORMAT}")]
    Format {
        /// The format.
        found: u32,
    },
    /// It is longer than any file can be.
    #[error("it is larger than {} MiB", MAX_BYTES >> 20)]
    Size,
    /// Something is missing, or more than it should be.
    #[error("{told} bytes should follow the first line, {found} do")]
    Length {
        /// What the header says.
        told: u64,
        /// What there is.
        found: u64,
    },
    /// The checksum is not that of the bytes.
    #[error("its checksum does not fit its contents")]
    Checksum,
    /// The contents have another shape.
    #[error("its contents cannot be read: {0}")]
    Body(serde_json::Error),
    /// The contents cannot have been learned.
    #[error(transparent)]
    Unsound(#[from] Unsound),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.baseline");
        write(&path, &Baselines::default()).unwrap();
        write(&path, &Baselines::default()).unwrap();
        assert_eq!(read(&path).unwrap(), Baselines::default());
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["web.baseline"]);
    }

    #[test]
    fn every_byte_that_changes_is_noticed() {
        let bytes = encode(&Baselines::default()).unwrap();
        assert!(decode(&bytes).is_ok());
        for at in 0..bytes.len() {
            let mut hurt = bytes.clone();
            hurt[at] ^= 1;
            // The version that wrote it is only told.
            let same = decode(&hurt).is_ok() && String::from_utf8_lossy(&hurt).contains("\"bongsu\":\"");
            assert!(decode(&hurt).is_err() || same, "byte {at}");
        }
        assert!(matches!(decode(&bytes[..bytes.len() - 1]), Err(Damage::Length { .. })));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b");
        for number in 1..=2 {
            fs::write(&path, format!("damage {number}")).unwrap();
            assert!(read(&path).is_err_and(|error| error.is_damage()));
            assert_eq!(set_aside(&path).unwrap(), folder.path().join(format!("b.damaged-{number}")));
        }
        assert!(read(&path).is_err_and(|error| error.is_absent()));
        assert_eq!(fs::read_to_string(folder.path().join("b.damaged-1")).unwrap(), "damage 1");
    }

    #[test]
    fn another_versions_file_is_not_damage() {
        let bytes = encode(&Baselines::default()).unwrap();
        let later = String::from_utf8(bytes).unwrap().replace("\"format\":1", "\"format\":2");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b");
        fs::write(&path, later).unwrap();
        let error = read(&path).unwrap_err();
        assert!(!error.is_damage() && error.to_string().contains("format is 2"), "{error}");
    }
}
