//! A real network for end-to-end tests: the `waybill` program as processes that can be killed, requests over HTTP, and
//! the books read back from the chain.

use anchor_lang::{AccountDeserialize, prelude::Pubkey};
use serde_json::{Value, json};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use waybill_chain::{
    Chain, ix,
    settlement::{
        self,
        state::{Batch, BatchState, Bounty, Channel, Dispute, Earnings, GatewayVault},
    },
};

/// Longest wait for anything that has to happen by itself.
const PATIENCE: Duration = Duration::from_secs(240);

/// A plan whose epochs last seconds, so that a test sees a whole settlement.
pub const QUICK_PLAN: &str = include_str!("quick-plan.toml");

/// The built `waybill` program: `WAYBILL_BIN`, or the one beside the tests.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("WAYBILL_BIN") {
        return named.into();
    }
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("waybill")
}

/// Folder of ONNX Runtime and models.
pub fn cache() -> PathBuf {
    std::env::var_os("WAYBILL_CACHE")
        .map_or_else(|| std::env::home_dir().unwrap().join(".cache/waybill"), PathBuf::from)
}

/// Whether this machine can run the models; says aloud when it cannot.
pub fn ready_to_run() -> bool {
    let present = program().is_file() && cache().join("models/smollm2/model.onnx").is_file();
    if !present {
        eprintln!("*** SKIPPED: needs the waybill program and the models; `cargo xtask test` makes both");
    }
    present
}

/// A wallet from its keypair file.
pub fn read_key(path: &Path) -> Keypair {
    let bytes: Vec<u8> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    Keypair::try_from(bytes.as_slice()).unwrap()
}

/// A `waybill` process that prints one line of JSON when it is ready, and is killed with this value.
pub struct Process {
    child: Child,
    pub ready: Value,
}

impl Process {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(arguments)
            .args(["--json", "--log", &std::env::var("WAYBILL_LOG").unwrap_or_else(|_| "warn".to_owned())])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the waybill program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("waybill {arguments:?} was not ready: {line:?}"));
        Self { child, ready }
    }

    pub fn text(&self, field: &str) -> String {
        self.ready[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.ready)).to_owned()
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub fn kill(mut self) {
        self.kill_now();
    }

    pub fn kill_now(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A network that answers requests and whose chain can be read.
pub struct Network {
    pub process: Process,
    pub client: reqwest::Client,
    pub chain: Chain,
    gateway: String,
    api_key: String,
    models: Value,
}

impl Network {
    pub fn up(folder: &Path) -> Self {
        Self::up_on(folder, QUICK_PLAN)
    }

    /// A network with terms of its own.
    pub fn up_on(folder: &Path, terms: &str) -> Self {
        let plan = folder.join("plan.toml");
        std::fs::write(&plan, terms).unwrap();
        let data = folder.join("data");
        let arguments = ["up", "--port", "0", "--data-dir", data.to_str().unwrap(), "--plan", plan.to_str().unwrap()];
        let process = Process::start(&arguments);
        let chain = Chain::connect(&process.text("rpc"));
        let (gateway, api_key) = (process.text("gateway"), process.text("api_key"));
        let models = process.ready["models"].clone();
        Self { process, client: reqwest::Client::new(), chain, gateway, api_key, models }
    }

    /// The status of `/readyz`; 0 when nothing listens.
    pub async fn readiness(&self) -> u16 {
        let answer = self.client.get(format!("{}/readyz", self.gateway)).send().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    }

    /// Waits until `/readyz` answers so.
    pub async fn until_readiness(&self, wanted: u16) {
        let started = Instant::now();
        while self.readiness().await != wanted {
            assert!(started.elapsed() < PATIENCE, "/readyz never answered {wanted}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.gateway)).bearer_auth(&self.api_key).json(body)
    }

    /// Sends again when every worker is busy, as the official clients do.
    async fn answer(&self, path: &str, body: &Value) -> reqwest::Response {
        loop {
            let answer = self.post(path, body).send().await.unwrap();
            if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            let wait = answer.headers().get("retry-after-ms").and_then(|ms| ms.to_str().ok()?.parse().ok());
            tokio::time::sleep(Duration::from_millis(wait.unwrap_or(500))).await;
        }
    }

    /// What a command of the `waybill` program says, signed by the wallet in a keypair file.
    ///
    /// # Panics
    /// When it fails.
    pub fn waybill(&self, keypair: &Path, arguments: &[&str]) -> Value {
        let output = self.command(keypair, arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "waybill {arguments:?}: {said}{error}");
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("waybill {arguments:?} said {said:?}"))
    }

    /// Why a command of the `waybill` program refuses.
    ///
    /// # Panics
    /// When it does not.
    pub fn refused(&self, keypair: &Path, arguments: &[&str]) -> String {
        let output = self.command(keypair, arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success(), "waybill {arguments:?}: {said}");
        said
    }

    fn command(&self, keypair: &Path, arguments: &[&str]) -> Output {
        let rpc = self.chain.url();
        let global = ["--json", "--rpc", rpc.as_str(), "--keypair", keypair.to_str().unwrap()];
        Command::new(program()).args(arguments).args(global).output().unwrap()
    }

    /// A wallet that the demonstration does not have, with SOL and with AIC of the consumer's, and its keypair file.
    pub async fn purse(&self, folder: &Path, name: &str, aic: u64) -> (Keypair, PathBuf) {
        let (wallet, file) = (Keypair::new(), folder.join(format!("{name}.json")));
        std::fs::write(&file, serde_json::to_string(&wallet.to_bytes().to_vec()).unwrap()).unwrap();
        self.chain.airdrop(&wallet.pubkey(), 10_000_000_000).await.unwrap();
        self.give(folder, &wallet.pubkey(), aic).await;
        (wallet, file)
    }

    /// Moves AIC base units of the consumer's to a wallet.
    pub async fn give(&self, folder: &Path, owner: &Pubkey, aic: u64) {
        let consumer = read_key(&folder.join("data/keys/consumer.json"));
        let fund = [
            ix::create_aic_account(&consumer.pubkey(), owner),
            ix::transfer_aic(&consumer.pubkey(), &ix::aic_account(owner), aic),
        ];
        self.chain.send(&consumer, &[], &fund).await.unwrap();
    }

    /// Waits until an account is closed.
    pub async fn until_gone(&self, what: &str, address: &Pubkey) {
        let started = Instant::now();
        while self.chain.data(address).await.is_ok_and(|data| data.is_some()) {
            assert!(started.elapsed() < PATIENCE, "{what} is still there after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until an account is created.
    pub async fn until_there<T: AccountDeserialize>(&self, what: &str, address: &Pubkey) -> T {
        let started = Instant::now();
        loop {
            if let Some(account) = self.chain.account(address).await.unwrap() {
                return account;
            }
            assert!(started.elapsed() < PATIENCE, "{what} is not there after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for a second of the chain's clock.
    pub async fn until_time(&self, second: i64) {
        while self.chain.unix_time().await.unwrap() < second {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// AIC base units in a wallet.
    pub async fn balance(&self, owner: &Pubkey) -> u64 {
        self.chain.token_balance(&ix::aic_account(owner)).await.unwrap()
    }

    /// Checks a receipt whose epoch may not be settled yet: nothing fails.
    pub fn verify(&self, charge: &Charge) -> Value {
        self.check(charge, &[])
    }

    /// The evidence of a receipt, saved to a file.
    pub fn evidence(&self, charge: &Charge, file: &Path) -> Value {
        self.check(charge, &["--out", file.to_str().unwrap()]);
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    fn check(&self, charge: &Charge, more: &[&str]) -> Value {
        let rpc = self.chain.url();
        let arguments = ["receipt", "verify", &charge.receipt, "--gateway", &self.gateway, "--api-key", &self.api_key];
        let global = ["--json", "--rpc", rpc.as_str()];
        let output = Command::new(program()).args(arguments).args(more).args(global).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_ne!(report["outcome"], "failed", "{report}");
        report
    }

    /// One finished embedding by a model that may not have a price yet.
    pub async fn embed_by(&self, model: &str, text: &str) -> Charge {
        let body = json!({ "model": model, "input": text });
        let started = Instant::now();
        loop {
            let answer = self.answer("/v1/embeddings", &body).await;
            if answer.status() != reqwest::StatusCode::NOT_FOUND {
                return Charge::of(answer).await;
            }
            assert!(started.elapsed() < PATIENCE, "the gateway never knew {model}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub fn model(&self, kind: &str) -> String {
        let models = self.models.as_array().unwrap();
        models.iter().find(|model| model["kind"] == kind).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// One finished request; returns what it was charged.
    pub async fn embed(&self, text: &str) -> Charge {
        let body = json!({ "model": self.model("embed"), "input": text });
        Charge::of(self.answer("/v1/embeddings", &body).await).await
    }

    pub async fn chat(&self, text: &str, max_tokens: u32) -> Charge {
        let body = json!({ "model": self.model("chat"), "messages": [{ "role": "user", "content": text }], "max_tokens": max_tokens, "temperature": 0 });
        Charge::of(self.answer("/v1/chat/completions", &body).await).await
    }

    /// A chat that only these workers may answer, which may not be connected yet.
    pub async fn chat_with(&self, workers: &[Pubkey], text: &str) -> Charge {
        let only: Vec<String> = workers.iter().map(Pubkey::to_string).collect();
        let body = json!({
            "model": self.model("chat"), "messages": [{ "role": "user", "content": text }], "max_tokens": 8,
            "temperature": 0, "route": { "only": only },
        });
        let started = Instant::now();
        loop {
            let answer = self.answer("/v1/chat/completions", &body).await;
            if answer.status() != reqwest::StatusCode::UNPROCESSABLE_ENTITY {
                return Charge::of(answer).await;
            }
            assert!(started.elapsed() < PATIENCE, "none of {only:?} is connected");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// A streamed chat read to its end; the charge comes in the stream's last comment.
    pub async fn stream(&self, text: &str, max_tokens: u32) -> Charge {
        let body = json!({
            "model": self.model("chat"), "messages": [{ "role": "user", "content": text }], "max_tokens": max_tokens,
            "temperature": 0, "stream": true,
        });
        let text = self.answer("/v1/chat/completions", &body).await.text().await.unwrap();
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
        let comment =
            text.lines().find(|line| line.starts_with(": waybill ")).unwrap_or_else(|| panic!("no charge in {text}"));
        let field =
            |name: &str| comment.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap().to_owned();
        Charge { receipt: field("receipt="), nc: field("charge-nc=").parse().unwrap() }
    }

    /// Waits until the chain's books say so.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Books) -> bool) -> Books {
        let started = Instant::now();
        loop {
            if let Ok(books) = Books::read(&self.chain).await
                && holds(&books)
            {
                return books;
            }
            assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

/// The same network as one process a service, each killed and started alone, on the folder of an earlier [`Network`].
pub struct Apart {
    data: PathBuf,
    ports: [u16; 4],
}

impl Apart {
    /// Takes over the folder of a network that has stopped.
    pub fn of(folder: &Path) -> Self {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [free(), free(), free(), free()];
        Self { data: folder.join("data"), ports: listeners.map(|listener| listener.local_addr().unwrap().port()) }
    }

    fn path(&self, name: &str) -> String {
        self.data.join(name).to_str().unwrap().to_owned()
    }

    fn local(&self, index: usize) -> String {
        format!("127.0.0.1:{}", self.ports[index])
    }

    fn service(&self, name: &[&str], keypair: &str, more: &[&str]) -> Process {
        let rpc = format!("http://{}", self.local(0));
        let keypair = self.path(&format!("keys/{keypair}.json"));
        let common = ["--rpc", rpc.as_str(), "--keypair", keypair.as_str()];
        Process::start(&[name, &common, more].concat())
    }

    pub fn chain(&self) -> Process {
        Process::start(&["localnet", "--data-dir", &self.path("chain"), "--port", &self.ports[0].to_string()])
    }

    pub fn scheduler(&self) -> Process {
        let database = format!("sqlite://{}", self.path("waybill.db"));
        let (workers, gateways) = (self.local(1), self.local(2));
        let listen = ["--listen", workers.as_str(), "--gateway-listen", gateways.as_str(), "--refresh", "1"];
        self.service(&["scheduler"], "gateway", &[&["--database", database.as_str()], listen.as_slice()].concat())
    }

    pub fn worker(&self) -> Process {
        let (scheduler, key) = (format!("http://{}", self.local(1)), self.path("keys/worker-1.json"));
        let more = ["--scheduler", scheduler.as_str(), "--region", "eu-west", "--key", key.as_str(), "--threads", "1"];
        self.service(&["worker", "run"], "operator-1", &more)
    }

    /// A gateway and what a consumer needs of it.
    pub fn gateway(&self, models: &Network) -> Network {
        let database = format!("sqlite://{}", self.path("waybill.db"));
        let (scheduler, pepper) = (format!("http://{}", self.local(2)), self.path("keys/pepper"));
        let listen = self.local(3);
        let more = [
            "--database",
            database.as_str(),
            "--scheduler",
            scheduler.as_str(),
            "--pepper",
            pepper.as_str(),
            "--listen",
            listen.as_str(),
            "--refresh",
            "1",
            "--sole",
        ];
        let process = self.service(&["gateway"], "gateway", &more);
        Network {
            gateway: process.text("gateway"),
            process,
            client: reqwest::Client::new(),
            chain: Chain::connect(&format!("http://{}", self.local(0))),
            api_key: models.api_key.clone(),
            models: models.models.clone(),
        }
    }
}

/// What a consumer was told that a request cost.
#[derive(Debug, Clone)]
pub struct Charge {
    pub receipt: String,
    pub nc: u64,
}

impl Charge {
    async fn of(answer: reqwest::Response) -> Self {
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let charge = header("x-waybill-receipt").zip(header("x-waybill-charge-nc"));
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {body}");
        let (receipt, nc) = charge.expect("an answer names its receipt and charge");
        Self { receipt, nc: nc.parse().unwrap() }
    }
}

/// Every account that holds or owes money.
pub struct Books {
    pub channels: Vec<Channel>,
    pub vaults: Vec<GatewayVault>,
    pub batches: Vec<Batch>,
    pub earnings: Vec<Earnings>,
    pub disputes: Vec<Dispute>,
    pub bounties: Vec<Bounty>,
    /// Tokens behind all earnings, all final, unswept batches, the bonds of open disputes and what bounties have left.
    pub pool_aic: u64,
    pub audits_aic: u64,
}

impl Books {
    async fn read(chain: &Chain) -> Result<Self, waybill_chain::ChainError> {
        let second = |list: Vec<(_, Channel)>| list.into_iter().map(|(_, account)| account).collect();
        let mint = waybill_chain::coin::seeds::find_mint().0;
        Ok(Self {
            channels: second(chain.all(&settlement::ID).await?),
            vaults: chain.all(&settlement::ID).await?.into_iter().map(|(_, account)| account).collect(),
            batches: chain.all(&settlement::ID).await?.into_iter().map(|(_, account)| account).collect(),
            earnings: chain.all(&settlement::ID).await?.into_iter().map(|(_, account)| account).collect(),
            disputes: chain.all(&settlement::ID).await?.into_iter().map(|(_, account)| account).collect(),
            bounties: chain.all(&settlement::ID).await?.into_iter().map(|(_, account)| account).collect(),
            pool_aic: chain.token_balance(&settlement::seeds::find_pool(&mint).0).await?,
            audits_aic: chain.token_balance(&settlement::seeds::find_audits(&mint).0).await?,
        })
    }

    pub fn posted_nc(&self) -> u64 {
        self.batches.iter().map(|batch| batch.sum_nc).sum()
    }

    pub fn swept_nc(&self) -> u64 {
        self.batches.iter().filter(|batch| batch.state == BatchState::Swept).map(|batch| batch.sum_nc).sum()
    }

    /// Money is neither made nor lost, at whatever step the settlement stands.
    pub fn assert_conserved(&self) {
        let sum = |parts: &mut dyn Iterator<Item = u64>| parts.fold(0u64, |a, b| a.checked_add(b).unwrap());
        let settled_nc = sum(&mut self.channels.iter().map(|c| c.settled_nc));
        let settled_aic = sum(&mut self.channels.iter().map(|c| c.settled_aic));
        assert_eq!(settled_nc, sum(&mut self.vaults.iter().map(|v| v.nc)) + self.posted_nc(), "nano-credits");
        assert_eq!(
            settled_aic,
            sum(&mut self.vaults.iter().map(|v| v.aic)) + sum(&mut self.batches.iter().map(|b| b.aic)),
            "AIC"
        );
        let owed = sum(&mut self.earnings.iter().map(|e| e.amount_aic));
        let unswept = |b: &&Batch| b.state == BatchState::Final;
        // A final batch's AIC lies in the pool until its fee, burn and remainder leave with the sweep.
        let waiting =
            sum(&mut self.batches.iter().filter(unswept).map(|b| b.aic - (b.claimed_aic - b.fee_aic - b.burn_aic)));
        let bonds = sum(&mut self.disputes.iter().filter(|d| !d.is_over()).map(|d| d.bond_aic));
        let bounties = sum(&mut self.bounties.iter().map(|b| b.amount_aic));
        assert_eq!(self.pool_aic, owed + waiting + bonds + bounties, "the pool covers exactly what is owed");
    }
}
