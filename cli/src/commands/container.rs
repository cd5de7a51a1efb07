//! `waybill container`: publishes a workflow of models under one name, and shows how each payment for it divides.

use crate::{commands::artifact::hash_file, context::Context, input, lookup, output, role};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use solana_signer::Signer;
use std::path::{Path, PathBuf};
use waybill_chain::{
    ix,
    market::{
        self,
        constants::{BETA_STEP_BPS, MAX_NAME, MAX_STAGES},
        instructions::CreateContainerArgs,
        state::{Ask, Container, ContainerState, Role, SplitSnapshot, Stage, StageKind},
    },
};

/// Names of the six shares, in the chain's order.
const SHARES: [&str; 6] = ["vendor", "oem", "provider", "curator", "weaver", "protocol"];

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill container publish container.toml\n  waybill container list\n  waybill container show smollm2-135m-instruct\n  waybill container set-beta smollm2-135m-instruct 600\n\nA container.toml:\n  name = \"smollm2-135m-instruct\"   # the model id that consumers use\n  beta_bps = 500                   # share of the curator, basis points\n  ceiling_nc = 0                   # most a stage may cost per 1,000 units; 0 promises nothing\n  version = 1                      # raise it to publish the same workflow again\n  uri = \"https://…\"                # optional: where this manifest lies\n  terms = \"terms.txt\"              # optional: file of the terms of use\n\n  [[stage]]\n  artifact = \"model.onnx\"          # the model file, or its SHA-256\n  kind = \"chat\"                    # chat, embed, rank, tensor, vad, stt, tts, ocr\n  market = 1\n  weight_bps = 10000               # 10,000 = the market's base price"
)]
pub struct ContainerArgs {
    #[command(subcommand)]
    command: ContainerCommand,
}

#[derive(Debug, Subcommand)]
enum ContainerCommand {
    /// Publish the workflow that a manifest describes; this wallet becomes its weaver
    Publish {
        /// container.toml, see below
        manifest: PathBuf,
    },
    /// List containers with today's prices and shares
    List,
    /// Show a container's stages, split and asks
    Show {
        /// Name or id
        container: String,
    },
    /// Move the share of a container's curators, by at most 100 basis points per pricing epoch
    SetBeta {
        /// Name or id
        container: String,
        /// Basis points of the price
        beta_bps: u16,
    },
    /// End a container for good: it gets no new prices, and so no work after the last one
    Retire {
        /// Name or id
        container: String,
    },
}

/// A manifest as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    beta_bps: u16,
    #[serde(default)]
    ceiling_nc: u64,
    #[serde(default = "first")]
    version: u32,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    terms: Option<PathBuf>,
    stage: Vec<StageManifest>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageManifest {
    /// A SHA-256 or a file beside the manifest.
    artifact: String,
    kind: String,
    market: u32,
    weight_bps: u16,
}

fn first() -> u32 {
    1
}

/// What a container's id is the hash of, as JSON without spaces in this order of fields.
#[derive(Serialize)]
struct Canonical<'a> {
    format: &'static str,
    weaver: String,
    name: &'a str,
    version: u32,
    beta_bps: u16,
    ceiling_nc: u64,
    uri_hash: String,
    terms_hash: String,
    stages: Vec<CanonicalStage>,
}

#[derive(Serialize)]
struct CanonicalStage {
    artifact: String,
    kind: u8,
    market: u32,
    weight_bps: u16,
}

#[derive(Serialize)]
struct Published {
    id: String,
    name: String,
    signature: String,
}

#[derive(Serialize)]
struct ContainerLine {
    id: String,
    name: String,
    state: &'static str,
    weaver: String,
    /// Share of the curator in this pricing epoch.
    beta_bps: u16,
    /// What it becomes, from a pricing epoch on.
    next_beta_bps: Option<u16>,
    next_beta_from: Option<u32>,
    ceiling_nc: u64,
    pricing_epoch: u32,
    stages: Vec<StageLine>,
}

impl ContainerLine {
    fn next_beta(&self) -> String {
        match (self.next_beta_bps, self.next_beta_from) {
            (Some(bps), Some(from)) => format!(", {bps} bps from pricing epoch {from} on"),
            _ => String::new(),
        }
    }
}

#[derive(Serialize)]
struct StageLine {
    stage: usize,
    kind: &'static str,
    artifact: String,
    market: u32,
    weight_bps: u16,
    /// Nano-credits per 1,000 billable units now; none while no snapshot of this pricing epoch is frozen.
    price_nc: Option<u64>,
    /// Vendor, OEM, provider, curator, weaver, protocol; they sum to 10,000.
    bps: Option<[u16; 6]>,
    /// What vendor, OEM and weaver ask now, nano-credits per 1,000 billable units.
    asks: Vec<AskLine>,
}

#[derive(Serialize)]
struct AskLine {
    role: &'static str,
    ask_nc: u64,
}

pub async fn run(args: ContainerArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        ContainerCommand::Publish { manifest } => publish(&manifest, context).await,
        ContainerCommand::List => list(context).await,
        ContainerCommand::Show { container } => show(&container, context).await,
        ContainerCommand::SetBeta { container, beta_bps } => set_beta(&container, beta_bps, context).await,
        ContainerCommand::Retire { container } => retire(&container, context).await,
    }
}

fn kind_name(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Chat => "chat",
        StageKind::Embed => "embed",
        StageKind::Rank => "rank",
        StageKind::Tensor => "tensor",
        StageKind::Vad => "vad",
        StageKind::Stt => "stt",
        StageKind::Tts => "tts",
        StageKind::Ocr => "ocr",
    }
}

fn parse_kind(text: &str) -> anyhow::Result<StageKind> {
    use StageKind as K;
    let kinds = [K::Chat, K::Embed, K::Rank, K::Tensor, K::Vad, K::Stt, K::Tts, K::Ocr];
    let found = kinds.into_iter().find(|kind| kind_name(*kind) == text);
    found.with_context(|| format!("{text:?} is no kind of stage: choose one of {}", kinds.map(kind_name).join(", ")))
}

impl Manifest {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let manifest: Self = toml::from_str(text)?;
        if !(1..=MAX_NAME).contains(&manifest.name.len()) {
            bail!("`name` has 1 to {MAX_NAME} bytes");
        }
        if !(1..=MAX_STAGES).contains(&manifest.stage.len()) {
            bail!("a container has 1 to {MAX_STAGES} stages, each under [[stage]]");
        }
        Ok(manifest)
    }

    /// Hashes the files beside the manifest and names the whole by its canonical bytes.
    fn resolve(self, folder: &Path, weaver: &Pubkey, quiet: bool) -> anyhow::Result<CreateContainerArgs> {
        let mut stages = Vec::with_capacity(self.stage.len());
        for (index, stage) in self.stage.iter().enumerate() {
            let artifact = match input::hash(&stage.artifact) {
                Ok(hash) => hash,
                Err(_) => {
                    hash_file(&folder.join(&stage.artifact), quiet)
                        .with_context(|| format!("stage {index}: `artifact` is a SHA-256 or a model file"))?
                        .0
                }
            };
            let kind = parse_kind(&stage.kind).with_context(|| format!("stage {index}"))?;
            stages.push(Stage { artifact, kind, market: stage.market, weight_bps: stage.weight_bps });
        }
        let terms_hash = match &self.terms {
            Some(file) => hash_file(&folder.join(file), quiet).context("`terms`")?.0,
            None => [0; 32],
        };
        let uri_hash = self.uri.as_ref().map_or([0; 32], |uri| Sha256::digest(uri.as_bytes()).into());
        let canonical = Canonical {
            format: "waybill-container/1",
            weaver: weaver.to_string(),
            name: &self.name,
            version: self.version,
            beta_bps: self.beta_bps,
            ceiling_nc: self.ceiling_nc,
            uri_hash: hex::encode(uri_hash),
            terms_hash: hex::encode(terms_hash),
            stages: stages.iter().map(CanonicalStage::of).collect(),
        };
        let id = Sha256::digest(serde_json::to_vec(&canonical)?).into();
        Ok(CreateContainerArgs {
            id,
            name: self.name,
            beta_bps: self.beta_bps,
            ceiling_nc: self.ceiling_nc,
            uri_hash,
            terms_hash,
            stages,
        })
    }
}

impl CanonicalStage {
    fn of(stage: &Stage) -> Self {
        Self {
            artifact: hex::encode(stage.artifact),
            kind: stage.kind as u8,
            market: stage.market,
            weight_bps: stage.weight_bps,
        }
    }
}

async fn publish(file: &Path, context: &Context) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let manifest = Manifest::parse(&text).with_context(|| {
        format!("{} is no container manifest; `waybill container --help` shows one", file.display())
    })?;
    let weaver = context.wallet()?;
    let (folder, owner, quiet) = (file.parent().map(Path::to_owned).unwrap_or_default(), weaver.pubkey(), context.json);
    let args = tokio::task::spawn_blocking(move || manifest.resolve(&folder, &owner, quiet)).await??;
    let id = hex::encode(args.id);
    if context.chain.account::<Container>(&market::seeds::find_container(&args.id).0).await?.is_some() {
        bail!("this container is published already, as {id}; raise `version` to publish it again");
    }
    for stage in &args.stages {
        let address = market::seeds::find_artifact(&stage.artifact).0;
        if context.chain.data(&address).await?.is_none() {
            bail!("the model {} is not registered; `waybill artifact register` does that", hex::encode(stage.artifact));
        }
        if context.chain.data(&market::seeds::find_market(stage.market).0).await?.is_none() {
            bail!("there is no market {}", stage.market);
        }
    }
    let name = args.name.clone();
    let signature = context.chain.send(&weaver, &[], &[ix::market::create_container(owner, owner, args)]).await?;
    let done = Published { id, name, signature: signature.to_string() };
    output::print(context.json, &done, |done| {
        format!(
            "{} is published as {}\nnext, ask a price for it: waybill ask post weaver {} NC",
            done.name, done.id, done.id
        )
    })
}

/// Containers with the snapshots of the present pricing epoch and the asks behind them.
async fn describe(containers: Vec<Container>, context: &Context) -> anyhow::Result<Vec<ContainerLine>> {
    let pricing = lookup::pricing_epoch(&context.chain).await?;
    let mut lines = Vec::with_capacity(containers.len());
    for container in containers {
        let stages = container.stages.len();
        let indexes: Vec<u8> = (0..).take(stages).collect();
        let snapshots: Vec<Pubkey> =
            indexes.iter().map(|stage| market::seeds::find_snapshot(&container.id, *stage, pricing).0).collect();
        let snapshots: Vec<Option<SplitSnapshot>> = context.chain.accounts(&snapshots).await?;
        let asks: Vec<Pubkey> = container
            .stages
            .iter()
            .flat_map(|stage| {
                [(stage.artifact, Role::Vendor), (stage.artifact, Role::Oem), (container.id, Role::Weaver)]
            })
            .map(|(subject, role)| market::seeds::find_ask(&subject, role).0)
            .collect();
        let asks: Vec<Option<Ask>> = context.chain.accounts(&asks).await?;
        let described = container.stages.iter().zip(&snapshots).zip(asks.chunks(3)).enumerate();
        let stages = described
            .map(|(index, ((stage, snapshot), asks))| StageLine {
                stage: index,
                kind: kind_name(stage.kind),
                artifact: hex::encode(stage.artifact),
                market: stage.market,
                weight_bps: stage.weight_bps,
                price_nc: snapshot.as_ref().map(|snapshot| snapshot.price_nc),
                bps: snapshot.as_ref().map(|snapshot| snapshot.bps),
                asks: asks
                    .iter()
                    .flatten()
                    .map(|ask| AskLine { role: role::name(ask.role), ask_nc: ask.at(pricing) })
                    .collect(),
            })
            .collect();
        lines.push(ContainerLine {
            id: hex::encode(container.id),
            name: container.name.clone(),
            state: if container.state == ContainerState::Active { "active" } else { "retired" },
            weaver: container.creator.to_string(),
            beta_bps: container.beta_at(pricing),
            next_beta_bps: (container.beta_epoch > pricing).then_some(container.next_beta_bps),
            next_beta_from: (container.beta_epoch > pricing).then_some(container.beta_epoch),
            ceiling_nc: container.ceiling_nc,
            pricing_epoch: pricing,
            stages,
        });
    }
    Ok(lines)
}

/// One row per stage.
fn stage_rows(line: &ContainerLine) -> impl Iterator<Item = Vec<String>> + '_ {
    line.stages.iter().map(|stage| {
        let price = stage.price_nc.map_or_else(|| "not frozen".to_owned(), |nc| nc.to_string());
        let mut row =
            vec![line.name.clone(), line.state.to_owned(), stage.stage.to_string(), stage.kind.to_owned(), price];
        row.extend((0..SHARES.len()).map(|share| stage.bps.map_or_else(String::new, |bps| bps[share].to_string())));
        row
    })
}

fn stage_table(lines: &[ContainerLine]) -> String {
    let header: Vec<&str> = ["name", "state", "stage", "kind", "nc/1,000"].into_iter().chain(SHARES).collect();
    output::table(&header, lines.iter().flat_map(stage_rows))
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let all: Vec<(Pubkey, Container)> = context.chain.all(&market::ID).await?;
    let mut containers: Vec<Container> = all.into_iter().map(|(_, container)| container).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    let lines = describe(containers, context).await?;
    output::print(context.json, &lines, |lines| stage_table(lines))
}

async fn show(wanted: &str, context: &Context) -> anyhow::Result<()> {
    let container = lookup::container(&context.chain, wanted).await?;
    let lines = describe(vec![container], context).await?;
    let line = lines.first().context("the container could not be read")?;
    output::print(context.json, line, |line| {
        let head = format!(
            "{} ({})\nid      {}\nweaver  {}\ncurator {} bps{}\npricing epoch {}",
            line.name,
            line.state,
            line.id,
            line.weaver,
            line.beta_bps,
            line.next_beta(),
            line.pricing_epoch
        );
        let asks = line.stages.iter().flat_map(|stage| {
            stage.asks.iter().map(|ask| {
                vec![stage.stage.to_string(), stage.artifact.clone(), ask.role.to_owned(), ask.ask_nc.to_string()]
            })
        });
        let asks = output::table(&["stage", "artifact", "ask of", "nc/1,000"], asks);
        format!("{head}\n{}\n{asks}", stage_table(std::slice::from_ref(line)))
    })
}

/// Moves the curator's share; what stands or is on its way already is not sent again.
async fn set_beta(wanted: &str, beta_bps: u16, context: &Context) -> anyhow::Result<()> {
    let weaver = context.wallet()?;
    let container = lookup::container(&context.chain, wanted).await?;
    if container.creator != weaver.pubkey() {
        bail!("{} belongs to the weaver {}, this wallet is {}", container.name, container.creator, weaver.pubkey());
    }
    let now = lookup::pricing_epoch(&context.chain).await?;
    let stands = container.beta_at(container.beta_epoch.max(now));
    if stands != beta_bps {
        let current = container.beta_at(now);
        if beta_bps.abs_diff(current) > BETA_STEP_BPS {
            bail!(
                "the share is {current} basis points and moves at most {BETA_STEP_BPS} per pricing epoch: go there in steps"
            );
        }
        let set = ix::market::set_beta(weaver.pubkey(), &container.id, beta_bps);
        context.chain.send(&weaver, &[], &[set]).await?;
    }
    show(&hex::encode(container.id), context).await
}

async fn retire(wanted: &str, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let container = lookup::container(&context.chain, wanted).await?;
    if container.creator != wallet.pubkey() {
        bail!("{wanted} belongs to {}, this wallet is {}", container.creator, wallet.pubkey());
    }
    let retire = ix::market::retire_container(wallet.pubkey(), &container.id, container.revision);
    let signature = context.chain.send(&wallet, &[], &[retire]).await?;
    let done = Published { id: hex::encode(container.id), name: container.name, signature: signature.to_string() };
    output::print(context.json, &done, |done| {
        format!("{} ({}) is retired; it serves until its last frozen price ends", done.name, done.id)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn manifest(change: &str, to: &str) -> String {
        let artifact = "ab".repeat(32);
        let text = format!(
            "name = \"tiny\"\nbeta_bps = 500\n\n[[stage]]\nartifact = \"{artifact}\"\nkind = \"chat\"\nmarket = 1\nweight_bps = 10000\n"
        );
        assert!(text.contains(change));
        text.replace(change, to)
    }

    fn id(text: &str) -> [u8; 32] {
        Manifest::parse(text).unwrap().resolve(Path::new(""), &Pubkey::new_from_array([1; 32]), true).unwrap().id
    }

    #[test]
    fn every_promise_changes_the_id() {
        let original = id(&manifest("", ""));
        assert_eq!(original, id(&manifest("", "")));
        for (change, to) in [
            ("tiny", "tinier"),
            ("500", "400"),
            ("beta_bps = 500\n", "beta_bps = 500\nceiling_nc = 9\n"),
            ("beta_bps = 500\n", "beta_bps = 500\nversion = 2\n"),
            ("beta_bps = 500\n", "beta_bps = 500\nuri = \"https://a\"\n"),
            ("abab", "baab"),
            ("chat", "embed"),
            ("market = 1", "market = 2"),
            ("10000", "9999"),
        ] {
            assert_ne!(original, id(&manifest(change, to)), "{change} to {to}");
        }
    }

    #[test]
    fn a_manifest_that_is_none_says_what_is_wrong() {
        for (change, to, complaint) in [
            ("tiny", "", "1 to 48 bytes"),
            ("beta_bps", "beta", "unknown field"),
            ("kind = \"chat\"\n", "", "missing field"),
        ] {
            let error = Manifest::parse(&manifest(change, to)).unwrap_err();
            assert!(format!("{error:#}").contains(complaint), "{error:#}");
        }
        let wrong_kind = Manifest::parse(&manifest("chat", "song")).unwrap();
        let error = wrong_kind.resolve(Path::new(""), &Pubkey::default(), true).unwrap_err();
        assert!(format!("{error:#}").contains("choose one of chat"), "{error:#}");
    }

    #[test]
    fn a_model_file_stands_for_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.onnx"), b"weights").unwrap();
        let text = manifest(&"ab".repeat(32), "model.onnx");
        let args = Manifest::parse(&text).unwrap().resolve(folder.path(), &Pubkey::default(), true).unwrap();
        let hash: [u8; 32] = Sha256::digest(b"weights").into();
        assert_eq!(args.stages[0].artifact, hash);
    }
}
