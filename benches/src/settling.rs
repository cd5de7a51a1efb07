//! What settling a batch costs in lamports: signatures and rent, from the programs' own account sizes.

use crate::figures::{print, table};
use anchor_lang::{Space, prelude::Rent};
use market::state::SplitSnapshot;
use settlement::state::{Batch, FeeDay};

const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
const REQUESTS: u64 = 10_000;
/// Lines of a batch: one per worker, container stage and referrer.
const LINES: [u32; 5] = [1, 4, 16, 128, 1_024];
/// Channels whose debts are collected for a batch, one transaction each.
const CHANNELS: u64 = 1;
/// An SPL token account.
const TOKEN_ACCOUNT: usize = 165;
const DISCRIMINATOR: usize = 8;

/// Transactions of one batch, each with one signature.
fn transactions(lines: u32) -> u64 {
    let (post, finalize, sweep) = (1, 1, 1);
    CHANNELS + post + finalize + u64::from(lines) + sweep
}

/// Prints the table and what it assumes.
pub fn run() {
    let rent = |bytes: usize| Rent::default().minimum_balance(bytes);
    println!("Settlement per request at {REQUESTS} requests a batch, in lamports (1 SOL = 1,000,000,000 lamports)");
    println!(
        "{LAMPORTS_PER_SIGNATURE} per signature, one signature per transaction, no priority fee; transactions: settle {CHANNELS} channel, \
         post, finalize,\none claim per line, sweep. The batch's own rent comes back when it is closed (one more transaction)."
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
    fn four_lines_take_eight_transactions() {
        assert_eq!(transactions(4), 8);
    }
}
