//! A disk that keeps the log of what was done to it, and every state in which a crash may leave it: what was brought to
//! the disk is there; of the rest any part is, whole, torn or as zeros.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::disk::Disk;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Create(String),
    Append(String, Vec<u8>),
    Sync(String),
    Rename(String, String),
    Remove(String),
    SyncFolder,
}

/// Names to contents.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A disk in memory.
#[derive(Debug, Clone, Default)]
pub struct Model(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Files,
    log: Vec<Op>,
    /// Operations after which the disk refuses to be written to; `None` while it does not.
    fails_after: Option<usize>,
}

impl Model {
    pub fn holding(files: Files) -> Self {
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    pub fn log(&self) -> Vec<Op> {
        self.0.lock().unwrap().log.clone()
    }

    pub fn files(&self) -> Files {
        self.0.lock().unwrap().files.clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut Files)) {
        change(&mut self.0.lock().unwrap().files);
    }

    /// From so many operations on, every write fails, an append after half of its bytes.
    pub fn fail_after(&self, operations: Option<usize>) {
        let mut state = self.0.lock().unwrap();
        state.fails_after = operations.map(|more| state.log.len() + more);
    }

    fn does(&self, op: Op) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let failing = state.fails_after.is_some_and(|at| state.log.len() >= at);
        let done = match (&op, failing) {
            (Op::Append(name, bytes), true) => Op::Append(name.clone(), bytes[..bytes.len() / 2].to_vec()),
            // A full disk still removes.
            (Op::Remove(_), _) | (_, false) => op,
            (_, true) => return Err(io::ErrorKind::StorageFull.into()),
        };
        apply(&mut state.files, &done)?;
        let failed = failing && matches!(done, Op::Append(..));
        state.log.push(done);
        if failed { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn apply(files: &mut Files, op: &Op) -> io::Result<()> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    match op {
        Op::Create(name) => drop(files.insert(name.clone(), Vec::new())),
        Op::Append(name, bytes) => files.get_mut(name).ok_or_else(missing)?.extend(bytes),
        Op::Rename(from, to) => {
            let held = files.remove(from).ok_or_else(missing)?;
            files.insert(to.clone(), held);
        }
        Op::Remove(name) => drop(files.remove(name).ok_or_else(missing)?),
        Op::Sync(_) | Op::SyncFolder => {}
    }
    Ok(())
}

impl Disk for Model {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.files().into_keys().collect())
    }

    fn len(&mut self, name: &str) -> io::Result<u64> {
        let state = self.0.lock().unwrap();
        state.files.get(name).map(|held| held.len() as u64).ok_or(io::ErrorKind::NotFound.into())
    }

    fn read(&mut self, name: &str, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let state = self.0.lock().unwrap();
        let held = state.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(held.iter().skip(from as usize).take(most).copied().collect())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.does(Op::Create(name.to_owned()))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.does(Op::Append(name.to_owned(), bytes.to_vec()))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.does(Op::Sync(name.to_owned()))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.does(Op::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.does(Op::Remove(name.to_owned()))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.does(Op::SyncFolder)
    }
}

/// A file without its name: what names lead to.
#[derive(Debug, Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    pending: Vec<Vec<u8>>,
}

/// What a disk has for certain, and what may yet be lost.
#[derive(Debug, Default)]
struct Crash {
    inodes: Vec<Inode>,
    /// Names, as the disk has them.
    folder: BTreeMap<String, usize>,
    /// Names, as the process sees them.
    seen: BTreeMap<String, usize>,
    /// Changes of names that are not on the disk.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Link(String, usize),
    Rename(String, String),
    Unlink(String),
}

impl Inode {
    /// What may have become of bytes that were not synchronised: nothing of them came to the disk, or all, or their length
    /// alone, or all but the first; or they are torn anywhere.
    fn fates(&self) -> Vec<Vec<u8>> {
        let pending = self.pending.concat();
        let length = pending.len();
        let zeros = |from: usize, to: usize| {
            let mut bytes = pending.clone();
            bytes[from..to].fill(0);
            bytes
        };
        let torn = (0..=length).map(|end| pending[..end].to_vec());
        let fates = torn.chain([zeros(0, length), zeros(0, length.min(16)), zeros(length / 2, length)]);
        fates.map(|bytes| [&self.synced[..], &bytes].concat()).collect()
    }
}

/// Every state in which a crash after these operations, upon these files, may leave the disk.
pub fn crashes(before: &Files, log: &[Op]) -> Vec<Files> {
    let mut crash = Crash::default();
    for (name, held) in before {
        crash.inodes.push(Inode { synced: held.clone(), pending: Vec::new() });
        crash.folder.insert(name.clone(), crash.inodes.len() - 1);
    }
    crash.seen = crash.folder.clone();
    log.iter().for_each(|op| crash.pass(op));
    crash.states()
}

impl Crash {
    fn pass(&mut self, op: &Op) {
        match op {
            Op::Create(name) => {
                self.inodes.push(Inode::default());
                self.change(Change::Link(name.clone(), self.inodes.len() - 1));
            }
            Op::Append(name, bytes) => self.inodes[self.seen[name]].pending.push(bytes.clone()),
            Op::Sync(name) => {
                let file = &mut self.inodes[self.seen[name]];
                file.synced.extend(std::mem::take(&mut file.pending).concat());
            }
            Op::Rename(from, to) => self.change(Change::Rename(from.clone(), to.clone())),
            Op::Remove(name) => self.change(Change::Unlink(name.clone())),
            Op::SyncFolder => {
                self.folder = self.seen.clone();
                self.pending.clear();
            }
        }
    }

    fn change(&mut self, change: Change) {
        make(&mut self.seen, &change);
        self.pending.push(change);
    }

    /// Every part of the changes of names (up to six; beyond, every one left out and every prefix), with every fate of the
    /// bytes.
    fn states(&self) -> Vec<Files> {
        let mut states = Vec::new();
        let fates: Vec<Vec<Vec<u8>>> = self.inodes.iter().map(Inode::fates).collect();
        let most = fates.iter().map(Vec::len).max().unwrap_or(1);
        for folder in self.folders() {
            for fate in 0..most {
                let of = |inode: usize| fates[inode][fate.min(fates[inode].len() - 1)].clone();
                states.push(folder.iter().map(|(name, inode)| (name.clone(), of(*inode))).collect());
            }
        }
        states.sort();
        states.dedup();
        states
    }

    fn folders(&self) -> Vec<BTreeMap<String, usize>> {
        let count = self.pending.len();
        let chosen: Vec<Vec<bool>> = if count <= 6 {
            (0..1_u32 << count).map(|set| (0..count).map(|at| set >> at & 1 == 1).collect()).collect()
        } else {
            let prefixes = (0..=count).map(|end| (0..count).map(|at| at < end).collect());
            prefixes.chain((0..count).map(|out| (0..count).map(|at| at != out).collect())).collect()
        };
        let folder = |chosen: &Vec<bool>| {
            let mut folder = self.folder.clone();
            let made = self.pending.iter().zip(chosen).filter(|(_, chosen)| **chosen);
            made.for_each(|(change, _)| make(&mut folder, change));
            folder
        };
        chosen.iter().map(folder).collect()
    }
}

/// Changes names; where an earlier change was lost there may be nothing to change.
fn make(folder: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Link(name, inode) => drop(folder.insert(name.clone(), *inode)),
        Change::Unlink(name) => drop(folder.remove(name)),
        Change::Rename(from, to) => {
            if let Some(inode) = folder.remove(from) {
                folder.insert(to.clone(), inode);
            }
        }
    }
}
