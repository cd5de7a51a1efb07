//! What services watch of the chain: models with their frozen prices, worker keys, the channels of one gateway, the rate
//! and the windows. Polled into one immutable view, so that readers never wait and never see half an update.

use crate::{Chain, ChainError, Placement, Promotion};
use anchor_lang::prelude::Pubkey;
use arc_swap::ArcSwapOption;
use coin::state::Rate;
use market::state::{
    Artifact, Container, ContainerState, DetClass, DetRule, MarketConfig, MarketParams, Node, Party, Role,
    SplitSnapshot, StageKind,
};
use settlement::state::{Channel, SettleConfig};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;
use waybill_mechanism::amount::pricing_epoch;

/// Bytes before `gateway` in a channel account: discriminator, version, bump, state, consumer.
const CHANNEL_GATEWAY_OFFSET: usize = 8 + 1 + 1 + 1 + 32;

/// One consistent reading of the chain.
#[derive(Debug, Clone)]
pub struct View {
    /// When it was read, on this machine's monotonic clock.
    pub read_at: Instant,
    /// Chain time minus this machine's time, seconds.
    pub clock_skew_s: i64,
    pub market: MarketParams,
    pub settle: SettleConfig,
    /// AIC base units per US dollar (1e9 nano-credits).
    pub rate: u64,
    /// By the name consumers use.
    pub models: HashMap<String, Arc<Model>>,
    /// By worker key.
    pub nodes: HashMap<Pubkey, NodeEntry>,
    /// How outputs of a determinism class are compared, by its number.
    pub classes: HashMap<u16, DetRule>,
    /// Channels of the watched gateway, by address.
    pub channels: HashMap<Pubkey, Channel>,
    /// Slot auctions and the campaigns in them.
    pub promotion: Promotion,
}

/// A container as a consumer sees it.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub container: [u8; 32],
    pub weaver: Pubkey,
    pub stages: Vec<Stage>,
}

/// A stage with its artifact and the snapshots frozen for it.
#[derive(Debug, Clone)]
pub struct Stage {
    pub kind: StageKind,
    pub artifact: [u8; 32],
    pub artifact_name: String,
    pub licence: String,
    pub size: u64,
    pub market: u32,
    /// Vendors of ancestors share in what the model earns.
    pub derived: bool,
    /// Snapshots of the last, the current and the next pricing epoch, those that are frozen.
    pub snapshots: Vec<SplitSnapshot>,
}

/// A worker key and who stands behind it.
#[derive(Debug, Clone)]
pub struct NodeEntry {
    pub node: Node,
    /// The operator may take work: its provider stake is enough, it is neither jailed nor banned.
    pub staked: bool,
}

impl Stage {
    /// The snapshot of one pricing epoch.
    pub fn snapshot(&self, pricing_epoch: u32) -> Option<&SplitSnapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.pricing_epoch == pricing_epoch)
    }
}

impl View {
    /// Chain time in Unix milliseconds, from this machine's clock and the measured skew.
    pub fn now_ms(&self) -> i64 {
        let machine = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        machine.saturating_add(self.clock_skew_s.saturating_mul(1_000))
    }

    /// The settlement epoch of a moment in Unix seconds.
    pub fn epoch_at(&self, unix_s: i64) -> u32 {
        u32::try_from(unix_s / i64::from(self.settle.epoch_s.max(1))).unwrap_or(0)
    }

    pub fn epoch(&self) -> u32 {
        self.epoch_at(self.now_ms() / 1_000)
    }

    pub fn pricing_epoch(&self) -> u32 {
        pricing_epoch(self.epoch())
    }

    /// Today's promotion slots that can be shown.
    pub fn placements(&self) -> Vec<Placement> {
        self.promotion.placements(self.pricing_epoch(), self.rate)
    }
}

/// Keeps the newest [`View`].
pub struct Catalogue {
    chain: Chain,
    gateway: Option<Pubkey>,
    view: ArcSwapOption<View>,
}

impl Catalogue {
    /// Watches the market, and the channels of `gateway` where one is named.
    pub fn new(chain: Chain, gateway: Option<Pubkey>) -> Arc<Self> {
        Arc::new(Self { chain, gateway, view: ArcSwapOption::empty() })
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The newest view; `None` until the first read succeeded.
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    /// The newest view, when it is not older than `limit`: money decisions on a stale view are refused.
    pub fn fresh(&self, limit: Duration) -> Option<Arc<View>> {
        self.view().filter(|view| view.read_at.elapsed() <= limit)
    }

    /// Reads everything once and publishes it.
    pub async fn refresh(&self) -> Result<Arc<View>, ChainError> {
        let view = Arc::new(self.read().await?);
        self.view.store(Some(view.clone()));
        Ok(view)
    }

    /// Refreshes every `interval` until `shutdown`. A failed read keeps the old view, whose age tells.
    pub async fn watch(&self, interval: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match shutdown.run_until_cancelled(self.refresh()).await {
                Some(Err(error)) => tracing::warn!(%error, "the chain could not be read; the last view stays"),
                Some(Ok(_)) => {}
                None => return,
            }
        }
    }

    async fn read(&self) -> Result<View, ChainError> {
        let read_at = Instant::now();
        let chain = &self.chain;
        const UNBORN: &str = "run `waybill genesis` on this cluster first";
        let chain_time = chain.unix_time().await?;
        let machine_time =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
        let settle: SettleConfig =
            chain.expect("settlement configuration", &settlement::seeds::find_config().0, UNBORN).await?;
        let market: MarketConfig =
            chain.expect("market configuration", &market::seeds::find_config().0, UNBORN).await?;
        let rate: Rate = chain.expect("AIC rate", &coin::seeds::find_rate().0, UNBORN).await?;
        let now_pricing = pricing_epoch(u32::try_from(chain_time / i64::from(settle.epoch_s.max(1))).unwrap_or(0));
        let channels = match &self.gateway {
            Some(gateway) => {
                chain.all_where(&settlement::ID, CHANNEL_GATEWAY_OFFSET, gateway.as_ref()).await?.into_iter().collect()
            }
            None => HashMap::new(),
        };
        Ok(View {
            read_at,
            clock_skew_s: chain_time - machine_time,
            nodes: self.read_nodes(&market.params, chain_time).await?,
            models: self.read_models(now_pricing).await?,
            classes: self.read_classes().await?,
            market: market.params,
            settle,
            rate: rate.rate,
            channels,
            promotion: Promotion::read(chain).await?,
        })
    }

    async fn read_nodes(&self, params: &MarketParams, now: i64) -> Result<HashMap<Pubkey, NodeEntry>, ChainError> {
        let nodes: Vec<(Pubkey, Node)> = self.chain.all(&market::ID).await?;
        let parties: Vec<Pubkey> =
            nodes.iter().map(|(_, node)| market::seeds::find_party(&node.operator, Role::Provider).0).collect();
        let parties: Vec<Option<Party>> = self.chain.accounts(&parties).await?;
        let entries = nodes.into_iter().zip(parties).map(|((_, node), party)| {
            let staked = party.is_some_and(|party| party.require_working(params, now).is_ok());
            (node.worker, NodeEntry { node, staked })
        });
        Ok(entries.collect())
    }

    async fn read_classes(&self) -> Result<HashMap<u16, DetRule>, ChainError> {
        let classes: Vec<(Pubkey, DetClass)> = self.chain.all(&market::ID).await?;
        Ok(classes.into_iter().map(|(_, class)| (class.id, class.rule())).collect())
    }

    async fn read_models(&self, now_pricing: u32) -> Result<HashMap<String, Arc<Model>>, ChainError> {
        let containers: Vec<(Pubkey, Container)> = self.chain.all(&market::ID).await?;
        let artifacts: Vec<(Pubkey, Artifact)> = self.chain.all(&market::ID).await?;
        let artifacts: HashMap<[u8; 32], Artifact> =
            artifacts.into_iter().map(|(_, artifact)| (artifact.hash, artifact)).collect();
        let active: Vec<Container> =
            containers.into_iter().map(|(_, c)| c).filter(|c| c.state == ContainerState::Active).collect();
        let watched = [now_pricing.saturating_sub(1), now_pricing, now_pricing.saturating_add(1)];
        let wanted: Vec<Pubkey> = active
            .iter()
            .flat_map(|c| {
                (0..c.stages.len()).flat_map(|stage| watched.map(|epoch| snapshot_address(&c.id, stage, epoch)))
            })
            .collect();
        let mut snapshots = self.chain.accounts::<SplitSnapshot>(&wanted).await?.into_iter();
        let mut models = HashMap::new();
        for container in active {
            let stages = container
                .stages
                .iter()
                .map(|stage| {
                    let artifact = artifacts.get(&stage.artifact);
                    Stage {
                        kind: stage.kind,
                        artifact: stage.artifact,
                        artifact_name: artifact.map(|a| a.name.clone()).unwrap_or_default(),
                        licence: artifact.map(|a| a.licence.clone()).unwrap_or_default(),
                        size: artifact.map_or(0, |a| a.size),
                        market: stage.market,
                        derived: artifact.is_some_and(Artifact::is_derived),
                        snapshots: snapshots.by_ref().take(watched.len()).flatten().collect(),
                    }
                })
                .collect();
            let model =
                Model { name: container.name.clone(), container: container.id, weaver: container.creator, stages };
            models.insert(container.name, Arc::new(model));
        }
        Ok(models)
    }
}

fn snapshot_address(container: &[u8; 32], stage: usize, pricing_epoch: u32) -> Pubkey {
    // A container has at most 8 stages.
    market::seeds::find_snapshot(container, u8::try_from(stage).unwrap_or(u8::MAX), pricing_epoch).0
}
