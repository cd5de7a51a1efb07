//! The step that both payment modes share: a settled claim leaves the channel and enters the gateway vault.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use waybill_mechanism::channel::Moved;

use crate::{
    error::SettleError,
    events::ChannelSettled,
    seeds,
    state::{Channel, GatewayVault, SettledBy},
    token,
};

/// A claim that the arithmetic of its mode has already bounded.
pub struct Claim {
    pub by: SettledBy,
    pub nonce: u64,
    pub claim_cum_nc: u64,
    pub rate: u64,
    pub moved: Moved,
}

/// The accounts a claim moves between.
pub struct Parties<'a, 'info> {
    pub channel: &'a mut Account<'info, Channel>,
    pub channel_token: &'a Account<'info, TokenAccount>,
    pub gateway_vault: &'a mut Account<'info, GatewayVault>,
    pub gateway_token: &'a Account<'info, TokenAccount>,
    pub token_program: &'a Program<'info, Token>,
}

impl Parties<'_, '_> {
    /// The four accounts belong together.
    pub fn validate(&self) -> Result<()> {
        require!(
            self.channel.gateway == self.gateway_vault.gateway
                && self.channel.mint == self.gateway_vault.mint
                && self.channel_token.key() == self.channel.vault
                && self.gateway_token.key() == self.gateway_vault.vault,
            SettleError::AccountMismatch
        );
        Ok(())
    }

    /// Moves the claim: state first, tokens last. Returns the event to report.
    pub fn settle(self, claim: &Claim) -> Result<ChannelSettled> {
        let Self { channel, channel_token, gateway_vault, gateway_token, token_program } = self;
        channel.debit_claim(claim.moved, claim.nonce, claim.by)?;
        gateway_vault.credit(claim.moved.delta_nc, claim.moved.delta_aic)?;
        let (seq, vault_seq) = (channel.next_seq()?, gateway_vault.next_seq()?);
        channel.invariant()?;
        gateway_vault.invariant()?;

        let (consumer, gateway, mint) = (channel.consumer, channel.gateway, channel.mint);
        let (open_slot, bump) = (channel.open_slot.to_le_bytes(), [channel.bump]);
        let seeds: [&[u8]; 6] = [seeds::CHANNEL, consumer.as_ref(), gateway.as_ref(), mint.as_ref(), &open_slot, &bump];
        token::transfer(
            token_program,
            channel_token,
            gateway_token,
            channel.to_account_info(),
            &seeds,
            claim.moved.delta_aic,
        )?;
        Ok(ChannelSettled {
            channel: channel.key(),
            gateway_vault: gateway_vault.key(),
            delegated: claim.by == SettledBy::Grant,
            nonce: claim.nonce,
            claim_cum_nc: claim.claim_cum_nc,
            rate: claim.rate,
            delta_nc: claim.moved.delta_nc,
            delta_aic: claim.moved.delta_aic,
            settled_nc: channel.settled_nc,
            balance_aic: channel.balance_aic,
            vault_nc: gateway_vault.nc,
            vault_aic: gateway_vault.aic,
            seq,
            vault_seq,
        })
    }
}
