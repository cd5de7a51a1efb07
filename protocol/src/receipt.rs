//! A receipt with its two signatures: what a worker earned and a gateway acknowledged.

use crate::signing;
use solana_keypair::Keypair;
use waybill_mechanism::message::Receipt;

/// Why a receipt does not prove what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("the receipt's bytes are malformed: {0}")]
    Malformed(String),
    #[error("the worker's signature does not fit the receipt")]
    WorkerSignature,
    #[error("the gateway's signature does not fit the receipt")]
    GatewaySignature,
}

/// 320 bytes signed by the worker, then by the gateway (both over the same bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    pub receipt: Receipt,
    pub worker_signature: [u8; 64],
    pub gateway_signature: [u8; 64],
}

impl SignedReceipt {
    /// Reads a receipt and checks the worker's signature over it.
    pub fn verify_worker(bytes: &[u8], worker_signature: &[u8]) -> Result<Receipt, ReceiptError> {
        let receipt = Receipt::from_bytes(bytes).map_err(|e| ReceiptError::Malformed(format!("{e:?}")))?;
        if !signing::verify(&receipt.worker, bytes, worker_signature) {
            return Err(ReceiptError::WorkerSignature);
        }
        Ok(receipt)
    }

    /// Adds the gateway's signature to a receipt that the worker signed.
    pub fn countersign(receipt: Receipt, worker_signature: [u8; 64], gateway: &Keypair) -> Self {
        let gateway_signature = signing::sign(gateway, &receipt.to_bytes());
        Self { receipt, worker_signature, gateway_signature }
    }

    /// Reads a receipt and checks both signatures.
    pub fn verify(
        bytes: &[u8],
        worker_signature: &[u8; 64],
        gateway_signature: &[u8; 64],
    ) -> Result<Self, ReceiptError> {
        let receipt = Self::verify_worker(bytes, worker_signature)?;
        if !signing::verify(&receipt.gateway, bytes, gateway_signature) {
            return Err(ReceiptError::GatewaySignature);
        }
        Ok(Self { receipt, worker_signature: *worker_signature, gateway_signature: *gateway_signature })
    }
}
