//! Collects what a gateway charged under a grant, within its limit and the balance. The same claim may be sent again
//! for its remainder.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::{authority::pause, state::RateView};
use waybill_mechanism::channel::delegated_amount;

use crate::{
    error::SettleError,
    report::report,
    settle::{Claim, Parties},
    state::{Channel, GatewayVault, SettleTerms, SettledBy},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SettleDelegatedArgs {
    /// Cumulative charge of the channel, nc.
    pub claim_cum_nc: u64,
    /// Nonce of the last charge in it.
    pub nonce: u64,
}

#[event_cpi]
#[derive(Accounts)]
pub struct SettleDelegated<'info> {
    pub gateway: Signer<'info>,
    pub config: Account<'info, SettleTerms>,
    pub rate: Account<'info, RateView>,
    #[account(mut, dup, has_one = gateway @ SettleError::Unauthorized)]
    pub channel: Box<Account<'info, Channel>>,
    #[account(mut, dup)]
    pub channel_token: Box<Account<'info, TokenAccount>>,
    #[account(mut, dup)]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(mut, dup)]
    pub gateway_token: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl<'info> SettleDelegated<'info> {
    fn parties(&mut self) -> Parties<'_, 'info> {
        Parties {
            channel: &mut self.channel,
            channel_token: &self.channel_token,
            gateway_vault: &mut self.gateway_vault,
            gateway_token: &self.gateway_token,
            token_program: &self.token_program,
        }
    }

    /// `gateway` is the channel's; the vaults belong to `channel` and `gateway_vault`; `rate` is the coin's.
    fn validate(&mut self, args: &SettleDelegatedArgs) -> Result<()> {
        self.config.require_running(pause::SETTLING)?;
        self.parties().validate()?;
        require!(self.channel.grant.limit_nc > 0, SettleError::Inactive);
        require!(args.nonce >= self.channel.last_settled_nonce, SettleError::StaleNonce);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<SettleDelegated>, args: SettleDelegatedArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut *ctx.accounts;
    let rate = accounts.rate.current(now)?;
    let channel = &mut accounts.channel;
    let settled =
        delegated_amount(now, &channel.grant.limit(), channel.settled_nc, args.claim_cum_nc, channel.balance_aic, rate)
            .map_err(SettleError::from)?;
    channel.grant.spend(&settled.grant);
    let claim =
        Claim { by: SettledBy::Grant, nonce: args.nonce, claim_cum_nc: args.claim_cum_nc, rate, moved: settled.moved };
    let event = accounts.parties().settle(&claim)?;
    report(&ctx.accounts.event_authority, &event)
}
