//! Batches: a closed epoch of one gateway as two Merkle-sum trees, from built to swept. The leaves are kept so that every
//! proof can be rebuilt.

use crate::outbox::insert_outbox;
use crate::sql::{Params, corrupt, get_bytes, get_opt_u64, get_text, get_u16, get_u32, get_u64, groups, query, tuples};
use crate::{NewOutbox, Store, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};
use waybill_mechanism::merkle::Node;
use waybill_mechanism::message::Line;
use waybill_protocol::WalletId;

/// What names a batch on chain and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    pub gateway: WalletId,
    pub epoch: u32,
    pub shard: u16,
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.gateway, self.epoch, self.shard)
    }
}

/// A batch only moves forward, one step at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BatchStatus {
    /// Trees built and stored, not on chain.
    Built,
    /// `post_batch` is finalized.
    Posted,
    /// `finalize_batch` is finalized: the challenge window is over.
    Final,
    /// Every line is claimed.
    Claimed,
    /// `sweep_batch` is finalized.
    Swept,
}

impl BatchStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Posted => "posted",
            Self::Final => "final",
            Self::Claimed => "claimed",
            Self::Swept => "swept",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Built, Self::Posted, Self::Final, Self::Claimed, Self::Swept].into_iter().find(|s| s.as_str() == text)
    }
}

/// One leaf of the receipts tree; its position in the vector is its leaf index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptLeaf {
    pub receipt_id: String,
    /// `merkle::leaf(receipt bytes, price_nc)`.
    pub node: Node,
}

/// One leaf of the lines tree; its position in the vector is its leaf index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineLeaf {
    pub line: [u8; Line::LEN],
    /// `merkle::leaf(line bytes, credits_nc)`.
    pub node: Node,
}

/// A batch to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    pub id: BatchId,
    pub receipts_root: Node,
    pub lines_root: Node,
    pub data_hash: [u8; 32],
    pub uri: String,
    pub receipts: Vec<ReceiptLeaf>,
    pub lines: Vec<LineLeaf>,
    pub created_ms: u64,
}

/// A stored batch without its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub status: BatchStatus,
    pub receipts_root: Node,
    pub n_receipts: u32,
    pub lines_root: Node,
    pub n_lines: u32,
    pub data_hash: [u8; 32],
    pub uri: String,
    pub created_ms: u64,
    pub updated_ms: u64,
}

/// A line of a batch and whether it was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    pub index: u32,
    pub line: [u8; Line::LEN],
    pub node: Node,
    pub claimed_ms: Option<u64>,
}

impl Store {
    /// Stores a batch with all leaves and, when given, the outbox row that posts it, in one transaction. The epoch must be
    /// closed. The same batch again is Ok; other roots under the same id are a [`StoreError::Conflict`].
    pub async fn insert_batch(&self, batch: &NewBatch, post: Option<&NewOutbox>) -> Result<(), StoreError> {
        check_sums(batch)?;
        let mut tx = self.begin().await?;
        if !is_closed(&mut tx, batch.id).await? {
            return Err(StoreError::Missing {
                what: format!("closed epoch {} of gateway {}", batch.id.epoch, batch.id.gateway),
            });
        }
        if insert_header(&mut tx, batch).await? {
            insert_receipt_leaves(&mut tx, batch).await?;
            insert_line_leaves(&mut tx, batch).await?;
        } else {
            check_same(&mut tx, batch).await?;
        }
        if let Some(post) = post {
            insert_outbox(&mut tx, post, batch.created_ms).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let row = query("SELECT * FROM batches WHERE gateway = $1 AND epoch = $2 AND shard = $3", id_params(id)?)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(read_batch).transpose()
    }

    /// Batches in one status, oldest epoch first.
    pub async fn batches(&self, status: BatchStatus, limit: u32) -> Result<Vec<Batch>, StoreError> {
        let mut params = Params::default();
        params.text(status.as_str())?.int("limit", limit)?;
        let rows = query("SELECT * FROM batches WHERE status = $1 ORDER BY epoch, gateway, shard LIMIT $2", params)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(read_batch).collect()
    }

    /// Compare-and-set: moves the batch from `from` to the next status `to`. Moving again to where it is already is Ok.
    pub async fn advance_batch(
        &self,
        id: BatchId,
        from: BatchStatus,
        to: BatchStatus,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set_batch_status(&mut tx, id, from, to, now_ms).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Nodes of the receipts tree in leaf order.
    pub async fn receipt_leaves(&self, id: BatchId) -> Result<Vec<Node>, StoreError> {
        let rows = query(
            "SELECT leaf_hash, price_nc FROM batch_receipts WHERE gateway = $1 AND epoch = $2 AND shard = $3 ORDER BY leaf",
            id_params(id)?,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|row| Ok(Node { hash: get_bytes(row, "leaf_hash")?, sum: get_u64(row, "price_nc")? })).collect()
    }

    /// Lines in leaf order.
    pub async fn batch_lines(&self, id: BatchId) -> Result<Vec<StoredLine>, StoreError> {
        let rows = query(
            "SELECT * FROM batch_lines WHERE gateway = $1 AND epoch = $2 AND shard = $3 ORDER BY leaf",
            id_params(id)?,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read_stored_line).collect()
    }

    /// Marks a line claimed; the first time stays. Returns how many lines of the batch are still unclaimed.
    pub async fn mark_line_claimed(&self, id: BatchId, index: u32, now_ms: u64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let left = claim_line(&mut tx, id, index, now_ms).await?;
        tx.commit().await?;
        Ok(left)
    }
}

fn check_sums(batch: &NewBatch) -> Result<(), StoreError> {
    let receipts = batch.receipts.iter().try_fold(0u64, |sum, leaf| sum.checked_add(leaf.node.sum));
    let lines = batch.lines.iter().try_fold(0u64, |sum, leaf| sum.checked_add(leaf.node.sum));
    if receipts != Some(batch.receipts_root.sum) || lines != Some(batch.lines_root.sum) || receipts != lines {
        let why = format!(
            "receipts sum to {receipts:?}, lines to {lines:?}, roots say {} and {}",
            batch.receipts_root.sum, batch.lines_root.sum
        );
        return Err(StoreError::Malformed { what: "batch", why });
    }
    Ok(())
}

async fn is_closed(tx: &mut Transaction<'static, Any>, id: BatchId) -> Result<bool, StoreError> {
    let mut params = Params::default();
    params.bytes(&id.gateway.0)?.int("epoch", id.epoch)?;
    let row = query("SELECT epoch FROM closed_epochs WHERE gateway = $1 AND epoch = $2", params)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.is_some())
}

async fn insert_header(tx: &mut Transaction<'static, Any>, batch: &NewBatch) -> Result<bool, StoreError> {
    let mut params = id_params(batch.id)?;
    params.text(BatchStatus::Built.as_str())?;
    params.bytes(&batch.receipts_root.hash)?.int("receipts_sum", batch.receipts_root.sum)?;
    params.int("n_receipts", batch.receipts.len() as u64)?;
    params
        .bytes(&batch.lines_root.hash)?
        .int("lines_sum", batch.lines_root.sum)?
        .int("n_lines", batch.lines.len() as u64)?;
    params.bytes(&batch.data_hash)?.text(&batch.uri)?.int("created_ms", batch.created_ms)?;
    let done = query(
        "INSERT INTO batches (gateway, epoch, shard, status, receipts_root, receipts_sum, n_receipts, lines_root, lines_sum, \
         n_lines, data_hash, uri, created_ms, updated_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) ON CONFLICT DO NOTHING",
        params,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn check_same(tx: &mut Transaction<'static, Any>, batch: &NewBatch) -> Result<(), StoreError> {
    let row = query("SELECT * FROM batches WHERE gateway = $1 AND epoch = $2 AND shard = $3", id_params(batch.id)?)
        .fetch_one(&mut **tx)
        .await?;
    let known = read_batch(&row)?;
    let same = known.receipts_root == batch.receipts_root
        && known.lines_root == batch.lines_root
        && known.data_hash == batch.data_hash
        && known.uri == batch.uri
        && (known.n_receipts as usize, known.n_lines as usize) == (batch.receipts.len(), batch.lines.len());
    if same { Ok(()) } else { Err(StoreError::Conflict { what: format!("batch {}", batch.id) }) }
}

async fn insert_receipt_leaves(tx: &mut Transaction<'static, Any>, batch: &NewBatch) -> Result<(), StoreError> {
    let leaves: Vec<(u32, &ReceiptLeaf)> = (0..).zip(&batch.receipts).collect();
    for group in groups(&leaves) {
        let mut params = Params::default();
        for (index, leaf) in group {
            params
                .bytes(&batch.id.gateway.0)?
                .int("epoch", batch.id.epoch)?
                .int("shard", batch.id.shard)?
                .int("leaf", *index)?;
            params.text(&leaf.receipt_id)?.bytes(&leaf.node.hash)?.int("price_nc", leaf.node.sum)?;
        }
        let sql = format!(
            "INSERT INTO batch_receipts (gateway, epoch, shard, leaf, receipt_id, leaf_hash, price_nc) VALUES {}",
            tuples(1, group.len(), 7)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn insert_line_leaves(tx: &mut Transaction<'static, Any>, batch: &NewBatch) -> Result<(), StoreError> {
    let leaves: Vec<(u32, &LineLeaf)> = (0..).zip(&batch.lines).collect();
    for group in groups(&leaves) {
        let mut params = Params::default();
        for (index, leaf) in group {
            params
                .bytes(&batch.id.gateway.0)?
                .int("epoch", batch.id.epoch)?
                .int("shard", batch.id.shard)?
                .int("leaf", *index)?;
            params.bytes(&leaf.line)?.bytes(&leaf.node.hash)?.int("credits_nc", leaf.node.sum)?;
        }
        let sql = format!(
            "INSERT INTO batch_lines (gateway, epoch, shard, leaf, line, leaf_hash, credits_nc) VALUES {}",
            tuples(1, group.len(), 7)
        );
        query(sql, params).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(crate) async fn set_batch_status(
    tx: &mut Transaction<'static, Any>,
    id: BatchId,
    from: BatchStatus,
    to: BatchStatus,
    now_ms: u64,
) -> Result<(), StoreError> {
    let next = match from {
        BatchStatus::Built => Some(BatchStatus::Posted),
        BatchStatus::Posted => Some(BatchStatus::Final),
        BatchStatus::Final => Some(BatchStatus::Claimed),
        BatchStatus::Claimed => Some(BatchStatus::Swept),
        BatchStatus::Swept => None,
    };
    // A sweep may come after the claim deadline with lines unclaimed.
    let abandoned = (from, to) == (BatchStatus::Final, BatchStatus::Swept);
    let what = || format!("batch {id}");
    if next != Some(to) && !abandoned {
        return Err(StoreError::Transition { what: what(), expected: to.as_str(), actual: from.as_str() });
    }
    let mut params = id_params(id)?;
    params.text(from.as_str())?.text(to.as_str())?.int("updated_ms", now_ms)?;
    let done = query(
        "UPDATE batches SET status = $5, updated_ms = $6 WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND status = $4",
        params,
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    match status_of(tx, id).await? {
        None => Err(StoreError::Missing { what: what() }),
        Some(actual) if actual == to => Ok(()),
        Some(actual) => Err(StoreError::Transition { what: what(), expected: from.as_str(), actual: actual.as_str() }),
    }
}

pub(crate) async fn status_of(
    tx: &mut Transaction<'static, Any>,
    id: BatchId,
) -> Result<Option<BatchStatus>, StoreError> {
    let row = query("SELECT * FROM batches WHERE gateway = $1 AND epoch = $2 AND shard = $3", id_params(id)?)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.as_ref().map(read_batch).transpose()?.map(|batch| batch.status))
}

pub(crate) async fn claim_line(
    tx: &mut Transaction<'static, Any>,
    id: BatchId,
    index: u32,
    now_ms: u64,
) -> Result<u64, StoreError> {
    let mut params = id_params(id)?;
    params.int("leaf", index)?.int("claimed_ms", now_ms)?;
    let done = query(
        "UPDATE batch_lines SET claimed_ms = COALESCE(claimed_ms, $5) \
         WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND leaf = $4",
        params,
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Missing { what: format!("line {index} of batch {id}") });
    }
    let row = query(
        "SELECT COUNT(*) AS open_lines FROM batch_lines \
         WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND claimed_ms IS NULL",
        id_params(id)?,
    )
    .fetch_one(&mut **tx)
    .await?;
    get_u64(&row, "open_lines")
}

fn id_params(id: BatchId) -> Result<Params, StoreError> {
    let mut params = Params::default();
    params.bytes(&id.gateway.0)?.int("epoch", id.epoch)?.int("shard", id.shard)?;
    Ok(params)
}

pub(crate) fn read_id(row: &AnyRow) -> Result<BatchId, StoreError> {
    Ok(BatchId {
        gateway: WalletId(get_bytes(row, "gateway")?),
        epoch: get_u32(row, "epoch")?,
        shard: get_u16(row, "shard")?,
    })
}

fn read_batch(row: &AnyRow) -> Result<Batch, StoreError> {
    let status = get_text(row, "status")?;
    Ok(Batch {
        id: read_id(row)?,
        status: BatchStatus::parse(&status).ok_or_else(|| corrupt("status", "batch status", &status))?,
        receipts_root: Node { hash: get_bytes(row, "receipts_root")?, sum: get_u64(row, "receipts_sum")? },
        n_receipts: get_u32(row, "n_receipts")?,
        lines_root: Node { hash: get_bytes(row, "lines_root")?, sum: get_u64(row, "lines_sum")? },
        n_lines: get_u32(row, "n_lines")?,
        data_hash: get_bytes(row, "data_hash")?,
        uri: get_text(row, "uri")?,
        created_ms: get_u64(row, "created_ms")?,
        updated_ms: get_u64(row, "updated_ms")?,
    })
}

fn read_stored_line(row: &AnyRow) -> Result<StoredLine, StoreError> {
    Ok(StoredLine {
        index: get_u32(row, "leaf")?,
        line: get_bytes(row, "line")?,
        node: Node { hash: get_bytes(row, "leaf_hash")?, sum: get_u64(row, "credits_nc")? },
        claimed_ms: get_opt_u64(row, "claimed_ms")?,
    })
}
