//! `cargo xtask fuzz`: builds the fuzz targets of `fuzz/` on the stable compiler and runs each for a number of seconds.
//!
//! The flags are those that cargo-fuzz gives without a sanitizer: the code is safe Rust, so what can be found are panics,
//! overflows and broken statements. `cargo fuzz run TARGET` works on the same folder for those who have it.

use crate::{process, tree::Tree};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

/// What makes LLVM count edges and report comparisons to libFuzzer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Builds all targets, then runs the named ones, or all, `jobs` at a time. Fails when one finds something.
pub fn run(tree: &Tree, targets: &[String], seconds: u32, jobs: usize) -> Result<()> {
    let folder = tree.root.join("fuzz");
    let built = build(tree, &folder)?;
    let mut waiting: Vec<String> = if targets.is_empty() { all(&folder)? } else { targets.to_vec() };
    waiting.reverse();
    let mut running: Vec<Run> = Vec::new();
    let mut failed = Vec::new();
    while !(waiting.is_empty() && running.is_empty()) {
        while running.len() < jobs.max(1) {
            let Some(target) = waiting.pop() else { break };
            running.push(Run::start(tree, &folder, &built, target, seconds)?);
        }
        if let Some(first) = (!running.is_empty()).then(|| running.remove(0))
            && let Some(target) = first.finish()?
        {
            failed.push(target);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("found by {}: inputs are in fuzz/artifacts", failed.join(", ")) }
}

/// One target that runs.
struct Run {
    target: String,
    child: Child,
    log: PathBuf,
}

impl Run {
    fn start(tree: &Tree, folder: &Path, built: &Path, target: String, seconds: u32) -> Result<Self> {
        let corpus = folder.join("corpus").join(&target);
        let artifacts = folder.join("artifacts").join(&target);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&artifacts)?;
        let log = tree.target.join(format!("fuzz-{target}.log"));
        let mut fuzzer = process::command(tree, built.join(&target));
        fuzzer
            .arg(&corpus)
            .args([format!("-max_total_time={seconds}"), format!("-artifact_prefix={}/", artifacts.display())])
            .args(["-max_len=2048", "-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10"])
            .env("WAYBILL_FUZZ_SEEDS", &corpus)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let child = fuzzer.spawn().with_context(|| format!("cannot start {target}"))?;
        Ok(Self { target, child, log })
    }

    /// Waits, says what was done, and returns the target's name when it found something.
    fn finish(mut self) -> Result<Option<String>> {
        let status = self.child.wait()?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let number = |name: &str| {
            let line = log.lines().rev().find(|line| line.starts_with(name));
            line.and_then(|line| line.rsplit_once(' ')).map_or("?", |(_, number)| number).to_owned()
        };
        let done = log.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("stopped early");
        eprintln!("{:<24} {} inputs, {done}", self.target, number("stat::number_of_executed_units"));
        if status.success() {
            return Ok(None);
        }
        let end: Vec<&str> = log.lines().rev().take(30).collect();
        eprintln!("{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
        Ok(Some(self.target))
    }
}

/// The folder with the built targets. Dependencies have the versions of the repository's own lock file.
fn build(tree: &Tree, folder: &Path) -> Result<PathBuf> {
    fs::copy(tree.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let host = host()?;
    let target = tree.target.join("fuzz");
    let mut cargo = process::cargo(tree);
    // With a target given, build scripts and macros are not instrumented.
    cargo.args(["build", "--release", "--bins", "--target", &host]);
    cargo.current_dir(folder).env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", FLAGS);
    process::run(&mut cargo)?;
    Ok(target.join(host).join("release"))
}

/// The targets' names, from the folder that holds one file each.
fn all(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn host() -> Result<String> {
    let text = process::read(std::process::Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say its host")
}
