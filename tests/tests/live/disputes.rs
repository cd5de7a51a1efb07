//! Disputes on the whole network: accusations from the command line against a gateway whose settlement answers by itself,
//! and against one whose settlement has stopped.

use crate::{
    ALONE,
    network::{Apart, Books, Charge, Network, QUICK_PLAN, read_key, ready_to_run},
};
use anchor_lang::prelude::Pubkey;
use serde_json::Value;
use solana_signer::Signer;
use std::path::{Path, PathBuf};
use waybill_chain::{
    Chain, coin,
    market::{
        seeds::{find_node, find_party},
        state::{Node, Party, Role},
    },
    settlement::state::{Batch, BatchState, Dispute, DisputeKind, DisputeState},
};
use waybill_mechanism::message::Receipt;

const AIC: u64 = 1_000_000_000;
/// Of the quick plan.
const EPOCH_S: i64 = 20;
/// $1 at the plan's rate.
const BOND_AIC: u64 = 20 * AIC;

/// The quick plan with time for people: `challenge_s` to accuse in and `response_s` to answer in.
fn plan(challenge_s: u32, response_s: u32) -> String {
    let patient = QUICK_PLAN.replace("challenge_s = 3", &format!("challenge_s = {challenge_s}"));
    assert!(patient.contains(&format!("challenge_s = {challenge_s}\n")), "{patient}");
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

/// The operator of the worker that served the receipt of a bundle, and its keypair file.
async fn operator(network: &Network, folder: &Path, bundle: &str) -> (Pubkey, PathBuf) {
    let bundle: Value = serde_json::from_slice(&std::fs::read(bundle).unwrap()).unwrap();
    let receipt = Receipt::from_bytes(&hex::decode(bundle["receipt"].as_str().unwrap()).unwrap()).unwrap();
    let node = find_node(&Pubkey::new_from_array(receipt.worker)).0;
    let operator = network.chain.account::<Node>(&node).await.unwrap().unwrap().operator;
    let files = ["operator-1", "operator-2"].map(|name| folder.join(format!("data/keys/{name}.json")));
    let file = files.into_iter().find(|file| read_key(file).pubkey() == operator).unwrap();
    (operator, file)
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
    // All in one epoch, and so in one batch.
    let now = network.chain.unix_time().await.unwrap();
    network.until_time(if now % EPOCH_S < EPOCH_S / 2 { now } else { now / EPOCH_S * EPOCH_S + EPOCH_S }).await;
    let charges = requests(&network).await;
    let file = evidence(&network, &charges, folder.path()).await;
    let before = network.until("books", |_| true).await;
    let gateway = accused(&before);
    network.give(folder.path(), &gateway, BOND_AIC).await;
    let gateway_had = network.balance(&gateway).await;

    // Proofs that would fail are refused before there is a bond to lose.
    let other = folder.path().join("other.json");
    network.evidence(&charges[1], &other);
    let other = other.to_str().unwrap();
    for (kind, why) in [("order", "fit one epoch"), ("equivocation", "do not contradict"), ("price", "costs no more")] {
        let refused = network.refused(&key, &["dispute", "open", kind, "--bundle", &file, "--other", other]);
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(network.balance(&challenger.pubkey()).await, 100 * AIC);

    let (operator, operator_key) = operator(&network, folder.path(), &file).await;
    network.give(folder.path(), &operator, 100 * AIC).await;
    let consumer_key = folder.path().join("data/keys/consumer.json");
    let consumer = read_key(&consumer_key).pubkey();
    // The gateway accuses itself, so that it pays the rent of a dispute.
    let gateway_key = folder.path().join("data/keys/gateway.json");
    let own = network.waybill(&gateway_key, &["dispute", "open", "receipt", "--bundle", other]);
    let own: Pubkey = own["dispute"].as_str().unwrap().parse().unwrap();
    let accusations = [
        ("line", &key, challenger.pubkey()),
        ("receipt", &key, challenger.pubkey()),
        ("underpaid", &operator_key, operator),
        // The first request's note against what was settled for all.
        ("overcharge", &consumer_key, consumer),
    ];
    let mut disputes = Vec::new();
    for (kind, key, accuser) in &accusations {
        let had = network.balance(accuser).await;
        let opened = network.waybill(key, &["dispute", "open", kind, "--bundle", &file]);
        assert_eq!(opened["signatures"].as_array().unwrap().len(), 1, "{opened}");
        // Once more says where it stands and lodges no second bond.
        let again = network.waybill(key, &["dispute", "open", kind, "--bundle", &file]);
        assert_eq!((&again["dispute"], again["signatures"].as_array().unwrap().len()), (&opened["dispute"], 0));
        assert_eq!(network.balance(accuser).await, had - BOND_AIC);
        disputes.push(opened["dispute"].as_str().unwrap().to_owned());
    }

    // Nobody does anything: the gateway's settlement answers from its stored receipts and ends them all.
    let dismissed = |books: &Books| {
        books.disputes.iter().filter(|dispute| dispute.state == DisputeState::Dismissed).count() > disputes.len()
    };
    network.until("every dispute is dismissed", dismissed).await;
    assert_eq!(network.balance(&challenger.pubkey()).await, 100 * AIC - 2 * BOND_AIC, "the bonds are lost");
    assert_eq!(network.balance(&gateway).await, gateway_had + 4 * BOND_AIC, "and are the gateway's");
    let [line, receipt] = [0, 1].map(|i| disputes[i].clone());
    let (line, receipt) = (dispute(&network.chain, &line).await, dispute(&network.chain, &receipt).await);
    assert_eq!((line.kind, receipt.kind), (DisputeKind::OpenLine, DisputeKind::OpenReceipt));
    // The line's two ends may be the same receipt, which is then shown once; a receipt's signature is staged first.
    assert_eq!((line.step, receipt.step), (1 + u8::from(line.first < line.last), 2));

    // The batch takes its course with every line.
    let books = network.until("every batch is swept", swept(&charges)).await;
    assert!(books.batches.iter().all(|batch| batch.forfeited_nc == 0 && batch.open_disputes == 0));
    books.assert_conserved();
    // The settlement closes what it paid for, and leaves what others paid for to them.
    network.until_gone("the gateway's own dispute", &own).await;
    let outcome = network.waybill(&key, &["dispute", "resolve", &disputes[0]]);
    assert_eq!((&outcome["state"], outcome["signatures"].as_array().unwrap().len()), (&"dismissed".into(), 0));
    let (open, all) =
        (network.waybill(&key, &["dispute", "list"]), network.waybill(&key, &["dispute", "list", "--all"]));
    assert_eq!((open.as_array().unwrap().len(), all.as_array().unwrap().len()), (0, disputes.len()));
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
    let early = gateway.refused(&key, &["dispute", "resolve", &address]);
    assert!(early.contains("can be ended in"), "{early}");
    gateway.until_time(opened["deadline"].as_i64().unwrap()).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_epoch_was_never_posted_is_paid_directly() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let terms = plan(3, 5).replace("post_window_s = 600", "post_window_s = 5");
    let mut whole = Network::up_on(folder.path(), &terms);
    whole.process.kill_now();

    let apart = Apart::of(folder.path());
    let _chain = apart.chain();
    let scheduler = apart.scheduler();
    let _worker = apart.worker();
    let gateway = apart.gateway(&whole);
    gateway.until_readiness(200).await;
    let charge = gateway.embed("a parcel that nobody settles").await;
    // The worker's countersigned receipt is all that its operator needs.
    scheduler.kill();
    let file = folder.path().join("receipt.json");
    gateway.evidence(&charge, &file);
    let file = file.to_str().unwrap();
    let (operator, key) = operator(&gateway, folder.path(), file).await;
    gateway.give(folder.path(), &operator, 100 * AIC).await;
    let had = gateway.balance(&operator).await;
    let early = gateway.refused(&key, &["dispute", "open", "no-batch", "--bundle", file]);
    assert!(early.contains("PostWindowOpen"), "{early}");

    let epoch = gateway.chain.unix_time().await.unwrap() / EPOCH_S;
    gateway.until_time((epoch + 1) * EPOCH_S + 6).await;
    let opened = gateway.waybill(&key, &["dispute", "open", "no-batch", "--bundle", file]);
    assert_eq!((&opened["kind"], &opened["amount_nc"]), (&"D8 no-batch".into(), &charge.nc.into()));
    gateway.until_time(opened["deadline"].as_i64().unwrap()).await;
    let party = find_party(&accused(&gateway.until("books", |_| true).await), Role::Gateway).0;
    let stake = gateway.chain.account::<Party>(&party).await.unwrap().unwrap().stake;
    let ended = gateway.waybill(&key, &["dispute", "resolve", opened["dispute"].as_str().unwrap()]);
    assert_eq!(ended["state"], "upheld");
    // Twenty AIC base units a nano-credit, out of the stake, as nothing was collected; then the penalty on what is left,
    // seven tenths of which are the operator's as the accuser and as the harmed party.
    let owed = charge.nc * 20;
    let penalty = stake - owed - gateway.chain.account::<Party>(&party).await.unwrap().unwrap().stake;
    let gained = gateway.balance(&operator).await - had;
    assert_eq!(gained, owed + penalty * 4 / 10 + penalty * 3 / 10);
    assert!((stake / 4 - owed..=stake / 4).contains(&penalty), "{penalty} of {stake}");

    // The settlement that comes back leaves the shut epoch alone and settles the next one.
    let _scheduler = apart.scheduler();
    gateway.until_readiness(200).await;
    let next = gateway.embed("a parcel that is settled").await;
    let books = gateway.until("the next epoch is swept", swept(std::slice::from_ref(&next))).await;
    assert_eq!(books.posted_nc(), next.nc);
}
