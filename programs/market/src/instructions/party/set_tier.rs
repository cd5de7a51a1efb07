//! A provider takes another tier. A higher one needs its minimum stake; a lower one is always open.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::TierSet,
    state::{MarketConfig, Party, Tier},
};

/// Arguments of `set_tier`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SetTierArgs {
    /// The tier from now on.
    pub tier: Tier,
}

/// Accounts of `set_tier`.
#[derive(Accounts)]
pub struct SetTier<'info> {
    /// The owner of the party.
    pub owner: Signer<'info>,
    /// The configuration.
    pub config: Box<Account<'info, MarketConfig>>,
    /// The party.
    #[account(mut, has_one = owner @ MarketError::Unauthorized)]
    pub party: Box<Account<'info, Party>>,
}

pub(crate) fn handler(ctx: Context<SetTier>, args: SetTierArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let account = ctx.accounts.party.key();
    let party = &mut ctx.accounts.party;
    let old = party.set_tier(args.tier, &ctx.accounts.config.params, now)?;
    let seq = party.next_seq()?;
    party.invariant()?;
    emit!(TierSet { account, seq, owner: party.owner, old, new: args.tier });
    Ok(())
}
