//! Child processes: a clean environment, output on standard error, failures as errors.

use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsStr,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A command that starts in the repository's root without what `cargo run` put into this process' environment.
///
/// Build scripts such as ring's ask to be run again when `CARGO_PKG_*` changes: passing ours on would rebuild half the
/// workspace every time a person alternates `cargo build` and `cargo xtask`.
pub fn command(tree: &Tree, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO" {
            command.env_remove(&name);
        }
    }
    if let Some(path) = env::var_os("LD_LIBRARY_PATH") {
        let theirs = |entry: &PathBuf| {
            !entry.starts_with(&tree.target) && !entry.ends_with("lib/rustlib") && !is_toolchain(entry)
        };
        let kept: Vec<PathBuf> = env::split_paths(&path).filter(theirs).collect();
        match env::join_paths(&kept) {
            Ok(path) if !path.is_empty() => command.env("LD_LIBRARY_PATH", path),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command.current_dir(&tree.root);
    command
}

fn is_toolchain(entry: &Path) -> bool {
    entry.components().any(|part| part.as_os_str() == "toolchains")
}

/// The cargo that runs us.
pub fn cargo(tree: &Tree) -> Command {
    let mut command = command(tree, env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env("CARGO_TARGET_DIR", &tree.target);
    command
}

/// Runs a command to its end; its standard output goes to our standard error.
pub fn run(command: &mut Command) -> Result<()> {
    let name = display(command);
    let output = std::io::stderr().as_fd().try_clone_to_owned()?;
    let status =
        command.stdin(Stdio::null()).stdout(output).status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(())
}

/// Runs a command to its end and returns its standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let name = display(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{name}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("`{name}` failed: {}\n{text}", output.status);
    }
    Ok(text)
}

/// Whether a command can be started and succeeds, quietly.
pub fn succeeds(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where a program is on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
