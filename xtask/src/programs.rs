//! `cargo xtask programs`: the on-chain programs as SBF binaries.

use crate::{
    process,
    progress::step,
    setup::sbf::Route,
    stamp,
    tree::{PROGRAMS, Tree},
};
use anyhow::{Result, bail};
use std::path::PathBuf;

/// What the binaries are made from.
pub const SOURCES: [&str; 4] = ["programs", "mechanism", "Cargo.toml", "Cargo.lock"];

/// Builds the programs unless they stand in `deploy` as built from these sources by this route.
pub fn run(tree: &Tree) -> Result<()> {
    let route = Route::detect();
    step("on-chain programs", |step| {
        let done = tree.deploy().join("waybill.stamp");
        let inputs = inputs(tree, route)?;
        if stamp::holds(&done, &format!("{inputs} {}", outputs(tree)?)) {
            return Ok(format!("unchanged in {}", tree.deploy().display()));
        }
        step.working(&format!("building with {}, about 3 minutes the first time", route.name()));
        build(tree, route)?;
        if let Some(absent) = binaries(tree).iter().find(|path| !path.is_file()) {
            bail!("the build left no {}", absent.display());
        }
        stamp::write(&done, &format!("{inputs} {}", outputs(tree)?))?;
        Ok(format!("built into {}", tree.deploy().display()))
    })
}

fn build(tree: &Tree, route: Route) -> Result<()> {
    match route {
        Route::Upstream => process::run(
            process::command(tree, tree.join("tools/sbf/build"))
                .args(PROGRAMS.map(|(_, package)| package))
                .env("CARGO_TARGET_DIR", &tree.target)
                .env("SBF_HOME", &tree.sbf),
        ),
        Route::PlatformTools => PROGRAMS.iter().try_for_each(|(folder, _)| {
            let manifest = tree.join("programs").join(folder).join("Cargo.toml");
            let mut cargo = process::cargo(tree);
            cargo.arg("build-sbf").arg("--manifest-path").arg(manifest).arg("--sbf-out-dir").arg(tree.deploy());
            process::run(&mut cargo)
        }),
    }
}

fn binaries(tree: &Tree) -> [PathBuf; 3] {
    PROGRAMS.map(|(_, package)| tree.deploy().join(format!("{}.so", package.replace('-', "_"))))
}

fn inputs(tree: &Tree, route: Route) -> Result<String> {
    let mut paths: Vec<PathBuf> = SOURCES.iter().map(|path| tree.join(path)).collect();
    paths.push(tree.join("tools/sbf"));
    Ok(format!("{} {}", route.name(), stamp::tree(&tree.root, &paths)?))
}

fn outputs(tree: &Tree) -> Result<String> {
    stamp::tree(&tree.target, &binaries(tree))
}
