//! Slashes the stake behind a worker whose output failed its audit. Its signature on the receipt was checked when the receipt
//! was staged. Anyone.

use anchor_lang::prelude::*;
use market::state::{Offence, Role};

use crate::{
    error::SettleError,
    events::WorkerPunished,
    slash::*,
    state::{Audit, SettleConfig, VerifierSet},
    token,
};

#[derive(Accounts)]
pub struct PunishWorker<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    pub set: Box<Account<'info, VerifierSet>>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
    pub slash: SlashAccounts<'info>,
}

impl PunishWorker<'_> {
    /// `set` is of the audit's class; the slashed party is the worker's operator as a provider. The reporter is the first
    /// verifier when it accused, else whoever contested its pass. Nobody knows the consumer: insurance stands for it.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.audit.convicts(), SettleError::NothingToPunish);
        require!(!self.audit.worker_punished, SettleError::AlreadyDone);
        require!(self.set.det_class == self.audit.det_class, SettleError::AccountMismatch);
        require!(now < self.audit.seats_until, SettleError::VerdictLate);
        let party = &self.slash.party;
        require!(party.owner == self.audit.operator && party.role == Role::Provider, SettleError::AccountMismatch);
        let reporter =
            if self.audit.accuses(0) { self.audit.seat_of(&self.set, 0)?.owner } else { self.audit.bonds[0].by };
        token::require_owned(&self.slash.reporter, &reporter, &self.config.mint)?;
        require_keys_eq!(self.slash.harmed.key(), self.config.insurance_vault, SettleError::AccountMismatch);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<PunishWorker>) -> Result<()> {
    ctx.accounts.validate(Clock::get()?.unix_timestamp)?;
    let bump = ctx.bumps.slash.slasher;
    let accounts = ctx.accounts;
    let audit = &mut accounts.audit;
    audit.worker_punished = true;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    let epoch = audit.epoch;
    // What the line was worth is void; nothing more is owed to anyone by name.
    let taken = slash(&accounts.slash, bump, Offence::BadOutput, 0, epoch)?;
    emit!(WorkerPunished {
        audit: accounts.audit.key(),
        worker: accounts.audit.worker,
        operator: accounts.audit.operator,
        penalty_aic: taken.penalty_aic,
        seq
    });
    Ok(())
}
