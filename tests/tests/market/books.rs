//! Books of capacity: who may offer how much, what gateways report, how the base price follows, and what leaves a book.

use anchor_lang::{Space, error::ErrorCode, prelude::Pubkey};
use anchor_spl::token::spl_token;
use coin::authority::pause;
use market::{
    error::MarketError,
    events::{DemandObserved, MarketRolled, OfferRemoved},
    instructions::{CreateMarketArgs, RegisterNodeArgs},
    seeds,
    state::{Market, MarketConfig, Node, Observation, Offence, Offer, Party, Role, Seat},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::closing::is_unserved;
use waybill_tests::{
    AIC, Network, REGION, World, assert_refused,
    ix::{market_ix, swap, unsigned},
    ix_stake::{self, Slash},
    key,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Registers a provider with one worker, which may offer in market 1.
fn provider(world: &mut World, name: &str) -> (Keypair, Keypair) {
    let operator = key(name);
    world.party(&operator, Role::Provider);
    let worker = worker(world, &operator, &format!("{name}'s worker"));
    (operator, worker)
}

fn worker(world: &mut World, operator: &Keypair, name: &str) -> Keypair {
    let worker = key(name);
    let args = RegisterNodeArgs { region: REGION, class: 7, det_class: 1, expires: world.now() + 30 * DAY };
    let register = market_ix::register_node(world.payer.pubkey(), operator.pubkey(), worker.pubkey(), args);
    world.must(&[register], &[operator, &worker]);
    worker
}

fn post(
    world: &World,
    (operator, worker): (&Keypair, &Keypair),
    tick: u8,
    capacity: u64,
) -> anchor_lang::solana_program::instruction::Instruction {
    market_ix::post_offer(world.payer.pubkey(), operator.pubkey(), worker.pubkey(), 1, tick, capacity)
}

fn book(world: &World) -> Market {
    world.read(&seeds::find_market(1).0)
}

/// Five owners, none with more than a quarter: 400k at tick 2, 300k at 4, 500k at 5, 300k at 8, 400k at 12.
fn five_owners(network: &mut Network) -> Vec<(Keypair, Keypair)> {
    let world = &mut network.world;
    let offers = [(2, 400_000), (4, 300_000), (5, 500_000), (8, 300_000), (12, 400_000)];
    let owners: Vec<_> = (0..offers.len()).map(|i| provider(world, &format!("provider {i}"))).collect();
    for ((operator, worker), (tick, capacity)) in owners.iter().zip(offers) {
        let offer = post(world, (operator, worker), tick, capacity);
        world.must(&[offer], &[operator]);
    }
    assert_eq!(book(world).owners, 5);
    owners
}

/// The first second of a settlement epoch of tomorrow.
fn tomorrow(world: &World, place: i64) -> i64 {
    i64::from(world.pricing_epoch() + 1) * DAY + place * HOUR
}

#[test]
fn a_days_demand_moves_the_next_days_base_and_no_frozen_one() {
    let mut network = Network::without_snapshot();
    five_owners(&mut network);
    let (gateway, payer) = (network.gateway.insecure_clone(), network.world.payer.pubkey());
    let (morning, noon) = (tomorrow(&network.world, 0), tomorrow(&network.world, 12));
    network.world.set_time(morning);
    let epoch = network.world.pricing_epoch();
    let observe = ix_stake::observe_demand(payer, gateway.pubkey(), 1, 640_000);
    let sent = network.world.measure("market::observe_demand", "first", observe, &[&gateway]);
    let [event] = sent.log_events::<DemandObserved>().try_into().ok().unwrap();
    assert_eq!((event.units, event.observed, event.pricing_epoch, event.seq), (640_000, 640_000, epoch, 1));

    let roll = ix_stake::roll_market(1);
    network.world.set_time(noon - 1);
    assert_refused(network.world.send(std::slice::from_ref(&roll), &[]), MarketError::NotClearing);
    network.world.set_time(noon);
    let sent = network.world.measure("market::roll_market", "64 ticks, 5 owners", roll.clone(), &[]);
    // 640k and a quarter of headroom are 800k: 400k + 300k + 500k exceed them at tick 5, 12,761.
    let [event] = sent.log_events::<MarketRolled>().try_into().ok().unwrap();
    assert_eq!((event.observed, event.demand, event.marginal_nc), (Some(640_000), 640_000, Some(12_761)));
    assert_eq!((event.old_nc, event.base_nc, event.pricing_epoch), (12_154, 12_761, epoch + 1));
    assert_refused(network.world.send(std::slice::from_ref(&roll), &[]), MarketError::AlreadyRolled);
    let market = book(&network.world);
    assert_eq!((market.base_at(epoch), market.base_at(epoch + 1)), (12_154, 12_761));

    // In the last hour snapshots of both days may be frozen, each at its own base.
    network.world.set_time(morning + 23 * HOUR);
    network.roll(0, epoch);
    network.roll(0, epoch + 1);
    assert_eq!((network.snapshot(0, epoch).base_nc, network.snapshot(0, epoch + 1).base_nc), (12_154, 12_761));
    assert_refused(network.world.send(&[roll], &[]), MarketError::NotClearing);
}

#[test]
fn without_reports_the_base_stays_and_with_two_owners_it_follows_the_utilisation() {
    let mut network = Network::without_snapshot();
    let gateway = network.gateway.insecure_clone();
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let (first, second) = (provider(world, "a"), provider(world, "b"));
    for (operator, worker) in [&first, &second] {
        let offer = post(world, (operator, worker), 3, 500_000);
        world.must(&[offer], &[operator]);
    }
    let sent = world.measure("market::roll_market", "nobody reported", ix_stake::roll_market(1), &[]);
    let [event] = sent.log_events::<MarketRolled>().try_into().ok().unwrap();
    assert_eq!((event.observed, event.marginal_nc, event.base_nc), (None, None, 12_154));
    world.set_time(tomorrow(world, 0));
    world.must(&[ix_stake::observe_demand(payer, gateway.pubkey(), 1, 600_000)], &[&gateway]);
    world.advance(12 * HOUR);
    world.measure("market::roll_market", "thin book", ix_stake::roll_market(1), &[]);
    // 750,000 wanted of 1,000,000: an eighth of a quarter down, floor(12,154 / 32) = 379.
    assert_eq!(book(world).next_nc, 12_154 - 379);
}

#[test]
fn a_gateway_reports_once_per_day_what_its_stake_answers_for() {
    let mut network = Network::without_snapshot();
    let (gateway, provider) = (network.gateway.insecure_clone(), network.operator.insecure_clone());
    let second = key("second gateway");
    let world = &mut network.world;
    world.party(&second, Role::Gateway);
    let payer = world.payer.pubkey();
    let report = |who: &Keypair, units| ix_stake::observe_demand(payer, who.pubkey(), 1, units);
    assert_refused(world.send(&[report(&gateway, 1)], &[&gateway]), MarketError::NotObserving);
    let morning = tomorrow(world, 0);
    world.set_time(morning + 12 * HOUR);
    assert_refused(world.send(&[report(&gateway, 1)], &[&gateway]), MarketError::NotObserving);
    world.set_time(morning + 12 * HOUR - 1);
    world.must(&[report(&gateway, 100)], &[&gateway]);
    world.must(&[report(&second, 30)], &[&second]);
    world.measure("market::observe_demand", "again", report(&gateway, 70), &[&gateway]);
    assert_eq!((book(world).observed, book(world).observers), (100, 2), "the last word of each counts");

    // $500 at stake: $2,000 of demand at 12,154 nc per 1,000.
    let most = 2_000_000_000_000_000 / 12_154;
    world.must(&[report(&gateway, most)], &[&gateway]);
    assert_refused(world.send(&[report(&gateway, most + 1)], &[&gateway]), MarketError::DemandAboveStake);
    assert_refused(world.send(&[report(&gateway, u64::MAX)], &[&gateway]), MarketError::DemandAboveStake);

    let good = report(&gateway, 5);
    let mine = seeds::find_party(&gateway.pubkey(), Role::Gateway).0;
    let market = seeds::find_market(1).0;
    let forged = world.forge(&market, Some(spl_token::ID));
    let forged_rate = world.forge(&coin::seeds::find_rate().0, Some(spl_token::ID));
    world.party(&gateway, Role::Verifier);
    let cases: [(&str, _, u32); 7] = [
        (
            "another gateway's party",
            swap(good.clone(), mine, seeds::find_party(&second.pubkey(), Role::Gateway).0),
            MarketError::Unauthorized.into(),
        ),
        (
            "its own party in another role",
            swap(good.clone(), mine, seeds::find_party(&gateway.pubkey(), Role::Verifier).0),
            MarketError::WrongAccount.into(),
        ),
        (
            "another's observation",
            swap(
                good.clone(),
                seeds::find_observation(&market, &gateway.pubkey()).0,
                seeds::find_observation(&market, &second.pubkey()).0,
            ),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "a market of another program",
            swap(good.clone(), market, forged),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "a party in place of the market",
            swap(good.clone(), market, seeds::find_party(&provider.pubkey(), Role::Provider).0),
            ErrorCode::AccountDiscriminatorMismatch.into(),
        ),
        (
            "a rate of another program",
            swap(good.clone(), coin::seeds::find_rate().0, forged_rate),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        ("no signature", unsigned(good.clone(), gateway.pubkey()), ErrorCode::AccountNotSigner.into()),
    ];
    for (what, instruction, code) in cases {
        let refused = world.send(&[instruction], &[&gateway]).expect_err(what);
        assert_eq!(refused.code(), Some(code), "{what}: {:?}", refused.failure);
    }
    world.must(&[market_ix::begin_unstake(second.pubkey(), Role::Gateway, 1)], &[&second]);
    assert_refused(world.send(&[report(&second, 1)], &[&second]), MarketError::BelowMinimumStake);
    let admin = world.admin.insecure_clone();
    world.must(&[market_ix::pause(admin.pubkey(), pause::BIDS)], &[&admin]);
    assert_refused(world.send(std::slice::from_ref(&good), &[&gateway]), MarketError::Paused);
    assert_refused(world.send(&[ix_stake::roll_market(1)], &[]), MarketError::Paused);
    world.must(&[market_ix::resume(admin.pubkey(), pause::BIDS)], &[&admin]);
    world.set_time(morning + 3 * DAY);
    assert_refused(world.send(&[good], &[&gateway]), MarketError::StaleRate);
}

#[test]
fn s02_s03_only_a_market_of_this_program_is_rolled() {
    let mut network = Network::without_snapshot();
    let world = &mut network.world;
    let roll = ix_stake::roll_market(1);
    let market = seeds::find_market(1).0;
    let forged = world.forge(&market, Some(spl_token::ID));
    let fake_config = world.forge(&seeds::find_config().0, Some(spl_token::ID));
    let party = seeds::find_party(&network.gateway.pubkey(), Role::Gateway).0;
    let refused = swap(roll.clone(), market, forged);
    assert_refused(world.send(&[refused], &[]), ErrorCode::AccountOwnedByWrongProgram);
    assert_refused(world.send(&[swap(roll.clone(), market, party)], &[]), ErrorCode::AccountDiscriminatorMismatch);
    let refused = swap(roll, seeds::find_config().0, fake_config);
    assert_refused(world.send(&[refused], &[]), ErrorCode::AccountOwnedByWrongProgram);
}

#[test]
fn an_owner_offers_what_its_stake_answers_for_and_at_most_a_quarter_of_the_book() {
    let mut network = Network::without_snapshot();
    let owners = five_owners(&mut network);
    let world = &mut network.world;
    let (operator, first) = &owners[0];
    let second = worker(world, operator, "a second worker");
    let market = seeds::find_market(1).0;
    let seat = |world: &World| world.read::<Seat>(&seeds::find_seat(&market, &operator.pubkey()).0);
    let party = seeds::find_party(&operator.pubkey(), Role::Provider).0;
    // 400,000 of 1,900,000 are offered by the first worker; another 100,000 make a quarter of 2,000,000.
    let more = post(world, (operator, &second), 2, 100_001);
    assert_refused(world.send(&[more], &[operator]), MarketError::OwnerCap);
    let exactly = post(world, (operator, &second), 2, 100_000);
    world.measure("market::post_offer", "second worker", exactly, &[operator]);
    assert_eq!((seat(world).capacity, world.read::<Party>(&party).offered), (500_000, 500_000));
    assert_eq!((book(world).owners, book(world).cap[2]), (5, 500_000));
    // Others leave: the quarter shrinks, what stands may stay and be lowered, but not raised.
    let out = post(world, (&owners[4].0, &owners[4].1), 12, 0);
    world.must(&[out], &[&owners[4].0]);
    assert_eq!(book(world).owners, 4);
    let lower = post(world, (operator, &second), 2, 99_999);
    world.must(&[lower], &[operator]);
    let raise = post(world, (operator, &second), 2, 100_000);
    assert_refused(world.send(&[raise], &[operator]), MarketError::OwnerCap);
    // 500 AIC answer for 8,000,000 BU.
    let out = post(world, (&owners[3].0, &owners[3].1), 8, 0);
    world.must(&[out], &[&owners[3].0]);
    assert_eq!(book(world).owners, 3);
    let above = post(world, (operator, first), 2, 8_000_000 - 99_999 + 1);
    assert_refused(world.send(&[above], &[operator]), MarketError::CapacityAboveStake);
    let exactly = post(world, (operator, first), 2, 8_000_000 - 99_999);
    world.must(&[exactly], &[operator]);
    assert_eq!((seat(world).capacity, world.read::<Party>(&party).offered), (8_000_000, 8_000_000));
    for (which, tick) in [(first, 2), (&second, 2)] {
        let none = post(world, (operator, which), tick, 0);
        world.must(&[none], &[operator]);
    }
    assert_eq!((seat(world).capacity, world.read::<Party>(&party).offered, book(world).owners), (0, 0, 2));
    let other = seeds::find_seat(&market, &owners[1].0.pubkey()).0;
    let wrong = swap(post(world, (operator, first), 2, 1), seeds::find_seat(&market, &operator.pubkey()).0, other);
    assert_refused(world.send(&[wrong], &[operator]), ErrorCode::ConstraintSeeds);
}

#[test]
fn s11_an_offer_that_cannot_be_served_leaves_the_book_by_anyones_hand() {
    let mut network = Network::without_snapshot();
    let owners = five_owners(&mut network);
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let (operator, worker) = (&owners[0].0, owners[0].1.pubkey());
    let market = seeds::find_market(1).0;
    let offer = seeds::find_offer(&market, &worker).0;
    // What a scheduler thinks of an offer before it asks the program.
    let unserved = |world: &World, owner: &Keypair, worker: &Pubkey| {
        let offer: Offer = world.read(&seeds::find_offer(&market, worker).0);
        let node: Node = world.read(&seeds::find_node(worker).0);
        let party: Party = world.read(&seeds::find_party(&owner.pubkey(), Role::Provider).0);
        let config: MarketConfig = world.read(&seeds::find_config().0);
        assert!(is_unserved(&offer, None, &party, &config.params, world.now()) == (offer.capacity > 0));
        is_unserved(&offer, Some(&node), &party, &config.params, world.now())
    };
    let remove = ix_stake::remove_offer(operator.pubkey(), worker, 1, payer);
    assert!(!unserved(world, operator, &worker));
    assert_refused(world.send(std::slice::from_ref(&remove), &[]), MarketError::OfferStands);
    world.must(&[market_ix::revoke_node(operator.pubkey(), worker)], &[operator]);
    assert!(unserved(world, operator, &worker));

    let (other, other_worker) = (&owners[1].0, owners[1].1.pubkey());
    let thief = key("thief").pubkey();
    world.svm.airdrop(&thief, AIC).unwrap();
    let admin = world.admin.insecure_clone();
    let second = CreateMarketArgs {
        id: 2,
        class: 7,
        region: REGION,
        base_nc: 20_000,
        floor_nc: 1_000,
        reserve_nc: 100_000,
        tick0_nc: 10_000,
        tick_ratio_bps: 500,
    };
    world.must(&[market_ix::create_market(payer, admin.pubkey(), second)], &[&admin]);
    let cases: [(&str, _, u32); 6] = [
        ("another receiver of the rent", swap(remove.clone(), payer, thief), MarketError::WrongAccount.into()),
        ("another market", swap(remove.clone(), market, seeds::find_market(2).0), MarketError::WrongMarket.into()),
        (
            "another worker's node",
            swap(remove.clone(), seeds::find_node(&worker).0, seeds::find_node(&other_worker).0),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "another owner's party",
            swap(
                remove.clone(),
                seeds::find_party(&operator.pubkey(), Role::Provider).0,
                seeds::find_party(&other.pubkey(), Role::Provider).0,
            ),
            MarketError::WrongAccount.into(),
        ),
        (
            "another owner's seat",
            swap(
                remove.clone(),
                seeds::find_seat(&market, &operator.pubkey()).0,
                seeds::find_seat(&market, &other.pubkey()).0,
            ),
            MarketError::WrongAccount.into(),
        ),
        (
            "a party in place of the offer",
            swap(remove.clone(), offer, seeds::find_party(&other.pubkey(), Role::Provider).0),
            ErrorCode::AccountDiscriminatorMismatch.into(),
        ),
    ];
    for (what, instruction, code) in cases {
        let refused = world.send(&[instruction], &[]).expect_err(what);
        assert_eq!(refused.code(), Some(code), "{what}: {:?}", refused.failure);
    }
    let sent = world.measure("market::remove_offer", "revoked node", remove.clone(), &[]);
    let [event] = sent.log_events::<OfferRemoved>().try_into().ok().unwrap();
    assert_eq!((event.worker, event.capacity, event.account), (worker, 400_000, offer));
    assert!(!world.exists(&offer));
    assert_eq!((book(world).cap[2], book(world).owners), (0, 4));
    let party: Party = world.read(&seeds::find_party(&operator.pubkey(), Role::Provider).0);
    assert_eq!(party.offered, 0);
    assert_refused(world.send(&[remove], &[]), ErrorCode::AccountNotInitialized);

    // An empty seat ends too; one with capacity does not.
    let close = ix_stake::close_seat(operator.pubkey(), 1, payer);
    world.measure("market::close_seat", "empty", close, &[]);
    assert!(!world.exists(&seeds::find_seat(&market, &operator.pubkey()).0));
    let full = ix_stake::close_seat(other.pubkey(), 1, payer);
    assert_refused(world.send(std::slice::from_ref(&full), &[]), MarketError::StillNeeded);

    // Jailed.
    let slasher = key("test slasher");
    world.set_slasher(slasher.pubkey());
    let remove = ix_stake::remove_offer(other.pubkey(), other_worker, 1, payer);
    assert!(!unserved(world, other, &other_worker));
    assert_refused(world.send(std::slice::from_ref(&remove), &[]), MarketError::OfferStands);
    let (reporter, epoch) = (world.aic_account(&thief), u32::try_from(world.now() / HOUR).unwrap());
    let slash = Slash {
        slasher: slasher.pubkey(),
        payer,
        party: seeds::find_party(&other.pubkey(), Role::Provider).0,
        reporter,
        harmed: reporter,
        offence: Offence::NoShow,
        restitution_aic: 0,
        epoch,
    };
    world.must(&[ix_stake::slash(&slash)], &[&slasher]);
    assert!(unserved(world, other, &other_worker));
    world.must(&[remove], &[]);
    world.must(&[full], &[]);
    assert_eq!(book(world).owners, 3);

    // Stake below half of the minimum.
    let (poor, poor_worker) = (&owners[2].0, owners[2].1.pubkey());
    let remove = ix_stake::remove_offer(poor.pubkey(), poor_worker, 1, payer);
    world.must(&[market_ix::begin_unstake(poor.pubkey(), Role::Provider, 250 * AIC)], &[poor]);
    assert!(!unserved(world, poor, &poor_worker));
    assert_refused(world.send(std::slice::from_ref(&remove), &[]), MarketError::OfferStands);
    world.must(&[market_ix::begin_unstake(poor.pubkey(), Role::Provider, 1)], &[poor]);
    assert!(unserved(world, poor, &poor_worker));
    world.must(&[remove], &[]);

    // Expired, and withdrawn.
    let (late, late_worker) = (&owners[3].0, owners[3].1.pubkey());
    world.advance(30 * DAY);
    assert!(unserved(world, late, &late_worker));
    world.must(&[ix_stake::remove_offer(late.pubkey(), late_worker, 1, payer)], &[]);
    let last = post(world, (&owners[4].0, &owners[4].1), 0, 0);
    world.must(&[last], &[&owners[4].0]);
    // An empty offer holds nothing down: it is left to whom its rent belongs.
    assert!(!unserved(world, &owners[4].0, &owners[4].1.pubkey()));
    world.must(&[ix_stake::remove_offer(owners[4].0.pubkey(), owners[4].1.pubkey(), 1, payer)], &[]);
    assert_eq!((book(world).cap, book(world).owners), ([0; 64], 0));
}

#[test]
fn layouts_of_books_are_frozen() {
    assert_eq!((Seat::INIT_SPACE, Observation::INIT_SPACE, Offer::INIT_SPACE), (138, 150, 179));
    let mut network = Network::without_snapshot();
    let (gateway, payer) = (network.gateway.insecure_clone(), network.world.payer.pubkey());
    five_owners(&mut network);
    let morning = tomorrow(&network.world, 0);
    network.world.set_time(morning);
    network.world.must(&[ix_stake::observe_demand(payer, gateway.pubkey(), 1, 640_000)], &[&gateway]);
    network.world.advance(12 * HOUR);
    network.world.must(&[ix_stake::roll_market(1)], &[]);
    let data = network.world.svm.get_account(&seeds::find_market(1).0).unwrap().data;
    // next_nc, next_epoch, demand, observed, observed_epoch, observers, owners
    let tail = 8 + 738 - 88 - 40;
    assert_eq!(&data[tail..tail + 8], &12_761u64.to_le_bytes());
    assert_eq!(&data[tail + 8..tail + 12], &(network.world.pricing_epoch() + 1).to_le_bytes());
    assert_eq!(&data[tail + 12..tail + 20], &640_000u64.to_le_bytes());
    assert_eq!(&data[tail + 20..tail + 28], &640_000u64.to_le_bytes());
    assert_eq!(&data[tail + 32..tail + 40], &[1, 0, 0, 0, 5, 0, 0, 0]);
}
