//! The ledger alone: charges that wait for their commit, without a gateway around them.

use crate::{figures::Block, network::open_store};
use anyhow::{Context, Result};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::{Ledger, LedgerConfig, testing::ChargeSource};

const GATEWAY: WalletId = WalletId([0x6a; 32]);
const CHANNEL: ChannelId = ChannelId([0x6c; 32]);
const PRICE_NC: u64 = 180;

/// `count` charges by `level` callers that each wait for their last commit, in a new database in `folder`.
pub async fn commits(folder: &Path, level: usize, count: usize) -> Result<Block> {
    let store = open_store(folder, &format!("ledger-{level}.db")).await?;
    store.ensure_channel(CHANNEL, WalletId([0x0d; 32]), GATEWAY).await?;
    let stop = CancellationToken::new();
    let (ledger, task) = Ledger::start(store.clone(), LedgerConfig::new(GATEWAY, "bench"), stop.clone());
    let leased = ledger.reserve_nonces(CHANNEL, u32::try_from(count)?).await?;
    // In the order of the nonces, as a gateway hands them out.
    let nonces = Arc::new(Mutex::new(leased.nonces));
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..level {
        let (ledger, nonces) = (ledger.clone(), Arc::clone(&nonces));
        let worker = [u8::try_from(caller).context("too many callers")?; 32];
        callers.spawn(async move {
            let mut source = ChargeSource::new(GATEWAY);
            let mut millis = Vec::new();
            loop {
                let next = nonces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(nonce) = next else { return anyhow::Ok(millis) };
                let charge = source.charge(CHANNEL, nonce, worker, 1, PRICE_NC);
                let sent = Instant::now();
                ledger.charge(charge).await?;
                millis.push(sent.elapsed().as_secs_f64() * 1e3);
            }
        });
    }
    let mut block = Block::default();
    while let Some(done) = callers.join_next().await {
        block.millis.extend(done??);
    }
    block.took = started.elapsed();
    stop.cancel();
    task.await?;
    store.close().await;
    Ok(block)
}
