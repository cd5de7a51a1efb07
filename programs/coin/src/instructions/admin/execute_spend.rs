//! Step two of a spend that waits. The admin of now signs: a proposal does not outlive the one who made it in office.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};

use crate::{
    authority::pause,
    error::CoinError,
    events::VaultSpent,
    pay, seeds,
    state::{Breaker, CoinConfig, PendingSpend},
};

/// Accounts of `execute_spend`.
#[event_cpi]
#[derive(Accounts)]
pub struct ExecuteSpend<'info> {
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ CoinError::Unauthorized,
        has_one = mint @ CoinError::WrongMint,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The proposal.
    #[account(
        mut,
        close = rent_payer,
        seeds = [seeds::PENDING, &[spend.kind as u8], &spend.id.to_le_bytes()],
        bump = spend.bump,
        has_one = destination @ CoinError::WrongAddress,
        has_one = rent_payer @ CoinError::WrongAddress,
    )]
    pub spend: Box<Account<'info, PendingSpend>>,
    /// The vault that pays.
    #[account(mut, seeds = [seeds::VAULT, &[spend.kind as u8]], bump = config.vault_bumps[spend.kind.index()])]
    pub vault: Box<Account<'info, TokenAccount>>,
    /// The vault's breaker, which counts the payment; its delay is shorter than the spend's.
    #[account(mut, seeds = [seeds::BREAKER, vault.key().as_ref()], bump = breaker.bump)]
    pub breaker: Box<Account<'info, Breaker>>,
    /// The account that was proposed.
    #[account(mut, constraint = destination.mint == mint.key() @ CoinError::WrongMint)]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// CHECK: receives the rent; the address recorded in `spend`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl ExecuteSpend<'_> {
    /// Admin, proposal and what it names are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::SPENDING)?;
        self.spend.require_due(Clock::get()?.unix_timestamp)?;
        require!(self.vault.amount >= self.spend.amount, CoinError::InsufficientFunds);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ExecuteSpend>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let (kind, amount) = (accounts.spend.kind, accounts.spend.amount);
    let seq = accounts.config.next_seq()?;
    accounts.config.invariant()?;
    accounts.breaker.record(amount, Clock::get()?.unix_timestamp)?;
    accounts.breaker.invariant()?;
    let bump = accounts.config.vault_bumps[kind.index()];
    pay::from_vault(kind, bump, &accounts.mint, &mut accounts.vault, &accounts.destination, amount)?;
    emit_cpi!(VaultSpent {
        account: ctx.accounts.config.key(),
        seq,
        actor: ctx.accounts.admin.key(),
        kind,
        destination: ctx.accounts.destination.key(),
        amount,
        balance: ctx.accounts.vault.amount,
    });
    Ok(())
}
