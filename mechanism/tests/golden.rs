//! Golden vectors: one voucher, its receipts, lines, trees and audit draw from fixed keys, the design's worked numbers,
//! and what must be rejected.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use waybill_mechanism::amount::{AmountError, debit_aic, price_nc};
use waybill_mechanism::ask::step_ask;
use waybill_mechanism::audit::{audit_draw, audit_rate_bps, audit_seed, contains, min_slash};
use waybill_mechanism::batch::{batch_take, claim_amount};
use waybill_mechanism::channel::{ChannelError, Grant, Moved, delegated_amount, settle_amount};
use waybill_mechanism::clearing::{Clearing, clear, ema, next_base, ticks};
use waybill_mechanism::lineage::lineage_split;
use waybill_mechanism::merkle::{self, MerkleError, Node, PAD, Tree};
use waybill_mechanism::message::{
    ChargeNote, Domain, Line, MessageError, NO_REFERRER, Order, Receipt, Voucher, ctx_hash, domain, inference_seed,
    line_key,
};
use waybill_mechanism::pacing::next_pace;
use waybill_mechanism::precompile::{self, PrecompileError};
use waybill_mechanism::routing::{pick, route_weight};
use waybill_mechanism::stack::{StackInput, price_stack, split_amount, split_bps, split_fee, weaver_ask};
use waybill_mechanism::vcg::{Bid, gsp, vcg};

type Bytes32 = [u8; 32];

fn sha(data: impl AsRef<[u8]>) -> Bytes32 {
    Sha256::digest(data.as_ref()).into()
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&sha(format!("waybill-test-vector:{name}")))
}

fn pk(name: &str) -> Bytes32 {
    key(name).verifying_key().to_bytes()
}

fn sign(name: &str, message: &[u8]) -> String {
    hex::encode(key(name).sign(message).to_bytes())
}

fn the_domain() -> Domain {
    domain("localnet", &[0x11; 32])
}

fn channel() -> Bytes32 {
    sha("channel-pda-0")
}

fn container() -> Bytes32 {
    sha("container:chat-7b:weave-1")
}

fn voucher() -> Voucher {
    Voucher {
        domain: the_domain(),
        channel: channel(),
        nonce: 7,
        acked_nc: 717_500,
        cum_nc: 1_250_000,
        expires: 1_800_000_000,
        ctx_hash: ctx_hash(&container(), &sha("in0"), 532_500, &NO_REFERRER, None),
    }
}

fn note() -> ChargeNote {
    ChargeNote { domain: the_domain(), channel: channel(), nonce: 7, charge_nc: 412_500, cum_charged_nc: 1_130_000 }
}

fn order() -> Order {
    Order { domain: the_domain(), channel: channel(), nonce: 8, max_price_nc: 300_000, ctx_hash: voucher().ctx_hash }
}

fn receipts() -> Vec<Receipt> {
    let served = [
        ("worker1", 120, 380, 412_500),
        ("worker1", 80, 210, 239_250),
        ("worker2", 64, 512, 475_200),
        ("worker2", 10, 20, 24_750),
        ("worker2", 300, 700, 825_000),
    ];
    let mut receipts: Vec<Receipt> = Vec::new();
    for (i, (worker, units_in, units_out, price_nc)) in served.into_iter().enumerate() {
        let previous = receipts.last().filter(|r| r.worker == pk(worker)).copied();
        let t_start_ms = 1_790_000_000_000 + 1_000 * i as u64;
        let receipt = Receipt {
            flags: 0,
            det_class: 1,
            domain: the_domain(),
            epoch: 497_222,
            seq: previous.map_or(0, |p| p.seq + 1),
            gateway: pk("gateway"),
            worker: pk(worker),
            line_key: line_key(&container(), 0, &pk(worker), &referrer(worker)),
            artifact: sha("artifact:model.onnx"),
            request_hash: if i == 0 { voucher().hash() } else { sha(format!("voucher{i}")) },
            input_hash: sha(format!("in{i}")),
            output_hash: sha(format!("out{i}")),
            evidence_hash: sha(format!("ev{i}")),
            units_in,
            units_out,
            price_nc,
            cum_nc: previous.map_or(0, |p| p.cum_nc) + price_nc,
            t_start_ms,
            t_end_ms: t_start_ms + 700,
        };
        assert!(receipt.continues(previous.as_ref()));
        receipts.push(receipt);
    }
    receipts
}

fn referrer(worker: &str) -> Bytes32 {
    if worker == "worker2" { pk("vendor") } else { NO_REFERRER }
}

fn lines() -> [Line; 2] {
    let receipts = receipts();
    let line = |index, worker, first: usize, n: usize| Line {
        stage: 0,
        epoch: 497_222,
        index,
        container: container(),
        worker: pk(worker),
        referrer: referrer(worker),
        first_receipt: first as u32,
        n_receipts: n as u32,
        credits_nc: Line::credits(&receipts[first], &receipts[first + n - 1]).unwrap(),
    };
    [line(0, "worker1", 0, 2), line(1, "worker2", 2, 3)]
}

fn receipts_tree() -> Tree {
    Tree::build(receipts().iter().map(|r| merkle::leaf(&r.to_bytes(), r.price_nc)).collect()).unwrap()
}

fn lines_tree() -> Tree {
    Tree::build(lines().iter().map(|l| merkle::leaf(&l.to_bytes(), l.credits_nc)).collect()).unwrap()
}

fn shown(node: Node) -> String {
    format!("{} {}", hex::encode(node.hash), node.sum)
}

#[test]
fn domain_and_keys() {
    assert_eq!(hex::encode(the_domain()), "34ee45f41ca50a7c");
    let keys = [
        ("consumer", "cc055744dcc835b647aeea02ace7fb22437415e369d7944abff989ce08081f81"),
        ("gateway", "77b82b9909e35026655a50e09bdb35810b34a1e7f2f56e3fed80e66f95b35286"),
        ("worker1", "6e7cb2b521c30bb418c5799273a433bf8f3dc6e388fef32dbd61f6a1fe874807"),
        ("worker2", "86e5fd6bd10fd68fdb1991cc258b3cf204e8a25e173e0ee5f607e08d3c3ce9ab"),
        ("vendor", "76bdba9ae32918e55683b55d7f76920e6aabaa6969b34a0f05dd5e13caf5614a"),
    ];
    for (name, public) in keys {
        assert_eq!(hex::encode(pk(name)), public, "{name}");
    }
}

#[test]
fn voucher_bytes_signature_and_precompile() {
    let bytes = voucher().to_bytes();
    assert_eq!(
        hex::encode(bytes),
        "415634ee45f41ca50a7cae6b81fc7c042a851f7cbc0d5c087083e3ddf26d80d2261d708ed4b343d26fc50700000000000000bcf20a0000000000d01213000000000000d2496b000000002908ba3e6b664944f859fad5c28ec9d35fcd554ef3de6f893e54d4f364b3f2ba"
    );
    assert_eq!(
        sign("consumer", &bytes),
        "5b076190bde980752958d13e707e7a9cd3b6585e3ced9f0a186e84d1f528babcc2f3de79141f1635c3ab7f0f859d25aa1ce84e176b5e38e1f0f85944d82baa04"
    );
    let signature = key("consumer").sign(&bytes).to_bytes();
    let data = precompile::instruction_data(&pk("consumer"), &signature, &bytes).unwrap();
    assert_eq!(data.len(), 218);
    assert_eq!(hex::encode(&data[..16]), "01003000ffff1000ffff70006a00ffff");
    assert_eq!(hex::encode(sha(&data)), "6cdb0016558d815dc551c8623f4db5bdec70393be962d3aa4af313cc2d0bea50");
    assert_eq!(precompile::check(&data, &pk("consumer"), &bytes), Ok(()));
}

#[test]
fn charge_note_and_order() {
    let bytes = note().to_bytes();
    assert_eq!(
        hex::encode(bytes),
        "414e34ee45f41ca50a7cae6b81fc7c042a851f7cbc0d5c087083e3ddf26d80d2261d708ed4b343d26fc50700000000000000544b060000000000103e110000000000"
    );
    assert_eq!(
        sign("gateway", &bytes),
        "03cdd6d8968e13397750dde69f886ba033eb7f819fba300d66fa4ebb494d00d0da1b7ea89c586d9f241df53fb34a7e8065b8b5391f6716b372173d1f7c310b0b"
    );
    assert_eq!(hex::encode(order().hash()), "6a3c1949574bb129bcc1f15ef469bf1b336221110797fdf47b515e7c92d085a4");
}

#[test]
fn receipt_bytes_and_both_signatures() {
    let receipts = receipts();
    assert_eq!(hex::encode(receipts[0].line_key), "e497ef53f944073befc2c6d988cf85f4e5b496c1fc0412888c583bfad4e06d05");
    assert_eq!(hex::encode(receipts[2].line_key), "4d3ad0494eb9d39f80ad4bff4e2f196a82547d6bbbd64200374542373c4022f7");
    let bytes = receipts[0].to_bytes();
    assert_eq!(
        hex::encode(bytes),
        "414952430100010034ee45f41ca50a7c469607000000000077b82b9909e35026655a50e09bdb35810b34a1e7f2f56e3fed80e66f95b352866e7cb2b521c30bb418c5799273a433bf8f3dc6e388fef32dbd61f6a1fe874807e497ef53f944073befc2c6d988cf85f4e5b496c1fc0412888c583bfad4e06d05a22454baa583601bfd6e65b87b16336a250fa1726e13af05c102c433d5c39aac8539a0baa93437533af4d73a6d1759a8c5fe5aa82d7dce2b2aa696ded2de4efe1ca4b3296f0b31b9f584e06c4dfc59119ecc408ba0395047c8d616f4c88a20c6990179ec5064cf7956be1bf2364843b0a58b519e5d88a398f6027970ddeb0eb1a0073846cd42b3996ec83fe0604e6a9f71e336726fab3a6ee1cf5963ffee8d4d780000007c010000544b060000000000544b060000000000006c50c4a0010000bc6e50c4a0010000"
    );
    assert_eq!(
        sign("worker1", &bytes),
        "12670293453db47f90d8ddb0c83f5ad1cc55f40ee7990b10b1ce123f0cc0b2d2e37c4bcd3d90449f6268a5a53665d870e69c4044c1a25773d3745af7e6442f08"
    );
    assert_eq!(
        sign("gateway", &bytes),
        "3433ae3ca6a35efa10912e656bc26a0650b1f8bb4ed1eac53c6a148d2fbcc52d71e132c46302e51bbe781f146865c126bb2a886e8f21cb38a81e678694272007"
    );
    assert_eq!(
        hex::encode(inference_seed(&receipts[0].request_hash)),
        "177997009c22cf75b193003f686b661981b07fb5fb3b684dd9e682a04ca58237"
    );
}

#[test]
fn a_receipt_continues_its_line_without_gap_or_difference() {
    let [first, second, ..] = receipts()[..] else { panic!("five receipts") };
    assert!(first.continues(None) && second.continues(Some(&first)));
    assert!(!second.continues(None), "a line opens at 0");
    assert!(!first.continues(Some(&first)), "a sequence number is used once");
    let late = Receipt { seq: second.seq + 1, ..second };
    assert!(!late.continues(Some(&first)), "a gap");
    let dear = Receipt { cum_nc: second.cum_nc + 1, ..second };
    assert!(!dear.continues(Some(&first)), "the total is the sum of the prices");
    let last = Receipt { seq: u32::MAX, cum_nc: u64::MAX, ..first };
    assert!(!Receipt { seq: 0, ..second }.continues(Some(&last)), "neither wraps");
}

#[test]
fn receipts_tree_and_proof() {
    let tree = receipts_tree();
    let leaves = [
        "6128bf6c2f6683771bb3767d29a4a797a6be4694d2370d9923b8785cd3a09b02 412500",
        "51988bee833fb2ebe5fa5b1a768f8b467b9d774f110c0b1d3b6b88186e893878 239250",
        "41ba65fcca0ea5a33e363ac159477db028355d981e9799b8f10ce559ce79e1d5 475200",
        "e4ee0fc8c3d3760e917c9c9c09de5cd934d9ad95de7e3f9eb3c782ce19de4711 24750",
        "6e25f59710a9780bb06d50bc5207a2c75b32bf3210fb0336ad65551c38a49acb 825000",
    ];
    for (i, expected) in leaves.into_iter().enumerate() {
        assert_eq!(shown(tree.leaf(i).unwrap()), expected);
    }
    let root = tree.root();
    assert_eq!(shown(root), "479ba30bb5cbcd76813308c20500a3e146413f6e2c7791fab917ac7cbca6541d 1976700");
    let mut proof = tree.proof(3).unwrap();
    let expected = [
        "41ba65fcca0ea5a33e363ac159477db028355d981e9799b8f10ce559ce79e1d5 475200",
        "0ca20d4e5ecc536a52860aa9a460a6271aa9e5b77392f0c0793b150340514a9e 651750",
        "55c1d7e965c44f3ea5912cc4c4ca03b07cd5eeb047c95c26a3ac3d7dcb740e52 825000",
    ];
    assert_eq!(proof.iter().copied().map(shown).collect::<Vec<_>>(), expected);
    let leaf = tree.leaf(3).unwrap();
    assert_eq!(merkle::verify(&root, 5, 3, &leaf, &proof), Ok(1_126_950));

    assert_eq!(merkle::verify(&root, 5, 5, &leaf, &proof), Err(MerkleError::IndexOutOfRange));
    assert_eq!(merkle::verify(&root, 4, 3, &leaf, &proof), Err(MerkleError::WrongDepth));
    assert_eq!(merkle::verify(&root, 5, 2, &leaf, &proof), Err(MerkleError::WrongRoot));
    let told = merkle::leaf(&receipts()[3].to_bytes(), 24_751);
    assert_eq!(merkle::verify(&root, 5, 3, &told, &proof), Err(MerkleError::WrongRoot));
    proof[1].sum += 1;
    assert_eq!(merkle::verify(&root, 5, 3, &leaf, &proof), Err(MerkleError::WrongRoot));
}

#[test]
fn an_empty_tree_is_padding() {
    assert_eq!(PAD.hash, sha(b"\x02waybill/empty"));
    let tree = Tree::build(Vec::new()).unwrap();
    assert_eq!(tree.root(), PAD);
    assert_eq!(tree.proof(0), Err(MerkleError::IndexOutOfRange));
    assert_eq!(merkle::verify(&PAD, 0, 0, &PAD, &[]), Err(MerkleError::IndexOutOfRange));
}

#[test]
fn lines_and_their_tree() {
    let lines = lines();
    assert_eq!(lines.map(|l| l.credits_nc), [651_750, 1_324_950]);
    assert_eq!(lines[1].key(), receipts()[4].line_key);
    assert_eq!(
        hex::encode(lines[0].to_bytes()),
        "41494c4e010000004696070000000000ec9fb35809ea5476519732494c1ee493d79ab6b59dc8a76bb12e5a77c86763a76e7cb2b521c30bb418c5799273a433bf8f3dc6e388fef32dbd61f6a1fe87480700000000000000000000000000000000000000000000000000000000000000000000000002000000e6f1090000000000"
    );
    let tree = lines_tree();
    let hash = |i| hex::encode(tree.leaf(i).unwrap().hash);
    assert_eq!(hash(0), "9b3d1d4a000d96e22e33732d3a69679c5bd8a62897373c3ecee27e30afd84a04");
    assert_eq!(hash(1), "14d5f40ade6e5ecc85e087fb21d0d8764378110868c9d27aee2cdebba2851c83");
    assert_eq!(shown(tree.root()), "f61a50c3fb74627bc32f56bb9c82dfc484470269b2687e914263226c780b4532 1976700");
}

#[test]
fn audit_draws_hit_their_receipts() {
    let root = receipts_tree().root();
    let seed = audit_seed(&sha("batch-pda-0"), &root.hash, &sha("slot-hash-sample"));
    assert_eq!(hex::encode(seed), "1b9a51e811541b75ee7cb71879b1b7bc792cde0d4d3eb4c964575cd861a22705");
    for (draw, (x, receipt)) in [(691_427, 2), (228_516, 0), (1_687_711, 4), (562_089, 1)].into_iter().enumerate() {
        assert_eq!(audit_draw(&seed, draw as u32, root.sum), Some(x));
        let mut prefix = 0;
        let hit = receipts().iter().position(|r| {
            let hit = contains(prefix, r.price_nc, x);
            prefix += r.price_nc;
            hit
        });
        assert_eq!(hit, Some(receipt));
    }
    assert_eq!(audit_draw(&seed, 0, 0), None);
    let hits = [99, 100, 104, 105].map(|x| contains(100, 5, x));
    assert_eq!(hits, [false, true, true, false], "a leaf is hit by its own range only");
}

#[test]
fn messages_round_trip_and_any_flipped_byte_shows() {
    let sample = receipts()[4];
    assert_eq!(Voucher::from_bytes(&voucher().to_bytes()), Ok(voucher()));
    assert_eq!(ChargeNote::from_bytes(&note().to_bytes()), Ok(note()));
    assert_eq!(Order::from_bytes(&order().to_bytes()), Ok(order()));
    assert_eq!(Receipt::from_bytes(&sample.to_bytes()), Ok(sample));
    assert_eq!(Line::from_bytes(&lines()[1].to_bytes()), Ok(lines()[1]));

    let bytes = voucher().to_bytes();
    let signature = key("consumer").sign(&bytes);
    let public = key("consumer").verifying_key();
    for at in 0..bytes.len() {
        let mut changed = bytes;
        changed[at] ^= 1;
        assert!(public.verify_strict(&changed, &signature).is_err());
        assert_ne!(Voucher::from_bytes(&changed), Ok(voucher()));
    }
    for at in 0..Receipt::LEN {
        let mut changed = sample.to_bytes();
        changed[at] ^= 1;
        assert_ne!(Receipt::from_bytes(&changed), Ok(sample));
    }
    for at in 0..Line::LEN {
        let mut changed = lines()[1].to_bytes();
        changed[at] ^= 1;
        assert_ne!(Line::from_bytes(&changed), Ok(lines()[1]));
    }
}

#[test]
fn messages_that_contradict_themselves_are_rejected() {
    let bytes = voucher().to_bytes();
    assert_eq!(Voucher::from_bytes(&bytes[..105]), Err(MessageError::Length));
    assert_eq!(Voucher::from_bytes(&[&bytes[..], &[0]].concat()), Err(MessageError::Length));
    assert_eq!(Order::from_bytes(&bytes[..90]), Err(MessageError::Magic));
    let over = Voucher { acked_nc: 1_250_001, ..voucher() };
    assert_eq!(Voucher::from_bytes(&over.to_bytes()), Err(MessageError::Amounts));
    let over = ChargeNote { charge_nc: 1_130_001, ..note() };
    assert_eq!(ChargeNote::from_bytes(&over.to_bytes()), Err(MessageError::Amounts));
    let receipt = receipts()[0];
    let refused = [
        (Receipt { flags: 16, ..receipt }, MessageError::Reserved),
        (Receipt { cum_nc: receipt.price_nc - 1, ..receipt }, MessageError::Amounts),
        (Receipt { t_start_ms: receipt.t_end_ms + 1, ..receipt }, MessageError::Times),
    ];
    for (receipt, error) in refused {
        assert_eq!(Receipt::from_bytes(&receipt.to_bytes()), Err(error));
    }
    let mut versioned = receipt.to_bytes();
    versioned[4] = 2;
    assert_eq!(Receipt::from_bytes(&versioned), Err(MessageError::Version));
    let mut reserved = lines()[0].to_bytes();
    reserved[6] = 1;
    assert_eq!(Line::from_bytes(&reserved), Err(MessageError::Reserved));
    let empty = Line { n_receipts: 0, ..lines()[0] };
    assert_eq!(Line::from_bytes(&empty.to_bytes()), Err(MessageError::EmptyLine));
}

#[test]
fn the_precompile_takes_one_layout_only() {
    let message = voucher().to_bytes();
    let consumer = pk("consumer");
    let good = precompile::instruction_data(&consumer, &[7; 64], &message).unwrap();
    let with = |at: usize, value: u8| {
        let mut data = good.clone();
        data[at] = value;
        precompile::check(&data, &consumer, &message)
    };
    assert_eq!(with(0, 2), Err(PrecompileError::Layout), "two signatures");
    for index in [4, 5, 8, 9, 14, 15] {
        assert_eq!(with(index, 0), Err(PrecompileError::Layout), "data in another instruction");
    }
    for size in [105, 107] {
        assert_eq!(with(12, size), Err(PrecompileError::Layout), "message of {size} bytes");
    }
    assert_eq!(with(16, consumer[0] ^ 1), Err(PrecompileError::Pubkey));
    assert_eq!(with(112, message[0] ^ 1), Err(PrecompileError::Message));
    assert_eq!(precompile::check(&good[..217], &consumer, &message), Err(PrecompileError::Length));
    assert_eq!(precompile::check(&good, &consumer, &message[..105]), Err(PrecompileError::Length));
}

#[test]
fn voucher_claims_are_bounded_by_watermark_ceiling_and_deposit() {
    const RATE: u64 = 20_000_000_000;
    let settle = |claim, ceiling, balance| settle_amount(717_500, claim, ceiling, balance, RATE);
    assert_eq!(settle(1_130_000, 1_250_000, 8_000_000), Ok(Moved { delta_nc: 400_000, delta_aic: 8_000_000 }));
    assert_eq!(settle(1_130_000, 1_250_000, 9_000_000), Ok(Moved { delta_nc: 412_500, delta_aic: 8_250_000 }));
    assert_eq!(settle(717_500, 1_250_000, 8_000_000), Err(ChannelError::StaleClaim));
    assert_eq!(settle(1_250_001, 1_250_000, 8_000_000), Err(ChannelError::AboveCeiling));
    assert_eq!(settle(717_501, 717_500, 8_000_000), Err(ChannelError::AboveCeiling), "acked is the cranker's ceiling");
    assert_eq!(settle_amount(0, 1, 1, 1, 0), Err(ChannelError::BadInput));
}

#[test]
fn grants_refill_on_their_grid_and_roll_nothing_over() {
    const DAY: u32 = 86_400;
    const RATE: u64 = 1_000_000_000;
    let grant = Grant { expires: 10_000_000, period_s: DAY, period_start: 1_000, limit_nc: 500, used_nc: 200 };
    let claim = |now, claim, balance| delegated_amount(now, &grant, 1_000, claim, balance, RATE);

    let before = claim(87_399, 9_000, 10_000).unwrap();
    assert_eq!((before.moved.delta_nc, before.grant.used_nc, before.grant.period_start), (300, 500, 1_000));
    let at = claim(87_400, 9_000, 10_000).unwrap();
    assert_eq!((at.moved.delta_nc, at.grant.used_nc, at.grant.period_start), (500, 500, 87_400));
    let after = claim(87_401, 9_000, 10_000).unwrap();
    assert_eq!((after.moved.delta_nc, after.grant.period_start), (500, 87_400));
    let skipped = claim(1_000 + 5 * 86_400 + 17, 9_000, 10_000).unwrap();
    assert_eq!((skipped.moved.delta_nc, skipped.grant.period_start), (500, 1_000 + 5 * 86_400));

    let poor = claim(2_000, 1_250, 100).unwrap();
    assert_eq!((poor.moved.delta_nc, poor.settled_nc), (100, 1_100));
    let rest = delegated_amount(2_000, &poor.grant, poor.settled_nc, 1_250, 10_000, RATE).unwrap();
    assert_eq!((rest.moved.delta_nc, rest.settled_nc), (150, 1_250), "the same claim settles its remainder");
    assert_eq!(claim(2_000, 1_250, 0).unwrap().moved, Moved { delta_nc: 0, delta_aic: 0 });

    assert_eq!(claim(2_000, 1_000, 10_000), Err(ChannelError::StaleClaim));
    assert_eq!(claim(10_000_000, 9_000, 10_000), Err(ChannelError::Inactive));
    let none = Grant { limit_nc: 0, used_nc: 0, ..grant };
    assert_eq!(delegated_amount(2_000, &none, 0, 1, 1, RATE), Err(ChannelError::Inactive));
    assert_eq!(claim(999, 9_000, 10_000), Err(ChannelError::BadInput));
    assert_eq!(grant.room_nc(2_000, 120), Ok(180));
    assert_eq!(grant.room_nc(87_400, 600), Ok(0));
}

#[test]
fn the_book_clears_as_worked() {
    let first = [10000, 10500, 11025, 11576, 12154, 12761, 13399, 14068, 14771, 15509, 16284, 17098, 17952];
    let all = ticks(10_000, 64, 500).unwrap();
    assert_eq!(all[..13], first);
    assert_eq!(all[63], 216_036);
    let mut capacity = [0; 64];
    for (tick, units) in [(2, 400_000), (4, 300_000), (5, 500_000), (8, 900_000), (12, 700_000)] {
        capacity[tick] = units;
    }
    for (demand, price) in
        [(500_000, Some(12_154)), (800_000, Some(12_761)), (1_400_000, Some(14_771)), (2_300_000, None)]
    {
        let cleared = clear(10_000, 500, &capacity, demand, 2_500).unwrap();
        assert_eq!(cleared.map(|c| c.price_nc), price, "demand {demand}");
    }

    let (mut demand, mut base) = (400_000, 11_025);
    let mut path = Vec::new();
    for observed in [420_000, 500_000, 640_000, 640_000, 640_000] {
        demand = ema(demand, observed, 2_000).unwrap();
        let marginal = clear(10_000, 500, &capacity, demand, 2_500).unwrap();
        assert_eq!(marginal, Some(Clearing { index: 4, price_nc: 12_154 }));
        base = next_base(base, marginal.map(|m| m.price_nc), 1_000, u64::MAX, 500, 1_000).unwrap();
        path.push((demand, base));
    }
    assert_eq!(path, [(404_000, 11_576), (423_200, 12_154), (466_560, 12_154), (501_248, 12_154), (528_998, 12_154)]);
    assert_eq!(next_base(7, None, 0, 100, 500, 1_000), Ok(8));
    assert_eq!(next_base(7, Some(0), 0, 100, 500, 1_000), Ok(6));
    assert_eq!(next_base(1, Some(0), 0, 100, 500, 1_000), Ok(1), "a base of 1 does not fall to nothing");
    assert_eq!(next_base(7, Some(0), 2, 1, 500, 1_000), Err(AmountError::BadInput));
}

#[test]
fn a_base_price_takes_19_epochs_up_and_9_back() {
    let epochs = |from: u64, to: u64| {
        let mut base = from;
        let step = |base: &mut u64| {
            *base = next_base(*base, Some(to), 1_000, u64::MAX, 500, 1_000).unwrap();
            *base
        };
        (1..100).find(|_| step(&mut base) == to)
    };
    assert_eq!((epochs(12_154, 30_000), epochs(30_000, 12_154)), (Some(19), Some(9)));
}

fn stack_input(asks_nc: [u64; 3], beta_bps: u16) -> StackInput {
    StackInput { base_nc: 12_154, asks_nc, beta_bps, phi_bps: 300, caps_bps: [3_000, 2_000, 2_000] }
}

#[test]
fn stacks_price_and_split_as_worked() {
    let rows = [
        ([2_600; 3], 500, 21_690, [1_198, 1_198, 5_606, 500, 1_198, 300]),
        ([2_600; 3], 0, 20_572, [1_263, 1_263, 5_911, 0, 1_263, 300]),
        ([40_000, 2_600, 2_600], 500, 27_991, [2_999, 928, 4_345, 500, 928, 300]),
        ([900_000; 3], 500, 55_246, [2_999, 1_999, 2_203, 500, 1_999, 300]),
        ([0, 0, 600], 500, 13_864, [0, 0, 8_768, 500, 432, 300]),
    ];
    for (asks, beta, price, bps) in rows {
        let priced = price_stack(&stack_input(asks, beta)).unwrap();
        assert_eq!(priced.price_nc, price);
        assert_eq!(split_bps(price, priced.effective_nc, beta, 300), Ok(bps));
    }
    let earlier = price_stack(&StackInput { base_nc: 11_576, ..stack_input([2_600; 3], 500) }).unwrap();
    assert_eq!(earlier.price_nc, 21_061);
    assert_eq!(split_bps(21_061, earlier.effective_nc, 500, 300), Ok([1_234, 1_234, 5_498, 500, 1_234, 300]));
    assert_eq!(price_stack(&StackInput { base_nc: 0, ..stack_input([0; 3], 0) }), Err(AmountError::BadInput));
    assert_eq!(
        price_stack(&StackInput { caps_bps: [5_000, 2_200, 2_000], ..stack_input([0; 3], 500) }),
        Err(AmountError::BadInput)
    );
    assert_eq!(price_stack(&StackInput { base_nc: u64::MAX, ..stack_input([0; 3], 500) }), Err(AmountError::Overflow));
}

#[test]
fn a_payment_splits_as_worked() {
    const ROW: [u16; 6] = [1_198, 1_198, 5_606, 500, 1_198, 300];
    assert_eq!(price_nc(500, 21_690), Some(10_845));
    assert_eq!(split_amount(651_750, &ROW), [78_079, 78_079, 365_374, 32_587, 78_079, 19_552]);
    let aic = debit_aic(651_750, 20_000_000_000).unwrap();
    assert_eq!(aic, 13_035_000);
    let parts = split_amount(aic, &ROW);
    assert_eq!(parts, [1_561_593, 1_561_593, 7_307_421, 651_750, 1_561_593, 391_050]);
    assert_eq!(split_fee(parts[5], &[120, 60, 60, 60]), Some([156_420, 78_210, 78_210, 78_210]));
    for (rate, debit) in [(20_000_000_000, 8_250_000), (25_000_000_000, 10_312_500), (10_000_000_000, 4_125_000)] {
        assert_eq!(debit_aic(412_500, rate), Some(debit));
    }
    assert_eq!(batch_take(1_976_700, 39_534_000, 1_976_700), Ok(39_534_000));
    assert_eq!(claim_amount(1_976_700, 39_534_000, 651_750), Ok(13_035_000));
    assert_eq!(batch_take(1, 1, 2), Err(AmountError::BadInput));
    assert_eq!(claim_amount(1, 1, 2), Err(AmountError::BadInput));
}

#[test]
fn lineage_and_weaver_parts_leave_the_remainder_to_the_last() {
    let split = lineage_split(78_079, &[1_500, 700, 400]).unwrap();
    assert_eq!(split.bps[..3], [5_769, 2_692, 1_539]);
    assert_eq!(split.parts[..3], [45_043, 21_018, 12_018]);
    let unasked = lineage_split(10, &[0, 0]).unwrap();
    assert_eq!((unasked.bps[1], unasked.parts[1]), (10_000, 10));
    assert_eq!(lineage_split(1, &[]), Err(AmountError::BadInput));
    assert_eq!(lineage_split(8, &[1; 8]).map(|s| s.parts), Ok([1; 8]));
    assert_eq!(lineage_split(1, &[1; 9]), Err(AmountError::BadInput));
    let parts = [0, 1, 2].map(|stage| weaver_ask(100, &[1, 1, 1], stage));
    assert_eq!(parts, [Some(33), Some(33), Some(34)]);
    assert_eq!(weaver_ask(100, &[1, 1, 1], 3), None);
}

#[test]
fn routing_weights_and_asks_as_worked() {
    let offers = [(10_000, 21_689), (10_000, 22_800), (9_500, 19_900), (11_000, 24_000)];
    let weights = offers.map(|(q, price)| route_weight(q, price, 11_000, 19_900, 10).unwrap());
    assert_eq!(weights, [170_926, 103_718, 242_052, 161_071]);
    let picked = pick(&sha("request"), &sha("epoch"), 0, &weights).unwrap();
    assert!(picked < weights.len());
    for attempt in 0..=255 {
        let digest = sha([b"AI-RT", &sha("request")[..], &sha("epoch")[..], &[attempt]].concat());
        let point = u128::from_le_bytes(digest[..16].try_into().unwrap()) % 6;
        let expected = [0, 1, 1, 2, 2, 2][point as usize];
        assert_eq!(pick(&sha("request"), &sha("epoch"), attempt, &[1, 2, 3]), Some(expected));
    }
    assert_eq!(pick(&sha("request"), &sha("epoch"), 0, &[0, 0]), None);
    assert_eq!(pick(&sha("request"), &sha("epoch"), 0, &[0, 5, 0]), Some(1));
    for (ask, want, stepped) in [(2_600, 9_000, 2_730), (2_600, 100, 2_340), (0, 50, 1), (3, 100, 4), (3, 0, 2)] {
        assert_eq!(step_ask(ask, want, 500, 1_000, u64::MAX), Ok(stepped));
    }
    assert_eq!(step_ask(2_600, 9_000, 500, 1_000, 2_650), Ok(2_650));
}

#[test]
fn audits_thin_out_with_passes_and_the_slash_deters() {
    let rates = [0, 50, 200, 450, 950, 10_000].map(audit_rate_bps);
    assert_eq!(rates, [2_000, 1_000, 400, 200, 100, 100]);
    // Gain $9.1e-5 at p 1 %, q 0.9: λ = 90 bps, the slash is about a cent.
    assert_eq!(min_slash(91_000, 90), Some(10_020_112));
    // $0.02, 90 % of a 57 % share saved.
    assert_eq!(min_slash(10_260_000, 90), Some(1_129_740_000));
    assert_eq!(min_slash(1, 0), None);
}

#[test]
fn promotion_prices_and_pacing_as_worked() {
    let bid = |id, bid_nc, quality_bps| Bid { id, bid_nc, quality_bps };
    let bids =
        [bid('A', 500_000, 9_000), bid('B', 420_000, 11_000), bid('C', 300_000, 10_000), bid('D', 200_000, 8_000)];
    let alpha = [10_000, 6_000, 3_000];
    let shown = |slots: Vec<waybill_mechanism::vcg::Slot<char>>| {
        slots.into_iter().map(|s| (s.id, s.price_nc)).collect::<Vec<_>>()
    };
    assert_eq!(shown(gsp(&alpha, 50_000, &bids).unwrap()), [('B', 409_091), ('A', 333_334), ('C', 160_000)]);
    assert_eq!(shown(vcg(&alpha, 50_000, &bids).unwrap()), [('B', 289_091), ('A', 255_556), ('C', 160_000)]);
    assert_eq!(vcg(&[5_000, 6_000], 0, &bids), Err(AmountError::BadInput), "increasing slot values");
    assert_eq!(vcg(&[5_000, 0], 0, &bids), Err(AmountError::BadInput), "a worthless slot");
    assert_eq!(vcg(&alpha, 0, &[bid('A', 1, 9_000), bid('A', 2, 9_000)]), Err(AmountError::BadInput), "equal ids");
    assert_eq!(vcg(&alpha, 0, &[bid('A', 1, 4_999)]), Err(AmountError::BadInput), "quality out of range");

    let tied = [bid('B', 100_000, 9_000), bid('A', 90_000, 10_000), bid('C', 50_000, 10_000), bid('D', 49_999, 10_000)];
    let sold = [('A', 90_000), ('B', 55_556), ('C', 50_000)];
    assert_eq!(shown(gsp(&alpha, 50_000, &tied).unwrap()), sold, "equal scores go by id, a bid at the reserve is in");

    assert_eq!(next_pace(10_000, 7, 10), 9_142, "the error is floored, away from zero when overspent");
    let mut pace = 10_000;
    let path = [2_000, 1_600, 1_200, 900, 700, 1_000].map(|spent| {
        pace = next_pace(pace, 1_000, spent);
        pace
    });
    assert_eq!(path, [8_000, 7_040, 6_758, 6_893, 7_306, 7_306]);
}
