//! Instructions of the coin and market programs, built from the programs' own account and argument types, and edits
//! that break them on purpose.

use anchor_lang::{InstructionData, ToAccountMetas, prelude::Pubkey, solana_program::instruction::Instruction};
use anchor_spl::token::spl_token;
use coin::{authority::AuthorityRole, state::VaultKind};
use market::state::{Role, Stage};

use crate::world::event_authority;

const SYSTEM: Pubkey = anchor_lang::system_program::ID;
const TOKEN: Pubkey = spl_token::ID;

/// An instruction from Anchor's generated types.
pub fn instruction(program: Pubkey, accounts: &impl ToAccountMetas, data: &impl InstructionData) -> Instruction {
    Instruction { program_id: program, accounts: accounts.to_account_metas(None), data: data.data() }
}

/// Replaces an account by another everywhere in an instruction.
///
/// # Panics
/// When the instruction does not name the account.
#[track_caller]
pub fn swap(mut instruction: Instruction, from: Pubkey, to: Pubkey) -> Instruction {
    let mut found = false;
    for meta in instruction.accounts.iter_mut().filter(|meta| meta.pubkey == from) {
        meta.pubkey = to;
        found = true;
    }
    assert!(found, "the instruction does not name {from}");
    instruction
}

/// Takes the signer mark from an account.
pub fn unsigned(mut instruction: Instruction, key: Pubkey) -> Instruction {
    instruction.accounts.iter_mut().filter(|meta| meta.pubkey == key).for_each(|meta| meta.is_signer = false);
    instruction
}

/// Takes the writable mark from an account.
pub fn read_only(mut instruction: Instruction, key: Pubkey) -> Instruction {
    instruction.accounts.iter_mut().filter(|meta| meta.pubkey == key).for_each(|meta| meta.is_writable = false);
    instruction
}

/// The account that holds a program's upgrade authority.
#[must_use]
pub fn program_data(program: &Pubkey) -> Pubkey {
    let loader = anchor_lang::solana_program::bpf_loader_upgradeable::ID;
    Pubkey::find_program_address(&[program.as_ref()], &loader).0
}

/// The coin program's instructions.
pub mod coin_ix {
    use super::*;
    use coin::{ID, accounts, instruction as data, instructions::*, seeds};

    pub fn init_coin(payer: Pubkey, authorities: coin::authority::Authorities) -> Instruction {
        instruction(
            ID,
            &accounts::InitCoin {
                payer,
                config: seeds::find_config().0,
                mint: seeds::find_mint().0,
                program: ID,
                program_data: program_data(&ID),
                token_program: TOKEN,
                system_program: SYSTEM,
            },
            &data::InitCoin { args: InitCoinArgs { authorities } },
        )
    }

    pub fn open_vault(payer: Pubkey, admin: Pubkey, kind: VaultKind) -> Instruction {
        instruction(
            ID,
            &accounts::OpenVault {
                payer,
                admin,
                config: seeds::find_config().0,
                mint: seeds::find_mint().0,
                vault: seeds::find_vault(kind).0,
                breaker: seeds::find_breaker(&seeds::find_vault(kind).0).0,
                token_program: TOKEN,
                system_program: SYSTEM,
            },
            &data::OpenVault { args: OpenVaultArgs { kind } },
        )
    }

    pub fn genesis_mint(admin: Pubkey) -> Instruction {
        let vault = |kind| seeds::find_vault(kind).0;
        instruction(
            ID,
            &accounts::GenesisMint {
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
            },
            &data::GenesisMint {},
        )
    }

    pub fn revoke_mint(admin: Pubkey) -> Instruction {
        instruction(
            ID,
            &accounts::RevokeMint {
                admin,
                config: seeds::find_config().0,
                mint: seeds::find_mint().0,
                token_program: TOKEN,
            },
            &data::RevokeMint {},
        )
    }

    pub fn init_rate(payer: Pubkey, admin: Pubkey, rate: u64, epoch_s: u32, reporters: Vec<Pubkey>) -> Instruction {
        instruction(
            ID,
            &accounts::InitRate {
                payer,
                admin,
                config: seeds::find_config().0,
                rate: seeds::find_rate().0,
                system_program: SYSTEM,
            },
            &data::InitRate { args: InitRateArgs { rate, epoch_s, reporters } },
        )
    }

    pub fn submit_rate(reporter: Pubkey, rate: u64) -> Instruction {
        instruction(
            ID,
            &accounts::SubmitRate { reporter, config: seeds::find_config().0, rate: seeds::find_rate().0 },
            &data::SubmitRate { args: SubmitRateArgs { rate } },
        )
    }

    pub fn roll_rate() -> Instruction {
        instruction(
            ID,
            &accounts::RollRate { config: seeds::find_config().0, rate: seeds::find_rate().0 },
            &data::RollRate {},
        )
    }

    pub fn spend_vault(admin: Pubkey, kind: VaultKind, destination: Pubkey, amount: u64) -> Instruction {
        instruction(
            ID,
            &accounts::SpendVault {
                admin,
                config: seeds::find_config().0,
                mint: seeds::find_mint().0,
                vault: seeds::find_vault(kind).0,
                breaker: seeds::find_breaker(&seeds::find_vault(kind).0).0,
                destination,
                token_program: TOKEN,
                event_authority: event_authority(&ID),
                program: ID,
            },
            &data::SpendVault { args: SpendVaultArgs { kind, amount } },
        )
    }

    pub fn propose_authority(admin: Pubkey, role: AuthorityRole, key: Pubkey) -> Instruction {
        instruction(
            ID,
            &accounts::ProposeAuthority { admin, config: seeds::find_config().0 },
            &data::ProposeAuthority { args: ProposeAuthorityArgs { role, key } },
        )
    }

    pub fn accept_authority(new_authority: Pubkey) -> Instruction {
        instruction(
            ID,
            &accounts::AcceptAuthority { new_authority, config: seeds::find_config().0 },
            &data::AcceptAuthority {},
        )
    }

    pub fn pause(authority: Pubkey, flags: u16) -> Instruction {
        instruction(
            ID,
            &accounts::Pause { authority, config: seeds::find_config().0 },
            &data::Pause { args: PauseArgs { flags } },
        )
    }

    pub fn resume(authority: Pubkey, flags: u16) -> Instruction {
        instruction(
            ID,
            &accounts::Resume { authority, config: seeds::find_config().0 },
            &data::Resume { args: ResumeArgs { flags } },
        )
    }
}

/// The market program's instructions.
pub mod market_ix {
    use super::*;
    use market::{ID, accounts, instruction as data, instructions::*, seeds, state::MarketParams};

    fn config() -> Pubkey {
        seeds::find_config().0
    }

    fn mint() -> Pubkey {
        coin::seeds::find_mint().0
    }

    pub fn init_config(
        payer: Pubkey,
        authorities: coin::authority::Authorities,
        slasher: Pubkey,
        params: MarketParams,
    ) -> Instruction {
        instruction(
            ID,
            &accounts::InitConfig {
                payer,
                config: config(),
                mint: mint(),
                program: ID,
                program_data: program_data(&ID),
                system_program: SYSTEM,
            },
            &data::InitConfig { args: InitConfigArgs { authorities, slasher, params } },
        )
    }

    pub fn create_market(payer: Pubkey, admin: Pubkey, args: CreateMarketArgs) -> Instruction {
        instruction(
            ID,
            &accounts::CreateMarket {
                payer,
                admin,
                config: config(),
                market: seeds::find_market(args.id).0,
                system_program: SYSTEM,
            },
            &data::CreateMarket { args },
        )
    }

    pub fn propose_authority(admin: Pubkey, role: AuthorityRole, key: Pubkey) -> Instruction {
        instruction(
            ID,
            &accounts::ProposeAuthority { admin, config: config() },
            &data::ProposeAuthority { args: ProposeAuthorityArgs { role, key } },
        )
    }

    pub fn accept_authority(new_authority: Pubkey) -> Instruction {
        instruction(ID, &accounts::AcceptAuthority { new_authority, config: config() }, &data::AcceptAuthority {})
    }

    pub fn pause(authority: Pubkey, flags: u16) -> Instruction {
        instruction(ID, &accounts::Pause { authority, config: config() }, &data::Pause { args: PauseArgs { flags } })
    }

    pub fn resume(authority: Pubkey, flags: u16) -> Instruction {
        instruction(ID, &accounts::Resume { authority, config: config() }, &data::Resume { args: ResumeArgs { flags } })
    }

    pub fn register_party(payer: Pubkey, owner: Pubkey, role: Role) -> Instruction {
        let party = seeds::find_party(&owner, role).0;
        instruction(
            ID,
            &accounts::RegisterParty {
                payer,
                owner,
                config: config(),
                mint: mint(),
                party,
                stake: seeds::find_stake(&party).0,
                token_program: TOKEN,
                system_program: SYSTEM,
            },
            &data::RegisterParty { args: RegisterPartyArgs { role } },
        )
    }

    pub fn add_stake(owner: Pubkey, role: Role, source: Pubkey, amount: u64) -> Instruction {
        let party = seeds::find_party(&owner, role).0;
        instruction(
            ID,
            &accounts::AddStake {
                owner,
                config: config(),
                mint: mint(),
                party,
                stake: seeds::find_stake(&party).0,
                source,
                token_program: TOKEN,
                event_authority: event_authority(&ID),
                program: ID,
            },
            &data::AddStake { args: AddStakeArgs { amount } },
        )
    }

    pub fn begin_unstake(owner: Pubkey, role: Role, amount: u64) -> Instruction {
        instruction(
            ID,
            &accounts::BeginUnstake {
                owner,
                config: config(),
                party: seeds::find_party(&owner, role).0,
                event_authority: event_authority(&ID),
                program: ID,
            },
            &data::BeginUnstake { args: BeginUnstakeArgs { amount } },
        )
    }

    pub fn finish_unstake(owner: Pubkey, role: Role, destination: Pubkey) -> Instruction {
        let party = seeds::find_party(&owner, role).0;
        instruction(
            ID,
            &accounts::FinishUnstake {
                owner,
                config: config(),
                mint: mint(),
                party,
                stake: seeds::find_stake(&party).0,
                destination,
                token_program: TOKEN,
                event_authority: event_authority(&ID),
                program: ID,
            },
            &data::FinishUnstake {},
        )
    }

    pub fn post_ask(payer: Pubkey, owner: Pubkey, role: Role, subject: [u8; 32], want_nc: u64) -> Instruction {
        let (artifact, container) = match role {
            Role::Weaver => (None, Some(seeds::find_container(&subject).0)),
            _ => (Some(seeds::find_artifact(&subject).0), None),
        };
        instruction(
            ID,
            &accounts::PostAsk {
                payer,
                owner,
                config: config(),
                party: seeds::find_party(&owner, role).0,
                artifact,
                container,
                ask: seeds::find_ask(&subject, role).0,
                system_program: SYSTEM,
            },
            &data::PostAsk { args: PostAskArgs { role, subject, want_nc } },
        )
    }

    pub fn register_node(payer: Pubkey, operator: Pubkey, worker: Pubkey, args: RegisterNodeArgs) -> Instruction {
        instruction(
            ID,
            &accounts::RegisterNode {
                payer,
                operator,
                worker,
                config: config(),
                party: seeds::find_party(&operator, Role::Provider).0,
                class: seeds::find_det_class(args.det_class).0,
                node: seeds::find_node(&worker).0,
                system_program: SYSTEM,
            },
            &data::RegisterNode { args },
        )
    }

    pub fn renew_node(operator: Pubkey, worker: Pubkey, expires: i64) -> Instruction {
        instruction(
            ID,
            &accounts::RenewNode { operator, config: config(), node: seeds::find_node(&worker).0 },
            &data::RenewNode { args: RenewNodeArgs { expires } },
        )
    }

    pub fn revoke_node(operator: Pubkey, worker: Pubkey) -> Instruction {
        instruction(ID, &accounts::RevokeNode { operator, node: seeds::find_node(&worker).0 }, &data::RevokeNode {})
    }

    pub fn post_offer(
        payer: Pubkey,
        operator: Pubkey,
        worker: Pubkey,
        market: u32,
        tick: u8,
        capacity: u64,
    ) -> Instruction {
        let market = seeds::find_market(market).0;
        instruction(
            ID,
            &accounts::PostOffer {
                payer,
                operator,
                config: config(),
                party: seeds::find_party(&operator, Role::Provider).0,
                node: seeds::find_node(&worker).0,
                market,
                offer: seeds::find_offer(&market, &worker).0,
                seat: seeds::find_seat(&market, &operator).0,
                system_program: SYSTEM,
            },
            &data::PostOffer { args: PostOfferArgs { tick, capacity } },
        )
    }

    pub fn register_artifact(
        payer: Pubkey,
        vendor: Pubkey,
        oem: Option<Pubkey>,
        args: RegisterArtifactArgs,
    ) -> Instruction {
        instruction(
            ID,
            &accounts::RegisterArtifact {
                payer,
                vendor,
                oem,
                config: config(),
                party: seeds::find_party(&vendor, Role::Vendor).0,
                artifact: seeds::find_artifact(&args.hash).0,
                system_program: SYSTEM,
            },
            &data::RegisterArtifact { args },
        )
    }

    pub fn create_container(payer: Pubkey, creator: Pubkey, args: CreateContainerArgs) -> Instruction {
        instruction(
            ID,
            &accounts::CreateContainer {
                payer,
                creator,
                config: config(),
                party: seeds::find_party(&creator, Role::Weaver).0,
                container: seeds::find_container(&args.id).0,
                system_program: SYSTEM,
            },
            &data::CreateContainer { args },
        )
    }

    pub fn retire_container(creator: Pubkey, id: [u8; 32], expected_revision: u16) -> Instruction {
        instruction(
            ID,
            &accounts::RetireContainer { creator, container: seeds::find_container(&id).0 },
            &data::RetireContainer { args: RetireContainerArgs { expected_revision } },
        )
    }

    /// Who is paid for a stage, as `roll_container` needs it.
    #[derive(Clone, Copy)]
    pub struct Roll<'a> {
        pub payer: Pubkey,
        pub container: [u8; 32],
        pub stage: u8,
        pub pricing_epoch: u32,
        pub stages: &'a [Stage],
        pub vendor: Pubkey,
        pub oem: Option<Pubkey>,
        pub weaver: Pubkey,
    }

    pub fn roll_container(roll: &Roll<'_>) -> Instruction {
        let stage = &roll.stages[usize::from(roll.stage)];
        let mut built = instruction(
            ID,
            &accounts::RollContainer {
                payer: roll.payer,
                config: config(),
                container: seeds::find_container(&roll.container).0,
                artifact: seeds::find_artifact(&stage.artifact).0,
                market: seeds::find_market(stage.market).0,
                vendor: seeds::find_party(&roll.vendor, Role::Vendor).0,
                vendor_ask: seeds::find_ask(&stage.artifact, Role::Vendor).0,
                oem: roll.oem.map(|oem| seeds::find_party(&oem, Role::Oem).0),
                oem_ask: roll.oem.map(|_| seeds::find_ask(&stage.artifact, Role::Oem).0),
                weaver: seeds::find_party(&roll.weaver, Role::Weaver).0,
                weaver_ask: seeds::find_ask(&roll.container, Role::Weaver).0,
                snapshot: seeds::find_snapshot(&roll.container, roll.stage, roll.pricing_epoch).0,
                system_program: SYSTEM,
            },
            &data::RollContainer { args: RollContainerArgs { stage: roll.stage, pricing_epoch: roll.pricing_epoch } },
        );
        let others = roll.stages.iter().filter(|other| other.market != stage.market);
        built.accounts.extend(others.map(|other| {
            anchor_lang::solana_program::instruction::AccountMeta::new_readonly(
                seeds::find_market(other.market).0,
                false,
            )
        }));
        built
    }
}
