//! Paid jobs: what is served, what is refused, and the receipts.

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use waybill_mechanism::message::{Receipt, flags};
use waybill_protocol::{
    SignedReceipt,
    frame::{Ack, Event, EventKind, FaultCode, InputKind, Job},
    signing,
};
use waybill_worker::{ChannelFunds, Worker};

use crate::setup::{Gateway, PRICE_PER_1K, chat_input, embed_input, minilm_engines, tiny_engines};

async fn events(worker: &std::sync::Arc<Worker>, job: Job) -> Vec<EventKind> {
    worker.run_job(job).map(|event: Event| event.kind.unwrap()).collect().await
}

/// The one fault a refused job gets.
async fn refusal(worker: &std::sync::Arc<Worker>, job: Job) -> FaultCode {
    match events(worker, job).await.as_slice() {
        [EventKind::Fault(fault)] => fault.code(),
        other => panic!("{other:?}"),
    }
}

fn receipt(events: &[EventKind]) -> Receipt {
    match events.last() {
        Some(EventKind::Closed(closed)) => {
            SignedReceipt::verify_worker(&closed.receipt, &closed.worker_signature).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_chat_job_ends_with_a_receipt_for_exactly_its_text() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 2);
    let job = gateway.job(1, chat_input("hello", 30));
    let events = events(&worker, job.clone()).await;
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            EventKind::Text(delta) => Some(delta.text.as_str()),
            _ => None,
        })
        .collect();
    let receipt = receipt(&events);
    assert_eq!(receipt.output_hash, <[u8; 32]>::from(Sha256::digest(&text)));
    assert_eq!(receipt.input_hash, job.input.unwrap().hash());
    assert_eq!(receipt.request_hash, <[u8; 32]>::from(Sha256::digest(&job.order)));
    assert_eq!((receipt.gateway, receipt.artifact), (gateway.id().0, gateway.artifact.0));
    assert_eq!(receipt.worker, worker.id().0);
    assert!(receipt.units_in > 0 && receipt.units_out <= 30);
    let units = u64::from(receipt.units_in + receipt.units_out);
    assert_eq!(receipt.price_nc, (units * PRICE_PER_1K).div_ceil(1_000));
}

#[tokio::test]
async fn an_embedding_job_ends_with_a_receipt_for_exactly_its_bytes() {
    let Some(engines) = minilm_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 2);
    let events = events(&worker, gateway.job(1, embed_input(&["one", "two words"]))).await;
    let [EventKind::Vectors(vectors), EventKind::Closed(_)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((vectors.dims, vectors.values.len()), (384, 2 * 384 * 4));
    let receipt = receipt(&events);
    assert_eq!(receipt.output_hash, <[u8; 32]>::from(Sha256::digest(&vectors.values)));
    assert_eq!(receipt.evidence_hash, receipt.output_hash);
    assert_eq!((receipt.units_in, receipt.units_out), (7, 0), "[CLS] one [SEP] and [CLS] two words [SEP]");
}

#[tokio::test]
async fn one_line_continues_over_jobs() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 2);
    let mut receipts = Vec::new();
    for nonce in 1..=4 {
        receipts.push(receipt(&events(&worker, gateway.job(nonce, chat_input("hello", 5))).await));
    }
    // An epoch may end between two of them; within one epoch they continue each other.
    for pair in receipts.windows(2) {
        assert!(pair[1].continues((pair[0].epoch == pair[1].epoch).then_some(&pair[0])));
    }
}

#[tokio::test]
async fn work_that_nobody_pays_for_is_refused() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let with = |funds: ChannelFunds| gateway.worker_with(engines.clone(), 2, funds);
    let job = |nonce| gateway.job(nonce, chat_input("hello", 5));
    let rich = gateway.funds(1_000_000_000);

    let other_gateway = ChannelFunds { gateway: waybill_protocol::WalletId([1; 32]), ..rich };
    assert_eq!(refusal(&with(other_gateway), job(1)).await, FaultCode::Unfunded);
    assert_eq!(refusal(&with(ChannelFunds { grant_active: false, ..rich }), job(1)).await, FaultCode::Unfunded);
    assert_eq!(refusal(&with(gateway.funds(9_999_999)), job(1)).await, FaultCode::Unfunded, "room below the ceiling");

    let worker = with(rich);
    let stranger = Gateway { key: Keypair::new(), artifact: gateway.artifact };
    let forged = Job { order_signature: stranger.job(1, chat_input("hello", 5)).order_signature, ..job(1) };
    assert_eq!(refusal(&worker, forged).await, FaultCode::Unfunded, "another key's signature");
    let swapped = Job { input: Some(chat_input("something else", 5)), ..job(1) };
    assert_eq!(refusal(&worker, swapped).await, FaultCode::Unfunded, "the order is for other input");
    assert_eq!(refusal(&worker, Job { referrer: vec![9; 32].into(), ..job(1) }).await, FaultCode::Unfunded);
    assert_eq!(refusal(&worker, Job { container: vec![9; 32].into(), ..job(1) }).await, FaultCode::Unfunded);
    let poor = gateway.job_up_to(1, chat_input("hello", 5), 1);
    assert_eq!(refusal(&worker, poor).await, FaultCode::Unfunded, "the ceiling does not even pay the input");

    receipt(&events(&worker, job(1)).await);
    assert_eq!(refusal(&worker, job(1)).await, FaultCode::Unfunded, "a replayed nonce");
    receipt(&events(&worker, job(2)).await);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 2);
    let job = |nonce| gateway.job(nonce, chat_input("hello", 5));
    assert_eq!(refusal(&worker, Job { artifact: vec![0; 32].into(), ..job(1) }).await, FaultCode::UnknownModel);
    assert_eq!(refusal(&worker, Job { order: vec![0; 90].into(), ..job(1) }).await, FaultCode::Protocol);
    assert_eq!(refusal(&worker, Job { gateway: vec![0; 31].into(), ..job(1) }).await, FaultCode::Protocol);
    // A slot and the flag that says so come together, and the order names the slot.
    let sponsored = u32::from(flags::DELEGATED | flags::SPONSORED);
    assert_eq!(refusal(&worker, Job { slot: vec![7; 32].into(), ..job(1) }).await, FaultCode::Protocol);
    assert_eq!(refusal(&worker, Job { flags: sponsored, ..job(1) }).await, FaultCode::Protocol);
    assert_eq!(
        refusal(&worker, Job { slot: vec![7; 31].into(), flags: sponsored, ..job(1) }).await,
        FaultCode::Protocol
    );
    assert_eq!(
        refusal(&worker, Job { slot: vec![7; 32].into(), flags: sponsored, ..job(1) }).await,
        FaultCode::Unfunded
    );
    assert_eq!(refusal(&worker, gateway.job(1, embed_input(&["text"]))).await, FaultCode::BadInput);
    assert_eq!(refusal(&worker, gateway.job(1, chat_input(&"word ".repeat(500), 5))).await, FaultCode::ContextExceeded);
    for temperature in [f32::NAN, -1.0, f32::INFINITY] {
        let mut input = chat_input("hello", 5);
        if let Some(InputKind::Chat(chat)) = &mut input.kind {
            chat.temperature = Some(temperature);
        }
        assert_eq!(refusal(&worker, gateway.job(1, input)).await, FaultCode::BadInput);
    }
    // None of the refusals used up the nonce or the slot.
    receipt(&events(&worker, job(1)).await);
}

#[tokio::test]
async fn a_ceiling_shortens_the_answer_and_the_price_stays_below_it() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 2);
    let whole = receipt(&events(&worker, gateway.job(1, chat_input("hello", 50))).await);
    assert!(whole.units_out > 3);
    let ceiling = (u64::from(whole.units_in) + 3) * PRICE_PER_1K / 1_000;
    let cut = receipt(&events(&worker, gateway.job_up_to(2, chat_input("hello", 50), ceiling)).await);
    assert_eq!((cut.units_out, cut.price_nc), (3, ceiling));
}

#[tokio::test]
async fn dropping_a_job_frees_its_slot_and_its_nonce() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 1);
    let long = || gateway.job(1, chat_input("hello", 200));
    let mut running = Box::pin(worker.run_job(long()));
    assert!(matches!(running.next().await.unwrap().kind, Some(EventKind::Text(_))));
    drop(running);
    while worker.report().free_slots == 0 {
        worker.load_change().await;
    }
    receipt(&events(&worker, long()).await);
}

#[tokio::test]
async fn a_full_worker_says_so_and_a_draining_one_takes_nothing() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker_with(engines, 0, gateway.funds(1_000_000_000));
    assert_eq!(refusal(&worker, gateway.job(1, chat_input("hello", 5))).await, FaultCode::Busy);
    worker.drain(std::time::Duration::from_secs(5)).await;
    assert_eq!(refusal(&worker, gateway.job(1, chat_input("hello", 5))).await, FaultCode::Busy);
    assert!(worker.report().draining);
}

#[tokio::test]
async fn a_countersignature_is_taken_from_the_gateway_alone() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let worker = gateway.worker(engines, 1);
    let receipt = receipt(&events(&worker, gateway.job(1, chat_input("hello", 5))).await);
    assert_eq!(worker.receipts_waiting(), 1);
    let ack = |key: &Keypair| Ack {
        worker: worker.id().0.to_vec().into(),
        receipt_hash: receipt.hash().to_vec().into(),
        gateway_signature: signing::sign(key, &receipt.to_bytes()).to_vec().into(),
    };
    worker.acknowledge(&ack(&Keypair::new()));
    assert_eq!(worker.receipts_waiting(), 1);
    worker.acknowledge(&ack(&gateway.key));
    assert_eq!(worker.receipts_waiting(), 0);
}
