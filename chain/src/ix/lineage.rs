//! Instructions of lineage: on what terms others may derive from a model, the link of a derivative, the royalty table of
//! a pricing epoch and the sharing of what it earned.

use super::{SYSTEM, build, event_authority, meta};
use crate::{Chain, ChainError};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::{
    accounts, instruction,
    instructions::{LinkLicenseArgs, RollRoyaltiesArgs, SetCeilingArgs},
    seeds,
    state::{Artifact, Role, Royalties},
};

fn ask(artifact: &[u8; 32]) -> Pubkey {
    seeds::find_ask(artifact, Role::Vendor).0
}

/// Opens or closes a model for derivatives, with the most its vendor's ask will count in them. Signed by the vendor, who
/// has posted an ask for it.
pub fn set_ceiling(vendor: Pubkey, artifact: &[u8; 32], open: bool, ceiling_nc: u64) -> Instruction {
    let accounts = accounts::SetCeiling {
        vendor,
        config: seeds::find_config().0,
        artifact: seeds::find_artifact(artifact).0,
        ask: ask(artifact),
    };
    build(market::ID, &accounts, &instruction::SetCeiling { args: SetCeilingArgs { open, ceiling_nc } })
}

/// Declares a model a derivative of another, if the ceiling is no higher than `max_ceiling_nc`. Signed by its vendor.
pub fn link_license(vendor: Pubkey, derivative: &[u8; 32], parent: &[u8; 32], max_ceiling_nc: u64) -> Instruction {
    let accounts = accounts::LinkLicense {
        vendor,
        config: seeds::find_config().0,
        derivative: seeds::find_artifact(derivative).0,
        parent: seeds::find_artifact(parent).0,
    };
    build(market::ID, &accounts, &instruction::LinkLicense { args: LinkLicenseArgs { max_ceiling_nc } })
}

/// Freezes the royalty table of a derived model for a pricing epoch. Anyone; the lineage is read from the chain.
pub async fn roll_royalties(
    chain: &Chain,
    payer: Pubkey,
    artifact: &[u8; 32],
    pricing_epoch: u32,
) -> Result<Instruction, ChainError> {
    let address = seeds::find_artifact(artifact).0;
    let account: Artifact = chain.expect("artifact", &address, "register it first").await?;
    let accounts = accounts::RollRoyalties {
        payer,
        config: seeds::find_config().0,
        artifact: address,
        ask: ask(artifact),
        royalties: seeds::find_royalties(artifact, pricing_epoch).0,
        system_program: SYSTEM,
    };
    let args = RollRoyaltiesArgs { pricing_epoch };
    let mut instruction = build(market::ID, &accounts, &instruction::RollRoyalties { args });
    let asks = account.ancestors().iter().map(|ancestor| meta(ask(&ancestor.artifact), false, false));
    instruction.accounts.extend(asks);
    Ok(instruction)
}

/// Shares what a royalty table's address earned among its rows, each of which has earnings open. Anyone.
pub fn share_royalties(address: Pubkey, royalties: &Royalties) -> Instruction {
    let mint = coin::seeds::find_mint().0;
    let earnings = |owner: &Pubkey| settlement::seeds::find_earnings(owner, &mint).0;
    let accounts = settlement::accounts::ShareRoyalties {
        config: settlement::seeds::find_config().0,
        royalties: address,
        pot: earnings(&address),
        event_authority: event_authority(&settlement::ID),
        program: settlement::ID,
    };
    let mut instruction = build(settlement::ID, &accounts, &settlement::instruction::ShareRoyalties {});
    instruction.accounts.extend(royalties.rows().iter().map(|row| meta(earnings(&row.owner), false, true)));
    instruction
}

/// Ends a royalty table that no claim needs, and the earnings of its address, in which nothing waits. Anyone.
pub fn close_royalties(royalties: Pubkey, rent_payer: Pubkey, pot_rent_payer: Pubkey) -> Instruction {
    let accounts = settlement::accounts::CloseRoyalties {
        config: settlement::seeds::find_config().0,
        slasher: settlement::seeds::find_slasher().0,
        market_config: seeds::find_config().0,
        royalties,
        pot: settlement::seeds::find_earnings(&royalties, &coin::seeds::find_mint().0).0,
        rent_payer,
        pot_rent_payer,
        market_program: market::ID,
    };
    build(settlement::ID, &accounts, &settlement::instruction::CloseRoyalties {})
}
