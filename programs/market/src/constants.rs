//! Compiled-in facts and bounds. What an authority may tune lives in [`crate::state::MarketParams`].

use waybill_mechanism::lineage::MAX_LINEAGE;

/// Roles a party can have, the length of arrays indexed by [`crate::state::Role`].
pub const ROLES: usize = 7;
/// Most stages of a container.
pub const MAX_STAGES: usize = 8;
/// Longest name of an artifact or container, in bytes.
pub const MAX_NAME: usize = 48;
/// Longest licence identifier, in bytes.
pub const MAX_LICENCE: usize = 32;
/// Bytes of a region name, ASCII, padded with zeros at the end.
pub const REGION_LEN: usize = 12;
/// Price steps of a market's book.
pub const TICKS: usize = 64;
/// Promotion slots of a market and day.
pub const SLOTS: usize = waybill_mechanism::promo::ALPHA_BPS.len();
/// Most campaigns that bid for the slots of a market and day.
pub const MAX_SLOT_BIDS: usize = waybill_mechanism::vcg::MAX_BIDS;
/// How many days ahead a campaign may bid.
pub const BID_AHEAD_DAYS: u32 = 7;
/// Most artifacts that one artifact derives from; the last row of a royalty table is the model's own vendor.
pub const MAX_ANCESTORS: usize = MAX_LINEAGE - 1;
/// How long after its pricing epoch a royalty table is kept, in seconds: longer than a batch of that epoch can take to
/// be posted in time, challenged and claimed.
pub const ROYALTIES_KEEP_S: i64 = 200 * 86_400;
/// The most a container's curator share moves per pricing epoch, in bps.
pub const BETA_STEP_BPS: u16 = 100;

/// Within this time the same offence again is a repeat, in seconds: 30 days.
pub const REPEAT_S: i64 = 30 * DAY_S;
/// How long after its last use a slash ticket stays, in seconds: 60 days, longer than any dispute.
pub const TICKET_S: i64 = 60 * DAY_S;
/// How long a party that did not show up takes no new work, in seconds.
pub const JAIL_S: i64 = DAY_S;
/// The most that missed appearances cost in one day, in bps of the stake.
pub const NO_SHOW_DAY_BPS: u16 = 500;
/// A party whose stake falls below this part of its minimum takes no new work, in bps.
pub const WORK_BPS: u16 = 8_000;
/// A party whose stake falls below this part of its minimum leaves the books, in bps.
pub const JAIL_BPS: u16 = 5_000;
/// Owners of a book below which its price follows the utilisation, not the marginal tick.
pub const THIN_OWNERS: u32 = 3;
/// In the first this many settlement epochs of a pricing epoch gateways report the demand of the one before; after them
/// the book clears.
pub const OBSERVE_EPOCHS: u32 = 12;
/// A gateway may report at most this many times its stake's worth of demand per pricing epoch: what it may have
/// unsettled at most, because its stake is a quarter of it.
pub const OBSERVE_STAKES: u64 = 4;
/// Weight of a new observation in the smoothed demand, in bps, unless set.
pub const ALPHA_BPS: u16 = 2_000;
/// Capacity that stands ready above the demand, in bps of it, unless set.
pub const HEADROOM_BPS: u16 = 2_500;
/// The most of a book that one owner may add to, in bps, unless set. It binds from [`CAPPED_OWNERS`] owners on.
pub const OWNER_CAP_BPS: u16 = 2_500;
/// See [`OWNER_CAP_BPS`]: with fewer owners somebody always has more than a quarter.
pub const CAPPED_OWNERS: u32 = 4;
/// BU per pricing epoch that one AIC at stake answers for, unless set: $25 of stake at $0.05 and the design's base price
/// answer for what earns four times the stake in a day.
pub const UNITS_PER_AIC: u32 = 16_000;
/// Settlement epochs between the proposal of parameters and the first in which they may apply.
pub const PARAMS_NOTICE_EPOCHS: u32 = 2;
/// How long after its use an account stays for disputes, late batches and claims, in seconds: 90 days.
pub const KEEP_S: i64 = 90 * DAY_S;
/// Seconds of a day.
pub const DAY_S: i64 = 86_400;

/// Bounds of the time between `begin_unstake` and `finish_unstake`, in seconds: tests up to 60 days.
pub const UNBONDING_MAX_S: u32 = 60 * 86_400;
/// Longest delegation of a worker key, in seconds.
pub const NODE_TERM_MAX_S: i64 = 366 * 86_400;
/// Longest notice of an ask, in seconds.
pub const ASK_NOTICE_MAX_S: u32 = 86_400;
/// Largest step up or down of a price per pricing epoch, in bps.
pub const STEP_MAX_BPS: u16 = 2_000;
/// Largest protocol fee, in bps.
pub const FEE_MAX_BPS: u16 = 1_000;
/// Decimals of the stake token, AIC.
pub const DECIMALS: u8 = coin::constants::DECIMALS;
