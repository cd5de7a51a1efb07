//! Bounties: what a sponsor adds to a curator's share, for which lines, once each, and what returns in the end.

use anchor_lang::{Discriminator, Space, error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use coin::authority::pause;
use market::state::{Party, Role, SplitSnapshot};
use settlement::{
    accounts,
    constants::POOL_FLOOR_AIC,
    error::SettleError,
    events::{BountyClosed, BountyEnding, BountyFunded, BountyOpened, BountyPaid},
    instruction,
    instructions::OpenBountyArgs,
    state::{Batch, Bounty, BountyTerms, Earnings},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_mechanism::{amount::pricing_epoch, breaker::DELAY_S};
use waybill_tests::{
    assert_refused,
    ix::{swap, unsigned},
    ix_bounty as bounty, key,
};

use crate::desk::*;

/// A final batch whose lines the curator brought, and a funded bounty of the vendor for it.
struct Case {
    desk: Desk,
    shard: Shard,
    sponsor: Keypair,
    curator: Keypair,
    address: Pubkey,
}

fn args(desk: &Desk, terms: BountyTerms) -> OpenBountyArgs {
    OpenBountyArgs {
        gateway: desk.net.gateway.pubkey(),
        container: desk.net.container,
        curator: desk.net.curator.pubkey(),
        terms,
    }
}

const TERMS: BountyTerms = BountyTerms { top_up_bps: 250, min_bps: 500 };

impl Case {
    fn new(credits: &[u64], amount_aic: u64) -> Self {
        let curator = key("curator");
        let mut desk = Desk::collected(credits.iter().sum());
        let sponsor = desk.net.vendor.insecure_clone();
        let args = args(&desk, TERMS);
        let open = bounty::open(desk.payer(), sponsor.pubkey(), args);
        let address = bounty::address(&sponsor.pubkey(), &args);
        let sent = desk.measure("open_bounty", "first", open, &[&sponsor]);
        let [event] = sent.log_events::<BountyOpened>().try_into().ok().unwrap();
        assert_eq!((event.bounty, event.from_epoch, event.terms), (address, desk.epoch(), TERMS));
        let source = desk.net.world.fund(&sponsor.pubkey(), amount_aic);
        let fund = bounty::fund(sponsor.pubkey(), address, source, amount_aic);
        let sent = desk.measure("fund_bounty", "first", fund, &[&sponsor]);
        let [event] = sent.cpi_events::<BountyFunded>().try_into().ok().unwrap();
        assert_eq!((event.amount_aic, event.balance_aic), (amount_aic, amount_aic));
        let shard = Shard::new(&desk, desk.epoch(), credits, curator.pubkey().to_bytes());
        desk.advance(EPOCH_S);
        desk.post(&shard).unwrap();
        desk.advance(CHALLENGE_S.into());
        desk.send(&[desk.finalize_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
        Self { desk, shard, sponsor, curator, address }
    }

    fn claim_ix(&self, index: usize) -> Instruction {
        let (line, proof) = (&self.shard.lines[index], self.shard.tree.proof(index).unwrap());
        bounty::claim(self.curator.pubkey(), self.address, self.desk.batch_of(&self.shard), line, &proof)
    }

    fn snapshot(&self) -> Pubkey {
        market::seeds::find_snapshot(&self.desk.net.container, 0, pricing_epoch(self.shard.epoch)).0
    }

    fn state(&self) -> Bounty {
        self.desk.net.world.read(&self.address)
    }
}

#[test]
fn a_bounty_adds_to_every_line_that_its_curator_brought_once() {
    let mut case = Case::new(&[1_000, 3_000, 7], 100_000);
    let curator = case.curator.insecure_clone();
    let claim = case.claim_ix(0);
    let sent = case.desk.measure("claim_bounty", "depth 2", claim.clone(), &[&curator]);
    let [event] = sent.cpi_events::<BountyPaid>().try_into().ok().unwrap();
    // 250 bps of 1,000 nc at 20 base units each.
    assert_eq!((event.amount_aic, event.balance_aic, event.index), (500, 99_500, 0));
    assert_refused(case.desk.send(&[claim], &[&curator]), SettleError::BountyOrder);
    let last = case.claim_ix(2);
    case.desk.send(&[last], &[&curator]).unwrap();
    // A line that was skipped stays skipped: that is what makes every payment the only one of its line.
    let skipped = case.claim_ix(1);
    assert_refused(case.desk.send(&[skipped], &[&curator]), SettleError::BountyOrder);
    assert_eq!(case.desk.earned(&curator), 500 + 3);
    // It comes on top of the share that the line itself pays.
    case.desk.claim(&case.shard, 0).unwrap();
    assert_eq!(case.desk.earned(&curator), 500 + 3 + 1_000);
}

#[test]
fn the_gateway_claims_for_a_curator_that_is_away() {
    let mut case = Case::new(&[1_000], 100_000);
    let (curator, gateway) = (case.curator.insecure_clone(), case.desk.gateway());
    let claim = swap(case.claim_ix(0), curator.pubkey(), gateway.pubkey());
    case.desk.send(&[claim], &[&gateway]).unwrap();
    assert_eq!(case.desk.earned(&curator), 500);
}

#[test]
fn a_bounty_pays_what_it_has_and_no_more() {
    let mut case = Case::new(&[1_000, 1_000], 700);
    let curator = case.curator.insecure_clone();
    for (index, paid) in [(0, 500), (1, 200)] {
        let claim = case.claim_ix(index);
        let sent = case.desk.send(&[claim], &[&curator]).unwrap();
        let [event] = sent.cpi_events::<BountyPaid>().try_into().ok().unwrap();
        assert_eq!(event.amount_aic, paid);
    }
    let state = case.state();
    assert_eq!((state.amount_aic, state.paid_aic, state.total_in_aic), (0, 700, 700));
}

#[test]
fn an_ended_bounty_waits_for_its_curator_and_returns_the_rest() {
    let mut case = Case::new(&[1_000, 3_000], 100_000);
    let (curator, sponsor) = (case.curator.insecure_clone(), case.sponsor.insecure_clone());
    let close = bounty::close(sponsor.pubkey(), case.address, case.desk.payer());
    assert_refused(case.desk.send(std::slice::from_ref(&close), &[&sponsor]), SettleError::BountyOpen);
    let end = bounty::end(sponsor.pubkey(), case.address);
    let sent = case.desk.measure("end_bounty", "first", end.clone(), &[&sponsor]);
    let [event] = sent.log_events::<BountyEnding>().try_into().ok().unwrap();
    let end_epoch = case.desk.epoch() + 1;
    let windows = i64::from(POST_WINDOW_S) + i64::from(CHALLENGE_S) + i64::from(CLAIM_WINDOW_S);
    assert_eq!((event.end_epoch, event.closes_at), (end_epoch, i64::from(end_epoch) * EPOCH_S + windows));
    assert_refused(case.desk.send(&[end], &[&sponsor]), SettleError::BountyEnded);
    let source = case.desk.net.world.fund(&sponsor.pubkey(), 1);
    let fund = bounty::fund(sponsor.pubkey(), case.address, source, 1);
    assert_refused(case.desk.send(&[fund], &[&sponsor]), SettleError::BountyEnded);
    let claim = case.claim_ix(0);
    case.desk.send(&[claim], &[&curator]).unwrap();

    let left = event.closes_at - case.desk.now();
    case.desk.advance(left - 1);
    assert_refused(case.desk.send(std::slice::from_ref(&close), &[&sponsor]), SettleError::BountyOpen);
    case.desk.advance(1);
    let (before, pool) = (case.desk.earned(&sponsor), case.desk.token(&case.desk.pool()));
    let sent = case.desk.measure("close_bounty", "with rest", close, &[&sponsor]);
    let [event] = sent.cpi_events::<BountyClosed>().try_into().ok().unwrap();
    assert_eq!((event.returned_aic, event.paid_aic), (99_500, 500));
    assert_eq!(event.earnings, case.desk.earnings(&sponsor.pubkey()));
    assert_eq!(case.desk.earned(&sponsor) - before, 99_500);
    assert_eq!(case.desk.token(&case.desk.pool()), pool, "what returns is still behind the breaker");
    assert!(!case.desk.net.world.exists(&case.address));
    let revived = case.claim_ix(1);
    assert_refused(case.desk.send(&[revived], &[&curator]), ErrorCode::AccountNotInitialized);
}

#[test]
fn lines_from_the_end_on_and_before_the_beginning_pay_nothing() {
    let mut case = Case::new(&[1_000], 100_000);
    let curator = case.curator.insecure_clone();
    let epoch = case.shard.epoch;
    case.desk.rewrite(case.address, |bounty: &mut Bounty| bounty.end_epoch = epoch);
    let claim = case.claim_ix(0);
    assert_refused(case.desk.send(std::slice::from_ref(&claim), &[&curator]), SettleError::BountyEnded);
    case.desk.rewrite(case.address, |bounty: &mut Bounty| (bounty.end_epoch, bounty.next.epoch) = (0, epoch + 1));
    assert_refused(case.desk.send(&[claim], &[&curator]), SettleError::BountyOrder);
}

#[test]
fn terms_are_bounded_and_parties_named() {
    let mut desk = Desk::new();
    let sponsor = key("sponsor");
    let terms = |top_up_bps, min_bps| BountyTerms { top_up_bps, min_bps };
    for terms in [terms(0, 0), terms(1_001, 0), terms(1, 1_001)] {
        let open = bounty::open(desk.payer(), sponsor.pubkey(), args(&desk, terms));
        assert_refused(desk.send(&[open], &[&sponsor]), SettleError::BountyTerms);
    }
    for nobody in [
        OpenBountyArgs { gateway: Pubkey::default(), ..args(&desk, TERMS) },
        OpenBountyArgs { curator: Pubkey::default(), ..args(&desk, TERMS) },
    ] {
        let open = bounty::open(desk.payer(), sponsor.pubkey(), nobody);
        assert_refused(desk.send(&[open], &[&sponsor]), SettleError::DefaultKey);
    }
    let good = bounty::open(desk.payer(), sponsor.pubkey(), args(&desk, TERMS));
    let address = bounty::address(&sponsor.pubkey(), &args(&desk, TERMS));
    let elsewhere = swap(good.clone(), address, key("elsewhere").pubkey());
    assert_refused(desk.send(&[elsewhere], &[&sponsor]), ErrorCode::ConstraintSeeds);
    assert_refused(desk.send(&[unsigned(good.clone(), sponsor.pubkey())], &[]), ErrorCode::AccountNotSigner);
    desk.send(std::slice::from_ref(&good), &[&sponsor]).unwrap();
    assert!(desk.send(&[good], &[&sponsor]).is_err(), "a bounty is opened once");
}

#[test]
fn s01_s05_funding_ending_and_closing_check_every_account() {
    let mut case = Case::new(&[1_000], 100_000);
    let (sponsor, mallory) = (case.sponsor.insecure_clone(), key("mallory"));
    let address = case.address;
    let mine = case.desk.net.world.fund(&sponsor.pubkey(), 10);
    let theirs = case.desk.net.world.fund(&mallory.pubkey(), 10);
    let (_, foreign) = case.desk.net.world.foreign_token_account(&sponsor.pubkey(), 10);
    let (pool, config) = (case.desk.pool(), case.desk.config());
    let forged_config = case.desk.net.world.forge(&config, Some(Pubkey::new_unique()));
    let forged = case.desk.net.world.forge(&address, Some(Pubkey::new_unique()));
    let earnings = case.desk.earnings(&sponsor.pubkey());
    let fund = bounty::fund(sponsor.pubkey(), address, mine, 10);
    let end = bounty::end(sponsor.pubkey(), address);
    let close = bounty::close(sponsor.pubkey(), address, case.desk.payer());
    case.desk.open_earnings(&mallory.pubkey());
    let others = case.desk.earnings(&mallory.pubkey());
    let desk = &mut case.desk;
    for built in [&fund, &end, &close] {
        let by_another = swap(built.clone(), sponsor.pubkey(), mallory.pubkey());
        assert_refused(desk.send(&[by_another], &[&mallory]), SettleError::Unauthorized);
        assert_refused(desk.send(&[unsigned(built.clone(), sponsor.pubkey())], &[]), ErrorCode::AccountNotSigner);
        for (account, to) in [(address, forged), (config, forged_config)] {
            let foreign = swap(built.clone(), account, to);
            assert_refused(desk.send(&[foreign], &[&sponsor]), ErrorCode::AccountOwnedByWrongProgram);
        }
        let other_type = swap(built.clone(), address, earnings);
        assert_refused(desk.send(&[other_type], &[&sponsor]), ErrorCode::AccountDiscriminatorMismatch);
    }
    assert_refused(desk.send(&[swap(fund.clone(), pool, theirs)], &[&sponsor]), SettleError::AccountMismatch);
    assert_refused(desk.send(&[swap(fund.clone(), mine, foreign)], &[&sponsor]), SettleError::TokenMismatch);
    assert_refused(desk.send(&[swap(close.clone(), earnings, others)], &[&sponsor]), SettleError::PayeeMismatch);
    let forged = desk.net.world.forge(&earnings, Some(Pubkey::new_unique()));
    let foreign = swap(close.clone(), earnings, forged);
    assert_refused(desk.send(&[foreign], &[&sponsor]), ErrorCode::AccountOwnedByWrongProgram);
    let other_type = swap(close.clone(), earnings, address);
    assert_refused(desk.send(&[other_type], &[&sponsor]), ErrorCode::AccountDiscriminatorMismatch);
    assert_refused(desk.send(&[swap(fund.clone(), mine, theirs)], &[&sponsor]), SettleError::TokenMismatch);
    let rent_elsewhere = swap(close, desk.payer(), mallory.pubkey());
    assert_refused(desk.send(&[rent_elsewhere], &[&sponsor]), SettleError::AccountMismatch);
    let nothing = bounty::fund(sponsor.pubkey(), address, mine, 0);
    assert_refused(desk.send(&[nothing], &[&sponsor]), SettleError::InvalidAmount);
    desk.send(&[fund], &[&sponsor]).unwrap();
}

#[test]
fn s01_s04_a_claim_checks_every_account_it_is_given() {
    let mut case = Case::new(&[1_000, 3_000], 100_000);
    let (curator, mallory) = (case.curator.insecure_clone(), key("mallory"));
    case.desk.net.world.party(&mallory, Role::Curator);
    case.desk.open_earnings(&mallory.pubkey());
    let good = case.claim_ix(0);
    let (batch, snapshot, address) = (case.desk.batch_of(&case.shard), case.snapshot(), case.address);
    let party = market::seeds::find_party(&curator.pubkey(), Role::Curator).0;
    let earnings = case.desk.earnings(&curator.pubkey());
    let others = case.desk.earnings(&mallory.pubkey());
    let config = case.desk.config();
    let desk = &mut case.desk;
    let stolen = swap(swap(good.clone(), curator.pubkey(), mallory.pubkey()), earnings, others);
    assert_refused(desk.send(&[stolen], &[&mallory]), SettleError::Unauthorized);
    let other_party = swap(good.clone(), party, market::seeds::find_party(&mallory.pubkey(), Role::Curator).0);
    assert_refused(desk.send(&[other_party], &[&curator]), SettleError::AccountMismatch);
    assert_refused(desk.send(&[unsigned(good.clone(), curator.pubkey())], &[]), ErrorCode::AccountNotSigner);
    let redirected = swap(good.clone(), earnings, others);
    assert_refused(desk.send(&[redirected], &[&curator]), SettleError::PayeeMismatch);
    for account in [batch, snapshot, party, address, earnings, config] {
        let forged = desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let foreign = swap(good.clone(), account, forged);
        assert_refused(desk.send(&[foreign], &[&curator]), ErrorCode::AccountOwnedByWrongProgram);
    }
    for (from, to) in [(batch, config), (snapshot, party), (party, snapshot), (address, batch), (earnings, batch)] {
        let other_type = swap(good.clone(), from, to);
        assert_refused(desk.send(&[other_type], &[&curator]), ErrorCode::AccountDiscriminatorMismatch);
    }
    desk.send(&[good], &[&curator]).unwrap();
}

#[test]
fn a_claim_is_for_a_line_that_the_batch_proves_and_the_bounty_names() {
    let mut case = Case::new(&[1_000, 3_000], 100_000);
    let curator = case.curator.insecure_clone();
    let (batch, address, snapshot) = (case.desk.batch_of(&case.shard), case.address, case.snapshot());
    let good = case.claim_ix(0);
    let (line, proof) = (case.shard.lines[0], case.shard.tree.proof(0).unwrap());
    let desk = &mut case.desk;
    let mut richer = line;
    richer.credits_nc += 1;
    let forged = bounty::claim(curator.pubkey(), address, batch, &richer, &proof);
    assert_refused(desk.send(&[forged], &[&curator]), SettleError::InvalidProof);
    let mut outside = line;
    outside.index = 2;
    let forged = bounty::claim(curator.pubkey(), address, batch, &outside, &proof);
    assert_refused(desk.send(&[forged], &[&curator]), SettleError::LineMismatch);
    let mut garbled = good.clone();
    garbled.data[8] ^= 1;
    assert_refused(desk.send(&[garbled], &[&curator]), SettleError::MalformedMessage);

    type Change = fn(&mut Bounty);
    let changes: [Change; 3] = [
        |bounty| bounty.gateway = Pubkey::default(),
        |bounty| bounty.container[0] ^= 1,
        |bounty| bounty.terms.min_bps = 501,
    ];
    let errors = [SettleError::BountyMismatch, SettleError::BountyMismatch, SettleError::BountyShare];
    let before: Bounty = desk.net.world.read(&address);
    for (change, error) in changes.into_iter().zip(errors) {
        desk.rewrite(address, change);
        assert_refused(desk.send(std::slice::from_ref(&good), &[&curator]), error);
        let before = before.clone();
        desk.rewrite(address, |bounty: &mut Bounty| *bounty = before);
    }
    let changes: [fn(&mut SplitSnapshot); 3] = [|s| s.stage = 1, |s| s.pricing_epoch += 1, |s| s.container[0] ^= 1];
    let before: SplitSnapshot = desk.net.world.read(&snapshot);
    for change in changes {
        desk.rewrite(snapshot, change);
        assert_refused(desk.send(std::slice::from_ref(&good), &[&curator]), SettleError::SnapshotMismatch);
        let before = before.clone();
        desk.rewrite(snapshot, |s: &mut SplitSnapshot| *s = before);
    }
    desk.send(&[good], &[&curator]).unwrap();
}

#[test]
fn a_batch_pays_bounties_once_it_is_final_and_without_void_lines() {
    let mut case = Case::new(&[1_000], 100_000);
    let curator = case.curator.insecure_clone();
    let batch = case.desk.batch_of(&case.shard);
    let claim = case.claim_ix(0);
    let data = case.desk.net.world.svm.get_account(&batch).unwrap().data;
    case.desk.rewrite(batch, |batch: &mut Batch| batch.forfeited_nc = 1);
    assert_refused(case.desk.send(std::slice::from_ref(&claim), &[&curator]), SettleError::BountyForfeit);
    case.desk.net.world.put(batch, settlement::ID, data);
    case.desk.send(&[claim], &[&curator]).unwrap();

    // The same before the end of the challenge window.
    let mut desk = Desk::collected(1_000);
    let shard = Shard::new(&desk, desk.epoch(), &[1_000], curator.pubkey().to_bytes());
    let sponsor = desk.net.vendor.insecure_clone();
    let args = args(&desk, TERMS);
    let address = bounty::address(&sponsor.pubkey(), &args);
    desk.send(&[bounty::open(desk.payer(), sponsor.pubkey(), args)], &[&sponsor]).unwrap();
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    let early =
        bounty::claim(curator.pubkey(), address, desk.batch_of(&shard), &shard.lines[0], &shard.tree.proof(0).unwrap());
    assert_refused(desk.send(&[early], &[&curator]), SettleError::BatchState);
}

#[test]
fn s17_s28_a_pause_or_a_curator_without_stake_stops_it_and_nothing_keeps_the_rest_from_returning() {
    let mut case = Case::new(&[1_000], 100_000);
    let (curator, sponsor) = (case.curator.insecure_clone(), case.sponsor.insecure_clone());
    let claim = case.claim_ix(0);
    let party = market::seeds::find_party(&curator.pubkey(), Role::Curator).0;
    let staked: Party = case.desk.net.world.read(&party);
    let changes: [fn(&mut Party); 2] = [|party| party.stake = 0, |party| party.banned = true];
    for change in changes {
        case.desk.rewrite(party, change);
        assert_refused(case.desk.send(std::slice::from_ref(&claim), &[&curator]), SettleError::NotStaked);
        let staked = staked.clone();
        case.desk.rewrite(party, |party: &mut Party| *party = staked);
    }
    let admin = case.desk.net.world.admin.insecure_clone();
    let all = accounts::PauseProgram { authority: admin.pubkey(), config: case.desk.config() };
    case.desk.send(&[ix(&all, &instruction::Pause { flags: pause::ALL })], &[&admin]).unwrap();
    assert_refused(case.desk.send(&[claim], &[&curator]), SettleError::Paused);
    let wallet = case.desk.net.world.fund(&sponsor.pubkey(), 1);
    let fund = bounty::fund(sponsor.pubkey(), case.address, wallet, 1);
    assert_refused(case.desk.send(&[fund], &[&sponsor]), SettleError::Paused);
    let open = bounty::open(case.desk.payer(), key("other").pubkey(), args(&case.desk, TERMS));
    assert_refused(case.desk.send(&[open], &[&key("other")]), SettleError::Paused);
    case.desk.send(&[bounty::end(sponsor.pubkey(), case.address)], &[&sponsor]).unwrap();
    case.desk.advance(EPOCH_S + i64::from(POST_WINDOW_S) + i64::from(CHALLENGE_S) + i64::from(CLAIM_WINDOW_S));
    let close = bounty::close(sponsor.pubkey(), case.address, case.desk.payer());
    case.desk.send(&[close], &[&sponsor]).unwrap();
}

#[test]
fn what_a_bounty_leaves_passes_the_breaker_on_its_way_out_of_the_pool() {
    let most = POOL_FLOOR_AIC;
    let mut case = Case::new(&[1_000], most + 1);
    let sponsor = case.sponsor.insecure_clone();
    case.desk.send(&[bounty::end(sponsor.pubkey(), case.address)], &[&sponsor]).unwrap();
    case.desk.advance(EPOCH_S + i64::from(POST_WINDOW_S) + i64::from(CHALLENGE_S) + i64::from(CLAIM_WINDOW_S));
    let close = bounty::close(sponsor.pubkey(), case.address, case.desk.payer());
    case.desk.send(&[close], &[&sponsor]).unwrap();
    let destination = case.desk.net.world.aic_account(&sponsor.pubkey());
    let before = case.desk.token(&destination);
    let withdraw = case.desk.withdraw_ix(&sponsor.pubkey(), destination, None);
    case.desk.send(std::slice::from_ref(&withdraw), &[&sponsor]).unwrap();
    assert_eq!(case.desk.token(&destination), before, "more than an hour's floor waits");
    assert_refused(case.desk.send(std::slice::from_ref(&withdraw), &[&sponsor]), SettleError::OutflowDelayed);
    case.desk.advance(DELAY_S);
    case.desk.send(&[withdraw], &[&sponsor]).unwrap();
    assert_eq!(case.desk.token(&destination) - before, most + 1);
}

#[test]
fn the_layout_of_a_bounty_is_frozen() {
    assert_eq!((Bounty::INIT_SPACE, Earnings::INIT_SPACE), (276, 266));
    let case = Case::new(&[1_000], 100_000);
    let data = case.desk.net.world.svm.get_account(&case.address).unwrap().data;
    assert_eq!(&data[..8], Bounty::DISCRIMINATOR);
    assert_eq!(&data[10..42], case.sponsor.pubkey().as_ref());
    assert_eq!(&data[106..138], case.curator.pubkey().as_ref());
    assert_eq!(&data[138..142], &[250, 0, 244, 1]);
    assert_eq!(&data[142..150], &100_000u64.to_le_bytes());
    assert_eq!(&data[166..170], &case.shard.epoch.to_le_bytes());
}
