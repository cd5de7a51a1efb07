//! Builds what a gateway posts for a settlement epoch: shards of receipts, the two trees of each and every proof, on two
//! threads and all kept in memory, prints the time and the memory it took, and fails beyond 3 s or 1 GiB:
//! `cargo run --release -p waybill-mechanism --example tree [receipts]`.

use std::error::Error;
use std::time::Instant;
use std::{env, fs, thread};

use waybill_mechanism::merkle::{self, MerkleError, Node, Tree};
use waybill_mechanism::message::{Line, NO_REFERRER, Receipt, line_key};

type AnyError = Box<dyn Error + Send + Sync>;

const RECEIPTS: u32 = 1_000_000;
const MOST_SECONDS: f64 = 3.0;
const MOST_MIB: u64 = 1_024;
const RECEIPTS_PER_LINE: u32 = 500;
/// Most receipts of a shard.
const SHARD: usize = 16_384;
const THREADS: usize = 2;
const EPOCH: u32 = 497_222;
const CONTAINER: [u8; 32] = [1; 32];

type ReceiptBytes = [u8; Receipt::LEN];

/// One batch: its lines, and both trees as their roots and proofs.
struct Shard {
    lines: Vec<Line>,
    receipts: Proofs,
    settlement: Proofs,
}

/// A tree's root and all its proofs one after the other, `depth` nodes each.
struct Proofs {
    root: Node,
    depth: usize,
    nodes: Vec<Node>,
}

fn main() -> Result<(), AnyError> {
    let n = env::args().nth(1).map_or(Ok(RECEIPTS), |n| n.parse())?;
    let receipts = receipts(n);
    let before_mib = peak_mib();

    let start = Instant::now();
    let shards = build(&receipts)?;
    let seconds = start.elapsed().as_secs_f64();

    check(&receipts, &shards)?;
    let lines: usize = shards.iter().map(|shard| shard.lines.len()).sum();
    println!("{n} receipts, {lines} lines, {} shards, all proofs: {seconds:.2} s on {THREADS} threads", shards.len());
    if let (Some(before), Some(peak)) = (before_mib, peak_mib()) {
        println!("peak memory {peak} MiB, of which {before} MiB are the receipts");
        if peak > MOST_MIB {
            return Err(format!("more than {MOST_MIB} MiB").into());
        }
    }
    if seconds > MOST_SECONDS {
        return Err(format!("more than {MOST_SECONDS} s").into());
    }
    Ok(())
}

/// `n` receipts in settlement order: by worker, line key and sequence number.
fn receipts(n: u32) -> Vec<ReceiptBytes> {
    let mut receipts = Vec::with_capacity(n as usize);
    let mut line = [0; 32];
    for i in 0..n {
        let (group, seq) = (i / RECEIPTS_PER_LINE, i % RECEIPTS_PER_LINE);
        let mut worker = [0; 32];
        worker[..4].copy_from_slice(&group.to_be_bytes());
        if seq == 0 {
            line = line_key(&CONTAINER, 0, &worker, &NO_REFERRER);
        }
        let mut request = [0; 32];
        request[..4].copy_from_slice(&i.to_le_bytes());
        let receipt = Receipt {
            flags: 0,
            det_class: 1,
            domain: [2; 8],
            epoch: EPOCH,
            seq,
            gateway: [3; 32],
            worker,
            line_key: line,
            artifact: [4; 32],
            request_hash: request,
            input_hash: request,
            output_hash: request,
            evidence_hash: request,
            units_in: 120,
            units_out: 380,
            price_nc: 10_845,
            cum_nc: 10_845 * u64::from(seq + 1),
            t_start_ms: 1_790_000_000_000,
            t_end_ms: 1_790_000_000_700,
        };
        receipts.push(receipt.to_bytes());
    }
    receipts
}

/// All shards in order; the threads take turns.
fn build(receipts: &[ReceiptBytes]) -> Result<Vec<Shard>, AnyError> {
    let mut shards = thread::scope(|scope| {
        let turns: Vec<_> = (0..THREADS)
            .map(|turn| {
                let chunks = receipts.chunks(SHARD).enumerate().skip(turn).step_by(THREADS);
                scope.spawn(|| chunks.map(|(i, chunk)| Ok((i, shard(chunk)?))).collect::<Vec<Result<_, AnyError>>>())
            })
            .collect();
        turns
            .into_iter()
            .map(|turn| turn.join().map_err(|_| AnyError::from("a thread panicked")))
            .collect::<Result<Vec<_>, _>>()
    })?
    .into_iter()
    .flatten()
    .collect::<Result<Vec<_>, _>>()?;
    shards.sort_unstable_by_key(|(i, _)| *i);
    Ok(shards.into_iter().map(|(_, shard)| shard).collect())
}

fn shard(receipts: &[ReceiptBytes]) -> Result<Shard, AnyError> {
    let mut leaves = Vec::with_capacity(receipts.len());
    let mut lines: Vec<Line> = Vec::new();
    let mut previous: Option<Receipt> = None;
    for (index, bytes) in (0..).zip(receipts) {
        let receipt = Receipt::from_bytes(bytes)?;
        leaves.push(merkle::leaf(bytes, receipt.price_nc));
        match (previous.filter(|p| p.line_key == receipt.line_key), lines.last_mut()) {
            (Some(previous), Some(line)) => {
                if !receipt.continues(Some(&previous)) {
                    return Err(format!("receipt {index} does not continue its line").into());
                }
                line.n_receipts += 1;
                line.credits_nc += receipt.price_nc;
            }
            _ => lines.push(Line {
                stage: 0,
                epoch: receipt.epoch,
                index: u32::try_from(lines.len())?,
                container: CONTAINER,
                worker: receipt.worker,
                referrer: NO_REFERRER,
                first_receipt: index,
                n_receipts: 1,
                credits_nc: receipt.price_nc,
            }),
        }
        previous = Some(receipt);
    }
    let line_leaves = lines.iter().map(|line| merkle::leaf(&line.to_bytes(), line.credits_nc)).collect();
    Ok(Shard { receipts: proofs(leaves)?, settlement: proofs(line_leaves)?, lines })
}

fn proofs(leaves: Vec<Node>) -> Result<Proofs, MerkleError> {
    let tree = Tree::build(leaves)?;
    let depth = tree.depth();
    let mut nodes = Vec::with_capacity(tree.n_leaves() * depth);
    for index in 0..tree.n_leaves() {
        nodes.extend(tree.siblings(index)?);
    }
    Ok(Proofs { root: tree.root(), depth, nodes })
}

/// The first and the last receipt and line of every shard verify, and both trees commit to the same sum.
fn check(receipts: &[ReceiptBytes], shards: &[Shard]) -> Result<(), AnyError> {
    for (chunk, shard) in receipts.chunks(SHARD).zip(shards) {
        if shard.receipts.root.sum != shard.settlement.root.sum {
            return Err("the trees of a shard disagree about its sum".into());
        }
        for index in [0, chunk.len() - 1] {
            shard.receipts.check(chunk.len(), index, &chunk[index], Receipt::from_bytes(&chunk[index])?.price_nc)?;
        }
        for index in [0, shard.lines.len() - 1] {
            let line = shard.lines[index];
            shard.settlement.check(shard.lines.len(), index, &line.to_bytes(), line.credits_nc)?;
        }
    }
    Ok(())
}

impl Proofs {
    fn check(&self, n_leaves: usize, index: usize, data: &[u8], sum: u64) -> Result<u64, AnyError> {
        let proof = &self.nodes[index * self.depth..(index + 1) * self.depth];
        let (n_leaves, index) = (u32::try_from(n_leaves)?, u32::try_from(index)?);
        Ok(merkle::verify(&self.root, n_leaves, index, &merkle::leaf(data, sum), proof)?)
    }
}

/// The most memory this process has held, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}
