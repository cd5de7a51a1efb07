//! The files of the cache: where each stands, its SHA-256, and whether what is there is that file.

use crate::{stamp, tree::Tree};
use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, fs, path::Path, time::UNIX_EPOCH};

/// A file of the cache.
pub struct Artifact {
    /// Path below the cache folder.
    pub path: &'static str,
    /// SHA-256 in lowercase hex.
    pub sha256: &'static str,
}

pub const RUNTIME: Artifact = Artifact {
    path: "lib/libonnxruntime.so.1.31.1",
    sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
};
pub const MINILM: Artifact = Artifact {
    path: "models/minilm/model.onnx",
    sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
};
pub const MINILM_TOKENIZER: Artifact = Artifact {
    path: "models/minilm/tokenizer.json",
    sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
};
/// What the conversion of SmolLM2-135M-Instruct writes.
pub const SMOLLM2: [Artifact; 3] = [
    Artifact {
        path: "models/smollm2/model.onnx",
        sha256: "d4f4dfa3f0ed9e7898bf5d2891b61bdf58fad52fb84d27f5cd796ccb3bb2b89b",
    },
    Artifact {
        path: "models/smollm2/tokenizer.json",
        sha256: "1be798bfdfe51539d4cc5a588117943056731cd001a84571085d2f18cfd169ea",
    },
    Artifact {
        path: "models/smollm2/tokenizer_config.json",
        sha256: "7d5ec5cea46265bf0339c6d1b0091e5a609aa2b8d5f6f589d638ce9612083927",
    },
];
/// What the conversion of the seeded test model writes.
pub const TINY: [Artifact; 3] = [
    Artifact {
        path: "models/tiny/model.onnx",
        sha256: "584d8045cb98b8317a61dfcea5b4a072805328428455076b9833c95da849470c",
    },
    Artifact {
        path: "models/tiny/tokenizer.json",
        sha256: "6740edb3f7b9d825846e1eb8cf36935255f3fa285ed401f889e59ae91db0f7bd",
    },
    Artifact {
        path: "models/tiny/tokenizer_config.json",
        sha256: "c8bb4f2c2ea31c266873fe2014f74b15886489c4db750707021cb3dd45ba5d03",
    },
];

/// Which files were found whole. A file is hashed once and again when its size or its time of change differs.
pub struct Ledger {
    known: BTreeMap<String, String>,
    changed: bool,
}

impl Ledger {
    const FILE: &str = "files.stamp";

    pub fn read(tree: &Tree) -> Self {
        let text = fs::read_to_string(tree.cache.join(Self::FILE)).unwrap_or_default();
        let known =
            text.lines().filter_map(|line| line.split_once('\t')).map(|(path, seen)| (path.into(), seen.into()));
        Self { known: known.collect(), changed: false }
    }

    /// Whether the artifact stands in the cache with the right content.
    pub fn holds(&mut self, tree: &Tree, artifact: &Artifact) -> bool {
        let path = tree.cache.join(artifact.path);
        let Ok(seen) = seen(&path, artifact) else { return false };
        if self.known.get(artifact.path) == Some(&seen) {
            return true;
        }
        let whole = stamp::file(&path).is_ok_and(|hash| hash == artifact.sha256);
        if whole {
            self.known.insert(artifact.path.to_owned(), seen);
            self.changed = true;
        }
        whole
    }

    pub fn write(&self, tree: &Tree) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let text: String = self.known.iter().map(|(path, seen)| format!("{path}\t{seen}\n")).collect();
        stamp::write(&tree.cache.join(Self::FILE), &text)
    }
}

fn seen(path: &Path, artifact: &Artifact) -> Result<String> {
    let data = fs::metadata(path)?;
    let modified = data.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{} {modified} {}", data.len(), artifact.sha256))
}

/// Moves a fetched file to its place, if it is the one expected.
pub fn place(tree: &Tree, artifact: &Artifact, fetched: &Path) -> Result<()> {
    let hash = stamp::file(fetched)?;
    if hash != artifact.sha256 {
        bail!("{} has SHA-256 {hash}, expected {}: not installed", fetched.display(), artifact.sha256);
    }
    let path = tree.cache.join(artifact.path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::rename(fetched, &path).with_context(|| format!("cannot move {} to {}", fetched.display(), path.display()))
}
