//! Ends a channel after its grace period: everything left in its vault returns to the consumer, the rent to its payer.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::authority::pause;

use crate::{
    constants::MAX_OPEN_SLOT_AGE,
    error::SettleError,
    events::ChannelClosed,
    report::report,
    seeds,
    state::{Channel, ChannelState, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct CloseChannel<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        mut,
        close = rent_payer,
        has_one = vault @ SettleError::AccountMismatch,
        has_one = rent_payer @ SettleError::AccountMismatch
    )]
    pub channel: Box<Account<'info, Channel>>,
    #[account(mut)]
    pub vault: Box<Account<'info, TokenAccount>>,
    /// The consumer's tokens.
    #[account(mut)]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// CHECK: receives the rent; the address recorded in `channel`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    pub token_program: Program<'info, Token>,
}

impl CloseChannel<'_> {
    /// `vault` and `rent_payer` are the channel's, `destination` is its consumer's.
    fn validate(&self) -> Result<()> {
        // While nobody can settle, nobody may leave with what is owed.
        self.config.require_running(pause::SETTLING)?;
        token::require_owned(&self.destination, &self.channel.consumer, &self.channel.mint)?;
        require!(self.channel.state == ChannelState::Closing, SettleError::ChannelState);
        require!(self.channel.open_disputes == 0, SettleError::ChannelDisputed);
        let clock = Clock::get()?;
        require!(clock.unix_timestamp >= self.channel.close_at, SettleError::GraceNotOver);
        // The address stays taken until `open_channel` refuses its slot: a voucher never meets a second incarnation.
        let age = clock.slot.checked_sub(self.channel.open_slot).ok_or(SettleError::InvalidOpenSlot)?;
        require!(age > MAX_OPEN_SLOT_AGE, SettleError::GraceNotOver);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseChannel>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let channel = &mut accounts.channel;
    let seq = channel.next_seq()?;
    channel.invariant()?;
    let (consumer, gateway, mint) = (channel.consumer, channel.gateway, channel.mint);
    let (open_slot, bump) = (channel.open_slot.to_le_bytes(), [channel.bump]);
    let seeds: [&[u8]; 6] = [seeds::CHANNEL, consumer.as_ref(), gateway.as_ref(), mint.as_ref(), &open_slot, &bump];
    let authority = accounts.channel.to_account_info();
    // All of it, with what was sent and never synced.
    let refunded_aic = accounts.vault.amount;
    token::transfer(
        &accounts.token_program,
        &accounts.vault,
        &accounts.destination,
        authority.clone(),
        &seeds,
        refunded_aic,
    )?;
    token::close(&accounts.token_program, &accounts.vault, accounts.rent_payer.to_account_info(), authority, &seeds)?;
    let event = ChannelClosed {
        channel: accounts.channel.key(),
        consumer,
        refunded_aic,
        settled_nc: accounts.channel.settled_nc,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
