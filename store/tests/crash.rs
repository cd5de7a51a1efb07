//! A process that charges in a loop is killed without warning. Every charge that it saw acknowledged is there exactly once,
//! the running totals agree, and a restarted process goes on.
#![allow(clippy::unwrap_used)]

mod common;

use common::{CONSUMER, Database, GATEWAY, World};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tokio_util::sync::CancellationToken;
use waybill_protocol::ChannelId;
use waybill_store::testing::ChargeSource;
use waybill_store::{Backend, Ledger, LedgerConfig, Store};

const URL: &str = "WAYBILL_STORE_CRASH_URL";
const LINES: u8 = 8;
const EPOCH: u32 = 490_000;
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 400;

fn channel_of(line: u8) -> ChannelId {
    ChannelId([line + 1; 32])
}

/// Not a test of its own: the process that gets killed. Each line of its output names one acknowledged charge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the tests below"]
async fn child_that_charges_until_it_is_killed() {
    let Ok(url) = std::env::var(URL) else { return };
    let store = Store::open(&url).await.unwrap();
    let config = LedgerConfig::new(GATEWAY, "killed");
    let (ledger, _task) = Ledger::start(store.clone(), config, CancellationToken::new());
    let mut lines = tokio::task::JoinSet::new();
    for line in 0..LINES {
        let channel = channel_of(line);
        store.ensure_channel(channel, CONSUMER, GATEWAY).await.unwrap();
        let ledger = ledger.clone();
        lines.spawn(async move {
            let mut source = ChargeSource::new(GATEWAY);
            loop {
                for nonce in ledger.reserve_nonces(channel, 64).await.unwrap().nonces {
                    let charge = source.charge(channel, nonce, [line; 32], EPOCH, 1 + nonce % 5);
                    let done = ledger.charge(charge).await.unwrap();
                    println!("acknowledged {line} {nonce} {}", done.charged_nc);
                }
            }
        });
    }
    lines.join_all().await;
}

async fn every_acknowledged_charge_survives(backend: Backend) {
    let Some(database) = Database::new(backend) else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_charges_until_it_is_killed", "--ignored", "--nocapture"])
        .env(URL, &database.url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged: Vec<(u8, u64, u64)> = Vec::new();
    for text in output.lines().map_while(Result::ok) {
        if let Some((_, fields)) = text.split_once("acknowledged ") {
            let fields: Vec<u64> = fields.split(' ').filter_map(|field| field.parse().ok()).collect();
            if let [line, nonce, charged_nc] = fields[..] {
                acknowledged.push((line as u8, nonce, charged_nc));
            }
        }
        if acknowledged.len() == ACKNOWLEDGED_BEFORE_THE_KILL {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= ACKNOWLEDGED_BEFORE_THE_KILL, "the child charged {}", acknowledged.len());

    let world = World::open(database).await;
    world.ledger.take_over_nonces().await.unwrap();
    for line in 0..LINES {
        let channel = channel_of(line);
        let row = world.store.channel(channel).await.unwrap().unwrap();
        let stored = world.store.receipts_of_channel(channel, None, 100_000).await.unwrap();
        let receipts: Vec<_> = stored.iter().rev().map(|charge| (charge.nonce, charge.receipt().unwrap())).collect();
        assert!(receipts.windows(2).all(|pair| pair[0].0 < pair[1].0), "a nonce was charged twice");
        for (_, nonce, charged_nc) in acknowledged.iter().filter(|(of, ..)| *of == line) {
            let up_to: u64 = receipts.iter().filter(|(n, _)| n <= nonce).map(|(_, receipt)| receipt.price_nc).sum();
            assert!(receipts.iter().any(|(n, _)| n == nonce), "acknowledged nonce {nonce} is lost");
            assert_eq!(up_to, *charged_nc);
        }
        let total: u64 = receipts.iter().map(|(_, receipt)| receipt.price_nc).sum();
        let last = receipts.last().unwrap().1;
        let state = world.store.line_state(GATEWAY, EPOCH, &last.line_key).await.unwrap().unwrap();
        assert_eq!((row.charged_nc, row.noted_cum_nc, row.waiting), (total, total, 0));
        assert_eq!((state.cum_nc, state.next_seq, last.cum_nc), (total, receipts.len() as u64, total));
        assert_eq!(row.noted_nonce + 1, row.next_nonce, "the nonces that the child had left are void");

        // The line goes on where it was cut.
        let nonce = world.ledger.reserve_nonces(channel, 1).await.unwrap().nonces.start;
        let seq = u32::try_from(state.next_seq).unwrap();
        let next = waybill_store::testing::charge(GATEWAY, channel, nonce, [line; 32], EPOCH, (seq, total + 3, 3));
        assert_eq!(world.ledger.charge(next).await.unwrap().charged_nc, total + 3);
    }
    let unsigned = world.store.unsigned_notes(GATEWAY, 1_000_000).await.unwrap();
    let epoch = world.store.open_epochs(Some(GATEWAY), EPOCH + 1).await.unwrap()[0];
    assert_eq!(unsigned.len() as u64, epoch.receipts, "each charge has its note");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_charge_survives_a_kill_on_sqlite() {
    every_acknowledged_charge_survives(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_charge_survives_a_kill_on_postgres() {
    every_acknowledged_charge_survives(Backend::Postgres).await;
}
