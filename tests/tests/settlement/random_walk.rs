//! Random sequences of instructions, valid and broken ones, against the built programs. After each accepted
//! transaction every vault holds at least what is recorded for it, what it holds on top came from a gift or a payment
//! and leaves only the way gifts may, no wallet lost tokens without its signature, and no token appears or disappears
//! but by the burns of a sweep and of the burn account.
//!
//! `WAYBILL_WALK_STEPS` sets the number of steps, `WAYBILL_WALK_SEED` another walk.

mod contested;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anchor_lang::{
    prelude::{Clock, Pubkey},
    solana_program::instruction::Instruction,
};
use anchor_spl::associated_token::get_associated_token_address as ata;
use coin::{
    authority::pause,
    state::{PendingSpend, Rate, VaultKind},
};
use market::state::{Party, Role};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use settlement::{instruction, instructions::*, state::*};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle::{self, Tree},
    message::{NO_REFERRER, Receipt},
};
use waybill_tests::{
    ix::{coin_ix, market_ix},
    ix_coin, key,
};

use crate::{court::receipt, desk::*};
use contested::{CAMPAIGNS, Case};

/// Steps of all walks together.
const STEPS: u32 = 100_000;
/// Walks, each with its own chain and seed.
const WALKS: u32 = 4;
/// Most channels and most batches of a walk at a time.
const CHANNELS: usize = 12;
const BATCHES: usize = 40;

#[test]
fn random_sequences_keep_every_vault_whole() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let steps = number("WAYBILL_WALK_STEPS").unwrap_or(STEPS) / WALKS;
    let first = number("WAYBILL_WALK_SEED").unwrap_or(1);
    let tallies = std::thread::scope(|scope| {
        let walks: Vec<_> = (first..first + WALKS).map(|seed| scope.spawn(move || walk(seed, steps))).collect();
        walks.into_iter().map(|walk| walk.join().unwrap()).collect::<Vec<_>>()
    });
    let mut tally = BTreeMap::<&str, (u32, u32)>::new();
    for (name, (accepted, refused)) in tallies.into_iter().flatten() {
        let entry = tally.entry(name).or_default();
        *entry = (entry.0 + accepted, entry.1 + refused);
    }
    let sum = tally.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{} steps: {} accepted, {} refused", sum.0 + sum.1, sum.0, sum.1);
    for (name, (accepted, refused)) in &tally {
        println!("{name:<20} {accepted:>6} accepted {refused:>6} refused");
    }
    if steps >= 5_000 {
        // The team is vested after a year, which a walk does not reach.
        let idle: Vec<_> = tally.iter().filter(|(name, counts)| counts.0 == 0 && **name != "release_team").collect();
        assert!(idle.is_empty(), "never accepted, so never tested: {idle:?}");
        assert!(sum.0 * 4 > sum.1, "most steps were refused");
    }
}

fn walk(seed: u32, steps: u32) -> BTreeMap<&'static str, (u32, u32)> {
    let mut walk = Walk::new(seed);
    for number in 0..steps {
        let step = walk.choose();
        walk.recent.push_back(format!("{} {}", step.name, if step.broken { "broken" } else { "" }));
        if walk.recent.len() > 12 {
            walk.recent.pop_front();
        }
        walk.place = format!("walk {seed}, step {number}");
        walk.take(step);
    }
    walk.tally
}

/// A transaction to try.
struct Step {
    name: &'static str,
    instructions: Vec<Instruction>,
    signers: Vec<Keypair>,
    /// An account or a byte was changed.
    broken: bool,
    /// What the walk remembers when it is accepted.
    then: Then,
}

enum Then {
    Nothing,
    Channel(Link),
    Batch(Box<Posted>),
    CloseChannel(usize),
    CloseBatch(usize),
    Case(Box<Case>),
    EndCase(usize),
}

/// A batch and the receipts behind it, one a line.
struct Posted {
    gateway: usize,
    shard: Shard,
    receipts: Vec<Receipt>,
}

/// A channel by what its address is made of.
#[derive(Clone, Copy)]
struct Link {
    consumer: usize,
    gateway: usize,
    open_slot: u64,
}

struct Walk {
    desk: Desk,
    rng: StdRng,
    consumers: Vec<Keypair>,
    gateways: Vec<Keypair>,
    /// Wallets that earn or stake.
    owners: Vec<(Keypair, Role)>,
    channels: Vec<Link>,
    batches: Vec<Posted>,
    cases: Vec<Case>,
    /// What each campaign's escrow holds.
    escrows: BTreeMap<Pubkey, u64>,
    shards: BTreeMap<(usize, u32), u16>,
    /// Pricing epochs that have a snapshot.
    rolled: BTreeSet<u32>,
    /// Tokens of each vault that nothing is recorded for.
    surplus: BTreeMap<Pubkey, u64>,
    tally: BTreeMap<&'static str, (u32, u32)>,
    recent: VecDeque<String>,
    place: String,
}

impl Walk {
    fn new(seed: u32) -> Self {
        let mut desk = Desk::new();
        let gateways = vec![desk.gateway(), key("second gateway")];
        desk.net.world.party(&gateways[1], Role::Gateway);
        desk.net.gateway = gateways[1].insecure_clone();
        desk.send(&[desk.open_gateway_ix()], &[&gateways[1]]).unwrap();
        let consumers = vec![key("consumer"), key("second consumer"), key("third consumer")];
        let net = &desk.net;
        let owners = [
            (&net.vendor, Role::Vendor),
            (&net.oem, Role::Oem),
            (&net.weaver, Role::Weaver),
            (&net.operator, Role::Provider),
            (&net.curator, Role::Curator),
            (&gateways[0], Role::Gateway),
            (&gateways[1], Role::Gateway),
        ];
        let owners: Vec<_> = owners.map(|(owner, role)| (owner.insecure_clone(), role)).into();
        for wallet in consumers.iter().chain(owners.iter().map(|(owner, _)| owner)) {
            desk.net.world.fund(&wallet.pubkey(), 10_000_000_000_000);
        }
        for (owner, _) in &owners {
            desk.send(&[desk.open_earnings_ix(&owner.pubkey())], &[]).unwrap();
        }
        desk.net.world.aic_account(&key("team").pubkey());
        desk.net.world.must(&[ix_coin::burn_fees(desk.payer())], &[]);
        desk.pass_slots(1_000);
        let rolled = BTreeSet::from([desk.net.world.pricing_epoch()]);
        Self {
            desk,
            rng: StdRng::seed_from_u64(seed.into()),
            consumers,
            gateways,
            owners,
            channels: Vec::new(),
            batches: Vec::new(),
            cases: Vec::new(),
            escrows: BTreeMap::new(),
            shards: BTreeMap::new(),
            rolled,
            surplus: BTreeMap::new(),
            tally: BTreeMap::new(),
            recent: VecDeque::new(),
            place: String::new(),
        }
    }

    // --- choosing ----------------------------------------------------------------------------------------------------

    /// The next transaction; one in six is broken on purpose.
    fn choose(&mut self) -> Step {
        let mut step = loop {
            let weights: [(u32, fn(&mut Self) -> Option<Step>); 39] = [
                (6, Self::deposit),
                (2, Self::gift),
                (4, Self::open_channel),
                (14, Self::settle_delegated),
                (12, Self::settle_voucher),
                (2, Self::set_delegate),
                (1, Self::revoke_delegate),
                (1, Self::request_close),
                (3, Self::close_channel),
                (3, Self::top_up),
                (5, Self::post_batch),
                (8, Self::finalize),
                (20, Self::claim),
                (6, Self::sweep_batch),
                (4, Self::close_batch),
                (6, Self::withdraw),
                (1, Self::set_sweep),
                (3, Self::sweep_earnings),
                (2, Self::add_stake),
                (2, Self::begin_unstake),
                (2, Self::finish_unstake),
                (2, Self::spend),
                (2, Self::propose_spend),
                (3, Self::execute_spend),
                (1, Self::release),
                (1, Self::release_team),
                (1, Self::burn),
                (2, Self::open_dispute),
                (1, Self::open_overcharge),
                (1, Self::direct_claim),
                (2, Self::answer_dispute),
                (4, Self::resolve),
                (1, Self::open_bounty),
                (2, Self::fund_bounty),
                (5, Self::claim_bounty),
                (1, Self::end_bounty),
                (3, Self::promote),
                (1, Self::pause),
                (8, Self::pass_time),
            ];
            let total: u32 = weights.iter().map(|(weight, _)| weight).sum();
            let mut at = self.rng.random_range(0..total);
            let chosen = weights.iter().find_map(|(weight, choose)| match at.checked_sub(*weight) {
                None => Some(choose),
                Some(rest) => {
                    at = rest;
                    None
                }
            });
            if let Some(step) = chosen.and_then(|choose| choose(self)) {
                break step;
            }
        };
        if self.rng.random_ratio(1, 6) {
            self.damage(&mut step);
        }
        step
    }

    fn step(name: &'static str, instructions: Vec<Instruction>, signers: &[&Keypair]) -> Option<Step> {
        let signers = signers.iter().map(|signer| signer.insecure_clone()).collect();
        Some(Step { name, instructions, signers, broken: false, then: Then::Nothing })
    }

    /// Changes one account or one byte of an instruction of ours.
    fn damage(&mut self, step: &mut Step) {
        let ours = [coin::ID, market::ID, settlement::ID];
        let Some(target) = step.instructions.iter_mut().rev().find(|built| ours.contains(&built.program_id)) else {
            return;
        };
        if self.rng.random_bool(0.6) && !target.accounts.is_empty() {
            let vaults: Vec<Pubkey> = self.surplus.keys().copied().collect();
            let wallet = self.owners.choose(&mut self.rng).unwrap().0.pubkey();
            let other = match self.rng.random_range(0..6) {
                0 => *vaults.choose(&mut self.rng).unwrap_or(&wallet),
                1 => ata(&wallet, &self.desk.mint),
                2 => self.desk.earnings(&wallet),
                3 => self.desk.channel(),
                4 => wallet,
                _ => target.accounts.choose(&mut self.rng).unwrap().pubkey,
            };
            let at = self.rng.random_range(0..target.accounts.len());
            target.accounts[at].pubkey = other;
            // Whose key the walk does not use here cannot have signed.
            let signs = step.signers.iter().any(|signer| signer.pubkey() == other);
            target.accounts[at].is_signer &= signs || other == self.desk.payer();
        } else if !target.data.is_empty() {
            let at = self.rng.random_range(0..target.data.len());
            target.data[at] ^= 1 << self.rng.random_range(0..8);
        }
        step.broken = true;
    }

    /// Makes a channel the desk's own and returns its state.
    fn pick_channel(&mut self) -> Option<(usize, Channel)> {
        let at = self.rng.random_range(0..self.channels.len().max(1));
        let link = *self.channels.get(at)?;
        self.desk.consumer = self.consumers[link.consumer].insecure_clone();
        self.desk.net.gateway = self.gateways[link.gateway].insecure_clone();
        self.desk.open_slot = link.open_slot;
        Some((at, self.desk.state()))
    }

    fn pick_gateway(&mut self) -> usize {
        let at = self.rng.random_range(0..self.gateways.len());
        self.desk.net.gateway = self.gateways[at].insecure_clone();
        at
    }

    fn pick_batch(&mut self) -> Option<usize> {
        let at = self.rng.random_range(0..self.batches.len().max(1));
        let gateway = self.batches.get(at)?.gateway;
        self.desk.net.gateway = self.gateways[gateway].insecure_clone();
        Some(at)
    }

    fn pick_owner(&mut self) -> (Keypair, Role) {
        let (owner, role) = self.owners.choose(&mut self.rng).unwrap();
        (owner.insecure_clone(), *role)
    }

    /// Small, middling or absurd amounts.
    fn amount(&mut self) -> u64 {
        match self.rng.random_range(0..20) {
            0 => self.rng.random_range(0..3),
            1 => u64::MAX - self.rng.random_range(0..3),
            2..6 => self.rng.random_range(1..1_000),
            _ => self.rng.random_range(1..1_000_000_000),
        }
    }

    // --- steps -------------------------------------------------------------------------------------------------------

    fn deposit(&mut self) -> Option<Step> {
        self.pick_channel()?;
        let aic = self.rng.random_range(1..4_000_000_000);
        let consumer = self.desk.consumer();
        let source = ata(&consumer.pubkey(), &self.desk.mint);
        let transfer = transfer_ix(source, self.desk.channel_token(), consumer.pubkey(), aic);
        Self::step("deposit", vec![transfer, self.desk.sync_deposit_ix()], &[&consumer])
    }

    /// Tokens that nobody asked for, to any vault.
    fn gift(&mut self) -> Option<Step> {
        let vaults: Vec<Pubkey> = self.surplus.keys().copied().collect();
        let to = *vaults.choose(&mut self.rng)?;
        let giver = self.consumers[0].insecure_clone();
        let amount = self.rng.random_range(1..1_000);
        Self::step(
            "gift",
            vec![transfer_ix(ata(&giver.pubkey(), &self.desk.mint), to, giver.pubkey(), amount)],
            &[&giver],
        )
    }

    fn open_channel(&mut self) -> Option<Step> {
        if self.channels.len() >= CHANNELS {
            return None;
        }
        let gateway = self.pick_gateway();
        let consumer = self.rng.random_range(0..self.consumers.len());
        self.desk.consumer = self.consumers[consumer].insecure_clone();
        let slot = self.desk.net.world.svm.get_sysvar::<Clock>().slot;
        let open_slot = slot - self.rng.random_range(0..170);
        self.desk.open_slot = open_slot;
        let limit = self.rng.random_range(1..400_000_000);
        let grant = self.rng.random_bool(0.8).then(|| self.desk.terms(limit));
        let built = self.desk.open_channel_ix(OpenChannelArgs { open_slot, session: None, grant });
        let mut step = Self::step("open_channel", vec![built], &[&self.desk.consumer()])?;
        step.then = Then::Channel(Link { consumer, gateway, open_slot });
        Some(step)
    }

    /// A claim around what is settled, and a nonce around the last one.
    fn claim_of(&mut self, channel: &Channel) -> (u64, u64) {
        let more = self.amount();
        let claim = match self.rng.random_range(0..10) {
            0 => channel.settled_nc.saturating_sub(more),
            _ => channel.settled_nc.saturating_add(more.min(200_000_000)),
        };
        let nonce = match self.rng.random_range(0..20) {
            0 => channel.last_settled_nonce.saturating_sub(1),
            _ => channel.last_settled_nonce + self.rng.random_range(0..3),
        };
        (claim, nonce)
    }

    fn settle_delegated(&mut self) -> Option<Step> {
        let (_, channel) = self.pick_channel()?;
        let (claim, nonce) = self.claim_of(&channel);
        Self::step("settle_delegated", vec![self.desk.settle_delegated_ix(claim, nonce)], &[&self.desk.gateway()])
    }

    fn settle_voucher(&mut self) -> Option<Step> {
        let (_, channel) = self.pick_channel()?;
        let (claim, nonce) = self.claim_of(&channel);
        let acked = claim.saturating_sub(self.rng.random_range(0..3));
        let mut voucher = self.desk.voucher(nonce, acked, acked.saturating_add(self.rng.random_range(0..5)));
        if self.rng.random_ratio(1, 10) {
            voucher.expires = self.desk.now() + self.rng.random_range(-5..5);
        }
        let signer =
            if self.rng.random_ratio(1, 15) { self.consumers[0].insecure_clone() } else { self.desk.consumer() };
        let check = signature_check(&signer, &voucher.to_bytes());
        let gateway_signs = self.rng.random();
        let built = self.desk.settle_voucher_ix(claim, gateway_signs);
        Self::step("settle_voucher", vec![check, built], &[&self.desk.gateway()])
    }

    fn set_delegate(&mut self) -> Option<Step> {
        self.pick_channel()?;
        let limit = self.amount();
        let mut terms = self.desk.terms(limit);
        terms.period_s = *[3_600, 86_400, 1, u32::MAX].choose(&mut self.rng)?;
        Self::step("set_delegate", vec![self.desk.set_delegate_ix(terms)], &[&self.desk.consumer()])
    }

    fn revoke_delegate(&mut self) -> Option<Step> {
        self.pick_channel()?;
        Self::step("revoke_delegate", vec![self.desk.revoke_delegate_ix()], &[&self.desk.consumer()])
    }

    fn request_close(&mut self) -> Option<Step> {
        self.pick_channel()?;
        Self::step("request_close", vec![self.desk.request_close_ix()], &[&self.desk.consumer()])
    }

    fn close_channel(&mut self) -> Option<Step> {
        let (at, channel) = self.pick_channel()?;
        if channel.state == ChannelState::Open && self.rng.random_bool(0.9) {
            return None;
        }
        let mut step = Self::step("close_channel", vec![self.desk.close_channel_ix()], &[])?;
        step.then = Then::CloseChannel(at);
        Some(step)
    }

    fn top_up(&mut self) -> Option<Step> {
        self.pick_gateway();
        let gateway = self.desk.gateway();
        let accounts = settlement::accounts::TopUpGateway {
            gateway: gateway.pubkey(),
            config: self.desk.config(),
            rate: coin::seeds::find_rate().0,
            gateway_vault: self.desk.gateway_vault(),
            vault: self.desk.gateway_token(),
            source: ata(&gateway.pubkey(), &self.desk.mint),
            token_program: TOKEN,
            event_authority: waybill_tests::event_authority(&settlement::ID),
            program: settlement::ID,
        };
        let args = TopUpGatewayArgs { nc: self.amount(), max_aic: 1_000_000_000 };
        Self::step("top_up_gateway", vec![ix(&accounts, &instruction::TopUpGateway { args })], &[&gateway])
    }

    /// A shard of a past epoch whose lines share up to what the gateway has collected, sometimes one unit more.
    fn post_batch(&mut self) -> Option<Step> {
        let gateway = self.pick_gateway();
        let vault: GatewayVault = self.desk.net.world.read(&self.desk.gateway_vault());
        let epoch = self.desk.epoch() - self.rng.random_range(0..4);
        if self.batches.len() >= BATCHES || vault.nc == 0 || !self.rolled.contains(&pricing_epoch(epoch)) {
            return None;
        }
        let total = match self.rng.random_range(0..10) {
            0 => vault.nc + 1,
            1..4 => vault.nc,
            _ => self.rng.random_range(1..=vault.nc),
        };
        let lines = u32::try_from(u64::from(self.rng.random_range(1..=9u32)).min(total)).unwrap();
        let mut cuts: Vec<u64> = (1..lines).map(|_| self.rng.random_range(0..=total)).collect();
        cuts.extend([0, total]);
        cuts.sort_unstable();
        let credits: Vec<u64> = cuts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let referrer = match self.rng.random_range(0..3) {
            0 => NO_REFERRER,
            1 => self.desk.net.curator.pubkey().to_bytes(),
            _ => [9; 32],
        };
        let lines = Shard::new(&self.desk, epoch, &credits, referrer).lines;
        let next = self.shards.entry((gateway, epoch)).or_default();
        let number = next.saturating_sub(u16::from(self.rng.random_ratio(1, 12)));
        *next = number + 1;
        let receipt_of = |line| receipt(&self.desk, epoch, line, 0, line.credits_nc, line.credits_nc);
        let receipts: Vec<Receipt> = lines.iter().map(receipt_of).collect();
        let leaves = receipts.iter().map(|receipt| merkle::leaf(&receipt.to_bytes(), receipt.price_nc)).collect();
        let shard = Shard { receipts: Tree::build(leaves).unwrap(), ..Shard::of(epoch, number, lines) };
        let mut step = Self::step("post_batch", vec![self.desk.post_batch_ix(shard.args())], &[&self.desk.gateway()])?;
        step.then = Then::Batch(Box::new(Posted { gateway, shard, receipts }));
        Some(step)
    }

    fn finalize(&mut self) -> Option<Step> {
        let at = self.pick_batch()?;
        let batch = self.desk.batch_of(&self.batches[at].shard);
        Self::step("finalize_batch", vec![self.desk.finalize_batch_ix(batch)], &[])
    }

    /// Any line of any batch, claimed before or not; sometimes with a proof of another line.
    fn claim(&mut self) -> Option<Step> {
        let at = self.pick_batch()?;
        let shard = &self.batches[at].shard;
        let line = self.rng.random_range(0..shard.lines.len());
        let proof = if self.rng.random_ratio(1, 15) { self.rng.random_range(0..shard.lines.len()) } else { line };
        let proof = shard.tree.proof(proof).unwrap();
        let built = self.desk.claim_line_ix(self.desk.batch_of(shard), &shard.lines[line], &proof);
        Self::step("claim_line", vec![built], &[])
    }

    fn sweep_batch(&mut self) -> Option<Step> {
        let at = self.pick_batch()?;
        let batch = self.desk.batch_of(&self.batches[at].shard);
        Self::step("sweep_batch", vec![self.desk.sweep_batch_ix(batch)], &[])
    }

    fn close_batch(&mut self) -> Option<Step> {
        let at = self.pick_batch()?;
        let batch = self.desk.batch_of(&self.batches[at].shard);
        let mut step = Self::step("close_batch", vec![self.desk.close_batch_ix(batch)], &[&self.desk.gateway()])?;
        step.then = Then::CloseBatch(at);
        Some(step)
    }

    fn withdraw(&mut self) -> Option<Step> {
        let (owner, _) = self.pick_owner();
        let amount = if self.rng.random() { None } else { Some(self.amount()) };
        let to = ata(&owner.pubkey(), &self.desk.mint);
        Self::step("withdraw_earnings", vec![self.desk.withdraw_ix(&owner.pubkey(), to, amount)], &[&owner])
    }

    fn set_sweep(&mut self) -> Option<Step> {
        let (owner, _) = self.pick_owner();
        let wallet = if self.rng.random() { Pubkey::default() } else { self.pick_owner().0.pubkey() };
        Self::step("set_sweep", vec![self.desk.set_sweep_ix(&owner.pubkey(), wallet)], &[&owner])
    }

    fn sweep_earnings(&mut self) -> Option<Step> {
        let (owner, _) = self.pick_owner();
        let earnings: Earnings = self.desk.net.world.read(&self.desk.earnings(&owner.pubkey()));
        let wallet = earnings.sweep_at(self.desk.now());
        let to = ata(&wallet, &self.desk.mint);
        Self::step("sweep_earnings", vec![self.desk.sweep_earnings_ix(&owner.pubkey(), to)], &[])
    }

    fn add_stake(&mut self) -> Option<Step> {
        let (owner, role) = self.pick_owner();
        let (source, amount) = (ata(&owner.pubkey(), &self.desk.mint), self.amount());
        Self::step("add_stake", vec![market_ix::add_stake(owner.pubkey(), role, source, amount)], &[&owner])
    }

    /// Only of the roles whose absence stops neither snapshots nor batches.
    fn begin_unstake(&mut self) -> Option<Step> {
        let (owner, role) = self.pick_owner();
        if !matches!(role, Role::Curator | Role::Provider) {
            return None;
        }
        let party: Party = self.desk.net.world.read(&market::seeds::find_party(&owner.pubkey(), role).0);
        let amount = if self.rng.random_ratio(1, 8) { party.stake } else { self.amount() };
        Self::step("begin_unstake", vec![market_ix::begin_unstake(owner.pubkey(), role, amount)], &[&owner])
    }

    fn finish_unstake(&mut self) -> Option<Step> {
        let (owner, role) = self.pick_owner();
        let to = ata(&owner.pubkey(), &self.desk.mint);
        Self::step("finish_unstake", vec![market_ix::finish_unstake(owner.pubkey(), role, to)], &[&owner])
    }

    fn spend(&mut self) -> Option<Step> {
        let admin = self.desk.net.world.admin.insecure_clone();
        let (owner, _) = self.pick_owner();
        let kind = *VaultKind::ALL.choose(&mut self.rng)?;
        let amount = self.amount().min(1_000_000_000_000);
        let to = ata(&owner.pubkey(), &self.desk.mint);
        Self::step("spend_vault", vec![coin_ix::spend_vault(admin.pubkey(), kind, to, amount)], &[&admin])
    }

    fn propose_spend(&mut self) -> Option<Step> {
        let (payer, admin) = (self.desk.payer(), self.desk.net.world.admin.insecure_clone());
        let kind = *VaultKind::ALL.choose(&mut self.rng)?;
        let to = ata(&self.pick_owner().0.pubkey(), &self.desk.mint);
        let (id, amount) = (self.rng.random_range(0..3), self.amount().min(1_000_000_000_000_000));
        let built = ix_coin::propose_spend(payer, admin.pubkey(), kind, id, to, amount);
        Self::step("propose_spend", vec![built], &[&admin])
    }

    /// Executes or, rarely, cancels one that waits.
    fn execute_spend(&mut self) -> Option<Step> {
        let (payer, admin) = (self.desk.payer(), self.desk.net.world.admin.insecure_clone());
        let (kind, id) = (*VaultKind::ALL.choose(&mut self.rng)?, self.rng.random_range(0..3));
        let address = coin::seeds::find_spend(kind, id).0;
        if !self.desk.net.world.exists(&address) {
            return None;
        }
        if self.rng.random_ratio(1, 8) {
            let cancel = ix_coin::cancel_spend(admin.pubkey(), kind, id, payer);
            return Self::step("cancel_spend", vec![cancel], &[&admin]);
        }
        let spend: PendingSpend = self.desk.net.world.read(&address);
        let execute = ix_coin::execute_spend(admin.pubkey(), kind, id, spend.destination, payer);
        Self::step("execute_spend", vec![execute], &[&admin])
    }

    /// Any recent day, released or not, over or not.
    fn release(&mut self) -> Option<Step> {
        let today = FeeDay::day_of(self.desk.now()).unwrap();
        let day = today - self.rng.random_range(1..9);
        Self::step("release", vec![ix_coin::release(self.desk.payer(), settlement::ID, day)], &[])
    }

    fn release_team(&mut self) -> Option<Step> {
        let to = ata(&key("team").pubkey(), &self.desk.mint);
        Self::step("release_team", vec![ix_coin::release_team(to)], &[])
    }

    fn burn(&mut self) -> Option<Step> {
        let giver = self.consumers[0].insecure_clone();
        let amount = self.rng.random_range(0..1_000);
        let from = ata(&giver.pubkey(), &self.desk.mint);
        let gift = transfer_ix(from, coin::seeds::find_burn().0, giver.pubkey(), amount);
        Self::step("burn_fees", vec![gift, ix_coin::burn_fees(self.desk.payer())], &[&giver])
    }

    /// A flag is set, or every flag is cleared.
    fn pause(&mut self) -> Option<Step> {
        let admin = self.desk.net.world.admin.insecure_clone();
        let accounts = settlement::accounts::PauseProgram { authority: admin.pubkey(), config: self.desk.config() };
        let built = if self.rng.random_ratio(1, 10) {
            ix(&accounts, &instruction::Pause { flags: 1 << self.rng.random_range(0..12) })
        } else {
            let accounts =
                settlement::accounts::ResumeProgram { authority: admin.pubkey(), config: self.desk.config() };
            ix(&accounts, &instruction::Resume { flags: pause::ALL })
        };
        Self::step("pause_or_resume", vec![built], &[&admin])
    }

    /// Time passes, mostly a little; a new day gets its rate and its snapshot. Not a transaction of the walk's own.
    fn pass_time(&mut self) -> Option<Step> {
        let seconds = match self.rng.random_range(0..20) {
            0 => self.rng.random_range(86_000..90_000),
            1 => self.rng.random_range(3_600..30_000),
            2..8 => self.rng.random_range(600..4_000),
            _ => self.rng.random_range(1..600),
        };
        self.desk.advance(seconds);
        self.desk.pass_slots(u64::try_from(seconds * 2).unwrap());
        self.restake();
        let rate: Rate = self.desk.net.world.read(&coin::seeds::find_rate().0);
        if rate.epoch_at(self.desk.now()).unwrap() > rate.epoch {
            for reporter in self.desk.net.world.reporters.each_ref().map(Keypair::insecure_clone) {
                let said = rate.rate * self.rng.random_range(80..125) / 100;
                let _ = self.desk.net.world.send(&[coin_ix::submit_rate(reporter.pubkey(), said)], &[&reporter]);
            }
            let _ = self.desk.net.world.send(&[coin_ix::roll_rate()], &[]);
        }
        let today = self.desk.net.world.pricing_epoch();
        if !self.rolled.contains(&today) {
            let roll = market_ix::roll_container(&self.desk.net.roll_of(0, today));
            if self.desk.net.world.send(&[roll], &[]).is_ok() {
                self.rolled.insert(today);
            }
        }
        None
    }

    // --- what must hold ----------------------------------------------------------------------------------------------

    fn take(&mut self, step: Step) {
        let wallets = self.wallets();
        let supply = self.desk.supply();
        let signers: Vec<&Keypair> = step.signers.iter().collect();
        let outcome = self.desk.net.world.send(&step.instructions, &signers);
        let counts = self.tally.entry(step.name).or_default();
        if outcome.is_err() {
            counts.1 += 1;
            return;
        }
        counts.0 += 1;
        self.check_vaults(&step);
        self.check_escrows(&step);
        let story = || format!("{} after {:?}", self.place, self.recent);
        for (wallet, before) in wallets {
            let signed = step.signers.iter().any(|signer| signer.pubkey() == wallet);
            let after = self.desk.token(&ata(&wallet, &self.desk.mint));
            assert!(signed || after >= before, "{wallet} lost {} without its signature: {}", before - after, story());
        }
        let now = self.desk.supply();
        let burns = ["sweep_batch", "burn_fees", "resolve"].contains(&step.name);
        assert!(now == supply || (now < supply && burns), "supply {supply} → {now}: {}", story());
        assert_eq!(self.desk.all_tokens(), now, "tokens and supply: {}", story());
        self.remember(step);
    }

    fn wallets(&self) -> Vec<(Pubkey, u64)> {
        let wallets = self.consumers.iter().chain(self.owners.iter().map(|(owner, _)| owner)).map(Signer::pubkey);
        wallets.map(|wallet| (wallet, self.desk.token(&ata(&wallet, &self.desk.mint)))).collect()
    }

    /// No vault holds less than is recorded. What it holds on top grows by gifts, payments to it and deposits that are
    /// not yet synced, and shrinks when a channel or a batch takes its gifts over.
    fn check_vaults(&mut self, step: &Step) {
        let story = format!("{} after {:?}", self.place, self.recent);
        let mut recorded = self.desk.liabilities();
        for (owner, role) in &self.owners {
            let address = market::seeds::find_party(&owner.pubkey(), *role).0;
            let party: Party = self.desk.net.world.read(&address);
            recorded.insert(market::seeds::find_stake(&address).0, ("stake", party.stake + party.unbonding));
        }
        let mut surplus = BTreeMap::new();
        for (vault, (name, owed)) in recorded {
            let held = self.desk.token(&vault);
            assert!(held >= owed, "the {name} holds {held} for {owed}: {story}");
            let (now, before) = (held - owed, self.surplus.get(&vault).copied().unwrap_or(0));
            let gives = ["gift", "deposit", "withdraw_earnings", "sweep_earnings", "finish_unstake"];
            let pays = gives.contains(&step.name)
                || ["close_channel", "spend_vault", "execute_spend", "burn_fees"].contains(&step.name);
            assert!(now <= before || pays, "{} left {now} of nobody's in the {name}: {story}", step.name);
            let absorbs = name == "channel vault" || name == "batch vault";
            assert!(now >= before || absorbs, "{} took {before} of nobody's from the {name}: {story}", step.name);
            surplus.insert(vault, now);
        }
        self.surplus = surplus;
    }

    /// A campaign's escrow loses tokens to its owner only, when it is closed.
    fn check_escrows(&mut self, step: &Step) {
        for id in 0..CAMPAIGNS {
            let escrow = self.campaign(id).escrow();
            let now = if self.desk.net.world.exists(&escrow) { self.desk.token(&escrow) } else { 0 };
            let before = self.escrows.insert(escrow, now).unwrap_or(0);
            let pays = step.name == "withdraw_campaign";
            assert!(now >= before || pays, "{} took from an escrow: {} {:?}", step.name, self.place, self.recent);
        }
    }

    fn remember(&mut self, step: Step) {
        if step.broken {
            // It may have done something else: the walk only forgets.
            self.batches.retain(|Posted { gateway, shard, .. }| {
                let address =
                    settlement::seeds::find_batch(&self.gateways[*gateway].pubkey(), shard.epoch, shard.shard);
                self.desk.net.world.exists(&address.0)
            });
            self.channels.retain(|link| {
                let (consumer, gateway) =
                    (self.consumers[link.consumer].pubkey(), self.gateways[link.gateway].pubkey());
                let address = settlement::seeds::find_channel(&consumer, &gateway, &self.desk.mint, link.open_slot).0;
                self.desk.net.world.exists(&address)
            });
            return;
        }
        match step.then {
            Then::Nothing => {}
            Then::Channel(link) => self.channels.push(link),
            Then::CloseChannel(at) => {
                self.channels.swap_remove(at);
            }
            Then::Case(case) => self.cases.push(*case),
            Then::EndCase(at) => {
                self.cases.swap_remove(at);
            }
            Then::CloseBatch(at) => {
                self.batches.swap_remove(at);
            }
            Then::Batch(posted) => {
                self.batches.push(*posted);
            }
        }
    }
}
