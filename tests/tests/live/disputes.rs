//! Disputes on the whole network: accusations from the command line against a gateway whose settlement answers by itself,
//! and against one whose settlement has stopped.

use crate::{
    ALONE,
    network::{Apart, Books, Charge, Network, QUICK_PLAN, ready_to_run},
};
use anchor_lang::prelude::Pubkey;
use serde_json::Value;
use solana_signer::Signer;
use std::{path::Path, time::Duration};
use waybill_chain::{
    Chain, coin,
    market::{
        seeds::find_party,
        state::{Party, Role},
    },
    settlement::state::{Batch, BatchState, Dispute, DisputeKind, DisputeState},
};

const AIC: u64 = 1_000_000_000;
/// $1 at the plan's rate.
const BOND_AIC: u64 = 20 * AIC;

/// The quick plan with time for people: `challenge_s` to accuse in and `response_s` to answer in.
fn plan(challenge_s: u32, response_s: u32) -> String {
    let patient = QUICK_PLAN.replace("challenge_s = 3", &format!("challenge_s = {challenge_s}"));
    assert_ne!(patient, QUICK_PLAN);
    format!("{patient}\n[dispute]\nbond_nc = 0\nresponse_s = {response_s}\n")
}

/// Requests of two models, so that a batch has more than one line.
async fn requests(network: &Network) -> Vec<Charge> {
    let mut charges = vec![network.chat("Name a harbour.", 2).await];
    for i in 0..4 {
        charges.push(network.embed(&format!("parcel {i} waits at the quay")).await);
    }
    charges
}

/// Evidence of a receipt in a batch that can still be challenged, saved to a file.
async fn evidence(network: &Network, charges: &[Charge], folder: &Path) -> String {
    let posted = |books: &Books| books.batches.iter().any(|batch| batch.state == BatchState::Posted);
    let books = network.until("a batch is posted", posted).await;
    let epochs: Vec<u32> =
        books.batches.iter().filter(|batch| batch.state == BatchState::Posted).map(|batch| batch.epoch).collect();
    let file = folder.join("receipt.json");
    for charge in charges {
        let bundle = network.evidence(charge, &file);
        if bundle["batch"]["epoch"].as_u64().is_some_and(|epoch| epochs.iter().any(|e| u64::from(*e) == epoch)) {
            return file.to_str().unwrap().to_owned();
        }
    }
    panic!("no receipt is in a batch of {epochs:?}");
}

/// Everything that was charged is settled to its end.
fn swept(charges: &[Charge]) -> impl FnMut(&Books) -> bool {
    let charged_nc: u64 = charges.iter().map(|charge| charge.nc).sum();
    move |books| books.posted_nc() >= charged_nc && books.swept_nc() == books.posted_nc()
}

async fn dispute(chain: &Chain, address: &str) -> Dispute {
    chain.account(&address.parse().unwrap()).await.unwrap().unwrap()
}

/// The gateway that serves the test: who is accused.
fn accused(books: &Books) -> Pubkey {
    books.vaults[0].gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn false_accusations_are_answered_by_themselves_and_cost_the_challenger_its_bonds() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up_on(folder.path(), &plan(30, 240));
    let (challenger, key) = network.purse(folder.path(), "challenger", 100 * AIC).await;
    let charges = requests(&network).await;
    let file = evidence(&network, &charges, folder.path()).await;
    let before = network.until("books", |_| true).await;
    let gateway = accused(&before);
    let gateway_had = network.balance(&gateway).await;

    let mut disputes = Vec::new();
    for kind in ["line", "receipt"] {
        let opened = network.waybill(&key, &["dispute", "open", kind, "--bundle", &file]);
        assert_eq!(opened["signatures"].as_array().unwrap().len(), 1, "{opened}");
        // Once more says where it stands and lodges no second bond.
        let again = network.waybill(&key, &["dispute", "open", kind, "--bundle", &file]);
        assert_eq!((&again["dispute"], again["signatures"].as_array().unwrap().len()), (&opened["dispute"], 0));
        disputes.push(opened["dispute"].as_str().unwrap().to_owned());
    }

    // Nobody does anything: the gateway's settlement answers from its stored receipts and ends both.
    let dismissed = |books: &Books| {
        books.disputes.iter().filter(|dispute| dispute.state == DisputeState::Dismissed).count() == disputes.len()
    };
    network.until("both disputes are dismissed", dismissed).await;
    assert_eq!(network.balance(&challenger.pubkey()).await, 100 * AIC - 2 * BOND_AIC, "both bonds are lost");
    assert_eq!(network.balance(&gateway).await, gateway_had + 2 * BOND_AIC, "and are the gateway's");
    let [line, receipt] = [0, 1].map(|i| disputes[i].clone());
    let (line, receipt) = (dispute(&network.chain, &line).await, dispute(&network.chain, &receipt).await);
    assert_eq!((line.kind, receipt.kind), (DisputeKind::OpenLine, DisputeKind::OpenReceipt));
    // The line's two ends may be the same receipt, which is then shown once; a receipt's signature is staged first.
    assert_eq!((line.step, receipt.step), (1 + u8::from(line.first < line.last), 2));

    // The batch takes its course with every line.
    let books = network.until("every batch is swept", swept(&charges)).await;
    assert!(books.batches.iter().all(|batch| batch.forfeited_nc == 0 && batch.open_disputes == 0));
    books.assert_conserved();
    let outcome = network.waybill(&key, &["dispute", "resolve", &disputes[0]]);
    assert_eq!((&outcome["state"], outcome["signatures"].as_array().unwrap().len()), (&"dismissed".into(), 0));
    let (open, all) =
        (network.waybill(&key, &["dispute", "list"]), network.waybill(&key, &["dispute", "list", "--all"]));
    assert_eq!((open.as_array().unwrap().len(), all.as_array().unwrap().len()), (0, 2));
    for address in &disputes {
        network.waybill(&key, &["dispute", "close", address]);
        assert!(network.chain.data(&address.parse().unwrap()).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_keeps_silent_loses_the_line_and_a_quarter_of_its_stake() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut whole = Network::up_on(folder.path(), &plan(30, 5));
    let (challenger, key) = whole.purse(folder.path(), "challenger", 100 * AIC).await;
    let mut charges = vec![whole.embed("set up").await];
    whole.process.kill_now();

    let apart = Apart::of(folder.path());
    let _chain = apart.chain();
    let scheduler = apart.scheduler();
    let _worker = apart.worker();
    let gateway = apart.gateway(&whole);
    gateway.until_readiness(200).await;
    charges.extend(requests(&gateway).await);
    let file = evidence(&gateway, &charges, folder.path()).await;
    // Settlement runs beside the scheduler: both stop.
    scheduler.kill();

    let chain = &gateway.chain;
    let before = gateway.until("books", |_| true).await;
    let party = find_party(&accused(&before), Role::Gateway).0;
    let stake = async || chain.account::<Party>(&party).await.unwrap().unwrap().stake;
    let had = stake().await;
    let opened = gateway.waybill(&key, &["dispute", "open", "line", "--bundle", &file]);
    assert_eq!((&opened["state"], &opened["guilty"]), (&"open".into(), &Value::Null));
    let address = opened["dispute"].as_str().unwrap().to_owned();
    assert_eq!(gateway.balance(&challenger.pubkey()).await, 100 * AIC - BOND_AIC);

    // Silence until the deadline; then anyone ends it.
    let deadline = opened["deadline"].as_i64().unwrap();
    while chain.unix_time().await.unwrap() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let shown = gateway.waybill(&key, &["dispute", "show", &address]);
    assert_eq!(shown["guilty"], true);
    let ended = gateway.waybill(&key, &["dispute", "resolve", &address]);
    assert_eq!((&ended["state"], &ended["kind"]), (&"upheld".into(), &"D3 line".into()));

    // A quarter of the stake is gone: four tenths of that are the challenger's, whose bond has returned.
    let penalty = had / 4;
    assert_eq!(stake().await, had - penalty);
    assert_eq!(gateway.balance(&challenger.pubkey()).await, 100 * AIC + penalty * 4 / 10);
    let outcome = dispute(chain, &address).await;
    let batch: Batch = chain.account(&outcome.target).await.unwrap().unwrap();
    assert_eq!((batch.forfeited_nc, batch.open_disputes), (outcome.amount_nc, 0));

    // The settlement comes back, pays the other lines, and the void line's worth is the insurance's.
    let insurance = coin::seeds::find_vault(coin::state::VaultKind::Insurance).0;
    let insured = chain.token_balance(&insurance).await.unwrap();
    let _scheduler = apart.scheduler();
    let books = gateway.until("every batch is swept", swept(&charges)).await;
    books.assert_conserved();
    let disputed = books.batches.iter().find(|b| (b.epoch, b.shard) == (batch.epoch, batch.shard)).unwrap();
    assert_eq!((disputed.claimed_lines, disputed.claimed_nc), (disputed.n_lines, disputed.sum_nc), "no line is left");
    let void_aic =
        u64::try_from(u128::from(disputed.aic) * u128::from(disputed.forfeited_nc) / u128::from(disputed.sum_nc))
            .unwrap();
    assert!(chain.token_balance(&insurance).await.unwrap() >= insured + void_aic);
}
