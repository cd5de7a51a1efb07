//! Channels as the gateway books them: running charge, nonces handed out, notes issued, and what the chain has settled.

use crate::sql::{Params, get_bytes, get_u64, query};
use crate::{Store, StoreError};
use sqlx::any::AnyRow;
use waybill_protocol::{ChannelId, WalletId};

/// One channel's running totals. All amounts in nano-credits since the channel was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    pub channel: ChannelId,
    pub consumer: WalletId,
    pub gateway: WalletId,
    /// Σ of all charges.
    pub charged_nc: u64,
    /// Lowest nonce that no holder has leased yet; the first nonce of a channel is 1.
    pub next_nonce: u64,
    /// Every nonce up to this one is charged or void, and its note is issuable.
    pub noted_nonce: u64,
    /// Σ of charges up to `noted_nonce`: the `cum_charged_nc` of the newest issuable note.
    pub noted_cum_nc: u64,
    /// Charged nonces above `noted_nonce`.
    pub waiting: u64,
    /// What the chain has settled, as the indexer saw it.
    pub settled_nc: u64,
    pub settled_nonce: u64,
}

impl Store {
    /// Makes a channel known; a known one must name the same parties.
    pub async fn ensure_channel(
        &self,
        channel: ChannelId,
        consumer: WalletId,
        gateway: WalletId,
    ) -> Result<Channel, StoreError> {
        let mut params = Params::default();
        params.bytes(&channel.0)?.bytes(&consumer.0)?.bytes(&gateway.0)?;
        query(
            "INSERT INTO channels (channel, consumer, gateway, charged_nc, next_nonce, noted_nonce, noted_cum_nc, waiting, \
             settled_nc, settled_nonce) VALUES ($1, $2, $3, 0, 1, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
            params,
        )
        .execute(&self.write)
        .await?;
        let known =
            self.channel(channel).await?.ok_or_else(|| StoreError::Missing { what: format!("channel {channel}") })?;
        if (known.consumer, known.gateway) != (consumer, gateway) {
            return Err(StoreError::Conflict { what: format!("channel {channel}") });
        }
        Ok(known)
    }

    pub async fn channel(&self, channel: ChannelId) -> Result<Option<Channel>, StoreError> {
        let mut params = Params::default();
        params.bytes(&channel.0)?;
        let row = query("SELECT * FROM channels WHERE channel = $1", params).fetch_optional(&self.read).await?;
        row.as_ref().map(read_channel).transpose()
    }

    pub async fn channels_of_gateway(&self, gateway: WalletId) -> Result<Vec<Channel>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?;
        let rows =
            query("SELECT * FROM channels WHERE gateway = $1 ORDER BY channel", params).fetch_all(&self.read).await?;
        rows.iter().map(read_channel).collect()
    }

    pub async fn channels_of_consumer(&self, consumer: WalletId) -> Result<Vec<Channel>, StoreError> {
        let mut params = Params::default();
        params.bytes(&consumer.0)?;
        let rows =
            query("SELECT * FROM channels WHERE consumer = $1 ORDER BY channel", params).fetch_all(&self.read).await?;
        rows.iter().map(read_channel).collect()
    }
}

pub(crate) fn read_channel(row: &AnyRow) -> Result<Channel, StoreError> {
    Ok(Channel {
        channel: ChannelId(get_bytes(row, "channel")?),
        consumer: WalletId(get_bytes(row, "consumer")?),
        gateway: WalletId(get_bytes(row, "gateway")?),
        charged_nc: get_u64(row, "charged_nc")?,
        next_nonce: get_u64(row, "next_nonce")?,
        noted_nonce: get_u64(row, "noted_nonce")?,
        noted_cum_nc: get_u64(row, "noted_cum_nc")?,
        waiting: get_u64(row, "waiting")?,
        settled_nc: get_u64(row, "settled_nc")?,
        settled_nonce: get_u64(row, "settled_nonce")?,
    })
}
