//! The one accepted shape of an instruction to Solana's native ed25519 program: one signature, everything inline, no
//! padding. Parsing is here alone; the program checks the instruction's position and program id around it.

use alloc::vec::Vec;

/// Bytes before the message: 16 of header, public key, signature.
pub const MESSAGE_OFFSET: usize = 112;

const PUBKEY_OFFSET: u16 = 16;
const SIGNATURE_OFFSET: u16 = 48;
const THIS_INSTRUCTION: u16 = u16::MAX;

/// Why instruction data does not prove a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecompileError {
    /// Not exactly header, key, signature and message.
    #[error("ed25519 instruction has the wrong length")]
    Length,
    /// Another number of signatures, another layout, or data in another instruction.
    #[error("ed25519 instruction has another layout")]
    Layout,
    /// Signed with another key.
    #[error("ed25519 instruction is about another key")]
    Pubkey,
    /// Over another message.
    #[error("ed25519 instruction is about another message")]
    Message,
}

/// Instruction data that has the runtime verify `signature` of `message`; `None` for a message above u16::MAX bytes.
pub fn instruction_data(pubkey: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(MESSAGE_OFFSET + message.len());
    data.extend_from_slice(&header(u16::try_from(message.len()).ok()?));
    data.extend_from_slice(pubkey);
    data.extend_from_slice(signature);
    data.extend_from_slice(message);
    Some(data)
}

/// Checks that `data` had the runtime verify a signature by `pubkey` over exactly `message`.
pub fn check(data: &[u8], pubkey: &[u8; 32], message: &[u8]) -> Result<(), PrecompileError> {
    let size = u16::try_from(message.len()).map_err(|_| PrecompileError::Length)?;
    if data.len() != MESSAGE_OFFSET + message.len() {
        return Err(PrecompileError::Length);
    }
    let (head, rest) = data.split_first_chunk::<16>().ok_or(PrecompileError::Length)?;
    let (key, rest) = rest.split_first_chunk::<32>().ok_or(PrecompileError::Length)?;
    let (_, signed) = rest.split_first_chunk::<64>().ok_or(PrecompileError::Length)?;
    if *head != header(size) {
        return Err(PrecompileError::Layout);
    }
    if key != pubkey {
        return Err(PrecompileError::Pubkey);
    }
    if signed != message { Err(PrecompileError::Message) } else { Ok(()) }
}

fn header(message_size: u16) -> [u8; 16] {
    let fields = [
        u16::from_le_bytes([1, 0]), // one signature, then the padding byte
        SIGNATURE_OFFSET,
        THIS_INSTRUCTION,
        PUBKEY_OFFSET,
        THIS_INSTRUCTION,
        MESSAGE_OFFSET as u16,
        message_size,
        THIS_INSTRUCTION,
    ];
    let mut header = [0; 16];
    for (slot, field) in header.chunks_exact_mut(2).zip(fields) {
        slot.copy_from_slice(&field.to_le_bytes());
    }
    header
}
