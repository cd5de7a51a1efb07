//! Opens a channel between a consumer and a gateway, with an optional grant. A deposit is a plain token transfer to the
//! channel's vault followed by `sync_deposit`, in the same transaction or later.

use anchor_lang::prelude::*;
use anchor_spl::{
    associated_token::AssociatedToken,
    token::{Mint, Token, TokenAccount},
};
use coin::authority::pause;

use crate::{
    constants::{MAX_OPEN_SLOT_AGE, VERSION},
    error::SettleError,
    events::ChannelOpened,
    seeds,
    state::{Channel, ChannelState, GatewayVault, Grant, GrantTerms, SettleConfig, SettledBy},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct OpenChannelArgs {
    /// A slot at most 150 before the current one; part of the address.
    pub open_slot: u64,
    /// Key that signs vouchers instead of the consumer.
    pub session: Option<Pubkey>,
    pub grant: Option<GrantTerms>,
}

#[derive(Accounts)]
#[instruction(args: OpenChannelArgs)]
pub struct OpenChannel<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub consumer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(address = config.mint @ SettleError::AccountMismatch)]
    pub mint: Box<Account<'info, Mint>>,
    /// Exists only for a staked gateway.
    #[account(has_one = mint @ SettleError::AccountMismatch)]
    pub gateway_vault: Box<Account<'info, GatewayVault>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Channel::INIT_SPACE,
        seeds = [
            seeds::CHANNEL,
            consumer.key().as_ref(),
            gateway_vault.gateway.as_ref(),
            mint.key().as_ref(),
            &args.open_slot.to_le_bytes(),
        ],
        bump
    )]
    pub channel: Box<Account<'info, Channel>>,
    /// Anyone can create it beforehand, so it may exist.
    #[account(init_if_needed, payer = payer, associated_token::mint = mint, associated_token::authority = channel)]
    pub vault: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
    pub associated_token_program: Program<'info, AssociatedToken>,
    pub system_program: Program<'info, System>,
}

impl OpenChannel<'_> {
    /// `payer` pays, `channel` is new and `vault` belongs to it; `mint` and `gateway_vault` agree with `config`.
    fn validate(&self, args: &OpenChannelArgs) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        let age = Clock::get()?.slot.checked_sub(args.open_slot).ok_or(SettleError::InvalidOpenSlot)?;
        require!(age <= MAX_OPEN_SLOT_AGE, SettleError::InvalidOpenSlot);
        if let Some(session) = args.session {
            require_keys_neq!(session, Pubkey::default(), SettleError::DefaultKey);
        }
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<OpenChannel>, args: OpenChannelArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = ctx.accounts;
    let consumer = accounts.consumer.key();
    let grant = match args.grant {
        Some(terms) => Grant::new(terms, now)?,
        None => Grant::default(),
    };
    accounts.channel.set_inner(Channel {
        version: VERSION,
        bump: ctx.bumps.channel,
        state: ChannelState::Open,
        consumer,
        gateway: accounts.gateway_vault.gateway,
        mint: accounts.mint.key(),
        vault: accounts.vault.key(),
        session: args.session.unwrap_or(consumer),
        open_slot: args.open_slot,
        balance_aic: 0,
        deposited_aic: 0,
        settled_nc: 0,
        settled_aic: 0,
        last_settled_nonce: 0,
        close_at: 0,
        grant,
        seq: 0,
        rent_payer: accounts.payer.key(),
        opened_at: now,
        granted_at: if args.grant.is_some() { now } else { 0 },
        settled_by: SettledBy::Nobody,
        refunded_nc: 0,
        open_disputes: 0,
        _reserved: [0; 37],
    });
    let channel = &mut accounts.channel;
    let seq = channel.next_seq()?;
    channel.invariant()?;
    emit!(ChannelOpened {
        channel: channel.key(),
        consumer,
        gateway: channel.gateway,
        session: channel.session,
        grant,
        seq
    });
    Ok(())
}
