//! Ends a batch whose lines are all claimed, or whose claim window is over: the fee divides, unclaimed curator shares
//! burn, and what rounding or unclaimed lines left goes to insurance. The batch then owes nothing.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};
use coin::authority::pause;

use crate::{
    constants::VERSION,
    error::SettleError,
    events::BatchSwept,
    report::report,
    seeds,
    state::{Batch, Earnings, FeeDay, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct SweepBatch<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(
        has_one = mint @ SettleError::AccountMismatch,
        has_one = pool @ SettleError::AccountMismatch,
        has_one = audits @ SettleError::AccountMismatch,
        has_one = treasury_vault @ SettleError::AccountMismatch,
        has_one = insurance_vault @ SettleError::AccountMismatch
    )]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, dup)]
    pub mint: Box<Account<'info, Mint>>,
    #[account(mut, dup)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(
        mut,
        dup,
        constraint = gateway_earnings.owner == batch.gateway && gateway_earnings.mint == batch.mint
            @ SettleError::PayeeMismatch
    )]
    pub gateway_earnings: Box<Account<'info, Earnings>>,
    /// The day of the sweep. Only ever added to and never closed, so creating it on first use resets nothing.
    #[account(
        init_if_needed,
        dup,
        payer = payer,
        space = 8 + FeeDay::INIT_SPACE,
        seeds = [seeds::FEE_DAY, &FeeDay::day_of(Clock::get()?.unix_timestamp)?.to_le_bytes()[..]],
        bump
    )]
    pub fee_day: Box<Account<'info, FeeDay>>,
    #[account(mut, dup)]
    pub pool: Box<Account<'info, TokenAccount>>,
    #[account(mut, dup)]
    pub audits: Box<Account<'info, TokenAccount>>,
    #[account(mut, dup)]
    pub treasury_vault: Box<Account<'info, TokenAccount>>,
    #[account(mut, dup)]
    pub insurance_vault: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
    pub system_program: Program<'info, System>,
}

impl SweepBatch<'_> {
    /// `mint`, `pool`, `audits` and the vaults are the configured ones, `gateway_earnings` is the batch's gateway's,
    /// `fee_day` is today's; `payer` pays for a new day.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::CLAIMS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SweepBatch>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let day_bump = ctx.bumps.fee_day;
    let accounts = &mut *ctx.accounts;
    let batch = &mut accounts.batch;
    let remainder_aic = batch.sweep(now, accounts.config.claim_window_s)?;
    let fee = accounts.config.fee.divide(batch.fee_aic)?;
    let burned_aic = batch.burn_aic.checked_add(fee.burn_aic).ok_or(SettleError::Overflow)?;
    let seq = batch.next_seq()?;
    batch.invariant()?;

    accounts.gateway_earnings.credit(fee.gateway_aic)?;
    accounts.gateway_earnings.invariant()?;

    if accounts.fee_day.version == 0 {
        accounts.fee_day.set_inner(FeeDay {
            version: VERSION,
            bump: day_bump,
            day: FeeDay::day_of(now)?,
            batches: 0,
            fee_aic: 0,
            burned_aic: 0,
            rent_payer: accounts.payer.key(),
            _reserved: [0; 32],
        });
    }
    accounts.fee_day.add(&fee, accounts.batch.burn_aic)?;

    let (mint, bump) = (accounts.config.mint, [accounts.config.pool_bump]);
    let seeds: [&[u8]; 3] = [seeds::POOL, mint.as_ref(), &bump];
    let outflows = [
        (&accounts.audits, fee.audits_aic),
        (&accounts.treasury_vault, fee.treasury_aic),
        (&accounts.insurance_vault, remainder_aic),
    ];
    for (to, amount) in outflows {
        token::transfer(&accounts.token_program, &accounts.pool, to, accounts.pool.to_account_info(), &seeds, amount)?;
    }
    token::burn(
        &accounts.token_program,
        &accounts.mint,
        &accounts.pool,
        accounts.pool.to_account_info(),
        &seeds,
        burned_aic,
    )?;
    let event = BatchSwept {
        batch: accounts.batch.key(),
        gateway: accounts.batch.gateway,
        audits_aic: fee.audits_aic,
        gateway_aic: fee.gateway_aic,
        treasury_aic: fee.treasury_aic,
        burned_aic,
        remainder_aic,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
