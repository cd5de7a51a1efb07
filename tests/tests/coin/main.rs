//! The coin program on chain: genesis, the fixed supply, spending, releases, the rate, authorities and pause flags.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

use anchor_lang::{Discriminator, Space, error::ErrorCode, prelude::Pubkey};
use anchor_spl::token::spl_token;
use coin::{
    authority::{Authorities, AuthorityRole, pause},
    constants::{RATE_MAX, RATE_MIN, SUPPLY},
    error::CoinError,
    events::{AuthorityAccepted, PauseChanged, RateRolled, SupplyMinted, VaultSpent},
    seeds,
    state::{CoinConfig, Rate, VaultKind},
};
use solana_signer::Signer;
use waybill_tests::{
    AIC, World, assert_refused,
    ix::{coin_ix, read_only, swap, unsigned},
    key,
};

mod vaults;

const DAY: i64 = 86_400;

fn mint(world: &World) -> anchor_spl::token::spl_token::state::Mint {
    use anchor_lang::solana_program::program_pack::Pack;
    spl_token::state::Mint::unpack(&world.svm.get_account(&seeds::find_mint().0).unwrap().data).unwrap()
}

fn config(world: &World) -> CoinConfig {
    world.read(&seeds::find_config().0)
}

fn rate(world: &World) -> Rate {
    world.read(&seeds::find_rate().0)
}

#[test]
fn genesis_puts_the_whole_supply_into_six_vaults_and_nobody_can_mint_more() {
    let world = World::new();
    let expected = [300, 200, 150, 150, 150, 50].map(|millions| millions * 1_000_000 * AIC);
    for (kind, amount) in VaultKind::ALL.into_iter().zip(expected) {
        assert_eq!(world.balance(&seeds::find_vault(kind).0), amount, "{kind:?}");
    }
    let mint = mint(&world);
    assert_eq!((mint.supply, mint.decimals), (SUPPLY, 9));
    assert!(mint.mint_authority.is_none() && mint.freeze_authority.is_none());
    let config = config(&world);
    assert!(config.minted && config.revoked);
    assert_eq!(config.seq, 1 + 6 + 1 + 1 + 1, "one event per step of genesis");
    assert_eq!(config.rent_payer, world.payer.pubkey());
}

#[test]
fn the_supply_is_minted_once() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    assert_refused(world.send(&[coin_ix::genesis_mint(admin.pubkey())], &[&admin]), CoinError::AlreadyMinted);
    assert_refused(world.send(&[coin_ix::revoke_mint(admin.pubkey())], &[&admin]), CoinError::AlreadyRevoked);
}

#[test]
fn the_mint_event_says_what_each_vault_received() {
    let mut world = World::bare();
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    world.must(&[coin_ix::init_coin(payer, world.authorities())], &[]);
    assert_refused(world.send(&[coin_ix::revoke_mint(admin.pubkey())], &[&admin]), CoinError::NotMinted);
    for kind in VaultKind::ALL {
        world.must(&[coin_ix::open_vault(payer, admin.pubkey(), kind)], &[&admin]);
    }
    let sent = world.must(&[coin_ix::genesis_mint(admin.pubkey())], &[&admin]);
    let [event] = sent.cpi_events::<SupplyMinted>().try_into().ok().unwrap();
    assert_eq!(event.amounts.iter().sum::<u64>(), SUPPLY);
    assert_eq!((event.account, event.seq, event.actor), (seeds::find_config().0, 8, admin.pubkey()));
}

#[test]
fn s06_a_second_init_fails_and_a_prefunded_address_does_not_stop_the_first() {
    let mut world = World::bare();
    let rent = world.svm.minimum_balance_for_rent_exemption(0);
    world.svm.airdrop(&seeds::find_config().0, rent).unwrap();
    world.svm.airdrop(&seeds::find_mint().0, rent).unwrap();
    let init = coin_ix::init_coin(world.payer.pubkey(), world.authorities());
    world.must(std::slice::from_ref(&init), &[]);
    assert!(world.send(&[init], &[]).is_err());
}

#[test]
fn init_needs_a_key_in_every_role() {
    let mut world = World::bare();
    let incomplete = Authorities { resume: Pubkey::default(), ..world.authorities() };
    assert_refused(world.send(&[coin_ix::init_coin(world.payer.pubkey(), incomplete)], &[]), CoinError::DefaultKey);
}

#[test]
fn only_the_upgrade_authority_initialises_a_program_that_has_one() {
    let mut world = World::bare();
    let deployer = key("deployer");
    let address = waybill_tests::ix::program_data(&coin::ID);
    let mut account = world.svm.get_account(&address).unwrap();
    // The header of a program data account: tag u32, slot u64, then an optional key.
    account.data[12] = 1;
    account.data[13..45].copy_from_slice(deployer.pubkey().as_ref());
    world.svm.set_account(address, account).unwrap();
    let init = coin_ix::init_coin(world.payer.pubkey(), world.authorities());
    assert_refused(world.send(&[init], &[]), CoinError::NotDeployer);
}

#[test]
fn s01_every_admin_instruction_needs_the_admins_signature() {
    let mut world = World::new();
    let (payer, thief, admin) = (world.payer.pubkey(), key("thief"), world.admin.pubkey());
    let to = world.aic_account(&thief.pubkey());
    let as_thief = |signer: Pubkey| {
        [
            coin_ix::spend_vault(signer, VaultKind::Grants, to, AIC),
            coin_ix::propose_authority(signer, AuthorityRole::Admin, thief.pubkey()),
            coin_ix::pause(signer, pause::SPENDING),
            coin_ix::resume(signer, pause::SPENDING),
            coin_ix::revoke_mint(signer),
            coin_ix::genesis_mint(signer),
        ]
    };
    for instruction in as_thief(thief.pubkey()) {
        assert_refused(world.send(&[instruction], &[&thief]), CoinError::Unauthorized);
    }
    for instruction in as_thief(admin) {
        assert_refused(world.send(&[unsigned(instruction, admin)], &[]), ErrorCode::AccountNotSigner);
    }
    let mut bare = World::bare();
    bare.must(&[coin_ix::init_coin(payer, world.authorities())], &[]);
    for instruction in [
        coin_ix::open_vault(payer, thief.pubkey(), VaultKind::Usage),
        coin_ix::init_rate(payer, thief.pubkey(), 20 * AIC, 3_600, vec![thief.pubkey()]),
    ] {
        assert_refused(bare.send(&[instruction], &[&thief]), CoinError::Unauthorized);
    }
}

#[test]
fn a_vault_pays_any_aic_account_and_the_event_has_the_balance_after() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&key("grantee").pubkey());
    for (kind, millions) in [(VaultKind::Grants, 150), (VaultKind::Liquidity, 150)] {
        let before = world.balance(&to);
        let spend = coin_ix::spend_vault(admin.pubkey(), kind, to, 7 * AIC);
        let sent = world.measure("coin::spend_vault", "to an existing account", spend, &[&admin]);
        let left = millions * 1_000_000 * AIC - 7 * AIC;
        assert_eq!(world.balance(&to) - before, 7 * AIC);
        assert_eq!(world.balance(&seeds::find_vault(kind).0), left);
        let [event] = sent.cpi_events::<VaultSpent>().try_into().ok().unwrap();
        assert_eq!((event.kind, event.amount, event.balance, event.destination), (kind, 7 * AIC, left, to));
        assert_eq!(event.seq, config(&world).seq);
    }
}

#[test]
fn treasury_usage_team_and_insurance_do_not_pay_at_once() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&admin.pubkey());
    for kind in [VaultKind::Treasury, VaultKind::Usage, VaultKind::Team, VaultKind::Insurance] {
        let spend = coin_ix::spend_vault(admin.pubkey(), kind, to, 1);
        assert_refused(world.send(&[spend], &[&admin]), CoinError::NotSpendable);
    }
}

#[test]
fn s15_spending_nothing_or_more_than_there_is_has_named_errors() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&admin.pubkey());
    let all = world.balance(&seeds::find_vault(VaultKind::Grants).0);
    for (amount, error) in
        [(0, CoinError::ZeroAmount), (all + 1, CoinError::InsufficientFunds), (u64::MAX, CoinError::InsufficientFunds)]
    {
        let spend = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, amount);
        assert_refused(world.send(&[spend], &[&admin]), error);
    }
    let spend = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, all);
    assert_refused(world.send(&[spend], &[&admin]), CoinError::AboveBreaker);
}

#[test]
fn s04_s05_spending_checks_every_account_it_is_given() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&admin.pubkey());
    let good = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, AIC);
    let (foreign_mint, foreign) = world.foreign_token_account(&admin.pubkey(), AIC);
    let vault = seeds::find_vault(VaultKind::Grants).0;
    let usage = seeds::find_vault(VaultKind::Usage).0;
    let fake_config = world.forge(&seeds::find_config().0, None);
    let stolen_config = world.forge(&seeds::find_config().0, Some(spl_token::ID));
    let token_2022 = anchor_spl::token_2022::ID;
    let fake_vault = world.forge(&vault, Some(token_2022));
    let cases: [(&str, _, u32); 9] = [
        ("destination of another mint", swap(good.clone(), to, foreign), CoinError::WrongMint.into()),
        ("another mint", swap(good.clone(), seeds::find_mint().0, foreign_mint), CoinError::WrongMint.into()),
        ("another vault", swap(good.clone(), vault, usage), ErrorCode::ConstraintSeeds.into()),
        ("a vault of Token-2022", swap(good.clone(), vault, fake_vault), ErrorCode::AccountOwnedByWrongProgram.into()),
        (
            "a copied configuration",
            swap(good.clone(), seeds::find_config().0, fake_config),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "a configuration of another program",
            swap(good.clone(), seeds::find_config().0, stolen_config),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "the rate in place of the configuration",
            swap(good.clone(), seeds::find_config().0, seeds::find_rate().0),
            ErrorCode::AccountDiscriminatorMismatch.into(),
        ),
        (
            "Token-2022 as the token program",
            swap(good.clone(), spl_token::ID, token_2022),
            ErrorCode::InvalidProgramId.into(),
        ),
        ("a vault that is not writable", read_only(good.clone(), vault), ErrorCode::ConstraintMut.into()),
    ];
    for (what, instruction, code) in cases {
        let refused = world.send(&[instruction], &[&admin]).expect_err(what);
        assert_eq!(refused.code(), Some(code), "{what}: {:?}", refused.failure);
    }
    world.must(&[good], &[&admin]);
}

#[test]
fn s08_a_vault_cannot_pay_itself() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let vault = seeds::find_vault(VaultKind::Grants).0;
    let spend = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, vault, AIC);
    assert_refused(world.send(&[spend], &[&admin]), ErrorCode::ConstraintDuplicateMutableAccount);
}

#[test]
fn s13_s30_nobody_but_the_program_emits_its_events() {
    let mut world = World::new();
    let admin = world.admin.insecure_clone();
    let to = world.aic_account(&admin.pubkey());
    let spend = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, AIC);
    let wrong = swap(spend, waybill_tests::event_authority(&coin::ID), key("thief").pubkey());
    assert_refused(world.send(&[wrong], &[&admin]), ErrorCode::ConstraintAddress);
}

#[test]
fn the_rate_is_the_median_of_a_quorum_clamped_to_ten_per_cent() {
    let mut world = World::new();
    let reporters = world.reporters.each_ref().map(|reporter| reporter.insecure_clone());
    assert_eq!(rate(&world).rate, 20 * AIC);
    world.advance(DAY);
    assert_refused(world.send(&[coin_ix::roll_rate()], &[]), CoinError::NoQuorum);
    for (reporter, value) in reporters.iter().zip([25 * AIC, 21 * AIC, RATE_MAX]) {
        let submit = coin_ix::submit_rate(reporter.pubkey(), value);
        world.measure("coin::submit_rate", "3 reporters", submit, &[reporter]);
    }
    let sent = world.measure("coin::roll_rate", "3 of 3", coin_ix::roll_rate(), &[]);
    let [event] = sent.log_events::<RateRolled>().try_into().ok().unwrap();
    assert_eq!((event.old, event.new), (20 * AIC, 22 * AIC), "25e9 is above the step, 22e9 is the step");
    assert_eq!(rate(&world).rate, 22 * AIC);
    assert_refused(world.send(&[coin_ix::roll_rate()], &[]), CoinError::AlreadyRolled);
    world.advance(DAY);
    assert_refused(world.send(&[coin_ix::roll_rate()], &[]), CoinError::NoQuorum);
}

#[test]
fn s24_a_rate_is_refused_when_zero_out_of_bounds_or_from_a_stranger() {
    let mut world = World::new();
    let reporter = world.reporters[0].insecure_clone();
    for value in [0, RATE_MIN - 1, RATE_MAX + 1, u64::MAX] {
        let submit = coin_ix::submit_rate(reporter.pubkey(), value);
        assert_refused(world.send(&[submit], &[&reporter]), CoinError::RateOutOfBounds);
    }
    let thief = key("thief");
    let submit = coin_ix::submit_rate(thief.pubkey(), 20 * AIC);
    assert_refused(world.send(&[submit], &[&thief]), CoinError::NotReporter);
    let unsigned_submit = unsigned(coin_ix::submit_rate(reporter.pubkey(), 20 * AIC), reporter.pubkey());
    assert_refused(world.send(&[unsigned_submit], &[]), ErrorCode::AccountNotSigner);
    let fake_rate = world.forge(&seeds::find_rate().0, None);
    let elsewhere = swap(coin_ix::submit_rate(reporter.pubkey(), 20 * AIC), seeds::find_rate().0, fake_rate);
    assert_refused(world.send(&[elsewhere], &[&reporter]), ErrorCode::ConstraintSeeds);
}

#[test]
fn a_rate_needs_one_to_five_distinct_reporters_and_sane_bounds() {
    let mut world = World::bare();
    world.must(&[coin_ix::init_coin(world.payer.pubkey(), world.authorities())], &[]);
    let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
    let six: Vec<_> = (0..6).map(|i| key(&format!("r{i}")).pubkey()).collect();
    let cases = [
        (20 * AIC, 3_600, vec![], CoinError::BadReporters),
        (20 * AIC, 3_600, six.clone(), CoinError::BadReporters),
        (20 * AIC, 3_600, vec![six[0], six[0]], CoinError::BadReporters),
        (20 * AIC, 3_600, vec![Pubkey::default()], CoinError::BadReporters),
        (0, 3_600, vec![six[0]], CoinError::RateOutOfBounds),
        (20 * AIC, 9, vec![six[0]], CoinError::EpochOutOfBounds),
        (20 * AIC, 86_401, vec![six[0]], CoinError::EpochOutOfBounds),
    ];
    for (value, epoch_s, reporters, error) in cases {
        let init = coin_ix::init_rate(payer, admin.pubkey(), value, epoch_s, reporters);
        assert_refused(world.send(&[init], &[&admin]), error);
    }
    let five = coin_ix::init_rate(payer, admin.pubkey(), 20 * AIC, 3_600, six[..5].to_vec());
    world.measure("coin::init_rate", "5 reporters", five.clone(), &[&admin]);
    assert!(world.send(&[five], &[&admin]).is_err(), "a second init");
}

#[test]
fn s25_an_authority_changes_hands_in_two_steps() {
    let mut world = World::new();
    let (admin, new, thief) = (world.admin.insecure_clone(), key("new admin"), key("thief"));
    let silent = unsigned(coin_ix::accept_authority(new.pubkey()), new.pubkey());
    assert_refused(world.send(&[silent], &[]), ErrorCode::AccountNotSigner);
    assert_refused(world.send(&[coin_ix::accept_authority(thief.pubkey())], &[&thief]), CoinError::NothingPending);
    let none = coin_ix::propose_authority(admin.pubkey(), AuthorityRole::Admin, Pubkey::default());
    assert_refused(world.send(&[none], &[&admin]), CoinError::DefaultKey);

    let propose = coin_ix::propose_authority(admin.pubkey(), AuthorityRole::Admin, new.pubkey());
    world.measure("coin::propose_authority", "admin", propose, &[&admin]);
    assert_eq!(config(&world).authorities.admin, admin.pubkey(), "a proposal changes nothing");
    assert_refused(world.send(&[coin_ix::accept_authority(thief.pubkey())], &[&thief]), CoinError::NothingPending);
    let sent = world.measure("coin::accept_authority", "admin", coin_ix::accept_authority(new.pubkey()), &[&new]);
    let [event] = sent.log_events::<AuthorityAccepted>().try_into().ok().unwrap();
    assert_eq!((event.role, event.old, event.new), (AuthorityRole::Admin, admin.pubkey(), new.pubkey()));
    assert_refused(world.send(&[coin_ix::accept_authority(new.pubkey())], &[&new]), CoinError::NothingPending);
    let old = coin_ix::propose_authority(admin.pubkey(), AuthorityRole::Pause, admin.pubkey());
    assert_refused(world.send(&[old], &[&admin]), CoinError::Unauthorized);
    assert_eq!(config(&world).authorities.pause, admin.pubkey(), "the other roles stay");
}

#[test]
fn s17_each_pause_flag_stops_exactly_its_instructions() {
    let mut world = World::new();
    let (admin, pauser) = (world.admin.insecure_clone(), key("pauser"));
    world.must(&[coin_ix::propose_authority(admin.pubkey(), AuthorityRole::Pause, pauser.pubkey())], &[&admin]);
    world.must(&[coin_ix::accept_authority(pauser.pubkey())], &[&pauser]);
    let to = world.aic_account(&admin.pubkey());
    let reporter = world.reporters[0].insecure_clone();
    let spend = coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, to, 1);
    let submit = coin_ix::submit_rate(reporter.pubkey(), 20 * AIC);

    let sent = world.measure("coin::pause", "one flag", coin_ix::pause(pauser.pubkey(), pause::SPENDING), &[&pauser]);
    let [event] = sent.log_events::<PauseChanged>().try_into().ok().unwrap();
    assert_eq!((event.old, event.new), (0, pause::SPENDING));
    assert_refused(world.send(std::slice::from_ref(&spend), &[&admin]), CoinError::Paused);
    world.must(std::slice::from_ref(&submit), &[&reporter]);

    world.must(&[coin_ix::pause(pauser.pubkey(), pause::RATE)], &[&pauser]);
    assert_refused(world.send(std::slice::from_ref(&submit), &[&reporter]), CoinError::Paused);
    assert_refused(world.send(&[coin_ix::roll_rate()], &[]), CoinError::Paused);
    assert_refused(world.send(&[coin_ix::resume(pauser.pubkey(), pause::RATE)], &[&pauser]), CoinError::Unauthorized);
    world.measure("coin::resume", "one flag", coin_ix::resume(admin.pubkey(), pause::SPENDING), &[&admin]);
    world.must(&[spend], &[&admin]);
    assert_refused(world.send(&[submit], &[&reporter]), CoinError::Paused);
    for flags in [0, 1 << 12, u16::MAX] {
        assert_refused(world.send(&[coin_ix::pause(pauser.pubkey(), flags)], &[&pauser]), CoinError::UnknownFlag);
    }
}

/// A released layout never changes: size, discriminator and the first fixed fields at their offsets.
#[test]
fn layouts_are_frozen() {
    assert_eq!((CoinConfig::INIT_SPACE, Rate::INIT_SPACE), (375, 407));
    assert_eq!(CoinConfig::DISCRIMINATOR, [97, 103, 88, 149, 58, 133, 241, 93]);
    assert_eq!(Rate::DISCRIMINATOR, [171, 48, 95, 14, 112, 112, 23, 79]);
    let world = World::new();
    let data = world.svm.get_account(&seeds::find_config().0).unwrap().data;
    assert_eq!(data.len(), 8 + CoinConfig::INIT_SPACE);
    assert_eq!(&data[8..11], &[1, seeds::find_config().1, seeds::find_mint().1]);
    assert_eq!(&data[17..20], &[0b11_1111, 1, 1], "vaults, minted, revoked");
    assert_eq!(&data[22..54], seeds::find_mint().0.as_ref());
    assert_eq!(&data[54..86], world.admin.pubkey().as_ref());
    let data = world.svm.get_account(&seeds::find_rate().0).unwrap().data;
    assert_eq!(data.len(), 8 + Rate::INIT_SPACE);
    assert_eq!(&data[10..18], &(20 * AIC).to_le_bytes());
    assert_eq!(&data[26..58], world.reporters[0].pubkey().as_ref());
}
