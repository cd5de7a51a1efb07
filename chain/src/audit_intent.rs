//! Steps of audits that services record in the outbox. Every one is permissionless, except that a verdict carries its
//! node's signature; the outbox's key only pays.

use crate::{
    Chain, ChainError,
    intent::hex_list,
    ix::{audits as ix, create_aic_account},
};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use serde::{Deserialize, Serialize};
use settlement::{
    instructions::OpenAuditArgs,
    seeds,
    state::{Audit, Seat, StagedReceipt, VerifierSet},
};
use waybill_mechanism::message::{Line, Receipt, Verdict};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum AuditIntent {
    /// Draw the audits of a batch, once 33 slots have passed since its posting.
    Seed { batch: [u8; 32] },
    /// Stage a receipt (320 bytes) with its worker's signature (64 bytes).
    Stage {
        #[serde(with = "hex::serde")]
        receipt: Vec<u8>,
        #[serde(with = "hex::serde")]
        worker_signature: Vec<u8>,
    },
    /// Open the audit of a draw: the staged receipt with this hash is leaf `receipt` of the batch's receipts tree.
    Open {
        batch: [u8; 32],
        draw: u32,
        receipt: u32,
        receipt_hash: [u8; 32],
        #[serde(with = "hex_list")]
        proof: Vec<[u8; 40]>,
    },
    /// Deliver a verdict (144 bytes, [`Verdict`]) that `node` signed (64 bytes).
    Verdict {
        det_class: u16,
        node: [u8; 32],
        #[serde(with = "hex::serde")]
        verdict: Vec<u8>,
        #[serde(with = "hex::serde")]
        signature: Vec<u8>,
    },
    /// Book the outcome, once `Audit.deadline` has passed.
    Resolve { audit: [u8; 32] },
    /// Void the line (128 bytes) that covers a receipt which failed.
    Forfeit {
        audit: [u8; 32],
        #[serde(with = "hex::serde")]
        line: Vec<u8>,
        #[serde(with = "hex_list")]
        proof: Vec<[u8; 40]>,
    },
    /// Go on without the line that nobody forfeited in time.
    Waive { audit: [u8; 32] },
    /// Slash the operator of a worker whose output failed.
    PunishWorker { audit: [u8; 32] },
    /// Slash the verifier of a chair for a false or missing verdict.
    PunishVerifier { audit: [u8; 32], chair: u8 },
    /// Pay the verifier of a chair, whose owner has earnings.
    Pay { audit: [u8; 32], chair: u8 },
    /// Return or take a bond.
    SettleBond { audit: [u8; 32], index: u8 },
    /// Return the rent.
    Close { audit: [u8; 32] },
}

impl AuditIntent {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Seed { .. } => "seed_audits",
            Self::Stage { .. } => "stage_receipt",
            Self::Open { .. } => "open_audit",
            Self::Verdict { .. } => "submit_verdict",
            Self::Resolve { .. } => "resolve_audit",
            Self::Forfeit { .. } => "forfeit_line",
            Self::Waive { .. } => "waive_forfeit",
            Self::PunishWorker { .. } => "punish_worker",
            Self::PunishVerifier { .. } => "punish_verifier",
            Self::Pay { .. } => "pay_verifier",
            Self::SettleBond { .. } => "settle_bond",
            Self::Close { .. } => "close_audit",
        }
    }

    /// The instructions that do it now; `payer` pays.
    pub async fn instructions(&self, chain: &Chain, payer: Pubkey) -> Result<Vec<Instruction>, ChainError> {
        Ok(match self {
            Self::Seed { batch } => vec![ix::seed_audits(Pubkey::new_from_array(*batch))],
            Self::Stage { receipt, worker_signature } => {
                let receipt = Receipt::from_bytes(receipt).map_err(|e| ChainError::Build(e.to_string()))?;
                ix::stage_receipt(payer, &receipt, &signature(worker_signature)?).into()
            }
            Self::Open { batch, draw, receipt, receipt_hash, proof } => {
                let address = seeds::find_staged(receipt_hash).0;
                let staged: StagedReceipt = chain.expect("staged receipt", &address, "stage it first").await?;
                let args = OpenAuditArgs { draw: *draw, receipt: *receipt, proof: proof.clone() };
                vec![ix::open_audit(payer, Pubkey::new_from_array(*batch), &staged, args)]
            }
            Self::Verdict { det_class, node, verdict, signature: signed } => {
                let verdict = Verdict::from_bytes(verdict).map_err(|e| ChainError::Build(e.to_string()))?;
                let node = Pubkey::new_from_array(*node);
                ix::submit_verdict(*det_class, &node, &verdict, &signature(signed)?).into()
            }
            Self::Resolve { audit } => {
                let (address, audit) = read(chain, audit).await?;
                vec![ix::resolve_audit(address, &audit)]
            }
            Self::Forfeit { audit, line, proof } => {
                let (address, audit) = read(chain, audit).await?;
                let line = Line::from_bytes(line).map_err(|e| ChainError::Build(e.to_string()))?;
                vec![ix::forfeit_line(address, &audit, &line, proof.clone())]
            }
            Self::Waive { audit } => {
                let (address, audit) = read(chain, audit).await?;
                vec![ix::waive_forfeit(address, &audit)]
            }
            Self::PunishWorker { audit } => {
                let (address, audit) = read(chain, audit).await?;
                let reporter =
                    if audit.accuses(0) { seat_of(chain, &audit, 0).await?.owner } else { audit.bonds[0].by };
                vec![create_aic_account(&payer, &reporter), ix::punish_worker(payer, address, &audit, &reporter)]
            }
            Self::PunishVerifier { audit, chair } => {
                let (address, audit) = read(chain, audit).await?;
                let owner = seat_of(chain, &audit, *chair).await?.owner;
                vec![
                    create_aic_account(&payer, &audit.operator),
                    ix::punish_verifier(payer, address, &audit, *chair, &owner),
                ]
            }
            Self::Pay { audit, chair } => {
                let (address, audit) = read(chain, audit).await?;
                let seat = seat_of(chain, &audit, *chair).await?;
                vec![ix::pay_verifier(address, &audit, *chair, seat.owner)]
            }
            Self::SettleBond { audit, index } => {
                let (address, audit) = read(chain, audit).await?;
                let bond = audit.bonds.get(usize::from(*index));
                let by = bond.ok_or_else(|| ChainError::Build(format!("an audit has no bond {index}")))?.by;
                vec![create_aic_account(&payer, &by), ix::settle_bond(address, &by, *index)]
            }
            Self::Close { audit } => {
                let (address, audit) = read(chain, audit).await?;
                vec![ix::close_audit(address, &audit)]
            }
        })
    }
}

/// The verifier in a chair of an audit.
pub async fn seat_of(chain: &Chain, audit: &Audit, chair: u8) -> Result<Seat, ChainError> {
    let address = seeds::find_verifier_set(audit.det_class).0;
    let data = chain.data(&address).await?.ok_or(ChainError::Missing {
        what: "verifier set",
        address,
        hint: "nobody created it for this determinism class",
    })?;
    let index = audit.seats.get(usize::from(chair)).filter(|_| chair < audit.n_chairs);
    let index = *index.ok_or_else(|| ChainError::Build(format!("the audit has no chair {chair}")))?;
    VerifierSet::seat(&data, index).map_err(|e| ChainError::Build(e.to_string()))
}

async fn read(chain: &Chain, address: &[u8; 32]) -> Result<(Pubkey, Audit), ChainError> {
    let address = Pubkey::new_from_array(*address);
    Ok((address, chain.expect("audit", &address, "open it first, or it is closed").await?))
}

fn signature(bytes: &[u8]) -> Result<[u8; 64], ChainError> {
    bytes.try_into().map_err(|_| ChainError::Build("a signature has 64 bytes".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Intent;

    #[test]
    fn an_intent_reads_back_as_it_was_stored() {
        for step in [
            AuditIntent::Seed { batch: [1; 32] },
            AuditIntent::Open { batch: [1; 32], draw: 2, receipt: 3, receipt_hash: [4; 32], proof: vec![[5; 40]; 2] },
            AuditIntent::Verdict { det_class: 1, node: [2; 32], verdict: vec![3; 144], signature: vec![4; 64] },
        ] {
            let intent = Intent::Audit(step);
            assert_eq!(Intent::decode(&intent.encode().unwrap()).unwrap(), intent);
        }
    }
}
