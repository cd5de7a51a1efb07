//! From the receipts of a closed epoch to batches: two Merkle-sum trees per shard, lines over contiguous receipts.
//! Pure: the same receipts give the same bytes, whoever builds them.

use sha2::{Digest, Sha256};
use waybill_mechanism::{
    merkle::{self, MerkleError, Tree},
    message::{Line, Receipt},
};
use waybill_protocol::WalletId;
use waybill_store::{BatchId, Charge, LineLeaf, NewBatch, ReceiptLeaf};

/// Bounds of one shard, the settlement program's.
const MAX_RECEIPTS: usize = settlement::constants::MAX_RECEIPTS as usize;
const MAX_LINES: usize = settlement::constants::MAX_LINES as usize;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("receipt {receipt_id} cannot be read: {reason}")]
    Malformed { receipt_id: String, reason: String },
    #[error("the trees of epoch {epoch} cannot be built: {source}")]
    Merkle { epoch: u32, source: MerkleError },
    /// The ledger let a receipt through that does not continue its line: a defect, nothing is posted.
    #[error("receipt {receipt_id} does not continue its line")]
    Broken { receipt_id: String },
}

/// Cuts receipts in settlement order (worker, line key, seq) into shards and builds their trees.
pub fn build_batches(
    gateway: WalletId,
    epoch: u32,
    receipts: &[Charge],
    uri: &str,
    now_ms: u64,
) -> Result<Vec<NewBatch>, BuildError> {
    let parsed = receipts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    cut(&parsed)
        .into_iter()
        .enumerate()
        .map(|(shard, range)| {
            let shard =
                u16::try_from(shard).map_err(|_| BuildError::Merkle { epoch, source: MerkleError::TooManyLeaves })?;
            let id = BatchId { gateway, epoch, shard };
            build_shard(id, &receipts[range.clone()], &parsed[range], uri, now_ms)
        })
        .collect()
}

fn parse(charge: &Charge) -> Result<Receipt, BuildError> {
    Receipt::from_bytes(&charge.receipt)
        .map_err(|e| BuildError::Malformed { receipt_id: charge.receipt_id.clone(), reason: e.to_string() })
}

/// Ranges of receipts that fit one shard each, by both bounds.
fn cut(receipts: &[Receipt]) -> Vec<std::ops::Range<usize>> {
    let mut shards = Vec::new();
    let (mut start, mut lines) = (0, 0);
    for i in 0..receipts.len() {
        let opens_line = i == start || receipts[i].line_key != receipts[i - 1].line_key;
        lines += usize::from(opens_line);
        if i - start == MAX_RECEIPTS || lines > MAX_LINES {
            shards.push(start..i);
            (start, lines) = (i, 1);
        }
    }
    if start < receipts.len() {
        shards.push(start..receipts.len());
    }
    shards
}

fn build_shard(
    id: BatchId,
    stored: &[Charge],
    receipts: &[Receipt],
    uri: &str,
    now_ms: u64,
) -> Result<NewBatch, BuildError> {
    let merkle_error = |source| BuildError::Merkle { epoch: id.epoch, source };
    let mut data = Sha256::new();
    let mut receipt_leaves = Vec::with_capacity(stored.len());
    for (stored, receipt) in stored.iter().zip(receipts) {
        data.update(stored.receipt);
        data.update(stored.worker_sig);
        data.update(stored.gateway_sig);
        let node = merkle::leaf(&stored.receipt, receipt.price_nc);
        receipt_leaves.push(ReceiptLeaf { receipt_id: stored.receipt_id.clone(), node });
    }
    let lines = lines_of(id.epoch, stored, receipts)?;
    for leaf in &lines {
        data.update(leaf.line);
    }
    let receipts_tree = Tree::build(receipt_leaves.iter().map(|leaf| leaf.node).collect()).map_err(merkle_error)?;
    let lines_tree = Tree::build(lines.iter().map(|leaf| leaf.node).collect()).map_err(merkle_error)?;
    debug_assert_eq!(receipts_tree.root().sum, lines_tree.root().sum);
    Ok(NewBatch {
        id,
        receipts_root: receipts_tree.root(),
        lines_root: lines_tree.root(),
        data_hash: data.finalize().into(),
        uri: uri.to_owned(),
        receipts: receipt_leaves,
        lines,
        created_ms: now_ms,
    })
}

/// One line per run of receipts with equal line key.
fn lines_of(epoch: u32, stored: &[Charge], receipts: &[Receipt]) -> Result<Vec<LineLeaf>, BuildError> {
    let mut leaves = Vec::new();
    let mut start = 0;
    for run in receipts.chunk_by(|a, b| a.line_key == b.line_key) {
        let broken = |i: usize| BuildError::Broken { receipt_id: stored[start + i].receipt_id.clone() };
        for (i, pair) in run.windows(2).enumerate() {
            let continues = pair[0].seq.checked_add(1) == Some(pair[1].seq)
                && pair[0].cum_nc.checked_add(pair[1].price_nc) == Some(pair[1].cum_nc);
            if !continues {
                return Err(broken(i + 1));
            }
        }
        let (first, last) = (&run[0], &run[run.len() - 1]);
        // what the line is worth: the running total at its end less that before its first receipt
        let before = first.cum_nc.checked_sub(first.price_nc).ok_or_else(|| broken(0))?;
        let credits_nc = last.cum_nc.checked_sub(before).ok_or_else(|| broken(0))?;
        let head = &stored[start];
        let count =
            |n: usize| u32::try_from(n).map_err(|_| BuildError::Merkle { epoch, source: MerkleError::TooManyLeaves });
        let line = Line {
            stage: head.stage,
            epoch,
            index: count(leaves.len())?,
            container: head.container.0,
            worker: first.worker,
            referrer: head.referrer.0,
            first_receipt: count(start)?,
            n_receipts: count(run.len())?,
            credits_nc,
        };
        let line = line.to_bytes();
        leaves.push(LineLeaf { line, node: merkle::leaf(&line, credits_nc) });
        start += run.len();
    }
    Ok(leaves)
}
