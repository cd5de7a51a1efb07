//! A receipt whose worker's signature has been checked. Signature and proof do not fit one transaction, so the first
//! leaves this for the second. The address is the receipt's hash: nobody can put another receipt there.

use anchor_lang::prelude::*;
use waybill_mechanism::{merkle, message::Receipt};

/// `["rcpt", sha(receipt)]`
#[account]
#[derive(InitSpace, Debug)]
pub struct StagedReceipt {
    pub version: u8,
    pub bump: u8,
    pub hash: [u8; 32],
    /// Hash of the receipt as a leaf of a batch's receipts tree.
    pub leaf: [u8; 32],
    pub gateway: Pubkey,
    pub worker: Pubkey,
    pub epoch: u32,
    pub det_class: u16,
    pub output_hash: [u8; 32],
    pub evidence_hash: [u8; 32],
    /// The leaf's sum, nc.
    pub price_nc: u64,
    pub staged_at: i64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 32],
}

impl StagedReceipt {
    /// What is kept of `receipt`.
    pub fn new(receipt: &Receipt, version: u8, bump: u8, staged_at: i64, rent_payer: Pubkey) -> Self {
        Self {
            version,
            bump,
            hash: receipt.hash(),
            leaf: merkle::leaf(&receipt.to_bytes(), receipt.price_nc).hash,
            gateway: Pubkey::new_from_array(receipt.gateway),
            worker: Pubkey::new_from_array(receipt.worker),
            epoch: receipt.epoch,
            det_class: receipt.det_class,
            output_hash: receipt.output_hash,
            evidence_hash: receipt.evidence_hash,
            price_nc: receipt.price_nc,
            staged_at,
            rent_payer,
            _reserved: [0; 32],
        }
    }
}
