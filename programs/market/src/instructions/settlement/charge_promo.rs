//! Charges one proven event to the campaign that holds the slot: half to the consumer, three tenths to whoever
//! displayed it, the rest burned. The settlement program calls this once per event, and says who is paid.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Burn, Mint, Token, TokenAccount, Transfer};
use coin::{authority::pause, state::RateView};
use waybill_mechanism::{amount::debit_aic, promo::divide};

use crate::{
    error::MarketError,
    events::PromoCharged,
    seeds,
    state::{Campaign, MarketConfig, SlotAuction},
};

/// What an event cost, returned to the caller.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// nc.
    pub price_nc: u64,
    /// To the consumer, AIC base units.
    pub rebate_aic: u64,
    /// To whoever displayed the slot.
    pub display_aic: u64,
    /// Destroyed.
    pub burned_aic: u64,
}

/// Accounts of `charge_promo`.
#[event_cpi]
#[derive(Accounts)]
pub struct ChargePromo<'info> {
    /// The settlement program's authority.
    pub slasher: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        has_one = slasher @ MarketError::Unauthorized,
        has_one = mint @ MarketError::WrongMint,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The price of AIC.
    pub rate: Box<Account<'info, RateView>>,
    /// The AIC mint.
    #[account(mut, dup)]
    pub mint: Box<Account<'info, Mint>>,
    /// The campaign.
    #[account(mut, dup)]
    pub campaign: Box<Account<'info, Campaign>>,
    /// Its escrow.
    #[account(mut, seeds = [seeds::ESCROW, campaign.key().as_ref()], bump = campaign.escrow_bump)]
    pub escrow: Box<Account<'info, TokenAccount>>,
    /// The auction in which it won the slot.
    #[account(mut, dup)]
    pub auction: Box<Account<'info, SlotAuction>>,
    /// Receives the consumer's part.
    #[account(mut)]
    pub rebate: Box<Account<'info, TokenAccount>>,
    /// Receives the part of whoever displayed the slot.
    #[account(mut)]
    pub display: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl ChargePromo<'_> {
    /// Slasher, mint and escrow are checked by attributes, the slot by the auction itself; the receivers are the
    /// caller's word, and the token program refuses another mint.
    pub(crate) fn validate(&self, now: i64) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        let times = self.auction.times(self.config.params.epoch_s)?;
        require!(now < times.charges_until, MarketError::ChargesOver);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<ChargePromo>) -> Result<Charged> {
    let now = Clock::get()?.unix_timestamp;
    ctx.accounts.validate(now)?;
    let accounts = &mut *ctx.accounts;
    let campaign = &mut accounts.campaign;
    let account = campaign.key();
    let price_nc = accounts.auction.charge(&account, campaign.daily_cap_nc)?;
    accounts.auction.invariant()?;
    // Rounds up, as every debit does.
    let aic = debit_aic(price_nc, accounts.rate.current(now)?).ok_or(MarketError::Overflow)?;
    let escrow_aic = accounts.escrow.amount.checked_sub(aic).ok_or(MarketError::EscrowTooSmall)?;
    let parts = divide(aic);
    let whole = parts.rebate_aic.checked_add(parts.display_aic).and_then(|sum| sum.checked_add(parts.burn_aic));
    require!(whole == Some(aic), MarketError::Invariant);
    campaign.charge(price_nc, aic)?;
    let seq = campaign.next_seq()?;
    campaign.invariant()?;

    let (owner, id, bump) = (campaign.owner, campaign.id.to_le_bytes(), [campaign.bump]);
    let signer: &[&[u8]] = &[seeds::CAMPAIGN, owner.as_ref(), &id, &bump];
    let authority = accounts.campaign.to_account_info();
    for (to, amount) in [(&accounts.rebate, parts.rebate_aic), (&accounts.display, parts.display_aic)] {
        let transfer = Transfer {
            from: accounts.escrow.to_account_info(),
            to: to.to_account_info(),
            authority: authority.clone(),
        };
        token::transfer(CpiContext::new_with_signer(Token::id(), transfer, &[signer]), amount)?;
    }
    let burn = Burn { mint: accounts.mint.to_account_info(), from: accounts.escrow.to_account_info(), authority };
    token::burn(CpiContext::new_with_signer(Token::id(), burn, &[signer]), parts.burn_aic)?;
    let charged =
        Charged { price_nc, rebate_aic: parts.rebate_aic, display_aic: parts.display_aic, burned_aic: parts.burn_aic };
    emit_cpi!(PromoCharged {
        account,
        seq,
        auction: ctx.accounts.auction.key(),
        rebate: ctx.accounts.rebate.key(),
        price_nc,
        rebate_aic: charged.rebate_aic,
        display_aic: charged.display_aic,
        burned_aic: charged.burned_aic,
        escrow_aic,
    });
    Ok(charged)
}
