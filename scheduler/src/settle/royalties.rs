//! Derived models: freezes the royalty table of each pricing epoch before the split that needs it, and shares out what
//! claims credited to it.

use super::{SettleError, Settler, now_ms};
use anchor_lang::prelude::Pubkey;
use market::state::{Royalties, SplitSnapshot};
use settlement::state::Earnings;
use std::collections::BTreeSet;
use waybill_chain::{ChainError, Intent, View};
use waybill_mechanism::{amount::pricing_epoch, message::Line};
use waybill_store::Batch;

impl Settler {
    /// Whether the royalty table of a derived model is frozen; requests it when it is not.
    pub(super) async fn royalties_frozen(
        &self,
        artifact: &[u8; 32],
        pricing_epoch: u32,
        view: &View,
    ) -> Result<bool, SettleError> {
        let address = market::seeds::find_royalties(artifact, pricing_epoch).0;
        if self.chain().data(&address).await?.is_some() {
            return Ok(true);
        }
        let intent = Intent::RollRoyalties { artifact: *artifact, pricing_epoch };
        let key = format!("royalties/{}/{pricing_epoch}", hex::encode(artifact));
        self.outbox.request(&key, &intent, now_ms(view)).await?;
        Ok(false)
    }

    /// Requests the sharing of what the batch's claims credited to royalty tables; true when nothing is left there.
    /// A table serves every batch of its pricing epoch, so what is shared may come from several.
    pub(super) async fn share_royalties(&self, batch: &Batch, view: &View) -> Result<bool, SettleError> {
        let mut done = true;
        for (artifact, pricing_epoch) in self.derived(batch).await? {
            let address = market::seeds::find_royalties(&artifact, pricing_epoch).0;
            let royalties: Royalties =
                self.chain().expect("royalty table", &address, "its snapshot could not be frozen without it").await?;
            let pot_address = settlement::seeds::find_earnings(&address, &view.settle.mint).0;
            let pot: Option<Earnings> = self.chain().account(&pot_address).await?;
            let Some(pot) = pot.filter(|pot| pot.amount_aic > 0) else { continue };
            done = false;
            let owners: Vec<Pubkey> = royalties.rows().iter().map(|row| row.owner).collect();
            if self.ensure_earnings(&owners, view).await? {
                // What was shared before belongs to the key: what comes in later is shared again.
                let key = format!("share/{address}/{}", pot.withdrawn_aic);
                let intent = Intent::ShareRoyalties { artifact, pricing_epoch };
                self.outbox.request(&key, &intent, now_ms(view)).await?;
            }
        }
        Ok(done)
    }

    /// The derived models of a batch's lines, with their pricing epochs.
    async fn derived(&self, batch: &Batch) -> Result<BTreeSet<([u8; 32], u32)>, SettleError> {
        let mut stages = BTreeSet::new();
        for stored in self.store.batch_lines(batch.id).await? {
            let line = Line::from_bytes(&stored.line).map_err(|e| ChainError::Build(e.to_string()))?;
            stages.insert((line.container, line.stage, pricing_epoch(line.epoch)));
        }
        let addresses: Vec<Pubkey> = stages
            .iter()
            .map(|(container, stage, pricing)| market::seeds::find_snapshot(container, *stage, *pricing).0)
            .collect();
        let snapshots: Vec<Option<SplitSnapshot>> = self.chain().accounts(&addresses).await?;
        let derived = snapshots.into_iter().flatten().filter(|snapshot| snapshot.derived);
        Ok(derived.map(|snapshot| (snapshot.artifact, snapshot.pricing_epoch)).collect())
    }
}
