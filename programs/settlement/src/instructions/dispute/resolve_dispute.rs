//! Ends a dispute about a batch (D1, D3, D4, D5, D9). Against the gateway: the line of a fictitious or faulty receipt
//! is void, who was harmed gets its loss out of the gateway's stake, the challenger its bond and the reporter's part.
//! Against the challenger: the bond goes to the gateway. Anyone, as soon as the outcome is certain.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;
use market::state::{Offence, Role};
use waybill_mechanism::amount::mul_div_floor;

use crate::{
    bond::{self, Ending},
    error::SettleError,
    report::report,
    slash::*,
    state::{Batch, Dispute, DisputeKind, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct ResolveDispute<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, address = dispute.target @ SettleError::AccountMismatch)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// Where the bond goes: the challenger's when it was right, else the gateway's.
    #[account(mut, dup)]
    pub bond_to: Box<Account<'info, TokenAccount>>,
    pub slash: SlashAccounts<'info>,
}

impl ResolveDispute<'_> {
    /// `batch` is what `dispute` is about, `pool` the configured one, the party of `slash` the batch's gateway.
    /// Outcomes are not paused: the market stops slashing by its own flag.
    fn validate(&self) -> Result<()> {
        let party = &self.slash.party;
        require!(party.owner == self.batch.gateway && party.role == Role::Gateway, SettleError::AccountMismatch);
        Ok(())
    }

    /// `reporter` is the challenger's; `harmed` the worker's operator (D1), the overcharged consumer (D9) or, where
    /// nobody in particular was harmed, the insurance.
    fn validate_receivers(&self) -> Result<()> {
        let (dispute, mint) = (&self.dispute, &self.config.mint);
        token::require_owned(&self.slash.reporter, &dispute.challenger, mint)?;
        match dispute.kind {
            DisputeKind::UnderpaidWorker => token::require_owned(&self.slash.harmed, &dispute.challenger, mint),
            DisputeKind::PriceFault if dispute.digest != [0; 32] => {
                token::require_owned(&self.slash.harmed, &Pubkey::new_from_array(dispute.digest), mint)
            }
            _ => {
                require_keys_eq!(self.slash.harmed.key(), self.config.insurance_vault, SettleError::AccountMismatch);
                Ok(())
            }
        }
    }

    /// What the harmed party lost, in nc of the batch.
    fn loss_nc(&self) -> Result<u64> {
        match self.dispute.kind {
            DisputeKind::UnderpaidWorker => {
                self.dispute.amount_nc.checked_sub(self.dispute.mark).ok_or_else(|| SettleError::NothingOwed.into())
            }
            DisputeKind::PriceFault => Ok(self.dispute.amount_nc),
            // The void line's AIC goes to the insurance by itself, at the sweep.
            _ => Ok(0),
        }
    }

    /// Voids the line of a fictitious or faulty receipt, unless an earlier dispute has; returns its credits.
    fn void_line(&mut self) -> Result<u64> {
        let dispute = &self.dispute;
        let voids = matches!(dispute.kind, DisputeKind::OpenLine | DisputeKind::OpenReceipt | DisputeKind::OrderFault);
        let info = self.batch.to_account_info();
        let mut data = info.try_borrow_mut_data()?;
        if !voids || Batch::is_claimed(&data, dispute.line)? {
            return Ok(0);
        }
        self.batch.void_line(&mut data, dispute.line, dispute.amount_nc)?;
        Ok(dispute.amount_nc)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ResolveDispute>) -> Result<()> {
    let slasher_bump = ctx.bumps.slash.slasher;
    let accounts = &mut *ctx.accounts;
    let upheld = accounts.dispute.decide(Clock::get()?.unix_timestamp)?;
    let forfeited_nc = if upheld { accounts.void_line()? } else { 0 };
    accounts.batch.close_dispute()?;
    accounts.batch.invariant()?;
    let seq = accounts.dispute.next_seq()?;
    accounts.dispute.invariant()?;

    let batch = &accounts.batch;
    let taken = if upheld {
        accounts.validate_receivers()?;
        // What a line of the batch would have paid; the receiver's side rounds down.
        let restitution_aic =
            mul_div_floor(accounts.loss_nc()?, batch.aic, batch.sum_nc).ok_or(SettleError::Overflow)?;
        slash(&accounts.slash, slasher_bump, Offence::GatewayFault, restitution_aic, batch.epoch)?
    } else {
        Default::default()
    };
    let ending = Ending { accused: batch.gateway, upheld, vault_aic: 0, taken, forfeited_nc, seq };
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
