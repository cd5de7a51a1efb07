//! Shares out what claims credited to a royalty table among the vendors of its lineage. One call serves every line that
//! was claimed since the last; a claim itself does not grow with the lineage. Nobody signs: the table decides everything.

use anchor_lang::prelude::*;
use coin::authority::pause;
use market::state::Royalties;

use crate::{
    error::SettleError,
    events::RoyaltiesShared,
    report::report,
    state::{Earnings, SettleConfig},
};

/// Remaining accounts: the `Earnings` (writable) of the table's rows, in order. One owner may have several rows.
#[event_cpi]
#[derive(Accounts)]
pub struct ShareRoyalties<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    pub royalties: Box<Account<'info, Royalties>>,
    /// What the table's address has earned and not shared yet.
    #[account(
        mut,
        constraint = pot.owner == royalties.key() && pot.mint == config.mint @ SettleError::PayeeMismatch
    )]
    pub pot: Box<Account<'info, Earnings>>,
}

impl ShareRoyalties<'_> {
    /// `royalties` is the market's, `pot` belongs to its address.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::CLAIMS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler<'info>(ctx: Context<'info, ShareRoyalties<'info>>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let everything = accounts.pot.amount_aic;
    let amount_aic = accounts.pot.debit(everything)?;
    // Each part rounds down and the model's own vendor takes the rest.
    let parts = accounts.royalties.split(amount_aic).map_err(SettleError::from)?.parts;
    let whole = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(*part));
    require!(whole == Some(amount_aic), SettleError::InvariantBroken);

    let rows = accounts.royalties.rows();
    require!(ctx.remaining_accounts.len() == rows.len(), SettleError::PayeeMismatch);
    for ((row, part), info) in rows.iter().zip(parts).zip(ctx.remaining_accounts) {
        Earnings::credit_account(info, &row.owner, &accounts.pot.mint, part)?;
    }
    let seq = accounts.pot.next_seq()?;
    accounts.pot.invariant()?;
    let event = RoyaltiesShared {
        earnings: accounts.pot.key(),
        royalties: accounts.royalties.key(),
        artifact: accounts.royalties.artifact,
        pricing_epoch: accounts.royalties.pricing_epoch,
        amount_aic,
        parts_aic: parts.get(..rows.len()).unwrap_or_default().to_vec(),
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
