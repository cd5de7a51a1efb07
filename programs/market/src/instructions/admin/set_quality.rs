//! Sets the measured quality of a campaign. It counts in bids made from now on, never in those that stand.

use anchor_lang::prelude::*;
use coin::authority::pause;
use waybill_mechanism::vcg::QUALITY_BPS;

use crate::{
    error::MarketError,
    events::QualitySet,
    seeds,
    state::{Campaign, MarketConfig},
};

/// Arguments of `set_quality`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SetQualityArgs {
    /// 5,000 to 15,000 bps.
    pub quality_bps: u16,
}

/// Accounts of `set_quality`.
#[derive(Accounts)]
pub struct SetQuality<'info> {
    /// The params authority.
    pub authority: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.params == authority.key() @ MarketError::Unauthorized,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The campaign.
    #[account(mut)]
    pub campaign: Box<Account<'info, Campaign>>,
}

impl SetQuality<'_> {
    /// Authority and configuration are checked by attributes; any campaign of this program will do.
    pub(crate) fn validate(&self, args: &SetQualityArgs) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        require!(QUALITY_BPS.contains(&args.quality_bps), MarketError::BadQuality);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<SetQuality>, args: SetQualityArgs) -> Result<()> {
    let account = ctx.accounts.campaign.key();
    let campaign = &mut ctx.accounts.campaign;
    let old_bps = std::mem::replace(&mut campaign.quality_bps, args.quality_bps);
    let seq = campaign.next_seq()?;
    campaign.invariant()?;
    let actor = ctx.accounts.authority.key();
    emit!(QualitySet { account, seq, actor, old_bps, quality_bps: args.quality_bps });
    Ok(())
}
