//! Checks the worker's signature on a receipt and remembers what an audit needs of it. The ed25519 instruction that
//! verifies it comes directly before, and the receipt is read from there. Anyone may stage; nothing follows from it alone.

use anchor_lang::prelude::*;
use coin::authority::pause;
use waybill_mechanism::{message::Receipt, precompile::MESSAGE_OFFSET};

use crate::{
    constants::VERSION,
    error::SettleError,
    seeds, signature,
    state::{SettleConfig, StagedReceipt},
};

#[derive(Accounts)]
#[instruction(receipt_hash: [u8; 32])]
pub struct StageReceipt<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        init,
        payer = payer,
        space = 8 + StagedReceipt::INIT_SPACE,
        seeds = [seeds::STAGED, &receipt_hash],
        bump
    )]
    pub staged: Box<Account<'info, StagedReceipt>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

impl StageReceipt<'_> {
    /// `payer` pays for `staged`, new at the address of its receipt; `instructions` is checked where it is read.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DISPUTES)
    }

    /// The receipt of this deployment that its worker signed.
    fn receipt(&self) -> Result<Receipt> {
        signature::with_preceding_ed25519(&self.instructions, |data| {
            let message = data.get(MESSAGE_OFFSET..).ok_or(SettleError::SignatureCheck)?;
            let receipt = Receipt::from_bytes(message).map_err(|_| SettleError::MalformedMessage)?;
            let worker = Pubkey::new_from_array(receipt.worker);
            signature::signed_message::<{ Receipt::LEN }>(data, &worker)?;
            require!(receipt.domain == self.config.domain, SettleError::ReceiptMismatch);
            Ok(receipt)
        })
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<StageReceipt>, receipt_hash: [u8; 32]) -> Result<()> {
    let receipt = ctx.accounts.receipt()?;
    let now = Clock::get()?.unix_timestamp;
    let payer = ctx.accounts.payer.key();
    let staged = StagedReceipt::new(&receipt, VERSION, ctx.bumps.staged, now, payer);
    require!(staged.hash == receipt_hash, SettleError::ReceiptMismatch);
    ctx.accounts.staged.set_inner(staged);
    Ok(())
}
