//! Claims for a worker whose gateway posted nothing for an epoch (D8). The ed25519 instruction before verifies the
//! gateway's countersignature of the worker's last receipt. The gateway may still post until the deadline; else
//! `resolve_direct_claim` pays out of its vault, then out of its stake.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::state::Rate;
use market::state::Node;
use waybill_mechanism::dispute::line_subject;

use super::open_underpaid::{countersigned, require_operator};
use crate::{
    bond::{Accusation, Lodging},
    error::SettleError,
    report::report,
    seeds,
    state::{Dispute, DisputeKind, GatewayVault, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct DirectClaimArgs {
    pub epoch: u32,
    /// The receipt's.
    pub line_key: [u8; 32],
}

#[event_cpi]
#[derive(Accounts)]
#[instruction(args: DirectClaimArgs)]
pub struct DirectClaim<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The operator of the receipt's worker.
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    pub node: Box<Account<'info, Node>>,
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    /// CHECK: where the epoch's first shard would be. It is posted last, so its absence says that the epoch is missing.
    #[account(
        seeds = [seeds::BATCH, gateway_vault.gateway.as_ref(), &args.epoch.to_le_bytes(), &0u16.to_le_bytes()],
        bump
    )]
    pub batch: UncheckedAccount<'info>,
    #[account(
        init,
        payer = payer,
        space = 8 + Dispute::INIT_SPACE,
        seeds = [
            seeds::DISPUTE,
            &line_subject(&gateway_vault.key().to_bytes(), &args.line_key),
            &[DisputeKind::NoBatch.number()],
            &args.epoch.to_le_bytes(),
        ],
        bump
    )]
    pub dispute: Box<Account<'info, Dispute>>,
    /// The challenger's tokens.
    #[account(mut)]
    pub source: Box<Account<'info, TokenAccount>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
    pub token_program: Program<'info, Token>,
    pub system_program: Program<'info, System>,
}

impl DirectClaim<'_> {
    /// The time to post `epoch` is over and nothing was posted: not now, and not in a batch that is closed already.
    fn require_missing(&self, epoch: u32) -> Result<()> {
        let on_time_until = self
            .config
            .epoch_end(epoch)?
            .checked_add(i64::from(self.config.post_window_s))
            .ok_or(SettleError::Overflow)?;
        require!(Clock::get()?.unix_timestamp > on_time_until, SettleError::PostWindowOpen);
        require!(!is_posted(&self.batch, &self.gateway_vault, epoch), SettleError::BatchPosted);
        Ok(())
    }
}

/// Whether the first shard of `epoch` is, or was, on chain; `batch` is its address.
pub(crate) fn is_posted(batch: &UncheckedAccount<'_>, gateway_vault: &GatewayVault, epoch: u32) -> bool {
    batch.owner == &crate::ID || epoch < gateway_vault.first_open_epoch
}

pub(crate) fn handler(ctx: Context<DirectClaim>, args: DirectClaimArgs) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let lodging = Lodging {
        payer: &accounts.payer,
        challenger: &accounts.challenger,
        config: &accounts.config,
        rate: &accounts.rate,
        source: &accounts.source,
        pool: &accounts.pool,
        token_program: &accounts.token_program,
    };
    lodging.validate()?;
    accounts.require_missing(args.epoch)?;
    let receipt = countersigned(&accounts.instructions, &accounts.config, &accounts.gateway_vault.gateway)?;
    require!(receipt.epoch == args.epoch && receipt.line_key == args.line_key, SettleError::LineMismatch);
    require_operator(&accounts.node, &receipt, &accounts.challenger.key())?;

    let says = Accusation {
        index: args.epoch,
        line: args.epoch,
        digest: args.line_key,
        amount_nc: receipt.cum_nc,
        ..Accusation::default()
    };
    let target = accounts.gateway_vault.key();
    let event = lodging.lodge(&mut accounts.dispute, ctx.bumps.dispute, DisputeKind::NoBatch, target, says)?;
    report(&ctx.accounts.event_authority, &event)
}
