//! Does a receipt prove what was charged? Pure: the gateway's bundle against what the chain says, one named check after
//! the other, and the six amounts that the charge divides into. Nothing the gateway merely claims is believed.

use anchor_lang::prelude::Pubkey;
use serde::{Deserialize, Serialize};
use waybill_chain::{
    ix,
    market::{
        seeds::find_royalties,
        state::{Artifact, Container, Node, Royalties, SplitSnapshot},
    },
    routing::CLASSES,
    settlement::state::{Batch, BatchState},
};
use waybill_mechanism::{
    amount,
    batch::claim_amount,
    merkle,
    message::{ChargeNote, Line, Order, Receipt, ctx_hash, flags, line_key},
    routing::class_id,
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
    pub fn node(&self) -> merkle::Node {
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
    /// The royalty table of that pricing epoch, where the model is derived.
    pub royalties: Option<Royalties>,
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
    /// How the vendors of a derived model's lineage share it, root first; empty for any other part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
}

/// What one vendor of a lineage gets of the vendor's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Of the vendor's part.
    pub bps: u16,
    pub nc: u64,
    /// AIC base units, as of [`Part::aic`].
    pub aic: Option<u64>,
    pub payee: String,
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

    let snapshot_holds =
        checks.iter().any(|check| check.name == name::SNAPSHOT && matches!(check.verdict, Verdict::Holds(_)));
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
        hold(signing::verify(worker, &self.bundle.receipt, &self.bundle.worker_signature), || {
            "is not the worker's over these bytes".into()
        })?;
        Ok(format!("by {}", Pubkey::new_from_array(*worker)))
    }

    fn gateway_signature(&self) -> Finding {
        let gateway = &self.receipt.gateway;
        hold(signing::verify(gateway, &self.bundle.receipt, &self.bundle.gateway_signature), || {
            "is not the gateway's over these bytes".into()
        })?;
        Ok(format!("by {}", Pubkey::new_from_array(*gateway)))
    }

    fn deployment(&self) -> Finding {
        let (said, ours) = (self.receipt.domain, self.facts.domain);
        hold(said == ours, || {
            format!("the receipt is of network {}, this chain is {}", hex::encode(said), hex::encode(ours))
        })?;
        Ok(hex::encode(ours))
    }

    fn worker(&self) -> Finding {
        let node = self.facts.node.as_ref().ok_or("the worker's key is not delegated on this chain")?;
        hold(node.worker.to_bytes() == self.receipt.worker, || "the delegation is another worker's".into())?;
        hold(node.det_class == self.receipt.det_class, || {
            "the receipt names another determinism class than the delegation".into()
        })?;
        Ok(format!("delegated by {}", node.operator))
    }

    fn model(&self) -> Finding {
        let container = self.facts.container.as_ref().ok_or("the container is not on this chain")?;
        hold(container.id == self.bundle.container.0, || "the chain has another container at this address".into())?;
        hold(container.name == self.bundle.model, || {
            format!("the container is called {:?} on chain, not {:?}", container.name, self.bundle.model)
        })?;
        let stage = container.stages.get(usize::from(self.bundle.stage)).ok_or("the container has no such stage")?;
        let (ran, promised) = (hex::encode(self.receipt.artifact), hex::encode(stage.artifact));
        hold(ran == promised, || format!("the worker ran {ran}, the container promises {promised}"))?;
        Ok(ran)
    }

    fn order(&self, order: &Order) -> Finding {
        let gateway = &self.receipt.gateway;
        hold(signing::verify(gateway, &self.bundle.order, &self.bundle.order_signature), || {
            "is not the gateway's over this order".into()
        })?;
        hold(order.domain == self.receipt.domain, || "the order is of another network".into())?;
        hold(order.channel == self.bundle.channel.0, || "the order is of another channel".into())?;
        hold(order.nonce == self.bundle.nonce, || "the order has another nonce".into())?;
        let known = self.facts.channel_gateway;
        hold(known.is_none_or(|known| known.to_bytes() == *gateway), || {
            "the channel belongs to another gateway".into()
        })?;
        Ok(format!("channel {}, nonce {}", self.bundle.channel, order.nonce))
    }

    fn request(&self, order: &Order) -> Finding {
        hold(order.hash() == self.receipt.request_hash, || "the receipt is for another order".into())?;
        let slots = self.slots();
        let is_paid_for = |subject: &[u8; 32]| {
            let (input, referrer) = (&self.receipt.input_hash, self.referrer().0);
            let context = |slot: &Option<[u8; 32]>| {
                ctx_hash(subject, input, order.max_price_nc, &referrer, slot.as_ref()) == order.ctx_hash
            };
            slots.iter().any(context)
        };
        // A class request names the class; its container was picked by hash.
        let class = CLASSES.map(|(name, _)| (name, class_id(name))).into_iter().find(|(_, id)| is_paid_for(id));
        hold(class.is_some() || is_paid_for(&self.bundle.container.0), || {
            "the order was for another container, input, price or referrer".into()
        })?;
        hold(self.receipt.flags & flags::DELEGATED != 0, || {
            "the receipt does not say that it was paid by an order".into()
        })?;
        hold(self.receipt.price_nc <= order.max_price_nc, || "the price is above what the order allows".into())?;
        let of = class.map_or_else(String::new, |(name, _)| format!(" for the class {name}"));
        Ok(format!("at most {} nc were ordered{of}", order.max_price_nc))
    }

    /// The promotion slots that the order can name: none, or the auctions of the day in the container's markets. A request
    /// that began before midnight came through the slots of the day before.
    fn slots(&self) -> Vec<Option<[u8; 32]>> {
        if self.receipt.flags & flags::SPONSORED == 0 {
            return vec![None];
        }
        let today = amount::pricing_epoch(self.receipt.epoch);
        let stages = self.facts.container.iter().flat_map(|container| &container.stages);
        let auctions = stages.flat_map(|stage| {
            [today, today.saturating_sub(1)].map(|day| Some(ix::promo::auction(stage.market, day).to_bytes()))
        });
        auctions.collect()
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
        let is_it = snapshot.container == self.bundle.container.0
            && snapshot.stage == self.bundle.stage
            && snapshot.pricing_epoch == pricing;
        hold(is_it, || "is that of another container, stage or pricing epoch".into())?;
        hold(stack::is_whole(&snapshot.bps), || "its six shares are not 10,000 basis points".into())?;
        hold(snapshot.artifact == self.receipt.artifact, || "it was frozen for another model".into())?;
        hold(artifact.hash == snapshot.artifact, || "its artifact is another one".into())?;
        let payees = &snapshot.payees;
        let vendor = if snapshot.derived { self.royalties(artifact, pricing)? } else { artifact.vendor };
        hold(payees.vendor == vendor, || format!("it pays {} instead of the vendor {vendor}", payees.vendor))?;
        hold(payees.oem == artifact.oem, || format!("it pays {} instead of the OEM {}", payees.oem, artifact.oem))?;
        hold(payees.weaver == container.creator, || {
            format!("it pays {} instead of the weaver {}", payees.weaver, container.creator)
        })?;
        Ok(format!("pricing epoch {pricing}, {} nc per 1,000 units", snapshot.price_nc))
    }

    /// The address that earns for the vendors of a derived model's lineage, once its table is the right one.
    fn royalties(&self, artifact: &Artifact, pricing: u32) -> Result<Pubkey, String> {
        let table =
            self.facts.royalties.as_ref().ok_or("the royalty table of the derived model is not on this chain")?;
        let is_it = table.artifact == artifact.hash && table.pricing_epoch == pricing;
        hold(is_it, || "its royalty table is that of another model or pricing epoch".into())?;
        let own = table.rows().last().map(|row| row.owner);
        hold(own == Some(artifact.vendor), || "its royalty table leaves out the model's own vendor".into())?;
        Ok(find_royalties(&artifact.hash, pricing).0)
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
        hold(self.bundle.charge_nc == price, || {
            format!("the gateway says {} nc, the receipt {price} nc", self.bundle.charge_nc)
        })?;
        let Some(signed) = &self.bundle.note else {
            return Ok(format!("{price} nc; the charge note is not signed yet"));
        };
        let note =
            ChargeNote::from_bytes(&signed.note).map_err(|error| format!("the charge note cannot be read: {error}"))?;
        hold(signing::verify(&self.receipt.gateway, &signed.note, &signed.signature), || {
            "the charge note's signature is not the gateway's".into()
        })?;
        let ours = note.domain == self.receipt.domain
            && note.channel == self.bundle.channel.0
            && note.nonce == self.bundle.nonce;
        hold(ours, || "the charge note is for another request".into())?;
        hold(note.charge_nc == price, || {
            format!("the charge note says {} nc, the receipt {price} nc", note.charge_nc)
        })?;
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
            let why = format!(
                "the gateway says that its batch is {}, the chain has none: wrong chain, or its account was closed",
                inclusion.status
            );
            return Verdict::Fails(why);
        };
        check(self, inclusion, batch).map_or_else(Verdict::Fails, Verdict::Holds)
    }

    fn inclusion(&self, inclusion: &Inclusion, batch: &Batch) -> Finding {
        let mine = batch.gateway.to_bytes() == self.receipt.gateway
            && batch.epoch == self.receipt.epoch
            && batch.shard == inclusion.shard;
        hold(mine, || "the batch is another gateway's or another epoch's".into())?;
        let stated = inclusion.gateway.0 == self.receipt.gateway && inclusion.epoch == self.receipt.epoch;
        hold(stated, || "the gateway names a batch of another gateway or epoch".into())?;
        let root = merkle::Node { hash: batch.receipts_root, sum: batch.sum_nc };
        hold(inclusion.receipts_root.node() == root, || "the gateway names another root than the one on chain".into())?;
        hold(inclusion.n_receipts == batch.n_receipts, || {
            "the gateway names another number of receipts than the chain".into()
        })?;
        let leaf = merkle::leaf(&self.bundle.receipt, self.receipt.price_nc);
        let proof: Vec<merkle::Node> = inclusion.proof.iter().map(ProofNode::node).collect();
        merkle::verify(&root, batch.n_receipts, inclusion.leaf, &leaf, &proof).map_err(|error| error.to_string())?;
        Ok(format!("receipt {} of {} under root {}", inclusion.leaf, batch.n_receipts, hex::encode(root.hash)))
    }

    fn line(&self, inclusion: &Inclusion, batch: &Batch) -> Finding {
        let line = Line::from_bytes(&inclusion.line).map_err(|error| format!("the line cannot be read: {error}"))?;
        hold(line.key() == self.receipt.line_key && line.epoch == self.receipt.epoch, || {
            "is the line of other receipts".into()
        })?;
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
        let mut parts: Vec<Part> = each
            .map(|(i, (role, payee))| {
                let aic = aic.map(|aic| aic[i]);
                Part { role, bps: snapshot.bps[i], nc: nc[i], aic, payee, shares: vec![] }
            })
            .collect();
        if let (true, Some(table), [vendor, ..]) = (snapshot.derived, &self.facts.royalties, parts.as_mut_slice()) {
            vendor.shares = shares(table, vendor.nc, vendor.aic);
        }
        parts
    }
}

/// How a table's rows share the vendor's part; they sum to it. None when the table cannot divide it.
fn shares(table: &Royalties, nc: u64, aic: Option<u64>) -> Vec<Share> {
    let (Ok(nc), aic) = (table.split(nc), aic.and_then(|aic| table.split(aic).ok())) else { return vec![] };
    let rows = table.rows().iter().enumerate();
    rows.map(|(i, row)| Share {
        bps: nc.bps[i],
        nc: nc.parts[i],
        aic: aic.as_ref().map(|aic| aic.parts[i]),
        payee: row.owner.to_string(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use solana_keypair::Keypair;
    use solana_signer::Signer;
    use waybill_chain::market::{
        constants::MAX_ANCESTORS,
        state::{Ancestor, ContainerState, Licence, Payees, RoyaltyRow, Stage, StageKind},
    };
    use waybill_mechanism::merkle::Tree;

    const DOMAIN: [u8; 8] = [7; 8];
    const EPOCH: u32 = 1_000;
    const SHARD: u16 = 2;
    const CONTAINER: [u8; 32] = [3; 32];
    const ARTIFACT: [u8; 32] = [5; 32];
    const INPUT: [u8; 32] = [8; 32];
    const PRICE_PER_1K: u64 = 12_154;
    const BPS: [u16; 6] = [1_000, 500, 6_700, 500, 1_000, 300];
    /// Receipts of the epoch: of this line, and of another worker's after it.
    const MINE: u32 = 3;
    const OTHERS: u32 = 2;
    /// The receipt under test, the middle one of its line.
    const LEAF: u32 = 1;

    fn key(byte: u8) -> Pubkey {
        Pubkey::new_from_array([byte; 32])
    }

    fn node(node: &merkle::Node) -> ProofNode {
        ProofNode { hash: node.hash, sum: node.sum }
    }

    fn nodes(tree: &Tree, index: u32) -> Vec<ProofNode> {
        tree.proof(index as usize).unwrap().iter().map(node).collect()
    }

    /// An epoch as gateway and workers make it, settled on chain.
    struct World {
        gateway: Keypair,
        worker: Keypair,
        bundle: Bundle,
        facts: ChainFacts,
    }

    fn receipt(world: (&Keypair, &Keypair), referrer: &WalletId, order: &Order, seq: u32) -> Receipt {
        let (gateway, worker) = (world.0.pubkey().to_bytes(), world.1.pubkey().to_bytes());
        let price_nc = amount::price_nc(25, PRICE_PER_1K).unwrap();
        Receipt {
            flags: flags::DELEGATED,
            det_class: 1,
            domain: DOMAIN,
            epoch: EPOCH,
            seq,
            gateway,
            worker,
            line_key: line_key(&CONTAINER, 0, &worker, &referrer.0),
            artifact: ARTIFACT,
            request_hash: order.hash(),
            input_hash: INPUT,
            output_hash: [9; 32],
            evidence_hash: [0; 32],
            units_in: 10,
            units_out: 15,
            price_nc,
            cum_nc: price_nc * u64::from(seq + 1),
            t_start_ms: 60_000_000,
            t_end_ms: 60_000_500,
        }
    }

    fn line(
        index: u32,
        worker: &Keypair,
        referrer: &WalletId,
        first_receipt: u32,
        n_receipts: u32,
        credits_nc: u64,
    ) -> [u8; Line::LEN] {
        let worker = worker.pubkey().to_bytes();
        Line {
            stage: 0,
            epoch: EPOCH,
            index,
            container: CONTAINER,
            worker,
            referrer: referrer.0,
            first_receipt,
            n_receipts,
            credits_nc,
        }
        .to_bytes()
    }

    fn world() -> World {
        let (gateway, worker, other) = (Keypair::new(), Keypair::new(), Keypair::new());
        let (referrer, channel, max_price_nc, nonce) = (WalletId([11; 32]), ChannelId([12; 32]), 5_000, 41);
        let paid_for = ctx_hash(&CONTAINER, &INPUT, max_price_nc, &referrer.0, None);
        let order = Order { domain: DOMAIN, channel: channel.0, nonce, max_price_nc, ctx_hash: paid_for };
        let mine: Vec<Receipt> = (0..MINE).map(|seq| receipt((&gateway, &worker), &referrer, &order, seq)).collect();
        let others: Vec<Receipt> = (0..OTHERS).map(|seq| receipt((&gateway, &other), &referrer, &order, seq)).collect();
        let leaves =
            mine.iter().chain(&others).map(|receipt| merkle::leaf(&receipt.to_bytes(), receipt.price_nc)).collect();
        let receipts_tree = Tree::build(leaves).unwrap();
        let sum = |receipts: &[Receipt]| receipts.iter().map(|receipt| receipt.price_nc).sum::<u64>();
        let lines =
            [line(0, &worker, &referrer, 0, MINE, sum(&mine)), line(1, &other, &referrer, MINE, OTHERS, sum(&others))];
        let line_leaves =
            lines.iter().map(|bytes| merkle::leaf(bytes, Line::from_bytes(bytes).unwrap().credits_nc)).collect();
        let lines_tree = Tree::build(line_leaves).unwrap();
        let tested = &mine[LEAF as usize];
        let bytes = tested.to_bytes();
        let note =
            ChargeNote { domain: DOMAIN, channel: channel.0, nonce, charge_nc: tested.price_nc, cum_charged_nc: 9_000 }
                .to_bytes();
        let bundle = Bundle {
            id: "req-1".into(),
            model: "tiny".into(),
            channel,
            nonce,
            container: ContainerId(CONTAINER),
            stage: 0,
            referrer: Some(referrer),
            charge_nc: tested.price_nc,
            receipt: bytes.to_vec(),
            worker_signature: signing::sign(&worker, &bytes).to_vec(),
            gateway_signature: signing::sign(&gateway, &bytes).to_vec(),
            order: order.to_bytes().to_vec(),
            order_signature: signing::sign(&gateway, &order.to_bytes()).to_vec(),
            note: Some(Note { note: note.to_vec(), signature: signing::sign(&gateway, &note).to_vec() }),
            batch: Some(Inclusion {
                gateway: WalletId(gateway.pubkey().to_bytes()),
                epoch: EPOCH,
                shard: SHARD,
                status: "final".into(),
                n_receipts: MINE + OTHERS,
                receipts_root: node(&receipts_tree.root()),
                leaf: LEAF,
                proof: nodes(&receipts_tree, LEAF),
                n_lines: 2,
                lines_root: node(&lines_tree.root()),
                line: lines[0].to_vec(),
                line_proof: nodes(&lines_tree, 0),
            }),
        };
        let facts = facts(&gateway, &worker, &receipts_tree, &lines_tree);
        World { gateway, worker, bundle, facts }
    }

    fn facts(gateway: &Keypair, worker: &Keypair, receipts: &Tree, lines: &Tree) -> ChainFacts {
        ChainFacts {
            domain: DOMAIN,
            container: Some(Container {
                version: 1,
                bump: 0,
                state: ContainerState::Active,
                revision: 1,
                beta_bps: 500,
                id: CONTAINER,
                creator: key(23),
                ceiling_nc: 0,
                uri_hash: [0; 32],
                terms_hash: [0; 32],
                seq: 0,
                rent_payer: key(0),
                retired_at: 0,
                next_beta_bps: 0,
                beta_epoch: 0,
                _reserved: [0; 114],
                name: "tiny".into(),
                stages: vec![Stage { artifact: ARTIFACT, kind: StageKind::Chat, market: 1, weight_bps: 10_000 }],
            }),
            artifact: Some(Artifact {
                version: 1,
                bump: 0,
                hash: ARTIFACT,
                vendor: key(21),
                oem: key(22),
                size: 1,
                registered_at: 0,
                seq: 0,
                rent_payer: key(0),
                ancestors: [Ancestor::default(); MAX_ANCESTORS],
                n_ancestors: 0,
                derivation: Licence::default(),
                has_derivatives: false,
                _reserved: [0; 101],
                name: "tiny".into(),
                licence: "MIT".into(),
            }),
            snapshot: Some(SplitSnapshot {
                version: 1,
                bump: 0,
                stage: 0,
                pricing_epoch: amount::pricing_epoch(EPOCH),
                container: CONTAINER,
                artifact: ARTIFACT,
                price_nc: PRICE_PER_1K,
                base_nc: 8_000,
                bps: BPS,
                payees: Payees { vendor: key(21), oem: key(22), weaver: key(23) },
                rent_payer: key(0),
                derived: false,
                _reserved: [0; 63],
            }),
            royalties: None,
            node: Some(Node {
                version: 1,
                bump: 0,
                revoked: false,
                operator: key(24),
                worker: worker.pubkey(),
                region: *b"eu-west\0\0\0\0\0",
                class: 0,
                det_class: 1,
                expires: 0,
                seq: 0,
                rent_payer: key(0),
                revoked_at: 0,
                _reserved: [0; 56],
            }),
            channel_gateway: Some(gateway.pubkey()),
            batch: Some(Batch {
                version: 1,
                bump: 0,
                state: BatchState::Final,
                vault_bump: 0,
                gateway: gateway.pubkey(),
                mint: key(0),
                epoch: EPOCH,
                shard: SHARD,
                late: false,
                receipts_root: receipts.root().hash,
                lines_root: lines.root().hash,
                n_receipts: MINE + OTHERS,
                n_lines: 2,
                sum_nc: receipts.root().sum,
                aic: receipts.root().sum * 20 + 3,
                data_hash: [0; 32],
                posted_slot: 0,
                posted_at: 0,
                final_at: 1,
                claimed_lines: 0,
                claimed_nc: 0,
                claimed_aic: 0,
                fee_aic: 0,
                burn_aic: 0,
                seq: 0,
                rent_payer: key(0),
                seed: [0; 32],
                seed_slot: 0,
                draws: 0,
                open_audits: 0,
                open_disputes: 0,
                forfeited_nc: 0,
                _reserved: [0; 10],
            }),
            curator_active: true,
        }
    }

    fn failed(report: &Report) -> Vec<&'static str> {
        report
            .checks
            .iter()
            .filter(|check| matches!(check.verdict, Verdict::Fails(_)))
            .map(|check| check.name)
            .collect()
    }

    fn failures(bundle: &Bundle, facts: &ChainFacts) -> Vec<&'static str> {
        let report = check(bundle, facts);
        assert_eq!(report.outcome == Outcome::Failed, !failed(&report).is_empty());
        failed(&report)
    }

    #[test]
    fn an_honest_receipt_is_verified_and_its_parts_sum_to_the_charge() {
        let World { bundle, facts, .. } = world();
        let report = check(&bundle, &facts);
        assert_eq!((report.outcome, failed(&report)), (Outcome::Verified, vec![]));
        assert_eq!(
            report.parts.iter().map(|part| part.role).collect::<Vec<_>>(),
            ["vendor", "oem", "provider", "curator", "weaver", "protocol"]
        );
        assert_eq!(report.parts.iter().map(|part| part.nc).sum::<u64>(), bundle.charge_nc);
        let batch = facts.batch.as_ref().unwrap();
        let worth = claim_amount(batch.sum_nc, batch.aic, bundle.charge_nc).unwrap();
        assert_eq!(report.parts.iter().map(|part| part.aic).sum::<Option<u64>>(), Some(worth));
        assert_eq!(report.parts[2].payee, Some(key(24).to_string()));
    }

    type Bytes = fn(&mut Bundle) -> &mut [u8];

    fn batch(bundle: &mut Bundle) -> &mut Inclusion {
        bundle.batch.as_mut().unwrap()
    }

    #[test]
    fn one_flipped_byte_anywhere_fails_the_check_that_guards_it() {
        let World { bundle, facts, .. } = world();
        let guarded: [(Bytes, &[&str]); 17] = [
            (|b| &mut b.receipt, &[name::RECEIPT, name::WORKER_SIGNATURE]),
            (|b| &mut b.worker_signature, &[name::WORKER_SIGNATURE]),
            (|b| &mut b.gateway_signature, &[name::GATEWAY_SIGNATURE]),
            (|b| &mut b.order, &[name::ORDER]),
            (|b| &mut b.order_signature, &[name::ORDER]),
            (|b| &mut b.channel.0, &[name::ORDER]),
            (|b| &mut b.container.0, &[name::LINE_KEY]),
            (|b| &mut b.referrer.as_mut().unwrap().0, &[name::LINE_KEY]),
            (|b| &mut b.note.as_mut().unwrap().note, &[name::CHARGE]),
            (|b| &mut b.note.as_mut().unwrap().signature, &[name::CHARGE]),
            (|b| &mut batch(b).gateway.0, &[name::INCLUSION]),
            (|b| &mut batch(b).receipts_root.hash, &[name::INCLUSION]),
            (|b| &mut batch(b).proof[0].hash, &[name::INCLUSION]),
            (|b| &mut batch(b).proof[2].hash, &[name::INCLUSION]),
            (|b| &mut batch(b).lines_root.hash, &[name::LINE]),
            (|b| &mut batch(b).line, &[name::LINE]),
            (|b| &mut batch(b).line_proof[0].hash, &[name::LINE]),
        ];
        for (field, (bytes, guards)) in guarded.into_iter().enumerate() {
            for at in 0..bytes(&mut bundle.clone()).len() {
                let mut changed = bundle.clone();
                bytes(&mut changed)[at] ^= 1;
                let failed = failures(&changed, &facts);
                assert!(guards.iter().any(|guard| failed.contains(guard)), "field {field}, byte {at}: {failed:?}");
            }
        }
    }

    #[test]
    fn a_changed_number_fails_the_check_that_guards_it() {
        let World { bundle, facts, .. } = world();
        let changes: [(fn(&mut Bundle), &str); 12] = [
            (|b| b.charge_nc += 1, name::CHARGE),
            (|b| b.nonce += 1, name::ORDER),
            (|b| b.stage += 1, name::LINE_KEY),
            (|b| b.referrer = None, name::LINE_KEY),
            (|b| b.model.push('x'), name::MODEL),
            (|b| batch(b).epoch += 1, name::INCLUSION),
            (|b| batch(b).shard += 1, name::INCLUSION),
            (|b| batch(b).leaf += 1, name::INCLUSION),
            (|b| batch(b).n_receipts += 1, name::INCLUSION),
            (|b| batch(b).proof[1].sum += 1, name::INCLUSION),
            (|b| batch(b).n_lines += 1, name::LINE),
            (|b| batch(b).line_proof[0].sum += 1, name::LINE),
        ];
        for (number, (change, guard)) in changes.into_iter().enumerate() {
            let mut changed = bundle.clone();
            change(&mut changed);
            let failed = failures(&changed, &facts);
            assert!(failed.contains(&guard), "change {number}: {failed:?}");
        }
    }

    #[test]
    fn a_chain_that_says_otherwise_fails_the_check_it_contradicts() {
        let changes: [(fn(&mut ChainFacts), &str); 16] = [
            (|f| f.domain[0] ^= 1, name::DEPLOYMENT),
            (|f| f.node = None, name::WORKER),
            (|f| f.node.as_mut().unwrap().det_class = 2, name::WORKER),
            (|f| f.container = None, name::MODEL),
            (|f| f.container.as_mut().unwrap().stages[0].artifact[0] ^= 1, name::MODEL),
            (|f| f.channel_gateway = Some(Pubkey::default()), name::ORDER),
            (|f| f.snapshot = None, name::SNAPSHOT),
            (|f| f.snapshot.as_mut().unwrap().bps[0] ^= 1, name::SNAPSHOT),
            (|f| f.snapshot.as_mut().unwrap().pricing_epoch += 1, name::SNAPSHOT),
            (|f| f.snapshot.as_mut().unwrap().artifact[31] ^= 1, name::SNAPSHOT),
            (|f| f.snapshot.as_mut().unwrap().payees.vendor = Pubkey::default(), name::SNAPSHOT),
            (|f| f.snapshot.as_mut().unwrap().payees.weaver = Pubkey::default(), name::SNAPSHOT),
            (|f| f.snapshot.as_mut().unwrap().price_nc -= 100, name::PRICE),
            (|f| f.batch.as_mut().unwrap().receipts_root[0] ^= 1, name::INCLUSION),
            (|f| f.batch.as_mut().unwrap().lines_root[0] ^= 1, name::LINE),
            (|f| f.batch = None, name::INCLUSION),
        ];
        for (number, (change, guard)) in changes.into_iter().enumerate() {
            let World { bundle, mut facts, .. } = world();
            change(&mut facts);
            let failed = failures(&bundle, &facts);
            assert!(failed.contains(&guard), "change {number}: {failed:?}");
        }
    }

    #[test]
    fn what_is_not_posted_yet_is_pending_and_not_failed() {
        let World { mut bundle, mut facts, .. } = world();
        facts.batch = None;
        batch(&mut bundle).status = "built".into();
        assert_eq!(check(&bundle, &facts).outcome, Outcome::Pending);
        bundle.batch = None;
        let report = check(&bundle, &facts);
        assert_eq!(report.outcome, Outcome::Pending);
        assert_eq!(report.parts.iter().map(|part| part.nc).sum::<u64>(), bundle.charge_nc);
        assert!(report.parts.iter().all(|part| part.aic.is_none()));
        bundle.charge_nc += 1;
        assert_eq!(check(&bundle, &facts).outcome, Outcome::Failed);
    }

    #[test]
    fn a_dearer_receipt_signed_by_both_still_fails_by_its_price() {
        let World { gateway, worker, mut bundle, facts } = world();
        let mut dearer = Receipt::from_bytes(&bundle.receipt).unwrap();
        dearer.price_nc += 1;
        dearer.cum_nc += 1;
        let bytes = dearer.to_bytes();
        bundle.receipt = bytes.to_vec();
        bundle.worker_signature = signing::sign(&worker, &bytes).to_vec();
        bundle.gateway_signature = signing::sign(&gateway, &bytes).to_vec();
        let failed = failures(&bundle, &facts);
        assert!(failed.contains(&name::PRICE) && !failed.contains(&name::WORKER_SIGNATURE), "{failed:?}");
    }

    #[test]
    fn a_sponsored_receipt_is_for_an_order_that_names_an_auction_of_its_day_and_market() {
        let World { gateway, bundle, facts, .. } = world();
        let day = amount::pricing_epoch(EPOCH);
        let cases = [
            (flags::SPONSORED, Some((1, day)), true),
            (flags::SPONSORED, Some((1, day - 1)), true),
            (flags::SPONSORED, Some((1, day + 1)), false),
            (flags::SPONSORED, Some((2, day)), false),
            (flags::SPONSORED, None, false),
            (0, Some((1, day)), false),
        ];
        for (flag, slot, holds) in cases {
            let mut bundle = bundle.clone();
            let slot = slot.map(|(market, day)| ix::promo::auction(market, day).to_bytes());
            let mut order = Order::from_bytes(&bundle.order).unwrap();
            let referrer = bundle.referrer.unwrap().0;
            order.ctx_hash = ctx_hash(&CONTAINER, &INPUT, order.max_price_nc, &referrer, slot.as_ref());
            let mut receipt = Receipt::from_bytes(&bundle.receipt).unwrap();
            (receipt.flags, receipt.request_hash) = (receipt.flags | flag, order.hash());
            bundle.order = order.to_bytes().to_vec();
            bundle.order_signature = signing::sign(&gateway, &order.to_bytes()).to_vec();
            bundle.receipt = receipt.to_bytes().to_vec();
            let failed = failures(&bundle, &facts);
            assert!(!failed.contains(&name::ORDER), "{failed:?}");
            assert_eq!(!failed.contains(&name::REQUEST), holds, "{slot:?}: {failed:?}");
        }
    }

    /// The model of [`world`] as a derivative of key 31's and key 32's.
    fn derived() -> World {
        let mut world = world();
        let mut table = Royalties {
            version: 1,
            bump: 0,
            artifact: ARTIFACT,
            pricing_epoch: amount::pricing_epoch(EPOCH),
            total_nc: 0,
            len: 0,
            rows: [RoyaltyRow::default(); MAX_ANCESTORS + 1],
            rent_payer: key(0),
            _reserved: [0; 32],
        };
        for (owner, ask_nc) in [(key(31), 1_500), (key(32), 700), (key(21), 400)] {
            table.push(RoyaltyRow { owner, ask_nc }).unwrap();
        }
        world.facts.royalties = Some(table);
        let snapshot = world.facts.snapshot.as_mut().unwrap();
        snapshot.derived = true;
        snapshot.payees.vendor = find_royalties(&ARTIFACT, snapshot.pricing_epoch).0;
        world
    }

    #[test]
    fn a_derived_models_vendors_share_the_vendors_part() {
        let World { bundle, facts, .. } = derived();
        let report = check(&bundle, &facts);
        assert_eq!((report.outcome, failed(&report)), (Outcome::Verified, vec![]));
        let vendor = &report.parts[0];
        let payees: Vec<_> = vendor.shares.iter().map(|share| (share.bps, share.payee.clone())).collect();
        assert_eq!(payees, [(5_769, key(31).to_string()), (2_692, key(32).to_string()), (1_539, key(21).to_string())]);
        assert_eq!(vendor.shares.iter().map(|share| share.nc).sum::<u64>(), vendor.nc);
        assert_eq!(vendor.shares.iter().map(|share| share.aic).sum::<Option<u64>>(), vendor.aic);
    }

    #[test]
    fn a_derived_model_without_its_royalty_table_fails_the_snapshot() {
        let changes: [fn(&mut ChainFacts); 5] = [
            |f| f.royalties = None,
            |f| f.royalties.as_mut().unwrap().artifact[0] ^= 1,
            |f| f.royalties.as_mut().unwrap().pricing_epoch += 1,
            |f| f.royalties.as_mut().unwrap().len -= 1,
            |f| f.snapshot.as_mut().unwrap().payees.vendor = key(21),
        ];
        for change in changes {
            let World { bundle, mut facts, .. } = derived();
            change(&mut facts);
            assert_eq!(failures(&bundle, &facts), [name::SNAPSHOT]);
        }
    }

    #[test]
    fn without_an_active_curator_its_share_is_burned() {
        let World { bundle, mut facts, .. } = world();
        facts.curator_active = false;
        let report = check(&bundle, &facts);
        assert_eq!((report.parts[3].role, report.parts[3].payee.as_ref()), ("burned", None));
    }
}
