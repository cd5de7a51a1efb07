//! `waybill artifact`: registers a model file by its hash, so that whoever made it is paid when it runs.

use crate::{
    commands::lineage,
    context::{Context, read_keypair},
    input, output,
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};
use solana_signer::Signer;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use waybill_chain::{
    ix,
    market::{
        self,
        constants::{MAX_LICENCE, MAX_NAME},
        instructions::RegisterArtifactArgs,
        state::Artifact,
    },
};

/// Bytes read and hashed at a time.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill artifact register model.onnx --name smollm2-135m-instruct --licence Apache-2.0\n  waybill artifact register model.onnx --name smollm2-135m-instruct --licence Apache-2.0 --oem oem.json\n  waybill artifact list\n  waybill artifact licence 5ab1…e0 --ceiling 1500        others may derive from it\n  waybill artifact link 77c0…1f 5ab1…e0                  77c0…1f derives from 5ab1…e0\n  waybill artifact lineage 77c0…1f"
)]
pub struct ArtifactArgs {
    #[command(subcommand)]
    command: ArtifactCommand,
}

#[derive(Debug, Subcommand)]
enum ArtifactCommand {
    /// Register a model file; this wallet becomes its vendor
    Register {
        /// The model file; only its hash and size leave this machine
        file: PathBuf,
        /// Name for people, 1 to 48 bytes
        #[arg(long)]
        name: String,
        /// SPDX identifier or short name of the licence, at most 32 bytes
        #[arg(long)]
        licence: String,
        /// Wallet of who optimised it for hardware: signs too and is paid too
        #[arg(long, value_name = "KEYPAIR_FILE")]
        oem: Option<PathBuf>,
    },
    /// List all registered models
    List,
    /// Show one model
    Show {
        /// SHA-256 of the model file
        #[arg(value_parser = input::hash)]
        hash: [u8; 32],
    },
    /// Say on what terms others may derive from a model of this wallet
    Licence {
        /// SHA-256 of the model file
        #[arg(value_parser = input::hash)]
        hash: [u8; 32],
        /// The most this wallet's ask counts in derivatives that link from now on, nano-credits per 1,000 billable units
        #[arg(long, value_name = "NC", required_unless_present = "closed")]
        ceiling: Option<u64>,
        /// Allow no new derivatives; those that exist keep their terms
        #[arg(long, conflicts_with = "ceiling")]
        closed: bool,
    },
    /// Declare a model of this wallet a derivative of another, for good
    Link {
        /// SHA-256 of the derivative
        #[arg(value_parser = input::hash)]
        derivative: [u8; 32],
        /// SHA-256 of the model it derives from
        #[arg(value_parser = input::hash)]
        parent: [u8; 32],
        /// Refuse a higher ceiling than this; without it, than the one that stands now
        #[arg(long, value_name = "NC")]
        max_ceiling: Option<u64>,
    },
    /// Show which vendors share in what a model earns, and in what proportion
    Lineage {
        /// SHA-256 of the model file
        #[arg(value_parser = input::hash)]
        hash: [u8; 32],
    },
    /// Share out what a derived model earned; the scheduler does the same
    Share {
        /// SHA-256 of the model file
        #[arg(value_parser = input::hash)]
        hash: [u8; 32],
        /// Of this pricing epoch instead of the present one
        #[arg(long)]
        pricing_epoch: Option<u32>,
    },
}

#[derive(Serialize)]
struct ArtifactLine {
    hash: String,
    name: String,
    licence: String,
    size: u64,
    vendor: String,
    oem: Option<String>,
    registered_at: i64,
}

#[derive(Serialize)]
struct Registered {
    hash: String,
    size: u64,
    signature: String,
}

pub async fn run(args: ArtifactArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        ArtifactCommand::Register { file, name, licence, oem } => register(file, name, licence, oem, context).await,
        ArtifactCommand::List => list(context).await,
        ArtifactCommand::Licence { hash, ceiling, closed: _ } => lineage::licence(hash, ceiling, context).await,
        ArtifactCommand::Link { derivative, parent, max_ceiling } => {
            lineage::link(derivative, parent, max_ceiling, context).await
        }
        ArtifactCommand::Lineage { hash } => lineage::show(hash, context).await,
        ArtifactCommand::Share { hash, pricing_epoch } => lineage::share(hash, pricing_epoch, context).await,
        ArtifactCommand::Show { hash } => {
            let address = market::seeds::find_artifact(&hash).0;
            let artifact: Artifact =
                context.chain.expect("artifact", &address, "`waybill artifact list` shows all").await?;
            output::print(context.json, &ArtifactLine::of(&artifact), |line| {
                let oem = line.oem.as_deref().unwrap_or("none");
                format!(
                    "{} ({} bytes, {})\nhash    {}\nvendor  {}\noem     {oem}",
                    line.name, line.size, line.licence, line.hash, line.vendor
                )
            })
        }
    }
}

impl ArtifactLine {
    fn of(artifact: &Artifact) -> Self {
        Self {
            hash: hex::encode(artifact.hash),
            name: artifact.name.clone(),
            licence: artifact.licence.clone(),
            size: artifact.size,
            vendor: artifact.vendor.to_string(),
            oem: artifact.oem().map(|oem| oem.to_string()),
            registered_at: artifact.registered_at,
        }
    }
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let all: Vec<(Pubkey, Artifact)> = context.chain.all(&market::ID).await?;
    let mut lines: Vec<ArtifactLine> = all.iter().map(|(_, artifact)| ArtifactLine::of(artifact)).collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            vec![line.name.clone(), line.hash.clone(), line.size.to_string(), line.licence.clone(), line.vendor.clone()]
        });
        output::table(&["name", "sha256", "bytes", "licence", "vendor"], rows)
    })
}

async fn register(
    file: PathBuf,
    name: String,
    licence: String,
    oem: Option<PathBuf>,
    context: &Context,
) -> anyhow::Result<()> {
    if !(1..=MAX_NAME).contains(&name.len()) || licence.len() > MAX_LICENCE {
        bail!("a name has 1 to {MAX_NAME} bytes, a licence at most {MAX_LICENCE}");
    }
    let vendor = context.wallet()?;
    let oem = oem.as_deref().map(read_keypair).transpose()?;
    let quiet = context.json;
    let (hash, size) = tokio::task::spawn_blocking(move || hash_file(&file, quiet)).await??;
    let address = market::seeds::find_artifact(&hash).0;
    if let Some(known) = context.chain.account::<Artifact>(&address).await? {
        bail!("{} is registered already, as {:?} of {}", hex::encode(hash), known.name, known.vendor);
    }
    let args = RegisterArtifactArgs { hash, size, name, licence };
    let register =
        ix::market::register_artifact(vendor.pubkey(), vendor.pubkey(), oem.as_ref().map(Signer::pubkey), args);
    let cosigners: Vec<&solana_keypair::Keypair> = oem.iter().collect();
    let signature = context.chain.send(&vendor, &cosigners, &[register]).await?;
    let done = Registered { hash: hex::encode(hash), size, signature: signature.to_string() };
    output::print(context.json, &done, |done| {
        format!("registered {}\nnext, ask a price for it: waybill ask post vendor {} NC", done.hash, done.hash)
    })
}

/// SHA-256 and size of a file, with a bar on standard error.
pub fn hash_file(file: &Path, quiet: bool) -> anyhow::Result<([u8; 32], u64)> {
    let reading = || format!("cannot read {}", file.display());
    let mut source = File::open(file).with_context(reading)?;
    let size = source.metadata().with_context(reading)?.len();
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(size) };
    bar.set_style(ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")?);
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut hashed = 0;
    loop {
        let n = source.read(&mut chunk).with_context(reading)?;
        if n == 0 {
            break;
        }
        digest.update(&chunk[..n]);
        hashed += n as u64;
        bar.set_position(hashed);
    }
    bar.finish_and_clear();
    if hashed == 0 {
        bail!("{} is empty: a model file is wanted", file.display());
    }
    Ok((digest.finalize().into(), hashed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_hashed_whole_and_an_empty_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        let content = vec![7; CHUNK + 1];
        std::fs::write(&file, &content).unwrap();
        let expected: [u8; 32] = Sha256::digest(&content).into();
        assert_eq!(hash_file(&file, true).unwrap(), (expected, content.len() as u64));
        std::fs::write(&file, []).unwrap();
        assert!(hash_file(&file, true).unwrap_err().to_string().contains("empty"));
        assert!(hash_file(&folder.path().join("none"), true).is_err());
    }
}
