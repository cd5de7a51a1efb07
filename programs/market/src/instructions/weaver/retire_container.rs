//! A weaver ends a container: it keeps the snapshots it has and gets no more.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::ContainerRetired, seeds, state::Container};

/// Arguments of `retire_container`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RetireContainerArgs {
    /// The revision the weaver has seen.
    pub expected_revision: u16,
}

/// Accounts of `retire_container`.
#[derive(Accounts)]
pub struct RetireContainer<'info> {
    /// The weaver.
    pub creator: Signer<'info>,
    /// The container.
    #[account(
        mut,
        seeds = [seeds::CONTAINER, container.id.as_ref()],
        bump = container.bump,
        has_one = creator @ MarketError::Unauthorized,
    )]
    pub container: Box<Account<'info, Container>>,
}

impl RetireContainer<'_> {
    /// Weaver and container are checked by attributes.
    pub(crate) fn validate(&self, args: &RetireContainerArgs) -> Result<()> {
        require!(self.container.revision == args.expected_revision, MarketError::UnexpectedRevision);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<RetireContainer>, args: RetireContainerArgs) -> Result<()> {
    let _ = args;
    let account = ctx.accounts.container.key();
    let container = &mut ctx.accounts.container;
    container.retire(Clock::get()?.unix_timestamp)?;
    let seq = container.next_seq()?;
    container.invariant()?;
    emit!(ContainerRetired {
        account,
        seq,
        id: container.id,
        creator: container.creator,
        revision: container.revision,
    });
    Ok(())
}
