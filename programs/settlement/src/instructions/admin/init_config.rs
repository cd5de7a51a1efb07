//! Creates the configuration, the pool and the audit account. The admin of `coin` signs: whoever controls the coin
//! decides how it settles, and nobody can race the deployment.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};
use coin::{
    authority::{Authorities, PendingAuthority},
    state::{CoinConfig, VaultKind},
};
use market::state::MarketConfig;

use crate::{
    constants::{MAX_CLUSTER_NAME, VERSION},
    error::SettleError,
    events::ConfigInitialized,
    seeds,
    state::{AuditParams, DisputeParams, FeeSplit, PoolBreaker, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct InitConfigArgs {
    /// 1 … 32 bytes; enters the domain of every signed message.
    pub cluster_name: String,
    pub challenge_s: u32,
    pub post_window_s: u32,
    pub grace_s: u32,
    pub claim_window_s: u32,
    pub fee: FeeSplit,
    pub dispute: DisputeParams,
    pub audit: AuditParams,
    pub authorities: Authorities,
}

#[derive(Accounts)]
pub struct InitConfig<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Admin of the coin program.
    pub admin: Signer<'info>,
    #[account(init, payer = payer, space = 8 + SettleConfig::INIT_SPACE, seeds = [seeds::CONFIG], bump)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(seeds = [coin::seeds::CONFIG], seeds::program = coin::ID, bump = coin_config.bump)]
    pub coin_config: Box<Account<'info, CoinConfig>>,
    /// Says how long an epoch is, so that prices and batches count the same epochs.
    #[account(seeds = [market::seeds::CONFIG], seeds::program = market::ID, bump = market_config.bump)]
    pub market_config: Box<Account<'info, MarketConfig>>,
    #[account(address = coin_config.mint @ SettleError::AccountMismatch)]
    pub mint: Box<Account<'info, Mint>>,
    #[account(
        init,
        payer = payer,
        seeds = [seeds::POOL, mint.key().as_ref()],
        bump,
        token::mint = mint,
        token::authority = pool
    )]
    pub pool: Box<Account<'info, TokenAccount>>,
    #[account(
        init,
        payer = payer,
        space = 8 + PoolBreaker::INIT_SPACE,
        seeds = [seeds::BREAKER, pool.key().as_ref()],
        bump
    )]
    pub breaker: Box<Account<'info, PoolBreaker>>,
    #[account(
        init,
        payer = payer,
        seeds = [seeds::AUDITS, mint.key().as_ref()],
        bump,
        token::mint = mint,
        token::authority = audits
    )]
    pub audits: Box<Account<'info, TokenAccount>>,
    #[account(
        seeds = [coin::seeds::VAULT, &[VaultKind::Treasury as u8]],
        seeds::program = coin::ID,
        bump,
        token::mint = mint
    )]
    pub treasury_vault: Box<Account<'info, TokenAccount>>,
    #[account(
        seeds = [coin::seeds::VAULT, &[VaultKind::Insurance as u8]],
        seeds::program = coin::ID,
        bump,
        token::mint = mint
    )]
    pub insurance_vault: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
    pub system_program: Program<'info, System>,
}

impl InitConfig<'_> {
    /// `admin` is the coin's; `payer` pays; `config`, `pool`, `breaker` and `audits` are new at their addresses; `mint` and the
    /// vaults are the coin's, and `market_config` counts the same mint.
    fn validate(&self, args: &InitConfigArgs) -> Result<()> {
        require_keys_eq!(self.admin.key(), self.coin_config.authorities.admin, SettleError::Unauthorized);
        require_keys_eq!(self.market_config.mint, self.mint.key(), SettleError::AccountMismatch);
        require!((1..=MAX_CLUSTER_NAME).contains(&args.cluster_name.len()), SettleError::InvalidConfig);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<InitConfig>, args: InitConfigArgs) -> Result<()> {
    let domain = waybill_mechanism::message::domain(&args.cluster_name, &crate::ID.to_bytes());
    let accounts = ctx.accounts;
    accounts.config.set_inner(SettleConfig {
        version: VERSION,
        bump: ctx.bumps.config,
        pool_bump: ctx.bumps.pool,
        pause_flags: 0,
        authorities: args.authorities,
        pending: PendingAuthority::none(),
        mint: accounts.mint.key(),
        pool: accounts.pool.key(),
        audits: accounts.audits.key(),
        treasury_vault: accounts.treasury_vault.key(),
        insurance_vault: accounts.insurance_vault.key(),
        domain,
        epoch_s: accounts.market_config.params.epoch_s,
        challenge_s: args.challenge_s,
        post_window_s: args.post_window_s,
        grace_s: args.grace_s,
        claim_window_s: args.claim_window_s,
        fee: args.fee,
        seq: 0,
        rent_payer: accounts.payer.key(),
        dispute: args.dispute,
        audit: args.audit,
        withdraw_pause_until: 0,
        withdraw_pause_used_s: 0,
        _reserved: [0; 93],
    });
    accounts.breaker.set_inner(PoolBreaker {
        version: VERSION,
        bump: ctx.bumps.breaker,
        pool: accounts.pool.key(),
        hour_aic: 0,
        day_aic: 0,
        at: Clock::get()?.unix_timestamp,
        rent_payer: accounts.payer.key(),
        _reserved: [0; 64],
    });
    accounts.breaker.invariant()?;
    let seq = accounts.config.next_seq()?;
    accounts.config.invariant()?;
    emit!(ConfigInitialized { config: accounts.config.key(), mint: accounts.mint.key(), domain, seq });
    Ok(())
}
