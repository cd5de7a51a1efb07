//! Permissionless steps that keep the market running: freezing the splits of each pricing epoch and the rate.

use super::{SettleError, Settler, now_ms};
use coin::state::Rate;
use waybill_chain::{Intent, View};

impl Settler {
    /// Requests what is due and not there. Safe when several schedulers do it at once: the second is refused.
    pub(super) async fn crank(&self, view: &View) -> Result<(), SettleError> {
        let now_s = view.now_ms() / 1_000;
        let current = view.pricing_epoch();
        for model in view.models.values() {
            for (index, stage) in model.stages.iter().enumerate() {
                for pricing_epoch in [current, current + 1] {
                    let due = view.market.may_freeze(pricing_epoch, now_s).unwrap_or(false);
                    if !due || stage.snapshot(pricing_epoch).is_some() {
                        continue;
                    }
                    // A derived model's royalty table goes first.
                    if stage.derived && !self.royalties_frozen(&stage.artifact, pricing_epoch, view).await? {
                        continue;
                    }
                    let Ok(stage_index) = u8::try_from(index) else { continue };
                    let intent =
                        Intent::RollContainer { container: model.container, stage: stage_index, pricing_epoch };
                    let key = format!("roll/{}/{index}/{pricing_epoch}", hex::encode(model.container));
                    self.outbox.request(&key, &intent, now_ms(view)).await?;
                }
            }
        }
        self.crank_vaults(view).await?;
        self.crank_audits(view).await?;
        self.crank_rate(now_s, view).await
    }

    /// Where this gateway is a reporter, it reports the last rate again once per rate epoch.
    async fn crank_rate(&self, now_s: i64, view: &View) -> Result<(), SettleError> {
        let address = coin::seeds::find_rate().0;
        let rate: Rate = self.chain().expect("AIC rate", &address, "run `waybill genesis` first").await?;
        let Ok(rate_epoch) = rate.epoch_at(now_s) else { return Ok(()) };
        let reports = rate.reporters.iter().take(usize::from(rate.n_reporters)).any(|key| *key == self.outbox.payer());
        if reports && rate.epoch < rate_epoch {
            self.outbox
                .request(&format!("rate/{rate_epoch}"), &Intent::RollRate { rate: rate.rate, rate_epoch }, now_ms(view))
                .await?;
        }
        Ok(())
    }
}
