//! Python environments under the user's cache, each made from a pinned requirements file.

use super::packages::apt_install;
use crate::{
    process::{self, succeeds},
    progress::Step,
    stamp,
    tree::Tree,
};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The interpreter of the environment `name`, made anew when its requirements changed or it is damaged.
pub fn environment(tree: &Tree, step: &Step, name: &str, requirements: &Path) -> Result<PathBuf> {
    let home = tree.cache.join("venv").join(name);
    let python = home.join("bin/python");
    let done = home.join("requirements.stamp");
    let wanted = stamp::file(requirements)?;
    if stamp::holds(&done, &wanted) && succeeds(&python.to_string_lossy(), &["-c", ""]) {
        return Ok(python);
    }
    let base = interpreter(step)?;
    step.working(&format!("Python environment {} from {}", home.display(), requirements.display()));
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    process::run(process::command(tree, base).args(["-m", "venv"]).arg(&home))?;
    process::run(
        process::command(tree, &python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "-r"])
            .arg(requirements),
    )?;
    stamp::write(&done, &wanted)?;
    Ok(python)
}

/// A Python of at least 3.11 that can make environments.
fn interpreter(step: &Step) -> Result<&'static str> {
    const CHECK: &str = "import sys, venv, ensurepip; assert sys.version_info >= (3, 11)";
    let candidates = ["python3", "/usr/bin/python3"];
    let find = || candidates.into_iter().find(|python| succeeds(python, &["-c", CHECK]));
    if let Some(python) = find() {
        return Ok(python);
    }
    step.working("no Python 3.11 with the venv module");
    apt_install(step, &["python3", "python3-venv"])?;
    match find() {
        Some(python) => Ok(python),
        None => bail!("the system's python3 is older than 3.11; put a newer python3 first on PATH"),
    }
}
