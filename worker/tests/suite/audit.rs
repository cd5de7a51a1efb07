//! Audits on real models: a cheating worker is caught by re-execution, an honest one is not, whatever its threads or its
//! company in a batch. The cheaters sign real receipts for real orders; only their work is not what it says.

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use std::{path::Path, sync::Arc};
use waybill_mechanism::message::{Order, line_key};
use waybill_protocol::{
    ArtifactId, SignedReceipt,
    audit::{AuditJob, Chair, EvidenceRequest, Material, Mismatch, Rule, Verdict},
    frame::{EventKind, FaultCode, Input, InputKind, Job},
};
use waybill_worker::{
    Archive, ArchiveConfig, Engines, ModelSpec, ReceiptBook, Rules, Trust, Worker, WorkerDeps,
    chat::Evidence,
    receipt::{Price, Work},
};

use crate::setup::{
    DOMAIN, EPOCH_S, FixedFunds, Gateway, PRICE_PER_1K, chat_input, config, embed_input, minilm_engines, models_folder,
    profile, smollm2_engines, tiny_engines,
};

/// A chain whose first class is compared bit by bit, and that has no other.
struct Exact;

impl Rules for Exact {
    fn rule(&self, det_class: u16, _: &InputKind) -> Option<Rule> {
        (det_class == 1).then(Rule::exact)
    }
}

/// Forgets what it is given at the end of the test.
struct Kept {
    worker: Arc<Worker>,
    _folder: tempfile::TempDir,
}

/// An honest worker that keeps its evidence.
fn honest(gateway: &Gateway, engines: Arc<Engines>) -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let archive = Arc::new(Archive::open(ArchiveConfig::new(folder.path())).unwrap());
    let book = ReceiptBook::new(Keypair::new(), DOMAIN, EPOCH_S, Trust::default());
    let funds = Arc::new(FixedFunds(gateway.funds(1_000_000_000)));
    let rules: Option<Arc<dyn Rules>> = Some(Arc::new(Exact));
    let deps = WorkerDeps { engines, funding: funds, gate: Arc::default(), rules };
    Kept { worker: Worker::assemble(profile(4), book, deps, Some(archive)), _folder: folder }
}

/// Runs the job and makes of it what an auditor would have in hand.
async fn serve(kept: &Kept, job: Job, rule: Rule) -> AuditJob {
    let events: Vec<EventKind> = kept.worker.run_job(job.clone()).map(|event| event.kind.unwrap()).collect().await;
    let values = events.iter().find_map(|event| match event {
        EventKind::Vectors(vectors) => Some(vectors.values.clone()),
        _ => None,
    });
    let Some(EventKind::Closed(closed)) = events.last() else { panic!("{events:?}") };
    let record = kept.worker.evidence(&EvidenceRequest { receipt: closed.receipt.clone() });
    AuditJob {
        material: Some(Material { job: Some(job), tokens: closed.tokens.clone(), values: values.unwrap_or_default() }),
        receipt: closed.receipt.clone(),
        worker_signature: closed.worker_signature.clone(),
        evidence: record.map(|record| record.record).unwrap_or_default(),
        rule: Some(rule),
        chair: None,
    }
}

/// What a cheater signs as the result of a job.
struct Claim {
    output: Vec<u8>,
    evidence: Vec<u8>,
    units: (u32, u32),
}

/// A worker that signs a receipt for `job` with whatever it likes, in the name of the job's model.
fn claim(job: Job, claim: Claim, rule: Rule) -> AuditJob {
    let order = Order::from_bytes(&job.order).unwrap();
    let book = ReceiptBook::new(Keypair::new(), DOMAIN, EPOCH_S, Trust::default());
    let container: [u8; 32] = job.container[..].try_into().unwrap();
    let is_chat = claim.units.1 > 0;
    let evidence_hash = Sha256::digest(if is_chat { &claim.evidence } else { &claim.output }).into();
    let work = Work {
        flags: 8,
        det_class: 1,
        gateway: job.gateway[..].try_into().unwrap(),
        line_key: line_key(&container, 0, &book.worker().0, &[0; 32]),
        artifact: job.artifact[..].try_into().unwrap(),
        request_hash: order.hash(),
        input_hash: job.input.as_ref().unwrap().hash(),
        output_hash: Sha256::digest(&claim.output).into(),
        evidence_hash,
        units_in: claim.units.0,
        units_out: claim.units.1,
        price: Price { per_1k: PRICE_PER_1K, pricing_epoch: 0, next_per_1k: None },
        max_price_nc: order.max_price_nc,
        started_ms: 1_000,
    };
    let signed = book.close(&work, 2_000).unwrap();
    let tokens = if is_chat { Evidence::from_bytes(claim.evidence.clone()).unwrap().tokens() } else { vec![] };
    let values = if is_chat { vec![] } else { claim.output };
    AuditJob {
        material: Some(Material { job: Some(job), tokens, values: values.into() }),
        receipt: signed.receipt.to_bytes().to_vec().into(),
        worker_signature: signed.signature.to_vec().into(),
        evidence: claim.evidence.into(),
        rule: Some(rule),
        chair: None,
    }
}

/// The claim that an honest result makes.
fn claim_of(kept: &Kept, served: &AuditJob, engines: &Engines) -> Claim {
    let receipt = SignedReceipt::verify_worker(&served.receipt, &served.worker_signature).unwrap();
    assert_eq!(receipt.worker, kept.worker.id().0);
    let material = served.material.as_ref().unwrap();
    let output = if material.tokens.is_empty() {
        material.values.to_vec()
    } else {
        text(engines, &material.tokens).into_bytes()
    };
    Claim { output, evidence: served.evidence.to_vec(), units: (receipt.units_in, receipt.units_out) }
}

fn text(engines: &Engines, tokens: &[u32]) -> String {
    let engine = engines.iter().next().unwrap();
    let waybill_worker::engines::Engine::Chat(engine) = engine else { panic!("no chat model") };
    engine.tell(tokens, &[]).unwrap().text
}

async fn verdict(verifier: &Kept, job: &AuditJob) -> Verdict {
    let verdict = verifier.worker.audit(job).await.unwrap();
    let receipt = SignedReceipt::verify_worker(&job.receipt, &job.worker_signature).unwrap();
    assert!(verdict.is_by(&verifier.worker.id().0, &receipt, &DOMAIN), "a verdict is signed");
    eprintln!(
        "{} {}: {}/{} agree, margin max {:.6} mean {:.6}, difference max {:.2e} mean {:.2e}",
        if verdict.passed { "passed" } else { "failed" },
        verdict.mismatch().as_str_name(),
        verdict.agreed,
        verdict.positions,
        verdict.max_margin,
        verdict.mean_margin,
        verdict.max_difference.unwrap_or(f32::NAN),
        verdict.mean_difference.unwrap_or(f32::NAN),
    );
    verdict
}

async fn mismatch(verifier: &Kept, job: &AuditJob) -> Mismatch {
    let verdict = verdict(verifier, job).await;
    assert_eq!(verdict.passed, verdict.mismatch() == Mismatch::None);
    verdict.mismatch()
}

/// Sampled, greedy, penalised, stopped: everything a request can ask of the sampler.
fn chats(content: &str, max_tokens: u32) -> Vec<Input> {
    use waybill_protocol::frame::Chat;
    let chat = |change: fn(Chat) -> Chat| {
        let Some(InputKind::Chat(chat)) = chat_input(content, max_tokens).kind else { panic!() };
        Input { kind: Some(InputKind::Chat(change(chat))) }
    };
    vec![
        chat(|chat| chat),
        chat(|chat| Chat { temperature: Some(0.9), top_p: Some(0.9), ..chat }),
        chat(|chat| Chat { temperature: None, seed: Some(7), ..chat }),
        chat(|chat| Chat { frequency_penalty: 0.7, presence_penalty: 0.3, temperature: Some(0.6), ..chat }),
        chat(|chat| Chat { stop: vec!["e".into()], ..chat }),
    ]
}

/// An honest worker and a verifier with another thread count: equal bit by bit, in every way of sampling, also when the
/// worker was serving several answers in one batch.
async fn honest_work_is_exact(engines: Arc<Engines>, spec: ModelSpec, max_tokens: u32) {
    let gateway = Gateway::new(&engines);
    let worker = honest(&gateway, engines);
    let inputs = chats("Name the planets of the solar system.", max_tokens);
    let jobs = inputs.into_iter().zip(1..).map(|(input, nonce)| gateway.job(nonce, input));
    // All at once: the worker's slots make one batch of them.
    let served = futures_util::future::join_all(jobs.take(4).map(|job| serve(&worker, job, Rule::exact()))).await;
    for threads in [1, 2, 4] {
        let engines = Engines::load(&waybill_worker::EngineConfig { threads, ..config(spec.clone()) }).unwrap();
        let verifier = honest(&gateway, Arc::new(engines));
        for job in &served {
            let verdict = verdict(&verifier, job).await;
            assert!(verdict.passed, "{threads} threads");
            assert_eq!(verdict.agreed, verdict.positions);
            assert_eq!((verdict.max_margin, verdict.max_difference), (0.0, Some(0.0)));
        }
    }
}

#[tokio::test]
async fn another_thread_count_and_a_batch_change_nothing_in_the_tiny_model() {
    let Some(engines) = tiny_engines() else { return };
    honest_work_is_exact(engines, ModelSpec::tiny(&models_folder()), 40).await;
}

#[tokio::test]
async fn another_thread_count_and_a_batch_change_nothing_in_smollm2() {
    let Some(engines) = smollm2_engines() else { return };
    honest_work_is_exact(engines, ModelSpec::smollm2(&models_folder()), 16).await;
}

#[tokio::test]
async fn a_stop_string_and_the_end_of_the_text_end_an_answer_rightly() {
    let Some(engines) = smollm2_engines() else { return };
    let gateway = Gateway::new(&engines);
    let (worker, verifier) = (honest(&gateway, engines.clone()), honest(&gateway, engines));
    let stopped = chats("Name the planets of the solar system.", 40).remove(4);
    let job = serve(&worker, gateway.job(1, stopped), Rule::exact()).await;
    assert_eq!(mismatch(&verifier, &job).await, Mismatch::None);
    let ended = chat_input("What is the capital of France? Answer in one sentence.", 60);
    let job = serve(&worker, gateway.job(2, ended), Rule::exact()).await;
    assert_eq!(mismatch(&verifier, &job).await, Mismatch::None);
    // The order pays for three tokens more than the prompt: that is the limit, and no cut.
    let whole = serve(&worker, gateway.job(3, chat_input("Tell me a story.", 1)), Rule::exact()).await;
    let units_in = SignedReceipt::verify_worker(&whole.receipt, &whole.worker_signature).unwrap().units_in;
    let poor =
        gateway.job_up_to(4, chat_input("Tell me a story.", 50), (u64::from(units_in) + 3) * PRICE_PER_1K / 1_000);
    let job = serve(&worker, poor, Rule::exact()).await;
    assert_eq!(mismatch(&verifier, &job).await, Mismatch::None);
}

/// The cheats that need no other model: what a worker signs that did not do the work.
async fn skipped_and_copied_work_is_caught(engines: Arc<Engines>, rule: Rule) {
    let gateway = Gateway::new(&engines);
    let (worker, verifier) = (honest(&gateway, engines.clone()), honest(&gateway, engines.clone()));
    let question = || chat_input("Name the planets of the solar system.", 24);
    let job = gateway.job(1, question());
    let served = serve(&worker, job.clone(), rule.clone()).await;
    assert_eq!(mismatch(&verifier, &served).await, Mismatch::None, "the honest answer itself");
    let honest_claim = || claim_of(&worker, &served, &engines);
    assert_eq!(mismatch(&verifier, &claim(job.clone(), honest_claim(), rule.clone())).await, Mismatch::None);

    // Skipped: the first half of the answer, sold as the whole.
    let whole = honest_claim();
    let half = whole.evidence[..whole.evidence.len() / 132 / 2 * 132].to_vec();
    let tokens = Evidence::from_bytes(half.clone()).unwrap().tokens();
    let truncated = Claim {
        output: text(&engines, &tokens).into_bytes(),
        units: (whole.units.0, tokens.len() as u32),
        evidence: half,
    };
    assert_eq!(mismatch(&verifier, &claim(job.clone(), truncated, rule.clone())).await, Mismatch::Truncated);

    // Padded: more units than tokens.
    let padded = Claim { units: (whole.units.0, whole.units.1 + 5), ..honest_claim() };
    assert_eq!(mismatch(&verifier, &claim(job.clone(), padded, rule.clone())).await, Mismatch::Units);
    let padded = Claim { units: (whole.units.0 + 5, whole.units.1), ..honest_claim() };
    assert_eq!(mismatch(&verifier, &claim(job.clone(), padded, rule.clone())).await, Mismatch::Units);

    // Garbage: tokens out of a hat, with logits that say they were right.
    let mut garbage = Vec::new();
    for i in 0..24u32 {
        garbage.extend((40 + i * 7 % 60).to_le_bytes());
        garbage.extend(
            (0..16).flat_map(|k: u32| [(40 + (i * 7 + k) % 60).to_le_bytes(), (9.0 - k as f32).to_le_bytes()].concat()),
        );
    }
    let tokens = Evidence::from_bytes(garbage.clone()).unwrap().tokens();
    let made_up = Claim {
        output: text(&engines, &tokens).into_bytes(),
        units: (whole.units.0, tokens.len() as u32),
        evidence: garbage,
    };
    assert_eq!(mismatch(&verifier, &claim(job.clone(), made_up, rule.clone())).await, Mismatch::Output);

    // Copied: the answer to another question, with its true evidence.
    let other = serve(&worker, gateway.job(2, chat_input("Write a poem about rain.", 24)), rule.clone()).await;
    let copied = Claim {
        units: (whole.units.0, claim_of(&worker, &other, &engines).units.1),
        ..claim_of(&worker, &other, &engines)
    };
    assert_eq!(mismatch(&verifier, &claim(job.clone(), copied, rule.clone())).await, Mismatch::Output);

    // Copied: the right answer without having computed it, so that the logits are invented.
    let mut invented = whole.evidence.clone();
    for position in invented.chunks_exact_mut(132) {
        for pair in position[4..].chunks_exact_mut(8) {
            let logit = f32::from_le_bytes(pair[4..].try_into().unwrap());
            pair[4..].copy_from_slice(&(logit * 0.9).to_le_bytes());
        }
    }
    let copied = Claim { evidence: invented, ..honest_claim() };
    assert_eq!(mismatch(&verifier, &claim(job.clone(), copied, rule.clone())).await, Mismatch::Evidence);

    // A worker that signs one text and other tokens.
    let split = Claim { output: b"another text".to_vec(), ..honest_claim() };
    assert_eq!(mismatch(&verifier, &claim(job, split, rule)).await, Mismatch::Text);
}

#[tokio::test]
async fn skipped_and_copied_work_is_caught_on_the_tiny_model() {
    let Some(engines) = tiny_engines() else { return };
    skipped_and_copied_work_is_caught(engines, Rule::exact()).await;
}

#[tokio::test]
async fn skipped_and_copied_work_is_caught_on_smollm2() {
    let Some(engines) = smollm2_engines() else { return };
    skipped_and_copied_work_is_caught(engines.clone(), Rule::exact()).await;
    skipped_and_copied_work_is_caught(engines, Rule::quantised_text()).await;
}

/// Another model in place of the ordered one: SmolLM2 with one bit less per weight, which answers as fluently.
#[tokio::test]
async fn a_smaller_model_in_place_of_smollm2_is_caught() {
    let Some(engines) = smollm2_engines() else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = ModelSpec::smollm2(&models_folder());
    let coarse = coarser(&source, folder.path());
    let cheap = Arc::new(Engines::load(&config(coarse)).unwrap());
    let gateway = Gateway::new(&engines);
    let pretended = gateway.artifact;
    let served_by = Gateway { key: gateway.key.insecure_clone(), artifact: cheap.iter().next().unwrap().artifact() };
    assert_ne!(pretended, served_by.artifact);
    let (cheater, verifier) = (honest(&gateway, cheap.clone()), honest(&gateway, engines));
    let questions = ["Name the planets of the solar system.", "What is a neural network?", "Write a poem about rain."];
    for (question, nonce) in questions.iter().zip(1..) {
        let input = chat_input(question, 32);
        let served = serve(&cheater, served_by.job(nonce, input.clone()), Rule::exact()).await;
        let result = || claim_of(&cheater, &served, &cheap);
        let job = gateway.job(nonce, input);
        for rule in [Rule::exact(), Rule::quantised_text()] {
            assert_ne!(mismatch(&verifier, &claim(job.clone(), result(), rule)).await, Mismatch::None, "{question}");
        }
    }
}

/// Writes a copy of a model whose 4-bit weights are rounded to three bits. The weights are the model's largest initializers
/// of bytes; they are found by walking the file's protobuf, whose layout stays as it is.
fn coarser(source: &ModelSpec, folder: &Path) -> ModelSpec {
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(source.folder.join(name), folder.join(name)).unwrap();
    }
    let mut model = std::fs::read(source.folder.join("model.onnx")).unwrap();
    const GRAPH: u64 = 7;
    const INITIALIZER: u64 = 5;
    const DATA_TYPE: u64 = 2;
    const RAW_DATA: u64 = 9;
    const UINT8: u64 = 2;
    let graph = fields(&model, 0..model.len()).find(|field| field.number == GRAPH).unwrap().range;
    let initializers: Vec<_> = fields(&model, graph).filter(|field| field.number == INITIALIZER).collect();
    let weights: Vec<std::ops::Range<usize>> = initializers
        .iter()
        .filter(|tensor| {
            fields(&model, tensor.range.clone()).any(|field| field.number == DATA_TYPE && field.value == UINT8)
        })
        .filter_map(|tensor| fields(&model, tensor.range.clone()).find(|field| field.number == RAW_DATA))
        .map(|field| field.range)
        .filter(|range| range.len() > 10_000 && range.len() < 20_000_000)
        .collect();
    assert!(weights.len() > 100, "{} weight tensors", weights.len());
    for range in weights {
        for (index, byte) in model[range].iter_mut().enumerate() {
            let (low, high) = (even(*byte & 15, index % 2 == 0), even(*byte >> 4, index % 2 == 1));
            *byte = high << 4 | low;
        }
    }
    std::fs::write(folder.join("model.onnx"), &model).unwrap();
    ModelSpec { folder: folder.into(), artifact: Some(ArtifactId(Sha256::digest(&model).into())), ..source.clone() }
}

/// The nearest even level of a 4-bit weight; odd ones go up and down in turn, so that no weight drifts.
fn even(level: u8, up: bool) -> u8 {
    match level % 2 {
        0 => level,
        _ if up && level < 15 => level + 1,
        _ => level - 1,
    }
}

struct Field {
    number: u64,
    /// Of a varint.
    value: u64,
    /// Of length-delimited contents.
    range: std::ops::Range<usize>,
}

/// The fields of a protobuf message that lies at `range`.
fn fields(bytes: &[u8], range: std::ops::Range<usize>) -> impl Iterator<Item = Field> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let mut varint = || {
            let mut value = 0;
            for shift in (0..64).step_by(7) {
                let byte = bytes[at];
                at += 1;
                value |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value
        };
        let key = varint();
        let (value, length) = match key & 7 {
            0 => (varint(), 0),
            1 => (0, 8),
            2 => (0, varint() as usize),
            5 => (0, 4),
            kind => panic!("wire type {kind}"),
        };
        let field = Field { number: key >> 3, value, range: at..at + length };
        at += length;
        Some(field)
    })
}

#[tokio::test]
async fn embeddings_are_checked_by_embedding_again() {
    let Some(engines) = minilm_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = honest(&gateway, engines.clone());
    let input = || embed_input(&["The sea is blue.", "A longer sentence about ships and harbours."]);
    let job = gateway.job(1, input());
    let served = serve(&worker, job.clone(), Rule::tolerance()).await;
    for threads in [1, 2, 4] {
        let spec = ModelSpec::minilm(&models_folder());
        let engines = Engines::load(&waybill_worker::EngineConfig { threads, ..config(spec) }).unwrap();
        let verifier = honest(&gateway, Arc::new(engines));
        for rule in [Rule::exact(), Rule::tolerance()] {
            let job = AuditJob { rule: Some(rule), ..served.clone() };
            let verdict = verdict(&verifier, &job).await;
            assert!(verdict.passed && verdict.max_difference == Some(0.0), "{threads} threads");
        }
    }
    let verifier = honest(&gateway, engines.clone());
    let units = (SignedReceipt::verify_worker(&served.receipt, &served.worker_signature).unwrap().units_in, 0);
    let values = served.material.as_ref().unwrap().values.to_vec();
    let caught =
        |output: Vec<u8>, units| claim(job.clone(), Claim { output, evidence: vec![], units }, Rule::tolerance());

    // Copied from another text, invented, or one row too few.
    let other = serve(&worker, gateway.job(2, embed_input(&["Rain.", "Interest rates rose."])), Rule::exact()).await;
    let copied = other.material.unwrap().values.to_vec();
    assert_eq!(mismatch(&verifier, &caught(copied, units)).await, Mismatch::Output);
    let invented = vec![0.05f32.to_le_bytes(); values.len() / 4].concat();
    assert_eq!(mismatch(&verifier, &caught(invented, units)).await, Mismatch::Output);
    assert_eq!(mismatch(&verifier, &caught(values[..values.len() / 2].to_vec(), units)).await, Mismatch::Output);
    assert_eq!(mismatch(&verifier, &caught(values.clone(), (units.0 + 1, 0))).await, Mismatch::Units);
    // Rounded to half precision: served by a smaller model's arithmetic.
    let rounded: Vec<u8> = values
        .chunks(4)
        .flat_map(|b| ((f32::from_le_bytes(b.try_into().unwrap()) * 128.0).round() / 128.0).to_le_bytes())
        .collect();
    assert_eq!(mismatch(&verifier, &caught(rounded, units)).await, Mismatch::Output);
}

/// Nothing that the gateway, the scheduler or a stranger does turns into a verdict against a worker.
#[tokio::test]
async fn material_that_is_not_the_receipts_gives_no_verdict() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let (worker, verifier) = (honest(&gateway, engines.clone()), honest(&gateway, engines.clone()));
    let job = gateway.job(1, chat_input("hello", 12));
    let served = serve(&worker, job.clone(), Rule::exact()).await;
    let fault = async |job: &AuditJob| verifier.worker.audit(job).await.unwrap_err();
    let material = served.material.clone().unwrap();
    let with = |material: Material| AuditJob { material: Some(material), ..served.clone() };

    let other_input = gateway.job(1, chat_input("hullo", 12));
    let error = fault(&with(Material { job: Some(other_input), ..material.clone() })).await;
    assert!(error.detail.contains("other request"), "{error}");
    let swapped = Job { input: Some(chat_input("hullo", 12)), ..job.clone() };
    assert_eq!(fault(&with(Material { job: Some(swapped), ..material.clone() })).await.code(), FaultCode::Unfunded);

    // Tokens are the worker's word only through its record: what the gateway says does not count against it.
    let mut tokens = material.tokens.clone();
    tokens[0] ^= 1;
    let without_record = AuditJob { evidence: vec![].into(), ..with(Material { tokens, ..material.clone() }) };
    let error = fault(&without_record).await;
    assert!(error.detail.contains("other output") || error.detail.contains("record is missing"), "{error}");
    let told = claim_of(&worker, &served, &engines);
    let padded = Claim { units: (told.units.0, told.units.1 + 5), ..told };
    let padded = claim(job.clone(), padded, Rule::exact());
    assert_eq!(mismatch(&verifier, &padded).await, Mismatch::Units);
    // Other tokens can spell the same text: only the worker's record says how many there were.
    let without_record = AuditJob { evidence: vec![].into(), ..padded };
    assert!(fault(&without_record).await.detail.contains("record is missing"));
    let foreign_record = AuditJob { evidence: vec![7; 132].into(), ..served.clone() };
    assert_eq!(
        mismatch(&verifier, &foreign_record).await,
        Mismatch::None,
        "a record that the receipt does not name is ignored"
    );

    let mut signature = served.worker_signature.to_vec();
    signature[0] ^= 1;
    assert_eq!(
        fault(&AuditJob { worker_signature: signature.into(), ..served.clone() }).await.code(),
        FaultCode::BadInput
    );
    assert_eq!(fault(&AuditJob { rule: None, ..served.clone() }).await.code(), FaultCode::BadInput);
    let lax = Rule { margin_micro: 0, mean_margin_micro: 0, ..Rule::quantised_text() };
    assert!(fault(&AuditJob { rule: Some(lax), ..served.clone() }).await.detail.contains("bounds no margin"));
    let own = worker.worker.audit(&served).await.unwrap_err();
    assert!(own.detail.contains("himself"), "{own}");
}

/// A verifier that holds a chair of an audit on chain signs for that chair too, with its node's key.
#[tokio::test]
async fn a_verdict_for_a_chair_is_what_the_chain_takes() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let (worker, verifier) = (honest(&gateway, engines.clone()), honest(&gateway, engines));
    let served = serve(&worker, gateway.job(1, chat_input("hello", 12)), Rule::exact()).await;
    let none = verdict(&verifier, &served).await;
    assert!(none.chain_signature.is_empty(), "no chair, nothing for the chain");
    let chair = Some(Chair { audit: vec![6; 32].into(), number: 3 });
    // Whoever brings the job does not choose the rule: the verifier's stake answers for it.
    for rule in [Rule::quantised_text(), Rule { margin_micro: 1, ..Rule::exact() }] {
        let lax = AuditJob { chair: chair.clone(), rule: Some(rule), ..served.clone() };
        let refused = verifier.worker.audit(&lax).await.unwrap_err();
        assert!(refused.detail.contains("not that of class 1 on chain"), "{refused}");
    }
    let verdict = verdict(&verifier, &AuditJob { chair, ..served.clone() }).await;
    let receipt = SignedReceipt::verify_worker(&served.receipt, &served.worker_signature).unwrap();
    let taken = verdict.for_chair(&DOMAIN, &[6; 32], 3).unwrap();
    assert_eq!((taken.pass, taken.chair, taken.audit, taken.domain), (true, 3, [6; 32], DOMAIN));
    assert_eq!(
        (taken.receipt_hash, taken.output_hash, taken.evidence_hash),
        (receipt.hash(), receipt.output_hash, receipt.evidence_hash)
    );
    for other in [
        verdict.for_chair(&DOMAIN, &[6; 32], 2),
        verdict.for_chair(&DOMAIN, &[7; 32], 3),
        verdict.for_chair(b"elsewher", &[6; 32], 3),
        Verdict { passed: false, ..verdict.clone() }.for_chair(&DOMAIN, &[6; 32], 3),
    ] {
        assert_eq!(other, None);
    }
}

#[tokio::test]
async fn a_private_job_leaves_nothing_behind() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = honest(&gateway, engines);
    let job = Job { private: true, ..gateway.job(1, chat_input("hello", 12)) };
    let served = serve(&worker, job, Rule::exact()).await;
    assert!(served.evidence.is_empty());
    assert!(served.material.unwrap().tokens.is_empty());
}

/// Emulates a machine without AVX-512 in user space; Debian's package `qemu-user` has it.
const EMULATOR: &str = "qemu-x86_64";
const CASES: &str = "WAYBILL_AUDIT_CASES";

/// An honest answer, re-executed by this very program on an emulated AVX2 machine: not bit by bit the same, and within the
/// rules for other machines. The same rules catch the cheaters above.
#[tokio::test]
async fn another_instruction_set_is_within_the_rules() {
    let (Some(smollm2), Some(minilm)) = (smollm2_engines(), minilm_engines()) else { return };
    if std::process::Command::new(EMULATOR).arg("--version").output().is_err() {
        eprintln!("\n*** SKIPPED: no {EMULATOR}; install Debian's qemu-user ***\n");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    let gateway = Gateway::new(&smollm2);
    let worker = honest(&gateway, smollm2);
    let inputs = chats("Name the planets of the solar system.", 10);
    for (input, nonce) in inputs.into_iter().take(4).zip(1..) {
        let job = serve(&worker, gateway.job(nonce, input), Rule::quantised_text()).await;
        names.push(write_case(folder.path(), &format!("smollm2-{nonce}"), &job));
    }
    let gateway = Gateway::new(&minilm);
    let worker = honest(&gateway, minilm);
    let job = gateway.job(9, embed_input(&["The sea is blue.", "A longer sentence about ships and harbours."]));
    names.push(write_case(folder.path(), "minilm", &serve(&worker, job, Rule::tolerance()).await));

    let child = std::process::Command::new(EMULATOR)
        .args(["-cpu", "Haswell"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "audit::verify_cases", "--ignored", "--nocapture"])
        .env(CASES, folder.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    eprintln!("{}", String::from_utf8_lossy(&child.stderr));
    for name in names {
        let verdict = Verdict::read(&std::fs::read(folder.path().join(format!("{name}.verdict"))).unwrap()).unwrap();
        assert!(verdict.passed, "{name}: {}", verdict.mismatch().as_str_name());
    }
}

fn write_case(folder: &Path, name: &str, job: &AuditJob) -> String {
    std::fs::write(folder.join(format!("{name}.case")), prost::Message::encode_to_vec(job)).unwrap();
    name.to_owned()
}

/// The other half of the test above, run in the emulator: verifies every case in the folder.
#[tokio::test]
#[ignore = "run by another_instruction_set_is_within_the_rules in an emulator"]
async fn verify_cases() {
    let Some(folder) = std::env::var_os(CASES).map(std::path::PathBuf::from) else { return };
    assert!(!std::arch::is_x86_feature_detected!("avx512f"), "the emulator hides AVX-512");
    assert!(std::arch::is_x86_feature_detected!("avx2"));
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "case") {
            continue;
        }
        let job: AuditJob = prost::Message::decode(&*std::fs::read(&path).unwrap()).unwrap();
        let engines = if path.to_string_lossy().contains("minilm") { minilm_engines() } else { smollm2_engines() };
        let engines = engines.unwrap();
        let verifier = honest(&Gateway::new(&engines), engines);
        eprint!("{} on AVX2: ", path.file_stem().unwrap().to_string_lossy());
        let verdict = verdict(&verifier, &job).await;
        std::fs::write(path.with_extension("verdict"), prost::Message::encode_to_vec(&verdict)).unwrap();
    }
}
