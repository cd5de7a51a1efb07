//! Returns the rent of a staged receipt that no audit used; signed by whoever paid it.

use anchor_lang::prelude::*;

use crate::{error::SettleError, state::StagedReceipt};

#[derive(Accounts)]
pub struct UnstageReceipt<'info> {
    #[account(mut)]
    pub rent_payer: Signer<'info>,
    /// Paid for by the signer.
    #[account(mut, close = rent_payer, has_one = rent_payer @ SettleError::Unauthorized)]
    pub staged: Box<Account<'info, StagedReceipt>>,
}

pub(crate) fn handler(_: Context<UnstageReceipt>) -> Result<()> {
    Ok(())
}
