//! Which files an argument means.
//! Comes in: a path from the command line. Goes out: the files behind it, a folder's in the order of their paths.
//! Refuses to look into the files, to follow symbolic links below a folder, and to open what could block.

use std::fs;
use std::path::{Path, PathBuf};

use super::CaptureError;
use super::open;

/// What an argument stands for.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// Regular files, sorted.
    pub files: Vec<PathBuf>,
    /// Pipes, sockets, devices and links below the folder, which are left alone.
    pub others: Vec<PathBuf>,
    /// Folders that could not be listed.
    pub errors: Vec<CaptureError>,
}

/// Whether `path` is a folder; standard input and what cannot be looked at are not.
pub(super) fn is_folder(path: &Path) -> bool {
    !open::is_stdin(path) && path.is_dir()
}

/// Every file below `folder`, at any depth.
pub(super) fn below(folder: &Path) -> Below {
    let mut found = Below::default();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        if let Err(error) = list(&folder, &mut found, &mut open) {
            found.errors.push(CaptureError::Open { path: folder, error });
        }
    }
    found.files.sort();
    found.others.sort();
    found
}

fn list(folder: &Path, found: &mut Below, open: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open.push(entry.path());
        } else if kind.is_file() {
            found.files.push(entry.path());
        } else {
            found.others.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_depth_sorted_and_no_link_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        for name in ["z", "a", "b/deep/m"] {
            fs::write(at(name), b"").unwrap();
        }
        symlink(folder.path(), at("b/loop")).unwrap();
        symlink(at("a"), at("link")).unwrap();
        let found = below(folder.path());
        assert_eq!(found.files, [at("a"), at("b/deep/m"), at("z")]);
        assert_eq!(found.others, [at("b/loop"), at("link")]);
        assert!(found.errors.is_empty());
    }

    #[test]
    fn a_folder_that_is_gone_is_told() {
        let found = below(Path::new("/nowhere/at/all"));
        assert!(matches!(found.errors.as_slice(), [CaptureError::Open { .. }]));
    }
}
