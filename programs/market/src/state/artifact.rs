//! An artifact: one model file, named by its hash, with the parties that are paid when it runs.

use anchor_lang::prelude::*;

use crate::{
    constants::{MAX_ANCESTORS, MAX_LICENCE, MAX_NAME},
    error::MarketError,
};

/// One artifact that another derives from, and the most that its vendor's ask counts there.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancestor {
    /// Hash of the ancestor's model file.
    pub artifact: [u8; 32],
    /// Its licence's ceiling when the link was made, nc per 1,000 BU.
    pub ceiling_nc: u64,
    /// Room for later fields, zero.
    pub _reserved: [u8; 8],
}

/// The terms on which others may derive from an artifact. A change binds only links made after it.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Licence {
    /// Whether new links are allowed.
    pub open: bool,
    /// The most that the vendor's ask counts in a derivative that links now, nc per 1,000 BU.
    pub ceiling_nc: u64,
}

/// PDA `["art", hash]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct Artifact {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// SHA-256 of the model file.
    pub hash: [u8; 32],
    /// Owner of the model.
    pub vendor: Pubkey,
    /// Who optimised it for hardware; the default key = nobody, share 0.
    pub oem: Pubkey,
    /// Size of the model file in bytes.
    pub size: u64,
    /// When it was registered, unix seconds.
    pub registered_at: i64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// What it derives from, root first; [`Artifact::ancestors`] are the entries that count, the others are zero.
    pub ancestors: [Ancestor; MAX_ANCESTORS],
    /// How many entries of `ancestors` count.
    pub n_ancestors: u8,
    /// On what terms others may derive from it.
    pub derivation: Licence,
    /// Whether anything derives from it; its own lineage then stays as it is.
    pub has_derivatives: bool,
    /// Room for later fields, zero.
    pub _reserved: [u8; 101],
    /// Name for people.
    #[max_len(MAX_NAME)]
    pub name: String,
    /// SPDX identifier or short name of the licence.
    #[max_len(MAX_LICENCE)]
    pub licence: String,
}

impl Artifact {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The OEM, if there is one.
    #[must_use]
    pub fn oem(&self) -> Option<Pubkey> {
        self.makers().oem()
    }

    /// What a price reads.
    #[must_use]
    pub const fn makers(&self) -> Makers {
        Makers { hash: self.hash, vendor: self.vendor, oem: self.oem, n_ancestors: self.n_ancestors }
    }

    /// What it derives from, root first.
    #[must_use]
    pub fn ancestors(&self) -> &[Ancestor] {
        self.ancestors.get(..usize::from(self.n_ancestors)).unwrap_or_default()
    }

    /// Whether its vendor shares with the vendors of ancestors.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        self.n_ancestors > 0
    }

    /// Makes it a derivative of `parent`, once, on the parent's present terms. The parent's own lineage comes along with
    /// the ceilings that it was linked at.
    pub fn link(&mut self, parent: &mut Self, max_ceiling_nc: u64) -> Result<()> {
        require!(self.hash != parent.hash, MarketError::WrongAccount);
        require!(!self.is_derived(), MarketError::AlreadyLinked);
        require!(!self.has_derivatives, MarketError::HasDerivatives);
        require!(parent.derivation.open, MarketError::NotLicensed);
        let ceiling_nc = parent.derivation.ceiling_nc;
        require!(ceiling_nc <= max_ceiling_nc, MarketError::CeilingAboveGuard);
        let position = usize::from(parent.n_ancestors);
        let entry = self.ancestors.get_mut(position).ok_or(MarketError::LineageFull)?;
        *entry = Ancestor { artifact: parent.hash, ceiling_nc, _reserved: [0; 8] };
        for (mine, theirs) in self.ancestors.iter_mut().zip(parent.ancestors()) {
            *mine = *theirs;
        }
        self.n_ancestors = parent.n_ancestors.checked_add(1).ok_or(MarketError::Overflow)?;
        parent.has_derivatives = true;
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
                && self.vendor != Pubkey::default()
                && usize::from(self.n_ancestors) <= MAX_ANCESTORS
                && (1..=MAX_NAME).contains(&self.name.len())
                && self.licence.len() <= MAX_LICENCE,
            MarketError::Invariant
        );
        Ok(())
    }
}

coin::view! {
    /// Who made an [`Artifact`] and is paid for it.
    Makers of Artifact {
        /// See [`Artifact::hash`].
        hash: [u8; 32] = 10,
        /// See [`Artifact::vendor`].
        vendor: Pubkey = 42,
        /// See [`Artifact::oem`].
        oem: Pubkey = 74,
        /// See [`Artifact::n_ancestors`].
        n_ancestors: u8 = 498,
    }
}

impl Makers {
    /// [`Artifact::oem`].
    #[must_use]
    pub fn oem(&self) -> Option<Pubkey> {
        (self.oem != Pubkey::default()).then_some(self.oem)
    }

    /// [`Artifact::is_derived`].
    #[must_use]
    pub const fn is_derived(&self) -> bool {
        self.n_ancestors > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_the_accounts() {
        let (mut child, mut parent) = (artifact(1), artifact(2));
        child.oem = Pubkey::new_from_array([3; 32]);
        child.link(&mut parent, 200).unwrap();
        let mut bytes = Vec::new();
        child.try_serialize(&mut bytes).unwrap();
        let view = Makers::try_deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(view, child.makers());
        assert!(view.is_derived());
    }

    fn artifact(byte: u8) -> Artifact {
        Artifact {
            version: Artifact::VERSION,
            bump: 1,
            hash: [byte; 32],
            vendor: Pubkey::new_from_array([byte; 32]),
            oem: Pubkey::default(),
            size: 1,
            registered_at: 0,
            seq: 0,
            rent_payer: Pubkey::default(),
            ancestors: [Ancestor::default(); MAX_ANCESTORS],
            n_ancestors: 0,
            derivation: Licence { open: true, ceiling_nc: u64::from(byte) * 100 },
            has_derivatives: false,
            _reserved: [0; 101],
            name: "model".into(),
            licence: String::new(),
        }
    }

    #[test]
    fn a_lineage_is_flat_root_first_and_keeps_the_ceilings_of_its_links() {
        let mut line: Vec<_> = (1..=9).map(artifact).collect();
        for i in 1..8 {
            let (above, below) = line.split_at_mut(i);
            below[0].link(&mut above[i - 1], u64::MAX).unwrap();
            // A later ceiling binds only later links.
            above[i - 1].derivation.ceiling_nc = 9_999;
        }
        let lineage: Vec<_> = line[7].ancestors().iter().map(|entry| (entry.artifact[0], entry.ceiling_nc)).collect();
        assert_eq!(lineage, (1u8..=7).map(|byte| (byte, u64::from(byte) * 100)).collect::<Vec<_>>());
        let (above, below) = line.split_at_mut(8);
        assert_eq!(below[0].link(&mut above[7], u64::MAX).unwrap_err(), MarketError::LineageFull.into());
        line.iter().for_each(|artifact| artifact.invariant().unwrap());
    }

    #[test]
    fn a_refused_link_changes_neither_side() {
        let (mut child, mut parent) = (artifact(1), artifact(2));
        assert_eq!(child.link(&mut parent, 199).unwrap_err(), MarketError::CeilingAboveGuard.into());
        parent.derivation.open = false;
        assert_eq!(child.link(&mut parent, 200).unwrap_err(), MarketError::NotLicensed.into());
        assert!(!child.is_derived() && !parent.has_derivatives);
        parent.derivation.open = true;
        child.link(&mut parent, 200).unwrap();
        assert_eq!(child.link(&mut artifact(3), 300).unwrap_err(), MarketError::AlreadyLinked.into());
        assert_eq!(parent.link(&mut artifact(3), 300).unwrap_err(), MarketError::HasDerivatives.into());
        assert_eq!(artifact(1).link(&mut child, 300).unwrap_err(), MarketError::WrongAccount.into());
    }
}
