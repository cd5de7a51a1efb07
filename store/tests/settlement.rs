//! From a closed epoch to a swept batch, the outbox and the indexer, on both databases.
#![allow(clippy::unwrap_used)]

mod common;

use common::{GATEWAY, World};
use waybill_mechanism::merkle::{self, Node, Tree};
use waybill_mechanism::message::Line;
use waybill_protocol::ChannelId;
use waybill_store::{
    AuditState, BatchId, BatchStatus, ChainEvent, Cursor, DrawId, EventPage, LineLeaf, NewAudit, NewBatch, NewOutbox,
    OutboxStatus, Projection, ReceiptLeaf, SealedMaterial, StoreError, StoredVerdict, Transition,
};

const EPOCH: u32 = 490_000;

on_both_databases!(
    a_closed_epoch_becomes_a_batch_whose_proofs_hold,
    an_epoch_is_open_until_its_first_shard_is_stored,
    a_batch_only_moves_forward,
    the_receipts_of_an_epoch_come_in_pages_in_settlement_order,
    an_outbox_row_moves_by_compare_and_set,
    an_outbox_key_names_one_intent,
    events_and_cursor_move_together,
    a_channel_names_its_parties_once,
    material_is_kept_once_and_goes_after_its_time,
    an_audit_is_leased_judged_and_ended_once,
);

/// Charges `per_worker` receipts for each of three workers and closes the epoch.
async fn closed_epoch(world: &mut World, per_worker: u64) -> ChannelId {
    let channel = world.channel(1, 3 * per_worker as u32).await;
    for nonce in 1..=3 * per_worker {
        let charge = world.source.charge(channel, nonce, [(nonce % 3) as u8 + 1; 32], EPOCH, 10 * nonce);
        world.ledger.charge(charge).await.unwrap();
    }
    world.store.close_epoch(GATEWAY, EPOCH, 1).await.unwrap();
    channel
}

async fn build(world: &World) -> NewBatch {
    let charges = world.store.receipts_of_epoch(GATEWAY, EPOCH, None, 10_000).await.unwrap();
    let receipts: Vec<_> = charges.iter().map(|charge| charge.receipt().unwrap()).collect();
    let mut lines: Vec<Line> = Vec::new();
    for (index, (charge, receipt)) in (0u32..).zip(charges.iter().zip(&receipts)) {
        if lines.last().is_none_or(|line| line.worker != receipt.worker) {
            lines.push(Line {
                stage: 0,
                epoch: EPOCH,
                index: lines.len() as u32,
                container: charge.container.0,
                worker: receipt.worker,
                referrer: [0; 32],
                first_receipt: index,
                n_receipts: 0,
                credits_nc: 0,
            });
        }
        let line = lines.last_mut().unwrap();
        line.n_receipts += 1;
        line.credits_nc += receipt.price_nc;
    }
    let receipts: Vec<ReceiptLeaf> = charges
        .iter()
        .zip(&receipts)
        .map(|(charge, receipt)| ReceiptLeaf {
            receipt_id: charge.receipt_id.clone(),
            node: merkle::leaf(&charge.receipt, receipt.price_nc),
        })
        .collect();
    let lines: Vec<LineLeaf> = lines
        .iter()
        .map(|line| LineLeaf { line: line.to_bytes(), node: merkle::leaf(&line.to_bytes(), line.credits_nc) })
        .collect();
    let root = |nodes: Vec<Node>| Tree::build(nodes).unwrap().root();
    NewBatch {
        id: BatchId { gateway: GATEWAY, epoch: EPOCH, shard: 0 },
        receipts_root: root(receipts.iter().map(|leaf| leaf.node).collect()),
        lines_root: root(lines.iter().map(|leaf| leaf.node).collect()),
        data_hash: [6; 32],
        uri: "file:batch".into(),
        receipts,
        lines,
        created_ms: 5,
    }
}

fn post_row(key: &str) -> NewOutbox {
    NewOutbox {
        kind: "post_batch".into(),
        lane: "gateway".into(),
        idempotency_key: key.into(),
        intent: b"post".to_vec(),
    }
}

async fn a_closed_epoch_becomes_a_batch_whose_proofs_hold(mut world: World) {
    closed_epoch(&mut world, 30).await;
    let batch = build(&world).await;
    assert_eq!(world.store.open_epochs(None, EPOCH + 1).await.unwrap().len(), 1);
    world.store.insert_batch(&batch, Some(&post_row("batch"))).await.unwrap();
    world.store.insert_batch(&batch, Some(&post_row("batch"))).await.unwrap();
    assert_eq!(world.store.outbox_open(Some("gateway"), 10).await.unwrap().len(), 1);
    assert!(world.store.open_epochs(None, EPOCH + 1).await.unwrap().is_empty());

    let mut other = batch.clone();
    other.data_hash = [7; 32];
    assert!(matches!(world.store.insert_batch(&other, None).await, Err(StoreError::Conflict { .. })));
    let mut wrong_sum = batch.clone();
    wrong_sum.lines_root.sum += 1;
    assert!(matches!(world.store.insert_batch(&wrong_sum, None).await, Err(StoreError::Malformed { .. })));
    let mut open = batch.clone();
    open.id.epoch += 1;
    assert!(matches!(world.store.insert_batch(&open, None).await, Err(StoreError::Missing { .. })));

    let stored = world.store.batch(batch.id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.n_receipts, stored.n_lines), (BatchStatus::Built, 90, 3));
    let receipts = Tree::build(world.store.receipt_leaves(batch.id).await.unwrap()).unwrap();
    assert_eq!(receipts.root(), stored.receipts_root);
    let bundle = world.store.receipt(&batch.receipts[41].receipt_id).await.unwrap().unwrap();
    let (id, index) = bundle.batch.unwrap();
    assert_eq!((id, index), (batch.id, 41));
    let leaf = merkle::leaf(&bundle.receipt.receipt, bundle.receipt.receipt().unwrap().price_nc);
    merkle::verify(&stored.receipts_root, stored.n_receipts, index, &leaf, &receipts.proof(41).unwrap()).unwrap();

    let lines = world.store.batch_lines(batch.id).await.unwrap();
    let tree = Tree::build(lines.iter().map(|line| line.node).collect()).unwrap();
    for line in &lines {
        let proof = tree.proof(line.index as usize).unwrap();
        merkle::verify(&stored.lines_root, stored.n_lines, line.index, &line.node, &proof).unwrap();
    }
    world.stop().await;
}

async fn an_epoch_is_open_until_its_first_shard_is_stored(mut world: World) {
    closed_epoch(&mut world, 2).await;
    let whole = build(&world).await;
    // A crash leaves shard 1 alone; the epoch is built again.
    let mut second = whole.clone();
    (second.id.shard, second.receipts, second.lines) = (1, whole.receipts[4..].to_vec(), whole.lines[2..].to_vec());
    let sum: u64 = second.receipts.iter().map(|leaf| leaf.node.sum).sum();
    (second.receipts_root.sum, second.lines_root.sum) = (sum, sum);
    let mut first = whole.clone();
    (first.receipts, first.lines) = (whole.receipts[..4].to_vec(), whole.lines[..2].to_vec());
    (first.receipts_root.sum, first.lines_root.sum) = (whole.receipts_root.sum - sum, whole.receipts_root.sum - sum);
    for _ in 0..2 {
        world.store.insert_batch(&second, None).await.unwrap();
        let open = world.store.open_epochs(None, EPOCH + 1).await.unwrap();
        assert_eq!((open.len(), open[0].closed, open[0].receipts), (1, true, 6));
    }
    world.store.insert_batch(&first, None).await.unwrap();
    assert!(world.store.open_epochs(None, EPOCH + 1).await.unwrap().is_empty());
    world.stop().await;
}

async fn a_batch_only_moves_forward(mut world: World) {
    use BatchStatus::{Built, Claimed, Final, Posted, Swept};
    closed_epoch(&mut world, 2).await;
    let batch = build(&world).await;
    let (store, id) = (world.store.clone(), batch.id);
    assert!(matches!(store.advance_batch(id, Built, Posted, 1).await, Err(StoreError::Missing { .. })));
    store.insert_batch(&batch, None).await.unwrap();
    assert!(matches!(store.advance_batch(id, Built, Final, 1).await, Err(StoreError::Transition { .. })));
    assert!(matches!(store.advance_batch(id, Posted, Final, 1).await, Err(StoreError::Transition { .. })));
    store.advance_batch(id, Built, Posted, 2).await.unwrap();
    store.advance_batch(id, Built, Posted, 3).await.unwrap();
    store.advance_batch(id, Posted, Final, 4).await.unwrap();
    assert_eq!(store.batches(Final, 10).await.unwrap().iter().map(|b| b.updated_ms).collect::<Vec<_>>(), [4]);
    let left = [2, 2, 1, 0];
    for (index, left) in [0, 0, 1, 2].into_iter().zip(left) {
        assert_eq!(store.mark_line_claimed(id, index, 5).await.unwrap(), left);
    }
    assert!(matches!(store.mark_line_claimed(id, 3, 5).await, Err(StoreError::Missing { .. })));
    store.advance_batch(id, Final, Claimed, 6).await.unwrap();
    store.advance_batch(id, Claimed, Swept, 7).await.unwrap();
    assert!(matches!(store.advance_batch(id, Swept, Built, 8).await, Err(StoreError::Transition { .. })));
    world.stop().await;
}

async fn the_receipts_of_an_epoch_come_in_pages_in_settlement_order(mut world: World) {
    closed_epoch(&mut world, 7).await;
    let all = world.store.receipts_of_epoch(GATEWAY, EPOCH, None, 1_000).await.unwrap();
    let mut paged: Vec<waybill_store::Charge> = Vec::new();
    loop {
        let page = world.store.receipts_of_epoch(GATEWAY, EPOCH, paged.last(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let keys: Vec<_> = all.iter().map(|c| c.receipt().unwrap()).map(|r| (r.worker, r.line_key, r.seq)).collect();
    assert_eq!(keys.len(), 21);
    assert!(keys.is_sorted());
    world.stop().await;
}

async fn an_outbox_row_moves_by_compare_and_set(world: World) {
    use OutboxStatus::{Confirmed, Expired, Finalized, New, Sent, Signed};
    let store = &world.store;
    let id = store.enqueue(&post_row("one"), 1).await.unwrap();
    let sign = |tag: u8| Transition::Signed {
        signature: [tag; 64],
        signed_tx: vec![tag; 9],
        last_valid_block_height: 150,
        cu_limit: 200_000,
        cu_price: 1_000,
    };
    assert!(matches!(store.advance_outbox(id, New, &Transition::Sent, 2).await, Err(StoreError::Transition { .. })));
    let (sign_a, sign_b) = (sign(1), sign(2));
    let (a, b) = tokio::join!(store.advance_outbox(id, New, &sign_a, 2), store.advance_outbox(id, New, &sign_b, 2));
    assert_ne!(a.is_ok(), b.is_ok(), "one of two senders signs");
    store.advance_outbox(id, Signed, &Transition::Sent, 3).await.unwrap();
    store.advance_outbox(id, Sent, &Transition::Expired, 4).await.unwrap();
    store.advance_outbox(id, Expired, &sign(3), 5).await.unwrap();
    let row = store.outbox_row(id).await.unwrap().unwrap();
    assert_eq!((row.attempts, row.signature, row.signed_tx), (2, Some([3; 64]), Some(vec![3; 9])));
    store.advance_outbox(id, Signed, &Transition::Sent, 6).await.unwrap();
    store.advance_outbox(id, Sent, &Transition::Confirmed { slot: 40 }, 7).await.unwrap();
    store.advance_outbox(id, Confirmed, &Transition::RolledBack, 8).await.unwrap();
    assert_eq!(store.outbox_row(id).await.unwrap().unwrap().slot, None);
    store.advance_outbox(id, Sent, &Transition::Finalized { slot: 44 }, 9).await.unwrap();
    let failed = Transition::Failed { err: "late".into() };
    assert!(matches!(store.advance_outbox(id, Finalized, &failed, 10).await, Err(StoreError::Transition { .. })));
    assert!(store.outbox_open(None, 10).await.unwrap().is_empty());
    let row = store.outbox_by_key("one").await.unwrap().unwrap();
    assert_eq!((row.id, row.status, row.slot, row.updated_ms), (id, Finalized, Some(44), 9));
    world.stop().await;
}

async fn an_outbox_key_names_one_intent(world: World) {
    let first = world.store.enqueue(&post_row("one"), 1).await.unwrap();
    assert_eq!(world.store.enqueue(&post_row("one"), 2).await.unwrap(), first);
    let mut other = post_row("one");
    other.intent = b"something else".to_vec();
    assert!(matches!(world.store.enqueue(&other, 3).await, Err(StoreError::Conflict { .. })));
    let second = world.store.enqueue(&NewOutbox { lane: "crank".into(), ..post_row("two") }, 4).await.unwrap();
    let failed = Transition::Failed { err: "no funds".into() };
    world.store.advance_outbox(second, OutboxStatus::New, &failed, 5).await.unwrap();
    assert!(world.store.outbox_open(Some("crank"), 10).await.unwrap().is_empty());
    assert_eq!(world.store.outbox_row(second).await.unwrap().unwrap().err.as_deref(), Some("no funds"));
    world.stop().await;
}

async fn events_and_cursor_move_together(world: World) {
    let channel = world.channel(1, 1).await;
    let store = &world.store;
    let event = |tag: u8, slot| ChainEvent {
        signature: [tag; 64],
        ix_index: 0,
        inner_index: 2,
        slot,
        block_time: Some(1_700_000_000),
        name: "VoucherSettled".into(),
        account: channel.0,
        data: vec![tag],
    };
    let cursor = |tag: u8, slot| Cursor { signature: [tag; 64], slot };
    store.note_provisional("settlement", &[event(1, 10), event(2, 11)]).await.unwrap();
    assert!(store.events_of(&channel.0, 10).await.unwrap().is_empty());

    let settled = |settled_nc, nonce| Projection::ChannelSettled { channel, settled_nc, nonce };
    let unknown = BatchId { gateway: GATEWAY, epoch: 1, shard: 0 };
    let page = EventPage {
        source: "settlement".into(),
        from: None,
        to: cursor(1, 12),
        events: vec![event(1, 12), event(1, 12)],
        projections: vec![
            settled(90, 3),
            settled(40, 2),
            Projection::LineClaimed { batch: unknown, index: 0 },
            Projection::BatchAdvanced { batch: unknown, from: BatchStatus::Built, to: BatchStatus::Posted },
        ],
        now_ms: 1,
    };
    store.apply_events(&page).await.unwrap();
    assert_eq!(store.cursor("settlement").await.unwrap(), Some(cursor(1, 12)));
    assert_eq!(store.events_of(&channel.0, 10).await.unwrap(), [event(1, 12)]);
    let row = store.channel(channel).await.unwrap().unwrap();
    assert_eq!((row.settled_nc, row.settled_nonce), (90, 3), "settlement never moves back");

    // A reader that is behind changes nothing.
    let stale = EventPage {
        from: Some(cursor(9, 1)),
        to: cursor(3, 20),
        events: vec![event(3, 20)],
        projections: vec![settled(95, 4)],
        ..page.clone()
    };
    assert!(matches!(store.apply_events(&stale).await, Err(StoreError::Conflict { .. })));
    assert!(matches!(store.apply_events(&page).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.events_of(&channel.0, 10).await.unwrap().len(), 1);
    assert_eq!(store.channel(channel).await.unwrap().unwrap().settled_nc, 90);
    store.apply_events(&EventPage { from: Some(cursor(1, 12)), ..stale }).await.unwrap();
    assert_eq!(store.cursor("settlement").await.unwrap(), Some(cursor(3, 20)));
    assert_eq!(store.drop_provisional("settlement", 20).await.unwrap(), 1, "the fork with event 2 lost");
    assert_eq!(store.events_of(&channel.0, 10).await.unwrap().len(), 2);
    world.stop().await;
}

async fn a_channel_names_its_parties_once(world: World) {
    let channel = world.channel(1, 1).await;
    let known = world.store.ensure_channel(channel, common::CONSUMER, GATEWAY).await.unwrap();
    assert_eq!((known.next_nonce, known.charged_nc), (2, 0));
    let other = world.store.ensure_channel(channel, GATEWAY, GATEWAY).await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })));
    assert_eq!(world.store.channels_of_consumer(common::CONSUMER).await.unwrap(), [known]);
    assert_eq!(world.store.channel(ChannelId([8; 32])).await.unwrap(), None);
    world.stop().await;
}

async fn material_is_kept_once_and_goes_after_its_time(world: World) {
    let row = |tag: u8, expires_ms| SealedMaterial { receipt_hash: [tag; 32], expires_ms, sealed: vec![tag; 40] };
    world.store.keep_material(&[row(1, 100), row(2, 200), row(3, 300)]).await.unwrap();
    let second = SealedMaterial { sealed: vec![9], ..row(1, 900) };
    world.store.keep_material(&[second]).await.unwrap();
    assert_eq!(world.store.sealed_material(&[1; 32]).await.unwrap(), Some(vec![1; 40]), "the first stays");
    assert_eq!(world.store.drop_expired_material(200, 1).await.unwrap(), 1, "at most so many at once");
    assert_eq!(world.store.drop_expired_material(200, 10).await.unwrap(), 1);
    assert_eq!(world.store.sealed_material(&[2; 32]).await.unwrap(), None);
    assert!(world.store.sealed_material(&[3; 32]).await.unwrap().is_some());
}

async fn an_audit_is_leased_judged_and_ended_once(mut world: World) {
    closed_epoch(&mut world, 2).await;
    let batch = build(&world).await;
    world.store.insert_batch(&batch, None).await.unwrap();
    let charge = world.store.receipt_at(batch.id, 3).await.unwrap().unwrap();
    assert_eq!(charge.receipt_id, batch.receipts[3].receipt_id);
    assert!(world.store.receipt_at(batch.id, 6).await.unwrap().is_none());

    let audit = |draw| NewAudit {
        id: DrawId { batch: batch.id, draw },
        seed: [4; 32],
        leaf: 3,
        receipt_id: charge.receipt_id.clone(),
        worker: waybill_protocol::WorkerId([1; 32]),
        price_nc: 10,
    };
    world.store.insert_audits(&[audit(0), audit(1)], 50).await.unwrap();
    world.store.insert_audits(&[audit(0), audit(1)], 60).await.unwrap();
    assert_eq!(world.store.count_audits(batch.id).await.unwrap(), 2);

    let first = world.store.lease_audit(100, 200).await.unwrap().unwrap();
    let second = world.store.lease_audit(100, 200).await.unwrap().unwrap();
    assert_ne!(first.id, second.id, "two callers never hold the same");
    assert_eq!(world.store.lease_audit(199, 300).await.unwrap(), None, "both are held");
    assert_eq!(world.store.lease_audit(200, 300).await.unwrap().unwrap().id, first.id, "a lease runs out");
    assert_eq!((first.seed, first.created_ms, first.state), ([4; 32], 50, AuditState::Open));

    let verdict = |verifier: u8, verdict: u8| StoredVerdict {
        verifier: waybill_protocol::WorkerId([verifier; 32]),
        verdict: vec![verdict],
        created_ms: 70,
    };
    world.store.keep_verdict(first.id, &verdict(5, 1)).await.unwrap();
    world.store.keep_verdict(first.id, &verdict(5, 2)).await.unwrap();
    world.store.keep_verdict(first.id, &verdict(6, 3)).await.unwrap();
    assert_eq!(
        world.store.verdicts(first.id).await.unwrap(),
        [verdict(5, 1), verdict(6, 3)],
        "a verifier's first stays"
    );

    world.store.defer_audit(second.id, "nobody is there", 500, 210).await.unwrap();
    assert_eq!(world.store.audit(second.id).await.unwrap().unwrap().note, "nobody is there");
    assert!(world.store.end_audit(first.id, AuditState::Failed, "two of two", 220).await.unwrap());
    assert!(!world.store.end_audit(first.id, AuditState::Passed, "too late", 230).await.unwrap(), "it ends once");
    assert_eq!(world.store.lease_audit(400, 900).await.unwrap(), None);
    assert_eq!(world.store.lease_audit(500, 900).await.unwrap().unwrap().id, second.id);
    let failed = world.store.audits(Some(AuditState::Failed), 10).await.unwrap();
    assert_eq!(failed.iter().map(|audit| audit.id).collect::<Vec<_>>(), [first.id]);
    assert_eq!(world.store.audits(None, 10).await.unwrap().len(), 2);
    assert_eq!(world.store.audits_of_receipt(&charge.receipt_id).await.unwrap().len(), 2);
}
