//! The mechanism's properties P1–P22, as far as they are arithmetic: each on 60 000 random cases, with values
//! drawn over all magnitudes up to the whole of u64.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use waybill_mechanism::amount::{self, mul_div_ceil, mul_div_floor};
use waybill_mechanism::ask::step_ask;
use waybill_mechanism::audit::{audit_draw, audit_rate_bps, contains, min_slash};
use waybill_mechanism::batch::{batch_take, claim_amount};
use waybill_mechanism::channel::{ChannelError, Grant, delegated_amount, settle_amount};
use waybill_mechanism::clearing::{clear, ema, next_base, ticks};
use waybill_mechanism::lineage::lineage_split;
use waybill_mechanism::merkle::{self, Node, PAD, Tree};
use waybill_mechanism::message::{ChargeNote, Line, Order, Receipt, Voucher};
use waybill_mechanism::pacing::{next_pace, paced_bid};
use waybill_mechanism::precompile;
use waybill_mechanism::promo;
use waybill_mechanism::routing::{self, CAP, Contender, EXPLORATION, PARTS, nest_weights, pick, route_weight};
use waybill_mechanism::stack::{StackInput, base_cost, price_stack, split_amount, split_bps, split_fee, weaver_ask};
use waybill_mechanism::vcg::{Bid, gsp, vcg};

const CASES: u32 = 60_000;

/// Any u64, with every order of magnitude equally likely.
fn wide() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
}

/// A price-like amount up to `2^bits`, every order of magnitude equally likely.
fn upto(bits: u32) -> impl Strategy<Value = u64> {
    (any::<u64>(), 64 - bits..64).prop_map(|(value, shift)| value >> shift)
}

fn shares() -> impl Strategy<Value = [u16; 6]> {
    prop::array::uniform5(0u16..=10_000).prop_map(|mut cuts| {
        cuts.sort_unstable();
        let [a, b, c, d, e] = cuts;
        [a, b - a, c - b, d - c, e - d, 10_000 - e]
    })
}

/// Stacks within the design's policy: β ≤ 1 000, φ ≤ 300, Σκ ≤ 8 000, C ≥ 1 000.
fn stacks() -> impl Strategy<Value = StackInput> {
    let caps = [(0u16..=6_000, 0u16..=1_000, 0u16..=1_000).boxed(), (0u16..=3_000, 0u16..=2_000, 0u16..=2_000).boxed()];
    let [proprietary, open] = caps;
    (1_000u64..1 << 40, prop::array::uniform3(upto(45)), 0u16..=1_000, 0u16..=300, proprietary.prop_union(open))
        .prop_map(|(base_nc, asks_nc, beta_bps, phi_bps, (v, o, w))| StackInput {
            base_nc,
            asks_nc,
            beta_bps,
            phi_bps,
            caps_bps: [v, o, w],
        })
}

fn owners_and_nests_equal(a: &Contender, b: &Contender) -> bool {
    (a.owner, a.nest) == (b.owner, b.nest)
}

fn wide_mul_div(a: u64, b: u64, c: u64) -> (Option<u64>, Option<u64>) {
    if c == 0 {
        return (None, None);
    }
    let product = u128::from(a) * u128::from(b);
    let c = u128::from(c);
    (u64::try_from(product / c).ok(), u64::try_from(product.div_ceil(c)).ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mul_div_is_the_128_bit_quotient(a in wide(), b in wide(), c in wide()) {
        prop_assert_eq!((mul_div_floor(a, b, c), mul_div_ceil(a, b, c)), wide_mul_div(a, b, c));
    }

    #[test]
    fn p1_to_p6_stack_and_shares(input in stacks()) {
        let priced = price_stack(&input).unwrap();
        let price = u128::from(priced.price_nc);
        let bps = split_bps(priced.price_nc, priced.effective_nc, input.beta_bps, input.phi_bps).unwrap();
        let [v, o, i, c, w, f] = bps;
        let caps: u64 = input.caps_bps.iter().copied().map(u64::from).sum();
        let open = 10_000 - u64::from(input.beta_bps) - u64::from(input.phi_bps);
        let base = u128::from(input.base_nc);

        prop_assert_eq!(bps.iter().copied().map(u32::from).sum::<u32>(), 10_000, "P1");
        for (share, cap) in [v, o, w].into_iter().zip(input.caps_bps) {
            prop_assert!(share <= cap, "P2");
        }
        prop_assert_eq!((c, f), (input.beta_bps, input.phi_bps), "P2");
        prop_assert!(u64::from(i) >= open - caps, "P3");
        let effective: u128 = priced.effective_nc.iter().copied().map(u128::from).sum();
        prop_assert!((base + effective) * 10_000 <= price * u128::from(open) + 10_000, "P4");
        for (effective, ask) in priced.effective_nc.iter().zip(input.asks_nc) {
            prop_assert!(*effective <= ask, "P5");
        }
        let asks: u128 = input.asks_nc.iter().copied().map(u128::from).sum();
        prop_assert!(price <= ((base + asks) * 10_000).div_ceil(u128::from(open)), "P6 uncapped");
        prop_assert!(price <= (base * 10_000).div_ceil(u128::from(open - caps)) + 1, "P6 all capped");
    }

    #[test]
    fn p7_raising_an_ask_lowers_neither_price_nor_own_share(input in stacks(), role in 0usize..3, more in upto(45)) {
        let mut raised = input;
        raised.asks_nc[role] += more;
        let (before, after) = (price_stack(&input).unwrap(), price_stack(&raised).unwrap());
        prop_assert!(after.price_nc + 1 >= before.price_nc);
        let share = |s: waybill_mechanism::stack::PriceStack| {
            split_bps(s.price_nc, s.effective_nc, input.beta_bps, input.phi_bps).unwrap()[[0, 1, 4][role]]
        };
        prop_assert!(share(after) + 1 >= share(before));
    }

    #[test]
    fn p8_p9_parts_sum_to_the_amount_and_dust_goes_to_compute(amount in wide(), bps in shares()) {
        let parts = split_amount(amount, &bps);
        prop_assert_eq!(parts.iter().copied().map(u128::from).sum::<u128>(), u128::from(amount));
        for role in [0, 1, 3, 4, 5] {
            prop_assert_eq!(Some(parts[role]), mul_div_floor(amount, u64::from(bps[role]), 10_000));
        }
        let fair = mul_div_floor(amount, u64::from(bps[2]), 10_000).unwrap();
        prop_assert!(parts[2] >= fair && parts[2] - fair <= 5);
    }

    #[test]
    fn p10_splitting_a_payment_gains_a_payee_nothing(a in upto(62), b in upto(62), bps in shares()) {
        let (whole, first, second) = (split_amount(a + b, &bps), split_amount(a, &bps), split_amount(b, &bps));
        for role in [0, 1, 3, 4, 5] {
            let apart = first[role] + second[role];
            prop_assert!(apart == whole[role] || apart + 1 == whole[role]);
        }
    }

    #[test]
    fn p11_steps_are_bounded(value in wide(), want in wide(), up in 0u16..=10_000, down in 0u16..=10_000, ceiling in wide()) {
        let up_most = u128::from(value) + (u128::from(value) * u128::from(up) / 10_000).max(1);
        let down_most = u128::from(value).saturating_sub((u128::from(value) * u128::from(down) / 10_000).max(1));
        let ask = step_ask(value, want, up, down, ceiling).unwrap();
        prop_assert!(ask <= ceiling && u128::from(ask) <= up_most);
        prop_assert!(u128::from(ask) >= down_most.min(u128::from(ceiling)));
        prop_assert!((ask <= value.max(want)) && (ask >= value.min(want).min(ceiling)), "an ask moves towards its target only");

        let base = next_base(value, Some(want), 0, u64::MAX, up, down).unwrap();
        prop_assert!(u128::from(base) <= up_most && u128::from(base) >= down_most);
        let scarce = next_base(value, None, 0, u64::MAX, up, down).unwrap();
        prop_assert_eq!(u128::from(scarce), up_most.min(u128::from(u64::MAX)));
        let (floor, reserve) = (ceiling.min(want), ceiling.max(want));
        let bounded = next_base(value, Some(want), floor, reserve, up, down).unwrap();
        prop_assert!((floor..=reserve).contains(&bounded));
    }

    #[test]
    fn a_step_of_everything_moves_the_price_by_its_limits_and_no_share_by_more_than_385_bps(
        input in stacks(), wants in prop::array::uniform3(upto(45)), marginal in upto(45),
    ) {
        let mut next = input;
        next.base_nc = next_base(input.base_nc, Some(marginal), 1_000, u64::MAX, 500, 1_000).unwrap();
        for (ask, want) in next.asks_nc.iter_mut().zip(wants) {
            *ask = step_ask(*ask, want, 500, 1_000, u64::MAX).unwrap();
        }
        let (before, after) = (price_stack(&input).unwrap(), price_stack(&next).unwrap());
        let (from, to) = (u128::from(before.price_nc), u128::from(after.price_nc));
        // An ask of a few nc steps by a whole one, and so may each of the three.
        prop_assert!(to * 10_000 >= from * 9_000 - 50_000 && to * 10_000 <= from * 10_500 + 50_000);
        let shares = |s: waybill_mechanism::stack::PriceStack| split_bps(s.price_nc, s.effective_nc, input.beta_bps, input.phi_bps).unwrap();
        // Each of three asks and both prices round by 1 nc of at least 1 000, each share by 1 bps.
        let rounding = 1 + 50_000 / u64::try_from(from).unwrap_or(u64::MAX);
        for (before, after) in shares(before).into_iter().zip(shares(after)) {
            prop_assert!(u64::from(before.abs_diff(after)) <= 385 + rounding, "{before} to {after}");
        }
    }

    #[test]
    fn p12_the_marginal_tick_is_where_supply_passes_demand(
        capacity in prop::collection::vec(upto(40), 1..=64), demand in upto(44), headroom in 0u16..=10_000,
    ) {
        let quantity = (u128::from(demand) * (10_000 + u128::from(headroom))).div_ceil(10_000);
        let supply = |n: usize| capacity[..n].iter().copied().map(u128::from).sum::<u128>();
        match clear(10_000, 500, &capacity, demand, headroom).unwrap() {
            Some(marginal) => {
                prop_assert!(supply(marginal.index) <= quantity && quantity < supply(marginal.index + 1));
                prop_assert_eq!(marginal.price_nc, ticks(10_000, capacity.len(), 500).unwrap()[marginal.index]);
            }
            None => prop_assert!(supply(capacity.len()) <= quantity),
        }
    }

    #[test]
    fn p13_infra_marginal_asks_do_not_move_the_price(
        capacity in prop::collection::vec(upto(30), 2..=64), demand in upto(33), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let Some(marginal) = clear(10_000, 500, &capacity, demand, 2_500).unwrap() else { return Ok(()) };
        if marginal.index > 0 {
            let mut moved = capacity.clone();
            let units = std::mem::take(&mut moved[from.index(marginal.index)]);
            moved[to.index(marginal.index)] += units;
            prop_assert_eq!(clear(10_000, 500, &moved, demand, 2_500).unwrap(), Some(marginal));
        }
    }

    #[test]
    fn p14_capacity_never_raises_and_demand_never_lowers_the_price(
        capacity in prop::collection::vec(upto(30), 1..=64), demand in upto(33), at in any::<prop::sample::Index>(), more in upto(30),
    ) {
        let place = |capacity: &[u64], demand| clear(10_000, 500, capacity, demand, 2_500).unwrap().map_or(usize::MAX, |m| m.index);
        let before = place(&capacity, demand);
        let mut added = capacity.clone();
        added[at.index(capacity.len())] += more;
        prop_assert!(place(&added, demand) <= before);
        prop_assert!(place(&capacity, demand + more) >= before);
    }

    #[test]
    fn a_nest_weighs_no_more_than_its_best_and_copies_add_nothing(weights in prop::collection::vec(upto(20), 1..12), copies in 1usize..12) {
        let nested = nest_weights(&weights);
        let (together, best) = (nested.iter().sum::<u64>(), weights.iter().copied().max().unwrap());
        prop_assert!(together <= best);
        for (a, b) in weights.iter().zip(&nested).flat_map(|a| weights.iter().zip(&nested).map(move |b| (a, b))) {
            prop_assert!(a.0 < b.0 || a.1 >= b.1, "inside a nest the order stays");
        }
        let equal = nest_weights(&vec![best; copies]).iter().sum::<u64>();
        prop_assert!(equal <= best && best - equal < copies as u64);
        let mut with_junk = weights.clone();
        with_junk.push(0);
        prop_assert_eq!(&nest_weights(&with_junk)[..weights.len()], &nested[..], "what nobody would choose takes nothing away");
    }

    #[test]
    fn p15_proofs_verify_with_their_exact_prefix_only(
        sums in prop::collection::vec(upto(50), 1..=40), at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), more in 1u64..1_000,
    ) {
        let n = sums.len() as u32;
        let leaves: Vec<Node> = sums.iter().enumerate().map(|(i, sum)| merkle::leaf(&i.to_le_bytes(), *sum)).collect();
        let tree = Tree::build(leaves.clone()).unwrap();
        let root = tree.root();
        let index = at.index(sums.len());
        let proof = tree.proof(index).unwrap();
        let verify = |index: usize, leaf: &Node, proof: &[Node]| merkle::verify(&root, n, index as u32, leaf, proof);
        prop_assert_eq!(root.sum, sums.iter().sum::<u64>());
        prop_assert_eq!(verify(index, &leaves[index], &proof), Ok(sums[..index].iter().sum()));

        let wrong = other.index(sums.len());
        prop_assert!(wrong == index || verify(wrong, &leaves[index], &proof).is_err());
        prop_assert!(verify(sums.len(), &leaves[index], &proof).is_err());
        prop_assert!(verify(index | 1 << proof.len(), &leaves[index], &proof).is_err(), "an index beyond the depth");
        let told = Node { sum: leaves[index].sum + more, ..leaves[index] };
        prop_assert!(verify(index, &told, &proof).is_err());
        let mut longer = proof.clone();
        longer.push(merkle::PAD);
        prop_assert!(verify(index, &leaves[index], &longer).is_err());
        if !proof.is_empty() {
            let mut changed = proof.clone();
            changed[other.index(proof.len())].sum += more;
            prop_assert!(verify(index, &leaves[index], &changed).is_err());
            prop_assert!(verify(index, &leaves[index], &proof[1..]).is_err());
        }
    }

    #[test]
    fn p15_a_block_verifies_exactly_when_it_is_whole_and_each_of_its_leaves_does(
        sums in prop::collection::vec(upto(50), 1..=40), height in 0u32..=6, at in any::<prop::sample::Index>(),
        cut in 0usize..4, more in 1u64..1_000,
    ) {
        let n = sums.len() as u32;
        let leaves: Vec<Node> = sums.iter().enumerate().map(|(i, sum)| merkle::leaf(&i.to_le_bytes(), *sum)).collect();
        let tree = Tree::build(leaves.clone()).unwrap();
        let root = tree.root();
        let size = 1usize << height.min(merkle::depth(n));
        let first = at.index(sums.len()) / size * size;
        let block = &leaves[first..(first + size).min(sums.len())];
        let own = merkle::depth(block.len() as u32) as usize;
        let proof = tree.block_proof(first, own).unwrap();
        let verify = |first: usize, leaves: &[Node], proof: &[Node]| {
            merkle::verify_block(&root, n, first as u32, leaves.to_vec(), proof)
        };
        prop_assert_eq!(verify(first, block, &proof), Ok(()));
        for (i, leaf) in block.iter().enumerate() {
            prop_assert!(merkle::verify(&root, n, (first + i) as u32, leaf, &tree.proof(first + i).unwrap()).is_ok());
        }
        // Another place, another leaf, another amount, another order, fewer or more siblings.
        prop_assert!(verify(first + 1, block, &proof).is_err());
        prop_assert!(first == 0 || verify(0, block, &proof).is_err());
        let mut told = block.to_vec();
        told[at.index(block.len())].sum += more;
        prop_assert!(verify(first, &told, &proof).is_err());
        let mut turned = block.to_vec();
        turned.reverse();
        prop_assert!(turned == block || verify(first, &turned, &proof).is_err());
        let mut longer = proof.clone();
        longer.push(merkle::PAD);
        prop_assert!(verify(first, block, &longer).is_err());
        prop_assert!(proof.is_empty() || verify(first, block, &proof[1..]).is_err());
        // A part of a block is none, unless it is a block itself; no leaves are none.
        let part = &block[..block.len().saturating_sub(cut + 1)];
        let whole = part.len().is_power_of_two() && merkle::depth(part.len() as u32) as usize == own;
        prop_assert!(whole || verify(first, part, &proof).is_err());
        // Padding is no leaf.
        let mut padded = block.to_vec();
        padded.push(merkle::PAD);
        prop_assert!(verify(first, &padded, &proof).is_err());
    }

    #[test]
    fn p16_vcg_is_rational_cheaper_than_gsp_and_truthful(
        mut alpha in prop::collection::vec(1u16..=10_000, 1..=4), reserve in 1u64..100_000,
        bids in prop::collection::vec((1u64..1_000_000, 5_000u16..=15_000), 1..=6), lies in prop::collection::vec(1u64..1_500_000, 6),
    ) {
        alpha.sort_unstable_by(|a, b| b.cmp(a));
        let bids: Vec<Bid<usize>> = bids.into_iter().enumerate().map(|(id, (bid_nc, quality_bps))| Bid { id, bid_nc, quality_bps }).collect();
        let slots = vcg(&alpha, reserve, &bids).unwrap();
        for (slot, second) in slots.iter().zip(gsp(&alpha, reserve, &bids).unwrap()) {
            prop_assert!(slot.price_nc >= reserve && slot.price_nc <= bids[slot.id].bid_nc, "individually rational");
            prop_assert!(slot.id == second.id && slot.price_nc <= second.price_nc, "at most GSP");
        }
        // Utility in units of value·α: prices round up by less than 1 nc, so a lie gains less than one slot's rounding.
        let utility = |slots: &[waybill_mechanism::vcg::Slot<usize>], id: usize, value: u64| {
            slots.iter().zip(&alpha).find(|(slot, _)| slot.id == id).map_or(0, |(slot, a)| (i128::from(value) - i128::from(slot.price_nc)) * i128::from(*a))
        };
        for (bid, lie) in bids.iter().zip(lies) {
            let truth = utility(&slots, bid.id, bid.bid_nc);
            let rivals: Vec<u64> = bids.iter().filter(|b| b.id != bid.id).map(|b| b.bid_nc).collect();
            for claim in rivals.iter().flat_map(|r| [r.saturating_sub(1), *r, r + 1]).chain([lie, reserve, 0]) {
                let mut bids = bids.clone();
                bids[bid.id].bid_nc = claim;
                let lied = utility(&vcg(&alpha, reserve, &bids).unwrap(), bid.id, bid.bid_nc);
                prop_assert!(lied <= truth + i128::from(alpha[0]), "bidding {claim} instead of {} gains", bid.bid_nc);
            }
        }
    }

    #[test]
    fn pacing_is_the_signed_formula_of_the_design(pace in 500u16..=10_000, target in wide(), spent in wide()) {
        let (one, target_i, spent_i) = (10_000i128, i128::from(target), i128::from(spent));
        let error = ((target_i - spent_i) * one).div_euclid(target_i.max(1)).clamp(-one, one);
        let next = i128::from(pace) + (i128::from(pace) * 2_000 / one * error).div_euclid(one);
        prop_assert_eq!(i128::from(next_pace(pace, target, spent)), next.clamp(500, one));
    }

    #[test]
    fn a_charge_of_promotion_divides_without_remainder_and_a_day_keeps_its_order(
        aic in wide(), day in any::<u32>(), epoch_s in 1u32..=86_400,
    ) {
        let promo::Shares { rebate_aic, display_aic, burn_aic } = promo::divide(aic);
        let whole = u128::from(rebate_aic) + u128::from(display_aic) + u128::from(burn_aic);
        prop_assert_eq!(whole, u128::from(aic));
        prop_assert_eq!(u128::from(rebate_aic), u128::from(aic) * 5 / 10);
        prop_assert_eq!(u128::from(display_aic), u128::from(aic) * 3 / 10);
        let times = promo::day(day, epoch_s).unwrap();
        prop_assert!(times.bids_until < times.begins && times.begins < times.ends && times.ends < times.charges_until);
        prop_assert_eq!(promo::day(day, epoch_s).map(|d| d.ends - d.begins), Some(promo::seasoning_s(epoch_s)));
        if let Some(next) = day.checked_add(1) {
            prop_assert_eq!(promo::day(next, epoch_s).unwrap().begins, times.ends, "days leave no gap");
        }
    }

    #[test]
    fn p17_value_is_conserved_from_deposit_to_claims(
        deposit in upto(60), claims in prop::collection::vec(upto(50), 1..10), rates in prop::collection::vec(1u64..1 << 45, 10), lines in prop::collection::vec(upto(40), 1..10),
    ) {
        let (mut balance, mut settled, mut vault_nc, mut vault_aic) = (deposit, 0u64, 0u64, 0u64);
        let mut owed = 0u64;
        for (claim, rate) in claims.into_iter().zip(rates) {
            owed += claim;
            match settle_amount(settled, owed, owed, balance, rate) {
                Ok(moved) => {
                    prop_assert!(moved.delta_aic <= balance && settled + moved.delta_nc <= owed);
                    settled += moved.delta_nc;
                    balance -= moved.delta_aic;
                    vault_nc += moved.delta_nc;
                    vault_aic += moved.delta_aic;
                }
                Err(error) => prop_assert_eq!(error, ChannelError::StaleClaim),
            }
        }
        prop_assert_eq!(balance + vault_aic, deposit);
        let lines_sum: u64 = lines.iter().sum();
        if lines_sum == 0 || lines_sum > vault_nc {
            return Ok(());
        }
        let taken = batch_take(vault_nc, vault_aic, lines_sum).unwrap();
        prop_assert!(taken <= vault_aic);
        let claimed: u64 = lines.iter().map(|line| claim_amount(lines_sum, taken, *line).unwrap()).sum();
        prop_assert!(claimed <= taken && taken - claimed < lines.len() as u64);
    }

    #[test]
    fn p19_any_order_of_vouchers_settles_the_same(
        mut claims in prop::collection::vec(upto(50), 1..8), turn in any::<prop::sample::Index>(), balance in upto(62), rate in 1u64..1 << 45,
    ) {
        let settle = |claims: &[u64]| {
            let (mut settled, mut balance) = (0u64, balance);
            for claim in claims {
                if let Ok(moved) = settle_amount(settled, *claim, *claim, balance, rate) {
                    settled += moved.delta_nc;
                    balance -= moved.delta_aic;
                }
            }
            settled
        };
        // The settled total may differ from one claim of everything only by what rounding up each debit costs.
        let most = claims.iter().copied().max().unwrap();
        let n = claims.len() as u128;
        let at_once = settle(&[most]);
        let turns = turn.index(claims.len());
        claims.rotate_left(turns);
        let step_by_step = settle(&claims);
        prop_assert!(step_by_step <= at_once);
        let lost = u128::from(at_once - step_by_step) * u128::from(rate);
        prop_assert!(lost <= (n + 1) * 1_000_000_000u128.max(u128::from(rate)));
        if u128::from(most) * u128::from(rate) / 1_000_000_000 + n < u128::from(balance) {
            prop_assert_eq!(step_by_step, most, "a funded channel settles every claim in any order");
        }
    }

    #[test]
    fn routing_shares_add_up_and_keep_the_caps(entries in prop::collection::vec((wide(), 0u8..6, 0u8..8, 0u8..4), 0..12)) {
        let contenders: Vec<Contender> = entries
            .iter()
            .map(|(weight, owner, nest, age)| Contender { weight: *weight, owner: [*owner; 32], nest: [*nest; 32], is_newcomer: *age == 0 })
            .collect();
        let shares = routing::shares(&contenders);
        prop_assert_eq!(shares.len(), contenders.len());
        let sum: u64 = shares.iter().sum();
        let lost = contenders.len() as u64;
        let served = contenders.iter().any(|c| c.weight > 0);
        prop_assert!(sum <= PARTS && (!served || sum + lost >= PARTS), "{} of all traffic", sum);
        let all_new = !contenders.iter().any(|c| c.weight > 0 && !c.is_newcomer);
        let counted: Vec<usize> = (0..contenders.len()).filter(|i| contenders[*i].weight > 0 && (all_new || !contenders[*i].is_newcomer)).collect();
        let explored: u64 = (0..contenders.len()).filter(|i| !counted.contains(i)).map(|i| shares[i]).sum();
        prop_assert!(explored <= EXPLORATION);
        let owners: std::collections::BTreeSet<[u8; 32]> = counted.iter().map(|i| contenders[*i].owner).collect();
        if owners.len() >= 3 {
            for owner in owners {
                let of_owner: u64 = counted.iter().filter(|i| contenders[**i].owner == owner).map(|i| shares[*i]).sum();
                prop_assert!(of_owner <= CAP);
            }
        } else if counted.len() >= 3 {
            prop_assert!(counted.iter().all(|i| shares[*i] <= CAP));
        }
        // A better container never gets less than a worse one of the same owner and nest.
        for (a, b) in counted.iter().zip(counted.iter().skip(1)) {
            let (one, other) = (contenders[*a], contenders[*b]);
            if owners_and_nests_equal(&one, &other) && one.weight >= other.weight {
                prop_assert!(shares[*a] >= shares[*b]);
            }
        }
    }

    #[test]
    fn copies_of_a_container_bring_its_owner_nothing(weights in prop::array::uniform3(1u64..1 << 20), copies in 1usize..6) {
        let contender = |weight, owner: u8, nest: u8| Contender { weight, owner: [owner; 32], nest: [nest; 32], is_newcomer: false };
        let alone: Vec<Contender> = (0u8..).zip(weights).map(|(i, weight)| contender(weight, i, i)).collect();
        let mut cloned = alone.clone();
        cloned.extend((0..copies).map(|_| contender(weights[0], 0, 0)));
        let of_first = |contenders: &[Contender]| -> u64 {
            let shares = routing::shares(contenders);
            contenders.iter().zip(shares).filter(|(c, _)| c.owner == [0; 32]).map(|(_, share)| share).sum()
        };
        let (before, after) = (of_first(&alone), of_first(&cloned));
        // One part of rounding per container, and a weight of at least 1 for each copy.
        let slack = (copies as u64 + 3) * (1 + PARTS / weights.iter().sum::<u64>());
        prop_assert!(after <= before + slack, "{} became {}", before, after);
    }

    #[test]
    fn p20_no_input_panics(a in wide(), b in wide(), c in wide(), d in wide(), e in wide(), bps in prop::array::uniform6(any::<u16>()), small in any::<u32>(), times in prop::array::uniform3(any::<i64>())) {
        let [x, y, z, ..] = bps;
        let _ = (amount::price_nc(a, b), amount::debit_aic(a, b), amount::credit_aic(a, b), amount::affordable_nc(a, b), amount::bps_floor(a, x));
        let _ = price_stack(&StackInput { base_nc: a, asks_nc: [b, c, d], beta_bps: x % 3_000, phi_bps: y % 3_000, caps_bps: [z % 3_000, bps[3] % 3_000, bps[4] % 3_000] });
        let _ = (split_bps(a, [b, c, d], x, y), split_amount(a, &bps), lineage_split(a, &[b, c, d, e]));
        let _ = (ticks(a, usize::from(x % 70), y % 12_000), ema(a, b, x), clear(a, x % 12_000, &[b, c, d, e], e, y % 12_000));
        let _ = (next_base(a, Some(b), c, d, x, y), next_base(a, None, c, d, x % 10_001, y % 10_001), step_ask(a, b, x, y, c));
        let _ = (route_weight(x, a, y, b, small % 70), route_weight(x.min(y), a.max(b), x.max(y), a.min(b), small % 70));
        let _ = (settle_amount(a, b, c, d, e), batch_take(a, b, c), claim_amount(a, b, c), next_pace(x, a, b));
        let [now, expires, period_start] = times;
        let grant = Grant { expires, period_s: small, period_start, limit_nc: a, used_nc: b };
        let _ = (delegated_amount(now, &grant, c, d, e, e), grant.room_nc(now, c));
        let bids = [a, b, c].into_iter().enumerate().map(|(id, bid_nc)| Bid { id, bid_nc, quality_bps: 5_000 + z % 10_001 }).collect::<Vec<_>>();
        let _ = (vcg(&[x, y], d, &bids), gsp(&[x.max(y), x.min(y)], d, &bids));
        let _ = price_stack(&StackInput { base_nc: a, asks_nc: [b, c, d], beta_bps: x, phi_bps: y, caps_bps: [z, bps[3], bps[4]] });
        let _ = (split_fee(a, &[x, y, z, bps[3]]), weaver_ask(a, &[b, c, d], usize::from(x % 4)), base_cost(a, x), paced_bid(a, x));
        let _ = (nest_weights(&[a, b, c, d, e]), nest_weights(&[u64::MAX; 3]), pick(&[0; 32], &[1; 32], 2, &[a, b, c]), audit_draw(&[3; 32], small, a), contains(a, b, c), audit_rate_bps(a), min_slash(a, x));
        let _ = merkle::verify(&Node { sum: a, ..PAD }, small, small ^ u32::from(x), &Node { sum: b, ..PAD }, &[Node { sum: c, ..PAD }, Node { sum: d, ..PAD }]);
        let leaves = vec![Node { hash: [0; 32], sum: a }, Node { hash: [1; 32], sum: b }, Node { hash: [2; 32], sum: c }];
        prop_assert_eq!(Tree::build(leaves).is_ok(), u128::from(a) + u128::from(b) + u128::from(c) <= u128::from(u64::MAX));
    }

    #[test]
    fn p20_no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..330), kind in 0usize..5) {
        let (magic, len) = [(&b"AV"[..], Voucher::LEN), (b"AN", ChargeNote::LEN), (b"AD", Order::LEN), (b"AIRC\x01", Receipt::LEN), (b"AILN\x01", Line::LEN)][kind];
        let mut framed: Vec<u8> = magic.iter().chain(&bytes).copied().collect();
        for bytes in [bytes.clone(), { framed.resize(len, 0); framed }] {
            // Whatever decodes is exactly what its bytes say.
            if let Ok(voucher) = Voucher::from_bytes(&bytes) { prop_assert_eq!(&voucher.to_bytes()[..], &bytes[..]); }
            if let Ok(note) = ChargeNote::from_bytes(&bytes) { prop_assert_eq!(&note.to_bytes()[..], &bytes[..]); }
            if let Ok(order) = Order::from_bytes(&bytes) { prop_assert_eq!(&order.to_bytes()[..], &bytes[..]); }
            if let Ok(receipt) = Receipt::from_bytes(&bytes) { prop_assert_eq!(&receipt.to_bytes()[..], &bytes[..]); }
            if let Ok(line) = Line::from_bytes(&bytes) { prop_assert_eq!(&line.to_bytes()[..], &bytes[..]); }
            let _ = precompile::check(&bytes, &[0; 32], &bytes);
        }
    }

    #[test]
    fn p21_a_grant_bounds_every_window(
        limit in 1u64..1 << 40, period in 3_600u32..100_000, steps in prop::collection::vec((0i64..200_000, upto(38)), 1..20), window in 1i64..500_000,
    ) {
        let start = 1_000;
        let mut grant = Grant { expires: i64::MAX, period_s: period, period_start: start, limit_nc: limit, used_nc: 0 };
        let (mut now, mut settled, mut claimed) = (start, 0u64, 0u64);
        let mut moves = Vec::new();
        for (wait, more) in steps {
            now += wait;
            claimed += more;
            match delegated_amount(now, &grant, settled, claimed, u64::MAX, 1_000_000_000) {
                Ok(after) => {
                    prop_assert_eq!(after.settled_nc, settled + after.moved.delta_nc);
                    moves.push((now, after.moved.delta_nc));
                    (grant, settled) = (after.grant, after.settled_nc);
                }
                Err(error) => prop_assert_eq!(error, ChannelError::StaleClaim),
            }
            prop_assert!(grant.used_nc <= limit && settled <= claimed);
            prop_assert_eq!((grant.period_start - start) % i64::from(period), 0);
        }
        let most = u128::from(limit) * (window as u128 / u128::from(period) + 2);
        for (from, _) in &moves {
            let moved: u128 = moves.iter().filter(|(at, _)| (*from..from + window).contains(at)).map(|(_, nc)| u128::from(*nc)).sum();
            prop_assert!(moved <= most);
        }
    }

    #[test]
    fn p22_both_modes_share_one_watermark(
        claims in prop::collection::vec((any::<bool>(), upto(40)), 1..20), balance in upto(60), limit in 1u64..1 << 40,
    ) {
        let mut grant = Grant { expires: 1_000_000, period_s: 3_600, period_start: 0, limit_nc: limit, used_nc: 0 };
        let (mut settled, mut charged, mut rest) = (0u64, 0u64, balance);
        for (i, (delegated, charge)) in claims.into_iter().enumerate() {
            charged += charge;
            let before = settled;
            let moved = if delegated {
                delegated_amount(i as i64 * 600, &grant, settled, charged, rest, 1_000_000_000).map(|after| {
                    grant = after.grant;
                    after.moved
                })
            } else {
                settle_amount(settled, charged, charged, rest, 1_000_000_000)
            };
            match moved {
                Ok(moved) => {
                    settled += moved.delta_nc;
                    rest -= moved.delta_aic;
                }
                Err(error) => prop_assert!(error == ChannelError::StaleClaim && charged == settled),
            }
            prop_assert!(settled >= before && settled <= charged, "nothing is settled twice");
            prop_assert_eq!(settled, balance - rest, "one nc is one base unit at this rate");
        }
    }
}
