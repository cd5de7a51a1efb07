//! Content hashes, and small files that remember for which inputs a step was last complete.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The SHA-256 of a file, in lowercase hex.
pub fn file(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(format!("{:x}", hash.finalize())),
            Ok(n) => hash.update(&block[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
}

/// One hash over the names and contents of files and of folders with everything in them. A path that does not exist
/// counts as absent, which differs from empty; Markdown does not count.
pub fn tree(root: &Path, paths: &[PathBuf]) -> Result<String> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        hash.update(path.strip_prefix(root).unwrap_or(&path).as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(file(&path)?);
        hash.update([0]);
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
            collect(&entry?.path(), files)?;
        }
    } else if path.is_file() && path.extension().is_none_or(|extension| extension != "md") {
        files.push(path.to_path_buf());
    }
    Ok(())
}

/// Whether the stamp file says exactly `value`.
pub fn holds(path: &Path, value: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text == value)
}

/// Writes a stamp file whole or not at all, making its folder.
pub fn write(path: &Path, value: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, value).and_then(|()| fs::rename(&partial, path)).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_tree_hash_changes_with_a_name_a_byte_and_an_absence() {
        let root = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/one"), "1").unwrap();
        let hash = || tree(&root, &[root.join("a"), root.join("lock")]).unwrap();
        let first = hash();
        assert_eq!(first, hash());
        fs::write(root.join("a/b/one"), "2").unwrap();
        let changed = hash();
        fs::rename(root.join("a/b/one"), root.join("a/b/two")).unwrap();
        let renamed = hash();
        fs::write(root.join("lock"), "").unwrap();
        let added = hash();
        fs::remove_dir_all(&root).unwrap();
        let all = [first, changed, renamed, added];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one));
        }
    }
}
