//! Moves more AIC of the owner into a campaign's escrow.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, Token, TokenAccount, TransferChecked};
use coin::authority::pause;

use crate::{
    constants::DECIMALS,
    error::MarketError,
    events::CampaignToppedUp,
    seeds,
    state::{Campaign, CampaignState, MarketConfig},
};

/// Arguments of `top_up_campaign`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct TopUpCampaignArgs {
    /// AIC base units.
    pub amount: u64,
}

/// Accounts of `top_up_campaign`.
#[event_cpi]
#[derive(Accounts)]
pub struct TopUpCampaign<'info> {
    /// The owner of the campaign and of the source.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ MarketError::WrongMint)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The campaign.
    #[account(mut, has_one = owner @ MarketError::Unauthorized)]
    pub campaign: Box<Account<'info, Campaign>>,
    /// Its escrow.
    #[account(mut, seeds = [seeds::ESCROW, campaign.key().as_ref()], bump = campaign.escrow_bump)]
    pub escrow: Box<Account<'info, TokenAccount>>,
    /// Where the tokens come from.
    #[account(
        mut,
        constraint = source.mint == mint.key() @ MarketError::WrongMint,
        constraint = source.owner == owner.key() @ MarketError::WrongTokenOwner,
    )]
    pub source: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl TopUpCampaign<'_> {
    /// Owner, mint, escrow and source are checked by attributes.
    pub(crate) fn validate(&self, args: &TopUpCampaignArgs) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        require!(self.campaign.state == CampaignState::Active, MarketError::CampaignClosing);
        require!(args.amount > 0, MarketError::ZeroAmount);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<TopUpCampaign>, args: TopUpCampaignArgs) -> Result<()> {
    let account = ctx.accounts.campaign.key();
    let campaign = &mut ctx.accounts.campaign;
    let seq = campaign.next_seq()?;
    campaign.invariant()?;
    token::transfer_checked(
        CpiContext::new(
            Token::id(),
            TransferChecked {
                from: ctx.accounts.source.to_account_info(),
                mint: ctx.accounts.mint.to_account_info(),
                to: ctx.accounts.escrow.to_account_info(),
                authority: ctx.accounts.owner.to_account_info(),
            },
        ),
        args.amount,
        DECIMALS,
    )?;
    ctx.accounts.escrow.reload()?;
    let (owner, escrow_aic) = (ctx.accounts.owner.key(), ctx.accounts.escrow.amount);
    emit_cpi!(CampaignToppedUp { account, seq, owner, amount: args.amount, escrow_aic });
    Ok(())
}
