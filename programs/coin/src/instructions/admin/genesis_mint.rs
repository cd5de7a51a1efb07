//! Mints the whole supply into the six vaults, once.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, MintTo, Token, TokenAccount};
use waybill_mechanism::amount::{BPS, mul_div_floor};

use crate::{
    constants::{GENESIS_BPS, SUPPLY, VAULTS},
    error::CoinError,
    events::SupplyMinted,
    seeds,
    state::{CoinConfig, VaultKind},
};

/// Accounts of `genesis_mint`.
#[event_cpi]
#[derive(Accounts)]
pub struct GenesisMint<'info> {
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ CoinError::Unauthorized,
        has_one = mint @ CoinError::WrongMint,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint, its own authority.
    #[account(mut, seeds = [seeds::MINT], bump = config.mint_bump)]
    pub mint: Box<Account<'info, Mint>>,
    /// Vault 0.
    #[account(mut, seeds = [seeds::VAULT, &[VaultKind::Usage as u8]], bump = config.vault_bumps[0])]
    pub usage: Box<Account<'info, TokenAccount>>,
    /// Vault 1.
    #[account(mut, seeds = [seeds::VAULT, &[VaultKind::Treasury as u8]], bump = config.vault_bumps[1])]
    pub treasury: Box<Account<'info, TokenAccount>>,
    /// Vault 2.
    #[account(mut, seeds = [seeds::VAULT, &[VaultKind::Team as u8]], bump = config.vault_bumps[2])]
    pub team: Box<Account<'info, TokenAccount>>,
    /// Vault 3.
    #[account(mut, seeds = [seeds::VAULT, &[VaultKind::Grants as u8]], bump = config.vault_bumps[3])]
    pub grants: Box<Account<'info, TokenAccount>>,
    /// Vault 4.
    #[account(mut, seeds = [seeds::VAULT, &[VaultKind::Liquidity as u8]], bump = config.vault_bumps[4])]
    pub liquidity: Box<Account<'info, TokenAccount>>,
    /// Vault 5.
    #[account(mut, seeds = [seeds::VAULT, &[VaultKind::Insurance as u8]], bump = config.vault_bumps[5])]
    pub insurance: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl GenesisMint<'_> {
    /// Everything is checked by attributes: admin against the configuration, mint and vaults by their seeds.
    pub(crate) fn validate(&self) -> Result<()> {
        require!(!self.config.minted, CoinError::AlreadyMinted);
        Ok(())
    }
}

/// Base units per vault. The shares divide the supply without a remainder.
pub fn genesis_amounts() -> Result<[u64; VAULTS]> {
    let mut amounts = [0u64; VAULTS];
    for (amount, bps) in amounts.iter_mut().zip(GENESIS_BPS) {
        *amount = mul_div_floor(SUPPLY, u64::from(bps), BPS).ok_or(CoinError::Overflow)?;
    }
    Ok(amounts)
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<GenesisMint>) -> Result<()> {
    let amounts = genesis_amounts()?;
    let account = ctx.accounts.config.key();
    let actor = ctx.accounts.admin.key();
    let config = &mut ctx.accounts.config;
    config.mint_supply()?;
    let seq = config.next_seq()?;
    config.invariant()?;

    let accounts = &ctx.accounts;
    let vaults = [
        &accounts.usage,
        &accounts.treasury,
        &accounts.team,
        &accounts.grants,
        &accounts.liquidity,
        &accounts.insurance,
    ];
    let signer: &[&[u8]] = &[seeds::MINT, &[accounts.config.mint_bump]];
    for (vault, amount) in vaults.into_iter().zip(amounts) {
        token::mint_to(
            CpiContext::new_with_signer(
                Token::id(),
                MintTo {
                    mint: accounts.mint.to_account_info(),
                    to: vault.to_account_info(),
                    authority: accounts.mint.to_account_info(),
                },
                &[signer],
            ),
            amount,
        )?;
    }
    emit_cpi!(SupplyMinted { account, seq, actor, amounts });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vaults_receive_the_whole_supply() {
        let amounts = genesis_amounts().unwrap();
        assert_eq!(amounts.iter().sum::<u64>(), SUPPLY);
        assert_eq!(amounts[0], 300_000_000_000_000_000);
        assert_eq!(amounts[5], 50_000_000_000_000_000);
    }
}
