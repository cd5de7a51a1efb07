//! Accuses a gateway of leaving a worker's work out of an epoch (D1). The ed25519 instruction before verifies the
//! gateway's countersignature of the worker's last receipt: its running total is what the lines of the epoch must reach.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::state::Rate;
use market::state::Node;
use waybill_mechanism::{dispute::line_subject, message::Receipt};

use crate::{
    bond::{Accusation, Lodging},
    error::SettleError,
    report::report,
    seeds, signature,
    state::{Batch, Dispute, DisputeKind, SettleConfig},
};

#[event_cpi]
#[derive(Accounts)]
#[instruction(line_key: [u8; 32])]
pub struct OpenUnderpaid<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The operator of the receipt's worker.
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    /// The first shard of the epoch: one line key is disputed once.
    #[account(mut, constraint = batch.shard == 0 @ SettleError::AccountMismatch)]
    pub batch: Box<Account<'info, Batch>>,
    pub node: Box<Account<'info, Node>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Dispute::INIT_SPACE,
        seeds = [
            seeds::DISPUTE,
            &line_subject(&batch.key().to_bytes(), &line_key),
            &[DisputeKind::UnderpaidWorker.number()],
            &0u32.to_le_bytes(),
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

/// `line_key` is the receipt's.
pub(crate) fn handler(ctx: Context<OpenUnderpaid>, line_key: [u8; 32]) -> Result<()> {
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
    let batch = &mut accounts.batch;
    batch.require_challengeable(Clock::get()?.unix_timestamp, accounts.config.challenge_s)?;
    let receipt = countersigned(&accounts.instructions, &accounts.config, &batch.gateway)?;
    require!(receipt.epoch == batch.epoch && receipt.line_key == line_key, SettleError::LineMismatch);
    require_operator(&accounts.node, &receipt, &accounts.challenger.key())?;
    batch.open_dispute()?;
    batch.invariant()?;

    let says = Accusation { digest: line_key, amount_nc: receipt.cum_nc, ..Accusation::default() };
    let target = batch.key();
    let event = lodging.lodge(&mut accounts.dispute, ctx.bumps.dispute, DisputeKind::UnderpaidWorker, target, says)?;
    report(&ctx.accounts.event_authority, &event)
}

/// The receipt whose countersignature by `gateway` the instruction before verifies.
pub(crate) fn countersigned(
    instructions: &UncheckedAccount<'_>,
    config: &SettleConfig,
    gateway: &Pubkey,
) -> Result<Box<Receipt>> {
    let receipt = signature::with_preceding_ed25519(instructions, |data| {
        let message = signature::signed_message::<{ Receipt::LEN }>(data, gateway)?;
        Ok(Box::new(Receipt::from_bytes(message).map_err(|_| SettleError::MalformedMessage)?))
    })?;
    require!(receipt.gateway == gateway.to_bytes() && receipt.domain == config.domain, SettleError::LineMismatch);
    Ok(receipt)
}

/// `challenger` operates the worker of `receipt`.
pub(crate) fn require_operator(node: &Node, receipt: &Receipt, challenger: &Pubkey) -> Result<()> {
    require!(node.worker.to_bytes() == receipt.worker, SettleError::NodeMismatch);
    require_keys_eq!(node.operator, *challenger, SettleError::NotTheOperator);
    Ok(())
}
