//! The one way out of the pool for earnings: not while withdrawals are paused, and above the pool's breaker only after a
//! delay.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    events::{EarningsWithdrawn, WithdrawalDelayed},
    report::report,
    seeds,
    state::{Earnings, PoolBreaker, SettleConfig},
    token,
};

/// The accounts of a payment.
pub struct Payout<'a, 'info> {
    pub config: &'a SettleConfig,
    pub breaker: &'a mut Account<'info, PoolBreaker>,
    pub earnings: &'a mut Account<'info, Earnings>,
    pub pool: &'a Account<'info, TokenAccount>,
    pub destination: &'a Account<'info, TokenAccount>,
    pub token_program: &'a Program<'info, Token>,
    pub event_authority: &'a UncheckedAccount<'info>,
}

impl Payout<'_, '_> {
    /// Pays `amount_aic` of the earnings, or everything for `None`, and reports it; or makes it wait, and reports that.
    pub fn pay(self, amount_aic: Option<u64>, swept: bool) -> Result<()> {
        let now = Clock::get()?.unix_timestamp;
        let Self { config, breaker, earnings, pool, destination, token_program, event_authority } = self;
        config.require_withdrawals(now)?;
        let amount_aic = match earnings.take_due(amount_aic, now)? {
            Some(due) => due,
            None => {
                let asked = earnings.asked(amount_aic)?;
                if !breaker.admits(asked, now) {
                    earnings.delay(asked, now)?;
                    let seq = earnings.next_seq()?;
                    earnings.invariant()?;
                    let (account, owner, due_at) = (earnings.key(), earnings.owner, earnings.due_at);
                    let event = WithdrawalDelayed { earnings: account, owner, amount_aic: asked, due_at, seq };
                    return report(event_authority, &event);
                }
                asked
            }
        };
        let amount_aic = earnings.debit(amount_aic)?;
        let seq = earnings.next_seq()?;
        earnings.invariant()?;
        breaker.record(amount_aic, now)?;
        breaker.invariant()?;
        let seeds: [&[u8]; 3] = [seeds::POOL, config.mint.as_ref(), &[config.pool_bump]];
        token::transfer(token_program, pool, destination, pool.to_account_info(), &seeds, amount_aic)?;
        let event = EarningsWithdrawn {
            earnings: earnings.key(),
            owner: earnings.owner,
            destination: destination.key(),
            swept,
            amount_aic,
            remaining_aic: earnings.amount_aic,
            seq,
        };
        report(event_authority, &event)
    }
}
