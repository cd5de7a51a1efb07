//! The chain's side of audits: opens the drawn ones, and delivers the verdicts of those chairs whose nodes are workers of
//! this scheduler. The outbox's key only pays; a verdict carries its node's own signature.

use super::{Auditor, draws, now_ms};
use crate::{lock, settle::SettleError};
use anchor_lang::prelude::Pubkey;
use market::state::Node;
use settlement::{
    seeds,
    state::{Audit as ChainAudit, Batch as ChainBatch, Outcome, StagedReceipt, VerifierSet, Vote, WorkerRecord},
};
use std::{collections::HashSet, ops::Range};
use waybill_chain::{AuditIntent, Catalogue, Chain, ChainError, Intent, Outbox, audit_intent::seat_of};
use waybill_mechanism::{audit::is_spared, merkle::Tree, message::Receipt};
use waybill_protocol::{
    WorkerId,
    audit::{AuditJob, Chair, Verdict},
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
        catalogue: &Catalogue,
        outbox: &Outbox,
    ) -> Result<(), SettleError> {
        let chain = catalogue.chain();
        let gateway = Pubkey::new_from_array(batch.id.gateway.0);
        let address = seeds::find_batch(&gateway, batch.id.epoch, batch.id.shard).0;
        let open: Vec<(Pubkey, ChainAudit)> =
            chain.all_where(&settlement::ID, ChainAudit::BATCH_OFFSET, address.as_ref()).await?;
        let now = chain.unix_time().await?;
        let challenge_s = catalogue.view().map_or(0, |view| view.settle.challenge_s);
        if account.require_challengeable(now, challenge_s).is_ok() {
            let leaves = self.store.receipt_leaves(batch.id).await?;
            let tree = Tree::build(leaves.clone()).map_err(|e| ChainError::Build(e.to_string()))?;
            // Opening an audit uses the staged receipt up: draws of one receipt go one after the other.
            let mut under_way = HashSet::new();
            for drawn in draws(&account.seed, account.draws, &leaves) {
                let is_open = open.iter().any(|(_, audit)| audit.draw == drawn.draw);
                if is_open || under_way.contains(&drawn.leaf) {
                    continue;
                }
                let Some(charge) = self.store.receipt_at(batch.id, drawn.leaf).await? else { continue };
                let proof = tree.proof(drawn.leaf as usize).map_err(|e| ChainError::Build(e.to_string()))?;
                let proof = proof.iter().map(|node| node.to_bytes()).collect();
                let used = open.iter().filter(|(_, audit)| audit.receipt == drawn.leaf).count();
                let step = Step { address, draw: drawn.draw, leaf: drawn.leaf, used, proof };
                if self.open(step, account, &charge, chain, outbox).await? {
                    under_way.insert(drawn.leaf);
                }
            }
        }
        for (address, audit) in open {
            let owing = owing(&audit, now);
            lock(&self.delivered).retain(|(of, chair), _| *of != address.to_bytes() || owing.contains(chair));
            for chair in owing {
                self.judge(batch, &address, &audit, chair, chain, outbox).await?;
            }
        }
        Ok(())
    }

    /// Stages the drawn receipt, and opens its audit once it is staged. False where nothing is to be done: the worker's record
    /// spares it, or nobody could judge it.
    async fn open(
        &self,
        step: Step,
        account: &ChainBatch,
        charge: &Charge,
        chain: &Chain,
        outbox: &Outbox,
    ) -> Result<bool, SettleError> {
        let receipt = charge.receipt()?;
        let worker = Pubkey::new_from_array(receipt.worker);
        let record: Option<WorkerRecord> = chain.account(&seeds::find_record(&worker).0).await?;
        if is_spared(&account.seed, step.draw, record.map_or(0, |record| record.passes)) {
            return Ok(false);
        }
        let Some(node) = chain.account::<Node>(&market::seeds::find_node(&worker).0).await? else { return Ok(false) };
        let Some(set) = chain.data(&seeds::find_verifier_set(receipt.det_class).0).await? else { return Ok(false) };
        let parties = [node.operator, worker, account.gateway];
        if VerifierSet::draw_panel(&set, &account.seed, step.draw, account.posted_at, &parties).is_err() {
            return Ok(false);
        }
        let receipt_hash = receipt.hash();
        let staged: Option<StagedReceipt> = chain.account(&seeds::find_staged(&receipt_hash).0).await?;
        let Step { address, draw, leaf, used, proof } = step;
        let (what, intent) = match staged {
            None => {
                let (receipt, worker_signature) = (charge.receipt.to_vec(), charge.worker_sig.to_vec());
                (format!("{leaf}/stage/{used}"), AuditIntent::Stage { receipt, worker_signature })
            }
            Some(_) => {
                let batch = address.to_bytes();
                (format!("{draw}/open"), AuditIntent::Open { batch, draw, receipt: leaf, receipt_hash, proof })
            }
        };
        outbox.request(&format!("audit/{address}/{what}"), &Intent::Audit(intent), now_ms()).await?;
        Ok(true)
    }

    /// Has the chair's own node re-execute the receipt, and delivers what it signed. Only this gateway has the material, so a
    /// node without a session here cannot answer: a verifier keeps one with every gateway that it may be drawn to judge.
    async fn judge(
        &self,
        batch: &Batch,
        address: &Pubkey,
        audit: &ChainAudit,
        chair: u8,
        chain: &Chain,
        outbox: &Outbox,
    ) -> Result<(), SettleError> {
        let place = (address.to_bytes(), chair);
        // A re-execution is dear: what was signed is delivered again until the chain has it.
        let known = lock(&self.delivered).get(&place).cloned();
        let verdict = match known {
            Some(verdict) => verdict,
            None => {
                let node = WorkerId(seat_of(chain, audit, chair).await?.node.to_bytes());
                let Some(verdict) = self.verdict_of(batch, audit, node, place).await? else { return Ok(()) };
                lock(&self.delivered).insert(place, verdict.clone());
                verdict
            }
        };
        outbox.request(&format!("audit/{address}/verdict/{chair}"), &verdict, now_ms()).await?;
        Ok(())
    }

    /// What `node` signed for its chair; `None` while it does not.
    async fn verdict_of(
        &self,
        batch: &Batch,
        audit: &ChainAudit,
        node: WorkerId,
        (address, chair): ([u8; 32], u8),
    ) -> Result<Option<Intent>, SettleError> {
        if self.verifiers.operator(node).is_none() {
            return Ok(None);
        }
        let Some(charge) = self.store.receipt_at(batch.id, audit.receipt).await? else { return Ok(None) };
        let receipt = charge.receipt()?;
        let Some(material) = self.material(&receipt).await? else { return Ok(None) };
        let Some(job) = self.job(&charge, &receipt, material).await else { return Ok(None) };
        let job = AuditJob { chair: Some(Chair { audit: address.to_vec().into(), number: chair.into() }), ..job };
        let verdict = match self.verifiers.audit(node, &job).await {
            Ok(verdict) => verdict,
            Err(fault) => {
                tracing::info!(%node, audit = %Pubkey::from(address), %fault, "no verdict yet");
                return Ok(None);
            }
        };
        let delivery = delivery(&verdict, node, &receipt, &self.config.domain, &address, chair);
        if delivery.is_none() {
            tracing::warn!(%node, audit = %Pubkey::from(address), "a verdict is not its verifier's own for this chair");
        }
        Ok(delivery)
    }
}

/// The delivery of what `node` signed about `receipt` for its chair; `None` for what the chain would refuse, so that nobody
/// pays for it.
fn delivery(
    verdict: &Verdict,
    node: WorkerId,
    receipt: &Receipt,
    domain: &[u8; 8],
    audit: &[u8; 32],
    chair: u8,
) -> Option<Intent> {
    let message = verdict.for_chair(domain, audit, chair).filter(|_| verdict.is_by(&node.0, receipt, domain))?;
    Some(Intent::Audit(AuditIntent::Verdict {
        det_class: receipt.det_class,
        node: node.0,
        verdict: message.to_bytes().to_vec(),
        signature: verdict.chain_signature.to_vec(),
    }))
}

/// A draw that has to be opened.
struct Step {
    /// Of the batch.
    address: Pubkey,
    draw: u32,
    leaf: u32,
    /// Audits of this receipt that are open already.
    used: usize,
    proof: Vec<[u8; 40]>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use settlement::{constants::CHAIRS, state::Bond};
    use solana_keypair::Keypair;
    use solana_signer::Signer;
    use waybill_mechanism::message;
    use waybill_protocol::signing;

    const DOMAIN: [u8; 8] = *b"testtest";

    fn receipt() -> Receipt {
        Receipt {
            flags: 0,
            det_class: 7,
            domain: DOMAIN,
            epoch: 1,
            seq: 0,
            gateway: [1; 32],
            worker: [2; 32],
            line_key: [3; 32],
            artifact: [4; 32],
            request_hash: [5; 32],
            input_hash: [6; 32],
            output_hash: [7; 32],
            evidence_hash: [8; 32],
            units_in: 1,
            units_out: 1,
            price_nc: 1,
            cum_nc: 1,
            t_start_ms: 1,
            t_end_ms: 2,
        }
    }

    fn verdict(key: &Keypair) -> Verdict {
        let mut verdict = Verdict {
            verifier: key.pubkey().to_bytes().to_vec().into(),
            receipt_hash: receipt().hash().to_vec().into(),
            output_hash: vec![9; 32].into(),
            evidence_hash: vec![9; 32].into(),
            ..Verdict::default()
        };
        verdict.sign(&DOMAIN, key);
        verdict.sign_chair(&DOMAIN, &Chair { audit: vec![6; 32].into(), number: 3 }, key);
        verdict
    }

    #[test]
    fn only_what_its_node_signed_for_this_chair_of_this_audit_is_paid_for() {
        let key = Keypair::new();
        let (node, verdict) = (WorkerId(key.pubkey().to_bytes()), verdict(&key));
        let taken = delivery(&verdict, node, &receipt(), &DOMAIN, &[6; 32], 3);
        let Some(Intent::Audit(AuditIntent::Verdict { det_class: 7, node: by, verdict: bytes, signature })) = taken
        else {
            panic!("{taken:?}")
        };
        assert_eq!((by, bytes.len(), bytes.len()), (node.0, message::Verdict::LEN, 144));
        assert!(signing::verify(&by, &bytes, &signature), "as the chain will check it");

        let other = WorkerId([9; 32]);
        assert_eq!(delivery(&verdict, other, &receipt(), &DOMAIN, &[6; 32], 3), None, "another node's chair");
        assert_eq!(delivery(&verdict, node, &receipt(), &DOMAIN, &[6; 32], 2), None, "another chair");
        assert_eq!(delivery(&verdict, node, &receipt(), &DOMAIN, &[5; 32], 3), None, "another audit");
        assert_eq!(delivery(&verdict, node, &receipt(), b"elsewher", &[6; 32], 3), None, "another network");
        let later = Receipt { seq: 1, ..receipt() };
        assert_eq!(delivery(&verdict, node, &later, &DOMAIN, &[6; 32], 3), None, "another receipt");
        let tampered: [fn(&mut Verdict); 4] = [
            |verdict| verdict.passed = true,
            |verdict| verdict.output_hash = vec![1; 32].into(),
            |verdict| verdict.signature = vec![0; 64].into(),
            |verdict| verdict.chain_signature = vec![0; 64].into(),
        ];
        for tamper in tampered {
            let mut verdict = verdict.clone();
            tamper(&mut verdict);
            assert_eq!(delivery(&verdict, node, &receipt(), &DOMAIN, &[6; 32], 3), None, "tampered with");
        }
    }

    fn audit(n_chairs: u8) -> ChainAudit {
        let key = Pubkey::new_from_array([1; 32]);
        ChainAudit {
            version: 1,
            bump: 1,
            enforce: true,
            round: 1,
            judged: Outcome::Open,
            settled: false,
            canary: false,
            worker_punished: false,
            line_done: false,
            paid: 0,
            punished: 0,
            n_chairs,
            seats: [0; CHAIRS],
            votes: [Vote::None; CHAIRS],
            det_class: 1,
            batch: key,
            epoch: 1,
            draw: 0,
            receipt: 0,
            receipt_hash: [2; 32],
            worker: key,
            operator: key,
            output_hash: [0; 32],
            evidence_hash: [0; 32],
            price_nc: 1,
            fee_aic: 1,
            seed_slot: 1,
            seats_until: i64::MAX,
            opened_at: 0,
            deadline: 100,
            bonds: [Bond::NONE; 2],
            seq: 0,
            rent_payer: key,
            _reserved: [0; 32],
        }
    }

    #[test]
    fn the_chairs_that_are_asked_are_those_from_which_the_chain_takes_a_verdict() {
        let mut audit = audit(6);
        assert_eq!(owing(&audit, 0), [0]);
        assert_eq!(owing(&audit, 100), [0; 0], "its time is over");
        audit.submit(0, false, 10, 100).unwrap();
        assert_eq!(owing(&audit, 10), [1, 2, 3]);
        audit.submit(2, false, 10, 100).unwrap();
        assert_eq!(owing(&audit, 10), [1, 3]);
        audit.submit(3, false, 10, 100).unwrap();
        assert_eq!(owing(&audit, 10), [0; 0], "two of three decide");
        audit.appeal(Pubkey::new_from_array([9; 32]), 5, 20, 100).unwrap();
        assert_eq!(owing(&audit, 20), [4, 5]);
        for chair in owing(&audit, 20) {
            audit.submit(chair, true, 30, 100).unwrap();
        }
    }
}
