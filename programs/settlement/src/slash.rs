//! The one way from a proven offence to the offender's stake: this program's slasher signs, the market takes.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use market::{
    cpi::{accounts::SlashParty, slash as take},
    instructions::{SlashArgs, Slashed},
    state::{Offence, Party},
};

use crate::seeds;

/// The accounts of a slash, to be embedded in the instruction that proves the offence. That instruction checks whose
/// `party` it is and to whom `reporter` and `harmed` belong; everything else the market checks, and it fails closed.
#[derive(Accounts)]
pub struct SlashAccounts<'info> {
    /// CHECK: the address that signs to the market, checked by its seeds.
    #[account(seeds = [seeds::SLASHER], bump)]
    pub slasher: UncheckedAccount<'info>,
    /// Pays the rent of the epoch's first ticket.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: the market checks its seeds.
    pub market_config: UncheckedAccount<'info>,
    /// CHECK: the market checks that it is the configured mint.
    #[account(mut)]
    pub mint: UncheckedAccount<'info>,
    /// Who is punished; what it says is what it was before the slash.
    #[account(mut)]
    pub party: Box<Account<'info, Party>>,
    /// CHECK: the market checks its seeds.
    #[account(mut)]
    pub stake: UncheckedAccount<'info>,
    /// CHECK: the market checks its seeds.
    #[account(mut)]
    pub ticket: UncheckedAccount<'info>,
    /// Where the reporter's part goes; may be the harmed party's account.
    #[account(mut, dup)]
    pub reporter: Box<Account<'info, TokenAccount>>,
    /// Where restitution and the harmed party's part go; may be the reporter's account.
    #[account(mut, dup)]
    pub harmed: Box<Account<'info, TokenAccount>>,
    /// CHECK: the market checks its seeds.
    pub market_event_authority: UncheckedAccount<'info>,
    /// The market program.
    pub market_program: Program<'info, market::program::Market>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

/// Punishes `accounts.party` for an offence of a settlement epoch and returns what was taken, in AIC base units:
/// `restitution_aic` as far as the stake reaches, then the penalty of the offence. A stake that is too small is taken
/// whole, which is no error.
pub fn slash(
    accounts: &SlashAccounts<'_>,
    slasher_bump: u8,
    offence: Offence,
    restitution_aic: u64,
    epoch: u32,
) -> Result<Slashed> {
    let signer: &[&[u8]] = &[seeds::SLASHER, &[slasher_bump]];
    let taken = take(
        CpiContext::new_with_signer(
            market::ID,
            SlashParty {
                slasher: accounts.slasher.to_account_info(),
                payer: accounts.payer.to_account_info(),
                config: accounts.market_config.to_account_info(),
                mint: accounts.mint.to_account_info(),
                party: accounts.party.to_account_info(),
                stake: accounts.stake.to_account_info(),
                ticket: accounts.ticket.to_account_info(),
                reporter: accounts.reporter.to_account_info(),
                harmed: accounts.harmed.to_account_info(),
                token_program: accounts.token_program.to_account_info(),
                system_program: accounts.system_program.to_account_info(),
                event_authority: accounts.market_event_authority.to_account_info(),
                program: accounts.market_program.to_account_info(),
            },
            &[signer],
        ),
        SlashArgs { offence, restitution_aic, epoch },
    )?;
    Ok(taken.get())
}
