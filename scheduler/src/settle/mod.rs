//! From charges to earnings: closes epochs, builds and posts batches, finalises them after the challenge window, claims
//! every line and sweeps. Each step asks the chain first whether it is needed, so it can be repeated and interrupted
//! anywhere; transactions go through the outbox.

mod audits;
mod books;
mod bounties;
mod build;
mod closing;
mod cranks;
mod disputes;
mod drive;
mod promo;
mod royalties;
mod together;
mod vaults;

pub use build::{BuildError, build_batches};
pub use drive::BLOCK;
pub use together::{FINISHED, SWEPT};

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use waybill_chain::{Catalogue, ChainError, Outbox, View};
use waybill_protocol::WalletId;
use waybill_store::{Charge, Store, StoreError};

/// Money decisions are refused on a view of the chain older than this.
const STALE_AFTER: Duration = Duration::from_secs(60);
/// Receipts read at once.
const PAGE: u32 = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("the chain has not been read for {} s; settlement waits", STALE_AFTER.as_secs())]
    Stale,
}

/// How one gateway settles.
#[derive(Debug, Clone)]
pub struct SettleConfig {
    /// The gateway's key, payer and signer of the outbox.
    pub gateway: WalletId,
    /// Where the receipts and lines of a batch can be fetched; `{epoch}` and `{shard}` are filled in.
    pub data_uri: String,
    /// How long after its end an epoch stays open for receipts that are on their way.
    pub close_after: Duration,
    /// Pause between two looks.
    pub interval: Duration,
}

/// The settlement of one gateway.
pub struct Settler {
    config: SettleConfig,
    catalogue: Arc<Catalogue>,
    store: Store,
    outbox: Arc<Outbox>,
    promoted: Mutex<promo::Progress>,
    /// What was charged in the pricing epoch before the one named, units by market.
    demand: Mutex<Option<(u32, BTreeMap<u32, u64>)>>,
    /// The settlement epoch in which spent accounts were last looked for.
    closed_in: Mutex<u32>,
}

impl Settler {
    pub fn new(config: SettleConfig, catalogue: Arc<Catalogue>, store: Store, outbox: Arc<Outbox>) -> Self {
        Self {
            config,
            catalogue,
            store,
            outbox,
            promoted: Mutex::default(),
            demand: Mutex::default(),
            closed_in: Mutex::default(),
        }
    }

    /// Runs until `shutdown`. An error is logged and the next look tries again: nothing is half done, because every step
    /// starts from what the database and the chain say.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(self.config.interval);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            match shutdown.run_until_cancelled(self.step()).await {
                Some(Err(error)) => tracing::warn!(%error, "settlement waits"),
                Some(Ok(())) => {}
                None => return,
            }
        }
    }

    /// One look: everything that can move, moves by one step.
    pub async fn step(&self) -> Result<(), SettleError> {
        let view = self.catalogue.fresh(STALE_AFTER).ok_or(SettleError::Stale)?;
        self.crank(&view).await?;
        self.crank_books(&view).await?;
        self.crank_disputes(&view).await?;
        self.close_and_build(&view).await?;
        self.drive_batches(&view).await?;
        self.crank_promotion(&view).await?;
        self.close_spent(&view).await
    }

    /// The first epoch for which receipts may still be on their way.
    fn complete_until(&self, view: &View) -> u32 {
        let close_after = i64::try_from(self.config.close_after.as_secs()).unwrap_or(i64::MAX);
        view.epoch_at((view.now_ms() / 1_000).saturating_sub(close_after))
    }

    /// Closes epochs that ended long enough ago and stores their batches.
    async fn close_and_build(&self, view: &View) -> Result<(), SettleError> {
        let now_ms = now_ms(view);
        let open_from = self.complete_until(view);
        for epoch in self.store.open_epochs(Some(self.config.gateway), open_from).await? {
            self.store.close_epoch(epoch.gateway, epoch.epoch, now_ms).await?;
            let receipts = self.receipts(epoch.epoch).await?;
            let batches = build_batches(epoch.gateway, epoch.epoch, &receipts, &self.config.data_uri, now_ms)?;
            // Shard 0 last: its presence says that the epoch is complete.
            for batch in batches.iter().rev() {
                self.store.insert_batch(batch, None).await?;
                tracing::info!(batch = %batch.id, receipts = batch.receipts.len(), lines = batch.lines.len(), nc = batch.lines_root.sum, "batch built");
            }
        }
        Ok(())
    }

    async fn receipts(&self, epoch: u32) -> Result<Vec<Charge>, StoreError> {
        let mut all: Vec<Charge> = Vec::new();
        loop {
            let page = self.store.receipts_of_epoch(self.config.gateway, epoch, all.last(), PAGE).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}

fn now_ms(view: &View) -> u64 {
    u64::try_from(view.now_ms()).unwrap_or(0)
}
