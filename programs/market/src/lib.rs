//! The market program: who takes part and with what stake, which models and containers exist, what everyone asks,
//! and the price and split of each container stage, frozen once per pricing epoch.

#![allow(clippy::result_large_err)] // Anchor's error type

use anchor_lang::prelude::*;

#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

pub mod constants;
pub mod error;
pub mod events;
pub mod instructions;
pub mod seeds;
pub mod state;

use instructions::*;

declare_id!("GJsERMNcXPKLZYboNR9M8jjEALuLsN7WKP7fr6pM7GxD");

#[program]
pub mod market {
    use super::*;

    /// Creates the configuration. Once, by the program's upgrade authority.
    pub fn init_config(ctx: Context<InitConfig>, args: InitConfigArgs) -> Result<()> {
        admin::init_config::handler(ctx, args)
    }

    /// Creates the market of a class of work in a region. Signed by the admin.
    pub fn create_market(ctx: Context<CreateMarket>, args: CreateMarketArgs) -> Result<()> {
        admin::create_market::handler(ctx, args)
    }

    /// Names who may take over a role. Signed by the admin.
    pub fn propose_authority(ctx: Context<ProposeAuthority>, args: ProposeAuthorityArgs) -> Result<()> {
        admin::propose_authority::handler(ctx, args)
    }

    /// Takes over a role. Signed by the key that was named.
    pub fn accept_authority(ctx: Context<AcceptAuthority>) -> Result<()> {
        admin::accept_authority::handler(ctx)
    }

    /// Sets pause flags. Signed by the pause authority.
    pub fn pause(ctx: Context<Pause>, args: PauseArgs) -> Result<()> {
        admin::pause::handler(ctx, args)
    }

    /// Clears pause flags. Signed by the resume authority.
    pub fn resume(ctx: Context<Resume>, args: ResumeArgs) -> Result<()> {
        admin::resume::handler(ctx, args)
    }

    /// Creates a party and the token account of its stake. Signed by its owner.
    pub fn register_party(ctx: Context<RegisterParty>, args: RegisterPartyArgs) -> Result<()> {
        party::register_party::handler(ctx, args)
    }

    /// Moves AIC of the owner into its stake. Signed by the owner.
    pub fn add_stake(ctx: Context<AddStake>, args: AddStakeArgs) -> Result<()> {
        party::add_stake::handler(ctx, args)
    }

    /// Puts stake on its way out. Signed by the owner.
    pub fn begin_unstake(ctx: Context<BeginUnstake>, args: BeginUnstakeArgs) -> Result<()> {
        party::begin_unstake::handler(ctx, args)
    }

    /// Pays out what has finished unbonding. Signed by the owner.
    pub fn finish_unstake(ctx: Context<FinishUnstake>) -> Result<()> {
        party::finish_unstake::handler(ctx)
    }

    /// Says what a vendor, OEM or weaver wants per 1,000 BU. Signed by it.
    pub fn post_ask(ctx: Context<PostAsk>, args: PostAskArgs) -> Result<()> {
        party::post_ask::handler(ctx, args)
    }

    /// Delegates a worker's network key. Signed by the operator and the worker.
    pub fn register_node(ctx: Context<RegisterNode>, args: RegisterNodeArgs) -> Result<()> {
        worker::register_node::handler(ctx, args)
    }

    /// Moves the end of a delegation. Signed by the operator.
    pub fn renew_node(ctx: Context<RenewNode>, args: RenewNodeArgs) -> Result<()> {
        worker::renew_node::handler(ctx, args)
    }

    /// Takes a delegation back for good. Signed by the operator.
    pub fn revoke_node(ctx: Context<RevokeNode>) -> Result<()> {
        worker::revoke_node::handler(ctx)
    }

    /// Puts a worker's capacity into a market's book, or changes it. Signed by the operator.
    pub fn post_offer(ctx: Context<PostOffer>, args: PostOfferArgs) -> Result<()> {
        worker::post_offer::handler(ctx, args)
    }

    /// Registers a model file by its hash. Signed by the vendor, and by the OEM if there is one.
    pub fn register_artifact(ctx: Context<RegisterArtifact>, args: RegisterArtifactArgs) -> Result<()> {
        vendor::register_artifact::handler(ctx, args)
    }

    /// Says on what terms others may derive from a model. Signed by its vendor.
    pub fn set_ceiling(ctx: Context<SetCeiling>, args: SetCeilingArgs) -> Result<()> {
        vendor::set_ceiling::handler(ctx, args)
    }

    /// Makes a model a derivative of another, once. Signed by the derivative's vendor.
    pub fn link_license(ctx: Context<LinkLicense>, args: LinkLicenseArgs) -> Result<()> {
        vendor::link_license::handler(ctx, args)
    }

    /// Creates a container. Signed by the weaver.
    pub fn create_container(ctx: Context<CreateContainer>, args: CreateContainerArgs) -> Result<()> {
        weaver::create_container::handler(ctx, args)
    }

    /// Moves the share of a container's curators, by at most a step per pricing epoch. Signed by the weaver.
    pub fn set_beta(ctx: Context<SetBeta>, args: SetBetaArgs) -> Result<()> {
        weaver::set_beta::handler(ctx, args)
    }

    /// Ends a container: it gets no more snapshots. Signed by the weaver.
    pub fn retire_container(ctx: Context<RetireContainer>, args: RetireContainerArgs) -> Result<()> {
        weaver::retire_container::handler(ctx, args)
    }

    /// Freezes what the vendors of a derived model's lineage ask for one pricing epoch. Anyone.
    pub fn roll_royalties<'info>(ctx: Context<'info, RollRoyalties<'info>>, args: RollRoyaltiesArgs) -> Result<()> {
        crank::roll_royalties::handler(ctx, args)
    }

    /// Returns the rent of a royalty table that no claim can need any more. Signed by the settlement program.
    pub fn close_royalties(ctx: Context<CloseRoyalties>) -> Result<()> {
        crank::close_royalties::handler(ctx)
    }

    /// Freezes price and split of one stage for one pricing epoch. Anyone.
    pub fn roll_container<'info>(ctx: Context<'info, RollContainer<'info>>, args: RollContainerArgs) -> Result<()> {
        crank::roll_container::handler(ctx, args)
    }

    /// Takes stake for a proven offence. Signed by the settlement program's slasher.
    pub fn slash(ctx: Context<SlashParty>, args: SlashArgs) -> Result<Slashed> {
        settlement::slash::handler(ctx, args)
    }

    /// Ends a slash ticket 60 days after its last use. Anyone.
    pub fn close_ticket(ctx: Context<CloseTicket>) -> Result<()> {
        crank::close_ticket::handler(ctx)
    }

    /// Reports the demand of the pricing epoch before in a market. Signed by a gateway.
    pub fn observe_demand(ctx: Context<ObserveDemand>, args: ObserveDemandArgs) -> Result<()> {
        gateway::observe_demand::handler(ctx, args)
    }

    /// Clears a market's book for the next pricing epoch. Anyone.
    pub fn roll_market(ctx: Context<RollMarket>) -> Result<()> {
        crank::roll_market::handler(ctx)
    }

    /// Takes an offer that can no longer be served out of the book and ends it. Anyone.
    pub fn remove_offer(ctx: Context<RemoveOffer>) -> Result<()> {
        crank::remove_offer::handler(ctx)
    }

    /// Ends an empty seat. Anyone.
    pub fn close_seat(ctx: Context<CloseSeat>) -> Result<()> {
        crank::close_seat::handler(ctx)
    }

    /// Takes another tier. Signed by the provider.
    pub fn set_tier(ctx: Context<SetTier>, args: SetTierArgs) -> Result<()> {
        party::set_tier::handler(ctx, args)
    }

    /// Proposes parameters, to apply two settlement epochs later or after. Signed by the params authority.
    pub fn propose_params(ctx: Context<ProposeParams>, args: ProposeParamsArgs) -> Result<()> {
        admin::propose_params::handler(ctx, args)
    }

    /// Applies proposed parameters whose time has come. Anyone.
    pub fn apply_params(ctx: Context<ApplyParams>) -> Result<()> {
        crank::apply_params::handler(ctx)
    }

    /// Converts the minimum stakes that are given in USD, once per pricing epoch. Anyone.
    pub fn roll_minima(ctx: Context<RollMinima>) -> Result<()> {
        crank::roll_minima::handler(ctx)
    }

    /// Ends a node 90 days after its delegation. Anyone.
    pub fn close_node(ctx: Context<CloseNode>) -> Result<()> {
        crank::close_node::handler(ctx)
    }

    /// Ends a container 90 days after it was retired. Anyone.
    pub fn close_container(ctx: Context<CloseContainer>) -> Result<()> {
        crank::close_container::handler(ctx)
    }

    /// Ends a weaver's ask whose container is gone. Anyone.
    pub fn close_ask(ctx: Context<CloseAsk>) -> Result<()> {
        crank::close_ask::handler(ctx)
    }

    /// Ends a snapshot 90 days after its pricing epoch. Anyone.
    pub fn close_snapshot(ctx: Context<CloseSnapshot>) -> Result<()> {
        crank::close_snapshot::handler(ctx)
    }

    /// Ends an observation of a past pricing epoch. Anyone.
    pub fn close_observation(ctx: Context<CloseObservation>) -> Result<()> {
        crank::close_observation::handler(ctx)
    }

    /// Registers a determinism class. Signed by the params authority.
    pub fn register_det_class(ctx: Context<RegisterDetClass>, args: RegisterDetClassArgs) -> Result<()> {
        admin::register_det_class::handler(ctx, args)
    }

    /// Changes how outputs of a determinism class are compared. Signed by the params authority.
    pub fn tune_det_class(ctx: Context<TuneDetClass>, args: TuneDetClassArgs) -> Result<()> {
        admin::tune_det_class::handler(ctx, args)
    }

    /// Creates a campaign and pays into its escrow. Signed by its owner.
    pub fn create_campaign(ctx: Context<CreateCampaign>, args: CreateCampaignArgs) -> Result<()> {
        promoter::create_campaign::handler(ctx, args)
    }

    /// Moves more AIC into a campaign's escrow. Signed by its owner.
    pub fn top_up_campaign(ctx: Context<TopUpCampaign>, args: TopUpCampaignArgs) -> Result<()> {
        promoter::top_up_campaign::handler(ctx, args)
    }

    /// Sets a campaign's measured quality. Signed by the params authority.
    pub fn set_quality(ctx: Context<SetQuality>, args: SetQualityArgs) -> Result<()> {
        admin::set_quality::handler(ctx, args)
    }

    /// Bids for the promotion slots of a day to come. Signed by the campaign's owner.
    pub fn bid_slot(ctx: Context<BidSlot>, args: BidSlotArgs) -> Result<()> {
        promoter::bid_slot::handler(ctx, args)
    }

    /// Sells the slots of a day. Anyone, once bidding has ended.
    pub fn roll_slots(ctx: Context<RollSlots>) -> Result<()> {
        crank::roll_slots::handler(ctx)
    }

    /// Charges one proven event to a campaign. Signed by the settlement program.
    pub fn charge_promo(ctx: Context<ChargePromo>) -> Result<Charged> {
        settlement::charge_promo::handler(ctx)
    }

    /// Ends a campaign's bidding. Signed by its owner.
    pub fn close_campaign(ctx: Context<CloseCampaign>) -> Result<()> {
        promoter::close_campaign::handler(ctx)
    }

    /// Pays what a closed campaign did not spend to its owner. Anyone, once nothing can be charged any more.
    pub fn withdraw_campaign(ctx: Context<WithdrawCampaign>) -> Result<()> {
        crank::withdraw_campaign::handler(ctx)
    }

    /// Frees the rent of a slot auction that can no longer be charged. Anyone.
    pub fn close_slot_auction(ctx: Context<CloseSlotAuction>) -> Result<()> {
        crank::close_slot_auction::handler(ctx)
    }
}
