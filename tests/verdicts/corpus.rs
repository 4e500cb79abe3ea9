//! The index of the shared captures: which there are, and of what sort. Comes in: `INDEX.tsv`. Goes out: one row a
//! capture. What the program says of them stands elsewhere.

use std::path::PathBuf;

use crate::support::shared;

/// All captures of the index, in its order.
pub struct Corpus(pub Vec<Capture>);

/// A capture.
pub struct Capture {
    /// Its path below the captures.
    pub name: String,
    /// What it was gathered for: `benign-web`, `attack-ddos`, ...
    pub category: String,
    /// Where it is.
    pub file: PathBuf,
}

impl Corpus {
    /// The shared captures; where there are none it is told.
    pub fn open() -> Option<Self> {
        let index = shared("INDEX.tsv")?;
        let folder = index.parent()?.to_path_buf();
        let text = std::fs::read_to_string(&index).unwrap();
        let rows = text.lines().skip(1).filter_map(|line| {
            let mut cells = line.split('\t');
            let (name, category) = (cells.next()?.to_owned(), cells.next()?.to_owned());
            Some(Capture { file: folder.join(&name), name, category })
        });
        Some(Self(rows.filter(|capture| capture.file.is_file()).collect()))
    }
}
