//! Saves baselines while a watch goes on, in a thread of its own: a slow disk holds nothing up.
//! Comes in: baselines, every ten minutes of capture time. Goes out: the file.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::{StoreError, write};
use crate::detect::baseline::Baselines;

/// The thread and the way to it.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    line: SyncSender<Baselines>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Begins to save to that file.
    pub fn start(path: &Path) -> Self {
        // One may wait while another is written: a third would be ten minutes late.
        let (line, due) = sync_channel::<Baselines>(1);
        let file = path.to_owned();
        let thread = std::thread::spawn(move || {
            for baselines in due {
                if let Err(error) = write(&file, &baselines) {
                    tracing::error!("what was learned is not saved: {error}");
                }
            }
        });
        Self { path: path.to_owned(), line, thread }
    }

    /// Where baselines are to be sent.
    pub fn line(&self) -> SyncSender<Baselines> {
        self.line.clone()
    }

    /// Saves the last of them, once all that was sent is written. Every other line must be gone by now.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn finish(self, last: &Baselines) -> Result<(), StoreError> {
        drop(self.line);
        // It wrote what it could; a panic in it is no reason not to write the last.
        let _ = self.thread.join();
        write(&self.path, last)
    }
}
