//! Creates the configuration and the mint.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token};

use crate::{
    authority::{Authorities, PendingAuthority, may_initialise},
    constants::{DECIMALS, VAULTS},
    error::CoinError,
    events::CoinInitialised,
    seeds,
    state::CoinConfig,
};

/// Arguments of `init_coin`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct InitCoinArgs {
    /// Who may do what from now on.
    pub authorities: Authorities,
}

/// Accounts of `init_coin`.
#[derive(Accounts)]
pub struct InitCoin<'info> {
    /// Pays the rent and, where the program has an upgrade authority, is it.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    #[account(init, payer = payer, space = 8 + CoinConfig::INIT_SPACE, seeds = [seeds::CONFIG], bump)]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint: its own authority until it is revoked, no freeze authority.
    #[account(
        init,
        payer = payer,
        seeds = [seeds::MINT],
        bump,
        mint::decimals = DECIMALS,
        mint::authority = mint,
        mint::token_program = token_program,
    )]
    pub mint: Box<Account<'info, Mint>>,
    /// This program.
    #[account(constraint = program.programdata_address()? == Some(program_data.key()) @ CoinError::WrongAddress)]
    pub program: Program<'info, crate::program::Coin>,
    /// Its program data, which names the upgrade authority.
    pub program_data: Box<Account<'info, ProgramData>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl InitCoin<'_> {
    pub(crate) fn validate(&self, args: &InitCoinArgs) -> Result<()> {
        require!(may_initialise(self.program_data.upgrade_authority_address, self.payer.key), CoinError::NotDeployer);
        require!(args.authorities.complete(), CoinError::DefaultKey);
        // config and mint are created here; program, program data, token and system program are checked by type.
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<InitCoin>, args: InitCoinArgs) -> Result<()> {
    let mint = ctx.accounts.mint.key();
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    config.set_inner(CoinConfig {
        version: CoinConfig::VERSION,
        bump: ctx.bumps.config,
        mint_bump: ctx.bumps.mint,
        vault_bumps: [0; VAULTS],
        vaults: 0,
        minted: false,
        revoked: false,
        pause_flags: 0,
        mint,
        authorities: args.authorities,
        pending: PendingAuthority::none(),
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        settlement: Pubkey::default(),
        team: Pubkey::default(),
        release_start: 0,
        team_paid_aic: 0,
        team_due_at: 0,
        _reserved: [0; 40],
    });
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(CoinInitialised { account, seq, admin: args.authorities.admin, mint });
    Ok(())
}
