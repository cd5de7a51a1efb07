//! The ledger's statements. Reads pad their key lists and writes split into a few widths, so that all stay prepared.

use super::book::Account;
use super::{Charge, IssuableNote, Leases, LedgerConfig};
use crate::channels::read_channel;
use crate::notes::read_issuable;
use crate::receipts::{RECEIPT_COLUMNS, read_line, read_receipt};
use crate::sql::{Params, get_bytes, get_u32, get_u64, groups, query, tuples};
use crate::{Channel, LineState, Store, StoreError};
use sqlx::{Any, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use waybill_mechanism::message::Receipt;
use waybill_protocol::{ChannelId, WalletId};

pub(super) type Tx = Transaction<'static, Any>;

/// Leases voided in one transaction; the next renewal takes the rest.
const MAX_TAKEN: u32 = 1024;

/// Locks a gateway's books until the transaction ends: replicas that share the key, and the closing of epochs, take turns.
pub(crate) async fn lock_gateway(tx: &mut Tx, gateway: WalletId) -> Result<(), StoreError> {
    let mut params = Params::default();
    params.bytes(&gateway.0)?;
    query(
        "INSERT INTO gateways (gateway, commits) VALUES ($1, 1) \
         ON CONFLICT (gateway) DO UPDATE SET commits = gateways.commits + 1",
        params,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Chunks of at most 64 keys, each padded to 1, 4, 16 or 64 by repeating its last key.
fn padded<K: Copy>(keys: &[K]) -> impl Iterator<Item = Vec<K>> {
    keys.chunks(64).map(|chunk| {
        let width = [1, 4, 16, 64].into_iter().find(|width| *width >= chunk.len()).unwrap_or(64);
        chunk.iter().chain(std::iter::repeat(&chunk[chunk.len() - 1])).take(width).copied().collect()
    })
}

fn list(first: usize, count: usize) -> String {
    tuples(first, 1, count)
}

pub(super) async fn channels(tx: &mut Tx, ids: &[ChannelId]) -> Result<Vec<Channel>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for keys in padded(ids) {
        let mut params = Params::default();
        for key in &keys {
            params.bytes(&key.0)?;
        }
        let sql = format!("SELECT * FROM channels WHERE channel IN {}", list(1, keys.len()));
        for row in query(sql, params).fetch_all(&mut **tx).await? {
            found.push(read_channel(&row)?);
        }
    }
    Ok(found)
}

pub(super) async fn voids(tx: &mut Tx, ids: &[ChannelId]) -> Result<Vec<(ChannelId, u64, u64)>, StoreError> {
    let mut found = Vec::new();
    for keys in padded(ids) {
        let mut params = Params::default();
        for key in &keys {
            params.bytes(&key.0)?;
        }
        let sql = format!("SELECT channel, first, until FROM nonce_voids WHERE channel IN {}", list(1, keys.len()));
        for row in query(sql, params).fetch_all(&mut **tx).await? {
            found.push((ChannelId(get_bytes(&row, "channel")?), get_u64(&row, "first")?, get_u64(&row, "until")?));
        }
    }
    Ok(found)
}

/// Stored charges with one of these receipt ids, request ids or nonces.
pub(super) async fn known_charges(
    tx: &mut Tx,
    receipts: &[&str],
    requests: &[&str],
    nonces: &[(ChannelId, u64)],
) -> Result<Vec<Charge>, StoreError> {
    let mut found = Vec::new();
    for (column, ids) in [("receipt_id", receipts), ("request_id", requests)] {
        for keys in padded(ids) {
            let mut params = Params::default();
            for key in &keys {
                params.text(key)?;
            }
            let sql = format!("SELECT {RECEIPT_COLUMNS} FROM receipts WHERE {column} IN {}", list(1, keys.len()));
            for row in query(sql, params).fetch_all(&mut **tx).await? {
                found.push(read_receipt(&row)?);
            }
        }
    }
    for keys in padded(nonces) {
        let mut params = Params::default();
        for (channel, nonce) in &keys {
            // A nonce beyond BIGINT cannot be stored, and it is refused as never leased.
            params.bytes(&channel.0)?.int("nonce", (*nonce).min(i64::MAX.unsigned_abs()))?;
        }
        let columns = RECEIPT_COLUMNS.split(", ").map(|column| format!("r.{column}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {columns} FROM (VALUES {}) AS k JOIN receipts r ON r.channel = k.column1 AND r.nonce = k.column2",
            tuples(1, keys.len(), 2)
        );
        for row in query(sql, params).fetch_all(&mut **tx).await? {
            found.push(read_receipt(&row)?);
        }
    }
    Ok(found)
}

pub(super) async fn closed_epochs(
    tx: &mut Tx,
    gateway: WalletId,
    epochs: &BTreeSet<u32>,
) -> Result<HashSet<u32>, StoreError> {
    let epochs: Vec<u32> = epochs.iter().copied().collect();
    let mut found = HashSet::new();
    for keys in padded(&epochs) {
        let mut params = Params::default();
        params.bytes(&gateway.0)?;
        for key in &keys {
            params.int("epoch", *key)?;
        }
        let sql = format!("SELECT epoch FROM closed_epochs WHERE gateway = $1 AND epoch IN {}", list(2, keys.len()));
        for row in query(sql, params).fetch_all(&mut **tx).await? {
            found.insert(get_u32(&row, "epoch")?);
        }
    }
    Ok(found)
}

pub(super) async fn lines(
    tx: &mut Tx,
    gateway: WalletId,
    lines: &[(u32, [u8; 32])],
) -> Result<Vec<LineState>, StoreError> {
    let mut found = Vec::with_capacity(lines.len());
    for keys in padded(lines) {
        let mut params = Params::default();
        params.bytes(&gateway.0)?;
        for (epoch, line_key) in &keys {
            params.int("epoch", *epoch)?.bytes(line_key)?;
        }
        let sql = format!(
            "SELECT l.* FROM (VALUES {}) AS k JOIN lines l ON l.gateway = $1 AND l.epoch = k.column1 AND l.line_key = k.column2",
            tuples(2, keys.len(), 2)
        );
        for row in query(sql, params).fetch_all(&mut **tx).await? {
            found.push(read_line(&row)?);
        }
    }
    Ok(found)
}

/// Charged nonces of a channel from `nonce` on, with their prices.
pub(super) async fn charged_from(
    tx: &mut Tx,
    channel: ChannelId,
    nonce: u64,
    limit: u32,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let mut params = Params::default();
    params.bytes(&channel.0)?.int("nonce", nonce)?.int("limit", limit)?;
    let rows = query(
        "SELECT nonce, price_nc FROM receipts WHERE channel = $1 AND nonce >= $2 ORDER BY nonce LIMIT $3",
        params,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| Ok((get_u64(row, "nonce")?, get_u64(row, "price_nc")?))).collect()
}

pub(super) async fn unsigned_notes(
    tx: &mut Tx,
    channel: ChannelId,
    limit: u32,
) -> Result<Vec<IssuableNote>, StoreError> {
    let mut params = Params::default();
    params.bytes(&channel.0)?.int("limit", limit)?;
    let rows = query(
        "SELECT channel, nonce, charge_nc, cum_charged_nc FROM notes WHERE channel = $1 AND signature IS NULL \
         ORDER BY nonce LIMIT $2",
        params,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(read_issuable).collect()
}

pub(super) async fn renew_leases(store: &Store, holder: &str, expires_ms: u64) -> Result<(), StoreError> {
    let mut params = Params::default();
    params.text(holder)?.int("expires_ms", expires_ms)?;
    query("UPDATE nonce_leases SET expires_ms = $2 WHERE holder = $1", params).execute(&store.write).await?;
    Ok(())
}

pub(super) async fn any_expired(store: &Store, config: &LedgerConfig) -> Result<bool, StoreError> {
    let mut params = Params::default();
    params.bytes(&config.gateway.0)?.text(&config.holder)?.int("expires_ms", (config.clock)())?;
    let row = query(
        "SELECT n.first FROM nonce_leases n JOIN channels c ON c.channel = n.channel \
         WHERE c.gateway = $1 AND n.holder <> $2 AND n.expires_ms < $3 LIMIT 1",
        params,
    )
    .fetch_optional(&store.read)
    .await?;
    Ok(row.is_some())
}

/// Removes other holders' expired leases of a channel and returns their ranges.
pub(super) async fn take_expired(
    tx: &mut Tx,
    channel: ChannelId,
    holder: &str,
    now_ms: u64,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let mut params = Params::default();
    params.bytes(&channel.0)?.text(holder)?.int("expires_ms", now_ms)?;
    let rows = query(
        "DELETE FROM nonce_leases WHERE channel = $1 AND holder <> $2 AND expires_ms < $3 RETURNING first, until",
        params,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| Ok((get_u64(row, "first")?, get_u64(row, "until")?))).collect()
}

/// Removes leases whose nonces all have their notes.
pub(super) async fn drop_finished(tx: &mut Tx, channel: ChannelId, noted_nonce: u64) -> Result<(), StoreError> {
    let mut params = Params::default();
    params.bytes(&channel.0)?.int("until", noted_nonce + 1)?;
    query("DELETE FROM nonce_leases WHERE channel = $1 AND until <= $2", params).execute(&mut **tx).await?;
    Ok(())
}

pub(super) async fn add_lease(
    tx: &mut Tx,
    channel: ChannelId,
    first: u64,
    until: u64,
    holder: &str,
    expires_ms: u64,
) -> Result<(), StoreError> {
    let mut params = Params::default();
    params.bytes(&channel.0)?.int("first", first)?.int("until", until)?.text(holder)?.int("expires_ms", expires_ms)?;
    query("INSERT INTO nonce_leases (channel, first, until, holder, expires_ms) VALUES ($1, $2, $3, $4, $5)", params)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes leases of the gateway's channels and returns their ranges.
pub(super) async fn take_leases(
    tx: &mut Tx,
    gateway: WalletId,
    holder: &str,
    leases: Leases,
    now_ms: u64,
) -> Result<Vec<(ChannelId, u64, u64)>, StoreError> {
    let mut params = Params::default();
    params.bytes(&gateway.0)?.text(holder)?.int("limit", MAX_TAKEN)?;
    let whose = match leases {
        Leases::Own => "n.holder = $2",
        Leases::Others => "n.holder <> $2",
        Leases::Expired => {
            params.int("expires_ms", now_ms)?;
            "n.holder <> $2 AND n.expires_ms < $4"
        }
    };
    let sql = format!(
        "SELECT n.channel AS channel, n.first AS first, n.until AS until FROM nonce_leases n \
         JOIN channels c ON c.channel = n.channel WHERE c.gateway = $1 AND {whose} ORDER BY n.channel, n.first LIMIT $3"
    );
    let mut taken = Vec::new();
    for row in query(sql, params).fetch_all(&mut **tx).await? {
        taken.push((ChannelId(get_bytes(&row, "channel")?), get_u64(&row, "first")?, get_u64(&row, "until")?));
    }
    for (channel, first, _) in &taken {
        let mut params = Params::default();
        params.bytes(&channel.0)?.int("first", *first)?;
        query("DELETE FROM nonce_leases WHERE channel = $1 AND first = $2", params).execute(&mut **tx).await?;
    }
    Ok(taken)
}

pub(super) async fn write_receipts(tx: &mut Tx, accepted: &[(Arc<Charge>, Receipt)]) -> Result<(), StoreError> {
    for group in groups(accepted) {
        let mut params = Params::default();
        for (charge, receipt) in group {
            params
                .text(&charge.receipt_id)?
                .text(&charge.request_id.0)?
                .bytes(&charge.channel.0)?
                .int("nonce", charge.nonce)?;
            params
                .bytes(&receipt.gateway)?
                .int("epoch", receipt.epoch)?
                .bytes(&receipt.worker)?
                .bytes(&receipt.line_key)?;
            params.int("seq", receipt.seq)?.int("price_nc", receipt.price_nc)?.text(&charge.model)?;
            params.bytes(&charge.container.0)?.int("stage", charge.stage)?.bytes(&charge.referrer.0)?;
            params.opt_text(charge.api_key.as_deref())?.bytes(&charge.receipt)?.bytes(&charge.worker_sig)?;
            params.bytes(&charge.gateway_sig)?.bytes(&charge.order)?.bytes(&charge.order_sig)?;
            params.int("created_ms", charge.created_ms)?;
        }
        let sql = format!(
            "INSERT INTO receipts (receipt_id, request_id, channel, nonce, gateway, epoch, worker, line_key, seq, price_nc, \
             model, container, stage, referrer, api_key, receipt, worker_sig, gateway_sig, order_bytes, order_sig, created_ms) \
             VALUES {}",
            tuples(1, group.len(), 21)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) async fn write_notes(tx: &mut Tx, gateway: WalletId, notes: &[IssuableNote]) -> Result<(), StoreError> {
    for group in groups(notes) {
        let mut params = Params::default();
        for note in group {
            params.bytes(&note.channel.0)?.int("nonce", note.nonce)?.bytes(&gateway.0)?;
            params.int("charge_nc", note.charge_nc)?.int("cum_charged_nc", note.cum_charged_nc)?;
        }
        let sql = format!(
            "INSERT INTO notes (channel, nonce, gateway, charge_nc, cum_charged_nc) VALUES {}",
            tuples(1, group.len(), 5)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) async fn write_lines<'a>(tx: &mut Tx, lines: impl Iterator<Item = &'a LineState>) -> Result<(), StoreError> {
    let lines: Vec<&LineState> = lines.collect();
    for group in groups(&lines) {
        let mut params = Params::default();
        for line in group {
            params.bytes(&line.gateway.0)?.int("epoch", line.epoch)?.bytes(&line.line_key)?.bytes(&line.container.0)?;
            params.int("stage", line.stage)?.bytes(&line.worker.0)?.bytes(&line.referrer.0)?;
            params.int("next_seq", line.next_seq)?.int("cum_nc", line.cum_nc)?;
        }
        let sql = format!(
            "INSERT INTO lines (gateway, epoch, line_key, container, stage, worker, referrer, next_seq, cum_nc) VALUES {} \
             ON CONFLICT (gateway, epoch, line_key) DO UPDATE SET next_seq = excluded.next_seq, cum_nc = excluded.cum_nc",
            tuples(1, group.len(), 9)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) async fn write_channels<'a>(
    tx: &mut Tx,
    channels: impl Iterator<Item = &'a Channel>,
) -> Result<(), StoreError> {
    let channels: Vec<&Channel> = channels.collect();
    for group in groups(&channels) {
        let mut params = Params::default();
        for row in group {
            params.bytes(&row.channel.0)?.int("charged_nc", row.charged_nc)?.int("next_nonce", row.next_nonce)?;
            params
                .int("noted_nonce", row.noted_nonce)?
                .int("noted_cum_nc", row.noted_cum_nc)?
                .int("waiting", row.waiting)?;
        }
        let sql = format!(
            "UPDATE channels AS c SET charged_nc = v.column2, next_nonce = v.column3, noted_nonce = v.column4, \
             noted_cum_nc = v.column5, waiting = v.column6 FROM (VALUES {}) AS v WHERE c.channel = v.column1",
            tuples(1, group.len(), 6)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Void ranges that notes still have to pass are kept, those that they have passed go.
pub(super) async fn write_voids(tx: &mut Tx, accounts: &HashMap<ChannelId, Account>) -> Result<(), StoreError> {
    let mut added = Vec::new();
    for (channel, account) in accounts {
        added.extend(account.voids.difference(&account.stored_voids).map(|(first, until)| (channel, *first, *until)));
        if account.stored_voids.difference(&account.voids).next().is_some() {
            let mut params = Params::default();
            params.bytes(&channel.0)?.int("until", account.row.noted_nonce + 1)?;
            query("DELETE FROM nonce_voids WHERE channel = $1 AND until <= $2", params).execute(&mut **tx).await?;
        }
    }
    for group in groups(&added) {
        let mut params = Params::default();
        for (channel, first, until) in group {
            params.bytes(&channel.0)?.int("first", *first)?.int("until", *until)?;
        }
        let sql = format!("INSERT INTO nonce_voids (channel, first, until) VALUES {}", tuples(1, group.len(), 3));
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) async fn write_keys(tx: &mut Tx, keys: &BTreeMap<String, u64>) -> Result<(), StoreError> {
    let keys: Vec<(&String, &u64)> = keys.iter().collect();
    for group in groups(&keys) {
        let mut params = Params::default();
        for (public_id, charged_nc) in group {
            params.text(public_id)?.int("charged_nc", **charged_nc)?;
        }
        let sql = format!(
            "UPDATE api_keys AS k SET charged_nc = k.charged_nc + v.column2 FROM (VALUES {}) AS v WHERE k.public_id = v.column1",
            tuples(1, group.len(), 2)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}
