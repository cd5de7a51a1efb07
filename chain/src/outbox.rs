//! Sends what the outbox holds: sign, store the bytes, only then send; the same bytes again until they are confirmed or
//! provably dead. A crash at any point loses nothing and lands nothing twice.

use crate::{Chain, ChainError, Intent, TransactionState};
use anchor_lang::prelude::Pubkey;
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_signer::Signer;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waybill_store::{NewOutbox, OutboxRow, OutboxStatus, Store, Transition};

/// Rows looked at in one pass of a lane.
const PASS: u32 = 64;
/// The same bytes are sent again at this pace until they are confirmed.
const REBROADCAST_MS: u64 = 2_000;
/// A refused action is tried again, as a new row, no sooner than this.
const RETRY_REFUSED_MS: u64 = 3_000;
/// How often open rows are polled.
const POLL: Duration = Duration::from_millis(250);
/// Pause when the chain or the database does not answer.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(2);

/// One fee payer's outbox: rows of a lane are sent in order.
pub struct Outbox {
    chain: Chain,
    store: Store,
    payer: Arc<Keypair>,
    lane: String,
    wake: Notify,
}

impl Outbox {
    pub fn new(chain: Chain, store: Store, payer: Arc<Keypair>, lane: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { chain, store, payer, lane: lane.into(), wake: Notify::new() })
    }

    /// The fee payer and signer of every row.
    pub fn payer(&self) -> Pubkey {
        self.payer.pubkey()
    }

    /// Records that `intent` has to happen, once per `key`. A row that was refused is followed by a new one after a
    /// pause, because the state that refused it may have changed. Returns where the newest row stands.
    pub async fn request(&self, key: &str, intent: &Intent, now_ms: u64) -> Result<OutboxStatus, ChainError> {
        let mut attempt = 0u32;
        loop {
            let idempotency_key = format!("{}/{key}#{attempt}", self.lane);
            match self.store.outbox_by_key(&idempotency_key).await? {
                None => {
                    let row = NewOutbox {
                        kind: intent.kind().to_owned(),
                        lane: self.lane.clone(),
                        idempotency_key,
                        intent: intent.encode()?,
                    };
                    self.store.enqueue(&row, now_ms).await?;
                    self.wake.notify_one();
                    return Ok(OutboxStatus::New);
                }
                Some(row)
                    if row.status == OutboxStatus::Failed
                        && now_ms >= row.updated_ms.saturating_add(RETRY_REFUSED_MS) =>
                {
                    attempt += 1
                }
                Some(row) => return Ok(row.status),
            }
        }
    }

    /// Sends and resolves until `shutdown`. The only sender of its lane.
    pub async fn run(&self, clock_ms: impl Fn() -> u64 + Send, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let pause = match self.pass(clock_ms()).await {
                Ok(()) => POLL,
                Err(error) => {
                    tracing::warn!(lane = %self.lane, %error, "the outbox waits; its entries are kept");
                    PAUSE_AFTER_ERROR
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look at every open row, oldest first. Stops at the first one that is not confirmed: the order of a lane holds.
    pub async fn pass(&self, now_ms: u64) -> Result<(), ChainError> {
        for row in self.store.outbox_open(Some(&self.lane), PASS).await? {
            let passed = match row.status {
                OutboxStatus::New | OutboxStatus::Expired => self.sign_and_send(&row, now_ms).await?,
                OutboxStatus::Signed | OutboxStatus::Sent => self.resolve(&row, now_ms).await?,
                OutboxStatus::Confirmed => self.finalize(&row, now_ms).await?,
                OutboxStatus::Finalized | OutboxStatus::Failed => true,
            };
            if !passed {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn sign_and_send(&self, row: &OutboxRow, now_ms: u64) -> Result<bool, ChainError> {
        let instructions = match Intent::decode(&row.intent)?.instructions(&self.chain, &self.payer()).await {
            Ok(instructions) => instructions,
            Err(error) => return self.give_up(row, error, now_ms).await,
        };
        let signed = match self.chain.sign(&self.payer, &[], &instructions).await {
            Ok(signed) => signed,
            Err(error) => return self.give_up(row, error, now_ms).await,
        };
        let step = Transition::Signed {
            signature: signed.signature.into(),
            signed_tx: signed.bytes.clone(),
            last_valid_block_height: signed.last_valid_block_height,
            cu_limit: u64::from(signed.compute_limit),
            cu_price: 0,
        };
        self.store.advance_outbox(row.id, row.status, &step, now_ms).await?;
        if let Err(error) = self.chain.submit(&signed.bytes).await {
            tracing::debug!(row = row.id, %error, "sending again later");
        }
        self.store.advance_outbox(row.id, OutboxStatus::Signed, &Transition::Sent, now_ms).await?;
        Ok(false)
    }

    /// A refusal closes the row; anything that may pass by itself leaves it as it is.
    async fn give_up(&self, row: &OutboxRow, error: ChainError, now_ms: u64) -> Result<bool, ChainError> {
        if error.is_transient() {
            return Err(error);
        }
        tracing::info!(row = row.id, kind = %row.kind, %error, "the chain refused an action");
        self.store.advance_outbox(row.id, row.status, &Transition::Failed { err: error.to_string() }, now_ms).await?;
        Ok(true)
    }

    async fn resolve(&self, row: &OutboxRow, now_ms: u64) -> Result<bool, ChainError> {
        let (Some(signature), Some(bytes), Some(last_valid)) =
            (row.signature, &row.signed_tx, row.last_valid_block_height)
        else {
            return Err(ChainError::Build(format!(
                "outbox row {} is {} without its bytes",
                row.id,
                row.status.as_str()
            )));
        };
        // The height is read before the status: a transaction that lands in between is seen.
        let finalized_height = self.chain.finalized_height().await?;
        match self.state(signature).await? {
            TransactionState::Confirmed { slot } => {
                self.advance(row, Transition::Confirmed { slot }, now_ms).await.map(|()| true)
            }
            TransactionState::Finalized { slot } => {
                self.advance(row, Transition::Finalized { slot }, now_ms).await.map(|()| true)
            }
            TransactionState::Failed { reason } => {
                self.advance(row, Transition::Failed { err: reason }, now_ms).await.map(|()| true)
            }
            TransactionState::Unknown if finalized_height > last_valid => {
                self.advance(row, Transition::Expired, now_ms).await.map(|()| false)
            }
            TransactionState::Unknown => {
                if row.status == OutboxStatus::Signed || now_ms >= row.updated_ms.saturating_add(REBROADCAST_MS) {
                    // An endpoint that has it already refuses it; only the status decides.
                    if let Err(error) = self.chain.submit(bytes).await {
                        tracing::debug!(row = row.id, %error, "sent again");
                    }
                }
                if row.status == OutboxStatus::Signed {
                    self.advance(row, Transition::Sent, now_ms).await?;
                }
                Ok(false)
            }
        }
    }

    async fn finalize(&self, row: &OutboxRow, now_ms: u64) -> Result<bool, ChainError> {
        let Some(signature) = row.signature else { return Ok(true) };
        match self.state(signature).await? {
            TransactionState::Finalized { slot } => {
                self.advance(row, Transition::Finalized { slot }, now_ms).await.map(|()| true)
            }
            TransactionState::Unknown => self.advance(row, Transition::RolledBack, now_ms).await.map(|()| false),
            TransactionState::Confirmed { .. } => Ok(true),
            TransactionState::Failed { reason } => {
                self.advance(row, Transition::Failed { err: reason }, now_ms).await.map(|()| true)
            }
        }
    }

    async fn state(&self, signature: [u8; 64]) -> Result<TransactionState, ChainError> {
        let states = self.chain.states(&[Signature::from(signature)]).await?;
        Ok(states.into_iter().next().unwrap_or(TransactionState::Unknown))
    }

    async fn advance(&self, row: &OutboxRow, step: Transition, now_ms: u64) -> Result<(), ChainError> {
        Ok(self.store.advance_outbox(row.id, row.status, &step, now_ms).await?)
    }
}
