//! Frees the rent of a swept batch. Its epoch, and every earlier one, is then shut for posting, so that the address
//! cannot be used again; the gateway signs because only it knows whether it still has a late shard to post.

use anchor_lang::prelude::*;

use crate::{
    error::SettleError,
    events::BatchClosed,
    state::{Batch, BatchState, GatewayVault},
};

#[derive(Accounts)]
pub struct CloseBatch<'info> {
    pub gateway: Signer<'info>,
    #[account(mut, has_one = gateway @ SettleError::Unauthorized)]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(
        mut,
        close = rent_payer,
        has_one = gateway @ SettleError::Unauthorized,
        has_one = rent_payer @ SettleError::AccountMismatch
    )]
    pub batch: Box<Account<'info, Batch>>,
    /// CHECK: receives the rent; the address recorded in `batch`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseBatch<'_> {
    /// `gateway` owns both accounts, `rent_payer` paid for `batch`, which owes nothing any more.
    fn validate(&self) -> Result<()> {
        require!(self.batch.state == BatchState::Swept, SettleError::BatchState);
        require_keys_eq!(self.gateway_vault.mint, self.batch.mint, SettleError::AccountMismatch);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseBatch>) -> Result<()> {
    let accounts = ctx.accounts;
    accounts.gateway_vault.shut_epoch(accounts.batch.epoch)?;
    let seq = accounts.gateway_vault.next_seq()?;
    accounts.gateway_vault.invariant()?;
    emit!(BatchClosed {
        batch: accounts.batch.key(),
        gateway: accounts.batch.gateway,
        epoch: accounts.batch.epoch,
        shard: accounts.batch.shard,
        first_open_epoch: accounts.gateway_vault.first_open_epoch,
        seq
    });
    Ok(())
}
