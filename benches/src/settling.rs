//! What settling a batch costs in lamports: signatures and rent, from the programs' own account sizes.

use crate::figures::{print, table};
use anchor_lang::{
    Space,
    prelude::{Pubkey, Rent},
    solana_program::instruction::Instruction,
};
use market::state::{Payees, SplitSnapshot};
use settlement::state::{Batch, FeeDay};
use waybill_chain::{intent::BatchPost, ix, ix::settlement::LinePayees, packing};
use waybill_mechanism::{
    merkle,
    message::{Line, NO_REFERRER},
};

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

/// Transactions of one batch, each with one signature: the steps packed as the scheduler packs them.
fn transactions(lines: u32) -> u64 {
    let gateway = key(1);
    let post = BatchPost {
        epoch: EPOCH,
        shard: 0,
        receipts_root: [0; 32],
        lines_root: [0; 32],
        n_receipts: 1,
        n_lines: lines,
        sum_nc: 1,
        data_hash: [0; 32],
        uri: URI.into(),
    };
    let mut before: Vec<Instruction> =
        (0..CHANNELS).map(|channel| ix::settlement::settle_delegated(gateway, key(100 + channel), 1, 1)).collect();
    before.push(ix::settlement::post_batch(gateway, post.args()));
    let batch = settlement::seeds::find_batch(&gateway, EPOCH, 0).0;
    let mut after = vec![ix::settlement::finalize_batch(batch, gateway)];
    after.extend((0..lines).map(|index| claim(gateway, lines, index)));
    after.push(ix::settlement::sweep_batch(gateway, gateway, EPOCH, 0, i64::from(EPOCH) * 3_600));
    let count = |steps: &[Instruction]| packing::pack(&gateway, steps).map_or(0, |packed| packed.len() as u64);
    count(&before) + count(&after)
}

/// The claim of a line of its own worker and operator, of one container, without a referrer.
fn claim(gateway: Pubkey, lines: u32, index: u32) -> Instruction {
    let line = Line {
        stage: 0,
        epoch: EPOCH,
        index,
        container: [7; 32],
        worker: key(u64::from(index) + 1_000).to_bytes(),
        referrer: NO_REFERRER,
        first_receipt: 0,
        n_receipts: 1,
        credits_nc: 1,
    };
    let payees = LinePayees {
        payees: Payees { vendor: key(2), oem: key(3), weaver: key(4) },
        provider: key(u64::from(index) + 100_000),
        curator_active: false,
    };
    let proof = vec![[0; 40]; merkle::depth(lines) as usize];
    ix::settlement::claim_line(gateway, EPOCH, 0, EPOCH / 24, &line, proof, &payees)
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
        "{LAMPORTS_PER_SIGNATURE} per signature, one signature per transaction, no priority fee; steps: settle {CHANNELS} channel \
         and post, then finalize,\none claim per line (each its own worker and operator), sweep, as many per transaction as \
         fit. The batch's own rent comes back when it is closed\n(one more transaction)."
    );
    let mut table = table([
        "lines per batch",
        "transactions",
        "lamports per batch",
        "lamports per request",
        "rent locked until closed",
    ]);
    for lines in LINES {
        let lamports = transactions(lines) * LAMPORTS_PER_SIGNATURE;
        table.add_row([
            lines.to_string(),
            transactions(lines).to_string(),
            lamports.to_string(),
            format!("{:.3}", lamports as f64 / REQUESTS as f64),
            rent(Batch::space(lines)).to_string(),
        ]);
    }
    print(&table);
    let fee_day = rent(DISCRIMINATOR + FeeDay::INIT_SPACE);
    let snapshot = rent(DISCRIMINATOR + SplitSnapshot::INIT_SPACE);
    println!("Rent that does not come back, whatever the number of requests:");
    println!("  {fee_day} lamports per day (its fee account), shared by every batch swept on that day");
    println!("  {snapshot} lamports per container stage and pricing epoch of 24 epochs (its price and split)");
    println!(
        "  with a single batch of 4 lines a day and one stage: {:.1} lamports per request in all",
        (transactions(4) * LAMPORTS_PER_SIGNATURE + LAMPORTS_PER_SIGNATURE + fee_day + snapshot) as f64
            / REQUESTS as f64
    );
    println!("The batch's token account ({} lamports) comes back at finalize.\n", rent(TOKEN_ACCOUNT));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_share_transactions() {
        assert_eq!(transactions(1), 2, "settle and post; finalize, claim and sweep");
        assert!(transactions(4) <= 5, "{}", transactions(4));
    }
}
