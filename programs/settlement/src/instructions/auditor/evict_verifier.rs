//! Ends the seat of a verifier that is banned, jailed or without the stake that answers for it. Anyone.

use anchor_lang::prelude::*;
use market::state::{MarketConfig, Party, Role};

use super::leave_verifiers::leave;
use crate::{error::SettleError, state::VerifierSet};

#[derive(Accounts)]
pub struct EvictVerifier<'info> {
    pub market_config: Box<Account<'info, MarketConfig>>,
    pub party: Box<Account<'info, Party>>,
    #[account(mut)]
    pub set: Box<Account<'info, VerifierSet>>,
}

impl EvictVerifier<'_> {
    /// `party` is a verifier and not in good standing by `market_config`; the transition refuses a seat of another owner.
    fn validate(&self) -> Result<()> {
        require!(self.party.role == Role::Verifier, SettleError::AccountMismatch);
        let now = Clock::get()?.unix_timestamp;
        require!(self.party.is_out(&self.market_config.params, now)?, SettleError::StillFit);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<EvictVerifier>, seat: u8) -> Result<()> {
    let owner = ctx.accounts.party.owner;
    leave(&mut ctx.accounts.set, owner, seat, true)
}
