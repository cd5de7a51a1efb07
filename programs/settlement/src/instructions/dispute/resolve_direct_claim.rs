//! Ends D8. If the gateway has posted meanwhile, the worker is paid by its batch and the bond is lost. Else the worker's
//! operator gets what its last receipt says, out of the gateway's vault and then out of its stake, and the epoch is shut
//! for posting. Anyone, as soon as the outcome is certain.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;
use coin::state::Rate;
use market::state::{Offence, Role};
use waybill_mechanism::amount::credit_aic;

use super::direct_claim::is_posted;
use crate::{
    bond::{self, Ending},
    error::SettleError,
    report::report,
    restitution, seeds,
    slash::*,
    state::{Dispute, DisputeKind, DisputeState, GatewayVault, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct ResolveDirectClaim<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(mut, address = dispute.target @ SettleError::AccountMismatch)]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(mut, address = gateway_vault.vault @ SettleError::AccountMismatch)]
    pub gateway_token: Box<Account<'info, TokenAccount>>,
    /// CHECK: where the epoch's first shard would be.
    #[account(
        seeds = [seeds::BATCH, gateway_vault.gateway.as_ref(), &dispute.line.to_le_bytes(), &0u16.to_le_bytes()],
        bump
    )]
    pub batch: UncheckedAccount<'info>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// Where the bond goes: the challenger's when it was right, else the gateway's.
    #[account(mut, dup)]
    pub bond_to: Box<Account<'info, TokenAccount>>,
    pub slash: SlashAccounts<'info>,
}

impl ResolveDirectClaim<'_> {
    /// The vaults are those that `dispute` is about, `batch` the address of its epoch, `pool` the configured one, the
    /// party of `slash` the gateway.
    fn validate(&self) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::NoBatch, SettleError::DisputeState);
        let party = &self.slash.party;
        let accused = party.owner == self.gateway_vault.gateway && party.role == Role::Gateway;
        require!(accused, SettleError::AccountMismatch);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ResolveDirectClaim>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let slasher_bump = ctx.bumps.slash.slasher;
    let accounts = &mut *ctx.accounts;
    let epoch = accounts.dispute.line;
    if accounts.dispute.state == DisputeState::Open && is_posted(&accounts.batch, &accounts.gateway_vault, epoch) {
        accounts.dispute.advance(DisputeState::Answered)?;
    }
    let upheld = accounts.dispute.decide(now)?;
    let seq = accounts.dispute.next_seq()?;
    accounts.dispute.invariant()?;
    let gateway = accounts.gateway_vault.gateway;

    let (mut vault_aic, mut taken) = (0, Default::default());
    if upheld {
        let (challenger, mint) = (accounts.dispute.challenger, accounts.config.mint);
        token::require_owned(&accounts.slash.reporter, &challenger, &mint)?;
        token::require_owned(&accounts.slash.harmed, &challenger, &mint)?;
        accounts.gateway_vault.shut_by_default(epoch)?;
        let paid = restitution::from_vault(
            &mut accounts.gateway_vault,
            &accounts.gateway_token,
            &accounts.slash.harmed,
            &accounts.slash.token_program,
            accounts.dispute.amount_nc,
        )?;
        vault_aic = paid.aic;
        // The receiver's side rounds down.
        let rest_aic = credit_aic(paid.rest_nc, accounts.rate.current(now)?).ok_or(SettleError::Overflow)?;
        taken = slash(&accounts.slash, slasher_bump, Offence::GatewayFault, rest_aic, epoch)?;
    }
    let ending = Ending { accused: gateway, upheld, vault_aic, taken, forfeited_nc: 0, seq };
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
