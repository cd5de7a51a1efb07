//! Commits a gateway to one shard of a past epoch and moves what it is worth out of the gateway vault. The roots never
//! change again; the account's address allows one batch per (gateway, epoch, shard).

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::authority::pause;
use waybill_mechanism::batch::batch_take;

use crate::{
    constants::{MAX_LINES, MAX_RECEIPTS, MAX_URI, VERSION},
    error::SettleError,
    events::BatchPosted,
    report::report,
    seeds,
    state::{Batch, BatchState, GatewayVault, SettleTerms},
    token,
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct PostBatchArgs {
    pub epoch: u32,
    pub shard: u16,
    pub receipts_root: [u8; 32],
    pub receipts_sum_nc: u64,
    pub n_receipts: u32,
    pub lines_root: [u8; 32],
    pub lines_sum_nc: u64,
    pub n_lines: u32,
    /// sha256 of the published receipts and lines.
    pub data_hash: [u8; 32],
    /// Where they are published, ≤ 128 bytes; reported in the event only.
    pub uri: String,
}

#[event_cpi]
#[derive(Accounts)]
#[instruction(args: PostBatchArgs)]
pub struct PostBatch<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub gateway: Signer<'info>,
    pub config: Account<'info, SettleTerms>,
    /// CHECK: the configured mint, by its address; the token program reads it.
    #[account(address = config.mint @ SettleError::AccountMismatch)]
    pub mint: UncheckedAccount<'info>,
    #[account(
        mut,
        dup,
        has_one = gateway @ SettleError::Unauthorized,
        has_one = mint @ SettleError::AccountMismatch
    )]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(mut, dup, address = gateway_vault.vault @ SettleError::AccountMismatch)]
    pub gateway_token: Box<Account<'info, TokenAccount>>,
    #[account(
        init,
        payer = payer,
        space = Batch::space(args.n_lines),
        seeds = [seeds::BATCH, gateway.key().as_ref(), &args.epoch.to_le_bytes(), &args.shard.to_le_bytes()],
        bump
    )]
    pub batch: Box<Account<'info, Batch>>,
    #[account(
        init,
        payer = payer,
        seeds = [seeds::BATCH_VAULT, batch.key().as_ref()],
        bump,
        token::mint = mint,
        token::authority = batch
    )]
    pub batch_vault: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
    pub system_program: Program<'info, System>,
}

impl PostBatch<'_> {
    /// `gateway` owns `gateway_vault` and its token account; `batch` and `batch_vault` are new at their addresses.
    fn validate(&self, args: &PostBatchArgs, now: i64) -> Result<()> {
        self.config.require_running(pause::POSTING)?;
        require!(now >= self.config.epoch_end(args.epoch)?, SettleError::EpochNotOver);
        require!(args.epoch >= self.gateway_vault.first_postable_epoch(), SettleError::EpochClosed);
        require!(
            (1..=MAX_LINES).contains(&args.n_lines)
                && (args.n_lines..=MAX_RECEIPTS).contains(&args.n_receipts)
                && args.lines_sum_nc == args.receipts_sum_nc
                && args.lines_sum_nc > 0
                && args.uri.len() <= MAX_URI,
            SettleError::InvalidBatch
        );
        require!(args.lines_sum_nc <= self.gateway_vault.nc, SettleError::InsufficientVault);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<PostBatch>, args: PostBatchArgs) -> Result<()> {
    let clock = Clock::get()?;
    let now = clock.unix_timestamp;
    ctx.accounts.validate(&args, now)?;
    let accounts = &mut *ctx.accounts;
    let gateway_vault = &mut accounts.gateway_vault;
    // Rounds up: the vault's last nano-credit takes its last AIC, so neither is left without the other.
    let aic = batch_take(gateway_vault.nc, gateway_vault.aic, args.lines_sum_nc).map_err(SettleError::from)?;
    gateway_vault.debit(args.lines_sum_nc, aic)?;
    let vault_seq = gateway_vault.next_seq()?;
    gateway_vault.invariant()?;

    accounts.batch.set_inner(Batch {
        version: VERSION,
        bump: ctx.bumps.batch,
        state: BatchState::Posted,
        vault_bump: ctx.bumps.batch_vault,
        gateway: gateway_vault.gateway,
        mint: gateway_vault.mint,
        epoch: args.epoch,
        shard: args.shard,
        late: now > accounts.config.on_time_until(args.epoch)?,
        receipts_root: args.receipts_root,
        lines_root: args.lines_root,
        n_receipts: args.n_receipts,
        n_lines: args.n_lines,
        sum_nc: args.lines_sum_nc,
        aic,
        data_hash: args.data_hash,
        posted_slot: clock.slot,
        posted_at: now,
        final_at: 0,
        claimed_lines: 0,
        claimed_nc: 0,
        claimed_aic: 0,
        fee_aic: 0,
        burn_aic: 0,
        seq: 0,
        rent_payer: accounts.payer.key(),
        seed: [0; 32],
        seed_slot: 0,
        draws: 0,
        open_audits: 0,
        open_disputes: 0,
        forfeited_nc: 0,
        _reserved: [0; 10],
    });
    let seq = accounts.batch.next_seq()?;
    accounts.batch.invariant()?;

    let (gateway, mint, bump) = (gateway_vault.gateway, gateway_vault.mint, [gateway_vault.bump]);
    token::transfer(
        &accounts.token_program,
        &accounts.gateway_token,
        &accounts.batch_vault,
        accounts.gateway_vault.to_account_info(),
        &[seeds::GATEWAY_VAULT, gateway.as_ref(), mint.as_ref(), &bump],
        aic,
    )?;
    let event = BatchPosted {
        batch: ctx.accounts.batch.key(),
        gateway,
        epoch: args.epoch,
        shard: args.shard,
        late: ctx.accounts.batch.late,
        receipts_root: args.receipts_root,
        lines_root: args.lines_root,
        n_receipts: args.n_receipts,
        n_lines: args.n_lines,
        sum_nc: args.lines_sum_nc,
        aic,
        data_hash: args.data_hash,
        uri: args.uri,
        vault_nc: ctx.accounts.gateway_vault.nc,
        vault_aic: ctx.accounts.gateway_vault.aic,
        seq,
        vault_seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
