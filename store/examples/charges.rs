//! Measures charges per second through the ledger: `charges [url] [callers] [seconds]`. Without a URL it uses a SQLite file
//! in a temporary folder of the working directory (WAL, synchronous FULL); `postgres` starts a server with fsync.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::testing::{ChargeSource, PostgresServer};
use waybill_store::{Ledger, LedgerConfig, Store};

const GATEWAY: WalletId = WalletId([1; 32]);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().unwrap_or_else(|| "sqlite".into());
    let callers: u16 = arguments.next().map_or(64, |text| text.parse().unwrap());
    let seconds: u64 = arguments.next().map_or(5, |text| text.parse().unwrap());
    let folder = tempfile::TempDir::new_in(".").unwrap();
    let server = (target == "postgres").then(|| PostgresServer::start(true).unwrap()).flatten();
    let url = match (&server, target.as_str()) {
        (Some(server), _) => server.database("bench").unwrap(),
        (None, "sqlite") => format!("sqlite://{}/bench.db?mode=rwc", folder.path().display()),
        (None, url) => url.to_owned(),
    };
    let store = Store::open(&url).await.unwrap();
    let shutdown = CancellationToken::new();
    let (ledger, task) = Ledger::start(store.clone(), LedgerConfig::new(GATEWAY, "bench"), shutdown.clone());
    let mut running = JoinSet::new();
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    for caller in 0..callers {
        let mut key = [2; 32];
        key[..2].copy_from_slice(&caller.to_le_bytes());
        let (store, ledger) = (store.clone(), ledger.clone());
        running.spawn(async move {
            let (channel, mut source) = (ChannelId(key), ChargeSource::new(GATEWAY));
            store.ensure_channel(channel, WalletId([3; 32]), GATEWAY).await.unwrap();
            let (mut charged, mut slowest) = (0u64, Duration::ZERO);
            loop {
                for nonce in ledger.reserve_nonces(channel, 1024).await.unwrap().nonces {
                    let before = Instant::now();
                    ledger.charge(source.charge(channel, nonce, key, 490_000, 10)).await.unwrap();
                    charged += 1;
                    slowest = slowest.max(before.elapsed());
                    if Instant::now() > end {
                        return (charged, slowest);
                    }
                }
            }
        });
    }
    let results = running.join_all().await;
    let elapsed = started.elapsed();
    let charged: u64 = results.iter().map(|(charged, _)| charged).sum();
    let slowest = results.iter().map(|(_, slowest)| *slowest).max().unwrap_or_default();
    let rate = charged as f64 / elapsed.as_secs_f64();
    println!(
        "{:?}, {callers} callers: {charged} charges in {elapsed:.2?} = {rate:.0} charges/s, mean wait {:.2} ms, slowest {slowest:.2?}",
        store.backend(),
        1e3 * f64::from(callers) / rate
    );
    shutdown.cancel();
    task.await.unwrap();
    store.close().await;
}
