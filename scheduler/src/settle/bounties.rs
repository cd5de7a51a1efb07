//! Bounties: claims for each curator what sponsors add to its share of this gateway's lines. Lines of a bounty are claimed
//! in order, so a batch waits until no earlier one is under way.

use super::{SettleError, Settler};
use anchor_lang::prelude::Pubkey;
use market::state::{Party, Role, SplitSnapshot};
use settlement::state::{Batch as ChainBatch, Bounty, LinePlace};
use waybill_chain::{ChainError, Intent, View};
use waybill_mechanism::{
    amount::{bps_floor, pricing_epoch},
    batch::claim_amount,
    merkle::Tree,
    message::{Line, NO_REFERRER},
};
use waybill_store::{Batch, BatchStatus};

/// Bytes before `gateway` in a bounty account: discriminator, version, bump, sponsor.
const BOUNTY_GATEWAY_OFFSET: usize = 8 + 1 + 1 + 32;
/// Earlier batches that are looked for, per status.
const EARLIER: u32 = 64;

impl Settler {
    /// Requests the next claim of each bounty that a line of the batch earns; true when nothing is left to claim, or the
    /// batch's claim window is over and its sweep waits for nobody.
    pub(super) async fn claim_bounties(
        &self,
        batch: &Batch,
        account: &ChainBatch,
        view: &View,
    ) -> Result<bool, SettleError> {
        let open_until = account.final_at.saturating_add(i64::from(view.settle.claim_window_s));
        if account.forfeited_nc > 0 || view.now_ms() / 1_000 >= open_until {
            return Ok(true);
        }
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let bounties: Vec<(Pubkey, Bounty)> =
            self.chain().all_where(&settlement::ID, BOUNTY_GATEWAY_OFFSET, gateway.as_ref()).await?;
        if bounties.iter().all(|(_, bounty)| bounty.amount_aic == 0) {
            return Ok(true);
        }
        let stored = self.store.batch_lines(batch.id).await?;
        let mut lines = Vec::with_capacity(stored.len());
        for line in &stored {
            lines.push(Line::from_bytes(&line.line).map_err(|e| ChainError::Build(e.to_string()))?);
        }
        let tree =
            Tree::build(stored.iter().map(|line| line.node).collect()).map_err(|e| ChainError::Build(e.to_string()))?;
        let mut done = true;
        for (address, bounty) in bounties {
            if let Some(line) = self.next_line(&lines, &bounty, batch, account.aic).await? {
                if self.earlier_under_way(batch).await? {
                    return Ok(false);
                }
                done = false;
                let proof = tree.proof(line.index as usize).map_err(|e| ChainError::Build(e.to_string()))?;
                let intent = Intent::ClaimBounty {
                    bounty: address.to_bytes(),
                    shard: batch.id.shard,
                    line: line.to_bytes().to_vec(),
                    proof: proof.iter().map(|node| node.to_bytes()).collect(),
                };
                self.request(batch, view, &format!("bounty/{address}/{}", line.index), intent).await?;
            }
        }
        Ok(done)
    }

    /// The first line of the batch that the bounty still pays for.
    async fn next_line<'a>(
        &self,
        lines: &'a [Line],
        bounty: &Bounty,
        batch: &Batch,
        batch_aic: u64,
    ) -> Result<Option<&'a Line>, SettleError> {
        for line in lines {
            let place = LinePlace { epoch: line.epoch, shard: batch.id.shard, index: line.index };
            let named = line.referrer != NO_REFERRER
                && line.referrer == bounty.curator.to_bytes()
                && line.container == bounty.container;
            let in_time = place >= bounty.next && (bounty.end_epoch == 0 || line.epoch < bounty.end_epoch);
            if !named || !in_time {
                continue;
            }
            let worth = claim_amount(batch.lines_root.sum, batch_aic, line.credits_nc)
                .map_err(|e| ChainError::Build(e.to_string()))?;
            if bps_floor(worth, bounty.terms.top_up_bps).min(bounty.amount_aic) == 0 {
                continue;
            }
            let address = market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch(line.epoch)).0;
            let snapshot: Option<SplitSnapshot> = self.chain().account(&address).await?;
            let enough = snapshot.is_some_and(|snapshot| snapshot.bps[CURATOR] >= bounty.terms.min_bps);
            let party: Option<Party> =
                self.chain().account(&market::seeds::find_party(&bounty.curator, Role::Curator).0).await?;
            if enough && party.is_some_and(|party| !party.banned && party.stake > 0) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Whether a batch before this one has lines that are not claimed yet.
    async fn earlier_under_way(&self, batch: &Batch) -> Result<bool, SettleError> {
        let place = (batch.id.epoch, batch.id.shard);
        for status in [BatchStatus::Built, BatchStatus::Posted, BatchStatus::Final, BatchStatus::Claimed] {
            let batches = self.store.batches(status, EARLIER).await?;
            let earlier =
                |other: &Batch| other.id.gateway == batch.id.gateway && (other.id.epoch, other.id.shard) < place;
            if batches.iter().any(earlier) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Position of the curator in a split.
const CURATOR: usize = 3;
