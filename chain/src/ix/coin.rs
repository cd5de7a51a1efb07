//! Instructions of the coin program: genesis, the rate and the vaults.

use super::{SYSTEM, TOKEN, build, event_authority};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use coin::{
    ID, accounts,
    authority::Authorities,
    instruction,
    instructions::{InitCoinArgs, InitRateArgs, OpenVaultArgs, SpendVaultArgs, SubmitRateArgs},
    seeds,
    state::VaultKind,
};

/// Creates configuration and mint; `payer` is the program's upgrade authority.
pub fn init_coin(payer: Pubkey, authorities: Authorities) -> Instruction {
    let accounts = accounts::InitCoin {
        payer,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        program: ID,
        program_data: program_data(&ID),
        token_program: TOKEN,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::InitCoin { args: InitCoinArgs { authorities } })
}

/// Creates one vault.
pub fn open_vault(payer: Pubkey, admin: Pubkey, kind: VaultKind) -> Instruction {
    let accounts = accounts::OpenVault {
        payer,
        admin,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        vault: seeds::find_vault(kind).0,
        token_program: TOKEN,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::OpenVault { args: OpenVaultArgs { kind } })
}

/// Mints the whole supply into the vaults.
pub fn genesis_mint(admin: Pubkey) -> Instruction {
    let vault = |kind| seeds::find_vault(kind).0;
    let accounts = accounts::GenesisMint {
        admin,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        usage: vault(VaultKind::Usage),
        treasury: vault(VaultKind::Treasury),
        team: vault(VaultKind::Team),
        grants: vault(VaultKind::Grants),
        liquidity: vault(VaultKind::Liquidity),
        insurance: vault(VaultKind::Insurance),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::GenesisMint {})
}

/// Gives up the mint authority.
pub fn revoke_mint(admin: Pubkey) -> Instruction {
    let accounts = accounts::RevokeMint {
        admin,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        token_program: TOKEN,
    };
    build(ID, &accounts, &instruction::RevokeMint {})
}

/// Creates the rate: `rate` AIC base units per US dollar, reported by `reporters` once per `epoch_s`.
pub fn init_rate(payer: Pubkey, admin: Pubkey, rate: u64, epoch_s: u32, reporters: Vec<Pubkey>) -> Instruction {
    let accounts = accounts::InitRate {
        payer,
        admin,
        config: seeds::find_config().0,
        rate: seeds::find_rate().0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::InitRate { args: InitRateArgs { rate, epoch_s, reporters } })
}

/// Reports the rate of this rate epoch.
pub fn submit_rate(reporter: Pubkey, rate: u64) -> Instruction {
    let accounts = accounts::SubmitRate { reporter, config: seeds::find_config().0, rate: seeds::find_rate().0 };
    build(ID, &accounts, &instruction::SubmitRate { args: SubmitRateArgs { rate } })
}

/// Fixes the rate of this rate epoch. Anyone.
pub fn roll_rate() -> Instruction {
    build(
        ID,
        &accounts::RollRate { config: seeds::find_config().0, rate: seeds::find_rate().0 },
        &instruction::RollRate {},
    )
}

/// Pays from a spendable vault to an AIC account.
pub fn spend_vault(admin: Pubkey, kind: VaultKind, destination: Pubkey, amount: u64) -> Instruction {
    let accounts = accounts::SpendVault {
        admin,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        vault: seeds::find_vault(kind).0,
        destination,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::SpendVault { args: SpendVaultArgs { kind, amount } })
}

/// The account of the upgradeable loader that holds a program's code and names its upgrade authority.
pub fn program_data(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[program.as_ref()], &anchor_lang::solana_program::bpf_loader_upgradeable::ID).0
}
