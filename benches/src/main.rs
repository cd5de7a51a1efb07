//! `cargo xtask bench`: what the parts of this repository cost, measured on this machine.
//!
//! Each comparison is interleaved (A/B/A), so that what else the machine does falls on both sides; figures of one run
//! are ratios to each other, not properties of the code alone.

mod compute;
mod decode;
mod embeddings;
mod figures;
mod ledger;
mod machine;
mod models;
mod network;
mod null_worker;
mod path;
mod settling;

use anyhow::{Context, Result};
use clap::Parser;
use models::Models;
use path::Plan;
use std::path::PathBuf;
use waybill_worker::ModelSpec;

/// Measures gateway, scheduler, ledger, worker engines and settlement.
#[derive(Debug, Parser)]
#[command(after_help = "Example: cargo xtask bench --soak 100000")]
struct Args {
    /// A smoke run: everything once and briefly, with the tiny chat model; its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Requests of the memory measurement [default: 10000, quick: 400]
    #[arg(long)]
    soak: Option<usize>,
    /// Threads of ONNX Runtime [default: every core]
    #[arg(long)]
    threads: Option<usize>,
    /// Folder for temporary databases, on a disk [default: the system's temporary folder]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Where `cargo xtask setup` puts ONNX Runtime and models [default: ~/.cache/waybill]
    #[arg(long, env = "WAYBILL_CACHE")]
    cache: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/waybill");
    let models = Models::in_cache(&args.cache.unwrap_or_else(home), args.threads.unwrap_or_else(machine::cores).max(1));
    let folder = args.folder.unwrap_or_else(std::env::temp_dir);
    println!("cores {}, load {} (1, 5, 15 minutes)", machine::cores(), machine::load());
    println!("Figures of one run are ratios to each other: compare them within a run, not between machines or days.");
    if cfg!(debug_assertions) {
        println!("This is not an optimised build: its figures mean nothing.");
    }

    section("1. Gateway and scheduler");
    let plan = if args.quick {
        Plan { rounds: 1, block: [20, 64], soak: args.soak.unwrap_or(400) }
    } else {
        Plan { rounds: 3, block: [300, 2_000], soak: args.soak.unwrap_or(10_000) }
    };
    let runtime = tokio::runtime::Runtime::new().context("the asynchronous runtime")?;
    runtime.block_on(path::run(&plan, &folder))?;
    drop(runtime);

    section("2. Chat engine");
    let chat = if args.quick { models.find(ModelSpec::tiny) } else { models.find(ModelSpec::smollm2) };
    if let Some(spec) = chat {
        let (tokens, rounds) = if args.quick { (24, 1) } else { (128, 3) };
        decode::run(&models, &spec, tokens, rounds)?;
    }

    section("3. Embedding engine");
    if let Some(spec) = models.find(ModelSpec::minilm) {
        let (texts, rounds) = if args.quick { (16, 1) } else { (48, 3) };
        embeddings::run(&models, &spec, texts, rounds)?;
    }

    section("4. Compute units");
    compute::run()?;

    section("5. Settlement");
    settling::run();
    println!("load at the end {}", machine::load());
    Ok(())
}

fn section(title: &str) {
    println!("\n## {title} (load {})\n", machine::load());
}
