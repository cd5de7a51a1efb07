//! A party: one owner in one role, with the stake that answers for what it does.

use anchor_lang::prelude::*;

use waybill_mechanism::slash::{Bond, Slash};

use crate::{
    constants::{DAY_S, JAIL_BPS, JAIL_S, NO_SHOW_DAY_BPS, REPEAT_S, WORK_BPS},
    error::MarketError,
    state::{MarketParams, OFFENCES, Offence, SlashTicket},
};

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

/// How much a provider puts at stake, and so how much it may be trusted with. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tier {
    /// A machine at home.
    Home,
    /// A machine room.
    Campus,
    /// A data centre.
    DataCenter,
}

impl Tier {
    /// How many minimum stakes of a provider the tier needs: $25, $250, $2,500.
    #[must_use]
    pub const fn stakes(self) -> u64 {
        match self {
            Self::Home => 1,
            Self::Campus => 10,
            Self::DataCenter => 100,
        }
    }
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
    /// A provider's tier; the first for every other role.
    pub tier: Tier,
    /// When each [`Offence`] was last punished, unix seconds; 0 = never.
    pub punished_at: [u32; OFFENCES],
    /// The day that `fined_bps` counts, unix days.
    pub fined_day: u32,
    /// What missed appearances have cost on that day, in bps of the stake.
    pub fined_bps: u16,
    /// Capacity in all books together, BU per pricing epoch.
    pub offered: u64,
    /// Room for later fields, zero.
    pub _reserved: [u8; 17],
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
            tier: Tier::Home,
            punished_at: [0; OFFENCES],
            fined_day: 0,
            fined_bps: 0,
            offered: 0,
            _reserved: [0; 17],
        }
    }

    /// Refuses a party that may not begin anything: banned, jailed, or below its minimum stake.
    pub fn require_in_good_standing(&self, params: &MarketParams, now: i64) -> Result<()> {
        self.standing().require_good(params, now)
    }

    /// Refuses a party that may not take work under what it began: banned, jailed, or below [`WORK_BPS`] of its minimum
    /// stake. A minimum that is given in USD moves with the rate, so what was enough a day ago stays enough for a while.
    pub fn require_working(&self, params: &MarketParams, now: i64) -> Result<()> {
        self.standing().require_working(params, now)
    }

    /// Whether the party's offers leave the books: banned, jailed, or below [`JAIL_BPS`] of its minimum stake.
    pub fn is_out(&self, params: &MarketParams, now: i64) -> Result<bool> {
        let minimum = params.min_stake_of(self.role, self.tier)?;
        Ok(self.standing().require_free(now).is_err() || below(self.stake, minimum, JAIL_BPS))
    }

    /// What decides whether it may work.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        Standing {
            role: self.role,
            owner: self.owner,
            stake: self.stake,
            jailed_until: self.jailed_until,
            banned: self.banned,
            tier: self.tier,
        }
    }

    /// Takes another tier; its minimum stake must be there.
    pub fn set_tier(&mut self, tier: Tier, params: &MarketParams, now: i64) -> Result<Tier> {
        require!(self.role == Role::Provider, MarketError::RoleHasNoTier);
        let old = std::mem::replace(&mut self.tier, tier);
        self.require_in_good_standing(params, now)?;
        Ok(old)
    }

    /// Records a change of the capacity that the party offers in one book.
    pub fn replace_capacity(&mut self, old: u64, new: u64) -> Result<()> {
        let rest = self.offered.checked_sub(old).ok_or(MarketError::Invariant)?;
        self.offered = rest.checked_add(new).ok_or(MarketError::Overflow)?;
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

    /// Takes what an offence costs and remembers it: restitution first, then the penalty that the epoch's ticket
    /// admits. The same offence within one epoch is one offence; in a later epoch within 30 days it is a repeat.
    pub fn slash(&mut self, ticket: &mut SlashTicket, offence: Offence, restitution: u64, now: i64) -> Result<Slash> {
        let bond = self.bond();
        let total = bond.total().map_err(|_| MarketError::Overflow)?;
        let repeat = match ticket.known(offence) {
            Some(repeat) => repeat,
            None => self.offended_lately(offence, now)?,
        };
        let rate_bps = self.rate(offence, repeat, now)?;
        let penalty = ticket.admit(offence, repeat, rate_bps, total)?;
        let slash = bond.slash(restitution, penalty).map_err(|_| MarketError::Overflow)?;
        (self.stake, self.unbonding) = (slash.bond.stake, slash.bond.unbonding);
        if self.unbonding == 0 {
            self.unbonding_until = 0;
        }
        let moment = u32::try_from(now).map_err(|_| MarketError::BadClock)?;
        *self.punished_at.get_mut(offence.index()).ok_or(MarketError::Invariant)? = moment;
        self.banned |= repeat && offence.bans_on_repeat();
        if offence.jails() {
            self.jail(now)?;
        }
        ticket.record(slash.penalty, slash.restitution, now)?;
        Ok(slash)
    }

    /// What answers for the party.
    #[must_use]
    pub fn bond(&self) -> Bond {
        Bond { stake: self.stake, unbonding: self.unbonding }
    }

    fn offended_lately(&self, offence: Offence, now: i64) -> Result<bool> {
        let before = i64::from(*self.punished_at.get(offence.index()).ok_or(MarketError::Invariant)?);
        let over = before.checked_add(REPEAT_S).ok_or(MarketError::Overflow)?;
        Ok(before != 0 && now <= over)
    }

    /// The rate of an offence; what missed appearances cost in one day is bounded.
    fn rate(&mut self, offence: Offence, repeat: bool, now: i64) -> Result<u16> {
        let (first_bps, repeat_bps) = offence.rates_bps();
        let rate_bps = if repeat { repeat_bps } else { first_bps };
        if offence != Offence::NoShow {
            return Ok(rate_bps);
        }
        let day = unix_day(now)?;
        if self.fined_day != day {
            (self.fined_day, self.fined_bps) = (day, 0);
        }
        let left_bps = NO_SHOW_DAY_BPS.checked_sub(self.fined_bps).ok_or(MarketError::Invariant)?;
        let rate_bps = rate_bps.min(left_bps);
        self.fined_bps = self.fined_bps.checked_add(rate_bps).ok_or(MarketError::Overflow)?;
        Ok(rate_bps)
    }

    /// No new work for a day from now on.
    fn jail(&mut self, now: i64) -> Result<()> {
        let until = now.checked_add(JAIL_S).ok_or(MarketError::Overflow)?;
        self.jailed_until = self.jailed_until.max(until);
        Ok(())
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

/// The day of a moment. Unsigned, because the chain's machine divides nothing else.
fn unix_day(now: i64) -> Result<u32> {
    let seconds = u64::try_from(now).map_err(|_| MarketError::BadClock)?;
    Ok(u32::try_from(seconds / DAY_S.unsigned_abs()).map_err(|_| MarketError::BadClock)?)
}

coin::view! {
    /// What decides whether a [`Party`] may work.
    Standing of Party {
        /// See [`Party::role`].
        role: Role = 11,
        /// See [`Party::owner`].
        owner: Pubkey = 12,
        /// See [`Party::stake`].
        stake: u64 = 44,
        /// See [`Party::jailed_until`].
        jailed_until: i64 = 68,
        /// See [`Party::banned`].
        banned: bool = 76,
        /// See [`Party::tier`].
        tier: Tier = 117,
    }
}

impl Standing {
    /// [`Party::require_in_good_standing`].
    pub fn require_good(&self, params: &MarketParams, now: i64) -> Result<()> {
        self.require_free(now)?;
        require!(self.stake >= params.min_stake_of(self.role, self.tier)?, MarketError::BelowMinimumStake);
        Ok(())
    }

    /// [`Party::require_working`].
    pub fn require_working(&self, params: &MarketParams, now: i64) -> Result<()> {
        self.require_free(now)?;
        let minimum = params.min_stake_of(self.role, self.tier)?;
        require!(!below(self.stake, minimum, WORK_BPS), MarketError::BelowMinimumStake);
        Ok(())
    }

    fn require_free(&self, now: i64) -> Result<()> {
        require!(!self.banned, MarketError::Banned);
        require!(now >= self.jailed_until, MarketError::Jailed);
        Ok(())
    }
}

/// Whether a stake is below `bps` of a minimum, compared without rounding.
fn below(stake: u64, minimum: u64, bps: u16) -> bool {
    u128::from(stake) * 10_000 < u128::from(minimum) * u128::from(bps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_the_accounts() {
        let mut party =
            Party::new(Pubkey::new_from_array([7; 32]), Role::Weaver, 1, 2, Pubkey::new_from_array([3; 32]));
        (party.stake, party.unbonding, party.unbonding_until, party.jailed_until) = (4, 5, 6, 8);
        (party.banned, party.seq, party.tier) = (true, 9, Tier::Campus);
        let mut bytes = Vec::new();
        party.try_serialize(&mut bytes).unwrap();
        assert_eq!(Standing::try_deserialize(&mut bytes.as_slice()).unwrap(), party.standing());
    }

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

    const NOW: i64 = 1_790_000_000;

    fn ticket(party: &Party) -> SlashTicket {
        SlashTicket {
            version: SlashTicket::VERSION,
            bump: 1,
            party: Pubkey::new_from_array([8; 32]),
            epoch: 1,
            bond_aic: party.bond().total().unwrap(),
            rate_bps: 0,
            offences: 0,
            repeats: 0,
            penalty_aic: 0,
            restitution_aic: 0,
            slashed_at: 0,
            seq: 0,
            rent_payer: Pubkey::default(),
            _reserved: [0; 32],
        }
    }

    fn staked(stake: u64) -> Party {
        let mut party = Party::new(Pubkey::new_from_array([7; 32]), Role::Provider, 1, 2, Pubkey::default());
        party.add_stake(stake).unwrap();
        party
    }

    #[test]
    fn the_same_offence_in_one_epoch_is_one_offence_and_in_the_next_a_repeat() {
        let mut party = staked(1_000);
        let mut first = ticket(&party);
        assert_eq!(party.slash(&mut first, Offence::BadOutput, 0, NOW).unwrap().penalty, 200);
        assert_eq!(party.slash(&mut first, Offence::BadOutput, 0, NOW + 1).unwrap().penalty, 0, "the epoch's cap");
        assert!(!party.banned);
        first.invariant().unwrap();
        let mut second = ticket(&party);
        assert_eq!(party.slash(&mut second, Offence::BadOutput, 0, NOW + REPEAT_S).unwrap().penalty, 800);
        assert!(party.banned);
        assert_eq!((party.stake, party.unbonding), (0, 0));
        party.invariant().unwrap();
    }

    #[test]
    fn after_thirty_days_an_offence_is_a_first_one_again() {
        let mut party = staked(1_000);
        party.slash(&mut ticket(&party), Offence::GatewayFault, 0, NOW).unwrap();
        let late = NOW + REPEAT_S + 1;
        // ceil(750 · 25 %) = 188
        assert_eq!(party.slash(&mut ticket(&party), Offence::GatewayFault, 0, late).unwrap().penalty, 188);
    }

    #[test]
    fn a_larger_offence_in_the_same_epoch_takes_the_difference() {
        let mut party = staked(1_000);
        let mut epoch = ticket(&party);
        assert_eq!(party.slash(&mut epoch, Offence::AnswerRefused, 0, NOW).unwrap().penalty, 50);
        // 25 % of the 950 that are left is 238, but all penalties together are at most 25 % of 1,000.
        assert_eq!(party.slash(&mut epoch, Offence::GatewayFault, 0, NOW).unwrap().penalty, 200);
        assert_eq!((epoch.penalty_aic, epoch.rate_bps), (250, 2_500));
    }

    #[test]
    fn restitution_comes_first_is_not_capped_and_reaches_what_is_unbonding() {
        let mut party = staked(1_000);
        party.begin_unstake(400, NOW, 600).unwrap();
        let mut epoch = ticket(&party);
        let slash = party.slash(&mut epoch, Offence::GatewayFault, 700, NOW).unwrap();
        assert_eq!((slash.restitution, slash.penalty), (700, 250));
        assert_eq!((party.stake, party.unbonding), (0, 50));
        let slash = party.slash(&mut epoch, Offence::GatewayFault, 700, NOW).unwrap();
        assert_eq!((slash.restitution, slash.penalty), (50, 0), "what is left is taken whole");
        assert_eq!((party.stake, party.unbonding, party.unbonding_until), (0, 0, 0));
        party.invariant().unwrap();
        epoch.invariant().unwrap();
    }

    #[test]
    fn missed_appearances_jail_for_a_day_and_cost_at_most_five_percent_of_it() {
        let mut party = staked(1_000_000);
        let midnight = NOW / DAY_S * DAY_S;
        for hour in 0..12 {
            let now = midnight + hour * 3_600;
            let penalty = party.slash(&mut ticket(&party), Offence::NoShow, 0, now).unwrap().penalty;
            assert_eq!(penalty > 0, hour < 10, "hour {hour}");
            assert_eq!(party.jailed_until, now + JAIL_S);
        }
        assert_eq!(party.fined_bps, NO_SHOW_DAY_BPS);
        assert!(party.slash(&mut ticket(&party), Offence::NoShow, 0, midnight + DAY_S).unwrap().penalty > 0);
        let params = crate::state::config::tests::params();
        let until = party.jailed_until;
        assert_eq!(party.require_in_good_standing(&params, until - 1).unwrap_err(), MarketError::Jailed.into());
        party.require_in_good_standing(&params, until).unwrap();
    }

    #[test]
    fn below_80_percent_no_new_work_below_50_out_of_the_books_and_tiers_multiply() {
        let mut params = crate::state::config::tests::params();
        params.min_stake = [500; 7];
        for (stake, good, working, out) in [
            (500, true, true, false),
            (499, false, true, false),
            (400, false, true, false),
            (399, false, false, false),
            (250, false, false, false),
            (249, false, false, true),
        ] {
            let party = staked(stake);
            assert_eq!(party.require_in_good_standing(&params, NOW).is_ok(), good, "{stake}");
            assert_eq!(party.require_working(&params, NOW).is_ok(), working, "{stake}");
            assert_eq!(party.is_out(&params, NOW).unwrap(), out, "{stake}");
        }
        let mut party = staked(5_000);
        assert_eq!(party.set_tier(Tier::Campus, &params, NOW).unwrap(), Tier::Home);
        let poor = party.set_tier(Tier::DataCenter, &params, NOW).unwrap_err();
        assert_eq!(poor, MarketError::BelowMinimumStake.into());
        let mut gateway = Party::new(Pubkey::new_from_array([7; 32]), Role::Gateway, 1, 2, Pubkey::default());
        assert_eq!(gateway.set_tier(Tier::Home, &params, NOW).unwrap_err(), MarketError::RoleHasNoTier.into());
    }
}
