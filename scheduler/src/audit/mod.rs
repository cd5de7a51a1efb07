//! The audit loop: draws receipts of posted batches by the chain's seed, has other workers re-execute them, and keeps what
//! they say. Every step starts from the database, so it can be interrupted anywhere and run by several at once: draws are a
//! function of seed and receipts, audits are leased, and a verifier's first verdict is the one that counts.

mod chairs;
mod draw;
mod verifiers;

pub use draw::{Draw, draws};
pub use verifiers::{Verifier, Verifiers};

use crate::{lock, settle::SettleError};
use anchor_lang::{AccountDeserialize, prelude::Pubkey};
use market::state::DetRule;
use prost::Message;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use waybill_chain::{
    Catalogue, ChainError, Intent, Outbox,
    audit_rule::{class_rule, default_rule},
};
use waybill_mechanism::message::Receipt;
use waybill_protocol::{
    ArtifactId, WalletId, WorkerId,
    audit::{AuditJob, EvidenceRequest, Material, Rule, Verdict},
    frame::InputKind,
};
use waybill_store::{
    Audit, AuditState, BatchId, BatchStatus, Charge, DrawId, MaterialKey, NewAudit, Store, StoreError, StoredVerdict,
};

/// Verdicts on a receipt that the first verifier rejects: his and three more, of which most decide.
pub const PANEL: usize = 4;
/// Batches looked at in one pass, per status.
const PASS: u32 = 32;
/// Somebody who took an audit and died gives it back after this.
const LEASE_MS: u64 = 5 * 60_000;
/// An audit that found no verifier is tried again after this.
const RETRY_MS: u64 = 10_000;

/// How one gateway's receipts are audited.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    pub gateway: WalletId,
    /// First bytes of every message of this network; verdicts are signed under it.
    pub domain: [u8; 8],
    /// An audit without enough verdicts ends after this.
    pub patience: Duration,
    /// Pause between two looks at the chain.
    pub interval: Duration,
}

/// Audits one gateway's receipts.
pub struct Auditor {
    config: AuditConfig,
    store: Store,
    key: MaterialKey,
    verifiers: Arc<dyn Verifiers>,
    /// By determinism class, as the catalogue last read them.
    classes: Mutex<HashMap<u16, DetRule>>,
    /// Verdicts on their way to the chain, by audit and chair.
    delivered: Mutex<HashMap<([u8; 32], u8), Intent>>,
}

/// What one look at one audit led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// There is nothing to do now.
    Idle,
    /// It ended.
    Ended(DrawId, AuditState),
    /// It waits for verifiers.
    Waits(DrawId, String),
}

impl Auditor {
    /// `key` opens what the gateway sealed.
    pub fn new(config: AuditConfig, store: Store, key: MaterialKey, verifiers: Arc<dyn Verifiers>) -> Self {
        Self { config, store, key, verifiers, classes: Mutex::default(), delivered: Mutex::default() }
    }

    /// Draws and audits until `shutdown`. An error is logged and the next look tries again. The chain's deadlines do not wait
    /// for re-executions that it does not ask for: both sides run beside each other.
    pub async fn run(self, catalogue: Arc<Catalogue>, outbox: Arc<Outbox>, shutdown: CancellationToken) {
        let on_chain = async {
            let mut looks = self.looks();
            while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
                if let Some(Err(error)) = shutdown.run_until_cancelled(self.serve(&catalogue, &outbox)).await {
                    tracing::warn!(%error, "audits on chain wait");
                }
            }
        };
        let off_chain = async {
            let mut looks = self.looks();
            while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
                if let Some(Err(error)) = shutdown.run_until_cancelled(self.look_at_all()).await {
                    tracing::warn!(%error, "audits wait");
                }
            }
        };
        tokio::join!(on_chain, off_chain);
    }

    fn looks(&self) -> Interval {
        let mut looks = tokio::time::interval(self.config.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks
    }

    async fn serve(&self, catalogue: &Catalogue, outbox: &Outbox) -> Result<(), SettleError> {
        if let Some(view) = catalogue.view() {
            lock(&self.classes).clone_from(&view.classes);
        }
        self.draw_posted(catalogue, outbox).await
    }

    async fn look_at_all(&self) -> Result<(), StoreError> {
        while self.look(now_ms()).await? != Look::Idle {}
        Ok(())
    }

    fn rule(&self, det_class: u16, kind: &InputKind) -> Rule {
        lock(&self.classes).get(&det_class).map_or_else(|| default_rule(kind), |class| class_rule(class, kind))
    }

    /// Records the draws of every batch whose seed is known, and serves their audits on chain.
    async fn draw_posted(&self, catalogue: &Catalogue, outbox: &Outbox) -> Result<(), SettleError> {
        for status in [BatchStatus::Posted, BatchStatus::Final] {
            for batch in self.store.batches(status, PASS).await? {
                if batch.id.gateway != self.config.gateway {
                    continue;
                }
                let gateway = Pubkey::new_from_array(batch.id.gateway.0);
                let address = settlement::seeds::find_batch(&gateway, batch.id.epoch, batch.id.shard).0;
                let Some(data) = catalogue.chain().data(&address).await? else { continue };
                let account = settlement::state::Batch::try_deserialize(&mut data.as_slice())
                    .map_err(|e| ChainError::Layout { what: "batch", address, reason: e.to_string() })?;
                if account.seed_slot > 0 {
                    self.draw(batch.id, &account.seed, account.draws, now_ms()).await?;
                    self.serve_chain(&batch, &account, catalogue, outbox).await?;
                }
            }
        }
        Ok(())
    }

    /// Records which receipts of a batch are drawn. The same again changes nothing.
    pub async fn draw(&self, batch: BatchId, seed: &[u8; 32], count: u16, now_ms: u64) -> Result<(), StoreError> {
        if self.store.count_audits(batch).await? >= u64::from(count) {
            return Ok(());
        }
        let leaves = self.store.receipt_leaves(batch).await?;
        let mut audits = Vec::new();
        for Draw { draw, leaf } in draws(seed, count, &leaves) {
            let missing = || StoreError::Missing { what: format!("receipt {leaf} of batch {batch}") };
            let charge = self.store.receipt_at(batch, leaf).await?.ok_or_else(missing)?;
            let receipt = charge.receipt()?;
            audits.push(NewAudit {
                id: DrawId { batch, draw },
                seed: *seed,
                leaf,
                receipt_id: charge.receipt_id,
                worker: WorkerId(receipt.worker),
                price_nc: receipt.price_nc,
            });
        }
        self.store.insert_audits(&audits, now_ms).await?;
        tracing::info!(%batch, draws = audits.len(), "receipts are drawn for audits");
        Ok(())
    }

    /// Takes one open audit as far as it goes now.
    pub async fn look(&self, now_ms: u64) -> Result<Look, StoreError> {
        let Some(audit) = self.store.lease_audit(now_ms, now_ms.saturating_add(LEASE_MS)).await? else {
            return Ok(Look::Idle);
        };
        match self.examine(&audit, now_ms).await? {
            Outcome::Decided(state, note) => {
                self.store.end_audit(audit.id, state, &note, now_ms).await?;
                metrics::counter!("waybill_audits_total", "state" => state.as_str()).increment(1);
                tracing::info!(audit = %audit.id, worker = %audit.worker, state = state.as_str(), note, "audit ended");
                Ok(Look::Ended(audit.id, state))
            }
            Outcome::Waits(why) => {
                let patience = u64::try_from(self.config.patience.as_millis()).unwrap_or(u64::MAX);
                if now_ms >= audit.created_ms.saturating_add(patience) {
                    let state = decide(&self.known(&audit).await?).unwrap_or(AuditState::Unanswered);
                    self.store.end_audit(audit.id, state, &why, now_ms).await?;
                    return Ok(Look::Ended(audit.id, state));
                }
                self.store.defer_audit(audit.id, &why, now_ms.saturating_add(RETRY_MS), now_ms).await?;
                Ok(Look::Waits(audit.id, why))
            }
        }
    }

    /// Asks verifiers until the verdicts decide.
    async fn examine(&self, audit: &Audit, now_ms: u64) -> Result<Outcome, StoreError> {
        let Some(charge) = self.store.receipt_at(audit.id.batch, audit.leaf).await? else {
            return Ok(Outcome::Decided(AuditState::Unanswered, "the receipt is not stored".into()));
        };
        let receipt = charge.receipt()?;
        let Some(material) = self.material(&receipt).await? else {
            let note = "input and output are not kept: a private call, or older than its retention";
            return Ok(Outcome::Decided(AuditState::Unanswered, note.into()));
        };
        let Some(job) = self.job(&charge, &receipt, material).await else {
            return Ok(Outcome::Decided(AuditState::Unanswered, "the material has no input".into()));
        };
        let mut verdicts = self.known(audit).await?;
        let mut asked: HashSet<WorkerId> =
            verdicts.iter().filter_map(|v| WorkerId::try_from(&*v.verifier).ok()).collect();
        let mut why = String::from("no other operator's worker with this model is connected");
        while verdicts.len() < PANEL && needs_more(&verdicts) {
            let Some(verifier) = self.next_verifier(audit, ArtifactId(receipt.artifact), &asked) else {
                return Ok(Outcome::Waits(why));
            };
            asked.insert(verifier);
            match self.verifiers.audit(verifier, &job).await {
                Ok(verdict) if verdict.is_by(&verifier.0, &receipt, &self.config.domain) => {
                    let stored = StoredVerdict { verifier, verdict: verdict.encode_to_vec(), created_ms: now_ms };
                    self.store.keep_verdict(audit.id, &stored).await?;
                    verdicts.push(verdict);
                }
                Ok(_) => why = format!("{verifier} answered with a verdict that is not its own"),
                Err(fault) => why = format!("{verifier} gave no verdict: {fault}"),
            }
        }
        let state = decide(&verdicts).unwrap_or(AuditState::Unanswered);
        Ok(Outcome::Decided(state, summary(&verdicts)))
    }

    /// Verdicts that are kept.
    async fn known(&self, audit: &Audit) -> Result<Vec<Verdict>, StoreError> {
        let stored = self.store.verdicts(audit.id).await?;
        Ok(stored.iter().filter_map(|stored| Verdict::read(&stored.verdict)).collect())
    }

    async fn material(&self, receipt: &Receipt) -> Result<Option<Material>, StoreError> {
        let hash = receipt.hash();
        let sealed = self.store.sealed_material(&hash).await?;
        let plain = sealed.and_then(|sealed| self.key.open(&hash, &sealed));
        Ok(plain.and_then(|plain| Material::read(&plain)))
    }

    /// What a verifier gets. The audited worker is asked for its record; without one only the gateway's word remains, which
    /// never counts against a worker.
    async fn job(&self, charge: &Charge, receipt: &Receipt, material: Material) -> Option<AuditJob> {
        let kind = material.job.as_ref()?.input.as_ref()?.kind.clone()?;
        let request = EvidenceRequest { receipt: charge.receipt.to_vec().into() };
        let record = self.verifiers.evidence(WorkerId(receipt.worker), &request).await;
        Some(AuditJob {
            material: Some(material),
            receipt: charge.receipt.to_vec().into(),
            worker_signature: charge.worker_sig.to_vec().into(),
            evidence: record.map(|record| record.record).unwrap_or_default(),
            rule: Some(self.rule(receipt.det_class, &kind)),
            chair: None,
        })
    }

    /// The next verifier in an order that the seed decides: of another operator than the audited worker and than those asked.
    fn next_verifier(&self, audit: &Audit, artifact: ArtifactId, asked: &HashSet<WorkerId>) -> Option<WorkerId> {
        let all = self.verifiers.with_model(artifact);
        let audited = self.verifiers.operator(audit.worker);
        let used: HashSet<WalletId> = asked.iter().filter_map(|worker| self.verifiers.operator(*worker)).collect();
        let place = |worker: &WorkerId| -> [u8; 32] {
            Sha256::digest([b"AI-AV".as_slice(), &audit.seed, &audit.id.draw.to_le_bytes(), &worker.0].concat()).into()
        };
        all.into_iter()
            .filter(|verifier| verifier.worker != audit.worker && !asked.contains(&verifier.worker))
            .filter(|verifier| Some(verifier.operator) != audited && !used.contains(&verifier.operator))
            .map(|verifier| verifier.worker)
            .min_by_key(place)
    }
}

enum Outcome {
    Decided(AuditState, String),
    Waits(String),
}

/// One verdict that passes is enough; one that does not calls the panel.
fn needs_more(verdicts: &[Verdict]) -> bool {
    verdicts.first().is_none_or(|first| !first.passed)
}

/// What most verdicts say; in doubt for the worker. `None` without any.
fn decide(verdicts: &[Verdict]) -> Option<AuditState> {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed).count();
    let state = if failed * 2 > verdicts.len() { AuditState::Failed } else { AuditState::Passed };
    (!verdicts.is_empty()).then_some(state)
}

/// For people: how many said what.
fn summary(verdicts: &[Verdict]) -> String {
    let passed = verdicts.iter().filter(|verdict| verdict.passed).count();
    let worst = verdicts.iter().find(|verdict| !verdict.passed);
    let what = worst.map_or_else(String::new, |verdict| format!(", mismatch: {}", verdict.mismatch().as_str_name()));
    format!("{passed} of {} verdicts passed{what}", verdicts.len())
}

fn now_ms() -> u64 {
    waybill_store::ledger::system_clock()()
}
