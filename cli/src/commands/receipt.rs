//! `waybill receipt`: shows a receipt, and checks it against the chain without believing its gateway.

use crate::{
    context::Context,
    lookup, output,
    receipt_check::{self, Bundle, ChainFacts, Outcome, Report, Verdict},
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use std::{fmt, path::PathBuf, time::Duration};
use waybill_chain::{
    Chain, market,
    market::state::{Artifact, Party, Role},
    settlement::{self, state::Channel},
};
use waybill_mechanism::{amount, message::Receipt};

const HTTP_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill receipt verify req-0123456789abcdef01234567\n  waybill receipt verify req-… --out bundle.json      keeps the evidence\n  waybill receipt verify --bundle bundle.json         checks it later, without the gateway\n\nExit codes of verify: 0 verified, 1 a check failed, 2 not posted on chain yet."
)]
pub struct ReceiptArgs {
    #[command(subcommand)]
    command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    /// Show what the gateway keeps about a request
    Show {
        /// The answer's header x-waybill-receipt
        id: String,
        #[command(flatten)]
        gateway: GatewayAccess,
    },
    /// Check signatures, model, price, inclusion and split against the chain
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct GatewayAccess {
    /// The gateway that served the request
    #[arg(long, env = "WAYBILL_GATEWAY", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    gateway: String,
    /// A key of the channel that paid
    #[arg(long, env = "OPENAI_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The answer's header x-waybill-receipt
    #[arg(required_unless_present = "bundle")]
    id: Option<String>,
    #[command(flatten)]
    gateway: GatewayAccess,
    /// Check this saved answer of the gateway instead of asking it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Save the gateway's answer
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The result was printed already; only the exit code is left to say.
#[derive(Debug)]
pub struct Told(Outcome);

impl Told {
    pub fn exit_code(&self) -> u8 {
        match self.0 {
            Outcome::Verified => 0,
            Outcome::Failed => 1,
            Outcome::Pending => 2,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the receipt is {:?}", self.0)
    }
}

impl std::error::Error for Told {}

#[derive(Serialize)]
struct Verified {
    id: String,
    model: String,
    charge_nc: u64,
    #[serde(flatten)]
    report: Report,
}

pub async fn run(args: ReceiptArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        ReceiptCommand::Show { id, gateway } => {
            let bundle = fetch(&id, &gateway).await?;
            output::print(context.json, &bundle, |bundle| serde_json::to_string_pretty(bundle).unwrap_or_default())
        }
        ReceiptCommand::Verify(args) => verify(args, context).await,
    }
}

/// The gateway's answer, whole.
async fn fetch(id: &str, access: &GatewayAccess) -> anyhow::Result<Value> {
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_id {
        bail!(
            "{id:?} is no receipt id: expected what the answer's header x-waybill-receipt says, such as req-0123456789abcdef01234567"
        );
    }
    let Some(key) = &access.api_key else {
        bail!("an API key of the channel that paid is needed: --api-key KEY or OPENAI_API_KEY");
    };
    // People copy the base URL of their SDK, which ends in /v1.
    let base = access.gateway.trim_end_matches('/').trim_end_matches("/v1");
    let client = reqwest::Client::builder().timeout(HTTP_TIMEOUT).build()?;
    let answer = client
        .get(format!("{base}/v1/receipts/{id}"))
        .bearer_auth(key)
        .send()
        .await
        .with_context(|| format!("the gateway {base} does not answer; --gateway names another"))?;
    let status = answer.status();
    let body: Value = answer
        .json()
        .await
        .with_context(|| format!("{base} answers {status} without JSON: is it a Waybill gateway?"))?;
    if !status.is_success() {
        let why = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason given");
        bail!("the gateway answers {status}: {why}");
    }
    Ok(body)
}

async fn verify(args: VerifyArgs, context: &Context) -> anyhow::Result<()> {
    let answer = match (&args.bundle, &args.id) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON document", file.display()))?
        }
        (None, Some(id)) => fetch(id, &args.gateway).await?,
        (None, None) => bail!("name a receipt, or a saved one with --bundle"),
    };
    if let Some(file) = &args.out {
        std::fs::write(file, serde_json::to_string_pretty(&answer)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let bundle: Bundle = serde_json::from_value(answer).context("the receipt's bundle cannot be read")?;
    if let Some(id) = args.id.as_ref().filter(|id| **id != bundle.id) {
        bail!("asked for receipt {id}, got {}", bundle.id);
    }
    let facts = read_facts(&context.chain, &bundle).await?;
    let report = receipt_check::check(&bundle, &facts);
    let outcome = report.outcome;
    let verified = Verified { id: bundle.id, model: bundle.model, charge_nc: bundle.charge_nc, report };
    output::print(context.json, &verified, text)?;
    if outcome == Outcome::Verified { Ok(()) } else { Err(Told(outcome).into()) }
}

/// Reads every account the receipt leads to. A receipt whose bytes cannot be read leads nowhere: the check says so.
async fn read_facts(chain: &Chain, bundle: &Bundle) -> anyhow::Result<ChainFacts> {
    let Ok(receipt) = Receipt::from_bytes(&bundle.receipt) else { return Ok(ChainFacts::default()) };
    let container: Option<market::state::Container> =
        chain.account(&market::seeds::find_container(&bundle.container.0).0).await?;
    let artifact: Option<Artifact> =
        match container.as_ref().and_then(|container| container.stages.get(usize::from(bundle.stage))) {
            Some(stage) => chain.account(&market::seeds::find_artifact(&stage.artifact).0).await?,
            None => None,
        };
    let pricing = amount::pricing_epoch(receipt.epoch);
    let channel: Option<Channel> = chain.account(&Pubkey::new_from_array(bundle.channel.0)).await?;
    let batch = match &bundle.batch {
        Some(batch) => {
            let gateway = Pubkey::new_from_array(receipt.gateway);
            chain.account(&settlement::seeds::find_batch(&gateway, receipt.epoch, batch.shard).0).await?
        }
        None => None,
    };
    let curator: Option<Party> = match bundle.referrer {
        Some(referrer) => {
            chain.account(&market::seeds::find_party(&Pubkey::new_from_array(referrer.0), Role::Curator).0).await?
        }
        None => None,
    };
    let royalties = match &artifact {
        Some(artifact) if artifact.is_derived() => {
            chain.account(&market::seeds::find_royalties(&artifact.hash, pricing).0).await?
        }
        _ => None,
    };
    Ok(ChainFacts {
        domain: lookup::settle_config(chain).await?.domain,
        artifact,
        royalties,
        snapshot: chain.account(&market::seeds::find_snapshot(&bundle.container.0, bundle.stage, pricing).0).await?,
        node: chain.account(&market::seeds::find_node(&Pubkey::new_from_array(receipt.worker)).0).await?,
        channel_gateway: channel.map(|channel| channel.gateway),
        batch,
        curator_active: curator.is_some_and(|party| !party.banned && party.stake > 0),
        container,
    })
}

fn text(verified: &Verified) -> String {
    let Verified { id, model, charge_nc, report } = verified;
    let mut lines = vec![format!("receipt {id} of {model}: {charge_nc} nc ({})", output::usd(*charge_nc))];
    for check in &report.checks {
        let (sign, why) = match &check.verdict {
            Verdict::Holds(why) => ('✓', why),
            Verdict::Fails(why) => ('✗', why),
            Verdict::Pending(why) => ('…', why),
        };
        lines.push(format!("  {sign} {:<18} {why}", check.name));
    }
    if !report.parts.is_empty() {
        lines.push(parts_table(report));
    }
    lines.push(match report.outcome {
        Outcome::Verified => "verified".to_owned(),
        Outcome::Pending => {
            "pending: everything that can be checked holds; try again when the epoch is settled".to_owned()
        }
        Outcome::Failed => {
            let failed = report.checks.iter().filter(|check| matches!(check.verdict, Verdict::Fails(_)));
            format!("FAILED: {}", failed.map(|check| check.name).collect::<Vec<_>>().join(", "))
        }
    });
    lines.join("\n")
}

/// The six parts and their sum.
fn parts_table(report: &Report) -> String {
    let final_aic = |aic: Option<u64>| aic.map_or_else(|| "not final".to_owned(), |aic| aic.to_string());
    let mut rows: Vec<Vec<String>> = report
        .parts
        .iter()
        .flat_map(|part| {
            let whole = vec![
                part.role.to_owned(),
                part.bps.to_string(),
                part.nc.to_string(),
                final_aic(part.aic),
                part.payee.clone().unwrap_or_default(),
            ];
            // Shares are parts of the part above them and no further amounts.
            let last = part.shares.len().saturating_sub(1);
            let shares = part.shares.iter().enumerate().map(move |(i, share)| {
                let who = if i == last { "  own vendor" } else { "  ancestor" };
                let of_vendor = format!("({})", share.bps);
                vec![who.to_owned(), of_vendor, format!("({})", share.nc), final_aic(share.aic), share.payee.clone()]
            });
            std::iter::once(whole).chain(shares)
        })
        .collect();
    let bps: u32 = report.parts.iter().map(|part| u32::from(part.bps)).sum();
    let nc: u64 = report.parts.iter().map(|part| part.nc).sum();
    let aic = report.parts.iter().map(|part| part.aic).sum::<Option<u64>>();
    rows.push(vec!["charge".to_owned(), bps.to_string(), nc.to_string(), final_aic(aic), String::new()]);
    output::table(&["part", "bps", "nc", "AIC base units", "paid to"], rows)
}
