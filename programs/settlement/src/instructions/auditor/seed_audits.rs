//! Draws the audits of a batch: the hash of a slot that nobody could know when the roots were posted becomes the seed,
//! and with it every draw and every panel is decided. Whoever calls chooses nothing: at each moment one slot is the
//! right one (see [`seed_slot`]).

use anchor_lang::prelude::*;
use waybill_mechanism::audit::{SLOT_HASHES, audit_seed, seed_slot};

use crate::{
    error::SettleError,
    events::AuditsSeeded,
    state::{Batch, BatchState, SettleConfig},
};

/// The sysvar that holds the hashes of recent slots, newest first.
const SLOT_HASHES_SYSVAR: Pubkey = pubkey!("SysvarS1otHashes111111111111111111111111111");
/// Bytes of one entry: slot, hash.
const ENTRY: usize = 40;

#[derive(Accounts)]
pub struct SeedAudits<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub batch: Box<Account<'info, Batch>>,
    /// CHECK: the slot hashes sysvar, by its address.
    #[account(address = SLOT_HASHES_SYSVAR @ SettleError::AccountMismatch)]
    pub slot_hashes: UncheckedAccount<'info>,
}

impl SeedAudits<'_> {
    /// `batch` is posted and not drawn yet; `slot_hashes` is the sysvar.
    fn validate(&self) -> Result<()> {
        self.config.require_running(coin::authority::pause::POSTING)?;
        require!(self.batch.state == BatchState::Posted, SettleError::BatchState);
        require!(self.batch.seed_slot == 0, SettleError::AlreadySeeded);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SeedAudits>) -> Result<()> {
    let accounts = ctx.accounts;
    let batch_key = accounts.batch.key();
    let batch = &mut accounts.batch;
    let (slot, hash) = {
        let sysvar = accounts.slot_hashes.try_borrow_data()?;
        drawn(&sysvar, batch.posted_slot).ok_or(SettleError::SeedTooEarly)?
    };
    batch.seed = audit_seed(&batch_key.to_bytes(), &batch.receipts_root, &hash);
    batch.seed_slot = slot;
    batch.draws = accounts.config.audit.draws;
    let seq = batch.next_seq()?;
    batch.invariant()?;
    emit!(AuditsSeeded { batch: batch_key, seed: batch.seed, seed_slot: slot, draws: batch.draws, seq });
    Ok(())
}

/// The slot and hash that draw a batch posted in `posted_slot`; `None` before that slot has passed.
fn drawn(sysvar: &[u8], posted_slot: u64) -> Option<(u64, [u8; 32])> {
    let (count, entries) = sysvar.split_first_chunk::<8>()?;
    let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
    let entries = entries.get(..count.checked_mul(ENTRY)?)?;
    // A table that is not full has forgotten nothing.
    let full = u64::try_from(count).ok()? >= SLOT_HASHES;
    let oldest = if full { slot_of(entries.last_chunk::<ENTRY>()?)? } else { 0 };
    let wanted = seed_slot(posted_slot, oldest)?;
    // Newest first: the entries at or after the wanted slot are a prefix, and the last of them is the first slot.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let slot = slot_of(entry(entries, middle)?)?;
        if slot >= wanted { low = middle + 1 } else { high = middle }
    }
    let first = entry(entries, low.checked_sub(1)?)?;
    Some((slot_of(first)?, *first.last_chunk()?))
}

fn entry(entries: &[u8], index: usize) -> Option<&[u8; ENTRY]> {
    entries.get(index.checked_mul(ENTRY)?..)?.first_chunk()
}

fn slot_of(entry: &[u8; ENTRY]) -> Option<u64> {
    entry.first_chunk().map(|slot| u64::from_le_bytes(*slot))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The sysvar with these slots, newest first; each hash repeats the slot's low byte.
    fn sysvar(slots: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let slots: Vec<u64> = slots.into_iter().collect();
        let mut bytes = (slots.len() as u64).to_le_bytes().to_vec();
        for slot in slots {
            bytes.extend_from_slice(&slot.to_le_bytes());
            bytes.extend_from_slice(&[slot as u8; 32]);
        }
        bytes.resize(8 + 512 * ENTRY, 0);
        bytes
    }

    fn slot(slots: impl IntoIterator<Item = u64>, posted: u64) -> Option<u64> {
        drawn(&sysvar(slots), posted).map(|(slot, hash)| {
            assert_eq!(hash, [slot as u8; 32]);
            slot
        })
    }

    #[test]
    fn the_slot_32_after_the_posting_draws_and_none_before_it() {
        assert_eq!(slot((0..=131).rev(), 100), None);
        assert_eq!(slot((0..=132).rev(), 100), Some(132));
        assert_eq!(slot((0..=300).rev(), 100), Some(132), "later slots change nothing");
    }

    #[test]
    fn a_skipped_slot_is_replaced_by_the_next_one() {
        assert_eq!(slot((0..=300).rev().filter(|slot| !(130..140).contains(slot)), 100), Some(140));
    }

    #[test]
    fn a_missed_slot_is_replaced_by_one_that_nobody_chooses() {
        let window = |newest: u64| (newest - 511..=newest).rev();
        // Slot 132 is forgotten from 644 on; the next is 644, and it stays the answer until it is forgotten too.
        assert_eq!(slot(window(643), 100), Some(132));
        for newest in 644..644 + 512 {
            assert_eq!(slot(window(newest), 100), Some(644));
        }
        assert_eq!(slot(window(644 + 512), 100), Some(644 + 512));
    }

    #[test]
    fn an_empty_or_cut_table_draws_nothing() {
        assert_eq!(slot([], 100), None);
        let bytes = sysvar((0..=300).rev());
        for end in [0, 7, 8, 47, 300 * ENTRY] {
            assert_eq!(drawn(&bytes[..end], 100), None);
        }
        assert_eq!(drawn(&sysvar((0..=300).rev()), u64::MAX), None);
    }
}
