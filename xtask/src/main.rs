//! `cargo xtask`: sets a machine up, builds the on-chain programs, starts a network, runs the tests.
//!
//! Every command does what is missing and nothing else, so that a second run is quick. Progress goes to standard error;
//! standard output belongs to the program that a command starts.

mod fuzz;
mod idl;
mod process;
mod programs;
mod progress;
mod setup;
mod stamp;
mod suite;
mod tree;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::{ffi::OsString, os::unix::process::CommandExt, process::ExitCode};
use tree::Tree;

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: Debian packages, the SBF compiler, ONNX Runtime, the models
    Setup,
    /// Build the three on-chain programs to `deploy/*.so` in the target folder
    Programs,
    /// Write the programs' interface descriptions to `idls/`
    Idl {
        /// Write nothing; fail when a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Set up, build everything and run `waybill up` with the given arguments
    #[command(disable_help_flag = true)]
    Up {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Set up, then format, lint, test, IDL and SDK checks; all of them run even when one fails
    Test,
    /// Build the fuzz targets and run each, or the named ones, for some seconds
    Fuzz {
        /// Seconds per target
        #[arg(long, default_value_t = 600)]
        seconds: u32,
        /// Targets that run at the same time
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Names of files in `fuzz/fuzz_targets`; all when none is given
        targets: Vec<String>,
    },
    /// Run the benchmarks in release mode with the given arguments
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = Tree::locate().and_then(|tree| match Args::parse().command {
        Command::Setup => setup::run(&tree),
        Command::Programs => ready(&tree),
        Command::Idl { check } => idl::run(&tree, check),
        Command::Up { args } => up(&tree, &args),
        Command::Test => suite::run(&tree),
        Command::Fuzz { seconds, jobs, targets } => fuzz::run(&tree, &targets, seconds, jobs),
        Command::Bench { args } => bench(&tree, &args),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The machine is set up and the programs are built.
fn ready(tree: &Tree) -> Result<()> {
    setup::run(tree)?;
    programs::run(tree)
}

fn up(tree: &Tree, args: &[OsString]) -> Result<()> {
    ready(tree)?;
    build_waybill(tree)?;
    let mut waybill = process::command(tree, tree.waybill());
    waybill.arg("up").args(args).envs(tree.environment());
    // The caller's folder, not the repository's root: relative paths among the arguments are the caller's.
    waybill.current_dir(std::env::current_dir()?);
    Err(waybill.exec()).with_context(|| format!("cannot start {}", tree.waybill().display()))
}

/// Builds the `waybill` program. The whole workspace is selected so that every command here builds the dependencies
/// with one set of features, and therefore once.
fn build_waybill(tree: &Tree) -> Result<()> {
    progress::step("waybill program", |step| {
        step.working("cargo build --workspace --bin waybill");
        process::run(process::cargo(tree).args(["build", "--workspace", "--bin", "waybill"]))?;
        Ok(tree.waybill().display().to_string())
    })
}

fn bench(tree: &Tree, args: &[OsString]) -> Result<()> {
    ready(tree)?;
    let mut cargo = process::cargo(tree);
    cargo.args(["run", "--profile", "bench", "--package", "waybill-bench", "--"]).args(args).envs(tree.environment());
    Err(cargo.exec()).context("cannot start cargo")
}
