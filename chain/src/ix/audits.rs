//! Instructions of the settlement program's audits. In order: [`seed_audits`] draws a posted batch; [`stage_receipt`] and
//! [`open_audit`] open one draw; verifiers sign a [`Verdict`] that [`submit_verdict`] delivers; [`resolve_audit`] books the
//! outcome; [`forfeit_line`], [`punish_worker`], [`punish_verifier`], [`pay_verifier`] and [`settle_bond`] do what follows;
//! [`close_audit`] returns the rent. Everything but joining, leaving and canaries is permissionless.

use super::{SYSTEM, TOKEN, build, event_authority};
use crate::ix::aic_account;
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use coin::state::VaultKind;
use market::state::Role;
use settlement::{
    ID, accounts, instruction,
    instructions::{ForfeitLineArgs, OpenAuditArgs},
    seeds,
    state::{Audit, StagedReceipt},
};
use waybill_mechanism::{
    message::{Line, Receipt, Verdict},
    precompile,
};

/// Solana's native ed25519 program.
const ED25519: Pubkey = Pubkey::from_str_const("Ed25519SigVerify111111111111111111111111111");
/// The sysvar that holds the transaction's instructions.
const INSTRUCTIONS: Pubkey = Pubkey::from_str_const("Sysvar1nstructions1111111111111111111111111");
/// The sysvar that holds the hashes of the last 512 slots.
const SLOT_HASHES: Pubkey = Pubkey::from_str_const("SysvarS1otHashes111111111111111111111111111");

fn mint() -> Pubkey {
    coin::seeds::find_mint().0
}
fn config() -> Pubkey {
    seeds::find_config().0
}
fn pool() -> Pubkey {
    seeds::find_pool(&mint()).0
}
fn audits() -> Pubkey {
    seeds::find_audits(&mint()).0
}
fn market_config() -> Pubkey {
    market::seeds::find_config().0
}

/// The ed25519 instruction that has the runtime verify `signature` of a message of at most 65,535 bytes; it goes directly
/// before the instruction that reads it.
fn signature_check(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> Instruction {
    let data = precompile::instruction_data(key, signature, message).unwrap_or_default();
    Instruction { program_id: ED25519, accounts: vec![], data }
}

/// Draws the audits of a posted batch, 32 slots after its posting. Anyone.
pub fn seed_audits(batch: Pubkey) -> Instruction {
    build(ID, &accounts::SeedAudits { config: config(), batch, slot_hashes: SLOT_HASHES }, &instruction::SeedAudits {})
}

/// Creates the set of verifiers of a class. Anyone.
pub fn create_verifier_set(payer: Pubkey, det_class: u16) -> Instruction {
    let accounts = accounts::CreateVerifierSet {
        payer,
        config: config(),
        class: market::seeds::find_det_class(det_class).0,
        set: seeds::find_verifier_set(det_class).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::CreateVerifierSet { det_class })
}

/// Takes a seat; signed by the owner of the `Party(Verifier)` and by the node that will sign verdicts.
pub fn join_verifiers(owner: Pubkey, node: Pubkey, det_class: u16) -> Instruction {
    let accounts = accounts::JoinVerifiers {
        owner,
        node,
        config: config(),
        market_config: market_config(),
        party: market::seeds::find_party(&owner, Role::Verifier).0,
        set: seeds::find_verifier_set(det_class).0,
    };
    build(ID, &accounts, &instruction::JoinVerifiers {})
}

/// Gives up a seat; signed by its owner.
pub fn leave_verifiers(owner: Pubkey, det_class: u16, seat: u8) -> Instruction {
    let accounts = accounts::LeaveVerifiers { owner, set: seeds::find_verifier_set(det_class).0 };
    build(ID, &accounts, &instruction::LeaveVerifiers { seat })
}

/// Ends the seat of a verifier without its stake. Anyone.
pub fn evict_verifier(owner: Pubkey, det_class: u16, seat: u8) -> Instruction {
    let accounts = accounts::EvictVerifier {
        market_config: market_config(),
        party: market::seeds::find_party(&owner, Role::Verifier).0,
        set: seeds::find_verifier_set(det_class).0,
    };
    build(ID, &accounts, &instruction::EvictVerifier { seat })
}

/// Remembers a receipt that its worker signed; both instructions go into one transaction, in this order. Anyone.
pub fn stage_receipt(payer: Pubkey, receipt: &Receipt, worker_signature: &[u8; 64]) -> [Instruction; 2] {
    let receipt_hash = receipt.hash();
    let accounts = accounts::StageReceipt {
        payer,
        config: config(),
        staged: seeds::find_staged(&receipt_hash).0,
        instructions: INSTRUCTIONS,
        system_program: SYSTEM,
    };
    [
        signature_check(&receipt.worker, worker_signature, &receipt.to_bytes()),
        build(ID, &accounts, &instruction::StageReceipt { receipt_hash }),
    ]
}

/// Returns the rent of a staged receipt that no audit used; signed by whoever paid it.
pub fn unstage_receipt(rent_payer: Pubkey, receipt_hash: &[u8; 32]) -> Instruction {
    let accounts = accounts::UnstageReceipt { rent_payer, staged: seeds::find_staged(receipt_hash).0 };
    build(ID, &accounts, &instruction::UnstageReceipt {})
}

/// Opens the audit of a draw: `args.receipt` is the index of the staged receipt in the receipts tree, `args.proof` its
/// siblings. Refused when the draw hits another receipt, or spares the worker (`mechanism::audit::is_spared`). Anyone.
pub fn open_audit(payer: Pubkey, batch: Pubkey, staged: &StagedReceipt, args: OpenAuditArgs) -> Instruction {
    let accounts = accounts::OpenAudit {
        payer,
        config: config(),
        batch,
        staged: seeds::find_staged(&staged.hash).0,
        stager: staged.rent_payer,
        node: market::seeds::find_node(&staged.worker).0,
        set: seeds::find_verifier_set(staged.det_class).0,
        record: seeds::find_record(&staged.worker).0,
        audit: seeds::find_audit(&batch, args.draw).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::OpenAudit { args })
}

/// Delivers a verdict that the node of the chair's seat signed; both instructions go into one transaction, in this order.
/// `verdict.audit` is the audit's address. Anyone.
pub fn submit_verdict(det_class: u16, node: &Pubkey, verdict: &Verdict, signature: &[u8; 64]) -> [Instruction; 2] {
    let accounts = accounts::SubmitVerdict {
        config: config(),
        set: seeds::find_verifier_set(det_class).0,
        audit: Pubkey::new_from_array(verdict.audit),
        instructions: INSTRUCTIONS,
    };
    [
        signature_check(&node.to_bytes(), signature, &verdict.to_bytes()),
        build(ID, &accounts, &instruction::SubmitVerdict {}),
    ]
}

/// Contests a pass or appeals a panel's decision; the appellant signs and lays the bond from its AIC account.
pub fn appeal_audit(appellant: Pubkey, audit: Pubkey) -> Instruction {
    let accounts = accounts::AppealAudit {
        appellant,
        config: config(),
        rate: coin::seeds::find_rate().0,
        audit,
        source: aic_account(&appellant),
        pool: pool(),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::AppealAudit {})
}

/// Ends a round whose time is over and books the outcome. Anyone, from `Audit.deadline` on.
pub fn resolve_audit(address: Pubkey, audit: &Audit) -> Instruction {
    let accounts = accounts::ResolveAudit {
        config: config(),
        batch: audit.batch,
        audit: address,
        record: seeds::find_record(&audit.worker).0,
    };
    build(ID, &accounts, &instruction::ResolveAudit {})
}

/// Voids the line that covers a receipt which failed. Anyone.
pub fn forfeit_line(address: Pubkey, audit: &Audit, line: &Line, proof: Vec<[u8; 40]>) -> Instruction {
    let accounts = accounts::ForfeitLine {
        config: config(),
        batch: audit.batch,
        audit: address,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::ForfeitLine { args: ForfeitLineArgs { line: line.to_bytes(), proof } })
}

/// Ends the wait for a line that nobody forfeited. Anyone, four verdict times after the last deadline.
pub fn waive_forfeit(address: Pubkey, audit: &Audit) -> Instruction {
    let accounts = accounts::WaiveForfeit { config: config(), batch: audit.batch, audit: address };
    build(ID, &accounts, &instruction::WaiveForfeit {})
}

/// The accounts of a slash of `owner` in a role for an offence of an epoch; `reporter` and `harmed` are token accounts.
fn slash_accounts(
    payer: Pubkey,
    owner: &Pubkey,
    role: Role,
    epoch: u32,
    reporter: Pubkey,
    harmed: Pubkey,
) -> settlement::slash::__client_accounts_slash_accounts::SlashAccounts {
    let party = market::seeds::find_party(owner, role).0;
    settlement::slash::__client_accounts_slash_accounts::SlashAccounts {
        slasher: seeds::find_slasher().0,
        payer,
        market_config: market_config(),
        mint: mint(),
        party,
        stake: market::seeds::find_stake(&party).0,
        ticket: market::seeds::find_ticket(&party, epoch).0,
        reporter,
        harmed,
        market_event_authority: event_authority(&market::ID),
        market_program: market::ID,
        token_program: TOKEN,
        system_program: SYSTEM,
    }
}

/// Slashes the operator of a worker whose output failed. `reporter` is the owner of chair 0 when it accused, else whoever
/// contested its pass; its AIC account receives. Anyone.
pub fn punish_worker(payer: Pubkey, address: Pubkey, audit: &Audit, reporter: &Pubkey) -> Instruction {
    let insurance = coin::seeds::find_vault(VaultKind::Insurance).0;
    let accounts = accounts::PunishWorker {
        config: config(),
        set: seeds::find_verifier_set(audit.det_class).0,
        audit: address,
        slash: slash_accounts(payer, &audit.operator, Role::Provider, audit.epoch, aic_account(reporter), insurance),
    };
    build(ID, &accounts, &instruction::PunishWorker {})
}

/// Slashes the verifier of a chair, whose seat `owner` holds, for a false or missing verdict. Anyone.
pub fn punish_verifier(payer: Pubkey, address: Pubkey, audit: &Audit, chair: u8, owner: &Pubkey) -> Instruction {
    let harmed = if audit.accuses(chair) {
        aic_account(&audit.operator)
    } else {
        coin::seeds::find_vault(VaultKind::Insurance).0
    };
    let accounts = accounts::PunishVerifier {
        config: config(),
        set: seeds::find_verifier_set(audit.det_class).0,
        audit: address,
        slash: slash_accounts(payer, owner, Role::Verifier, audit.epoch, audits(), harmed),
    };
    build(ID, &accounts, &instruction::PunishVerifier { chair })
}

/// Pays the verifier of a chair; `owner` owns its seat and has earnings. Anyone.
pub fn pay_verifier(address: Pubkey, audit: &Audit, chair: u8, owner: Pubkey) -> Instruction {
    let accounts = accounts::PayVerifier {
        config: config(),
        set: seeds::find_verifier_set(audit.det_class).0,
        audit: address,
        earnings: seeds::find_earnings(&owner, &mint()).0,
        audits: audits(),
        pool: pool(),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::PayVerifier { chair })
}

/// Returns or takes bond `index` (0: contest of the first verdict, 1: appeal) of an audit that `by` laid. Anyone.
pub fn settle_bond(address: Pubkey, by: &Pubkey, index: u8) -> Instruction {
    let accounts = accounts::SettleBond {
        config: config(),
        audit: address,
        pool: pool(),
        audits: audits(),
        destination: aic_account(by),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::SettleBond { index })
}

/// Returns the rent of a finished audit. Anyone, when its batch is final.
pub fn close_audit(address: Pubkey, audit: &Audit) -> Instruction {
    let accounts =
        accounts::CloseAudit { config: config(), batch: audit.batch, audit: address, rent_payer: audit.rent_payer };
    build(ID, &accounts, &instruction::CloseAudit {})
}

/// Commits to a planted receipt; the params authority signs. `commitment` is `mechanism::audit::canary_commitment`.
pub fn commit_canary(payer: Pubkey, authority: Pubkey, commitment: [u8; 32]) -> Instruction {
    let accounts = accounts::CommitCanary {
        payer,
        authority,
        config: config(),
        canary: seeds::find_canary(&commitment).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::CommitCanary { commitment })
}

/// Reveals that an audited receipt was planted; the params authority signs.
pub fn reveal_canary(
    authority: Pubkey,
    address: Pubkey,
    audit: &Audit,
    rent_payer: Pubkey,
    salt: [u8; 32],
) -> Instruction {
    let commitment = waybill_mechanism::audit::canary_commitment(&audit.receipt_hash, &salt);
    let accounts = accounts::RevealCanary {
        authority,
        config: config(),
        canary: seeds::find_canary(&commitment).0,
        rent_payer,
        audit: address,
    };
    build(ID, &accounts, &instruction::RevealCanary { salt })
}
