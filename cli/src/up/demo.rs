//! The demonstration: one party for every role, two operators with a worker each, two models as containers, a funded
//! consumer and one whose credit is exhausted. Every step looks first whether it is done.

use crate::{
    context::ensure_keypair,
    genesis::{self, AIC, region},
    progress::Progress,
};
use anchor_lang::prelude::Pubkey;
use anyhow::Context as _;
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::path::{Path, PathBuf};
use waybill_chain::{
    Chain, ix,
    market::{
        self,
        instructions::{CreateContainerArgs, RegisterArtifactArgs, RegisterNodeArgs},
        state::{Artifact, Ask, Container, Node, Offer, Party, Role, SplitSnapshot, Stage, StageKind},
    },
    settlement::{
        self,
        state::{Channel, GatewayVault, GrantTerms, SettleConfig},
    },
};
use waybill_mechanism::amount::pricing_epoch;

/// Lamports for fees and rent of each demonstration wallet (10 SOL).
const LAMPORTS: u64 = 10_000_000_000;
/// What the consumer pays into its channel, AIC base units ($50 at $0.05).
const DEPOSIT: u64 = 1_000 * AIC;
/// What its gateway may settle per day, in nano-credits ($25).
const GRANT_NC: u64 = 25_000_000_000;
/// The daily grant of the exhausted consumer: less than any request costs.
const EXHAUSTED_GRANT_NC: u64 = 10;
const DAY_S: u32 = 86_400;
const YEAR_S: i64 = 365 * 86_400;
/// The market whose base price the containers' compute is bought at.
const HOME_MARKET: u32 = 1;
/// Nano-credits per 1,000 billable units that vendor, OEM and weaver each ask for chat.
const CHAT_ASK: u64 = 2_600;
/// Billable units per pricing epoch that a worker offers.
const CAPACITY: u64 = 400_000;

/// The wallets of the demonstration, kept as keypair files.
pub struct Wallets {
    pub admin: Keypair,
    pub vendor: Keypair,
    pub oem: Keypair,
    pub curator: Keypair,
    pub weaver: Keypair,
    pub gateway: Keypair,
    pub consumer: Keypair,
    pub exhausted: Keypair,
    pub operators: Vec<Keypair>,
    pub workers: Vec<Keypair>,
}

impl Wallets {
    pub fn open(folder: &Path, workers: usize) -> anyhow::Result<Self> {
        let key = |name: &str| ensure_keypair(&folder.join(format!("{name}.json")));
        let numbered =
            |name: &str| (1..=workers).map(|n| key(&format!("{name}-{n}"))).collect::<anyhow::Result<Vec<_>>>();
        Ok(Self {
            admin: key("admin")?,
            vendor: key("vendor")?,
            oem: key("oem")?,
            curator: key("curator")?,
            weaver: key("weaver")?,
            gateway: key("gateway")?,
            consumer: key("consumer")?,
            exhausted: key("exhausted")?,
            operators: numbered("operator")?,
            workers: numbered("worker")?,
        })
    }

    /// Wallets that stake, with their roles.
    fn parties(&self) -> Vec<(&Keypair, Role)> {
        let mut parties = vec![
            (&self.vendor, Role::Vendor),
            (&self.oem, Role::Oem),
            (&self.curator, Role::Curator),
            (&self.weaver, Role::Weaver),
            (&self.gateway, Role::Gateway),
        ];
        parties.extend(self.operators.iter().map(|operator| (operator, Role::Provider)));
        parties
    }
}

/// A model of the demonstration.
pub struct DemoModel {
    pub name: &'static str,
    pub kind: StageKind,
    pub licence: &'static str,
    /// SHA-256 of `model.onnx`.
    pub artifact: [u8; 32],
    pub size: u64,
    /// What a billable unit weighs against the market's base price.
    weight_bps: u16,
    ask: u64,
}

impl DemoModel {
    /// SmolLM2 for chat and MiniLM for embeddings, from the folder of downloaded models.
    pub fn all(models: &Path) -> anyhow::Result<Vec<Self>> {
        Ok(vec![
            Self::read("smollm2-135m-instruct", StageKind::Chat, models.join("smollm2"), 10_000, CHAT_ASK)?,
            Self::read("all-minilm-l6-v2", StageKind::Embed, models.join("minilm"), 1_000, CHAT_ASK / 10)?,
        ])
    }

    fn read(name: &'static str, kind: StageKind, folder: PathBuf, weight_bps: u16, ask: u64) -> anyhow::Result<Self> {
        let file = folder.join("model.onnx");
        let bytes = std::fs::read(&file)
            .with_context(|| format!("cannot read {}; `cargo xtask setup` fetches the models", file.display()))?;
        let artifact = Sha256::digest(&bytes).into();
        Ok(Self { name, kind, licence: "Apache-2.0", artifact, size: bytes.len() as u64, weight_bps, ask })
    }

    /// The container that sells it: named by what it promises.
    pub fn container(&self) -> [u8; 32] {
        Sha256::digest([b"waybill-demo-container".as_slice(), self.name.as_bytes(), &self.artifact].concat()).into()
    }
}

/// The channels that the demonstration's API keys pay from.
pub struct Channels {
    pub consumer: Pubkey,
    pub exhausted: Pubkey,
}

/// Everything on chain that a first request needs.
pub struct Demo<'a> {
    pub chain: &'a Chain,
    pub wallets: &'a Wallets,
    pub models: &'a [DemoModel],
    /// Regions of the workers, in their order.
    pub regions: &'a [&'a str],
    pub progress: &'a Progress,
}

impl Demo<'_> {
    pub async fn set_up(&self) -> anyhow::Result<Channels> {
        self.fund().await.context("funding the demonstration's wallets")?;
        for (wallet, role) in self.wallets.parties() {
            self.party(wallet, role).await.with_context(|| format!("registering the {role:?}"))?;
        }
        for model in self.models {
            self.publish(model).await.with_context(|| format!("publishing {}", model.name))?;
        }
        for (index, region) in self.regions.iter().enumerate() {
            self.node(index, region).await.with_context(|| format!("registering worker {}", index + 1))?;
        }
        for model in self.models {
            self.freeze(model).await.with_context(|| format!("freezing the split of {}", model.name))?;
        }
        self.gateway().await.context("opening the gateway's vault")?;
        Ok(Channels {
            consumer: self
                .channel(&self.wallets.consumer, GRANT_NC, DEPOSIT)
                .await
                .context("opening the consumer's channel")?,
            exhausted: self
                .channel(&self.wallets.exhausted, EXHAUSTED_GRANT_NC, AIC)
                .await
                .context("opening the exhausted channel")?,
        })
    }

    /// Lamports from the faucet, AIC from the liquidity vault.
    async fn fund(&self) -> anyhow::Result<()> {
        let wallets = self.wallets;
        for wallet in [&wallets.admin, &wallets.consumer, &wallets.exhausted]
            .into_iter()
            .chain(wallets.parties().into_iter().map(|(w, _)| w))
        {
            if self.chain.lamports(&wallet.pubkey()).await? < LAMPORTS / 2 {
                self.progress.step("lamports for fees and rent");
                self.chain.airdrop(&wallet.pubkey(), LAMPORTS).await?;
            }
        }
        let mut wanted = vec![(wallets.consumer.pubkey(), 2 * DEPOSIT), (wallets.exhausted.pubkey(), 2 * AIC)];
        for (wallet, role) in wallets.parties() {
            let staked: Option<Party> =
                self.chain.account(&market::seeds::find_party(&wallet.pubkey(), role).0).await?;
            if staked.is_none_or(|party| party.stake == 0) {
                wanted.push((wallet.pubkey(), 2 * genesis::min_stake(self.chain, role).await?));
            }
        }
        for (owner, amount) in wanted {
            let account = ix::aic_account(&owner);
            let known: Option<Vec<u8>> = self.chain.data(&account).await?;
            if known.is_none() {
                self.progress.step("AIC from the liquidity vault");
                let admin = wallets.admin.pubkey();
                let spend =
                    ix::coin::spend_vault(admin, waybill_chain::coin::state::VaultKind::Liquidity, account, amount);
                self.chain.send(&wallets.admin, &[], &[ix::create_aic_account(&admin, &owner), spend]).await?;
            }
        }
        Ok(())
    }

    /// Registers and stakes twice the minimum: a party at its minimum would drop out with the first move of the rate.
    async fn party(&self, wallet: &Keypair, role: Role) -> anyhow::Result<()> {
        let owner = wallet.pubkey();
        let party: Option<Party> = self.chain.account(&market::seeds::find_party(&owner, role).0).await?;
        let mut instructions = vec![];
        if party.is_none() {
            instructions.push(ix::market::register_party(owner, owner, role));
        }
        let minimum = genesis::min_stake(self.chain, role).await?;
        if party.is_none_or(|party| party.stake < minimum) && minimum > 0 {
            instructions.push(ix::market::add_stake(owner, role, 2 * minimum));
        }
        if !instructions.is_empty() {
            self.progress.step(&format!("party: {role:?}"));
            self.chain.send(wallet, &[], &instructions).await?;
        }
        Ok(())
    }

    /// Registers the model file, its container and the three asks.
    async fn publish(&self, model: &DemoModel) -> anyhow::Result<()> {
        let Wallets { vendor, oem, weaver, .. } = self.wallets;
        if self.chain.account::<Artifact>(&market::seeds::find_artifact(&model.artifact).0).await?.is_none() {
            self.progress.step(&format!("artifact: {}", model.name));
            let args = RegisterArtifactArgs {
                hash: model.artifact,
                size: model.size,
                name: model.name.into(),
                licence: model.licence.into(),
            };
            let register = ix::market::register_artifact(vendor.pubkey(), vendor.pubkey(), Some(oem.pubkey()), args);
            self.chain.send(vendor, &[oem], &[register]).await?;
        }
        let container = model.container();
        if self.chain.account::<Container>(&market::seeds::find_container(&container).0).await?.is_none() {
            self.progress.step(&format!("container: {}", model.name));
            let args = CreateContainerArgs {
                id: container,
                name: model.name.into(),
                beta_bps: 500,
                ceiling_nc: 0,
                uri_hash: [0; 32],
                terms_hash: [0; 32],
                stages: vec![Stage {
                    artifact: model.artifact,
                    kind: model.kind,
                    market: HOME_MARKET,
                    weight_bps: model.weight_bps,
                }],
            };
            self.chain
                .send(weaver, &[], &[ix::market::create_container(weaver.pubkey(), weaver.pubkey(), args)])
                .await?;
        }
        for (wallet, role, subject) in [
            (vendor, Role::Vendor, model.artifact),
            (oem, Role::Oem, model.artifact),
            (weaver, Role::Weaver, container),
        ] {
            if self.chain.account::<Ask>(&market::seeds::find_ask(&subject, role).0).await?.is_none() {
                self.progress.step(&format!("ask of the {role:?}: {}", model.name));
                let ask = ix::market::post_ask(wallet.pubkey(), wallet.pubkey(), role, subject, model.ask);
                self.chain.send(wallet, &[], &[ask]).await?;
            }
        }
        Ok(())
    }

    /// Delegates the worker's key and offers its capacity.
    async fn node(&self, index: usize, name: &str) -> anyhow::Result<()> {
        let (operator, worker) = (&self.wallets.operators[index], &self.wallets.workers[index]);
        let class = u16::try_from(index).unwrap_or(0);
        if self.chain.account::<Node>(&market::seeds::find_node(&worker.pubkey()).0).await?.is_none() {
            self.progress.step(&format!("worker key in {name}"));
            let args = RegisterNodeArgs {
                region: region(name)?,
                class,
                det_class: genesis::DET_CLASS,
                expires: self.chain.unix_time().await? + YEAR_S,
            };
            let register = ix::market::register_node(operator.pubkey(), operator.pubkey(), worker.pubkey(), args);
            self.chain.send(operator, &[worker], &[register]).await?;
        }
        // Worker n stands in market n: one class and region each.
        let market_id = HOME_MARKET + u32::from(class);
        let market_address = market::seeds::find_market(market_id).0;
        if self.chain.account::<Offer>(&market::seeds::find_offer(&market_address, &worker.pubkey()).0).await?.is_none()
        {
            self.progress.step(&format!("offer in {name}"));
            let offer =
                ix::market::post_offer(operator.pubkey(), operator.pubkey(), worker.pubkey(), market_id, 2, CAPACITY);
            self.chain.send(operator, &[], &[offer]).await?;
        }
        Ok(())
    }

    /// Freezes the split of the current pricing epoch; the scheduler's crank freezes the later ones.
    async fn freeze(&self, model: &DemoModel) -> anyhow::Result<()> {
        let config: SettleConfig = self
            .chain
            .expect("settlement configuration", &settlement::seeds::find_config().0, "genesis wrote it")
            .await?;
        let epoch = u32::try_from(self.chain.unix_time().await? / i64::from(config.epoch_s))
            .context("the chain's clock is before 1970")?;
        let current = pricing_epoch(epoch);
        if self
            .chain
            .account::<SplitSnapshot>(&market::seeds::find_snapshot(&model.container(), 0, current).0)
            .await?
            .is_none()
        {
            self.progress.step(&format!("split of {}", model.name));
            let gateway = &self.wallets.gateway;
            let roll = ix::market::roll_container(self.chain, gateway.pubkey(), &model.container(), 0, current).await?;
            self.chain.send(gateway, &[], &[roll]).await?;
        }
        Ok(())
    }

    async fn gateway(&self) -> anyhow::Result<()> {
        let gateway = &self.wallets.gateway;
        let vault = ix::settlement::gateway_vault(&gateway.pubkey()).0;
        if self.chain.account::<GatewayVault>(&vault).await?.is_none() {
            self.progress.step("gateway vault");
            self.chain.send(gateway, &[], &[ix::settlement::open_gateway(gateway.pubkey(), gateway.pubkey())]).await?;
        }
        Ok(())
    }

    /// The consumer's channel with this gateway: found by its two ends, or opened, granted and funded in one transaction.
    async fn channel(&self, consumer: &Keypair, limit_nc: u64, deposit: u64) -> anyhow::Result<Pubkey> {
        let gateway = self.wallets.gateway.pubkey();
        let known: Vec<(Pubkey, Channel)> = self.chain.all(&settlement::ID).await?;
        if let Some((address, _)) =
            known.iter().find(|(_, channel)| channel.consumer == consumer.pubkey() && channel.gateway == gateway)
        {
            return Ok(*address);
        }
        self.progress.step("channel");
        let now = self.chain.unix_time().await?;
        let grant =
            GrantTerms { limit_nc, period_s: DAY_S, expires: now + YEAR_S, referrer: self.wallets.curator.pubkey() };
        let slot = self.chain.health().await?;
        let (channel, open) =
            ix::settlement::open_channel(consumer.pubkey(), consumer.pubkey(), gateway, slot, Some(grant));
        let pay = ix::transfer_aic(&consumer.pubkey(), &ix::aic_account(&channel), deposit);
        self.chain.send(consumer, &[], &[open, pay, ix::settlement::sync_deposit(channel)]).await?;
        Ok(channel)
    }
}
