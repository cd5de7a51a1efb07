//! A posted batch with real receipts, signatures and trees, and verifiers that sit in the class's set.

use anchor_lang::prelude::Pubkey;
use coin::state::VaultKind;
use market::state::{DetKind, DetRule, Role};
use settlement::{instructions::OpenAuditArgs, seeds, state::*};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::ix::audits as ix;
use waybill_mechanism::{
    audit::{audit_draw, contains, is_spared},
    merkle::{self, Tree},
    message::{Line, Receipt, Verdict, line_key},
};
use waybill_tests::{Refused, Sent, ix::coin_ix::spend_vault, ix_stake::register_det_class, key};

use crate::desk::*;

pub const CLASS: u16 = 1;
const RULE: DetRule = DetRule { kind: DetKind::Exact, tol_ppm: 0, tau_ppm: 0, mu_ppm: 0, enabled: true };
/// What each receipt costs, by index; the first line covers three, the second two.
pub const PRICES: [u64; 5] = [400_000, 100_000, 300_000, 150_000, 50_000];
pub const TOTAL: u64 = 1_000_000;
pub const VERDICT_S: i64 = settlement::constants::AUDIT_VERDICT_S as i64;
const SLOT_HASHES: Pubkey = Pubkey::from_str_const("SysvarS1otHashes111111111111111111111111111");
const SYSVAR: Pubkey = Pubkey::from_str_const("Sysvar1111111111111111111111111111111111111");

/// One verifier: who owns the stake, and the key that signs.
pub struct Verifier {
    pub owner: Keypair,
    pub node: Keypair,
}

pub struct Hearing {
    pub desk: Desk,
    pub epoch: u32,
    pub receipts: Vec<Receipt>,
    pub receipts_tree: Tree,
    pub lines: Vec<Line>,
    pub lines_tree: Tree,
    pub verifiers: Vec<Verifier>,
}

impl Hearing {
    /// A posted batch that is not drawn yet, and `n` verifiers that joined before.
    pub fn posted(n: usize, enforce: bool) -> Self {
        let mut hearing = Self::prepared(n, enforce);
        hearing.post();
        hearing
    }

    /// The same before the batch is posted.
    pub fn prepared(n: usize, enforce: bool) -> Self {
        let mut desk = Desk::collected(TOTAL);
        desk.rewrite(desk.config(), |config: &mut SettleConfig| {
            config.audit = AuditParams { enforce, draws: 16, verdict_s: 0, retention_s: 0 };
        });
        let vault = seeds::find_audits(&desk.mint).0;
        let admin = desk.net.world.admin.insecure_clone();
        desk.net.world.must(&[spend_vault(admin.pubkey(), VaultKind::Grants, vault, 1_000_000_000)], &[&admin]);
        // The first class is there since genesis.
        let register = register_det_class(desk.payer(), admin.pubkey(), CLASS + 1, [9; 32], RULE);
        desk.net.world.must(&[register], &[&admin]);
        let create = ix::create_verifier_set(desk.payer(), CLASS);
        desk.measure("create_verifier_set", "64 seats", create, &[]);
        let mut hearing = Self {
            epoch: desk.epoch(),
            desk,
            receipts: vec![],
            receipts_tree: Tree::build(vec![]).unwrap(),
            lines: vec![],
            lines_tree: Tree::build(vec![]).unwrap(),
            verifiers: vec![],
        };
        for index in 0..n {
            hearing.add_verifier(index);
        }
        hearing.build();
        hearing
    }

    /// Registers, stakes and seats verifier `index`.
    pub fn add_verifier(&mut self, index: usize) {
        let verifier =
            Verifier { owner: key(&format!("verifier {index}")), node: key(&format!("verifier node {index}")) };
        self.desk.net.world.party(&verifier.owner, Role::Verifier);
        self.desk.open_earnings(&verifier.owner.pubkey());
        let join = ix::join_verifiers(verifier.owner.pubkey(), verifier.node.pubkey(), CLASS);
        self.desk.measure("join_verifiers", &format!("seat {index}"), join, &[&verifier.owner, &verifier.node]);
        self.verifiers.push(verifier);
    }

    fn build(&mut self) {
        let net = &self.desk.net;
        let (gateway, worker) = (net.gateway.pubkey().to_bytes(), net.worker.pubkey().to_bytes());
        let domain = net.world.read::<SettleConfig>(&self.desk.config()).domain;
        let referrers = [[0; 32], net.curator.pubkey().to_bytes()];
        let mut cums = [0; 2];
        for (index, price_nc) in PRICES.iter().enumerate() {
            let line = usize::from(index >= 3);
            cums[line] += price_nc;
            let n = u8::try_from(index).unwrap();
            self.receipts.push(Receipt {
                flags: 8,
                det_class: CLASS,
                domain,
                epoch: self.epoch,
                seq: u32::from(n) - if line == 1 { 3 } else { 0 },
                gateway,
                worker,
                line_key: line_key(&net.container, 0, &worker, &referrers[line]),
                artifact: net.artifact,
                request_hash: [n; 32],
                input_hash: [n + 10; 32],
                output_hash: [n + 20; 32],
                evidence_hash: [n + 30; 32],
                units_in: 10,
                units_out: 20,
                price_nc: *price_nc,
                cum_nc: cums[line],
                t_start_ms: 1_790_000_000_000,
                t_end_ms: 1_790_000_000_700,
            });
        }
        for (index, (first_receipt, n_receipts)) in [(0u32, 3u32), (3, 2)].into_iter().enumerate() {
            self.lines.push(Line {
                stage: 0,
                epoch: self.epoch,
                index: u32::try_from(index).unwrap(),
                container: net.container,
                worker,
                referrer: referrers[index],
                first_receipt,
                n_receipts,
                credits_nc: cums[index],
            });
        }
        let leaves = self.receipts.iter().map(|receipt| merkle::leaf(&receipt.to_bytes(), receipt.price_nc));
        self.receipts_tree = Tree::build(leaves.collect()).unwrap();
        let leaves = self.lines.iter().map(|line| merkle::leaf(&line.to_bytes(), line.credits_nc));
        self.lines_tree = Tree::build(leaves.collect()).unwrap();
    }

    /// The batch as a shard, for claims.
    pub fn shard(&self) -> Shard {
        Shard {
            epoch: self.epoch,
            shard: 0,
            lines: self.lines.clone(),
            tree: self.lines_tree.clone(),
            receipts: self.receipts_tree.clone(),
        }
    }

    pub fn post(&mut self) {
        self.desk.advance(EPOCH_S);
        let mut args = self.shard().args();
        args.n_receipts = u32::try_from(self.receipts.len()).unwrap();
        self.desk.send(&[self.desk.post_batch_ix(args)], &[&self.desk.gateway()]).unwrap();
    }

    pub fn address(&self) -> Pubkey {
        self.desk.batch(self.epoch, 0)
    }

    pub fn batch(&self) -> Batch {
        self.desk.net.world.read(&self.address())
    }

    /// Writes the slot hashes sysvar: every slot from `oldest` to `newest`, the hash of each repeating its low byte.
    pub fn set_slot_hashes(&mut self, oldest: u64, newest: u64) {
        let mut data = (newest - oldest + 1).to_le_bytes().to_vec();
        for slot in (oldest..=newest).rev() {
            data.extend_from_slice(&slot.to_le_bytes());
            data.extend_from_slice(&[slot as u8; 32]);
        }
        data.resize(8 + 512 * 40, 0);
        self.desk.net.world.put(SLOT_HASHES, SYSVAR, data);
    }

    /// Lets 40 slots pass and draws the batch.
    pub fn seed(&mut self) -> Result<Sent, Refused> {
        let newest = self.batch().posted_slot + 40;
        self.set_slot_hashes(newest - 511, newest);
        self.desk.pass_slots(41);
        self.desk.send(&[ix::seed_audits(self.address())], &[])
    }

    /// A drawn batch.
    pub fn seeded(n: usize, enforce: bool) -> Self {
        let mut hearing = Self::posted(n, enforce);
        hearing.seed().unwrap();
        hearing
    }

    /// The receipt that a draw hits.
    pub fn hit(&self, draw: u32) -> usize {
        let seed = self.batch().seed;
        let x = audit_draw(&seed, draw, TOTAL).unwrap();
        let mut prefix = 0;
        PRICES
            .iter()
            .position(|price| {
                let hit = contains(prefix, *price, x);
                prefix += price;
                hit
            })
            .unwrap()
    }

    pub fn stage(&mut self, index: usize) -> Result<Sent, Refused> {
        let receipt = self.receipts[index];
        let signature = self.desk.net.worker.sign_message(&receipt.to_bytes());
        let stage = ix::stage_receipt(self.desk.payer(), &receipt, &signature.into());
        self.desk.send(&stage, &[])
    }

    pub fn open_ix(&self, draw: u32, index: usize) -> anchor_lang::solana_program::instruction::Instruction {
        let receipt = &self.receipts[index];
        let staged = StagedReceipt::new(receipt, 1, 0, 0, self.desk.payer());
        let proof = self.receipts_tree.proof(index).unwrap().iter().map(merkle::Node::to_bytes).collect();
        let args = OpenAuditArgs { draw, receipt: u32::try_from(index).unwrap(), proof };
        ix::open_audit(self.desk.payer(), self.address(), &staged, args)
    }

    /// Stages the receipt that draw 0 hits and opens its audit. Returns its address.
    pub fn open(&mut self, draw: u32) -> Pubkey {
        let index = self.hit(draw);
        assert!(!is_spared(&self.batch().seed, draw, 0));
        self.stage(index).unwrap();
        self.desk.send(&[self.open_ix(draw, index)], &[]).unwrap();
        seeds::find_audit(&self.address(), draw).0
    }

    /// A hearing with the audit of draw 0 open.
    pub fn opened(n: usize, enforce: bool) -> (Self, Pubkey) {
        let mut hearing = Self::seeded(n, enforce);
        let audit = hearing.open(0);
        (hearing, audit)
    }

    pub fn audit(&self, address: &Pubkey) -> Audit {
        self.desk.net.world.read(address)
    }

    /// The verifier in a chair.
    pub fn chair(&self, address: &Pubkey, chair: u8) -> &Verifier {
        &self.verifiers[usize::from(self.audit(address).seats[usize::from(chair)])]
    }

    pub fn verdict(&self, address: &Pubkey, chair: u8, pass: bool) -> Verdict {
        let audit = self.audit(address);
        let domain = self.desk.net.world.read::<SettleConfig>(&self.desk.config()).domain;
        Verdict {
            pass,
            chair,
            domain,
            audit: address.to_bytes(),
            receipt_hash: audit.receipt_hash,
            output_hash: if pass { audit.output_hash } else { [99; 32] },
            evidence_hash: [98; 32],
        }
    }

    /// Chair `chair` signs its verdict, the payer delivers it.
    pub fn submit(&mut self, address: &Pubkey, chair: u8, pass: bool) -> Result<Sent, Refused> {
        let verdict = self.verdict(address, chair, pass);
        let node = self.chair(address, chair).node.insecure_clone();
        self.submit_signed(&verdict, &node)
    }

    pub fn submit_signed(&mut self, verdict: &Verdict, node: &Keypair) -> Result<Sent, Refused> {
        let signature = node.sign_message(&verdict.to_bytes());
        let submit = ix::submit_verdict(CLASS, &node.pubkey(), verdict, &signature.into());
        self.desk.send(&submit, &[])
    }

    pub fn votes(&mut self, address: &Pubkey, cast: &[(u8, bool)]) {
        for (chair, pass) in cast {
            self.submit(address, *chair, *pass).unwrap();
        }
    }

    pub fn resolve(&mut self, address: &Pubkey) -> Result<Sent, Refused> {
        let audit = self.audit(address);
        self.desk.send(&[ix::resolve_audit(*address, &audit)], &[])
    }

    pub fn record(&self) -> WorkerRecord {
        self.desk.net.world.read(&seeds::find_record(&self.desk.net.worker.pubkey()).0)
    }

    pub fn forfeit_ix(
        &self,
        address: &Pubkey,
        line: &Line,
        proof: &[merkle::Node],
    ) -> anchor_lang::solana_program::instruction::Instruction {
        let proof = proof.iter().map(merkle::Node::to_bytes).collect();
        ix::forfeit_line(*address, &self.audit(address), line, proof)
    }

    /// Voids the line that covers the audited receipt.
    pub fn forfeit(&mut self, address: &Pubkey) -> Result<Sent, Refused> {
        let index = usize::from(self.audit(address).receipt >= 3);
        let forfeit = self.forfeit_ix(address, &self.lines[index], &self.lines_tree.proof(index).unwrap());
        self.desk.send(&[forfeit], &[])
    }

    pub fn pay(&mut self, address: &Pubkey, chair: u8) -> Result<Sent, Refused> {
        let owner = self.chair(address, chair).owner.pubkey();
        let pay = ix::pay_verifier(*address, &self.audit(address), chair, owner);
        self.desk.send(&[pay], &[])
    }

    pub fn finalize(&mut self) -> Result<Sent, Refused> {
        self.desk.send(&[self.desk.finalize_batch_ix(self.address())], &[])
    }
}
