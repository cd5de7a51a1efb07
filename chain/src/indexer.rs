//! Follows the programs' money events: signatures at `finalized` back to the cursor, full transactions, events decoded
//! from inner instructions. Rows and cursor move in one SQL transaction. Accounts are truth; events are a record.

use crate::{Chain, ChainError};
use anchor_lang::prelude::Pubkey;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use solana_rpc_client_api::request::RpcRequest;
use solana_signature::Signature;
use std::{str::FromStr, time::Duration};
use tokio_util::sync::CancellationToken;
use waybill_store::{ChainEvent, Cursor, EventPage, Store};

/// Anchor's tag in front of an event that a program emits by calling itself.
const EVENT_TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
/// Signatures asked for in one call.
const PAGE: usize = 200;

/// One program's event reader.
pub struct Indexer {
    chain: Chain,
    store: Store,
    program: Pubkey,
    /// Name of the cursor, such as `settlement`.
    source: &'static str,
}

/// Readers for the three programs.
pub fn indexers(chain: &Chain, store: &Store) -> Vec<Indexer> {
    [(coin::ID, "coin"), (market::ID, "market"), (settlement::ID, "settlement")]
        .into_iter()
        .map(|(program, source)| Indexer { chain: chain.clone(), store: store.clone(), program, source })
        .collect()
}

struct Entry {
    signature: Signature,
    slot: u64,
    failed: bool,
}

impl Indexer {
    /// Polls until `shutdown`; an error is logged and the next poll goes on from the cursor.
    pub async fn run(&self, interval: Duration, clock_ms: impl Fn() -> u64 + Send, shutdown: CancellationToken) {
        let mut polls = tokio::time::interval(interval);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(polls.tick()).await.is_some() {
            match shutdown.run_until_cancelled(self.poll(clock_ms())).await {
                Some(Err(error)) => tracing::warn!(source = self.source, %error, "the index waits"),
                Some(Ok(_)) => {}
                None => return,
            }
        }
    }

    /// Applies what is new; returns how many events.
    pub async fn poll(&self, now_ms: u64) -> Result<usize, ChainError> {
        let mut cursor = self.store.cursor(self.source).await?;
        let mut applied = 0;
        for entry in self.new_entries(cursor.as_ref()).await?.into_iter().rev() {
            let events = if entry.failed { vec![] } else { self.events_of(&entry).await? };
            applied += events.len();
            let to = Cursor { signature: entry.signature.into(), slot: entry.slot };
            let page =
                EventPage { source: self.source.to_owned(), from: cursor, to, events, projections: vec![], now_ms };
            self.store.apply_events(&page).await?;
            cursor = Some(to);
        }
        Ok(applied)
    }

    /// Signatures newer than the cursor, newest first.
    async fn new_entries(&self, cursor: Option<&Cursor>) -> Result<Vec<Entry>, ChainError> {
        let until = cursor.map(|cursor| Signature::from(cursor.signature));
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let before = entries.last().map(|entry| entry.signature.to_string());
            let options = json!({ "limit": PAGE, "commitment": "finalized", "before": before, "until": until.map(|s| s.to_string()) });
            let page: Vec<Value> =
                self.call(RpcRequest::GetSignaturesForAddress, json!([self.program.to_string(), options])).await?;
            let full = page.len() == PAGE;
            for row in page {
                let signature = row["signature"].as_str().and_then(|text| Signature::from_str(text).ok());
                let Some(signature) = signature else { return Err(malformed("getSignaturesForAddress")) };
                // Some servers ignore `until`.
                if Some(signature) == until {
                    return Ok(entries);
                }
                entries.push(Entry {
                    signature,
                    slot: row["slot"].as_u64().unwrap_or(0),
                    failed: !row["err"].is_null(),
                });
            }
            if !full {
                return Ok(entries);
            }
        }
    }

    async fn events_of(&self, entry: &Entry) -> Result<Vec<ChainEvent>, ChainError> {
        let options = json!({ "encoding": "json", "commitment": "finalized", "maxSupportedTransactionVersion": 0 });
        let transaction: Value =
            self.call(RpcRequest::GetTransaction, json!([entry.signature.to_string(), options])).await?;
        let keys = account_keys(&transaction);
        let mut events = Vec::new();
        for outer in transaction["meta"]["innerInstructions"].as_array().into_iter().flatten() {
            for (inner_index, inner) in outer["instructions"].as_array().into_iter().flatten().enumerate() {
                let program = inner["programIdIndex"].as_u64().and_then(|i| keys.get(usize::try_from(i).ok()?));
                if program.map(String::as_str) != Some(self.program.to_string().as_str()) {
                    continue;
                }
                let data = inner["data"].as_str().and_then(decode_base58).unwrap_or_default();
                let Some(event) = data.strip_prefix(EVENT_TAG.as_slice()).filter(|event| event.len() >= 40) else {
                    continue;
                };
                let mut account = [0; 32];
                account.copy_from_slice(&event[8..40]);
                events.push(ChainEvent {
                    signature: entry.signature.into(),
                    ix_index: index(&outer["index"]),
                    inner_index: u32::try_from(inner_index).unwrap_or(u32::MAX),
                    slot: entry.slot,
                    block_time: transaction["blockTime"].as_i64(),
                    name: event_name(self.source, &event[..8]),
                    account,
                    data: event.to_vec(),
                });
            }
        }
        Ok(events)
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, request: RpcRequest, params: Value) -> Result<T, ChainError> {
        self.chain.rpc().send(request, params).await.map_err(|e| self.chain.unreachable(e))
    }
}

fn malformed(what: &str) -> ChainError {
    ChainError::Build(format!("the RPC endpoint's answer to {what} cannot be read"))
}

fn index(value: &Value) -> u32 {
    value.as_u64().and_then(|i| u32::try_from(i).ok()).unwrap_or(u32::MAX)
}

/// Static keys, then those that lookup tables loaded.
fn account_keys(transaction: &Value) -> Vec<String> {
    let fixed = &transaction["transaction"]["message"]["accountKeys"];
    let loaded = &transaction["meta"]["loadedAddresses"];
    [fixed, &loaded["writable"], &loaded["readonly"]]
        .into_iter()
        .flat_map(|list| list.as_array().into_iter().flatten())
        .filter_map(|key| key.as_str().map(str::to_owned))
        .collect()
}

fn decode_base58(text: &str) -> Option<Vec<u8>> {
    bs58::decode(text).into_vec().ok().or_else(|| BASE64.decode(text).ok())
}

macro_rules! named {
    ($($program:ident: $($event:ident),+);+ $(;)?) => {
        &[$($((<$program::events::$event as anchor_lang::Discriminator>::DISCRIMINATOR, stringify!($event))),+),+]
    };
}

/// Every event that moves money or stake.
const EVENTS: &[(&[u8], &str)] = named! {
    coin: SupplyMinted, VaultSpent;
    market: StakeAdded, UnstakeBegun, UnstakeFinished;
    settlement: DepositSynced, ChannelSettled, ChannelClosed, GatewayToppedUp, BatchPosted, BatchFinalized, LineClaimed, BatchSwept,
        EarningsWithdrawn, DisputeOpened, DisputeResolved, AuditAppealed, LineForfeited, VerifierPaid, BondSettled,
        RoyaltiesShared, BountyFunded, BountyPaid, BountyClosed;
};

/// Name of an event by its discriminator; unknown ones keep their discriminator, so that nothing is dropped.
fn event_name(source: &str, discriminator: &[u8]) -> String {
    let known = EVENTS.iter().find(|(known, _)| *known == discriminator);
    known.map_or_else(|| format!("{source}:{}", hex::encode(discriminator)), |(_, name)| (*name).to_owned())
}
