//! Answers what this gateway is accused of, from the receipts it stored, and ends what is decided. Silence is guilt, so
//! every open dispute is looked at in every pass; each step asks the chain first and may be repeated.

use super::{SettleError, Settler, now_ms};
use anchor_lang::prelude::Pubkey;
use settlement::state::{Batch, Channel, Dispute, DisputeKind, GatewayVault};
use waybill_chain::{
    ChainError, Intent, View,
    disputes::{DisputeStep, foregone, is_staged},
};
use waybill_mechanism::{merkle::Tree, message::Line};
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::{BatchId, Charge, StoredLine};

/// Shards of one epoch that are searched for a line.
const MAX_SHARDS: u16 = 256;

impl Settler {
    /// Takes the next step in every dispute against this gateway.
    pub(super) async fn crank_disputes(&self, view: &View) -> Result<(), SettleError> {
        let disputes: Vec<(Pubkey, Dispute)> = self.chain().all(&settlement::ID).await?;
        for (address, dispute) in disputes.into_iter().filter(|(_, dispute)| !dispute.is_over()) {
            if !self.is_accused(&dispute).await? {
                continue;
            }
            // One dispute that cannot be answered must not keep the others from being answered.
            if let Err(error) = self.crank_dispute(&address, &dispute, view).await {
                tracing::warn!(dispute = %address, kind = ?dispute.kind, %error, "a dispute waits");
            }
        }
        Ok(())
    }

    async fn crank_dispute(&self, address: &Pubkey, dispute: &Dispute, view: &View) -> Result<(), SettleError> {
        let now_s = view.now_ms() / 1_000;
        if foregone(dispute, now_s).is_some() {
            return self.take(address, dispute, view, DisputeStep::Resolve { dispute: address.to_bytes() }).await;
        }
        let answer = match dispute.kind {
            DisputeKind::OpenLine | DisputeKind::OpenReceipt => self.shown_receipt(address, dispute).await?,
            DisputeKind::UnderpaidWorker => self.shown_line(address, dispute).await?,
            DisputeKind::Overcharge => self.shown_order(address, dispute).await?,
            // A batch that is posted after all answers it; only then is resolving accepted before the deadline.
            DisputeKind::NoBatch => {
                let batch = settlement::seeds::find_batch(&self.gateway(), dispute.line, 0).0;
                let posted = self.chain().data(&batch).await?.is_some();
                posted.then(|| DisputeStep::Resolve { dispute: address.to_bytes() })
            }
            // The challenger has to prove these.
            DisputeKind::OrderFault | DisputeKind::Equivocation | DisputeKind::PriceFault => return Ok(()),
        };
        match answer {
            Some(answer) => self.take(address, dispute, view, answer).await,
            None => {
                tracing::error!(dispute = %address, kind = ?dispute.kind, deadline = dispute.deadline, "no stored receipt answers a dispute");
                Ok(())
            }
        }
    }

    /// The receipt that D3 or D4 asks for next, or for D4 first its worker's signature.
    async fn shown_receipt(&self, address: &Pubkey, dispute: &Dispute) -> Result<Option<DisputeStep>, SettleError> {
        let id = self.batch_of(dispute).await?;
        let leaf = match (dispute.kind, dispute.step) {
            (DisputeKind::OpenLine, 0) => dispute.first,
            (DisputeKind::OpenLine, _) => dispute.last,
            _ => dispute.index,
        };
        let Some(charge) = self.store.receipt_at(id, leaf).await? else { return Ok(None) };
        let (batch, dispute_key) = (dispute.target.to_bytes(), address.to_bytes());
        if dispute.kind == DisputeKind::OpenReceipt && !is_staged(dispute, &charge.receipt()?) {
            return Ok(Some(DisputeStep::Stage {
                batch,
                dispute: dispute_key,
                receipt: charge.receipt.to_vec(),
                worker_signature: charge.worker_sig.to_vec(),
            }));
        }
        let tree = Tree::build(self.store.receipt_leaves(id).await?).map_err(|e| ChainError::Build(e.to_string()))?;
        let proof = tree.proof(leaf as usize).map_err(|e| ChainError::Build(e.to_string()))?;
        Ok(Some(DisputeStep::Respond {
            batch,
            dispute: dispute_key,
            receipt: charge.receipt.to_vec(),
            proof: proof.iter().map(|node| node.to_bytes()).collect(),
        }))
    }

    /// The next line of the disputed key, in the order of shards (D1).
    async fn shown_line(&self, address: &Pubkey, dispute: &Dispute) -> Result<Option<DisputeStep>, SettleError> {
        let first = self.batch_of(dispute).await?;
        let from = u16::try_from(dispute.first).unwrap_or(u16::MAX);
        for shard in from..MAX_SHARDS.max(from) {
            let id = BatchId { shard, ..first };
            if self.store.batch(id).await?.is_none() {
                break;
            }
            let lines = self.store.batch_lines(id).await?;
            let Some(found) = lines.iter().find(|stored| is_of(stored, &dispute.digest)) else { continue };
            let tree = Tree::build(lines.iter().map(|line| line.node).collect())
                .map_err(|e| ChainError::Build(e.to_string()))?;
            let proof = tree.proof(found.index as usize).map_err(|e| ChainError::Build(e.to_string()))?;
            return Ok(Some(DisputeStep::RespondLine {
                target: dispute.target.to_bytes(),
                batch: settlement::seeds::find_batch(&self.gateway(), id.epoch, shard).0.to_bytes(),
                dispute: address.to_bytes(),
                line: found.line.to_vec(),
                proof: proof.iter().map(|node| node.to_bytes()).collect(),
            }));
        }
        Ok(None)
    }

    /// The order of the disputed nonce with the receipt that served it (D2).
    async fn shown_order(&self, address: &Pubkey, dispute: &Dispute) -> Result<Option<DisputeStep>, SettleError> {
        let channel = ChannelId(dispute.target.to_bytes());
        let before = dispute.mark.saturating_add(1);
        let newest = self.store.receipts_of_channel(channel, Some(before), 1).await?;
        let Some(charge): Option<Charge> = newest.into_iter().find(|charge| charge.nonce == dispute.mark) else {
            return Ok(None);
        };
        Ok(Some(DisputeStep::RespondOvercharge {
            channel: channel.0,
            dispute: address.to_bytes(),
            receipt: charge.receipt.to_vec(),
            worker_signature: charge.worker_sig.to_vec(),
            order: charge.order.to_vec(),
        }))
    }

    /// Whether this gateway answers for what a dispute is about.
    async fn is_accused(&self, dispute: &Dispute) -> Result<bool, SettleError> {
        let accused = match dispute.kind {
            DisputeKind::Equivocation => Some(dispute.target),
            DisputeKind::Overcharge => {
                self.chain().account::<Channel>(&dispute.target).await?.map(|channel| channel.gateway)
            }
            DisputeKind::NoBatch => {
                self.chain().account::<GatewayVault>(&dispute.target).await?.map(|vault| vault.gateway)
            }
            _ => self.chain().account::<Batch>(&dispute.target).await?.map(|batch| batch.gateway),
        };
        Ok(accused == Some(self.gateway()))
    }

    /// The stored batch that a dispute is about.
    async fn batch_of(&self, dispute: &Dispute) -> Result<BatchId, SettleError> {
        let batch: Batch = self.chain().expect("batch", &dispute.target, "a disputed batch is not closed").await?;
        Ok(BatchId { gateway: WalletId(batch.gateway.to_bytes()), epoch: batch.epoch, shard: batch.shard })
    }

    /// Requests a step once per state of the dispute.
    async fn take(
        &self,
        address: &Pubkey,
        dispute: &Dispute,
        view: &View,
        step: DisputeStep,
    ) -> Result<(), SettleError> {
        let key = format!("dispute/{address}/{}/{}", dispute.step, what(&step));
        self.outbox.request(&key, &Intent::Dispute(step), now_ms(view)).await?;
        Ok(())
    }

    fn gateway(&self) -> Pubkey {
        Pubkey::new_from_array(self.config.gateway.0)
    }
}

fn is_of(stored: &StoredLine, line_key: &[u8; 32]) -> bool {
    Line::from_bytes(&stored.line).is_ok_and(|line| line.key() == *line_key)
}

fn what(step: &DisputeStep) -> &'static str {
    match step {
        DisputeStep::Stage { .. } => "stage",
        DisputeStep::Resolve { .. } => "resolve",
        DisputeStep::Respond { .. } | DisputeStep::RespondLine { .. } | DisputeStep::RespondOvercharge { .. } => {
            "respond"
        }
    }
}
