//! Steps of disputes that services and people take: what to send, built from the chain's state when it is signed.

use crate::{
    Chain, ChainError,
    ix::{self, dispute as build},
};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::Role;
use serde::{Deserialize, Serialize};
use settlement::{
    instructions::{RespondDisputeArgs, RespondLineArgs},
    state::{Batch, Channel, Dispute, DisputeKind, DisputeState, GatewayVault, SettleConfig},
};
use waybill_mechanism::{
    dispute::{line_owner, staged},
    merkle::PROOF_NODE_LEN,
    message::{Line, Order, Receipt},
};

/// One step of an accused gateway, or anyone's last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum DisputeStep {
    /// D4: has the worker's signature of a receipt verified.
    Stage {
        batch: [u8; 32],
        dispute: [u8; 32],
        #[serde(with = "hex::serde")]
        receipt: Vec<u8>,
        #[serde(with = "hex::serde")]
        worker_signature: Vec<u8>,
    },
    /// D3, D4: shows a receipt.
    Respond {
        batch: [u8; 32],
        dispute: [u8; 32],
        #[serde(with = "hex::serde")]
        receipt: Vec<u8>,
        #[serde(with = "crate::intent::hex_list")]
        proof: Vec<[u8; PROOF_NODE_LEN]>,
    },
    /// D1: shows a line of a shard.
    RespondLine {
        target: [u8; 32],
        batch: [u8; 32],
        dispute: [u8; 32],
        #[serde(with = "hex::serde")]
        line: Vec<u8>,
        #[serde(with = "crate::intent::hex_list")]
        proof: Vec<[u8; PROOF_NODE_LEN]>,
    },
    /// D2: shows the order of the disputed nonce and the receipt that served it.
    RespondOvercharge {
        channel: [u8; 32],
        dispute: [u8; 32],
        #[serde(with = "hex::serde")]
        receipt: Vec<u8>,
        #[serde(with = "hex::serde")]
        worker_signature: Vec<u8>,
        #[serde(with = "hex::serde")]
        order: Vec<u8>,
    },
    /// Ends a dispute whose outcome is certain.
    Resolve { dispute: [u8; 32] },
}

impl DisputeStep {
    /// The instructions that do it now, paid and signed by `payer`, who is the gateway where a gateway must sign.
    pub async fn instructions(&self, chain: &Chain, payer: Pubkey) -> Result<Vec<Instruction>, ChainError> {
        Ok(match self {
            Self::Stage { batch, dispute, receipt, worker_signature } => {
                let (receipt, signature) = (exact(receipt, "receipt")?, exact(worker_signature, "signature")?);
                let dispute = Pubkey::new_from_array(*dispute);
                let replaces = replaced(&read(chain, &dispute).await?, &receipt)?;
                let worker = parse_receipt(&receipt)?.worker;
                let batch = Pubkey::new_from_array(*batch);
                vec![signed(&worker, &signature, &receipt)?, build::stage_evidence(payer, batch, dispute, replaces)]
            }
            Self::Respond { batch, dispute, receipt, proof } => {
                let args = RespondDisputeArgs { receipt: exact(receipt, "receipt")?, proof: proof.clone() };
                vec![build::respond_dispute(Pubkey::new_from_array(*batch), Pubkey::new_from_array(*dispute), args)]
            }
            Self::RespondLine { target, batch, dispute, line, proof } => {
                let args = RespondLineArgs { line: exact::<{ Line::LEN }>(line, "line")?, proof: proof.clone() };
                let [target, batch, dispute] = [target, batch, dispute].map(|key| Pubkey::new_from_array(*key));
                vec![build::respond_line(payer, target, batch, dispute, args)]
            }
            Self::RespondOvercharge { channel, dispute, receipt, worker_signature, order } => {
                let receipt: [u8; Receipt::LEN] = exact(receipt, "receipt")?;
                let worker = parse_receipt(&receipt)?.worker;
                let order: [u8; Order::LEN] = exact(order, "order")?;
                let [channel, dispute] = [channel, dispute].map(|key| Pubkey::new_from_array(*key));
                vec![
                    signed(&worker, &exact(worker_signature, "signature")?, &receipt)?,
                    build::respond_overcharge(channel, dispute, Pubkey::new_from_array(worker), order),
                ]
            }
            Self::Resolve { dispute } => {
                vec![resolve(chain, payer, Pubkey::new_from_array(*dispute)).await?]
            }
        })
    }
}

/// The instruction before that has the runtime verify a signature.
pub fn signed(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> Result<Instruction, ChainError> {
    build::signature_check(key, signature, message)
        .ok_or_else(|| ChainError::Build("the signed message is too long for a transaction".to_owned()))
}

/// Whether `receipt` is staged already as an answer to D4.
pub fn is_staged(dispute: &Dispute, receipt: &Receipt) -> bool {
    staged(&line_owner(&receipt.line_key, &receipt.worker), &receipt.hash()) == dispute.digest
}

/// What staging `receipt` replaces: nothing yet.
fn replaced(dispute: &Dispute, receipt: &[u8; Receipt::LEN]) -> Result<[u8; 32], ChainError> {
    let receipt = parse_receipt(receipt)?;
    let nothing = [0; 32];
    let owner = line_owner(&receipt.line_key, &receipt.worker);
    if staged(&owner, &nothing) == dispute.digest {
        return Ok(nothing);
    }
    Err(ChainError::Build("the dispute is about another line, or another receipt is staged for it".to_owned()))
}

fn parse_receipt(bytes: &[u8]) -> Result<Receipt, ChainError> {
    Receipt::from_bytes(bytes).map_err(|error| ChainError::Build(format!("the receipt cannot be read: {error}")))
}

fn exact<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], ChainError> {
    bytes.try_into().map_err(|_| ChainError::Build(format!("the {what} has {} bytes, expected {N}", bytes.len())))
}

/// A dispute that must exist.
pub async fn read(chain: &Chain, address: &Pubkey) -> Result<Dispute, ChainError> {
    chain.expect("dispute", address, "it was never opened, or is closed already").await
}

/// The outcome that resolving would have now: whether the accused is guilty. `None` while it is open. A gateway that posts
/// after all (D8) is not guilty, which only the chain's state says.
pub fn foregone(dispute: &Dispute, now_s: i64) -> Option<bool> {
    match dispute.state {
        DisputeState::Answered => Some(false),
        DisputeState::Proven => Some(true),
        DisputeState::Open => (now_s >= dispute.deadline).then(|| !dispute.kind.challenger_proves()),
        DisputeState::Upheld | DisputeState::Dismissed => None,
    }
}

/// Ends a dispute whose outcome is certain, in favour of whoever was right. Anyone may pay.
pub async fn resolve(chain: &Chain, payer: Pubkey, address: Pubkey) -> Result<Instruction, ChainError> {
    let dispute = read(chain, &address).await?;
    let now_s = chain.unix_time().await?;
    let certain = |guilty: Option<bool>| {
        guilty.ok_or_else(|| ChainError::Build("the dispute has no certain outcome yet, or is over".to_owned()))
    };
    let config: SettleConfig = chain
        .expect("settlement configuration", &settlement::seeds::find_config().0, "run `waybill genesis` first")
        .await?;
    let of = |accused: Pubkey, upheld: bool, harmed: Pubkey, epoch: u32| build::Outcome {
        payer,
        dispute: address,
        target: dispute.target,
        accused,
        accused_role: Role::Gateway,
        challenger: dispute.challenger,
        bond_to: ix::aic_account(if upheld { &dispute.challenger } else { &accused }),
        harmed,
        epoch,
    };
    let challengers = ix::aic_account(&dispute.challenger);
    let now_epoch = u32::try_from(now_s / i64::from(config.epoch_s.max(1))).unwrap_or(0);
    Ok(match dispute.kind {
        DisputeKind::UnderpaidWorker
        | DisputeKind::OpenLine
        | DisputeKind::OpenReceipt
        | DisputeKind::OrderFault
        | DisputeKind::PriceFault => {
            let batch: Batch = chain.expect("batch", &dispute.target, "it is closed").await?;
            let harmed = match dispute.kind {
                DisputeKind::UnderpaidWorker => challengers,
                DisputeKind::PriceFault if dispute.state == DisputeState::Proven && dispute.digest != [0; 32] => {
                    ix::aic_account(&Pubkey::new_from_array(dispute.digest))
                }
                _ => build::insurance(),
            };
            let upheld = certain(foregone(&dispute, now_s))?;
            build::resolve_dispute(&of(batch.gateway, upheld, harmed, batch.epoch))
        }
        DisputeKind::Overcharge => {
            let channel: Channel = chain.expect("channel", &dispute.target, "it is closed").await?;
            let upheld = certain(foregone(&dispute, now_s))?;
            build::resolve_overcharge(&of(channel.gateway, upheld, challengers, now_epoch))
        }
        DisputeKind::Equivocation => {
            let upheld = certain(foregone(&dispute, now_s))?;
            build::resolve_equivocation(&of(dispute.target, upheld, build::insurance(), now_epoch))
        }
        DisputeKind::NoBatch => {
            let vault: GatewayVault = chain.expect("gateway vault", &dispute.target, "it cannot be closed").await?;
            let batch = settlement::seeds::find_batch(&vault.gateway, dispute.line, 0).0;
            let posted = dispute.line < vault.first_open_epoch || chain.data(&batch).await?.is_some();
            let upheld = if posted { false } else { certain(foregone(&dispute, now_s))? };
            build::resolve_direct_claim(&of(vault.gateway, upheld, challengers, dispute.line))
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Intent;

    #[test]
    fn every_step_survives_the_outbox() {
        let steps = [
            DisputeStep::Stage {
                batch: [1; 32],
                dispute: [2; 32],
                receipt: vec![3; Receipt::LEN],
                worker_signature: vec![4; 64],
            },
            DisputeStep::Respond {
                batch: [1; 32],
                dispute: [2; 32],
                receipt: vec![3; Receipt::LEN],
                proof: vec![[4; PROOF_NODE_LEN]; 2],
            },
            DisputeStep::RespondLine {
                target: [1; 32],
                batch: [2; 32],
                dispute: [3; 32],
                line: vec![4; Line::LEN],
                proof: vec![],
            },
            DisputeStep::RespondOvercharge {
                channel: [1; 32],
                dispute: [2; 32],
                receipt: vec![3; Receipt::LEN],
                worker_signature: vec![4; 64],
                order: vec![5; Order::LEN],
            },
            DisputeStep::Resolve { dispute: [1; 32] },
        ];
        for step in steps {
            let intent = Intent::Dispute(step);
            assert_eq!(Intent::decode(&intent.encode().unwrap()).unwrap(), intent);
        }
    }

    #[test]
    fn evidence_of_the_wrong_size_is_refused_by_name() {
        let error = exact::<64>(&[0; 63], "signature").unwrap_err();
        assert!(error.to_string().contains("the signature has 63 bytes, expected 64"), "{error}");
    }
}
