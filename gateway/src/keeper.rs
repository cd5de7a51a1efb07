//! Keeps input and output of finished calls for drawn verifiers: sealed at once, written in batches beside the answer's way,
//! and gone after their time. A call that asked to be private never comes here.

use crate::keys::Pepper;
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use waybill_mechanism::message::Receipt;
use waybill_protocol::audit::Material;
use waybill_store::{MaterialKey, SealedMaterial, Store};

/// How long verifiers may ask.
const KEPT_MS: u64 = 48 * 3_600_000;
/// Larger calls are not kept: they cannot be audited.
const MAX_BYTES: usize = 4 << 20;
/// Sealed calls that wait for the database.
const QUEUE: usize = 1_024;
/// Rows of one transaction, and the pause between two: the ledger's commits go first.
const ROWS: usize = 64;
const PAUSE: Duration = Duration::from_millis(200);
/// Expired rows deleted at once.
const SWEEP: u32 = 512;

/// The gateway's end: seals and hands over, never waits.
#[derive(Debug)]
pub(crate) struct Keeper {
    key: MaterialKey,
    queue: mpsc::Sender<SealedMaterial>,
}

/// The database's end.
pub(crate) struct Shelf {
    store: Store,
    inbox: mpsc::Receiver<SealedMaterial>,
}

impl Keeper {
    pub fn new(pepper: &Pepper, store: Store) -> (Self, Shelf) {
        let (queue, inbox) = mpsc::channel(QUEUE);
        (Self { key: pepper.material_key(), queue }, Shelf { store, inbox })
    }

    /// Seals what belongs to a charged receipt. What cannot be kept is counted: its audit will find nothing.
    pub fn keep(&self, receipt: &Receipt, material: &Material) {
        let lost = |why: &'static str| {
            metrics::counter!("waybill_material_lost_total", "reason" => why).increment(1);
        };
        if material.encoded_len() > MAX_BYTES {
            return lost("size");
        }
        let receipt_hash = receipt.hash();
        let Some(sealed) = self.key.seal(&receipt_hash, &material.encode_to_vec()) else { return lost("seal") };
        let expires_ms = receipt.t_end_ms.saturating_add(KEPT_MS);
        if self.queue.try_send(SealedMaterial { receipt_hash, expires_ms, sealed }).is_err() {
            lost("queue");
        }
    }
}

impl Shelf {
    /// Writes what comes until `stop`, then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut rows = Vec::with_capacity(ROWS);
        while stop.run_until_cancelled(self.inbox.recv_many(&mut rows, ROWS)).await.is_some_and(|count| count > 0) {
            self.write(&mut rows).await;
            if self.inbox.is_empty() && stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                break;
            }
        }
        self.inbox.close();
        while self.inbox.recv_many(&mut rows, ROWS).await > 0 {
            self.write(&mut rows).await;
        }
    }

    /// One transaction, tried twice: the answers have left already, and nothing but an audit needs these rows.
    async fn write(&self, rows: &mut Vec<SealedMaterial>) {
        for _ in 0..2 {
            match self.store.keep_material(rows).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, rows = rows.len(), "material for audits was not written"),
            }
        }
        rows.clear();
    }
}

/// Deletes what has expired.
pub(crate) async fn sweep(store: &Store, now_ms: u64) {
    loop {
        match store.drop_expired_material(now_ms, SWEEP).await {
            Ok(dropped) if dropped == u64::from(SWEEP) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "expired material was not deleted; the next look tries again");
                return;
            }
        }
    }
}
