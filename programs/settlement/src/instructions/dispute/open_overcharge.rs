//! Accuses a gateway of settling more than it acknowledged (D2). The ed25519 instruction before verifies the gateway's
//! charge note. A note for the last settled nonce, or a later one, proves it at once; an older note makes the gateway
//! justify the last settled nonce.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::state::Rate;
use waybill_mechanism::message::ChargeNote;

use crate::{
    bond::{Accusation, Lodging},
    error::SettleError,
    report::report,
    seeds, signature,
    state::{Channel, Dispute, DisputeKind, SettleConfig, SettledBy},
};

#[event_cpi]
#[derive(Accounts)]
pub struct OpenOvercharge<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The channel's consumer.
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(mut, constraint = channel.consumer == challenger.key() @ SettleError::Unauthorized)]
    pub channel: Box<Account<'info, Channel>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Dispute::INIT_SPACE,
        seeds = [
            seeds::DISPUTE,
            channel.key().as_ref(),
            &[DisputeKind::Overcharge.number()],
            &channel.dispute_index().to_le_bytes(),
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

impl OpenOvercharge<'_> {
    /// The note that the channel's gateway signed, in the instruction before.
    fn note(&self) -> Result<ChargeNote> {
        let note = signature::with_preceding_ed25519(&self.instructions, |data| {
            let message = signature::signed_message::<{ ChargeNote::LEN }>(data, &self.channel.gateway)?;
            ChargeNote::from_bytes(message).map_err(|_| SettleError::MalformedMessage.into())
        })?;
        let ours = note.domain == self.config.domain && note.channel == self.channel.key().to_bytes();
        require!(ours, SettleError::VoucherMismatch);
        Ok(note)
    }

    /// What the note says against what is settled. Only the gateway's own settlements can be overcharges: what a voucher
    /// moved, the consumer had acknowledged.
    fn accusation(&self, note: &ChargeNote) -> Result<Accusation> {
        let channel = &self.channel;
        let proven = note.nonce >= channel.last_settled_nonce;
        let by_gateway = match channel.settled_by {
            SettledBy::Nobody | SettledBy::Acknowledged => false,
            // The consumer's own ceiling justifies the nonce; only a note can contradict it.
            SettledBy::Voucher => proven,
            SettledBy::Grant => true,
        };
        require!(by_gateway, SettleError::NotSettledByGateway);
        let excess_nc = channel.settled_nc.saturating_sub(note.cum_charged_nc);
        require!(excess_nc > channel.refunded_nc, SettleError::NothingOwed);
        Ok(Accusation {
            index: channel.dispute_index(),
            amount_nc: excess_nc,
            mark: channel.last_settled_nonce,
            proven,
            ..Accusation::default()
        })
    }
}

pub(crate) fn handler(ctx: Context<OpenOvercharge>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let note = accounts.note()?;
    let says = accounts.accusation(&note)?;
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
    let channel = &mut accounts.channel;
    channel.open_dispute()?;
    channel.invariant()?;
    let target = channel.key();
    let event = lodging.lodge(&mut accounts.dispute, ctx.bumps.dispute, DisputeKind::Overcharge, target, says)?;
    report(&ctx.accounts.event_authority, &event)
}
