//! Who brought each consumer to a gateway, and what each curator brought to a container.

use crate::sql::{Params, get_bytes, get_u64, query};
use crate::{Store, StoreError};
use std::collections::HashMap;
use waybill_protocol::{ContainerId, WalletId};

/// A consumer's first paid request at a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referral {
    /// The curator that it named, or none.
    pub curator: WalletId,
    /// Unix milliseconds.
    pub bound_ms: u64,
}

impl Store {
    /// Records who brought a consumer. The first record stays; returns it.
    pub async fn bind_consumer(
        &self,
        gateway: WalletId,
        consumer: WalletId,
        referral: Referral,
    ) -> Result<Referral, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.bytes(&consumer.0)?.bytes(&referral.curator.0)?;
        params.int("bound_ms", referral.bound_ms)?;
        query(
            "INSERT INTO referrals (gateway, consumer, curator, bound_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            params,
        )
        .execute(&self.write)
        .await?;
        let stored = self.referral(gateway, consumer).await?;
        stored.ok_or_else(|| StoreError::Missing { what: format!("referral of consumer {consumer}") })
    }

    /// Who brought a consumer; none before its first paid request.
    pub async fn referral(&self, gateway: WalletId, consumer: WalletId) -> Result<Option<Referral>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.bytes(&consumer.0)?;
        let row = query("SELECT curator, bound_ms FROM referrals WHERE gateway = $1 AND consumer = $2", params)
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| {
            Ok(Referral { curator: WalletId(get_bytes(&row, "curator")?), bound_ms: get_u64(&row, "bound_ms")? })
        })
        .transpose()
    }

    /// What a container was charged since an epoch, by curator, in nano-credits; [`WalletId::NONE`] for requests that
    /// nobody referred.
    pub async fn curator_shares(
        &self,
        gateway: WalletId,
        container: ContainerId,
        from_epoch: u32,
    ) -> Result<HashMap<WalletId, u64>, StoreError> {
        let mut params = Params::default();
        params.bytes(&gateway.0)?.bytes(&container.0)?.int("epoch", from_epoch)?;
        // Postgres sums BIGINT to NUMERIC.
        let rows = query(
            "SELECT referrer, CAST(SUM(cum_nc) AS BIGINT) AS nc FROM lines \
             WHERE gateway = $1 AND container = $2 AND epoch >= $3 GROUP BY referrer",
            params,
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|row| Ok((WalletId(get_bytes(row, "referrer")?), get_u64(row, "nc")?))).collect()
    }
}
