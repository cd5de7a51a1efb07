//! The transaction outbox: every transaction is a row before it is a packet. Status changes are compare-and-set, so two
//! senders cannot both believe that they own a row.

use crate::sql::{Params, corrupt, get_opt_bytes, get_opt_u64, get_text, get_u64, query};
use crate::{Store, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

/// A business action that must become a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutbox {
    pub kind: String,
    /// Rows of one lane are sent in order; lanes are independent (one fee payer each).
    pub lane: String,
    /// The same key with the same intent is the same row; with another intent it is a conflict.
    pub idempotency_key: String,
    /// What to do, in the sender's own encoding.
    pub intent: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxStatus {
    New,
    Signed,
    Sent,
    Confirmed,
    Finalized,
    Failed,
    Expired,
}

impl OutboxStatus {
    const ALL: [Self; 7] =
        [Self::New, Self::Signed, Self::Sent, Self::Confirmed, Self::Finalized, Self::Failed, Self::Expired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Signed => "signed",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// True when nothing more will happen to the row.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Finalized | Self::Failed)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: u64,
    pub kind: String,
    pub lane: String,
    pub idempotency_key: String,
    pub intent: Vec<u8>,
    pub status: OutboxStatus,
    pub signature: Option<[u8; 64]>,
    pub signed_tx: Option<Vec<u8>>,
    pub last_valid_block_height: Option<u64>,
    /// How often it was signed.
    pub attempts: u64,
    pub cu_limit: Option<u64>,
    /// Micro-lamports per compute unit.
    pub cu_price: Option<u64>,
    pub slot: Option<u64>,
    pub err: Option<String>,
    pub created_ms: u64,
    pub updated_ms: u64,
}

/// A step of a row, with what has to be stored in the same write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// new | expired → signed: the bytes are stored before they are sent.
    Signed { signature: [u8; 64], signed_tx: Vec<u8>, last_valid_block_height: u64, cu_limit: u64, cu_price: u64 },
    /// signed → sent.
    Sent,
    /// signed | sent → confirmed.
    Confirmed { slot: u64 },
    /// signed | sent | confirmed → finalized.
    Finalized { slot: u64 },
    /// confirmed → sent: the fork that held it is gone; the same bytes are sent again.
    RolledBack,
    /// anything open → failed, for good.
    Failed { err: String },
    /// signed | sent → expired: the chain can no longer accept these bytes.
    Expired,
}

impl Transition {
    fn target(&self) -> OutboxStatus {
        match self {
            Self::Signed { .. } => OutboxStatus::Signed,
            Self::Sent | Self::RolledBack => OutboxStatus::Sent,
            Self::Confirmed { .. } => OutboxStatus::Confirmed,
            Self::Finalized { .. } => OutboxStatus::Finalized,
            Self::Failed { .. } => OutboxStatus::Failed,
            Self::Expired => OutboxStatus::Expired,
        }
    }

    fn allowed_from(&self, from: OutboxStatus) -> bool {
        use OutboxStatus::{Confirmed, Expired, New, Sent, Signed};
        match self {
            Self::Signed { .. } => matches!(from, New | Expired),
            Self::Sent => from == Signed,
            Self::Confirmed { .. } | Self::Expired => matches!(from, Signed | Sent),
            Self::Finalized { .. } => matches!(from, Signed | Sent | Confirmed),
            Self::RolledBack => from == Confirmed,
            Self::Failed { .. } => !from.is_closed(),
        }
    }
}

impl Store {
    /// Adds a row, or finds the one with the same key and intent. Returns its id.
    pub async fn enqueue(&self, row: &NewOutbox, now_ms: u64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let id = insert_outbox(&mut tx, row, now_ms).await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn outbox_row(&self, id: u64) -> Result<Option<OutboxRow>, StoreError> {
        let mut params = Params::default();
        params.int("id", id)?;
        let row = query("SELECT * FROM tx_outbox WHERE id = $1", params).fetch_optional(&self.read).await?;
        row.as_ref().map(read_row).transpose()
    }

    pub async fn outbox_by_key(&self, idempotency_key: &str) -> Result<Option<OutboxRow>, StoreError> {
        let mut params = Params::default();
        params.text(idempotency_key)?;
        let row =
            query("SELECT * FROM tx_outbox WHERE idempotency_key = $1", params).fetch_optional(&self.read).await?;
        row.as_ref().map(read_row).transpose()
    }

    /// Rows that are neither finalized nor failed, in order, of one lane or of all. A sender resolves them from the front:
    /// a later row of a lane is not signed before the earlier ones are confirmed.
    pub async fn outbox_open(&self, lane: Option<&str>, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let mut params = Params::default();
        params.int("limit", limit)?;
        let sql = match lane {
            None => "SELECT * FROM tx_outbox WHERE status NOT IN ('finalized', 'failed') ORDER BY id LIMIT $1",
            Some(lane) => {
                params.text(lane)?;
                "SELECT * FROM tx_outbox WHERE status NOT IN ('finalized', 'failed') AND lane = $2 ORDER BY id LIMIT $1"
            }
        };
        query(sql, params).fetch_all(&self.read).await?.iter().map(read_row).collect()
    }

    /// Compare-and-set: applies the step if the row is still in `from`. [`StoreError::Transition`] when it is not, or when
    /// the step does not lead out of `from`.
    pub async fn advance_outbox(
        &self,
        id: u64,
        from: OutboxStatus,
        step: &Transition,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let what = || format!("outbox row {id}");
        if !step.allowed_from(from) {
            return Err(StoreError::Transition {
                what: what(),
                expected: step.target().as_str(),
                actual: from.as_str(),
            });
        }
        let mut params = Params::default();
        params.int("id", id)?.text(from.as_str())?.text(step.target().as_str())?.int("updated_ms", now_ms)?;
        let extra = match step {
            Transition::Signed { signature, signed_tx, last_valid_block_height, cu_limit, cu_price } => {
                params.bytes(signature)?.bytes(signed_tx)?.int("last_valid_block_height", *last_valid_block_height)?;
                params.int("cu_limit", *cu_limit)?.int("cu_price", *cu_price)?;
                ", signature = $5, signed_tx = $6, last_valid_block_height = $7, cu_limit = $8, cu_price = $9, \
                 attempts = attempts + 1, slot = NULL"
            }
            Transition::Confirmed { slot } | Transition::Finalized { slot } => {
                params.int("slot", *slot)?;
                ", slot = $5"
            }
            Transition::Failed { err } => {
                params.text(err)?;
                ", err = $5"
            }
            Transition::RolledBack => ", slot = NULL",
            Transition::Sent | Transition::Expired => "",
        };
        let sql = format!("UPDATE tx_outbox SET status = $3, updated_ms = $4{extra} WHERE id = $1 AND status = $2");
        if query(sql, params).execute(&self.write).await?.rows_affected() == 1 {
            return Ok(());
        }
        match self.outbox_row(id).await? {
            None => Err(StoreError::Missing { what: what() }),
            Some(row) => {
                Err(StoreError::Transition { what: what(), expected: from.as_str(), actual: row.status.as_str() })
            }
        }
    }
}

pub(crate) async fn insert_outbox(
    tx: &mut Transaction<'static, Any>,
    row: &NewOutbox,
    now_ms: u64,
) -> Result<u64, StoreError> {
    let mut params = Params::default();
    params
        .text(&row.kind)?
        .text(&row.lane)?
        .text(&row.idempotency_key)?
        .bytes(&row.intent)?
        .int("created_ms", now_ms)?;
    let inserted = query(
        "INSERT INTO tx_outbox (kind, lane, idempotency_key, intent, status, attempts, created_ms, updated_ms) \
         VALUES ($1, $2, $3, $4, 'new', 0, $5, $5) ON CONFLICT DO NOTHING RETURNING id",
        params,
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(inserted) = inserted {
        return get_u64(&inserted, "id");
    }
    let mut params = Params::default();
    params.text(&row.idempotency_key)?;
    let known = query("SELECT * FROM tx_outbox WHERE idempotency_key = $1", params).fetch_one(&mut **tx).await?;
    let known = read_row(&known)?;
    if (&known.kind, &known.lane, &known.intent) == (&row.kind, &row.lane, &row.intent) {
        Ok(known.id)
    } else {
        Err(StoreError::Conflict { what: format!("outbox row {:?}", row.idempotency_key) })
    }
}

fn read_row(row: &AnyRow) -> Result<OutboxRow, StoreError> {
    let status = get_text(row, "status")?;
    Ok(OutboxRow {
        id: get_u64(row, "id")?,
        kind: get_text(row, "kind")?,
        lane: get_text(row, "lane")?,
        idempotency_key: get_text(row, "idempotency_key")?,
        intent: row.try_get("intent")?,
        status: OutboxStatus::ALL
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| corrupt("status", "outbox status", &status))?,
        signature: get_opt_bytes(row, "signature")?,
        signed_tx: row.try_get("signed_tx")?,
        last_valid_block_height: get_opt_u64(row, "last_valid_block_height")?,
        attempts: get_u64(row, "attempts")?,
        cu_limit: get_opt_u64(row, "cu_limit")?,
        cu_price: get_opt_u64(row, "cu_price")?,
        slot: get_opt_u64(row, "slot")?,
        err: row.try_get("err")?,
        created_ms: get_u64(row, "created_ms")?,
        updated_ms: get_u64(row, "updated_ms")?,
    })
}
