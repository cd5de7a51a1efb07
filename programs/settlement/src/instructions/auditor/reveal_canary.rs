//! Reveals that an audited receipt was planted: its worker is the authority's own, which meant to be caught, so nothing
//! follows for it. The verdicts are judged as always: the authority contests a pass that it knows to be wrong, and only a
//! panel can find the first verifier guilty. The committed receipt's batch was not drawn yet, so no cheat that was caught
//! can be declared a test.

use anchor_lang::prelude::*;
use waybill_mechanism::audit::canary_commitment;

use crate::{
    error::SettleError,
    events::CanaryRevealed,
    state::{Audit, Canary, SettleConfig},
};

#[derive(Accounts)]
pub struct RevealCanary<'info> {
    pub authority: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, close = rent_payer, has_one = rent_payer @ SettleError::AccountMismatch)]
    pub canary: Box<Account<'info, Canary>>,
    /// CHECK: receives the rent of `canary`; the address recorded in it.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
}

impl RevealCanary<'_> {
    /// `authority` holds the parameters and operates the worker; `canary` commits to the audit's receipt, earlier than its
    /// batch was drawn; `rent_payer` paid for it.
    fn validate(&self, salt: &[u8; 32]) -> Result<()> {
        require_keys_eq!(self.authority.key(), self.config.authorities.params, SettleError::Unauthorized);
        require!(!self.audit.settled, SettleError::AuditState);
        require!(
            self.audit.operator == self.authority.key()
                && self.canary.slot < self.audit.seed_slot
                && self.canary.commitment == canary_commitment(&self.audit.receipt_hash, salt),
            SettleError::CanaryMismatch
        );
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&salt))]
pub(crate) fn handler(ctx: Context<RevealCanary>, salt: [u8; 32]) -> Result<()> {
    let audit = &mut ctx.accounts.audit;
    audit.canary = true;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    emit!(CanaryRevealed { audit: audit.key(), receipt_hash: audit.receipt_hash, seq });
    Ok(())
}
