//! Accuses a gateway of a line or receipt in a posted batch: D3, D4, D5 and D9. Anyone, within the challenge window.
//! The line comes with its proof, so that the outcome knows what to void.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::state::Rate;
use waybill_mechanism::{
    dispute::{line_owner, staged},
    merkle::PROOF_NODE_LEN,
    message::Line,
};

use crate::{
    bond::{Accusation, Lodging},
    error::SettleError,
    report::report,
    seeds,
    state::{Batch, Dispute, DisputeKind, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct OpenDisputeArgs {
    /// `OpenLine`, `OpenReceipt`, `OrderFault` or `PriceFault`.
    pub kind: DisputeKind,
    /// The line (D3), or the receipt in question, one of the line's (D4, D5, D9).
    pub index: u32,
    /// The settlement leaf.
    pub line: [u8; Line::LEN],
    /// Its siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[event_cpi]
#[derive(Accounts)]
#[instruction(args: OpenDisputeArgs)]
pub struct OpenDispute<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(mut, dup)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Dispute::INIT_SPACE,
        seeds = [seeds::DISPUTE, batch.key().as_ref(), &[args.kind.number()], &args.index.to_le_bytes()],
        bump
    )]
    pub dispute: Box<Account<'info, Dispute>>,
    /// The challenger's tokens.
    #[account(mut, dup)]
    pub source: Box<Account<'info, TokenAccount>>,
    #[account(mut, dup)]
    pub pool: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
    pub system_program: Program<'info, System>,
}

impl<'info> OpenDispute<'info> {
    fn lodging(&self) -> Lodging<'_, 'info> {
        Lodging {
            payer: &self.payer,
            challenger: &self.challenger,
            config: &self.config,
            rate: &self.rate,
            source: &self.source,
            pool: &self.pool,
            token_program: &self.token_program,
        }
    }

    /// `challenger` owns `source`, `pool` is the configured one, `rate` the coin's; `batch` can still be challenged;
    /// `dispute` is new at its address.
    fn validate(&self, now: i64) -> Result<()> {
        self.lodging().validate()?;
        self.batch.require_challengeable(now, self.config.challenge_s)
    }

    /// The line is the batch's, and what is accused is the line or one of its receipts.
    fn accusation(&self, args: &OpenDisputeArgs) -> Result<Accusation> {
        let line = self.batch.line(&args.line, &args.proof)?;
        let last = line.first_receipt.checked_add(line.n_receipts - 1).ok_or(SettleError::LineMismatch)?;
        require!(last < self.batch.n_receipts, SettleError::LineMismatch);
        let owner = line_owner(&line.key(), &line.worker);
        let digest = match args.kind {
            DisputeKind::OpenLine => {
                require!(args.index == line.index, SettleError::LineMismatch);
                owner
            }
            DisputeKind::OpenReceipt | DisputeKind::OrderFault | DisputeKind::PriceFault => {
                require!((line.first_receipt..=last).contains(&args.index), SettleError::LineMismatch);
                staged(&owner, &[0; 32])
            }
            _ => return err!(SettleError::DisputeState),
        };
        Ok(Accusation {
            index: args.index,
            line: line.index,
            first: line.first_receipt,
            last,
            digest,
            amount_nc: line.credits_nc,
            ..Accusation::default()
        })
    }
}

#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<OpenDispute>, args: OpenDisputeArgs) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let accusation = accounts.accusation(&args)?;
    accounts.batch.open_dispute()?;
    accounts.batch.invariant()?;
    let target = accounts.batch.key();
    let lodging = Lodging {
        payer: &accounts.payer,
        challenger: &accounts.challenger,
        config: &accounts.config,
        rate: &accounts.rate,
        source: &accounts.source,
        pool: &accounts.pool,
        token_program: &accounts.token_program,
    };
    let event = lodging.lodge(&mut accounts.dispute, ctx.bumps.dispute, args.kind, target, accusation)?;
    report(&ctx.accounts.event_authority, &event)
}
