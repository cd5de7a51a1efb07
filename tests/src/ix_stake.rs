//! Instructions of the market program about stake that is taken, determinism classes, books, parameters and accounts that
//! end.

use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use anchor_spl::token::spl_token;
use market::{
    ID, accounts, instruction as data,
    instructions::{
        ObserveDemandArgs, ProposeParamsArgs, RegisterDetClassArgs, SetTierArgs, SlashArgs, TuneDetClassArgs,
    },
    seeds,
    state::{DetRule, Offence, Role, Tier, Tunables},
};

use crate::{ix::instruction, world::event_authority};

const SYSTEM: Pubkey = anchor_lang::system_program::ID;

fn config() -> Pubkey {
    seeds::find_config().0
}

/// Who is slashed by whom, and who receives it.
#[derive(Clone, Copy)]
pub struct Slash {
    pub slasher: Pubkey,
    pub payer: Pubkey,
    pub party: Pubkey,
    pub reporter: Pubkey,
    pub harmed: Pubkey,
    pub offence: Offence,
    pub restitution_aic: u64,
    pub epoch: u32,
}

pub fn slash(slash: &Slash) -> Instruction {
    instruction(
        ID,
        &accounts::SlashParty {
            slasher: slash.slasher,
            payer: slash.payer,
            config: config(),
            mint: coin::seeds::find_mint().0,
            party: slash.party,
            stake: seeds::find_stake(&slash.party).0,
            ticket: seeds::find_ticket(&slash.party, slash.epoch).0,
            reporter: slash.reporter,
            harmed: slash.harmed,
            token_program: spl_token::ID,
            system_program: SYSTEM,
            event_authority: event_authority(&ID),
            program: ID,
        },
        &data::Slash {
            args: SlashArgs { offence: slash.offence, restitution_aic: slash.restitution_aic, epoch: slash.epoch },
        },
    )
}

pub fn close_ticket(party: &Pubkey, epoch: u32, rent_payer: Pubkey) -> Instruction {
    instruction(
        ID,
        &accounts::CloseTicket { ticket: seeds::find_ticket(party, epoch).0, rent_payer },
        &data::CloseTicket {},
    )
}

pub fn register_det_class(payer: Pubkey, authority: Pubkey, id: u16, hash: [u8; 32], rule: DetRule) -> Instruction {
    instruction(
        ID,
        &accounts::RegisterDetClass {
            payer,
            authority,
            config: config(),
            det_class: seeds::find_det_class(id).0,
            system_program: SYSTEM,
        },
        &data::RegisterDetClass { args: RegisterDetClassArgs { id, hash, rule } },
    )
}

pub fn tune_det_class(authority: Pubkey, id: u16, rule: DetRule) -> Instruction {
    instruction(
        ID,
        &accounts::TuneDetClass { authority, config: config(), det_class: seeds::find_det_class(id).0 },
        &data::TuneDetClass { args: TuneDetClassArgs { rule } },
    )
}

pub fn observe_demand(payer: Pubkey, gateway: Pubkey, market: u32, units: u64) -> Instruction {
    let market = seeds::find_market(market).0;
    instruction(
        ID,
        &accounts::ObserveDemand {
            payer,
            gateway,
            config: config(),
            rate: coin::seeds::find_rate().0,
            party: seeds::find_party(&gateway, Role::Gateway).0,
            market,
            observation: seeds::find_observation(&market, &gateway).0,
            system_program: SYSTEM,
        },
        &data::ObserveDemand { args: ObserveDemandArgs { units } },
    )
}

pub fn roll_market(market: u32) -> Instruction {
    instruction(
        ID,
        &accounts::RollMarket { config: config(), market: seeds::find_market(market).0 },
        &data::RollMarket {},
    )
}

pub fn remove_offer(operator: Pubkey, worker: Pubkey, market: u32, rent_payer: Pubkey) -> Instruction {
    let market = seeds::find_market(market).0;
    instruction(
        ID,
        &accounts::RemoveOffer {
            config: config(),
            offer: seeds::find_offer(&market, &worker).0,
            market,
            node: seeds::find_node(&worker).0,
            party: seeds::find_party(&operator, Role::Provider).0,
            seat: seeds::find_seat(&market, &operator).0,
            rent_payer,
        },
        &data::RemoveOffer {},
    )
}

pub fn close_seat(operator: Pubkey, market: u32, rent_payer: Pubkey) -> Instruction {
    let market = seeds::find_market(market).0;
    let seat = seeds::find_seat(&market, &operator).0;
    instruction(ID, &accounts::CloseSeat { seat, rent_payer }, &data::CloseSeat {})
}

pub fn set_tier(owner: Pubkey, role: Role, tier: Tier) -> Instruction {
    instruction(
        ID,
        &accounts::SetTier { owner, config: config(), party: seeds::find_party(&owner, role).0 },
        &data::SetTier { args: SetTierArgs { tier } },
    )
}

pub fn propose_params(payer: Pubkey, authority: Pubkey, tunables: Tunables, effective_epoch: u32) -> Instruction {
    instruction(
        ID,
        &accounts::ProposeParams {
            payer,
            authority,
            config: config(),
            pending: seeds::find_pending_params().0,
            system_program: SYSTEM,
        },
        &data::ProposeParams { args: ProposeParamsArgs { tunables, effective_epoch } },
    )
}

pub fn apply_params(rent_payer: Pubkey) -> Instruction {
    instruction(
        ID,
        &accounts::ApplyParams { config: config(), pending: seeds::find_pending_params().0, rent_payer },
        &data::ApplyParams {},
    )
}

pub fn roll_minima() -> Instruction {
    instruction(ID, &accounts::RollMinima { config: config(), rate: coin::seeds::find_rate().0 }, &data::RollMinima {})
}

pub fn close_node(worker: Pubkey, rent_payer: Pubkey) -> Instruction {
    instruction(ID, &accounts::CloseNode { node: seeds::find_node(&worker).0, rent_payer }, &data::CloseNode {})
}

pub fn close_container(id: &[u8; 32], rent_payer: Pubkey) -> Instruction {
    let container = seeds::find_container(id).0;
    instruction(ID, &accounts::CloseContainer { container, rent_payer }, &data::CloseContainer {})
}

pub fn close_ask(subject: &[u8; 32], role: Role, rent_payer: Pubkey) -> Instruction {
    let (ask, container) = (seeds::find_ask(subject, role).0, seeds::find_container(subject).0);
    instruction(ID, &accounts::CloseAsk { ask, container, rent_payer }, &data::CloseAsk {})
}

pub fn close_snapshot(container: &[u8; 32], stage: u8, pricing_epoch: u32, rent_payer: Pubkey) -> Instruction {
    let snapshot = seeds::find_snapshot(container, stage, pricing_epoch).0;
    instruction(ID, &accounts::CloseSnapshot { config: config(), snapshot, rent_payer }, &data::CloseSnapshot {})
}

pub fn close_observation(gateway: Pubkey, market: u32, rent_payer: Pubkey) -> Instruction {
    let observation = seeds::find_observation(&seeds::find_market(market).0, &gateway).0;
    instruction(
        ID,
        &accounts::CloseObservation { config: config(), observation, rent_payer },
        &data::CloseObservation {},
    )
}
