//! The challenger's bond: into the pool when a dispute is opened, out of it to whoever was right.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::{authority::pause, state::Rate};
use market::instructions::Slashed;
use waybill_mechanism::amount::debit_aic;

use crate::{
    constants::VERSION,
    error::SettleError,
    events::{DisputeOpened, DisputeResolved},
    seeds,
    state::{Dispute, DisputeKind, DisputeState, SettleConfig},
    token,
};

/// What an accusation says; the rest of a [`Dispute`] follows from it.
#[derive(Default)]
pub struct Accusation {
    pub index: u32,
    pub line: u32,
    pub first: u32,
    pub last: u32,
    pub digest: [u8; 32],
    pub amount_nc: u64,
    pub mark: u64,
    /// The accusation carries its own proof.
    pub proven: bool,
}

/// The accounts behind a bond.
pub struct Lodging<'a, 'info> {
    pub payer: &'a Signer<'info>,
    pub challenger: &'a Signer<'info>,
    pub config: &'a SettleConfig,
    pub rate: &'a Rate,
    pub source: &'a Account<'info, TokenAccount>,
    pub pool: &'a Account<'info, TokenAccount>,
    pub token_program: &'a Program<'info, Token>,
}

impl<'info> Lodging<'_, 'info> {
    /// `source` is the challenger's AIC and `pool` the configured one; disputes may be opened.
    pub fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DISPUTES)?;
        require_keys_eq!(self.pool.key(), self.config.pool, SettleError::AccountMismatch);
        token::require_owned(self.source, &self.challenger.key(), &self.config.mint)
    }

    /// Writes the new dispute about `target`, then moves the bond. Returns the event to report.
    pub fn lodge(
        &self,
        dispute: &mut Account<'info, Dispute>,
        bump: u8,
        kind: DisputeKind,
        target: Pubkey,
        says: Accusation,
    ) -> Result<DisputeOpened> {
        let now = Clock::get()?.unix_timestamp;
        // The payer's side rounds up.
        let bond_aic =
            debit_aic(self.config.dispute.bond_nc(), self.rate.current(now)?).ok_or(SettleError::Overflow)?;
        let deadline = now.checked_add(i64::from(self.config.dispute.response_s())).ok_or(SettleError::Overflow)?;
        dispute.set_inner(Dispute {
            version: VERSION,
            bump,
            kind,
            state: if says.proven { DisputeState::Proven } else { DisputeState::Open },
            step: 0,
            index: says.index,
            line: says.line,
            first: says.first,
            last: says.last,
            target,
            challenger: self.challenger.key(),
            bond_aic,
            deadline,
            digest: says.digest,
            amount_nc: says.amount_nc,
            mark: says.mark,
            seq: 0,
            rent_payer: self.payer.key(),
            _reserved: [0; 3],
        });
        let seq = dispute.next_seq()?;
        dispute.invariant()?;
        token::transfer(self.token_program, self.source, self.pool, self.challenger.to_account_info(), &[], bond_aic)?;
        Ok(DisputeOpened {
            dispute: dispute.key(),
            kind,
            target,
            index: says.index,
            challenger: dispute.challenger,
            bond_aic,
            amount_nc: says.amount_nc,
            deadline,
            seq,
        })
    }
}

/// How a dispute ended.
pub struct Ending {
    /// The gateway's owner.
    pub accused: Pubkey,
    /// Against the accused.
    pub upheld: bool,
    /// From the gateway's vault to the harmed party.
    pub vault_aic: u64,
    /// Out of the stake.
    pub taken: Slashed,
    /// Credits of the line that is void now.
    pub forfeited_nc: u64,
    pub seq: u64,
}

/// Pays the bond of a decided dispute, back to the challenger when it was right, else to the accused. Returns the event
/// to report.
pub fn pay_out<'info>(
    ending: Ending,
    config: &SettleConfig,
    dispute: &Account<'info, Dispute>,
    pool: &Account<'info, TokenAccount>,
    bond_to: &Account<'info, TokenAccount>,
    token_program: &Program<'info, Token>,
) -> Result<DisputeResolved> {
    let Ending { accused, upheld, vault_aic, taken, forfeited_nc, seq } = ending;
    token::require_owned(bond_to, if upheld { &dispute.challenger } else { &accused }, &config.mint)?;
    require_keys_neq!(bond_to.key(), config.pool, SettleError::TokenMismatch);
    let seeds: [&[u8]; 3] = [seeds::POOL, config.mint.as_ref(), &[config.pool_bump]];
    token::transfer(token_program, pool, bond_to, pool.to_account_info(), &seeds, dispute.bond_aic)?;
    Ok(DisputeResolved {
        dispute: dispute.key(),
        kind: dispute.kind,
        target: dispute.target,
        accused,
        challenger: dispute.challenger,
        upheld,
        bond_aic: dispute.bond_aic,
        vault_aic,
        restitution_aic: taken.restitution_aic,
        penalty_aic: taken.penalty_aic,
        forfeited_nc,
        seq,
    })
}
