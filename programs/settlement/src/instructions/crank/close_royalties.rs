//! Returns the rent of a royalty table that no claim needs any more, and of its earnings, once nothing waits in them.

use anchor_lang::prelude::*;
use market::{cpi, state::Royalties};

use crate::{
    error::SettleError,
    seeds,
    state::{Earnings, SettleConfig},
};

#[derive(Accounts)]
pub struct CloseRoyalties<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    /// CHECK: the address that signs to the market, checked by its seeds.
    #[account(seeds = [seeds::SLASHER], bump)]
    pub slasher: UncheckedAccount<'info>,
    /// CHECK: the market checks its seeds.
    pub market_config: UncheckedAccount<'info>,
    #[account(mut)]
    pub royalties: Box<Account<'info, Royalties>>,
    /// Anyone opens the earnings of a table that never earned.
    #[account(
        mut,
        close = pot_rent_payer,
        constraint = pot.owner == royalties.key() && pot.mint == config.mint @ SettleError::PayeeMismatch,
        constraint = pot.amount_aic == 0 @ SettleError::InvalidAmount
    )]
    pub pot: Box<Account<'info, Earnings>>,
    /// CHECK: receives the rent; the address recorded in `royalties`, which the market checks.
    #[account(mut, dup)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: receives the rent; the address recorded in `pot`.
    #[account(mut, dup, address = pot.rent_payer @ SettleError::AccountMismatch)]
    pub pot_rent_payer: UncheckedAccount<'info>,
    pub market_program: Program<'info, market::program::Market>,
}

pub(crate) fn handler(ctx: Context<CloseRoyalties>) -> Result<()> {
    let accounts = ctx.accounts;
    let signer: &[&[u8]] = &[seeds::SLASHER, &[ctx.bumps.slasher]];
    cpi::close_royalties(CpiContext::new_with_signer(
        accounts.market_program.key(),
        cpi::accounts::CloseRoyalties {
            slasher: accounts.slasher.to_account_info(),
            config: accounts.market_config.to_account_info(),
            royalties: accounts.royalties.to_account_info(),
            rent_payer: accounts.rent_payer.to_account_info(),
        },
        &[signer],
    ))
}
