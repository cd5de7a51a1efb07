//! Curators: the share that a container gives those who bring consumers, and how it moves.

use anchor_lang::{error::ErrorCode, prelude::Pubkey};
use coin::authority::pause;
use market::{error::MarketError, events::BetaChanged, seeds, state::Container};
use solana_signer::Signer;
use waybill_tests::{
    Network, assert_refused,
    ix::{market_ix, read_only, swap, unsigned},
    ix_lineage as ix, key,
};

const DAY: i64 = 86_400;

fn container(network: &Network) -> Container {
    network.world.read(&seeds::find_container(&network.container).0)
}

#[test]
fn a_weaver_moves_the_curators_share_a_step_a_day_and_with_notice() {
    let mut network = Network::new();
    let (weaver, id) = (network.weaver.insecure_clone(), network.container);
    let epoch = network.world.pricing_epoch();
    let set = |bps| ix::set_beta(weaver.pubkey(), &id, bps);
    let world = &mut network.world;
    for step in [399, 601] {
        assert_refused(world.send(&[set(step)], &[&weaver]), MarketError::BetaStep);
    }
    let sent = world.measure("market::set_beta", "one step up", set(600), &[&weaver]);
    let [event] = sent.log_events::<BetaChanged>().try_into().ok().unwrap();
    assert_eq!((event.old_bps, event.new_bps, event.effective_epoch, event.revision), (500, 600, epoch + 1, 2));
    // Again before it counts: from the share that holds now, never two steps.
    assert_refused(world.send(&[set(700)], &[&weaver]), MarketError::BetaStep);
    world.must(&[set(400)], &[&weaver]);
    world.must(&[set(600)], &[&weaver]);
    // Snapshots of the next pricing epoch may freeze from now on.
    world.set_time(i64::from(epoch + 1) * DAY - 3_600);
    assert_refused(world.send(&[set(500)], &[&weaver]), MarketError::BetaFrozen);
    network.roll(0, epoch + 1);
    assert_eq!((network.snapshot(0, epoch).bps[3], network.snapshot(0, epoch + 1).bps[3]), (500, 600));
    network.world.set_time(i64::from(epoch + 1) * DAY);
    network.world.must(&[set(700)], &[&weaver]);
    let state = container(&network);
    assert_eq!((state.beta_at(epoch + 1), state.beta_at(epoch + 2), state.revision), (600, 700, 5));
}

#[test]
fn a_curators_share_stays_within_the_networks_bound() {
    let mut network = Network::new();
    let (weaver, id) = (network.weaver.insecure_clone(), network.container);
    let set = |bps| ix::set_beta(weaver.pubkey(), &id, bps);
    for step in 6..=10u16 {
        network.world.must(&[set(step * 100)], &[&weaver]);
        network.world.advance(DAY);
    }
    assert_refused(network.world.send(&[set(1_001)], &[&weaver]), MarketError::BetaTooHigh);
    for step in (0..10u16).rev() {
        network.world.must(&[set(step * 100)], &[&weaver]);
        network.world.advance(DAY);
    }
    let epoch = network.world.pricing_epoch();
    network.roll(0, epoch);
    let snapshot = network.snapshot(0, epoch);
    // β = 0 of the worked table.
    assert_eq!((snapshot.price_nc, snapshot.bps), (20_572, [1_263, 1_263, 5_911, 0, 1_263, 300]));
}

#[test]
fn s01_s04_a_curators_share_checks_every_account_it_is_given() {
    let mut network = Network::new();
    let (weaver, mallory, admin) =
        (network.weaver.insecure_clone(), key("mallory"), network.world.admin.insecure_clone());
    let good = ix::set_beta(weaver.pubkey(), &network.container, 550);
    let account = seeds::find_container(&network.container).0;
    let artifact = seeds::find_artifact(&network.artifact).0;
    let world = &mut network.world;
    let by_another = swap(good.clone(), weaver.pubkey(), mallory.pubkey());
    assert_refused(world.send(&[by_another], &[&mallory]), MarketError::Unauthorized);
    assert_refused(world.send(&[unsigned(good.clone(), weaver.pubkey())], &[]), ErrorCode::AccountNotSigner);
    let forged = world.forge(&account, Some(Pubkey::new_unique()));
    let foreign = swap(good.clone(), account, forged);
    assert_refused(world.send(&[foreign], &[&weaver]), ErrorCode::AccountOwnedByWrongProgram);
    let other_type = swap(good.clone(), account, artifact);
    assert_refused(world.send(&[other_type], &[&weaver]), ErrorCode::AccountDiscriminatorMismatch);
    assert_refused(world.send(&[read_only(good.clone(), account)], &[&weaver]), ErrorCode::ConstraintMut);
    let fake_config = world.forge(&seeds::find_config().0, None);
    let unconfigured = swap(good.clone(), seeds::find_config().0, fake_config);
    assert_refused(world.send(&[unconfigured], &[&weaver]), ErrorCode::ConstraintSeeds);
    world.must(&[market_ix::pause(admin.pubkey(), pause::BIDS)], &[&admin]);
    assert_refused(world.send(std::slice::from_ref(&good), &[&weaver]), MarketError::Paused);
    world.must(&[market_ix::resume(admin.pubkey(), pause::BIDS)], &[&admin]);
    world.must(&[market_ix::retire_container(weaver.pubkey(), network.container, 1)], &[&weaver]);
    assert_refused(world.send(&[good], &[&weaver]), MarketError::ContainerRetired);
}
