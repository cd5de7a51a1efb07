//! A consumer's prepaid balance with one gateway, and the spending limit it may grant that gateway.

use anchor_lang::prelude::*;
use waybill_mechanism::channel::Moved;

use crate::{constants::*, error::SettleError};

/// One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    Open,
    /// `request_close` was called; claims stay settleable until `close_at` and until someone closes.
    Closing,
}

/// Who answers for the last settlement of a channel. One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SettledBy {
    /// Nothing is settled.
    #[default]
    Nobody,
    /// The consumer: a voucher, up to what it acknowledged.
    Acknowledged,
    /// The gateway: a voucher, above what was acknowledged.
    Voucher,
    /// The gateway, under the grant.
    Grant,
}

/// A spending limit per period for the channel's own gateway (delegated mode). `limit_nc` 0 means no grant.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Most nc that settle per period.
    pub limit_nc: u64,
    /// Length of the period in seconds.
    pub period_s: u32,
    /// Unix second from which the grant is inactive.
    pub expires: i64,
    /// Owner key of the curator of all delegated requests; default for none.
    pub referrer: Pubkey,
    /// Start of the current period; later periods lie on the grid it began.
    pub period_start: i64,
    /// Settled in the current period, in nc.
    pub used_nc: u64,
}

/// What a consumer chooses of a grant.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// Most nc that settle per period, > 0.
    pub limit_nc: u64,
    /// 3,600 … 2,678,400 seconds.
    pub period_s: u32,
    /// Unix second, in the future and at most 366 days away.
    pub expires: i64,
    /// Owner key of a curator, or default for none.
    pub referrer: Pubkey,
}

impl Grant {
    /// A fresh grant: its first period starts now and nothing is used.
    pub fn new(terms: GrantTerms, now: i64) -> Result<Self> {
        let GrantTerms { limit_nc, period_s, expires, referrer } = terms;
        let latest = now.checked_add(MAX_GRANT_LIFE_S).ok_or(SettleError::Overflow)?;
        require!(
            limit_nc > 0
                && (MIN_GRANT_PERIOD_S..=MAX_GRANT_PERIOD_S).contains(&period_s)
                && expires > now
                && expires <= latest,
            SettleError::InvalidGrant
        );
        Ok(Self { limit_nc, period_s, expires, referrer, period_start: now, used_nc: 0 })
    }

    /// The part of the grant that bounds amounts.
    #[must_use]
    pub fn limit(&self) -> waybill_mechanism::channel::Grant {
        waybill_mechanism::channel::Grant {
            expires: self.expires,
            period_s: self.period_s,
            period_start: self.period_start,
            limit_nc: self.limit_nc,
            used_nc: self.used_nc,
        }
    }

    /// Takes over the period and its use after a settlement.
    pub fn spend(&mut self, after: &waybill_mechanism::channel::Grant) {
        self.period_start = after.period_start;
        self.used_nc = after.used_nc;
    }
}

/// `["chan", consumer, gateway, mint, open_slot]`
#[account]
#[derive(InitSpace, Debug)]
pub struct Channel {
    pub version: u8,
    pub bump: u8,
    pub state: ChannelState,
    pub consumer: Pubkey,
    /// The gateway's hot key: owner of its `Party(Gateway)`.
    pub gateway: Pubkey,
    pub mint: Pubkey,
    /// Associated token account of this channel.
    pub vault: Pubkey,
    /// Key that signs vouchers: the consumer or a session key it chose.
    pub session: Pubkey,
    /// Incarnation, part of the address.
    pub open_slot: u64,
    /// AIC of the vault that this program accounts for.
    pub balance_aic: u64,
    /// All AIC ever credited.
    pub deposited_aic: u64,
    /// Cumulative nc that moved to the gateway vault; monotone.
    pub settled_nc: u64,
    /// All AIC that moved to the gateway vault.
    pub settled_aic: u64,
    /// Nonce of the last settled claim of either mode; monotone.
    pub last_settled_nonce: u64,
    /// Unix second from which `close_channel` works; 0 while open.
    pub close_at: i64,
    pub grant: Grant,
    pub seq: u64,
    pub rent_payer: Pubkey,
    /// Unix second of opening; 0 in channels older than this field.
    pub opened_at: i64,
    /// Unix second since which the grant names its referrer; 0 when there never was a grant.
    pub granted_at: i64,
    /// Who answers for `last_settled_nonce`.
    pub settled_by: SettledBy,
    /// Overcharges that disputes have given back, in nc; monotone.
    pub refunded_nc: u64,
    /// Disputes without an outcome. The channel is not closed before there are none.
    pub open_disputes: u16,
    pub _reserved: [u8; 37],
}

impl Channel {
    /// Credits what reached the vault since the last look: `vault_aic - balance_aic`, exact.
    pub fn credit_deposit(&mut self, vault_aic: u64) -> Result<u64> {
        let credited = vault_aic.checked_sub(self.balance_aic).ok_or(SettleError::InvariantBroken)?;
        require!(credited > 0, SettleError::InvalidAmount);
        self.balance_aic = vault_aic;
        self.deposited_aic = self.deposited_aic.checked_add(credited).ok_or(SettleError::Overflow)?;
        Ok(credited)
    }

    /// Takes a settled claim out of the balance.
    pub fn debit_claim(&mut self, moved: Moved, nonce: u64, by: SettledBy) -> Result<()> {
        let Moved { delta_nc, delta_aic } = moved;
        require!(nonce >= self.last_settled_nonce, SettleError::StaleNonce);
        self.settled_nc = self.settled_nc.checked_add(delta_nc).ok_or(SettleError::Overflow)?;
        self.balance_aic = self.balance_aic.checked_sub(delta_aic).ok_or(SettleError::Overflow)?;
        self.settled_aic = self.settled_aic.checked_add(delta_aic).ok_or(SettleError::Overflow)?;
        self.last_settled_nonce = nonce;
        self.settled_by = by;
        Ok(())
    }

    /// Replaces the grant.
    pub fn set_grant(&mut self, terms: GrantTerms, now: i64) -> Result<()> {
        self.grant = Grant::new(terms, now)?;
        self.granted_at = now;
        Ok(())
    }

    /// What tells the disputes of a channel apart: one per settled nonce, by its low half.
    #[must_use]
    pub const fn dispute_index(&self) -> u32 {
        let [a, b, c, d, ..] = self.last_settled_nonce.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// One more dispute waits for its outcome.
    pub fn open_dispute(&mut self) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// A dispute has its outcome.
    pub fn close_dispute(&mut self) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_sub(1).ok_or(SettleError::InvariantBroken)?;
        Ok(())
    }

    /// Records that `excess_nc` were overcharged in all, and returns what of it is not given back yet.
    pub fn refund(&mut self, excess_nc: u64) -> Result<u64> {
        let owed_nc = excess_nc.saturating_sub(self.refunded_nc);
        self.refunded_nc = self.refunded_nc.checked_add(owed_nc).ok_or(SettleError::Overflow)?;
        Ok(owed_nc)
    }

    /// Shortens the grant to the revocation grace; a later call never extends it.
    pub fn revoke_grant(&mut self, now: i64) -> Result<()> {
        require!(self.grant.limit_nc > 0, SettleError::Inactive);
        let grace_end = now.checked_add(REVOKE_GRACE_S).ok_or(SettleError::Overflow)?;
        self.grant.expires = self.grant.expires.min(grace_end);
        Ok(())
    }

    /// Starts the grace period after which the residual returns to the consumer.
    pub fn begin_close(&mut self, now: i64, grace_s: u32) -> Result<()> {
        require!(self.state == ChannelState::Open, SettleError::ChannelState);
        self.state = ChannelState::Closing;
        self.close_at = now.checked_add(i64::from(grace_s)).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// The number of the next event about this channel.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(
            self.balance_aic.checked_add(self.settled_aic) == Some(self.deposited_aic)
                && self.grant.used_nc <= self.grant.limit_nc
                && self.refunded_nc <= self.settled_nc
                && (self.state == ChannelState::Open) == (self.close_at == 0),
            SettleError::InvariantBroken
        );
        Ok(())
    }
}
