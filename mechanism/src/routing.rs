//! Routing of class requests: a container's weight from its quality and price, and the recomputable pick.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use solana_sha256_hasher::hashv;

use crate::amount::{AmountError, require};
use crate::audit::draw_below;

/// Largest price sensitivity θ.
pub const MAX_THETA: u32 = 64;

/// `floor(2²⁰·(q·p_min / (q_max·p))^θ)` in Q32 arithmetic; 2²⁰ is the weight of the best and cheapest container.
/// Qualities are basis points, prices nc per 1 000 BU.
pub fn route_weight(q: u16, price_nc: u64, q_max: u16, p_min_nc: u64, theta: u32) -> Result<u64, AmountError> {
    require(q > 0 && q <= q_max && p_min_nc > 0 && price_nc >= p_min_nc && (1..=MAX_THETA).contains(&theta))?;
    // 16 + 64 + 32 bits; the quotient is at most 1 in Q32, and so is every power of it.
    let x = ((u128::from(q) * u128::from(p_min_nc)) << 32) / (u128::from(q_max) * u128::from(price_nc));
    let mut power = 1u128 << 32;
    for bit in (0..u32::BITS - theta.leading_zeros()).rev() {
        power = (power * power) >> 32;
        if theta >> bit & 1 == 1 {
            power = (power * x) >> 32;
        }
    }
    u64::try_from((power << 20) >> 32).map_err(|_| AmountError::Overflow)
}

/// Weights of the containers of one lineage when they stand together: in proportion to their own, and together as much
/// as what a request inside the lineage meets, the mean of their weights weighted with themselves. So equal copies add
/// nothing, a copy nobody would choose takes nothing away, and a cheap decoy cannot attract traffic for dear copies as
/// it could if the best weight stood for all. Rounded down; weights as [`route_weight`] gives them.
pub fn nest_weights(weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().copied().map(u128::from).sum();
    let squares = weights.iter().map(|w| u128::from(*w) * u128::from(*w)).fold(0u128, u128::saturating_add);
    let together = squares.checked_div(total).unwrap_or(0);
    // The mean is at most the largest weight, so each product of two 64-bit numbers fits.
    let nested = |weight: &u64| (together * u128::from(*weight)).checked_div(total).unwrap_or(0);
    weights.iter().map(|weight| u64::try_from(nested(weight)).unwrap_or(u64::MAX)).collect()
}

/// The candidate a request goes to: `u128_le(sha("AI-RT" ‖ request_hash ‖ epoch_seed ‖ attempt)[0..16]) mod Σw` falls
/// into its range of the cumulative weights. `None` when all weights are zero.
pub fn pick(request_hash: &[u8; 32], epoch_seed: &[u8; 32], attempt: u8, weights: &[u64]) -> Option<usize> {
    let total = weights.iter().try_fold(0u64, |sum, weight| sum.checked_add(*weight))?;
    let digest = hashv(&[b"AI-RT", request_hash, epoch_seed, &[attempt]]).to_bytes();
    let mut point = draw_below(&digest, total)?;
    weights.iter().position(|weight| match point.checked_sub(*weight) {
        Some(rest) => {
            point = rest;
            false
        }
        None => true,
    })
}

/// All traffic of a class; shares are parts of it.
pub const PARTS: u64 = 1_000_000_000;
/// Most of the traffic that one owner gets, or one container where there are not three owners.
pub const CAP: u64 = PARTS / 100 * 40;
/// What newcomers share among themselves.
pub const EXPLORATION: u64 = PARTS / 100 * 5;
/// Caps bind among so many; two could not share all the traffic under them.
const CAPPED_FROM: usize = 3;

/// A container that could serve a class request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// Of [`route_weight`].
    pub weight: u64,
    /// Whose container it is.
    pub owner: [u8; 32],
    /// Root of its model's lineage: derivatives of one model weigh together as [`nest_weights`] has it.
    pub nest: [u8; 32],
    /// It has no record yet, so it gets a part of the exploration and nothing else.
    pub is_newcomer: bool,
}

/// Traffic of each contender in parts of [`PARTS`], for [`pick`]. The sum is `PARTS` less at most one part per contender; 0
/// for contenders without weight, and for all when none has any.
pub fn shares(contenders: &[Contender]) -> Vec<u64> {
    let has_record = |contender: &Contender| !contender.is_newcomer && contender.weight > 0;
    let all_are_new = !contenders.iter().any(has_record);
    let counts = |contender: &Contender| contender.weight > 0 && (all_are_new || !contender.is_newcomer);
    let explores = |contender: &Contender| contender.weight > 0 && !counts(contender);

    let mut shares = vec![0; contenders.len()];
    let newcomers = contenders.iter().filter(|contender| explores(contender)).count() as u64;
    let each = EXPLORATION.checked_div(newcomers).unwrap_or(0);
    for (share, _) in shares.iter_mut().zip(contenders).filter(|(_, contender)| explores(contender)) {
        *share = each;
    }
    let rest = if newcomers == 0 { PARTS } else { PARTS - EXPLORATION };

    let counted: Vec<usize> = (0..contenders.len()).filter(|i| contenders.get(*i).is_some_and(counts)).collect();
    let weights = nested(contenders, &counted);
    let groups = groups(contenders, &counted);
    let mut sums: BTreeMap<usize, u128> = BTreeMap::new();
    for (weight, group) in weights.iter().zip(&groups) {
        *sums.entry(*group).or_default() += u128::from(*weight);
    }
    let capped = capped(&sums, rest);
    let open: u128 = sums.iter().filter(|(group, _)| !capped.contains(group)).map(|(_, sum)| sum).sum();
    let left = u128::from(rest).saturating_sub(u128::from(CAP) * capped.len() as u128);
    for ((index, weight), group) in counted.iter().zip(&weights).zip(&groups) {
        let (part, of) =
            if capped.contains(group) { (u128::from(CAP), sums.get(group).copied()) } else { (left, Some(open)) };
        let share = (u128::from(*weight) * part).checked_div(of.unwrap_or(0)).unwrap_or(0);
        if let Some(slot) = shares.get_mut(*index) {
            *slot = u64::try_from(share).unwrap_or(PARTS);
        }
    }
    shares
}

/// Weights as the nests leave them, at least 1 each.
fn nested(contenders: &[Contender], counted: &[usize]) -> Vec<u64> {
    let mut nests: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (place, index) in counted.iter().enumerate() {
        if let Some(contender) = contenders.get(*index) {
            nests.entry(contender.nest).or_default().push(place);
        }
    }
    let own = |place: &usize| counted.get(*place).and_then(|index| contenders.get(*index)).map_or(0, |c| c.weight);
    let mut nested = vec![1; counted.len()];
    for places in nests.values() {
        let weights: Vec<u64> = places.iter().map(own).collect();
        for (place, weight) in places.iter().zip(nest_weights(&weights)) {
            if let Some(slot) = nested.get_mut(*place) {
                *slot = weight.max(1);
            }
        }
    }
    nested
}

/// What the cap holds for: owners where there are three, else containers where there are three, else all together.
fn groups(contenders: &[Contender], counted: &[usize]) -> Vec<usize> {
    let mut owners: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    let by_owner: Vec<usize> = counted
        .iter()
        .filter_map(|index| contenders.get(*index))
        .map(|contender| {
            let next = owners.len();
            *owners.entry(contender.owner).or_insert(next)
        })
        .collect();
    if owners.len() >= CAPPED_FROM {
        by_owner
    } else if counted.len() >= CAPPED_FROM {
        (0..counted.len()).collect()
    } else {
        vec![0; counted.len()]
    }
}

/// The groups that get exactly the cap: those whose part of what the capped ones leave would be more.
fn capped(sums: &BTreeMap<usize, u128>, rest: u64) -> Vec<usize> {
    let mut capped: Vec<usize> = Vec::new();
    if sums.len() < CAPPED_FROM {
        return capped;
    }
    loop {
        let open: u128 = sums.iter().filter(|(group, _)| !capped.contains(group)).map(|(_, sum)| sum).sum();
        let left = u128::from(rest).saturating_sub(u128::from(CAP) * capped.len() as u128);
        let over = |(group, sum): &(&usize, &u128)| {
            // Sums are below 2⁹⁶, parts below 2³⁰.
            !capped.contains(group) && **sum * left > u128::from(CAP) * open
        };
        let Some((group, _)) = sums.iter().find(over) else { return capped };
        capped.push(*group);
    }
}

/// What a class request names in place of a container: `sha("AI-CLASS" ‖ name)`.
pub fn class_id(name: &str) -> [u8; 32] {
    hashv(&[b"AI-CLASS", name.as_bytes()]).to_bytes()
}

/// The seed of all picks of a pricing epoch: `sha("AI-RTS" ‖ domain ‖ le32(pricing_epoch))`.
pub fn epoch_seed(domain: &[u8; 8], pricing_epoch: u32) -> [u8; 32] {
    hashv(&[b"AI-RTS", domain, &pricing_epoch.to_le_bytes()]).to_bytes()
}
