//! Steps of several batches in one transaction: its signature costs the same whatever it holds. What is due waits a
//! while for company, where epochs are long enough to wait.

use super::{SettleError, Settler, now_ms};
use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use settlement::{constants::MAX_CLAIMED_LINES, state::Batch as ChainBatch};
use waybill_chain::{ChainError, Intent, View, packing};
use waybill_mechanism::merkle::Tree;
use waybill_store::{Batch, OutboxStatus};

/// Batches that become final and are claimed in one transaction.
pub const FINISHED: usize = 2;
/// Batches that are swept in one transaction.
pub const SWEPT: usize = 8;
/// Epochs that a batch waits for company until it is finished, and then until it is swept.
const FINISH_WAIT: i64 = 1;
const SWEEP_WAIT: i64 = 8;
/// Where epochs are shorter, in seconds, on local networks and in tests, nothing waits.
pub(super) const SHORT_EPOCH_S: u32 = 3_600;

/// A batch for which a step is due.
pub(super) struct Due {
    pub batch: Batch,
    /// The account's bytes.
    pub account: Vec<u8>,
    /// Unix second since which.
    pub since: i64,
}

impl Settler {
    /// Finishes batches whose challenge window is over, oldest first.
    pub(super) async fn finish_due(&self, mut due: Vec<Due>, view: &View) -> Result<(), SettleError> {
        due.sort_by_key(|due| due.batch.id.epoch);
        for group in due.chunks(FINISHED) {
            if waits(&since(group), FINISHED, FINISH_WAIT, view.settle.epoch_s, view.now_ms() / 1_000) {
                continue;
            }
            let mut steps = Vec::new();
            for due in group {
                let whole = self.whole(due, view).await?;
                steps.extend(whole.into_iter().map(|steps| (due, steps)));
            }
            if steps.len() < group.len() || !self.request_together("finish", &steps, view).await? {
                for Due { batch, account, .. } in group {
                    self.finish(batch, account, true, view).await?;
                }
            }
        }
        Ok(())
    }

    /// Sweeps batches whose lines are all claimed, oldest first.
    pub(super) async fn sweep_due(&self, mut due: Vec<Due>, view: &View) -> Result<(), SettleError> {
        due.sort_by_key(|due| due.batch.id.epoch);
        for group in due.chunks(SWEPT) {
            if waits(&since(group), SWEPT, SWEEP_WAIT, view.settle.epoch_s, view.now_ms() / 1_000) {
                continue;
            }
            let sweep = |due: &Due| Intent::SweepBatch { epoch: due.batch.id.epoch, shard: due.batch.id.shard };
            let steps: Vec<(&Due, Vec<Intent>)> = group.iter().map(|due| (due, vec![sweep(due)])).collect();
            if !self.request_together("sweep", &steps, view).await? {
                for due in group {
                    self.request(&due.batch, view, "sweep", sweep(due)).await?;
                }
            }
        }
        Ok(())
    }

    /// All that finishes a batch: its end of challenge and one claim of every line. `None` when it has lines that are
    /// claimed or void already, too many of them, or a payee without earnings, and has to be finished piece by piece.
    async fn whole(&self, due: &Due, view: &View) -> Result<Option<Vec<Intent>>, SettleError> {
        let id = due.batch.id;
        let stored = self.store.batch_lines(id).await?;
        if stored.is_empty() || stored.len() > MAX_CLAIMED_LINES {
            return Ok(None);
        }
        let tree =
            Tree::build(stored.iter().map(|line| line.node).collect()).map_err(|e| ChainError::Build(e.to_string()))?;
        let mut lines = Vec::with_capacity(stored.len());
        for line in &stored {
            let claimed =
                ChainBatch::is_claimed(&due.account, line.index).map_err(|e| ChainError::Build(e.to_string()))?;
            let proven = if claimed { None } else { self.proven(line, &tree, view).await? };
            let Some(proven) = proven else { return Ok(None) };
            lines.push(proven);
        }
        let (epoch, shard) = (id.epoch, id.shard);
        Ok(Some(vec![Intent::FinalizeBatch { epoch, shard }, Intent::ClaimLines { epoch, shard, lines }]))
    }

    /// Requests the steps of several batches as one transaction. False when they do not fit one or do not pass together:
    /// then each batch goes its own way.
    async fn request_together(
        &self,
        what: &str,
        batches: &[(&Due, Vec<Intent>)],
        view: &View,
    ) -> Result<bool, SettleError> {
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let steps: Vec<Intent> = batches.iter().flat_map(|(_, steps)| steps.clone()).collect();
        let mut instructions: Vec<Instruction> = Vec::new();
        for step in &steps {
            instructions.extend(step.instructions(self.chain(), &gateway).await?);
        }
        if !packing::fits(&gateway, &instructions)? {
            return Ok(false);
        }
        let names: Vec<String> = batches.iter().map(|(due, _)| due.batch.id.to_string()).collect();
        let key = format!("{what}/{}", names.join("+"));
        let status = self.outbox.request(&key, &Intent::Together { steps }, now_ms(view)).await?;
        Ok(status != OutboxStatus::Failed)
    }
}

fn since(group: &[Due]) -> Vec<i64> {
    group.iter().map(|due| due.since).collect()
}

/// Whether batches that are due since these Unix seconds, fewer than fill a transaction, still have time to wait for more.
fn waits(since: &[i64], full: usize, epochs: i64, epoch_s: u32, now: i64) -> bool {
    let patience = if epoch_s < SHORT_EPOCH_S { 0 } else { epochs.saturating_mul(i64::from(epoch_s)) };
    since.len() < full && since.iter().all(|since| now < since.saturating_add(patience))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_an_epoch_for_the_second_and_eight_for_its_sweep() {
        let hour = 3_600;
        assert!(waits(&[1_000], FINISHED, FINISH_WAIT, 3_600, 1_000 + hour - 1));
        assert!(!waits(&[1_000], FINISHED, FINISH_WAIT, 3_600, 1_000 + hour), "it has waited enough");
        assert!(!waits(&[1_000, 1_000], FINISHED, FINISH_WAIT, 3_600, 1_000), "there are two");
        let due: Vec<i64> = (0..7).map(|i| i * hour).collect();
        assert!(waits(&due, SWEPT, SWEEP_WAIT, 3_600, 8 * hour - 1));
        assert!(!waits(&due, SWEPT, SWEEP_WAIT, 3_600, 8 * hour), "the oldest decides");
    }

    #[test]
    fn where_epochs_are_short_nothing_waits() {
        assert!(!waits(&[1_000], FINISHED, FINISH_WAIT, 3_599, 1_000));
        assert!(!waits(&[1_000], SWEPT, SWEEP_WAIT, 60, 1_000));
    }
}
