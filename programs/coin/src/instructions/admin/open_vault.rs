//! Creates one of the six vaults of the supply, with its breaker.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};

use crate::{
    error::CoinError,
    events::VaultOpened,
    seeds,
    state::{Breaker, CoinConfig, VaultKind},
};

/// Arguments of `open_vault`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct OpenVaultArgs {
    /// Which vault.
    pub kind: VaultKind,
}

/// Accounts of `open_vault`.
#[derive(Accounts)]
#[instruction(args: OpenVaultArgs)]
pub struct OpenVault<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
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
    /// The vault, its own authority.
    #[account(
        init,
        payer = payer,
        seeds = [seeds::VAULT, &[args.kind as u8]],
        bump,
        token::mint = mint,
        token::authority = vault,
        token::token_program = token_program,
    )]
    pub vault: Box<Account<'info, TokenAccount>>,
    /// The vault's breaker.
    #[account(
        init,
        payer = payer,
        space = 8 + Breaker::INIT_SPACE,
        seeds = [seeds::BREAKER, vault.key().as_ref()],
        bump,
    )]
    pub breaker: Box<Account<'info, Breaker>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

pub(crate) fn handler(ctx: Context<OpenVault>, args: OpenVaultArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let (vault, payer, now) = (ctx.accounts.vault.key(), ctx.accounts.payer.key(), Clock::get()?.unix_timestamp);
    ctx.accounts.breaker.set_inner(Breaker::new(vault, ctx.bumps.breaker, payer, now));
    ctx.accounts.breaker.invariant()?;
    let config = &mut ctx.accounts.config;
    config.open_vault(args.kind, ctx.bumps.vault);
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(VaultOpened { account, seq, kind: args.kind, vault });
    Ok(())
}
