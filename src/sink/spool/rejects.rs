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
        Self { bytes: disk.len(NAME).ok() }
    }

    /// Puts a record aside.
    pub fn add(&mut self, disk: &mut impl Disk, record: &Record, reason: &str) -> io::Result<()> {
        let rejected =
            Rejected { reason, incident: record.incident.as_deref(), seq: record.seq, record: &record.line };
        let mut line = serde_json::to_vec(&rejected)?;
        line.push(b'\n');
        self.make_room(disk)?;
        disk.append(NAME, &line)?;
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
