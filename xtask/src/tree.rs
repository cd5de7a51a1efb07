//! Where things are: the repository, cargo's target folder, the user's cache.

use anyhow::{Context, Result};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The on-chain programs: folder under `programs/`, and package.
pub const PROGRAMS: [(&str, &str); 3] =
    [("coin", "waybill-coin"), ("market", "waybill-market"), ("settlement", "waybill-settlement")];

/// Absolute paths of the folders that every command works with.
pub struct Tree {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// ONNX Runtime, models and Python environments: `WAYBILL_CACHE`, by default `~/.cache/waybill`.
    pub cache: PathBuf,
    /// The SBF compiler: `SBF_HOME`, by default `~/.cache/waybill-sbf`.
    pub sbf: PathBuf,
}

impl Tree {
    pub fn locate() -> Result<Self> {
        let here = env::current_dir()?;
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent folder")?.to_path_buf();
        // The program runs as <target>/debug/xtask, wherever cargo's configuration puts the target folder.
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(target) => here.join(target),
            None => env::current_exe()?.ancestors().nth(2).context("xtask runs outside a target folder")?.to_path_buf(),
        };
        let in_home = |name: &str| -> Result<PathBuf> {
            Ok(PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache").join(name))
        };
        let cache = match env::var_os("WAYBILL_CACHE") {
            Some(cache) => here.join(cache),
            None => in_home("waybill")?,
        };
        let sbf = match env::var_os("SBF_HOME") {
            Some(sbf) => here.join(sbf),
            None => in_home("waybill-sbf")?,
        };
        Ok(Self { root, target, cache, sbf })
    }

    /// Folder of the programs' `.so` files.
    pub fn deploy(&self) -> PathBuf {
        self.target.join("deploy")
    }

    /// The built `waybill` program.
    pub fn waybill(&self) -> PathBuf {
        self.target.join("debug").join("waybill")
    }

    /// What `waybill`, the tests and the benchmarks are told about this machine.
    pub fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [("WAYBILL_PROGRAMS", self.deploy()), ("WAYBILL_CACHE", self.cache.clone()), ("WAYBILL_BIN", self.waybill())]
    }

    /// A path of the repository.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}
