//! Accounts that served their time: who may end them, when, where their rent goes, and that an account which comes back
//! knows nothing.

use anchor_lang::{error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use market::{
    error::MarketError,
    events::AccountClosed,
    instructions::CreateContainerArgs,
    seeds,
    state::{Ask, Role},
};
use solana_signer::Signer;
use waybill_tests::{
    AIC, Network, World, assert_refused,
    ix::{market_ix, swap},
    ix_stake, key,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const KEPT: i64 = 90 * DAY;

/// Ends an account in its time and not before, pays its rent to who paid it, and cannot do it twice.
#[track_caller]
fn ends(world: &mut World, name: &str, address: Pubkey, close: Instruction, too_early: MarketError, from: i64) {
    let (payer, thief) = (world.payer.pubkey(), key("thief").pubkey());
    world.svm.airdrop(&thief, AIC).unwrap();
    world.set_time(from - 1);
    assert_refused(world.send(std::slice::from_ref(&close), &[]), too_early);
    world.set_time(from);
    assert_refused(world.send(&[swap(close.clone(), payer, thief)], &[]), MarketError::WrongAccount);
    let rent = world.svm.get_account(&address).unwrap().lamports;
    let before = world.svm.get_account(&payer).unwrap().lamports;
    let sent = world.measure(name, "in its time", close.clone(), &[]);
    let [event] = sent.log_events::<AccountClosed>().try_into().ok().unwrap();
    assert_eq!((event.account, event.rent_payer), (address, payer));
    assert!(!world.exists(&address));
    let fee = sent.meta.fee;
    assert_eq!(world.svm.get_account(&payer).unwrap().lamports, before + rent - fee);
    assert_refused(world.send(&[close], &[]), ErrorCode::AccountNotInitialized);
}

#[test]
fn s11_a_node_ends_90_days_after_its_delegation_and_its_key_can_be_delegated_again() {
    let mut network = Network::without_snapshot();
    let (operator, worker) = (network.operator.insecure_clone(), network.worker.insecure_clone());
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let close = ix_stake::close_node(worker.pubkey(), payer);
    assert_refused(world.send(std::slice::from_ref(&close), &[]), MarketError::StillNeeded);
    world.advance(5 * DAY);
    world.must(&[market_ix::revoke_node(operator.pubkey(), worker.pubkey())], &[&operator]);
    let from = world.now() + KEPT;
    let address = seeds::find_node(&worker.pubkey()).0;
    ends(world, "market::close_node", address, close, MarketError::StillNeeded, from);
    let args = market::instructions::RegisterNodeArgs {
        region: waybill_tests::REGION,
        class: 7,
        det_class: 1,
        expires: world.now() + DAY,
    };
    let again = market_ix::register_node(payer, operator.pubkey(), worker.pubkey(), args);
    world.must(&[again], &[&operator, &worker]);
    let node: market::state::Node = world.read(&address);
    assert_eq!((node.revoked, node.revoked_at, node.seq), (false, 0, 1), "what comes back knows nothing");
}

#[test]
fn s11_an_expired_node_ends_too() {
    let mut network = Network::without_snapshot();
    let from = network.world.now() + 30 * DAY + KEPT;
    let worker = network.worker.pubkey();
    let close = ix_stake::close_node(worker, network.world.payer.pubkey());
    let address = seeds::find_node(&worker).0;
    ends(&mut network.world, "market::close_node", address, close, MarketError::StillNeeded, from);
}

#[test]
fn s11_a_retired_container_ends_after_90_days_then_its_ask_and_both_start_anew() {
    let mut network = Network::without_snapshot();
    let (weaver, id, stages) = (network.weaver.insecure_clone(), network.container, network.stages.clone());
    let artifact = network.artifact;
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let close = ix_stake::close_container(&id, payer);
    let close_ask = ix_stake::close_ask(&id, Role::Weaver, payer);
    assert_refused(world.send(std::slice::from_ref(&close), &[]), MarketError::StillNeeded);
    assert_refused(world.send(std::slice::from_ref(&close_ask), &[]), MarketError::StillNeeded);
    world.must(&[market_ix::retire_container(weaver.pubkey(), id, 1)], &[&weaver]);
    let from = world.now() + KEPT;
    let address = seeds::find_container(&id).0;
    ends(world, "market::close_container", address, close, MarketError::StillNeeded, from);
    // An artifact never ends, and neither does what is asked for it.
    let vendors = ix_stake::close_ask(&artifact, Role::Vendor, payer);
    assert_refused(world.send(&[vendors], &[]), MarketError::StillNeeded);
    let other = swap(close_ask.clone(), address, seeds::find_container(&[9; 32]).0);
    assert_refused(world.send(&[other], &[]), ErrorCode::ConstraintSeeds);
    world.measure("market::close_ask", "container gone", close_ask.clone(), &[]);
    let ask = seeds::find_ask(&id, Role::Weaver).0;
    assert!(!world.exists(&ask));
    assert_refused(world.send(&[close_ask], &[]), ErrorCode::AccountNotInitialized);
    let again = CreateContainerArgs {
        id,
        name: "tiny-chat".into(),
        beta_bps: 0,
        ceiling_nc: 0,
        uri_hash: [1; 32],
        terms_hash: [2; 32],
        stages,
    };
    world.must(&[market_ix::create_container(payer, weaver.pubkey(), again)], &[&weaver]);
    world.must(&[market_ix::post_ask(payer, weaver.pubkey(), Role::Weaver, id, 7)], &[&weaver]);
    let ask: Ask = world.read(&ask);
    assert_eq!((ask.value_nc, ask.seq), (7, 1));
}

#[test]
fn s11_a_snapshot_ends_90_days_after_its_pricing_epoch_and_is_never_made_again() {
    let mut network = Network::new();
    let epoch = network.world.pricing_epoch();
    let payer = network.world.payer.pubkey();
    let close = ix_stake::close_snapshot(&network.container, 0, epoch, payer);
    let address = seeds::find_snapshot(&network.container, 0, epoch).0;
    let from = i64::from(epoch + 1) * DAY + KEPT;
    ends(&mut network.world, "market::close_snapshot", address, close, MarketError::StillNeeded, from);
    let again = market_ix::roll_container(&network.roll_of(0, epoch));
    assert_refused(network.world.send(&[again], &[]), MarketError::WrongPricingEpoch);
}

#[test]
fn s11_an_observation_ends_with_its_day_and_the_day_is_not_counted_twice() {
    let mut network = Network::without_snapshot();
    let gateway = network.gateway.insecure_clone();
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let tomorrow = i64::from(world.pricing_epoch() + 1) * DAY;
    world.set_time(tomorrow);
    let observe = ix_stake::observe_demand(payer, gateway.pubkey(), 1, 10);
    world.must(std::slice::from_ref(&observe), &[&gateway]);
    let close = ix_stake::close_observation(gateway.pubkey(), 1, payer);
    let address = seeds::find_observation(&seeds::find_market(1).0, &gateway.pubkey()).0;
    ends(world, "market::close_observation", address, close, MarketError::StillNeeded, tomorrow + DAY);
    world.must(&[observe], &[&gateway]);
    let market: market::state::Market = world.read(&seeds::find_market(1).0);
    assert_eq!((market.observed, market.observers), (10, 1));
}
