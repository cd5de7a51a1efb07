//! The few token program calls of this program, each signed by the PDA that owns the vault.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Burn, CloseAccount, Mint, Token, TokenAccount, Transfer};

use crate::error::SettleError;

/// Moves `amount` base units out of `from`; nothing happens for zero. `seeds` are the authority's, with its bump; empty
/// when the authority signed the transaction.
pub fn transfer<'info>(
    program: &Program<'info, Token>,
    from: &Account<'info, TokenAccount>,
    to: &Account<'info, TokenAccount>,
    authority: AccountInfo<'info>,
    seeds: &[&[u8]],
    amount: u64,
) -> Result<()> {
    if amount == 0 {
        return Ok(());
    }
    let accounts = Transfer { from: from.to_account_info(), to: to.to_account_info(), authority };
    let signers = [seeds];
    let signers: &[&[&[u8]]] = if seeds.is_empty() { &[] } else { &signers };
    token::transfer(CpiContext::new_with_signer(program.key(), accounts, signers), amount)
}

/// Destroys `amount` base units of `from`; nothing happens for zero.
pub fn burn<'info>(
    program: &Program<'info, Token>,
    mint: &Account<'info, Mint>,
    from: &Account<'info, TokenAccount>,
    authority: AccountInfo<'info>,
    seeds: &[&[u8]],
    amount: u64,
) -> Result<()> {
    if amount == 0 {
        return Ok(());
    }
    let accounts = Burn { mint: mint.to_account_info(), from: from.to_account_info(), authority };
    token::burn(CpiContext::new_with_signer(program.key(), accounts, &[seeds]), amount)
}

/// Closes an empty vault; its rent goes to `destination`.
pub fn close<'info>(
    program: &Program<'info, Token>,
    account: &Account<'info, TokenAccount>,
    destination: AccountInfo<'info>,
    authority: AccountInfo<'info>,
    seeds: &[&[u8]],
) -> Result<()> {
    let accounts = CloseAccount { account: account.to_account_info(), destination, authority };
    token::close_account(CpiContext::new_with_signer(program.key(), accounts, &[seeds]))
}

/// The token account belongs to `owner` and holds `mint`.
pub fn require_owned(account: &TokenAccount, owner: &Pubkey, mint: &Pubkey) -> Result<()> {
    require!(account.owner == *owner && account.mint == *mint, SettleError::TokenMismatch);
    Ok(())
}
