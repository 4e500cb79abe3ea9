//! Lines into a file that others may move, delete or empty meanwhile. Comes in: records. Goes out: one line each, in the
//! file of that name, or in the one it was when it was moved. Writing happens on the runtime's threads for blocking work:
//! a hung disk holds nobody else.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::lines::Lines;
use super::rotate::{Attic, Rotation};
use super::stream::lost;
use super::{Begin, Delivery, Page, Record, Settled, Sink, SinkError, Work, open, rotate};

/// A sink of lines in a file.
pub struct FileSink {
    name: String,
    /// Away while a thread writes; gone for good if that thread died.
    output: Option<Output>,
}

/// The file, as the threads for blocking work have it.
struct Output {
    path: PathBuf,
    lines: Lines<File>,
    /// Its length, as far as is known.
    bytes: u64,
    /// Which hour or day it is about; `None` until a record says so.
    about: Option<i64>,
    rotation: Option<(Rotation, Attic)>,
    clock: fn() -> i64,
    /// The second in which it was last looked whether the file is still there.
    looked: i64,
    /// How it is opened anew.
    again: Begin,
    /// Whether its name is on the disk, too.
    named: bool,
    /// Whether the system could not say that what was delivered is on the disk.
    doubtful: bool,
    /// What went wrong beside delivering, to be told with the next delivery.
    trouble: Option<SinkError>,
}

impl FileSink {
    /// Opens a file of records, created 0640, which must not be a symbolic link. `clock` tells seconds: once in each, it is
    /// looked whether the file is still there.
    pub fn open(
        path: &Path,
        begin: Begin,
        rotation: Option<Rotation>,
        clock: fn() -> i64,
    ) -> Result<Self, SinkError> {
        let file = open::open(path, begin)?;
        let held = file.metadata()?;
        let rotation = match rotation.filter(|_| held.is_file()) {
            Some(rotation) => Some((rotation, Attic::start(path, rotation).map_err(SinkError::Start)?)),
            None => None,
        };
        let output = Output {
            path: path.to_owned(),
            lines: Lines::new(file),
            bytes: held.len(),
            about: None,
            rotation,
            clock,
            looked: clock(),
            again: if begin == Begin::Mend { Begin::Mend } else { Begin::Append },
            named: false,
            doubtful: false,
            trouble: None,
        };
        Ok(Self { name: format!("file {}", path.display()), output: Some(output) })
    }

    /// Does blocking work on the file; `None` where a thread died with it.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Output) -> T + Send + 'static,
    ) -> Option<T> {
        let mut output = self.output.take()?;
        let (output, done) = spawn_blocking(move || {
            let done = work(&mut output);
            (output, done)
        })
        .await
        .ok()?;
        self.output = Some(output);
        Some(done)
    }
}

impl Sink for FileSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a> {
        let (records, lost) = (records.to_vec(), lost(records.len()));
        Box::pin(
            async move { self.blocking(move |output| output.write_records(&records)).await.unwrap_or(lost) },
        )
    }

    fn deliver_pages<'a>(&'a mut self, pages: &'a [Arc<Page>]) -> Work<'a> {
        let (pages, lost) = (pages.to_vec(), lost(pages.iter().map(|page| page.len()).sum()));
        Box::pin(async move { self.blocking(move |output| output.write_pages(&pages)).await.unwrap_or(lost) })
    }

    fn settle(&mut self) -> Pin<Box<dyn Future<Output = Settled> + Send + '_>> {
        Box::pin(async move { self.blocking(Output::settle).await.unwrap_or_else(gone) })
    }

    fn reopen(&mut self) -> Work<'_> {
        Box::pin(async move {
            self.blocking(Output::reopen).await;
            Delivery::default()
        })
    }

    fn finish(&mut self) -> Work<'_> {
        let last = |output: &mut Output| {
            let last = output.lines.finish();
            if let Some((_, attic)) = &mut output.rotation {
                attic.finish();
            }
            last
        };
        Box::pin(async move { self.blocking(last).await.unwrap_or_default() })
    }
}

impl Output {
    fn write_records(&mut self, records: &[Record]) -> Delivery {
        self.look();
        let (mut all, mut rest, mut text) = (Delivery::default(), records, String::new());
        loop {
            text.clear();
            let count = self.take_what_fits(rest, &mut text);
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            all.add(self.write(text.as_bytes()));
            rest = later;
            if rest.is_empty() || all.error.is_some() || now.is_empty() {
                break;
            }
        }
        all.left += rest.len() as u64;
        all.error = all.error.or(self.trouble.take());
        all
    }

    /// Adds the lines to `text` that go into one file, and begins another where not even the first does; answers how many.
    fn take_what_fits(&mut self, records: &[Record], text: &mut String) -> usize {
        for (count, record) in records.iter().enumerate() {
            let about = self.period(record);
            if self.is_over(text.len(), record.line.len() + 1, about) {
                if count > 0 {
                    return count;
                }
                self.rotate();
            }
            self.about = about.or(self.about);
            text.push_str(&record.line);
            text.push('\n');
        }
        records.len()
    }

    fn period(&self, record: &Record) -> Option<i64> {
        let (rotation, _) = self.rotation.as_ref()?;
        rotation.every.zip(record.time).map(|(every, time)| every.of(time))
    }

    /// Whether so many bytes more than those to be written, about that time, belong into another file. A step back of the
    /// time does not.
    fn is_over(&self, to_write: usize, more: usize, about: Option<i64>) -> bool {
        let Some((rotation, _)) = &self.rotation else { return false };
        let bytes = self.bytes + to_write as u64;
        let full = bytes > 0 && rotation.size.is_some_and(|size| bytes + more as u64 > size);
        full || about.zip(self.about).is_some_and(|(now, then)| now > then)
    }

    /// Begins another file. Where that cannot be done, the old one goes on: a record in the wrong place is better than none.
    fn rotate(&mut self) {
        if self.lines.is_torn() {
            return;
        }
        let Some((_, attic)) = &mut self.rotation else { return };
        let rotated = attic.take().map_err(SinkError::Io);
        // Tried again with the next hour, or the next file's length.
        (self.about, self.bytes) = (None, 0);
        match rotated {
            Ok(()) => self.reopen(),
            Err(error) => self.trouble = Some(error),
        }
    }

    /// Writes lines of records that have no severity.
    fn write_pages(&mut self, pages: &[Arc<Page>]) -> Delivery {
        self.look();
        let mut all = Delivery::default();
        for page in pages {
            all.add_or_leave(page.len() as u64, || {
                if self.is_over(0, page.text().len(), None) {
                    self.rotate();
                }
                self.write(page.text())
            });
        }
        all.error = all.error.or(self.trouble.take());
        all
    }

    fn write(&mut self, text: &[u8]) -> Delivery {
        let delivery = self.lines.write(text);
        self.bytes += text.len() as u64;
        delivery
    }

    /// Once a second at most: whether the name still leads to the file, and how long that is, since somebody may have
    /// emptied it.
    fn look(&mut self) {
        let now = (self.clock)();
        if now == self.looked {
            return;
        }
        self.looked = now;
        let Some(ours) = self.lines.out().metadata().ok().filter(Metadata::is_file) else {
            return;
        };
        self.bytes = ours.len();
        match fs::symlink_metadata(&self.path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {}
            _ => self.reopen(),
        }
    }

    /// Opens the file of that name anew; the old one goes on where that fails.
    fn reopen(&mut self) {
        let opened = open::open(&self.path, self.again).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((bytes, file)) => {
                self.bytes = bytes;
                let old = self.lines.turn_to(file);
                // What was delivered into it is to survive there.
                self.doubtful |= is_file(&old) && old.sync_data().is_err();
                self.named = false;
            }
            Err(error) => self.trouble = Some(error),
        }
    }

    /// Brings the lines to the disk, and the file's name where it is new.
    fn settle(&mut self) -> Settled {
        if self.lines.is_torn() {
            return Settled::NotYet;
        }
        if !is_file(self.lines.out()) {
            return Settled::Yes;
        }
        let synced = self.lines.out().sync_data().and_then(|()| match self.named {
            true => Ok(()),
            false => File::open(rotate::folder_of(&self.path))?.sync_all(),
        });
        self.named = synced.is_ok();
        match synced {
            Ok(()) if self.doubtful => {
                self.doubtful = false;
                lost_because("what was written may not be on the disk")
            }
            // Nobody will ever read what went into it; whoever moves it keeps its name, and its lines.
            Ok(()) if is_deleted(self.lines.out()) => {
                self.reopen();
                lost_because("the file was deleted while records were written into it")
            }
            Ok(()) => Settled::Yes,
            Err(error) => Settled::Lost(error.into()),
        }
    }
}

/// A thread died with the file.
fn gone() -> Settled {
    lost_because("the file is not written to any more")
}

fn lost_because(why: &'static str) -> Settled {
    Settled::Lost(SinkError::Io(std::io::Error::other(why)))
}

/// Whether no name leads to it any more.
fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|held| held.nlink() == 0)
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|held| held.is_file())
}
