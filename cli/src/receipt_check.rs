//! Does a receipt prove what was charged? Pure: the gateway's bundle against what the chain says, one named check after
//! the other, and the six amounts that the charge divides into. Nothing the gateway merely claims is believed.

use anchor_lang::prelude::Pubkey;
use serde::{Deserialize, Serialize};
use waybill_chain::{
    market::state::{Artifact, Container, Node, SplitSnapshot},
    settlement::state::{Batch, BatchState},
};
use waybill_mechanism::{
    amount,
    batch::claim_amount,
    merkle,
    message::{ChargeNote, Line, Order, Receipt, ctx_hash, flags, line_key},
    stack,
};
use waybill_protocol::{ChannelId, ContainerId, WalletId, signing};

/// What `GET /v1/receipts/{id}` answers, as far as it is checked. Byte strings are hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bundle {
    pub id: String,
    pub model: String,
    pub channel: ChannelId,
    pub nonce: u64,
    pub container: ContainerId,
    pub stage: u8,
    pub referrer: Option<WalletId>,
    pub charge_nc: u64,
    #[serde(with = "hex::serde")]
    pub receipt: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub worker_signature: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub gateway_signature: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub order: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub order_signature: Vec<u8>,
    pub note: Option<Note>,
    pub batch: Option<Inclusion>,
}

/// The gateway's signed word to the consumer on what this nonce was charged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    #[serde(with = "hex::serde")]
    pub note: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub signature: Vec<u8>,
}

/// Where the receipt and its line stand in their batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inclusion {
    pub gateway: WalletId,
    pub epoch: u32,
    pub shard: u16,
    /// The gateway's word; the chain decides.
    pub status: String,
    pub n_receipts: u32,
    pub receipts_root: ProofNode,
    pub leaf: u32,
    pub proof: Vec<ProofNode>,
    pub n_lines: u32,
    pub lines_root: ProofNode,
    #[serde(with = "hex::serde")]
    pub line: Vec<u8>,
    pub line_proof: Vec<ProofNode>,
}

/// A node of a Merkle-sum tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProofNode {
    #[serde(with = "hex::serde")]
    pub hash: [u8; 32],
    /// Nano-credits.
    pub sum: u64,
}

impl ProofNode {
    fn node(&self) -> merkle::Node {
        merkle::Node { hash: self.hash, sum: self.sum }
    }
}

/// What the chain says about a receipt, each account read at the address that the receipt's own fields lead to.
#[derive(Debug, Default)]
pub struct ChainFacts {
    /// The network's domain.
    pub domain: [u8; 8],
    pub container: Option<Container>,
    /// The artifact that the container's stage runs.
    pub artifact: Option<Artifact>,
    /// The snapshot of the receipt's pricing epoch.
    pub snapshot: Option<SplitSnapshot>,
    /// The worker's delegation.
    pub node: Option<Node>,
    /// The gateway of the channel that paid; none when the channel was closed since.
    pub channel_gateway: Option<Pubkey>,
    /// The batch of the receipt's gateway and epoch, of the shard that the bundle names.
    pub batch: Option<Batch>,
    /// The referrer is a curator with stake.
    pub curator_active: bool,
}

/// How one check ended, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    Holds(String),
    Fails(String),
    /// Cannot be known yet.
    Pending(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What the whole receipt is worth as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Verified,
    Pending,
    Failed,
}

/// One of the six parts of the charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub role: &'static str,
    pub bps: u16,
    pub nc: u64,
    /// AIC base units of this receipt alone, rounded down as the chain rounds its line; none until the batch is final.
    pub aic: Option<u64>,
    /// Whose earnings it reaches; none for what is burned or divided as protocol fee.
    pub payee: Option<String>,
}

/// The checks in their order and, when the snapshot holds, the six parts.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub outcome: Outcome,
    pub checks: Vec<Check>,
    pub parts: Vec<Part>,
}

/// Names of the checks.
pub mod name {
    pub const RECEIPT: &str = "receipt bytes";
    pub const WORKER_SIGNATURE: &str = "worker signature";
    pub const GATEWAY_SIGNATURE: &str = "gateway signature";
    pub const DEPLOYMENT: &str = "deployment";
    pub const WORKER: &str = "worker key";
    pub const MODEL: &str = "model hash";
    pub const ORDER: &str = "order signature";
    pub const REQUEST: &str = "request hash";
    pub const LINE_KEY: &str = "line key";
    pub const SNAPSHOT: &str = "snapshot";
    pub const PRICE: &str = "price";
    pub const CHARGE: &str = "charge";
    pub const INCLUSION: &str = "inclusion";
    pub const LINE: &str = "line inclusion";
}

/// The reason, in a check that holds or that fails.
type Finding = Result<String, String>;

/// `Err` with the reason when the condition does not hold.
fn hold(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}

/// Holds a bundle against the chain.
pub fn check(bundle: &Bundle, facts: &ChainFacts) -> Report {
    let receipt = match Receipt::from_bytes(&bundle.receipt) {
        Ok(receipt) => receipt,
        Err(error) => {
            let checks = vec![Check { name: name::RECEIPT, verdict: Verdict::Fails(error.to_string()) }];
            return Report { outcome: Outcome::Failed, checks, parts: vec![] };
        }
    };
    let order = Order::from_bytes(&bundle.order).map_err(|error| format!("the order cannot be read: {error}"));
    let case = Case { bundle, facts, receipt: &receipt };
    let findings: [(&'static str, Finding); 11] = [
        (name::WORKER_SIGNATURE, case.worker_signature()),
        (name::GATEWAY_SIGNATURE, case.gateway_signature()),
        (name::DEPLOYMENT, case.deployment()),
        (name::WORKER, case.worker()),
        (name::MODEL, case.model()),
        (name::ORDER, order.clone().and_then(|order| case.order(&order))),
        (name::REQUEST, order.and_then(|order| case.request(&order))),
        (name::LINE_KEY, case.line_key()),
        (name::SNAPSHOT, case.snapshot()),
        (name::PRICE, case.price()),
        (name::CHARGE, case.charge()),
    ];
    let mut checks: Vec<Check> = findings
        .into_iter()
        .map(|(name, finding)| Check { name, verdict: finding.map_or_else(Verdict::Fails, Verdict::Holds) })
        .collect();
    checks.push(Check { name: name::INCLUSION, verdict: case.settled(Case::inclusion) });
    checks.push(Check { name: name::LINE, verdict: case.settled(Case::line) });

    let snapshot_holds = checks.iter().any(|check| check.name == name::SNAPSHOT && matches!(check.verdict, Verdict::Holds(_)));
    let outcome = if checks.iter().any(|check| matches!(check.verdict, Verdict::Fails(_))) {
        Outcome::Failed
    } else if checks.iter().any(|check| matches!(check.verdict, Verdict::Pending(_))) {
        Outcome::Pending
    } else {
        Outcome::Verified
    };
    Report { outcome, checks, parts: if snapshot_holds { case.parts() } else { vec![] } }
}

/// One receipt with everything it is held against.
struct Case<'a> {
    bundle: &'a Bundle,
    facts: &'a ChainFacts,
    receipt: &'a Receipt,
}

impl Case<'_> {
    fn referrer(&self) -> WalletId {
        self.bundle.referrer.unwrap_or(WalletId::NONE)
    }

    fn worker_signature(&self) -> Finding {
        let worker = &self.receipt.worker;
        hold(signing::verify(worker, &self.bundle.receipt, &self.bundle.worker_signature), || "is not the worker's over these bytes".into())?;
        Ok(format!("by {}", Pubkey::new_from_array(*worker)))
    }

    fn gateway_signature(&self) -> Finding {
        let gateway = &self.receipt.gateway;
        hold(signing::verify(gateway, &self.bundle.receipt, &self.bundle.gateway_signature), || "is not the gateway's over these bytes".into())?;
        Ok(format!("by {}", Pubkey::new_from_array(*gateway)))
    }

    fn deployment(&self) -> Finding {
        let (said, ours) = (self.receipt.domain, self.facts.domain);
        hold(said == ours, || format!("the receipt is of network {}, this chain is {}", hex::encode(said), hex::encode(ours)))?;
        Ok(hex::encode(ours))
    }

    fn worker(&self) -> Finding {
        let node = self.facts.node.as_ref().ok_or("the worker's key is not delegated on this chain")?;
        hold(node.worker.to_bytes() == self.receipt.worker, || "the delegation is another worker's".into())?;
        hold(node.det_class == self.receipt.det_class, || "the receipt names another determinism class than the delegation".into())?;
        Ok(format!("delegated by {}", node.operator))
    }

    fn model(&self) -> Finding {
        let container = self.facts.container.as_ref().ok_or("the container is not on this chain")?;
        hold(container.id == self.bundle.container.0, || "the chain has another container at this address".into())?;
        hold(container.name == self.bundle.model, || format!("the container is called {:?} on chain, not {:?}", container.name, self.bundle.model))?;
        let stage = container.stages.get(usize::from(self.bundle.stage)).ok_or("the container has no such stage")?;
        let (ran, promised) = (hex::encode(self.receipt.artifact), hex::encode(stage.artifact));
        hold(ran == promised, || format!("the worker ran {ran}, the container promises {promised}"))?;
        Ok(ran)
    }

    fn order(&self, order: &Order) -> Finding {
        let gateway = &self.receipt.gateway;
        hold(signing::verify(gateway, &self.bundle.order, &self.bundle.order_signature), || "is not the gateway's over this order".into())?;
        hold(order.domain == self.receipt.domain, || "the order is of another network".into())?;
        hold(order.channel == self.bundle.channel.0, || "the order is of another channel".into())?;
        hold(order.nonce == self.bundle.nonce, || "the order has another nonce".into())?;
        let known = self.facts.channel_gateway;
        hold(known.is_none_or(|known| known.to_bytes() == *gateway), || "the channel belongs to another gateway".into())?;
        Ok(format!("channel {}, nonce {}", self.bundle.channel, order.nonce))
    }

    fn request(&self, order: &Order) -> Finding {
        hold(order.hash() == self.receipt.request_hash, || "the receipt is for another order".into())?;
        let paid_for = ctx_hash(&self.bundle.container.0, &self.receipt.input_hash, order.max_price_nc, &self.referrer().0, None);
        hold(paid_for == order.ctx_hash, || "the order was for another container, input, price or referrer".into())?;
        hold(self.receipt.flags & flags::DELEGATED != 0, || "the receipt does not say that it was paid by an order".into())?;
        hold(self.receipt.price_nc <= order.max_price_nc, || "the price is above what the order allows".into())?;
        Ok(format!("at most {} nc were ordered", order.max_price_nc))
    }

    fn line_key(&self) -> Finding {
        let key = line_key(&self.bundle.container.0, self.bundle.stage, &self.receipt.worker, &self.referrer().0);
        hold(key == self.receipt.line_key, || "is not that of this container, stage, worker and referrer".into())?;
        Ok(hex::encode(key))
    }

    fn snapshot(&self) -> Finding {
        let snapshot = self.facts.snapshot.as_ref().ok_or("nobody froze the split of this pricing epoch")?;
        let artifact = self.facts.artifact.as_ref().ok_or("the artifact is not registered on this chain")?;
        let container = self.facts.container.as_ref().ok_or("the container is not on this chain")?;
        let pricing = amount::pricing_epoch(self.receipt.epoch);
        let is_it = snapshot.container == self.bundle.container.0 && snapshot.stage == self.bundle.stage && snapshot.pricing_epoch == pricing;
        hold(is_it, || "is that of another container, stage or pricing epoch".into())?;
        hold(stack::is_whole(&snapshot.bps), || "its six shares are not 10,000 basis points".into())?;
        hold(snapshot.artifact == self.receipt.artifact, || "it was frozen for another model".into())?;
        hold(artifact.hash == snapshot.artifact, || "its artifact is another one".into())?;
        let payees = &snapshot.payees;
        hold(payees.vendor == artifact.vendor, || format!("it pays {} instead of the vendor {}", payees.vendor, artifact.vendor))?;
        hold(payees.oem == artifact.oem, || format!("it pays {} instead of the OEM {}", payees.oem, artifact.oem))?;
        hold(payees.weaver == container.creator, || format!("it pays {} instead of the weaver {}", payees.weaver, container.creator))?;
        Ok(format!("pricing epoch {pricing}, {} nc per 1,000 units", snapshot.price_nc))
    }

    fn price(&self) -> Finding {
        let snapshot = self.facts.snapshot.as_ref().ok_or("there is no snapshot to price it by")?;
        let units = u64::from(self.receipt.units_in) + u64::from(self.receipt.units_out);
        let most = amount::price_nc(units, snapshot.price_nc).ok_or("the price exceeds 64 bits")?;
        let price = self.receipt.price_nc;
        hold(price <= most, || format!("{price} nc for {units} units, the snapshot allows {most} nc"))?;
        Ok(format!("{price} nc for {units} units, at most {most} nc"))
    }

    /// What the gateway says it charged, and the note that the consumer holds.
    fn charge(&self) -> Finding {
        let price = self.receipt.price_nc;
        hold(self.bundle.charge_nc == price, || format!("the gateway says {} nc, the receipt {price} nc", self.bundle.charge_nc))?;
        let Some(signed) = &self.bundle.note else {
            return Ok(format!("{price} nc; the charge note is not signed yet"));
        };
        let note = ChargeNote::from_bytes(&signed.note).map_err(|error| format!("the charge note cannot be read: {error}"))?;
        hold(signing::verify(&self.receipt.gateway, &signed.note, &signed.signature), || "the charge note's signature is not the gateway's".into())?;
        let ours = note.domain == self.receipt.domain && note.channel == self.bundle.channel.0 && note.nonce == self.bundle.nonce;
        hold(ours, || "the charge note is for another request".into())?;
        hold(note.charge_nc == price, || format!("the charge note says {} nc, the receipt {price} nc", note.charge_nc))?;
        Ok(format!("{price} nc, acknowledged in a signed note"))
    }

    /// A check that needs the batch on chain.
    fn settled(&self, check: fn(&Self, &Inclusion, &Batch) -> Finding) -> Verdict {
        let Some(inclusion) = &self.bundle.batch else {
            return Verdict::Pending(format!("epoch {} is not batched yet", self.receipt.epoch));
        };
        let Some(batch) = &self.facts.batch else {
            if inclusion.status == "built" {
                return Verdict::Pending(format!("the batch of epoch {} is not posted yet", inclusion.epoch));
            }
            let why = format!("the gateway says that its batch is {}, the chain has none: wrong chain, or its account was closed", inclusion.status);
            return Verdict::Fails(why);
        };
        check(self, inclusion, batch).map_or_else(Verdict::Fails, Verdict::Holds)
    }

    fn inclusion(&self, inclusion: &Inclusion, batch: &Batch) -> Finding {
        let mine = batch.gateway.to_bytes() == self.receipt.gateway && batch.epoch == self.receipt.epoch && batch.shard == inclusion.shard;
        hold(mine, || "the batch is another gateway's or another epoch's".into())?;
        let stated = inclusion.gateway.0 == self.receipt.gateway && inclusion.epoch == self.receipt.epoch;
        hold(stated, || "the gateway names a batch of another gateway or epoch".into())?;
        let root = merkle::Node { hash: batch.receipts_root, sum: batch.sum_nc };
        hold(inclusion.receipts_root.node() == root, || "the gateway names another root than the one on chain".into())?;
        hold(inclusion.n_receipts == batch.n_receipts, || "the gateway names another number of receipts than the chain".into())?;
        let leaf = merkle::leaf(&self.bundle.receipt, self.receipt.price_nc);
        let proof: Vec<merkle::Node> = inclusion.proof.iter().map(ProofNode::node).collect();
        merkle::verify(&root, batch.n_receipts, inclusion.leaf, &leaf, &proof).map_err(|error| error.to_string())?;
        Ok(format!("receipt {} of {} under root {}", inclusion.leaf, batch.n_receipts, hex::encode(root.hash)))
    }

    fn line(&self, inclusion: &Inclusion, batch: &Batch) -> Finding {
        let line = Line::from_bytes(&inclusion.line).map_err(|error| format!("the line cannot be read: {error}"))?;
        hold(line.key() == self.receipt.line_key && line.epoch == self.receipt.epoch, || "is the line of other receipts".into())?;
        let covered = inclusion.leaf.checked_sub(line.first_receipt).is_some_and(|place| place < line.n_receipts);
        hold(covered, || "the line does not cover this receipt".into())?;
        hold(line.credits_nc >= self.receipt.price_nc, || "the line is worth less than this receipt".into())?;
        let root = merkle::Node { hash: batch.lines_root, sum: batch.sum_nc };
        hold(inclusion.lines_root.node() == root, || "the gateway names another root than the one on chain".into())?;
        hold(inclusion.n_lines == batch.n_lines, || "the gateway names another number of lines than the chain".into())?;
        let leaf = merkle::leaf(&inclusion.line, line.credits_nc);
        let proof: Vec<merkle::Node> = inclusion.line_proof.iter().map(ProofNode::node).collect();
        merkle::verify(&root, batch.n_lines, line.index, &leaf, &proof).map_err(|error| error.to_string())?;
        Ok(format!("line {} of {}, {} nc in {} receipts", line.index, batch.n_lines, line.credits_nc, line.n_receipts))
    }

    /// The six parts of the charge; they sum to it.
    fn parts(&self) -> Vec<Part> {
        let Some(snapshot) = &self.facts.snapshot else { return vec![] };
        let nc = stack::split_amount(self.receipt.price_nc, &snapshot.bps);
        let aic = self.facts.batch.as_ref().filter(|batch| batch.state != BatchState::Posted).and_then(|batch| {
            let worth = claim_amount(batch.sum_nc, batch.aic, self.receipt.price_nc).ok()?;
            Some(stack::split_amount(worth, &snapshot.bps))
        });
        let payees = &snapshot.payees;
        let wallet = |key: &Pubkey| (*key != Pubkey::default()).then(|| key.to_string());
        let referrer = self.bundle.referrer.filter(|_| self.facts.curator_active).map(|referrer| referrer.to_string());
        let provider = self.facts.node.as_ref().map(|node| node.operator.to_string());
        let curator = if referrer.is_some() { "curator" } else { "burned" };
        let roles = [
            ("vendor", wallet(&payees.vendor)),
            ("oem", wallet(&payees.oem)),
            ("provider", provider),
            (curator, referrer),
            ("weaver", wallet(&payees.weaver)),
            ("protocol", None),
        ];
        let each = roles.into_iter().enumerate();
        each.map(|(i, (role, payee))| Part { role, bps: snapshot.bps[i], nc: nc[i], aic: aic.map(|aic| aic[i]), payee }).collect()
    }
}
