//! What `GET /v1/receipts/{id}` says is enough to check a receipt without trusting the gateway.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{CHAT, EMBED, EPOCH_S, Harness, now_ms};
use waybill_mechanism::merkle::{self, Node, Tree};
use waybill_mechanism::message::{Line, Order, Receipt, line_key};
use waybill_protocol::{ContainerId, WalletId, WorkerId, signing};
use waybill_store::{BatchId, Charge, LineLeaf, NewBatch, ReceiptLeaf, Store};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn node(value: &Value) -> Node {
    Node { hash: bytes(&value["hash"]).try_into().unwrap(), sum: value["sum"].as_u64().unwrap() }
}

fn nodes(value: &Value) -> Vec<Node> {
    value.as_array().unwrap().iter().map(node).collect()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// Closes an epoch and stores it as one batch.
async fn settle(store: &Store, gateway: WalletId, epoch: u32) {
    store.close_epoch(gateway, epoch, 1).await.unwrap();
    let charges = store.receipts_of_epoch(gateway, epoch, None, 100).await.unwrap();
    let read = |charge: &Charge| charge.receipt().unwrap();
    let receipts: Vec<ReceiptLeaf> = charges
        .iter()
        .map(|charge| ReceiptLeaf {
            receipt_id: charge.receipt_id.clone(),
            node: merkle::leaf(&charge.receipt, read(charge).price_nc),
        })
        .collect();
    let mut lines: Vec<LineLeaf> = Vec::new();
    let mut first_receipt = 0;
    for run in charges.chunk_by(|a, b| read(a).line_key == read(b).line_key) {
        let credits_nc = run.iter().map(|charge| read(charge).price_nc).sum();
        let n_receipts = u32::try_from(run.len()).unwrap();
        let line = Line {
            stage: run[0].stage,
            epoch,
            index: u32::try_from(lines.len()).unwrap(),
            container: run[0].container.0,
            worker: read(&run[0]).worker,
            referrer: run[0].referrer.0,
            first_receipt,
            n_receipts,
            credits_nc,
        };
        first_receipt += n_receipts;
        lines.push(LineLeaf { line: line.to_bytes(), node: merkle::leaf(&line.to_bytes(), credits_nc) });
    }
    let root = |nodes: Vec<Node>| Tree::build(nodes).unwrap().root();
    let batch = NewBatch {
        id: BatchId { gateway, epoch, shard: 0 },
        receipts_root: root(receipts.iter().map(|leaf| leaf.node).collect()),
        lines_root: root(lines.iter().map(|leaf| leaf.node).collect()),
        data_hash: [0; 32],
        uri: String::new(),
        receipts,
        lines,
        created_ms: now_ms(),
    };
    store.insert_batch(&batch, None).await.unwrap();
}

#[tokio::test]
async fn a_receipt_is_proved_from_order_to_line() {
    let h = Harness::start().await;
    let chat = json!({"model": CHAT, "messages": [{"role": "user", "content": "hello there"}]});
    let embed = json!({"model": EMBED, "input": "hello"});
    let mut ids = Vec::new();
    for (path, body) in
        [("chat/completions", &chat), ("embeddings", &embed), ("chat/completions", &chat), ("chat/completions", &chat)]
    {
        let response = h.post(&format!("/v1/{path}"), body).await;
        assert_eq!(response.status(), 200);
        ids.push(response.headers()["x-waybill-receipt"].to_str().unwrap().to_owned());
    }
    let gateway = h.market.gateway;
    let unsettled: Value = h.get(&format!("/v1/receipts/{}", ids[0])).await.json().await.unwrap();
    assert_eq!(unsettled["batch"], Value::Null);
    // The requests may lie on both sides of an epoch's end.
    let current = u32::try_from(now_ms() / 1000 / u64::from(EPOCH_S)).unwrap();
    for open in h.store.open_epochs(Some(gateway), current + 2).await.unwrap() {
        settle(&h.store, gateway, open.epoch).await;
    }

    for id in ids {
        let bundle: Value = h.get(&format!("/v1/receipts/{id}")).await.json().await.unwrap();
        let receipt_bytes = bytes(&bundle["receipt"]);
        let receipt = Receipt::from_bytes(&receipt_bytes).unwrap();
        assert!(signing::verify(&receipt.worker, &receipt_bytes, &bytes(&bundle["worker_signature"])));
        assert!(signing::verify(&receipt.gateway, &receipt_bytes, &bytes(&bundle["gateway_signature"])));
        let order_bytes = bytes(&bundle["order"]);
        assert!(signing::verify(&receipt.gateway, &order_bytes, &bytes(&bundle["order_signature"])));
        let order = Order::from_bytes(&order_bytes).unwrap();
        assert_eq!((order.hash(), order.channel), (receipt.request_hash, support::CHANNEL.0));
        assert_eq!(bundle["channel"], support::CHANNEL.to_string());
        let container: ContainerId = bundle["container"].as_str().unwrap().parse().unwrap();
        let referrer: WalletId = bundle["referrer"].as_str().unwrap().parse().unwrap();
        let stage = u8::try_from(bundle["stage"].as_u64().unwrap()).unwrap();
        assert_eq!(receipt.line_key, line_key(&container.0, stage, &receipt.worker, &referrer.0));

        let batch = &bundle["batch"];
        assert_eq!(
            (batch["gateway"].as_str().unwrap(), number(&batch["epoch"])),
            (&*gateway.to_string(), receipt.epoch)
        );
        assert_eq!(number(&batch["shard"]), 0);
        let leaf = merkle::leaf(&receipt_bytes, receipt.price_nc);
        let index = number(&batch["leaf"]);
        merkle::verify(
            &node(&batch["receipts_root"]),
            number(&batch["n_receipts"]),
            index,
            &leaf,
            &nodes(&batch["proof"]),
        )
        .unwrap();
        let line_bytes = bytes(&batch["line"]);
        let line = Line::from_bytes(&line_bytes).unwrap();
        assert!((line.first_receipt..line.first_receipt + line.n_receipts).contains(&index));
        assert_eq!(
            (line.container, line.stage, WorkerId(line.worker), line.referrer),
            (container.0, stage, h.workers.id(), referrer.0)
        );
        let leaf = merkle::leaf(&line_bytes, line.credits_nc);
        let place = (number(&batch["n_lines"]), line.index);
        merkle::verify(&node(&batch["lines_root"]), place.0, place.1, &leaf, &nodes(&batch["line_proof"])).unwrap();
    }
    h.stop().await;
}
