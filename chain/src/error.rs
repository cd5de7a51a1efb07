//! Why the chain did not do what was asked, in words an operator can act on.

use anchor_lang::prelude::Pubkey;
use solana_rpc_client_api::client_error::Error as RpcError;

#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Nothing is known about the effect of a transaction that was being sent.
    #[error("the RPC endpoint {url} does not answer: {source}; check that it runs and that --rpc names it")]
    Unreachable { url: String, source: Box<RpcError> },
    /// The endpoint works and refused the call.
    #[error("the RPC endpoint {url} answered: {message}")]
    Rpc { url: String, message: String },
    #[error("no {what} at {address}; {hint}")]
    Missing { what: &'static str, address: Pubkey, hint: &'static str },
    #[error("the account {address} is not a {what}: {reason}")]
    Layout { what: &'static str, address: Pubkey, reason: String },
    /// A program said no; nothing changed.
    #[error("{program} refused: {name} ({code}): {message}")]
    Refused { program: String, code: u32, name: String, message: String },
    /// The runtime said no for another reason than a program's own error.
    #[error("the transaction failed: {reason}{}", .logs.last().map(|l| format!(" ({l})")).unwrap_or_default())]
    Failed { reason: String, logs: Vec<String> },
    #[error("the transaction {signature} was not confirmed before its blockhash expired; it had no effect")]
    Expired { signature: String },
    #[error("the message cannot be built: {0}")]
    Build(String),
    #[error(transparent)]
    Store(#[from] waybill_store::StoreError),
}

impl ChainError {
    /// Whether the same request may succeed later without a change on the caller's side.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Rpc { .. } | Self::Expired { .. } | Self::Store(_))
    }

    /// The program's error code, when a program refused.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}
