//! A vendor, OEM or weaver says what it wants per 1,000 BU. The first ask of a subject counts at once, because no
//! snapshot can exist without it; every later one moves a step, from the pricing epoch that the notice allows.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::AskPosted,
    seeds,
    state::{Ask, Makers, MarketTerms, Plan, Role, Standing},
};

/// Arguments of `post_ask`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct PostAskArgs {
    /// Vendor, OEM or weaver.
    pub role: Role,
    /// Hash of the artifact (vendor, OEM) or id of the container (weaver).
    pub subject: [u8; 32],
    /// nc per 1,000 BU; 0 is legal.
    pub want_nc: u64,
}

/// Accounts of `post_ask`.
#[derive(Accounts)]
#[instruction(args: PostAskArgs)]
pub struct PostAsk<'info> {
    /// Pays the rent of a first ask.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Who asks.
    pub owner: Signer<'info>,
    /// The configuration.
    pub config: Box<Account<'info, MarketTerms>>,
    /// The owner's party in the role.
    #[account(
        has_one = owner @ MarketError::Unauthorized,
        constraint = party.role == args.role @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Standing>>,
    /// The artifact of a vendor's or OEM's ask.
    pub artifact: Option<Box<Account<'info, Makers>>>,
    /// The container of a weaver's ask.
    pub container: Option<Box<Account<'info, Plan>>>,
    /// The ask. Its seeds name one subject and role, so a second creation is impossible.
    #[account(
        init_if_needed,
        dup,
        payer = payer,
        space = 8 + Ask::INIT_SPACE,
        seeds = [seeds::ASK, args.subject.as_ref(), &[args.role as u8]],
        bump,
    )]
    pub ask: Box<Account<'info, Ask>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl PostAsk<'_> {
    /// The configuration is the one account of its type, the party's owner is checked by attributes; here the standing of the party, and that the
    /// owner holds the role for the subject.
    pub(crate) fn validate(&self, args: &PostAskArgs) -> Result<()> {
        self.config.require_running(pause::BIDS)?;
        let holder = match (args.role, &self.artifact, &self.container) {
            (Role::Vendor, Some(artifact), None) if artifact.hash == args.subject => artifact.vendor,
            (Role::Oem, Some(artifact), None) if artifact.hash == args.subject => artifact.oem,
            (Role::Weaver, None, Some(container)) if container.id == args.subject => container.creator,
            (Role::Vendor | Role::Oem | Role::Weaver, ..) => return err!(MarketError::WrongAccount),
            _ => return err!(MarketError::RoleHasNoAsk),
        };
        require_keys_eq!(holder, self.owner.key(), MarketError::Unauthorized);
        self.party.require_good(&self.config.params, Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<PostAsk>, args: PostAskArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let account = ctx.accounts.ask.key();
    let owner = ctx.accounts.owner.key();
    let params = &ctx.accounts.config.params;
    let ask = &mut ctx.accounts.ask;
    let effective_epoch = if ask.version == 0 {
        ask.set_inner(Ask {
            version: Ask::VERSION,
            bump: ctx.bumps.ask,
            role: args.role,
            owner,
            subject: args.subject,
            value_nc: args.want_nc,
            pending_nc: args.want_nc,
            pending_epoch: 0,
            seq: 0,
            rent_payer: ctx.accounts.payer.key(),
            _reserved: [0; 64],
        });
        params.pricing_epoch(now)?
    } else {
        ask.post(args.want_nc, now, params)?.1
    };
    let seq = ask.next_seq()?;
    ask.invariant()?;
    emit!(AskPosted {
        account,
        seq,
        owner,
        role: args.role,
        value_nc: ask.value_nc,
        pending_nc: ask.pending_nc,
        effective_epoch,
    });
    Ok(())
}
