//! Reports an event by calling this program itself, where no log limit cuts it. The same bytes as Anchor's `emit_cpi!`
//! for less compute: the data is written once, into one buffer.

use anchor_lang::{
    Event,
    event::EVENT_IX_TAG_LE,
    prelude::*,
    solana_program::{instruction::Instruction, program::invoke_signed_unchecked},
};

/// Room for the largest event without a second allocation.
const CAPACITY: usize = 448;

/// Reports `event`, signed by the event authority of the `#[event_cpi]` accounts.
pub fn report<E: Event>(authority: &UncheckedAccount, event: &E) -> Result<()> {
    let mut data = Vec::with_capacity(CAPACITY);
    data.extend_from_slice(EVENT_IX_TAG_LE);
    data.extend_from_slice(E::DISCRIMINATOR);
    event.serialize(&mut data)?;
    let (address, bump) = crate::EVENT_AUTHORITY_AND_BUMP;
    let instruction =
        Instruction { program_id: crate::ID, accounts: vec![AccountMeta::new_readonly(address, true)], data };
    let authority = [authority.to_account_info()];
    invoke_signed_unchecked(&instruction, &authority, &[&[b"__event_authority", &[bump]]]).map_err(Into::into)
}
