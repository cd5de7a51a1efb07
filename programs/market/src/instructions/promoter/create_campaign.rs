//! Creates a campaign for a container and moves the first money into its escrow. Any party in good standing may
//! promote any container that takes work.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, Token, TokenAccount, TransferChecked};
use coin::authority::pause;
use waybill_mechanism::promo::RESERVE_NC;

use crate::{
    constants::DECIMALS,
    error::MarketError,
    events::CampaignCreated,
    seeds,
    state::{Campaign, CampaignTerms, ContainerState, MarketConfig, Plan, Standing},
};

/// Arguments of `create_campaign`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct CreateCampaignArgs {
    /// The owner's number for it.
    pub id: u32,
    /// Id of the market whose slots it bids for; a stage of the container buys in it.
    pub market: u32,
    /// The most that the events of one day may cost, nc.
    pub daily_cap_nc: u64,
    /// What they should cost, nc: at least the reserve price, at most the cap.
    pub daily_target_nc: u64,
    /// AIC base units for the escrow.
    pub amount: u64,
}

/// Accounts of `create_campaign`.
#[event_cpi]
#[derive(Accounts)]
#[instruction(args: CreateCampaignArgs)]
pub struct CreateCampaign<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The owner of the campaign, of the party and of the source.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ MarketError::WrongMint)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// A party of the owner, in any role.
    #[account(has_one = owner @ MarketError::Unauthorized)]
    pub party: Box<Account<'info, Standing>>,
    /// The container to promote.
    pub container: Box<Account<'info, Plan>>,
    /// The campaign.
    #[account(
        init,
        payer = payer,
        space = 8 + Campaign::INIT_SPACE,
        seeds = [seeds::CAMPAIGN, owner.key().as_ref(), &args.id.to_le_bytes()],
        bump,
    )]
    pub campaign: Box<Account<'info, Campaign>>,
    /// Its escrow.
    #[account(
        init,
        payer = payer,
        seeds = [seeds::ESCROW, campaign.key().as_ref()],
        bump,
        token::mint = mint,
        token::authority = campaign,
        token::token_program = token_program,
    )]
    pub escrow: Box<Account<'info, TokenAccount>>,
    /// Where the tokens come from.
    #[account(
        mut,
        dup,
        constraint = source.mint == mint.key() @ MarketError::WrongMint,
        constraint = source.owner == owner.key() @ MarketError::WrongTokenOwner,
    )]
    pub source: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl CreateCampaign<'_> {
    /// Owner, mint and source are checked by attributes, campaign and escrow are created here; party and container are
    /// this program's, so what they say about themselves is enough.
    pub(crate) fn validate(&self, args: &CreateCampaignArgs) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        self.party.require_good(&self.config.params, Clock::get()?.unix_timestamp)?;
        require!(self.container.state == ContainerState::Active, MarketError::ContainerRetired);
        require!(self.container.stages().iter().any(|stage| stage.market == args.market), MarketError::NotInMarket);
        require!((RESERVE_NC..=args.daily_cap_nc).contains(&args.daily_target_nc), MarketError::BadBudget);
        require!(args.amount > 0, MarketError::ZeroAmount);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<CreateCampaign>, args: CreateCampaignArgs) -> Result<()> {
    let account = ctx.accounts.campaign.key();
    let owner = ctx.accounts.owner.key();
    let container = ctx.accounts.container.id;
    let terms = CampaignTerms {
        id: args.id,
        market: args.market,
        owner,
        container,
        daily_cap_nc: args.daily_cap_nc,
        daily_target_nc: args.daily_target_nc,
    };
    let campaign = &mut ctx.accounts.campaign;
    campaign.set_inner(Campaign::new(terms, ctx.bumps.campaign, ctx.bumps.escrow, ctx.accounts.payer.key()));
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
    emit_cpi!(CampaignCreated {
        account,
        seq,
        owner,
        container,
        market: args.market,
        daily_cap_nc: args.daily_cap_nc,
        amount: args.amount,
    });
    Ok(())
}
