//! Ends D2. Against the gateway: the consumer gets back what was settled beyond the note, out of the gateway's vault and
//! then out of its stake. Against the consumer: its bond goes to the gateway. Anyone, as soon as the outcome is certain.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;
use coin::state::Rate;
use market::state::{Offence, Role};
use waybill_mechanism::amount::credit_aic;

use crate::{
    bond::{self, Ending},
    error::SettleError,
    report::report,
    restitution,
    slash::*,
    state::{Channel, Dispute, DisputeKind, GatewayVault, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct ResolveOvercharge<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(mut, address = dispute.target @ SettleError::AccountMismatch)]
    pub channel: Box<Account<'info, Channel>>,
    #[account(
        mut,
        constraint = gateway_vault.gateway == channel.gateway && gateway_vault.mint == channel.mint
            @ SettleError::AccountMismatch
    )]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(mut, address = gateway_vault.vault @ SettleError::AccountMismatch)]
    pub gateway_token: Box<Account<'info, TokenAccount>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// Where the bond goes: the challenger's when it was right, else the gateway's.
    #[account(mut, dup)]
    pub bond_to: Box<Account<'info, TokenAccount>>,
    pub slash: SlashAccounts<'info>,
}

impl ResolveOvercharge<'_> {
    /// `channel` is what `dispute` is about, the vaults its gateway's, `pool` the configured one, the party of `slash`
    /// the gateway.
    fn validate(&self) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::Overcharge, SettleError::DisputeState);
        let party = &self.slash.party;
        require!(party.owner == self.channel.gateway && party.role == Role::Gateway, SettleError::AccountMismatch);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ResolveOvercharge>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let slasher_bump = ctx.bumps.slash.slasher;
    let accounts = &mut *ctx.accounts;
    let upheld = accounts.dispute.decide(now)?;
    // What an earlier dispute gave back is not owed again.
    let owed_nc = if upheld { accounts.channel.refund(accounts.dispute.amount_nc)? } else { 0 };
    accounts.channel.close_dispute()?;
    accounts.channel.invariant()?;
    let seq = accounts.dispute.next_seq()?;
    accounts.dispute.invariant()?;
    let gateway = accounts.channel.gateway;

    let (mut vault_aic, mut taken) = (0, Default::default());
    if upheld {
        let (challenger, mint) = (accounts.dispute.challenger, accounts.config.mint);
        token::require_owned(&accounts.slash.reporter, &challenger, &mint)?;
        token::require_owned(&accounts.slash.harmed, &challenger, &mint)?;
        let paid = restitution::from_vault(
            &mut accounts.gateway_vault,
            &accounts.gateway_token,
            &accounts.slash.harmed,
            &accounts.slash.token_program,
            owed_nc,
        )?;
        vault_aic = paid.aic;
        // The receiver's side rounds down.
        let rest_aic = credit_aic(paid.rest_nc, accounts.rate.current(now)?).ok_or(SettleError::Overflow)?;
        let epoch = accounts.config.epoch_at(now)?;
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
