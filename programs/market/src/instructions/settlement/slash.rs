//! Takes stake for a proven offence: restitution to the harmed party, then a penalty that is divided between reporter,
//! harmed party and fire. The settlement program proves the offence; this program knows what it costs.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Burn, Mint, Token, TokenAccount, Transfer};
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::PartySlashed,
    seeds,
    state::{MarketConfig, Offence, Party, SlashTicket},
};

/// Arguments of `slash`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SlashArgs {
    /// What was proven.
    pub offence: Offence,
    /// What the harmed party lost, AIC base units; paid as far as the stake reaches.
    pub restitution_aic: u64,
    /// The settlement epoch of the offence.
    pub epoch: u32,
}

/// What a slash took, AIC base units; the return data of `slash`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slashed {
    /// To the harmed party for what it lost.
    pub restitution_aic: u64,
    /// Taken on top: reporter, harmed and burned together.
    pub penalty_aic: u64,
    /// The reporter's part.
    pub reporter_aic: u64,
    /// The harmed party's part.
    pub harmed_aic: u64,
    /// What burned.
    pub burned_aic: u64,
}

/// Accounts of `slash`.
#[event_cpi]
#[derive(Accounts)]
#[instruction(args: SlashArgs)]
pub struct SlashParty<'info> {
    /// PDA `["slasher"]` of the settlement program.
    pub slasher: Signer<'info>,
    /// Pays the rent of the epoch's first ticket.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        has_one = slasher @ MarketError::Unauthorized,
        has_one = mint @ MarketError::WrongMint,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint: a part burns.
    #[account(mut, dup)]
    pub mint: Box<Account<'info, Mint>>,
    /// Who is punished.
    #[account(mut, dup, seeds = [seeds::PARTY, party.owner.as_ref(), &[party.role as u8]], bump = party.bump)]
    pub party: Box<Account<'info, Party>>,
    /// Its stake.
    #[account(mut, dup, seeds = [seeds::STAKE, party.key().as_ref()], bump = party.stake_bump)]
    pub stake: Box<Account<'info, TokenAccount>>,
    /// What the party lost in this epoch. Its seeds name one party and epoch, so a second creation is impossible.
    #[account(
        init_if_needed,
        dup,
        payer = payer,
        space = 8 + SlashTicket::INIT_SPACE,
        seeds = [seeds::TICKET, party.key().as_ref(), &args.epoch.to_le_bytes()],
        bump,
    )]
    pub ticket: Box<Account<'info, SlashTicket>>,
    /// Where the reporter's part goes; may be the harmed party's account.
    #[account(mut, dup, constraint = reporter.mint == mint.key() @ MarketError::WrongMint)]
    pub reporter: Box<Account<'info, TokenAccount>>,
    /// Where restitution and the harmed party's part go; may be the reporter's account.
    #[account(mut, dup, constraint = harmed.mint == mint.key() @ MarketError::WrongMint)]
    pub harmed: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl SlashParty<'_> {
    /// The slasher signs, and it decides who is harmed and who reported; configuration, mint, party, stake, ticket and
    /// the mints of the receiving accounts are checked by attributes.
    pub(crate) fn validate(&self, args: &SlashArgs) -> Result<()> {
        self.config.require_running(pause::SLASHING)?;
        let stake = self.stake.key();
        require!(self.reporter.key() != stake && self.harmed.key() != stake, MarketError::SlashedToItself);
        let current = self.config.params.epoch(Clock::get()?.unix_timestamp)?;
        require!(args.epoch <= current, MarketError::FutureOffence);
        Ok(())
    }
}

impl<'info> SlashParty<'info> {
    /// Moves `amount` out of the stake; nothing happens for zero.
    fn pay(&self, to: &Account<'info, TokenAccount>, amount: u64) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let accounts = Transfer {
            from: self.stake.to_account_info(),
            to: to.to_account_info(),
            authority: self.party.to_account_info(),
        };
        let party = &self.party;
        let signer: &[&[u8]] = &[seeds::PARTY, party.owner.as_ref(), &[party.role as u8], &[party.bump]];
        token::transfer(CpiContext::new_with_signer(Token::id(), accounts, &[signer]), amount)
    }

    /// Destroys `amount` of the stake; nothing happens for zero.
    fn burn(&self, amount: u64) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let accounts = Burn {
            mint: self.mint.to_account_info(),
            from: self.stake.to_account_info(),
            authority: self.party.to_account_info(),
        };
        let party = &self.party;
        let signer: &[&[u8]] = &[seeds::PARTY, party.owner.as_ref(), &[party.role as u8], &[party.bump]];
        token::burn(CpiContext::new_with_signer(Token::id(), accounts, &[signer]), amount)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<SlashParty>, args: SlashArgs) -> Result<Slashed> {
    let now = Clock::get()?.unix_timestamp;
    let ticket_bump = ctx.bumps.ticket;
    let accounts = &mut *ctx.accounts;
    let account = accounts.party.key();
    let party = &mut accounts.party;
    let ticket = &mut accounts.ticket;
    if ticket.version == 0 {
        ticket.set_inner(SlashTicket {
            version: SlashTicket::VERSION,
            bump: ticket_bump,
            party: account,
            epoch: args.epoch,
            bond_aic: party.bond().total().map_err(|_| MarketError::Overflow)?,
            rate_bps: 0,
            offences: 0,
            repeats: 0,
            penalty_aic: 0,
            restitution_aic: 0,
            slashed_at: 0,
            seq: 0,
            rent_payer: accounts.payer.key(),
            _reserved: [0; 32],
        });
    }
    let slash = party.slash(ticket, args.offence, args.restitution_aic, now)?;
    ticket.invariant()?;
    let seq = party.next_seq()?;
    party.invariant()?;
    let event = PartySlashed {
        account,
        seq,
        owner: party.owner,
        offence: args.offence,
        epoch: args.epoch,
        restitution_aic: slash.restitution,
        penalty_aic: slash.penalty,
        reporter_aic: slash.reporter,
        harmed_aic: slash.harmed,
        burned_aic: slash.burned,
        reporter: accounts.reporter.key(),
        harmed: accounts.harmed.key(),
        stake: party.stake,
        unbonding: party.unbonding,
        jailed_until: party.jailed_until,
        banned: party.banned,
    };
    let to_harmed = slash.restitution.checked_add(slash.harmed).ok_or(MarketError::Overflow)?;
    accounts.pay(&accounts.harmed, to_harmed)?;
    accounts.pay(&accounts.reporter, slash.reporter)?;
    accounts.burn(slash.burned)?;
    emit_cpi!(event);
    Ok(Slashed {
        restitution_aic: slash.restitution,
        penalty_aic: slash.penalty,
        reporter_aic: slash.reporter,
        harmed_aic: slash.harmed,
        burned_aic: slash.burned,
    })
}
