//! Promises a curator an addition to its share of one container at one gateway, for lines from the running epoch on. It
//! pays once it is funded.

use anchor_lang::prelude::*;
use coin::{authority::pause, clock};

use crate::{
    constants::VERSION,
    error::SettleError,
    events::BountyOpened,
    seeds,
    state::{Bounty, BountyTerms, LinePlace, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct OpenBountyArgs {
    pub gateway: Pubkey,
    pub container: [u8; 32],
    pub curator: Pubkey,
    pub terms: BountyTerms,
}

#[derive(Accounts)]
#[instruction(args: OpenBountyArgs)]
pub struct OpenBounty<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub sponsor: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Bounty::INIT_SPACE,
        seeds = [
            seeds::BOUNTY, args.gateway.as_ref(), args.container.as_ref(), args.curator.as_ref(), sponsor.key().as_ref()
        ],
        bump
    )]
    pub bounty: Box<Account<'info, Bounty>>,
    pub system_program: Program<'info, System>,
}

impl OpenBounty<'_> {
    /// `sponsor` signs; `bounty` is created here.
    fn validate(&self, args: &OpenBountyArgs) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        let keys = [args.gateway, args.curator];
        require!(!keys.contains(&Pubkey::default()), SettleError::DefaultKey);
        args.terms.validate()
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<OpenBounty>, args: OpenBountyArgs) -> Result<()> {
    let accounts = ctx.accounts;
    let now = Clock::get()?.unix_timestamp;
    let epoch = clock::epoch(now, accounts.config.epoch_s).ok_or(SettleError::Overflow)?;
    accounts.bounty.set_inner(Bounty {
        version: VERSION,
        bump: ctx.bumps.bounty,
        sponsor: accounts.sponsor.key(),
        gateway: args.gateway,
        container: args.container,
        curator: args.curator,
        terms: args.terms,
        amount_aic: 0,
        total_in_aic: 0,
        paid_aic: 0,
        next: LinePlace { epoch, shard: 0, index: 0 },
        end_epoch: 0,
        seq: 0,
        rent_payer: accounts.payer.key(),
        _reserved: [0; 64],
    });
    let seq = accounts.bounty.next_seq()?;
    accounts.bounty.invariant()?;
    emit!(BountyOpened {
        bounty: accounts.bounty.key(),
        sponsor: accounts.bounty.sponsor,
        gateway: args.gateway,
        container: args.container,
        curator: args.curator,
        terms: args.terms,
        from_epoch: epoch,
        seq,
    });
    Ok(())
}
