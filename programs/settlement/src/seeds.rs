//! Every seed tag of the program and the address functions built on them. Integers are little-endian and of fixed
//! width; the first seed is unique to the account type.

use anchor_lang::prelude::Pubkey;

pub const CONFIG: &[u8] = b"cfg";
pub const CHANNEL: &[u8] = b"chan";
pub const GATEWAY_VAULT: &[u8] = b"gv";
pub const BATCH: &[u8] = b"batch";
pub const BATCH_VAULT: &[u8] = b"bv";
pub const POOL: &[u8] = b"pool";
pub const AUDITS: &[u8] = b"audits";
pub const EARNINGS: &[u8] = b"earn";
pub const BREAKER: &[u8] = b"brk";
pub const FEE_DAY: &[u8] = b"feeday";
pub const PROMO_EVENT: &[u8] = b"event";
pub const DISPUTE: &[u8] = b"disp";
/// A receipt whose worker's signature has been checked.
pub const STAGED: &[u8] = b"rcpt";
pub const AUDIT: &[u8] = b"audit";
/// The verifiers of a determinism class.
pub const VERIFIER_SET: &[u8] = b"vset";
/// A worker's record in audits.
pub const RECORD: &[u8] = b"wrec";
pub const CANARY: &[u8] = b"canary";
pub const BOUNTY: &[u8] = b"bounty";
/// The authority that `market` accepts for slashing and for charging promotion.
pub const SLASHER: &[u8] = b"slasher";

fn find(seeds: &[&[u8]]) -> (Pubkey, u8) {
    Pubkey::find_program_address(seeds, &crate::ID)
}

pub fn find_config() -> (Pubkey, u8) {
    find(&[CONFIG])
}

pub fn find_channel(consumer: &Pubkey, gateway: &Pubkey, mint: &Pubkey, open_slot: u64) -> (Pubkey, u8) {
    find(&[CHANNEL, consumer.as_ref(), gateway.as_ref(), mint.as_ref(), &open_slot.to_le_bytes()])
}

pub fn find_gateway_vault(gateway: &Pubkey, mint: &Pubkey) -> (Pubkey, u8) {
    find(&[GATEWAY_VAULT, gateway.as_ref(), mint.as_ref()])
}

pub fn find_batch(gateway: &Pubkey, epoch: u32, shard: u16) -> (Pubkey, u8) {
    find(&[BATCH, gateway.as_ref(), &epoch.to_le_bytes(), &shard.to_le_bytes()])
}

/// The token account that holds a posted batch's AIC until the batch is final.
pub fn find_batch_vault(batch: &Pubkey) -> (Pubkey, u8) {
    find(&[BATCH_VAULT, batch.as_ref()])
}

/// The token account behind all `Earnings` and all final, unswept batches of a mint.
pub fn find_pool(mint: &Pubkey) -> (Pubkey, u8) {
    find(&[POOL, mint.as_ref()])
}

/// The token account that pays for audits.
pub fn find_audits(mint: &Pubkey) -> (Pubkey, u8) {
    find(&[AUDITS, mint.as_ref()])
}

/// The breaker before the pool's outflow.
pub fn find_breaker(pool: &Pubkey) -> (Pubkey, u8) {
    find(&[BREAKER, pool.as_ref()])
}

pub fn find_earnings(owner: &Pubkey, mint: &Pubkey) -> (Pubkey, u8) {
    find(&[EARNINGS, owner.as_ref(), mint.as_ref()])
}

pub fn find_bounty(gateway: &Pubkey, container: &[u8; 32], curator: &Pubkey, sponsor: &Pubkey) -> (Pubkey, u8) {
    find(&[BOUNTY, gateway.as_ref(), container, curator.as_ref(), sponsor.as_ref()])
}

pub fn find_fee_day(day: u32) -> (Pubkey, u8) {
    find(&[FEE_DAY, &day.to_le_bytes()])
}

/// The proof that a consumer's first paid request came through a campaign's slot.
pub fn find_promo_event(campaign: &Pubkey, consumer: &Pubkey) -> (Pubkey, u8) {
    find(&[PROMO_EVENT, campaign.as_ref(), consumer.as_ref()])
}

/// `subject` is what is disputed, `kind` the number of the dispute's kind, `index` the line or receipt.
pub fn find_dispute(subject: &Pubkey, kind: u8, index: u32) -> (Pubkey, u8) {
    find(&[DISPUTE, subject.as_ref(), &[kind], &index.to_le_bytes()])
}

pub fn find_slasher() -> (Pubkey, u8) {
    find(&[SLASHER])
}

pub fn find_staged(receipt_hash: &[u8; 32]) -> (Pubkey, u8) {
    find(&[STAGED, receipt_hash])
}

pub fn find_audit(batch: &Pubkey, draw: u32) -> (Pubkey, u8) {
    find(&[AUDIT, batch.as_ref(), &draw.to_le_bytes()])
}

pub fn find_verifier_set(det_class: u16) -> (Pubkey, u8) {
    find(&[VERIFIER_SET, &det_class.to_le_bytes()])
}

pub fn find_record(worker: &Pubkey) -> (Pubkey, u8) {
    find(&[RECORD, worker.as_ref()])
}

pub fn find_canary(commitment: &[u8; 32]) -> (Pubkey, u8) {
    find(&[CANARY, commitment])
}
