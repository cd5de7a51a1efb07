//! Charge notes. The ledger decides which notes are issuable, the gateway signs them, and this file keeps what it signed.

use crate::ledger::IssuableNote;
use crate::sql::{Params, get_bytes, get_u64, query};
use crate::{Store, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};
use waybill_mechanism::message::ChargeNote;
use waybill_protocol::{ChannelId, WalletId};

/// A note as the consumer gets it: 66 bytes and the gateway's signature over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    pub note: [u8; ChargeNote::LEN],
    pub signature: [u8; 64],
}

impl Store {
    /// Keeps signed notes, all or none, in one transaction. The amounts must be the ledger's; storing the same note again is
    /// Ok, another is a [`StoreError::Conflict`], and one that is not issuable yet is [`StoreError::Missing`].
    pub async fn store_notes(&self, notes: &[(ChargeNote, [u8; 64])]) -> Result<(), StoreError> {
        if notes.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for (note, signature) in notes {
            store_note(&mut tx, note, signature).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Signed notes of a channel with nonces above `after`, in nonce order.
    pub async fn notes_after(&self, channel: ChannelId, after: u64, limit: u32) -> Result<Vec<SignedNote>, StoreError> {
        let mut params = Params::default();
        params.bytes(&channel.0)?.int("nonce", after)?.int("limit", limit)?;
        let rows = query(
            "SELECT note, signature FROM notes WHERE channel = $1 AND nonce > $2 AND signature IS NOT NULL \
             ORDER BY nonce LIMIT $3",
            params,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| Ok(SignedNote { note: get_bytes(row, "note")?, signature: get_bytes(row, "signature")? }))
            .collect()
    }

    /// Issuable notes that nobody has signed yet: what a gateway that crashed between charge and signature left behind.
    pub async fn unsigned_notes(&self, gateway: WalletId, limit: u32) -> Result<Vec<IssuableNote>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.int("limit", limit)?;
        let rows = query(
            "SELECT channel, nonce, charge_nc, cum_charged_nc FROM notes WHERE gateway = $1 AND signature IS NULL \
             ORDER BY channel, nonce LIMIT $2",
            params,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read_issuable).collect()
    }
}

async fn store_note(
    tx: &mut Transaction<'static, Any>,
    note: &ChargeNote,
    signature: &[u8; 64],
) -> Result<(), StoreError> {
    let mut params = Params::default();
    params.bytes(&note.channel)?.int("nonce", note.nonce)?.int("charge_nc", note.charge_nc)?;
    params.int("cum_charged_nc", note.cum_charged_nc)?.bytes(&note.to_bytes())?.bytes(signature)?;
    let done = query(
        "UPDATE notes SET note = $5, signature = $6 WHERE channel = $1 AND nonce = $2 AND charge_nc = $3 \
         AND cum_charged_nc = $4 AND (signature IS NULL OR (note = $5 AND signature = $6))",
        params,
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    let what = format!("note {} of channel {}", note.nonce, ChannelId(note.channel));
    let mut params = Params::default();
    params.bytes(&note.channel)?.int("nonce", note.nonce)?;
    let known =
        query("SELECT nonce FROM notes WHERE channel = $1 AND nonce = $2", params).fetch_optional(&mut **tx).await?;
    Err(if known.is_some() { StoreError::Conflict { what } } else { StoreError::Missing { what } })
}

pub(crate) fn read_issuable(row: &AnyRow) -> Result<IssuableNote, StoreError> {
    Ok(IssuableNote {
        channel: ChannelId(get_bytes(row, "channel")?),
        nonce: get_u64(row, "nonce")?,
        charge_nc: get_u64(row, "charge_nc")?,
        cum_charged_nc: get_u64(row, "cum_charged_nc")?,
    })
}
