//! The built programs against the mechanism off chain: the same random states and claims on both, the same numbers and
//! the same refusals out of both. States are written into the accounts as no instruction would, so that they reach far
//! beyond what a history of transactions comes to.

use std::cell::RefCell;

use anchor_lang::prelude::Pubkey;
use market::{
    constants::TICKS,
    error::MarketError,
    state::{Ask, Container, Market, MarketConfig, Role, SplitSnapshot, Stage},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use settlement::{
    error::SettleError,
    events::LineClaimed,
    state::{Batch, Channel, ChannelState, Earnings, GatewayVault},
};
use solana_signer::Signer;
use waybill_mechanism::{
    amount::AmountError,
    batch::{batch_take, claim_amount},
    channel::{self, ChannelError, Moved, delegated_amount, settle_amount},
    clearing::{clear, ema, next_base, thin_marginal},
    merkle,
    message::NO_REFERRER,
    stack::{StackInput, base_cost, price_stack, split_amount, split_bps, weaver_ask},
};
use waybill_tests::{ix::market_ix, ix_stake::roll_market};

use crate::desk::*;

const CASES: u32 = 300;

/// An amount below `2^bits`, every order of magnitude equally likely.
fn upto(bits: u32) -> impl Strategy<Value = u64> {
    (any::<u64>(), 64 - bits..64).prop_map(|(value, shift)| value >> shift)
}

/// Two amounts, the first usually not above the second.
fn rising(bits: u32) -> impl Strategy<Value = (u64, u64)> {
    (upto(bits), upto(bits), 0..8u8).prop_map(|(a, b, odd)| if odd == 0 { (a, b) } else { (a.min(b), a.max(b)) })
}

/// Runs `check` on `CASES` drawn cases, the same in every run. `Desk`s are dear, so that all cases share one.
fn on_cases<S: Strategy>(desk: Desk, cases: S, check: impl Fn(&mut Desk, S::Value)) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let desk = RefCell::new(desk);
    let checked = TestRunner::new_with_rng(config, rng).run(&cases, |case| {
        check(&mut desk.borrow_mut(), case);
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

/// Sets what a token account holds.
fn set_tokens(desk: &mut Desk, address: Pubkey, amount: u64) {
    let mut account = desk.net.world.svm.get_account(&address).unwrap();
    account.data[64..72].copy_from_slice(&amount.to_le_bytes());
    desk.net.world.svm.set_account(address, account).unwrap();
}

/// Removes an account.
fn remove(desk: &mut Desk, address: Pubkey) {
    if let Some(mut account) = desk.net.world.svm.get_account(&address) {
        (account.lamports, account.data, account.owner) = (0, vec![], SYSTEM);
        desk.net.world.svm.set_account(address, account).unwrap();
    }
}

/// A channel and the vault of its gateway before a claim.
#[derive(Clone, Debug)]
struct Before {
    settled_nc: u64,
    claim_cum_nc: u64,
    balance_aic: u64,
    rate: u64,
    vault: (u64, u64),
}

fn before() -> impl Strategy<Value = Before> {
    (rising(60), upto(62), upto(56), upto(60), upto(60)).prop_map(
        |((settled_nc, claim_cum_nc), balance_aic, rate, nc, aic)| Before {
            settled_nc,
            claim_cum_nc,
            balance_aic,
            rate: rate.max(1),
            vault: (nc.max(1), aic),
        },
    )
}

impl Before {
    fn write(&self, desk: &mut Desk, change: impl FnOnce(&mut Channel)) {
        let (channel, vault) = (desk.channel(), desk.gateway_vault());
        let Self { settled_nc, balance_aic, rate, vault: (nc, aic), .. } = *self;
        desk.rewrite(coin::seeds::find_rate().0, |account: &mut coin::state::Rate| account.rate = rate);
        desk.rewrite(channel, |channel: &mut Channel| {
            (channel.state, channel.settled_nc, channel.settled_aic) = (ChannelState::Open, settled_nc, 0);
            (channel.balance_aic, channel.deposited_aic) = (balance_aic, balance_aic);
            channel.last_settled_nonce = 0;
            change(channel);
        });
        desk.rewrite(vault, |vault: &mut GatewayVault| (vault.nc, vault.aic) = (nc, aic));
        let (from, to) = (desk.channel_token(), desk.gateway_token());
        set_tokens(desk, from, balance_aic);
        set_tokens(desk, to, aic);
    }

    /// The accounts say that exactly `moved` has moved.
    fn assert_moved(&self, desk: &Desk, moved: Moved) {
        let channel = desk.state();
        assert_eq!(channel.settled_nc, self.settled_nc + moved.delta_nc);
        assert_eq!(channel.balance_aic, self.balance_aic - moved.delta_aic);
        let vault: GatewayVault = desk.net.world.read(&desk.gateway_vault());
        assert_eq!((vault.nc, vault.aic), (self.vault.0 + moved.delta_nc, self.vault.1 + moved.delta_aic));
        assert_eq!(
            (desk.token(&desk.channel_token()), desk.token(&desk.gateway_token())),
            (channel.balance_aic, vault.aic)
        );
    }
}

fn code(error: ChannelError) -> Option<u32> {
    Some(SettleError::from(error).into())
}

#[test]
fn a_voucher_settles_what_the_mechanism_says() {
    let cases = (before(), upto(60), upto(60), any::<bool>(), 0..6u8);
    on_cases(Desk::with_channel(1_000, 0), cases, |desk, (before, acked_nc, more_nc, gateway_signs, low)| {
        before.write(desk, |_| {});
        // Usually the voucher covers the claim.
        let acked_nc = if low == 0 { acked_nc } else { acked_nc.max(before.claim_cum_nc) };
        let cum_nc = acked_nc + more_nc;
        let check = signature_check(&desk.consumer, &desk.voucher(1, acked_nc, cum_nc).to_bytes());
        let settle = desk.settle_voucher_ix(before.claim_cum_nc, gateway_signs);
        let gateway = desk.gateway();
        let sent = desk.net.world.send(&[check, settle], &[&gateway]);
        let ceiling_nc = if gateway_signs { cum_nc } else { acked_nc };
        let Before { settled_nc, claim_cum_nc, balance_aic, rate, .. } = before;
        match settle_amount(settled_nc, claim_cum_nc, ceiling_nc, balance_aic, rate) {
            Ok(moved) => {
                sent.unwrap();
                before.assert_moved(desk, moved);
            }
            Err(error) => assert_eq!(sent.unwrap_err().code(), code(error), "{before:?}"),
        }
    });
}

#[test]
fn a_delegated_claim_settles_what_the_mechanism_says() {
    let grant = (rising(60), 1..3_000_000u32, upto(31), -100i64..2_000_000);
    on_cases(Desk::with_channel(1_000, 1_000), (before(), grant), |desk, (before, grant)| {
        let ((used_nc, limit_nc), period_s, age_s, left_s) = grant;
        let now = desk.now();
        let limits = channel::Grant {
            expires: now + left_s,
            period_s,
            period_start: now - i64::try_from(age_s.min(1_700_000_000)).unwrap(),
            limit_nc: limit_nc.max(1),
            used_nc: used_nc.min(limit_nc),
        };
        before.write(desk, |channel| {
            let grant = &mut channel.grant;
            (grant.limit_nc, grant.used_nc, grant.period_s) = (limits.limit_nc, limits.used_nc, limits.period_s);
            (grant.period_start, grant.expires) = (limits.period_start, limits.expires);
        });
        let gateway = desk.gateway();
        let sent = desk.net.world.send(&[desk.settle_delegated_ix(before.claim_cum_nc, 1)], &[&gateway]);
        let Before { settled_nc, claim_cum_nc, balance_aic, rate, .. } = before;
        match delegated_amount(now, &limits, settled_nc, claim_cum_nc, balance_aic, rate) {
            Ok(after) => {
                sent.unwrap();
                before.assert_moved(desk, after.moved);
                assert_eq!(desk.state().grant.limit(), after.grant);
            }
            Err(error) => assert_eq!(sent.unwrap_err().code(), code(error), "{before:?} {limits:?}"),
        }
    });
}

#[test]
fn a_batch_takes_from_the_vault_what_the_mechanism_says() {
    let mut desk = Desk::with_channel(1_000, 0);
    let epoch = desk.epoch();
    desk.advance(EPOCH_S);
    let shards = RefCell::new(0u16..);
    on_cases(desk, (rising(63), upto(63)), |desk, ((lines_nc, nc), aic)| {
        let (lines_nc, nc) = (lines_nc.max(1), nc.max(1));
        let vault = desk.gateway_vault();
        desk.rewrite(vault, |vault: &mut GatewayVault| (vault.nc, vault.aic) = (nc, aic));
        let tokens = desk.gateway_token();
        set_tokens(desk, tokens, aic);
        let mut shard = Shard::new(desk, epoch, &[lines_nc], NO_REFERRER);
        shard.shard = shards.borrow_mut().next().unwrap();
        let gateway = desk.gateway();
        let sent = desk.net.world.send(&[desk.post_batch_ix(shard.args())], &[&gateway]);
        match batch_take(nc, aic, lines_nc) {
            Ok(taken) => {
                sent.unwrap();
                let batch: Batch = desk.net.world.read(&desk.batch_of(&shard));
                let vault: GatewayVault = desk.net.world.read(&vault);
                assert_eq!((batch.sum_nc, batch.aic), (lines_nc, taken));
                assert_eq!((vault.nc, vault.aic), (nc - lines_nc, aic - taken));
                assert_eq!(desk.token(&tokens), vault.aic);
            }
            Err(AmountError::BadInput) => {
                assert_eq!(sent.unwrap_err().code(), Some(SettleError::InsufficientVault.into()));
            }
            Err(AmountError::Overflow) => panic!("a batch takes no more than there is"),
        }
    });
}

/// Shares that are one whole.
fn shares() -> impl Strategy<Value = [u16; 6]> {
    prop::array::uniform5(0u16..=10_000).prop_map(|mut cuts| {
        cuts.sort_unstable();
        let [a, b, c, d, e] = cuts;
        [a, b - a, c - b, d - c, e - d, 10_000 - e]
    })
}

#[test]
fn a_line_pays_its_payees_what_the_mechanism_says() {
    const LINES: usize = 8;
    let (desk, posted) = Desk::finalized(&[1; LINES], NO_REFERRER);
    let cases = (prop::array::uniform8(upto(58)), upto(62), shares(), 0..LINES, any::<bool>());
    on_cases(desk, cases, |desk, (credits, aic, bps, index, referred)| {
        let credits = credits.map(|nc| nc.max(1));
        let referrer = if referred { desk.net.curator.pubkey().to_bytes() } else { NO_REFERRER };
        let shard = Shard::new(desk, posted.epoch, &credits, referrer);
        let batch = desk.batch_of(&shard);
        let merkle::Node { hash, sum } = shard.tree.root();
        desk.rewrite(batch, |batch: &mut Batch| {
            (batch.lines_root, batch.sum_nc, batch.aic) = (hash, sum, aic);
            (batch.claimed_lines, batch.claimed_nc, batch.claimed_aic) = (0, 0, 0);
            (batch.fee_aic, batch.burn_aic) = (0, 0);
        });
        let mut account = desk.net.world.svm.get_account(&batch).unwrap();
        account.data[Batch::HEADER] = 0;
        desk.net.world.svm.set_account(batch, account).unwrap();
        let snapshot =
            market::seeds::find_snapshot(&desk.net.container, 0, waybill_mechanism::amount::pricing_epoch(shard.epoch))
                .0;
        desk.rewrite(snapshot, |snapshot: &mut SplitSnapshot| snapshot.bps = bps);
        let net = &desk.net;
        let payees = [&net.vendor, &net.oem, &net.operator, &net.curator, &net.weaver].map(Signer::pubkey);
        for owner in payees {
            desk.rewrite(desk.earnings(&owner), |earnings: &mut Earnings| earnings.amount_aic = 0);
        }

        let sent = desk.net.world.must(&[desk.claim_ix(&shard, index)], &[]);
        let [event] = sent.cpi_events::<LineClaimed>().try_into().ok().unwrap();
        let worth = claim_amount(sum, aic, credits[index]).unwrap();
        let parts = split_amount(worth, &bps);
        assert_eq!(event.parts_aic, parts);
        let batch: Batch = desk.net.world.read(&batch);
        assert_eq!((batch.claimed_nc, batch.claimed_aic, batch.fee_aic), (credits[index], worth, parts[5]));
        assert_eq!(batch.burn_aic, if referred { 0 } else { parts[3] });
        let paid = payees.map(|owner| desk.net.world.read::<Earnings>(&desk.earnings(&owner)).amount_aic);
        assert_eq!(paid, [parts[0], parts[1], parts[2], if referred { parts[3] } else { 0 }, parts[4]]);
    });
}

/// What the price of a stage follows from.
#[derive(Clone, Debug)]
struct Priced {
    base_nc: u64,
    /// Vendor, OEM, weaver.
    asks_nc: [u64; 3],
    beta_bps: u16,
    phi_bps: u16,
    caps_bps: [u16; 3],
    weights_bps: Vec<u16>,
    stage: prop::sample::Index,
}

fn priced() -> impl Strategy<Value = Priced> {
    let asks = prop_oneof![prop::array::uniform3(upto(20)), prop::array::uniform3(upto(64))];
    let caps = prop::array::uniform3(0u16..3_000);
    let weights = prop::collection::vec(1u16..30_000, 1..=4);
    let stage = any::<prop::sample::Index>();
    (upto(48), asks, 0u16..1_000, 0u16..400, caps, weights, stage).prop_map(
        |(base_nc, asks_nc, beta_bps, phi_bps, caps_bps, weights_bps, stage)| Priced {
            base_nc: base_nc.max(1),
            asks_nc,
            beta_bps,
            phi_bps,
            caps_bps,
            weights_bps,
            stage,
        },
    )
}

#[test]
fn a_snapshot_freezes_the_price_and_the_shares_that_the_mechanism_says() {
    on_cases(Desk::bare(), priced(), |desk, case| {
        let stage = u8::try_from(case.stage.index(case.weights_bps.len())).unwrap();
        let (artifact, container) = (desk.net.artifact, desk.net.container);
        let template = desk.net.stages[0];
        let stages: Vec<Stage> =
            case.weights_bps.iter().map(|weight_bps| Stage { weight_bps: *weight_bps, ..template }).collect();
        desk.rewrite(market::seeds::find_container(&container).0, |account: &mut Container| {
            (account.beta_bps, account.stages) = (case.beta_bps, stages.clone());
        });
        desk.net.stages = stages;
        desk.rewrite(market::seeds::find_market(1).0, |market: &mut Market| market.base_nc = case.base_nc);
        desk.rewrite(market::seeds::find_config().0, |config: &mut MarketConfig| {
            let params = &mut config.params;
            params.fee_bps = case.phi_bps;
            [params.kappa_vendor_bps, params.kappa_oem_bps, params.kappa_weaver_bps] = case.caps_bps;
        });
        let subjects = [(Role::Vendor, artifact), (Role::Oem, artifact), (Role::Weaver, container)];
        for ((role, subject), ask_nc) in subjects.into_iter().zip(case.asks_nc) {
            desk.rewrite(market::seeds::find_ask(&subject, role).0, |ask: &mut Ask| {
                (ask.value_nc, ask.pending_nc, ask.pending_epoch) = (ask_nc, 0, 0);
            });
        }
        let epoch = desk.net.world.pricing_epoch();
        let snapshot = market::seeds::find_snapshot(&container, stage, epoch).0;
        remove(desk, snapshot);

        let sent = desk.net.world.send(&[market_ix::roll_container(&desk.net.roll_of(stage, epoch))], &[]);
        match expected(&case, usize::from(stage)) {
            Ok((price_nc, base_nc, bps)) => {
                sent.unwrap();
                let frozen = desk.net.snapshot(stage, epoch);
                assert_eq!((frozen.price_nc, frozen.base_nc, frozen.bps), (price_nc, base_nc, bps), "{case:?}");
            }
            Err(error) => assert_eq!(sent.unwrap_err().code(), Some(error.into()), "{case:?}"),
        }
    });
}

/// Price, base cost and shares off chain.
fn expected(case: &Priced, stage: usize) -> Result<(u64, u64, [u16; 6]), MarketError> {
    let costs: Option<Vec<u64>> = case.weights_bps.iter().map(|weight| base_cost(case.base_nc, *weight)).collect();
    let costs = costs.ok_or(MarketError::Overflow)?;
    let [vendor_nc, oem_nc, weaver_nc] = case.asks_nc;
    let weaver_nc = weaver_ask(weaver_nc, &costs, stage).ok_or(MarketError::NoPrice)?;
    let Priced { beta_bps, phi_bps, caps_bps, .. } = *case;
    let base_nc = costs[stage];
    let input = StackInput { base_nc, asks_nc: [vendor_nc, oem_nc, weaver_nc], beta_bps, phi_bps, caps_bps };
    let stack = price_stack(&input).map_err(|_| MarketError::NoPrice)?;
    let bps = split_bps(stack.price_nc, stack.effective_nc, beta_bps, phi_bps).map_err(|_| MarketError::NoPrice)?;
    Ok((stack.price_nc, base_nc, bps))
}

/// A book before it is cleared.
#[derive(Clone, Debug)]
struct Cleared {
    cap: Vec<u64>,
    tick0_nc: u64,
    tick_ratio_bps: u16,
    demand: u64,
    observed: Option<u64>,
    /// Floor, base and reserve, rising.
    prices_nc: [u64; 3],
    owners: u32,
    steps_bps: (u16, u16),
    book: (u16, u16),
}

fn cleared() -> impl Strategy<Value = Cleared> {
    let cap = prop_oneof![
        prop::collection::vec(prop_oneof![Just(0), upto(24)], TICKS),
        prop::collection::vec(upto(40), TICKS),
        Just(vec![0; TICKS]),
    ];
    let prices = prop::array::uniform3(upto(40)).prop_map(|mut prices| {
        prices.sort_unstable();
        prices.map(|nc| nc.max(1))
    });
    let ticks = (upto(20), 1u16..1_000);
    // A demand of 0 was never observed.
    let demand = (prop_oneof![Just(0), upto(30), upto(46)], prop::option::of(prop_oneof![upto(30), upto(46)]));
    (cap, ticks, demand, prices, 0u32..6, (1u16..=2_000, 1u16..=2_000), (0u16..=10_000, 0u16..=10_000)).prop_map(
        |(cap, (tick0, tick_ratio_bps), (demand, observed), prices_nc, owners, steps_bps, book)| Cleared {
            cap,
            tick0_nc: tick0.max(1),
            tick_ratio_bps,
            demand,
            observed,
            prices_nc,
            owners,
            steps_bps,
            book,
        },
    )
}

#[test]
fn a_market_clears_as_the_mechanism_says() {
    let mut desk = Desk::bare();
    // Reports are in, and no snapshot of the next pricing epoch may be frozen yet.
    let into_epoch = desk.now() % (24 * EPOCH_S);
    desk.advance(12 * EPOCH_S - into_epoch);
    on_cases(desk, cleared(), |desk, case| {
        let epoch = desk.net.world.pricing_epoch();
        let address = market::seeds::find_market(1).0;
        let [floor_nc, base_nc, reserve_nc] = case.prices_nc;
        desk.rewrite(address, |market: &mut Market| {
            market.cap.copy_from_slice(&case.cap);
            (market.tick0_nc, market.tick_ratio_bps) = (case.tick0_nc, case.tick_ratio_bps);
            (market.floor_nc, market.base_nc, market.reserve_nc) = (floor_nc, base_nc, reserve_nc);
            (market.demand, market.owners, market.next_nc, market.next_epoch) = (case.demand, case.owners, 0, 0);
            (market.observed, market.observed_epoch) = (case.observed.unwrap_or(0), epoch);
            market.observers = u32::from(case.observed.is_some());
        });
        desk.rewrite(market::seeds::find_config().0, |config: &mut MarketConfig| {
            (config.params.step_up_bps, config.params.step_down_bps) = case.steps_bps;
            (config.book.alpha_bps, config.book.headroom_bps) = case.book;
        });
        let sent = desk.net.world.send(&[roll_market(1)], &[]);
        match rolled(&case) {
            Ok((demand, next_nc)) => {
                sent.unwrap();
                let market: Market = desk.net.world.read(&address);
                assert_eq!((market.demand, market.next_nc), (demand, next_nc), "{case:?}");
                assert_eq!((market.base_at(epoch), market.base_at(epoch + 1)), (base_nc, next_nc));
            }
            Err(_) => assert_eq!(sent.unwrap_err().code(), Some(MarketError::Overflow.into()), "{case:?}"),
        }
    });
}

/// Demand and base price of the next pricing epoch, off chain.
fn rolled(case: &Cleared) -> Result<(u64, u64), AmountError> {
    let [floor_nc, base_nc, reserve_nc] = case.prices_nc;
    let Some(observed) = case.observed else { return Ok((case.demand, base_nc)) };
    // Zero stands for the compiled default.
    let or = |bps, default| if bps == 0 { default } else { bps };
    let (alpha_bps, headroom_bps) = (or(case.book.0, 2_000), or(case.book.1, 2_500));
    let demand = if case.demand == 0 { observed } else { ema(case.demand, observed, alpha_bps)? };
    let marginal_nc = if case.owners < 3 {
        thin_marginal(base_nc, &case.cap, demand, headroom_bps)?
    } else {
        clear(case.tick0_nc, case.tick_ratio_bps, &case.cap, demand, headroom_bps)?.map(|at| at.price_nc)
    };
    let (up_bps, down_bps) = case.steps_bps;
    Ok((demand, next_base(base_nc, marginal_nc, floor_nc, reserve_nc, up_bps, down_bps)?))
}

proptest! {
    #![proptest_config(Config { cases: 10_000, failure_persistence: None, ..Config::default() })]

    /// P18: every line is claimed once, in whatever order, and no claim touches another's bit.
    #[test]
    fn the_claim_bitmap_is_idempotent_and_independent_of_order(n in 1u32..200, order in prop::collection::vec(any::<prop::sample::Index>(), 1..60)) {
        let size = usize::try_from(n).unwrap();
        let mut data = vec![0xA5; Batch::space(n)];
        data[Batch::HEADER..].fill(0);
        let mut claimed = vec![false; size];
        for index in order.iter().map(|index| index.index(size)) {
            let line = u32::try_from(index).unwrap();
            prop_assert_eq!(Batch::mark_claimed(&mut data, line).is_ok(), !claimed[index]);
            claimed[index] = true;
            for (other, is) in (0..n).zip(&claimed) {
                prop_assert_eq!(Batch::is_claimed(&data, other).unwrap(), *is);
            }
        }
        prop_assert!(data[..Batch::HEADER].iter().all(|byte| *byte == 0xA5), "the header is not the bitmap's");
        prop_assert!(Batch::mark_claimed(&mut data, n.next_multiple_of(8)).is_err(), "beyond the account");
    }
}
