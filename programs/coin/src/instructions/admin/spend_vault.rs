//! Pays from the grants or liquidity vault at once, by decision of the admin and within the vault's breaker. What is
//! above it, and everything from the treasury or insurance, is proposed and waits.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};

use crate::{
    authority::pause,
    error::CoinError,
    events::VaultSpent,
    pay, seeds,
    state::{Breaker, CoinConfig, VaultKind},
};

/// Arguments of `spend_vault`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SpendVaultArgs {
    /// Which vault pays: grants or liquidity.
    pub kind: VaultKind,
    /// Base units.
    pub amount: u64,
}

/// Accounts of `spend_vault`.
#[event_cpi]
#[derive(Accounts)]
#[instruction(args: SpendVaultArgs)]
pub struct SpendVault<'info> {
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
    /// The vault that pays.
    #[account(mut, seeds = [seeds::VAULT, &[args.kind as u8]], bump = config.vault_bumps[args.kind.index()])]
    pub vault: Box<Account<'info, TokenAccount>>,
    /// The vault's breaker.
    #[account(mut, seeds = [seeds::BREAKER, vault.key().as_ref()], bump = breaker.bump)]
    pub breaker: Box<Account<'info, Breaker>>,
    /// Any AIC account.
    #[account(mut, constraint = destination.mint == mint.key() @ CoinError::WrongMint)]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl SpendVault<'_> {
    /// Admin, mint, vault, breaker and destination are checked by attributes.
    pub(crate) fn validate(&self, args: &SpendVaultArgs) -> Result<()> {
        self.config.require_running(pause::SPENDING)?;
        require!(args.kind.spendable(), CoinError::NotSpendable);
        require!(args.amount > 0, CoinError::ZeroAmount);
        require!(self.vault.amount >= args.amount, CoinError::InsufficientFunds);
        let now = Clock::get()?.unix_timestamp;
        require!(self.breaker.admits(args.amount, self.vault.amount, now), CoinError::AboveBreaker);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<SpendVault>, args: SpendVaultArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    let seq = config.next_seq()?;
    config.invariant()?;
    let accounts = &mut *ctx.accounts;
    accounts.breaker.record(args.amount, Clock::get()?.unix_timestamp)?;
    accounts.breaker.invariant()?;
    let bump = accounts.config.vault_bumps[args.kind.index()];
    pay::from_vault(args.kind, bump, &accounts.mint, &mut accounts.vault, &accounts.destination, args.amount)?;
    emit_cpi!(VaultSpent {
        account,
        seq,
        actor: ctx.accounts.admin.key(),
        kind: args.kind,
        destination: ctx.accounts.destination.key(),
        amount: args.amount,
        balance: ctx.accounts.vault.amount,
    });
    Ok(())
}
