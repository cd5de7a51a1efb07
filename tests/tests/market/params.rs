//! Parameters change in the open: proposed, visible for two settlement epochs, then applied by anyone. Minimum stakes may
//! be given in USD and follow the coin's rate.

use anchor_lang::error::ErrorCode;
use anchor_spl::token::spl_token;
use market::{
    error::MarketError,
    events::{MinimaConverted, ParamsApplied, ParamsProposed, TierSet},
    seeds,
    state::{BookParams, MarketConfig, Party, PendingParams, Role, Tier, Tunables},
};
use solana_signer::Signer;
use waybill_tests::{
    AIC, World, assert_refused,
    ix::{coin_ix, market_ix, swap, unsigned},
    ix_stake, key,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn config(world: &World) -> MarketConfig {
    world.read(&seeds::find_config().0)
}

fn tunables(world: &World) -> Tunables {
    config(world).tunables()
}

fn epoch(world: &World) -> u32 {
    u32::try_from(world.now() / HOUR).unwrap()
}

#[test]
fn s25_parameters_apply_two_epochs_after_their_proposal_whole_and_by_anyones_hand() {
    let mut world = World::new();
    let (payer, admin, thief) = (world.payer.pubkey(), world.admin.insecure_clone(), key("thief"));
    let old = tunables(&world);
    let mut new = old.clone();
    new.params.fee_bps = 250;
    new.book = BookParams { alpha_bps: 1_000, headroom_bps: 3_000, owner_cap_bps: 2_000, units_per_aic: 5 };
    let now = epoch(&world);
    let propose = |tunables: &Tunables, epoch| ix_stake::propose_params(payer, admin.pubkey(), tunables.clone(), epoch);
    assert_refused(world.send(&[propose(&new, now + 1)], &[&admin]), MarketError::TooEarly);
    let sent = world.measure("market::propose_params", "first", propose(&new, now + 2), &[&admin]);
    let [event] = sent.log_events::<ParamsProposed>().try_into().ok().unwrap();
    assert_eq!((event.old, event.new, event.effective_epoch), (old.clone(), new.clone(), now + 2));
    assert_eq!(tunables(&world), old, "nothing changes yet");
    let pending: PendingParams = world.read(&seeds::find_pending_params().0);
    assert_eq!((pending.tunables, pending.rent_payer), (new.clone(), payer));

    let apply = ix_stake::apply_params(payer);
    world.set_time(i64::from(now + 2) * HOUR - 1);
    assert_refused(world.send(std::slice::from_ref(&apply), &[]), MarketError::TooEarly);
    world.set_time(i64::from(now + 2) * HOUR);
    world.svm.airdrop(&thief.pubkey(), AIC).unwrap();
    assert_refused(world.send(&[swap(apply.clone(), payer, thief.pubkey())], &[&thief]), MarketError::WrongAccount);
    let sent = world.measure("market::apply_params", "all", apply.clone(), &[]);
    let [event] = sent.log_events::<ParamsApplied>().try_into().ok().unwrap();
    assert_eq!((event.old, event.new), (old, new.clone()));
    assert_eq!(tunables(&world), new);
    assert!(!world.exists(&seeds::find_pending_params().0));
    assert_refused(world.send(&[apply], &[]), ErrorCode::AccountNotInitialized);
}

#[test]
fn s25_a_proposal_is_the_params_authoritys_within_bounds_and_replaces_the_one_before() {
    let mut world = World::new();
    let (payer, admin, thief) = (world.payer.pubkey(), world.admin.insecure_clone(), key("thief"));
    let now = epoch(&world);
    let good = tunables(&world);
    let stolen = ix_stake::propose_params(payer, thief.pubkey(), good.clone(), now + 2);
    assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
    let propose = |tunables: Tunables| ix_stake::propose_params(payer, admin.pubkey(), tunables, now + 2);
    let silent = unsigned(propose(good.clone()), admin.pubkey());
    assert_refused(world.send(&[silent], &[]), ErrorCode::AccountNotSigner);
    let cases: [(fn(&mut Tunables), MarketError); 5] = [
        (|new| new.params.fee_bps = 1_001, MarketError::ParamOutOfBounds),
        (|new| new.book.alpha_bps = 10_001, MarketError::ParamOutOfBounds),
        (|new| new.book.headroom_bps = 10_001, MarketError::ParamOutOfBounds),
        (|new| new.book.owner_cap_bps = 10_001, MarketError::ParamOutOfBounds),
        (|new| new.params.epoch_s = 3_599, MarketError::EpochLength),
    ];
    for (spoil, error) in cases {
        let mut new = good.clone();
        spoil(&mut new);
        assert_refused(world.send(&[propose(new)], &[&admin]), error);
    }
    let elsewhere = world.forge(&seeds::find_config().0, None);
    let moved = swap(propose(good.clone()), seeds::find_pending_params().0, elsewhere);
    assert_refused(world.send(&[moved], &[&admin]), ErrorCode::ConstraintSeeds);
    let foreign = world.forge(&seeds::find_config().0, Some(spl_token::ID));
    let forged = swap(propose(good.clone()), seeds::find_config().0, foreign);
    assert_refused(world.send(&[forged], &[&admin]), ErrorCode::AccountOwnedByWrongProgram);

    let mut first = good.clone();
    first.params.fee_bps = 100;
    world.must(&[propose(first)], &[&admin]);
    let mut second = good.clone();
    second.params.fee_bps = 200;
    world.must(&[ix_stake::propose_params(payer, admin.pubkey(), second.clone(), now + 9)], &[&admin]);
    world.set_time(i64::from(now + 2) * HOUR);
    assert_refused(world.send(&[ix_stake::apply_params(payer)], &[]), MarketError::TooEarly);
    world.set_time(i64::from(now + 9) * HOUR);
    world.must(&[ix_stake::apply_params(payer)], &[]);
    assert_eq!(tunables(&world), second);
}

#[test]
fn minimum_stakes_in_usd_follow_the_rate_and_a_party_keeps_working_above_80_percent() {
    let mut world = World::new();
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let roll = ix_stake::roll_minima();
    assert_refused(world.send(std::slice::from_ref(&roll), &[]), MarketError::MinimaUnchanged);
    let provider = key("operator");
    let party = world.party(&provider, Role::Provider);
    let mut new = tunables(&world);
    // $25 for a provider, as before; the others stay in AIC.
    new.min_stake_nc[Role::Provider as usize] = 25_000_000_000;
    let now = epoch(&world);
    world.must(&[ix_stake::propose_params(payer, admin.pubkey(), new, now + 2)], &[&admin]);
    world.advance(2 * HOUR);
    world.must(&[ix_stake::apply_params(payer)], &[]);
    let sent = world.measure("market::roll_minima", "one role", roll.clone(), &[]);
    let [event] = sent.log_events::<MinimaConverted>().try_into().ok().unwrap();
    assert_eq!((event.rate, event.min_stake[Role::Provider as usize]), (20 * AIC, 500 * AIC));
    assert_refused(world.send(std::slice::from_ref(&roll), &[]), MarketError::MinimaUnchanged);

    // AIC falls by a tenth, twice, then again: 550, 605, 665.5 AIC are $25.
    let mut rate = 20 * AIC;
    for (minimum, good, working) in [(550, false, true), (605, false, true), (6_655, false, false)] {
        world.advance(DAY);
        rate = rate / 10 * 11;
        for reporter in world.reporters.each_ref().map(|key| key.insecure_clone()) {
            world.must(&[coin_ix::submit_rate(reporter.pubkey(), rate)], &[&reporter]);
        }
        world.must(&[coin_ix::roll_rate(), roll.clone()], &[]);
        let config = config(&world);
        let minimum = if minimum == 6_655 { 6_655 * AIC / 10 } else { minimum * AIC };
        assert_eq!(config.params.min_stake(Role::Provider), minimum);
        assert_eq!(config.params.min_stake(Role::Gateway), 10_000 * AIC);
        let party: Party = world.read(&party);
        assert_eq!(party.require_in_good_standing(&config.params, world.now()).is_ok(), good);
        assert_eq!(party.require_working(&config.params, world.now()).is_ok(), working);
    }
    world.advance(3 * DAY);
    assert_refused(world.send(std::slice::from_ref(&roll), &[]), MarketError::StaleRate);
    let forged = world.forge(&coin::seeds::find_rate().0, Some(spl_token::ID));
    let wrong = swap(roll, coin::seeds::find_rate().0, forged);
    assert_refused(world.send(&[wrong], &[]), ErrorCode::AccountOwnedByWrongProgram);
}

#[test]
fn a_provider_takes_the_tier_its_stake_pays_for() {
    let mut world = World::new();
    let (owner, thief) = (key("operator"), key("thief"));
    let address = world.party(&owner, Role::Provider);
    world.party(&thief, Role::Provider);
    world.party(&owner, Role::Vendor);
    let set = |tier| ix_stake::set_tier(owner.pubkey(), Role::Provider, tier);
    assert_refused(world.send(&[set(Tier::Campus)], &[&owner]), MarketError::BelowMinimumStake);
    let wallet = world.fund(&owner.pubkey(), 4_500 * AIC);
    world.must(&[market_ix::add_stake(owner.pubkey(), Role::Provider, wallet, 4_500 * AIC)], &[&owner]);
    let sent = world.measure("market::set_tier", "campus", set(Tier::Campus), &[&owner]);
    let [event] = sent.log_events::<TierSet>().try_into().ok().unwrap();
    assert_eq!((event.account, event.old, event.new), (address, Tier::Home, Tier::Campus));
    assert_refused(world.send(&[set(Tier::DataCenter)], &[&owner]), MarketError::BelowMinimumStake);
    world.must(&[set(Tier::Home)], &[&owner]);
    let vendor = ix_stake::set_tier(owner.pubkey(), Role::Vendor, Tier::Home);
    assert_refused(world.send(&[vendor], &[&owner]), MarketError::RoleHasNoTier);
    let theirs = seeds::find_party(&thief.pubkey(), Role::Provider).0;
    assert_refused(world.send(&[swap(set(Tier::Home), address, theirs)], &[&owner]), MarketError::Unauthorized);
    assert_refused(world.send(&[unsigned(set(Tier::Home), owner.pubkey())], &[]), ErrorCode::AccountNotSigner);
}
