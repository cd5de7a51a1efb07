//! Signs charge notes once the ledger says that they are issuable. Off the request path: no answer waits for its note.

use solana_keypair::Keypair;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waybill_protocol::{WalletId, signing};
use waybill_store::{IssuableNote, Store, StoreError};

/// Notes read at a time.
const PAGE: u32 = 256;
/// Pause that lets notes gather, and between attempts while the database fails.
const PAUSE: Duration = Duration::from_millis(500);

pub struct Notary {
    store: Store,
    key: Arc<Keypair>,
    gateway: WalletId,
    work: Notify,
}

impl Notary {
    pub fn new(store: Store, key: Arc<Keypair>, gateway: WalletId) -> Self {
        Self { store, key, gateway, work: Notify::new() }
    }

    /// Tells that notes became issuable.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Signs until `shutdown`; begins with what an earlier process left unsigned.
    pub async fn run(&self, domain: [u8; 8], shutdown: CancellationToken) {
        loop {
            match self.sign_page(domain).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "charge notes stay unsigned for now");
                    self.wake();
                }
            }
            let rested = async {
                self.work.notified().await;
                tokio::time::sleep(PAUSE).await;
            };
            if shutdown.run_until_cancelled(rested).await.is_none() {
                return;
            }
        }
    }

    /// Signs one page; true when there may be more.
    pub async fn sign_page(&self, domain: [u8; 8]) -> Result<bool, StoreError> {
        let notes = self.store.unsigned_notes(self.gateway, PAGE).await?;
        let sign = |issuable: &IssuableNote| {
            let note = issuable.to_note(domain);
            (note, signing::sign(&self.key, &note.to_bytes()))
        };
        // Another process of this gateway key that is quicker stores the same bytes: Ed25519 signatures are deterministic.
        self.store.store_notes(&notes.iter().map(sign).collect::<Vec<_>>()).await?;
        Ok(notes.len() == PAGE as usize)
    }
}
