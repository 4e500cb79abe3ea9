//! Records that their receiver will never take, put aside with the reason. Comes in: a record and why. Goes out: a line in
//! `rejected.jsonl`, on the disk. When the file is full it becomes `rejected.1.jsonl`, in place of the one before.

use std::io;

use serde::Serialize;

use super::Record;
use super::disk::Disk;

const NAME: &str = "rejected.jsonl";
const BEFORE: &str = "rejected.1.jsonl";

/// A thousand alerts at 16 kB.
const FULL: u64 = 16 << 20;

/// The file of rejected records.
#[derive(Debug)]
pub struct Rejects {
    /// Its length; `None` while it is not there.
    bytes: Option<u64>,
    /// Whether a crash or an error may have left a line without its end.
    torn: bool,
}

#[derive(Serialize)]
struct Rejected<'a> {
    reason: &'a str,
    incident: Option<&'a str>,
    seq: Option<u32>,
    /// The text that was sent.
    record: &'a str,
}

impl Rejects {
    /// Finds what was rejected before.
    pub fn open(disk: &mut impl Disk) -> Self {
        let bytes = disk.len(NAME).ok();
        let last = bytes.and_then(|bytes| disk.read(NAME, bytes.saturating_sub(1), 1).ok());
        Self { bytes, torn: last.is_some_and(|last| !last.is_empty() && last != b"\n") }
    }

    /// Puts a record aside.
    pub fn add(&mut self, disk: &mut impl Disk, record: &Record, reason: &str) -> io::Result<()> {
        let rejected =
            Rejected { reason, incident: record.incident.as_deref(), seq: record.seq, record: &record.line };
        let mut line = if self.torn { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut line, &rejected)?;
        line.push(b'\n');
        self.make_room(disk)?;
        self.torn = true;
        disk.append(NAME, &line)?;
        self.torn = false;
        disk.sync(NAME)?;
        self.bytes = self.bytes.map(|bytes| bytes + line.len() as u64);
        Ok(())
    }

    fn make_room(&mut self, disk: &mut impl Disk) -> io::Result<()> {
        if self.bytes.is_some_and(|bytes| bytes < FULL) {
            return Ok(());
        }
        if self.bytes.is_some() {
            disk.rename(NAME, BEFORE)?;
        }
        disk.create(NAME)?;
        disk.sync_folder()?;
        self.bytes = Some(0);
        Ok(())
    }
}
