//! The one way out of a vault of the supply.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, Token, TokenAccount, TransferChecked};

use crate::{constants::DECIMALS, seeds, state::VaultKind};

/// Pays from a vault, which signs for itself; its balance afterwards is read again.
pub(crate) fn from_vault<'info>(
    kind: VaultKind,
    bump: u8,
    mint: &Account<'info, Mint>,
    vault: &mut Account<'info, TokenAccount>,
    destination: &Account<'info, TokenAccount>,
    amount: u64,
) -> Result<()> {
    let signer: &[&[u8]] = &[seeds::VAULT, &[kind as u8], &[bump]];
    token::transfer_checked(
        CpiContext::new_with_signer(
            Token::id(),
            TransferChecked {
                from: vault.to_account_info(),
                mint: mint.to_account_info(),
                to: destination.to_account_info(),
                authority: vault.to_account_info(),
            },
            &[signer],
        ),
        amount,
        DECIMALS,
    )?;
    vault.reload()
}
