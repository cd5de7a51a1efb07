//! The settlement program: prepaid channels, epoch batches under Merkle-sum roots, claims split by the frozen
//! snapshot, and earnings. No gateway chooses a split, and no role needs SOL to be paid.
//!
//! Where the money is, each place a token account whose balance equals what the program records: channel vault →
//! gateway vault → batch vault → pool → owners of earnings, audits, treasury, insurance, or burned.
#![allow(clippy::result_large_err)] // Anchor's error type

use anchor_lang::prelude::*;
#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

mod bond;
pub mod constants;
pub mod error;
pub mod events;
pub mod instructions;
mod payout;
mod report;
mod restitution;
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

    /// Accuses a gateway of a line or receipt of a posted batch (D3, D4, D5, D9); signed by the challenger.
    pub fn open_dispute(ctx: Context<OpenDispute>, args: OpenDisputeArgs) -> Result<()> {
        dispute::open_dispute::handler(ctx, args)
    }

    /// Accuses a gateway of leaving out a worker's work (D1); signed by the worker's operator.
    pub fn open_underpaid(ctx: Context<OpenUnderpaid>, line_key: [u8; 32]) -> Result<()> {
        dispute::open_underpaid::handler(ctx, line_key)
    }

    /// Accuses a gateway of settling more than it acknowledged (D2); signed by the channel's consumer.
    pub fn open_overcharge(ctx: Context<OpenOvercharge>) -> Result<()> {
        dispute::open_overcharge::handler(ctx)
    }

    /// Accuses a gateway of two contradicting signatures (D6); signed by the challenger.
    pub fn open_equivocation(ctx: Context<OpenEquivocation>, args: OpenEquivocationArgs) -> Result<()> {
        dispute::open_equivocation::handler(ctx, args)
    }

    /// Claims for a worker whose gateway posted nothing (D8); signed by the worker's operator.
    pub fn direct_claim(ctx: Context<DirectClaim>, args: DirectClaimArgs) -> Result<()> {
        dispute::direct_claim::handler(ctx, args)
    }

    /// Has a worker's signature of a receipt verified, as the first half of an answer (D4); signed by the gateway.
    pub fn stage_evidence(ctx: Context<StageEvidence>, replaces: [u8; 32]) -> Result<()> {
        dispute::stage_evidence::handler(ctx, replaces)
    }

    /// Shows the receipt that a dispute asks for (D3, D4). Anyone.
    pub fn respond_dispute(ctx: Context<RespondDispute>, args: RespondDisputeArgs) -> Result<()> {
        dispute::respond_dispute::handler(ctx, args)
    }

    /// Shows a line of the disputed key (D1); signed by the gateway.
    pub fn respond_line(ctx: Context<RespondLine>, args: RespondLineArgs) -> Result<()> {
        dispute::respond_line::handler(ctx, args)
    }

    /// Shows the order of the disputed nonce, and that a worker served it (D2). Anyone.
    pub fn respond_overcharge(ctx: Context<RespondOvercharge>, order: [u8; 90]) -> Result<()> {
        dispute::respond_overcharge::handler(ctx, order)
    }

    /// Shows a leaf that the challenger argues with (D5, D9); signed by the challenger.
    pub fn prove_dispute(ctx: Context<ProveDispute>, args: ProveDisputeArgs) -> Result<()> {
        dispute::prove_dispute::handler(ctx, args)
    }

    /// Proves that two leaves contradict each other (D5); signed by the challenger.
    pub fn prove_order(ctx: Context<ProveOrder>, args: ProveOrderArgs) -> Result<()> {
        dispute::prove_order::handler(ctx, args)
    }

    /// Proves that a receipt costs too much or names a referrer nobody granted (D9); signed by the challenger.
    pub fn prove_price(ctx: Context<ProvePrice>, args: ProvePriceArgs) -> Result<()> {
        dispute::prove_price::handler(ctx, args)
    }

    /// Brings the second of two contradicting messages (D6); signed by the challenger.
    pub fn prove_equivocation(ctx: Context<ProveEquivocation>, first: Vec<u8>) -> Result<()> {
        dispute::prove_equivocation::handler(ctx, first)
    }

    /// Ends D2. Anyone, once its outcome is certain.
    pub fn resolve_overcharge(ctx: Context<ResolveOvercharge>) -> Result<()> {
        dispute::resolve_overcharge::handler(ctx)
    }

    /// Ends D8. Anyone, once its outcome is certain.
    pub fn resolve_direct_claim(ctx: Context<ResolveDirectClaim>) -> Result<()> {
        dispute::resolve_direct_claim::handler(ctx)
    }

    /// Ends D6. Anyone, once its outcome is certain.
    pub fn resolve_equivocation(ctx: Context<ResolveEquivocation>) -> Result<()> {
        dispute::resolve_equivocation::handler(ctx)
    }

    /// Ends a dispute about a batch (D1, D3, D4, D5, D9). Anyone, once its outcome is certain.
    pub fn resolve_dispute(ctx: Context<ResolveDispute>) -> Result<()> {
        dispute::resolve_dispute::handler(ctx)
    }

    /// Frees the rent of a dispute that is over. Anyone.
    pub fn close_dispute(ctx: Context<CloseDispute>) -> Result<()> {
        dispute::close_dispute::handler(ctx)
    }

    /// Opens the earnings of a key. Anyone.
    pub fn open_earnings(ctx: Context<OpenEarnings>, owner: Pubkey) -> Result<()> {
        crank::open_earnings::handler(ctx, owner)
    }

    /// Pays one line to its payees. Anyone.
    pub fn claim_line<'info>(ctx: Context<'info, ClaimLine<'info>>, args: ClaimLineArgs) -> Result<()> {
        crank::claim_line::handler(ctx, args)
    }

    /// Pays a block of lines of one batch to their payees. Anyone.
    pub fn claim_lines<'info>(ctx: Context<'info, ClaimLines<'info>>, args: ClaimLinesArgs) -> Result<()> {
        crank::claim_lines::handler(ctx, args)
    }

    /// Frees the rent of a day's fees that nobody needs any more. Anyone.
    pub fn close_fee_day(ctx: Context<CloseFeeDay>) -> Result<()> {
        crank::close_fee_day::handler(ctx)
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

    /// Draws the audits of a posted batch from a slot hash. Anyone.
    pub fn seed_audits(ctx: Context<SeedAudits>) -> Result<()> {
        auditor::seed_audits::handler(ctx)
    }

    /// Creates the set of verifiers of a determinism class. Anyone.
    pub fn create_verifier_set(ctx: Context<CreateVerifierSet>, det_class: u16) -> Result<()> {
        auditor::create_verifier_set::handler(ctx, det_class)
    }

    /// Takes a seat in a set; signed by the owner of the stake and the node that signs verdicts.
    pub fn join_verifiers(ctx: Context<JoinVerifiers>) -> Result<()> {
        auditor::join_verifiers::handler(ctx)
    }

    /// Gives up a seat; signed by its owner.
    pub fn leave_verifiers(ctx: Context<LeaveVerifiers>, seat: u8) -> Result<()> {
        auditor::leave_verifiers::handler(ctx, seat)
    }

    /// Ends the seat of a verifier without its stake. Anyone.
    pub fn evict_verifier(ctx: Context<EvictVerifier>, seat: u8) -> Result<()> {
        auditor::evict_verifier::handler(ctx, seat)
    }

    /// Remembers a receipt whose worker's signature the instruction before verifies. Anyone.
    pub fn stage_receipt(ctx: Context<StageReceipt>, receipt_hash: [u8; 32]) -> Result<()> {
        auditor::stage_receipt::handler(ctx, receipt_hash)
    }

    /// Returns the rent of a staged receipt; signed by who paid it.
    pub fn unstage_receipt(ctx: Context<UnstageReceipt>) -> Result<()> {
        auditor::unstage_receipt::handler(ctx)
    }

    /// Opens the audit of a draw and seats its panel. Anyone.
    pub fn open_audit(ctx: Context<OpenAudit>, args: OpenAuditArgs) -> Result<()> {
        auditor::open_audit::handler(ctx, args)
    }

    /// Records a verdict whose signature by the chair's node the instruction before verifies. Anyone delivers it.
    pub fn submit_verdict(ctx: Context<SubmitVerdict>) -> Result<()> {
        auditor::submit_verdict::handler(ctx)
    }

    /// Contests a pass or appeals a decision; signed by who lays the bond.
    pub fn appeal_audit(ctx: Context<AppealAudit>) -> Result<()> {
        auditor::appeal_audit::handler(ctx)
    }

    /// Ends a round whose time is over and books the outcome. Anyone.
    pub fn resolve_audit(ctx: Context<ResolveAudit>) -> Result<()> {
        auditor::resolve_audit::handler(ctx)
    }

    /// Voids the line of a receipt that failed its audit. Anyone.
    pub fn forfeit_line(ctx: Context<ForfeitLine>, args: ForfeitLineArgs) -> Result<()> {
        auditor::forfeit_line::handler(ctx, args)
    }

    /// Ends the wait for a line that nobody forfeited. Anyone, after a grace.
    pub fn waive_forfeit(ctx: Context<WaiveForfeit>) -> Result<()> {
        auditor::waive_forfeit::handler(ctx)
    }

    /// Slashes the operator of a worker whose output failed its audit. Anyone.
    pub fn punish_worker(ctx: Context<PunishWorker>) -> Result<()> {
        auditor::punish_worker::handler(ctx)
    }

    /// Slashes a verifier for a false or missing verdict. Anyone.
    pub fn punish_verifier(ctx: Context<PunishVerifier>, chair: u8) -> Result<()> {
        auditor::punish_verifier::handler(ctx, chair)
    }

    /// Pays a verifier whose verdict stood. Anyone.
    pub fn pay_verifier(ctx: Context<PayVerifier>, chair: u8) -> Result<()> {
        auditor::pay_verifier::handler(ctx, chair)
    }

    /// Returns or takes the bond of an appeal. Anyone.
    pub fn settle_bond(ctx: Context<SettleBond>, index: u8) -> Result<()> {
        auditor::settle_bond::handler(ctx, index)
    }

    /// Returns the rent of a finished audit. Anyone.
    pub fn close_audit(ctx: Context<CloseAudit>) -> Result<()> {
        auditor::close_audit::handler(ctx)
    }

    /// Commits to a planted receipt; signed by the params authority.
    pub fn commit_canary(ctx: Context<CommitCanary>, commitment: [u8; 32]) -> Result<()> {
        auditor::commit_canary::handler(ctx, commitment)
    }

    /// Reveals that an audited receipt was planted; signed by the params authority.
    pub fn reveal_canary(ctx: Context<RevealCanary>, salt: [u8; 32]) -> Result<()> {
        auditor::reveal_canary::handler(ctx, salt)
    }
}
