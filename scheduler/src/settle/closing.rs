//! Closes accounts that nobody needs any more and takes back the rents that this gateway paid for them.

use super::{SettleError, Settler, now_ms, together::SHORT_EPOCH_S};
use anchor_lang::prelude::Pubkey;
use market::state::{Observation, Royalties, SlashTicket, SplitSnapshot};
use settlement::state::{Audit, Batch, Dispute, FeeDay, GatewayVault, StagedReceipt};
use waybill_chain::{
    Intent, View,
    closing::{Moment, Rented, Spent, is_free},
    packing,
};
use waybill_mechanism::amount::pricing_epoch;
use waybill_store::{BatchStatus, OutboxStatus};

/// Accounts that one look closes at most, so that money never waits long behind them.
const CLOSINGS: usize = 64;

impl Settler {
    /// Looks once per pricing epoch, so that a day's accounts close together, and where epochs are short once per
    /// settlement epoch. Safe when several do it at once: the second is refused.
    pub(super) async fn close_spent(&self, view: &View) -> Result<(), SettleError> {
        let mut closed_in = self.closed_in.lock().await;
        let short = view.settle.epoch_s < SHORT_EPOCH_S;
        let now = if short { view.epoch() } else { pricing_epoch(view.epoch()) };
        if *closed_in == now {
            return Ok(());
        }
        let mut spent = Vec::new();
        spent.extend(self.spent::<SplitSnapshot>(view).await?);
        spent.extend(self.spent::<Observation>(view).await?);
        spent.extend(self.spent::<SlashTicket>(view).await?);
        spent.extend(self.spent::<Royalties>(view).await?);
        spent.extend(self.spent::<StagedReceipt>(view).await?);
        spent.extend(self.spent::<Audit>(view).await?);
        spent.extend(self.spent::<Dispute>(view).await?);
        spent.extend(self.spent::<FeeDay>(view).await?);
        spent.extend(self.spent_batches(view).await?);
        let mut free = Vec::new();
        for (kind, address) in spent.into_iter().take(CLOSINGS) {
            if kind == Spent::Royalties && !self.ensure_earnings(&[address], view).await? {
                continue;
            }
            if is_free(self.chain(), kind, &address).await? {
                free.push((kind, address));
            }
        }
        if self.close_together(&free, view).await? {
            *closed_in = now;
        }
        Ok(())
    }

    /// Requests closings, as many per transaction as fit. Where one stops the others each goes alone. True when all of
    /// them are done or refused.
    async fn close_together(&self, spent: &[(Spent, Pubkey)], view: &View) -> Result<bool, SettleError> {
        let mut done = true;
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let closing = |(kind, address): &(Spent, Pubkey)| Intent::Close { kind: *kind, address: address.to_bytes() };
        let mut instructions = Vec::with_capacity(spent.len());
        for one in spent {
            instructions.extend(closing(one).instructions(self.chain(), &gateway).await?);
        }
        // An account may come again at its address: its closing then is another one.
        let key = |address: &Pubkey| format!("close/{address}/{}", view.epoch());
        for range in packing::pack(&gateway, &instructions)? {
            let Some(group) = spent.get(range) else { continue };
            if let [_, second, ..] = group {
                let steps = group.iter().map(closing).collect();
                let together = format!("{}+{}", key(&group[0].1), second.1);
                let status = self.outbox.request(&together, &Intent::Together { steps }, now_ms(view)).await?;
                if status != OutboxStatus::Failed {
                    done &= is_over(status);
                    continue;
                }
            }
            for one in group {
                done &= is_over(self.outbox.request(&key(&one.1), &closing(one), now_ms(view)).await?);
            }
        }
        Ok(done)
    }

    /// Spent accounts of a kind that this gateway paid for.
    async fn spent<T: Rented>(&self, view: &View) -> Result<Vec<(Spent, Pubkey)>, SettleError> {
        let payer = self.outbox.payer();
        let at = Moment { now_s: view.now_ms() / 1_000, market: &view.market, settle: &view.settle };
        let paid: Vec<(Pubkey, T)> = self.chain().all_where(&T::PROGRAM, T::RENT_PAYER_OFFSET, payer.as_ref()).await?;
        let spent = paid.into_iter().filter(|(_, account)| account.is_spent(&at));
        Ok(spent.map(|(address, _)| (T::KIND, address)).collect())
    }

    /// Spent batches, as long as no batch of the same epoch or an earlier one waits to be posted: closing shuts them all.
    async fn spent_batches(&self, view: &View) -> Result<Vec<(Spent, Pubkey)>, SettleError> {
        let spent = self.spent::<Batch>(view).await?;
        if spent.is_empty() {
            return Ok(spent);
        }
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let vault = waybill_chain::ix::settlement::gateway_vault(&gateway).0;
        let vault: GatewayVault = self.chain().expect("gateway vault", &vault, "run open_gateway first").await?;
        let built = self.store.batches(BatchStatus::Built, u32::MAX).await?;
        let ours = built.iter().filter(|batch| batch.id.gateway == self.config.gateway).map(|batch| batch.id.epoch);
        // What is shut already waits in vain.
        let first = ours.filter(|epoch| *epoch >= vault.first_postable_epoch()).min();
        let addresses: Vec<Pubkey> = spent.iter().map(|(_, address)| *address).collect();
        let batches: Vec<Option<Batch>> = self.chain().accounts(&addresses).await?;
        let shut = |batch: &Batch| first.is_none_or(|first| batch.epoch < first);
        let pairs = spent.into_iter().zip(batches);
        Ok(pairs.filter(|(_, batch)| batch.as_ref().is_some_and(shut)).map(|(spent, _)| spent).collect())
    }
}

/// Whether a request has happened or was refused.
fn is_over(status: OutboxStatus) -> bool {
    matches!(status, OutboxStatus::Confirmed | OutboxStatus::Finalized | OutboxStatus::Failed)
}
