//! Instructions of the market program about books, tiers, parameters, determinism classes and accounts that end.

use super::{SYSTEM, build};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::{
    ID, accounts, instruction,
    instructions::{ObserveDemandArgs, ProposeParamsArgs, RegisterDetClassArgs, SetTierArgs, TuneDetClassArgs},
    seeds,
    state::{DetRule, Offer, Role, Tier, Tunables},
};

fn config() -> Pubkey {
    seeds::find_config().0
}

/// Reports the units of the pricing epoch before that a gateway served, and could not serve, in a market.
pub fn observe_demand(payer: Pubkey, gateway: Pubkey, market: u32, units: u64) -> Instruction {
    let market = seeds::find_market(market).0;
    let accounts = accounts::ObserveDemand {
        payer,
        gateway,
        config: config(),
        rate: ::coin::seeds::find_rate().0,
        party: seeds::find_party(&gateway, Role::Gateway).0,
        market,
        observation: seeds::find_observation(&market, &gateway).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::ObserveDemand { args: ObserveDemandArgs { units } })
}

/// Clears a market's book for the next pricing epoch. Anyone.
pub fn roll_market(market: u32) -> Instruction {
    let accounts = accounts::RollMarket { config: config(), market: seeds::find_market(market).0 };
    build(ID, &accounts, &instruction::RollMarket {})
}

/// Converts the minimum stakes that are given in USD. Anyone.
pub fn roll_minima() -> Instruction {
    let accounts = accounts::RollMinima { config: config(), rate: ::coin::seeds::find_rate().0 };
    build(ID, &accounts, &instruction::RollMinima {})
}

/// Takes an offer that can no longer be served out of the book. Anyone; the rent goes to who paid it.
pub fn remove_offer(offer: &Offer) -> Instruction {
    let accounts = accounts::RemoveOffer {
        config: config(),
        offer: seeds::find_offer(&offer.market, &offer.worker).0,
        market: offer.market,
        node: seeds::find_node(&offer.worker).0,
        party: seeds::find_party(&offer.owner, Role::Provider).0,
        seat: seeds::find_seat(&offer.market, &offer.owner).0,
        rent_payer: offer.rent_payer,
    };
    build(ID, &accounts, &instruction::RemoveOffer {})
}

/// Ends an empty seat. Anyone.
pub fn close_seat(market: &Pubkey, owner: &Pubkey, rent_payer: Pubkey) -> Instruction {
    let seat = seeds::find_seat(market, owner).0;
    build(ID, &accounts::CloseSeat { seat, rent_payer }, &instruction::CloseSeat {})
}

/// Takes another tier. Signed by the provider.
pub fn set_tier(owner: Pubkey, tier: Tier) -> Instruction {
    let accounts = accounts::SetTier { owner, config: config(), party: seeds::find_party(&owner, Role::Provider).0 };
    build(ID, &accounts, &instruction::SetTier { args: SetTierArgs { tier } })
}

/// Proposes parameters for a settlement epoch at least two ahead. Signed by the params authority.
pub fn propose_params(payer: Pubkey, authority: Pubkey, tunables: Tunables, effective_epoch: u32) -> Instruction {
    let accounts = accounts::ProposeParams {
        payer,
        authority,
        config: config(),
        pending: seeds::find_pending_params().0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::ProposeParams { args: ProposeParamsArgs { tunables, effective_epoch } })
}

/// Applies proposed parameters whose time has come. Anyone; the rent goes to who paid for the proposal.
pub fn apply_params(rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::ApplyParams { config: config(), pending: seeds::find_pending_params().0, rent_payer };
    build(ID, &accounts, &instruction::ApplyParams {})
}

/// Registers a determinism class. Signed by the params authority.
pub fn register_det_class(payer: Pubkey, authority: Pubkey, id: u16, hash: [u8; 32], rule: DetRule) -> Instruction {
    let accounts = accounts::RegisterDetClass {
        payer,
        authority,
        config: config(),
        det_class: seeds::find_det_class(id).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::RegisterDetClass { args: RegisterDetClassArgs { id, hash, rule } })
}

/// Changes how outputs of a determinism class are compared. Signed by the params authority.
pub fn tune_det_class(authority: Pubkey, id: u16, rule: DetRule) -> Instruction {
    let accounts = accounts::TuneDetClass { authority, config: config(), det_class: seeds::find_det_class(id).0 };
    build(ID, &accounts, &instruction::TuneDetClass { args: TuneDetClassArgs { rule } })
}

/// Ends a slash ticket 60 days after its last use. Anyone.
pub fn close_ticket(party: &Pubkey, epoch: u32, rent_payer: Pubkey) -> Instruction {
    let ticket = seeds::find_ticket(party, epoch).0;
    build(ID, &accounts::CloseTicket { ticket, rent_payer }, &instruction::CloseTicket {})
}

/// Ends a node 90 days after its delegation. Anyone.
pub fn close_node(worker: &Pubkey, rent_payer: Pubkey) -> Instruction {
    let node = seeds::find_node(worker).0;
    build(ID, &accounts::CloseNode { node, rent_payer }, &instruction::CloseNode {})
}

/// Ends a container 90 days after it was retired. Anyone.
pub fn close_container(id: &[u8; 32], rent_payer: Pubkey) -> Instruction {
    let container = seeds::find_container(id).0;
    build(ID, &accounts::CloseContainer { container, rent_payer }, &instruction::CloseContainer {})
}

/// Ends a weaver's ask whose container is gone. Anyone.
pub fn close_ask(container: &[u8; 32], rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseAsk {
        ask: seeds::find_ask(container, Role::Weaver).0,
        container: seeds::find_container(container).0,
        rent_payer,
    };
    build(ID, &accounts, &instruction::CloseAsk {})
}

/// Ends a snapshot 90 days after its pricing epoch. Anyone.
pub fn close_snapshot(container: &[u8; 32], stage: u8, pricing_epoch: u32, rent_payer: Pubkey) -> Instruction {
    let snapshot = seeds::find_snapshot(container, stage, pricing_epoch).0;
    build(ID, &accounts::CloseSnapshot { config: config(), snapshot, rent_payer }, &instruction::CloseSnapshot {})
}

/// Ends an observation of a past pricing epoch. Anyone.
pub fn close_observation(market: &Pubkey, gateway: &Pubkey, rent_payer: Pubkey) -> Instruction {
    let observation = seeds::find_observation(market, gateway).0;
    let accounts = accounts::CloseObservation { config: config(), observation, rent_payer };
    build(ID, &accounts, &instruction::CloseObservation {})
}
