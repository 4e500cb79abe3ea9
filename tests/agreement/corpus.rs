//! The shared captures, which files tell what others expect of them, and what our program says of each.
//!
//! The index of the captures names the files of expected data. What the program says is read from its records alone.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::conversation::Conversation;
use crate::records::Records;
use crate::support::shared;

/// All captures of the index.
pub struct Corpus {
    folder: PathBuf,
    captures: Vec<Capture>,
}

impl Corpus {
    /// The shared captures; where there are none it is told.
    pub fn open() -> Option<Self> {
        let index = shared("INDEX.tsv")?;
        let folder = index.parent()?.to_path_buf();
        let text = std::fs::read_to_string(&index).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next()?.split('\t').collect();
        let column = |name| header.iter().position(|title| *title == name).unwrap();
        let (path, expected) = (column("path"), column("expected_files"));
        let captures = lines.map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let expected = cells.get(expected).copied().unwrap_or_default();
            Capture {
                name: cells[path].to_owned(),
                file: folder.join(cells[path]),
                expected: expected.split_whitespace().map(|name| folder.join(name)).collect(),
                records: OnceLock::new(),
            }
        });
        let captures = captures.filter(|capture| capture.file.is_file()).collect();
        Some(Self { folder, captures })
    }

    /// The captures of one source, in the order of their names.
    pub fn of(&self, source: &str) -> Vec<&Capture> {
        let mut captures: Vec<&Capture> =
            self.captures.iter().filter(|capture| capture.source() == source).collect();
        captures.sort_by_key(|capture| &capture.name);
        captures
    }

    /// The files of a source's folder of expected data, in the order of their names.
    pub fn expected(&self, source: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.join(source).join("expected")) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Replays the captures of these sources, two at a time: the program starts and ends more than it works.
    pub fn replay(&self, sources: &[&str]) {
        let wanted: Vec<&Capture> =
            self.captures.iter().filter(|capture| sources.contains(&capture.source())).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(capture) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        capture.records();
                    }
                });
            }
        });
    }
}

/// A capture, what others say of it and what we say.
pub struct Capture {
    /// Its path below the captures: the source, then the file.
    pub name: String,
    pub file: PathBuf,
    /// The files that tell what should come out.
    pub expected: Vec<PathBuf>,
    records: OnceLock<Records>,
}

impl Capture {
    /// The project whose capture it is.
    pub fn source(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// The name of its file without anything after the first dot.
    pub fn stem(&self) -> &str {
        let file = self.name.rsplit('/').next().unwrap_or_default();
        file.split('.').next().unwrap_or_default()
    }

    /// What the program says of it.
    pub fn records(&self) -> &Records {
        self.records.get_or_init(|| Records::of(&self.file))
    }

    /// Whether the bytes of both addresses occur in its file. What a compressed file holds is not looked at.
    pub fn mentions(&self, row: &Conversation) -> bool {
        let bytes = std::fs::read(&self.file).unwrap();
        let occurs = |address: IpAddr| match address {
            IpAddr::V4(address) => occurs(&address.octets(), &bytes),
            IpAddr::V6(address) => occurs(&address.octets(), &bytes),
        };
        is_compressed(&bytes) || row.ends.iter().all(|(address, _)| occurs(*address))
    }

    /// Its files of expected data whose name ends like this, with their text.
    pub fn expected_texts(&self, ending: &str) -> Vec<(String, String)> {
        let files = self.expected.iter().filter(|file| name_of(file).ends_with(ending));
        files.map(|file| (name_of(file), text_of(file))).collect()
    }
}

/// The capture that has flows between the ends of most rows, if any has.
pub fn holder_of<'a>(rows: &[Conversation], captures: &[&'a Capture]) -> Option<&'a Capture> {
    let held = |capture: &Capture| {
        rows.iter().filter(|row| !capture.records().between(&row.key()).is_empty()).count()
    };
    captures.iter().copied().max_by_key(|capture| held(capture)).filter(|capture| held(capture) > 0)
}

/// The name of a file, without its folder.
pub fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The text of a file of expected data; bytes that are no text are marked.
pub fn text_of(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
}

fn occurs(needle: &[u8], bytes: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn is_compressed(bytes: &[u8]) -> bool {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    bytes.starts_with(&GZIP) || bytes.starts_with(&ZSTD)
}
