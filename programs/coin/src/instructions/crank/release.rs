//! Releases usage rewards for one day into the grants vault: what the schedule allows, but no more than a share of that
//! day's fees, so that paying oneself never pays. Above the breaker's threshold the first call only starts the delay.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};
use waybill_mechanism::{amount::bps_floor, breaker::DELAY_S, release::scheduled};

use crate::{
    authority::pause,
    constants::{DAY_S, GENESIS_BPS, SUPPLY},
    error::CoinError,
    events::DayReleased,
    pay, seeds,
    state::{Breaker, CoinConfig, FeeRecord, Release, VaultKind},
};

/// Accounts of `release`.
#[event_cpi]
#[derive(Accounts)]
#[instruction(day: u32)]
pub struct ReleaseDay<'info> {
    /// Pays the rent of the day's record.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    #[account(mut, seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ CoinError::WrongMint)]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The usage vault.
    #[account(
        mut,
        seeds = [seeds::VAULT, &[VaultKind::Usage as u8]],
        bump = config.vault_bumps[VaultKind::Usage.index()],
    )]
    pub usage: Box<Account<'info, TokenAccount>>,
    /// Its breaker.
    #[account(mut, seeds = [seeds::BREAKER, usage.key().as_ref()], bump = breaker.bump)]
    pub breaker: Box<Account<'info, Breaker>>,
    /// The grants vault, from which rewards are paid.
    #[account(
        mut,
        seeds = [seeds::VAULT, &[VaultKind::Grants as u8]],
        bump = config.vault_bumps[VaultKind::Grants.index()],
    )]
    pub grants: Box<Account<'info, TokenAccount>>,
    /// CHECK: the settlement program's record of the day's fees; owner, type, day and address are checked when it is read.
    pub fee_day: UncheckedAccount<'info>,
    /// The record of the day. Never closed, so creating it on first use resets nothing.
    #[account(
        init_if_needed,
        payer = payer,
        space = 8 + Release::INIT_SPACE,
        seeds = [seeds::RELEASE, &day.to_le_bytes()],
        bump,
    )]
    pub release: Box<Account<'info, Release>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl ReleaseDay<'_> {
    /// Mint, vaults, breaker and record are checked by attributes.
    pub(crate) fn validate(&self, day: u32, now: i64) -> Result<()> {
        self.config.require_running(pause::SPENDING)?;
        require!(self.config.release_start > 0, CoinError::NotConfigured);
        require!(!self.release.paid, CoinError::AlreadyReleased);
        Release::require_over(day, now)
    }

    /// What the schedule allows for `day`: nothing before the day on which releases began.
    fn schedule(&self, day: u32) -> Result<u64> {
        // Unsigned: SBF has no signed division.
        let start =
            u64::try_from(self.config.release_start).map_err(|_| CoinError::ClockWentBack)? / DAY_S.unsigned_abs();
        let first = u32::try_from(start).map_err(|_| CoinError::Overflow)?;
        let total = bps_floor(SUPPLY, GENESIS_BPS[VaultKind::Usage.index()]);
        Ok(day.checked_sub(first).map_or(0, |index| scheduled(total, index)))
    }
}

pub(crate) fn handler(ctx: Context<ReleaseDay>, day: u32) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    ctx.accounts.validate(day, now)?;
    let bump = ctx.bumps.release;
    let accounts = &mut *ctx.accounts;
    if accounts.release.version == 0 {
        let fees = FeeRecord::read(&accounts.fee_day, &accounts.config.settlement, day)?;
        let schedule_aic = accounts.schedule(day)?;
        let payer = accounts.payer.key();
        accounts.release.set_inner(Release::new(day, fees.fee_aic, schedule_aic, bump, payer)?);
        if !accounts.breaker.admits(accounts.release.amount_aic, accounts.usage.amount, now) {
            accounts.release.due_at = now.checked_add(DELAY_S).ok_or(CoinError::Overflow)?;
        }
    } else {
        require!(now >= accounts.release.due_at, CoinError::OutflowDelayed);
        accounts.release.due_at = 0;
    }
    let amount = accounts.release.amount_aic;
    let pays = accounts.release.due_at == 0;
    if pays {
        require!(accounts.usage.amount >= amount, CoinError::InsufficientFunds);
        accounts.release.paid = true;
        accounts.breaker.record(amount, now)?;
        accounts.breaker.invariant()?;
    }
    accounts.release.invariant()?;
    let seq = accounts.config.next_seq()?;
    accounts.config.invariant()?;
    if pays {
        let bump = accounts.config.vault_bumps[VaultKind::Usage.index()];
        pay::from_vault(VaultKind::Usage, bump, &accounts.mint, &mut accounts.usage, &accounts.grants, amount)?;
    }
    emit_cpi!(DayReleased {
        account: ctx.accounts.release.key(),
        seq,
        day,
        fee_aic: ctx.accounts.release.fee_aic,
        schedule_aic: ctx.accounts.release.schedule_aic,
        amount,
        due_at: ctx.accounts.release.due_at,
        balance: ctx.accounts.usage.amount,
    });
    Ok(())
}
