//! Lines into standard output or any writer. Comes in: records. Goes out: one line each. Writing happens on the runtime's
//! threads for blocking work: a hung reader holds nobody else.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::lines::Lines;
use super::{Delivery, Page, Record, Sink, SinkError, Work};

/// A sink of lines.
pub struct StreamSink {
    name: String,
    /// Away while a thread writes; gone for good if that thread died.
    lines: Option<Lines<Box<dyn Write + Send>>>,
}

impl StreamSink {
    /// Standard output, without the library's buffer: what is counted as written has been written.
    pub fn stdout() -> Result<Self, SinkError> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::writer("standard output".to_owned(), File::from(descriptor)))
    }

    /// Any writer.
    pub fn writer(name: String, out: impl Write + Send + 'static) -> Self {
        Self { name, lines: Some(Lines::new(Box::new(out))) }
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
        Some(closed(delivery))
    }
}

/// A reader that has gone is no failure.
fn closed(delivery: Delivery) -> Delivery {
    match &delivery.error {
        Some(SinkError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => {
            Delivery { closed: true, error: None, ..delivery }
        }
        _ => delivery,
    }
}

impl Sink for StreamSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn deliver<'a>(&'a mut self, records: &'a [Record]) -> Work<'a> {
        let text = text(records);
        let lost = lost(records.len());
        Box::pin(async move { self.blocking(move |out| out.write(text.as_bytes())).await.unwrap_or(lost) })
    }

    fn deliver_pages<'a>(&'a mut self, pages: &'a [Arc<Page>]) -> Work<'a> {
        let (pages, lost) = (pages.to_vec(), lost(pages.iter().map(|page| page.len()).sum()));
        let write = move |out: &mut Lines<_>| {
            let mut all = Delivery::default();
            for page in pages {
                all.add_or_leave(page.len() as u64, || out.write(page.text()));
            }
            all
        };
        Box::pin(async move { self.blocking(write).await.unwrap_or(lost) })
    }

    fn finish(&mut self) -> Work<'_> {
        Box::pin(async move { self.blocking(Lines::finish).await.unwrap_or_default() })
    }
}

/// What became of records whose writer is gone.
pub(super) fn lost(records: usize) -> Delivery {
    Delivery { failed: records as u64, ..Delivery::default() }
}

/// Records as lines, each with its line end.
pub(super) fn text(records: &[Record]) -> String {
    records.iter().flat_map(|record| [&*record.line, "\n"]).collect()
}
