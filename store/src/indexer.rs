//! What the indexer learnt from the chain: events, the cursor, and the projections that follow from them, all moved in one
//! transaction so that the cursor never runs ahead of the rows.

use crate::batches::{BatchId, BatchStatus, claim_line, set_batch_status};
use crate::sql::{Params, get_bytes, get_text, get_u32, get_u64, groups, query, tuples};
use crate::{Store, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use waybill_protocol::ChannelId;

/// The newest transaction that a source (a program) was read up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub signature: [u8; 64],
    pub slot: u64,
}

/// One program event. `(signature, ix_index, inner_index)` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEvent {
    pub signature: [u8; 64],
    pub ix_index: u32,
    pub inner_index: u32,
    pub slot: u64,
    /// Unix seconds.
    pub block_time: Option<i64>,
    pub name: String,
    /// The account that the event is about.
    pub account: [u8; 32],
    pub data: Vec<u8>,
}

/// A row that follows from finalized events. All are safe to apply again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// The chain settled the channel up to here; never moves back. Ignored for channels that this store does not know.
    ChannelSettled { channel: ChannelId, settled_nc: u64, nonce: u64 },
    /// Ignored for batches that this store does not know.
    BatchAdvanced { batch: BatchId, from: BatchStatus, to: BatchStatus },
    /// Ignored for batches that this store does not know.
    LineClaimed { batch: BatchId, index: u32 },
}

/// What one poll brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Program or stream that the cursor belongs to.
    pub source: String,
    /// Where the reader stood before this page; the page is refused when the stored cursor is another.
    pub from: Option<Cursor>,
    pub to: Cursor,
    pub events: Vec<ChainEvent>,
    pub projections: Vec<Projection>,
    pub now_ms: u64,
}

impl Store {
    pub async fn cursor(&self, source: &str) -> Result<Option<Cursor>, StoreError> {
        let mut params = Params::default();
        params.text(source)?;
        let row = query("SELECT signature, slot FROM indexer_cursors WHERE source = $1", params)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(read_cursor).transpose()
    }

    /// Applies finalized events: rows (insert or promote), projections and cursor in one transaction. A page that does not
    /// start at the stored cursor is a [`StoreError::Conflict`] and changes nothing.
    pub async fn apply_events(&self, page: &EventPage) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        move_cursor(&mut tx, page).await?;
        insert_events(&mut tx, &page.source, &page.events, true).await?;
        for projection in &page.projections {
            project(&mut tx, projection, page.now_ms).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Keeps events that are only confirmed, for screens; they count for nothing until [`Store::apply_events`] promotes them.
    pub async fn note_provisional(&self, source: &str, events: &[ChainEvent]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert_events(&mut tx, source, events, false).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes provisional rows up to a finalized slot: their fork lost. Returns how many.
    pub async fn drop_provisional(&self, source: &str, up_to_slot: u64) -> Result<u64, StoreError> {
        let mut params = Params::default();
        params.text(source)?.int("slot", up_to_slot)?;
        let done = query("DELETE FROM chain_events WHERE source = $1 AND slot <= $2 AND finalized = 0", params)
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected())
    }

    /// Finalized events about an account, oldest first.
    pub async fn events_of(&self, account: &[u8; 32], limit: u32) -> Result<Vec<ChainEvent>, StoreError> {
        let mut params = Params::default();
        params.bytes(account)?.int("limit", limit)?;
        let rows = query(
            "SELECT * FROM chain_events WHERE account = $1 AND finalized = 1 \
             ORDER BY slot, signature, ix_index, inner_index LIMIT $2",
            params,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read_event).collect()
    }
}

async fn move_cursor(tx: &mut Transaction<'static, Any>, page: &EventPage) -> Result<(), StoreError> {
    let mut params = Params::default();
    params.text(&page.source)?.bytes(&page.to.signature)?.int("slot", page.to.slot)?;
    let sql = match page.from {
        None => "INSERT INTO indexer_cursors (source, signature, slot) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        Some(from) => {
            params.bytes(&from.signature)?;
            "UPDATE indexer_cursors SET signature = $2, slot = $3 WHERE source = $1 AND signature = $4"
        }
    };
    if query(sql, params).execute(&mut **tx).await?.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Conflict { what: format!("cursor of {}", page.source) })
}

async fn insert_events(
    tx: &mut Transaction<'static, Any>,
    source: &str,
    events: &[ChainEvent],
    finalized: bool,
) -> Result<(), StoreError> {
    // One statement may not touch a row twice.
    let mut seen = std::collections::HashSet::new();
    let events: Vec<&ChainEvent> =
        events.iter().filter(|event| seen.insert((event.signature, event.ix_index, event.inner_index))).collect();
    for group in groups(&events) {
        let mut params = Params::default();
        for event in group {
            params.bytes(&event.signature)?.int("ix_index", event.ix_index)?.int("inner_index", event.inner_index)?;
            params.text(source)?.int("slot", event.slot)?.signed(event.block_time)?.text(&event.name)?;
            params.bytes(&event.account)?.bytes(&event.data)?.int("finalized", u64::from(finalized))?;
        }
        let sql = format!(
            "INSERT INTO chain_events (signature, ix_index, inner_index, source, slot, block_time, name, account, data, \
             finalized) VALUES {} ON CONFLICT (signature, ix_index, inner_index) DO UPDATE SET slot = excluded.slot, \
             block_time = excluded.block_time, finalized = 1 WHERE excluded.finalized = 1 AND chain_events.finalized = 0",
            tuples(1, group.len(), 10)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn project(tx: &mut Transaction<'static, Any>, projection: &Projection, now_ms: u64) -> Result<(), StoreError> {
    match *projection {
        Projection::ChannelSettled { channel, settled_nc, nonce } => {
            let mut params = Params::default();
            params.bytes(&channel.0)?.int("settled_nc", settled_nc)?.int("settled_nonce", nonce)?;
            query(
                "UPDATE channels SET settled_nc = $2, settled_nonce = $3 WHERE channel = $1 AND settled_nc <= $2",
                params,
            )
            .execute(&mut **tx)
            .await?;
            Ok(())
        }
        Projection::BatchAdvanced { batch, from, to } => match set_batch_status(tx, batch, from, to, now_ms).await {
            Err(StoreError::Missing { .. }) => Ok(()),
            // Already further on: events may be seen again.
            Err(StoreError::Transition { .. }) if passed(tx, batch, to).await? => Ok(()),
            other => other,
        },
        Projection::LineClaimed { batch, index } => match claim_line(tx, batch, index, now_ms).await {
            Ok(_) | Err(StoreError::Missing { .. }) => Ok(()),
            Err(other) => Err(other),
        },
    }
}

async fn passed(tx: &mut Transaction<'static, Any>, batch: BatchId, status: BatchStatus) -> Result<bool, StoreError> {
    Ok(crate::batches::status_of(tx, batch).await?.is_some_and(|actual| actual >= status))
}

fn read_cursor(row: &AnyRow) -> Result<Cursor, StoreError> {
    Ok(Cursor { signature: get_bytes(row, "signature")?, slot: get_u64(row, "slot")? })
}

fn read_event(row: &AnyRow) -> Result<ChainEvent, StoreError> {
    Ok(ChainEvent {
        signature: get_bytes(row, "signature")?,
        ix_index: get_u32(row, "ix_index")?,
        inner_index: get_u32(row, "inner_index")?,
        slot: get_u64(row, "slot")?,
        block_time: row.try_get("block_time")?,
        name: get_text(row, "name")?,
        account: get_bytes(row, "account")?,
        data: row.try_get("data")?,
    })
}
