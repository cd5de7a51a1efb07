//! Derived models: who may derive from whom on what terms, what a derived model costs, and that every vendor of its
//! lineage is paid its share of every line.

use anchor_lang::{Discriminator, Space, error::ErrorCode, prelude::Pubkey};
use coin::authority::pause;
use market::{
    error::MarketError,
    events::{LicenceChanged, LicenceLinked, RoyaltiesFrozen},
    seeds,
    state::{Artifact, Licence, Role, Royalties, SplitSnapshot},
};
use settlement::{error::SettleError, events::RoyaltiesShared};
use solana_signer::Signer;
use waybill_mechanism::amount::pricing_epoch;
use waybill_tests::{
    Family, assert_refused,
    ix::{market_ix, read_only, swap},
    ix_lineage as ix, key,
};

use crate::desk::*;

const DAY: i64 = 86_400;
/// The worked line of the design, in nc.
const LINE_NC: u64 = 651_750;

fn artifact(family: &Family, hash: &[u8; 32]) -> Artifact {
    family.net.world.read(&seeds::find_artifact(hash).0)
}

fn terms(open: bool, ceiling_nc: u64) -> Licence {
    Licence { open, ceiling_nc }
}

// licences and links

#[test]
fn a_licence_is_its_vendors_and_binds_only_new_links() {
    let mut family = Family::linked();
    let (root, first) = (family.root.insecure_clone(), family.ancestors[0]);
    let world = &mut family.net.world;
    let change = ix::set_ceiling(root.pubkey(), &first, false, 99);
    let sent = world.measure("market::set_ceiling", "change", change, &[&root]);
    let [event] = sent.log_events::<LicenceChanged>().try_into().ok().unwrap();
    assert_eq!((event.hash, event.old, event.new), (first, terms(true, 1_500), terms(false, 99)));
    let leaf = artifact(&family, &family.net.artifact);
    let lineage: Vec<_> = leaf.ancestors().iter().map(|entry| (entry.artifact, entry.ceiling_nc)).collect();
    assert_eq!(lineage, [(family.ancestors[0], 1_500), (family.ancestors[1], 800)]);
    assert_eq!((event.seq, artifact(&family, &first).seq), (3, 3));
}

#[test]
fn s01_s04_a_licence_checks_every_account_it_is_given() {
    let mut family = Family::strangers();
    let (root, child) = (family.root.insecure_clone(), family.child.insecure_clone());
    let [first, second] = family.ancestors;
    let world = &mut family.net.world;
    let good = ix::set_ceiling(root.pubkey(), &first, true, 1);
    let by_another = swap(good.clone(), root.pubkey(), child.pubkey());
    assert_refused(world.send(&[by_another], &[&child]), MarketError::Unauthorized);
    let ask = |hash: &[u8; 32], role| seeds::find_ask(hash, role).0;
    let mine = ask(&first, Role::Vendor);
    for wrong in [ask(&second, Role::Vendor), ask(&family.net.artifact, Role::Oem)] {
        assert_refused(world.send(&[swap(good.clone(), mine, wrong)], &[&root]), MarketError::WrongAccount);
    }
    let account = seeds::find_artifact(&first).0;
    let forged = world.forge(&account, Some(Pubkey::new_unique()));
    let foreign = swap(good.clone(), account, forged);
    assert_refused(world.send(&[foreign], &[&root]), ErrorCode::AccountOwnedByWrongProgram);
    let other_type = swap(good.clone(), account, mine);
    assert_refused(world.send(&[other_type], &[&root]), ErrorCode::AccountDiscriminatorMismatch);
    let fake_config = world.forge(&seeds::find_config().0, None);
    let unconfigured = swap(good.clone(), seeds::find_config().0, fake_config);
    assert_refused(world.send(&[unconfigured], &[&root]), ErrorCode::ConstraintSeeds);
    assert_refused(world.send(&[read_only(good.clone(), account)], &[&root]), ErrorCode::ConstraintMut);
    let unsigned = waybill_tests::ix::unsigned(good.clone(), root.pubkey());
    assert_refused(world.send(&[unsigned], &[]), ErrorCode::AccountNotSigner);
    world.must(&[good], &[&root]);
}

#[test]
fn a_licence_opens_only_once_its_vendor_asks_a_price() {
    let mut family = Family::strangers();
    let vendor = family.net.vendor.insecure_clone();
    let world = &mut family.net.world;
    let file = market::instructions::RegisterArtifactArgs {
        hash: [0xB9; 32],
        size: 1,
        name: "no ask".into(),
        licence: String::new(),
    };
    world.must(&[market_ix::register_artifact(world.payer.pubkey(), vendor.pubkey(), None, file)], &[&vendor]);
    let open = ix::set_ceiling(vendor.pubkey(), &[0xB9; 32], true, 1);
    assert_refused(world.send(&[open], &[&vendor]), ErrorCode::AccountNotInitialized);
}

#[test]
fn a_link_is_made_once_by_the_derivatives_vendor_on_terms_it_accepts() {
    let mut family = Family::strangers();
    let (root, child, vendor) =
        (family.root.insecure_clone(), family.child.insecure_clone(), family.net.vendor.insecure_clone());
    let [first, second] = family.ancestors;
    let leaf = family.net.artifact;
    let world = &mut family.net.world;
    let link = |max_nc| ix::link_license(child.pubkey(), &second, &first, max_nc);
    assert_refused(world.send(&[link(u64::MAX)], &[&child]), MarketError::NotLicensed);
    world.must(&[ix::set_ceiling(root.pubkey(), &first, true, 1_500)], &[&root]);
    assert_refused(world.send(&[link(1_499)], &[&child]), MarketError::CeilingAboveGuard);
    let by_another = swap(link(1_500), child.pubkey(), vendor.pubkey());
    assert_refused(world.send(&[by_another], &[&vendor]), MarketError::Unauthorized);
    let itself = ix::link_license(root.pubkey(), &first, &first, u64::MAX);
    assert!(world.send(&[itself], &[&root]).is_err(), "an artifact does not derive from itself");
    let sent = world.must(&[link(1_500)], &[&child]);
    let [event] = sent.log_events::<LicenceLinked>().try_into().ok().unwrap();
    assert_eq!((event.hash, event.parent, event.ceiling_nc, event.ancestors), (second, first, 1_500, 1));
    assert_refused(world.send(&[link(1_500)], &[&child]), MarketError::AlreadyLinked);
    // What has derivatives keeps its lineage: their tables would miss the new ancestor.
    world.must(&[ix::set_ceiling(vendor.pubkey(), &leaf, true, 1)], &[&vendor]);
    let above = ix::link_license(root.pubkey(), &first, &leaf, 1);
    assert_refused(world.send(&[above], &[&root]), MarketError::HasDerivatives);
    assert!(artifact(&family, &first).has_derivatives && !artifact(&family, &second).has_derivatives);
}

#[test]
fn s01_s04_a_link_checks_every_account_it_is_given() {
    let mut family = Family::strangers();
    let (root, child) = (family.root.insecure_clone(), family.child.insecure_clone());
    let [first, second] = family.ancestors;
    let world = &mut family.net.world;
    world.must(&[ix::set_ceiling(root.pubkey(), &first, true, 1)], &[&root]);
    let good = ix::link_license(child.pubkey(), &second, &first, 1);
    let (parent, mine) = (seeds::find_artifact(&first).0, seeds::find_artifact(&second).0);
    for account in [parent, mine] {
        let forged = world.forge(&account, Some(Pubkey::new_unique()));
        let foreign = swap(good.clone(), account, forged);
        assert_refused(world.send(&[foreign], &[&child]), ErrorCode::AccountOwnedByWrongProgram);
        let other_type = swap(good.clone(), account, seeds::find_ask(&first, Role::Vendor).0);
        assert_refused(world.send(&[other_type], &[&child]), ErrorCode::AccountDiscriminatorMismatch);
        assert_refused(world.send(&[read_only(good.clone(), account)], &[&child]), ErrorCode::ConstraintMut);
    }
    let fake_config = world.forge(&seeds::find_config().0, None);
    let unconfigured = swap(good.clone(), seeds::find_config().0, fake_config);
    assert_refused(world.send(&[unconfigured], &[&child]), ErrorCode::ConstraintSeeds);
    let unsigned = waybill_tests::ix::unsigned(good.clone(), child.pubkey());
    assert_refused(world.send(&[unsigned], &[]), ErrorCode::AccountNotSigner);
    world.must(&[good], &[&child]);
}

// royalty tables and prices

#[test]
fn a_derived_model_is_priced_with_the_asks_of_its_lineage() {
    let family = Family::rolled();
    let epoch = family.net.world.pricing_epoch();
    let (address, royalties) = family.royalties(epoch);
    let rows: Vec<_> = royalties.rows().iter().map(|row| (row.owner, row.ask_nc)).collect();
    let owners = [&family.root, &family.child, &family.net.vendor].map(Signer::pubkey);
    // The root asks 9,000 and is held to its link's 1,500; the child asks 700 of at most 800.
    assert_eq!(rows, [(owners[0], 1_500), (owners[1], 700), (owners[2], 400)]);
    assert_eq!(royalties.total_nc, 2_600);
    let snapshot = family.net.snapshot(0, epoch);
    assert_eq!((snapshot.price_nc, snapshot.bps), (21_690, [1_198, 1_198, 5_606, 500, 1_198, 300]));
    assert_eq!((snapshot.derived, snapshot.payees.vendor), (true, address));
}

#[test]
fn a_royalty_table_is_frozen_once_and_in_its_time() {
    let mut family = Family::linked();
    let epoch = family.net.world.pricing_epoch();
    let boundary = i64::from(epoch + 1) * DAY;
    let (past, now, next) =
        (family.roll_royalties_ix(epoch - 1), family.roll_royalties_ix(epoch), family.roll_royalties_ix(epoch + 1));
    let world = &mut family.net.world;
    assert_refused(world.send(&[past], &[]), MarketError::WrongPricingEpoch);
    let sent = world.must(std::slice::from_ref(&now), &[]);
    let [event] = sent.log_events::<RoyaltiesFrozen>().try_into().ok().unwrap();
    assert_eq!((event.pricing_epoch, event.total_nc, event.rows), (epoch, 2_600, 3));
    assert!(world.send(&[now], &[]).is_err(), "a table is frozen once");
    world.set_time(boundary - 3_601);
    assert_refused(world.send(std::slice::from_ref(&next), &[]), MarketError::WrongPricingEpoch);
    world.set_time(boundary - 3_600);
    world.must(&[next], &[]);
}

#[test]
fn asks_move_within_the_ceiling_of_their_link() {
    let mut family = Family::linked();
    let epoch = family.net.world.pricing_epoch();
    let (child, second) = (family.child.insecure_clone(), family.ancestors[1]);
    let world = &mut family.net.world;
    let payer = world.payer.pubkey();
    // Steps of 5 % from 700: 735, 771, 809. The link's 800 holds the third.
    for (step, counted) in [(735, 735), (771, 771), (809, 800)] {
        world.must(&[market_ix::post_ask(payer, child.pubkey(), Role::Vendor, second, 9_000)], &[&child]);
        world.advance(DAY);
        let ask: market::state::Ask = world.read(&seeds::find_ask(&second, Role::Vendor).0);
        assert_eq!(ask.at(world.pricing_epoch()), step);
        let roll = ix::roll_royalties(payer, &family.net.artifact, &family.ancestors, world.pricing_epoch());
        world.must(&[roll], &[]);
        let table: Royalties = world.read(&seeds::find_royalties(&family.net.artifact, world.pricing_epoch()).0);
        assert_eq!(table.rows()[1].ask_nc, counted);
    }
    assert_eq!(family.net.world.pricing_epoch(), epoch + 3);
}

#[test]
fn s12_a_royalty_table_needs_the_ask_of_every_ancestor_in_order() {
    let mut family = Family::linked();
    let epoch = family.net.world.pricing_epoch();
    let good = family.roll_royalties_ix(epoch);
    let leaf = family.net.artifact;
    let ask = |hash: &[u8; 32], role| seeds::find_ask(hash, role).0;
    let first = ask(&family.ancestors[0], Role::Vendor);
    let own = ask(&leaf, Role::Vendor);
    let world = &mut family.net.world;
    let rows = good.accounts.len() - 2;
    let mut missing = good.clone();
    missing.accounts.pop();
    let mut extra = good.clone();
    extra.accounts.push(good.accounts[rows].clone());
    let mut swapped = good.clone();
    swapped.accounts.swap(rows, rows + 1);
    let another = swap(good.clone(), first, ask(&leaf, Role::Oem));
    let no_ask = swap(good.clone(), first, seeds::find_artifact(&family.ancestors[0]).0);
    let forged = world.forge(&first, Some(Pubkey::new_unique()));
    let foreign = swap(good.clone(), first, forged);
    for broken in [missing, extra, swapped, another, no_ask, foreign] {
        assert_refused(world.send(&[broken], &[]), MarketError::WrongRoyalties);
    }
    let oems = swap(good.clone(), own, ask(&leaf, Role::Oem));
    assert_refused(world.send(&[oems], &[]), MarketError::WrongAccount);
    let table = seeds::find_royalties(&leaf, epoch).0;
    let elsewhere = swap(good.clone(), table, seeds::find_royalties(&leaf, epoch + 1).0);
    assert_refused(world.send(&[elsewhere], &[]), ErrorCode::ConstraintSeeds);
    let account = seeds::find_artifact(&leaf).0;
    let forged = world.forge(&account, Some(Pubkey::new_unique()));
    let foreign = swap(good.clone(), account, forged);
    assert_refused(world.send(&[foreign], &[]), ErrorCode::AccountOwnedByWrongProgram);
    let fake_config = world.forge(&seeds::find_config().0, None);
    let unconfigured = swap(good.clone(), seeds::find_config().0, fake_config);
    assert_refused(world.send(&[unconfigured], &[]), ErrorCode::ConstraintSeeds);
    let rootless = ix::roll_royalties(world.payer.pubkey(), &family.ancestors[0], &[], epoch);
    assert_refused(world.send(&[rootless], &[]), MarketError::WrongRoyalties);
    world.must(&[good], &[]);
}

#[test]
fn a_derived_model_has_no_price_without_its_own_royalty_table() {
    let mut family = Family::linked();
    let epoch = family.net.world.pricing_epoch();
    let (good, bare) =
        (ix::roll_derived(&family.net.roll_of(0, epoch)), market_ix::roll_container(&family.net.roll_of(0, epoch)));
    let table = seeds::find_royalties(&family.net.artifact, epoch).0;
    let payer = family.net.world.payer.pubkey();
    let [first, second] = family.ancestors;
    let (mine, childs) = (family.roll_royalties_ix(epoch), ix::roll_royalties(payer, &second, &[first], epoch));
    let world = &mut family.net.world;
    assert_refused(world.send(std::slice::from_ref(&good), &[]), MarketError::WrongRoyalties);
    world.must(&[mine], &[]);
    world.must(&[childs], &[]);
    let wrong = [seeds::find_royalties(&second, epoch).0, seeds::find_config().0];
    let forged = world.forge(&table, Some(Pubkey::new_unique()));
    for other in wrong.into_iter().chain([forged]) {
        assert_refused(world.send(&[swap(good.clone(), table, other)], &[]), MarketError::WrongRoyalties);
    }
    assert_refused(world.send(&[bare], &[]), MarketError::WrongRoyalties);
    // The table of another pricing epoch.
    world.set_time(i64::from(epoch + 1) * DAY - 3_600);
    let next = family.roll_royalties_ix(epoch + 1);
    let world = &mut family.net.world;
    world.must(&[next], &[]);
    let stale = swap(good.clone(), table, seeds::find_royalties(&family.net.artifact, epoch + 1).0);
    assert_refused(world.send(&[stale], &[]), MarketError::WrongRoyalties);
    world.must(&[good], &[]);
}

#[test]
fn s17_pauses_stop_licences_links_and_tables() {
    let mut family = Family::linked();
    let epoch = family.net.world.pricing_epoch();
    let (root, child, admin) =
        (family.root.insecure_clone(), family.child.insecure_clone(), family.net.world.admin.insecure_clone());
    let [first, second] = family.ancestors;
    let roll = family.roll_royalties_ix(epoch);
    let world = &mut family.net.world;
    world.must(&[market_ix::pause(admin.pubkey(), pause::BIDS | pause::REGISTRATION)], &[&admin]);
    let ceiling = ix::set_ceiling(root.pubkey(), &first, true, 1);
    assert_refused(world.send(&[ceiling], &[&root]), MarketError::Paused);
    let link = ix::link_license(child.pubkey(), &second, &first, 1_500);
    assert_refused(world.send(&[link], &[&child]), MarketError::Paused);
    assert_refused(world.send(&[roll], &[]), MarketError::Paused);
}

#[test]
fn only_the_settlement_program_closes_a_royalty_table() {
    let mut family = Family::rolled();
    let (table, royalties) = family.royalties(family.net.world.pricing_epoch());
    let mallory = key("mallory");
    let close = ix::close_royalties_directly(mallory.pubkey(), table, royalties.rent_payer);
    assert_refused(family.net.world.send(&[close], &[&mallory]), MarketError::Unauthorized);
}

#[test]
fn the_layout_of_a_royalty_table_is_frozen() {
    assert_eq!((Royalties::INIT_SPACE, Artifact::INIT_SPACE, SplitSnapshot::INIT_SPACE), (431, 690, 291));
    let family = Family::rolled();
    let epoch = family.net.world.pricing_epoch();
    let (address, royalties) = family.royalties(epoch);
    let data = family.net.world.svm.get_account(&address).unwrap().data;
    assert_eq!(&data[..8], Royalties::DISCRIMINATOR);
    assert_eq!(&data[8..10], &[1, royalties.bump]);
    assert_eq!(&data[10..42], &family.net.artifact);
    assert_eq!(&data[42..46], &epoch.to_le_bytes());
    assert_eq!(&data[46..54], &2_600u64.to_le_bytes());
    assert_eq!(data[54], 3);
    assert_eq!(&data[55..87], family.root.pubkey().as_ref());
    assert_eq!(&data[87..95], &1_500u64.to_le_bytes());
    assert_eq!(&data[375..407], family.net.world.payer.pubkey().as_ref());
    let leaf = family.net.world.svm.get_account(&seeds::find_artifact(&family.net.artifact).0).unwrap().data;
    assert_eq!(&leaf[162..194], &family.ancestors[0]);
    assert_eq!(&leaf[194..202], &1_500u64.to_le_bytes());
    assert_eq!(leaf[498], 2);
    let snapshot = seeds::find_snapshot(&family.net.container, 0, epoch).0;
    assert_eq!(family.net.world.svm.get_account(&snapshot).unwrap().data[235], 1);
}

// payment

/// The lines of a derived model's first shard, claimable, with the earnings of everyone open.
fn claimable(credits: &[u64]) -> (Desk, Shard, Lineage) {
    let family = Family::rolled();
    let (table, royalties) = family.royalties(family.net.world.pricing_epoch());
    let owners = Lineage { table, royalties, root: family.root, child: family.child };
    let mut desk = Desk::on(family.net);
    let nc = credits.iter().sum();
    let admin = desk.net.world.admin.insecure_clone();
    desk.send(&[desk.init_config_ix()], &[&admin]).unwrap();
    desk.send(&[desk.open_gateway_ix()], &[&desk.gateway()]).unwrap();
    let args = settlement::instructions::OpenChannelArgs {
        open_slot: desk.open_slot,
        session: None,
        grant: Some(desk.terms(nc)),
    };
    desk.send(&[desk.open_channel_ix(args)], &[&desk.consumer()]).unwrap();
    desk.deposit(nc * AIC_PER_NC);
    desk.settle(nc, 1).unwrap();
    desk.open_all_earnings();
    for owner in [table, owners.root.pubkey(), owners.child.pubkey()] {
        desk.send(&[desk.open_earnings_ix(&owner)], &[]).unwrap();
    }
    let shard = Shard::new(&desk, desk.epoch(), credits, [0; 32]);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    desk.advance(CHALLENGE_S.into());
    desk.send(&[desk.finalize_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    (desk, shard, owners)
}

/// What is left of a family once its network is the desk's.
struct Lineage {
    table: Pubkey,
    royalties: Royalties,
    root: solana_keypair::Keypair,
    child: solana_keypair::Keypair,
}

impl Lineage {
    fn share_ix(&self, desk: &Desk) -> anchor_lang::solana_program::instruction::Instruction {
        ix::share_royalties(&desk.mint, self.table, &self.royalties)
    }

    /// What the vendors of the lineage have earned, root first.
    fn earned(&self, desk: &Desk) -> [u64; 3] {
        [desk.earned(&self.root), desk.earned(&self.child), desk.earned(&desk.net.vendor)]
    }
}

#[test]
fn every_vendor_of_the_lineage_is_paid_its_share_of_every_line() {
    let (mut desk, shard, family) = claimable(&[LINE_NC, LINE_NC]);
    assert_eq!(pricing_epoch(shard.epoch), family.royalties.pricing_epoch);
    let claim = desk.claim_ix(&shard, 0);
    desk.measure("claim_line", "derived model, depth 1", claim, &[]);
    let sent = desk.measure("share_royalties", "3 generations", family.share_ix(&desk), &[]);
    let [event] = sent.cpi_events::<RoyaltiesShared>().try_into().ok().unwrap();
    // The vendor's part of the worked line, 1,561,593: floors of 5769 and 2692 bps, the rest to the own vendor.
    assert_eq!((event.amount_aic, event.parts_aic), (1_561_593, vec![900_883, 420_380, 240_330]));
    assert_eq!(family.earned(&desk), [900_883, 420_380, 240_330]);
    assert_refused(desk.send(&[family.share_ix(&desk)], &[]), SettleError::InvalidAmount);
    desk.claim(&shard, 1).unwrap();
    desk.send(&[family.share_ix(&desk)], &[]).unwrap();
    assert_eq!(family.earned(&desk), [2 * 900_883, 2 * 420_380, 2 * 240_330]);
    // And it is theirs to withdraw.
    let root = family.root.insecure_clone();
    let wallet = desk.net.world.aic_account(&root.pubkey());
    desk.send(&[desk.withdraw_ix(&root.pubkey(), wallet, None)], &[&root]).unwrap();
    assert_eq!(desk.token(&wallet), 2 * 900_883);
}

#[test]
fn lines_shared_together_or_one_by_one_differ_by_less_than_a_unit_each() {
    let credits = [7, 651, 33, 1_000_003, 19];
    let (mut together, shard, family) = claimable(&credits);
    for index in 0..credits.len() {
        together.claim(&shard, index).unwrap();
    }
    together.send(&[family.share_ix(&together)], &[]).unwrap();
    let (mut apart, shard, family) = claimable(&credits);
    for index in 0..credits.len() {
        apart.claim(&shard, index).unwrap();
        apart.send(&[family.share_ix(&apart)], &[]).unwrap();
    }
    let (a, b) = (family.earned(&together), family.earned(&apart));
    assert_eq!(a.iter().sum::<u64>(), b.iter().sum::<u64>());
    for (together, apart) in a.into_iter().zip(b).take(2) {
        assert!(apart <= together && together < apart + credits.len() as u64, "{a:?} {b:?}");
    }
}

#[test]
fn s12_royalties_go_to_the_rows_of_their_table_in_order() {
    let (mut desk, shard, family) = claimable(&[LINE_NC]);
    desk.claim(&shard, 0).unwrap();
    let good = family.share_ix(&desk);
    let rows = good.accounts.len() - 3;
    let mut missing = good.clone();
    missing.accounts.pop();
    let mut extra = good.clone();
    extra.accounts.push(good.accounts[rows].clone());
    let mut swapped = good.clone();
    swapped.accounts.swap(rows, rows + 1);
    let root = desk.earnings(&family.root.pubkey());
    let redirected = swap(good.clone(), root, desk.earnings(&desk.net.curator.pubkey()));
    for broken in [missing, extra, swapped, redirected, read_only(good.clone(), root)] {
        assert_refused(desk.send(&[broken], &[]), SettleError::PayeeMismatch);
    }
    let forged = desk.net.world.forge(&root, Some(Pubkey::new_unique()));
    let foreign = swap(good.clone(), root, forged);
    assert_refused(desk.send(&[foreign], &[]), ErrorCode::AccountOwnedByWrongProgram);
    // The pot is the table's, the table is the market's.
    let pot = desk.earnings(&family.table);
    let others = swap(good.clone(), pot, desk.earnings(&desk.net.weaver.pubkey()));
    assert_refused(desk.send(&[others], &[]), SettleError::PayeeMismatch);
    let forged = desk.net.world.forge(&family.table, None);
    assert_refused(desk.send(&[swap(good.clone(), family.table, forged)], &[]), SettleError::PayeeMismatch);
    let forged = desk.net.world.forge(&family.table, Some(settlement::ID));
    let foreign = swap(good.clone(), family.table, forged);
    assert_refused(desk.send(&[foreign], &[]), ErrorCode::AccountOwnedByWrongProgram);
    let snapshot = market::seeds::find_snapshot(&desk.net.container, 0, pricing_epoch(shard.epoch)).0;
    let other_type = swap(good.clone(), family.table, snapshot);
    assert_refused(desk.send(&[other_type], &[]), ErrorCode::AccountDiscriminatorMismatch);
    desk.send(&[good], &[]).unwrap();
}

#[test]
fn s17_a_pause_of_claims_stops_sharing() {
    let (mut desk, shard, family) = claimable(&[LINE_NC]);
    desk.claim(&shard, 0).unwrap();
    let admin = desk.net.world.admin.insecure_clone();
    let accounts = settlement::accounts::PauseProgram { authority: admin.pubkey(), config: desk.config() };
    let pause = crate::desk::ix(&accounts, &settlement::instruction::Pause { flags: pause::CLAIMS });
    desk.send(&[pause], &[&admin]).unwrap();
    assert_refused(desk.send(&[family.share_ix(&desk)], &[]), SettleError::Paused);
}

#[test]
fn a_royalty_table_ends_when_no_claim_needs_it_and_nothing_waits() {
    let (mut desk, shard, family) = claimable(&[LINE_NC]);
    let payer = desk.payer();
    let close = ix::close_royalties(&desk.mint, family.table, payer);
    desk.claim(&shard, 0).unwrap();
    assert_refused(desk.send(std::slice::from_ref(&close), &[]), SettleError::InvalidAmount);
    desk.send(&[family.share_ix(&desk)], &[]).unwrap();
    let end = i64::from(family.royalties.pricing_epoch + 1) * DAY + market::constants::ROYALTIES_KEEP_S;
    desk.net.world.set_time(end - 1);
    assert_refused(desk.send(std::slice::from_ref(&close), &[]), MarketError::RoyaltiesInUse);
    desk.net.world.set_time(end);
    let pot = desk.earnings(&family.table);
    let mallory = key("mallory").pubkey();
    // The rent goes to who paid it, the accounts are the table's own.
    for position in [5, 6] {
        let mut stolen = close.clone();
        stolen.accounts[position].pubkey = mallory;
        let error: u32 =
            if position == 5 { MarketError::WrongAccount.into() } else { SettleError::AccountMismatch.into() };
        assert_refused(desk.send(&[stolen], &[]), error);
    }
    let others = swap(close.clone(), pot, desk.earnings(&desk.net.oem.pubkey()));
    assert_refused(desk.send(&[others], &[]), SettleError::PayeeMismatch);
    let slasher = close.accounts[1].pubkey;
    assert_refused(desk.send(&[swap(close.clone(), slasher, mallory)], &[]), ErrorCode::ConstraintSeeds);
    desk.measure("close_royalties", "shared out", close, &[]);
    assert!(!desk.net.world.exists(&family.table) && !desk.net.world.exists(&pot));
}
