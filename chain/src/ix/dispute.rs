//! Instructions of disputes: accusations, answers, proofs and outcomes.

use super::{SYSTEM, TOKEN, aic_account, build, event_authority, settlement::gateway_vault};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use coin::state::VaultKind;
use market::state::Role;
use settlement::{
    ID, accounts, instruction,
    instructions::{
        DirectClaimArgs, OpenDisputeArgs, OpenEquivocationArgs, ProveDisputeArgs, ProveOrderArgs, ProvePriceArgs,
        RespondDisputeArgs, RespondLineArgs,
    },
    seeds,
    state::DisputeKind,
};
use waybill_mechanism::{dispute::line_subject, message::Order, precompile};

pub use waybill_mechanism::dispute::message_key;

/// Solana's native ed25519 program.
pub const ED25519: Pubkey = Pubkey::from_str_const("Ed25519SigVerify111111111111111111111111111");
const INSTRUCTIONS: Pubkey = Pubkey::from_str_const("Sysvar1nstructions1111111111111111111111111");

/// Has the runtime verify `signature` of `message`; goes directly before the instruction that reads it. `None` for a
/// message above u16::MAX bytes.
pub fn signature_check(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> Option<Instruction> {
    let data = precompile::instruction_data(key, signature, message)?;
    Some(Instruction { program_id: ED25519, accounts: vec![], data })
}

/// Who accuses and who pays the rent; the bond comes from the challenger's AIC account.
#[derive(Debug, Clone, Copy)]
pub struct Challenger {
    pub payer: Pubkey,
    pub challenger: Pubkey,
}

/// Address of a dispute about a batch.
pub fn batch_dispute(batch: &Pubkey, kind: DisputeKind, index: u32) -> Pubkey {
    seeds::find_dispute(batch, kind.number(), index).0
}

fn config() -> Pubkey {
    seeds::find_config().0
}

fn pool() -> Pubkey {
    seeds::find_pool(&coin::seeds::find_mint().0).0
}

/// Accuses a gateway of a line or receipt of a posted batch (D3, D4, D5, D9). Signed by payer and challenger.
pub fn open_dispute(by: Challenger, batch: Pubkey, args: OpenDisputeArgs) -> Instruction {
    let accounts = accounts::OpenDispute {
        payer: by.payer,
        challenger: by.challenger,
        config: config(),
        rate: coin::seeds::find_rate().0,
        batch,
        dispute: batch_dispute(&batch, args.kind, args.index),
        source: aic_account(&by.challenger),
        pool: pool(),
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::OpenDispute { args })
}

/// First half of an answer to D4; the check of the worker's signature goes directly before. Signed by the gateway.
/// `replaces` is the hash of the receipt staged before, zeros for none.
pub fn stage_evidence(gateway: Pubkey, batch: Pubkey, dispute: Pubkey, replaces: [u8; 32]) -> Instruction {
    let accounts = accounts::StageEvidence { gateway, config: config(), batch, dispute, instructions: INSTRUCTIONS };
    build(ID, &accounts, &instruction::StageEvidence { replaces })
}

/// Shows the receipt that a dispute asks for next (D3, D4). Anyone.
pub fn respond_dispute(batch: Pubkey, dispute: Pubkey, args: RespondDisputeArgs) -> Instruction {
    let accounts = accounts::RespondDispute { config: config(), batch, dispute };
    build(ID, &accounts, &instruction::RespondDispute { args })
}

/// Who gets what when a dispute ends; the accounts are AIC token accounts.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub payer: Pubkey,
    pub dispute: Pubkey,
    pub target: Pubkey,
    /// Owner of the accused party.
    pub accused: Pubkey,
    pub accused_role: Role,
    pub challenger: Pubkey,
    /// Where the bond goes: the challenger's account when it was right, else the accused's.
    pub bond_to: Pubkey,
    /// Where restitution goes; see [`insurance`] for nobody in particular.
    pub harmed: Pubkey,
    /// Settlement epoch of the offence.
    pub epoch: u32,
}

/// The insurance vault, which is harmed where nobody in particular is.
pub fn insurance() -> Pubkey {
    coin::seeds::find_vault(VaultKind::Insurance).0
}

fn slash(of: &Outcome) -> accounts::SlashAccounts {
    let party = market::seeds::find_party(&of.accused, of.accused_role).0;
    accounts::SlashAccounts {
        slasher: seeds::find_slasher().0,
        payer: of.payer,
        market_config: market::seeds::find_config().0,
        mint: coin::seeds::find_mint().0,
        party,
        stake: market::seeds::find_stake(&party).0,
        ticket: market::seeds::find_ticket(&party, of.epoch).0,
        reporter: aic_account(&of.challenger),
        harmed: of.harmed,
        market_event_authority: event_authority(&market::ID),
        market_program: market::ID,
        token_program: TOKEN,
        system_program: SYSTEM,
    }
}

/// Ends a dispute about a batch (D1, D3, D4, D5, D9). Anyone, once its outcome is certain.
pub fn resolve_dispute(of: &Outcome) -> Instruction {
    let accounts = accounts::ResolveDispute {
        config: config(),
        batch: of.target,
        dispute: of.dispute,
        pool: pool(),
        bond_to: of.bond_to,
        slash: slash(of),
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ResolveDispute {})
}

/// Frees the rent of a dispute that is over. Anyone.
pub fn close_dispute(dispute: Pubkey, target: Pubkey, rent_payer: Pubkey) -> Instruction {
    build(ID, &accounts::CloseDispute { dispute, target, rent_payer }, &instruction::CloseDispute {})
}

/// Address of D1 about one line key of an epoch; `batch` is its first shard.
pub fn underpaid_dispute(batch: &Pubkey, line_key: &[u8; 32]) -> Pubkey {
    of_line(batch, line_key, DisputeKind::UnderpaidWorker, 0)
}

/// Address of D8 about one line key of an epoch.
pub fn direct_claim_dispute(gateway: &Pubkey, epoch: u32, line_key: &[u8; 32]) -> Pubkey {
    of_line(&gateway_vault(gateway).0, line_key, DisputeKind::NoBatch, epoch)
}

/// Address of D2 about the last settled nonce of a channel.
pub fn overcharge_dispute(channel: &Pubkey, last_settled_nonce: u64) -> Pubkey {
    let [a, b, c, d, ..] = last_settled_nonce.to_le_bytes();
    let index = u32::from_le_bytes([a, b, c, d]);
    seeds::find_dispute(channel, DisputeKind::Overcharge.number(), index).0
}

/// Address of D6 about the messages with one key; see [`message_key`].
pub fn equivocation_dispute(message_key: &[u8; 32]) -> Pubkey {
    seeds::find_dispute(&Pubkey::new_from_array(*message_key), DisputeKind::Equivocation.number(), 0).0
}

fn of_line(account: &Pubkey, line_key: &[u8; 32], kind: DisputeKind, index: u32) -> Pubkey {
    let subject = Pubkey::new_from_array(line_subject(&account.to_bytes(), line_key));
    seeds::find_dispute(&subject, kind.number(), index).0
}

/// Accuses a gateway of leaving out a worker's work (D1); the check of its countersignature of the worker's last receipt
/// goes directly before. `batch` is the first shard of the epoch. Signed by payer and the worker's operator.
pub fn open_underpaid(by: Challenger, batch: Pubkey, worker: Pubkey, line_key: [u8; 32]) -> Instruction {
    let accounts = accounts::OpenUnderpaid {
        payer: by.payer,
        challenger: by.challenger,
        config: config(),
        rate: coin::seeds::find_rate().0,
        batch,
        node: market::seeds::find_node(&worker).0,
        dispute: underpaid_dispute(&batch, &line_key),
        source: aic_account(&by.challenger),
        pool: pool(),
        instructions: INSTRUCTIONS,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::OpenUnderpaid { line_key })
}

/// Accuses a gateway of settling more than it acknowledged (D2); the check of its charge note goes directly before.
/// Signed by payer and consumer.
pub fn open_overcharge(by: Challenger, channel: Pubkey, last_settled_nonce: u64) -> Instruction {
    let accounts = accounts::OpenOvercharge {
        payer: by.payer,
        challenger: by.challenger,
        config: config(),
        rate: coin::seeds::find_rate().0,
        channel,
        dispute: overcharge_dispute(&channel, last_settled_nonce),
        source: aic_account(&by.challenger),
        pool: pool(),
        instructions: INSTRUCTIONS,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::OpenOvercharge {})
}

/// Accuses a gateway of two contradicting signatures (D6); the check of the first goes directly before. Signed by payer
/// and challenger.
pub fn open_equivocation(by: Challenger, args: OpenEquivocationArgs) -> Instruction {
    let accounts = accounts::OpenEquivocation {
        payer: by.payer,
        challenger: by.challenger,
        config: config(),
        rate: coin::seeds::find_rate().0,
        dispute: equivocation_dispute(&args.message_key),
        source: aic_account(&by.challenger),
        pool: pool(),
        instructions: INSTRUCTIONS,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::OpenEquivocation { args })
}

/// Claims for a worker whose gateway posted nothing (D8); the check of the countersignature of its last receipt goes
/// directly before. Signed by payer and the worker's operator.
pub fn direct_claim(by: Challenger, gateway: Pubkey, worker: Pubkey, args: DirectClaimArgs) -> Instruction {
    let accounts = accounts::DirectClaim {
        payer: by.payer,
        challenger: by.challenger,
        config: config(),
        rate: coin::seeds::find_rate().0,
        node: market::seeds::find_node(&worker).0,
        gateway_vault: gateway_vault(&gateway).0,
        batch: seeds::find_batch(&gateway, args.epoch, 0).0,
        dispute: direct_claim_dispute(&gateway, args.epoch, &args.line_key),
        source: aic_account(&by.challenger),
        pool: pool(),
        instructions: INSTRUCTIONS,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::DirectClaim { args })
}

/// Shows a line of the disputed key (D1); `target` is the first shard, `batch` the line's. Signed by the gateway.
pub fn respond_line(
    gateway: Pubkey,
    target: Pubkey,
    batch: Pubkey,
    dispute: Pubkey,
    args: RespondLineArgs,
) -> Instruction {
    build(ID, &accounts::RespondLine { gateway, target, batch, dispute }, &instruction::RespondLine { args })
}

/// Shows the order of the disputed nonce (D2); the check of the worker's signature of its receipt goes directly before.
/// Anyone.
pub fn respond_overcharge(channel: Pubkey, dispute: Pubkey, worker: Pubkey, order: [u8; Order::LEN]) -> Instruction {
    let accounts = accounts::RespondOvercharge {
        config: config(),
        channel,
        node: market::seeds::find_node(&worker).0,
        dispute,
        instructions: INSTRUCTIONS,
    };
    build(ID, &accounts, &instruction::RespondOvercharge { order })
}

/// Shows a leaf that the challenger argues with (D5, D9); `target` is the disputed batch, `batch` the leaf's.
pub fn prove_dispute(
    challenger: Pubkey,
    target: Pubkey,
    batch: Pubkey,
    dispute: Pubkey,
    args: ProveDisputeArgs,
) -> Instruction {
    build(ID, &accounts::ProveDispute { challenger, target, batch, dispute }, &instruction::ProveDispute { args })
}

/// Proves that two leaves contradict each other (D5).
pub fn prove_order(challenger: Pubkey, dispute: Pubkey, args: ProveOrderArgs) -> Instruction {
    build(ID, &accounts::ProveOrder { challenger, dispute }, &instruction::ProveOrder { args })
}

/// Proves that a receipt costs too much or names a referrer that nobody granted (D9). `channel` goes with `args.order`.
pub fn prove_price(
    challenger: Pubkey,
    batch: Pubkey,
    snapshot: Pubkey,
    channel: Option<Pubkey>,
    dispute: Pubkey,
    args: ProvePriceArgs,
) -> Instruction {
    let accounts = accounts::ProvePrice { challenger, config: config(), batch, snapshot, channel, dispute };
    build(ID, &accounts, &instruction::ProvePrice { args })
}

/// Brings the second of two contradicting messages (D6), whose check goes directly before; `first` is the one that the
/// dispute was opened with.
pub fn prove_equivocation(challenger: Pubkey, dispute: Pubkey, first: Vec<u8>) -> Instruction {
    let accounts = accounts::ProveEquivocation { challenger, config: config(), dispute, instructions: INSTRUCTIONS };
    build(ID, &accounts, &instruction::ProveEquivocation { first })
}

/// Ends D2; the target is the channel. Anyone, once its outcome is certain.
pub fn resolve_overcharge(of: &Outcome) -> Instruction {
    let (vault, token) = gateway_vault(&of.accused);
    let accounts = accounts::ResolveOvercharge {
        config: config(),
        rate: coin::seeds::find_rate().0,
        channel: of.target,
        gateway_vault: vault,
        gateway_token: token,
        dispute: of.dispute,
        pool: pool(),
        bond_to: of.bond_to,
        slash: slash(of),
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ResolveOvercharge {})
}

/// Ends D8; the target is the gateway vault, the epoch the one that was not posted. Anyone, once its outcome is certain.
pub fn resolve_direct_claim(of: &Outcome) -> Instruction {
    let (vault, token) = gateway_vault(&of.accused);
    let accounts = accounts::ResolveDirectClaim {
        config: config(),
        rate: coin::seeds::find_rate().0,
        gateway_vault: vault,
        gateway_token: token,
        batch: seeds::find_batch(&of.accused, of.epoch, 0).0,
        dispute: of.dispute,
        pool: pool(),
        bond_to: of.bond_to,
        slash: slash(of),
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ResolveDirectClaim {})
}

/// Ends D6; the target is the accused key. Anyone, once its outcome is certain.
pub fn resolve_equivocation(of: &Outcome) -> Instruction {
    let accounts = accounts::ResolveEquivocation {
        config: config(),
        dispute: of.dispute,
        pool: pool(),
        bond_to: of.bond_to,
        slash: slash(of),
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ResolveEquivocation {})
}
