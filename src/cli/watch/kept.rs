//! The packets that a watch keeps.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::capture::Writer;
use crate::cli::Failure;

/// The file under way.
pub struct Kept {
    writer: Writer<BufWriter<File>>,
    failed: Option<String>,
}

/// Kept packets hold what people sent: readable by the owner and the group.
const PRIVATE: u32 = 0o640;

impl Kept {
    /// Begins a file.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(path);
        let file = file.map_err(|error| Failure::usage(format!("-w {}: {error}", path.display())))?;
        Ok(Self { writer: Writer::new(BufWriter::new(file)), failed: None })
    }

    /// Writes; after the first failure the watch goes on without keeping.
    pub fn write(&mut self, write: impl FnOnce(&mut Writer<BufWriter<File>>) -> io::Result<()>) {
        if self.failed.is_none()
            && let Err(error) = write(&mut self.writer)
        {
            self.failed = Some(format!("packets are not kept any more: {error}"));
        }
    }

    /// Why packets are not kept any more.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Why it is not whole.
    pub fn close(self) -> Result<(), String> {
        match self.failed {
            Some(failed) => Err(failed),
            None => self
                .writer
                .finish()
                .map(drop)
                .map_err(|error| format!("the kept packets are incomplete: {error}")),
        }
    }
}
