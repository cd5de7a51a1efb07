//! An operator puts a worker's capacity into a market's book, or changes it.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::TICKS,
    error::MarketError,
    events::OfferPosted,
    seeds,
    state::{Market, MarketConfig, Node, Offer, Party, Role},
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
    /// Pays the rent of a first offer.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The provider's wallet.
    pub operator: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The operator's party as a provider.
    #[account(
        constraint = party.owner == operator.key() @ MarketError::Unauthorized,
        constraint = party.role == Role::Provider @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// The worker.
    #[account(has_one = operator @ MarketError::Unauthorized)]
    pub node: Box<Account<'info, Node>>,
    /// The market.
    #[account(mut, seeds = [seeds::MARKET, &market.id.to_le_bytes()], bump = market.bump)]
    pub market: Box<Account<'info, Market>>,
    /// The offer. Its seeds name one market and worker, so a second creation is impossible.
    #[account(
        init_if_needed,
        payer = payer,
        space = 8 + Offer::INIT_SPACE,
        seeds = [seeds::OFFER, market.key().as_ref(), node.worker.as_ref()],
        bump,
    )]
    pub offer: Box<Account<'info, Offer>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl PostOffer<'_> {
    /// Operator, party, node and market are checked by attributes. An offer can always be taken out of the book;
    /// one with capacity needs a live node of the market's class and region and a provider in good standing.
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
            rent_payer: ctx.accounts.payer.key(),
            _reserved: [0; 64],
        });
        None
    } else {
        let old = (offer.tick, offer.capacity);
        offer.tick = args.tick;
        offer.capacity = args.capacity;
        Some(old)
    };
    ctx.accounts.market.replace_offer(old, args.tick, args.capacity)?;
    ctx.accounts.market.invariant()?;
    let seq = offer.next_seq()?;
    offer.invariant()?;
    emit!(OfferPosted { account, seq, market: market_key, worker, tick: args.tick, capacity: args.capacity });
    Ok(())
}
