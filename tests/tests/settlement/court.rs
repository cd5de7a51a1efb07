//! A posted batch with real receipts, and a challenger who doubts it.

use anchor_lang::{prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::{Party, Role};
use settlement::{
    events::DisputeResolved,
    instructions::{OpenDisputeArgs, RespondDisputeArgs},
    state::*,
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::ix::{aic_account, dispute as ix};
use waybill_mechanism::{
    merkle::{self, Tree},
    message::{Line, NO_REFERRER, Receipt},
};
use waybill_tests::{AIC, Refused, Sent, key};

use crate::desk::*;

/// $1 at the harness's rate.
pub const BOND: u64 = 20 * AIC;
/// Stake of the harness's gateway.
pub const STAKE: u64 = 10_000 * AIC;
/// What a gateway's first offence costs: 25 %.
pub const PENALTY: u64 = STAKE / 4;
/// Two hours.
pub const RESPONSE_S: i64 = 7_200;
/// What the challenger has before any dispute.
pub const PURSE: u64 = 100 * AIC;

/// What a gateway builds its trees from: receipts and lines in settlement order.
pub struct Book {
    pub receipts: Vec<Receipt>,
    pub lines: Vec<Line>,
}

impl Book {
    /// Honest lines of receipts with the given prices, each with another referrer.
    pub fn honest(desk: &Desk, epoch: u32, prices: &[&[u64]]) -> Self {
        let mut lines: Vec<(Line, &[u64])> = prices
            .iter()
            .zip(0u8..)
            .map(|(prices, i)| {
                let line = Line {
                    stage: 0,
                    epoch,
                    index: 0,
                    container: desk.net.container,
                    worker: desk.net.worker.pubkey().to_bytes(),
                    referrer: [i; 32],
                    first_receipt: 0,
                    n_receipts: u32::try_from(prices.len()).unwrap(),
                    credits_nc: prices.iter().sum(),
                };
                (line, *prices)
            })
            .collect();
        lines.sort_by_key(|(line, _)| line.key());
        let mut book = Self { receipts: vec![], lines: vec![] };
        for (mut line, prices) in lines {
            line.index = u32::try_from(book.lines.len()).unwrap();
            line.first_receipt = u32::try_from(book.receipts.len()).unwrap();
            let mut cum_nc = 0;
            for (price_nc, seq) in prices.iter().zip(0u32..) {
                cum_nc += price_nc;
                book.receipts.push(receipt(desk, epoch, &line, seq, *price_nc, cum_nc));
            }
            book.lines.push(line);
        }
        book
    }

    pub fn shard(&self, epoch: u32, shard: u16) -> Shard {
        let leaf = |line: &Line| merkle::leaf(&line.to_bytes(), line.credits_nc);
        let of_receipt = |receipt: &Receipt| merkle::leaf(&receipt.to_bytes(), receipt.price_nc);
        Shard {
            epoch,
            shard,
            lines: self.lines.clone(),
            tree: Tree::build(self.lines.iter().map(leaf).collect()).unwrap(),
            receipts: Tree::build(self.receipts.iter().map(of_receipt).collect()).unwrap(),
        }
    }
}

/// A receipt of the harness's gateway and worker, priced within the snapshot.
pub fn receipt(desk: &Desk, epoch: u32, line: &Line, seq: u32, price_nc: u64, cum_nc: u64) -> Receipt {
    let end_ms = (u64::from(epoch) * EPOCH_S.unsigned_abs() + 60) * 1_000;
    Receipt {
        flags: 0,
        det_class: 1,
        domain: desk.net.world.read::<SettleConfig>(&desk.config()).domain,
        epoch,
        seq,
        gateway: desk.net.gateway.pubkey().to_bytes(),
        worker: line.worker,
        line_key: line.key(),
        artifact: desk.net.artifact,
        request_hash: [u8::try_from(seq).unwrap(); 32],
        input_hash: [2; 32],
        output_hash: [3; 32],
        evidence_hash: [4; 32],
        units_in: 1,
        units_out: u32::try_from(price_nc * 1_000 / 21_690).unwrap(),
        price_nc,
        cum_nc,
        t_start_ms: end_ms - 500,
        t_end_ms: end_ms,
    }
}

pub struct Court {
    pub desk: Desk,
    pub book: Book,
    pub shard: Shard,
    pub challenger: Keypair,
}

impl Court {
    /// An honest batch of lines with receipts of these prices.
    pub fn honest(prices: &[&[u64]]) -> Self {
        Self::after(prices, |_| {})
    }

    /// The same after the gateway changed its book.
    pub fn after(prices: &[&[u64]], change: impl FnOnce(&mut Book)) -> Self {
        let mut desk = Desk::collected(1_000_000);
        let epoch = desk.epoch();
        let mut book = Book::honest(&desk, epoch, prices);
        change(&mut book);
        let shard = book.shard(epoch, 0);
        let challenger = key("challenger");
        desk.net.world.fund(&challenger.pubkey(), PURSE);
        desk.advance(EPOCH_S);
        desk.post(&shard).unwrap();
        Self { desk, book, shard, challenger }
    }

    pub fn batch(&self) -> Pubkey {
        self.desk.batch_of(&self.shard)
    }

    pub fn batch_state(&self) -> Batch {
        self.desk.net.world.read(&self.batch())
    }

    pub fn dispute(&self, kind: DisputeKind, index: u32) -> Pubkey {
        ix::batch_dispute(&self.batch(), kind, index)
    }

    pub fn dispute_state(&self, kind: DisputeKind, index: u32) -> Dispute {
        self.desk.net.world.read(&self.dispute(kind, index))
    }

    pub fn by(&self) -> ix::Challenger {
        ix::Challenger { payer: self.desk.payer(), challenger: self.challenger.pubkey() }
    }

    /// An accusation that names line `line`.
    pub fn open_ix(&self, kind: DisputeKind, index: u32, line: usize) -> Instruction {
        let proof = self.shard.tree.proof(line).unwrap();
        let args = OpenDisputeArgs {
            kind,
            index,
            line: self.shard.lines[line].to_bytes(),
            proof: proof.iter().map(merkle::Node::to_bytes).collect(),
        };
        ix::open_dispute(self.by(), self.batch(), args)
    }

    pub fn open(&mut self, kind: DisputeKind, index: u32, line: usize) -> Result<Sent, Refused> {
        let open = self.open_ix(kind, index, line);
        self.desk.send(&[open], &[&self.challenger.insecure_clone()])
    }

    /// Receipt `leaf` of the book and its proof.
    pub fn shown(&self, leaf: usize) -> RespondDisputeArgs {
        let proof = self.shard.receipts.proof(leaf).unwrap();
        RespondDisputeArgs {
            receipt: self.book.receipts[leaf].to_bytes(),
            proof: proof.iter().map(merkle::Node::to_bytes).collect(),
        }
    }

    pub fn respond_ix(&self, kind: DisputeKind, index: u32, leaf: usize) -> Instruction {
        ix::respond_dispute(self.batch(), self.dispute(kind, index), self.shown(leaf))
    }

    pub fn respond(&mut self, kind: DisputeKind, index: u32, leaf: usize) -> Result<Sent, Refused> {
        let respond = self.respond_ix(kind, index, leaf);
        self.desk.send(&[respond], &[])
    }

    /// Who gets what when a dispute about the batch ends.
    pub fn outcome(&self, kind: DisputeKind, index: u32, upheld: bool) -> ix::Outcome {
        let (gateway, challenger) = (self.desk.net.gateway.pubkey(), self.challenger.pubkey());
        ix::Outcome {
            payer: self.desk.payer(),
            dispute: self.dispute(kind, index),
            target: self.batch(),
            accused: gateway,
            accused_role: Role::Gateway,
            challenger,
            bond_to: aic_account(if upheld { &challenger } else { &gateway }),
            harmed: ix::insurance(),
            epoch: self.shard.epoch,
        }
    }

    pub fn resolve_ix(&self, kind: DisputeKind, index: u32, upheld: bool) -> Instruction {
        ix::resolve_dispute(&self.outcome(kind, index, upheld))
    }

    pub fn resolve(&mut self, kind: DisputeKind, index: u32, upheld: bool) -> Result<Sent, Refused> {
        let resolve = self.resolve_ix(kind, index, upheld);
        self.desk.send(&[resolve], &[])
    }

    pub fn challenger_aic(&self) -> u64 {
        self.desk.token(&aic_account(&self.challenger.pubkey()))
    }

    pub fn gateway_aic(&self) -> u64 {
        self.desk.token(&aic_account(&self.desk.net.gateway.pubkey()))
    }

    pub fn insurance_aic(&self) -> u64 {
        self.desk.token(&ix::insurance())
    }

    pub fn gateway_stake(&self) -> u64 {
        let party = market::seeds::find_party(&self.desk.net.gateway.pubkey(), Role::Gateway).0;
        self.desk.net.world.read::<Party>(&party).stake
    }

    /// The challenge window passes and the batch becomes final.
    pub fn finalize(&mut self) -> Result<Sent, Refused> {
        let open_until = self.batch_state().posted_at + i64::from(CHALLENGE_S);
        if self.desk.now() < open_until {
            self.desk.net.world.set_time(open_until);
        }
        self.desk.send(&[self.desk.finalize_batch_ix(self.batch())], &[])
    }

    /// The challenger lost: its bond is the gateway's, and nothing else moved.
    #[track_caller]
    pub fn assert_bond_lost(&self, gateway_aic_before: u64) {
        assert_eq!(self.challenger_aic(), PURSE - BOND, "the bond is gone");
        assert_eq!(self.gateway_aic(), gateway_aic_before + BOND, "the accused has it");
        assert_eq!(self.gateway_stake(), STAKE, "no stake was touched");
        assert_eq!(self.batch_state().open_disputes, 0);
    }
}

/// The one outcome of a transaction.
pub fn resolved(sent: &Sent) -> DisputeResolved {
    let [event] = sent.cpi_events::<DisputeResolved>().try_into().ok().unwrap();
    event
}

/// A line without a referrer, at its place in the harness's settlement order.
pub fn unreferred(court: &Court) -> usize {
    court.shard.lines.iter().position(|line| line.referrer == NO_REFERRER).unwrap()
}
