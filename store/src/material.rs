//! Input and output of finished calls, kept for drawn verifiers and sealed: whoever reads the database without the gateway's
//! secret reads nothing of them, and nothing of them outlives its time.

use crate::sql::{Params, query};
use crate::{Store, StoreError};
use aes_gcm_siv::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce};
use sqlx::Row;
use std::fmt;

const NONCE: usize = 12;

/// The key under which a gateway seals what it keeps. `Debug` does not show it.
#[derive(Clone)]
pub struct MaterialKey(Aes256GcmSiv);

impl MaterialKey {
    /// From 32 secret bytes that serve nothing else.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Aes256GcmSiv::new(Key::<Aes256GcmSiv>::from_slice(secret)))
    }

    /// Seals `plain` for one receipt: random nonce, then the ciphertext with its tag. AES-256-GCM-SIV stays safe should a
    /// nonce ever repeat. `None` only for what is larger than the cipher takes.
    pub fn seal(&self, receipt_hash: &[u8; 32], plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = Aes256GcmSiv::generate_nonce(&mut OsRng);
        let sealed = self.0.encrypt(&nonce, Payload { msg: plain, aad: receipt_hash }).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for this receipt; `None` for anything else.
    pub fn open(&self, receipt_hash: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        self.0.decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: receipt_hash }).ok()
    }
}

impl fmt::Debug for MaterialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaterialKey(hidden)")
    }
}

/// Sealed material of one receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedMaterial {
    pub receipt_hash: [u8; 32],
    /// Unix milliseconds.
    pub expires_ms: u64,
    pub sealed: Vec<u8>,
}

impl Store {
    /// Keeps material, all or none, in one transaction. A receipt that has some already keeps the first.
    pub async fn keep_material(&self, materials: &[SealedMaterial]) -> Result<(), StoreError> {
        if materials.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for material in materials {
            let mut params = Params::default();
            params.bytes(&material.receipt_hash)?.int("expires_ms", material.expires_ms)?.bytes(&material.sealed)?;
            query(
                "INSERT INTO audit_material (receipt_hash, expires_ms, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                params,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The sealed material of a receipt; `None` when it is not kept (any more).
    pub async fn sealed_material(&self, receipt_hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut params = Params::default();
        params.bytes(receipt_hash)?;
        let row = query("SELECT sealed FROM audit_material WHERE receipt_hash = $1", params)
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| Ok(row.try_get::<Vec<u8>, _>("sealed")?)).transpose()
    }

    /// Deletes what has expired, at most `limit` rows. Returns how many.
    pub async fn drop_expired_material(&self, now_ms: u64, limit: u32) -> Result<u64, StoreError> {
        let mut params = Params::default();
        params.int("expires_ms", now_ms)?.int("limit", limit)?;
        let done = query(
            "DELETE FROM audit_material WHERE receipt_hash IN \
             (SELECT receipt_hash FROM audit_material WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)",
            params,
        )
        .execute(&self.write)
        .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_key_and_the_receipt_that_sealed_it_open_it() {
        let (key, hash) = (MaterialKey::new(&[1; 32]), [2; 32]);
        let sealed = key.seal(&hash, b"a secret prompt").unwrap();
        assert_eq!(key.open(&hash, &sealed).as_deref(), Some(b"a secret prompt".as_slice()));
        assert_eq!(key.open(&[3; 32], &sealed), None, "another receipt's");
        assert_eq!(MaterialKey::new(&[9; 32]).open(&hash, &sealed), None, "another key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&hash, &changed), None, "byte {at}");
        }
        assert_eq!(key.open(&hash, &sealed[..5]), None);
        assert_ne!(key.seal(&hash, b"a secret prompt").unwrap(), sealed, "every sealing has its own nonce");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(format!("{key:?}"), "MaterialKey(hidden)");
    }
}
