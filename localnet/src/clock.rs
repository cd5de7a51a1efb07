//! Produces a block every [`SLOT_TIME`](crate::SLOT_TIME) whose time is the machine's.
//!
//! surfpool's own clock adds the slot time to the last block's time at every tick, so it falls behind under load and jumps
//! after a restart. Here the block time is set from the system clock just before each block; it never goes backwards.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crossbeam_channel::Sender;
use surfpool_core::surfnet::{
    locker::SurfnetSvmLocker,
    svm::{GARBAGE_COLLECTION_INTERVAL_SLOTS, SurfnetSvm},
};
use surfpool_types::SimnetCommand;

use crate::SLOT_TIME;

/// Milliseconds of one slot, in surfpool's unit.
pub fn slot_ms() -> u64 {
    SLOT_TIME.as_millis() as u64
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// Asks for one block per slot until `stop` is disconnected. A slot that the machine cannot keep is left out, not made up for.
pub fn run(locker: &SurfnetSvmLocker, commands: &Sender<SimnetCommand>, stop: &Receiver<()>) {
    let mut next = Instant::now() + SLOT_TIME;
    let mut asked_at = None;
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(next.saturating_duration_since(Instant::now())) {
        next = (next + SLOT_TIME).max(Instant::now());
        {
            let mut svm = locker.0.blocking_write();
            let slot = svm.get_latest_absolute_slot();
            if asked_at == Some(slot) {
                continue; // the last block is still waiting behind transactions
            }
            match prepare(&mut svm, now_ms()) {
                Ok(slot) => asked_at = Some(slot),
                Err(error) => {
                    tracing::error!(%error, "the slot cannot be recorded");
                    continue;
                }
            }
        }
        if commands.send(SimnetCommand::SlotForward(None)).is_err() {
            return;
        }
    }
}

/// Sets the time that the next block gets and records its slot, so that no slot is used twice after a crash.
/// Returns the slot that the block closes.
fn prepare(svm: &mut SurfnetSvm, now_ms: u64) -> Result<u64, surfpool_core::storage::StorageError> {
    // At a multiple of this interval surfpool empties its account cache, and accounts that are then only in the database
    // are overwritten by an airdrop. This chain keeps all accounts in memory instead: such a slot is left out.
    if svm.latest_epoch_info.absolute_slot.is_multiple_of((*GARBAGE_COLLECTION_INTERVAL_SLOTS).max(2)) {
        svm.latest_epoch_info.absolute_slot += 1;
    }
    let slot = svm.latest_epoch_info.absolute_slot;
    // Producing the block adds one slot time.
    svm.updated_at = now_ms.max(svm.updated_at).saturating_sub(slot_ms());
    svm.last_checkpoint_slot = slot;
    svm.slot_checkpoint.store("latest_slot".into(), slot + 1)?;
    Ok(slot)
}
