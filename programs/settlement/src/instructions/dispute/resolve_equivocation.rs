//! Ends D6. Against the gateway: all of its stake, to reporter, insurance and fire. Against the challenger: its bond goes
//! to the gateway. Anyone, as soon as the outcome is certain.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;
use market::state::{Offence, Role};

use crate::{
    bond::{self, Ending},
    error::SettleError,
    report::report,
    slash::*,
    state::{Dispute, DisputeKind, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct ResolveEquivocation<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// Where the bond goes: the challenger's when it was right, else the gateway's.
    #[account(mut, dup)]
    pub bond_to: Box<Account<'info, TokenAccount>>,
    pub slash: SlashAccounts<'info>,
}

impl ResolveEquivocation<'_> {
    /// `pool` is the configured one, the party of `slash` the gateway that `dispute` accuses.
    fn validate(&self) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::Equivocation, SettleError::DisputeState);
        let party = &self.slash.party;
        require!(party.owner == self.dispute.target && party.role == Role::Gateway, SettleError::AccountMismatch);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ResolveEquivocation>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let slasher_bump = ctx.bumps.slash.slasher;
    let accounts = &mut *ctx.accounts;
    let upheld = accounts.dispute.decide(now)?;
    let seq = accounts.dispute.next_seq()?;
    accounts.dispute.invariant()?;
    let accused = accounts.dispute.target;
    let mut taken = Default::default();
    if upheld {
        token::require_owned(&accounts.slash.reporter, &accounts.dispute.challenger, &accounts.config.mint)?;
        let insurance = accounts.config.insurance_vault;
        require_keys_eq!(accounts.slash.harmed.key(), insurance, SettleError::AccountMismatch);
        let epoch = accounts.config.epoch_at(now)?;
        taken = slash(&accounts.slash, slasher_bump, Offence::Equivocation, 0, epoch)?;
    }
    let ending = Ending { accused, upheld, vault_aic: 0, taken, forfeited_nc: 0, seq };
    let event = bond::pay_out(
        ending,
        &accounts.config,
        &accounts.dispute,
        &accounts.pool,
        &accounts.bond_to,
        &accounts.slash.token_program,
    )?;
    report(&ctx.accounts.event_authority, &event)
}
