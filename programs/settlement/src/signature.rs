//! Finds the instruction directly before this one in the transaction, without copying. Together with
//! `waybill_mechanism::precompile` this is the whole signature check: if Solana changes the ed25519 program, it changes
//! here.

use anchor_lang::{prelude::*, solana_program::instruction::get_stack_height};

use crate::error::SettleError;

/// The sysvar that holds the transaction's instructions.
const INSTRUCTIONS: Pubkey = pubkey!("Sysvar1nstructions1111111111111111111111111");
/// Solana's native ed25519 program.
pub const ED25519_PROGRAM: Pubkey = pubkey!("Ed25519SigVerify111111111111111111111111111");

/// The height of an instruction of the transaction itself, as opposed to one called by a program.
const TOP_LEVEL: usize = 1;
/// Bytes of one account reference: flags, then key.
const ACCOUNT_META: usize = 33;
/// Where the message begins in an accepted ed25519 instruction.
const MESSAGE: usize = waybill_mechanism::precompile::MESSAGE_OFFSET;

/// Calls `accept` with the data of the ed25519 instruction directly before this one.
///
/// Refuses another sysvar account, a call from another program, being first, and any other program before it.
pub fn with_preceding_ed25519<T>(instructions: &AccountInfo, accept: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    require_keys_eq!(*instructions.key, INSTRUCTIONS, SettleError::SignatureCheck);
    require!(get_stack_height() == TOP_LEVEL, SettleError::SignatureCheck);
    let sysvar = instructions.try_borrow_data()?;
    let (program, data) = preceding(&sysvar).ok_or(SettleError::SignatureCheck)?;
    require!(program == ED25519_PROGRAM.as_ref(), SettleError::SignatureCheck);
    accept(data)
}

/// Checks that `data` verified `key`'s signature over a message of `N` bytes, and returns that message.
pub fn signed_message<'a, const N: usize>(data: &'a [u8], key: &Pubkey) -> Result<&'a [u8; N]> {
    signed_bytes(data, key)?.try_into().map_err(|_| SettleError::SignatureCheck.into())
}

/// [`signed_message`] of any length.
pub fn signed_bytes<'a>(data: &'a [u8], key: &Pubkey) -> Result<&'a [u8]> {
    let message = data.get(MESSAGE..).ok_or(SettleError::SignatureCheck)?;
    waybill_mechanism::precompile::check(data, &key.to_bytes(), message).map_err(|_| SettleError::SignatureCheck)?;
    Ok(message)
}

/// The `N` message bytes of an ed25519 instruction whose signer they name themselves; nothing is proven before
/// [`signed_message`] holds for that signer.
pub fn message<const N: usize>(data: &[u8]) -> Result<&[u8; N]> {
    data.get(MESSAGE..).and_then(|message| message.try_into().ok()).ok_or_else(|| SettleError::SignatureCheck.into())
}

/// Program id and data of the instruction before the current one; `None` when there is none or the bytes are short.
///
/// The sysvar is: count u16, that many offsets u16, the instructions, and at its end the current index u16. An
/// instruction is: account count u16, that many references, program id, data length u16, data.
fn preceding(sysvar: &[u8]) -> Option<(&[u8], &[u8])> {
    let current = sysvar.len().checked_sub(2).and_then(|at| read_u16(sysvar, at))?;
    let index = current.checked_sub(1)?;
    if current >= read_u16(sysvar, 0)? {
        return None;
    }
    let start = read_u16(sysvar, index.checked_add(1)?.checked_mul(2)?)?;
    let accounts = read_u16(sysvar, start)?.checked_mul(ACCOUNT_META)?;
    let program_at = start.checked_add(2)?.checked_add(accounts)?;
    let length_at = program_at.checked_add(32)?;
    let data_at = length_at.checked_add(2)?;
    let data_end = data_at.checked_add(read_u16(sysvar, length_at)?)?;
    Some((sysvar.get(program_at..length_at)?, sysvar.get(data_at..data_end)?))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use anchor_lang::solana_program::sysvar::instructions::{
        BorrowedAccountMeta, BorrowedInstruction, construct_instructions_data,
    };

    use super::*;

    /// The sysvar of a transaction with the given instructions, as the runtime writes it, while `current` runs.
    fn sysvar(instructions: &[(Pubkey, usize, Vec<u8>)], current: u16) -> Vec<u8> {
        let account = Pubkey::new_from_array([9; 32]);
        let borrowed: Vec<_> = instructions
            .iter()
            .map(|(program_id, accounts, data)| BorrowedInstruction {
                program_id,
                accounts: (0..*accounts)
                    .map(|_| BorrowedAccountMeta { pubkey: &account, is_signer: true, is_writable: false })
                    .collect(),
                data,
            })
            .collect();
        let mut bytes = construct_instructions_data(&borrowed);
        let end = bytes.len() - 2;
        bytes[end..].copy_from_slice(&current.to_le_bytes());
        bytes
    }

    fn transaction() -> Vec<(Pubkey, usize, Vec<u8>)> {
        let other = Pubkey::new_from_array([3; 32]);
        vec![
            (other, 2, vec![1, 2, 3]),
            (ED25519_PROGRAM, 0, vec![7; 218]),
            (crate::ID, 11, vec![5; 16]),
            (ED25519_PROGRAM, 0, vec![8; 218]),
        ]
    }

    #[test]
    fn the_instruction_directly_before_is_found() {
        let transaction = transaction();
        for current in 1..4u16 {
            let bytes = sysvar(&transaction, current);
            let (program, _, data) = &transaction[usize::from(current) - 1];
            assert_eq!(preceding(&bytes), Some((program.as_ref(), data.as_slice())));
        }
    }

    #[test]
    fn the_first_instruction_has_none_before_it() {
        assert_eq!(preceding(&sysvar(&transaction(), 0)), None);
    }

    #[test]
    fn an_index_outside_the_transaction_finds_nothing() {
        for current in [4, 5, u16::MAX] {
            assert_eq!(preceding(&sysvar(&transaction(), current)), None);
        }
    }

    #[test]
    fn cut_bytes_never_panic() {
        let bytes = sysvar(&transaction(), 2);
        for end in 0..bytes.len() {
            let mut cut = bytes[..end].to_vec();
            let _ = preceding(&cut);
            // The same with a plausible index at the end.
            cut.extend_from_slice(&2u16.to_le_bytes());
            let _ = preceding(&cut);
        }
    }

    #[test]
    fn a_message_is_returned_only_for_its_key_and_length() {
        let key = Pubkey::new_from_array([4; 32]);
        let message = [6u8; 106];
        let data = waybill_mechanism::precompile::instruction_data(&key.to_bytes(), &[1; 64], &message).unwrap();
        assert_eq!(data.len(), 218);
        assert_eq!(signed_message::<106>(&data, &key).unwrap(), &message);
        assert!(signed_message::<105>(&data, &key).is_err());
        assert!(signed_message::<107>(&data, &key).is_err());
        assert!(signed_message::<106>(&data, &Pubkey::new_from_array([5; 32])).is_err());
        for at in 0..MESSAGE {
            let mut flipped = data.clone();
            flipped[at] ^= 1;
            // The 64 bytes of the signature are the runtime's to check.
            let is_signature = (48..112).contains(&at);
            assert_eq!(signed_message::<106>(&flipped, &key).is_ok(), is_signature, "byte {at}");
        }
    }
}
