//! The market program on chain: stake, delegated worker keys, markets, artifacts, containers, asks and the frozen
//! snapshots of price and split.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

#[path = "market/books.rs"]
mod books;
#[path = "market/closing.rs"]
mod closing;
#[path = "market/params.rs"]
mod params;
#[path = "market/slashing.rs"]
mod slashing;

use anchor_lang::{Discriminator, Space, error::ErrorCode, prelude::Pubkey};
use anchor_spl::token::spl_token;
use coin::authority::{AuthorityRole, pause};
use market::{
    error::MarketError,
    events::{AskPosted, SnapshotFrozen, StakeAdded, UnstakeBegun, UnstakeFinished},
    instructions::{CreateContainerArgs, CreateMarketArgs, RegisterArtifactArgs, RegisterNodeArgs},
    seeds,
    state::{
        Artifact, Ask, Container, ContainerState, DetKind, DetRule, Market, MarketConfig, Node, Offer, Party, Role,
        SplitSnapshot, Stage, StageKind,
    },
};
use solana_signer::Signer;
use waybill_tests::{
    AIC, Network, REGION, World, assert_refused,
    ix::{market_ix, read_only, swap, unsigned},
    ix_stake, key,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn party(world: &World, owner: &Pubkey, role: Role) -> Party {
    world.read(&seeds::find_party(owner, role).0)
}

fn market_args(id: u32) -> CreateMarketArgs {
    CreateMarketArgs {
        id,
        class: 7,
        region: REGION,
        base_nc: 20_000,
        floor_nc: 1_000,
        reserve_nc: 100_000,
        tick0_nc: 10_000,
        tick_ratio_bps: 500,
    }
}

fn container_args(id: [u8; 32], stages: Vec<Stage>) -> CreateContainerArgs {
    CreateContainerArgs {
        id,
        name: "chat".into(),
        beta_bps: 500,
        ceiling_nc: 0,
        uri_hash: [1; 32],
        terms_hash: [2; 32],
        stages,
    }
}

fn node_args(expires: i64) -> RegisterNodeArgs {
    RegisterNodeArgs { region: REGION, class: 7, det_class: 1, expires }
}

// configuration

#[test]
fn the_configuration_names_the_settlement_programs_slasher() {
    let world = World::new();
    let config: MarketConfig = world.read(&seeds::find_config().0);
    assert_eq!(config.slasher, Pubkey::find_program_address(&[b"slasher"], &settlement::ID).0);
    assert_eq!(config.mint, coin::seeds::find_mint().0);
    assert_eq!(config.params, World::params());
}

#[test]
fn s25_parameters_outside_the_bounds_are_refused() {
    let mut world = World::bare();
    world.coin_genesis();
    let slasher = key("slasher").pubkey();
    let broken: [fn(&mut market::state::MarketParams); 9] = [
        |params| params.fee_bps = 1_001,
        |params| params.kappa_vendor_bps = 4_700,
        |params| params.step_up_bps = 0,
        |params| params.step_down_bps = 2_001,
        |params| params.epoch_s = 9,
        |params| params.ask_notice_s = 3_599,
        |params| params.ask_notice_s = 86_401,
        |params| params.unbonding_s = 0,
        |params| params.min_base_nc = 0,
    ];
    for (i, spoil) in broken.into_iter().enumerate() {
        let mut params = World::params();
        spoil(&mut params);
        let init = market_ix::init_config(world.payer.pubkey(), world.authorities(), slasher, params);
        let refused = world.send(&[init], &[]).expect_err(&format!("case {i}"));
        assert_eq!(refused.code(), Some(MarketError::ParamOutOfBounds.into()), "case {i}");
    }
    let nobody = market_ix::init_config(world.payer.pubkey(), world.authorities(), Pubkey::default(), World::params());
    assert_refused(world.send(&[nobody], &[]), MarketError::DefaultKey);
    let good = market_ix::init_config(world.payer.pubkey(), world.authorities(), slasher, World::params());
    let (foreign, _) = world.foreign_token_account(&slasher, 1);
    let other_mint = swap(good.clone(), coin::seeds::find_mint().0, foreign);
    assert_refused(world.send(&[other_mint], &[]), ErrorCode::ConstraintSeeds);
    world.must(std::slice::from_ref(&good), &[]);
    assert!(world.send(&[good], &[]).is_err(), "a second init");
}

#[test]
fn an_authority_changes_hands_in_two_steps_and_only_the_holder_acts() {
    let mut world = World::new();
    let (admin, pauser) = (world.admin.insecure_clone(), key("pauser"));
    let propose = market_ix::propose_authority(admin.pubkey(), AuthorityRole::Pause, pauser.pubkey());
    world.measure("market::propose_authority", "pause", propose, &[&admin]);
    assert_refused(
        world.send(&[market_ix::pause(pauser.pubkey(), pause::BIDS)], &[&pauser]),
        MarketError::Unauthorized,
    );
    assert_refused(world.send(&[market_ix::accept_authority(admin.pubkey())], &[&admin]), MarketError::NothingPending);
    world.measure("market::accept_authority", "pause", market_ix::accept_authority(pauser.pubkey()), &[&pauser]);
    world.measure("market::pause", "one flag", market_ix::pause(pauser.pubkey(), pause::BIDS), &[&pauser]);
    assert_refused(
        world.send(&[market_ix::resume(pauser.pubkey(), pause::BIDS)], &[&pauser]),
        MarketError::Unauthorized,
    );
    world.measure("market::resume", "one flag", market_ix::resume(admin.pubkey(), pause::BIDS), &[&admin]);
    let by_thief = market_ix::propose_authority(pauser.pubkey(), AuthorityRole::Admin, pauser.pubkey());
    assert_refused(world.send(&[by_thief], &[&pauser]), MarketError::Unauthorized);
}

// stake

#[test]
fn stake_goes_in_and_leaves_after_the_unbonding_time() {
    let mut world = World::new();
    let owner = key("owner");
    let wallet = world.fund(&owner.pubkey(), 100 * AIC);
    let payer = world.payer.pubkey();
    let register = market_ix::register_party(payer, owner.pubkey(), Role::Gateway);
    world.measure("market::register_party", "first", register, &[&owner]);
    let address = seeds::find_party(&owner.pubkey(), Role::Gateway).0;
    let vault = seeds::find_stake(&address).0;

    let add = market_ix::add_stake(owner.pubkey(), Role::Gateway, wallet, 60 * AIC);
    let sent = world.measure("market::add_stake", "own tokens", add, &[&owner]);
    let [event] = sent.cpi_events::<StakeAdded>().try_into().ok().unwrap();
    assert_eq!((event.account, event.amount, event.stake, event.seq), (address, 60 * AIC, 60 * AIC, 2));
    assert_eq!((world.balance(&wallet), world.balance(&vault)), (40 * AIC, 60 * AIC));

    let begin = market_ix::begin_unstake(owner.pubkey(), Role::Gateway, 25 * AIC);
    let sent = world.measure("market::begin_unstake", "part", begin, &[&owner]);
    let [event] = sent.cpi_events::<UnstakeBegun>().try_into().ok().unwrap();
    assert_eq!((event.stake, event.unbonding, event.until), (35 * AIC, 25 * AIC, world.now() + 600));
    assert_eq!(world.balance(&vault), 60 * AIC, "unbonding tokens still lie in the vault");

    let finish = market_ix::finish_unstake(owner.pubkey(), Role::Gateway, wallet);
    world.advance(599);
    assert_refused(world.send(std::slice::from_ref(&finish), &[&owner]), MarketError::StillUnbonding);
    world.advance(1);
    let sent = world.measure("market::finish_unstake", "part", finish.clone(), &[&owner]);
    let [event] = sent.cpi_events::<UnstakeFinished>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.stake, event.seq), (25 * AIC, 35 * AIC, 4));
    assert_eq!((world.balance(&wallet), world.balance(&vault)), (65 * AIC, 35 * AIC));
    assert_refused(world.send(&[finish], &[&owner]), MarketError::NothingUnbonding);
    let state = party(&world, &owner.pubkey(), Role::Gateway);
    assert_eq!((state.stake, state.unbonding, state.unbonding_until), (35 * AIC, 0, 0));
}

#[test]
fn a_pause_stops_deposits_but_never_the_way_out() {
    let mut world = World::new();
    let (owner, admin) = (key("owner"), world.admin.insecure_clone());
    world.party(&owner, Role::Vendor);
    world.must(&[market_ix::pause(admin.pubkey(), pause::ALL)], &[&admin]);
    let wallet = world.aic_account(&owner.pubkey());
    let add = market_ix::add_stake(owner.pubkey(), Role::Vendor, wallet, AIC);
    assert_refused(world.send(&[add], &[&owner]), MarketError::Paused);
    let register = market_ix::register_party(world.payer.pubkey(), owner.pubkey(), Role::Oem);
    assert_refused(world.send(&[register], &[&owner]), MarketError::Paused);
    world.must(&[market_ix::begin_unstake(owner.pubkey(), Role::Vendor, 100 * AIC)], &[&owner]);
    world.advance(600);
    world.must(&[market_ix::finish_unstake(owner.pubkey(), Role::Vendor, wallet)], &[&owner]);
    assert_eq!(world.balance(&wallet), 100 * AIC);
}

#[test]
fn s04_s05_staking_checks_every_account_it_is_given() {
    let mut world = World::new();
    let (owner, thief) = (key("owner"), key("thief"));
    world.party(&owner, Role::Vendor);
    world.party(&thief, Role::Vendor);
    let wallet = world.fund(&owner.pubkey(), 10 * AIC);
    let thief_wallet = world.fund(&thief.pubkey(), 10 * AIC);
    let (foreign_mint, foreign) = world.foreign_token_account(&owner.pubkey(), 10 * AIC);
    let add = market_ix::add_stake(owner.pubkey(), Role::Vendor, wallet, AIC);
    let mine = seeds::find_party(&owner.pubkey(), Role::Vendor).0;
    let theirs = seeds::find_party(&thief.pubkey(), Role::Vendor).0;
    let (my_stake, their_stake) = (seeds::find_stake(&mine).0, seeds::find_stake(&theirs).0);
    let fake_party = world.forge(&mine, None);
    let fake_config = world.forge(&seeds::find_config().0, Some(spl_token::ID));
    let cases: [(&str, _, u32); 9] = [
        ("a source of another mint", swap(add.clone(), wallet, foreign), MarketError::WrongMint.into()),
        ("a source of another owner", swap(add.clone(), wallet, thief_wallet), MarketError::WrongTokenOwner.into()),
        ("another mint", swap(add.clone(), coin::seeds::find_mint().0, foreign_mint), MarketError::WrongMint.into()),
        ("another's party", swap(add.clone(), mine, theirs), MarketError::Unauthorized.into()),
        ("another's stake", swap(add.clone(), my_stake, their_stake), ErrorCode::ConstraintSeeds.into()),
        ("a copied party", swap(add.clone(), mine, fake_party), ErrorCode::ConstraintSeeds.into()),
        (
            "a configuration of another program",
            swap(add.clone(), seeds::find_config().0, fake_config),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        ("a party that is not writable", read_only(add.clone(), mine), ErrorCode::ConstraintMut.into()),
        (
            "the system program for the token program",
            swap(add.clone(), spl_token::ID, anchor_lang::system_program::ID),
            ErrorCode::InvalidProgramId.into(),
        ),
    ];
    for (what, instruction, code) in cases {
        let refused = world.send(&[instruction], &[&owner]).expect_err(what);
        assert_eq!(refused.code(), Some(code), "{what}: {:?}", refused.failure);
    }
    let silent = unsigned(add, owner.pubkey());
    assert_refused(world.send(&[silent], &[]), ErrorCode::AccountNotSigner);
}

#[test]
fn s10_nobody_takes_out_what_another_has_staked() {
    let mut world = World::new();
    let (owner, thief) = (key("owner"), key("thief"));
    world.party(&owner, Role::Vendor);
    world.party(&thief, Role::Vendor);
    let mine = seeds::find_party(&owner.pubkey(), Role::Vendor).0;
    let theirs = seeds::find_party(&thief.pubkey(), Role::Vendor).0;
    let begin = market_ix::begin_unstake(thief.pubkey(), Role::Vendor, AIC);
    assert_refused(world.send(&[swap(begin.clone(), theirs, mine)], &[&thief]), MarketError::Unauthorized);
    world.must(&[begin], &[&thief]);
    world.must(&[market_ix::begin_unstake(owner.pubkey(), Role::Vendor, AIC)], &[&owner]);
    world.advance(600);
    let wallet = world.aic_account(&thief.pubkey());
    let owners = world.aic_account(&owner.pubkey());
    let finish = market_ix::finish_unstake(thief.pubkey(), Role::Vendor, wallet);
    let from_owner = swap(finish.clone(), seeds::find_stake(&theirs).0, seeds::find_stake(&mine).0);
    assert_refused(world.send(&[from_owner], &[&thief]), ErrorCode::ConstraintSeeds);
    assert_refused(world.send(&[swap(finish.clone(), theirs, mine)], &[&thief]), MarketError::Unauthorized);
    assert_refused(world.send(&[swap(finish.clone(), wallet, owners)], &[&thief]), MarketError::WrongTokenOwner);
    world.must(&[finish], &[&thief]);
    assert_eq!(world.balance(&wallet), AIC);
    assert_eq!(world.balance(&seeds::find_stake(&mine).0), 100 * AIC);
}

#[test]
fn s15_unstaking_nothing_or_more_than_there_is_has_named_errors() {
    let mut world = World::new();
    let owner = key("owner");
    world.party(&owner, Role::Vendor);
    for (amount, error) in [
        (0, MarketError::ZeroAmount),
        (100 * AIC + 1, MarketError::InsufficientStake),
        (u64::MAX, MarketError::InsufficientStake),
    ] {
        let begin = market_ix::begin_unstake(owner.pubkey(), Role::Vendor, amount);
        assert_refused(world.send(&[begin], &[&owner]), error);
    }
    let wallet = world.aic_account(&owner.pubkey());
    let add = market_ix::add_stake(owner.pubkey(), Role::Vendor, wallet, 0);
    assert_refused(world.send(&[add], &[&owner]), MarketError::ZeroAmount);
}

#[test]
fn one_owner_has_one_party_per_role_and_a_role_is_one_of_seven() {
    let mut world = World::new();
    let owner = key("owner");
    world.party(&owner, Role::Vendor);
    world.party(&owner, Role::Verifier);
    let payer = world.payer.pubkey();
    assert!(world.send(&[market_ix::register_party(payer, owner.pubkey(), Role::Vendor)], &[&owner]).is_err());
    let mut unknown = market_ix::register_party(payer, owner.pubkey(), Role::Oem);
    *unknown.data.last_mut().unwrap() = 7;
    assert_refused(world.send(&[unknown], &[&owner]), ErrorCode::InstructionDidNotDeserialize);
    let forced = unsigned(market_ix::register_party(payer, owner.pubkey(), Role::Oem), owner.pubkey());
    assert_refused(world.send(&[forced], &[]), ErrorCode::AccountNotSigner);
}

// nodes

#[test]
fn a_node_is_delegated_renewed_and_revoked_by_its_operator() {
    let mut network = Network::without_snapshot();
    let (operator, worker) = (network.operator.insecure_clone(), network.worker.pubkey());
    let world = &mut network.world;
    let address = seeds::find_node(&worker).0;
    let node: Node = world.read(&address);
    assert_eq!((node.operator, node.worker, node.class, node.det_class), (operator.pubkey(), worker, 7, 1));
    node.require_live(world.now()).unwrap();

    let later = world.now() + 60 * DAY;
    world.measure("market::renew_node", "later", market_ix::renew_node(operator.pubkey(), worker, later), &[&operator]);
    assert_eq!(world.read::<Node>(&address).expires, later);
    let thief = key("thief");
    for stolen in [market_ix::renew_node(thief.pubkey(), worker, later), market_ix::revoke_node(thief.pubkey(), worker)]
    {
        assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
    }
    world.measure("market::revoke_node", "live", market_ix::revoke_node(operator.pubkey(), worker), &[&operator]);
    assert!(world.read::<Node>(&address).revoked);
    for again in
        [market_ix::renew_node(operator.pubkey(), worker, later), market_ix::revoke_node(operator.pubkey(), worker)]
    {
        assert_refused(world.send(&[again], &[&operator]), MarketError::NodeRevoked);
    }
}

#[test]
fn a_worker_key_is_delegated_only_with_its_own_signature_and_a_sane_term() {
    let mut world = World::new();
    let (operator, worker) = (key("operator"), key("worker"));
    world.party(&operator, Role::Provider);
    let payer = world.payer.pubkey();
    let register = |args| market_ix::register_node(payer, operator.pubkey(), worker.pubkey(), args);
    let good = register(node_args(world.now() + DAY));
    assert_refused(world.send(&[unsigned(good.clone(), worker.pubkey())], &[&operator]), ErrorCode::AccountNotSigner);
    assert_refused(world.send(&[unsigned(good.clone(), operator.pubkey())], &[&worker]), ErrorCode::AccountNotSigner);
    for expires in [0, i64::MIN, world.now(), world.now() + 366 * DAY + 1, i64::MAX] {
        assert_refused(world.send(&[register(node_args(expires))], &[&operator, &worker]), MarketError::BadExpiry);
    }
    let shouting = RegisterNodeArgs { region: *b"EU\0\0\0\0\0\0\0\0\0\0", ..node_args(world.now() + DAY) };
    assert_refused(world.send(&[register(shouting)], &[&operator, &worker]), MarketError::BadRegion);
    world.must(std::slice::from_ref(&good), &[&operator, &worker]);
    assert!(world.send(&[good], &[&operator, &worker]).is_err(), "a key is delegated once");
}

#[test]
fn a_worker_key_is_delegated_only_in_a_registered_and_enabled_class() {
    let mut world = World::new();
    let (operator, worker) = (key("operator"), key("worker"));
    world.party(&operator, Role::Provider);
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let expires = world.now() + DAY;
    let register = |det_class| {
        let args = RegisterNodeArgs { det_class, ..node_args(expires) };
        market_ix::register_node(payer, operator.pubkey(), worker.pubkey(), args)
    };
    assert_refused(world.send(&[register(7)], &[&operator, &worker]), ErrorCode::AccountNotInitialized);
    let [first, seventh] = [1, 7].map(|id| seeds::find_det_class(id).0);
    let other = swap(register(7), seventh, first);
    assert_refused(world.send(&[other], &[&operator, &worker]), ErrorCode::ConstraintSeeds);
    let copy = world.forge(&first, None);
    let copied = swap(register(1), first, copy);
    assert_refused(world.send(&[copied], &[&operator, &worker]), ErrorCode::ConstraintSeeds);

    let rule = DetRule { kind: DetKind::Tol, tol_ppm: 100, tau_ppm: 0, mu_ppm: 0, enabled: true };
    world.must(&[ix_stake::register_det_class(payer, admin.pubkey(), 7, [7; 32], rule)], &[&admin]);
    let foreign = world.forge(&seventh, Some(settlement::ID));
    let stolen = swap(register(7), seventh, foreign);
    assert_refused(world.send(&[stolen], &[&operator, &worker]), ErrorCode::AccountOwnedByWrongProgram);
    let tune = |enabled| ix_stake::tune_det_class(admin.pubkey(), 7, DetRule { enabled, ..rule });
    world.must(&[tune(false)], &[&admin]);
    assert_refused(world.send(&[register(7)], &[&operator, &worker]), MarketError::DetClassDisabled);
    world.must(&[tune(true)], &[&admin]);
    world.must(&[register(7)], &[&operator, &worker]);
    assert_eq!(world.read::<Node>(&seeds::find_node(&worker.pubkey()).0).det_class, 7);
}

#[test]
fn a_provider_below_its_minimum_stake_registers_nothing() {
    let mut world = World::new();
    let (operator, worker) = (key("operator"), key("worker"));
    world.party(&operator, Role::Provider);
    world.party(&operator, Role::Vendor);
    world.must(&[market_ix::begin_unstake(operator.pubkey(), Role::Provider, 1)], &[&operator]);
    let args = node_args(world.now() + DAY);
    let register = market_ix::register_node(world.payer.pubkey(), operator.pubkey(), worker.pubkey(), args);
    assert_refused(world.send(std::slice::from_ref(&register), &[&operator, &worker]), MarketError::BelowMinimumStake);
    let as_vendor = swap(
        register.clone(),
        seeds::find_party(&operator.pubkey(), Role::Provider).0,
        seeds::find_party(&operator.pubkey(), Role::Vendor).0,
    );
    assert_refused(world.send(&[as_vendor], &[&operator, &worker]), MarketError::WrongAccount);
    let wallet = world.fund(&operator.pubkey(), 1);
    world.must(&[market_ix::add_stake(operator.pubkey(), Role::Provider, wallet, 1)], &[&operator]);
    world.must(&[register], &[&operator, &worker]);
}

// markets and offers

#[test]
fn a_market_has_a_sane_book_and_base() {
    let mut world = World::new();
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let cases: [(fn(&mut CreateMarketArgs), MarketError); 7] = [
        (|args| args.floor_nc = 999, MarketError::BaseOutOfBounds),
        (|args| args.base_nc = 100_001, MarketError::BaseOutOfBounds),
        (|args| args.reserve_nc = 500, MarketError::BaseOutOfBounds),
        (|args| args.tick0_nc = 0, MarketError::ParamOutOfBounds),
        (|args| args.tick_ratio_bps = 0, MarketError::ParamOutOfBounds),
        (|args| args.tick_ratio_bps = 10_001, MarketError::ParamOutOfBounds),
        (|args| args.region = [0; 12], MarketError::BadRegion),
    ];
    for (spoil, error) in cases {
        let mut args = market_args(9);
        spoil(&mut args);
        assert_refused(world.send(&[market_ix::create_market(payer, admin.pubkey(), args)], &[&admin]), error);
    }
    let thief = key("thief");
    let stolen = market_ix::create_market(payer, thief.pubkey(), market_args(9));
    assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
}

#[test]
fn an_offer_stands_at_one_tick_of_the_book() {
    let mut network = Network::without_snapshot();
    let (operator, worker) = (network.operator.insecure_clone(), network.worker.pubkey());
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let post = |tick, capacity| market_ix::post_offer(payer, operator.pubkey(), worker, 1, tick, capacity);
    let book = |world: &World| world.read::<Market>(&seeds::find_market(1).0).cap;
    world.measure("market::post_offer", "create", post(4, 500_000), &[&operator]);
    assert_eq!((book(world)[4], book(world).iter().sum::<u64>()), (500_000, 500_000));
    world.measure("market::post_offer", "update", post(63, 900), &[&operator]);
    assert_eq!((book(world)[63], book(world).iter().sum::<u64>()), (900, 900));
    assert_refused(world.send(&[post(64, 1)], &[&operator]), MarketError::BadTick);
    world.must(&[market_ix::revoke_node(operator.pubkey(), worker)], &[&operator]);
    assert_refused(world.send(&[post(3, 1)], &[&operator]), MarketError::NodeRevoked);
    world.must(&[post(63, 0)], &[&operator]);
    assert_eq!(book(world), [0; 64], "a revoked worker still leaves the book");
    let thief = key("thief");
    world.party(&thief, Role::Provider);
    let stolen = market_ix::post_offer(payer, thief.pubkey(), worker, 1, 4, 1);
    assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
}

#[test]
fn an_offer_needs_a_live_node_of_the_markets_class_and_region() {
    let mut network = Network::without_snapshot();
    let (operator, worker) = (network.operator.insecure_clone(), network.worker.pubkey());
    let world = &mut network.world;
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let elsewhere = CreateMarketArgs { class: 8, ..market_args(2) };
    world.must(&[market_ix::create_market(payer, admin.pubkey(), elsewhere)], &[&admin]);
    let other = market_ix::post_offer(payer, operator.pubkey(), worker, 2, 0, 1);
    assert_refused(world.send(&[other], &[&operator]), MarketError::WrongMarket);
    world.advance(30 * DAY);
    let late = market_ix::post_offer(payer, operator.pubkey(), worker, 1, 0, 1);
    assert_refused(world.send(&[late], &[&operator]), MarketError::NodeExpired);
}

// artifacts and containers

#[test]
fn an_artifact_is_registered_once_by_a_staked_vendor_and_a_consenting_oem() {
    let mut network = Network::without_snapshot();
    let (vendor, oem) = (network.vendor.insecure_clone(), network.oem.insecure_clone());
    let artifact: Artifact = network.world.read(&seeds::find_artifact(&network.artifact).0);
    assert_eq!((artifact.vendor, artifact.oem()), (vendor.pubkey(), Some(oem.pubkey())));
    assert_eq!((artifact.name.as_str(), artifact.size), ("tiny-llama", 1_234_567));
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let file = |hash: u8, name: &str, licence: &str, size| RegisterArtifactArgs {
        hash: [hash; 32],
        size,
        name: name.into(),
        licence: licence.into(),
    };
    let register = |owner, oem, args| market_ix::register_artifact(payer, owner, oem, args);
    let taken = register(vendor.pubkey(), None, file(0xA1, "x", "", 1));
    assert!(world.send(&[taken], &[&vendor]).is_err(), "a hash has one artifact");
    let unasked = register(vendor.pubkey(), Some(oem.pubkey()), file(1, "x", "", 1));
    assert_refused(world.send(&[unsigned(unasked, oem.pubkey())], &[&vendor]), ErrorCode::AccountNotSigner);
    for (args, error) in [
        (file(1, "", "", 1), MarketError::BadName),
        (file(1, &"n".repeat(49), "", 1), MarketError::BadName),
        (file(1, "x", &"l".repeat(33), 1), MarketError::BadName),
        (file(1, "x", "", 0), MarketError::ZeroAmount),
    ] {
        assert_refused(world.send(&[register(vendor.pubkey(), None, args)], &[&vendor]), error);
    }
    let longest = file(1, &"n".repeat(48), &"l".repeat(32), u64::MAX);
    let longest = register(vendor.pubkey(), None, longest);
    world.measure("market::register_artifact", "longest, no OEM", longest, &[&vendor]);
    assert_eq!(world.read::<Artifact>(&seeds::find_artifact(&[1; 32]).0).oem(), None);
    world.must(&[market_ix::begin_unstake(vendor.pubkey(), Role::Vendor, 1)], &[&vendor]);
    let poor = register(vendor.pubkey(), None, file(2, "x", "", 1));
    assert_refused(world.send(&[poor], &[&vendor]), MarketError::BelowMinimumStake);
}

#[test]
fn a_container_has_a_name_a_bounded_curator_share_and_one_to_eight_weighted_stages() {
    let mut network = Network::without_snapshot();
    let weaver = network.weaver.insecure_clone();
    let stage = network.stages[0];
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let create = |args| market_ix::create_container(payer, weaver.pubkey(), args);
    for (args, error) in [
        (container_args([1; 32], vec![]), MarketError::BadStages),
        (container_args([1; 32], vec![stage; 9]), MarketError::BadStages),
        (container_args([1; 32], vec![Stage { weight_bps: 0, ..stage }]), MarketError::BadStages),
        (CreateContainerArgs { beta_bps: 1_001, ..container_args([1; 32], vec![stage]) }, MarketError::BetaTooHigh),
        (CreateContainerArgs { name: String::new(), ..container_args([1; 32], vec![stage]) }, MarketError::BadName),
        (CreateContainerArgs { name: "n".repeat(49), ..container_args([1; 32], vec![stage]) }, MarketError::BadName),
    ] {
        assert_refused(world.send(&[create(args)], &[&weaver]), error);
    }
    let largest = CreateContainerArgs { name: "n".repeat(48), ..container_args([1; 32], vec![stage; 8]) };
    world.measure("market::create_container", "8 stages", create(largest), &[&weaver]);
    let container: Container = world.read(&seeds::find_container(&[1; 32]).0);
    assert_eq!((container.stages.len(), container.revision, container.creator), (8, 1, weaver.pubkey()));
    assert!(world.send(&[create(container_args([1; 32], vec![stage]))], &[&weaver]).is_err(), "an id is taken once");
}

#[test]
fn s26_a_retired_container_gets_no_snapshot() {
    let mut network = Network::without_snapshot();
    let (weaver, id, epoch) = (network.weaver.insecure_clone(), network.container, network.world.pricing_epoch());
    let thief = key("thief");
    let roll = market_ix::roll_container(&network.roll_of(0, epoch));
    let world = &mut network.world;
    let stolen = market_ix::retire_container(thief.pubkey(), id, 1);
    assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
    let guess = market_ix::retire_container(weaver.pubkey(), id, 2);
    assert_refused(world.send(&[guess], &[&weaver]), MarketError::UnexpectedRevision);
    let retire = market_ix::retire_container(weaver.pubkey(), id, 1);
    world.measure("market::retire_container", "1 stage", retire, &[&weaver]);
    assert_eq!(world.read::<Container>(&seeds::find_container(&id).0).state, ContainerState::Retired);
    assert_refused(world.send(&[roll], &[]), MarketError::ContainerRetired);
    let again = market_ix::retire_container(weaver.pubkey(), id, 2);
    assert_refused(world.send(&[again], &[&weaver]), MarketError::ContainerRetired);
}

// asks

#[test]
fn an_ask_moves_one_step_per_pricing_epoch_with_an_hours_notice() {
    let mut network = Network::without_snapshot();
    let (vendor, subject) = (network.vendor.insecure_clone(), network.artifact);
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let epoch = world.pricing_epoch();
    let post = |want| market_ix::post_ask(payer, vendor.pubkey(), Role::Vendor, subject, want);
    let read = |world: &World| world.read::<Ask>(&seeds::find_ask(&subject, Role::Vendor).0);
    assert_eq!((read(world).at(epoch), read(world).seq), (2_600, 1), "the first ask counts at once");

    let sent = world.measure("market::post_ask", "update", post(9_000), &[&vendor]);
    let [event] = sent.log_events::<AskPosted>().try_into().ok().unwrap();
    assert_eq!((event.value_nc, event.pending_nc, event.effective_epoch, event.seq), (2_600, 2_730, epoch + 1, 2));
    assert_eq!((read(world).at(epoch), read(world).at(epoch + 1)), (2_600, 2_730));

    let next_day = i64::from(epoch + 1) * DAY;
    world.set_time(next_day - HOUR - 1);
    world.must(&[post(100)], &[&vendor]);
    assert_eq!(read(world).at(epoch + 1), 2_340, "a step can be replaced until an hour before it counts");
    world.set_time(next_day - HOUR);
    assert_refused(world.send(&[post(9_000)], &[&vendor]), MarketError::AskFrozen);
    world.set_time(next_day);
    world.must(&[post(9_000)], &[&vendor]);
    assert_eq!((read(world).at(epoch + 1), read(world).at(epoch + 2)), (2_340, 2_457));
}

#[test]
fn s01_only_the_holder_of_a_role_asks_for_a_subject() {
    let mut network = Network::without_snapshot();
    let (artifact, container) = (network.artifact, network.container);
    let (vendor, weaver, curator) =
        (network.vendor.insecure_clone(), network.weaver.insecure_clone(), network.curator.insecure_clone());
    let thief = key("thief");
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    for (role, subject) in [(Role::Vendor, artifact), (Role::Oem, artifact), (Role::Weaver, container)] {
        world.party(&thief, role);
        let stolen = market_ix::post_ask(payer, thief.pubkey(), role, subject, 1);
        assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
    }
    let no_ask = market_ix::post_ask(payer, curator.pubkey(), Role::Curator, artifact, 1);
    assert_refused(world.send(&[no_ask], &[&curator]), MarketError::RoleHasNoAsk);
    let other_subject = swap(
        market_ix::post_ask(payer, vendor.pubkey(), Role::Vendor, [9; 32], 1),
        seeds::find_artifact(&[9; 32]).0,
        seeds::find_artifact(&artifact).0,
    );
    assert_refused(world.send(&[other_subject], &[&vendor]), MarketError::WrongAccount);
    let wrong_party = swap(
        market_ix::post_ask(payer, weaver.pubkey(), Role::Weaver, container, 1),
        seeds::find_party(&weaver.pubkey(), Role::Weaver).0,
        seeds::find_party(&vendor.pubkey(), Role::Vendor).0,
    );
    assert_refused(world.send(&[wrong_party], &[&weaver]), MarketError::Unauthorized);
    world.must(&[market_ix::begin_unstake(weaver.pubkey(), Role::Weaver, 1)], &[&weaver]);
    let poor = market_ix::post_ask(payer, weaver.pubkey(), Role::Weaver, container, 1);
    assert_refused(world.send(&[poor], &[&weaver]), MarketError::BelowMinimumStake);
}

// snapshots

#[test]
fn a_snapshot_has_the_designs_worked_price_and_split() {
    let mut network = Network::without_snapshot();
    let epoch = network.world.pricing_epoch();
    let roll = market_ix::roll_container(&network.roll_of(0, epoch));
    let sent = network.world.measure("market::roll_container", "1 stage, OEM", roll.clone(), &[]);
    let snapshot = network.snapshot(0, epoch);
    assert_eq!((snapshot.price_nc, snapshot.base_nc), (21_690, 12_154));
    assert_eq!(snapshot.bps, [1_198, 1_198, 5_606, 500, 1_198, 300]);
    assert_eq!(snapshot.payees.vendor, network.vendor.pubkey());
    assert_eq!(snapshot.payees.oem, network.oem.pubkey());
    assert_eq!(snapshot.payees.weaver, network.weaver.pubkey());
    assert_eq!((snapshot.artifact, snapshot.container, snapshot.stage), (network.artifact, network.container, 0));
    let [event] = sent.log_events::<SnapshotFrozen>().try_into().ok().unwrap();
    assert_eq!((event.price_nc, event.pricing_epoch), (21_690, epoch));
    assert!(network.world.send(&[roll], &[]).is_err(), "a snapshot is frozen once");
}

#[test]
fn a_snapshot_is_made_for_this_pricing_epoch_or_in_the_last_hour_for_the_next() {
    let mut network = Network::without_snapshot();
    let epoch = network.world.pricing_epoch();
    let next = market_ix::roll_container(&network.roll_of(0, epoch + 1));
    let past = market_ix::roll_container(&network.roll_of(0, epoch - 1));
    let boundary = i64::from(epoch + 1) * DAY;
    assert_refused(network.world.send(&[past], &[]), MarketError::WrongPricingEpoch);
    network.world.set_time(boundary - HOUR - 1);
    assert_refused(network.world.send(std::slice::from_ref(&next), &[]), MarketError::WrongPricingEpoch);
    network.world.set_time(boundary - HOUR);
    network.world.must(&[next], &[]);
    let current = market_ix::roll_container(&network.roll_of(0, epoch));
    network.world.set_time(boundary);
    assert_refused(network.world.send(std::slice::from_ref(&current), &[]), MarketError::WrongPricingEpoch);
    network.world.set_time(boundary - 1);
    network.world.must(&[current], &[]);
}

#[test]
fn s28_a_snapshot_needs_every_payees_live_stake() {
    for payee in 0..3 {
        let mut network = Network::without_snapshot();
        let epoch = network.world.pricing_epoch();
        let roll = market_ix::roll_container(&network.roll_of(0, epoch));
        let (owner, role) = match payee {
            0 => (network.vendor.insecure_clone(), Role::Vendor),
            1 => (network.oem.insecure_clone(), Role::Oem),
            _ => (network.weaver.insecure_clone(), Role::Weaver),
        };
        // 80 % of 100 AIC is enough for what was begun; one base unit less is not.
        network.world.must(&[market_ix::begin_unstake(owner.pubkey(), role, 20 * AIC)], &[&owner]);
        network.world.must(&[market_ix::begin_unstake(owner.pubkey(), role, 1)], &[&owner]);
        assert_refused(network.world.send(&[roll], &[]), MarketError::BelowMinimumStake);
    }
}

#[test]
fn s03_s04_a_snapshot_reads_only_the_accounts_of_its_container() {
    let mut network = Network::without_snapshot();
    let epoch = network.world.pricing_epoch();
    let good = market_ix::roll_container(&network.roll_of(0, epoch));
    let (vendor, oem, weaver) = (network.vendor.insecure_clone(), network.oem.pubkey(), network.weaver.pubkey());
    let world = &mut network.world;
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let second = RegisterArtifactArgs { hash: [0xA2; 32], size: 1, name: "b".into(), licence: String::new() };
    world.must(&[market_ix::register_artifact(payer, vendor.pubkey(), None, second)], &[&vendor]);
    world.must(&[market_ix::post_ask(payer, vendor.pubkey(), Role::Vendor, [0xA2; 32], 1)], &[&vendor]);
    world.must(&[market_ix::create_market(payer, admin.pubkey(), market_args(2))], &[&admin]);
    let thief = key("thief");
    world.party(&thief, Role::Vendor);
    let artifact = seeds::find_artifact(&network.artifact).0;
    let ask = |role| seeds::find_ask(if role == Role::Weaver { &network.container } else { &network.artifact }, role).0;
    let party_of = |owner: &Pubkey, role| seeds::find_party(owner, role).0;
    let fake_market = world.forge(&seeds::find_market(1).0, Some(spl_token::ID));
    let cases: [(&str, _, u32); 9] = [
        (
            "another artifact",
            swap(good.clone(), artifact, seeds::find_artifact(&[0xA2; 32]).0),
            MarketError::WrongAccount.into(),
        ),
        (
            "another market",
            swap(good.clone(), seeds::find_market(1).0, seeds::find_market(2).0),
            MarketError::WrongAccount.into(),
        ),
        (
            "another vendor's party",
            swap(good.clone(), party_of(&vendor.pubkey(), Role::Vendor), party_of(&thief.pubkey(), Role::Vendor)),
            MarketError::WrongAccount.into(),
        ),
        (
            "the vendor's ask for another artifact",
            swap(good.clone(), ask(Role::Vendor), seeds::find_ask(&[0xA2; 32], Role::Vendor).0),
            MarketError::WrongAccount.into(),
        ),
        (
            "the OEM's ask as the vendor's",
            swap(good.clone(), ask(Role::Vendor), ask(Role::Oem)),
            MarketError::WrongAccount.into(),
        ),
        (
            "no OEM although there is one",
            swap(good.clone(), party_of(&oem, Role::Oem), market::ID),
            MarketError::WrongAccount.into(),
        ),
        (
            "a party in place of the weaver's ask",
            swap(good.clone(), ask(Role::Weaver), party_of(&weaver, Role::Weaver)),
            ErrorCode::AccountDiscriminatorMismatch.into(),
        ),
        (
            "a market of another program",
            swap(good.clone(), seeds::find_market(1).0, fake_market),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "the snapshot of another epoch",
            swap(
                good.clone(),
                seeds::find_snapshot(&network.container, 0, epoch).0,
                seeds::find_snapshot(&network.container, 0, epoch + 1).0,
            ),
            ErrorCode::ConstraintSeeds.into(),
        ),
    ];
    for (what, instruction, code) in cases {
        let refused = world.send(&[instruction], &[]).expect_err(what);
        assert_eq!(refused.code(), Some(code), "{what}: {:?}", refused.failure);
    }
    world.must(&[good], &[]);
}

#[test]
fn s12_a_workflow_of_eight_stages_splits_the_weavers_ask_by_cost() {
    let mut network = Network::without_snapshot();
    let (weaver, vendor) = (network.weaver.insecure_clone(), network.vendor.pubkey());
    let world = &mut network.world;
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    world.must(&[market_ix::create_market(payer, admin.pubkey(), market_args(2))], &[&admin]);
    let stage = network.stages[0];
    // Stages 0, 2, 4, 6 buy in market 1 (12,154 each), the others in market 2 (20,000 each): 128,616 together.
    let stages: Vec<_> = (0..8).map(|i| Stage { market: 1 + i % 2, ..stage }).collect();
    let id = [0xC8; 32];
    world.must(&[market_ix::create_container(payer, weaver.pubkey(), container_args(id, stages.clone()))], &[&weaver]);
    world.must(&[market_ix::post_ask(payer, weaver.pubkey(), Role::Weaver, id, 10_000)], &[&weaver]);
    network.container = id;
    network.stages = stages;
    let epoch = network.world.pricing_epoch();
    let good = market_ix::roll_container(&network.roll_of(0, epoch));
    let markets = good.accounts.len() - 4;
    assert_eq!(
        good.accounts[markets..].iter().map(|meta| meta.pubkey).collect::<Vec<_>>(),
        [seeds::find_market(2).0; 4]
    );

    let mut missing = good.clone();
    missing.accounts.pop();
    let mut extra = good.clone();
    extra.accounts.push(good.accounts[markets].clone());
    let mut wrong = good.clone();
    wrong.accounts[markets].pubkey = seeds::find_market(1).0;
    let mut no_market = good.clone();
    no_market.accounts[markets].pubkey = seeds::find_party(&vendor, Role::Vendor).0;
    let forged = network.world.forge(&seeds::find_market(2).0, Some(spl_token::ID));
    let mut foreign = good;
    foreign.accounts[markets].pubkey = forged;
    for broken in [missing, extra, wrong, no_market, foreign] {
        assert_refused(network.world.send(&[broken], &[]), MarketError::WrongRemainingAccounts);
    }
    let mut asked = 0;
    for index in 0..8 {
        network.roll(index, epoch);
        let snapshot = network.snapshot(index, epoch);
        let expected_cost = if index % 2 == 0 { 12_154 } else { 20_000 };
        assert_eq!(snapshot.base_nc, expected_cost);
        // floor(10,000 · 12,154 / 128,616) = 944, floor(10,000 · 20,000 / 128,616) = 1,555, the last takes the rest.
        asked += if index == 7 {
            10_000 - asked
        } else if index % 2 == 0 {
            944
        } else {
            1_555
        };
        let weaver_nc = if index == 7 {
            1_559
        } else if index % 2 == 0 {
            944
        } else {
            1_555
        };
        let taken = 10_000 - 500 - 300;
        assert_eq!(snapshot.price_nc, ((expected_cost + 2_600 + 2_600 + weaver_nc) * 10_000u64).div_ceil(taken));
    }
    assert_eq!(asked, 10_000);
}

#[test]
fn a_stage_without_an_oem_pays_none_and_a_promised_ceiling_holds() {
    let mut network = Network::without_snapshot();
    let (vendor, weaver) = (network.vendor.insecure_clone(), network.weaver.insecure_clone());
    let world = &mut network.world;
    let payer = world.payer.pubkey();
    let file = RegisterArtifactArgs { hash: [3; 32], size: 1, name: "plain".into(), licence: String::new() };
    world.must(&[market_ix::register_artifact(payer, vendor.pubkey(), None, file)], &[&vendor]);
    world.must(&[market_ix::post_ask(payer, vendor.pubkey(), Role::Vendor, [3; 32], 2_600)], &[&vendor]);
    let stages = vec![Stage { artifact: [3; 32], kind: StageKind::Embed, market: 1, weight_bps: 10_000 }];
    let epoch = world.pricing_epoch();
    // ceil((12,154 + 2,600 + 2,600) · 10,000 / 9,200) = 18,864
    for (id, ceiling_nc, fits) in [([4; 32], 18_863, false), ([5; 32], 18_864, true)] {
        let args = CreateContainerArgs { ceiling_nc, ..container_args(id, stages.clone()) };
        world.must(&[market_ix::create_container(payer, weaver.pubkey(), args)], &[&weaver]);
        world.must(&[market_ix::post_ask(payer, weaver.pubkey(), Role::Weaver, id, 2_600)], &[&weaver]);
        let roll = market_ix::Roll {
            payer,
            container: id,
            stage: 0,
            pricing_epoch: epoch,
            stages: &stages,
            vendor: vendor.pubkey(),
            oem: None,
            weaver: weaver.pubkey(),
        };
        let roll = market_ix::roll_container(&roll);
        if !fits {
            assert_refused(world.send(&[roll], &[]), MarketError::PriceAboveCeiling);
            continue;
        }
        world.measure("market::roll_container", "1 stage, no OEM", roll, &[]);
        let snapshot: SplitSnapshot = world.read(&seeds::find_snapshot(&id, 0, epoch).0);
        assert_eq!((snapshot.price_nc, snapshot.bps[1], snapshot.payees.oem), (18_864, 0, Pubkey::default()));
    }
}

#[test]
fn s17_each_pause_flag_stops_exactly_its_instructions() {
    let mut network = Network::without_snapshot();
    let epoch = network.world.pricing_epoch();
    let roll = market_ix::roll_container(&network.roll_of(0, epoch));
    let (vendor, weaver, operator) =
        (network.vendor.insecure_clone(), network.weaver.insecure_clone(), network.operator.insecure_clone());
    let (subject, stage, worker) = (network.artifact, network.stages[0], network.worker.pubkey());
    let world = &mut network.world;
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let ask = market_ix::post_ask(payer, vendor.pubkey(), Role::Vendor, subject, 1);
    let offer = market_ix::post_offer(payer, operator.pubkey(), worker, 1, 0, 1);
    let create = market_ix::create_container(payer, weaver.pubkey(), container_args([9; 32], vec![stage]));
    world.must(&[market_ix::pause(admin.pubkey(), pause::BIDS)], &[&admin]);
    for (instruction, signer) in [(&roll, &admin), (&ask, &vendor), (&offer, &operator)] {
        assert_refused(world.send(std::slice::from_ref(instruction), &[signer]), MarketError::Paused);
    }
    world.must(&[create], &[&weaver]);
    world.must(&[market_ix::resume(admin.pubkey(), pause::BIDS)], &[&admin]);
    world.must(&[market_ix::pause(admin.pubkey(), pause::REGISTRATION)], &[&admin]);
    let create = market_ix::create_container(payer, weaver.pubkey(), container_args([8; 32], vec![stage]));
    assert_refused(world.send(&[create], &[&weaver]), MarketError::Paused);
    for (instruction, signer) in [(roll, &admin), (ask, &vendor), (offer, &operator)] {
        world.must(&[instruction], &[signer]);
    }
}

/// A released layout never changes: sizes, discriminators and the fields other programs read at their offsets.
#[test]
fn layouts_are_frozen() {
    let sizes = [
        MarketConfig::INIT_SPACE,
        Party::INIT_SPACE,
        Node::INIT_SPACE,
        Market::INIT_SPACE,
        Offer::INIT_SPACE,
        Ask::INIT_SPACE,
        Artifact::INIT_SPACE,
        Container::INIT_SPACE,
        SplitSnapshot::INIT_SPACE,
    ];
    assert_eq!(sizes, [615, 173, 195, 738, 179, 191, 690, 679, 291]);
    let discriminators = [
        MarketConfig::DISCRIMINATOR,
        Party::DISCRIMINATOR,
        Node::DISCRIMINATOR,
        Market::DISCRIMINATOR,
        Offer::DISCRIMINATOR,
        Ask::DISCRIMINATOR,
        Artifact::DISCRIMINATOR,
        Container::DISCRIMINATOR,
        SplitSnapshot::DISCRIMINATOR,
    ];
    let frozen: [[u8; 8]; 9] = [
        [119, 255, 200, 88, 252, 82, 128, 24],
        [208, 64, 165, 146, 114, 138, 161, 100],
        [208, 53, 1, 3, 49, 122, 180, 49],
        [219, 190, 213, 55, 0, 227, 198, 154],
        [215, 88, 60, 71, 170, 162, 73, 229],
        [225, 169, 123, 34, 2, 253, 198, 228],
        [125, 110, 180, 28, 220, 123, 231, 180],
        [86, 213, 168, 67, 77, 169, 241, 197],
        [7, 29, 49, 8, 213, 133, 60, 83],
    ];
    assert_eq!(discriminators, frozen.each_ref().map(|bytes| bytes.as_slice()));
    let network = Network::new();
    let epoch = network.world.pricing_epoch();
    let snapshot = seeds::find_snapshot(&network.container, 0, epoch).0;
    let data = network.world.svm.get_account(&snapshot).unwrap().data;
    assert_eq!(data.len(), 8 + SplitSnapshot::INIT_SPACE);
    assert_eq!(&data[8..11], &[1, seeds::find_snapshot(&network.container, 0, epoch).1, 0]);
    assert_eq!(&data[11..15], &epoch.to_le_bytes());
    assert_eq!(&data[15..47], &network.container);
    assert_eq!(&data[79..87], &21_690u64.to_le_bytes());
    assert_eq!(&data[95..107], [1_198u16, 1_198, 5_606, 500, 1_198, 300].map(u16::to_le_bytes).concat());
    assert_eq!(&data[107..139], network.vendor.pubkey().as_ref());
    let node = network.world.svm.get_account(&seeds::find_node(&network.worker.pubkey()).0).unwrap().data;
    assert_eq!(&node[11..43], network.operator.pubkey().as_ref());
    let party = seeds::find_party(&network.gateway.pubkey(), Role::Gateway).0;
    let party = network.world.svm.get_account(&party).unwrap().data;
    assert_eq!(party[11], Role::Gateway as u8);
    assert_eq!(&party[44..52], &(10_000 * AIC).to_le_bytes());
}
