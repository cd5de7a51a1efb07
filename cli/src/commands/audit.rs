//! `waybill audit`: which receipts were drawn, what verifiers said of them here and on chain, and the same re-execution on
//! this machine.

use crate::{
    commands::{
        audit_case::{self, CanaryCommand, Case, CasesArgs},
        audit_class::{self, ClassCommand},
        audit_verifiers::{self, VerifiersCommand},
    },
    context::Context,
    input, output,
    place::Place,
    services::{self, MAX_BATCH},
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::{fmt, path::PathBuf};
use waybill_chain::{audit_rule::default_rule, settlement};
use waybill_mechanism::message::Receipt;
use waybill_protocol::{
    audit::{AuditJob, Comparison, Material, Mismatch, Rule, Verdict},
    frame::InputKind,
};
use waybill_store::{Audit, AuditState, BatchId, Charge, Store, StoredVerdict};
use waybill_worker::{Archive, ArchiveConfig, EngineConfig, Engines, ModelSpec, audit as execution};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill audit list --data-dir ~/.local/share/waybill\n  waybill audit list --state failed --database postgres://waybill@db/waybill\n  waybill audit show req-0123456789abcdef01234567 --data-dir ~/.local/share/waybill\n  waybill audit run req-0123456789abcdef01234567 --data-dir ~/.local/share/waybill\n  waybill audit cases                                    what is under audit on chain\n  waybill audit verifiers join 1 --node worker.json      judge others' receipts, as a staked verifier\n  waybill audit appeal ADDRESS                           ask a larger panel; lodges a bond\n\nExit codes of run: 0 the receipt holds, 1 it does not."
)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List drawn receipts, newest first
    List {
        /// Only audits that stand so
        #[arg(long)]
        state: Option<State>,
        /// Most lines
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Show the audits of a receipt with every verdict, and where they stand on chain
    Show {
        /// The answer's header x-waybill-receipt
        receipt: String,
        #[command(flatten)]
        place: Place,
    },
    /// Re-execute a receipt on this machine and print the comparison
    Run(RunArgs),
    /// List the audits on chain
    Cases(CasesArgs),
    /// Contest a pass by one verifier, or appeal a panel's decision: more verifiers are asked
    Appeal {
        /// As `waybill audit cases` lists it
        #[arg(value_parser = input::address)]
        audit: Pubkey,
    },
    /// Determinism classes: which machines can be compared, and how close they must come
    Class {
        #[command(subcommand)]
        command: ClassCommand,
    },
    /// Seats of those who may be drawn to judge
    Verifiers {
        #[command(subcommand)]
        command: VerifiersCommand,
    },
    /// Planted receipts, which test the verifiers; signed by the params authority, whose own worker serves them
    Canary {
        #[command(subcommand)]
        command: CanaryCommand,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Open,
    Passed,
    Failed,
    Unanswered,
}

impl From<State> for AuditState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Passed => Self::Passed,
            State::Failed => Self::Failed,
            State::Unanswered => Self::Unanswered,
        }
    }
}

/// How the two executions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Bit by bit: the same class of machine
    Exact,
    /// Within 1e-4: a model in fp32 on any machine
    Tolerance,
    /// By the margins of tokens: a quantised text model on any machine
    Text,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The answer's header x-waybill-receipt
    receipt: String,
    #[command(flatten)]
    place: Place,
    /// The gateway's secret file, which opens what it keeps [default: that of the data folder]
    #[arg(long, env = "WAYBILL_PEPPER", value_name = "FILE", required_unless_present = "data_dir")]
    pepper: Option<PathBuf>,
    /// Folder in which the worker keeps its evidence; absent compares without the worker's logits
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// How to compare [default: as the network does for this kind of model]
    #[arg(long)]
    rule: Option<Kind>,
    /// Folder of ONNX Runtime and models [default: ~/.cache/waybill]
    #[arg(long, env = "WAYBILL_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Threads of one inference; answers do not depend on them
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// The re-execution did not give what the receipt says; it was printed already.
#[derive(Debug)]
pub struct Rejected;

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receipt does not hold")
    }
}

impl std::error::Error for Rejected {}

#[derive(Serialize)]
struct AuditLine {
    epoch: u32,
    shard: u16,
    draw: u32,
    receipt: String,
    worker: String,
    price_nc: u64,
    state: &'static str,
    note: String,
}

impl From<&Audit> for AuditLine {
    fn from(audit: &Audit) -> Self {
        Self {
            epoch: audit.id.batch.epoch,
            shard: audit.id.batch.shard,
            draw: audit.id.draw,
            receipt: audit.receipt_id.clone(),
            worker: audit.worker.to_string(),
            price_nc: audit.price_nc,
            state: audit.state.as_str(),
            note: audit.note.clone(),
        }
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    audit: AuditLine,
    verdicts: Vec<VerdictLine>,
    /// None when nobody opened it on chain, or when it is over there.
    on_chain: Option<Case>,
}

/// A comparison, with the numbers behind it.
#[derive(Serialize)]
struct VerdictLine {
    verifier: String,
    passed: bool,
    mismatch: &'static str,
    comparison: &'static str,
    positions: u32,
    agreed: u32,
    /// In logits.
    max_margin: f32,
    mean_margin: f32,
    /// Relative; none where the worker gave no evidence.
    max_difference: Option<f32>,
    mean_difference: Option<f32>,
    output_hash: String,
    evidence_hash: String,
}

impl VerdictLine {
    fn of(verdict: &Verdict, verifier: String) -> Self {
        Self {
            verifier,
            passed: verdict.passed,
            mismatch: verdict.mismatch().as_str_name(),
            comparison: comparison(verdict.comparison()),
            positions: verdict.positions,
            agreed: verdict.agreed,
            max_margin: verdict.max_margin,
            mean_margin: verdict.mean_margin,
            max_difference: verdict.max_difference,
            mean_difference: verdict.mean_difference,
            output_hash: hex::encode(&verdict.output_hash),
            evidence_hash: hex::encode(&verdict.evidence_hash),
        }
    }

    fn stored(stored: &StoredVerdict) -> anyhow::Result<Self> {
        let verdict = Verdict::read(&stored.verdict).context("a stored verdict cannot be read")?;
        Ok(Self::of(&verdict, stored.verifier.to_string()))
    }
}

fn comparison(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Exact => "exact",
        Comparison::Tol => "tolerance",
        Comparison::Text => "text",
    }
}

pub async fn run(args: AuditArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        AuditCommand::List { state, limit, place } => list(state, limit, &place, context).await,
        AuditCommand::Show { receipt, place } => show(&receipt, &place, context).await,
        AuditCommand::Run(args) => execute(args, context).await,
        AuditCommand::Cases(args) => audit_case::list(args, context).await,
        AuditCommand::Appeal { audit } => audit_case::appeal(audit, context).await,
        AuditCommand::Class { command } => audit_class::run(command, context).await,
        AuditCommand::Verifiers { command } => audit_verifiers::run(command, context).await,
        AuditCommand::Canary { command } => audit_case::canary(command, context).await,
    }
}

async fn list(state: Option<State>, limit: u32, place: &Place, context: &Context) -> anyhow::Result<()> {
    let audits = place.open().await?.audits(state.map(Into::into), limit).await?;
    let lines: Vec<AuditLine> = audits.iter().map(Into::into).collect();
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            vec![
                format!("{}/{}/{}", line.epoch, line.shard, line.draw),
                line.receipt.clone(),
                line.worker.clone(),
                output::usd(line.price_nc),
                line.state.to_owned(),
                line.note.clone(),
            ]
        });
        output::table(&["epoch/shard/draw", "receipt", "worker", "price", "state", "note"], rows)
    })
}

async fn show(receipt: &str, place: &Place, context: &Context) -> anyhow::Result<()> {
    let store = place.open().await?;
    let audits = store.audits_of_receipt(receipt).await?;
    if audits.is_empty() {
        bail!("receipt {receipt:?} was never drawn; `waybill audit run` re-executes any receipt");
    }
    let mut shown = Vec::new();
    for audit in &audits {
        let verdicts = store.verdicts(audit.id).await?;
        let verdicts = verdicts.iter().map(VerdictLine::stored).collect::<anyhow::Result<_>>()?;
        let BatchId { gateway, epoch, shard } = audit.id.batch;
        let batch = settlement::seeds::find_batch(&Pubkey::new_from_array(gateway.0), epoch, shard).0;
        let on_chain = Case::of_draw(&context.chain, &batch, audit.id.draw).await?;
        shown.push(Shown { audit: audit.into(), verdicts, on_chain });
    }
    output::print(context.json, &shown, |shown| {
        let texts = shown.iter().map(|shown| {
            let AuditLine { epoch, shard, draw, state, note, .. } = &shown.audit;
            let verdicts = verdict_table(&shown.verdicts);
            let case = shown.on_chain.as_ref().map(|case| audit_case::table(std::slice::from_ref(case)));
            let case = case.unwrap_or_else(|| "on chain: not open".to_owned());
            format!("draw {epoch}/{shard}/{draw}: {state} {note}\n{verdicts}\n{case}")
        });
        texts.collect::<Vec<_>>().join("\n")
    })
}

fn verdict_table(verdicts: &[VerdictLine]) -> String {
    let number = |value: Option<f32>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1e}"));
    let rows = verdicts.iter().map(|verdict| {
        vec![
            verdict.verifier.clone(),
            if verdict.passed { "passed" } else { verdict.mismatch }.to_owned(),
            verdict.comparison.to_owned(),
            format!("{} of {}", verdict.agreed, verdict.positions),
            number(Some(verdict.max_margin)),
            number(Some(verdict.mean_margin)),
            number(verdict.max_difference),
            number(verdict.mean_difference),
        ]
    });
    let header =
        ["verifier", "verdict", "rule", "equal", "max margin", "mean margin", "max difference", "mean difference"];
    output::table(&header, rows)
}

async fn execute(args: RunArgs, context: &Context) -> anyhow::Result<()> {
    let store = args.place.open().await?;
    let id = &args.receipt;
    let bundle = store.receipt(id).await?.with_context(|| format!("this gateway has no receipt {id:?}"))?;
    let receipt = bundle.receipt.receipt()?;
    let material = material(&args, &store, &receipt).await?;
    let job = audit_job(&args, &bundle.receipt, &receipt, material)?;
    let cache = services::cache_folder(args.cache.clone())?;
    let models = [ModelSpec::smollm2, ModelSpec::minilm, ModelSpec::tiny].map(|spec| spec(&cache.join("models")));
    let wanted = |spec: &ModelSpec| spec.is_present() && spec.artifact.is_some_and(|hash| hash.0 == receipt.artifact);
    let models: Vec<ModelSpec> = models.into_iter().filter(wanted).collect();
    if models.is_empty() {
        let artifact = hex::encode(receipt.artifact);
        bail!("model {artifact} is not in {}: `cargo xtask setup` fetches the models", cache.join("models").display());
    }
    let library = services::runtime_library(&cache);
    let config = EngineConfig { library, models, threads: args.threads, max_batch: MAX_BATCH };
    let engines = tokio::task::spawn_blocking(move || Engines::load(&config)).await??;
    let (_, finding) = execution::audit(&engines, receipt.domain, &job, None).await.map_err(anyhow::Error::new)?;
    let passed = finding.mismatch == Mismatch::None;
    let verdict = VerdictLine::of(&finding.into_verdict([0; 32], &receipt), "this machine".into());
    output::print(context.json, &verdict, |verdict| verdict_table(std::slice::from_ref(verdict)))?;
    if passed { Ok(()) } else { Err(Rejected.into()) }
}

/// What the gateway keeps of the call, opened.
async fn material(args: &RunArgs, store: &Store, receipt: &Receipt) -> anyhow::Result<Material> {
    let file = match (&args.pepper, &args.place.data_dir) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => folder.join("keys/pepper"),
        (None, None) => bail!("name the gateway's secret file with --pepper"),
    };
    let key = services::read_pepper(&file)?.material_key();
    let sealed = store.sealed_material(&receipt.hash()).await?.context(
        "the gateway keeps neither input nor output of this call: it was private, or it is older than 48 hours",
    )?;
    let plain = key.open(&receipt.hash(), &sealed);
    let plain = plain.with_context(|| format!("{} is not the secret that sealed this call", file.display()))?;
    Material::read(&plain).context("what the gateway keeps of this call cannot be read")
}

fn audit_job(args: &RunArgs, charge: &Charge, receipt: &Receipt, material: Material) -> anyhow::Result<AuditJob> {
    let kind = material.job.as_ref().and_then(|job| job.input.as_ref()?.kind.as_ref());
    let kind = kind.context("what the gateway keeps of this call has no input")?;
    let rule = match (args.rule, kind) {
        (None, kind) => default_rule(kind),
        (Some(Kind::Exact), _) => Rule::exact(),
        (Some(Kind::Text), InputKind::Chat(_)) => Rule::quantised_text(),
        (Some(Kind::Text), InputKind::Embed(_)) => bail!("embeddings have no tokens: use exact or tolerance"),
        (Some(Kind::Tolerance), _) => Rule::tolerance(),
    };
    let record = match &args.evidence {
        None => None,
        Some(folder) => {
            let archive = Archive::open(ArchiveConfig::new(folder))
                .with_context(|| format!("cannot read {}", folder.display()))?;
            let record = archive.find(receipt)?;
            Some(record.with_context(|| format!("{} has no evidence of this receipt", folder.display()))?)
        }
    };
    Ok(AuditJob {
        material: Some(material),
        receipt: charge.receipt.to_vec().into(),
        worker_signature: charge.worker_sig.to_vec().into(),
        evidence: record.map_or_else(Vec::new, |record| record.as_bytes().to_vec()).into(),
        rule: Some(rule),
        chair: None,
    })
}
