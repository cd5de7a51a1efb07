//! What leaves the vaults by rule: breakers, spends that wait, releases bounded by fees, vesting, burning; and the
//! change of reporters.

use anchor_lang::{AccountSerialize, Discriminator, Space, error::ErrorCode, prelude::Pubkey};
use anchor_spl::token::spl_token;
use coin::{
    authority::pause,
    constants::{SPEND_DELAY_S, SPEND_LIFE_S, SUPPLY},
    error::CoinError,
    events::{DayReleased, FeesBurned, ReportersChanged, SpendCancelled, SpendProposed, TeamReleased, VaultSpent},
    seeds,
    state::{Breaker, CoinConfig, FeeRecord, PendingSpend, Rate, Release, VaultKind},
};
use settlement::state::FeeDay;
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_tests::{
    AIC, START, World, assert_refused,
    ix::{coin_ix, swap, unsigned},
    ix_coin, key,
};

const DAY: i64 = 86_400;
/// The unix day of the genesis.
const FIRST: u32 = (START / DAY) as u32;
/// What the schedule allows for each day of the first year.
const SCHEDULE: u64 = 150_000_000 * AIC / 365;

fn vault(world: &World, kind: VaultKind) -> u64 {
    world.balance(&seeds::find_vault(kind).0)
}

fn spend_of(world: &mut World, kind: VaultKind, amount: u64) -> (Keypair, Pubkey) {
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&key("grantee").pubkey());
    let payer = world.payer.pubkey();
    let propose = ix_coin::propose_spend(payer, admin.pubkey(), kind, 7, to, amount);
    world.measure("coin::propose_spend", "first", propose, &[&admin]);
    (admin, to)
}

/// Writes the settlement program's record of a day, as its sweeps do.
fn fee_day(world: &mut World, day: u32, fee_aic: u64) -> Pubkey {
    let (address, bump) = settlement::seeds::find_fee_day(day);
    let record = FeeDay {
        version: 1,
        bump,
        day,
        batches: 3,
        fee_aic,
        burned_aic: 1,
        rent_payer: world.payer.pubkey(),
        _reserved: [0; 32],
    };
    let mut data = Vec::new();
    record.try_serialize(&mut data).unwrap();
    world.put(address, settlement::ID, data);
    address
}

fn release(world: &World, day: u32) -> anchor_lang::solana_program::instruction::Instruction {
    ix_coin::release(world.payer.pubkey(), settlement::ID, day)
}

/// The moment from which a day's fees are final.
fn final_from(day: u32) -> i64 {
    (i64::from(day) + 1) * DAY + 48 * 3_600
}

// --- breakers --------------------------------------------------------------------------------------------------------

#[test]
fn s18_a_vault_pays_an_hours_share_at_once_and_no_unit_more() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&admin.pubkey());
    // 1 % of 150 million AIC.
    let floor = 1_500_000 * AIC;
    let spend = |amount| coin_ix::spend_vault(admin.pubkey(), VaultKind::Liquidity, to, amount);
    assert_refused(world.send(&[spend(floor + 1)], &[&admin]), CoinError::AboveBreaker);
    world.must(&[spend(floor - 1)], &[&admin]);
    assert_refused(world.send(&[spend(2)], &[&admin]), CoinError::AboveBreaker);
    let state: Breaker = world.read(&ix_coin::breaker(VaultKind::Liquidity));
    assert_eq!((state.hour_aic, state.day_aic, state.at), (floor - 1, floor - 1, START));

    // The other vault has its own breaker.
    world.must(&[coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, floor)], &[&admin]);

    // Half an hour later half of it is free again: the floor is 1 % of what is left.
    world.advance(1_800);
    let left = vault(&world, VaultKind::Liquidity) / 100;
    let free = left - (floor - 1) / 2;
    assert_refused(world.send(&[spend(free + 1)], &[&admin]), CoinError::AboveBreaker);
    world.must(&[spend(free)], &[&admin]);
    world.advance(DAY);
    let left = vault(&world, VaultKind::Liquidity) / 100;
    assert_refused(world.send(&[spend(left + 1)], &[&admin]), CoinError::AboveBreaker);
    world.must(&[spend(left)], &[&admin]);
}

#[test]
fn s04_a_payment_is_counted_by_its_own_vaults_breaker() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&admin.pubkey());
    let spend = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, AIC);
    let (own, other) = (ix_coin::breaker(VaultKind::Grants), ix_coin::breaker(VaultKind::Liquidity));
    assert_refused(world.send(&[swap(spend.clone(), own, other)], &[&admin]), ErrorCode::ConstraintSeeds);
    let forged = world.forge(&own, None);
    assert_refused(world.send(&[swap(spend.clone(), own, forged)], &[&admin]), ErrorCode::ConstraintSeeds);
    let stolen = world.forge(&own, Some(spl_token::ID));
    assert_refused(world.send(&[swap(spend, own, stolen)], &[&admin]), ErrorCode::AccountOwnedByWrongProgram);
}

// --- spends that wait ------------------------------------------------------------------------------------------------

#[test]
fn a_treasury_spend_waits_a_day_and_expires_after_two_weeks() {
    let mut world = World::new();
    let rent = world.svm.get_account(&world.payer.pubkey()).unwrap().lamports;
    // A tenth of the treasury: far above any breaker.
    let amount = 20_000_000 * AIC;
    let (admin, to) = spend_of(&mut world, VaultKind::Treasury, amount);
    let execute = ix_coin::execute_spend(admin.pubkey(), VaultKind::Treasury, 7, to, world.payer.pubkey());
    assert_refused(world.send(std::slice::from_ref(&execute), &[&admin]), CoinError::SpendNotDue);
    world.advance(SPEND_DELAY_S - 1);
    assert_refused(world.send(std::slice::from_ref(&execute), &[&admin]), CoinError::SpendNotDue);
    world.advance(1);
    let sent = world.measure("coin::execute_spend", "treasury", execute.clone(), &[&admin]);
    let [event] = sent.cpi_events::<VaultSpent>().try_into().ok().unwrap();
    assert_eq!((event.kind, event.amount, event.destination), (VaultKind::Treasury, amount, to));
    assert_eq!(event.balance, 180_000_000 * AIC);
    assert_eq!((world.balance(&to), vault(&world, VaultKind::Treasury)), (amount, 180_000_000 * AIC));
    let state: Breaker = world.read(&ix_coin::breaker(VaultKind::Treasury));
    assert_eq!(state.hour_aic, amount, "the breaker counts what waited");
    // Once: the proposal is gone and its rent is back.
    assert!(!world.exists(&seeds::find_spend(VaultKind::Treasury, 7).0));
    assert!(world.send(&[execute], &[&admin]).is_err());
    let now = world.svm.get_account(&world.payer.pubkey()).unwrap().lamports;
    assert!(rent - now < 3_000_000, "only fees and the grantee's account were paid: {}", rent - now);

    let (admin, to) = spend_of(&mut world, VaultKind::Treasury, 1);
    world.advance(SPEND_DELAY_S + SPEND_LIFE_S);
    let execute = ix_coin::execute_spend(admin.pubkey(), VaultKind::Treasury, 7, to, world.payer.pubkey());
    assert_refused(world.send(&[execute], &[&admin]), CoinError::SpendExpired);
}

#[test]
fn insurance_pays_the_same_way_but_usage_and_team_do_not() {
    let mut world = World::new();
    let (admin, to) = spend_of(&mut world, VaultKind::Insurance, 5 * AIC);
    world.advance(SPEND_DELAY_S);
    let payer = world.payer.pubkey();
    world.must(&[ix_coin::execute_spend(admin.pubkey(), VaultKind::Insurance, 7, to, payer)], &[&admin]);
    assert_eq!(world.balance(&to), 5 * AIC);
    for kind in [VaultKind::Usage, VaultKind::Team] {
        let propose = ix_coin::propose_spend(payer, admin.pubkey(), kind, 1, to, AIC);
        assert_refused(world.send(&[propose], &[&admin]), CoinError::NotSpendable);
    }
    let nothing = ix_coin::propose_spend(payer, admin.pubkey(), VaultKind::Treasury, 1, to, 0);
    assert_refused(world.send(&[nothing], &[&admin]), CoinError::ZeroAmount);
}

#[test]
fn a_proposal_says_who_when_and_how_much() {
    let mut world = World::new();
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let to = world.aic_account(&key("grantee").pubkey());
    let propose = ix_coin::propose_spend(payer, admin.pubkey(), VaultKind::Treasury, 1, to, 9);
    let sent = world.must(std::slice::from_ref(&propose), &[&admin]);
    let [event] = sent.log_events::<SpendProposed>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.destination, event.not_before), (9, to, START + SPEND_DELAY_S));
    let state: PendingSpend = world.read(&seeds::find_spend(VaultKind::Treasury, 1).0);
    assert_eq!((state.id, state.amount, state.rent_payer), (1, 9, payer));
    assert!(world.send(&[propose], &[&admin]).is_err(), "the number is taken");
}

#[test]
fn s01_s04_a_spend_needs_the_admin_of_now_and_the_accounts_of_its_proposal() {
    let mut world = World::new();
    let (admin, to) = spend_of(&mut world, VaultKind::Treasury, 9 * AIC);
    let (thief, payer) = (key("thief"), world.payer.pubkey());
    let theirs = world.aic_account(&thief.pubkey());
    let (_, foreign) = world.foreign_token_account(&thief.pubkey(), AIC);
    let steal = ix_coin::propose_spend(payer, thief.pubkey(), VaultKind::Treasury, 2, theirs, AIC);
    assert_refused(world.send(&[steal], &[&thief]), CoinError::Unauthorized);
    let wrong = ix_coin::propose_spend(payer, admin.pubkey(), VaultKind::Treasury, 2, foreign, AIC);
    assert_refused(world.send(&[wrong], &[&admin]), CoinError::WrongMint);
    world.advance(SPEND_DELAY_S);
    let good = ix_coin::execute_spend(admin.pubkey(), VaultKind::Treasury, 7, to, payer);
    let by_thief = ix_coin::execute_spend(thief.pubkey(), VaultKind::Treasury, 7, to, payer);
    assert_refused(world.send(&[by_thief], &[&thief]), CoinError::Unauthorized);
    assert_refused(world.send(&[unsigned(good.clone(), admin.pubkey())], &[]), ErrorCode::AccountNotSigner);
    assert_refused(world.send(&[swap(good.clone(), to, theirs)], &[&admin]), CoinError::WrongAddress);
    let rent = ix_coin::execute_spend(admin.pubkey(), VaultKind::Treasury, 7, to, thief.pubkey());
    assert_refused(world.send(&[rent], &[&admin]), CoinError::WrongAddress);
    for (right, other) in [
        (seeds::find_vault(VaultKind::Treasury).0, seeds::find_vault(VaultKind::Usage).0),
        (ix_coin::breaker(VaultKind::Treasury), ix_coin::breaker(VaultKind::Usage)),
    ] {
        assert_refused(world.send(&[swap(good.clone(), right, other)], &[&admin]), ErrorCode::ConstraintSeeds);
    }
    let spend = seeds::find_spend(VaultKind::Treasury, 7).0;
    let forged = world.forge(&spend, None);
    assert_refused(world.send(&[swap(good.clone(), spend, forged)], &[&admin]), ErrorCode::ConstraintSeeds);
    world.must(&[coin_ix::pause(admin.pubkey(), pause::SPENDING)], &[&admin]);
    assert_refused(world.send(std::slice::from_ref(&good), &[&admin]), CoinError::Paused);
    world.must(&[coin_ix::resume(admin.pubkey(), pause::SPENDING)], &[&admin]);
    world.must(&[good], &[&admin]);
}

#[test]
fn admin_and_pause_authority_cancel_a_spend_and_nobody_else() {
    let mut world = World::new();
    let (admin, to) = spend_of(&mut world, VaultKind::Treasury, 9 * AIC);
    let (pauser, thief, payer) = (key("pauser"), key("thief"), world.payer.pubkey());
    let role = coin::authority::AuthorityRole::Pause;
    world.must(&[coin_ix::propose_authority(admin.pubkey(), role, pauser.pubkey())], &[&admin]);
    world.must(&[coin_ix::accept_authority(pauser.pubkey())], &[&pauser]);
    let cancel = |authority| ix_coin::cancel_spend(authority, VaultKind::Treasury, 7, payer);
    assert_refused(world.send(&[cancel(thief.pubkey())], &[&thief]), CoinError::Unauthorized);
    let elsewhere = ix_coin::cancel_spend(pauser.pubkey(), VaultKind::Treasury, 7, thief.pubkey());
    assert_refused(world.send(&[elsewhere], &[&pauser]), CoinError::WrongAddress);
    let sent = world.measure("coin::cancel_spend", "by pause authority", cancel(pauser.pubkey()), &[&pauser]);
    let [event] = sent.log_events::<SpendCancelled>().try_into().ok().unwrap();
    assert_eq!((event.actor, event.amount), (pauser.pubkey(), 9 * AIC));
    world.advance(SPEND_DELAY_S);
    let execute = ix_coin::execute_spend(admin.pubkey(), VaultKind::Treasury, 7, to, payer);
    assert!(world.send(&[execute], &[&admin]).is_err());
    spend_of(&mut world, VaultKind::Treasury, 9 * AIC);
    world.must(&[cancel(admin.pubkey())], &[&admin]);
}

// --- releases --------------------------------------------------------------------------------------------------------

#[test]
fn a_day_releases_six_tenths_of_its_fees_once_and_48_hours_later() {
    let mut world = World::new();
    fee_day(&mut world, FIRST, 900 * AIC);
    world.set_time(final_from(FIRST) - 1);
    assert_refused(world.send(&[release(&world, FIRST)], &[]), CoinError::DayNotOver);
    world.advance(1);
    let (usage, grants) = (vault(&world, VaultKind::Usage), vault(&world, VaultKind::Grants));
    let sent = world.measure("coin::release", "first call of a day", release(&world, FIRST), &[]);
    let [event] = sent.cpi_events::<DayReleased>().try_into().ok().unwrap();
    assert_eq!((event.day, event.fee_aic, event.schedule_aic), (FIRST, 900 * AIC, SCHEDULE));
    assert_eq!((event.amount, event.due_at, event.balance), (540 * AIC, 0, usage - 540 * AIC));
    assert_eq!(vault(&world, VaultKind::Usage), usage - 540 * AIC);
    assert_eq!(vault(&world, VaultKind::Grants), grants + 540 * AIC);
    let record: Release = world.read(&seeds::find_release(FIRST).0);
    assert!(record.paid && record.amount_aic == 540 * AIC);
    assert_refused(world.send(&[release(&world, FIRST)], &[]), CoinError::AlreadyReleased);
}

#[test]
fn the_schedule_bounds_what_many_fees_release_and_the_breaker_delays_it() {
    let mut world = World::new();
    // 0.6 of ten million is far above a day's schedule of 410,958 AIC, which is within the hour's 3 million.
    fee_day(&mut world, FIRST, 10_000_000 * AIC);
    world.set_time(final_from(FIRST));
    world.must(&[release(&world, FIRST)], &[]);
    let record: Release = world.read(&seeds::find_release(FIRST).0);
    assert_eq!(record.amount_aic, SCHEDULE);

    // Seven more days released within one hour pass it, the eighth would not: its first call only starts the delay.
    for day in FIRST + 1..=FIRST + 7 {
        fee_day(&mut world, day, 10_000_000 * AIC);
    }
    world.set_time(final_from(FIRST + 7));
    for day in FIRST + 1..FIRST + 7 {
        world.must(&[release(&world, day)], &[]);
    }
    let usage = vault(&world, VaultKind::Usage);
    // 7 × 410,958 AIC is below 1 % of the vault, 8 × is above; the first day's has decayed by then.
    world.must(&[release(&world, FIRST + 7)], &[]);
    assert_eq!(vault(&world, VaultKind::Usage), usage - SCHEDULE);
    fee_day(&mut world, FIRST + 8, 10_000_000 * AIC);
    fee_day(&mut world, FIRST + 9, 10_000_000 * AIC);
    world.set_time(final_from(FIRST + 9) - 1);
    world.must(&[release(&world, FIRST + 8)], &[]);
    // Make the hour nearly full, then release another day.
    let breaker = ix_coin::breaker(VaultKind::Usage);
    let mut state: Breaker = world.read(&breaker);
    (state.hour_aic, state.day_aic) = (3_000_000 * AIC, 3_000_000 * AIC);
    let mut data = Vec::new();
    state.try_serialize(&mut data).unwrap();
    world.put(breaker, coin::ID, data);
    world.advance(1);
    let usage = vault(&world, VaultKind::Usage);
    let sent = world.must(&[release(&world, FIRST + 9)], &[]);
    let [event] = sent.cpi_events::<DayReleased>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.due_at), (SCHEDULE, world.now() + 6 * 3_600));
    assert_eq!(vault(&world, VaultKind::Usage), usage, "nothing has left");
    world.advance(6 * 3_600 - 1);
    assert_refused(world.send(&[release(&world, FIRST + 9)], &[]), CoinError::OutflowDelayed);
    world.advance(1);
    world.measure("coin::release", "after the delay", release(&world, FIRST + 9), &[]);
    assert_eq!(vault(&world, VaultKind::Usage), usage - SCHEDULE);
    assert_refused(world.send(&[release(&world, FIRST + 9)], &[]), CoinError::AlreadyReleased);
}

#[test]
fn a_day_before_the_start_or_without_fees_releases_nothing() {
    let mut world = World::new();
    fee_day(&mut world, FIRST - 1, 900 * AIC);
    fee_day(&mut world, FIRST, 1);
    world.set_time(final_from(FIRST));
    for day in [FIRST - 1, FIRST] {
        assert_refused(world.send(&[release(&world, day)], &[]), CoinError::NothingToRelease);
    }
}

#[test]
fn s02_s03_only_the_settlement_programs_record_of_that_day_counts() {
    let mut world = World::new();
    let real = fee_day(&mut world, FIRST, 900 * AIC);
    let yesterday = fee_day(&mut world, FIRST + 1, 900_000 * AIC);
    world.set_time(final_from(FIRST + 1));
    let good = release(&world, FIRST);
    let forged_owner = world.forge(&real, Some(coin::ID));
    let forged_place = world.forge(&real, None);
    let config = seeds::find_config().0;
    for (what, other) in [
        ("another day's record", yesterday),
        ("a copy that another program owns", forged_owner),
        ("a copy at another address", forged_place),
        ("another account", config),
        ("nothing", key("nothing").pubkey()),
    ] {
        let refused = world.send(&[swap(good.clone(), real, other)], &[]).expect_err(what);
        // The configuration appears twice then, and its second place is not the first's.
        assert_eq!(refused.code(), Some(CoinError::WrongFeeDay.into()), "{what}: {:?}", refused.failure);
    }
    let (usage, grants) = (seeds::find_vault(VaultKind::Usage).0, seeds::find_vault(VaultKind::Grants).0);
    for (right, other) in [
        (usage, seeds::find_vault(VaultKind::Team).0),
        (grants, seeds::find_vault(VaultKind::Team).0),
        (ix_coin::breaker(VaultKind::Usage), ix_coin::breaker(VaultKind::Team)),
        (seeds::find_release(FIRST).0, seeds::find_release(FIRST + 1).0),
    ] {
        assert_refused(world.send(&[swap(good.clone(), right, other)], &[]), ErrorCode::ConstraintSeeds);
    }
    let admin = world.admin.insecure_clone();
    world.must(&[coin_ix::pause(admin.pubkey(), pause::SPENDING)], &[&admin]);
    assert_refused(world.send(std::slice::from_ref(&good), &[]), CoinError::Paused);
    world.must(&[coin_ix::resume(admin.pubkey(), pause::SPENDING)], &[&admin]);
    world.must(&[good], &[]);
}

/// `coin` knows that account by its bytes only: they are what `settlement` writes.
#[test]
fn the_record_of_fees_is_read_where_settlement_writes_it() {
    assert_eq!(FeeRecord::DISCRIMINATOR, FeeDay::DISCRIMINATOR);
    assert_eq!(seeds::FEE_DAY, settlement::seeds::FEE_DAY);
}

#[test]
fn releases_begin_once_and_by_the_admin() {
    let mut world = World::new();
    let (admin, thief) = (world.admin.insecure_clone(), key("thief"));
    let again = ix_coin::init_release(admin.pubkey(), settlement::ID, admin.pubkey());
    assert_refused(world.send(&[again], &[&admin]), CoinError::AlreadyConfigured);

    let mut bare = World::bare();
    bare.must(&[coin_ix::init_coin(bare.payer.pubkey(), bare.authorities())], &[]);
    let steal = ix_coin::init_release(thief.pubkey(), settlement::ID, thief.pubkey());
    assert_refused(bare.send(&[steal], &[&thief]), CoinError::Unauthorized);
    for (program, team) in [(Pubkey::default(), admin.pubkey()), (settlement::ID, Pubkey::default())] {
        let init = ix_coin::init_release(admin.pubkey(), program, team);
        assert_refused(bare.send(&[init], &[&admin]), CoinError::DefaultKey);
    }
    bare.must(&[ix_coin::init_release(admin.pubkey(), settlement::ID, key("team").pubkey())], &[&admin]);
    let config: CoinConfig = bare.read(&seeds::find_config().0);
    assert_eq!((config.settlement, config.team, config.release_start), (settlement::ID, key("team").pubkey(), START));
}

#[test]
fn nothing_is_released_before_releases_are_configured() {
    let mut world = World::bare();
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    world.must(&[coin_ix::init_coin(payer, world.authorities())], &[]);
    for kind in VaultKind::ALL {
        world.must(&[coin_ix::open_vault(payer, admin.pubkey(), kind)], &[&admin]);
    }
    world.must(&[coin_ix::genesis_mint(admin.pubkey())], &[&admin]);
    fee_day(&mut world, FIRST, 900 * AIC);
    world.set_time(final_from(FIRST));
    assert_refused(world.send(&[release(&world, FIRST)], &[]), CoinError::NotConfigured);
}

// --- vesting ---------------------------------------------------------------------------------------------------------

#[test]
fn the_team_is_vested_after_a_year_and_paid_through_the_breaker() {
    let mut world = World::new();
    let to = world.aic_account(&key("team").pubkey());
    let total = 150_000_000 * AIC;
    world.set_time(START + 365 * DAY - 1);
    assert_refused(world.send(&[ix_coin::release_team(to)], &[]), CoinError::NothingToRelease);
    world.advance(1);
    // A quarter at once is above an hour's 1 %: the first call starts the delay.
    let sent = world.measure("coin::release_team", "starts the delay", ix_coin::release_team(to), &[]);
    let [event] = sent.cpi_events::<TeamReleased>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.paid, event.due_at), (0, 0, world.now() + 6 * 3_600));
    assert_eq!(world.balance(&to), 0);
    world.advance(6 * 3_600 - 1);
    assert_refused(world.send(&[ix_coin::release_team(to)], &[]), CoinError::OutflowDelayed);
    world.advance(1);
    world.measure("coin::release_team", "after the delay", ix_coin::release_team(to), &[]);
    let at = u64::try_from(world.now() - START).unwrap();
    let vested = u64::try_from(u128::from(total) * u128::from(at) / (4 * 365 * 86_400)).unwrap();
    assert_eq!(world.balance(&to), vested);
    assert_refused(world.send(&[ix_coin::release_team(to)], &[]), CoinError::NothingToRelease);

    // A day later a day's worth is within the breaker.
    world.advance(DAY);
    world.must(&[ix_coin::release_team(to)], &[]);
    let config: CoinConfig = world.read(&seeds::find_config().0);
    assert_eq!((config.team_paid_aic, config.team_due_at), (world.balance(&to), 0));

    // At the end exactly everything has been paid, and never more.
    world.set_time(START + 5 * 365 * DAY);
    world.must(&[ix_coin::release_team(to)], &[]);
    world.advance(6 * 3_600);
    world.must(&[ix_coin::release_team(to)], &[]);
    assert_eq!((world.balance(&to), vault(&world, VaultKind::Team)), (total, 0));
    assert_refused(world.send(&[ix_coin::release_team(to)], &[]), CoinError::NothingToRelease);
}

#[test]
fn s05_only_the_teams_wallet_is_vested() {
    let mut world = World::new();
    let to = world.aic_account(&key("team").pubkey());
    let theirs = world.aic_account(&key("thief").pubkey());
    let (_, foreign) = world.foreign_token_account(&key("team").pubkey(), AIC);
    world.set_time(START + 366 * DAY);
    let good = ix_coin::release_team(to);
    assert_refused(world.send(&[swap(good.clone(), to, theirs)], &[]), CoinError::WrongBeneficiary);
    assert_refused(world.send(&[swap(good.clone(), to, foreign)], &[]), CoinError::WrongMint);
    for (right, other) in [
        (seeds::find_vault(VaultKind::Team).0, seeds::find_vault(VaultKind::Usage).0),
        (ix_coin::breaker(VaultKind::Team), ix_coin::breaker(VaultKind::Usage)),
    ] {
        assert_refused(world.send(&[swap(good.clone(), right, other)], &[]), ErrorCode::ConstraintSeeds);
    }
    let admin = world.admin.insecure_clone();
    world.must(&[coin_ix::pause(admin.pubkey(), pause::SPENDING)], &[&admin]);
    assert_refused(world.send(&[good], &[]), CoinError::Paused);
}

// --- burning ---------------------------------------------------------------------------------------------------------

#[test]
fn what_reaches_the_burn_account_is_burned_by_anyone() {
    let mut world = World::new();
    let burn = seeds::find_burn().0;
    let payer = world.payer.pubkey();
    world.measure("coin::burn_fees", "creates the account", ix_coin::burn_fees(payer), &[]);
    let admin = world.admin.insecure_clone();
    world.must(&[coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, burn, 3 * AIC)], &[&admin]);
    let sent = world.measure("coin::burn_fees", "burns", ix_coin::burn_fees(payer), &[]);
    let [event] = sent.cpi_events::<FeesBurned>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.supply), (3 * AIC, SUPPLY - 3 * AIC));
    assert_eq!(world.balance(&burn), 0);
    let vault = seeds::find_vault(VaultKind::Grants).0;
    let wrong = swap(ix_coin::burn_fees(payer), burn, vault);
    assert!(world.send(&[wrong], &[]).is_err(), "a vault is not the burn account");
}

// --- reporters -------------------------------------------------------------------------------------------------------

#[test]
fn new_reporters_void_what_the_former_ones_submitted() {
    let mut world = World::new();
    let (admin, thief) = (world.admin.insecure_clone(), key("thief"));
    world.advance(DAY);
    let old = world.reporters.each_ref().map(Keypair::insecure_clone);
    for reporter in &old {
        world.must(&[coin_ix::submit_rate(reporter.pubkey(), 21 * AIC)], &[reporter]);
    }
    let new = [old[0].pubkey(), key("new reporter").pubkey()];
    let steal = ix_coin::set_reporters(thief.pubkey(), vec![thief.pubkey()]);
    assert_refused(world.send(&[steal], &[&thief]), CoinError::Unauthorized);
    for bad in [vec![], vec![new[0], new[0]], vec![Pubkey::default()]] {
        let set = ix_coin::set_reporters(admin.pubkey(), bad);
        assert_refused(world.send(&[set], &[&admin]), CoinError::BadReporters);
    }
    let set = ix_coin::set_reporters(admin.pubkey(), new.to_vec());
    let sent = world.measure("coin::set_reporters", "2 for 3", set, &[&admin]);
    let [event] = sent.log_events::<ReportersChanged>().try_into().ok().unwrap();
    assert_eq!((event.old.len(), event.new), (3, new.to_vec()));
    assert_refused(world.send(&[coin_ix::roll_rate()], &[]), CoinError::NoQuorum);
    let gone = coin_ix::submit_rate(old[1].pubkey(), 21 * AIC);
    assert_refused(world.send(&[gone], &[&old[1]]), CoinError::NotReporter);
    world.must(&[coin_ix::submit_rate(old[0].pubkey(), 21 * AIC)], &[&old[0]]);
    world.must(&[coin_ix::roll_rate()], &[]);
    let rate: Rate = world.read(&seeds::find_rate().0);
    assert_eq!(rate.rate, 21 * AIC);
}

#[test]
fn layouts_of_vault_accounts_are_frozen() {
    assert_eq!((Breaker::INIT_SPACE, Release::INIT_SPACE, PendingSpend::INIT_SPACE), (154, 88, 159));
}
