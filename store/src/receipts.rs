//! Reading what the ledger wrote: receipts, line states, epochs that still have to be settled.

use crate::batches::BatchId;
use crate::sql::{Params, get_bytes, get_text, get_u8, get_u32, get_u64, query};
use crate::{Charge, SignedNote, Store, StoreError};
use sqlx::Row;
use sqlx::any::AnyRow;
use waybill_protocol::{ChannelId, ContainerId, RequestId, WalletId, WorkerId};

/// A receipt, its note once signed, and its place in a batch once its epoch was batched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptBundle {
    pub receipt: Charge,
    pub note: Option<SignedNote>,
    /// Batch and leaf index in its receipts tree; the proof is built from [`Store::receipt_leaves`].
    pub batch: Option<(BatchId, u32)>,
}

/// Where a line stands: what the next receipt has to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineState {
    pub gateway: WalletId,
    pub epoch: u32,
    pub line_key: [u8; 32],
    pub container: ContainerId,
    pub stage: u8,
    pub worker: WorkerId,
    pub referrer: WalletId,
    /// `seq` of the next receipt = number of receipts so far.
    pub next_seq: u64,
    /// `cum_nc` of the last receipt.
    pub cum_nc: u64,
}

/// An epoch of one gateway with receipts and no batch yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenEpoch {
    pub gateway: WalletId,
    pub epoch: u32,
    pub closed: bool,
    pub receipts: u64,
    pub credits_nc: u64,
}

pub(crate) const RECEIPT_COLUMNS: &str = "receipt_id, request_id, channel, nonce, model, container, stage, referrer, api_key, receipt, \
                               worker_sig, gateway_sig, order_bytes, order_sig, created_ms";

impl Store {
    pub async fn line_state(
        &self,
        gateway: WalletId,
        epoch: u32,
        line_key: &[u8; 32],
    ) -> Result<Option<LineState>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.int("epoch", epoch)?.bytes(line_key)?;
        let row = query("SELECT * FROM lines WHERE gateway = $1 AND epoch = $2 AND line_key = $3", params)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(read_line).transpose()
    }

    /// All lines of one epoch, or of one worker in it, by (worker, line_key).
    pub async fn lines(
        &self,
        gateway: WalletId,
        epoch: u32,
        worker: Option<WorkerId>,
    ) -> Result<Vec<LineState>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.int("epoch", epoch)?;
        let sql = match worker {
            None => "SELECT * FROM lines WHERE gateway = $1 AND epoch = $2 ORDER BY worker, line_key",
            Some(worker) => {
                params.bytes(&worker.0)?;
                "SELECT * FROM lines WHERE gateway = $1 AND epoch = $2 AND worker = $3 ORDER BY line_key"
            }
        };
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_line).collect()
    }

    /// A worker's newest countersigned receipt bytes per line of one epoch, with both signatures: what its next session continues.
    pub async fn last_receipts(
        &self,
        gateway: WalletId,
        epoch: u32,
        worker: WorkerId,
    ) -> Result<Vec<Charge>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.int("epoch", epoch)?.bytes(&worker.0)?;
        let sql = format!(
            "SELECT {} FROM lines l JOIN receipts r ON r.gateway = l.gateway AND r.epoch = l.epoch AND r.worker = l.worker \
             AND r.line_key = l.line_key AND r.seq = l.next_seq - 1 \
             WHERE l.gateway = $1 AND l.epoch = $2 AND l.worker = $3 ORDER BY l.line_key",
            RECEIPT_COLUMNS.split(", ").map(|column| format!("r.{}", column.trim())).collect::<Vec<_>>().join(", ")
        );
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_receipt).collect()
    }

    /// The receipt with its note and its batch position, for `GET /v1/receipts/{id}`.
    pub async fn receipt(&self, receipt_id: &str) -> Result<Option<ReceiptBundle>, StoreError> {
        let mut params = Params::default();
        params.text(receipt_id)?;
        let sql = format!("SELECT {RECEIPT_COLUMNS} FROM receipts WHERE receipt_id = $1");
        let Some(row) = query(sql, params).fetch_optional(&self.read).await? else { return Ok(None) };
        let receipt = read_receipt(&row)?;
        let mut params = Params::default();
        params.bytes(&receipt.channel.0)?.int("nonce", receipt.nonce)?;
        let note = query(
            "SELECT note, signature FROM notes WHERE channel = $1 AND nonce = $2 AND signature IS NOT NULL",
            params,
        )
        .fetch_optional(&self.read)
        .await?
        .map(|row| {
            Ok::<_, StoreError>(SignedNote { note: get_bytes(&row, "note")?, signature: get_bytes(&row, "signature")? })
        })
        .transpose()?;
        let mut params = Params::default();
        params.text(receipt_id)?;
        let batch = query("SELECT gateway, epoch, shard, leaf FROM batch_receipts WHERE receipt_id = $1", params)
            .fetch_optional(&self.read)
            .await?
            .map(|row| Ok::<_, StoreError>((crate::batches::read_id(&row)?, get_u32(&row, "leaf")?)))
            .transpose()?;
        Ok(Some(ReceiptBundle { receipt, note, batch }))
    }

    /// A channel's receipts, newest first, with nonces below `before`.
    pub async fn receipts_of_channel(
        &self,
        channel: ChannelId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Charge>, StoreError> {
        let mut params = Params::default();
        let before = before.unwrap_or(i64::MAX.unsigned_abs());
        params.bytes(&channel.0)?.int("nonce", before)?.int("limit", limit)?;
        let sql = format!(
            "SELECT {RECEIPT_COLUMNS} FROM receipts WHERE channel = $1 AND nonce < $2 ORDER BY nonce DESC LIMIT $3"
        );
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_receipt).collect()
    }

    /// Epochs below `before` that have receipts and no batch, oldest first: of one gateway, or of all. An epoch of several
    /// shards is open until shard 0 is stored, which therefore goes last.
    pub async fn open_epochs(&self, gateway: Option<WalletId>, before: u32) -> Result<Vec<OpenEpoch>, StoreError> {
        let mut params = Params::default();
        params.int("epoch", before)?;
        let filter = match gateway {
            None => "",
            Some(gateway) => {
                params.bytes(&gateway.0)?;
                "AND l.gateway = $2 "
            }
        };
        let sql = format!(
            "SELECT l.gateway AS gateway, l.epoch AS epoch, CAST(SUM(l.next_seq) AS BIGINT) AS receipts, \
             CAST(SUM(l.cum_nc) AS BIGINT) AS credits_nc, \
             (SELECT COUNT(*) FROM closed_epochs c WHERE c.gateway = l.gateway AND c.epoch = l.epoch) AS closed \
             FROM lines l WHERE l.epoch < $1 {filter}AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.gateway = l.gateway \
             AND b.epoch = l.epoch AND b.shard = 0) GROUP BY l.gateway, l.epoch ORDER BY l.epoch, l.gateway"
        );
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_epoch).collect()
    }

    /// Receipts of a gateway's epoch in settlement order (worker, line_key, seq), at most `limit`, after the given one.
    /// They are final only once the epoch is closed.
    pub async fn receipts_of_epoch(
        &self,
        gateway: WalletId,
        epoch: u32,
        after: Option<&Charge>,
        limit: u32,
    ) -> Result<Vec<Charge>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.int("epoch", epoch)?.int("limit", limit)?;
        let filter = match after {
            None => "",
            Some(after) => {
                let receipt = after.receipt()?;
                params.bytes(&receipt.worker)?.bytes(&receipt.line_key)?.int("seq", receipt.seq)?;
                "AND (worker, line_key, seq) > ($4, $5, $6) "
            }
        };
        let sql = format!(
            "SELECT {RECEIPT_COLUMNS} FROM receipts WHERE gateway = $1 AND epoch = $2 {filter}\
             ORDER BY worker, line_key, seq LIMIT $3"
        );
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_receipt).collect()
    }

    /// Closes an epoch: after this returns, every charge in it is refused and its receipts are final. Idempotent.
    pub async fn close_epoch(&self, gateway: WalletId, epoch: u32, now_ms: u64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        crate::ledger::lock_gateway(&mut tx, gateway).await?;
        let mut params = Params::default();
        params.bytes(&gateway.0)?.int("epoch", epoch)?.int("closed_ms", now_ms)?;
        query(
            "INSERT INTO closed_epochs (gateway, epoch, closed_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            params,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(crate) fn read_receipt(row: &AnyRow) -> Result<Charge, StoreError> {
    Ok(Charge {
        receipt_id: get_text(row, "receipt_id")?,
        request_id: RequestId(get_text(row, "request_id")?),
        channel: ChannelId(get_bytes(row, "channel")?),
        nonce: get_u64(row, "nonce")?,
        model: get_text(row, "model")?,
        container: ContainerId(get_bytes(row, "container")?),
        stage: get_u8(row, "stage")?,
        referrer: WalletId(get_bytes(row, "referrer")?),
        api_key: row.try_get("api_key")?,
        receipt: get_bytes(row, "receipt")?,
        worker_sig: get_bytes(row, "worker_sig")?,
        gateway_sig: get_bytes(row, "gateway_sig")?,
        order: get_bytes(row, "order_bytes")?,
        order_sig: get_bytes(row, "order_sig")?,
        created_ms: get_u64(row, "created_ms")?,
    })
}

pub(crate) fn read_line(row: &AnyRow) -> Result<LineState, StoreError> {
    Ok(LineState {
        gateway: WalletId(get_bytes(row, "gateway")?),
        epoch: get_u32(row, "epoch")?,
        line_key: get_bytes(row, "line_key")?,
        container: ContainerId(get_bytes(row, "container")?),
        stage: get_u8(row, "stage")?,
        worker: WorkerId(get_bytes(row, "worker")?),
        referrer: WalletId(get_bytes(row, "referrer")?),
        next_seq: get_u64(row, "next_seq")?,
        cum_nc: get_u64(row, "cum_nc")?,
    })
}

fn read_epoch(row: &AnyRow) -> Result<OpenEpoch, StoreError> {
    Ok(OpenEpoch {
        gateway: WalletId(get_bytes(row, "gateway")?),
        epoch: get_u32(row, "epoch")?,
        closed: get_u64(row, "closed")? > 0,
        receipts: get_u64(row, "receipts")?,
        credits_nc: get_u64(row, "credits_nc")?,
    })
}
