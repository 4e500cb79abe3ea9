//! Lines into a file, standard output or any writer. Comes in: records. Goes out: one line each. Writing happens on the
//! runtime's threads for blocking work: a hung disk holds nobody else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::lines::Lines;
use super::{Begin, Delivery, Page, Record, Sink, SinkError, Work, file};

/// A sink of lines.
pub struct StreamSink {
    name: String,
    /// The file to open anew; `None` for what cannot be.
    path: Option<PathBuf>,
    /// Away while a thread writes; gone for good if that thread died.
    lines: Option<Lines<Box<dyn Write + Send>>>,
}

impl StreamSink {
    /// Opens a file of records, created 0640, which must not be a symbolic link.
    pub fn file(path: &Path, begin: Begin) -> Result<Self, SinkError> {
        let file = file::open(path, begin)?;
        Ok(Self { path: Some(path.to_owned()), ..Self::writer(format!("file {}", path.display()), file) })
    }

    /// Standard output, without the library's buffer: what is counted as written has been written.
    pub fn stdout() -> Result<Self, SinkError> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::writer("standard output".to_owned(), File::from(descriptor)))
    }

    /// Any writer.
    pub fn writer(name: String, out: impl Write + Send + 'static) -> Self {
        Self { name, path: None, lines: Some(Lines::new(Box::new(out))) }
    }

    /// Does blocking work on the lines.
    async fn blocking(
        &mut self,
        work: impl FnOnce(&mut Lines<Box<dyn Write + Send>>) -> Delivery + Send + 'static,
    ) -> Option<Delivery> {
        let mut lines = self.lines.take()?;
        let (lines, delivery) = spawn_blocking(move || {
            let delivery = work(&mut lines);
            (lines, delivery)
        })
        .await
        .ok()?;
        self.lines = Some(lines);
        Some(delivery)
    }
}

impl Sink for StreamSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a> {
        let text: String = records.iter().flat_map(|record| [&*record.line, "\n"]).collect();
        let lost = lost(records.len());
        Box::pin(async move { self.blocking(move |out| out.write(text.as_bytes())).await.unwrap_or(lost) })
    }

    fn deliver_pages<'a>(&'a mut self, pages: &'a [Arc<Page>]) -> Work<'a> {
        let (pages, lost) = (pages.to_vec(), lost(pages.iter().map(|page| page.len()).sum()));
        let write = move |out: &mut Lines<_>| {
            let mut all = Delivery::default();
            for page in pages {
                if !all.closed {
                    all.add(out.write(page.text()));
                }
            }
            all
        };
        Box::pin(async move { self.blocking(write).await.unwrap_or(lost) })
    }

    fn reopen(&mut self) -> Work<'_> {
        Box::pin(async move {
            let Some(path) = self.path.clone() else { return Delivery::default() };
            let reopened = self.blocking(move |lines| match file::open(&path, Begin::Append) {
                Ok(file) => {
                    let last = lines.finish();
                    *lines = Lines::new(Box::new(file));
                    last
                }
                // The old file goes on: a record in the wrong place is better than none.
                Err(error) => Delivery { error: Some(error), ..Delivery::default() },
            });
            reopened.await.unwrap_or_default()
        })
    }

    fn finish(&mut self) -> Work<'_> {
        Box::pin(async move { self.blocking(Lines::finish).await.unwrap_or_default() })
    }
}

/// What became of records whose writer is gone.
fn lost(records: usize) -> Delivery {
    Delivery { failed: records as u64, ..Delivery::default() }
}
