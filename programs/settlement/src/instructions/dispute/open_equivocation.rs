//! Accuses a gateway of two contradicting signatures (D6). The ed25519 instruction before verifies the first of them, over
//! a countersigned receipt or a charge note; `prove_equivocation` brings the second.
//!
//! Workers cannot be accused: a receipt that was never countersigned is void, and its worker rightly signs another in
//! its place.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::state::Rate;
use waybill_mechanism::dispute::{message_hash, message_key};

use crate::{
    bond::{Accusation, Lodging},
    error::SettleError,
    report::report,
    seeds, signature,
    state::{Dispute, DisputeKind, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct OpenEquivocationArgs {
    /// The gateway that signed.
    pub accused: Pubkey,
    /// [`message_key`] of the message.
    pub message_key: [u8; 32],
}

#[event_cpi]
#[derive(Accounts)]
#[instruction(args: OpenEquivocationArgs)]
pub struct OpenEquivocation<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Dispute::INIT_SPACE,
        seeds = [
            seeds::DISPUTE,
            &args.message_key,
            &[DisputeKind::Equivocation.number()],
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

pub(crate) fn handler(ctx: Context<OpenEquivocation>, args: OpenEquivocationArgs) -> Result<()> {
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
    let (key, digest) = signed_key(&accounts.instructions, &accounts.config, &args.accused)?;
    require!(key == args.message_key, SettleError::NoFault);
    let says = Accusation { digest, ..Accusation::default() };
    let event =
        lodging.lodge(&mut accounts.dispute, ctx.bumps.dispute, DisputeKind::Equivocation, args.accused, says)?;
    report(&ctx.accounts.event_authority, &event)
}

/// Key and hash of the message whose signature by `signer` the instruction before verifies.
pub(crate) fn signed_key(
    instructions: &UncheckedAccount<'_>,
    config: &SettleConfig,
    signer: &Pubkey,
) -> Result<([u8; 32], [u8; 32])> {
    signature::with_preceding_ed25519(instructions, |data| {
        let message = signature::signed_bytes(data, signer)?;
        let key = message_key(&signer.to_bytes(), &config.domain, message).ok_or(SettleError::MalformedMessage)?;
        Ok((key, message_hash(message)))
    })
}
