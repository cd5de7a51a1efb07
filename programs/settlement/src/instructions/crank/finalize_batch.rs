//! Ends the challenge window of a batch: its AIC moves to the pool, its lines become claimable, and its vault closes.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::authority::pause;

use crate::{
    error::SettleError,
    events::BatchFinalized,
    report::report,
    seeds,
    state::{Batch, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct FinalizeBatch<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = rent_payer @ SettleError::AccountMismatch)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut, seeds = [seeds::BATCH_VAULT, batch.key().as_ref()], bump = batch.vault_bump)]
    pub batch_vault: Box<Account<'info, TokenAccount>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// CHECK: receives the vault's rent; the address recorded in `batch`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    pub token_program: Program<'info, Token>,
}

impl FinalizeBatch<'_> {
    /// The audits of `batch` are drawn, where audits are; `batch_vault` and `rent_payer` are the batch's, `pool` is the configured one.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::POSTING)?;
        // No gateway escapes its audits by a seed that nobody drew in time.
        require!(self.config.audit.draws == 0 || self.batch.seed_slot > 0, SettleError::NotSeeded);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<FinalizeBatch>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let batch = &mut accounts.batch;
    batch.finalize(Clock::get()?.unix_timestamp, accounts.config.challenge_s)?;
    // All of it: tokens that somebody sent to the vault are the payees', or they would keep it from closing.
    batch.aic = accounts.batch_vault.amount;
    let seq = batch.next_seq()?;
    batch.invariant()?;

    let (gateway, epoch, shard, bump) =
        (batch.gateway, batch.epoch.to_le_bytes(), batch.shard.to_le_bytes(), [batch.bump]);
    let seeds: [&[u8]; 5] = [seeds::BATCH, gateway.as_ref(), &epoch, &shard, &bump];
    let (aic, authority) = (batch.aic, batch.to_account_info());
    token::transfer(&accounts.token_program, &accounts.batch_vault, &accounts.pool, authority.clone(), &seeds, aic)?;
    token::close(
        &accounts.token_program,
        &accounts.batch_vault,
        accounts.rent_payer.to_account_info(),
        authority,
        &seeds,
    )?;
    let event = BatchFinalized { batch: accounts.batch.key(), aic, seq };
    report(&ctx.accounts.event_authority, &event)
}
