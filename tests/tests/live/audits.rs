//! Audits on the whole network: receipts are drawn by the chain, re-executed by other operators' workers on real models,
//! and what their verdicts say follows on chain, without anybody asking for it.

use crate::{
    ALONE,
    network::{Network, QUICK_PLAN, ready_to_run},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use waybill_chain::{
    ix,
    market::state::{Party, Role},
    settlement::{
        self, seeds,
        state::{Audit, BatchState, Earnings, Outcome, Vote, WorkerRecord},
    },
};

const AIC: u64 = 1_000_000_000;
const CLASS: &str = "1";
/// From the posting of a batch to its verdicts takes the chain 13 s and the auditor some looks; the machine may be busy.
const CHALLENGE: &str = "challenge_s = 90";
const PATIENCE: Duration = Duration::from_secs(300);

/// The quick network, with audits that count.
fn plan() -> String {
    let plan = QUICK_PLAN.replace("challenge_s = 3", CHALLENGE).replace("verifier = 2000", "verifier = 100");
    assert!(plan.contains(CHALLENGE) && plan.contains("verifier = 100"));
    format!("{plan}\n[audit]\nenforce = true\ndraws = 4\nverdict_s = 60\nretention_s = 0\n")
}

fn read_key(path: &Path) -> Keypair {
    let bytes: Vec<u8> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    Keypair::try_from(bytes.as_slice()).unwrap()
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

async fn audits(network: &Network) -> Vec<Audit> {
    let audits = network.chain.all(&settlement::ID).await.unwrap_or_default();
    audits.into_iter().map(|(_, audit)| audit).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_workers_receipts_are_drawn_judged_by_others_and_paid_for() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up_on(folder.path(), &plan());
    let file = |name: &str| folder.path().join(format!("data/keys/{name}.json"));
    let key = |name: &str| read_key(&file(name));
    for n in ["1", "2"] {
        let (operator, node) = (format!("operator-{n}"), file(&format!("worker-{n}")));
        stake(&network, &key("consumer"), &key(&operator), Role::Verifier, 100).await;
        let join = ["audit", "verifiers", "join", CLASS, "--node", node.to_str().unwrap()];
        let seat = network.waybill(&file(&operator), &join);
        assert_eq!(network.waybill(&file(&operator), &join)["seat"], seat["seat"], "joining again changes nothing");
    }
    let (worker, operator) = (key("worker-1").pubkey(), key("operator-1").pubkey());
    let provider = market::seeds::find_party(&operator, Role::Provider).0;
    let stake_before = network.chain.account::<Party>(&provider).await.unwrap().unwrap().stake;

    let mut charges = Vec::new();
    for n in 0..6 {
        charges.push(network.chat_with(&[worker], &format!("Name a city, number {n}.")).await);
    }
    let judged =
        until("a receipt is judged", async || audits(&network).await.into_iter().find(|audit| audit.settled)).await;
    assert_eq!((judged.worker, judged.operator, judged.enforce), (worker, operator, true));
    assert_eq!((judged.judged, judged.votes[0]), (Outcome::Passed, Vote::Pass));
    assert_eq!(judged.n_chairs, 1, "nobody judges its own work");

    // The verifier earns nothing else: it is paid what the request cost, out of the fees.
    let verifier = seeds::find_earnings(&key("operator-2").pubkey(), &waybill_chain::coin::seeds::find_mint().0).0;
    let paid = async || network.chain.account::<Earnings>(&verifier).await.ok()?.filter(|paid| paid.total_in_aic > 0);
    let paid = until("the verifier is paid", paid).await;
    assert!(paid.total_in_aic <= judged.fee_aic * 4, "four draws at most");
    let charged_nc = charges.iter().map(|charge| charge.nc).sum();
    let books = network.until("the batch is final", |books| books.swept_nc() >= charged_nc).await;
    assert!(books.batches.iter().all(|batch| batch.forfeited_nc == 0));
    until("every audit is closed", async || audits(&network).await.is_empty().then_some(())).await;

    let record: WorkerRecord = network.chain.account(&seeds::find_record(&worker).0).await.unwrap().unwrap();
    assert!((1..=4).contains(&record.passes), "{record:?}");
    assert_eq!(network.chain.account::<Party>(&provider).await.unwrap().unwrap().stake, stake_before);
    let shown = network.waybill(&file("consumer"), &["audit", "verifiers", "list"]);
    assert_eq!(shown[0]["seats"].as_array().unwrap().len(), 2, "{shown}");
    assert!(books.batches.iter().any(|batch| batch.state == BatchState::Swept));
}
