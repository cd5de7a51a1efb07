//! What a consumer can read about its own spending: receipts with all that proves them, charge notes, usage.

use crate::auth::Caller;
use crate::error::{ApiError, Kind};
use crate::state::App;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::Uri;
use serde_json::{Value, json};
use std::sync::Arc;
use waybill_mechanism::merkle::{MerkleError, Node, Tree};
use waybill_mechanism::message::{ChargeNote, Line, Receipt};
use waybill_protocol::{ArtifactId, ChannelId, WalletId, WorkerId};
use waybill_store::{BatchId, SignedNote};

/// Notes in one answer.
const NOTES_PAGE: u32 = 1000;

/// `GET /v1/receipts/{id}`: bytes and signatures as hexadecimal, the fields in clear, and the inclusion proof once the
/// receipt's epoch is batched. Receipts of other channels do not exist here.
pub(crate) async fn receipt(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let bundle = app.store.receipt(&id).await.map_err(ApiError::unavailable)?;
    let Some(bundle) = bundle.filter(|bundle| bundle.receipt.channel == caller.key.channel) else {
        return Err(ApiError::of(Kind::NotFound, "id", "No receipt of this id belongs to your channel."));
    };
    let stored = &bundle.receipt;
    let receipt = stored.receipt().map_err(ApiError::internal)?;
    let batch = match bundle.batch {
        Some((batch, leaf)) => Some(inclusion(&app, batch, leaf).await?),
        None => None,
    };
    Ok(Json(json!({
        "id": stored.receipt_id,
        "object": "receipt",
        "created": stored.created_ms / 1000,
        "request_id": stored.request_id,
        "model": stored.model,
        "channel": stored.channel,
        "nonce": stored.nonce,
        "container": stored.container,
        "stage": stored.stage,
        "referrer": referrer(stored.referrer),
        "charge_nc": receipt.price_nc,
        "fields": fields(&receipt),
        "receipt": hex::encode(stored.receipt),
        "worker_signature": hex::encode(stored.worker_sig),
        "gateway_signature": hex::encode(stored.gateway_sig),
        "order": hex::encode(stored.order),
        "order_signature": hex::encode(stored.order_sig),
        "note": bundle.note.as_ref().map(note),
        "batch": batch,
    })))
}

fn referrer(wallet: WalletId) -> Option<WalletId> {
    (!wallet.is_none()).then_some(wallet)
}

fn fields(receipt: &Receipt) -> Value {
    json!({
        "flags": receipt.flags,
        "det_class": receipt.det_class,
        "domain": hex::encode(receipt.domain),
        "epoch": receipt.epoch,
        "seq": receipt.seq,
        "gateway": WalletId(receipt.gateway),
        "worker": WorkerId(receipt.worker),
        "line_key": hex::encode(receipt.line_key),
        "artifact": ArtifactId(receipt.artifact),
        "request_hash": hex::encode(receipt.request_hash),
        "input_hash": hex::encode(receipt.input_hash),
        "output_hash": hex::encode(receipt.output_hash),
        "evidence_hash": hex::encode(receipt.evidence_hash),
        "units_in": receipt.units_in,
        "units_out": receipt.units_out,
        "price_nc": receipt.price_nc,
        "cum_nc": receipt.cum_nc,
        "t_start_ms": receipt.t_start_ms,
        "t_end_ms": receipt.t_end_ms,
    })
}

/// Where a receipt and its line stand in their batch, and the siblings that lead to the two roots posted on chain.
async fn inclusion(app: &App, id: BatchId, leaf: u32) -> Result<Value, ApiError> {
    let batch = app
        .store
        .batch(id)
        .await
        .map_err(ApiError::unavailable)?
        .ok_or_else(|| ApiError::internal("a leaf without its batch"))?;
    let leaves = app.store.receipt_leaves(id).await.map_err(ApiError::unavailable)?;
    let lines = app.store.batch_lines(id).await.map_err(ApiError::unavailable)?;
    let covers = |line: Line| leaf.checked_sub(line.first_receipt).is_some_and(|place| place < line.n_receipts);
    let line = lines.iter().find(|stored| Line::from_bytes(&stored.line).is_ok_and(covers));
    let line = line.ok_or_else(|| ApiError::internal("a receipt without its line"))?;
    let broken = |error: MerkleError| ApiError::internal(format!("{error:?}"));
    let proof = Tree::build(leaves).and_then(|tree| tree.proof(leaf as usize)).map_err(broken)?;
    let line_leaves = lines.iter().map(|stored| stored.node).collect();
    let line_proof = Tree::build(line_leaves).and_then(|tree| tree.proof(line.index as usize)).map_err(broken)?;
    let node = |node: &Node| json!({"hash": hex::encode(node.hash), "sum": node.sum});
    Ok(json!({
        "gateway": id.gateway,
        "epoch": id.epoch,
        "shard": id.shard,
        "status": batch.status.as_str(),
        "receipts_root": node(&batch.receipts_root),
        "n_receipts": batch.n_receipts,
        "leaf": leaf,
        "proof": proof.iter().map(node).collect::<Vec<Value>>(),
        "lines_root": node(&batch.lines_root),
        "n_lines": batch.n_lines,
        "line": hex::encode(line.line),
        "line_proof": line_proof.iter().map(node).collect::<Vec<Value>>(),
    }))
}

fn note(signed: &SignedNote) -> Value {
    let amounts = ChargeNote::from_bytes(&signed.note).ok();
    json!({
        "nonce": amounts.map(|note| note.nonce),
        "charge_nc": amounts.map(|note| note.charge_nc),
        "cum_charged_nc": amounts.map(|note| note.cum_charged_nc),
        "note": hex::encode(signed.note),
        "signature": hex::encode(signed.signature),
    })
}

/// `GET /v1/channels/{id}/notes?after=n`: signed charge notes with nonces above `n`, in order; `has_more` tells of a next page.
pub(crate) async fn notes(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let channel: ChannelId =
        id.parse().map_err(|e| ApiError::of(Kind::InvalidValue, "id", format!("Invalid channel: {e}.")))?;
    if channel != caller.key.channel {
        return Err(ApiError::of(Kind::Forbidden, "id", "This API key belongs to another channel."));
    }
    let after = after(uri.query().unwrap_or_default())?;
    let notes = app.store.notes_after(channel, after, NOTES_PAGE).await.map_err(ApiError::unavailable)?;
    Ok(Json(json!({
        "object": "list",
        "data": notes.iter().map(note).collect::<Vec<Value>>(),
        "has_more": notes.len() == NOTES_PAGE as usize,
    })))
}

/// The nonce in `after=n`; 0 when absent.
fn after(query: &str) -> Result<u64, ApiError> {
    let mut after = 0;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let number = pair
            .strip_prefix("after=")
            .and_then(|value| value.parse::<u64>().ok())
            .filter(|n| i64::try_from(*n).is_ok());
        after = number.ok_or_else(|| {
            ApiError::of(Kind::InvalidValue, "after", "The query has one parameter, 'after', a nonce of at least 0.")
        })?;
    }
    Ok(after)
}

/// `GET /v1/usage`: the channel's totals, and those of this key.
pub(crate) async fn usage(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    let channel = caller.key.channel;
    let (free_nc, charged_nc) = app.credit.standing(channel).await.map_err(|error| match error {
        crate::credit::CreditError::NoChannel(_) => ApiError::new(Kind::InsufficientQuota, error.to_string()),
        error => ApiError::unavailable(error),
    })?;
    let view = app.market.channel(&channel);
    let key = app.store.api_key(&caller.key.public_id).await.map_err(ApiError::unavailable)?;
    Ok(Json(json!({
        "object": "usage",
        "channel": channel,
        "charged_nc": charged_nc,
        "settled_nc": view.as_ref().map(|view| view.settled_nc),
        "free_nc": free_nc,
        "grant_limit_nc": view.and_then(|view| view.grant).map(|grant| grant.limit_nc),
        "key": key.map(|key| json!({"id": key.public_id, "label": key.label, "charged_nc": key.charged_nc, "limit_nc": key.limit_nc})),
    })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn after_is_a_nonce() {
        assert_eq!(after("").unwrap(), 0);
        assert_eq!(after("after=7").unwrap(), 7);
        for wrong in ["after=-1", "after=x", "after=18446744073709551615", "before=1", "after"] {
            assert!(after(wrong).is_err(), "{wrong}");
        }
    }
}
