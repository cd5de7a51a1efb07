//! Records what a verifier found. The node that holds the chair's seat signs the verdict, the ed25519 instruction that
//! verifies it comes directly before, and anyone delivers it: a verifier needs no SOL.

use anchor_lang::prelude::*;
use coin::authority::pause;
use waybill_mechanism::{message::Verdict, precompile::MESSAGE_OFFSET};

use crate::{
    error::SettleError,
    events::VerdictSubmitted,
    signature,
    state::{Audit, SettleConfig, VerifierSet},
};

#[derive(Accounts)]
pub struct SubmitVerdict<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    pub set: Box<Account<'info, VerifierSet>>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
}

impl SubmitVerdict<'_> {
    /// `set` is of the audit's class and its seats still mean the verifiers of `audit`.
    fn validate(&self, now: i64) -> Result<()> {
        self.config.require_running(pause::DISPUTES)?;
        require!(self.set.det_class == self.audit.det_class, SettleError::AccountMismatch);
        require!(now < self.audit.seats_until, SettleError::VerdictLate);
        Ok(())
    }

    /// The verdict about this audit, and the node that signed it: the one whose seat the chair is.
    fn verdict(&self) -> Result<(Verdict, Pubkey)> {
        signature::with_preceding_ed25519(&self.instructions, |data| {
            let message = data.get(MESSAGE_OFFSET..).ok_or(SettleError::SignatureCheck)?;
            let verdict = Verdict::from_bytes(message).map_err(|_| SettleError::MalformedMessage)?;
            let node = self.audit.seat_of(&self.set, verdict.chair)?.node;
            signature::signed_message::<{ Verdict::LEN }>(data, &node)?;
            require!(
                verdict.domain == self.config.domain
                    && verdict.audit == self.audit.key().to_bytes()
                    && verdict.receipt_hash == self.audit.receipt_hash,
                SettleError::ReceiptMismatch
            );
            Ok((verdict, node))
        })
    }
}

pub(crate) fn handler(ctx: Context<SubmitVerdict>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    ctx.accounts.validate(now)?;
    let (verdict, verifier) = ctx.accounts.verdict()?;
    let verdict_s = ctx.accounts.config.audit.verdict_s();
    let audit = &mut ctx.accounts.audit;
    audit.submit(verdict.chair, verdict.pass, now, verdict_s)?;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    emit!(VerdictSubmitted {
        audit: audit.key(),
        verifier,
        chair: verdict.chair,
        pass: verdict.pass,
        output_hash: verdict.output_hash,
        evidence_hash: verdict.evidence_hash,
        round: audit.round,
        judged: audit.judged,
        deadline: audit.deadline,
        seq
    });
    Ok(())
}
