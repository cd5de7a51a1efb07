//! Instructions of the coin program: genesis, the rate and the vaults.

use super::{SYSTEM, TOKEN, build, event_authority};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use coin::{
    ID, accounts,
    authority::Authorities,
    instruction,
    instructions::{
        InitCoinArgs, InitRateArgs, InitReleaseArgs, OpenVaultArgs, ProposeSpendArgs, SetReportersArgs, SpendVaultArgs,
        SubmitRateArgs,
    },
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
        breaker: breaker(kind),
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

/// The breaker of a vault.
pub fn breaker(kind: VaultKind) -> Pubkey {
    seeds::find_breaker(&seeds::find_vault(kind).0).0
}

/// Begins releases and vesting: the fees that `settlement` records bound releases, `team` is the wallet that is vested.
pub fn init_release(admin: Pubkey, settlement: Pubkey, team: Pubkey) -> Instruction {
    let accounts = accounts::InitRelease { admin, config: seeds::find_config().0 };
    build(ID, &accounts, &instruction::InitRelease { args: InitReleaseArgs { settlement, team } })
}

/// Replaces the reporters of the rate.
pub fn set_reporters(admin: Pubkey, reporters: Vec<Pubkey>) -> Instruction {
    let accounts = accounts::SetReporters { admin, config: seeds::find_config().0, rate: seeds::find_rate().0 };
    build(ID, &accounts, &instruction::SetReporters { args: SetReportersArgs { reporters } })
}

/// Says what a vault shall pay in a day's time; `id` is the admin's own number for it.
pub fn propose_spend(
    payer: Pubkey,
    admin: Pubkey,
    kind: VaultKind,
    id: u32,
    destination: Pubkey,
    amount: u64,
) -> Instruction {
    let accounts = accounts::ProposeSpend {
        payer,
        admin,
        config: seeds::find_config().0,
        spend: seeds::find_spend(kind, id).0,
        destination,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::ProposeSpend { args: ProposeSpendArgs { kind, id, amount } })
}

/// Pays a proposed spend; `destination` and `rent_payer` are those of the proposal.
pub fn execute_spend(admin: Pubkey, kind: VaultKind, id: u32, destination: Pubkey, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::ExecuteSpend {
        admin,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        spend: seeds::find_spend(kind, id).0,
        vault: seeds::find_vault(kind).0,
        breaker: breaker(kind),
        destination,
        rent_payer,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ExecuteSpend {})
}

/// Withdraws a proposed spend; `authority` is the admin or the pause authority.
pub fn cancel_spend(authority: Pubkey, kind: VaultKind, id: u32, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CancelSpend {
        authority,
        config: seeds::find_config().0,
        spend: seeds::find_spend(kind, id).0,
        rent_payer,
    };
    build(ID, &accounts, &instruction::CancelSpend {})
}

/// Releases the usage rewards of a unix day into the grants vault. Anyone, 48 hours after the day.
pub fn release(payer: Pubkey, settlement: Pubkey, day: u32) -> Instruction {
    let accounts = accounts::ReleaseDay {
        payer,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        usage: seeds::find_vault(VaultKind::Usage).0,
        breaker: breaker(VaultKind::Usage),
        grants: seeds::find_vault(VaultKind::Grants).0,
        fee_day: Pubkey::find_program_address(&[seeds::FEE_DAY, &day.to_le_bytes()], &settlement).0,
        release: seeds::find_release(day).0,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::Release { day })
}

/// Pays what has vested to an AIC account of the team's wallet. Anyone.
pub fn release_team(destination: Pubkey) -> Instruction {
    let accounts = accounts::ReleaseTeam {
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        vault: seeds::find_vault(VaultKind::Team).0,
        breaker: breaker(VaultKind::Team),
        destination,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ReleaseTeam {})
}

/// Burns what was sent to the burn account, which the first call creates. Anyone.
pub fn burn_fees(payer: Pubkey) -> Instruction {
    let accounts = accounts::BurnFees {
        payer,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        burn: seeds::find_burn().0,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::BurnFees {})
}

/// Pays from a spendable vault to an AIC account, at once and within its breaker.
pub fn spend_vault(admin: Pubkey, kind: VaultKind, destination: Pubkey, amount: u64) -> Instruction {
    let accounts = accounts::SpendVault {
        admin,
        config: seeds::find_config().0,
        mint: seeds::find_mint().0,
        vault: seeds::find_vault(kind).0,
        breaker: breaker(kind),
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
