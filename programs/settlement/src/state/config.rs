//! The parameters of settlement. One account, read by every money path and written by none.

use anchor_lang::prelude::*;
use coin::{
    authority::{Authorities, PendingAuthority, pause},
    constants::{EPOCH_MAX_S, EPOCH_MIN_S},
};

use crate::{constants::*, error::SettleError};

/// How the protocol fee of a batch divides. Weights in bps of gross value; only their ratio matters.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeSplit {
    pub audit_bps: u16,
    pub gateway_bps: u16,
    pub burn_bps: u16,
    pub treasury_bps: u16,
}

/// The four parts of a batch's fee, in AIC base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeeParts {
    pub audits_aic: u64,
    pub gateway_aic: u64,
    pub burn_aic: u64,
    pub treasury_aic: u64,
}

impl FeeSplit {
    fn total_bps(&self) -> Option<u16> {
        self.audit_bps.checked_add(self.gateway_bps)?.checked_add(self.burn_bps)?.checked_add(self.treasury_bps)
    }

    /// Divides `fee_aic`: audits, gateway and burn round down, treasury takes the rest, so the parts sum to the whole.
    pub fn divide(&self, fee_aic: u64) -> Result<FeeParts> {
        let total = u64::from(self.total_bps().ok_or(SettleError::Overflow)?);
        let part = |bps: u16| waybill_mechanism::amount::mul_div_floor(fee_aic, u64::from(bps), total);
        let audits_aic = part(self.audit_bps).ok_or(SettleError::Overflow)?;
        let gateway_aic = part(self.gateway_bps).ok_or(SettleError::Overflow)?;
        let burn_aic = part(self.burn_bps).ok_or(SettleError::Overflow)?;
        let treasury_aic = fee_aic
            .checked_sub(audits_aic)
            .and_then(|rest| rest.checked_sub(gateway_aic))
            .and_then(|rest| rest.checked_sub(burn_aic))
            .ok_or(SettleError::Overflow)?;
        Ok(FeeParts { audits_aic, gateway_aic, burn_aic, treasury_aic })
    }
}

/// Terms of disputes. Zero stands for the compiled default.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisputeParams {
    /// What a challenger deposits, in nc, converted to AIC when the dispute is opened.
    pub bond_nc: u64,
    /// Seconds in which the accused must answer.
    pub response_s: u32,
}

impl DisputeParams {
    pub fn bond_nc(&self) -> u64 {
        if self.bond_nc == 0 { DISPUTE_BOND_NC } else { self.bond_nc }
    }

    pub fn response_s(&self) -> u32 {
        if self.response_s == 0 { DISPUTE_RESPONSE_S } else { self.response_s }
    }
}

/// Terms of audits. Zero seconds stand for the compiled default.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditParams {
    /// Verdicts slash. Otherwise they are recorded only (shadow mode).
    pub enforce: bool,
    /// Receipts drawn per batch; 0 = none.
    pub draws: u16,
    /// Seconds in which a verifier must answer.
    pub verdict_s: u32,
    /// Seconds for which inputs, outputs and evidence are kept for verifiers.
    pub retention_s: u32,
}

impl AuditParams {
    pub fn verdict_s(&self) -> u32 {
        if self.verdict_s == 0 { AUDIT_VERDICT_S } else { self.verdict_s }
    }

    pub fn retention_s(&self) -> u32 {
        if self.retention_s == 0 { AUDIT_RETENTION_S } else { self.retention_s }
    }
}

/// `["cfg"]`
#[account]
#[derive(InitSpace, Debug)]
pub struct SettleConfig {
    pub version: u8,
    pub bump: u8,
    pub pool_bump: u8,
    /// Union of the bits in [`pause`]. Closing requests cannot be paused, withdrawals and sweeps of earnings only for a
    /// bounded time, see `withdraw_pause_until`.
    pub pause_flags: u16,
    pub authorities: Authorities,
    pub pending: PendingAuthority,
    /// The AIC mint, the only one that settles.
    pub mint: Pubkey,
    /// The token account behind all earnings and all final, unswept batches; its own authority.
    pub pool: Pubkey,
    /// The token account that pays for audits; its own authority.
    pub audits: Pubkey,
    /// Vault of `coin` that receives the treasury's part of fees.
    pub treasury_vault: Pubkey,
    /// Vault of `coin` that receives what a batch leaves.
    pub insurance_vault: Pubkey,
    /// First bytes of every signed message: binds it to this cluster and this program.
    pub domain: [u8; 8],
    /// Seconds of a settlement epoch, the market's; epoch = unix / epoch_s.
    pub epoch_s: u32,
    /// Seconds between posting and finality of a batch.
    pub challenge_s: u32,
    /// Seconds after the end of an epoch in which its batches are on time.
    pub post_window_s: u32,
    /// Seconds between a request to close a channel and the refund.
    pub grace_s: u32,
    /// Seconds after finality in which lines can be claimed before a sweep takes what is left.
    pub claim_window_s: u32,
    pub fee: FeeSplit,
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub dispute: DisputeParams,
    pub audit: AuditParams,
    /// Unix second at which the last pause of withdrawals ends or ended by itself; 0 when there was none.
    pub withdraw_pause_until: i64,
    /// Seconds that withdrawals were paused, or may still be, since the last 30 days without a pause.
    pub withdraw_pause_used_s: u32,
    pub _reserved: [u8; 93],
}

impl SettleConfig {
    pub fn require_running(&self, flag: u16) -> Result<()> {
        self.terms().require_running(flag)
    }

    /// What the money paths read.
    #[must_use]
    pub const fn terms(&self) -> SettleTerms {
        SettleTerms {
            pause_flags: self.pause_flags,
            mint: self.mint,
            domain: self.domain,
            epoch_s: self.epoch_s,
            post_window_s: self.post_window_s,
        }
    }

    /// Refuses while withdrawals are paused. The pause ends by itself when its time is used up.
    pub fn require_withdrawals(&self, now: i64) -> Result<()> {
        let paused = self.pause_flags & pause::WITHDRAWALS != 0 && now < self.withdraw_pause_until;
        require!(!paused, SettleError::Paused);
        Ok(())
    }

    /// Pauses withdrawals for whatever is left of the 72 hours; all of them are available again when 30 days have passed
    /// since the end of the last pause.
    pub fn pause_withdrawals(&mut self, now: i64) -> Result<()> {
        if self.pause_flags & pause::WITHDRAWALS != 0 && now < self.withdraw_pause_until {
            return Ok(());
        }
        let renews = self.withdraw_pause_until.checked_add(WITHDRAW_PAUSE_RENEWS_S).ok_or(SettleError::Overflow)?;
        if now >= renews {
            self.withdraw_pause_used_s = 0;
        }
        let left = WITHDRAW_PAUSE_S.checked_sub(self.withdraw_pause_used_s).ok_or(SettleError::InvariantBroken)?;
        require!(left > 0, SettleError::PauseSpent);
        self.withdraw_pause_until = now.checked_add(i64::from(left)).ok_or(SettleError::Overflow)?;
        self.withdraw_pause_used_s = WITHDRAW_PAUSE_S;
        Ok(())
    }

    /// Ends a pause of withdrawals; what it did not use stays available.
    pub fn resume_withdrawals(&mut self, now: i64) -> Result<()> {
        let unused = self.withdraw_pause_until.checked_sub(now).ok_or(SettleError::Overflow)?;
        if unused > 0 {
            let unused = u32::try_from(unused).map_err(|_| SettleError::Overflow)?;
            self.withdraw_pause_used_s =
                self.withdraw_pause_used_s.checked_sub(unused).ok_or(SettleError::InvariantBroken)?;
            self.withdraw_pause_until = now;
        }
        Ok(())
    }

    /// The number of the next event about this account.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    /// The settlement epoch of a unix second.
    pub fn epoch_at(&self, now: i64) -> Result<u32> {
        // Unsigned: SBF has no signed division.
        let epoch = u64::try_from(now).ok().and_then(|now| u32::try_from(now / u64::from(self.epoch_s.max(1))).ok());
        epoch.ok_or_else(|| SettleError::Overflow.into())
    }

    /// First second after `epoch`.
    pub fn epoch_end(&self, epoch: u32) -> Result<i64> {
        self.terms().epoch_end(epoch)
    }

    pub fn invariant(&self) -> Result<()> {
        let window = |seconds: u32| (1..=MAX_WINDOW_S).contains(&seconds);
        require!((EPOCH_MIN_S..=EPOCH_MAX_S).contains(&self.epoch_s), SettleError::InvalidConfig);
        require!(
            window(self.challenge_s)
                && window(self.post_window_s)
                && window(self.grace_s)
                && window(self.claim_window_s)
                && window(self.dispute.response_s())
                && window(self.audit.verdict_s())
                && window(self.audit.retention_s())
                && self.audit.draws <= MAX_DRAWS,
            SettleError::InvalidConfig
        );
        require!(self.fee.total_bps().is_some_and(|total| total > 0 && total <= BPS), SettleError::InvalidConfig);
        require!(self.pause_flags & !pause::ALL == 0, SettleError::InvalidConfig);
        require!(self.authorities.complete(), SettleError::DefaultKey);
        Ok(())
    }
}

coin::view! {
    /// What settling and posting read of [`SettleConfig`].
    SettleTerms of SettleConfig {
        /// See [`SettleConfig::pause_flags`].
        pause_flags: u16 = 11,
        /// See [`SettleConfig::mint`].
        mint: Pubkey = 174,
        /// See [`SettleConfig::domain`].
        domain: [u8; 8] = 334,
        /// See [`SettleConfig::epoch_s`].
        epoch_s: u32 = 342,
        /// See [`SettleConfig::post_window_s`].
        post_window_s: u32 = 350,
    }
}

impl SettleTerms {
    pub fn require_running(&self, flag: u16) -> Result<()> {
        require!(self.pause_flags & flag == 0, SettleError::Paused);
        Ok(())
    }

    /// First second after `epoch`.
    pub fn epoch_end(&self, epoch: u32) -> Result<i64> {
        i64::from(epoch)
            .checked_add(1)
            .and_then(|next| next.checked_mul(i64::from(self.epoch_s)))
            .ok_or_else(|| SettleError::Overflow.into())
    }

    /// Last second in which a batch of `epoch` is on time.
    pub fn on_time_until(&self, epoch: u32) -> Result<i64> {
        let window = i64::from(self.post_window_s);
        self.epoch_end(epoch)?.checked_add(window).ok_or_else(|| SettleError::Overflow.into())
    }
}
