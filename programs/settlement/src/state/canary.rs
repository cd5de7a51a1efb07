//! A planted receipt that the audit authority committed to before anybody knew whether it would be drawn. It tests the
//! verifiers: the authority's own worker serves 5 % of the audited requests with an output it knows to be good or bad.

use anchor_lang::prelude::*;

/// `["canary", commitment]`
#[account]
#[derive(InitSpace, Debug)]
pub struct Canary {
    pub version: u8,
    pub bump: u8,
    /// `sha("AI-CANARY" ‖ receipt_hash ‖ salt)`.
    pub commitment: [u8; 32],
    /// When it was made; earlier than the slot that draws the batch.
    pub slot: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 32],
}
