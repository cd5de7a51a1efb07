//! A gateway reports the demand it saw in a market during the pricing epoch before: what it served and what it could not
//! serve. Only the gateway knows the second, so the report rests on its stake, not on a proof: it is worth at most four
//! times the stake, and prices follow it by bounded steps.

use anchor_lang::prelude::*;
use coin::{authority::pause, state::Rate};

use crate::{
    error::MarketError,
    events::DemandObserved,
    seeds,
    state::{Market, MarketConfig, Observation, Party, Role},
};

/// Arguments of `observe_demand`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct ObserveDemandArgs {
    /// Served and unserved units of the pricing epoch before, BU.
    pub units: u64,
}

/// Accounts of `observe_demand`.
#[derive(Accounts)]
pub struct ObserveDemand<'info> {
    /// Pays the rent of a first observation.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The gateway.
    pub gateway: Signer<'info>,
    /// The configuration.
    pub config: Box<Account<'info, MarketConfig>>,
    /// The rate of the coin program, of which there is one.
    pub rate: Box<Account<'info, Rate>>,
    /// The gateway's party.
    #[account(
        constraint = party.owner == gateway.key() @ MarketError::Unauthorized,
        constraint = party.role == Role::Gateway @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// The market.
    #[account(mut)]
    pub market: Box<Account<'info, Market>>,
    /// The observation. Its seeds name one market and gateway, so a second creation is impossible.
    #[account(
        init_if_needed,
        payer = payer,
        space = 8 + Observation::INIT_SPACE,
        seeds = [seeds::OBSERVATION, market.key().as_ref(), gateway.key().as_ref()],
        bump,
    )]
    pub observation: Box<Account<'info, Observation>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl ObserveDemand<'_> {
    /// The gateway signs; its party is checked by attributes; configuration, rate and market are accounts of their
    /// programs, which create them at one address each.
    pub(crate) fn validate(&self, args: &ObserveDemandArgs) -> Result<()> {
        self.config.require_running(pause::BIDS)?;
        let now = Clock::get()?.unix_timestamp;
        let params = &self.config.params;
        self.party.require_in_good_standing(params, now)?;
        let rate = self.rate.current(now).map_err(|_| MarketError::StaleRate)?;
        let base_nc = self.market.base_at(params.observing(now)?);
        Observation::require_backed(args.units, base_nc, self.party.stake, rate)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<ObserveDemand>, args: ObserveDemandArgs) -> Result<()> {
    let pricing_epoch = ctx.accounts.config.params.observing(Clock::get()?.unix_timestamp)?;
    let account = ctx.accounts.observation.key();
    let (market_key, gateway) = (ctx.accounts.market.key(), ctx.accounts.gateway.key());
    let observation = &mut ctx.accounts.observation;
    if observation.version == 0 {
        observation.set_inner(Observation {
            version: Observation::VERSION,
            bump: ctx.bumps.observation,
            market: market_key,
            gateway,
            pricing_epoch: u32::MAX,
            units: 0,
            seq: 0,
            rent_payer: ctx.accounts.payer.key(),
            _reserved: [0; 32],
        });
    }
    let old = observation.report(pricing_epoch, args.units);
    let market = &mut ctx.accounts.market;
    market.observe(pricing_epoch, old, args.units)?;
    market.invariant()?;
    let seq = observation.next_seq()?;
    observation.invariant()?;
    let observed = market.observed;
    let event =
        DemandObserved { account, seq, market: market_key, gateway, pricing_epoch, units: args.units, observed };
    emit!(event);
    Ok(())
}
