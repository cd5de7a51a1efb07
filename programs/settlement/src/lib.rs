//! The settlement program: prepaid channels, epoch batches under Merkle-sum roots, claims split by the frozen
//! snapshot, and earnings. No gateway chooses a split, and no role needs SOL to be paid.
//!
//! Where the money is, each place a token account whose balance equals what the program records: channel vault →
//! gateway vault → batch vault → pool → owners of earnings, audits, treasury, insurance, or burned.
#![allow(clippy::result_large_err)] // Anchor's error type

use anchor_lang::prelude::*;
#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

pub mod constants;
pub mod error;
pub mod events;
pub mod instructions;
mod payout;
mod report;
pub mod seeds;
mod settle;
mod signature;
pub mod slash;
pub mod state;
mod token;

use instructions::*;
use state::GrantTerms;

declare_id!("4eMsxhRZpA6grmDojUWwXitv67Y1KcQ7YDEc5itLWSQa");

#[program]
pub mod waybill_settlement {
    use super::*;

    /// Creates the configuration, the pool and the audit account; signed by the coin's admin.
    pub fn init_config(ctx: Context<InitConfig>, args: InitConfigArgs) -> Result<()> {
        admin::init_config::handler(ctx, args)
    }

    /// Names the next holder of an authority; signed by the admin.
    pub fn propose_authority(ctx: Context<ProposeAuthority>, args: ProposeAuthorityArgs) -> Result<()> {
        admin::propose_authority::handler(ctx, args)
    }

    /// Takes over the proposed authority; signed by the new holder.
    pub fn accept_authority(ctx: Context<AcceptAuthority>) -> Result<()> {
        admin::accept_authority::handler(ctx)
    }

    /// Sets pause flags; signed by the pause authority.
    pub fn pause(ctx: Context<PauseProgram>, flags: u16) -> Result<()> {
        admin::pause_program::handler(ctx, flags)
    }

    /// Clears pause flags; signed by the resume authority.
    pub fn resume(ctx: Context<ResumeProgram>, flags: u16) -> Result<()> {
        admin::resume_program::handler(ctx, flags)
    }

    /// Opens a channel from a consumer to a gateway; signed by the consumer.
    pub fn open_channel(ctx: Context<OpenChannel>, args: OpenChannelArgs) -> Result<()> {
        consumer::open_channel::handler(ctx, args)
    }

    /// Credits a channel with the tokens its vault received. Anyone.
    pub fn sync_deposit(ctx: Context<SyncDeposit>) -> Result<()> {
        crank::sync_deposit::handler(ctx)
    }

    /// Grants the channel's gateway a spending limit; signed by the consumer.
    pub fn set_delegate(ctx: Context<SetDelegate>, terms: GrantTerms) -> Result<()> {
        consumer::set_delegate::handler(ctx, terms)
    }

    /// Ends the grant after an hour; signed by the consumer.
    pub fn revoke_delegate(ctx: Context<RevokeDelegate>) -> Result<()> {
        consumer::revoke_delegate::handler(ctx)
    }

    /// Starts the grace period of a channel; signed by the consumer.
    pub fn request_close(ctx: Context<RequestClose>) -> Result<()> {
        consumer::request_close::handler(ctx)
    }

    /// Returns what a closing channel holds to its consumer. Anyone, after the grace period.
    pub fn close_channel(ctx: Context<CloseChannel>) -> Result<()> {
        crank::close_channel::handler(ctx)
    }

    /// Opens the vault of a staked gateway; signed by the gateway.
    pub fn open_gateway(ctx: Context<OpenGateway>) -> Result<()> {
        gateway::open_gateway::handler(ctx)
    }

    /// Buys nano-credits of the gateway's own vault; signed by the gateway.
    pub fn top_up_gateway(ctx: Context<TopUpGateway>, args: TopUpGatewayArgs) -> Result<()> {
        gateway::top_up_gateway::handler(ctx, args)
    }

    /// Collects a voucher whose signature the instruction before verifies. Anyone up to what is acknowledged.
    pub fn settle_voucher(ctx: Context<SettleVoucher>, args: SettleVoucherArgs) -> Result<()> {
        crank::settle_voucher::handler(ctx, args)
    }

    /// Collects charges under a grant; signed by the gateway.
    pub fn settle_delegated(ctx: Context<SettleDelegated>, args: SettleDelegatedArgs) -> Result<()> {
        gateway::settle_delegated::handler(ctx, args)
    }

    /// Commits to one shard of a past epoch and sets its AIC aside; signed by the gateway.
    pub fn post_batch(ctx: Context<PostBatch>, args: PostBatchArgs) -> Result<()> {
        gateway::post_batch::handler(ctx, args)
    }

    /// Makes the lines of a batch claimable. Anyone, after the challenge window.
    pub fn finalize_batch(ctx: Context<FinalizeBatch>) -> Result<()> {
        crank::finalize_batch::handler(ctx)
    }

    /// Opens the earnings of a key. Anyone.
    pub fn open_earnings(ctx: Context<OpenEarnings>, owner: Pubkey) -> Result<()> {
        crank::open_earnings::handler(ctx, owner)
    }

    /// Pays one line to its payees. Anyone.
    pub fn claim_line<'info>(ctx: Context<'info, ClaimLine<'info>>, args: ClaimLineArgs) -> Result<()> {
        crank::claim_line::handler(ctx, args)
    }

    /// Shares what claims credited to a royalty table among the vendors of its lineage. Anyone.
    pub fn share_royalties<'info>(ctx: Context<'info, ShareRoyalties<'info>>) -> Result<()> {
        crank::share_royalties::handler(ctx)
    }

    /// Returns the rent of a royalty table that no claim needs any more. Anyone.
    pub fn close_royalties(ctx: Context<CloseRoyalties>) -> Result<()> {
        crank::close_royalties::handler(ctx)
    }

    /// Divides the fee of a claimed batch and ends it. Anyone.
    pub fn sweep_batch(ctx: Context<SweepBatch>) -> Result<()> {
        crank::sweep_batch::handler(ctx)
    }

    /// Frees the rent of a swept batch; signed by the gateway.
    pub fn close_batch(ctx: Context<CloseBatch>) -> Result<()> {
        gateway::close_batch::handler(ctx)
    }

    /// Pays earnings to an account of the owner's choice; signed by the owner.
    pub fn withdraw_earnings(ctx: Context<WithdrawEarnings>, amount_aic: Option<u64>) -> Result<()> {
        payee::withdraw_earnings::handler(ctx, amount_aic)
    }

    /// Takes what a bounty adds to a curator's share of one line; signed by the curator.
    pub fn claim_bounty(ctx: Context<ClaimBounty>, args: ClaimBountyArgs) -> Result<()> {
        payee::claim_bounty::handler(ctx, args)
    }

    /// Promises a curator an addition to its share of a container; signed by the sponsor.
    pub fn open_bounty(ctx: Context<OpenBounty>, args: OpenBountyArgs) -> Result<()> {
        sponsor::open_bounty::handler(ctx, args)
    }

    /// Puts tokens behind a bounty; signed by the sponsor.
    pub fn fund_bounty(ctx: Context<FundBounty>, amount_aic: u64) -> Result<()> {
        sponsor::fund_bounty::handler(ctx, amount_aic)
    }

    /// Ends a bounty with the running epoch; signed by the sponsor.
    pub fn end_bounty(ctx: Context<EndBounty>) -> Result<()> {
        sponsor::end_bounty::handler(ctx)
    }

    /// Returns what an ended bounty has left; signed by the sponsor.
    pub fn close_bounty(ctx: Context<CloseBounty>) -> Result<()> {
        sponsor::close_bounty::handler(ctx)
    }

    /// Registers the wallet that `sweep_earnings` pays; signed by the owner.
    pub fn set_sweep(ctx: Context<SetSweep>, wallet: Pubkey) -> Result<()> {
        payee::set_sweep::handler(ctx, wallet)
    }

    /// Pays all earnings to the registered wallet. Anyone.
    pub fn sweep_earnings(ctx: Context<SweepEarnings>) -> Result<()> {
        crank::sweep_earnings::handler(ctx)
    }

    /// Shows that a consumer's paid request came through a campaign's slot. Anyone.
    pub fn prove_event(ctx: Context<ProveEvent>, args: ProveEventArgs) -> Result<()> {
        crank::prove_event::handler(ctx, args)
    }

    /// Lets a campaign pay for a proven event. Anyone.
    pub fn settle_promo(ctx: Context<SettlePromo>) -> Result<()> {
        crank::settle_promo::handler(ctx)
    }

    /// Frees the rent of an event whose campaign is gone. Anyone.
    pub fn close_event(ctx: Context<CloseEvent>) -> Result<()> {
        crank::close_event::handler(ctx)
    }
}
