//! Bounds that are compiled in. Everything an operator may tune lives in `SettleConfig`.

/// Layout version written into every new account of this program.
pub const VERSION: u8 = 1;

/// Basis points in one whole.
pub const BPS: u16 = 10_000;

/// Longest cluster name that enters the signing domain, in bytes.
pub const MAX_CLUSTER_NAME: usize = 32;

/// Upper bound of every window in `SettleConfig`, in seconds (60 days).
pub const MAX_WINDOW_S: u32 = 60 * 86_400;

/// Most lines and receipts one shard of a batch commits to; together they bound proof depth, bitmap and account size.
pub const MAX_LINES: u32 = 8_192;
pub const MAX_RECEIPTS: u32 = 16_384;

/// Longest address at which a gateway publishes the data behind a batch, in bytes.
pub const MAX_URI: usize = 128;

/// How far behind the current slot the incarnation of a new channel may lie. A channel outlives this many slots,
/// so a closed one can never be opened again at the same address.
pub const MAX_OPEN_SLOT_AGE: u64 = 150;

/// Bounds of the period over which a delegated spending limit refills, in seconds (1 hour to 31 days).
pub const MIN_GRANT_PERIOD_S: u32 = 3_600;
pub const MAX_GRANT_PERIOD_S: u32 = 2_678_400;
/// The furthest a grant may expire in the future, in seconds (366 days).
pub const MAX_GRANT_LIFE_S: i64 = 366 * 86_400;
/// What revoking leaves of a grant, in seconds: work already served can still be settled.
pub const REVOKE_GRACE_S: i64 = 3_600;

/// Delay before a new or changed sweep address takes effect, in seconds.
pub const SWEEP_DELAY_S: i64 = 86_400;

/// What an hour may pay out of the pool whatever left it before, in AIC base units: 100,000 AIC.
pub const POOL_FLOOR_AIC: u64 = 100_000_000_000_000;
/// How long a withdrawal that has waited can be taken, in seconds.
pub const DUE_LIFE_S: i64 = 86_400;
/// How long withdrawals can be paused, in seconds, until 30 days have passed without a pause.
pub const WITHDRAW_PAUSE_S: u32 = 72 * 3_600;
/// After how long without a pause of withdrawals the whole time is available again, in seconds.
pub const WITHDRAW_PAUSE_RENEWS_S: i64 = 30 * 86_400;
/// Most that a bounty adds to a curator's share, in bps of what a line is worth.
pub const MAX_BOUNTY_BPS: u16 = 1_000;

/// Seconds in the day that numbers a `FeeDay`.
pub const DAY_S: u64 = 86_400;

/// Most lines that one `claim_lines` pays: they fit the program's heap.
pub const MAX_CLAIMED_LINES: usize = 16;

/// How long after its end the fees of a day are kept for the coin, which releases by them, in days.
pub const FEE_DAY_KEEP_DAYS: u32 = 90;

/// Seconds after which a gateway has to know a grant that a consumer changed.
pub const GRANT_NOTICE_S: i64 = 600;

/// What a challenger deposits unless the configuration says otherwise, in nc ($1).
pub const DISPUTE_BOND_NC: u64 = 1_000_000_000;
/// Seconds in which the accused must answer unless the configuration says otherwise (2 hours).
pub const DISPUTE_RESPONSE_S: u32 = 2 * 3_600;
/// Seconds in which a verifier must answer unless the configuration says otherwise (12 hours).
pub const AUDIT_VERDICT_S: u32 = 12 * 3_600;
/// Seconds for which inputs, outputs and evidence are kept unless the configuration says otherwise (48 hours).
pub const AUDIT_RETENTION_S: u32 = 48 * 3_600;
/// Most receipts that are drawn from one batch.
pub const MAX_DRAWS: u16 = 128;

/// Seats of a verifier set.
pub const SEATS: usize = 64;
/// Seconds for which a seat that was left stays its former holder's, so that every audit that names the seat means
/// one verifier (30 days).
pub const SEAT_HOLD_S: i64 = 30 * 86_400;
/// Chairs of an audit: one verifier, three more on a mismatch, four more on appeal.
pub const CHAIRS: usize = 8;
/// Verdict times after the last deadline in which lines are forfeited, verdicts paid and penalties taken.
pub const AUDIT_GRACE_VERDICTS: i64 = 4;
