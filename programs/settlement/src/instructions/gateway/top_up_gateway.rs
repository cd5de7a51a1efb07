//! Lets a gateway pay for what it could not collect: it buys nano-credits of its own vault at the current rate, so that
//! a batch is never short because one consumer was.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::{authority::pause, state::Rate};
use waybill_mechanism::amount::debit_aic;

use crate::{
    error::SettleError,
    events::GatewayToppedUp,
    report::report,
    state::{GatewayVault, SettleConfig},
    token,
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct TopUpGatewayArgs {
    /// Nano-credits to add, > 0.
    pub nc: u64,
    /// Most AIC base units the gateway is willing to pay for them.
    pub max_aic: u64,
}

#[event_cpi]
#[derive(Accounts)]
pub struct TopUpGateway<'info> {
    pub gateway: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(mut, has_one = gateway @ SettleError::Unauthorized, has_one = vault @ SettleError::AccountMismatch)]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(mut)]
    pub vault: Box<Account<'info, TokenAccount>>,
    /// The gateway's own tokens; the token program checks mint and authority.
    #[account(mut)]
    pub source: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl TopUpGateway<'_> {
    /// `gateway` owns `gateway_vault` and `source`, `vault` is the gateway vault's, `rate` is the coin's.
    fn validate(&self, args: &TopUpGatewayArgs) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        token::require_owned(&self.source, &self.gateway.key(), &self.config.mint)?;
        require!(args.nc > 0, SettleError::InvalidAmount);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<TopUpGateway>, args: TopUpGatewayArgs) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let rate = accounts.rate.current(Clock::get()?.unix_timestamp)?;
    // The payer's side rounds up.
    let aic = debit_aic(args.nc, rate).ok_or(SettleError::Overflow)?;
    require!(aic <= args.max_aic, SettleError::InvalidAmount);

    let gateway_vault = &mut accounts.gateway_vault;
    gateway_vault.credit(args.nc, aic)?;
    let seq = gateway_vault.next_seq()?;
    gateway_vault.invariant()?;
    let (vault_nc, vault_aic) = (gateway_vault.nc, gateway_vault.aic);

    token::transfer(
        &accounts.token_program,
        &accounts.source,
        &accounts.vault,
        accounts.gateway.to_account_info(),
        &[],
        aic,
    )?;
    let event = GatewayToppedUp {
        gateway_vault: ctx.accounts.gateway_vault.key(),
        gateway: ctx.accounts.gateway.key(),
        rate,
        nc: args.nc,
        aic,
        vault_nc,
        vault_aic,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
