//! Collects what a consumer acknowledged in a signed voucher. The ed25519 instruction that verifies it comes directly
//! before. Anyone may collect up to `acked_nc`; up to `cum_nc` the gateway signs as well.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::{authority::pause, state::RateView};
use waybill_mechanism::{channel::settle_amount, message::Voucher};

use crate::{
    error::SettleError,
    report::report,
    settle::{Claim, Parties},
    signature,
    state::{Channel, GatewayVault, SettleTerms, SettledBy},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SettleVoucherArgs {
    /// Cumulative charge to settle, nc: above what is settled, at most the voucher's ceiling.
    pub claim_cum_nc: u64,
}

#[event_cpi]
#[derive(Accounts)]
pub struct SettleVoucher<'info> {
    /// Signs for claims above what the consumer acknowledged.
    pub gateway: Option<Signer<'info>>,
    pub config: Account<'info, SettleTerms>,
    pub rate: Account<'info, RateView>,
    #[account(mut, dup)]
    pub channel: Box<Account<'info, Channel>>,
    #[account(mut, dup)]
    pub channel_token: Box<Account<'info, TokenAccount>>,
    #[account(mut, dup)]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(mut, dup)]
    pub gateway_token: Box<Account<'info, TokenAccount>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
    pub token_program: Program<'info, Token>,
}

impl<'info> SettleVoucher<'info> {
    fn parties(&mut self) -> Parties<'_, 'info> {
        Parties {
            channel: &mut self.channel,
            channel_token: &self.channel_token,
            gateway_vault: &mut self.gateway_vault,
            gateway_token: &self.gateway_token,
            token_program: &self.token_program,
        }
    }

    /// `gateway`, if it signs, is the channel's; the vaults belong to `channel` and `gateway_vault`; `rate` is the
    /// coin's.
    fn validate(&mut self) -> Result<()> {
        self.config.require_running(pause::SETTLING)?;
        self.parties().validate()?;
        if let Some(gateway) = &self.gateway {
            require_keys_eq!(gateway.key(), self.channel.gateway, SettleError::Unauthorized);
        }
        Ok(())
    }

    /// The voucher signed for this channel in the instruction before.
    fn voucher(&self, now: i64) -> Result<Voucher> {
        let voucher = signature::with_preceding_ed25519(&self.instructions, |data| {
            let message = signature::signed_message::<{ Voucher::LEN }>(data, &self.channel.session)?;
            Voucher::from_bytes(message).map_err(|_| SettleError::MalformedMessage.into())
        })?;
        require!(
            voucher.domain == self.config.domain && voucher.channel == self.channel.key().to_bytes(),
            SettleError::VoucherMismatch
        );
        require!(voucher.expires == 0 || now < voucher.expires, SettleError::VoucherExpired);
        require!(voucher.nonce >= self.channel.last_settled_nonce, SettleError::StaleNonce);
        Ok(voucher)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SettleVoucher>, args: SettleVoucherArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut *ctx.accounts;
    let voucher = accounts.voucher(now)?;
    let rate = accounts.rate.current(now)?;
    let ceiling_nc = if accounts.gateway.is_some() { voucher.cum_nc } else { voucher.acked_nc };
    let channel = &accounts.channel;
    let moved = settle_amount(channel.settled_nc, args.claim_cum_nc, ceiling_nc, channel.balance_aic, rate)
        .map_err(SettleError::from)?;
    let by = if args.claim_cum_nc > voucher.acked_nc { SettledBy::Voucher } else { SettledBy::Acknowledged };
    let claim = Claim { by, nonce: voucher.nonce, claim_cum_nc: args.claim_cum_nc, rate, moved };
    let event = accounts.parties().settle(&claim)?;
    report(&ctx.accounts.event_authority, &event)
}
