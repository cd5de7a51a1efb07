//! Moves a stored batch one step towards its end, by what the chain says of it.

use super::{SettleError, Settler, now_ms};
use anchor_lang::{AccountDeserialize, prelude::Pubkey};
use settlement::state::{Batch as ChainBatch, BatchState, Earnings, GatewayVault};
use std::collections::BTreeSet;
use waybill_chain::{
    Chain, ChainError, Intent, View,
    intent::{BatchPost, line_payees},
};
use waybill_mechanism::{
    merkle::Tree,
    message::{Line, NO_REFERRER},
};
use waybill_store::{Batch, BatchStatus, StoredLine};

/// Batches looked at in one pass, per status.
const PASS: u32 = 32;

impl Settler {
    pub(super) async fn drive_batches(&self, view: &View) -> Result<(), SettleError> {
        for status in [BatchStatus::Claimed, BatchStatus::Final, BatchStatus::Posted, BatchStatus::Built] {
            for batch in self.store.batches(status, PASS).await? {
                if batch.id.gateway == self.config.gateway {
                    self.drive(&batch, view).await?;
                }
            }
        }
        Ok(())
    }

    async fn drive(&self, batch: &Batch, view: &View) -> Result<(), SettleError> {
        let on_chain = self.batch_account(batch).await?;
        let reached = match (&on_chain, batch.status) {
            (None, BatchStatus::Built) => {
                self.fund_and_post(batch, view).await?;
                return Ok(());
            }
            // Only a swept batch can be closed.
            (None, BatchStatus::Claimed) => BatchStatus::Swept,
            (None, _) => {
                tracing::error!(batch = %batch.id, status = batch.status.as_str(), "the chain does not know a posted batch");
                return Ok(());
            }
            (Some((_, account)), BatchStatus::Built) => match account.state {
                BatchState::Posted | BatchState::Final | BatchState::Swept => BatchStatus::Posted,
            },
            (Some((_, account)), BatchStatus::Posted) if account.state == BatchState::Posted => {
                let open_until = account.posted_at.saturating_add(i64::from(view.settle.challenge_s));
                if view.now_ms() / 1_000 >= open_until {
                    self.request(
                        batch,
                        view,
                        "finalize",
                        Intent::FinalizeBatch { epoch: batch.id.epoch, shard: batch.id.shard },
                    )
                    .await?;
                }
                return Ok(());
            }
            (Some(_), BatchStatus::Posted) => BatchStatus::Final,
            (Some((data, _)), BatchStatus::Final) => {
                if !self.claim_lines(batch, data, view).await? {
                    return Ok(());
                }
                BatchStatus::Claimed
            }
            (Some((_, account)), BatchStatus::Claimed) if account.state == BatchState::Final => {
                if self.ensure_earnings(&[Pubkey::new_from_array(batch.id.gateway.0)], view).await? {
                    self.request(
                        batch,
                        view,
                        "sweep",
                        Intent::SweepBatch { epoch: batch.id.epoch, shard: batch.id.shard },
                    )
                    .await?;
                }
                return Ok(());
            }
            (Some(_), BatchStatus::Claimed) => BatchStatus::Swept,
            (Some(_), BatchStatus::Swept) => return Ok(()),
        };
        self.store.advance_batch(batch.id, batch.status, reached, now_ms(view)).await?;
        tracing::info!(batch = %batch.id, status = reached.as_str(), "batch moved");
        Ok(())
    }

    /// Collects from the channels until the gateway's vault covers the batch, then posts it.
    async fn fund_and_post(&self, batch: &Batch, view: &View) -> Result<(), SettleError> {
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let vault_address = waybill_chain::ix::settlement::gateway_vault(&gateway).0;
        let vault: GatewayVault =
            self.chain().expect("gateway vault", &vault_address, "run open_gateway for this key first").await?;
        if vault.nc < batch.lines_root.sum {
            return self.collect(view).await;
        }
        let post = BatchPost {
            epoch: batch.id.epoch,
            shard: batch.id.shard,
            receipts_root: batch.receipts_root.hash,
            lines_root: batch.lines_root.hash,
            n_receipts: batch.n_receipts,
            n_lines: batch.n_lines,
            sum_nc: batch.lines_root.sum,
            data_hash: batch.data_hash,
            uri: batch.uri.clone(),
        };
        self.request(batch, view, "post", Intent::PostBatch(post)).await
    }

    /// Asks every channel for what was charged and noted but is not settled.
    async fn collect(&self, view: &View) -> Result<(), SettleError> {
        for channel in self.store.channels_of_gateway(self.config.gateway).await? {
            let Some(on_chain) = view.channels.get(&Pubkey::new_from_array(channel.channel.0)) else { continue };
            if channel.noted_cum_nc > on_chain.settled_nc {
                let intent = Intent::SettleDelegated {
                    channel: channel.channel.0,
                    claim_cum_nc: channel.noted_cum_nc,
                    nonce: channel.noted_nonce,
                };
                // What is settled belongs to the key: a claim that was cut by the limit is sent again for its remainder.
                let key = format!("settle/{}/{}/{}", channel.channel, channel.noted_cum_nc, on_chain.settled_nc);
                self.outbox.request(&key, &intent, now_ms(view)).await?;
            }
        }
        Ok(())
    }

    /// Requests every unclaimed line; true when all are claimed.
    async fn claim_lines(&self, batch: &Batch, account: &[u8], view: &View) -> Result<bool, SettleError> {
        let lines = self.store.batch_lines(batch.id).await?;
        let mut open = Vec::new();
        for stored in &lines {
            let claimed =
                ChainBatch::is_claimed(account, stored.index).map_err(|e| ChainError::Build(e.to_string()))?;
            match (claimed, stored.claimed_ms) {
                (true, None) => {
                    self.store.mark_line_claimed(batch.id, stored.index, now_ms(view)).await?;
                }
                (true, Some(_)) => {}
                (false, _) => open.push(stored),
            }
        }
        if open.is_empty() {
            return Ok(true);
        }
        let tree =
            Tree::build(lines.iter().map(|line| line.node).collect()).map_err(|e| ChainError::Build(e.to_string()))?;
        for stored in open {
            self.claim_line(batch, stored, &tree, view).await?;
        }
        Ok(false)
    }

    async fn claim_line(
        &self,
        batch: &Batch,
        stored: &StoredLine,
        tree: &Tree,
        view: &View,
    ) -> Result<(), SettleError> {
        let line = Line::from_bytes(&stored.line).map_err(|e| ChainError::Build(e.to_string()))?;
        let to = line_payees(self.chain(), &line).await?;
        let mut owners = vec![to.payees.vendor, to.provider, to.payees.weaver];
        if to.payees.oem != Pubkey::default() {
            owners.push(to.payees.oem);
        }
        if to.curator_active && line.referrer != NO_REFERRER {
            owners.push(Pubkey::new_from_array(line.referrer));
        }
        if !self.ensure_earnings(&owners, view).await? {
            return Ok(());
        }
        let proof = tree.proof(stored.index as usize).map_err(|e| ChainError::Build(e.to_string()))?;
        let intent = Intent::ClaimLine {
            epoch: batch.id.epoch,
            shard: batch.id.shard,
            line: stored.line.to_vec(),
            proof: proof.iter().map(|node| node.to_bytes()).collect(),
        };
        self.request(batch, view, &format!("claim/{}", stored.index), intent).await
    }

    /// True when every owner has an earnings account; requests those that are missing.
    async fn ensure_earnings(&self, owners: &[Pubkey], view: &View) -> Result<bool, SettleError> {
        let owners: BTreeSet<Pubkey> = owners.iter().copied().collect();
        let mint = view.settle.mint;
        let addresses: Vec<Pubkey> =
            owners.iter().map(|owner| settlement::seeds::find_earnings(owner, &mint).0).collect();
        let accounts: Vec<Option<Earnings>> = self.chain().accounts(&addresses).await?;
        let mut complete = true;
        for (owner, account) in owners.iter().zip(accounts) {
            if account.is_none() {
                complete = false;
                self.outbox
                    .request(
                        &format!("earnings/{owner}"),
                        &Intent::OpenEarnings { owner: owner.to_bytes() },
                        now_ms(view),
                    )
                    .await?;
            }
        }
        Ok(complete)
    }

    async fn request(&self, batch: &Batch, view: &View, step: &str, intent: Intent) -> Result<(), SettleError> {
        self.outbox.request(&format!("{}/{step}", batch.id), &intent, now_ms(view)).await?;
        Ok(())
    }

    async fn batch_account(&self, batch: &Batch) -> Result<Option<(Vec<u8>, ChainBatch)>, SettleError> {
        let gateway = Pubkey::new_from_array(batch.id.gateway.0);
        let address = settlement::seeds::find_batch(&gateway, batch.id.epoch, batch.id.shard).0;
        let Some(data) = self.chain().data(&address).await? else { return Ok(None) };
        let account = ChainBatch::try_deserialize(&mut data.as_slice()).map_err(|e| ChainError::Layout {
            what: "batch",
            address,
            reason: e.to_string(),
        })?;
        Ok(Some((data, account)))
    }

    pub(super) fn chain(&self) -> &Chain {
        self.catalogue.chain()
    }
}
