//! Creates the market of a class of work in a region.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::{REGION_LEN, TICKS},
    error::MarketError,
    events::MarketCreated,
    seeds,
    state::{Market, MarketConfig, Node},
};

/// Arguments of `create_market`. Prices are nc per 1,000 BU.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct CreateMarketArgs {
    /// The number that containers name.
    pub id: u32,
    /// Class of work.
    pub class: u16,
    /// Region.
    pub region: [u8; REGION_LEN],
    /// First base price, between floor and reserve.
    pub base_nc: u64,
    /// The base never falls below; at least the configured minimum.
    pub floor_nc: u64,
    /// The base never rises above.
    pub reserve_nc: u64,
    /// Price of the first tick of the book, > 0.
    pub tick0_nc: u64,
    /// Ratio between ticks in bps above one, 1 to 10,000.
    pub tick_ratio_bps: u16,
}

/// Accounts of `create_market`.
#[derive(Accounts)]
#[instruction(args: CreateMarketArgs)]
pub struct CreateMarket<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ MarketError::Unauthorized,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The market.
    #[account(
        init,
        payer = payer,
        space = 8 + Market::INIT_SPACE,
        seeds = [seeds::MARKET, &args.id.to_le_bytes()],
        bump,
    )]
    pub market: Box<Account<'info, Market>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl CreateMarket<'_> {
    /// Admin and configuration are checked by attributes, the market is created here.
    pub(crate) fn validate(&self, args: &CreateMarketArgs) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)?;
        Node::validate_region(&args.region)?;
        require!(
            args.floor_nc >= self.config.params.min_base_nc
                && (args.floor_nc..=args.reserve_nc).contains(&args.base_nc),
            MarketError::BaseOutOfBounds
        );
        require!(args.tick0_nc > 0 && (1..=10_000).contains(&args.tick_ratio_bps), MarketError::ParamOutOfBounds);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<CreateMarket>, args: CreateMarketArgs) -> Result<()> {
    let pricing_epoch = ctx.accounts.config.params.pricing_epoch(Clock::get()?.unix_timestamp)?;
    let account = ctx.accounts.market.key();
    let market = &mut ctx.accounts.market;
    market.set_inner(Market {
        version: Market::VERSION,
        bump: ctx.bumps.market,
        id: args.id,
        class: args.class,
        region: args.region,
        base_nc: args.base_nc,
        floor_nc: args.floor_nc,
        reserve_nc: args.reserve_nc,
        base_epoch: pricing_epoch,
        tick0_nc: args.tick0_nc,
        tick_ratio_bps: args.tick_ratio_bps,
        cap: [0; TICKS],
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        next_nc: 0,
        next_epoch: 0,
        demand: 0,
        observed: 0,
        observed_epoch: 0,
        observers: 0,
        owners: 0,
        _reserved: [0; 88],
    });
    let seq = market.next_seq()?;
    market.invariant()?;
    emit!(MarketCreated { account, seq, id: args.id, class: args.class, region: args.region, base_nc: args.base_nc });
    Ok(())
}
