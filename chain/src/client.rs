//! The RPC client: typed reads of the programs' accounts and the sending of one transaction by a person's wallet.
//! Services send through the outbox instead, which survives a crash.

use crate::error::ChainError;
use anchor_lang::{AccountDeserialize, Discriminator, prelude::Pubkey, solana_program::instruction::Instruction};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use solana_account_decoder_client_types::UiAccountEncoding;
use solana_commitment_config::CommitmentConfig;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_keypair::Keypair;
use solana_message::{Hash, Message};
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::{
    client_error::{Error as RpcError, ErrorKind},
    config::{RpcAccountInfoConfig, RpcProgramAccountsConfig, RpcSimulateTransactionConfig},
    filter::{Memcmp, RpcFilterType},
    request::RpcError as RpcAnswer,
    response::RpcSimulateTransactionResult,
};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::Transaction;
use std::{sync::Arc, time::Duration};

/// RPC servers answer at most this many accounts a call.
const ACCOUNTS_PER_CALL: usize = 100;
/// Compute units above what the simulation used, in per cent: state may move between simulation and execution.
const COMPUTE_MARGIN_PERCENT: u64 = 15;
/// The clock sysvar.
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");
const RPC_TIMEOUT: Duration = Duration::from_secs(10);
const CONFIRM_POLL: Duration = Duration::from_millis(100);

/// A connection to one RPC endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Chain {
    rpc: Arc<RpcClient>,
}

/// A signed transaction, ready to be stored and sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    pub signature: Signature,
    /// Wire format (bincode).
    pub bytes: Vec<u8>,
    pub last_valid_block_height: u64,
    /// Compute units asked for.
    pub compute_limit: u32,
}

/// Where a signature stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionState {
    Unknown,
    Confirmed {
        slot: u64,
    },
    Finalized {
        slot: u64,
    },
    /// It was included and failed; nothing changed but the fee.
    Failed {
        reason: String,
    },
}

impl Chain {
    /// Does not connect yet: the first call does.
    pub fn connect(url: &str) -> Self {
        let rpc =
            RpcClient::new_with_timeout_and_commitment(url.to_owned(), RPC_TIMEOUT, CommitmentConfig::confirmed());
        Self { rpc: Arc::new(rpc) }
    }

    pub fn url(&self) -> String {
        self.rpc.url()
    }

    /// The current slot, when the endpoint answers.
    pub async fn health(&self) -> Result<u64, ChainError> {
        self.rpc.get_slot().await.map_err(|e| self.unreachable(e))
    }

    /// The chain's own time, Unix seconds: windows and epochs run by it.
    pub async fn unix_time(&self) -> Result<i64, ChainError> {
        let address = CLOCK;
        let data = self.data(&address).await?.ok_or(ChainError::Missing {
            what: "clock sysvar",
            address,
            hint: "the RPC endpoint serves no Solana cluster",
        })?;
        // Clock: slot u64, epoch_start i64, epoch u64, leader_schedule_epoch u64, unix_timestamp i64
        match data.get(32..40).and_then(|b| <[u8; 8]>::try_from(b).ok()) {
            Some(bytes) => Ok(i64::from_le_bytes(bytes)),
            None => Err(ChainError::Layout { what: "clock sysvar", address, reason: format!("{} bytes", data.len()) }),
        }
    }

    /// One typed account; `None` when there is none.
    pub async fn account<T: AccountDeserialize>(&self, address: &Pubkey) -> Result<Option<T>, ChainError> {
        self.data(address).await?.map(|data| decode(address, &data)).transpose()
    }

    /// One typed account that must be there.
    pub async fn expect<T: AccountDeserialize>(
        &self,
        what: &'static str,
        address: &Pubkey,
        hint: &'static str,
    ) -> Result<T, ChainError> {
        self.account(address).await?.ok_or(ChainError::Missing { what, address: *address, hint })
    }

    /// Typed accounts in the order asked, in groups of 100.
    pub async fn accounts<T: AccountDeserialize>(&self, addresses: &[Pubkey]) -> Result<Vec<Option<T>>, ChainError> {
        let mut typed = Vec::with_capacity(addresses.len());
        for group in addresses.chunks(ACCOUNTS_PER_CALL) {
            let found = self.rpc.get_multiple_accounts(group).await.map_err(|e| self.unreachable(e))?;
            for (address, account) in group.iter().zip(found) {
                typed.push(account.map(|account| decode(address, &account.data)).transpose()?);
            }
        }
        Ok(typed)
    }

    /// Every account of one type of a program.
    pub async fn all<T: AccountDeserialize + Discriminator>(
        &self,
        program: &Pubkey,
    ) -> Result<Vec<(Pubkey, T)>, ChainError> {
        self.filtered(program, vec![]).await
    }

    /// Every account of one type whose bytes at `offset` (discriminator included) are `bytes`.
    pub async fn all_where<T: AccountDeserialize + Discriminator>(
        &self,
        program: &Pubkey,
        offset: usize,
        bytes: &[u8],
    ) -> Result<Vec<(Pubkey, T)>, ChainError> {
        self.filtered(program, vec![RpcFilterType::Memcmp(Memcmp::new_raw_bytes(offset, bytes.to_vec()))]).await
    }

    async fn filtered<T: AccountDeserialize + Discriminator>(
        &self,
        program: &Pubkey,
        mut filters: Vec<RpcFilterType>,
    ) -> Result<Vec<(Pubkey, T)>, ChainError> {
        filters.push(RpcFilterType::Memcmp(Memcmp::new_raw_bytes(0, T::DISCRIMINATOR.to_vec())));
        let config = RpcProgramAccountsConfig {
            filters: Some(filters),
            account_config: RpcAccountInfoConfig { encoding: Some(UiAccountEncoding::Base64), ..Default::default() },
            ..Default::default()
        };
        let found =
            self.rpc.get_program_ui_accounts_with_config(program, config).await.map_err(|e| self.unreachable(e))?;
        found
            .into_iter()
            .map(|(address, account)| {
                let data = account.data.decode().unwrap_or_default();
                Ok((address, decode(&address, &data)?))
            })
            .collect()
    }

    /// Raw bytes of an account.
    pub async fn data(&self, address: &Pubkey) -> Result<Option<Vec<u8>>, ChainError> {
        let response = self.rpc.get_account_with_commitment(address, CommitmentConfig::confirmed()).await;
        Ok(response.map_err(|e| self.unreachable(e))?.value.map(|account| account.data))
    }

    /// Base units of an SPL token account; 0 when it does not exist.
    pub async fn token_balance(&self, address: &Pubkey) -> Result<u64, ChainError> {
        let Some(data) = self.data(address).await? else { return Ok(0) };
        // SPL token account: mint 32, owner 32, amount u64
        match data.get(64..72).and_then(|b| <[u8; 8]>::try_from(b).ok()) {
            Some(bytes) => Ok(u64::from_le_bytes(bytes)),
            None => Err(ChainError::Layout {
                what: "token account",
                address: *address,
                reason: format!("{} bytes", data.len()),
            }),
        }
    }

    /// Lamports of a wallet.
    pub async fn lamports(&self, address: &Pubkey) -> Result<u64, ChainError> {
        self.rpc.get_balance(address).await.map_err(|e| self.unreachable(e))
    }

    /// Asks a local or test cluster for lamports.
    pub async fn airdrop(&self, to: &Pubkey, lamports: u64) -> Result<Signature, ChainError> {
        self.rpc.request_airdrop(to, lamports).await.map_err(|e| self.unreachable(e))
    }

    /// Simulates, sets the compute limit from what was used, and signs. Sends nothing.
    pub async fn sign(
        &self,
        payer: &Keypair,
        signers: &[&Keypair],
        instructions: &[Instruction],
    ) -> Result<SignedTransaction, ChainError> {
        let (blockhash, last_valid_block_height) = self
            .rpc
            .get_latest_blockhash_with_commitment(CommitmentConfig::confirmed())
            .await
            .map_err(|e| self.unreachable(e))?;
        let keys: Vec<&Keypair> =
            std::iter::once(payer).chain(signers.iter().copied().filter(|k| k.pubkey() != payer.pubkey())).collect();
        let draft = signed(payer, &keys, instructions, blockhash)?;
        let config = RpcSimulateTransactionConfig {
            sig_verify: false,
            replace_recent_blockhash: true,
            commitment: Some(CommitmentConfig::confirmed()),
            ..Default::default()
        };
        let simulated =
            self.rpc.simulate_transaction_with_config(&draft, config).await.map_err(|e| self.unreachable(e))?.value;
        if let Some(refused) = refusal(&simulated) {
            return Err(refused);
        }
        let used = simulated.units_consumed.unwrap_or(200_000);
        // ceiling: a limit one unit short fails the transaction; 300 units pay for the two budget instructions
        let limit = u32::try_from((used * (100 + COMPUTE_MARGIN_PERCENT)).div_ceil(100) + 300)
            .unwrap_or(u32::MAX)
            .min(1_400_000);
        let mut budgeted = vec![ComputeBudgetInstruction::set_compute_unit_limit(limit)];
        // The ed25519 precompile must stand directly before the instruction that reads it, so the budget goes first.
        budgeted.extend_from_slice(instructions);
        let transaction = signed(payer, &keys, &budgeted, blockhash)?;
        let bytes = bincode_bytes(&transaction)?;
        Ok(SignedTransaction {
            signature: transaction.signatures[0],
            bytes,
            last_valid_block_height,
            compute_limit: limit,
        })
    }

    /// Sends stored bytes. An error says nothing about whether they arrived.
    pub async fn submit(&self, bytes: &[u8]) -> Result<(), ChainError> {
        let config = serde_json::json!({ "encoding": "base64", "skipPreflight": true, "maxRetries": 0 });
        let params = serde_json::json!([BASE64.encode(bytes), config]);
        let _: String = self
            .rpc
            .send(solana_rpc_client_api::request::RpcRequest::SendTransaction, params)
            .await
            .map_err(|e| self.unreachable(e))?;
        Ok(())
    }

    /// States of up to 256 signatures, in order; looks into history too.
    pub async fn states(&self, signatures: &[Signature]) -> Result<Vec<TransactionState>, ChainError> {
        let statuses =
            self.rpc.get_signature_statuses_with_history(signatures).await.map_err(|e| self.unreachable(e))?.value;
        Ok(statuses
            .into_iter()
            .map(|status| match status {
                None => TransactionState::Unknown,
                Some(status) => match (&status.err, status.satisfies_commitment(CommitmentConfig::finalized())) {
                    (Some(reason), _) => TransactionState::Failed { reason: reason.to_string() },
                    (None, true) => TransactionState::Finalized { slot: status.slot },
                    (None, false) if status.satisfies_commitment(CommitmentConfig::confirmed()) => {
                        TransactionState::Confirmed { slot: status.slot }
                    }
                    (None, false) => TransactionState::Unknown,
                },
            })
            .collect())
    }

    /// Height of the finalized chain: a transaction is dead only when this passed its last valid height.
    pub async fn finalized_height(&self) -> Result<u64, ChainError> {
        self.rpc.get_block_height_with_commitment(CommitmentConfig::finalized()).await.map_err(|e| self.unreachable(e))
    }

    /// Signs, sends and waits for confirmation: for a person at a terminal, who sees the outcome.
    pub async fn send(
        &self,
        payer: &Keypair,
        signers: &[&Keypair],
        instructions: &[Instruction],
    ) -> Result<Signature, ChainError> {
        let signed = self.sign(payer, signers, instructions).await?;
        self.submit(&signed.bytes).await?;
        let mut polls = tokio::time::interval(CONFIRM_POLL);
        loop {
            polls.tick().await;
            match self.states(&[signed.signature]).await?.pop() {
                Some(TransactionState::Confirmed { .. } | TransactionState::Finalized { .. }) => {
                    return Ok(signed.signature);
                }
                Some(TransactionState::Failed { reason }) => return Err(ChainError::Failed { reason, logs: vec![] }),
                _ if self.finalized_height().await? > signed.last_valid_block_height => {
                    return Err(ChainError::Expired { signature: signed.signature.to_string() });
                }
                _ => {}
            }
        }
    }

    pub(crate) fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    pub(crate) fn unreachable(&self, source: RpcError) -> ChainError {
        let url = self.rpc.url();
        match source.kind() {
            ErrorKind::RpcError(answer @ RpcAnswer::RpcResponseError { .. }) => {
                ChainError::Rpc { url, message: answer.to_string() }
            }
            _ => ChainError::Unreachable { url, source: Box::new(source) },
        }
    }
}

fn decode<T: AccountDeserialize>(address: &Pubkey, data: &[u8]) -> Result<T, ChainError> {
    T::try_deserialize(&mut &data[..]).map_err(|e| ChainError::Layout {
        what: std::any::type_name::<T>(),
        address: *address,
        reason: e.to_string(),
    })
}

fn signed(
    payer: &Keypair,
    keys: &[&Keypair],
    instructions: &[Instruction],
    blockhash: Hash,
) -> Result<Transaction, ChainError> {
    let message = Message::new_with_blockhash(instructions, Some(&payer.pubkey()), &blockhash);
    let mut transaction = Transaction::new_unsigned(message);
    transaction.try_sign(keys, blockhash).map_err(|e| ChainError::Build(e.to_string()))?;
    Ok(transaction)
}

fn bincode_bytes(transaction: &Transaction) -> Result<Vec<u8>, ChainError> {
    let bytes = bincode::serialize(transaction).map_err(|e| ChainError::Build(e.to_string()))?;
    // IPv6 MTU minus headers: what one packet of the network carries
    if bytes.len() > 1232 {
        return Err(ChainError::Build(format!(
            "{} bytes, a transaction holds 1,232; send fewer instructions at once",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Reads Anchor's own log line, which names the error; falls back to the runtime's words.
fn refusal(simulated: &RpcSimulateTransactionResult) -> Option<ChainError> {
    let reason = simulated.err.as_ref()?;
    let logs = simulated.logs.clone().unwrap_or_default();
    Some(parse_refusal(&logs).unwrap_or_else(|| ChainError::Failed { reason: format!("{reason:?}"), logs }))
}

fn parse_refusal(logs: &[String]) -> Option<ChainError> {
    let line = logs.iter().rev().find(|line| line.contains("Error Code: "))?;
    let part = |from: &str, to: &str| line.split(from).nth(1)?.split(to).next().map(str::to_owned);
    let name = part("Error Code: ", ". ")?;
    let code = part("Error Number: ", ". ")?.parse().ok()?;
    let message = line.split("Error Message: ").nth(1)?.trim_end_matches('.').to_owned();
    let failed = logs
        .iter()
        .find_map(|line| line.strip_prefix("Program ").and_then(|rest| rest.split_once(" failed")).map(|(id, _)| id));
    Some(ChainError::Refused { program: program_name(failed.unwrap_or("a program")), code, name, message })
}

fn program_name(id: &str) -> String {
    let known = [(coin::ID, "coin"), (market::ID, "market"), (settlement::ID, "settlement")];
    known
        .iter()
        .find(|(address, _)| address.to_string() == id)
        .map_or_else(|| id.to_owned(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_names_the_program_and_its_error() {
        let logs = vec![
            format!("Program {} invoke [1]", market::ID),
            "Program log: AnchorError thrown in programs/market/src/lib.rs:10. Error Code: BelowMinimumStake. Error Number: 6003. Error Message: The stake is below the role's minimum.".to_owned(),
            format!("Program {} failed: custom program error: 0x1773", market::ID),
        ];
        let ChainError::Refused { program, code, name, message } = parse_refusal(&logs).unwrap() else {
            panic!("not a refusal")
        };
        assert_eq!((program.as_str(), code, name.as_str()), ("market", 6003, "BelowMinimumStake"));
        assert_eq!(message, "The stake is below the role's minimum");
    }
}
