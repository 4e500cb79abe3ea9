//! The operations on files that a spool is made of. Comes in: names within one folder. Goes out: bytes, or the system's
//! error. Few and plain, so that a test can keep their log and try every point at which the power may fail.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// One folder of files.
pub trait Disk: Send {
    /// The names of all files.
    fn list(&mut self) -> io::Result<Vec<String>>;
    /// The length of a file in bytes.
    fn len(&mut self, name: &str) -> io::Result<u64>;
    /// Up to `most` bytes from an offset on; fewer only at the end of the file.
    fn read(&mut self, name: &str, from: u64, most: usize) -> io::Result<Vec<u8>>;
    /// Makes an empty file in place of what has the name.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Adds all bytes to a file's end; where it fails, some may have been added.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Brings a file's bytes and length to the disk.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, in place of what has it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Brings what was created, renamed and removed to the disk.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// Alerts name addresses: for the owner and the group.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// A folder of the machine, held by one process at a time.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The file that is being added to.
    open: Option<(String, File)>,
    /// Held until the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Opens a folder, made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made or written, or another process has it.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
        let lock = options().write(true).create(true).mode(FILE_MODE).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another process delivers from it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        File::open(path)?.sync_all()?;
        // Those it stands in may be new, too, or belong to somebody else.
        for above in path.ancestors().skip(1).take(2).filter(|above| !above.as_os_str().is_empty()) {
            let _ = File::open(above).and_then(|above| above.sync_all());
        }
        Ok(Self { path: path.to_owned(), open: None, _lock: lock })
    }

    fn writer(&mut self, name: &str) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let file = options().append(true).open(self.path.join(name))?;
            self.open = Some((name.to_owned(), file));
        }
        match &mut self.open {
            Some((_, file)) => Ok(file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn forget(&mut self, name: &str) {
        self.open.take_if(|(open, _)| open == name);
    }
}

/// Never through a symbolic link.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
    options
}

impl Disk for Folder {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        // Names that are no text are none of ours.
        names.filter_map(io::Result::transpose).collect()
    }

    fn len(&mut self, name: &str) -> io::Result<u64> {
        let held = fs::symlink_metadata(self.path.join(name))?;
        if held.is_file() { Ok(held.len()) } else { Err(io::Error::other("is no file")) }
    }

    fn read(&mut self, name: &str, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let file = options().read(true).open(self.path.join(name))?;
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read_at(room, from + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => self.forget(name),
        }
        let file = options().append(true).create_new(true).mode(FILE_MODE).open(path)?;
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writer(name)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.writer(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
