//! The birth of a network: coin, market and settlement configured once, in order, by one admin. Every step first looks
//! whether it is done, so an interrupted genesis is continued by running it again.

use crate::progress::Progress;
use anyhow::Context as _;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::path::Path;
use waybill_chain::{
    Chain,
    coin::{
        self,
        authority::Authorities,
        state::{CoinConfig, Rate, VaultKind},
    },
    ix,
    market::{
        self,
        instructions::CreateMarketArgs,
        state::{DetClass, DetKind, DetRule, Market, MarketConfig, MarketParams, Region, Role},
    },
    settlement::{
        self,
        instructions::InitConfigArgs,
        state::{AuditParams, DisputeParams, FeeSplit, SettleConfig},
    },
};
use waybill_protocol::audit::Rule;

/// AIC base units in one AIC.
pub const AIC: u64 = 1_000_000_000;

/// The determinism class of the network's first workers.
pub const DET_CLASS: u16 = 1;

/// Everything that is decided at genesis. Times in seconds, stakes in AIC, prices in nano-credits per 1,000 billable
/// units, shares in basis points.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisPlan {
    /// Enters the domain of every signed message, so that nothing signed here counts elsewhere.
    pub cluster_name: String,
    pub epoch_s: u32,
    pub challenge_s: u32,
    pub post_window_s: u32,
    pub grace_s: u32,
    pub claim_window_s: u32,
    pub unbonding_s: u32,
    /// AIC base units per US dollar.
    pub rate: u64,
    pub rate_epoch_s: u32,
    pub fee_bps: u16,
    pub kappa_vendor_bps: u16,
    pub kappa_oem_bps: u16,
    pub kappa_weaver_bps: u16,
    pub beta_max_bps: u16,
    pub min_stake_aic: MinStake,
    /// Wallet that the team's vested AIC goes to, for good; the admin's when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default)]
    pub dispute: DisputePlan,
    #[serde(default)]
    pub audit: AuditPlan,
    #[serde(default = "DetClassPlan::first")]
    pub det_class: Vec<DetClassPlan>,
    pub market: Vec<MarketPlan>,
}

/// Terms of disputes; 0 stands for the program's default.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisputePlan {
    /// What a challenger deposits, in nano-credits.
    pub bond_nc: u64,
    pub response_s: u32,
}

/// Terms of audits; 0 seconds stand for the program's default.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPlan {
    /// Verdicts slash; otherwise they are recorded only.
    pub enforce: bool,
    /// Receipts drawn per batch; 0 = none.
    pub draws: u16,
    pub verdict_s: u32,
    pub retention_s: u32,
}

/// A kind of machine, and how its outputs are compared. Limits in parts per million; 0 is not checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetClassPlan {
    pub id: u16,
    /// Runtime and version, execution provider, optimisation level, instruction set, quantisation, batch; the chain keeps
    /// its SHA-256.
    pub machine: String,
    pub kind: DetKindPlan,
    /// Tolerance: largest difference, of the largest value. Text: largest mean difference of the logits, likewise.
    pub tol_ppm: u32,
    /// Text: largest margin of one token, of one logit.
    pub margin_ppm: u32,
    /// Text: largest mean margin, of one logit.
    pub mean_margin_ppm: u32,
}

/// How outputs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum DetKindPlan {
    /// Bit by bit
    Exact,
    /// Within a tolerance of the largest value
    Tolerance,
    /// By the margins of tokens; embeddings within 1e-4
    Text,
}

impl From<DetKindPlan> for DetKind {
    fn from(kind: DetKindPlan) -> Self {
        match kind {
            DetKindPlan::Exact => Self::Exact,
            DetKindPlan::Tolerance => Self::Tol,
            DetKindPlan::Text => Self::Text,
        }
    }
}

impl DetClassPlan {
    /// One build of the runtime on the CPU, 4-bit chat and 8-bit embeddings: limits that the same build keeps on any
    /// instruction set.
    fn first() -> Vec<Self> {
        let machine =
            "onnxruntime 1.31.1, cpu, all optimisations, any instruction set, 4-bit and 8-bit weights, batch 1";
        let rule = Rule::quantised_text();
        vec![Self {
            id: DET_CLASS,
            machine: machine.into(),
            kind: DetKindPlan::Text,
            tol_ppm: rule.mean_tol_ppm,
            margin_ppm: rule.margin_micro,
            mean_margin_ppm: rule.mean_margin_micro,
        }]
    }

    /// What the chain keeps of the machine's description.
    pub fn machine_hash(machine: &str) -> [u8; 32] {
        Sha256::digest(machine).into()
    }

    fn rule(&self) -> DetRule {
        DetRule {
            kind: self.kind.into(),
            tol_ppm: self.tol_ppm,
            tau_ppm: self.margin_ppm,
            mu_ppm: self.mean_margin_ppm,
            enabled: true,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinStake {
    pub vendor: u64,
    pub oem: u64,
    pub provider: u64,
    pub curator: u64,
    pub weaver: u64,
    pub gateway: u64,
    pub verifier: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketPlan {
    pub id: u32,
    pub class: u16,
    pub region: String,
    pub base_nc: u64,
    pub floor_nc: u64,
    pub reserve_nc: u64,
    pub tick0_nc: u64,
    pub tick_ratio_bps: u16,
}

impl MarketPlan {
    fn local(id: u32, class: u16, region: &str) -> Self {
        Self {
            id,
            class,
            region: region.into(),
            base_nc: 12_154,
            floor_nc: 1_000,
            reserve_nc: 216_036,
            tick0_nc: 10_000,
            tick_ratio_bps: 500,
        }
    }
}

impl GenesisPlan {
    /// A local network: everything happens within minutes.
    pub fn local() -> Self {
        Self {
            cluster_name: "localnet".into(),
            epoch_s: 60,
            challenge_s: 15,
            post_window_s: 600,
            grace_s: 600,
            claim_window_s: 86_400,
            unbonding_s: 600,
            // $0.05 per AIC
            rate: 20 * AIC,
            rate_epoch_s: 86_400,
            fee_bps: 300,
            kappa_vendor_bps: 3_000,
            kappa_oem_bps: 2_000,
            kappa_weaver_bps: 2_000,
            beta_max_bps: 1_000,
            // $25 each, $500 a gateway, $100 a verifier
            min_stake_aic: MinStake {
                vendor: 500,
                oem: 500,
                provider: 500,
                curator: 500,
                weaver: 500,
                gateway: 10_000,
                verifier: 2_000,
            },
            team: None,
            dispute: DisputePlan { bond_nc: 0, response_s: 15 },
            audit: AuditPlan { enforce: false, draws: 0, verdict_s: 30, retention_s: 0 },
            det_class: DetClassPlan::first(),
            market: vec![MarketPlan::local(1, 0, "eu-west"), MarketPlan::local(2, 1, "us-east")],
        }
    }

    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the plan {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is no genesis plan", file.display()))
    }

    fn params(&self) -> MarketParams {
        let stake = self.min_stake_aic;
        let roles =
            [stake.vendor, stake.oem, stake.provider, stake.curator, stake.weaver, stake.gateway, stake.verifier];
        MarketParams {
            fee_bps: self.fee_bps,
            kappa_vendor_bps: self.kappa_vendor_bps,
            kappa_oem_bps: self.kappa_oem_bps,
            kappa_weaver_bps: self.kappa_weaver_bps,
            beta_max_bps: self.beta_max_bps,
            step_up_bps: 500,
            step_down_bps: 1_000,
            epoch_s: self.epoch_s,
            ask_notice_s: self.epoch_s,
            unbonding_s: self.unbonding_s,
            min_base_nc: 1_000,
            min_stake: roles.map(|aic| aic.saturating_mul(AIC)),
        }
    }
}

/// Minimum stake of a role on this network, in base units.
pub async fn min_stake(chain: &Chain, role: Role) -> anyhow::Result<u64> {
    let config: MarketConfig =
        chain.expect("market configuration", &market::seeds::find_config().0, "run `waybill genesis` first").await?;
    Ok(config.params.min_stake(role))
}

/// Brings the network into being, or finishes what an earlier run began.
pub async fn run(chain: &Chain, admin: &Keypair, plan: &GenesisPlan, progress: &Progress) -> anyhow::Result<()> {
    let key = admin.pubkey();
    let all = Authorities { admin: key, params: key, pause: key, resume: key };
    found_coin(chain, admin, all, plan, progress).await.context("founding the coin")?;

    if chain.account::<MarketConfig>(&market::seeds::find_config().0).await?.is_none() {
        progress.step("market configuration");
        let slasher = settlement::seeds::find_slasher().0;
        chain
            .send(admin, &[], &[ix::market::init_config(key, all, slasher, plan.params())])
            .await
            .context("configuring the market")?;
    }
    if chain.account::<SettleConfig>(&settlement::seeds::find_config().0).await?.is_none() {
        progress.step("settlement configuration");
        let args = InitConfigArgs {
            cluster_name: plan.cluster_name.clone(),
            challenge_s: plan.challenge_s,
            post_window_s: plan.post_window_s,
            grace_s: plan.grace_s,
            claim_window_s: plan.claim_window_s,
            fee: FeeSplit { audit_bps: 120, gateway_bps: 60, burn_bps: 60, treasury_bps: 60 },
            dispute: DisputeParams { bond_nc: plan.dispute.bond_nc, response_s: plan.dispute.response_s },
            audit: AuditParams {
                enforce: plan.audit.enforce,
                draws: plan.audit.draws,
                verdict_s: plan.audit.verdict_s,
                retention_s: plan.audit.retention_s,
            },
            authorities: all,
        };
        chain
            .send(admin, &[], &[ix::settlement::init_config(key, key, args)])
            .await
            .context("configuring settlement")?;
    }
    for class in &plan.det_class {
        if chain.account::<DetClass>(&market::seeds::find_det_class(class.id).0).await?.is_none() {
            progress.step(&format!("determinism class {}", class.id));
            let hash = DetClassPlan::machine_hash(&class.machine);
            let register = ix::books::register_det_class(key, key, class.id, hash, class.rule());
            let set = ix::audits::create_verifier_set(key, class.id);
            chain.send(admin, &[], &[register, set]).await.context("registering a determinism class")?;
        }
    }
    for market in &plan.market {
        if chain.account::<Market>(&market::seeds::find_market(market.id).0).await?.is_none() {
            progress.step(&format!("market {} ({})", market.id, market.region));
            let args = CreateMarketArgs {
                id: market.id,
                class: market.class,
                region: region(&market.region)?,
                base_nc: market.base_nc,
                floor_nc: market.floor_nc,
                reserve_nc: market.reserve_nc,
                tick0_nc: market.tick0_nc,
                tick_ratio_bps: market.tick_ratio_bps,
            };
            chain.send(admin, &[], &[ix::market::create_market(key, key, args)]).await.context("creating a market")?;
        }
    }
    Ok(())
}

async fn found_coin(
    chain: &Chain,
    admin: &Keypair,
    all: Authorities,
    plan: &GenesisPlan,
    progress: &Progress,
) -> anyhow::Result<()> {
    let key = admin.pubkey();
    let address = coin::seeds::find_config().0;
    if chain.account::<CoinConfig>(&address).await?.is_none() {
        progress.step("AIC mint");
        chain.send(admin, &[], &[ix::coin::init_coin(key, all)]).await?;
    }
    let config: CoinConfig = chain.expect("coin configuration", &address, "it was created a moment ago").await?;
    let missing: Vec<_> = VaultKind::ALL.into_iter().filter(|kind| !config.has_vault(*kind)).collect();
    if !missing.is_empty() {
        progress.step("vaults");
        let instructions: Vec<_> = missing.into_iter().map(|kind| ix::coin::open_vault(key, key, kind)).collect();
        chain.send(admin, &[], &instructions).await?;
    }
    if !config.minted {
        progress.step("supply of 1,000,000,000 AIC");
        chain.send(admin, &[], &[ix::coin::genesis_mint(key)]).await?;
    }
    if !config.revoked {
        progress.step("mint authority revoked");
        chain.send(admin, &[], &[ix::coin::revoke_mint(key)]).await?;
    }
    if config.release_start == 0 {
        progress.step("releases and vesting");
        let team = match &plan.team {
            Some(text) => text.parse().with_context(|| format!("team = {text:?} is no wallet address"))?,
            None => key,
        };
        chain.send(admin, &[], &[ix::coin::init_release(key, settlement::ID, team)]).await?;
    }
    if chain.account::<Rate>(&coin::seeds::find_rate().0).await?.is_none() {
        progress.step("rate");
        chain.send(admin, &[], &[ix::coin::init_rate(key, key, plan.rate, plan.rate_epoch_s, vec![key])]).await?;
    }
    Ok(())
}

/// A region's name as the chain keeps it: lower-case letters, digits and hyphens, padded with zeros.
pub fn region(name: &str) -> anyhow::Result<Region> {
    let mut region = Region::default();
    let valid = !name.is_empty()
        && name.len() <= region.len()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    anyhow::ensure!(valid, "{name:?} is no region: use 1 to {} of a-z, 0-9 and '-'", region.len());
    region[..name.len()].copy_from_slice(name.as_bytes());
    Ok(region)
}
