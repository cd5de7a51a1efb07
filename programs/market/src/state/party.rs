//! A party: one owner in one role, with the stake that answers for what it does.

use anchor_lang::prelude::*;

use crate::{error::MarketError, state::MarketParams};

/// What a party does in the network. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Publishes a model.
    Vendor,
    /// Optimises a model for hardware.
    Oem,
    /// Runs workers.
    Provider,
    /// Brings consumers.
    Curator,
    /// Builds containers.
    Weaver,
    /// Takes requests and posts batches.
    Gateway,
    /// Audits.
    Verifier,
}

/// PDA `["party", owner, role]`. Its tokens lie in the token account `["stake", party]`, whose authority is this
/// account: `stake + unbonding` is that account's balance.
#[account]
#[derive(InitSpace, Debug)]
pub struct Party {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Bump of the stake's token account.
    pub stake_bump: u8,
    /// The role.
    pub role: Role,
    /// The wallet that owns the stake and is paid.
    pub owner: Pubkey,
    /// AIC base units that answer for the party and count as its stake.
    pub stake: u64,
    /// AIC base units on their way out; they answer until they have left.
    pub unbonding: u64,
    /// When `unbonding` may leave, unix seconds.
    pub unbonding_until: i64,
    /// The party takes no new work before this moment, unix seconds; 0 = free.
    pub jailed_until: i64,
    /// Never takes work again.
    pub banned: bool,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

impl Party {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// A new party without stake.
    #[must_use]
    pub fn new(owner: Pubkey, role: Role, bump: u8, stake_bump: u8, rent_payer: Pubkey) -> Self {
        Self {
            version: Self::VERSION,
            bump,
            stake_bump,
            role,
            owner,
            stake: 0,
            unbonding: 0,
            unbonding_until: 0,
            jailed_until: 0,
            banned: false,
            seq: 0,
            rent_payer,
            _reserved: [0; 64],
        }
    }

    /// Refuses a party that may not take part: too little stake, or banned.
    pub fn require_in_good_standing(&self, params: &MarketParams) -> Result<()> {
        require!(!self.banned, MarketError::Banned);
        require!(self.stake >= params.min_stake(self.role), MarketError::BelowMinimumStake);
        Ok(())
    }

    /// More stake has come in.
    pub fn add_stake(&mut self, amount: u64) -> Result<()> {
        require!(amount > 0, MarketError::ZeroAmount);
        self.stake = self.stake.checked_add(amount).ok_or(MarketError::Overflow)?;
        Ok(())
    }

    /// Puts stake on its way out. A second call adds to what is on its way and starts the time anew.
    pub fn begin_unstake(&mut self, amount: u64, now: i64, unbonding_s: u32) -> Result<()> {
        require!(amount > 0, MarketError::ZeroAmount);
        self.stake = self.stake.checked_sub(amount).ok_or(MarketError::InsufficientStake)?;
        self.unbonding = self.unbonding.checked_add(amount).ok_or(MarketError::Overflow)?;
        self.unbonding_until = now.checked_add(i64::from(unbonding_s)).ok_or(MarketError::Overflow)?;
        Ok(())
    }

    /// Takes out what has finished unbonding and returns it.
    pub fn finish_unstake(&mut self, now: i64) -> Result<u64> {
        require!(self.unbonding > 0, MarketError::NothingUnbonding);
        require!(now >= self.unbonding_until, MarketError::StillUnbonding);
        self.unbonding_until = 0;
        Ok(std::mem::take(&mut self.unbonding))
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.owner != Pubkey::default()
                && self.stake.checked_add(self.unbonding).is_some()
                && (self.unbonding == 0) == (self.unbonding_until == 0),
            MarketError::Invariant
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stake_leaves_only_after_the_unbonding_time() {
        let mut party = Party::new(Pubkey::new_from_array([7; 32]), Role::Gateway, 1, 2, Pubkey::default());
        party.add_stake(100).unwrap();
        party.begin_unstake(30, 1_000, 600).unwrap();
        assert_eq!((party.stake, party.unbonding), (70, 30));
        assert_eq!(party.finish_unstake(1_599).unwrap_err(), MarketError::StillUnbonding.into());
        party.begin_unstake(20, 1_500, 600).unwrap();
        assert_eq!(party.finish_unstake(1_600).unwrap_err(), MarketError::StillUnbonding.into());
        assert_eq!(party.finish_unstake(2_100).unwrap(), 50);
        assert_eq!(party.finish_unstake(2_100).unwrap_err(), MarketError::NothingUnbonding.into());
        party.invariant().unwrap();
    }

    #[test]
    fn amounts_at_their_limits_have_named_errors() {
        let mut party = Party::new(Pubkey::new_from_array([7; 32]), Role::Vendor, 1, 2, Pubkey::default());
        assert_eq!(party.add_stake(0).unwrap_err(), MarketError::ZeroAmount.into());
        assert_eq!(party.begin_unstake(1, 0, 1).unwrap_err(), MarketError::InsufficientStake.into());
        party.add_stake(u64::MAX).unwrap();
        assert_eq!(party.add_stake(1).unwrap_err(), MarketError::Overflow.into());
        assert_eq!(party.begin_unstake(1, i64::MAX, 1).unwrap_err(), MarketError::Overflow.into());
    }
}
