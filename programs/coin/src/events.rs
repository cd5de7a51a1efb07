//! The events of this program. Accounts are the truth; events are the record. `seq` counts the events of `account`
//! without a gap. A released event never changes.

use anchor_lang::prelude::*;

use crate::{authority::AuthorityRole, state::VaultKind};

/// The program was configured.
#[event]
pub struct CoinInitialised {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The admin.
    pub admin: Pubkey,
    /// The AIC mint.
    pub mint: Pubkey,
}

/// A vault exists.
#[event]
pub struct VaultOpened {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Which vault.
    pub kind: VaultKind,
    /// Its token account.
    pub vault: Pubkey,
}

/// The supply was minted into the vaults.
#[event]
pub struct SupplyMinted {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The admin that signed.
    pub actor: Pubkey,
    /// Base units per vault, in the order of [`VaultKind`].
    pub amounts: [u64; 6],
}

/// Nobody can mint any more.
#[event]
pub struct MintRevoked {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The admin that signed.
    pub actor: Pubkey,
    /// The supply, for good.
    pub supply: u64,
}

/// A vault paid by decision of the admin.
#[event]
pub struct VaultSpent {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The admin that signed.
    pub actor: Pubkey,
    /// Which vault.
    pub kind: VaultKind,
    /// The token account that was paid.
    pub destination: Pubkey,
    /// Base units paid.
    pub amount: u64,
    /// Base units left in the vault.
    pub balance: u64,
}

/// The rate account exists.
#[event]
pub struct RateInitialised {
    /// The rate.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Base units per USD.
    pub rate: u64,
    /// The rate epoch it was fixed in.
    pub epoch: u32,
}

/// A reporter submitted a rate.
#[event]
pub struct RateSubmitted {
    /// The rate.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The reporter.
    pub actor: Pubkey,
    /// The rate epoch it counts in.
    pub epoch: u32,
    /// Base units per USD.
    pub rate: u64,
}

/// The rate of an epoch was fixed.
#[event]
pub struct RateRolled {
    /// The rate.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The rate epoch.
    pub epoch: u32,
    /// The rate before.
    pub old: u64,
    /// The rate now.
    pub new: u64,
}

/// A change of authority was proposed.
#[event]
pub struct AuthorityProposed {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The role.
    pub role: AuthorityRole,
    /// Who holds it.
    pub old: Pubkey,
    /// Who may accept it.
    pub new: Pubkey,
}

/// A change of authority was accepted.
#[event]
pub struct AuthorityAccepted {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The role.
    pub role: AuthorityRole,
    /// Who held it.
    pub old: Pubkey,
    /// Who holds it.
    pub new: Pubkey,
}

/// Pause flags changed.
#[event]
pub struct PauseChanged {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Who signed.
    pub actor: Pubkey,
    /// The flags before.
    pub old: u16,
    /// The flags now.
    pub new: u16,
}
