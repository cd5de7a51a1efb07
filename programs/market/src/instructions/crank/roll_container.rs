//! Freezes price and split of one container stage for one pricing epoch.

use anchor_lang::prelude::*;
use coin::authority::pause;
use waybill_mechanism::stack::{PriceStack, StackInput, base_cost, price_stack, split_bps, weaver_ask};

use crate::{
    constants::MAX_STAGES,
    error::MarketError,
    events::SnapshotFrozen,
    seeds,
    state::{
        ContainerState, Makers, Market, MarketParams, MarketTerms, Payees, Plan, Quote, Role, RoyaltyTotal,
        SplitSnapshot, Standing,
    },
};

/// Arguments of `roll_container`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RollContainerArgs {
    /// Index of the stage.
    pub stage: u8,
    /// The current pricing epoch, or the next one during the last settlement epoch before it.
    pub pricing_epoch: u32,
}

/// Accounts of `roll_container`. The remaining accounts are, for a derived model, its royalty table; then the markets of the container's other stages, in the
/// order of the stages, leaving out those that buy in this stage's own market.
#[derive(Accounts)]
#[instruction(args: RollContainerArgs)]
pub struct RollContainer<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    pub config: Box<Account<'info, MarketTerms>>,
    /// The container.
    pub container: Box<Account<'info, Plan>>,
    /// The artifact of the stage.
    pub artifact: Box<Account<'info, Makers>>,
    /// CHECK: the market of the stage, of which only the price is read; owner, type and number are checked with it.
    pub market: UncheckedAccount<'info>,
    /// Party of the model's owner.
    pub vendor: Box<Account<'info, Standing>>,
    /// Its ask for the artifact.
    pub vendor_ask: Box<Account<'info, Quote>>,
    /// Party of the artifact's OEM, if it has one.
    pub oem: Option<Box<Account<'info, Standing>>>,
    /// Its ask for the artifact.
    pub oem_ask: Option<Box<Account<'info, Quote>>>,
    /// Party of the container's owner.
    pub weaver: Box<Account<'info, Standing>>,
    /// Its ask for the container.
    pub weaver_ask: Box<Account<'info, Quote>>,
    /// The snapshot. It exists at most once, so a second roll fails.
    #[account(
        init,
        payer = payer,
        space = 8 + SplitSnapshot::INIT_SPACE,
        seeds = [seeds::SNAPSHOT, container.id.as_ref(), &[args.stage], &args.pricing_epoch.to_le_bytes()],
        bump,
    )]
    pub snapshot: Box<Account<'info, SplitSnapshot>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RollContainer<'_> {
    /// Every account that is read belongs to this program and has its type, which only its own instruction gives to
    /// the address of its seeds; so comparing what it says about itself is enough.
    pub(crate) fn validate(&self, args: &RollContainerArgs) -> Result<()> {
        self.config.require_running(pause::BIDS)?;
        let params = &self.config.params;
        let now = Clock::get()?.unix_timestamp;
        require!(params.may_freeze(args.pricing_epoch, now)?, MarketError::WrongPricingEpoch);
        require!(self.container.state == ContainerState::Active, MarketError::ContainerRetired);
        let stage = self.container.stage(args.stage)?;
        require!(self.artifact.hash == stage.artifact, MarketError::WrongAccount);
        require_keys_eq!(*self.market.owner, crate::ID, ErrorCode::AccountOwnedByWrongProgram);
        payee(&self.vendor, &self.vendor_ask, self.artifact.vendor, Role::Vendor, &self.artifact.hash, params, now)?;
        match (self.artifact.oem(), &self.oem, &self.oem_ask) {
            (Some(owner), Some(party), Some(ask)) => {
                payee(party, ask, owner, Role::Oem, &self.artifact.hash, params, now)?;
            }
            (None, None, None) => {}
            _ => return err!(MarketError::WrongAccount),
        }
        payee(&self.weaver, &self.weaver_ask, self.container.creator, Role::Weaver, &self.container.id, params, now)
    }

    /// Base cost of every stage, in order.
    fn base_costs(&self, stage: u8, others: &[AccountInfo<'_>], pricing_epoch: u32) -> Result<Vec<u64>> {
        let own = self.container.stage(stage)?.market;
        let own_nc = market_base(&self.market, own, pricing_epoch).ok_or(MarketError::WrongAccount)?;
        let mut others = others.iter();
        let mut costs = Vec::with_capacity(MAX_STAGES);
        for stage in self.container.stages() {
            let base_nc = if stage.market == own {
                own_nc
            } else {
                let account = others.next().ok_or(MarketError::WrongRemainingAccounts)?;
                market_base(account, stage.market, pricing_epoch).ok_or(MarketError::WrongRemainingAccounts)?
            };
            costs.push(base_cost(base_nc, stage.weight_bps).ok_or(MarketError::Overflow)?);
        }
        require!(others.next().is_none(), MarketError::WrongRemainingAccounts);
        Ok(costs)
    }

    /// What the vendor asks and who is paid for it, and the remaining accounts behind that. Of a derived model it is what
    /// the vendors of the lineage ask together, paid to the royalty table that says how they share.
    fn vendor<'a, 'info>(
        &self,
        pricing_epoch: u32,
        rest: &'a [AccountInfo<'info>],
    ) -> Result<(u64, Pubkey, &'a [AccountInfo<'info>])> {
        if !self.artifact.is_derived() {
            return Ok((self.vendor_ask.at(pricing_epoch), self.artifact.vendor, rest));
        }
        let (account, rest) = rest.split_first().ok_or(MarketError::WrongRoyalties)?;
        Ok((royalties_total(account, &self.artifact.hash, pricing_epoch)?, account.key(), rest))
    }

    /// Price and split of the stage.
    fn price(&self, args: &RollContainerArgs, vendor_nc: u64, costs: &[u64]) -> Result<(u64, PriceStack, [u16; 6])> {
        let index = usize::from(args.stage);
        let base_nc = *costs.get(index).ok_or(MarketError::BadStages)?;
        let params = &self.config.params;
        let beta_bps = self.container.beta_at(args.pricing_epoch);
        let weaver_nc = weaver_ask(self.weaver_ask.at(args.pricing_epoch), costs, index).ok_or(MarketError::NoPrice)?;
        let stack = price_stack(&StackInput {
            base_nc,
            asks_nc: [vendor_nc, self.oem_ask.as_ref().map_or(0, |ask| ask.at(args.pricing_epoch)), weaver_nc],
            beta_bps,
            phi_bps: params.fee_bps,
            caps_bps: [params.kappa_vendor_bps, params.kappa_oem_bps, params.kappa_weaver_bps],
        })
        .map_err(|_| MarketError::NoPrice)?;
        let bps = split_bps(stack.price_nc, stack.effective_nc, beta_bps, params.fee_bps)
            .map_err(|_| MarketError::NoPrice)?;
        let ceiling_nc = self.container.ceiling_nc;
        require!(ceiling_nc == 0 || stack.price_nc <= ceiling_nc, MarketError::PriceAboveCeiling);
        Ok((base_nc, stack, bps))
    }
}

/// Checks that a payee's accounts are its own and that its stake answers for it.
fn payee(
    party: &Standing,
    ask: &Quote,
    owner: Pubkey,
    role: Role,
    subject: &[u8; 32],
    params: &MarketParams,
    now: i64,
) -> Result<()> {
    require!(party.owner == owner && party.role == role, MarketError::WrongAccount);
    require!(ask.role == role && ask.subject == *subject, MarketError::WrongAccount);
    party.require_working(params, now)
}

/// The base price of a market in a pricing epoch, if the account is that market. The book is not read: it is most of the
/// account and nothing of the price.
fn market_base(account: &AccountInfo<'_>, id: u32, pricing_epoch: u32) -> Option<u64> {
    if account.owner != &crate::ID {
        return None;
    }
    Market::base_in(&account.try_borrow_data().ok()?, id, pricing_epoch)
}

/// What the royalty table of a derived model asks.
fn royalties_total(account: &AccountInfo<'_>, artifact: &[u8; 32], pricing_epoch: u32) -> Result<u64> {
    require!(account.owner == &crate::ID, MarketError::WrongRoyalties);
    let data = account.try_borrow_data()?;
    let royalties = RoyaltyTotal::try_deserialize(&mut &data[..]).map_err(|_| MarketError::WrongRoyalties)?;
    require!(royalties.artifact == *artifact && royalties.pricing_epoch == pricing_epoch, MarketError::WrongRoyalties);
    Ok(royalties.total_nc)
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler<'info>(ctx: Context<'info, RollContainer<'info>>, args: RollContainerArgs) -> Result<()> {
    let accounts = &ctx.accounts;
    let (vendor_nc, vendor, markets) = accounts.vendor(args.pricing_epoch, ctx.remaining_accounts)?;
    let costs = accounts.base_costs(args.stage, markets, args.pricing_epoch)?;
    let (base_nc, stack, bps) = accounts.price(&args, vendor_nc, &costs)?;
    let account = accounts.snapshot.key();
    let container = accounts.container.id;
    let payees = Payees { vendor, oem: accounts.artifact.oem, weaver: accounts.container.creator };
    let derived = accounts.artifact.is_derived();
    let artifact = accounts.artifact.hash;
    let rent_payer = accounts.payer.key();
    let snapshot = &mut ctx.accounts.snapshot;
    snapshot.set_inner(SplitSnapshot {
        version: SplitSnapshot::VERSION,
        bump: ctx.bumps.snapshot,
        stage: args.stage,
        pricing_epoch: args.pricing_epoch,
        container,
        artifact,
        price_nc: stack.price_nc,
        base_nc,
        bps,
        payees,
        rent_payer,
        derived,
        _reserved: [0; 63],
    });
    snapshot.invariant()?;
    emit!(SnapshotFrozen {
        account,
        seq: 1,
        container,
        stage: args.stage,
        pricing_epoch: args.pricing_epoch,
        price_nc: stack.price_nc,
        bps,
        payees,
    });
    Ok(())
}
