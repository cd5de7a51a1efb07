//! Ends a node whose lines nobody can claim any more; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::AccountClosed, state::Node};

/// Accounts of `close_node`.
#[derive(Accounts)]
pub struct CloseNode<'info> {
    /// The account that ends.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub node: Box<Account<'info, Node>>,
    /// Who paid for it.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseNode<'_> {
    /// The account and the receiver of its rent are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.node.require_closable(Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseNode>) -> Result<()> {
    let account = ctx.accounts.node.key();
    let seq = ctx.accounts.node.next_seq()?;
    emit!(AccountClosed { account, seq, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
