//! API keys: the public id, an HMAC of the secret, the channel they spend from. The secret itself never reaches the store.

use crate::sql::{Params, get_bytes, get_opt_u64, get_text, get_u64, query};
use crate::{Store, StoreError};
use sqlx::any::AnyRow;
use waybill_protocol::ChannelId;

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// 12 characters, shown in the key itself.
    pub public_id: String,
    /// HMAC-SHA-256 of the secret under the server's pepper.
    pub hash: [u8; 32],
    pub channel: ChannelId,
    pub label: String,
    pub created_ms: u64,
    /// Most that all charges of this key may sum to; none = the channel's balance is the only bound.
    pub limit_nc: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub public_id: String,
    pub hash: [u8; 32],
    pub channel: ChannelId,
    pub label: String,
    pub created_ms: u64,
    pub revoked_ms: Option<u64>,
    pub limit_nc: Option<u64>,
    /// Σ charges that named this key.
    pub charged_nc: u64,
}

const LENGTH: usize = 12;

impl Store {
    /// Stores a key; [`StoreError::Conflict`] when the public id is taken.
    pub async fn insert_api_key(&self, key: &NewApiKey) -> Result<(), StoreError> {
        if key.public_id.len() != LENGTH || !key.public_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(StoreError::Malformed {
                what: "public id",
                why: format!("{LENGTH} letters and digits are wanted"),
            });
        }
        let mut params = Params::default();
        params.text(&key.public_id)?.bytes(&key.hash)?.bytes(&key.channel.0)?.text(&key.label)?;
        params.int("created_ms", key.created_ms)?.opt_int("limit_nc", key.limit_nc)?;
        let done = query(
            "INSERT INTO api_keys (public_id, hash, channel, label, created_ms, limit_nc, charged_nc) \
             VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING",
            params,
        )
        .execute(&self.write)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict { what: format!("API key {}", key.public_id) });
        }
        Ok(())
    }

    pub async fn api_key(&self, public_id: &str) -> Result<Option<ApiKey>, StoreError> {
        let mut params = Params::default();
        params.text(public_id)?;
        let row = query("SELECT * FROM api_keys WHERE public_id = $1", params).fetch_optional(&self.read).await?;
        row.as_ref().map(read_key).transpose()
    }

    /// All keys of a channel, revoked ones too, oldest first.
    pub async fn api_keys_of(&self, channel: ChannelId) -> Result<Vec<ApiKey>, StoreError> {
        let mut params = Params::default();
        params.bytes(&channel.0)?;
        let rows = query("SELECT * FROM api_keys WHERE channel = $1 ORDER BY created_ms, public_id", params)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(read_key).collect()
    }

    /// Revokes a key; the first time stays. False when there is no such key.
    pub async fn revoke_api_key(&self, public_id: &str, now_ms: u64) -> Result<bool, StoreError> {
        let mut params = Params::default();
        params.text(public_id)?.int("revoked_ms", now_ms)?;
        let done = query("UPDATE api_keys SET revoked_ms = COALESCE(revoked_ms, $2) WHERE public_id = $1", params)
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

fn read_key(row: &AnyRow) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        public_id: get_text(row, "public_id")?,
        hash: get_bytes(row, "hash")?,
        channel: ChannelId(get_bytes(row, "channel")?),
        label: get_text(row, "label")?,
        created_ms: get_u64(row, "created_ms")?,
        revoked_ms: get_opt_u64(row, "revoked_ms")?,
        limit_nc: get_opt_u64(row, "limit_nc")?,
        charged_nc: get_u64(row, "charged_nc")?,
    })
}
