//! Instruction builders: every account address is derived here, callers give keys and amounts. Thin by design: the
//! types are the programs' own.

pub mod audits;
pub mod books;
pub mod bounty;
pub mod coin;
pub mod dispute;
pub mod lineage;
pub mod market;
pub mod promo;
pub mod settlement;

use anchor_lang::{InstructionData, ToAccountMetas, prelude::Pubkey, solana_program::instruction::Instruction};

pub(crate) const SYSTEM: Pubkey = anchor_lang::system_program::ID;
pub(crate) const TOKEN: Pubkey = anchor_spl::token::ID;
pub(crate) const ASSOCIATED_TOKEN: Pubkey = anchor_spl::associated_token::ID;

pub(crate) fn build(program: Pubkey, accounts: &impl ToAccountMetas, data: &impl InstructionData) -> Instruction {
    Instruction { program_id: program, accounts: accounts.to_account_metas(None), data: data.data() }
}

/// Signs the events that a program emits by calling itself.
pub(crate) fn event_authority(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[b"__event_authority"], program).0
}

/// The wallet's associated token account for AIC.
pub fn aic_account(wallet: &Pubkey) -> Pubkey {
    anchor_spl::associated_token::get_associated_token_address(wallet, &::coin::seeds::find_mint().0)
}

/// Creates the wallet's AIC account where it does not exist.
pub fn create_aic_account(payer: &Pubkey, wallet: &Pubkey) -> Instruction {
    let mint = ::coin::seeds::find_mint().0;
    // The associated token program's CreateIdempotent is instruction 1.
    Instruction {
        program_id: ASSOCIATED_TOKEN,
        accounts: vec![
            meta(*payer, true, true),
            meta(aic_account(wallet), false, true),
            meta(*wallet, false, false),
            meta(mint, false, false),
            meta(SYSTEM, false, false),
            meta(TOKEN, false, false),
        ],
        data: vec![1],
    }
}

/// Moves AIC base units from a wallet's account to any AIC account. Signed by the wallet.
pub fn transfer_aic(from: &Pubkey, to_account: &Pubkey, amount: u64) -> Instruction {
    // SPL token TransferChecked is instruction 12: amount u64, decimals u8.
    let mut data = vec![12];
    data.extend_from_slice(&amount.to_le_bytes());
    data.push(::coin::constants::DECIMALS);
    Instruction {
        program_id: TOKEN,
        accounts: vec![
            meta(aic_account(from), false, true),
            meta(::coin::seeds::find_mint().0, false, false),
            meta(*to_account, false, true),
            meta(*from, true, false),
        ],
        data,
    }
}

fn meta(pubkey: Pubkey, is_signer: bool, is_writable: bool) -> anchor_lang::solana_program::instruction::AccountMeta {
    anchor_lang::solana_program::instruction::AccountMeta { pubkey, is_signer, is_writable }
}
