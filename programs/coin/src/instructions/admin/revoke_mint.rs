//! Gives up the mint authority for good.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, SetAuthority, Token, spl_token::instruction::AuthorityType};

use crate::{error::CoinError, events::MintRevoked, seeds, state::CoinConfig};

/// Accounts of `revoke_mint`.
#[derive(Accounts)]
pub struct RevokeMint<'info> {
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ CoinError::Unauthorized,
        has_one = mint @ CoinError::WrongMint,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The AIC mint, its own authority.
    #[account(mut, seeds = [seeds::MINT], bump = config.mint_bump)]
    pub mint: Box<Account<'info, Mint>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

impl RevokeMint<'_> {
    /// Admin and mint are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        require!(self.config.minted, CoinError::NotMinted);
        require!(!self.config.revoked, CoinError::AlreadyRevoked);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RevokeMint>) -> Result<()> {
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    config.revoke_mint()?;
    let seq = config.next_seq()?;
    config.invariant()?;
    let signer: &[&[u8]] = &[seeds::MINT, &[config.mint_bump]];
    token::set_authority(
        CpiContext::new_with_signer(
            Token::id(),
            SetAuthority {
                current_authority: ctx.accounts.mint.to_account_info(),
                account_or_mint: ctx.accounts.mint.to_account_info(),
            },
            &[signer],
        ),
        AuthorityType::MintTokens,
        None,
    )?;
    emit!(MintRevoked { account, seq, actor: ctx.accounts.admin.key(), supply: ctx.accounts.mint.supply });
    Ok(())
}
