//! A staked verifier takes a seat in the set of a class; the owner and the node that will sign verdicts both sign. It can be
//! drawn for batches that are posted after this moment.

use anchor_lang::prelude::*;
use market::state::{MarketConfig, Party, Role};

use crate::{
    error::SettleError,
    events::VerifierJoined,
    state::{SettleConfig, VerifierSet},
};

#[derive(Accounts)]
pub struct JoinVerifiers<'info> {
    /// Owner of the stake.
    pub owner: Signer<'info>,
    /// Signs verdicts.
    pub node: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub market_config: Box<Account<'info, MarketConfig>>,
    pub party: Box<Account<'info, Party>>,
    #[account(mut)]
    pub set: Box<Account<'info, VerifierSet>>,
}

impl JoinVerifiers<'_> {
    /// `party` is the signing owner's as a verifier and has its stake by `market_config`; `node` signs.
    fn validate(&self) -> Result<()> {
        self.config.require_running(coin::authority::pause::REGISTRATION)?;
        require!(
            self.party.owner == self.owner.key() && self.party.role == Role::Verifier,
            SettleError::AccountMismatch
        );
        let now = Clock::get()?.unix_timestamp;
        self.party.require_in_good_standing(&self.market_config.params, now).map_err(|_| SettleError::NotStaked.into())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<JoinVerifiers>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = ctx.accounts;
    let (owner, node) = (accounts.owner.key(), accounts.node.key());
    let info = accounts.set.to_account_info();
    let set = &mut accounts.set;
    let seat = set.join(&mut info.try_borrow_mut_data()?, owner, node, now)?;
    let seq = set.next_seq()?;
    set.invariant()?;
    emit!(VerifierJoined { set: set.key(), det_class: set.det_class, seat, owner, node, seated: set.seated, seq });
    Ok(())
}
