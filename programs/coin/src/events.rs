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

/// Releases and vesting begin.
#[event]
pub struct ReleaseConfigured {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The program whose fees bound releases.
    pub settlement: Pubkey,
    /// The wallet that vested tokens go to.
    pub team: Pubkey,
    /// When schedule and vesting begin, unix seconds.
    pub start: i64,
}

/// A day's release was counted; it is paid now, or from `due_at` on.
#[event]
pub struct DayReleased {
    /// The record of the day.
    pub account: Pubkey,
    /// The configuration's event number.
    pub seq: u64,
    /// The unix day.
    pub day: u32,
    /// The fees of that day.
    pub fee_aic: u64,
    /// What the schedule allows for that day.
    pub schedule_aic: u64,
    /// What is released.
    pub amount: u64,
    /// When it can be paid, unix seconds, if it waits; 0 when it was paid.
    pub due_at: i64,
    /// Base units left in the usage vault.
    pub balance: u64,
}

/// Vested tokens were paid, or wait until `due_at`.
#[event]
pub struct TeamReleased {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Who was paid.
    pub destination: Pubkey,
    /// Base units paid; 0 while they wait.
    pub amount: u64,
    /// Everything paid so far.
    pub paid: u64,
    /// When the payment is due, unix seconds, if it waits; 0 when it was paid.
    pub due_at: i64,
    /// Base units left in the vault.
    pub balance: u64,
}

/// Tokens were burned.
#[event]
pub struct FeesBurned {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Base units burned.
    pub amount: u64,
    /// The supply after.
    pub supply: u64,
}

/// A spend was proposed.
#[event]
pub struct SpendProposed {
    /// The proposal.
    pub account: Pubkey,
    /// The configuration's event number.
    pub seq: u64,
    /// The admin that signed.
    pub actor: Pubkey,
    /// Which vault would pay.
    pub kind: VaultKind,
    /// Whom.
    pub destination: Pubkey,
    /// Base units.
    pub amount: u64,
    /// When it can be executed, unix seconds.
    pub not_before: i64,
}

/// A proposed spend was cancelled.
#[event]
pub struct SpendCancelled {
    /// The proposal.
    pub account: Pubkey,
    /// The configuration's event number.
    pub seq: u64,
    /// Who signed.
    pub actor: Pubkey,
    /// Which vault would have paid.
    pub kind: VaultKind,
    /// Base units.
    pub amount: u64,
}

/// Other keys report the rate; what the former ones submitted is void.
#[event]
pub struct ReportersChanged {
    /// The rate.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The admin that signed.
    pub actor: Pubkey,
    /// Who reported.
    pub old: Vec<Pubkey>,
    /// Who reports.
    pub new: Vec<Pubkey>,
}
