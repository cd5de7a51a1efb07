//! Promotion as services see it: who holds which slot now, and what settling an event takes.

use crate::{Chain, ChainError, ix};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use anchor_spl::token::TokenAccount;
use market::state::{AuctionState, Campaign, Party, Role, SlotAuction, SoldSlot};
use settlement::state::{Channel, Earnings, PromoEvent};
use std::collections::HashMap;
use waybill_mechanism::amount::debit_aic;

/// Bytes before `gateway` in an event account: discriminator, version, bump, state, campaign, consumer, auction.
const EVENT_GATEWAY_OFFSET: usize = 8 + 1 + 1 + 1 + 3 * 32;

/// One reading of all auctions and campaigns.
#[derive(Debug, Clone, Default)]
pub struct Promotion {
    pub auctions: Vec<SlotAuction>,
    /// By address.
    pub campaigns: HashMap<Pubkey, Campaign>,
    /// AIC base units in the escrow of each campaign that holds a slot, by the campaign's address.
    pub escrows: HashMap<Pubkey, u64>,
}

/// A slot that can be shown: its campaign has the money for another event today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// 1, 2 or 3.
    pub position: u8,
    /// Who pays.
    pub payer: Pubkey,
    /// Id of the promoted container.
    pub container: [u8; 32],
    /// What a request through the slot names.
    pub auction: Pubkey,
    pub campaign: Pubkey,
    /// What an event costs the campaign, nc.
    pub price_nc: u64,
}

impl Promotion {
    /// Reads everything once.
    pub async fn read(chain: &Chain) -> Result<Self, ChainError> {
        let auctions: Vec<(Pubkey, SlotAuction)> = chain.all(&market::ID).await?;
        if auctions.is_empty() {
            return Ok(Self::default());
        }
        let auctions: Vec<SlotAuction> = auctions.into_iter().map(|(_, auction)| auction).collect();
        let campaigns: Vec<(Pubkey, Campaign)> = chain.all(&market::ID).await?;
        let holders: Vec<Pubkey> =
            auctions.iter().flat_map(|auction| auction.slots.iter().map(|slot| slot.campaign)).collect();
        let addresses: Vec<Pubkey> = holders.iter().map(|campaign| market::seeds::find_escrow(campaign).0).collect();
        let balances: Vec<Option<TokenAccount>> = chain.accounts(&addresses).await?;
        let escrows =
            holders.into_iter().zip(balances).map(|(campaign, token)| (campaign, token.map_or(0, |t| t.amount)));
        Ok(Self { auctions, campaigns: campaigns.into_iter().collect(), escrows: escrows.collect() })
    }

    /// The slots of a day that can be shown, by market and position. `rate` is AIC base units per USD.
    pub fn placements(&self, day: u32, rate: u64) -> Vec<Placement> {
        let mut sold: Vec<&SlotAuction> =
            self.auctions.iter().filter(|auction| auction.day == day && auction.state == AuctionState::Sold).collect();
        sold.sort_by_key(|auction| auction.market);
        let placed = sold.into_iter().flat_map(|auction| {
            let address = ix::promo::auction(auction.market, auction.day);
            auction.slots.iter().zip(1u8..).filter_map(move |(slot, position)| {
                let campaign = self.payable(slot, rate)?;
                Some(Placement {
                    position,
                    payer: campaign.owner,
                    container: campaign.container,
                    auction: address,
                    campaign: slot.campaign,
                    price_nc: slot.price_nc,
                })
            })
        });
        placed.collect()
    }

    /// The campaign of a slot, when its cap and its escrow have room for another event.
    pub fn payable(&self, slot: &SoldSlot, rate: u64) -> Option<&Campaign> {
        let campaign = self.campaigns.get(&slot.campaign)?;
        let within_cap = slot.spent_nc.checked_add(slot.price_nc)? <= campaign.daily_cap_nc;
        let funded = *self.escrows.get(&slot.campaign)? >= debit_aic(slot.price_nc, rate)?;
        (within_cap && funded).then_some(campaign)
    }
}

/// The events that a gateway displayed.
pub async fn events_of(chain: &Chain, gateway: &Pubkey) -> Result<Vec<PromoEvent>, ChainError> {
    let events = chain.all_where(&settlement::ID, EVENT_GATEWAY_OFFSET, gateway.as_ref()).await?;
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

/// The instructions that charge a proven event: what is missing is opened first, and a rebate that goes to the
/// consumer's channel is credited there at once.
pub async fn settle(chain: &Chain, payer: &Pubkey, address: &Pubkey) -> Result<Vec<Instruction>, ChainError> {
    let event: PromoEvent = chain.expect("promotion event", address, "prove it first").await?;
    let payee = payee(chain, &event).await?;
    let mint = ::coin::seeds::find_mint().0;
    let mut instructions = Vec::new();
    let earnings: Option<Earnings> = chain.account(&settlement::seeds::find_earnings(&payee, &mint).0).await?;
    if earnings.is_none() {
        instructions.push(ix::settlement::open_earnings(*payer, payee));
    }
    // A closed channel has no vault any more; then the consumer's own account receives the rebate.
    let vault: Option<TokenAccount> = chain.account(&event.channel_vault).await?;
    match vault {
        Some(vault) => {
            instructions.push(ix::promo::settle_promo(&event, event.channel_vault, &payee));
            if chain.account::<Channel>(&vault.owner).await?.is_some() {
                instructions.push(ix::settlement::sync_deposit(vault.owner));
            }
        }
        None => {
            instructions.push(ix::create_aic_account(payer, &event.consumer));
            instructions.push(ix::promo::settle_promo(&event, ix::aic_account(&event.consumer), &payee));
        }
    }
    Ok(instructions)
}

/// Who is paid for displaying the slot: the curator that brought the consumer, while it has stake, else the gateway.
async fn payee(chain: &Chain, event: &PromoEvent) -> Result<Pubkey, ChainError> {
    if event.referrer == Pubkey::default() {
        return Ok(event.gateway);
    }
    let party: Option<Party> = chain.account(&market::seeds::find_party(&event.referrer, Role::Curator).0).await?;
    let active = party.is_some_and(|party| !party.banned && party.stake > 0);
    Ok(if active { event.referrer } else { event.gateway })
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::state::{CampaignTerms, SlotBid};

    const RATE: u64 = 20_000_000_000;

    fn promotion() -> (Promotion, Pubkey) {
        let terms = CampaignTerms {
            id: 1,
            market: 4,
            owner: Pubkey::new_from_array([7; 32]),
            container: [8; 32],
            daily_cap_nc: 100_000,
            daily_target_nc: 100_000,
        };
        let address = Pubkey::new_from_array([9; 32]);
        let campaign = Campaign::new(terms, 1, 2, Pubkey::default());
        let mut auction = SlotAuction::new(4, 20_718, 1, Pubkey::default());
        auction
            .place(SlotBid { campaign: address, container: [8; 32], bid_nc: 60_000, quality_bps: 10_000 })
            .unwrap_or_else(|error| panic!("{error}"));
        auction.decide().unwrap_or_else(|error| panic!("{error}"));
        let promotion = Promotion {
            auctions: vec![auction],
            campaigns: [(address, campaign)].into(),
            escrows: [(address, 2_000_000)].into(),
        };
        (promotion, address)
    }

    #[test]
    fn a_slot_is_shown_on_its_day_while_its_campaign_can_pay() {
        let (mut promotion, campaign) = promotion();
        let [shown] = promotion.placements(20_718, RATE).try_into().unwrap_or_else(|_| panic!("one slot"));
        assert_eq!((shown.position, shown.container, shown.price_nc), (1, [8; 32], 50_000));
        assert_eq!(shown.auction, ix::promo::auction(4, 20_718));
        assert_eq!(shown.payer, Pubkey::new_from_array([7; 32]));
        assert!(promotion.placements(20_719, RATE).is_empty(), "another day");
        promotion.auctions[0].slots[0].spent_nc = 50_001;
        assert!(promotion.placements(20_718, RATE).is_empty(), "the cap is reached");
        promotion.auctions[0].slots[0].spent_nc = 50_000;
        assert_eq!(promotion.placements(20_718, RATE).len(), 1);
        promotion.escrows.insert(campaign, 999_999);
        assert!(promotion.placements(20_718, RATE).is_empty(), "50,000 nc are 1,000,000 base units");
    }
}
