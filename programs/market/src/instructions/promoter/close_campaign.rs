//! Ends a campaign's bidding. It still pays for the events of slots it won; what is left can be withdrawn later. No
//! pause flag stops it.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::CampaignClosed,
    seeds,
    state::{Campaign, MarketConfig},
};

/// Accounts of `close_campaign`.
#[derive(Accounts)]
pub struct CloseCampaign<'info> {
    /// The owner of the campaign.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The campaign.
    #[account(mut, has_one = owner @ MarketError::Unauthorized)]
    pub campaign: Box<Account<'info, Campaign>>,
}

pub(crate) fn handler(ctx: Context<CloseCampaign>) -> Result<()> {
    let account = ctx.accounts.campaign.key();
    let campaign = &mut ctx.accounts.campaign;
    campaign.end_bidding(Clock::get()?.unix_timestamp)?;
    let over_at = campaign.over_at(ctx.accounts.config.params.epoch_s)?;
    let seq = campaign.next_seq()?;
    campaign.invariant()?;
    emit!(CampaignClosed { account, seq, owner: campaign.owner, over_at });
    Ok(())
}
