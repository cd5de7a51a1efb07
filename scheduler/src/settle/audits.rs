//! What follows from audits of this gateway's batches, one permissionless step at a time: draw, book, forfeit, punish, pay,
//! close. Opening audits and judging them is the audit loop's.

use super::{SettleError, Settler, now_ms};
use anchor_lang::prelude::Pubkey;
use settlement::{
    constants::AUDIT_GRACE_VERDICTS,
    state::{Audit, Batch as ChainBatch, BatchState},
};
use waybill_chain::{AuditIntent, ChainError, Intent, View, audit_intent::seat_of};
use waybill_mechanism::{audit::SEED_DELAY_SLOTS, merkle::Tree, message::Line};
use waybill_store::{Batch, BatchId, BatchStatus};

/// Batches looked at in one pass.
const PASS: u32 = 32;

impl Settler {
    /// Draws the batches whose time has come and looks at every audit of this gateway's. Safe when several do it at once:
    /// the second is refused.
    pub(super) async fn crank_audits(&self, view: &View) -> Result<(), SettleError> {
        for batch in self.store.batches(BatchStatus::Posted, PASS).await? {
            if batch.id.gateway == self.config.gateway && view.settle.audit.draws > 0 {
                self.seed_audits(&batch, view).await?;
            }
        }
        let audits: Vec<(Pubkey, Audit)> = self.chain().all(&settlement::ID).await?;
        for (address, audit) in audits {
            let Some(batch) = self.audited_batch(&audit).await? else { continue };
            // One audit that cannot go on must not hold up the others.
            if let Err(error) = self.follow(&address, &audit, &batch, view).await {
                tracing::warn!(audit = %address, %error, "an audit waits");
            }
        }
        Ok(())
    }

    async fn seed_audits(&self, batch: &Batch, view: &View) -> Result<(), SettleError> {
        let gateway = Pubkey::new_from_array(batch.id.gateway.0);
        let address = settlement::seeds::find_batch(&gateway, batch.id.epoch, batch.id.shard).0;
        let on_chain: Option<ChainBatch> = self.chain().account(&address).await?;
        let is_undrawn = |batch: &ChainBatch| batch.state == BatchState::Posted && batch.seed_slot == 0;
        let Some(on_chain) = on_chain.filter(is_undrawn) else { return Ok(()) };
        let drawn_from = on_chain.posted_slot.saturating_add(SEED_DELAY_SLOTS);
        if self.chain().health().await? > drawn_from {
            self.audit_step(&address, "seed", AuditIntent::Seed { batch: address.to_bytes() }, view).await?;
        }
        Ok(())
    }

    /// The stored batch that an audit is about; `None` for another gateway's.
    async fn audited_batch(&self, audit: &Audit) -> Result<Option<Batch>, SettleError> {
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        for shard in 0..=u16::MAX {
            let id = BatchId { gateway: self.config.gateway, epoch: audit.epoch, shard };
            let Some(batch) = self.store.batch(id).await? else { break };
            if settlement::seeds::find_batch(&gateway, audit.epoch, shard).0 == audit.batch {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Requests every step that one audit allows now.
    async fn follow(&self, address: &Pubkey, audit: &Audit, batch: &Batch, view: &View) -> Result<(), SettleError> {
        let now = view.now_ms() / 1_000;
        let key = address.to_bytes();
        if !audit.settled {
            if now >= audit.deadline {
                // A new round has a new deadline, and its own step.
                let step = format!("resolve/{}", audit.round);
                self.audit_step(address, &step, AuditIntent::Resolve { audit: key }, view).await?;
            }
            return Ok(());
        }
        let verdict_s = view.settle.audit.verdict_s();
        let old = audit.forfeit_until(verdict_s, AUDIT_GRACE_VERDICTS).is_ok_and(|until| now >= until);
        if audit.convicts() && !audit.line_done {
            match self.covering_line(batch, audit.receipt).await? {
                Some((line, proof)) => {
                    self.audit_step(address, "forfeit", AuditIntent::Forfeit { audit: key, line, proof }, view).await?;
                }
                None if old => self.audit_step(address, "waive", AuditIntent::Waive { audit: key }, view).await?,
                None => {}
            }
        }
        if audit.convicts() && !audit.worker_punished {
            self.audit_step(address, "punish", AuditIntent::PunishWorker { audit: key }, view).await?;
        }
        for chair in 0..audit.n_chairs {
            let guilty = audit.enforce && (audit.is_wrong(chair) || audit.is_absent(chair));
            if guilty && audit.punished & (1 << chair) == 0 {
                let step = format!("punish/{chair}");
                self.audit_step(address, &step, AuditIntent::PunishVerifier { audit: key, chair }, view).await?;
            }
            // Before fees have come in there is nothing to pay from.
            if audit.is_owed(chair) && audit.paid & (1 << chair) == 0 && self.pays_audits(view).await? {
                let owner = seat_of(self.chain(), audit, chair).await?.owner;
                if self.ensure_earnings(&[owner], view).await? {
                    let step = format!("pay/{chair}");
                    self.audit_step(address, &step, AuditIntent::Pay { audit: key, chair }, view).await?;
                }
            }
        }
        for (index, bond) in (0u8..).zip(&audit.bonds) {
            if bond.is_held() {
                let step = format!("bond/{index}");
                self.audit_step(address, &step, AuditIntent::SettleBond { audit: key, index }, view).await?;
            }
        }
        if (audit.is_finished() || (old && audit.owes_nobody())) && !self.is_posted(&audit.batch).await? {
            self.audit_step(address, "close", AuditIntent::Close { audit: key }, view).await?;
        }
        Ok(())
    }

    /// Whether the chain still waits for the batch's end of challenge.
    async fn is_posted(&self, batch: &Pubkey) -> Result<bool, SettleError> {
        let batch: Option<ChainBatch> = self.chain().account(batch).await?;
        Ok(batch.is_some_and(|batch| batch.state == BatchState::Posted))
    }

    /// Whether the account that pays for audits holds anything.
    async fn pays_audits(&self, view: &View) -> Result<bool, SettleError> {
        let audits = settlement::seeds::find_audits(&view.settle.mint).0;
        Ok(self.chain().token_balance(&audits).await? > 0)
    }

    /// The line of a stored batch that covers receipt `index`, with its proof; `None` when the batch is not stored here.
    async fn covering_line(&self, batch: &Batch, index: u32) -> Result<Option<(Vec<u8>, Vec<[u8; 40]>)>, SettleError> {
        let lines = self.store.batch_lines(batch.id).await?;
        let tree =
            Tree::build(lines.iter().map(|line| line.node).collect()).map_err(|e| ChainError::Build(e.to_string()))?;
        for stored in &lines {
            let line = Line::from_bytes(&stored.line).map_err(|e| ChainError::Build(e.to_string()))?;
            let covers = index.checked_sub(line.first_receipt).is_some_and(|offset| offset < line.n_receipts);
            if covers {
                let proof = tree.proof(stored.index as usize).map_err(|e| ChainError::Build(e.to_string()))?;
                return Ok(Some((stored.line.to_vec(), proof.iter().map(|node| node.to_bytes()).collect())));
            }
        }
        Ok(None)
    }

    async fn audit_step(
        &self,
        address: &Pubkey,
        step: &str,
        intent: AuditIntent,
        view: &View,
    ) -> Result<(), SettleError> {
        self.outbox.request(&format!("audit/{address}/{step}"), &Intent::Audit(intent), now_ms(view)).await?;
        Ok(())
    }
}
