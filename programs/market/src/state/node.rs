//! A node: the network key of one worker machine, delegated by the wallet of the operator that is paid for it.

use anchor_lang::prelude::*;

use crate::{
    constants::{KEEP_S, NODE_TERM_MAX_S, REGION_LEN},
    error::MarketError,
    state::{Region, region},
};

/// PDA `["node", worker]`. The worker key signs receipts but moves no money.
#[account]
#[derive(InitSpace, Debug)]
pub struct Node {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The delegation was taken back.
    pub revoked: bool,
    /// The provider's wallet: it earns what the worker serves.
    pub operator: Pubkey,
    /// The worker's network key.
    pub worker: Pubkey,
    /// Where the machine stands.
    pub region: [u8; REGION_LEN],
    /// Class of work it serves, the same number as in [`crate::state::Market`].
    pub class: u16,
    /// Determinism class, for audits.
    pub det_class: u16,
    /// When the delegation ends, unix seconds.
    pub expires: i64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// When the delegation was taken back, unix seconds; 0 = it was not.
    pub revoked_at: i64,
    /// Room for later fields, zero.
    pub _reserved: [u8; 56],
}

coin::view! {
    /// Whose worker a [`Node`] is.
    Operator of Node {
        /// See [`Node::operator`].
        operator: Pubkey = 11,
        /// See [`Node::worker`].
        worker: Pubkey = 43,
    }
}

impl Node {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Refuses an end that is past or more than [`NODE_TERM_MAX_S`] ahead.
    pub fn validate_expiry(expires: i64, now: i64) -> Result<()> {
        let last = now.checked_add(NODE_TERM_MAX_S).ok_or(MarketError::Overflow)?;
        require!(expires > now && expires <= last, MarketError::BadExpiry);
        Ok(())
    }

    /// Refuses a region that is not canonical.
    pub fn validate_region(region: &Region) -> Result<()> {
        region::validate(region)
    }

    /// Refuses a node whose delegation does not hold at a moment.
    pub fn require_live(&self, now: i64) -> Result<()> {
        require!(!self.revoked, MarketError::NodeRevoked);
        require!(now < self.expires, MarketError::NodeExpired);
        Ok(())
    }

    /// Takes the delegation back for good. What the worker earned before stays the operator's.
    pub fn revoke(&mut self, now: i64) -> Result<()> {
        require!(!self.revoked, MarketError::NodeRevoked);
        self.revoked = true;
        self.revoked_at = now;
        Ok(())
    }

    /// Refuses to end a node whose lines could still be claimed: for [`KEEP_S`] after its delegation.
    pub fn require_closable(&self, now: i64) -> Result<()> {
        let ended = if self.revoked { self.revoked_at.min(self.expires) } else { self.expires };
        let closable = ended.checked_add(KEEP_S).ok_or(MarketError::Overflow)?;
        require!(now >= closable, MarketError::StillNeeded);
        Ok(())
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.operator != Pubkey::default()
                && self.worker != Pubkey::default()
                && self.worker != self.operator,
            MarketError::Invariant
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_the_accounts() {
        let key = |byte: u8| Pubkey::new_from_array([byte; 32]);
        let node = Node {
            version: Node::VERSION,
            bump: 1,
            revoked: true,
            operator: key(2),
            worker: key(3),
            region: [4; REGION_LEN],
            class: 5,
            det_class: 6,
            expires: 7,
            seq: 8,
            rent_payer: key(9),
            revoked_at: 10,
            _reserved: [0; 56],
        };
        let mut bytes = Vec::new();
        node.try_serialize(&mut bytes).unwrap();
        let view = Operator::try_deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(view, Operator { operator: node.operator, worker: node.worker });
    }
}
