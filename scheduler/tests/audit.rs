//! The audit loop end to end, without a chain: real workers on real sessions, receipts in a real ledger, a batch, a seed. A
//! worker that copies another answer is found out by three others; an honest one passes; two auditors at once do no harm.
#![allow(clippy::unwrap_used)]

mod support;

use async_trait::async_trait;
use futures_util::StreamExt;
use prost::Message;
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};
use support::{DOMAIN, Network, within};
use tokio_util::sync::CancellationToken;
use waybill_mechanism::message::{Order, Receipt, ctx_hash, line_key};
use waybill_protocol::{
    ArtifactId, ChannelId, ContainerId, RequestId, WalletId, WorkerId,
    audit::{AuditJob, EvidenceRecord, EvidenceRequest, Material, Mismatch, Verdict},
    frame::{Chat, Closed, EventKind, Fault, Input, InputKind, Job, Turn},
    signing,
};
use waybill_scheduler::{
    audit::{AuditConfig, Auditor, Look, PANEL, Verifier, Verifiers},
    settle::build_batches,
};
use waybill_store::{AuditState, BatchId, Charge, Ledger, LedgerConfig, MaterialKey, SealedMaterial, Store};
use waybill_worker::{
    Archive, ArchiveConfig, ChannelFunds, EngineConfig, Engines, Funding, FundingError, ModelSpec, Profile,
    ReceiptBook, Trust, Worker, WorkerConfig, WorkerDeps,
    chat::Evidence,
    receipt::{Price, Work},
};

const CONTAINER: [u8; 32] = [3; 32];
const CHANNEL: ChannelId = ChannelId([7; 32]);
const EPOCH_S: u32 = 3_600;
const NOW_MS: u64 = 1_000;

/// The models' folder is filled by `cargo xtask setup`; without it these tests say so and pass.
fn engines() -> Option<Arc<Engines>> {
    let cache = std::env::var_os("WAYBILL_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/waybill"),
        PathBuf::from,
    );
    let spec = ModelSpec::tiny(&cache.join("models"));
    if !spec.is_present() {
        eprintln!("\n*** SKIPPED: no model in {}; run `cargo xtask setup` ***\n", spec.folder.display());
        return None;
    }
    let library = cache.join("lib/libonnxruntime.so.1.31.1");
    let config = EngineConfig { library, models: vec![spec], threads: 1, max_batch: 4 };
    Some(Arc::new(Engines::load(&config).unwrap()))
}

struct Funds(WalletId);

#[async_trait]
impl Funding for Funds {
    async fn channel(&self, _: &ChannelId) -> Result<ChannelFunds, FundingError> {
        Ok(ChannelFunds { gateway: self.0, grant_active: true, room_nc: u64::MAX, last_settled_nonce: 0 })
    }
}

/// A worker on a session, and what its owner could do without it.
struct Member {
    key: Keypair,
    archive: Arc<Archive>,
    worker: Arc<Worker>,
}

impl Member {
    fn id(&self) -> WorkerId {
        WorkerId(self.key.pubkey().to_bytes())
    }
}

struct World {
    network: Network,
    engines: Arc<Engines>,
    store: Store,
    ledger: Ledger,
    key: MaterialKey,
    stop: CancellationToken,
    folder: tempfile::TempDir,
    nonce: u64,
}

impl World {
    async fn new(engines: Arc<Engines>) -> Self {
        let network = Network::start().await;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("store.db").display());
        let store = Store::open(&url).await.unwrap();
        let stop = CancellationToken::new();
        let gateway = WalletId(network.gateway.pubkey().to_bytes());
        let (ledger, _) = Ledger::start(store.clone(), LedgerConfig::new(gateway, "test"), stop.clone());
        store.ensure_channel(CHANNEL, WalletId([9; 32]), gateway).await.unwrap();
        ledger.reserve_nonces(CHANNEL, 100).await.unwrap();
        Self { network, engines, store, ledger, key: MaterialKey::new(&[5; 32]), stop, folder, nonce: 0 }
    }

    fn gateway(&self) -> WalletId {
        WalletId(self.network.gateway.pubkey().to_bytes())
    }

    /// Registers a worker of its own operator and connects it.
    async fn member(&self, name: &str) -> Member {
        let key = Keypair::new();
        let id = WorkerId(key.pubkey().to_bytes());
        self.network.register(id, "eu-west", 2);
        let archive = ArchiveConfig::new(self.folder.path().join(name));
        let deps = WorkerDeps {
            engines: self.engines.clone(),
            funding: Arc::new(Funds(self.gateway())),
            gate: Arc::default(),
            rules: None,
        };
        let profile = Profile { region: "eu-west".into(), class: 2, det_class: 1, slots: 2, allowed_gateways: None };
        let config = WorkerConfig {
            scheduler_url: format!("http://{}", self.network.running.sessions),
            key: key.insecure_clone(),
            profile: profile.clone(),
            domain: DOMAIN,
            epoch_s: EPOCH_S,
            trust: Trust::default(),
            drain: Duration::ZERO,
            archive: Some(archive.clone()),
        };
        tokio::spawn(waybill_worker::run(config, deps.clone(), self.stop.clone()));
        within(self.network.running.scheduler.until_workers(|views| views.iter().any(|view| view.worker == id))).await;
        let archive = Arc::new(Archive::open(archive).unwrap());
        let book = ReceiptBook::new(key.insecure_clone(), DOMAIN, EPOCH_S, Trust::default());
        let worker = Worker::assemble(profile, book, deps, Some(archive.clone()));
        Member { key, archive, worker }
    }

    fn job(&mut self, question: &str, private: bool) -> Job {
        self.nonce += 1;
        let turns = vec![Turn { role: "user".into(), content: question.into() }];
        let chat = Chat { turns, max_tokens: 12, temperature: Some(0.0), ..Chat::default() };
        let input = Input { kind: Some(InputKind::Chat(chat)) };
        let max_price_nc = 1_000_000;
        let ctx_hash = ctx_hash(&CONTAINER, &input.hash(), max_price_nc, &[0; 32], None);
        let order = Order { domain: DOMAIN, channel: CHANNEL.0, nonce: self.nonce, max_price_nc, ctx_hash }.to_bytes();
        Job {
            request_id: format!("req-{}", self.nonce),
            order_signature: signing::sign(&self.network.gateway, &order).to_vec().into(),
            order: order.to_vec().into(),
            gateway: self.gateway().0.to_vec().into(),
            container: CONTAINER.to_vec().into(),
            artifact: self.engines.iter().next().unwrap().artifact().0.to_vec().into(),
            referrer: vec![0; 32].into(),
            price_per_1k: 10_000,
            deadline_ms: 60_000,
            input: Some(input),
            private,
            ..Job::default()
        }
    }

    /// An honest answer, charged; its material is kept unless the call is private.
    async fn serve(&mut self, member: &Member, question: &str, private: bool) -> (Job, Closed) {
        let job = self.job(question, private);
        let events: Vec<_> = member.worker.run_job(job.clone()).map(|event| event.kind.unwrap()).collect().await;
        let Some(EventKind::Closed(closed)) = events.into_iter().last() else { panic!("no receipt") };
        if !private {
            self.keep(&job, &closed).await;
        }
        self.charge(&job, &closed).await;
        (job, closed)
    }

    /// What a gateway does with a finished call: seals input and output.
    async fn keep(&self, job: &Job, closed: &Closed) {
        let material = Material { job: Some(job.clone()), tokens: closed.tokens.clone(), values: vec![].into() };
        let receipt_hash = Sha256::digest(&closed.receipt).into();
        let sealed = self.key.seal(&receipt_hash, &material.encode_to_vec()).unwrap();
        let row = SealedMaterial { receipt_hash, expires_ms: u64::MAX >> 1, sealed };
        self.store.keep_material(&[row]).await.unwrap();
    }

    async fn charge(&self, job: &Job, closed: &Closed) {
        let order = Order::from_bytes(&job.order).unwrap();
        let charge = Charge {
            receipt_id: job.request_id.clone(),
            request_id: RequestId(job.request_id.clone()),
            channel: CHANNEL,
            nonce: order.nonce,
            model: "tiny".into(),
            container: ContainerId(CONTAINER),
            stage: 0,
            referrer: WalletId::NONE,
            api_key: None,
            receipt: closed.receipt[..].try_into().unwrap(),
            worker_sig: closed.worker_signature[..].try_into().unwrap(),
            gateway_sig: signing::sign(&self.network.gateway, &closed.receipt),
            order: order.to_bytes(),
            order_sig: job.order_signature[..].try_into().unwrap(),
            created_ms: NOW_MS,
        };
        self.ledger.charge(charge).await.unwrap();
    }

    /// A receipt for `job` signed over somebody else's answer.
    async fn copy(&mut self, member: &Member, question: &str, copied: &Closed, evidence: Evidence) {
        let job = self.job(question, false);
        let (order, original) = (Order::from_bytes(&job.order).unwrap(), Receipt::from_bytes(&copied.receipt).unwrap());
        let book = ReceiptBook::new(member.key.insecure_clone(), DOMAIN, EPOCH_S, Trust::default());
        let work = Work {
            flags: 8,
            det_class: 1,
            gateway: self.gateway().0,
            line_key: line_key(&CONTAINER, 0, &member.id().0, &[0; 32]),
            artifact: original.artifact,
            request_hash: order.hash(),
            input_hash: job.input.as_ref().unwrap().hash(),
            output_hash: original.output_hash,
            evidence_hash: original.evidence_hash,
            units_in: original.units_in,
            units_out: original.units_out,
            price: Price { per_1k: 10_000, pricing_epoch: 0, next_per_1k: None },
            max_price_nc: order.max_price_nc,
            started_ms: original.t_start_ms,
        };
        let signed = book.close(&work, original.t_end_ms).unwrap();
        member.archive.keep(&signed.receipt, &evidence).unwrap();
        let closed = Closed {
            receipt: signed.receipt.to_bytes().to_vec().into(),
            worker_signature: signed.signature.to_vec().into(),
            tokens: copied.tokens.clone(),
            ..Closed::default()
        };
        self.keep(&job, &closed).await;
        self.charge(&job, &closed).await;
    }

    /// Closes the epochs and stores their batches.
    async fn batches(&self) -> Vec<BatchId> {
        let mut ids = Vec::new();
        for epoch in self.store.open_epochs(None, u32::MAX).await.unwrap() {
            self.store.close_epoch(epoch.gateway, epoch.epoch, NOW_MS).await.unwrap();
            let receipts = self.store.receipts_of_epoch(epoch.gateway, epoch.epoch, None, 1_000).await.unwrap();
            for batch in build_batches(epoch.gateway, epoch.epoch, &receipts, "", NOW_MS).unwrap() {
                self.store.insert_batch(&batch, None).await.unwrap();
                ids.push(batch.id);
            }
        }
        ids
    }

    fn auditor(&self, verifiers: Arc<dyn Verifiers>) -> Auditor {
        let config = AuditConfig {
            gateway: self.gateway(),
            domain: DOMAIN,
            patience: Duration::from_secs(3_600),
            interval: Duration::from_secs(1),
        };
        Auditor::new(config, self.store.clone(), self.key.clone(), verifiers)
    }
}

/// Audits until nothing is left to do.
async fn audit_all(auditor: &Auditor, mut now_ms: u64) {
    loop {
        match auditor.look(now_ms).await.unwrap() {
            Look::Idle => return,
            Look::Ended(..) => {}
            Look::Waits(_, why) => {
                eprintln!("waits: {why}");
                now_ms += 1;
            }
        }
    }
}

async fn state(world: &World, receipt: &str) -> BTreeSet<AuditState> {
    world.store.audits_of_receipt(receipt).await.unwrap().iter().map(|audit| audit.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_answer_is_found_out_and_honest_work_passes() {
    let Some(engines) = engines() else { return };
    let mut world = World::new(engines).await;
    let mut members = Vec::new();
    for name in ["honest", "cheater", "third", "fourth", "fifth"] {
        members.push(world.member(name).await);
    }
    let (_, closed) = world.serve(&members[0], "Name the planets.", false).await;
    let receipt = Receipt::from_bytes(&closed.receipt).unwrap();
    let evidence = members[0].archive.find(&receipt).unwrap().unwrap();
    world.copy(&members[1], "Name the oceans.", &closed, evidence).await;

    let auditor = world.auditor(world.network.running.scheduler.clone());
    let batches = world.batches().await;
    for batch in &batches {
        auditor.draw(*batch, &[8; 32], 8, NOW_MS).await.unwrap();
        auditor.draw(*batch, &[8; 32], 8, NOW_MS).await.unwrap();
        assert_eq!(world.store.count_audits(*batch).await.unwrap(), 8, "drawing again changes nothing");
    }
    audit_all(&auditor, NOW_MS).await;

    assert_eq!(state(&world, "req-1").await, BTreeSet::from([AuditState::Passed]));
    assert_eq!(state(&world, "req-2").await, BTreeSet::from([AuditState::Failed]));
    for audit in world.store.audits(None, 100).await.unwrap() {
        let verdicts = world.store.verdicts(audit.id).await.unwrap();
        let expected = if audit.state == AuditState::Passed { 1 } else { PANEL };
        assert_eq!(verdicts.len(), expected, "one verdict that passes is enough, one that does not calls the panel");
        assert!(verdicts.iter().all(|verdict| verdict.verifier != audit.worker), "nobody audits himself");
        for stored in verdicts {
            let verdict = Verdict::read(&stored.verdict).unwrap();
            assert_eq!(verdict.passed, audit.state == AuditState::Passed);
            assert!(verdict.passed || verdict.mismatch() == Mismatch::Units || verdict.mismatch() == Mismatch::Output);
        }
    }
    world.stop.cancel();
    world.network.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_auditors_share_the_work_and_keep_one_verdict_each() {
    let Some(engines) = engines() else { return };
    let mut world = World::new(engines).await;
    let (honest, _second) = (world.member("honest").await, world.member("second").await);
    for question in ["one", "two", "three"] {
        world.serve(&honest, question, false).await;
    }
    let scheduler = world.network.running.scheduler.clone();
    let (first, second) = (world.auditor(scheduler.clone()), world.auditor(scheduler));
    for batch in world.batches().await {
        first.draw(batch, &[1; 32], 12, NOW_MS).await.unwrap();
    }
    // A verifier does one audit at a time; who meets a busy one comes back.
    let drive = async |auditor: &Auditor| {
        for round in 0..50 {
            audit_all(auditor, NOW_MS + round * 60_000).await;
        }
    };
    tokio::join!(drive(&first), drive(&second));
    let audits = world.store.audits(None, 100).await.unwrap();
    assert!(!audits.is_empty());
    for audit in audits {
        assert_eq!(audit.state, AuditState::Passed, "{}", audit.note);
        assert_eq!(world.store.verdicts(audit.id).await.unwrap().len(), 1);
    }
    world.stop.cancel();
    world.network.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_material_or_verifier_nobody_is_judged() {
    let Some(engines) = engines() else { return };
    let mut world = World::new(engines).await;
    let alone = world.member("alone").await;
    world.serve(&alone, "a private question", true).await;
    world.serve(&alone, "a public question", false).await;
    let auditor = world.auditor(world.network.running.scheduler.clone());
    for batch in world.batches().await {
        auditor.draw(batch, &[2; 32], 16, NOW_MS).await.unwrap();
    }
    audit_all(&auditor, NOW_MS).await;
    assert_eq!(
        state(&world, "req-1").await,
        BTreeSet::from([AuditState::Unanswered]),
        "a private call has no material"
    );
    assert_eq!(state(&world, "req-2").await, BTreeSet::from([AuditState::Open]), "nobody else has the model");
    audit_all(&auditor, NOW_MS + 3_600_000).await;
    assert_eq!(state(&world, "req-2").await, BTreeSet::from([AuditState::Unanswered]), "and nobody came in time");
    world.stop.cancel();
    world.network.shutdown.cancel();
}

/// Verifiers that say what they like.
struct Liars {
    keys: Vec<Keypair>,
    /// Signs with another key than its own.
    forged: bool,
    honest_from: usize,
}

#[async_trait]
impl Verifiers for Liars {
    fn with_model(&self, _: ArtifactId) -> Vec<Verifier> {
        let one = |key: &Keypair| {
            let id = key.pubkey().to_bytes();
            Verifier { worker: WorkerId(id), operator: WalletId(id) }
        };
        self.keys.iter().map(one).collect()
    }

    fn operator(&self, worker: WorkerId) -> Option<WalletId> {
        Some(WalletId(worker.0))
    }

    async fn evidence(&self, _: WorkerId, _: &EvidenceRequest) -> Option<EvidenceRecord> {
        None
    }

    async fn audit(&self, verifier: WorkerId, job: &AuditJob) -> Result<Verdict, Fault> {
        let receipt = Receipt::from_bytes(&job.receipt).unwrap();
        let place = self.keys.iter().position(|key| key.pubkey().to_bytes() == verifier.0).unwrap();
        let passed = place >= self.honest_from;
        let mut verdict = Verdict {
            verifier: verifier.0.to_vec().into(),
            receipt_hash: receipt.hash().to_vec().into(),
            passed,
            mismatch: if passed { Mismatch::None } else { Mismatch::Output }.into(),
            output_hash: vec![0; 32].into(),
            evidence_hash: vec![0; 32].into(),
            ..Verdict::default()
        };
        let key = if self.forged { Keypair::new() } else { self.keys[place].insecure_clone() };
        verdict.sign(&DOMAIN, &key);
        Ok(verdict)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_liar_cannot_fail_a_worker_and_a_forged_verdict_counts_for_nothing() {
    let Some(engines) = engines() else { return };
    let mut world = World::new(engines).await;
    let honest = world.member("honest").await;
    world.serve(&honest, "a question", false).await;
    let keys = |n| (0..n).map(|_| Keypair::new()).collect::<Vec<_>>();
    let batches = world.batches().await;

    let forgers = world.auditor(Arc::new(Liars { keys: keys(5), forged: true, honest_from: 0 }));
    forgers.draw(batches[0], &[3; 32], 8, NOW_MS).await.unwrap();
    audit_all(&forgers, NOW_MS).await;
    assert_eq!(state(&world, "req-1").await, BTreeSet::from([AuditState::Open]), "forged verdicts are none");

    // One of five lies: whatever the seed makes of the order, at most one of a panel of four does.
    let mixed = world.auditor(Arc::new(Liars { keys: keys(5), forged: false, honest_from: 1 }));
    audit_all(&mixed, NOW_MS + 600_000).await;
    assert_eq!(state(&world, "req-1").await, BTreeSet::from([AuditState::Passed]));
    world.stop.cancel();
    world.network.shutdown.cancel();
}
