//! The settlement program: prepaid channels, epoch batches under Merkle-sum roots, claims split by the frozen
//! snapshot, and earnings. No gateway chooses a split, and no role needs SOL to be paid.
//!
//! Where the money is, each place a token account whose balance equals what the program records:
//! channel vault → gateway vault → batch vault → pool → earnings' owners, audits, treasury, insurance, or burned.
#![allow(clippy::result_large_err)] // Anchor's error type

use anchor_lang::prelude::*;
#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

pub mod constants;
pub mod error;
pub mod events;
pub mod instructions;
mod payout;
pub mod seeds;
mod settle;
mod signature;
pub mod state;
mod token;

pub use instructions::*;
use state::GrantTerms;

declare_id!("4eMsxhRZpA6grmDojUWwXitv67Y1KcQ7YDEc5itLWSQa");

#[program]
pub mod settlement {
    use super::*;

    /// Creates the configuration, the pool and the audit account; signed by the coin's admin.
    pub fn init_config(ctx: Context<InitConfig>, args: InitConfigArgs) -> Result<()> {
        instructions::init_config(ctx, args)
    }

    /// Names the next holder of an authority; signed by the admin.
    pub fn propose_authority(ctx: Context<ProposeAuthority>, args: ProposeAuthorityArgs) -> Result<()> {
        instructions::propose_authority(ctx, args)
    }

    /// Takes over the proposed authority; signed by the new holder.
    pub fn accept_authority(ctx: Context<AcceptAuthority>) -> Result<()> {
        instructions::accept_authority(ctx)
    }

    /// Sets pause flags; signed by the pause authority.
    pub fn pause(ctx: Context<PauseProgram>, flags: u16) -> Result<()> {
        instructions::pause(ctx, flags)
    }

    /// Clears pause flags; signed by the resume authority.
    pub fn resume(ctx: Context<ResumeProgram>, flags: u16) -> Result<()> {
        instructions::resume(ctx, flags)
    }

    /// Opens a channel from a consumer to a gateway; signed by the consumer.
    pub fn open_channel(ctx: Context<OpenChannel>, args: OpenChannelArgs) -> Result<()> {
        instructions::open_channel(ctx, args)
    }

    /// Credits a channel with the tokens its vault received. Anyone.
    pub fn sync_deposit(ctx: Context<SyncDeposit>) -> Result<()> {
        instructions::sync_deposit(ctx)
    }

    /// Grants the channel's gateway a spending limit; signed by the consumer.
    pub fn set_delegate(ctx: Context<SetDelegate>, terms: GrantTerms) -> Result<()> {
        instructions::set_delegate(ctx, terms)
    }

    /// Ends the grant after an hour; signed by the consumer.
    pub fn revoke_delegate(ctx: Context<RevokeDelegate>) -> Result<()> {
        instructions::revoke_delegate(ctx)
    }

    /// Starts the grace period of a channel; signed by the consumer.
    pub fn request_close(ctx: Context<RequestClose>) -> Result<()> {
        instructions::request_close(ctx)
    }

    /// Returns what a closing channel holds to its consumer. Anyone, after the grace period.
    pub fn close_channel(ctx: Context<CloseChannel>) -> Result<()> {
        instructions::close_channel(ctx)
    }

    /// Opens the vault of a staked gateway; signed by the gateway.
    pub fn open_gateway(ctx: Context<OpenGateway>) -> Result<()> {
        instructions::open_gateway(ctx)
    }

    /// Buys nano-credits of the gateway's own vault; signed by the gateway.
    pub fn top_up_gateway(ctx: Context<TopUpGateway>, args: TopUpGatewayArgs) -> Result<()> {
        instructions::top_up_gateway(ctx, args)
    }

    /// Collects a voucher whose signature the instruction before verifies. Anyone up to what is acknowledged.
    pub fn settle_voucher(ctx: Context<SettleVoucher>, args: SettleVoucherArgs) -> Result<()> {
        instructions::settle_voucher(ctx, args)
    }

    /// Collects charges under a grant; signed by the gateway.
    pub fn settle_delegated(ctx: Context<SettleDelegated>, args: SettleDelegatedArgs) -> Result<()> {
        instructions::settle_delegated(ctx, args)
    }

    /// Commits to one shard of a past epoch and sets its AIC aside; signed by the gateway.
    pub fn post_batch(ctx: Context<PostBatch>, args: PostBatchArgs) -> Result<()> {
        instructions::post_batch(ctx, args)
    }

    /// Makes the lines of a batch claimable. Anyone, after the challenge window.
    pub fn finalize_batch(ctx: Context<FinalizeBatch>) -> Result<()> {
        instructions::finalize_batch(ctx)
    }

    /// Opens the earnings of a key. Anyone.
    pub fn open_earnings(ctx: Context<OpenEarnings>, owner: Pubkey) -> Result<()> {
        instructions::open_earnings(ctx, owner)
    }

    /// Pays one line to its payees. Anyone.
    pub fn claim_line<'info>(ctx: Context<'info, ClaimLine<'info>>, args: ClaimLineArgs) -> Result<()> {
        instructions::claim_line(ctx, args)
    }

    /// Divides the fee of a claimed batch and ends it. Anyone.
    pub fn sweep_batch(ctx: Context<SweepBatch>) -> Result<()> {
        instructions::sweep_batch(ctx)
    }

    /// Frees the rent of a swept batch; signed by the gateway.
    pub fn close_batch(ctx: Context<CloseBatch>) -> Result<()> {
        instructions::close_batch(ctx)
    }

    /// Pays earnings to an account of the owner's choice; signed by the owner.
    pub fn withdraw_earnings(ctx: Context<WithdrawEarnings>, amount_aic: Option<u64>) -> Result<()> {
        instructions::withdraw_earnings(ctx, amount_aic)
    }

    /// Registers the wallet that `sweep_earnings` pays; signed by the owner.
    pub fn set_sweep(ctx: Context<SetSweep>, wallet: Pubkey) -> Result<()> {
        instructions::set_sweep(ctx, wallet)
    }

    /// Pays all earnings to the registered wallet. Anyone.
    pub fn sweep_earnings(ctx: Context<SweepEarnings>) -> Result<()> {
        instructions::sweep_earnings(ctx)
    }
}
