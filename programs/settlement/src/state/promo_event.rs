//! A consumer's first paid request through a campaign's slot, proven by the receipt in a final batch. Its address exists
//! once per campaign and consumer, so nothing is charged twice.

use anchor_lang::prelude::*;

use crate::error::SettleError;

/// One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// The receipt was shown; the campaign has not paid.
    Proven,
    /// The campaign has paid.
    Charged,
}

/// `["event", campaign, consumer]`
#[account]
#[derive(InitSpace, Debug)]
pub struct PromoEvent {
    pub version: u8,
    pub bump: u8,
    pub state: EventState,
    pub campaign: Pubkey,
    pub consumer: Pubkey,
    /// The auction in which the campaign won the slot.
    pub auction: Pubkey,
    /// The gateway that displayed the slot.
    pub gateway: Pubkey,
    /// The curator that brought the consumer; default for none.
    pub referrer: Pubkey,
    /// Token account of the consumer's channel, where the rebate may go.
    pub channel_vault: Pubkey,
    /// Settlement epoch of the request.
    pub epoch: u32,
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 32],
}

impl PromoEvent {
    /// The campaign pays, once.
    pub fn charge(&mut self) -> Result<()> {
        require!(self.state == EventState::Proven, SettleError::EventCharged);
        self.state = EventState::Charged;
        Ok(())
    }

    /// The number of the next event about this account.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }
}
