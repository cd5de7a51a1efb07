//! Drawn receipts and what verifiers said of them. Rows are leased, so that two auditors of one database share the work; a
//! verdict is kept once per verifier, so that doing work twice changes nothing.

use crate::batches::BatchId;
use crate::receipts::{RECEIPT_COLUMNS, read_receipt};
use crate::sql::{Params, corrupt, get_bytes, get_text, get_u32, get_u64, query};
use crate::{Charge, Store, StoreError};
use sqlx::Row;
use sqlx::any::AnyRow;
use waybill_protocol::WorkerId;

/// What names a draw: its number within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DrawId {
    pub batch: BatchId,
    pub draw: u32,
}

impl std::fmt::Display for DrawId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.batch, self.draw)
    }
}

/// Where an audit stands. Only an open one changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditState {
    Open,
    /// The work is what the receipt says.
    Passed,
    /// Most verifiers say that it is not.
    Failed,
    /// Nobody could say: no material, no other worker with the model, or no verdict in time.
    Unanswered,
}

impl AuditState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Passed, Self::Failed, Self::Unanswered].into_iter().find(|state| state.as_str() == text)
    }
}

/// A draw that hit a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    pub id: DrawId,
    /// The batch's seed, which also decides who verifies.
    pub seed: [u8; 32],
    /// The receipt's leaf in the batch's tree.
    pub leaf: u32,
    pub receipt_id: String,
    pub worker: WorkerId,
    pub price_nc: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub id: DrawId,
    pub seed: [u8; 32],
    pub leaf: u32,
    pub receipt_id: String,
    pub worker: WorkerId,
    pub price_nc: u64,
    pub state: AuditState,
    /// Why it stands as it does, for people.
    pub note: String,
    pub created_ms: u64,
    pub updated_ms: u64,
}

/// A verifier's verdict as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVerdict {
    pub verifier: WorkerId,
    /// `waybill_protocol::audit::Verdict` as Protocol Buffers.
    pub verdict: Vec<u8>,
    pub created_ms: u64,
}

impl Store {
    /// The receipt at a leaf of a batch's receipts tree.
    pub async fn receipt_at(&self, batch: BatchId, leaf: u32) -> Result<Option<Charge>, StoreError> {
        let mut params = Params::default();
        params.bytes(&batch.gateway.0)?.int("epoch", batch.epoch)?.int("shard", batch.shard)?.int("leaf", leaf)?;
        let columns: Vec<String> = RECEIPT_COLUMNS.split(", ").map(|column| format!("r.{}", column.trim())).collect();
        let sql = format!(
            "SELECT {} FROM batch_receipts b JOIN receipts r ON r.receipt_id = b.receipt_id \
             WHERE b.gateway = $1 AND b.epoch = $2 AND b.shard = $3 AND b.leaf = $4",
            columns.join(", ")
        );
        let row = query(sql, params).fetch_optional(&self.read).await?;
        row.as_ref().map(read_receipt).transpose()
    }

    /// Records draws, all or none. Those that are known stay as they are.
    pub async fn insert_audits(&self, audits: &[NewAudit], now_ms: u64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for audit in audits {
            let mut params = id_params(audit.id)?;
            params.bytes(&audit.seed)?.int("leaf", audit.leaf)?.text(&audit.receipt_id)?.bytes(&audit.worker.0)?;
            params.int("price_nc", audit.price_nc)?.text(AuditState::Open.as_str())?.int("created_ms", now_ms)?;
            query(
                "INSERT INTO audits (gateway, epoch, shard, draw, seed, leaf, receipt_id, worker, price_nc, state, note, \
                 leased_ms, created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', 0, $11, $11) \
                 ON CONFLICT DO NOTHING",
                params,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// How many draws of a batch are recorded.
    pub async fn count_audits(&self, batch: BatchId) -> Result<u64, StoreError> {
        let mut params = Params::default();
        params.bytes(&batch.gateway.0)?.int("epoch", batch.epoch)?.int("shard", batch.shard)?;
        let row = query("SELECT COUNT(*) AS n FROM audits WHERE gateway = $1 AND epoch = $2 AND shard = $3", params)
            .fetch_one(&self.read)
            .await?;
        get_u64(&row, "n")
    }

    /// Takes the oldest open audit that nobody holds, until `until_ms`. Two callers never hold the same.
    pub async fn lease_audit(&self, now_ms: u64, until_ms: u64) -> Result<Option<Audit>, StoreError> {
        let mut tx = self.begin().await?;
        let mut params = Params::default();
        params.int("now_ms", now_ms)?;
        let row = query(
            "SELECT * FROM audits WHERE state = 'open' AND leased_ms <= $1 ORDER BY created_ms, gateway, epoch, shard, draw LIMIT 1",
            params,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(audit) = row.as_ref().map(read_audit).transpose()? else { return Ok(None) };
        let mut params = id_params(audit.id)?;
        params.int("now_ms", now_ms)?.int("until_ms", until_ms)?;
        let done = query(
            "UPDATE audits SET leased_ms = $6 WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND draw = $4 \
             AND state = 'open' AND leased_ms <= $5",
            params,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((done.rows_affected() == 1).then_some(audit))
    }

    /// Keeps a verdict; a verifier's first one stays.
    pub async fn keep_verdict(&self, id: DrawId, verdict: &StoredVerdict) -> Result<(), StoreError> {
        let mut params = id_params(id)?;
        params.bytes(&verdict.verifier.0)?.bytes(&verdict.verdict)?.int("created_ms", verdict.created_ms)?;
        query(
            "INSERT INTO verdicts (gateway, epoch, shard, draw, verifier, verdict, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            params,
        )
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// All verdicts on a draw, oldest first.
    pub async fn verdicts(&self, id: DrawId) -> Result<Vec<StoredVerdict>, StoreError> {
        let rows = query(
            "SELECT * FROM verdicts WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND draw = $4 \
             ORDER BY created_ms, verifier",
            id_params(id)?,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read_verdict).collect()
    }

    /// Ends an open audit. One that has ended stays as it is; returns whether this call ended it.
    pub async fn end_audit(&self, id: DrawId, state: AuditState, note: &str, now_ms: u64) -> Result<bool, StoreError> {
        let mut params = id_params(id)?;
        params.text(state.as_str())?.text(note)?.int("updated_ms", now_ms)?;
        let done = query(
            "UPDATE audits SET state = $5, note = $6, updated_ms = $7, leased_ms = 0 \
             WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND draw = $4 AND state = 'open'",
            params,
        )
        .execute(&self.write)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Says why an open audit waits, and gives its lease back at `retry_ms`.
    pub async fn defer_audit(&self, id: DrawId, note: &str, retry_ms: u64, now_ms: u64) -> Result<(), StoreError> {
        let mut params = id_params(id)?;
        params.text(note)?.int("retry_ms", retry_ms)?.int("updated_ms", now_ms)?;
        query(
            "UPDATE audits SET note = $5, leased_ms = $6, updated_ms = $7 \
             WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND draw = $4 AND state = 'open'",
            params,
        )
        .execute(&self.write)
        .await?;
        Ok(())
    }

    pub async fn audit(&self, id: DrawId) -> Result<Option<Audit>, StoreError> {
        let row = query(
            "SELECT * FROM audits WHERE gateway = $1 AND epoch = $2 AND shard = $3 AND draw = $4",
            id_params(id)?,
        )
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(read_audit).transpose()
    }

    /// The newest audits, those of one state or all.
    pub async fn audits(&self, state: Option<AuditState>, limit: u32) -> Result<Vec<Audit>, StoreError> {
        let mut params = Params::default();
        params.int("limit", limit)?;
        let filter = match state {
            None => "",
            Some(state) => {
                params.text(state.as_str())?;
                "WHERE state = $2 "
            }
        };
        let sql = format!("SELECT * FROM audits {filter}ORDER BY epoch DESC, gateway, shard, draw LIMIT $1");
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_audit).collect()
    }

    /// Audits of one receipt: it may be drawn more than once.
    pub async fn audits_of_receipt(&self, receipt_id: &str) -> Result<Vec<Audit>, StoreError> {
        let mut params = Params::default();
        params.text(receipt_id)?;
        let rows =
            query("SELECT * FROM audits WHERE receipt_id = $1 ORDER BY draw", params).fetch_all(&self.read).await?;
        rows.iter().map(read_audit).collect()
    }
}

fn id_params(id: DrawId) -> Result<Params, StoreError> {
    let mut params = Params::default();
    let DrawId { batch, draw } = id;
    params.bytes(&batch.gateway.0)?.int("epoch", batch.epoch)?.int("shard", batch.shard)?.int("draw", draw)?;
    Ok(params)
}

fn read_audit(row: &AnyRow) -> Result<Audit, StoreError> {
    let state = get_text(row, "state")?;
    Ok(Audit {
        id: DrawId { batch: crate::batches::read_id(row)?, draw: get_u32(row, "draw")? },
        seed: get_bytes(row, "seed")?,
        leaf: get_u32(row, "leaf")?,
        receipt_id: get_text(row, "receipt_id")?,
        worker: WorkerId(get_bytes(row, "worker")?),
        price_nc: get_u64(row, "price_nc")?,
        state: AuditState::parse(&state).ok_or_else(|| corrupt("state", "audit state", &state))?,
        note: get_text(row, "note")?,
        created_ms: get_u64(row, "created_ms")?,
        updated_ms: get_u64(row, "updated_ms")?,
    })
}

fn read_verdict(row: &AnyRow) -> Result<StoredVerdict, StoreError> {
    Ok(StoredVerdict {
        verifier: WorkerId(get_bytes(row, "verifier")?),
        verdict: row.try_get("verdict")?,
        created_ms: get_u64(row, "created_ms")?,
    })
}
