//! Opens the earnings of any key, so that it can be credited before it ever signs anything. Whoever pays the rent gets
//! nothing but the record of it.

use anchor_lang::prelude::*;

use crate::{
    constants::VERSION,
    error::SettleError,
    events::EarningsOpened,
    seeds,
    state::{Earnings, SettleConfig},
};

#[derive(Accounts)]
#[instruction(owner: Pubkey)]
pub struct OpenEarnings<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Earnings::INIT_SPACE,
        seeds = [seeds::EARNINGS, owner.as_ref(), config.mint.as_ref()],
        bump
    )]
    pub earnings: Box<Account<'info, Earnings>>,
    pub system_program: Program<'info, System>,
}

pub(crate) fn handler(ctx: Context<OpenEarnings>, owner: Pubkey) -> Result<()> {
    require_keys_neq!(owner, Pubkey::default(), SettleError::DefaultKey);
    let accounts = ctx.accounts;
    accounts.earnings.set_inner(Earnings {
        version: VERSION,
        bump: ctx.bumps.earnings,
        owner,
        mint: accounts.config.mint,
        amount_aic: 0,
        total_in_aic: 0,
        withdrawn_aic: 0,
        sweep: Pubkey::default(),
        pending_sweep: Pubkey::default(),
        pending_from: 0,
        seq: 0,
        rent_payer: accounts.payer.key(),
        due_at: 0,
        due_aic: 0,
        _reserved: [0; 48],
    });
    let seq = accounts.earnings.next_seq()?;
    accounts.earnings.invariant()?;
    emit!(EarningsOpened { earnings: accounts.earnings.key(), owner, seq });
    Ok(())
}
