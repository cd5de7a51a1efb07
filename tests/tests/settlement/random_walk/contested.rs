//! Steps of the walk in which somebody contests, sponsors or promotes: disputes with their bonds and slashes, bounties,
//! campaigns.

use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use anchor_spl::associated_token::get_associated_token_address as ata;
use market::state::Role;
use rand::Rng;
use settlement::{
    instructions::{DirectClaimArgs, OpenBountyArgs, OpenDisputeArgs, RespondDisputeArgs},
    state::{BountyTerms, DisputeKind, SettleConfig},
};
use solana_signer::Signer;
use waybill_chain::ix::dispute as ix;
use waybill_mechanism::{
    merkle,
    message::{ChargeNote, Line, NO_REFERRER},
};
use waybill_tests::{AIC, ix_bounty, ix_promo::CampaignKeys};

use super::{Step, Then, Walk};
use crate::{court::receipt, desk::signature_check};

/// Campaigns of the one promoter.
pub const CAMPAIGNS: u32 = 3;
/// Most disputes of a walk at a time.
const CASES: usize = 12;
/// What a gateway stakes again after a slash.
const STAKE: u64 = 10_000 * AIC;

/// An open dispute: how the accused answers, and how it ends.
#[derive(Clone)]
pub struct Case {
    answer: Option<Instruction>,
    outcome: ix::Outcome,
    resolve: fn(&ix::Outcome) -> Instruction,
}

impl Walk {
    // --- disputes ----------------------------------------------------------------------------------------------------

    /// Accuses a gateway of a line without receipts (D3).
    pub fn open_dispute(&mut self) -> Option<Step> {
        let at = self.pick_batch().filter(|_| self.cases.len() < CASES)?;
        let posted = &self.batches[at];
        let shard = &posted.shard;
        let line = self.rng.random_range(0..shard.lines.len());
        let index = u32::try_from(line).unwrap();
        let nodes = |proof: Vec<merkle::Node>| proof.iter().map(merkle::Node::to_bytes).collect();
        let args = OpenDisputeArgs {
            kind: DisputeKind::OpenLine,
            index,
            line: shard.lines[line].to_bytes(),
            proof: nodes(shard.tree.proof(line).unwrap()),
        };
        let batch = self.desk.batch_of(shard);
        let challenger = self.consumers[0].insecure_clone();
        let by = ix::Challenger { payer: self.desk.payer(), challenger: challenger.pubkey() };
        let dispute = ix::batch_dispute(&batch, DisputeKind::OpenLine, index);
        let shown = RespondDisputeArgs {
            receipt: posted.receipts[line].to_bytes(),
            proof: nodes(shard.receipts.proof(line).unwrap()),
        };
        let outcome = self.outcome(dispute, batch, challenger.pubkey(), ix::insurance(), shard.epoch);
        let answer = Some(ix::respond_dispute(batch, dispute, shown));
        let case = Case { answer, outcome, resolve: ix::resolve_dispute };
        self.accuse("open_dispute", vec![ix::open_dispute(by, batch, args)], &challenger, case)
    }

    /// Accuses a gateway of settling more than the note that it signed (D2).
    pub fn open_overcharge(&mut self) -> Option<Step> {
        let (_, channel) = self.pick_channel().filter(|_| self.cases.len() < CASES)?;
        let cum_charged_nc = channel.settled_nc.checked_sub(self.rng.random_range(0..1_000))?;
        let note = ChargeNote {
            domain: self.desk.net.world.read::<SettleConfig>(&self.desk.config()).domain,
            channel: self.desk.channel().to_bytes(),
            nonce: channel.last_settled_nonce,
            charge_nc: 0,
            cum_charged_nc,
        };
        let check = signature_check(&self.desk.net.gateway, &note.to_bytes());
        let (address, consumer) = (self.desk.channel(), self.desk.consumer());
        let by = ix::Challenger { payer: self.desk.payer(), challenger: consumer.pubkey() };
        let open = ix::open_overcharge(by, address, channel.last_settled_nonce);
        let dispute = ix::overcharge_dispute(&address, channel.last_settled_nonce);
        let harmed = ata(&consumer.pubkey(), &self.desk.mint);
        let outcome = self.outcome(dispute, address, consumer.pubkey(), harmed, self.desk.epoch());
        let case = Case { answer: None, outcome, resolve: ix::resolve_overcharge };
        self.accuse("open_overcharge", vec![check, open], &consumer, case)
    }

    /// A worker's operator claims for a receipt of an epoch that its gateway did not post (D8).
    pub fn direct_claim(&mut self) -> Option<Step> {
        if self.cases.len() >= CASES {
            return None;
        }
        let gateway = self.pick_gateway();
        let epoch = self.desk.epoch() - self.rng.random_range(0..9);
        if self.shards.contains_key(&(gateway, epoch)) && self.rng.random_bool(0.9) {
            return None;
        }
        let credits_nc = self.rng.random_range(1..2_000_000);
        let line = Line {
            stage: 0,
            epoch,
            index: 0,
            container: self.desk.net.container,
            worker: self.desk.net.worker.pubkey().to_bytes(),
            referrer: NO_REFERRER,
            first_receipt: 0,
            n_receipts: 1,
            credits_nc,
        };
        let receipt = receipt(&self.desk, epoch, &line, 0, credits_nc, credits_nc);
        let check = signature_check(&self.desk.net.gateway, &receipt.to_bytes());
        let (operator, gateway) = (self.desk.net.operator.insecure_clone(), self.desk.net.gateway.pubkey());
        let by = ix::Challenger { payer: self.desk.payer(), challenger: operator.pubkey() };
        let args = DirectClaimArgs { epoch, line_key: receipt.line_key };
        let open = ix::direct_claim(by, gateway, self.desk.net.worker.pubkey(), args);
        let dispute = ix::direct_claim_dispute(&gateway, epoch, &receipt.line_key);
        let harmed = ata(&operator.pubkey(), &self.desk.mint);
        let outcome = self.outcome(dispute, self.desk.gateway_vault(), operator.pubkey(), harmed, epoch);
        let case = Case { answer: None, outcome, resolve: ix::resolve_direct_claim };
        self.accuse("direct_claim", vec![check, open], &operator, case)
    }

    fn accuse(
        &mut self,
        name: &'static str,
        instructions: Vec<Instruction>,
        by: &solana_keypair::Keypair,
        case: Case,
    ) -> Option<Step> {
        let mut step = Self::step(name, instructions, &[by])?;
        step.then = Then::Case(Box::new(case));
        Some(step)
    }

    /// The outcome for the challenger.
    fn outcome(&self, dispute: Pubkey, target: Pubkey, challenger: Pubkey, harmed: Pubkey, epoch: u32) -> ix::Outcome {
        ix::Outcome {
            payer: self.desk.payer(),
            dispute,
            target,
            accused: self.desk.net.gateway.pubkey(),
            accused_role: Role::Gateway,
            challenger,
            bond_to: ata(&challenger, &self.desk.mint),
            harmed,
            epoch,
        }
    }

    pub fn answer_dispute(&mut self) -> Option<Step> {
        let at = self.rng.random_range(0..self.cases.len().max(1));
        let answer = self.cases.get(at)?.answer.clone()?;
        Self::step("respond_dispute", vec![answer], &[])
    }

    /// Ends a dispute for either side, in time or not.
    pub fn resolve(&mut self) -> Option<Step> {
        let at = self.rng.random_range(0..self.cases.len().max(1));
        let case = self.cases.get(at)?.clone();
        let accused = ata(&case.outcome.accused, &self.desk.mint);
        let bond_to = if self.rng.random() { accused } else { case.outcome.bond_to };
        let built = (case.resolve)(&ix::Outcome { bond_to, ..case.outcome });
        let mut step = Self::step("resolve", vec![built], &[])?;
        step.then = Then::EndCase(at);
        Some(step)
    }

    /// A gateway that lost stake stakes again, so that the walk goes on. Not a transaction of the walk's own.
    pub fn restake(&mut self) {
        for gateway in [0, 1].map(|at: usize| self.gateways[at].insecure_clone()) {
            let address = market::seeds::find_party(&gateway.pubkey(), Role::Gateway).0;
            let party: market::state::Party = self.desk.net.world.read(&address);
            if let Some(missing) = STAKE.checked_sub(party.stake).filter(|missing| *missing > 0) {
                let source = self.desk.net.world.fund(&gateway.pubkey(), missing);
                let stake = waybill_tests::ix::market_ix::add_stake(gateway.pubkey(), Role::Gateway, source, missing);
                let _ = self.desk.net.world.send(&[stake], &[&gateway]);
            }
        }
    }

    // --- bounties ----------------------------------------------------------------------------------------------------

    fn bounty(&mut self) -> (OpenBountyArgs, Pubkey) {
        self.pick_gateway();
        let args = OpenBountyArgs {
            gateway: self.desk.net.gateway.pubkey(),
            container: self.desk.net.container,
            curator: self.desk.net.curator.pubkey(),
            terms: BountyTerms { top_up_bps: 250, min_bps: 500 },
        };
        (args, ix_bounty::address(&self.desk.net.vendor.pubkey(), &args))
    }

    pub fn open_bounty(&mut self) -> Option<Step> {
        let ((args, _), vendor) = (self.bounty(), self.desk.net.vendor.insecure_clone());
        Self::step("open_bounty", vec![ix_bounty::open(self.desk.payer(), vendor.pubkey(), args)], &[&vendor])
    }

    pub fn fund_bounty(&mut self) -> Option<Step> {
        let ((_, address), vendor) = (self.bounty(), self.desk.net.vendor.insecure_clone());
        let (source, amount) = (ata(&vendor.pubkey(), &self.desk.mint), self.amount());
        Self::step("fund_bounty", vec![ix_bounty::fund(vendor.pubkey(), address, source, amount)], &[&vendor])
    }

    pub fn claim_bounty(&mut self) -> Option<Step> {
        let at = self.pick_batch()?;
        let vendor = self.desk.net.vendor.pubkey();
        let gateway = self.desk.net.gateway.insecure_clone();
        let (args, _) = self.bounty();
        self.desk.net.gateway = gateway.insecure_clone();
        let address = ix_bounty::address(&vendor, &OpenBountyArgs { gateway: gateway.pubkey(), ..args });
        let (curator, shard) = (self.desk.net.curator.insecure_clone(), &self.batches[at].shard);
        let line = self.rng.random_range(0..shard.lines.len());
        let proof = shard.tree.proof(line).unwrap();
        let batch = self.desk.batch_of(shard);
        let built = ix_bounty::claim(curator.pubkey(), address, batch, &shard.lines[line], &proof);
        Self::step("claim_bounty", vec![built], &[&curator])
    }

    /// Ends a bounty, or takes back what an ended one has left.
    pub fn end_bounty(&mut self) -> Option<Step> {
        let ((_, address), vendor) = (self.bounty(), self.desk.net.vendor.insecure_clone());
        if self.rng.random_bool(0.3) {
            return Self::step("end_bounty", vec![ix_bounty::end(vendor.pubkey(), address)], &[&vendor]);
        }
        let close = ix_bounty::close(vendor.pubkey(), address, self.desk.payer());
        Self::step("close_bounty", vec![close], &[&vendor])
    }

    // --- campaigns ---------------------------------------------------------------------------------------------------

    pub fn campaign(&self, id: u32) -> CampaignKeys {
        let owner = self.desk.net.weaver.pubkey();
        CampaignKeys { owner, role: Role::Weaver, id, container: self.desk.net.container, market: 1 }
    }

    /// Creates a campaign, adds to its escrow, ends it, or takes back what an ended one has left.
    pub fn promote(&mut self) -> Option<Step> {
        let id = self.rng.random_range(0..CAMPAIGNS);
        let keys = self.campaign(id);
        let weaver = self.desk.net.weaver.insecure_clone();
        let (own, amount) = (ata(&weaver.pubkey(), &self.desk.mint), self.amount());
        let payer = self.desk.payer();
        let (name, built) = match self.rng.random_range(0..6) {
            0 => ("create_campaign", keys.create(payer, own, 1_600_000, 1_000_000, amount)),
            1 | 2 => ("top_up_campaign", keys.top_up(own, amount)),
            3 => ("close_campaign", keys.close()),
            _ => ("withdraw_campaign", keys.withdraw(own, payer)),
        };
        Self::step(name, vec![built], &[&weaver])
    }
}
