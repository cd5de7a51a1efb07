//! Statements about the whole network, made on the real thing: the `waybill` program, real models, the built programs on
//! a local chain. Killed with SIGKILL where it hurts.
#![allow(clippy::unwrap_used)]

mod audits;
mod books;
mod disputes;
mod lineage;
mod network;
mod workers;

use futures_util::{StreamExt, stream};
use network::{Apart, Books, Charge, Network, ready_to_run};
use std::{collections::HashSet, time::Duration};
use tokio::sync::Mutex;
use waybill_chain::settlement::state::BatchState;

/// One network at a time: each wants the whole machine.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Requests in flight at once.
const CONCURRENCY: usize = 8;

fn total(charges: &[Charge]) -> u64 {
    charges.iter().map(|charge| charge.nc).sum()
}

/// Sends `count` requests: mostly embeddings, some chats, some of them streamed.
async fn mixed(network: &Network, count: usize) -> Vec<Charge> {
    let requests = (0..count).map(|i| async move {
        match i % 10 {
            0 => network.chat(&format!("Name a city, number {i}."), 4).await,
            5 => network.stream(&format!("Name a river, number {i}."), 4).await,
            _ => network.embed(&format!("parcel {i} travels from door to door")).await,
        }
    });
    stream::iter(requests).buffer_unordered(CONCURRENCY).collect().await
}

/// Every charge is posted once, every batch is swept, and the books balance.
fn settled(charged_nc: u64) -> impl FnMut(&Books) -> bool {
    move |books| books.posted_nc() >= charged_nc && books.swept_nc() == books.posted_nc()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mixed_requests_settle_to_the_last_unit() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up(folder.path());
    let charges = mixed(&network, 1_000).await;
    let charged_nc = total(&charges);
    let receipts: HashSet<&str> = charges.iter().map(|charge| charge.receipt.as_str()).collect();
    assert_eq!(receipts.len(), 1_000, "every request has a receipt of its own");

    let books = network.until("every batch is swept", settled(charged_nc)).await;
    assert_eq!(books.posted_nc(), charged_nc, "the chain was told exactly what consumers were charged");
    books.assert_conserved();
    let worth_aic: u64 = books.batches.iter().map(|batch| batch.aic).sum();
    let claimed_aic: u64 = books.batches.iter().map(|batch| batch.claimed_aic).sum();
    let lines: u64 = books.batches.iter().map(|batch| u64::from(batch.n_lines)).sum();
    // The remainder rule: a line's AIC rounds down, so what stays is less than one unit a line and goes to insurance.
    assert!(worth_aic - claimed_aic < lines, "{worth_aic} - {claimed_aic} against {lines} lines");
    let earned_aic: u64 = books.earnings.iter().map(|earnings| earnings.total_in_aic).sum();
    let fee_aic: u64 = books.batches.iter().map(|batch| batch.fee_aic).sum();
    let burn_aic: u64 = books.batches.iter().map(|batch| batch.burn_aic).sum();
    // Earnings hold every share but the fee; the gateway's part of the fee comes back into its earnings.
    let payee_parts = claimed_aic - fee_aic - burn_aic;
    let gateway_parts = earned_aic - payee_parts;
    assert!(gateway_parts <= fee_aic * 60 / 300, "{gateway_parts} of a fee of {fee_aic}");
    assert_eq!(books.audits_aic, books.batches.iter().map(|batch| batch.fee_aic * 120 / 300).sum::<u64>());
    assert_eq!(books.pool_aic, earned_aic, "nothing was withdrawn, so the pool holds all earnings");
    assert_eq!(burn_aic, 0, "the consumer has a curator, so no share is burned");
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_whole_network_at_any_step_neither_loses_nor_doubles_a_charge() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut charges = Vec::new();

    // After the answer: the charge is durable the moment the consumer has read the end.
    let network = Network::up(folder.path());
    charges.extend(mixed(&network, 20).await);
    network.process.kill();

    // Before the batch is posted, which the restart does by itself.
    let network = Network::up(folder.path());
    charges.extend(mixed(&network, 20).await);
    network
        .until("a channel is being settled", |books| books.channels.iter().any(|channel| channel.settled_nc > 0))
        .await;
    network.process.kill();

    // After a batch is posted, before it is final.
    let network = Network::up(folder.path());
    network
        .until("a batch is posted", |books| books.batches.iter().any(|batch| batch.state == BatchState::Posted))
        .await;
    network.process.kill();

    // After a batch is claimed: its lines at once where they are few, so that no moment lies between two of them.
    let network = Network::up(folder.path());
    charges.extend(mixed(&network, 20).await);
    network
        .until("a batch is claimed", |books| books.batches.iter().any(|batch| batch.claimed_lines == batch.n_lines))
        .await;
    network.process.kill();

    let network = Network::up(folder.path());
    let charged_nc = total(&charges);
    let books = network.until("every batch is swept", settled(charged_nc)).await;
    assert_eq!(books.posted_nc(), charged_nc);
    books.assert_conserved();
    // And it still serves.
    network.embed("after all that").await;
    tokio::time::timeout(Duration::from_secs(30), async { network.process.kill() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_one_service_at_a_time_neither_loses_nor_doubles_a_charge() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut whole = Network::up(folder.path());
    let mut charges = vec![whole.embed("set up").await];
    whole.process.kill_now();

    let apart = Apart::of(folder.path());
    let chain = apart.chain();
    let scheduler = apart.scheduler();
    let _worker = apart.worker();
    let gateway = apart.gateway(&whole);
    gateway.until_readiness(200).await;
    charges.extend(mixed(&gateway, 20).await);

    // The gateway, right after its answers.
    gateway.process.kill();
    let gateway = apart.gateway(&whole);
    gateway.until_readiness(200).await;
    charges.extend(mixed(&gateway, 20).await);

    // The scheduler, while a batch is between posting and its last claim.
    let posted = |books: &Books| books.batches.iter().any(|batch| batch.state != BatchState::Swept);
    gateway.until("a batch is under way", posted).await;
    scheduler.kill();
    let _scheduler = apart.scheduler();
    gateway.until_readiness(200).await;
    charges.extend(mixed(&gateway, 20).await);

    // The chain: the gateway says so and sells nothing on a stale view; what was in flight and the outbox wait for it.
    chain.kill();
    gateway.until_readiness(503).await;
    let _chain = apart.chain();
    gateway.until_readiness(200).await;
    charges.extend(mixed(&gateway, 20).await);

    let charged_nc = total(&charges);
    let books = gateway.until("every batch is swept", settled(charged_nc)).await;
    assert_eq!(books.posted_nc(), charged_nc);
    books.assert_conserved();
}
