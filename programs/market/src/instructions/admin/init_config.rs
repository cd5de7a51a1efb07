//! Creates the configuration.

use anchor_lang::prelude::*;
use anchor_spl::token::Mint;
use coin::authority::{Authorities, PendingAuthority, may_initialise};

use crate::{
    constants::ROLES,
    error::MarketError,
    events::MarketInitialised,
    seeds,
    state::{BookParams, MarketConfig, MarketParams},
};

/// Arguments of `init_config`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct InitConfigArgs {
    /// Who may do what from now on.
    pub authorities: Authorities,
    /// PDA `["slasher"]` of the settlement program.
    pub slasher: Pubkey,
    /// Tunables.
    pub params: MarketParams,
}

/// Accounts of `init_config`.
#[derive(Accounts)]
pub struct InitConfig<'info> {
    /// Pays the rent and, where the program has an upgrade authority, is it.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    #[account(init, payer = payer, space = 8 + MarketConfig::INIT_SPACE, seeds = [seeds::CONFIG], bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint of the coin program.
    #[account(seeds = [coin::seeds::MINT], bump, seeds::program = coin::ID)]
    pub mint: Box<Account<'info, Mint>>,
    /// This program.
    #[account(constraint = program.programdata_address()? == Some(program_data.key()) @ MarketError::WrongAccount)]
    pub program: Program<'info, crate::program::Market>,
    /// Its program data, which names the upgrade authority.
    pub program_data: Box<Account<'info, ProgramData>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl InitConfig<'_> {
    /// The configuration is created here; mint, program, program data and system program are checked by attributes.
    pub(crate) fn validate(&self, args: &InitConfigArgs) -> Result<()> {
        require!(may_initialise(self.program_data.upgrade_authority_address, self.payer.key), MarketError::NotDeployer);
        require!(args.authorities.complete() && args.slasher != Pubkey::default(), MarketError::DefaultKey);
        args.params.validate()
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<InitConfig>, args: InitConfigArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let mint = ctx.accounts.mint.key();
    let (admin, slasher) = (args.authorities.admin, args.slasher);
    let config = &mut ctx.accounts.config;
    config.set_inner(MarketConfig {
        version: MarketConfig::VERSION,
        bump: ctx.bumps.config,
        pause_flags: 0,
        mint,
        slasher,
        authorities: args.authorities,
        pending: PendingAuthority::none(),
        params: args.params,
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        book: BookParams::default(),
        min_stake_nc: [0; ROLES],
        minima_epoch: 0,
        _reserved: [0; 186],
    });
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(MarketInitialised { account, seq, admin, mint, slasher });
    Ok(())
}
