//! What settling a batch costs in lamports: signatures and rent, from the programs' own account sizes.

use crate::figures::{print, table};
use anchor_lang::{
    Space,
    prelude::{Pubkey, Rent},
    solana_program::instruction::Instruction,
};
use market::state::{Payees, SplitSnapshot};
use settlement::{
    constants::MAX_CLAIMED_LINES,
    state::{Batch, FeeDay},
};
use waybill_chain::{intent::BatchPost, ix, ix::settlement::LinePayees, packing};
use waybill_mechanism::{
    merkle,
    message::{Line, NO_REFERRER},
};
use waybill_scheduler::settle::{BLOCK, FINISHED, SWEPT};

const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
const REQUESTS: u64 = 10_000;
/// Lines of a batch: one per worker, container stage and referrer.
const LINES: [u32; 5] = [1, 4, 16, 128, 1_024];
/// Any epoch, and where its data is published.
const EPOCH: u32 = 497_222;
const URI: &str = "https://gateway.example/batches/497222/0";
/// Channels whose debts are collected for a batch.
const CHANNELS: u64 = 1;
/// An SPL token account.
const TOKEN_ACCOUNT: usize = 165;
const DISCRIMINATOR: usize = 8;
/// Batches of a pricing epoch, whose accounts end together.
const BATCHES_A_DAY: u64 = 24;
const CLOSED: usize = BATCHES_A_DAY as usize;

/// Signatures of the steps of one batch in a long row of equal ones, in millionths: some steps share a transaction with
/// those of other batches, as the scheduler packs them.
struct Signatures {
    /// Collect what the channels owe, and post.
    post: u64,
    /// End of challenge and claims.
    finish: u64,
    sweep: u64,
    close: u64,
}

const MILLION: u64 = 1_000_000;

impl Signatures {
    fn of(lines: u32) -> Self {
        let gateway = key(1);
        let mut before: Vec<Instruction> =
            (0..CHANNELS).map(|channel| ix::settlement::settle_delegated(gateway, key(100 + channel), 1, 1)).collect();
        before.push(ix::settlement::post_batch(gateway, post(EPOCH, lines).args()));
        let sweep = |epoch| ix::settlement::sweep_batch(gateway, gateway, epoch, 0, i64::from(EPOCH) * 3_600);
        let close = |epoch| ix::settlement::close_batch(gateway, epoch, 0, gateway);
        Self {
            post: transactions(&before) * MILLION,
            finish: finish(lines),
            sweep: shared(SWEPT, sweep),
            close: shared(CLOSED, close),
        }
    }

    fn sum(&self) -> u64 {
        self.post + self.finish + self.sweep + self.close
    }

    /// Whole lamports for all requests of a batch, rounded up.
    fn lamports(&self) -> u64 {
        (self.sum() * LAMPORTS_PER_SIGNATURE).div_ceil(MILLION)
    }
}

fn post(epoch: u32, lines: u32) -> BatchPost {
    BatchPost {
        epoch,
        shard: 0,
        receipts_root: [0; 32],
        lines_root: [0; 32],
        n_receipts: 1,
        n_lines: lines,
        sum_nc: 1,
        data_hash: [0; 32],
        uri: URI.into(),
    }
}

/// Signatures of a batch's part in a step that so many batches take together.
fn shared(batches: usize, step: impl Fn(u32) -> Instruction) -> u64 {
    let steps: Vec<Instruction> = (EPOCH..).take(batches).map(step).collect();
    (transactions(&steps) * MILLION).div_ceil(batches as u64)
}

/// Several batches together where that fits one transaction, else blocks of lines, as many as fit.
fn finish(lines: u32) -> u64 {
    let gateway = key(1);
    let finalize = |epoch| ix::settlement::finalize_batch(settlement::seeds::find_batch(&gateway, epoch, 0).0, gateway);
    if lines as usize <= MAX_CLAIMED_LINES {
        let together: Vec<Instruction> = (EPOCH..)
            .take(FINISHED)
            .flat_map(|epoch| {
                let block: Vec<(Line, LinePayees)> = (0..lines).map(|index| line(epoch, index)).collect();
                [finalize(epoch), ix::settlement::claim_lines(gateway, epoch, 0, &block, Vec::new())]
            })
            .collect();
        if transactions(&together) == 1 {
            return MILLION.div_ceil(FINISHED as u64);
        }
    }
    let mut steps = vec![finalize(EPOCH)];
    let indices: Vec<u32> = (0..lines).collect();
    steps.extend(indices.chunks(BLOCK).map(|block| claim(gateway, lines, block)));
    transactions(&steps) * MILLION
}

fn transactions(steps: &[Instruction]) -> u64 {
    packing::pack(&key(1), steps).map_or(0, |packed| packed.len() as u64)
}

/// A line of its own worker and operator, of one container, without a referrer.
fn line(epoch: u32, index: u32) -> (Line, LinePayees) {
    let line = Line {
        stage: 0,
        epoch,
        index,
        container: [7; 32],
        worker: key(u64::from(index) + 1_000).to_bytes(),
        referrer: NO_REFERRER,
        first_receipt: index,
        n_receipts: 1,
        credits_nc: 1,
    };
    let payees = LinePayees {
        payees: Payees { vendor: key(2), oem: key(3), weaver: key(4) },
        provider: key(u64::from(index) + 100_000),
        curator_active: false,
    };
    (line, payees)
}

/// The claim of a block of a batch's lines.
fn claim(gateway: Pubkey, lines: u32, block: &[u32]) -> Instruction {
    let within = merkle::depth(u32::try_from(block.len()).unwrap_or(u32::MAX));
    let proof = vec![[0; 40]; merkle::depth(lines).saturating_sub(within) as usize];
    let block: Vec<(Line, LinePayees)> = block.iter().map(|index| line(EPOCH, *index)).collect();
    ix::settlement::claim_lines(gateway, EPOCH, 0, &block, proof)
}

fn key(number: u64) -> Pubkey {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Pubkey::new_from_array(bytes)
}

/// Prints the table and what it assumes.
pub fn run() {
    let rent = |bytes: usize| Rent::default().minimum_balance(bytes);
    println!("Settlement per request at {REQUESTS} requests a batch, in lamports (1 SOL = 1,000,000,000 lamports)");
    println!(
        "{LAMPORTS_PER_SIGNATURE} per signature, one signature per transaction, no priority fee. Signatures of one batch in a \
         long row of them: settle {CHANNELS} channel\nand post; end of challenge and claims (each line its own worker and \
         operator), {FINISHED} batches together; sweep, {SWEPT} together; close, {CLOSED} together."
    );
    let mut table = table([
        "lines per batch",
        "settle, post",
        "finalise, claim",
        "sweep",
        "close",
        "lamports per batch",
        "lamports per request",
        "rent locked for 90 days",
    ]);
    for lines in LINES {
        let signatures = Signatures::of(lines);
        let share = |millionths: u64| format!("{:.3}", millionths as f64 / MILLION as f64);
        table.add_row([
            lines.to_string(),
            share(signatures.post),
            share(signatures.finish),
            share(signatures.sweep),
            share(signatures.close),
            signatures.lamports().to_string(),
            format!("{:.3}", signatures.lamports() as f64 / REQUESTS as f64),
            rent(Batch::space(lines)).to_string(),
        ]);
    }
    print(&table);
    let fee_day = rent(DISCRIMINATOR + FeeDay::INIT_SPACE);
    let snapshot = rent(DISCRIMINATOR + SplitSnapshot::INIT_SPACE);
    // Freezing a price, and its account's share of a transaction that closes many.
    let stage = LAMPORTS_PER_SIGNATURE + LAMPORTS_PER_SIGNATURE / CLOSED as u64;
    let day = Signatures::of(4).lamports() * BATCHES_A_DAY + stage;
    println!(
        "All rent comes back, 90 days later: {fee_day} lamports a day for the fees of all gateways together, {snapshot} per"
    );
    println!(
        "container stage and pricing epoch of {BATCHES_A_DAY} batches, the batch's own, and at finalize {} for its",
        rent(TOKEN_ACCOUNT)
    );
    println!("token account. A price frozen per stage and day makes it, with 4 lines and one stage,");
    println!("  {:.3} lamports per request in all;", day as f64 / (REQUESTS * BATCHES_A_DAY) as f64);
    println!(
        "where audits are drawn, one more signature per batch for the draw: {:.3}. A network of short epochs waits for no company\n\
         and shares no transactions.\n",
        (day + LAMPORTS_PER_SIGNATURE * BATCHES_A_DAY) as f64 / (REQUESTS * BATCHES_A_DAY) as f64
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_less_than_a_lamport_in_up_to_four_lines() {
        for lines in 1..=4 {
            let signatures = Signatures::of(lines);
            assert_eq!(signatures.post, MILLION, "settle and post in one");
            assert_eq!(signatures.finish, MILLION / 2, "two batches final and claimed in one, {lines} lines");
            assert!(signatures.lamports() < REQUESTS, "{lines} lines: {} lamports", signatures.lamports());
        }
    }

    #[test]
    fn more_lines_take_more_transactions() {
        assert!(Signatures::of(16).sum() > Signatures::of(4).sum());
    }
}
