//! Creates a party and the token account of its stake.

use anchor_lang::prelude::*;
use anchor_spl::token::{Mint, Token, TokenAccount};
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::PartyRegistered,
    seeds,
    state::{MarketConfig, Party, Role},
};

/// Arguments of `register_party`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RegisterPartyArgs {
    /// The role.
    pub role: Role,
}

/// Accounts of `register_party`.
#[derive(Accounts)]
#[instruction(args: RegisterPartyArgs)]
pub struct RegisterParty<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Who owns the stake and is paid.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ MarketError::WrongMint)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The party.
    #[account(
        init,
        payer = payer,
        space = 8 + Party::INIT_SPACE,
        seeds = [seeds::PARTY, owner.key().as_ref(), &[args.role as u8]],
        bump,
    )]
    pub party: Box<Account<'info, Party>>,
    /// Its stake.
    #[account(
        init,
        payer = payer,
        seeds = [seeds::STAKE, party.key().as_ref()],
        bump,
        token::mint = mint,
        token::authority = party,
        token::token_program = token_program,
    )]
    pub stake: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RegisterParty<'_> {
    /// Owner signs; configuration and mint are checked by attributes, party and stake are created here.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RegisterParty>, args: RegisterPartyArgs) -> Result<()> {
    let account = ctx.accounts.party.key();
    let owner = ctx.accounts.owner.key();
    let party = &mut ctx.accounts.party;
    party.set_inner(Party::new(owner, args.role, ctx.bumps.party, ctx.bumps.stake, ctx.accounts.payer.key()));
    let seq = party.next_seq()?;
    party.invariant()?;
    emit!(PartyRegistered { account, seq, owner, role: args.role });
    Ok(())
}
