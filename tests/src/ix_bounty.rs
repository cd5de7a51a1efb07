//! Instructions of bounties.

use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::Role;
use settlement::{
    ID, accounts, instruction as data,
    instructions::{ClaimBountyArgs, OpenBountyArgs},
    seeds,
};
use waybill_mechanism::{amount::pricing_epoch, merkle, message::Line};

use crate::{event_authority, ix::instruction};

const TOKEN: Pubkey = anchor_spl::token::ID;

fn mint() -> Pubkey {
    coin::seeds::find_mint().0
}

/// The address of a bounty with these terms.
#[must_use]
pub fn address(sponsor: &Pubkey, args: &OpenBountyArgs) -> Pubkey {
    seeds::find_bounty(&args.gateway, &args.container, &args.curator, sponsor).0
}

pub fn open(payer: Pubkey, sponsor: Pubkey, args: OpenBountyArgs) -> Instruction {
    let accounts = accounts::OpenBounty {
        payer,
        sponsor,
        config: seeds::find_config().0,
        bounty: address(&sponsor, &args),
        system_program: anchor_lang::system_program::ID,
    };
    instruction(ID, &accounts, &data::OpenBounty { args })
}

pub fn fund(sponsor: Pubkey, bounty: Pubkey, source: Pubkey, amount_aic: u64) -> Instruction {
    let accounts = accounts::FundBounty {
        sponsor,
        config: seeds::find_config().0,
        bounty,
        pool: seeds::find_pool(&mint()).0,
        source,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    instruction(ID, &accounts, &data::FundBounty { amount_aic })
}

/// Signed by the curator; [`crate::ix::swap`] makes it anyone else's.
pub fn claim(curator: Pubkey, bounty: Pubkey, batch: Pubkey, line: &Line, proof: &[merkle::Node]) -> Instruction {
    let accounts = accounts::ClaimBounty {
        signer: curator,
        config: seeds::find_config().0,
        batch,
        snapshot: market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch(line.epoch)).0,
        party: market::seeds::find_party(&curator, Role::Curator).0,
        bounty,
        earnings: seeds::find_earnings(&curator, &mint()).0,
        event_authority: event_authority(&ID),
        program: ID,
    };
    let args = ClaimBountyArgs { line: line.to_bytes(), proof: proof.iter().map(merkle::Node::to_bytes).collect() };
    instruction(ID, &accounts, &data::ClaimBounty { args })
}

pub fn end(sponsor: Pubkey, bounty: Pubkey) -> Instruction {
    let accounts = accounts::EndBounty { sponsor, config: seeds::find_config().0, bounty };
    instruction(ID, &accounts, &data::EndBounty {})
}

pub fn close(sponsor: Pubkey, bounty: Pubkey, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseBounty {
        sponsor,
        config: seeds::find_config().0,
        bounty,
        earnings: seeds::find_earnings(&sponsor, &mint()).0,
        rent_payer,
        event_authority: event_authority(&ID),
        program: ID,
    };
    instruction(ID, &accounts, &data::CloseBounty {})
}
