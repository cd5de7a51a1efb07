//! Moves AIC of the owner into its stake.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, Token, TokenAccount, TransferChecked};
use coin::authority::pause;

use crate::{
    constants::DECIMALS,
    error::MarketError,
    events::StakeAdded,
    seeds,
    state::{MarketConfig, Party},
};

/// Arguments of `add_stake`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct AddStakeArgs {
    /// AIC base units.
    pub amount: u64,
}

/// Accounts of `add_stake`.
#[event_cpi]
#[derive(Accounts)]
pub struct AddStake<'info> {
    /// The owner of the party and of the source.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ MarketError::WrongMint)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The party.
    #[account(
        mut,
        seeds = [seeds::PARTY, party.owner.as_ref(), &[party.role as u8]],
        bump = party.bump,
        has_one = owner @ MarketError::Unauthorized,
    )]
    pub party: Box<Account<'info, Party>>,
    /// Its stake.
    #[account(mut, seeds = [seeds::STAKE, party.key().as_ref()], bump = party.stake_bump)]
    pub stake: Box<Account<'info, TokenAccount>>,
    /// Where the tokens come from.
    #[account(
        mut,
        constraint = source.mint == mint.key() @ MarketError::WrongMint,
        constraint = source.owner == owner.key() @ MarketError::WrongTokenOwner,
    )]
    pub source: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl AddStake<'_> {
    /// Owner, mint, party, stake and source are checked by attributes; a banned party gets nothing more to lose.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        require!(!self.party.banned, MarketError::Banned);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<AddStake>, args: AddStakeArgs) -> Result<()> {
    let account = ctx.accounts.party.key();
    let party = &mut ctx.accounts.party;
    party.add_stake(args.amount)?;
    let seq = party.next_seq()?;
    party.invariant()?;
    let stake = party.stake;
    token::transfer_checked(
        CpiContext::new(
            Token::id(),
            TransferChecked {
                from: ctx.accounts.source.to_account_info(),
                mint: ctx.accounts.mint.to_account_info(),
                to: ctx.accounts.stake.to_account_info(),
                authority: ctx.accounts.owner.to_account_info(),
            },
        ),
        args.amount,
        DECIMALS,
    )?;
    emit_cpi!(StakeAdded { account, seq, owner: ctx.accounts.owner.key(), amount: args.amount, stake });
    Ok(())
}
