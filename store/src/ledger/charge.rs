//! What is charged, and the checks that need no database: the receipt, the order and the charge must name the same things.

use super::LedgerError;
use waybill_mechanism::message::{Order, Receipt, line_key};
use waybill_protocol::{ChannelId, ContainerId, RequestId, WalletId};

/// One served request: the receipt and everything that proves it. The caller has checked the signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Name of the receipt for `GET /v1/receipts/{id}`; 1 to 64 printable ASCII characters.
    pub receipt_id: String,
    pub request_id: RequestId,
    pub channel: ChannelId,
    pub nonce: u64,
    /// Model id as the consumer wrote it.
    pub model: String,
    pub container: ContainerId,
    pub stage: u8,
    pub referrer: WalletId,
    /// Public id of the key that was used; its running total counts the charge.
    pub api_key: Option<String>,
    pub receipt: [u8; Receipt::LEN],
    pub worker_sig: [u8; 64],
    pub gateway_sig: [u8; 64],
    pub order: [u8; Order::LEN],
    pub order_sig: [u8; 64],
    /// Unix milliseconds.
    pub created_ms: u64,
}

const MAX_ID: usize = 64;
const MAX_MODEL: usize = 256;

impl Charge {
    /// The receipt's fields.
    pub fn receipt(&self) -> Result<Receipt, crate::StoreError> {
        Receipt::from_bytes(&self.receipt)
            .map_err(|e| crate::StoreError::Malformed { what: "receipt", why: e.to_string() })
    }

    /// True when both are the same charge: same ids, same nonce, same signed bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.receipt_id, &self.request_id, self.channel, self.nonce)
            == (&other.receipt_id, &other.request_id, other.channel, other.nonce)
            && self.receipt == other.receipt
            && self.order == other.order
            && (self.worker_sig, self.gateway_sig, self.order_sig)
                == (other.worker_sig, other.gateway_sig, other.order_sig)
    }

    pub(super) fn check(&self, gateway: WalletId) -> Result<Receipt, LedgerError> {
        let malformed = |why: &str| LedgerError::Malformed(why.into());
        for (name, id) in [("receipt id", &self.receipt_id), ("request id", &self.request_id.0)] {
            if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(LedgerError::Malformed(format!("{name} {id:?}")));
            }
        }
        if self.model.len() > MAX_MODEL || self.model.contains('\0') {
            return Err(malformed("model id"));
        }
        let receipt =
            Receipt::from_bytes(&self.receipt).map_err(|e| LedgerError::Malformed(format!("receipt: {e}")))?;
        let order = Order::from_bytes(&self.order).map_err(|e| LedgerError::Malformed(format!("order: {e}")))?;
        if receipt.gateway != gateway.0 {
            return Err(LedgerError::WrongGateway { expected: gateway, found: WalletId(receipt.gateway) });
        }
        if (order.channel, order.nonce, order.domain) != (self.channel.0, self.nonce, receipt.domain) {
            return Err(malformed("the order names another channel, nonce or network"));
        }
        if receipt.request_hash != order.hash() {
            return Err(malformed("the receipt answers another order"));
        }
        if receipt.price_nc > order.max_price_nc {
            return Err(malformed("the price is above the order's maximum"));
        }
        if receipt.line_key != line_key(&self.container.0, self.stage, &receipt.worker, &self.referrer.0) {
            return Err(malformed("the line key is of another container, stage, worker or referrer"));
        }
        Ok(receipt)
    }
}
