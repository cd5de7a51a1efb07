//! An operator puts a worker's capacity into a market's book, or changes it.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::TICKS,
    error::MarketError,
    events::OfferPosted,
    seeds,
    state::{Market, MarketTerms, Node, Offer, Party, Role, Seat},
};

/// Arguments of `post_offer`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct PostOfferArgs {
    /// The lowest price the worker serves at, as a tick of the book.
    pub tick: u8,
    /// BU per pricing epoch; 0 takes the offer out of the book.
    pub capacity: u64,
}

/// Accounts of `post_offer`.
#[derive(Accounts)]
pub struct PostOffer<'info> {
    /// Pays the rent of a first offer or seat.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The provider's wallet.
    pub operator: Signer<'info>,
    /// The configuration.
    pub config: Box<Account<'info, MarketTerms>>,
    /// The operator's party as a provider.
    #[account(
        mut,
        dup,
        constraint = party.owner == operator.key() @ MarketError::Unauthorized,
        constraint = party.role == Role::Provider @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// The worker.
    #[account(has_one = operator @ MarketError::Unauthorized)]
    pub node: Box<Account<'info, Node>>,
    /// The market.
    #[account(mut, dup)]
    pub market: Box<Account<'info, Market>>,
    /// The offer. Its seeds name one market and worker, so a second creation is impossible.
    #[account(
        init_if_needed,
        dup,
        payer = payer,
        space = 8 + Offer::INIT_SPACE,
        seeds = [seeds::OFFER, market.key().as_ref(), node.worker.as_ref()],
        bump,
    )]
    pub offer: Box<Account<'info, Offer>>,
    /// What the operator offers in this market. Its seeds name one market and owner, so a second creation is impossible.
    #[account(
        init_if_needed,
        dup,
        payer = payer,
        space = 8 + Seat::INIT_SPACE,
        seeds = [seeds::SEAT, market.key().as_ref(), operator.key().as_ref()],
        bump,
    )]
    pub seat: Box<Account<'info, Seat>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl PostOffer<'_> {
    /// Operator, party and node are checked by attributes; configuration and market are accounts of this program, which
    /// creates them at one address each. An offer can always be taken out of the book; one with capacity needs a live
    /// node of the market's class and region and a provider in good standing.
    pub(crate) fn validate(&self, args: &PostOfferArgs) -> Result<()> {
        require!(usize::from(args.tick) < TICKS, MarketError::BadTick);
        if args.capacity == 0 {
            return Ok(());
        }
        self.config.require_running(pause::BIDS)?;
        self.party.require_in_good_standing(&self.config.params, Clock::get()?.unix_timestamp)?;
        self.node.require_live(Clock::get()?.unix_timestamp)?;
        require!(
            self.node.class == self.market.class && self.node.region == self.market.region,
            MarketError::WrongMarket
        );
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<PostOffer>, args: PostOfferArgs) -> Result<()> {
    let account = ctx.accounts.offer.key();
    let (market_key, worker) = (ctx.accounts.market.key(), ctx.accounts.node.worker);
    let (owner, rent_payer) = (ctx.accounts.operator.key(), ctx.accounts.payer.key());
    let seat = &mut ctx.accounts.seat;
    if seat.version == 0 {
        seat.set_inner(Seat {
            version: Seat::VERSION,
            bump: ctx.bumps.seat,
            market: market_key,
            owner,
            capacity: 0,
            rent_payer,
            _reserved: [0; 32],
        });
    }
    let offer = &mut ctx.accounts.offer;
    let old = if offer.version == 0 {
        offer.set_inner(Offer {
            version: Offer::VERSION,
            bump: ctx.bumps.offer,
            market: market_key,
            worker,
            tick: args.tick,
            capacity: args.capacity,
            seq: 0,
            rent_payer,
            owner,
            _reserved: [0; 32],
        });
        None
    } else {
        let old = (offer.tick, offer.capacity);
        offer.tick = args.tick;
        offer.capacity = args.capacity;
        Some(old)
    };
    let old_capacity = old.map_or(0, |(_, capacity)| capacity);
    let had = seat.replace(old_capacity, args.capacity)?;
    seat.invariant()?;
    let party = &mut ctx.accounts.party;
    party.replace_capacity(old_capacity, args.capacity)?;
    party.invariant()?;
    let market = &mut ctx.accounts.market;
    market.replace_offer(old, args.tick, args.capacity)?;
    market.count_owner(had, seat.capacity)?;
    market.invariant()?;
    // What stands may stay, whatever the stake and the others have become; more needs room for it.
    if args.capacity > old_capacity {
        let book = &ctx.accounts.config.book;
        require!(party.offered <= book.units_of(party.stake)?, MarketError::CapacityAboveStake);
        market.require_within_cap(seat.capacity, book)?;
    }
    let seq = offer.next_seq()?;
    offer.invariant()?;
    emit!(OfferPosted { account, seq, market: market_key, worker, tick: args.tick, capacity: args.capacity });
    Ok(())
}
