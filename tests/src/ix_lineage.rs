//! Instructions of lineage: licences, links, royalty tables and their sharing.

use anchor_lang::{
    prelude::Pubkey,
    solana_program::instruction::{AccountMeta, Instruction},
};
use market::{
    accounts, instruction as data,
    instructions::{LinkLicenseArgs, RollRoyaltiesArgs, SetCeilingArgs},
    seeds,
    state::{Role, Royalties},
};

use crate::{
    event_authority,
    ix::{
        instruction,
        market_ix::{Roll, roll_container},
    },
};

pub fn set_ceiling(vendor: Pubkey, artifact: &[u8; 32], open: bool, ceiling_nc: u64) -> Instruction {
    instruction(
        market::ID,
        &accounts::SetCeiling {
            vendor,
            config: seeds::find_config().0,
            artifact: seeds::find_artifact(artifact).0,
            ask: seeds::find_ask(artifact, Role::Vendor).0,
        },
        &data::SetCeiling { args: SetCeilingArgs { open, ceiling_nc } },
    )
}

pub fn link_license(vendor: Pubkey, derivative: &[u8; 32], parent: &[u8; 32], max_ceiling_nc: u64) -> Instruction {
    instruction(
        market::ID,
        &accounts::LinkLicense {
            vendor,
            config: seeds::find_config().0,
            derivative: seeds::find_artifact(derivative).0,
            parent: seeds::find_artifact(parent).0,
        },
        &data::LinkLicense { args: LinkLicenseArgs { max_ceiling_nc } },
    )
}

pub fn roll_royalties(payer: Pubkey, artifact: &[u8; 32], ancestors: &[[u8; 32]], pricing_epoch: u32) -> Instruction {
    let mut built = instruction(
        market::ID,
        &accounts::RollRoyalties {
            payer,
            config: seeds::find_config().0,
            artifact: seeds::find_artifact(artifact).0,
            ask: seeds::find_ask(artifact, Role::Vendor).0,
            royalties: seeds::find_royalties(artifact, pricing_epoch).0,
            system_program: anchor_lang::system_program::ID,
        },
        &data::RollRoyalties { args: RollRoyaltiesArgs { pricing_epoch } },
    );
    let asks = ancestors.iter().map(|hash| seeds::find_ask(hash, Role::Vendor).0);
    built.accounts.extend(asks.map(|ask| AccountMeta::new_readonly(ask, false)));
    built
}

/// `roll_container` of a derived model: its royalty table is the first remaining account.
pub fn roll_derived(roll: &Roll<'_>) -> Instruction {
    let mut built = roll_container(roll);
    let stage = &roll.stages[usize::from(roll.stage)];
    let others = roll.stages.iter().filter(|other| other.market != stage.market).count();
    let royalties = seeds::find_royalties(&stage.artifact, roll.pricing_epoch).0;
    built.accounts.insert(built.accounts.len() - others, AccountMeta::new_readonly(royalties, false));
    built
}

/// Ends a royalty table and the earnings of its address.
pub fn close_royalties(mint: &Pubkey, royalties: Pubkey, rent_payer: Pubkey) -> Instruction {
    instruction(
        settlement::ID,
        &settlement::accounts::CloseRoyalties {
            config: settlement::seeds::find_config().0,
            slasher: Pubkey::find_program_address(&[settlement::seeds::SLASHER], &settlement::ID).0,
            market_config: seeds::find_config().0,
            royalties,
            pot: settlement::seeds::find_earnings(&royalties, mint).0,
            rent_payer,
            pot_rent_payer: rent_payer,
            market_program: market::ID,
        },
        &settlement::instruction::CloseRoyalties {},
    )
}

/// The market's half of it, which anyone may try.
pub fn close_royalties_directly(slasher: Pubkey, royalties: Pubkey, rent_payer: Pubkey) -> Instruction {
    instruction(
        market::ID,
        &accounts::CloseRoyalties { slasher, config: seeds::find_config().0, royalties, rent_payer },
        &data::CloseRoyalties {},
    )
}

/// Shares out what a royalty table's address has earned.
pub fn share_royalties(mint: &Pubkey, address: Pubkey, royalties: &Royalties) -> Instruction {
    let earnings = |owner: &Pubkey| settlement::seeds::find_earnings(owner, mint).0;
    let mut built = instruction(
        settlement::ID,
        &settlement::accounts::ShareRoyalties {
            config: settlement::seeds::find_config().0,
            royalties: address,
            pot: earnings(&address),
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        },
        &settlement::instruction::ShareRoyalties {},
    );
    built.accounts.extend(royalties.rows().iter().map(|row| AccountMeta::new(earnings(&row.owner), false)));
    built
}

pub fn set_beta(creator: Pubkey, container: &[u8; 32], beta_bps: u16) -> Instruction {
    instruction(
        market::ID,
        &accounts::SetBeta { creator, config: seeds::find_config().0, container: seeds::find_container(container).0 },
        &data::SetBeta { args: market::instructions::SetBetaArgs { beta_bps } },
    )
}
