//! SIGKILL against the local chain: what was answered is there after a restart, nothing is half there, and the chain always
//! starts again.
//!
//! The chain runs in a process of its own, this test binary started again for the test [`chain_process`]; the tests talk to
//! it through its JSON-RPC and kill it.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use solana_commitment_config::CommitmentConfig;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_rpc_client::{api::config::RpcSendTransactionConfig, nonblocking::rpc_client::RpcClient};
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use solana_transaction::{Hash, Signature, Transaction};
use tokio_util::sync::CancellationToken;
use waybill_localnet::{LocalnetConfig, LocalnetError};

/// Folder of the chain that [`chain_process`] runs.
const FOLDER: &str = "WAYBILL_LOCALNET_TEST_FOLDER";
/// Precedes the RPC's URL in the output of [`chain_process`].
const READY: &str = "chain ready at ";
/// Lamports.
const SOL: u64 = 1_000_000_000;
/// Lamports that a transaction with one signature costs.
const FEE: u64 = 5_000;
/// `SysvarC1ock11111111111111111111111111111111`
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");

/// The process that the tests kill. It stops by itself when its parent is gone.
#[test]
#[ignore = "run by the other tests"]
fn chain_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let chain = waybill_localnet::start(config(folder.as_ref()), CancellationToken::new()).await.unwrap();
        println!("{READY}{}", chain.rpc_url);
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
            .await
            .unwrap()
            .unwrap();
        chain.stop().await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn state_clock_and_slot_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (payer, payee) = (Keypair::new(), Keypair::new().pubkey());
    let mut signatures = Vec::new();
    let first = Chain::start(folder.path());
    first.airdrop(&payer.pubkey(), SOL).await.unwrap();
    let slot = first.rpc.get_slot().await.unwrap();
    for lamports in 1..=5 {
        signatures
            .push(first.send(&payment(&payer, &payee, lamports * 1_000_000, first.blockhash().await)).await.unwrap());
    }
    // Long enough that a clock which counts slots from the restart on would be wrong by more than is allowed below.
    let mut last_slot = slot;
    while last_slot < slot + 8 {
        last_slot = first.rpc.get_slot().await.unwrap();
    }
    first.assert_clock_is_true().await;
    first.assert_programs_are_installed().await;
    first.kill();

    let second = Chain::start(folder.path());
    assert!(second.rpc.get_slot().await.unwrap() >= last_slot);
    second.assert_clock_is_true().await;
    second.assert_programs_are_installed().await;
    assert_eq!(second.balance(&payer.pubkey()).await, SOL - 15_000_000 - 5 * FEE);
    assert_eq!(second.balance(&payee).await, 15_000_000);
    assert_eq!(second.known(&signatures).await, vec![true; 5]);
    // and the chain goes on
    let more = second.send(&payment(&payer, &payee, 6_000_000, second.blockhash().await)).await.unwrap();
    assert_eq!(second.known(&[more]).await, [true]);
    assert_eq!(second.balance(&payee).await, 21_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_airdrop_that_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let account = Keypair::new().pubkey();
    for round in 1..=3 {
        let chain = Chain::start(folder.path());
        assert_eq!(chain.balance(&account).await, (round - 1) * SOL);
        chain.airdrop(&account, SOL).await.unwrap();
        chain.kill();
    }
    // a start that changes nothing, and one more after it
    Chain::start(folder.path()).kill();
    assert_eq!(Chain::start(folder.path()).balance(&account).await, 3 * SOL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_stream_of_transfers_leaves_none_half_applied() {
    const PAYERS: usize = 4;
    const ROUNDS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let mut pairs: Vec<Pair> = (0..PAYERS).map(|_| Pair::default()).collect();
    let faucet = Keypair::new().pubkey();
    let (mut asked, mut given) = (0, 0);

    let mut chain = Chain::start(folder.path());
    for pair in &pairs {
        chain.airdrop(&pair.payer.pubkey(), 10 * SOL).await.unwrap();
    }
    for round in 0..ROUNDS {
        let answers = Arc::new(AtomicUsize::new(0));
        let streams: Vec<_> = pairs
            .into_iter()
            .map(|mut pair| {
                let (rpc, answers) = (chain.rpc.clone(), answers.clone());
                tokio::spawn(async move {
                    while pair.pay(&rpc).await {
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    pair
                })
            })
            .collect();
        let airdrops = tokio::spawn({
            let rpc = chain.rpc.clone();
            async move {
                // every amount only once, so that no two requests are the same transaction
                while rpc.request_airdrop(&faucet, SOL + asked).await.is_ok() {
                    asked += 1;
                }
                asked
            }
        });
        while answers.load(Ordering::Relaxed) < 30 + 7 * round {
            tokio::task::yield_now().await;
        }
        chain.kill();
        pairs = Vec::new();
        for stream in streams {
            pairs.push(stream.await.unwrap());
        }
        asked = airdrops.await.unwrap();

        chain = Chain::start(folder.path());
        let (mut sum, mut fees) = (0, 0);
        for pair in &mut pairs {
            pair.settle(&chain).await;
            let (payer, payee) = (chain.balance(&pair.payer.pubkey()).await, chain.balance(&pair.payee).await);
            assert_eq!(payee, pair.paid, "round {round}: the payee has what known transfers say");
            assert_eq!(payer, 10 * SOL - pair.paid - pair.transfers * FEE, "round {round}: and so has the payer");
            sum += payer + payee;
            fees += pair.transfers * FEE;
        }
        assert_eq!(sum + fees, PAYERS as u64 * 10 * SOL);

        // Airdrops were answered one after the other: all that were, and at most the one that was not.
        let balance = chain.balance(&faucet).await;
        given = (given..=asked + 1).find(|count| (0..*count).map(|n| SOL + n).sum::<u64>() == balance).unwrap();
        assert!(given >= asked, "round {round}: {given} of {asked} answered airdrops");
        asked = given;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_of_a_start_leaves_a_chain_that_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (payer, payee) = (Keypair::new(), Keypair::new().pubkey());
    // The delays are no synchronisation: they spread the kills over what a start does, from an empty folder on.
    for step in 0..12 {
        let mut process = spawn(folder.path());
        std::thread::sleep(Duration::from_millis(step * 60));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let chain = Chain::start(folder.path());
    chain.airdrop(&payer.pubkey(), SOL).await.unwrap();
    let paid = chain.send(&payment(&payer, &payee, 1_000_000, chain.blockhash().await)).await.unwrap();
    chain.airdrop(&payer.pubkey(), SOL + 1).await.unwrap();
    chain.kill();
    for step in 0..12 {
        let mut process = spawn(folder.path());
        std::thread::sleep(Duration::from_millis(step * 60));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let chain = Chain::start(folder.path());
    chain.assert_programs_are_installed().await;
    assert_eq!(chain.known(&[paid]).await, [true]);
    assert_eq!(chain.balance(&payer.pubkey()).await, 2 * SOL + 1 - 1_000_000 - FEE);
    assert_eq!(chain.balance(&payee).await, 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_chain_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Chain::start(folder.path());
    let refused = waybill_localnet::start(config(folder.path()), CancellationToken::new()).await;
    assert!(matches!(&refused, Err(LocalnetError::InUse(path)) if path == folder.path()), "{refused:?}");
    first.rpc.get_health().await.unwrap();
    first.kill();

    // A kill gives the folder back, and so does a stop; each start answers as soon as it returns.
    for _ in 0..2 {
        let chain = waybill_localnet::start(config(folder.path()), CancellationToken::new()).await.unwrap();
        client(&chain.rpc_url).get_health().await.unwrap();
        let refused = waybill_localnet::start(config(folder.path()), CancellationToken::new()).await;
        assert!(matches!(refused, Err(LocalnetError::InUse(_))), "{refused:?}");
        chain.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_program_is_refused_and_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.so");
    std::fs::write(&file, b"\x7fELF and then nothing that a loader accepts").unwrap();
    let mut broken = config(folder.path());
    broken.programs.push((Pubkey::new_from_array([99; 32]), file));
    for _ in 0..2 {
        let refused = waybill_localnet::start(broken.clone(), CancellationToken::new()).await;
        assert!(matches!(refused, Err(LocalnetError::Program { .. })), "{refused:?}");
    }
    let chain = waybill_localnet::start(config(folder.path()), CancellationToken::new()).await.unwrap();
    chain.stop().await.unwrap();
}

/// A payer, its payee and the transfers between them.
struct Pair {
    payer: Keypair,
    payee: Pubkey,
    /// Transfers of this round: signature, lamports, whether the chain answered.
    sent: Vec<(Signature, u64, bool)>,
    /// How many transfers of earlier rounds are on the chain, and their lamports.
    transfers: u64,
    paid: u64,
    /// Makes every amount a different one.
    next: u64,
}

impl Default for Pair {
    fn default() -> Self {
        let (payer, payee) = (Keypair::new(), Keypair::new().pubkey());
        Self { payer, payee, sent: Vec::new(), transfers: 0, paid: 0, next: 1_000_000 }
    }
}

impl Pair {
    /// Sends one transfer. Returns false once the chain does not answer any more.
    async fn pay(&mut self, rpc: &RpcClient) -> bool {
        let Ok(blockhash) = rpc.get_latest_blockhash().await else { return false };
        let lamports = self.next;
        self.next += 1;
        let transaction = payment(&self.payer, &self.payee, lamports, blockhash);
        let answer = rpc.send_transaction_with_config(&transaction, unchecked()).await;
        self.sent.push((transaction.signatures[0], lamports, answer.is_ok()));
        answer.is_ok()
    }

    /// Counts the transfers that the chain knows. Every one that was answered must be among them.
    async fn settle(&mut self, chain: &Chain) {
        let sent = std::mem::take(&mut self.sent);
        let signatures: Vec<_> = sent.iter().map(|(signature, ..)| *signature).collect();
        for ((signature, lamports, answered), known) in sent.into_iter().zip(chain.known(&signatures).await) {
            assert!(known || !answered, "{signature} was answered and is lost");
            self.transfers += u64::from(known);
            self.paid += if known { lamports } else { 0 };
        }
    }
}

/// A chain in a process of its own.
struct Chain {
    process: Child,
    rpc: Arc<RpcClient>,
}

impl Chain {
    /// Returns when the process says that its chain is ready.
    fn start(folder: &Path) -> Self {
        let begin = Instant::now();
        let mut process = spawn(folder);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the chain did not start")).unwrap();
            if let Some((_, url)) = line.split_once(READY) {
                break url.to_owned();
            }
        };
        println!("ready after {} ms", begin.elapsed().as_millis());
        Self { process, rpc: Arc::new(client(&url)) }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn airdrop(&self, to: &Pubkey, lamports: u64) -> Result<Signature, String> {
        self.rpc.request_airdrop(to, lamports).await.map_err(|error| error.to_string())
    }

    async fn send(&self, transaction: &Transaction) -> Result<Signature, String> {
        self.rpc.send_transaction_with_config(transaction, unchecked()).await.map_err(|error| error.to_string())
    }

    async fn blockhash(&self) -> Hash {
        self.rpc.get_latest_blockhash().await.unwrap()
    }

    async fn balance(&self, account: &Pubkey) -> u64 {
        self.rpc.get_balance(account).await.unwrap()
    }

    /// For each signature whether the chain has a transaction of it that succeeded. The RPC tells no status before the
    /// transaction is confirmed, so this waits for the slots that confirm whatever is there.
    async fn known(&self, signatures: &[Signature]) -> Vec<bool> {
        let slot = self.rpc.get_slot().await.unwrap();
        while self.rpc.get_slot().await.unwrap() < slot + 3 {}
        let mut known = Vec::new();
        for signatures in signatures.chunks(256) {
            let statuses = self.rpc.get_signature_statuses_with_history(signatures).await.unwrap().value;
            known.extend(statuses.into_iter().map(|status| status.is_some_and(|status| status.err.is_none())));
        }
        known
    }

    /// The clock that programs see comes within 2 s of the machine's. A block may be late on a busy machine, hence the retry;
    /// a wrong clock stays wrong.
    async fn assert_clock_is_true(&self) {
        let begin = Instant::now();
        loop {
            let data = self.rpc.get_account_data(&CLOCK).await.unwrap();
            let chain = i64::from_le_bytes(data[32..40].try_into().unwrap());
            let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
            if (machine - chain).abs() <= 2 {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(5), "the chain's clock is off by {} s", chain - machine);
        }
    }

    async fn assert_programs_are_installed(&self) {
        for (id, path) in programs() {
            assert!(self.rpc.get_account(&id).await.unwrap().executable, "{}", path.display());
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "chain_process", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn config(folder: &Path) -> LocalnetConfig {
    LocalnetConfig { data_dir: folder.to_owned(), rpc_port: 0, ws_port: 0, programs: programs() }
}

/// The built programs, if there are any, at addresses of this test's own.
fn programs() -> Vec<(Pubkey, PathBuf)> {
    let built = || Some(std::env::current_exe().ok()?.ancestors().nth(3)?.join("deploy"));
    let Some(folder) = std::env::var_os("WAYBILL_PROGRAMS").map(PathBuf::from).or_else(built) else {
        return Vec::new();
    };
    let mut files: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "so"));
    files.sort();
    (1..).zip(files).map(|(n, path)| (Pubkey::new_from_array([n; 32]), path)).collect()
}

fn client(url: &str) -> RpcClient {
    RpcClient::new_with_commitment(url.to_owned(), CommitmentConfig::processed())
}

fn payment(payer: &Keypair, payee: &Pubkey, lamports: u64, blockhash: Hash) -> Transaction {
    let instruction = transfer(&payer.pubkey(), payee, lamports);
    Transaction::new_signed_with_payer(&[instruction], Some(&payer.pubkey()), &[payer], blockhash)
}

/// Without the simulation beforehand; the transactions of these tests are valid.
fn unchecked() -> RpcSendTransactionConfig {
    RpcSendTransactionConfig { skip_preflight: true, ..RpcSendTransactionConfig::default() }
}
