//! Lets a campaign pay for a proven event: half to the consumer, three tenths to the earnings of the curator that brought
//! it or else of the gateway, the rest burned. The market moves the money out of the campaign's escrow.

use anchor_lang::{
    InstructionData,
    prelude::*,
    solana_program::{
        instruction::Instruction,
        program::{get_return_data, invoke_signed},
    },
};
use anchor_spl::token::{Token, TokenAccount};
use coin::authority::pause;
use market::{
    instructions::Charged,
    state::{Party, Role},
};

use crate::{
    error::SettleError,
    events::PromoSettled,
    report::report,
    seeds,
    state::{Earnings, PromoEvent, SettleConfig},
};

#[event_cpi]
#[derive(Accounts)]
pub struct SettlePromo<'info> {
    #[account(has_one = mint @ SettleError::AccountMismatch, has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        mut,
        dup,
        has_one = campaign @ SettleError::AccountMismatch,
        has_one = auction @ SettleError::AccountMismatch
    )]
    pub event: Box<Account<'info, PromoEvent>>,
    /// CHECK: the event's campaign; the market checks it.
    #[account(mut)]
    pub campaign: UncheckedAccount<'info>,
    /// CHECK: the event's auction; the market checks it.
    #[account(mut)]
    pub auction: UncheckedAccount<'info>,
    /// CHECK: the campaign's escrow; the market checks it.
    #[account(mut)]
    pub escrow: UncheckedAccount<'info>,
    /// The consumer's tokens, or those of its channel.
    #[account(
        mut,
        dup,
        constraint = rebate.mint == config.mint
            && (rebate.key() == event.channel_vault || rebate.owner == event.consumer) @ SettleError::TokenMismatch
    )]
    pub rebate: Box<Account<'info, TokenAccount>>,
    /// Earnings of whoever displayed the slot.
    #[account(mut, dup)]
    pub display: Box<Account<'info, Earnings>>,
    /// CHECK: the address of the referrer's `Party(Curator)`, existing or not; anything without a referrer.
    pub curator: UncheckedAccount<'info>,
    /// CHECK: the configured pool.
    #[account(mut)]
    pub pool: UncheckedAccount<'info>,
    /// CHECK: the configured mint.
    #[account(mut)]
    pub mint: UncheckedAccount<'info>,
    /// CHECK: the coin's rate; the market checks it.
    pub rate: UncheckedAccount<'info>,
    /// CHECK: the market's configuration; the market checks it.
    pub market_config: UncheckedAccount<'info>,
    /// CHECK: signs for this program; its address is its seeds'.
    #[account(seeds = [seeds::SLASHER], bump)]
    pub slasher: UncheckedAccount<'info>,
    pub token_program: Program<'info, Token>,
    /// CHECK: the market program.
    #[account(address = market::ID @ SettleError::AccountMismatch)]
    pub market_program: UncheckedAccount<'info>,
    /// CHECK: signs the market's events; the market checks it.
    pub market_events: UncheckedAccount<'info>,
}

impl SettlePromo<'_> {
    /// `mint` and `pool` are the configured ones, `campaign` and `auction` the event's, `rebate` the consumer's;
    /// `display` is the curator's or gateway's. The market checks the others.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        let payee = if self.curator_is_active()? { self.event.referrer } else { self.event.gateway };
        require!(self.display.owner == payee && self.display.mint == self.config.mint, SettleError::PayeeMismatch);
        Ok(())
    }

    /// Whether the consumer came through a curator with stake. Nobody can leave a curator's party out, nor can a missing
    /// party hold up the others.
    fn curator_is_active(&self) -> Result<bool> {
        let referrer = self.event.referrer;
        if referrer == Pubkey::default() {
            return Ok(false);
        }
        let (address, _) = market::seeds::find_party(&referrer, Role::Curator);
        require_keys_eq!(self.curator.key(), address, SettleError::PayeeMismatch);
        if self.curator.owner != &market::ID {
            return Ok(false);
        }
        let party = Party::try_deserialize(&mut &self.curator.try_borrow_data()?[..])?;
        Ok(!party.banned && party.stake > 0)
    }

    /// Calls the market, which takes the charge out of the escrow.
    fn charge(&self, slasher_bump: u8) -> Result<Charged> {
        let accounts = market::accounts::ChargePromo {
            slasher: self.slasher.key(),
            config: self.market_config.key(),
            rate: self.rate.key(),
            mint: self.mint.key(),
            campaign: self.campaign.key(),
            escrow: self.escrow.key(),
            auction: self.auction.key(),
            rebate: self.rebate.key(),
            display: self.pool.key(),
            token_program: self.token_program.key(),
            event_authority: self.market_events.key(),
            program: self.market_program.key(),
        };
        let instruction = Instruction {
            program_id: market::ID,
            accounts: accounts.to_account_metas(None),
            data: market::instruction::ChargePromo {}.data(),
        };
        let infos = [
            self.slasher.to_account_info(),
            self.market_config.to_account_info(),
            self.rate.to_account_info(),
            self.mint.to_account_info(),
            self.campaign.to_account_info(),
            self.escrow.to_account_info(),
            self.auction.to_account_info(),
            self.rebate.to_account_info(),
            self.pool.to_account_info(),
            self.token_program.to_account_info(),
            self.market_events.to_account_info(),
            self.market_program.to_account_info(),
        ];
        invoke_signed(&instruction, &infos, &[&[seeds::SLASHER, &[slasher_bump]]])?;
        let (program, data) = get_return_data().ok_or(SettleError::InvariantBroken)?;
        require_keys_eq!(program, market::ID, SettleError::InvariantBroken);
        Ok(Charged::try_from_slice(&data)?)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SettlePromo>) -> Result<()> {
    let slasher_bump = ctx.bumps.slasher;
    let accounts = &mut *ctx.accounts;
    accounts.event.charge()?;
    let seq = accounts.event.next_seq()?;
    let charged = accounts.charge(slasher_bump)?;
    accounts.display.credit(charged.display_aic)?;
    accounts.display.invariant()?;
    let event = PromoSettled {
        event: accounts.event.key(),
        campaign: accounts.event.campaign,
        consumer: accounts.event.consumer,
        payee: accounts.display.owner,
        price_nc: charged.price_nc,
        rebate_aic: charged.rebate_aic,
        display_aic: charged.display_aic,
        burned_aic: charged.burned_aic,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
