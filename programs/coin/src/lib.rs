//! The coin program: AIC, its fixed supply in six vaults, and the rate at which nano-credits become AIC.
//!
//! Genesis runs once and in order: `init_coin`, `open_vault` for each kind, `genesis_mint`, `revoke_mint`, `init_rate`.

#![allow(clippy::result_large_err)] // Anchor's error type

use anchor_lang::prelude::*;

#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

pub mod authority;
pub mod clock;
pub mod constants;
pub mod error;
pub mod events;
pub mod instructions;
mod pay;
pub mod seeds;
pub mod state;
pub mod view;

use instructions::*;

declare_id!("AiC2yWwDzxTg4G6PxP3WR9LUNFR7uRq1vzF1zs3Jd4V5");

#[program]
pub mod coin {
    use super::*;

    /// Creates the configuration and the AIC mint. Once, by the program's upgrade authority.
    pub fn init_coin(ctx: Context<InitCoin>, args: InitCoinArgs) -> Result<()> {
        admin::init_coin::handler(ctx, args)
    }

    /// Creates one of the six vaults. Signed by the admin.
    pub fn open_vault(ctx: Context<OpenVault>, args: OpenVaultArgs) -> Result<()> {
        admin::open_vault::handler(ctx, args)
    }

    /// Mints the whole supply into the vaults. Once, signed by the admin.
    pub fn genesis_mint(ctx: Context<GenesisMint>) -> Result<()> {
        admin::genesis_mint::handler(ctx)
    }

    /// Gives up the mint authority for good. Signed by the admin.
    pub fn revoke_mint(ctx: Context<RevokeMint>) -> Result<()> {
        admin::revoke_mint::handler(ctx)
    }

    /// Creates the rate with its first value and its reporters. Once, signed by the admin.
    pub fn init_rate(ctx: Context<InitRate>, args: InitRateArgs) -> Result<()> {
        admin::init_rate::handler(ctx, args)
    }

    /// Begins releases and vesting. Once, signed by the admin.
    pub fn init_release(ctx: Context<InitRelease>, args: InitReleaseArgs) -> Result<()> {
        admin::init_release::handler(ctx, args)
    }

    /// Replaces the reporters of the rate. Signed by the admin.
    pub fn set_reporters(ctx: Context<SetReporters>, args: SetReportersArgs) -> Result<()> {
        admin::set_reporters::handler(ctx, args)
    }

    /// Says what the treasury, grants, liquidity or insurance vault shall pay in a day's time. Signed by the admin.
    pub fn propose_spend(ctx: Context<ProposeSpend>, args: ProposeSpendArgs) -> Result<()> {
        admin::propose_spend::handler(ctx, args)
    }

    /// Pays a proposed spend whose time has come. Signed by the admin.
    pub fn execute_spend(ctx: Context<ExecuteSpend>) -> Result<()> {
        admin::execute_spend::handler(ctx)
    }

    /// Withdraws a proposed spend. Signed by the admin or the pause authority.
    pub fn cancel_spend(ctx: Context<CancelSpend>) -> Result<()> {
        admin::cancel_spend::handler(ctx)
    }

    /// Pays from the grants or liquidity vault to any AIC account, within the vault's breaker. Signed by the admin.
    pub fn spend_vault(ctx: Context<SpendVault>, args: SpendVaultArgs) -> Result<()> {
        admin::spend_vault::handler(ctx, args)
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

    /// Says what one USD is worth in this rate epoch. Signed by a reporter.
    pub fn submit_rate(ctx: Context<SubmitRate>, args: SubmitRateArgs) -> Result<()> {
        reporter::submit_rate::handler(ctx, args)
    }

    /// Fixes the rate of this rate epoch: the median of what was submitted, at most 10 % from the last. Anyone.
    pub fn roll_rate(ctx: Context<RollRate>) -> Result<()> {
        crank::roll_rate::handler(ctx)
    }

    /// Releases the usage rewards of a day whose fees are final into the grants vault. Anyone.
    pub fn release(ctx: Context<ReleaseDay>, day: u32) -> Result<()> {
        crank::release::handler(ctx, day)
    }

    /// Pays what has vested to the team's wallet. Anyone.
    pub fn release_team(ctx: Context<ReleaseTeam>) -> Result<()> {
        crank::release_team::handler(ctx)
    }

    /// Burns what was sent to the burn account. Anyone.
    pub fn burn_fees(ctx: Context<BurnFees>) -> Result<()> {
        crank::burn_fees::handler(ctx)
    }
}
