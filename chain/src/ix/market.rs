//! Instructions of the market program: parties and stake, nodes, artifacts, containers, asks, offers and snapshots.

use super::{SYSTEM, TOKEN, aic_account, build, coin::program_data, event_authority, meta};
use crate::{Chain, ChainError};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use coin::authority::Authorities;
use market::{
    ID, accounts, instruction,
    instructions::{
        AddStakeArgs, BeginUnstakeArgs, CreateContainerArgs, CreateMarketArgs, InitConfigArgs, PostAskArgs,
        PostOfferArgs, RegisterArtifactArgs, RegisterNodeArgs, RegisterPartyArgs, RenewNodeArgs, RetireContainerArgs,
        RollContainerArgs, SetBetaArgs,
    },
    seeds,
    state::{Artifact, Container, MarketParams, Role},
};

fn config() -> Pubkey {
    seeds::find_config().0
}
fn mint() -> Pubkey {
    ::coin::seeds::find_mint().0
}
fn party(owner: &Pubkey, role: Role) -> Pubkey {
    seeds::find_party(owner, role).0
}

/// Creates the configuration; `payer` is the program's upgrade authority.
pub fn init_config(payer: Pubkey, authorities: Authorities, slasher: Pubkey, params: MarketParams) -> Instruction {
    let accounts = accounts::InitConfig {
        payer,
        config: config(),
        mint: mint(),
        program: ID,
        program_data: program_data(&ID),
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::InitConfig { args: InitConfigArgs { authorities, slasher, params } })
}

/// Creates the market of one class and region. Signed by the admin.
pub fn create_market(payer: Pubkey, admin: Pubkey, args: CreateMarketArgs) -> Instruction {
    let accounts = accounts::CreateMarket {
        payer,
        admin,
        config: config(),
        market: seeds::find_market(args.id).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::CreateMarket { args })
}

/// Creates a party and its stake account.
pub fn register_party(payer: Pubkey, owner: Pubkey, role: Role) -> Instruction {
    let party = party(&owner, role);
    let accounts = accounts::RegisterParty {
        payer,
        owner,
        config: config(),
        mint: mint(),
        party,
        stake: seeds::find_stake(&party).0,
        token_program: TOKEN,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::RegisterParty { args: RegisterPartyArgs { role } })
}

/// Stakes AIC base units from the owner's account.
pub fn add_stake(owner: Pubkey, role: Role, amount: u64) -> Instruction {
    let party = party(&owner, role);
    let accounts = accounts::AddStake {
        owner,
        config: config(),
        mint: mint(),
        party,
        stake: seeds::find_stake(&party).0,
        source: aic_account(&owner),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::AddStake { args: AddStakeArgs { amount } })
}

/// Puts stake on its way out.
pub fn begin_unstake(owner: Pubkey, role: Role, amount: u64) -> Instruction {
    let accounts = accounts::BeginUnstake {
        owner,
        config: config(),
        party: party(&owner, role),
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::BeginUnstake { args: BeginUnstakeArgs { amount } })
}

/// Takes out what has finished unbonding.
pub fn finish_unstake(owner: Pubkey, role: Role) -> Instruction {
    let party = party(&owner, role);
    let accounts = accounts::FinishUnstake {
        owner,
        config: config(),
        mint: mint(),
        party,
        stake: seeds::find_stake(&party).0,
        destination: aic_account(&owner),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::FinishUnstake {})
}

/// Delegates a worker key; operator and worker both sign.
pub fn register_node(payer: Pubkey, operator: Pubkey, worker: Pubkey, args: RegisterNodeArgs) -> Instruction {
    let accounts = accounts::RegisterNode {
        payer,
        operator,
        worker,
        config: config(),
        party: party(&operator, Role::Provider),
        class: seeds::find_det_class(args.det_class).0,
        node: seeds::find_node(&worker).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::RegisterNode { args })
}

/// Extends a delegation.
pub fn renew_node(operator: Pubkey, worker: Pubkey, expires: i64) -> Instruction {
    let accounts = accounts::RenewNode { operator, config: config(), node: seeds::find_node(&worker).0 };
    build(ID, &accounts, &instruction::RenewNode { args: RenewNodeArgs { expires } })
}

/// Takes a delegation back for good.
pub fn revoke_node(operator: Pubkey, worker: Pubkey) -> Instruction {
    build(ID, &accounts::RevokeNode { operator, node: seeds::find_node(&worker).0 }, &instruction::RevokeNode {})
}

/// Registers a model file; the OEM signs too where there is one.
pub fn register_artifact(
    payer: Pubkey,
    vendor: Pubkey,
    oem: Option<Pubkey>,
    args: RegisterArtifactArgs,
) -> Instruction {
    let accounts = accounts::RegisterArtifact {
        payer,
        vendor,
        oem,
        config: config(),
        party: party(&vendor, Role::Vendor),
        artifact: seeds::find_artifact(&args.hash).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::RegisterArtifact { args })
}

/// Publishes a container. `artifacts` are those of its stages, in order.
pub fn create_container(payer: Pubkey, creator: Pubkey, args: CreateContainerArgs) -> Instruction {
    let accounts = accounts::CreateContainer {
        payer,
        creator,
        config: config(),
        party: party(&creator, Role::Weaver),
        container: seeds::find_container(&args.id).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::CreateContainer { args })
}

/// Ends a container: no new snapshots. `revision` is the one its creator saw.
pub fn retire_container(creator: Pubkey, container: &[u8; 32], revision: u16) -> Instruction {
    let accounts = accounts::RetireContainer { creator, container: seeds::find_container(container).0 };
    build(ID, &accounts, &instruction::RetireContainer { args: RetireContainerArgs { expected_revision: revision } })
}

/// Moves the share of a container's curators by at most 100 bps. Signed by the weaver.
pub fn set_beta(creator: Pubkey, container: &[u8; 32], beta_bps: u16) -> Instruction {
    let accounts = accounts::SetBeta { creator, config: config(), container: seeds::find_container(container).0 };
    build(ID, &accounts, &instruction::SetBeta { args: SetBetaArgs { beta_bps } })
}

/// Posts or changes an ask. The subject is an artifact's hash (vendor, OEM) or a container's id (weaver).
pub fn post_ask(payer: Pubkey, owner: Pubkey, role: Role, subject: [u8; 32], want_nc: u64) -> Instruction {
    let (artifact, container) = match role {
        Role::Weaver => (None, Some(seeds::find_container(&subject).0)),
        _ => (Some(seeds::find_artifact(&subject).0), None),
    };
    let accounts = accounts::PostAsk {
        payer,
        owner,
        config: config(),
        party: party(&owner, role),
        artifact,
        container,
        ask: seeds::find_ask(&subject, role).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::PostAsk { args: PostAskArgs { role, subject, want_nc } })
}

/// Posts or changes a worker's offer: the lowest tick it serves at and its capacity in BU per pricing epoch.
pub fn post_offer(
    payer: Pubkey,
    operator: Pubkey,
    worker: Pubkey,
    market: u32,
    tick: u8,
    capacity: u64,
) -> Instruction {
    let market = seeds::find_market(market).0;
    let accounts = accounts::PostOffer {
        payer,
        operator,
        config: config(),
        party: party(&operator, Role::Provider),
        node: seeds::find_node(&worker).0,
        market,
        offer: seeds::find_offer(&market, &worker).0,
        seat: seeds::find_seat(&market, &operator).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::PostOffer { args: PostOfferArgs { tick, capacity } })
}

/// Freezes the split of a stage for a pricing epoch. Anyone; the payees are read from the chain.
pub async fn roll_container(
    chain: &Chain,
    payer: Pubkey,
    container: &[u8; 32],
    stage: u8,
    pricing_epoch: u32,
) -> Result<Instruction, ChainError> {
    let container_address = seeds::find_container(container).0;
    let account: Container = chain.expect("container", &container_address, "publish it first").await?;
    let Some(stage_account) = account.stages.get(usize::from(stage)) else {
        return Err(ChainError::Build(format!("container {} has no stage {stage}", account.name)));
    };
    let artifact_address = seeds::find_artifact(&stage_account.artifact).0;
    let artifact: Artifact = chain.expect("artifact", &artifact_address, "register it first").await?;
    let oem = artifact.oem();
    let accounts = accounts::RollContainer {
        payer,
        config: config(),
        container: container_address,
        artifact: artifact_address,
        market: seeds::find_market(stage_account.market).0,
        vendor: party(&artifact.vendor, Role::Vendor),
        vendor_ask: seeds::find_ask(&artifact.hash, Role::Vendor).0,
        oem: oem.map(|owner| party(&owner, Role::Oem)),
        oem_ask: oem.map(|_| seeds::find_ask(&artifact.hash, Role::Oem).0),
        weaver: party(&account.creator, Role::Weaver),
        weaver_ask: seeds::find_ask(container, Role::Weaver).0,
        snapshot: seeds::find_snapshot(container, stage, pricing_epoch).0,
        system_program: SYSTEM,
    };
    let mut instruction =
        build(ID, &accounts, &instruction::RollContainer { args: RollContainerArgs { stage, pricing_epoch } });
    // A derived model is priced by its royalty table, which is frozen before.
    if artifact.is_derived() {
        instruction.accounts.push(meta(seeds::find_royalties(&artifact.hash, pricing_epoch).0, false, false));
    }
    // The weaver's ask is pro-rated by base costs, so the markets of the other stages are read too.
    let others = account.stages.iter().filter(|other| other.market != stage_account.market);
    instruction.accounts.extend(others.map(|other| meta(seeds::find_market(other.market).0, false, false)));
    Ok(instruction)
}
