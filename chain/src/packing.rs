//! How many instructions fit into one transaction. A transaction costs its signature whatever it holds, so steps that
//! follow each other travel together.

use crate::ChainError;
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_message::Message;
use std::ops::Range;

/// Bytes of a transaction: the IPv6 MTU without headers, what one packet of the network carries.
pub const MAX_BYTES: usize = 1_232;
/// Compute that one transaction of packed steps may need, with room below the runtime's 1.4 million.
const MAX_COMPUTE: u64 = 1_000_000;
/// The most that one step of a batch needs.
const STEP_COMPUTE: u64 = 40_000;
/// Bytes of one signature.
const SIGNATURE: usize = 64;

/// Bytes of the transaction that `payer` signs alone, with its compute limit.
pub fn size(payer: &Pubkey, instructions: &[Instruction]) -> Result<usize, ChainError> {
    let mut budgeted = vec![ComputeBudgetInstruction::set_compute_unit_limit(u32::MAX)];
    budgeted.extend_from_slice(instructions);
    let message = Message::new(&budgeted, Some(payer));
    let bytes = bincode::serialized_size(&message).map_err(|e| ChainError::Build(e.to_string()))?;
    let bytes = usize::try_from(bytes).map_err(|e| ChainError::Build(e.to_string()))?;
    // One byte counts the signatures.
    Ok(1 + SIGNATURE * usize::from(message.header.num_required_signatures) + bytes)
}

/// Whether `payer` can send the instructions in one transaction.
pub fn fits(payer: &Pubkey, instructions: &[Instruction]) -> Result<bool, ChainError> {
    let compute = STEP_COMPUTE.saturating_mul(u64::try_from(instructions.len()).unwrap_or(u64::MAX));
    Ok(compute <= MAX_COMPUTE && size(payer, instructions)? <= MAX_BYTES)
}

/// Cuts instructions, in order, into as few transactions as a greedy fill gives. An instruction that does not even fit
/// alone gets a transaction of its own, which the sender then refuses by name.
pub fn pack(payer: &Pubkey, instructions: &[Instruction]) -> Result<Vec<Range<usize>>, ChainError> {
    let mut transactions = Vec::new();
    let mut start = 0;
    for end in 1..=instructions.len() {
        if end - start > 1 && !fits(payer, &instructions[start..end])? {
            transactions.push(start..end - 1);
            start = end - 1;
        }
    }
    if start < instructions.len() {
        transactions.push(start..instructions.len());
    }
    Ok(transactions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anchor_lang::solana_program::instruction::AccountMeta;

    fn instruction(accounts: u8, data: usize) -> Instruction {
        let accounts = (0..accounts).map(|i| AccountMeta::new(Pubkey::new_from_array([i + 10; 32]), false)).collect();
        Instruction { program_id: Pubkey::new_from_array([9; 32]), accounts, data: vec![1; data] }
    }

    #[test]
    fn the_size_is_that_of_the_signed_transaction() {
        let payer = Pubkey::new_from_array([1; 32]);
        // 65 signature, 3 header, 1 + 32 · (payer, 2 programs, 3 accounts), 32 blockhash, 1 instruction count, a limit of
        // 8 bytes, and program, accounts and data with their counts.
        let expected = 65 + 3 + 1 + 32 * 6 + 32 + 1 + 8 + (1 + 1 + 3 + 1 + 20);
        assert_eq!(size(&payer, &[instruction(3, 20)]).unwrap(), expected);
    }

    #[test]
    fn nothing_is_lost_reordered_or_too_large() {
        let payer = Pubkey::new_from_array([1; 32]);
        let parts: Vec<Instruction> = (0..40).map(|i| instruction(5, 50 + i * 13 % 400)).collect();
        let cut = pack(&payer, &parts).unwrap();
        assert!(cut.len() < parts.len());
        assert_eq!(cut.iter().cloned().flatten().collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
        for range in &cut {
            assert!(size(&payer, &parts[range.clone()]).unwrap() <= MAX_BYTES);
        }
        // Each transaction is as full as the next instruction allows.
        for pair in cut.windows(2) {
            assert!(!fits(&payer, &parts[pair[0].start..=pair[0].end]).unwrap());
        }
    }

    #[test]
    fn an_instruction_that_never_fits_stands_alone() {
        let payer = Pubkey::new_from_array([1; 32]);
        let parts = [instruction(1, 10), instruction(1, 2_000), instruction(1, 10)];
        assert_eq!(pack(&payer, &parts).unwrap(), [0..1, 1..2, 2..3]);
        assert!(pack(&payer, &[]).unwrap().is_empty());
    }

    #[test]
    fn compute_bounds_a_transaction_too() {
        let payer = Pubkey::new_from_array([1; 32]);
        let parts: Vec<Instruction> = (0..60).map(|_| instruction(1, 1)).collect();
        assert!(pack(&payer, &parts).unwrap().iter().all(|range| range.len() <= 25));
    }
}
