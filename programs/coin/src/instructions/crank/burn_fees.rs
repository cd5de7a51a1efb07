//! Burns what was sent to the burn account: the place for fees and buy-backs that nobody shall have. The first call
//! creates the account.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Burn, Mint, Token, TokenAccount};

use crate::{error::CoinError, events::FeesBurned, seeds, state::CoinConfig};

/// Accounts of `burn_fees`.
#[event_cpi]
#[derive(Accounts)]
pub struct BurnFees<'info> {
    /// Pays the rent when the burn account does not exist.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    #[account(mut, seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ CoinError::WrongMint)]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint.
    #[account(mut)]
    pub mint: Box<Account<'info, Mint>>,
    /// The burn account, its own authority; nothing but this instruction moves its tokens.
    #[account(
        init_if_needed,
        payer = payer,
        seeds = [seeds::BURN],
        bump,
        token::mint = mint,
        token::authority = burn,
        token::token_program = token_program,
    )]
    pub burn: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

pub(crate) fn handler(ctx: Context<BurnFees>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let amount = accounts.burn.amount;
    let seq = accounts.config.next_seq()?;
    accounts.config.invariant()?;
    if amount > 0 {
        let signer: &[&[u8]] = &[seeds::BURN, &[ctx.bumps.burn]];
        token::burn(
            CpiContext::new_with_signer(
                Token::id(),
                Burn {
                    mint: accounts.mint.to_account_info(),
                    from: accounts.burn.to_account_info(),
                    authority: accounts.burn.to_account_info(),
                },
                &[signer],
            ),
            amount,
        )?;
        accounts.mint.reload()?;
    }
    emit_cpi!(FeesBurned { account: ctx.accounts.config.key(), seq, amount, supply: ctx.accounts.mint.supply });
    Ok(())
}
