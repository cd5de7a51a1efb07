//! The chain's side of audits: opens the drawn ones, and delivers the verdicts of those chairs whose nodes are workers of
//! this scheduler. The outbox's key only pays; a verdict carries its node's own signature.

use super::{Auditor, draws, now_ms};
use crate::{lock, settle::SettleError};
use anchor_lang::prelude::Pubkey;
use settlement::{
    seeds,
    state::{Audit as ChainAudit, Batch as ChainBatch, BatchState, Outcome, StagedReceipt, Vote, WorkerRecord},
};
use std::ops::Range;
use waybill_chain::{AuditIntent, Chain, ChainError, Intent, Outbox, audit_intent::seat_of};
use waybill_mechanism::{audit::is_spared, merkle::Tree, message};
use waybill_protocol::{
    WorkerId,
    audit::{AuditJob, Chair},
};
use waybill_store::{Batch, Charge};

/// Chairs that vote in a round: one verifier, three more, the rest.
fn asked(audit: &ChainAudit) -> Range<u8> {
    match audit.round {
        2 => 1..4,
        3 => 4..audit.n_chairs,
        _ => 0..1,
    }
}

/// Chairs that still owe a verdict.
fn owing(audit: &ChainAudit, now: i64) -> Vec<u8> {
    if audit.judged != Outcome::Open || now >= audit.deadline {
        return Vec::new();
    }
    let is_silent = |chair: &u8| audit.votes.get(usize::from(*chair)).is_some_and(|vote| *vote == Vote::None);
    asked(audit).filter(is_silent).collect()
}

impl Auditor {
    /// Requests what a drawn batch's audits need of this scheduler now.
    pub(super) async fn serve_chain(
        &self,
        batch: &Batch,
        account: &ChainBatch,
        chain: &Chain,
        outbox: &Outbox,
    ) -> Result<(), SettleError> {
        let gateway = Pubkey::new_from_array(batch.id.gateway.0);
        let address = seeds::find_batch(&gateway, batch.id.epoch, batch.id.shard).0;
        let open: Vec<(Pubkey, ChainAudit)> =
            chain.all_where(&settlement::ID, ChainAudit::BATCH_OFFSET, address.as_ref()).await?;
        if account.state == BatchState::Posted {
            let leaves = self.store.receipt_leaves(batch.id).await?;
            for drawn in draws(&account.seed, account.draws, &leaves) {
                let is_open = open.iter().any(|(_, audit)| audit.draw == drawn.draw);
                if is_open {
                    continue;
                }
                let Some(charge) = self.store.receipt_at(batch.id, drawn.leaf).await? else { continue };
                let tree = Tree::build(leaves.clone()).map_err(|e| ChainError::Build(e.to_string()))?;
                let proof = tree.proof(drawn.leaf as usize).map_err(|e| ChainError::Build(e.to_string()))?;
                let proof = proof.iter().map(|node| node.to_bytes()).collect();
                let step = Step { address, draw: drawn.draw, leaf: drawn.leaf, proof };
                self.open(step, &account.seed, &charge, chain, outbox).await?;
            }
        }
        for (address, audit) in open {
            for chair in owing(&audit, chain.unix_time().await?) {
                self.judge(batch, &address, &audit, chair, chain, outbox).await?;
            }
        }
        Ok(())
    }

    /// Stages the drawn receipt, and opens its audit once it is staged; nothing where the worker's record spares it.
    async fn open(
        &self,
        step: Step,
        seed: &[u8; 32],
        charge: &Charge,
        chain: &Chain,
        outbox: &Outbox,
    ) -> Result<(), SettleError> {
        let receipt = charge.receipt()?;
        let worker = Pubkey::new_from_array(receipt.worker);
        let record: Option<WorkerRecord> = chain.account(&seeds::find_record(&worker).0).await?;
        if is_spared(seed, step.draw, record.map_or(0, |record| record.passes)) {
            return Ok(());
        }
        let receipt_hash = receipt.hash();
        let staged: Option<StagedReceipt> = chain.account(&seeds::find_staged(&receipt_hash).0).await?;
        let Step { address, draw, leaf, proof } = step;
        let (what, intent) = match staged {
            None => {
                let (receipt, worker_signature) = (charge.receipt.to_vec(), charge.worker_sig.to_vec());
                ("stage", AuditIntent::Stage { receipt, worker_signature })
            }
            Some(_) => {
                let batch = address.to_bytes();
                ("open", AuditIntent::Open { batch, draw, receipt: leaf, receipt_hash, proof })
            }
        };
        outbox.request(&format!("audit/{address}/{draw}/{what}"), &Intent::Audit(intent), now_ms()).await?;
        Ok(())
    }

    /// Has the chair's own node re-execute the receipt, and delivers what it signed. A chair whose node is elsewhere is
    /// served by that node's scheduler.
    async fn judge(
        &self,
        batch: &Batch,
        address: &Pubkey,
        audit: &ChainAudit,
        chair: u8,
        chain: &Chain,
        outbox: &Outbox,
    ) -> Result<(), SettleError> {
        let seat = seat_of(chain, audit, chair).await?;
        let node = WorkerId(seat.node.to_bytes());
        if self.verifiers.operator(node).is_none() || !self.once(address, chair, false) {
            return Ok(());
        }
        let Some(charge) = self.store.receipt_at(batch.id, audit.receipt).await? else { return Ok(()) };
        let receipt = charge.receipt()?;
        let Some(material) = self.material(&receipt).await? else { return Ok(()) };
        let Some(job) = self.job(&charge, &receipt, material).await else { return Ok(()) };
        let job =
            AuditJob { chair: Some(Chair { audit: address.to_bytes().to_vec().into(), number: chair.into() }), ..job };
        let verdict = match self.verifiers.audit(node, &job).await {
            Ok(verdict) if verdict.is_by(&node.0, &receipt, &self.config.domain) => verdict,
            Ok(_) => {
                tracing::warn!(%node, audit = %address, "a verdict is not its verifier's own");
                return Ok(());
            }
            Err(fault) => {
                tracing::info!(%node, audit = %address, %fault, "no verdict yet");
                return Ok(());
            }
        };
        let Some(message) = verdict.of_chair(&self.config.domain, &address.to_bytes(), chair) else { return Ok(()) };
        let intent = AuditIntent::Verdict {
            det_class: audit.det_class,
            node: node.0,
            verdict: message::Verdict::to_bytes(&message).to_vec(),
            signature: verdict.chain_signature.to_vec(),
        };
        outbox.request(&format!("audit/{address}/verdict/{chair}"), &Intent::Audit(intent), now_ms()).await?;
        self.once(address, chair, true);
        Ok(())
    }

    /// Whether this is not done yet; `done` marks it. A re-execution is dear, and the outbox keeps the rest from happening
    /// twice.
    fn once(&self, address: &Pubkey, chair: u8, done: bool) -> bool {
        let mut delivered = lock(&self.delivered);
        let key = (address.to_bytes(), chair);
        if done {
            return delivered.insert(key);
        }
        !delivered.contains(&key)
    }
}

/// A draw that has to be opened.
struct Step {
    /// Of the batch.
    address: Pubkey,
    draw: u32,
    leaf: u32,
    proof: Vec<[u8; 40]>,
}
