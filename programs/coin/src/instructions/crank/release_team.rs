//! Pays what has vested to the team's wallet: nothing for a year, then linearly until the end of the fourth. Above the
//! breaker's threshold the first call only starts the delay.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};
use waybill_mechanism::{amount::bps_floor, breaker::DELAY_S, release::vested};

use crate::{
    authority::pause,
    constants::{GENESIS_BPS, SUPPLY},
    error::CoinError,
    events::TeamReleased,
    pay, seeds,
    state::{Breaker, CoinConfig, VaultKind},
};

/// Accounts of `release_team`. Nobody signs it.
#[event_cpi]
#[derive(Accounts)]
pub struct ReleaseTeam<'info> {
    /// The configuration.
    #[account(mut, seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ CoinError::WrongMint)]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The team's vault.
    #[account(
        mut,
        seeds = [seeds::VAULT, &[VaultKind::Team as u8]],
        bump = config.vault_bumps[VaultKind::Team.index()],
    )]
    pub vault: Box<Account<'info, TokenAccount>>,
    /// Its breaker.
    #[account(mut, seeds = [seeds::BREAKER, vault.key().as_ref()], bump = breaker.bump)]
    pub breaker: Box<Account<'info, Breaker>>,
    /// An AIC account of the team's wallet.
    #[account(
        mut,
        constraint = destination.owner == config.team @ CoinError::WrongBeneficiary,
        constraint = destination.mint == mint.key() @ CoinError::WrongMint,
    )]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl ReleaseTeam<'_> {
    /// Mint, vault, breaker and destination are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::SPENDING)
    }

    /// What has vested and is not paid.
    fn open(&self, now: i64) -> Result<u64> {
        let total = bps_floor(SUPPLY, GENESIS_BPS[VaultKind::Team.index()]);
        let vested = vested(total, self.config.since_release_start(now)?);
        let open = vested.checked_sub(self.config.team_paid_aic).ok_or(CoinError::Invariant)?;
        require!(open > 0, CoinError::NothingToRelease);
        require!(self.vault.amount >= open, CoinError::InsufficientFunds);
        Ok(open)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ReleaseTeam>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut *ctx.accounts;
    let open = accounts.open(now)?;
    let config = &mut accounts.config;
    let waited = config.team_due_at > 0 && now >= config.team_due_at;
    let pays = waited || accounts.breaker.admits(open, accounts.vault.amount, now);
    let amount = if pays {
        config.team_due_at = 0;
        config.team_paid_aic = config.team_paid_aic.checked_add(open).ok_or(CoinError::Overflow)?;
        accounts.breaker.record(open, now)?;
        accounts.breaker.invariant()?;
        open
    } else {
        require!(config.team_due_at == 0, CoinError::OutflowDelayed);
        config.team_due_at = now.checked_add(DELAY_S).ok_or(CoinError::Overflow)?;
        0
    };
    let seq = config.next_seq()?;
    config.invariant()?;
    let bump = config.vault_bumps[VaultKind::Team.index()];
    if pays {
        pay::from_vault(VaultKind::Team, bump, &accounts.mint, &mut accounts.vault, &accounts.destination, amount)?;
    }
    emit_cpi!(TeamReleased {
        account: ctx.accounts.config.key(),
        seq,
        destination: ctx.accounts.destination.key(),
        amount,
        paid: ctx.accounts.config.team_paid_aic,
        due_at: ctx.accounts.config.team_due_at,
        balance: ctx.accounts.vault.amount,
    });
    Ok(())
}
