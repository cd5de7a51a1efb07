//! Credits a channel with the tokens that reached its vault since the last look. Anyone may deposit, anyone may look.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;
use coin::authority::pause;

use crate::{
    error::SettleError,
    events::DepositSynced,
    report::report,
    state::{Channel, SettleConfig},
};

#[event_cpi]
#[derive(Accounts)]
pub struct SyncDeposit<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = vault @ SettleError::AccountMismatch)]
    pub channel: Box<Account<'info, Channel>>,
    pub vault: Box<Account<'info, TokenAccount>>,
}

impl SyncDeposit<'_> {
    /// `vault` is the channel's.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SyncDeposit>) -> Result<()> {
    let channel = &mut ctx.accounts.channel;
    let credited_aic = channel.credit_deposit(ctx.accounts.vault.amount)?;
    let seq = channel.next_seq()?;
    channel.invariant()?;
    let event = DepositSynced { channel: channel.key(), credited_aic, balance_aic: channel.balance_aic, seq };
    report(&ctx.accounts.event_authority, &event)
}
