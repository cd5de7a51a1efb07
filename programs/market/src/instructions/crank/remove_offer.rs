//! Takes an offer out of the book that can no longer be served, and ends it: capacity that is not there must not hold
//! the price down.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::OfferRemoved,
    seeds,
    state::{Market, MarketConfig, Node, Offer, Party, Role, Seat},
};

/// Accounts of `remove_offer`.
#[derive(Accounts)]
pub struct RemoveOffer<'info> {
    /// The configuration.
    pub config: Box<Account<'info, MarketConfig>>,
    /// The offer.
    #[account(
        mut,
        close = rent_payer,
        has_one = rent_payer @ MarketError::WrongAccount,
        has_one = market @ MarketError::WrongMarket,
    )]
    pub offer: Box<Account<'info, Offer>>,
    /// The market.
    #[account(mut)]
    pub market: Box<Account<'info, Market>>,
    /// CHECK: the address of the offer's worker; the node may be gone.
    #[account(seeds = [seeds::NODE, offer.worker.as_ref()], bump)]
    pub node: UncheckedAccount<'info>,
    /// The party of who posted the offer.
    #[account(
        mut,
        constraint = party.owner == offer.owner && party.role == Role::Provider @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// Its seat.
    #[account(
        mut,
        constraint = seat.owner == offer.owner && seat.market == offer.market @ MarketError::WrongAccount,
    )]
    pub seat: Box<Account<'info, Seat>>,
    /// Who paid for the offer.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl RemoveOffer<'_> {
    /// Every account is checked by attributes, and this program creates each at the one address of its fields. Here:
    /// that the offer is empty, its worker's delegation is over, or its owner may not serve.
    pub(crate) fn validate(&self) -> Result<()> {
        let now = Clock::get()?.unix_timestamp;
        let removable =
            self.offer.capacity == 0 || !self.is_delegated(now)? || self.party.is_out(&self.config.params, now)?;
        require!(removable, MarketError::OfferStands);
        Ok(())
    }

    /// Whether the worker's key is still delegated by who posted the offer.
    fn is_delegated(&self, now: i64) -> Result<bool> {
        if self.node.owner != &crate::ID {
            return Ok(false);
        }
        let node = Node::try_deserialize(&mut &self.node.try_borrow_data()?[..])?;
        Ok(node.operator == self.offer.owner && node.require_live(now).is_ok())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RemoveOffer>) -> Result<()> {
    let account = ctx.accounts.offer.key();
    let RemoveOffer { offer, market, party, seat, .. } = ctx.accounts;
    let capacity = offer.capacity;
    market.replace_offer(Some((offer.tick, capacity)), offer.tick, 0)?;
    let had = seat.replace(capacity, 0)?;
    market.count_owner(had, seat.capacity)?;
    party.replace_capacity(capacity, 0)?;
    market.invariant()?;
    seat.invariant()?;
    party.invariant()?;
    let seq = offer.next_seq()?;
    emit!(OfferRemoved { account, seq, market: offer.market, worker: offer.worker, capacity });
    Ok(())
}
