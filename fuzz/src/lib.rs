//! What must hold for any bytes that a stranger can send: a parser never panics, and accepts only what it would write
//! itself. The fuzz targets drive these checks for as long as one likes, the tests of `tests/` for a bounded number of
//! random and damaged messages.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

use anchor_lang::{AccountDeserialize, AccountSerialize, Discriminator};
use waybill_mechanism::{
    dispute,
    merkle::{self, Node, PROOF_NODE_LEN, Tree},
    message::{ChargeNote, Line, Order, Receipt, Verdict, Voucher},
    precompile,
};
use waybill_protocol::{audit, frame};

/// A check and its name, which is the name of its fuzz target.
pub type Check = (&'static str, fn(&[u8]));

/// Every check of this file.
pub const CHECKS: &[Check] = &[
    ("voucher", voucher),
    ("charge_note", charge_note),
    ("order", order),
    ("receipt", receipt),
    ("line", line),
    ("verdict", verdict),
    ("signed_message", signed_message),
    ("precompile_data", precompile_data),
    ("merkle_proof", merkle_proof),
    ("merkle_tree", merkle_tree),
    ("frames", frames),
    ("identifiers", identifiers),
    ("coin_instruction", coin_instruction),
    ("market_instruction", market_instruction),
    ("settlement_instruction", settlement_instruction),
    ("coin_accounts", coin_accounts),
    ("market_accounts", market_accounts),
    ("settlement_accounts", settlement_accounts),
];

/// Inputs to begin with: one valid message of each kind, and each account's and instruction's first bytes.
#[must_use]
pub fn seeds(check: &str) -> Vec<Vec<u8>> {
    let (domain, key) = ([1; 8], [2; 32]);
    let line = Line {
        stage: 1,
        epoch: 497_222,
        index: 3,
        container: key,
        worker: [3; 32],
        referrer: [4; 32],
        first_receipt: 5,
        n_receipts: 2,
        credits_nc: 123_456_789,
    };
    let voucher = Voucher { domain, channel: key, nonce: 7, acked_nc: 10, cum_nc: 20, expires: 0, ctx_hash: [5; 32] };
    let receipt = |seq: u32| Receipt {
        flags: 0,
        det_class: 1,
        domain,
        epoch: 497_222,
        seq,
        gateway: key,
        worker: [3; 32],
        line_key: [4; 32],
        artifact: [5; 32],
        request_hash: [6; 32],
        input_hash: [7; 32],
        output_hash: [8; 32],
        evidence_hash: [9; 32],
        units_in: 10,
        units_out: 20,
        price_nc: 100,
        cum_nc: 100 * (u64::from(seq) + 1),
        t_start_ms: 1_790_000_000_000,
        t_end_ms: 1_790_000_001_000,
    };
    match check {
        "voucher" => vec![voucher.to_bytes().to_vec()],
        "charge_note" => {
            vec![ChargeNote { domain, channel: key, nonce: 7, charge_nc: 5, cum_charged_nc: 9 }.to_bytes().to_vec()]
        }
        "order" => {
            vec![Order { domain, channel: key, nonce: 7, max_price_nc: 5, ctx_hash: [5; 32] }.to_bytes().to_vec()]
        }
        "receipt" => vec![[receipt(0).to_bytes(), receipt(1).to_bytes()].concat()],
        "line" => vec![line.to_bytes().to_vec()],
        "verdict" => {
            let (receipt_hash, output_hash, evidence_hash) = ([6; 32], [8; 32], [9; 32]);
            let verdict =
                Verdict { pass: true, chair: 2, domain, audit: key, receipt_hash, output_hash, evidence_hash };
            vec![verdict.to_bytes().to_vec()]
        }
        "signed_message" => {
            let note = ChargeNote { domain, channel: key, nonce: 7, charge_nc: 5, cum_charged_nc: 9 };
            vec![[&key[..], &receipt(0).to_bytes()].concat(), [&key[..], &note.to_bytes()].concat()]
        }
        "precompile_data" => {
            let message = voucher.to_bytes();
            let instruction = precompile::instruction_data(&key, &[9; 64], &message).unwrap();
            vec![[&key[..], &[106], &message, &instruction].concat()]
        }
        "merkle_proof" => {
            let leaves: Vec<Node> = (1..=5u64).map(|sum| merkle::leaf(&sum.to_le_bytes(), sum)).collect();
            let tree = Tree::build(leaves.clone()).unwrap();
            let proof = tree.proof(3).unwrap();
            let nodes = [tree.root(), leaves[3]].into_iter().chain(proof).flat_map(|node| node.to_bytes());
            vec![[5u32.to_le_bytes(), 3u32.to_le_bytes()].into_iter().flatten().chain(nodes).collect()]
        }
        "merkle_tree" => vec![(1..=7u64).flat_map(u64::to_le_bytes).collect()],
        "frames" => {
            let job = frame::Job {
                request_id: "r".into(),
                order: vec![1; 90].into(),
                input: Some(frame::Input { kind: Some(frame::InputKind::Chat(frame::Chat::default())) }),
                ..Default::default()
            };
            let report = frame::Report { seq: 1, active: 2, ..Default::default() };
            vec![[&[3], &*frame::encode(&job)].concat(), [&[200], &*frame::encode(&report)].concat()]
        }
        "identifiers" => vec![
            waybill_protocol::WalletId(key).to_string().into_bytes(),
            waybill_protocol::ArtifactId(key).to_string().into_bytes(),
        ],
        "coin_instruction" => discriminators(COIN, "instructions"),
        "market_instruction" => discriminators(MARKET, "instructions"),
        "settlement_instruction" => discriminators(SETTLEMENT, "instructions"),
        "coin_accounts" => discriminators(COIN, "accounts"),
        "market_accounts" => discriminators(MARKET, "accounts"),
        "settlement_accounts" => discriminators(SETTLEMENT, "accounts"),
        _ => vec![],
    }
}

/// Writes the inputs to begin with to the folder that `WAYBILL_FUZZ_SEEDS` names, if it names one.
pub fn write_seeds(check: &str) {
    let Some(folder) = std::env::var_os("WAYBILL_FUZZ_SEEDS") else { return };
    for (number, seed) in seeds(check).into_iter().enumerate() {
        std::fs::write(std::path::Path::new(&folder).join(format!("seed-{number}")), seed).unwrap();
    }
}

const COIN: &str = include_str!("../../idls/coin.json");
const MARKET: &str = include_str!("../../idls/market.json");
const SETTLEMENT: &str = include_str!("../../idls/settlement.json");

/// The first bytes of every instruction or account of a program, each followed by zeros and by ones.
fn discriminators(description: &str, part: &str) -> Vec<Vec<u8>> {
    let description: serde_json::Value = serde_json::from_str(description).unwrap();
    let list = description[part].as_array().unwrap().iter();
    list.flat_map(|entry| {
        let start: Vec<u8> = serde_json::from_value(entry["discriminator"].clone()).unwrap();
        [0u8, 1].map(|fill| [start.as_slice(), &[fill; 1_024]].concat())
    })
    .collect()
}

/// A message that is accepted is, byte for byte, what its fields encode to, and satisfies its own check.
macro_rules! message_check {
    ($name:ident, $message:ident) => {
        pub fn $name(data: &[u8]) {
            if let Ok(message) = $message::from_bytes(data) {
                assert_eq!(message.to_bytes().as_slice(), data);
                assert_eq!($message::from_bytes(&message.to_bytes()), Ok(message));
            }
        }
    };
}

message_check!(voucher, Voucher);
message_check!(charge_note, ChargeNote);
message_check!(order, Order);
message_check!(line, Line);
message_check!(verdict, Verdict);

/// 32 bytes of signer, then a message that two of could contradict each other: it has a key only as one of the messages
/// that gateways sign, in a domain that it names.
pub fn signed_message(data: &[u8]) {
    let Some((signer, message)) = data.split_first_chunk::<32>() else { return };
    let domains = message.windows(8).filter_map(|bytes| bytes.first_chunk().copied());
    if domains.clone().any(|domain| dispute::message_key(signer, &domain, message).is_some()) {
        let known = Receipt::from_bytes(message).is_ok() || ChargeNote::from_bytes(message).is_ok();
        assert!(known, "a key of what no gateway signs");
    }
}

/// Two receipts in one input: each as the other messages, and the second never continues the first with another total.
pub fn receipt(data: &[u8]) {
    let decode = |bytes: &[u8]| {
        let receipt = Receipt::from_bytes(bytes).ok()?;
        assert_eq!(receipt.to_bytes().as_slice(), bytes);
        Some(receipt)
    };
    let (first, second) = data.split_at(data.len().min(Receipt::LEN));
    if let Some(first) = decode(first)
        && let Some(second) = decode(second)
        && second.continues(Some(&first))
    {
        assert_eq!(first.cum_nc.checked_add(second.price_nc), Some(second.cum_nc));
        assert_eq!(first.seq.checked_add(1), Some(second.seq));
    }
}

/// 32 bytes of key, one of message length, the message, then instruction data: what is accepted is what the network's
/// own builder writes for that key and message.
pub fn precompile_data(data: &[u8]) {
    let Some((key, rest)) = data.split_first_chunk::<32>() else { return };
    let Some((length, rest)) = rest.split_first() else { return };
    let (message, instruction) = rest.split_at(rest.len().min(usize::from(*length)));
    if precompile::check(instruction, key, message).is_ok() {
        let signature = instruction[48..precompile::MESSAGE_OFFSET].first_chunk::<64>().unwrap();
        assert_eq!(precompile::instruction_data(key, signature, message).as_deref(), Some(instruction));
    }
}

/// Leaf count and index of four bytes each, root, leaf, then siblings: a proof that is accepted lies inside the sum.
pub fn merkle_proof(data: &[u8]) {
    let Some((count, rest)) = data.split_first_chunk::<4>() else { return };
    let Some((index, rest)) = rest.split_first_chunk::<4>() else { return };
    let mut nodes = rest.chunks_exact(PROOF_NODE_LEN).map(|bytes| Node::from_bytes(bytes.first_chunk().unwrap()));
    let (Some(root), Some(leaf)) = (nodes.next(), nodes.next()) else { return };
    let proof: Vec<Node> = nodes.collect();
    let (count, index) = (u32::from_le_bytes(*count), u32::from_le_bytes(*index));
    if let Ok(prefix) = merkle::verify(&root, count, index, &leaf, &proof) {
        assert!(index < count && proof.len() == merkle::depth(count) as usize);
        assert!(prefix.checked_add(leaf.sum).is_some_and(|end| end <= root.sum));
    }
}

/// Leaves of eight bytes: every leaf of the tree they make has a proof at its own index and no other.
pub fn merkle_tree(data: &[u8]) {
    let sums: Vec<u64> =
        data.chunks_exact(8).take(33).map(|sum| u64::from_le_bytes(*sum.first_chunk().unwrap())).collect();
    let leaves: Vec<Node> = sums.iter().map(|sum| merkle::leaf(&sum.to_be_bytes(), *sum)).collect();
    let count = u32::try_from(leaves.len()).unwrap();
    let Ok(tree) = Tree::build(leaves.clone()) else { return };
    let mut prefix = 0u64;
    for (leaf, index) in leaves.iter().zip(0u32..) {
        let proof = tree.proof(index as usize).unwrap();
        assert_eq!(merkle::verify(&tree.root(), count, index, leaf, &proof), Ok(prefix));
        prefix += leaf.sum;
        for other in (0..count).filter(|other| *other != index && leaves[*other as usize] != *leaf) {
            assert!(merkle::verify(&tree.root(), count, other, leaf, &proof).is_err(), "{index} proved at {other}");
        }
    }
}

/// Every frame of the session between scheduler and worker, in pieces of any size: what is decoded encodes to bytes
/// that decode to the same bytes again.
pub fn frames(data: &[u8]) {
    fn read<M: prost::Message + Default>(cut: usize, data: &[u8]) {
        let mut reader = frame::FrameReader::<M>::default();
        for piece in data.chunks(cut) {
            reader.push(piece);
            while let Ok(Some(message)) = reader.next_message() {
                let bytes = frame::encode(&message);
                let mut again = frame::FrameReader::<M>::default();
                again.push(&bytes);
                assert_eq!(frame::encode(&again.next_message().unwrap().unwrap()), bytes);
            }
        }
    }
    let Some((cut, data)) = data.split_first() else { return };
    let cut = usize::from(*cut).max(1);
    read::<frame::Job>(cut, data);
    read::<frame::Event>(cut, data);
    read::<frame::Challenge>(cut, data);
    read::<frame::Hello>(cut, data);
    read::<frame::Welcome>(cut, data);
    read::<frame::Ack>(cut, data);
    read::<frame::Report>(cut, data);
    read::<audit::AuditJob>(cut, data);
    read::<audit::AuditAnswer>(cut, data);
    read::<audit::EvidenceRequest>(cut, data);
    read::<audit::EvidenceRecord>(cut, data);
}

/// Texts that name a wallet, a worker, a channel, a container or an artifact: what is accepted prints as itself.
pub fn identifiers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<waybill_protocol::WalletId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<waybill_protocol::ArtifactId>() {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
}

/// The program's own entry point without accounts: every instruction decodes its arguments first, so this is each
/// instruction's decoder, chosen by the first eight bytes. Nothing can succeed.
macro_rules! instruction_check {
    ($name:ident, $program:ident) => {
        pub fn $name(data: &[u8]) {
            assert!($program::entry(&$program::ID, &[], data).is_err());
        }
    };
}

instruction_check!(coin_instruction, coin);
instruction_check!(market_instruction, market);
instruction_check!(settlement_instruction, settlement);

/// The account whose type the first eight bytes name: what is read is what would be written, and checking its
/// invariant does not panic.
macro_rules! account_check {
    ($name:ident: $($account:ty $(, $invariant:ident)?;)+) => {
        pub fn $name(data: &[u8]) {
            $(
                if let Some(account) = decode_account::<$account>(data) {
                    $(let _ = account.$invariant();)?
                    let _ = account;
                }
            )+
        }
    };
}

fn decode_account<T: AccountDeserialize + AccountSerialize + Discriminator>(data: &[u8]) -> Option<T> {
    if !data.starts_with(T::DISCRIMINATOR) {
        return None;
    }
    let account = T::try_deserialize(&mut &*data).ok()?;
    let mut written = Vec::new();
    account.try_serialize(&mut written).unwrap();
    assert!(data.starts_with(&written), "an account of {} bytes is not what was read", written.len());
    Some(account)
}

account_check!(coin_accounts:
    coin::state::Breaker, invariant;
    coin::state::CoinConfig, invariant;
    coin::state::PendingSpend, invariant;
    coin::state::Rate, invariant;
    coin::state::Release, invariant;
);
account_check!(market_accounts:
    market::state::Artifact, invariant;
    market::state::Ask, invariant;
    market::state::Campaign, invariant;
    market::state::Container, invariant;
    market::state::DetClass, invariant;
    market::state::Market, invariant;
    market::state::MarketConfig, invariant;
    market::state::Node, invariant;
    market::state::Observation, invariant;
    market::state::Offer, invariant;
    market::state::Party, invariant;
    market::state::PendingParams, invariant;
    market::state::Royalties, invariant;
    market::state::Seat, invariant;
    market::state::SlashTicket, invariant;
    market::state::SlotAuction, invariant;
    market::state::SplitSnapshot, invariant;
);
account_check!(settlement_accounts:
    settlement::state::Audit, invariant;
    settlement::state::Batch, invariant;
    settlement::state::Bounty, invariant;
    settlement::state::Canary;
    settlement::state::Channel, invariant;
    settlement::state::Dispute, invariant;
    settlement::state::Earnings, invariant;
    settlement::state::FeeDay;
    settlement::state::GatewayVault, invariant;
    settlement::state::PoolBreaker, invariant;
    settlement::state::PromoEvent;
    settlement::state::SettleConfig, invariant;
    settlement::state::StagedReceipt;
    settlement::state::VerifierSet, invariant;
    settlement::state::WorkerRecord, invariant;
);
