//! Time that gateway and scheduler add to a request, against calling the same worker directly, and their memory.

use crate::{
    figures::{Block, median, print, quantile, table},
    ledger, machine,
    network::{MODEL, Network, direct_job, null_worker, request_nc},
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::{http1, http2},
    header::{self, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::{net::TcpStream, task::JoinSet};
use waybill_protocol::frame::{Event, EventKind, FrameReader};

const PROMPT: &str = "How long is the coast of Norway?";
const MAX_TOKENS: u32 = 16;
/// Requests at once.
const LEVELS: [usize; 2] = [1, 32];

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Direct, through and direct again make one round.
    pub rounds: usize,
    /// Requests of one block, by level.
    pub block: [usize; LEVELS.len()],
    /// Requests of the memory measurement.
    pub soak: usize,
}

/// Prints both tables. `disk` is a folder for databases; a second one in memory is used where the system has it.
pub async fn run(plan: &Plan, disk: &Path) -> Result<()> {
    let memory = Path::new("/dev/shm");
    let mut places = vec![disk];
    if memory.is_dir() && machine::file_system(memory) == "tmpfs" {
        places.push(memory);
    }
    let mut times = table([
        "ledger in",
        "at once",
        "direct p50",
        "p99",
        "through p50",
        "p99",
        "added p50",
        "p99",
        "in gateway mean",
        "commit alone p50",
        "p99",
        "direct req/s",
        "through req/s",
    ]);
    let mut resident = table(["requests served", "resident MiB"]);
    for (index, place) in places.into_iter().enumerate() {
        let folder = tempfile::Builder::new().prefix("waybill-bench-").tempdir_in(place)?;
        let kind = machine::file_system(folder.path());
        let network = Network::start(folder.path()).await?;
        let (mut served, mut failed) = (0, 0);
        if index == 0 {
            note_memory(&mut resident, served)?;
        }
        for (level, count) in LEVELS.into_iter().zip(plan.block) {
            let measured = measure(&network, level, count, plan.rounds).await?;
            served += measured.served;
            failed += measured.failed;
            let alone = ledger::commits(folder.path(), level, count).await?;
            let mut row = vec![kind.clone(), level.to_string()];
            row.extend(measured.cells.iter().map(|millis| format!("{millis:.2}")));
            row.extend([0.5, 0.99].map(|q| format!("{:.2}", quantile(&alone.millis, q))));
            row.extend(measured.per_second.map(|rate| format!("{rate:.0}")));
            times.add_row(row);
        }
        if index == 0 {
            note_memory(&mut resident, served)?;
            let mut clients = network.clients(LEVELS[1]).await?;
            for _ in 0..4 {
                let (done, back) = block(clients, plan.soak / 4).await?;
                clients = back;
                served += done.millis.len();
                failed += done.failed;
                note_memory(&mut resident, served)?;
            }
        }
        check(&network, &kind, served, failed).await?;
        network.stop().await?;
    }
    println!("Time of a chat request that a worker answers at once, in milliseconds");
    println!(
        "direct: HTTP/2 to the worker; through: HTTP/1.1 to the gateway (key, limits, credit, order), scheduler, worker"
    );
    println!(
        "session, receipt check, countersignature, ledger commit. Medians of {} rounds direct/through/direct.",
        plan.rounds
    );
    println!(
        "\"in gateway\": the gateway's own histogram, its time without the wait for the worker and with the commit."
    );
    println!(
        "Client, worker, gateway and scheduler share the cores, and the next request follows the last answer: with 32 at"
    );
    println!(
        "once the added time is CPU time of 32 requests in a queue. \"commit alone\" is the ledger without all else."
    );
    print(&times);
    println!("Memory of the process of gateway, scheduler, ledger, null worker and client (two budgets of 150 MiB)");
    print(&resident);
    Ok(())
}

fn note_memory(table: &mut comfy_table::Table, served: usize) -> Result<()> {
    let mib = machine::resident_bytes()? as f64 / f64::from(1 << 20);
    table.add_row([served.to_string(), format!("{mib:.1}")]);
    Ok(())
}

/// Every answer was charged once.
async fn check(network: &Network, kind: &str, served: usize, failed: usize) -> Result<()> {
    let expected = request_nc().context("the price is out of range")? * served as u64;
    let charged = network.charged_nc().await?;
    ensure!(charged == expected, "{served} requests were charged {charged} nc instead of {expected} nc");
    let waiting = network.worker.receipts_waiting();
    println!("{kind}: {served} requests served, each charged once; {failed} failed and cost nothing;");
    println!("{waiting} receipts wait for their countersignature; since the start");
    for name in [
        "waybill_resyncs_total",
        "waybill_repeated_calls_total",
        "waybill_usage_mismatch_total",
        "waybill_acks_dropped_total",
    ] {
        println!("  {name} {}", Network::metric(name));
    }
    println!();
    Ok(())
}

struct Measured {
    /// Direct p50 and p99, through p50 and p99, added p50 and p99, the gateway's own mean; milliseconds.
    cells: [f64; 7],
    /// Direct, through.
    per_second: [f64; 2],
    /// Requests to the network for this.
    served: usize,
    failed: usize,
}

async fn measure(network: &Network, level: usize, count: usize, rounds: usize) -> Result<Measured> {
    let worker = null_worker();
    let mut direct = direct_clients(worker.listen().await?, level).await?;
    let mut through = network.clients(level).await?;
    let warm_up = count.div_ceil(4);
    (_, direct) = block(direct, warm_up).await?;
    let first;
    (first, through) = block(through, warm_up).await?;
    let (mut served, mut failed) = (first.millis.len(), first.failed);

    let mut columns: [Vec<f64>; 7] = Default::default();
    let mut rates: [Vec<f64>; 2] = Default::default();
    for _ in 0..rounds {
        let (before, between, after);
        (before, direct) = block(direct, count).await?;
        let own = GatewayTime::now();
        (between, through) = block(through, count).await?;
        columns[6].push(own.mean_ms_since());
        served += between.millis.len();
        failed += between.failed;
        (after, direct) = block(direct, count).await?;
        worker.forget();
        let around = before.with(&after);
        for (at, q) in [0.5, 0.99].into_iter().enumerate() {
            let (bare, full) = (quantile(&around.millis, q), quantile(&between.millis, q));
            columns[at].push(bare);
            columns[2 + at].push(full);
            columns[4 + at].push(full - bare);
        }
        rates[0].push(around.per_second());
        rates[1].push(between.per_second());
    }
    Ok(Measured {
        cells: columns.map(|column| median(&column)),
        per_second: rates.map(|rate| median(&rate)),
        served,
        failed,
    })
}

/// The gateway's histogram of its own time: a request's, less the time in which it waited for the worker.
struct GatewayTime {
    seconds: f64,
    requests: f64,
}

impl GatewayTime {
    fn now() -> Self {
        let of = |part: &str| Network::metric(&format!("waybill_gateway_overhead_seconds_{part}"));
        Self { seconds: of("sum"), requests: of("count") }
    }

    fn mean_ms_since(&self) -> f64 {
        let now = Self::now();
        1e3 * (now.seconds - self.seconds) / (now.requests - self.requests).max(1.0)
    }
}

/// One consumer that sends its next request when it has the last answer.
enum Client {
    Direct { worker: http2::SendRequest<Full<Bytes>>, job: Bytes },
    Through { gateway: http1::SendRequest<Full<Bytes>>, bearer: HeaderValue, body: Bytes },
}

/// One connection, as a scheduler has one to each worker.
async fn direct_clients(worker: SocketAddr, level: usize) -> Result<Vec<Client>> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(connect(worker).await?)).await?;
    tokio::spawn(connection);
    let job = Bytes::from(direct_job(PROMPT, MAX_TOKENS).encode_to_vec());
    Ok((0..level).map(|_| Client::Direct { worker: sender.clone(), job: job.clone() }).collect())
}

impl Network {
    /// One connection each.
    async fn clients(&self, level: usize) -> Result<Vec<Client>> {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.api_key))?;
        let messages = serde_json::json!([{"role": "user", "content": PROMPT}]);
        let body = serde_json::json!({"model": MODEL, "messages": messages, "max_tokens": MAX_TOKENS});
        let body = Bytes::from(body.to_string());
        let mut clients = Vec::with_capacity(level);
        for _ in 0..level {
            let (gateway, connection) = http1::handshake(TokioIo::new(connect(self.address).await?)).await?;
            tokio::spawn(connection);
            clients.push(Client::Through { gateway, bearer: bearer.clone(), body: body.clone() });
        }
        Ok(clients)
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

impl Client {
    /// Sends one request and takes its whole answer; false when the gateway could not serve it.
    async fn call(&mut self) -> Result<bool> {
        match self {
            Self::Direct { worker, job } => {
                worker.ready().await?;
                let request = Request::post("http://worker/run").body(Full::new(job.clone()))?;
                let mut frames = FrameReader::<Event>::default();
                frames.push(&worker.send_request(request).await?.into_body().collect().await?.to_bytes());
                while let Some(event) = frames.next_message()? {
                    match event.kind {
                        Some(EventKind::Closed(_)) => return Ok(true),
                        Some(EventKind::Fault(fault)) => anyhow::bail!("the worker: {fault}"),
                        _ => {}
                    }
                }
                anyhow::bail!("the worker's answer has no end")
            }
            Self::Through { gateway, bearer, body } => {
                gateway.ready().await?;
                let request = Request::post("/v1/chat/completions")
                    .header(header::HOST, "gateway")
                    .header(header::AUTHORIZATION, bearer.clone())
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(body.clone()))?;
                let (head, body) = gateway.send_request(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                if head.status != StatusCode::OK {
                    // Overload is counted; any other refusal would be the benchmark's own mistake.
                    ensure!(
                        head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS,
                        "the gateway: {} {}",
                        head.status,
                        String::from_utf8_lossy(&body)
                    );
                    return Ok(false);
                }
                ensure!(head.headers.contains_key("x-waybill-charge-nc"), "an answer was not charged");
                Ok(true)
            }
        }
    }
}

/// `count` requests by these clients together; gives the clients back.
async fn block(clients: Vec<Client>, count: usize) -> Result<(Block, Vec<Client>)> {
    let tickets = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut running = JoinSet::new();
    for mut client in clients {
        let tickets = Arc::clone(&tickets);
        running.spawn(async move {
            let (mut millis, mut failed) = (Vec::new(), 0);
            while tickets.fetch_add(1, Relaxed) < count {
                let sent = Instant::now();
                if client.call().await? {
                    millis.push(sent.elapsed().as_secs_f64() * 1e3);
                } else {
                    failed += 1;
                }
            }
            anyhow::Ok((millis, failed, client))
        });
    }
    let (mut all, mut back) = (Block::default(), Vec::new());
    while let Some(done) = running.join_next().await {
        let (millis, failed, client) = done??;
        all.millis.extend(millis);
        all.failed += failed;
        back.push(client);
    }
    all.took = started.elapsed();
    Ok((all, back))
}
