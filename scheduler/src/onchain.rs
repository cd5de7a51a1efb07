//! The scheduler's view of the outside, answered from the chain's catalogue and the ledger.

use crate::registry::{LineStates, NodeView, Registry};
use anchor_lang::prelude::Pubkey;
use async_trait::async_trait;
use std::sync::Arc;
use waybill_chain::Catalogue;
use waybill_protocol::{WalletId, WorkerId, frame::LineState};
use waybill_store::Store;

/// Epochs around the chain's current one whose lines a worker may continue: the one before while receipts are on their
/// way, and the one after because the worker's clock may be ahead.
const OPEN_EPOCHS: u32 = 1;

/// Worker keys as the market program knows them.
pub struct ChainRegistry(pub Arc<Catalogue>);

impl Registry for ChainRegistry {
    fn node(&self, worker: WorkerId) -> Option<NodeView> {
        let view = self.0.view()?;
        let entry = view.nodes.get(&Pubkey::new_from_array(worker.0))?;
        let region = entry.node.region.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        Some(NodeView {
            operator: WalletId(entry.node.operator.to_bytes()),
            region,
            class: entry.node.class,
            expires: entry.node.expires,
            revoked: entry.node.revoked,
            staked: entry.staked,
            ask: None,
        })
    }
}

/// Lines as the ledger left them.
pub struct LedgerLines {
    pub store: Store,
    pub catalogue: Arc<Catalogue>,
    /// Whose orders this scheduler brings.
    pub gateways: Vec<WalletId>,
}

#[async_trait]
impl LineStates for LedgerLines {
    async fn lines(&self, worker: WorkerId) -> Result<Vec<LineState>, String> {
        let current = self.catalogue.view().ok_or("the chain was not read yet")?.epoch();
        let mut states = Vec::new();
        for gateway in &self.gateways {
            for epoch in current.saturating_sub(OPEN_EPOCHS)..=current.saturating_add(OPEN_EPOCHS) {
                let lines = self.store.lines(*gateway, epoch, Some(worker)).await.map_err(|e| e.to_string())?;
                states.extend(lines.iter().filter_map(frame));
            }
        }
        Ok(states)
    }
}

/// The last countersigned receipt of a line; `None` for a line without receipts.
fn frame(line: &waybill_store::LineState) -> Option<LineState> {
    Some(LineState {
        gateway: line.gateway.0.to_vec().into(),
        line_key: line.line_key.to_vec().into(),
        epoch: line.epoch,
        seq: u32::try_from(line.next_seq.checked_sub(1)?).ok()?,
        cum_nc: line.cum_nc,
    })
}
