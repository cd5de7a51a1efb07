//! Pays from the treasury, grants or liquidity vault by decision of the admin.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, Token, TokenAccount, TransferChecked};

use crate::{
    authority::pause,
    constants::DECIMALS,
    error::CoinError,
    events::VaultSpent,
    seeds,
    state::{CoinConfig, VaultKind},
};

/// Arguments of `spend_vault`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SpendVaultArgs {
    /// Which vault pays: treasury, grants or liquidity.
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
    /// Any AIC account.
    #[account(mut, constraint = destination.mint == mint.key() @ CoinError::WrongMint)]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl SpendVault<'_> {
    /// Admin, mint, vault and destination are checked by attributes.
    pub(crate) fn validate(&self, args: &SpendVaultArgs) -> Result<()> {
        self.config.require_running(pause::SPENDING)?;
        require!(args.kind.spendable(), CoinError::NotSpendable);
        require!(args.amount > 0, CoinError::ZeroAmount);
        require!(self.vault.amount >= args.amount, CoinError::InsufficientFunds);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<SpendVault>, args: SpendVaultArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    let seq = config.next_seq()?;
    config.invariant()?;
    let signer: &[&[u8]] = &[seeds::VAULT, &[args.kind as u8], &[config.vault_bumps[args.kind.index()]]];
    token::transfer_checked(
        CpiContext::new_with_signer(
            Token::id(),
            TransferChecked {
                from: ctx.accounts.vault.to_account_info(),
                mint: ctx.accounts.mint.to_account_info(),
                to: ctx.accounts.destination.to_account_info(),
                authority: ctx.accounts.vault.to_account_info(),
            },
            &[signer],
        ),
        args.amount,
        DECIMALS,
    )?;
    ctx.accounts.vault.reload()?;
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
