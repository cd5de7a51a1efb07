//! Step one of a spend that waits: the admin says what a vault shall pay to whom.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;

use crate::{
    authority::pause,
    error::CoinError,
    events::SpendProposed,
    seeds,
    state::{CoinConfig, PendingSpend, VaultKind},
};

/// Arguments of `propose_spend`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct ProposeSpendArgs {
    /// Which vault pays: treasury, grants, liquidity or insurance.
    pub kind: VaultKind,
    /// A number of the admin's that no other waiting spend of this vault has.
    pub id: u32,
    /// Base units.
    pub amount: u64,
}

/// Accounts of `propose_spend`.
#[derive(Accounts)]
#[instruction(args: ProposeSpendArgs)]
pub struct ProposeSpend<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ CoinError::Unauthorized,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The proposal.
    #[account(
        init,
        payer = payer,
        space = 8 + PendingSpend::INIT_SPACE,
        seeds = [seeds::PENDING, &[args.kind as u8], &args.id.to_le_bytes()],
        bump,
    )]
    pub spend: Box<Account<'info, PendingSpend>>,
    /// Any AIC account.
    #[account(constraint = destination.mint == config.mint @ CoinError::WrongMint)]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl ProposeSpend<'_> {
    /// Admin and destination are checked by attributes; the proposal is created here.
    pub(crate) fn validate(&self, args: &ProposeSpendArgs) -> Result<()> {
        self.config.require_running(pause::SPENDING)?;
        require!(args.kind.proposable(), CoinError::NotSpendable);
        require!(args.amount > 0, CoinError::ZeroAmount);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<ProposeSpend>, args: ProposeSpendArgs) -> Result<()> {
    let accounts = ctx.accounts;
    let (not_before, expires) = PendingSpend::times(Clock::get()?.unix_timestamp)?;
    let destination = accounts.destination.key();
    accounts.spend.set_inner(PendingSpend {
        version: PendingSpend::VERSION,
        bump: ctx.bumps.spend,
        kind: args.kind,
        id: args.id,
        destination,
        amount: args.amount,
        not_before,
        expires,
        rent_payer: accounts.payer.key(),
        _reserved: [0; 64],
    });
    accounts.spend.invariant()?;
    let seq = accounts.config.next_seq()?;
    accounts.config.invariant()?;
    emit!(SpendProposed {
        account: accounts.spend.key(),
        seq,
        actor: accounts.admin.key(),
        kind: args.kind,
        destination,
        amount: args.amount,
        not_before,
    });
    Ok(())
}
