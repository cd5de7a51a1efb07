//! `cargo xtask test`: every check of the repository, each run whatever the others say.

use crate::{
    build_waybill, idl, process, programs,
    progress::{seconds, step},
    setup::{self, python},
    tree::Tree,
};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Runs all checks and fails when one of them failed.
pub fn run(tree: &Tree) -> Result<()> {
    let start = Instant::now();
    let mut results = Vec::new();
    let mut check = |name: &'static str, work: &dyn Fn() -> Result<()>| {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            eprintln!("error: {error:#}");
        }
        results.push(Check { name, passed: outcome.is_ok(), took: start.elapsed() });
    };
    check("set-up", &|| setup::run(tree));
    check("formatting", &|| cargo(tree, &["fmt", "--all", "--check"]));
    check("on-chain programs", &|| programs::run(tree));
    check("lints", &|| cargo(tree, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    // The tests of the whole network start this program.
    check("waybill program", &|| build_waybill(tree));
    check("tests", &|| cargo(tree, &["test", "--workspace", "--no-fail-fast"]));
    check("SDK tests", &|| sdk(tree));
    check("IDLs", &|| idl::run(tree, true));

    eprintln!("\n== summary, {}", seconds(start.elapsed()));
    for result in &results {
        eprintln!("  {}  {} ({})", if result.passed { "ok  " } else { "FAIL" }, result.name, seconds(result.took));
    }
    let failed: Vec<&str> = results.iter().filter(|result| !result.passed).map(|result| result.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

struct Check {
    name: &'static str,
    passed: bool,
    took: Duration,
}

fn cargo(tree: &Tree, args: &[&str]) -> Result<()> {
    process::run(process::cargo(tree).args(args).envs(tree.environment()))
}

/// The official `openai` package against `waybill up`.
fn sdk(tree: &Tree) -> Result<()> {
    step("openai package", |step| {
        let python = python::environment(tree, step, "sdk", &tree.join("tests/sdk/requirements.txt"))?;
        let mut pytest = process::command(tree, python);
        pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/sdk"]).envs(tree.environment());
        process::run(pytest.env("PYTHONDONTWRITEBYTECODE", "1"))?;
        Ok("passed".to_owned())
    })
}
