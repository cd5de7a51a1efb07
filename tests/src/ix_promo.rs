//! Instructions of promotion, of the market and of the settlement program.

use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use anchor_spl::token::spl_token;
use market::{
    accounts, instruction as data,
    instructions::{BidSlotArgs, CreateCampaignArgs, SetQualityArgs, TopUpCampaignArgs},
    seeds,
    state::Role,
};
use settlement::seeds as settlement_seeds;

use crate::{ix::instruction, world::event_authority};

const SYSTEM: Pubkey = anchor_lang::system_program::ID;
const TOKEN: Pubkey = spl_token::ID;

fn config() -> Pubkey {
    seeds::find_config().0
}
fn mint() -> Pubkey {
    coin::seeds::find_mint().0
}

/// A campaign as its instructions need it.
#[derive(Clone, Copy, Debug)]
pub struct CampaignKeys {
    /// Its owner.
    pub owner: Pubkey,
    /// The role of the owner's party.
    pub role: Role,
    /// The owner's number for it.
    pub id: u32,
    /// The container it promotes.
    pub container: [u8; 32],
    /// The market it bids in.
    pub market: u32,
}

impl CampaignKeys {
    /// The campaign's address.
    #[must_use]
    pub fn campaign(&self) -> Pubkey {
        seeds::find_campaign(&self.owner, self.id).0
    }

    /// Its escrow.
    #[must_use]
    pub fn escrow(&self) -> Pubkey {
        seeds::find_escrow(&self.campaign()).0
    }

    /// The party that answers for it.
    #[must_use]
    pub fn party(&self) -> Pubkey {
        seeds::find_party(&self.owner, self.role).0
    }

    /// The auction of its market on a day.
    #[must_use]
    pub fn auction(&self, day: u32) -> Pubkey {
        seeds::find_slot_auction(&seeds::find_market(self.market).0, day).0
    }

    /// Creates it with the tokens of `source`.
    #[must_use]
    pub fn create(&self, payer: Pubkey, source: Pubkey, cap_nc: u64, target_nc: u64, amount: u64) -> Instruction {
        instruction(
            market::ID,
            &accounts::CreateCampaign {
                payer,
                owner: self.owner,
                config: config(),
                mint: mint(),
                party: self.party(),
                container: seeds::find_container(&self.container).0,
                campaign: self.campaign(),
                escrow: self.escrow(),
                source,
                token_program: TOKEN,
                system_program: SYSTEM,
                event_authority: event_authority(&market::ID),
                program: market::ID,
            },
            &data::CreateCampaign {
                args: CreateCampaignArgs {
                    id: self.id,
                    market: self.market,
                    daily_cap_nc: cap_nc,
                    daily_target_nc: target_nc,
                    amount,
                },
            },
        )
    }

    /// Tops its escrow up from `source`.
    #[must_use]
    pub fn top_up(&self, source: Pubkey, amount: u64) -> Instruction {
        instruction(
            market::ID,
            &accounts::TopUpCampaign {
                owner: self.owner,
                config: config(),
                mint: mint(),
                campaign: self.campaign(),
                escrow: self.escrow(),
                source,
                token_program: TOKEN,
                event_authority: event_authority(&market::ID),
                program: market::ID,
            },
            &data::TopUpCampaign { args: TopUpCampaignArgs { amount } },
        )
    }

    /// Sets its quality.
    #[must_use]
    pub fn set_quality(&self, authority: Pubkey, quality_bps: u16) -> Instruction {
        instruction(
            market::ID,
            &accounts::SetQuality { authority, config: config(), campaign: self.campaign() },
            &data::SetQuality { args: SetQualityArgs { quality_bps } },
        )
    }

    /// Bids for a day.
    #[must_use]
    pub fn bid(&self, payer: Pubkey, day: u32, bid_nc: u64) -> Instruction {
        instruction(
            market::ID,
            &accounts::BidSlot {
                payer,
                owner: self.owner,
                config: config(),
                rate: coin::seeds::find_rate().0,
                party: self.party(),
                campaign: self.campaign(),
                escrow: self.escrow(),
                container: seeds::find_container(&self.container).0,
                market: seeds::find_market(self.market).0,
                auction: self.auction(day),
                system_program: SYSTEM,
            },
            &data::BidSlot { args: BidSlotArgs { day, bid_nc } },
        )
    }

    /// Ends its bidding.
    #[must_use]
    pub fn close(&self) -> Instruction {
        instruction(
            market::ID,
            &accounts::CloseCampaign { owner: self.owner, config: config(), campaign: self.campaign() },
            &data::CloseCampaign {},
        )
    }

    /// Pays what is left to `destination`.
    #[must_use]
    pub fn withdraw(&self, destination: Pubkey, rent_payer: Pubkey) -> Instruction {
        instruction(
            market::ID,
            &accounts::WithdrawCampaign {
                config: config(),
                mint: mint(),
                campaign: self.campaign(),
                escrow: self.escrow(),
                destination,
                rent_payer,
                token_program: TOKEN,
                event_authority: event_authority(&market::ID),
                program: market::ID,
            },
            &data::WithdrawCampaign {},
        )
    }

    /// Charges an event directly, as only the settlement program may.
    #[must_use]
    pub fn charge(&self, slasher: Pubkey, day: u32, rebate: Pubkey, display: Pubkey) -> Instruction {
        instruction(
            market::ID,
            &accounts::ChargePromo {
                slasher,
                config: config(),
                rate: coin::seeds::find_rate().0,
                mint: mint(),
                campaign: self.campaign(),
                escrow: self.escrow(),
                auction: self.auction(day),
                rebate,
                display,
                token_program: TOKEN,
                event_authority: event_authority(&market::ID),
                program: market::ID,
            },
            &data::ChargePromo {},
        )
    }
}

/// Sells the slots of an auction.
#[must_use]
pub fn roll_slots(auction: Pubkey) -> Instruction {
    instruction(market::ID, &accounts::RollSlots { config: config(), auction }, &data::RollSlots {})
}

/// Frees an auction's rent.
#[must_use]
pub fn close_slot_auction(auction: Pubkey, rent_payer: Pubkey) -> Instruction {
    instruction(
        market::ID,
        &accounts::CloseSlotAuction { config: config(), auction, rent_payer },
        &data::CloseSlotAuction {},
    )
}

/// Shows a receipt of `batch` and `channel` to be an event of a campaign.
#[must_use]
pub fn prove_event(
    payer: Pubkey,
    batch: Pubkey,
    channel: Pubkey,
    consumer: Pubkey,
    campaign: Pubkey,
    auction: Pubkey,
    args: settlement::instructions::ProveEventArgs,
) -> Instruction {
    instruction(
        settlement::ID,
        &settlement::accounts::ProveEvent {
            payer,
            config: settlement_seeds::find_config().0,
            batch,
            channel,
            campaign,
            auction,
            event: settlement_seeds::find_promo_event(&campaign, &consumer).0,
            system_program: SYSTEM,
        },
        &settlement::instruction::ProveEvent { args },
    )
}

/// Lets a campaign pay for the event of a consumer. `payee` is the gateway or the active curator.
#[must_use]
pub fn settle_promo(
    campaign: Pubkey,
    auction: Pubkey,
    consumer: Pubkey,
    rebate: Pubkey,
    payee: Pubkey,
    referrer: Option<Pubkey>,
) -> Instruction {
    let curator = referrer.map_or_else(config, |referrer| seeds::find_party(&referrer, Role::Curator).0);
    instruction(
        settlement::ID,
        &settlement::accounts::SettlePromo {
            config: settlement_seeds::find_config().0,
            event: settlement_seeds::find_promo_event(&campaign, &consumer).0,
            campaign,
            auction,
            escrow: seeds::find_escrow(&campaign).0,
            rebate,
            display: settlement_seeds::find_earnings(&payee, &mint()).0,
            curator,
            pool: settlement_seeds::find_pool(&mint()).0,
            mint: mint(),
            rate: coin::seeds::find_rate().0,
            market_config: config(),
            slasher: settlement_seeds::find_slasher().0,
            token_program: TOKEN,
            market_program: market::ID,
            market_events: event_authority(&market::ID),
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        },
        &settlement::instruction::SettlePromo {},
    )
}

/// Frees the rent of an event whose campaign is gone.
#[must_use]
pub fn close_event(campaign: Pubkey, consumer: Pubkey, rent_payer: Pubkey) -> Instruction {
    let event = settlement_seeds::find_promo_event(&campaign, &consumer).0;
    instruction(
        settlement::ID,
        &settlement::accounts::CloseEvent { event, campaign, rent_payer },
        &settlement::instruction::CloseEvent {},
    )
}
