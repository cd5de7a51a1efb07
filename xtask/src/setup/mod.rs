//! `cargo xtask setup`: checks what is there and installs what is missing.

mod files;
mod models;
mod packages;
pub mod python;
pub mod sbf;

use crate::{
    progress::{seconds, step},
    tree::Tree,
};
use anyhow::{Context, Result};
use std::{fs, time::Instant};

/// Everything that building, running and testing need. One set-up at a time: a second one waits for the first.
pub fn run(tree: &Tree) -> Result<()> {
    let start = Instant::now();
    fs::create_dir_all(&tree.cache).with_context(|| tree.cache.display().to_string())?;
    let lock = fs::File::create(tree.cache.join("setup.lock"))?;
    if lock.try_lock().is_err() {
        eprintln!("  ..  another set-up works in {}, waiting for it", tree.cache.display());
        lock.lock()?;
    }
    step("Debian packages", packages::install)?;
    step("SBF compiler", |progress| sbf::install(tree, progress))?;
    step("ONNX Runtime and models", |progress| models::install(tree, progress))?;
    eprintln!("  ok  set-up ({})", seconds(start.elapsed()));
    Ok(())
}
