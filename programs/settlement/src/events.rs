//! What the program reports. Accounts are the truth, events the record: each carries the account it is about, the
//! balances after, and that account's `seq`, so that a gap is visible.

use anchor_lang::prelude::*;
use coin::authority::AuthorityRole;
use market::state::Offence;

use crate::state::{BountyTerms, DisputeKind, DisputeState, Grant, Outcome, Vote};

#[event]
pub struct ConfigInitialized {
    pub config: Pubkey,
    pub mint: Pubkey,
    pub domain: [u8; 8],
    pub seq: u64,
}

#[event]
pub struct AuthorityProposed {
    pub config: Pubkey,
    pub role: AuthorityRole,
    pub old: Pubkey,
    pub new: Pubkey,
    pub seq: u64,
}

#[event]
pub struct AuthorityAccepted {
    pub config: Pubkey,
    pub role: AuthorityRole,
    pub old: Pubkey,
    pub new: Pubkey,
    pub seq: u64,
}

#[event]
pub struct PauseChanged {
    pub config: Pubkey,
    pub actor: Pubkey,
    pub old: u16,
    pub new: u16,
    pub seq: u64,
}

#[event]
pub struct ChannelOpened {
    pub channel: Pubkey,
    pub consumer: Pubkey,
    pub gateway: Pubkey,
    pub session: Pubkey,
    pub grant: Grant,
    pub seq: u64,
}

#[event]
pub struct DepositSynced {
    pub channel: Pubkey,
    pub credited_aic: u64,
    pub balance_aic: u64,
    pub seq: u64,
}

#[event]
pub struct GrantChanged {
    pub channel: Pubkey,
    pub consumer: Pubkey,
    pub old: Grant,
    pub new: Grant,
    pub seq: u64,
}

#[event]
pub struct ChannelSettled {
    pub channel: Pubkey,
    pub gateway_vault: Pubkey,
    /// False for a voucher.
    pub delegated: bool,
    pub nonce: u64,
    pub claim_cum_nc: u64,
    pub rate: u64,
    pub delta_nc: u64,
    pub delta_aic: u64,
    pub settled_nc: u64,
    pub balance_aic: u64,
    pub vault_nc: u64,
    pub vault_aic: u64,
    pub seq: u64,
    pub vault_seq: u64,
}

#[event]
pub struct CloseRequested {
    pub channel: Pubkey,
    pub consumer: Pubkey,
    pub close_at: i64,
    pub seq: u64,
}

#[event]
pub struct ChannelClosed {
    pub channel: Pubkey,
    pub consumer: Pubkey,
    pub refunded_aic: u64,
    pub settled_nc: u64,
    pub seq: u64,
}

#[event]
pub struct GatewayOpened {
    pub gateway_vault: Pubkey,
    pub gateway: Pubkey,
    pub seq: u64,
}

#[event]
pub struct GatewayToppedUp {
    pub gateway_vault: Pubkey,
    pub gateway: Pubkey,
    pub rate: u64,
    pub nc: u64,
    pub aic: u64,
    pub vault_nc: u64,
    pub vault_aic: u64,
    pub seq: u64,
}

#[event]
pub struct BatchPosted {
    pub batch: Pubkey,
    pub gateway: Pubkey,
    pub epoch: u32,
    pub shard: u16,
    pub late: bool,
    pub receipts_root: [u8; 32],
    pub lines_root: [u8; 32],
    pub n_receipts: u32,
    pub n_lines: u32,
    pub sum_nc: u64,
    pub aic: u64,
    pub data_hash: [u8; 32],
    /// Where the data behind `data_hash` is published.
    pub uri: String,
    pub vault_nc: u64,
    pub vault_aic: u64,
    pub seq: u64,
    pub vault_seq: u64,
}

#[event]
pub struct BatchFinalized {
    pub batch: Pubkey,
    pub aic: u64,
    pub seq: u64,
}

#[event]
pub struct EarningsOpened {
    pub earnings: Pubkey,
    pub owner: Pubkey,
    pub seq: u64,
}

#[event]
pub struct LineClaimed {
    pub batch: Pubkey,
    pub index: u32,
    pub container: [u8; 32],
    pub stage: u8,
    pub worker: Pubkey,
    pub referrer: Pubkey,
    pub credits_nc: u64,
    /// Vendor, OEM, provider, curator, weaver, fee; they sum to the line's worth.
    pub parts_aic: [u64; 6],
    /// Whether the curator's part is burned for want of a curator.
    pub burned: bool,
    pub claimed_lines: u32,
    pub claimed_aic: u64,
    pub seq: u64,
}

#[event]
pub struct BatchSwept {
    pub batch: Pubkey,
    pub gateway: Pubkey,
    pub audits_aic: u64,
    pub gateway_aic: u64,
    pub treasury_aic: u64,
    pub burned_aic: u64,
    /// Rounding and unclaimed lines, to insurance.
    pub remainder_aic: u64,
    pub seq: u64,
}

#[event]
pub struct BatchClosed {
    pub batch: Pubkey,
    pub gateway: Pubkey,
    pub epoch: u32,
    pub shard: u16,
    pub first_open_epoch: u32,
    pub seq: u64,
}

#[event]
pub struct EarningsWithdrawn {
    pub earnings: Pubkey,
    pub owner: Pubkey,
    pub destination: Pubkey,
    /// Paid by `sweep_earnings` to the registered wallet.
    pub swept: bool,
    pub amount_aic: u64,
    pub remaining_aic: u64,
    pub seq: u64,
}

/// A withdrawal was above the pool's breaker: it can be taken from `due_at` on.
#[event]
pub struct WithdrawalDelayed {
    pub earnings: Pubkey,
    pub owner: Pubkey,
    pub amount_aic: u64,
    pub due_at: i64,
    pub seq: u64,
}

/// What claims credited to a royalty table was shared out among the vendors of its lineage.
#[event]
pub struct RoyaltiesShared {
    /// The earnings of the table's address.
    pub earnings: Pubkey,
    pub royalties: Pubkey,
    /// Hash of the derived model.
    pub artifact: [u8; 32],
    pub pricing_epoch: u32,
    pub amount_aic: u64,
    /// By row, root first, the model's own vendor last; they sum to `amount_aic`.
    pub parts_aic: Vec<u64>,
    pub seq: u64,
}

/// A sponsor promised a curator an addition to its share.
#[event]
pub struct BountyOpened {
    pub bounty: Pubkey,
    pub sponsor: Pubkey,
    pub gateway: Pubkey,
    pub container: [u8; 32],
    pub curator: Pubkey,
    pub terms: BountyTerms,
    /// The first settlement epoch whose lines count.
    pub from_epoch: u32,
    pub seq: u64,
}

#[event]
pub struct BountyFunded {
    pub bounty: Pubkey,
    pub sponsor: Pubkey,
    pub amount_aic: u64,
    pub balance_aic: u64,
    pub seq: u64,
}

#[event]
pub struct BountyPaid {
    pub bounty: Pubkey,
    pub curator: Pubkey,
    pub batch: Pubkey,
    pub index: u32,
    pub amount_aic: u64,
    pub balance_aic: u64,
    pub seq: u64,
}

#[event]
pub struct BountyEnding {
    pub bounty: Pubkey,
    pub sponsor: Pubkey,
    /// Lines of this epoch and later add nothing.
    pub end_epoch: u32,
    /// When the rest may return, unix seconds.
    pub closes_at: i64,
    pub seq: u64,
}

#[event]
pub struct BountyClosed {
    pub bounty: Pubkey,
    pub sponsor: Pubkey,
    pub earnings: Pubkey,
    pub returned_aic: u64,
    pub paid_aic: u64,
    pub seq: u64,
}

#[event]
pub struct SweepChanged {
    pub earnings: Pubkey,
    pub owner: Pubkey,
    pub old: Pubkey,
    pub new: Pubkey,
    pub effective: i64,
    pub seq: u64,
}

#[event]
pub struct EventProven {
    pub event: Pubkey,
    pub campaign: Pubkey,
    pub consumer: Pubkey,
    pub auction: Pubkey,
    pub batch: Pubkey,
    /// Position of the receipt in the batch.
    pub index: u32,
    pub seq: u64,
}

#[event]
pub struct PromoSettled {
    pub event: Pubkey,
    pub campaign: Pubkey,
    pub consumer: Pubkey,
    /// Curator or gateway, whose earnings grew by `display_aic`.
    pub payee: Pubkey,
    pub price_nc: u64,
    pub rebate_aic: u64,
    pub display_aic: u64,
    pub burned_aic: u64,
    pub seq: u64,
}

#[event]
pub struct DisputeOpened {
    pub dispute: Pubkey,
    pub kind: DisputeKind,
    pub target: Pubkey,
    pub index: u32,
    pub challenger: Pubkey,
    pub bond_aic: u64,
    pub amount_nc: u64,
    pub deadline: i64,
    pub seq: u64,
}

/// A piece of evidence was accepted.
#[event]
pub struct EvidenceShown {
    pub dispute: Pubkey,
    pub step: u8,
    pub state: DisputeState,
    pub seq: u64,
}

#[event]
pub struct DisputeResolved {
    pub dispute: Pubkey,
    pub kind: DisputeKind,
    pub target: Pubkey,
    pub accused: Pubkey,
    pub challenger: Pubkey,
    /// Ended against the accused.
    pub upheld: bool,
    /// Went back to the challenger, or to the accused.
    pub bond_aic: u64,
    /// From the gateway's vault to the harmed party.
    pub vault_aic: u64,
    /// From the stake to the harmed party, for what it lost.
    pub restitution_aic: u64,
    /// Taken from the stake on top.
    pub penalty_aic: u64,
    /// Credits of the line that is void now.
    pub forfeited_nc: u64,
    pub seq: u64,
}

#[event]
pub struct DisputeClosed {
    pub dispute: Pubkey,
    pub rent_payer: Pubkey,
    pub seq: u64,
}

#[event]
pub struct AuditsSeeded {
    pub batch: Pubkey,
    pub seed: [u8; 32],
    pub seed_slot: u64,
    pub draws: u16,
    pub seq: u64,
}

#[event]
pub struct VerifierSetCreated {
    pub set: Pubkey,
    pub det_class: u16,
    pub seq: u64,
}

#[event]
pub struct VerifierJoined {
    pub set: Pubkey,
    pub det_class: u16,
    pub seat: u8,
    pub owner: Pubkey,
    pub node: Pubkey,
    pub seated: u16,
    pub seq: u64,
}

#[event]
pub struct VerifierLeft {
    pub set: Pubkey,
    pub det_class: u16,
    pub seat: u8,
    pub owner: Pubkey,
    /// By anyone, for want of stake.
    pub evicted: bool,
    pub seated: u16,
    pub seq: u64,
}

#[event]
pub struct AuditOpened {
    pub audit: Pubkey,
    pub batch: Pubkey,
    pub draw: u32,
    pub receipt_hash: [u8; 32],
    pub worker: Pubkey,
    pub det_class: u16,
    pub price_nc: u64,
    pub seats: [u8; 8],
    pub n_chairs: u8,
    pub enforce: bool,
    pub deadline: i64,
    pub seq: u64,
}

#[event]
pub struct VerdictSubmitted {
    pub audit: Pubkey,
    pub verifier: Pubkey,
    pub chair: u8,
    pub pass: bool,
    pub output_hash: [u8; 32],
    pub evidence_hash: [u8; 32],
    pub round: u8,
    pub judged: Outcome,
    pub deadline: i64,
    pub seq: u64,
}

#[event]
pub struct AuditAppealed {
    pub audit: Pubkey,
    pub appellant: Pubkey,
    pub against: Outcome,
    pub bond_aic: u64,
    pub round: u8,
    pub deadline: i64,
    pub seq: u64,
}

#[event]
pub struct AuditResolved {
    pub audit: Pubkey,
    pub batch: Pubkey,
    pub worker: Pubkey,
    pub outcome: Outcome,
    pub votes: [Vote; 8],
    /// The worker loses stake and line.
    pub convicts: bool,
    pub canary: bool,
    pub passes: u64,
    pub rate_bps: u16,
    pub seq: u64,
}

#[event]
pub struct LineForfeited {
    pub audit: Pubkey,
    pub batch: Pubkey,
    pub worker: Pubkey,
    pub index: u32,
    /// Void by this audit; 0 when the line was void before.
    pub credits_nc: u64,
    pub forfeited_nc: u64,
    pub batch_seq: u64,
    pub seq: u64,
}

#[event]
pub struct ForfeitWaived {
    pub audit: Pubkey,
    pub batch: Pubkey,
    pub seq: u64,
}

#[event]
pub struct WorkerPunished {
    pub audit: Pubkey,
    pub worker: Pubkey,
    pub operator: Pubkey,
    pub penalty_aic: u64,
    pub seq: u64,
}

#[event]
pub struct VerifierPunished {
    pub audit: Pubkey,
    pub chair: u8,
    pub owner: Pubkey,
    pub offence: Offence,
    pub penalty_aic: u64,
    pub seq: u64,
}

#[event]
pub struct VerifierPaid {
    pub audit: Pubkey,
    pub chair: u8,
    pub owner: Pubkey,
    pub aic: u64,
    pub earnings_aic: u64,
    pub seq: u64,
}

#[event]
pub struct BondSettled {
    pub audit: Pubkey,
    pub appellant: Pubkey,
    /// Otherwise it went to the account that pays for audits.
    pub returned: bool,
    pub aic: u64,
    pub seq: u64,
}

#[event]
pub struct AuditClosed {
    pub audit: Pubkey,
    pub batch: Pubkey,
    /// Everything that followed from the outcome was done.
    pub finished: bool,
    pub seq: u64,
}

#[event]
pub struct CanaryRevealed {
    pub audit: Pubkey,
    pub receipt_hash: [u8; 32],
    pub seq: u64,
}
