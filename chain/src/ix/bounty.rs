//! Instructions of bounties: what a sponsor adds to a curator's share of a container.

use super::{SYSTEM, TOKEN, aic_account, build, event_authority};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::Role;
use settlement::{
    ID, accounts, instruction,
    instructions::{ClaimBountyArgs, OpenBountyArgs},
    seeds,
};
use waybill_mechanism::{amount::pricing_epoch, message::Line};

fn config() -> Pubkey {
    seeds::find_config().0
}
fn mint() -> Pubkey {
    coin::seeds::find_mint().0
}

/// Promises a curator an addition to its share. Signed by the sponsor.
pub fn open_bounty(payer: Pubkey, sponsor: Pubkey, args: OpenBountyArgs) -> Instruction {
    let bounty = seeds::find_bounty(&args.gateway, &args.container, &args.curator, &sponsor).0;
    let accounts = accounts::OpenBounty { payer, sponsor, config: config(), bounty, system_program: SYSTEM };
    build(ID, &accounts, &instruction::OpenBounty { args })
}

/// Puts AIC base units of the sponsor's wallet behind a bounty.
pub fn fund_bounty(sponsor: Pubkey, bounty: Pubkey, amount_aic: u64) -> Instruction {
    let accounts = accounts::FundBounty {
        sponsor,
        config: config(),
        bounty,
        pool: seeds::find_pool(&mint()).0,
        source: aic_account(&sponsor),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::FundBounty { amount_aic })
}

/// Pays a curator what a bounty adds to one line of a final batch. Signed by the curator or the bounty's gateway.
pub fn claim_bounty(
    signer: Pubkey,
    bounty: Pubkey,
    gateway: &Pubkey,
    shard: u16,
    line: &Line,
    proof: Vec<[u8; 40]>,
) -> Instruction {
    let curator = Pubkey::new_from_array(line.referrer);
    let accounts = accounts::ClaimBounty {
        signer,
        config: config(),
        batch: seeds::find_batch(gateway, line.epoch, shard).0,
        snapshot: market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch(line.epoch)).0,
        bounty,
        party: market::seeds::find_party(&curator, Role::Curator).0,
        earnings: seeds::find_earnings(&curator, &mint()).0,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ClaimBounty { args: ClaimBountyArgs { line: line.to_bytes(), proof } })
}

/// Ends a bounty with the running settlement epoch. Signed by the sponsor.
pub fn end_bounty(sponsor: Pubkey, bounty: Pubkey) -> Instruction {
    build(ID, &accounts::EndBounty { sponsor, config: config(), bounty }, &instruction::EndBounty {})
}

/// Credits what an ended bounty has left to the sponsor's earnings.
pub fn close_bounty(sponsor: Pubkey, bounty: Pubkey, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseBounty {
        sponsor,
        config: config(),
        bounty,
        earnings: seeds::find_earnings(&sponsor, &mint()).0,
        rent_payer,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::CloseBounty {})
}
