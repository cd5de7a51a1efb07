//! Returns the rent of a royalty table that no claim can need any more. The settlement program signs: it alone knows
//! that nothing waits to be shared out.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    seeds,
    state::{MarketConfig, Royalties},
};

/// Accounts of `close_royalties`.
#[derive(Accounts)]
pub struct CloseRoyalties<'info> {
    /// The settlement program's PDA.
    pub slasher: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = slasher @ MarketError::Unauthorized)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The royalty table.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub royalties: Box<Account<'info, Royalties>>,
    /// CHECK: the key that the royalty table names; it only receives lamports.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseRoyalties<'_> {
    /// Signer, configuration, table and rent payer are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        let over = self.royalties.is_over(Clock::get()?.unix_timestamp, &self.config.params)?;
        require!(over, MarketError::RoyaltiesInUse);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseRoyalties>) -> Result<()> {
    let _ = ctx;
    Ok(())
}
