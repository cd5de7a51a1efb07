//! Pays what a closed campaign did not spend back to its owner, and its rents to who paid them. Anyone, once nothing
//! can be charged any more.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, CloseAccount, Mint, Token, TokenAccount, TransferChecked};
use coin::authority::pause;

use crate::{
    constants::DECIMALS,
    error::MarketError,
    events::CampaignWithdrawn,
    seeds,
    state::{Campaign, MarketConfig},
};

/// Accounts of `withdraw_campaign`.
#[event_cpi]
#[derive(Accounts)]
pub struct WithdrawCampaign<'info> {
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ MarketError::WrongMint)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The campaign.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub campaign: Box<Account<'info, Campaign>>,
    /// Its escrow.
    #[account(mut, seeds = [seeds::ESCROW, campaign.key().as_ref()], bump = campaign.escrow_bump)]
    pub escrow: Box<Account<'info, TokenAccount>>,
    /// A token account of the campaign's owner.
    #[account(
        mut,
        constraint = destination.mint == mint.key() @ MarketError::WrongMint,
        constraint = destination.owner == campaign.owner @ MarketError::WrongTokenOwner,
    )]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// CHECK: receives the rents; the address recorded in `campaign`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl WithdrawCampaign<'_> {
    /// Mint, escrow, destination and rent payer are checked by attributes. While nobody can charge, nobody may leave
    /// with what is owed: a pause of promotion stops this too.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        let over_at = self.campaign.over_at(self.config.params.epoch_s)?;
        require!(Clock::get()?.unix_timestamp >= over_at, MarketError::CampaignNotOver);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<WithdrawCampaign>) -> Result<()> {
    let account = ctx.accounts.campaign.key();
    let campaign = &mut ctx.accounts.campaign;
    let seq = campaign.next_seq()?;
    campaign.invariant()?;
    let (owner, id, bump) = (campaign.owner, campaign.id.to_le_bytes(), [campaign.bump]);
    let signer: &[&[u8]] = &[seeds::CAMPAIGN, owner.as_ref(), &id, &bump];
    // All of it, with what was sent to the escrow by others.
    let amount = ctx.accounts.escrow.amount;
    let authority = ctx.accounts.campaign.to_account_info();
    token::transfer_checked(
        CpiContext::new_with_signer(
            Token::id(),
            TransferChecked {
                from: ctx.accounts.escrow.to_account_info(),
                mint: ctx.accounts.mint.to_account_info(),
                to: ctx.accounts.destination.to_account_info(),
                authority: authority.clone(),
            },
            &[signer],
        ),
        amount,
        DECIMALS,
    )?;
    token::close_account(CpiContext::new_with_signer(
        Token::id(),
        CloseAccount {
            account: ctx.accounts.escrow.to_account_info(),
            destination: ctx.accounts.rent_payer.to_account_info(),
            authority,
        },
        &[signer],
    ))?;
    let destination = ctx.accounts.destination.key();
    emit_cpi!(CampaignWithdrawn { account, seq, owner, destination, amount });
    Ok(())
}
