//! Campaigns and slot auctions of the market program: who bids, who wins at which price, and who gets money back when.

use anchor_lang::{
    AccountSerialize, Space, error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction,
};
use anchor_spl::token::spl_token;
use coin::authority::pause;
use market::{
    error::MarketError,
    events::{
        CampaignClosed, CampaignCreated, CampaignToppedUp, CampaignWithdrawn, QualitySet, SlotBidPlaced, SlotsRolled,
    },
    instructions::CreateContainerArgs,
    seeds,
    state::{AuctionState, Campaign, CampaignState, Role, SlotAuction},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_mechanism::{
    promo::ALPHA_BPS,
    vcg::{Bid, vcg},
};
use waybill_tests::{
    AIC, Network, Refused, Sent, World, assert_refused,
    ix::{market_ix, read_only, swap, unsigned},
    ix_promo::{CampaignKeys, close_slot_auction, roll_slots},
    key,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// AIC base units per nano-credit at the harness's rate.
const AIC_PER_NC: u64 = 20;
pub const CAP_NC: u64 = 2_000_000;
pub const ESCROW: u64 = CAP_NC * AIC_PER_NC;

/// The network with promoters, each with a container of its own.
struct Fair {
    net: Network,
    day: u32,
}

impl Fair {
    fn new() -> Self {
        let net = Network::new();
        let day = net.world.pricing_epoch() + 1;
        Self { net, day }
    }

    fn payer(&self) -> Pubkey {
        self.net.world.payer.pubkey()
    }

    fn promoter(&mut self, name: &str) -> (Keypair, CampaignKeys) {
        promoter(&mut self.net, name)
    }

    fn campaign(&mut self, name: &str, quality_bps: u16) -> (Keypair, CampaignKeys) {
        let (owner, keys) = self.promoter(name);
        start(&mut self.net, &owner, &keys, quality_bps);
        (owner, keys)
    }

    fn bid(&mut self, owner: &Keypair, keys: &CampaignKeys, bid_nc: u64) -> Result<Sent, Refused> {
        let bid = keys.bid(self.payer(), self.day, bid_nc);
        self.net.world.send(&[bid], &[owner])
    }

    /// Goes to the second at which bidding for `self.day` ends.
    fn end_bidding(&mut self) {
        let ends = i64::from(self.day) * DAY - HOUR;
        self.net.world.set_time(ends);
    }

    fn auction(&self) -> SlotAuction {
        self.net.world.read(&self.address())
    }

    fn address(&self) -> Pubkey {
        seeds::find_slot_auction(&seeds::find_market(1).0, self.day).0
    }
}

/// A promoter with stake and a container of its own, without a campaign.
pub fn promoter(net: &mut Network, name: &str) -> (Keypair, CampaignKeys) {
    let owner = key(name);
    net.world.party(&owner, Role::Weaver);
    let container = key(&format!("container of {name}")).pubkey().to_bytes();
    let create = CreateContainerArgs {
        id: container,
        name: name.into(),
        beta_bps: 500,
        ceiling_nc: 0,
        uri_hash: [1; 32],
        terms_hash: [2; 32],
        stages: net.stages.clone(),
    };
    let create = market_ix::create_container(net.world.payer.pubkey(), owner.pubkey(), create);
    net.world.must(&[create], &[&owner]);
    let keys = CampaignKeys { owner: owner.pubkey(), role: Role::Weaver, id: 7, container, market: 1 };
    (owner, keys)
}

/// Creates the campaign with an escrow for one day, and gives it a quality.
pub fn start(net: &mut Network, owner: &Keypair, keys: &CampaignKeys, quality_bps: u16) {
    let source = net.world.fund(&owner.pubkey(), 2 * ESCROW);
    let create = keys.create(net.world.payer.pubkey(), source, CAP_NC, 1_000_000, ESCROW);
    net.world.measure("market::create_campaign", "first", create, &[owner]);
    if quality_bps != 10_000 {
        let admin = net.world.admin.insecure_clone();
        let set = keys.set_quality(admin.pubkey(), quality_bps);
        net.world.measure("market::set_quality", "up or down", set, &[&admin]);
    }
}

pub fn set_pause(world: &mut World, on: bool) {
    let admin = world.admin.insecure_clone();
    let built = if on { market_ix::pause } else { market_ix::resume };
    world.must(&[built(admin.pubkey(), pause::PROMOTION)], &[&admin]);
}

/// Asserts that each instruction is refused with its error.
#[track_caller]
pub fn assert_each_refused(world: &mut World, signers: &[&Keypair], cases: Vec<(&str, Instruction, u32)>) {
    for (what, instruction, code) in cases {
        let refused = world.send(&[instruction], signers).expect_err(what);
        assert_eq!(
            refused.code(),
            Some(code),
            "{what}: {:?}\n{}",
            refused.failure.err,
            refused.failure.meta.logs.join("\n")
        );
    }
}

#[test]
fn the_slots_of_the_worked_example_sell_at_its_vcg_prices() {
    let mut fair = Fair::new();
    let bids = [("a", 500_000, 9_000), ("b", 420_000, 11_000), ("c", 300_000, 10_000), ("d", 200_000, 8_000)];
    let mut campaigns = Vec::new();
    for (name, bid_nc, quality) in bids {
        let (owner, keys) = fair.campaign(name, quality);
        let bid = keys.bid(fair.payer(), fair.day, bid_nc);
        let scenario = if name == "a" { "first of a day" } else { "further" };
        let sent = fair.net.world.measure("market::bid_slot", scenario, bid, &[&owner]);
        let [event] = sent.log_events::<SlotBidPlaced>().try_into().ok().unwrap();
        assert_eq!((event.bid_nc, event.quality_bps, event.pace_bps), (bid_nc, quality, 10_000));
        campaigns.push(keys.campaign());
    }
    fair.end_bidding();
    let roll = roll_slots(fair.address());
    let sent = fair.net.world.measure("market::roll_slots", "4 bids, 3 slots", roll.clone(), &[]);
    let [event] = sent.log_events::<SlotsRolled>().try_into().ok().unwrap();
    assert_eq!(event.campaigns, [campaigns[1], campaigns[0], campaigns[2]]);
    assert_eq!(event.prices_nc, [289_091, 255_556, 160_000]);
    let auction = fair.auction();
    assert_eq!(auction.state, AuctionState::Sold);
    let sold: Vec<_> = auction.slots.iter().map(|slot| (slot.campaign, slot.price_nc)).collect();
    assert_eq!(sold, event.campaigns.into_iter().zip(event.prices_nc).collect::<Vec<_>>());
    assert_refused(fair.net.world.send(&[roll], &[]), MarketError::SlotsRolled);
}

#[test]
fn sixteen_bids_fill_an_auction_and_only_a_better_one_gets_in() {
    let mut fair = Fair::new();
    let mut lowest = None;
    for n in 0..16u64 {
        let (owner, keys) = fair.campaign(&format!("promoter {n}"), 10_000);
        fair.bid(&owner, &keys, 100_000 + n).unwrap();
        lowest.get_or_insert_with(|| keys.campaign());
    }
    let (owner, keys) = fair.campaign("late", 10_000);
    assert_refused(fair.bid(&owner, &keys, 100_000), MarketError::AuctionFull);
    let bid = keys.bid(fair.payer(), fair.day, 100_001);
    fair.net.world.measure("market::bid_slot", "17th, takes the lowest's place", bid, &[&owner]);
    let auction = fair.auction();
    assert_eq!(auction.bids.len(), 16);
    assert!(auction.bids.iter().all(|bid| Some(bid.campaign) != lowest));
    fair.end_bidding();
    let roll = roll_slots(fair.address());
    let sent = fair.net.world.measure("market::roll_slots", "16 bids, 3 slots", roll, &[]);
    let [event] = sent.log_events::<SlotsRolled>().try_into().ok().unwrap();
    // Equal qualities: slot 3 pays the fourth bid, and nobody pays more than its own.
    assert_eq!(event.prices_nc[2], 100_012);
    assert!(event.prices_nc.iter().zip([100_015, 100_014, 100_013]).all(|(price, bid)| *price <= bid));
}

#[test]
fn s15_bids_at_the_end_of_their_range_are_sold_without_overflow() {
    let mut fair = Fair::new();
    for (name, bid_nc, quality) in [("a", u64::MAX, 15_000), ("b", u64::MAX - 1, 15_000), ("c", u64::MAX, 5_000)] {
        let (owner, keys) = fair.campaign(name, quality);
        fair.bid(&owner, &keys, bid_nc).unwrap();
    }
    fair.end_bidding();
    fair.net.world.must(&[roll_slots(fair.address())], &[]);
    let prices: Vec<u64> = fair.auction().slots.iter().map(|slot| slot.price_nc).collect();
    let expected = vcg(
        &ALPHA_BPS,
        50_000,
        &[(0, u64::MAX, 15_000), (1, u64::MAX - 1, 15_000), (2, u64::MAX, 5_000)]
            .map(|(id, bid_nc, quality_bps)| Bid { id, bid_nc, quality_bps }),
    );
    assert_eq!(prices, expected.unwrap().iter().map(|slot| slot.price_nc).collect::<Vec<_>>());
}

#[test]
fn pacing_moves_the_bid_once_a_day_with_what_was_charged() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let (payer, day) = (fair.payer(), fair.day);
    let place = |fair: &mut Fair, day| {
        let sent = fair.net.world.must(&[keys.bid(payer, day, 1_000_000)], &[&owner]);
        let [event] = sent.log_events::<SlotBidPlaced>().try_into().ok().unwrap();
        (event.bid_nc, event.pace_bps)
    };
    let charge = |fair: &mut Fair, spent_nc| {
        let mut campaign: Campaign = fair.net.world.read(&keys.campaign());
        (campaign.spent_nc, campaign.paced_spend_nc) = (spent_nc, spent_nc);
        let mut data = Vec::new();
        campaign.try_serialize(&mut data).unwrap();
        fair.net.world.put(keys.campaign(), market::ID, data);
    };
    // The target is 1,000,000 nc a day.
    assert_eq!(place(&mut fair, day), (1_000_000, 10_000));
    charge(&mut fair, 1_600_000);
    assert_eq!(place(&mut fair, day), (1_000_000, 10_000), "the same day again");
    assert_eq!(place(&mut fair, day + 1), (880_000, 8_800));
    assert_eq!(place(&mut fair, day + 2), (1_000_000, 10_000), "nothing spent: up again, at most to the bid");
}

#[test]
fn a_campaign_holds_its_own_money_and_takes_more() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.promoter("a");
    let source = fair.net.world.fund(&owner.pubkey(), 3 * ESCROW);
    let create = keys.create(fair.payer(), source, CAP_NC, 1_000_000, ESCROW);
    let sent = fair.net.world.must(&[create], &[&owner]);
    let [event] = sent.cpi_events::<CampaignCreated>().try_into().ok().unwrap();
    assert_eq!((event.account, event.amount, event.seq), (keys.campaign(), ESCROW, 1));
    assert_eq!(fair.net.world.balance(&keys.escrow()), ESCROW);
    let sent = fair.net.world.measure("market::top_up_campaign", "own tokens", keys.top_up(source, ESCROW), &[&owner]);
    let [event] = sent.cpi_events::<CampaignToppedUp>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.escrow_aic, event.seq), (ESCROW, 2 * ESCROW, 2));
    assert_eq!((fair.net.world.balance(&source), fair.net.world.balance(&keys.escrow())), (ESCROW, 2 * ESCROW));
    let campaign: Campaign = fair.net.world.read(&keys.campaign());
    assert_eq!((campaign.state, campaign.quality_bps, campaign.pace_bps), (CampaignState::Active, 10_000, 10_000));
}

#[test]
fn a_campaign_is_created_by_a_staked_owner_for_a_container_of_the_market() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.promoter("a");
    let (thief, theirs) = fair.promoter("thief");
    let source = fair.net.world.fund(&owner.pubkey(), 2 * ESCROW);
    let others = fair.net.world.fund(&thief.pubkey(), ESCROW);
    let (foreign_mint, foreign) = fair.net.world.foreign_token_account(&owner.pubkey(), ESCROW);
    let payer = fair.payer();
    let create = keys.create(payer, source, CAP_NC, 1_000_000, ESCROW);
    let fake_party = fair.net.world.forge(&keys.party(), Some(spl_token::ID));
    let fake_config = fair.net.world.forge(&seeds::find_config().0, None);
    let fake_container = fair.net.world.forge(&seeds::find_container(&keys.container).0, Some(spl_token::ID));
    let elsewhere = CampaignKeys { market: 2, ..keys };
    let budget = |cap, target| keys.create(payer, source, cap, target, ESCROW);
    let cases = vec![
        ("another's party", swap(create.clone(), keys.party(), theirs.party()), MarketError::Unauthorized.into()),
        (
            "a party of another program",
            swap(create.clone(), keys.party(), fake_party),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "a party that is a market",
            swap(create.clone(), keys.party(), seeds::find_market(1).0),
            ErrorCode::AccountDiscriminatorMismatch.into(),
        ),
        (
            "a copied configuration",
            swap(create.clone(), seeds::find_config().0, fake_config),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "a container of another program",
            swap(create.clone(), seeds::find_container(&keys.container).0, fake_container),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        ("another mint", swap(create.clone(), coin::seeds::find_mint().0, foreign_mint), MarketError::WrongMint.into()),
        ("a source of another mint", swap(create.clone(), source, foreign), MarketError::WrongMint.into()),
        ("a source of another owner", swap(create.clone(), source, others), MarketError::WrongTokenOwner.into()),
        (
            "another campaign's address",
            swap(create.clone(), keys.campaign(), theirs.campaign()),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "another escrow's address",
            swap(create.clone(), keys.escrow(), theirs.escrow()),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "a market the container does not buy in",
            elsewhere.create(payer, source, CAP_NC, 1_000_000, ESCROW),
            MarketError::NotInMarket.into(),
        ),
        ("a target above the cap", budget(CAP_NC, CAP_NC + 1), MarketError::BadBudget.into()),
        ("a target below the reserve", budget(CAP_NC, 49_999), MarketError::BadBudget.into()),
        ("no money", keys.create(payer, source, CAP_NC, 1_000_000, 0), MarketError::ZeroAmount.into()),
        ("an owner that does not sign", unsigned(create.clone(), keys.owner), ErrorCode::AccountNotSigner.into()),
        (
            "the system program for the token program",
            swap(create.clone(), spl_token::ID, anchor_lang::system_program::ID),
            ErrorCode::InvalidProgramId.into(),
        ),
    ];
    assert_each_refused(&mut fair.net.world, &[&owner], cases);
    set_pause(&mut fair.net.world, true);
    assert_refused(fair.net.world.send(std::slice::from_ref(&create), &[&owner]), MarketError::Paused);
    set_pause(&mut fair.net.world, false);
    fair.net.world.must(std::slice::from_ref(&create), &[&owner]);
    assert!(fair.net.world.send(&[create], &[&owner]).is_err(), "the address is taken");
    // Without stake nobody promotes anything, nor anything that is retired.
    let next = CampaignKeys { id: 8, ..keys };
    let again = next.create(payer, source, CAP_NC, 1_000_000, 1);
    fair.net.world.must(&[market_ix::begin_unstake(keys.owner, Role::Weaver, 1)], &[&owner]);
    assert_refused(fair.net.world.send(std::slice::from_ref(&again), &[&owner]), MarketError::BelowMinimumStake);
    fair.net.world.must(&[market_ix::add_stake(keys.owner, Role::Weaver, source, 1)], &[&owner]);
    fair.net.world.must(&[market_ix::retire_container(keys.owner, keys.container, 1)], &[&owner]);
    assert_refused(fair.net.world.send(&[again], &[&owner]), MarketError::ContainerRetired);
}

#[test]
fn only_the_owner_tops_up_and_only_with_its_own_aic() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let (thief, theirs) = fair.campaign("thief", 10_000);
    let source = fair.net.world.aic_account(&owner.pubkey());
    let others = fair.net.world.aic_account(&thief.pubkey());
    let (foreign_mint, foreign) = fair.net.world.foreign_token_account(&owner.pubkey(), ESCROW);
    let top_up = keys.top_up(source, AIC / 1_000);
    let forged = fair.net.world.forge(&keys.campaign(), Some(spl_token::ID));
    let cases = vec![
        (
            "another's campaign",
            swap(top_up.clone(), keys.campaign(), theirs.campaign()),
            MarketError::Unauthorized.into(),
        ),
        (
            "a campaign of another program",
            swap(top_up.clone(), keys.campaign(), forged),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "a campaign that is not writable",
            read_only(top_up.clone(), keys.campaign()),
            ErrorCode::ConstraintMut.into(),
        ),
        ("another's escrow", swap(top_up.clone(), keys.escrow(), theirs.escrow()), ErrorCode::ConstraintSeeds.into()),
        ("another mint", swap(top_up.clone(), coin::seeds::find_mint().0, foreign_mint), MarketError::WrongMint.into()),
        ("a source of another mint", swap(top_up.clone(), source, foreign), MarketError::WrongMint.into()),
        ("a source of another owner", swap(top_up.clone(), source, others), MarketError::WrongTokenOwner.into()),
        ("nothing", keys.top_up(source, 0), MarketError::ZeroAmount.into()),
        ("an owner that does not sign", unsigned(top_up.clone(), keys.owner), ErrorCode::AccountNotSigner.into()),
    ];
    assert_each_refused(&mut fair.net.world, &[&owner], cases);
    set_pause(&mut fair.net.world, true);
    assert_refused(fair.net.world.send(std::slice::from_ref(&top_up), &[&owner]), MarketError::Paused);
    set_pause(&mut fair.net.world, false);
    fair.net.world.must(&[keys.close()], &[&owner]);
    assert_refused(fair.net.world.send(&[top_up], &[&owner]), MarketError::CampaignClosing);
}

#[test]
fn only_the_params_authority_says_what_quality_a_campaign_has() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let admin = fair.net.world.admin.insecure_clone();
    let set = keys.set_quality(admin.pubkey(), 12_000);
    let mine = keys.set_quality(owner.pubkey(), 15_000);
    assert_refused(fair.net.world.send(&[mine], &[&owner]), MarketError::Unauthorized);
    assert_refused(fair.net.world.send(&[unsigned(set.clone(), admin.pubkey())], &[]), ErrorCode::AccountNotSigner);
    for bad in [4_999, 15_001] {
        let set = keys.set_quality(admin.pubkey(), bad);
        assert_refused(fair.net.world.send(&[set], &[&admin]), MarketError::BadQuality);
    }
    let forged = fair.net.world.forge(&keys.campaign(), Some(spl_token::ID));
    let other = swap(set.clone(), keys.campaign(), forged);
    assert_refused(fair.net.world.send(&[other], &[&admin]), ErrorCode::AccountOwnedByWrongProgram);
    set_pause(&mut fair.net.world, true);
    assert_refused(fair.net.world.send(std::slice::from_ref(&set), &[&admin]), MarketError::Paused);
    set_pause(&mut fair.net.world, false);
    fair.bid(&owner, &keys, 100_000).unwrap();
    let sent = fair.net.world.must(&[set], &[&admin]);
    let [event] = sent.log_events::<QualitySet>().try_into().ok().unwrap();
    assert_eq!((event.old_bps, event.quality_bps), (10_000, 12_000));
    assert_eq!(fair.auction().bids[0].quality_bps, 10_000, "a bid that stands keeps its quality");
}

#[test]
fn bids_are_taken_for_the_next_seven_days_until_an_epoch_before_each() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let payer = fair.payer();
    let today = fair.day - 1;
    for (day, open) in [(today - 1, false), (today, false), (today + 1, true), (today + 7, true), (today + 8, false)] {
        let sent = fair.net.world.send(&[keys.bid(payer, day, 100_000)], &[&owner]);
        if open {
            sent.unwrap();
        } else {
            assert_refused(sent, MarketError::BiddingClosed);
        }
    }
    let ends = i64::from(fair.day) * DAY - HOUR;
    fair.net.world.set_time(ends - 1);
    fair.bid(&owner, &keys, 110_000).unwrap();
    assert_refused(fair.net.world.send(&[roll_slots(fair.address())], &[]), MarketError::NotRollable);
    fair.net.world.set_time(ends);
    assert_refused(fair.bid(&owner, &keys, 120_000), MarketError::BiddingClosed);
    fair.net.world.must(&[roll_slots(fair.address())], &[]);
    let auction = fair.auction();
    assert_eq!(auction.bids.len(), 1, "a later bid replaces the former");
    assert_eq!(auction.bids[0].bid_nc, 110_000);
    assert_eq!(auction.slots[0].price_nc, 50_000, "alone, it pays the reserve");
}

#[test]
fn a_day_that_is_over_is_not_sold() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    fair.bid(&owner, &keys, 110_000).unwrap();
    fair.net.world.set_time(i64::from(fair.day + 1) * DAY);
    assert_refused(fair.net.world.send(&[roll_slots(fair.address())], &[]), MarketError::NotRollable);
}

#[test]
fn a_bid_needs_stake_money_and_a_container_that_works() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let (thief, theirs) = fair.campaign("thief", 10_000);
    let payer = fair.payer();
    let world = &mut fair.net.world;
    let bid = keys.bid(payer, fair.day, 100_000);
    let container = |keys: &CampaignKeys| seeds::find_container(&keys.container).0;
    let forged = world.forge(&keys.campaign(), Some(spl_token::ID));
    let fake_rate = world.forge(&coin::seeds::find_rate().0, Some(spl_token::ID));
    let fake_config = world.forge(&seeds::find_config().0, None);
    let cases = vec![
        ("another's party", swap(bid.clone(), keys.party(), theirs.party()), MarketError::Unauthorized.into()),
        ("another's campaign", swap(bid.clone(), keys.campaign(), theirs.campaign()), MarketError::Unauthorized.into()),
        (
            "a campaign of another program",
            swap(bid.clone(), keys.campaign(), forged),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        ("another's escrow", swap(bid.clone(), keys.escrow(), theirs.escrow()), ErrorCode::ConstraintSeeds.into()),
        (
            "another container",
            swap(bid.clone(), container(&keys), container(&theirs)),
            MarketError::WrongAccount.into(),
        ),
        (
            "an auction of another day",
            swap(bid.clone(), keys.auction(fair.day), keys.auction(fair.day + 1)),
            ErrorCode::ConstraintSeeds.into(),
        ),
        (
            "a rate of another program",
            swap(bid.clone(), coin::seeds::find_rate().0, fake_rate),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "a copied configuration",
            swap(bid.clone(), seeds::find_config().0, fake_config),
            ErrorCode::ConstraintSeeds.into(),
        ),
        ("a bid below the reserve", keys.bid(payer, fair.day, 49_999), MarketError::BidBelowReserve.into()),
        ("an owner that does not sign", unsigned(bid.clone(), keys.owner), ErrorCode::AccountNotSigner.into()),
    ];
    assert_each_refused(world, &[&owner], cases);
    set_pause(world, true);
    assert_refused(world.send(std::slice::from_ref(&bid), &[&owner]), MarketError::Paused);
    set_pause(world, false);

    // A stale rate says nothing about the escrow.
    let then = world.now();
    world.advance(3 * DAY);
    let later = keys.bid(payer, fair.day + 4, 100_000);
    assert_refused(world.send(std::slice::from_ref(&later), &[&owner]), coin::error::CoinError::RateStale);
    world.set_time(then);

    let poor = CampaignKeys { id: 8, ..keys };
    let source = world.aic_account(&keys.owner);
    world.must(&[poor.create(payer, source, CAP_NC, 1_000_000, ESCROW - 1)], &[&owner]);
    let poor_bid = poor.bid(payer, fair.day, 100_000);
    assert_refused(world.send(std::slice::from_ref(&poor_bid), &[&owner]), MarketError::EscrowTooSmall);
    world.must(&[poor.top_up(source, 1), poor_bid.clone()], &[&owner]);
    // Two campaigns for one container would make it unclear which of them an event belongs to.
    assert_refused(world.send(std::slice::from_ref(&bid), &[&owner]), MarketError::ContainerHasBid);

    world.fund(&keys.owner, 1);
    world.must(&[market_ix::begin_unstake(keys.owner, Role::Weaver, 1)], &[&owner]);
    assert_refused(world.send(std::slice::from_ref(&poor_bid), &[&owner]), MarketError::BelowMinimumStake);
    world.must(&[market_ix::add_stake(keys.owner, Role::Weaver, source, 1)], &[&owner]);
    world.must(&[market_ix::retire_container(keys.owner, keys.container, 1)], &[&owner]);
    assert_refused(world.send(&[poor_bid], &[&owner]), MarketError::ContainerRetired);
    let _ = thief;
}

#[test]
fn rolling_checks_the_accounts_it_is_given() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    fair.bid(&owner, &keys, 100_000).unwrap();
    fair.end_bidding();
    let address = fair.address();
    let world = &mut fair.net.world;
    let roll = roll_slots(address);
    let fake = world.forge(&address, Some(spl_token::ID));
    let fake_config = world.forge(&seeds::find_config().0, None);
    let cases = vec![
        (
            "an auction of another program",
            swap(roll.clone(), address, fake),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        ("a campaign", swap(roll.clone(), address, keys.campaign()), ErrorCode::AccountDiscriminatorMismatch.into()),
        ("an auction that is not writable", read_only(roll.clone(), address), ErrorCode::ConstraintMut.into()),
        (
            "a copied configuration",
            swap(roll.clone(), seeds::find_config().0, fake_config),
            ErrorCode::ConstraintSeeds.into(),
        ),
    ];
    assert_each_refused(world, &[], cases);
    set_pause(world, true);
    assert_refused(world.send(&[roll], &[]), MarketError::Paused);
}

#[test]
fn only_the_settlement_program_charges() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    fair.bid(&owner, &keys, 100_000).unwrap();
    fair.end_bidding();
    fair.net.world.must(&[roll_slots(fair.address())], &[]);
    let mallory = key("mallory");
    let mine = fair.net.world.aic_account(&mallory.pubkey());
    let other = fair.net.world.aic_account(&keys.owner);
    let charge = keys.charge(mallory.pubkey(), fair.day, mine, other);
    assert_refused(fair.net.world.send(&[charge], &[&mallory]), MarketError::Unauthorized);
    let twice = keys.charge(mallory.pubkey(), fair.day, mine, mine);
    assert_refused(fair.net.world.send(&[twice], &[&mallory]), ErrorCode::ConstraintDuplicateMutableAccount);
    let slasher = settlement::seeds::find_slasher().0;
    let charge = unsigned(keys.charge(slasher, fair.day, mine, other), slasher);
    assert_refused(fair.net.world.send(&[charge], &[]), ErrorCode::AccountNotSigner);
}

#[test]
fn what_is_not_spent_goes_back_when_nothing_can_be_charged_any_more() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let (thief, theirs) = fair.campaign("thief", 10_000);
    let (payer, day) = (fair.payer(), fair.day);
    fair.bid(&owner, &keys, 100_000).unwrap();
    let world = &mut fair.net.world;
    let wallet = world.aic_account(&keys.owner);
    let withdraw = keys.withdraw(wallet, payer);
    assert_refused(world.send(std::slice::from_ref(&withdraw), &[]), MarketError::CampaignOpen);

    assert_refused(
        world.send(&[swap(keys.close(), keys.campaign(), theirs.campaign())], &[&owner]),
        MarketError::Unauthorized,
    );
    assert_refused(world.send(&[unsigned(keys.close(), keys.owner)], &[]), ErrorCode::AccountNotSigner);
    set_pause(world, true);
    let sent = world.measure("market::close_campaign", "with a bid", keys.close(), &[&owner]);
    let [event] = sent.log_events::<CampaignClosed>().try_into().ok().unwrap();
    // Two days after the end of the day it bid for.
    let over_at = i64::from(day + 3) * DAY;
    assert_eq!(event.over_at, over_at);
    assert_refused(world.send(&[keys.close()], &[&owner]), MarketError::CampaignClosing);
    assert_refused(world.send(&[keys.bid(payer, day, 200_000)], &[&owner]), MarketError::Paused);
    set_pause(world, false);
    assert_refused(world.send(&[keys.bid(payer, day, 200_000)], &[&owner]), MarketError::CampaignClosing);

    world.set_time(over_at - 1);
    assert_refused(world.send(std::slice::from_ref(&withdraw), &[]), MarketError::CampaignNotOver);
    world.set_time(over_at);
    set_pause(world, true);
    assert_refused(world.send(std::slice::from_ref(&withdraw), &[]), MarketError::Paused);
    set_pause(world, false);
    let stolen = world.aic_account(&thief.pubkey());
    let (foreign_mint, foreign) = world.foreign_token_account(&keys.owner, 1);
    let cases = vec![
        ("another's destination", swap(withdraw.clone(), wallet, stolen), MarketError::WrongTokenOwner.into()),
        ("a destination of another mint", swap(withdraw.clone(), wallet, foreign), MarketError::WrongMint.into()),
        (
            "another mint",
            swap(withdraw.clone(), coin::seeds::find_mint().0, foreign_mint),
            MarketError::WrongMint.into(),
        ),
        ("another's escrow", swap(withdraw.clone(), keys.escrow(), theirs.escrow()), ErrorCode::ConstraintSeeds.into()),
        ("another rent payer", swap(withdraw.clone(), payer, thief.pubkey()), MarketError::WrongAccount.into()),
    ];
    assert_each_refused(world, &[], cases);
    let before = world.balance(&wallet);
    let rents = world.svm.get_balance(&keys.campaign()).unwrap() + world.svm.get_balance(&keys.escrow()).unwrap();
    let lamports = world.svm.get_balance(&payer).unwrap();
    let sent = world.measure("market::withdraw_campaign", "all of it", withdraw.clone(), &[]);
    let [event] = sent.cpi_events::<CampaignWithdrawn>().try_into().ok().unwrap();
    assert_eq!((event.amount, event.owner), (ESCROW, keys.owner));
    assert_eq!(world.balance(&wallet) - before, ESCROW);
    assert_eq!(world.svm.get_balance(&payer).unwrap() + 5_000 - lamports, rents);
    assert!(!world.exists(&keys.campaign()) && !world.exists(&keys.escrow()));
    assert_refused(world.send(&[withdraw], &[]), ErrorCode::AccountNotInitialized);
}

#[test]
fn a_campaign_that_never_bid_waits_a_day() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    let payer = fair.payer();
    let world = &mut fair.net.world;
    let wallet = world.aic_account(&keys.owner);
    world.must(&[keys.close()], &[&owner]);
    world.advance(DAY - 1);
    assert_refused(world.send(&[keys.withdraw(wallet, payer)], &[]), MarketError::CampaignNotOver);
    world.advance(1);
    world.must(&[keys.withdraw(wallet, payer)], &[]);
}

#[test]
fn s11_an_auctions_rent_returns_when_its_day_can_no_longer_be_charged() {
    let mut fair = Fair::new();
    let (owner, keys) = fair.campaign("a", 10_000);
    fair.bid(&owner, &keys, 100_000).unwrap();
    let (address, payer) = (fair.address(), fair.payer());
    let world = &mut fair.net.world;
    let close = close_slot_auction(address, payer);
    world.set_time(i64::from(fair.day + 3) * DAY - 1);
    assert_refused(world.send(std::slice::from_ref(&close), &[]), MarketError::AuctionLive);
    world.advance(1);
    assert_refused(world.send(&[swap(close.clone(), payer, owner.pubkey())], &[]), MarketError::WrongAccount);
    let rent = world.svm.get_balance(&address).unwrap();
    let before = world.svm.get_balance(&payer).unwrap();
    world.measure("market::close_slot_auction", "after the charges", close, &[]);
    assert_eq!(world.svm.get_balance(&payer).unwrap() + 5_000 - before, rent);
    assert!(!world.exists(&address));
    // It cannot come back: its day is past.
    world.refresh_rate();
    assert_refused(world.send(&[keys.bid(payer, fair.day, 100_000)], &[&owner]), MarketError::BiddingClosed);
}

#[test]
fn sizes_of_the_promotion_accounts() {
    assert_eq!(8 + Campaign::INIT_SPACE, 260);
    assert_eq!(8 + SlotAuction::INIT_SPACE, 1_479);
}
