//! Opens the vault of a gateway that has its stake. Channels can only be opened with such a gateway.

use anchor_lang::prelude::*;
use anchor_spl::{
    associated_token::AssociatedToken,
    token::{Mint, Token, TokenAccount},
};
use coin::authority::pause;
use market::state::{MarketConfig, Party, Role};

use crate::{
    constants::VERSION,
    error::SettleError,
    events::GatewayOpened,
    seeds,
    state::{GatewayVault, SettleConfig},
};

#[derive(Accounts)]
pub struct OpenGateway<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The gateway's hot key: owner of its party.
    pub gateway: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub market_config: Box<Account<'info, MarketConfig>>,
    pub party: Box<Account<'info, Party>>,
    #[account(address = config.mint @ SettleError::AccountMismatch)]
    pub mint: Box<Account<'info, Mint>>,
    #[account(
        init,
        payer = payer,
        space = 8 + GatewayVault::INIT_SPACE,
        seeds = [seeds::GATEWAY_VAULT, gateway.key().as_ref(), mint.key().as_ref()],
        bump
    )]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    /// Anyone can create it beforehand, so it may exist.
    #[account(init_if_needed, payer = payer, associated_token::mint = mint, associated_token::authority = gateway_vault)]
    pub vault: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
    pub associated_token_program: Program<'info, AssociatedToken>,
    pub system_program: Program<'info, System>,
}

impl OpenGateway<'_> {
    /// `party` is the signing gateway's and has its stake by `market_config`; `gateway_vault` is new, `vault` its own.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        require!(
            self.party.owner == self.gateway.key() && self.party.role == Role::Gateway,
            SettleError::AccountMismatch
        );
        let now = Clock::get()?.unix_timestamp;
        self.party.require_in_good_standing(&self.market_config.params, now).map_err(|_| SettleError::NotStaked.into())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<OpenGateway>) -> Result<()> {
    let accounts = ctx.accounts;
    accounts.gateway_vault.set_inner(GatewayVault {
        version: VERSION,
        bump: ctx.bumps.gateway_vault,
        gateway: accounts.gateway.key(),
        mint: accounts.mint.key(),
        vault: accounts.vault.key(),
        nc: 0,
        aic: 0,
        first_open_epoch: 0,
        seq: 0,
        rent_payer: accounts.payer.key(),
        first_unpaid_epoch: 0,
        _reserved: [0; 60],
    });
    let gateway_vault = &mut accounts.gateway_vault;
    let seq = gateway_vault.next_seq()?;
    gateway_vault.invariant()?;
    emit!(GatewayOpened { gateway_vault: gateway_vault.key(), gateway: gateway_vault.gateway, seq });
    Ok(())
}
