//! Instructions of promotion: campaigns and slot auctions in the market program, events in the settlement program.

use super::{SYSTEM, TOKEN, aic_account, build, event_authority};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::{
    accounts, instruction,
    instructions::{BidSlotArgs, CreateCampaignArgs, SetQualityArgs, TopUpCampaignArgs},
    seeds,
    state::{Campaign, Role},
};
use settlement::{instructions::ProveEventArgs, seeds as settlement_seeds, state::PromoEvent};

fn config() -> Pubkey {
    seeds::find_config().0
}
fn mint() -> Pubkey {
    ::coin::seeds::find_mint().0
}

/// The auction of a market, named by its id, on a day.
#[must_use]
pub fn auction(market: u32, day: u32) -> Pubkey {
    seeds::find_slot_auction(&seeds::find_market(market).0, day).0
}

/// Creates a campaign with AIC of the owner's account. `role` is that of the owner's party.
pub fn create_campaign(
    payer: Pubkey,
    owner: Pubkey,
    role: Role,
    container: &[u8; 32],
    args: CreateCampaignArgs,
) -> Instruction {
    let campaign = seeds::find_campaign(&owner, args.id).0;
    let accounts = accounts::CreateCampaign {
        payer,
        owner,
        config: config(),
        mint: mint(),
        party: seeds::find_party(&owner, role).0,
        container: seeds::find_container(container).0,
        campaign,
        escrow: seeds::find_escrow(&campaign).0,
        source: aic_account(&owner),
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&market::ID),
        program: market::ID,
    };
    build(market::ID, &accounts, &instruction::CreateCampaign { args })
}

/// Moves AIC base units of the owner into a campaign's escrow.
pub fn top_up_campaign(owner: Pubkey, id: u32, amount: u64) -> Instruction {
    let campaign = seeds::find_campaign(&owner, id).0;
    let accounts = accounts::TopUpCampaign {
        owner,
        config: config(),
        mint: mint(),
        campaign,
        escrow: seeds::find_escrow(&campaign).0,
        source: aic_account(&owner),
        token_program: TOKEN,
        event_authority: event_authority(&market::ID),
        program: market::ID,
    };
    build(market::ID, &accounts, &instruction::TopUpCampaign { args: TopUpCampaignArgs { amount } })
}

/// Sets a campaign's measured quality, 5,000 to 15,000 bps. Signed by the params authority.
pub fn set_quality(authority: Pubkey, campaign: Pubkey, quality_bps: u16) -> Instruction {
    let accounts = accounts::SetQuality { authority, config: config(), campaign };
    build(market::ID, &accounts, &instruction::SetQuality { args: SetQualityArgs { quality_bps } })
}

/// Bids for the slots of a day, a pricing epoch. `bid_nc` is per event.
pub fn bid_slot(payer: Pubkey, campaign: &Campaign, role: Role, day: u32, bid_nc: u64) -> Instruction {
    let address = seeds::find_campaign(&campaign.owner, campaign.id).0;
    let accounts = accounts::BidSlot {
        payer,
        owner: campaign.owner,
        config: config(),
        rate: ::coin::seeds::find_rate().0,
        party: seeds::find_party(&campaign.owner, role).0,
        campaign: address,
        escrow: seeds::find_escrow(&address).0,
        container: seeds::find_container(&campaign.container).0,
        market: seeds::find_market(campaign.market).0,
        auction: auction(campaign.market, day),
        system_program: SYSTEM,
    };
    build(market::ID, &accounts, &instruction::BidSlot { args: BidSlotArgs { day, bid_nc } })
}

/// Sells the slots of a market and day. Anyone, once bidding has ended.
pub fn roll_slots(market: u32, day: u32) -> Instruction {
    let accounts = accounts::RollSlots { config: config(), auction: auction(market, day) };
    build(market::ID, &accounts, &instruction::RollSlots {})
}

/// Frees the rent of an auction whose day can no longer be charged. Anyone.
pub fn close_slot_auction(market: u32, day: u32, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseSlotAuction { config: config(), auction: auction(market, day), rent_payer };
    build(market::ID, &accounts, &instruction::CloseSlotAuction {})
}

/// Ends a campaign's bidding.
pub fn close_campaign(owner: Pubkey, id: u32) -> Instruction {
    let accounts = accounts::CloseCampaign { owner, config: config(), campaign: seeds::find_campaign(&owner, id).0 };
    build(market::ID, &accounts, &instruction::CloseCampaign {})
}

/// Pays what a closed campaign did not spend to its owner's AIC account. Anyone.
pub fn withdraw_campaign(campaign: &Campaign) -> Instruction {
    let address = seeds::find_campaign(&campaign.owner, campaign.id).0;
    let accounts = accounts::WithdrawCampaign {
        config: config(),
        mint: mint(),
        campaign: address,
        escrow: seeds::find_escrow(&address).0,
        destination: aic_account(&campaign.owner),
        rent_payer: campaign.rent_payer,
        token_program: TOKEN,
        event_authority: event_authority(&market::ID),
        program: market::ID,
    };
    build(market::ID, &accounts, &instruction::WithdrawCampaign {})
}

/// What a proof of an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKeys {
    /// The batch that commits to the receipt.
    pub batch: Pubkey,
    /// The consumer's channel, and the consumer.
    pub channel: Pubkey,
    pub consumer: Pubkey,
    /// The campaign, and the auction in which it won the slot.
    pub campaign: Pubkey,
    pub auction: Pubkey,
}

/// Shows that a consumer's first paid request came through a campaign's slot. Anyone.
pub fn prove_event(payer: Pubkey, keys: &EventKeys, args: ProveEventArgs) -> Instruction {
    let accounts = settlement::accounts::ProveEvent {
        payer,
        config: settlement_seeds::find_config().0,
        batch: keys.batch,
        channel: keys.channel,
        campaign: keys.campaign,
        auction: keys.auction,
        event: settlement_seeds::find_promo_event(&keys.campaign, &keys.consumer).0,
        system_program: SYSTEM,
    };
    build(settlement::ID, &accounts, &settlement::instruction::ProveEvent { args })
}

/// Lets a campaign pay for a proven event: the rebate to `rebate`, the display's part to the earnings of `payee`, the
/// active curator or else the gateway. Anyone.
pub fn settle_promo(event: &PromoEvent, rebate: Pubkey, payee: &Pubkey) -> Instruction {
    // Without a referrer the program reads no party, and any account will do.
    let curator = if event.referrer == Pubkey::default() {
        config()
    } else {
        seeds::find_party(&event.referrer, Role::Curator).0
    };
    let accounts = settlement::accounts::SettlePromo {
        config: settlement_seeds::find_config().0,
        event: settlement_seeds::find_promo_event(&event.campaign, &event.consumer).0,
        campaign: event.campaign,
        auction: event.auction,
        escrow: seeds::find_escrow(&event.campaign).0,
        rebate,
        display: settlement_seeds::find_earnings(payee, &mint()).0,
        curator,
        pool: settlement_seeds::find_pool(&mint()).0,
        mint: mint(),
        rate: ::coin::seeds::find_rate().0,
        market_config: config(),
        slasher: settlement_seeds::find_slasher().0,
        token_program: TOKEN,
        market_program: market::ID,
        market_events: event_authority(&market::ID),
        event_authority: event_authority(&settlement::ID),
        program: settlement::ID,
    };
    build(settlement::ID, &accounts, &settlement::instruction::SettlePromo {})
}

/// Frees the rent of an event whose campaign is gone. Anyone.
pub fn close_event(event: &PromoEvent) -> Instruction {
    let accounts = settlement::accounts::CloseEvent {
        event: settlement_seeds::find_promo_event(&event.campaign, &event.consumer).0,
        campaign: event.campaign,
        rent_payer: event.rent_payer,
    };
    build(settlement::ID, &accounts, &settlement::instruction::CloseEvent {})
}
