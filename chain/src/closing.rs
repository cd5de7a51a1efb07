//! Accounts whose rent returns to whoever paid it once nobody needs them any more: when that is, and the instruction that
//! closes them. The rules are the programs' own, asked beforehand so that no transaction is sent in vain.

use crate::{Chain, ChainError, ix};
use anchor_lang::{
    AccountDeserialize, Discriminator, Space, prelude::Pubkey, solana_program::instruction::Instruction,
};
use market::{
    constants::KEEP_S,
    state::{MarketParams, Node, Observation, Offer, Party, Royalties, SlashTicket, SplitSnapshot},
};
use serde::{Deserialize, Serialize};
use settlement::{
    constants::AUDIT_GRACE_VERDICTS,
    state::{
        Audit, Batch, BatchState, Bond, Dispute, DisputeKind, DisputeState, Earnings, FeeDay, GatewayVault,
        SettleConfig, StagedReceipt,
    },
};
use waybill_mechanism::lineage::MAX_LINEAGE;

/// How long a gateway may pause its reports of a market before the account of its last one is closed, in pricing epochs:
/// one that goes on reports into the same account.
const OBSERVATION_IDLE: u32 = 7;

/// Kinds of accounts that can be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    Snapshot,
    Observation,
    Ticket,
    Royalties,
    StagedReceipt,
    Audit,
    Dispute,
    Batch,
    FeeDay,
}

/// What decides whether an account is needed: chain time in Unix seconds and the terms in force.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub now_s: i64,
    pub market: &'a MarketParams,
    pub settle: &'a SettleConfig,
}

/// An account that is closed in favour of whoever paid its rent.
pub trait Rented: AccountDeserialize + Discriminator {
    const KIND: Spent;
    const PROGRAM: Pubkey;
    /// Bytes before the key that paid, discriminator included.
    const RENT_PAYER_OFFSET: usize;

    /// Whether nobody needs it, by what it says itself; [`is_free`] asks the accounts around it.
    fn is_spent(&self, at: &Moment<'_>) -> bool;
}

impl Rented for SplitSnapshot {
    const KIND: Spent = Spent::Snapshot;
    const PROGRAM: Pubkey = market::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 3 + 4 + 2 * 32 + 2 * 8 + 6 * 2 + 3 * 32;

    fn is_spent(&self, at: &Moment<'_>) -> bool {
        let kept_from = at.now_s.checked_sub(KEEP_S).and_then(|from| at.market.pricing_epoch(from).ok());
        kept_from.is_some_and(|kept_from| self.pricing_epoch < kept_from)
    }
}

impl Rented for Observation {
    const KIND: Spent = Spent::Observation;
    const PROGRAM: Pubkey = market::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 2 + 2 * 32 + 4 + 2 * 8;

    fn is_spent(&self, at: &Moment<'_>) -> bool {
        let current = at.market.pricing_epoch(at.now_s).unwrap_or(0);
        current.saturating_sub(self.pricing_epoch) > OBSERVATION_IDLE
    }
}

impl Rented for SlashTicket {
    const KIND: Spent = Spent::Ticket;
    const PROGRAM: Pubkey = market::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 2 + 32 + 4 + 8 + 4 + 4 * 8;

    fn is_spent(&self, at: &Moment<'_>) -> bool {
        self.require_closable(at.now_s).is_ok()
    }
}

impl Rented for Royalties {
    const KIND: Spent = Spent::Royalties;
    const PROGRAM: Pubkey = market::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 2 + 32 + 4 + 8 + 1 + MAX_LINEAGE * 40;

    fn is_spent(&self, at: &Moment<'_>) -> bool {
        self.is_over(at.now_s, at.market).unwrap_or(false)
    }
}

impl Rented for StagedReceipt {
    const KIND: Spent = Spent::StagedReceipt;
    const PROGRAM: Pubkey = settlement::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 2 + 4 * 32 + 4 + 2 + 2 * 32 + 2 * 8;

    /// Receipts are staged when their batch is posted, and audits open while it can be challenged.
    fn is_spent(&self, at: &Moment<'_>) -> bool {
        at.now_s >= self.staged_at.saturating_add(i64::from(at.settle.challenge_s))
    }
}

impl Rented for Audit {
    const KIND: Spent = Spent::Audit;
    const PROGRAM: Pubkey = settlement::ID;
    const RENT_PAYER_OFFSET: usize = Self::BATCH_OFFSET + 6 * 32 + 3 * 4 + 7 * 8 + 2 * Bond::INIT_SPACE;

    fn is_spent(&self, at: &Moment<'_>) -> bool {
        let until = self.forfeit_until(at.settle.audit.verdict_s(), AUDIT_GRACE_VERDICTS);
        let old = until.is_ok_and(|until| at.now_s >= until);
        self.settled && (self.is_finished() || (old && self.owes_nobody()))
    }
}

impl Rented for Dispute {
    const KIND: Spent = Spent::Dispute;
    const PROGRAM: Pubkey = settlement::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 5 + 4 * 4 + 2 * 32 + 2 * 8 + 32 + 3 * 8;

    fn is_spent(&self, _: &Moment<'_>) -> bool {
        self.is_over()
    }
}

impl Rented for Batch {
    const KIND: Spent = Spent::Batch;
    const PROGRAM: Pubkey = settlement::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 4 + 2 * 32 + 7 + 2 * 32 + 2 * 4 + 2 * 8 + 32 + 3 * 8 + 4 + 5 * 8;

    /// Kept as long as the snapshots that price it: receipts, events, bounties and audits prove against it. Closing it
    /// shuts its epoch and all before, which its gateway has to judge.
    fn is_spent(&self, at: &Moment<'_>) -> bool {
        self.state == BatchState::Swept && at.now_s >= self.final_at.saturating_add(KEEP_S)
    }
}

impl Rented for FeeDay {
    const KIND: Spent = Spent::FeeDay;
    const PROGRAM: Pubkey = settlement::ID;
    const RENT_PAYER_OFFSET: usize = 8 + 2 + 2 * 4 + 2 * 8;

    fn is_spent(&self, at: &Moment<'_>) -> bool {
        self.require_spent(at.now_s).is_ok()
    }
}

/// Whether the accounts around a spent one let go of it too.
pub async fn is_free(chain: &Chain, kind: Spent, address: &Pubkey) -> Result<bool, ChainError> {
    Ok(match kind {
        Spent::Royalties => {
            let pot: Option<Earnings> = chain.account(&pot_of(address)).await?;
            pot.is_some_and(|pot| pot.amount_aic == 0)
        }
        Spent::Audit => match chain.account::<Audit>(address).await? {
            Some(audit) => !is_posted(chain, &audit.batch).await?,
            None => false,
        },
        Spent::Dispute => match chain.account::<Dispute>(address).await? {
            Some(dispute) => is_settled(chain, &dispute).await?,
            None => false,
        },
        Spent::Snapshot | Spent::Observation | Spent::Ticket | Spent::StagedReceipt | Spent::Batch | Spent::FeeDay => {
            true
        }
    })
}

/// Whether the accusation of a dispute that is over can no longer be raised.
async fn is_settled(chain: &Chain, dispute: &Dispute) -> Result<bool, ChainError> {
    let dismissed = dispute.state == DisputeState::Dismissed;
    Ok(match dispute.kind {
        DisputeKind::UnderpaidWorker
        | DisputeKind::OpenLine
        | DisputeKind::OpenReceipt
        | DisputeKind::OrderFault
        | DisputeKind::PriceFault => !is_posted(chain, &dispute.target).await?,
        DisputeKind::Overcharge => true,
        DisputeKind::Equivocation => dismissed,
        DisputeKind::NoBatch => {
            let vault: Option<GatewayVault> = chain.account(&dispute.target).await?;
            dismissed || vault.is_some_and(|vault| dispute.line < vault.first_open_epoch)
        }
    })
}

async fn is_posted(chain: &Chain, batch: &Pubkey) -> Result<bool, ChainError> {
    Ok(chain.account::<Batch>(batch).await?.is_some_and(|batch| batch.state == BatchState::Posted))
}

/// Whether an offer holds a place in its book that nobody serves: its worker's delegation is over, or its owner may not
/// serve. Empty offers hold none.
pub fn is_unserved(offer: &Offer, node: Option<&Node>, party: &Party, params: &MarketParams, now_s: i64) -> bool {
    let delegated = node.is_some_and(|node| node.operator == offer.owner && node.require_live(now_s).is_ok());
    offer.capacity > 0 && (!delegated || party.is_out(params, now_s).unwrap_or(false))
}

/// The earnings of a royalty table.
fn pot_of(royalties: &Pubkey) -> Pubkey {
    settlement::seeds::find_earnings(royalties, &coin::seeds::find_mint().0).0
}

/// The instruction that closes an account. `gateway` signs where the payer of the rent or the owner must.
pub async fn close(chain: &Chain, gateway: Pubkey, kind: Spent, address: Pubkey) -> Result<Instruction, ChainError> {
    const GONE: &str = "it is closed already";
    Ok(match kind {
        Spent::Snapshot => {
            let account: SplitSnapshot = chain.expect("split snapshot", &address, GONE).await?;
            ix::books::close_snapshot(&account.container, account.stage, account.pricing_epoch, account.rent_payer)
        }
        Spent::Observation => {
            let account: Observation = chain.expect("observation", &address, GONE).await?;
            ix::books::close_observation(&account.market, &account.gateway, account.rent_payer)
        }
        Spent::Ticket => {
            let account: SlashTicket = chain.expect("slash ticket", &address, GONE).await?;
            ix::books::close_ticket(&account.party, account.epoch, account.rent_payer)
        }
        Spent::Royalties => {
            let account: Royalties = chain.expect("royalty table", &address, GONE).await?;
            let pot_address = pot_of(&address);
            let pot: Earnings = chain.expect("earnings of a royalty table", &pot_address, "open them first").await?;
            ix::lineage::close_royalties(address, account.rent_payer, pot.rent_payer)
        }
        Spent::StagedReceipt => {
            let account: StagedReceipt = chain.expect("staged receipt", &address, GONE).await?;
            ix::audits::unstage_receipt(gateway, &account.hash)
        }
        Spent::Audit => {
            let account: Audit = chain.expect("audit", &address, GONE).await?;
            ix::audits::close_audit(address, &account)
        }
        Spent::Dispute => {
            let account: Dispute = chain.expect("dispute", &address, GONE).await?;
            ix::dispute::close_dispute(address, account.target, account.rent_payer)
        }
        Spent::Batch => {
            let account: Batch = chain.expect("batch", &address, GONE).await?;
            ix::settlement::close_batch(gateway, account.epoch, account.shard, account.rent_payer)
        }
        Spent::FeeDay => {
            let account: FeeDay = chain.expect("fees of a day", &address, GONE).await?;
            ix::settlement::close_fee_day(account.day, account.rent_payer)
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anchor_lang::AccountSerialize;

    /// Bytes of an account in which only the payer of its rent is not zero.
    fn paid<T: Rented + AccountSerialize>(space: usize, pay: fn(&mut T)) {
        let mut account = T::try_deserialize_unchecked(&mut vec![0; 8 + space].as_slice()).unwrap();
        pay(&mut account);
        let mut bytes = Vec::new();
        account.try_serialize(&mut bytes).unwrap();
        let at = bytes.windows(32).position(|window| window == [7; 32]);
        assert_eq!(at, Some(T::RENT_PAYER_OFFSET), "{:?}", T::KIND);
    }

    #[test]
    fn accounts_are_found_by_whom_their_rent_returns_to() {
        const US: Pubkey = Pubkey::new_from_array([7; 32]);
        paid::<SplitSnapshot>(SplitSnapshot::INIT_SPACE, |account| account.rent_payer = US);
        paid::<Observation>(Observation::INIT_SPACE, |account| account.rent_payer = US);
        paid::<SlashTicket>(SlashTicket::INIT_SPACE, |account| account.rent_payer = US);
        paid::<Royalties>(Royalties::INIT_SPACE, |account| account.rent_payer = US);
        paid::<StagedReceipt>(StagedReceipt::INIT_SPACE, |account| account.rent_payer = US);
        paid::<Audit>(Audit::INIT_SPACE, |account| account.rent_payer = US);
        paid::<Dispute>(Dispute::INIT_SPACE, |account| account.rent_payer = US);
        paid::<Batch>(Batch::INIT_SPACE, |account| account.rent_payer = US);
        paid::<FeeDay>(FeeDay::INIT_SPACE, |account| account.rent_payer = US);
    }
}
