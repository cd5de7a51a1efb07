//! Slashes a verifier whose verdict the outcome contradicts, or that stayed silent. Anyone; only where verdicts are enforced.

use anchor_lang::prelude::*;
use market::state::{Offence, Role};

use crate::{
    error::SettleError,
    events::VerifierPunished,
    slash::*,
    state::{Audit, SettleConfig, VerifierSet},
    token,
};

#[derive(Accounts)]
pub struct PunishVerifier<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    pub set: Box<Account<'info, VerifierSet>>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
    pub slash: SlashAccounts<'info>,
}

impl PunishVerifier<'_> {
    /// `set` is of the audit's class; the slashed party is the owner of the chair's seat as a verifier. The reporter's part
    /// goes to the account that pays for audits, because the panel that found the error is paid from it. A false accusation
    /// harmed the worker's operator, anything else insurance.
    fn validate(&self, chair: u8, now: i64) -> Result<()> {
        let audit = &self.audit;
        require!(audit.settled, SettleError::AuditState);
        require!(audit.enforce && (audit.is_wrong(chair) || audit.is_absent(chair)), SettleError::NothingToPunish);
        require!(self.set.det_class == audit.det_class, SettleError::AccountMismatch);
        require!(now < audit.seats_until, SettleError::VerdictLate);
        let (seat, party) = (audit.seat_of(&self.set, chair)?, &self.slash.party);
        require!(party.owner == seat.owner && party.role == Role::Verifier, SettleError::AccountMismatch);
        require_keys_eq!(self.slash.reporter.key(), self.config.audits, SettleError::AccountMismatch);
        if audit.accuses(chair) {
            return token::require_owned(&self.slash.harmed, &audit.operator, &self.config.mint);
        }
        require_keys_eq!(self.slash.harmed.key(), self.config.insurance_vault, SettleError::AccountMismatch);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<PunishVerifier>, chair: u8) -> Result<()> {
    ctx.accounts.validate(chair, Clock::get()?.unix_timestamp)?;
    let bump = ctx.bumps.slash.slasher;
    let accounts = ctx.accounts;
    let audit = &mut accounts.audit;
    Audit::once(&mut audit.punished, chair)?;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    let offence = if audit.is_absent(chair) { Offence::NoShow } else { Offence::FalseVerdict };
    let epoch = audit.epoch;
    let taken = slash(&accounts.slash, bump, offence, 0, epoch)?;
    emit!(VerifierPunished {
        audit: accounts.audit.key(),
        chair,
        owner: accounts.slash.party.owner,
        offence,
        penalty_aic: taken.penalty_aic,
        seq
    });
    Ok(())
}
