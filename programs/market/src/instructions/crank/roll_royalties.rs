//! Freezes what the vendors of a derived model's lineage ask for one pricing epoch. Goes before `roll_container`.

use anchor_lang::prelude::*;
use coin::authority::pause;
use waybill_mechanism::lineage::MAX_LINEAGE;

use crate::{
    error::MarketError,
    events::RoyaltiesFrozen,
    seeds,
    state::{Ancestor, Artifact, Ask, MarketConfig, Role, Royalties, RoyaltyRow},
};

/// Arguments of `roll_royalties`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RollRoyaltiesArgs {
    /// The current pricing epoch, or the next one during the last settlement epoch before it.
    pub pricing_epoch: u32,
}

/// Accounts of `roll_royalties`. The remaining accounts are the vendors' asks for the ancestors, root first.
#[derive(Accounts)]
#[instruction(args: RollRoyaltiesArgs)]
pub struct RollRoyalties<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The derived model.
    #[account(constraint = artifact.is_derived() @ MarketError::WrongRoyalties)]
    pub artifact: Box<Account<'info, Artifact>>,
    /// Its own vendor's ask.
    #[account(
        constraint = ask.subject == artifact.hash && ask.role == Role::Vendor @ MarketError::WrongAccount,
    )]
    pub ask: Box<Account<'info, Ask>>,
    /// The royalty table. It exists at most once, so a second roll fails.
    #[account(
        init,
        payer = payer,
        space = 8 + Royalties::INIT_SPACE,
        seeds = [seeds::ROYALTIES, artifact.hash.as_ref(), &args.pricing_epoch.to_le_bytes()],
        bump,
    )]
    pub royalties: Box<Account<'info, Royalties>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RollRoyalties<'_> {
    /// Every account that is read belongs to this program and has its type, which only its own instruction gives to
    /// the address of its seeds; so comparing what it says about itself is enough.
    pub(crate) fn validate(&self, args: &RollRoyaltiesArgs) -> Result<()> {
        self.config.require_running(pause::BIDS)?;
        let may = self.config.params.may_freeze(args.pricing_epoch, Clock::get()?.unix_timestamp)?;
        require!(may, MarketError::WrongPricingEpoch);
        Ok(())
    }
}

/// What an ancestor's vendor gets: its ask, no more than the ceiling of the link. An ask is posted by the vendor and
/// never changes hands, so its owner is the vendor.
fn ancestor_row(account: &AccountInfo<'_>, ancestor: &Ancestor, pricing_epoch: u32) -> Result<RoyaltyRow> {
    require!(account.owner == &crate::ID, MarketError::WrongRoyalties);
    let data = account.try_borrow_data()?;
    let ask = Ask::try_deserialize(&mut &data[..]).map_err(|_| MarketError::WrongRoyalties)?;
    require!(ask.subject == ancestor.artifact && ask.role == Role::Vendor, MarketError::WrongRoyalties);
    Ok(RoyaltyRow { owner: ask.owner, ask_nc: ask.at(pricing_epoch).min(ancestor.ceiling_nc) })
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler<'info>(ctx: Context<'info, RollRoyalties<'info>>, args: RollRoyaltiesArgs) -> Result<()> {
    let account = ctx.accounts.royalties.key();
    let accounts = &mut *ctx.accounts;
    let pricing_epoch = args.pricing_epoch;
    let artifact = &accounts.artifact;
    let royalties = &mut accounts.royalties;
    royalties.set_inner(Royalties {
        version: Royalties::VERSION,
        bump: ctx.bumps.royalties,
        artifact: artifact.hash,
        pricing_epoch,
        total_nc: 0,
        len: 0,
        rows: [RoyaltyRow::default(); MAX_LINEAGE],
        rent_payer: accounts.payer.key(),
        _reserved: [0; 32],
    });
    require!(ctx.remaining_accounts.len() == artifact.ancestors().len(), MarketError::WrongRoyalties);
    for (ancestor, ask) in artifact.ancestors().iter().zip(ctx.remaining_accounts) {
        royalties.push(ancestor_row(ask, ancestor, pricing_epoch)?)?;
    }
    royalties.push(RoyaltyRow { owner: artifact.vendor, ask_nc: accounts.ask.at(pricing_epoch) })?;
    royalties.invariant()?;
    emit!(RoyaltiesFrozen {
        account,
        seq: 1,
        artifact: artifact.hash,
        pricing_epoch,
        total_nc: royalties.total_nc,
        rows: royalties.len,
    });
    Ok(())
}
