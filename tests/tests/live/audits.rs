//! Audits on the whole network: receipts are drawn by the chain, re-executed by other operators' workers on real models,
//! and what their verdicts say follows on chain, without anybody asking for it.

use crate::{
    ALONE,
    network::{Network, QUICK_PLAN, read_key, ready_to_run},
    workers,
};
use anchor_lang::prelude::Pubkey;
use serde_json::Value;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use waybill_chain::{
    coin, ix,
    market::{
        self,
        state::{Party, Role},
    },
    settlement::{
        self, seeds,
        state::{Audit, Earnings, Outcome, SettleConfig, Vote, WorkerRecord},
    },
};

const AIC: u64 = 1_000_000_000;
/// $1 at the plan's rate.
const BOND_AIC: u64 = 20 * AIC;
const CLASS: &str = "1";
const PATIENCE: Duration = Duration::from_secs(480);

/// The quick network, with audits that count and so many draws a batch. From the posting of a batch to its verdicts the chain takes 13 s and the
/// auditor some looks, and the machine may be busy.
fn plan(draws: u16) -> String {
    let changes = [
        ("epoch_s = 20", "epoch_s = 30"),
        ("challenge_s = 3", "challenge_s = 90"),
        ("provider = 500", "provider = 50"),
        ("verifier = 2000", "verifier = 50"),
    ];
    let plan = changes.iter().fold(QUICK_PLAN.to_owned(), |plan, (old, new)| {
        assert!(plan.contains(old), "{old}");
        plan.replacen(old, new, 1)
    });
    format!("{plan}\n[audit]\nenforce = true\ndraws = {draws}\nverdict_s = 60\nretention_s = 0\n")
}

/// Asks until there is an answer.
async fn until<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = asked().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Gives a wallet AIC of the consumer's and stakes it in a role.
async fn stake(network: &Network, consumer: &Keypair, wallet: &Keypair, role: Role, aic: u64) {
    let (owner, from) = (wallet.pubkey(), consumer.pubkey());
    let fund = [ix::create_aic_account(&from, &owner), ix::transfer_aic(&from, &ix::aic_account(&owner), aic * AIC)];
    network.chain.send(consumer, &[], &fund).await.unwrap();
    let stake = [ix::market::register_party(owner, owner, role), ix::market::add_stake(owner, role, aic * AIC)];
    network.chain.send(wallet, &[], &stake).await.unwrap();
}

/// The account that pays verifiers holds more than all of them earn here; fees fill it only when batches end.
async fn fill_audits(network: &Network, consumer: &Keypair) {
    let audits = seeds::find_audits(&coin::seeds::find_mint().0).0;
    let fill = ix::transfer_aic(&consumer.pubkey(), &audits, 10 * AIC);
    network.chain.send(consumer, &[], &[fill]).await.unwrap();
}

async fn audits(network: &Network) -> BTreeMap<Pubkey, Audit> {
    let audits: Vec<(Pubkey, Audit)> = network.chain.all(&settlement::ID).await.unwrap_or_default();
    audits.into_iter().collect()
}

async fn earned(network: &Network, owner: &Pubkey) -> u64 {
    let earnings = seeds::find_earnings(owner, &coin::seeds::find_mint().0).0;
    let earnings: Option<Earnings> = network.chain.account(&earnings).await.unwrap();
    earnings.map_or(0, |earnings| earnings.total_in_aic)
}

async fn party(network: &Network, owner: &Pubkey, role: Role) -> Party {
    network.chain.account(&market::seeds::find_party(owner, role).0).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_workers_receipts_are_drawn_judged_by_others_and_paid_for() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up_on(folder.path(), &plan(4));
    let file = |name: &str| folder.path().join(format!("data/keys/{name}.json"));
    let key = |name: &str| read_key(&file(name));
    fill_audits(&network, &key("consumer")).await;
    for n in ["1", "2"] {
        let (operator, node) = (format!("operator-{n}"), file(&format!("worker-{n}")));
        stake(&network, &key("consumer"), &key(&operator), Role::Verifier, 100).await;
        let join = ["audit", "verifiers", "join", CLASS, "--node", node.to_str().unwrap()];
        let seat = network.waybill(&file(&operator), &join);
        let again = network.waybill(&file(&operator), &join);
        assert_eq!((&again["seat"], &again["signature"]), (&seat["seat"], &Value::Null), "it sits there already");
    }
    let (worker, operator, verifier) =
        (key("worker-1").pubkey(), key("operator-1").pubkey(), key("operator-2").pubkey());
    let stake_before = party(&network, &operator, Role::Provider).await.stake;

    let mut charges = Vec::new();
    for n in 0..6 {
        charges.push(network.chat_with(&[worker], &format!("Name a city, number {n}.")).await);
    }
    let planted = folder.path().join("planted.json");
    network.evidence(&charges[0], &planted);
    let commit = ["audit", "canary", "commit", planted.to_str().unwrap()];
    let committed = network.waybill(&file("admin"), &commit);
    let again = network.waybill(&file("admin"), &commit);
    assert_eq!((&again["commitment"], &again["signature"]), (&committed["commitment"], &Value::Null));
    // An audit is closed once nothing more follows from it, so its last state is kept here.
    let (mut seen, mut shown) = (BTreeMap::new(), Vec::new());
    until("every audit is over", async || {
        let now = audits(&network).await;
        if shown.is_empty() && !now.is_empty() {
            let data = folder.path().join("data");
            let records = |command: &[&str]| {
                let command = [&["audit"], command, &["--data-dir", data.to_str().unwrap()]].concat();
                network.waybill(&file("consumer"), &command).as_array().unwrap().clone()
            };
            let drawn = records(&["list"]);
            let draws = drawn.iter().flat_map(|line| records(&["show", line["receipt"].as_str().unwrap()]));
            shown = draws.map(|draw| draw["on_chain"].clone()).filter(|case| !case.is_null()).collect();
            let cases = network.waybill(&file("consumer"), &["audit", "cases", "--class", CLASS]);
            assert!(cases.as_array().unwrap().len() >= now.len(), "{cases}");
        }
        let is_over = now.is_empty() && !seen.is_empty();
        seen.extend(now);
        is_over.then_some(())
    })
    .await;
    assert!(!shown.is_empty(), "the gateway's records name the audits on chain");
    for case in shown {
        assert_eq!((&case["worker"], &case["enforce"]), (&worker.to_string().into(), &true.into()), "{case}");
        assert!(seen.contains_key(&case["audit"].as_str().unwrap().parse::<Pubkey>().unwrap()), "{case}");
    }
    for audit in seen.values() {
        assert_eq!((audit.worker, audit.operator, audit.enforce), (worker, operator, true));
        assert_eq!((audit.judged, audit.votes[0], audit.settled), (Outcome::Passed, Vote::Pass, true));
        assert_eq!(audit.n_chairs, 1, "nobody judges its own work");
    }
    // The verifier earns nothing else here: each verdict is paid what the request cost.
    let fees_aic: u64 = seen.values().map(|audit| audit.fee_aic).sum();
    assert_eq!(earned(&network, &verifier).await, fees_aic);
    let record: WorkerRecord = network.chain.account(&seeds::find_record(&worker).0).await.unwrap().unwrap();
    assert_eq!((record.passes, record.failed), (seen.len() as u64, 0));
    assert_eq!(party(&network, &operator, Role::Provider).await.stake, stake_before);

    let charged_nc = charges.iter().map(|charge| charge.nc).sum();
    let books = network.until("every batch is swept", |books| books.swept_nc() >= charged_nc).await;
    assert!(books.batches.iter().all(|batch| batch.forfeited_nc == 0));
    let seats = network.waybill(&file("consumer"), &["audit", "verifiers", "list"]);
    assert_eq!(seats[0]["seats"].as_array().unwrap().len(), 2, "{seats}");
}

/// Waits for the beginning of a settlement epoch, so that what follows is one batch.
async fn next_epoch(network: &Network) {
    let config: SettleConfig = network.chain.account(&seeds::find_config().0).await.unwrap().unwrap();
    let epoch = async || network.chain.unix_time().await.ok().map(|now| now / i64::from(config.epoch_s));
    let now = epoch().await.unwrap();
    until("the next epoch", async || epoch().await.filter(|next| *next > now)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_serves_a_smaller_model_loses_its_line_and_its_operators_stake() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up_on(folder.path(), &plan(8));
    let file = |name: &str| folder.path().join(format!("data/keys/{name}.json"));
    let key = |name: &str| read_key(&file(name));
    let consumer = key("consumer");
    fill_audits(&network, &consumer).await;
    // Three more verifiers than the network has, for two panels, and the cheater.
    for n in ["3", "4", "5", "6"] {
        let [operator, worker] = ["operator", "worker"].map(|name| file(&format!("{name}-{n}")));
        for file in [&operator, &worker] {
            std::fs::write(file, serde_json::to_string(&Keypair::new().to_bytes().to_vec()).unwrap()).unwrap();
        }
        network.chain.airdrop(&read_key(&operator).pubkey(), 10 * AIC).await.unwrap();
        stake(&network, &consumer, &read_key(&operator), Role::Provider, 100).await;
        let register = ["worker", "register", "--region", "eu-west", "--key", worker.to_str().unwrap()];
        network.waybill(&operator, &register);
    }
    let verifiers = ["1", "2", "3", "4", "6"];
    for n in verifiers {
        let (owner, node) = (format!("operator-{n}"), file(&format!("worker-{n}")));
        stake(&network, &consumer, &key(&owner), Role::Verifier, 100).await;
        network.waybill(&file(&owner), &["audit", "verifiers", "join", CLASS, "--node", node.to_str().unwrap()]);
    }
    let (honest, pretending) = (workers::honest(), workers::pretending());
    let mut running = Vec::new();
    for (n, engines) in [("3", honest.clone()), ("4", honest.clone()), ("6", honest), ("5", pretending)] {
        let evidence = folder.path().join(format!("evidence-{n}"));
        running.push(workers::run(&network, &key(&format!("worker-{n}")), engines, &evidence).await);
    }
    let (cheater, operator) = (key("worker-5").pubkey(), key("operator-5").pubkey());
    let (worker, upright) = (key("worker-1").pubkey(), key("operator-1").pubkey());
    let wallet = ix::aic_account(&consumer.pubkey());
    let before_aic = network.chain.token_balance(&wallet).await.unwrap();

    // All of it in one epoch, so that the cheater has one line.
    next_epoch(&network).await;
    let (mut taken_nc, mut honest_nc) = (0, 0);
    for n in 0..5 {
        taken_nc += network.chat_with(&[cheater], &format!("Name a city, number {n}.")).await.nc;
    }
    for n in 0..3 {
        honest_nc += network.chat_with(&[worker], &format!("Name a river, number {n}.")).await.nc;
    }

    // Somebody doubts the first pass and the first conviction, both rightly given.
    let (mut seen, mut doubted) = (BTreeMap::new(), BTreeMap::new());
    until("the cheater is convicted and every audit is over", async || {
        let now = audits(&network).await;
        for (address, audit) in &now {
            if audit.judged != Outcome::Open && audit.may_be_appealed() && !doubted.contains_key(&audit.worker) {
                let address = address.to_string();
                let appealed = network.waybill(&file("consumer"), &["audit", "appeal", &address]);
                assert_eq!((&appealed["audit"], &appealed["outcome"]), (&Value::from(address.clone()), &"open".into()));
                doubted.insert(audit.worker, address.parse::<Pubkey>().unwrap());
            }
        }
        let is_over = now.is_empty() && seen.values().any(|audit: &Audit| audit.worker == cheater);
        seen.extend(now);
        is_over.then_some(())
    })
    .await;
    for (address, audit) in &seen {
        let votes = |vote| audit.votes.iter().filter(|cast| **cast == vote).count();
        let is_doubted = doubted.values().any(|doubted| doubted == address);
        assert!(audit.settled, "{audit:?}");
        assert_eq!(votes(Vote::Absent), 0, "every verifier that was asked answered");
        if audit.worker == cheater {
            assert_eq!((audit.n_chairs, audit.round), (5, if is_doubted { 3 } else { 2 }));
            assert_eq!((audit.judged, votes(Vote::Pass)), (Outcome::Failed, 0), "{:?}", audit.votes);
            assert!(votes(Vote::Mismatch) >= 3, "the first verifier and most of those asked later");
            assert!(audit.convicts() && audit.worker_punished && audit.line_done);
        } else {
            assert_eq!(
                (audit.n_chairs, audit.round),
                (4, if is_doubted { 2 } else { 1 }),
                "nobody judges its own work"
            );
            assert_eq!((audit.judged, votes(Vote::Mismatch)), (Outcome::Passed, 0));
        }
    }
    assert!(doubted.contains_key(&cheater));
    let lost_aic = before_aic - network.chain.token_balance(&wallet).await.unwrap();
    assert_eq!(lost_aic, doubted.len() as u64 * BOND_AIC, "whoever doubts a right decision loses the bond");

    let books = network.until("every batch is swept", |books| books.swept_nc() >= taken_nc + honest_nc).await;
    let forfeited_nc: u64 = books.batches.iter().map(|batch| batch.forfeited_nc).sum();
    assert_eq!(forfeited_nc, taken_nc, "the whole line of the cheater is void, and no other");
    assert_eq!(earned(&network, &operator).await, 0);
    assert!(earned(&network, &upright).await > 0);
    // A fifth of the stake for a bad output; many proofs of one bad hour are one bad hour.
    assert_eq!(party(&network, &operator, Role::Provider).await.stake, 80 * AIC);
    assert_eq!(party(&network, &upright, Role::Provider).await.stake, 100 * AIC);
    for n in verifiers {
        let stake = party(&network, &key(&format!("operator-{n}")).pubkey(), Role::Verifier).await.stake;
        assert_eq!(stake, 100 * AIC, "nobody judged wrongly");
    }
    let record: WorkerRecord = network.chain.account(&seeds::find_record(&cheater).0).await.unwrap().unwrap();
    assert_eq!(record.passes, 0);
    assert!(record.failed > 0);
}
