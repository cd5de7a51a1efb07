//! The first source of restitution: what the gateway has collected and not posted.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use waybill_mechanism::batch::batch_take;

use crate::{error::SettleError, seeds, state::GatewayVault, token};

/// What a gateway vault paid of a debt.
pub struct Paid {
    pub aic: u64,
    /// The part of the debt that it could not pay, in nc.
    pub rest_nc: u64,
}

/// Pays up to `owed_nc` of a gateway vault to `harmed`, at what its nano-credits are worth.
pub fn from_vault<'info>(
    gateway_vault: &mut Account<'info, GatewayVault>,
    gateway_token: &Account<'info, TokenAccount>,
    harmed: &Account<'info, TokenAccount>,
    token_program: &Program<'info, Token>,
    owed_nc: u64,
) -> Result<Paid> {
    let nc = owed_nc.min(gateway_vault.nc);
    if nc == 0 {
        return Ok(Paid { aic: 0, rest_nc: owed_nc });
    }
    // Rounds up, as for a batch: the vault's last nano-credit takes its last AIC.
    let aic = batch_take(gateway_vault.nc, gateway_vault.aic, nc).map_err(SettleError::from)?;
    gateway_vault.debit(nc, aic)?;
    gateway_vault.next_seq()?;
    gateway_vault.invariant()?;
    let (gateway, mint, bump) = (gateway_vault.gateway, gateway_vault.mint, [gateway_vault.bump]);
    let seeds: [&[u8]; 4] = [seeds::GATEWAY_VAULT, gateway.as_ref(), mint.as_ref(), &bump];
    token::transfer(token_program, gateway_token, harmed, gateway_vault.to_account_info(), &seeds, aic)?;
    Ok(Paid { aic, rest_nc: owed_nc - nc })
}
