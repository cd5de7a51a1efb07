//! The compiler for on-chain programs: Solana's platform tools where they are installed, else `tools/sbf`.

use crate::{
    process::{self, on_path, succeeds},
    progress::Step,
    stamp,
    tree::Tree,
};
use anyhow::{Result, bail};

/// How programs are compiled to SBF.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `cargo build-sbf` of Solana's platform tools.
    PlatformTools,
    /// Upstream LLVM's BPF target, set up and run by the scripts of `tools/sbf`.
    Upstream,
}

impl Route {
    pub fn detect() -> Self {
        if on_path("cargo-build-sbf").is_some() { Self::PlatformTools } else { Self::Upstream }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::PlatformTools => "cargo build-sbf",
            Self::Upstream => "tools/sbf",
        }
    }
}

/// Runs `tools/sbf/setup` unless it has run and all it leaves is there.
pub fn install(tree: &Tree, step: &Step) -> Result<String> {
    if Route::detect() == Route::PlatformTools {
        return Ok("cargo build-sbf is installed".to_owned());
    }
    let tools = tree.join("tools/sbf");
    let recipe = stamp::tree(&tree.root, &[tools.join("setup"), tools.join("patch-std"), tools.join("rt.ll")])?;
    let done = tree.sbf.join("setup.stamp");
    let ready = ["llvm23/.complete", "run23", "sbpf-linker", "library/std", "rt.bc"]
        .iter()
        .all(|part| tree.sbf.join(part).exists())
        && std::path::Path::new("/usr/bin/rustc").exists()
        && std::path::Path::new("/usr/bin/cargo").exists();
    if ready && stamp::holds(&done, &recipe) {
        return Ok(format!("present in {}", tree.sbf.display()));
    }
    if !succeeds(
        "sh",
        &["-c", ". /etc/os-release && test \"$VERSION_ID\" = 12 && test \"$(dpkg --print-architecture)\" = amd64"],
    ) {
        bail!(
            "tools/sbf works on Debian 12 amd64 only; install Solana's platform tools instead (`cargo build-sbf` must be \
             on PATH)"
        );
    }
    step.working("tools/sbf/setup takes about 4 minutes the first time");
    process::run(process::command(tree, tools.join("setup")).env("SBF_HOME", &tree.sbf))?;
    stamp::write(&done, &recipe)?;
    Ok(format!("installed in {}", tree.sbf.display()))
}
