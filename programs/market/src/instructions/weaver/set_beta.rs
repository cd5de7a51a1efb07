//! A weaver moves the share of its container's curators, a step at a time and with the notice of an ask, so that what
//! brought a curator to the container does not vanish overnight.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::BetaChanged,
    seeds,
    state::{Container, MarketConfig},
};

/// Arguments of `set_beta`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SetBetaArgs {
    /// The curator's share in bps, at most 100 from the present one.
    pub beta_bps: u16,
}

/// Accounts of `set_beta`.
#[derive(Accounts)]
pub struct SetBeta<'info> {
    /// The weaver.
    pub creator: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The container.
    #[account(mut, has_one = creator @ MarketError::Unauthorized)]
    pub container: Box<Account<'info, Container>>,
}

impl SetBeta<'_> {
    /// Weaver, configuration and container are checked by attributes, the step by [`Container::set_beta`].
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::BIDS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SetBeta>, args: SetBetaArgs) -> Result<()> {
    let account = ctx.accounts.container.key();
    let now = Clock::get()?.unix_timestamp;
    let container = &mut ctx.accounts.container;
    let effective_epoch = container.set_beta(args.beta_bps, now, &ctx.accounts.config.params)?;
    let seq = container.next_seq()?;
    container.invariant()?;
    emit!(BetaChanged {
        account,
        seq,
        id: container.id,
        old_bps: container.beta_bps,
        new_bps: args.beta_bps,
        effective_epoch,
        revision: container.revision,
    });
    Ok(())
}
