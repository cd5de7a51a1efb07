//! Moves a stored batch one step towards its end, by what the chain says of it.

use super::{SettleError, Settler, now_ms, together::Due};
use anchor_lang::{AccountDeserialize, prelude::Pubkey};
use settlement::state::{Batch as ChainBatch, BatchState, Earnings, GatewayVault};
use std::collections::BTreeSet;
use waybill_chain::{
    Chain, ChainError, Intent, View,
    intent::{BatchPost, ChannelClaim, ProvenLine, line_payees},
    packing,
};
use waybill_mechanism::{
    merkle::Tree,
    message::{Line, NO_REFERRER},
};
use waybill_store::{Batch, BatchStatus, OutboxStatus, StoredLine};

/// Batches looked at in one pass, per status.
const PASS: u32 = 32;
/// Lines of a batch that one look requests at most.
const LINES_A_LOOK: usize = 64;
/// Lines that are claimed as one block where none of them is claimed yet: with a worker and an operator each they fit
/// one transaction.
pub const BLOCK: usize = 8;

/// What a channel owes the gateway.
struct Owed {
    claim: ChannelClaim,
    nc: u64,
    settled_nc: u64,
}

/// Batches of one look that can share transactions.
#[derive(Default)]
struct Waiting {
    finish: Vec<Due>,
    sweep: Vec<Due>,
}

/// A step towards the end of a posted batch.
enum Step {
    Finalize,
    /// Neighbours that are a block of the tree, from this index on.
    Block(u32, Vec<ProvenLine>),
    /// Index and line.
    Claim(u32, ProvenLine),
    Sweep,
}

impl Step {
    /// Part of an outbox key.
    fn name(&self) -> String {
        match self {
            Self::Finalize => "finalize".to_owned(),
            Self::Block(first, lines) => format!("claim/{first}x{}", lines.len()),
            Self::Claim(index, _) => format!("claim/{index}"),
            Self::Sweep => "sweep".to_owned(),
        }
    }

    /// How many lines it claims.
    fn claims(&self) -> usize {
        match self {
            Self::Block(_, lines) => lines.len(),
            Self::Claim(..) => 1,
            Self::Finalize | Self::Sweep => 0,
        }
    }

    fn intent(&self, batch: &Batch) -> Intent {
        let (epoch, shard) = (batch.id.epoch, batch.id.shard);
        match self {
            Self::Finalize => Intent::FinalizeBatch { epoch, shard },
            Self::Block(_, lines) => Intent::ClaimLines { epoch, shard, lines: lines.clone() },
            Self::Claim(_, ProvenLine { line, proof }) => {
                Intent::ClaimLine { epoch, shard, line: line.clone(), proof: proof.clone() }
            }
            Self::Sweep => Intent::SweepBatch { epoch, shard },
        }
    }

    /// What to try when it does not pass: a block line by line.
    fn pieces(self) -> Vec<Self> {
        match self {
            Self::Block(first, lines) => (first..).zip(lines).map(|(index, line)| Self::Claim(index, line)).collect(),
            other => vec![other],
        }
    }
}

impl Settler {
    pub(super) async fn drive_batches(&self, view: &View) -> Result<(), SettleError> {
        let mut waiting = Waiting::default();
        for status in [BatchStatus::Claimed, BatchStatus::Final, BatchStatus::Posted, BatchStatus::Built] {
            for batch in self.store.batches(status, PASS).await? {
                if batch.id.gateway == self.config.gateway {
                    self.drive(&batch, view, &mut waiting).await?;
                }
            }
        }
        self.sweep_due(waiting.sweep, view).await?;
        self.finish_due(waiting.finish, view).await
    }

    async fn drive(&self, batch: &Batch, view: &View, waiting: &mut Waiting) -> Result<(), SettleError> {
        let on_chain = self.batch_account(batch).await?;
        let reached = match (&on_chain, batch.status) {
            (None, BatchStatus::Built) => {
                self.fund_and_post(batch, view).await?;
                return Ok(());
            }
            // Only a swept batch can be closed.
            (None, BatchStatus::Claimed) => BatchStatus::Swept,
            (None, _) => {
                tracing::error!(batch = %batch.id, status = batch.status.as_str(), "the chain does not know a posted batch");
                return Ok(());
            }
            (Some((_, account)), BatchStatus::Built) => match account.state {
                BatchState::Posted | BatchState::Final | BatchState::Swept => BatchStatus::Posted,
            },
            (Some((data, account)), BatchStatus::Posted) if account.state == BatchState::Posted => {
                let open_until = account.posted_at.saturating_add(i64::from(view.settle.challenge_s));
                let drawn = view.settle.audit.draws == 0 || account.seed_slot > 0;
                let cases = account.open_audits > 0 || account.open_disputes > 0;
                if view.now_ms() / 1_000 >= open_until && drawn && !cases {
                    waiting.finish.push(Due { batch: batch.clone(), account: data.clone(), since: open_until });
                }
                return Ok(());
            }
            (Some(_), BatchStatus::Posted) => BatchStatus::Final,
            (Some((data, _)), BatchStatus::Final) => {
                if !self.finish(batch, data, false, view).await? {
                    return Ok(());
                }
                BatchStatus::Claimed
            }
            (Some((data, account)), BatchStatus::Claimed) => {
                // The sweep may have gone with the last claims; what follows from these does not wait for it.
                let shared = self.share_royalties(batch, view).await?;
                if !shared || !self.claim_bounties(batch, account, view).await? {
                    return Ok(());
                }
                if account.state == BatchState::Final {
                    if self.ensure_earnings(&[Pubkey::new_from_array(batch.id.gateway.0)], view).await? {
                        let since = account.final_at;
                        waiting.sweep.push(Due { batch: batch.clone(), account: data.clone(), since });
                    }
                    return Ok(());
                }
                BatchStatus::Swept
            }
            (Some(_), BatchStatus::Swept) => return Ok(()),
        };
        self.store.advance_batch(batch.id, batch.status, reached, now_ms(view)).await?;
        tracing::info!(batch = %batch.id, status = reached.as_str(), "batch moved");
        Ok(())
    }

    /// Collects from the channels until the gateway's vault covers the batch, then posts it.
    async fn fund_and_post(&self, batch: &Batch, view: &View) -> Result<(), SettleError> {
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let vault_address = waybill_chain::ix::settlement::gateway_vault(&gateway).0;
        let vault: GatewayVault =
            self.chain().expect("gateway vault", &vault_address, "run open_gateway for this key first").await?;
        if batch.id.epoch < vault.first_postable_epoch() {
            tracing::debug!(batch = %batch.id, "the chain takes no batch of this epoch any more; its workers claim directly");
            return Ok(());
        }
        let post = BatchPost {
            epoch: batch.id.epoch,
            shard: batch.id.shard,
            receipts_root: batch.receipts_root.hash,
            lines_root: batch.lines_root.hash,
            n_receipts: batch.n_receipts,
            n_lines: batch.n_lines,
            sum_nc: batch.lines_root.sum,
            data_hash: batch.data_hash,
            uri: batch.uri.clone(),
        };
        if vault.nc >= batch.lines_root.sum {
            return self.request(batch, view, "post", Intent::PostBatch(post)).await;
        }
        let owed = self.owed(view).await?;
        let together = Intent::SettleAndPost { claims: owed.iter().map(|owed| owed.claim).collect(), post };
        let all: u64 = owed.iter().map(|owed| owed.nc).fold(vault.nc, u64::saturating_add);
        let instructions = together.instructions(self.chain(), &gateway).await?;
        if all >= batch.lines_root.sum && packing::fits(&gateway, &instructions)? {
            let key = format!("{}/settle+post/{}", batch.id, vault.nc);
            let status = self.outbox.request(&key, &together, now_ms(view)).await?;
            if status != OutboxStatus::Failed {
                return Ok(());
            }
            // A channel gave less than was noted: collect one by one, and post when the vault has enough.
        }
        self.collect(&owed, view).await
    }

    /// What was charged and noted to each channel but is not settled.
    async fn owed(&self, view: &View) -> Result<Vec<Owed>, SettleError> {
        let mut owed = Vec::new();
        for channel in self.store.channels_of_gateway(self.config.gateway).await? {
            let Some(on_chain) = view.channels.get(&Pubkey::new_from_array(channel.channel.0)) else { continue };
            if let Some(nc) = channel.noted_cum_nc.checked_sub(on_chain.settled_nc).filter(|nc| *nc > 0) {
                let claim = ChannelClaim {
                    channel: channel.channel.0,
                    claim_cum_nc: channel.noted_cum_nc,
                    nonce: channel.noted_nonce,
                };
                owed.push(Owed { claim, nc, settled_nc: on_chain.settled_nc });
            }
        }
        Ok(owed)
    }

    /// Asks every channel for what it owes.
    async fn collect(&self, owed: &[Owed], view: &View) -> Result<(), SettleError> {
        for Owed { claim: ChannelClaim { channel, claim_cum_nc, nonce }, settled_nc, .. } in owed {
            let intent = Intent::SettleDelegated { channel: *channel, claim_cum_nc: *claim_cum_nc, nonce: *nonce };
            // What is settled belongs to the key: a claim that was cut by the limit is sent again for its remainder.
            let key = format!("settle/{}/{claim_cum_nc}/{settled_nc}", Pubkey::new_from_array(*channel));
            self.outbox.request(&key, &intent, now_ms(view)).await?;
        }
        Ok(())
    }

    /// Requests what is left of a batch, as many steps per transaction as fit: its end of challenge where that is due,
    /// every unclaimed line, the sweep. True when all lines are claimed.
    pub(super) async fn finish(
        &self,
        batch: &Batch,
        account: &[u8],
        finalize: bool,
        view: &View,
    ) -> Result<bool, SettleError> {
        let lines = self.store.batch_lines(batch.id).await?;
        let mut open = Vec::new();
        for stored in &lines {
            let claimed =
                ChainBatch::is_claimed(account, stored.index).map_err(|e| ChainError::Build(e.to_string()))?;
            match (claimed, stored.claimed_ms) {
                (true, None) => {
                    self.store.mark_line_claimed(batch.id, stored.index, now_ms(view)).await?;
                }
                (true, Some(_)) => {}
                (false, _) => open.push(stored),
            }
        }
        if open.is_empty() && !finalize {
            return Ok(true);
        }
        let tree =
            Tree::build(lines.iter().map(|line| line.node).collect()).map_err(|e| ChainError::Build(e.to_string()))?;
        let mut steps = Vec::new();
        if finalize {
            steps.push(Step::Finalize);
        }
        // The rest follows when these are claimed.
        let complete = open.len() <= LINES_A_LOOK;
        open.truncate(LINES_A_LOOK);
        for block in lines.chunks(BLOCK) {
            let wanted: Vec<&StoredLine> =
                block.iter().filter(|line| open.iter().any(|open| open.index == line.index)).collect();
            let mut proven = Vec::with_capacity(wanted.len());
            for stored in &wanted {
                if let Some(line) = self.proven(stored, &tree, view).await? {
                    proven.push((stored.index, line));
                }
            }
            match block {
                [first, _, ..] if proven.len() == block.len() => {
                    steps.push(Step::Block(first.index, proven.into_iter().map(|(_, line)| line).collect()));
                }
                _ => steps.extend(proven.into_iter().map(|(index, line)| Step::Claim(index, line))),
            }
        }
        let claims: usize = steps.iter().map(Step::claims).sum();
        let all_open = lines.iter().filter(|line| line.claimed_ms.is_none()).count();
        if claims >= all_open && self.ensure_earnings(&[Pubkey::new_from_array(batch.id.gateway.0)], view).await? {
            steps.push(Step::Sweep);
        }
        self.request_steps(batch, steps, complete, view).await?;
        Ok(false)
    }

    /// Packs steps into transactions and requests them, in order. When more steps follow, the last transaction waits
    /// for them: what is requested now must not be cut differently at the next look.
    async fn request_steps(
        &self,
        batch: &Batch,
        mut steps: Vec<Step>,
        complete: bool,
        view: &View,
    ) -> Result<(), SettleError> {
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        let mut instructions = Vec::with_capacity(steps.len());
        for step in &steps {
            instructions.extend(step.intent(batch).instructions(self.chain(), &gateway).await?);
        }
        let mut packed = packing::pack(&gateway, &instructions)?;
        if !complete && packed.len() > 1 {
            packed.pop();
        }
        for range in packed {
            let group: Vec<Step> = steps.drain(..range.len()).collect();
            let names: Vec<String> = group.iter().map(Step::name).collect();
            let key = format!("{}/{}", batch.id, names.join("+"));
            let mut intents: Vec<Intent> = group.iter().map(|step| step.intent(batch)).collect();
            let intent = match intents.as_slice() {
                [_] => intents.remove(0),
                _ => Intent::Together { steps: intents },
            };
            let status = self.outbox.request(&key, &intent, now_ms(view)).await?;
            if status == OutboxStatus::Failed {
                self.request_pieces(batch, group, view).await?;
            }
        }
        Ok(())
    }

    /// One step stops the others: each on its own, so that the rest passes. Nothing passes before the batch is final, and
    /// the sweep comes when all lines are claimed.
    async fn request_pieces(&self, batch: &Batch, group: Vec<Step>, view: &View) -> Result<(), SettleError> {
        let finalize = group.iter().any(|step| matches!(step, Step::Finalize));
        let pieces = group.into_iter().flat_map(Step::pieces);
        for step in pieces {
            let passes = match step {
                Step::Finalize => true,
                Step::Block(..) | Step::Claim(..) => !finalize,
                Step::Sweep => false,
            };
            if passes {
                self.request(batch, view, &step.name(), step.intent(batch)).await?;
            }
        }
        Ok(())
    }

    /// A line with its proof; `None` while one of its payees has no earnings account yet.
    pub(super) async fn proven(
        &self,
        stored: &StoredLine,
        tree: &Tree,
        view: &View,
    ) -> Result<Option<ProvenLine>, SettleError> {
        let line = Line::from_bytes(&stored.line).map_err(|e| ChainError::Build(e.to_string()))?;
        let to = line_payees(self.chain(), &line).await?;
        let mut owners = vec![to.payees.vendor, to.provider, to.payees.weaver];
        if to.payees.oem != Pubkey::default() {
            owners.push(to.payees.oem);
        }
        if to.curator_active && line.referrer != NO_REFERRER {
            owners.push(Pubkey::new_from_array(line.referrer));
        }
        if !self.ensure_earnings(&owners, view).await? {
            return Ok(None);
        }
        let proof = tree.proof(stored.index as usize).map_err(|e| ChainError::Build(e.to_string()))?;
        let proof = proof.iter().map(|node| node.to_bytes()).collect();
        Ok(Some(ProvenLine { line: stored.line.to_vec(), proof }))
    }

    /// True when every owner has an earnings account; requests those that are missing.
    pub(super) async fn ensure_earnings(&self, owners: &[Pubkey], view: &View) -> Result<bool, SettleError> {
        let owners: BTreeSet<Pubkey> = owners.iter().copied().collect();
        let mint = view.settle.mint;
        let addresses: Vec<Pubkey> =
            owners.iter().map(|owner| settlement::seeds::find_earnings(owner, &mint).0).collect();
        let accounts: Vec<Option<Earnings>> = self.chain().accounts(&addresses).await?;
        let mut complete = true;
        for (owner, account) in owners.iter().zip(accounts) {
            if account.is_none() {
                complete = false;
                self.outbox
                    .request(
                        &format!("earnings/{owner}"),
                        &Intent::OpenEarnings { owner: owner.to_bytes() },
                        now_ms(view),
                    )
                    .await?;
            }
        }
        Ok(complete)
    }

    pub(super) async fn request(
        &self,
        batch: &Batch,
        view: &View,
        step: &str,
        intent: Intent,
    ) -> Result<(), SettleError> {
        self.outbox.request(&format!("{}/{step}", batch.id), &intent, now_ms(view)).await?;
        Ok(())
    }

    async fn batch_account(&self, batch: &Batch) -> Result<Option<(Vec<u8>, ChainBatch)>, SettleError> {
        let gateway = Pubkey::new_from_array(batch.id.gateway.0);
        let address = settlement::seeds::find_batch(&gateway, batch.id.epoch, batch.id.shard).0;
        let Some(data) = self.chain().data(&address).await? else { return Ok(None) };
        let account = ChainBatch::try_deserialize(&mut data.as_slice()).map_err(|e| ChainError::Layout {
            what: "batch",
            address,
            reason: e.to_string(),
        })?;
        Ok(Some((data, account)))
    }

    pub(super) fn chain(&self) -> &Chain {
        self.catalogue.chain()
    }
}
