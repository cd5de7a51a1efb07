//! Instructions of the market program about stake that is taken, and about determinism classes.

use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use anchor_spl::token::spl_token;
use market::{
    ID, accounts, instruction as data,
    instructions::{RegisterDetClassArgs, SlashArgs, TuneDetClassArgs},
    seeds,
    state::{DetRule, Offence},
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
            args: SlashArgs {
                offence: slash.offence,
                restitution_aic: slash.restitution_aic,
                epoch: slash.epoch,
            },
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
