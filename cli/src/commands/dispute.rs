//! `waybill dispute`: accuse a gateway with the evidence that its own answers contain, answer an accusation, and end
//! disputes whose outcome is certain. Each command looks at the chain first and goes on where the last one stopped.

use crate::{
    commands::wallet::require_aic,
    context::Context,
    input, lookup, output,
    receipt_check::{Bundle, Inclusion, ProofNode},
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::path::{Path, PathBuf};
use waybill_chain::{
    Chain, coin,
    disputes::{self, DisputeStep},
    ix::dispute as build,
    market::{self, state::SplitSnapshot},
    settlement::{
        self,
        instructions::{
            DirectClaimArgs, OpenDisputeArgs, OpenEquivocationArgs, ProveDisputeArgs, ProveOrderArgs, ProvePriceArgs,
            is_misreferred,
        },
        state::{Channel, Dispute, DisputeKind, DisputeState},
    },
};
use waybill_mechanism::{
    amount,
    dispute::{Place, order_fault, overcharge_nc},
    message::{Line, Receipt},
};

#[derive(Debug, Args)]
#[command(
    after_help = "Evidence is what `waybill receipt verify ID --out FILE` saves.\n\nExamples:\n  waybill dispute open line --bundle receipt.json             the gateway must show the ends of the receipt's line\n  waybill dispute open order --bundle a.json --other b.json    two receipts contradict each other\n  waybill dispute list                                         what is open\n  waybill dispute resolve ADDRESS                              end it, in favour of whoever was right\n\nOpening lodges a bond, which is lost when the accused answers or the proof fails."
)]
pub struct DisputeArgs {
    #[command(subcommand)]
    command: DisputeCommand,
}

#[derive(Debug, Subcommand)]
enum DisputeCommand {
    /// Accuse a gateway; goes on with a proof that was interrupted
    Open(OpenArgs),
    /// Answer a dispute with a receipt; a running gateway does this by itself
    Respond {
        /// Address of the dispute
        #[arg(value_parser = input::address)]
        dispute: Pubkey,
        /// The receipt that the dispute asks for, or one of the line it asks for
        #[arg(long, value_name = "FILE")]
        bundle: PathBuf,
    },
    /// List disputes, by default those without an outcome
    List {
        /// Those that are over too
        #[arg(long)]
        all: bool,
    },
    /// Show one dispute
    Show {
        /// Address of the dispute
        #[arg(value_parser = input::address)]
        dispute: Pubkey,
    },
    /// End a dispute whose outcome is certain
    Resolve {
        /// Address of the dispute
        #[arg(value_parser = input::address)]
        dispute: Pubkey,
    },
    /// Free the rent of a dispute that is over
    Close {
        /// Address of the dispute
        #[arg(value_parser = input::address)]
        dispute: Pubkey,
    },
}

#[derive(Debug, Args)]
struct OpenArgs {
    /// What the gateway is accused of
    kind: Accusation,
    /// The receipt it is about
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The receipt or note that contradicts it (order, equivocation)
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accusation {
    /// D1: a worker's receipt is missing from its epoch (worker's operator)
    Underpaid,
    /// D2: more was settled than the charge note says (consumer)
    Overcharge,
    /// D3: the receipt's line is invented
    Line,
    /// D4: the receipt is invented
    Receipt,
    /// D5: two receipts cannot both be in the epoch
    Order,
    /// D6: two signed messages contradict each other
    Equivocation,
    /// D8: the receipt's epoch was never posted (worker's operator)
    NoBatch,
    /// D9: the price or the referrer is wrong
    Price,
}

/// One dispute as people and programs read it. Times are Unix seconds, amounts base units.
#[derive(Debug, Serialize)]
struct Row {
    dispute: String,
    kind: &'static str,
    state: &'static str,
    target: String,
    index: u32,
    challenger: String,
    bond_aic: u64,
    amount_nc: u64,
    deadline: i64,
    /// Until the deadline; 0 when it has passed or nothing is waited for.
    left_s: i64,
    /// What resolving would say now: whether the accused is guilty; none while it is open or when it is over.
    guilty: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    row: Row,
    signatures: Vec<String>,
}

pub async fn run(args: DisputeArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        DisputeCommand::Open(args) => open(args, context).await,
        DisputeCommand::Respond { dispute, bundle } => respond(dispute, &bundle, context).await,
        DisputeCommand::List { all } => list(all, context).await,
        DisputeCommand::Show { dispute } => {
            let row = row_of(context, &dispute).await?;
            output::print(context.json, &row, |row| table(std::slice::from_ref(row)))
        }
        DisputeCommand::Resolve { dispute } => resolve(dispute, context).await,
        DisputeCommand::Close { dispute } => close(dispute, context).await,
    }
}

// open

async fn open(args: OpenArgs, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let case = Case::read(&args, context, &wallet)?;
    let mut signatures = Vec::new();
    let dispute = case.address(args.kind).await?;
    let known: Option<Dispute> = context.chain.account(&dispute).await?;
    if known.is_none() {
        case.require_fault(args.kind).await?;
        require_bond(context, &wallet.pubkey()).await?;
        signatures.push(case.open(args.kind).await?);
    }
    signatures.extend(case.prove(args.kind, dispute).await?);
    let row = row_of(context, &dispute).await?;
    output::print(context.json, &Done { row, signatures }, |done| {
        let next = match done.row.guilty {
            Some(_) => format!("its outcome is certain: waybill dispute resolve {}", done.row.dispute),
            None => "the accused may answer until the deadline".to_owned(),
        };
        format!("{}\n{next}", table(std::slice::from_ref(&done.row)))
    })
}

/// The challenger can pay the bond.
pub async fn require_bond(context: &Context, challenger: &Pubkey) -> anyhow::Result<()> {
    let config = lookup::settle_config(&context.chain).await?;
    let rate: coin::state::Rate =
        context.chain.expect("AIC rate", &coin::seeds::find_rate().0, "run `waybill genesis` first").await?;
    let bond = amount::debit_aic(config.dispute.bond_nc(), rate.rate).context("the bond exceeds 64 bits")?;
    require_aic(context, challenger, bond).await
}

/// What D1 and D8 need: a part of every bundle, and all that a worker has to keep.
#[derive(Debug, Deserialize)]
struct Countersigned {
    #[serde(with = "hex::serde")]
    receipt: Vec<u8>,
    #[serde(with = "hex::serde")]
    gateway_signature: Vec<u8>,
}

/// Evidence and what it is used with.
struct Case<'a> {
    chain: &'a Chain,
    wallet: &'a Keypair,
    receipt: Receipt,
    countersigned: Countersigned,
    /// Absent for what a worker keeps.
    bundle: Option<Bundle>,
    other: Option<Bundle>,
}

impl<'a> Case<'a> {
    fn read(args: &OpenArgs, context: &'a Context, wallet: &'a Keypair) -> anyhow::Result<Self> {
        let countersigned: Countersigned = read_json(&args.bundle)?;
        let receipt = Receipt::from_bytes(&countersigned.receipt).context("the receipt cannot be read")?;
        let of_worker = matches!(args.kind, Accusation::Underpaid | Accusation::NoBatch);
        let bundle = (!of_worker).then(|| read_json(&args.bundle)).transpose()?;
        let other = args.other.as_deref().map(read_json).transpose()?;
        let wants_other = matches!(args.kind, Accusation::Order | Accusation::Equivocation);
        if wants_other && other.is_none() {
            bail!("two receipts are needed: name the contradicting one with --other FILE");
        }
        Ok(Self { chain: &context.chain, wallet, receipt, countersigned, bundle, other })
    }

    fn by(&self) -> build::Challenger {
        build::Challenger { payer: self.wallet.pubkey(), challenger: self.wallet.pubkey() }
    }

    fn gateway(&self) -> Pubkey {
        Pubkey::new_from_array(self.receipt.gateway)
    }

    fn bundle(&self) -> anyhow::Result<&Bundle> {
        self.bundle.as_ref().context("the gateway's whole answer is needed: `waybill receipt verify ID --out FILE`")
    }

    fn batch(&self) -> anyhow::Result<Pubkey> {
        Ok(batch_of(inclusion(self.bundle()?)?))
    }

    fn channel_address(&self) -> anyhow::Result<Pubkey> {
        Ok(Pubkey::new_from_array(self.bundle()?.channel.0))
    }

    /// The first shard of the receipt's epoch.
    fn first_shard(&self) -> Pubkey {
        settlement::seeds::find_batch(&self.gateway(), self.receipt.epoch, 0).0
    }

    fn other(&self) -> anyhow::Result<&Bundle> {
        self.other.as_ref().context("two receipts are needed: name the contradicting one with --other FILE")
    }

    /// D6 takes charge notes when both bundles have one for the same nonce, else countersigned receipts.
    fn messages(&self) -> anyhow::Result<[(Vec<u8>, [u8; 64]); 2]> {
        let (bundle, other) = (self.bundle()?, self.other()?);
        let both = bundle.note.as_ref().zip(other.note.as_ref());
        let same_nonce = bundle.channel == other.channel && bundle.nonce == other.nonce;
        let pair = match both.filter(|_| same_nonce) {
            Some((a, b)) => [(&a.note, &a.signature), (&b.note, &b.signature)],
            None => [(&bundle.receipt, &bundle.gateway_signature), (&other.receipt, &other.gateway_signature)],
        };
        let [a, b] = pair;
        Ok([(a.0.clone(), exact(a.1, "signature")?), (b.0.clone(), exact(b.1, "signature")?)])
    }

    fn message_key(&self) -> anyhow::Result<[u8; 32]> {
        let [(message, _), _] = self.messages()?;
        build::message_key(&self.receipt.gateway, &self.receipt.domain, &message)
            .context("the message is neither a receipt nor a charge note of this gateway")
    }

    async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(self
            .chain
            .expect("channel", &self.channel_address()?, "it is closed; nothing of it can be disputed")
            .await?)
    }

    async fn address(&self, kind: Accusation) -> anyhow::Result<Pubkey> {
        Ok(match kind {
            Accusation::Line | Accusation::Receipt | Accusation::Order | Accusation::Price => {
                let (kind, index) = self.batch_subject(kind)?;
                build::batch_dispute(&self.batch()?, kind, index)
            }
            Accusation::Underpaid => build::underpaid_dispute(&self.first_shard(), &self.receipt.line_key),
            Accusation::NoBatch => {
                build::direct_claim_dispute(&self.gateway(), self.receipt.epoch, &self.receipt.line_key)
            }
            Accusation::Overcharge => {
                build::overcharge_dispute(&self.channel_address()?, self.channel().await?.last_settled_nonce)
            }
            Accusation::Equivocation => build::equivocation_dispute(&self.message_key()?),
        })
    }

    /// Kind and index of a dispute about a batch.
    fn batch_subject(&self, kind: Accusation) -> anyhow::Result<(DisputeKind, u32)> {
        let inclusion = inclusion(self.bundle()?)?;
        Ok(match kind {
            Accusation::Line => (DisputeKind::OpenLine, line_of(inclusion)?.index),
            Accusation::Receipt => (DisputeKind::OpenReceipt, inclusion.leaf),
            Accusation::Order => (DisputeKind::OrderFault, inclusion.leaf),
            _ => (DisputeKind::PriceFault, inclusion.leaf),
        })
    }

    /// What the challenger has to prove, asked before there is a bond to lose.
    async fn require_fault(&self, kind: Accusation) -> anyhow::Result<()> {
        let why = match kind {
            Accusation::Order if !self.is_out_of_order()? => "both receipts fit one epoch of their gateway",
            Accusation::Equivocation if !self.equivocates()? => "the two messages do not contradict each other",
            Accusation::Price if !self.is_mispriced().await? => {
                "the receipt costs no more than its snapshot allows, and names no referrer that was not granted"
            }
            _ => return Ok(()),
        };
        bail!("{why}; no dispute was opened")
    }

    /// D5: the program asks in both orders too, because the dispute names either of two neighbours.
    fn is_out_of_order(&self) -> anyhow::Result<bool> {
        let (bundle, other) = (self.bundle()?, self.other()?);
        let place = |bundle: &Bundle| -> anyhow::Result<Place> {
            let inclusion = inclusion(bundle)?;
            Ok(Place { batch: batch_of(inclusion).to_bytes(), index: inclusion.leaf })
        };
        let (a, b) = (&self.receipt, Receipt::from_bytes(&other.receipt).context("the other receipt cannot be read")?);
        let (at, bt) = (place(bundle)?, place(other)?);
        let one_epoch = a.gateway == b.gateway && a.epoch == b.epoch;
        Ok(one_epoch && (order_fault(a, &at, &b, &bt) || order_fault(&b, &bt, a, &at)))
    }

    /// D6: two messages with the same key fields that say different things.
    fn equivocates(&self) -> anyhow::Result<bool> {
        let [(first, _), (second, _)] = self.messages()?;
        let key = build::message_key(&self.receipt.gateway, &self.receipt.domain, &second);
        Ok(key == Some(self.message_key()?) && first != second)
    }

    /// D9: a higher price than the snapshot's, or a referrer that the channel's grant does not name.
    async fn is_mispriced(&self) -> anyhow::Result<bool> {
        let bundle = self.bundle()?;
        let address = self.snapshot(bundle);
        let snapshot: SplitSnapshot =
            self.chain.expect("split snapshot", &address, "nobody froze it during its pricing epoch").await?;
        let referrer = bundle.referrer.map_or([0; 32], |referrer| referrer.0);
        let misreferred = is_misreferred(&self.channel().await?, &self.receipt, &referrer);
        Ok(misreferred || overcharge_nc(&self.receipt, snapshot.price_nc) > 0)
    }

    /// What priced a bundle's receipt.
    fn snapshot(&self, bundle: &Bundle) -> Pubkey {
        let pricing = amount::pricing_epoch(self.receipt.epoch);
        market::seeds::find_snapshot(&bundle.container.0, bundle.stage, pricing).0
    }

    async fn open(&self, kind: Accusation) -> anyhow::Result<String> {
        let worker = Pubkey::new_from_array(self.receipt.worker);
        let countersigned = || -> anyhow::Result<_> {
            let signature = exact(&self.countersigned.gateway_signature, "gateway signature")?;
            Ok(disputes::signed(&self.receipt.gateway, &signature, &self.countersigned.receipt)?)
        };
        let instructions = match kind {
            Accusation::Line | Accusation::Receipt | Accusation::Order | Accusation::Price => {
                let inclusion = inclusion(self.bundle()?)?;
                let (kind, index) = self.batch_subject(kind)?;
                let line = exact(&inclusion.line, "line")?;
                let args = OpenDisputeArgs { kind, index, line, proof: proof(&inclusion.line_proof) };
                vec![build::open_dispute(self.by(), self.batch()?, args)]
            }
            Accusation::Underpaid => {
                let open = build::open_underpaid(self.by(), self.first_shard(), worker, self.receipt.line_key);
                vec![countersigned()?, open]
            }
            Accusation::NoBatch => {
                let args = DirectClaimArgs { epoch: self.receipt.epoch, line_key: self.receipt.line_key };
                vec![countersigned()?, build::direct_claim(self.by(), self.gateway(), worker, args)]
            }
            Accusation::Overcharge => {
                let note = self.bundle()?.note.as_ref().context("the bundle has no signed charge note yet")?;
                let signature = exact(&note.signature, "note signature")?;
                let check = disputes::signed(&self.receipt.gateway, &signature, &note.note)?;
                let nonce = self.channel().await?.last_settled_nonce;
                vec![check, build::open_overcharge(self.by(), self.channel_address()?, nonce)]
            }
            Accusation::Equivocation => {
                let [(message, signature), _] = self.messages()?;
                let check = disputes::signed(&self.receipt.gateway, &signature, &message)?;
                let args = OpenEquivocationArgs { accused: self.gateway(), message_key: self.message_key()? };
                vec![check, build::open_equivocation(self.by(), args)]
            }
        };
        Ok(self.chain.send(self.wallet, &[], &instructions).await?.to_string())
    }

    /// Brings what the challenger has to prove, from where the dispute stands.
    async fn prove(&self, kind: Accusation, dispute: Pubkey) -> anyhow::Result<Vec<String>> {
        let mut signatures = Vec::new();
        loop {
            let state = disputes::read(self.chain, &dispute).await?;
            if state.state != DisputeState::Open || state.challenger != self.wallet.pubkey() {
                return Ok(signatures);
            }
            let challenger = self.wallet.pubkey();
            let instructions = match (kind, state.step) {
                (Accusation::Order | Accusation::Price, 0) => {
                    vec![shown(challenger, state.target, dispute, self.bundle()?)?]
                }
                (Accusation::Order, 1) => vec![shown(challenger, state.target, dispute, self.other()?)?],
                (Accusation::Order, _) => {
                    let other = self.other()?;
                    let args = ProveOrderArgs {
                        receipt: exact(&self.countersigned.receipt, "receipt")?,
                        other: exact(&other.receipt, "receipt")?,
                        other_batch: batch_of(inclusion(other)?),
                        other_index: inclusion(other)?.leaf,
                    };
                    vec![build::prove_order(challenger, dispute, args)]
                }
                (Accusation::Price, _) => {
                    let bundle = self.bundle()?;
                    let args = ProvePriceArgs {
                        receipt: exact(&bundle.receipt, "receipt")?,
                        referrer: bundle.referrer.map_or([0; 32], |referrer| referrer.0),
                        order: Some(exact(&bundle.order, "order")?),
                    };
                    let snapshot = self.snapshot(bundle);
                    let channel = Some(self.channel_address()?);
                    vec![build::prove_price(challenger, state.target, snapshot, channel, dispute, args)]
                }
                (Accusation::Equivocation, _) => {
                    let [(first, _), (second, signature)] = self.messages()?;
                    let check = disputes::signed(&self.receipt.gateway, &signature, &second)?;
                    vec![check, build::prove_equivocation(challenger, dispute, first)]
                }
                // The accused's turn.
                _ => return Ok(signatures),
            };
            signatures.push(self.chain.send(self.wallet, &[], &instructions).await?.to_string());
        }
    }
}

/// The leaf of a bundle, shown in a dispute about `target`.
fn shown(
    challenger: Pubkey,
    target: Pubkey,
    dispute: Pubkey,
    bundle: &Bundle,
) -> anyhow::Result<anchor_lang::solana_program::instruction::Instruction> {
    let inclusion = inclusion(bundle)?;
    let args = ProveDisputeArgs {
        index: inclusion.leaf,
        receipt: exact(&bundle.receipt, "receipt")?,
        proof: proof(&inclusion.proof),
    };
    Ok(build::prove_dispute(challenger, target, batch_of(inclusion), dispute, args))
}

// respond, resolve, close

async fn respond(dispute: Pubkey, file: &Path, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let bundle: Bundle = read_json(file)?;
    let mut signatures = Vec::new();
    loop {
        let state = disputes::read(&context.chain, &dispute).await?;
        if state.state != DisputeState::Open {
            break;
        }
        let step = answer(&state, &dispute, &bundle)?;
        let before = state.step;
        let instructions = step.instructions(&context.chain, wallet.pubkey()).await?;
        signatures.push(context.chain.send(&wallet, &[], &instructions).await?.to_string());
        let staged = matches!(step, DisputeStep::Stage { .. });
        if !staged || disputes::read(&context.chain, &dispute).await?.step == before {
            break;
        }
    }
    if signatures.is_empty() {
        bail!("the dispute is not open any more; `waybill dispute show {dispute}` says how it stands");
    }
    let row = row_of(context, &dispute).await?;
    output::print(context.json, &Done { row, signatures }, |done| {
        let next = match done.row.guilty {
            Some(_) => "answered",
            None => "accepted; the dispute asks for more: answer with the line's last receipt, or its next shard",
        };
        format!("{}\n{next}", table(std::slice::from_ref(&done.row)))
    })
}

/// What a bundle says to a dispute.
fn answer(state: &Dispute, dispute: &Pubkey, bundle: &Bundle) -> anyhow::Result<DisputeStep> {
    let dispute = dispute.to_bytes();
    Ok(match state.kind {
        DisputeKind::OpenLine | DisputeKind::OpenReceipt => {
            let inclusion = inclusion(bundle)?;
            let wanted = match (state.kind, state.step) {
                (DisputeKind::OpenLine, 0) => state.first,
                (DisputeKind::OpenLine, _) => state.last,
                _ => state.index,
            };
            if batch_of(inclusion) != state.target || inclusion.leaf != wanted {
                bail!("the dispute asks for receipt {wanted} of its batch, the bundle has receipt {}", inclusion.leaf);
            }
            let receipt = Receipt::from_bytes(&bundle.receipt).context("the bundle's receipt cannot be read")?;
            let batch = state.target.to_bytes();
            if state.kind == DisputeKind::OpenReceipt && !disputes::is_staged(state, &receipt) {
                let worker_signature = bundle.worker_signature.clone();
                DisputeStep::Stage { batch, dispute, receipt: bundle.receipt.clone(), worker_signature }
            } else {
                let proof = proof(&inclusion.proof);
                DisputeStep::Respond { batch, dispute, receipt: bundle.receipt.clone(), proof }
            }
        }
        DisputeKind::UnderpaidWorker => {
            let inclusion = inclusion(bundle)?;
            DisputeStep::RespondLine {
                target: state.target.to_bytes(),
                batch: batch_of(inclusion).to_bytes(),
                dispute,
                line: inclusion.line.clone(),
                proof: proof(&inclusion.line_proof),
            }
        }
        DisputeKind::Overcharge => DisputeStep::RespondOvercharge {
            channel: state.target.to_bytes(),
            dispute,
            receipt: bundle.receipt.clone(),
            worker_signature: bundle.worker_signature.clone(),
            order: bundle.order.clone(),
        },
        DisputeKind::NoBatch => bail!("post the batch of epoch {}: that answers it", state.line),
        DisputeKind::OrderFault | DisputeKind::Equivocation | DisputeKind::PriceFault => {
            bail!("it is the challenger's turn: without its proof the dispute is dismissed at the deadline")
        }
    })
}

async fn resolve(dispute: Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let mut signatures = Vec::new();
    let before = disputes::read(&context.chain, &dispute).await?;
    if !before.is_over() {
        let left_s = Row::of(&dispute, &before, context.chain.unix_time().await?).left_s;
        let resolve = disputes::resolve(&context.chain, wallet.pubkey(), dispute).await;
        let resolve = resolve.with_context(|| match left_s {
            0 => format!("{dispute} cannot be ended"),
            left_s => format!("{dispute} can be ended in {}, or when it is answered", input::span_text(left_s)),
        })?;
        signatures.push(context.chain.send(&wallet, &[], &[resolve]).await?.to_string());
    }
    let row = row_of(context, &dispute).await?;
    output::print(context.json, &Done { row, signatures }, |done| table(std::slice::from_ref(&done.row)))
}

async fn close(dispute: Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let state = disputes::read(&context.chain, &dispute).await?;
    let row = Row::of(&dispute, &state, context.chain.unix_time().await?);
    let close = build::close_dispute(dispute, state.target, state.rent_payer);
    let signatures = vec![context.chain.send(&wallet, &[], &[close]).await?.to_string()];
    output::print(context.json, &Done { row, signatures }, |done| format!("{} is closed", done.row.dispute))
}

// show

async fn list(all: bool, context: &Context) -> anyhow::Result<()> {
    let now_s = context.chain.unix_time().await?;
    let mut found: Vec<(Pubkey, Dispute)> = context.chain.all(&settlement::ID).await?;
    found.retain(|(_, dispute)| all || !dispute.is_over());
    found.sort_by_key(|(address, dispute)| (dispute.deadline, *address));
    let rows: Vec<Row> = found.iter().map(|(address, dispute)| Row::of(address, dispute, now_s)).collect();
    output::print(context.json, &rows, |rows| table(rows))
}

async fn row_of(context: &Context, dispute: &Pubkey) -> anyhow::Result<Row> {
    let state = disputes::read(&context.chain, dispute).await?;
    Ok(Row::of(dispute, &state, context.chain.unix_time().await?))
}

impl Row {
    fn of(address: &Pubkey, dispute: &Dispute, now_s: i64) -> Self {
        Self {
            dispute: address.to_string(),
            kind: kind_name(dispute.kind),
            state: match dispute.state {
                DisputeState::Open => "open",
                DisputeState::Answered => "answered",
                DisputeState::Proven => "proven",
                DisputeState::Upheld => "upheld",
                DisputeState::Dismissed => "dismissed",
            },
            target: dispute.target.to_string(),
            index: dispute.index,
            challenger: dispute.challenger.to_string(),
            bond_aic: dispute.bond_aic,
            amount_nc: dispute.amount_nc,
            deadline: dispute.deadline,
            left_s: if dispute.state == DisputeState::Open { dispute.deadline.saturating_sub(now_s).max(0) } else { 0 },
            guilty: disputes::foregone(dispute, now_s),
        }
    }
}

fn kind_name(kind: DisputeKind) -> &'static str {
    match kind {
        DisputeKind::UnderpaidWorker => "D1 underpaid",
        DisputeKind::Overcharge => "D2 overcharge",
        DisputeKind::OpenLine => "D3 line",
        DisputeKind::OpenReceipt => "D4 receipt",
        DisputeKind::OrderFault => "D5 order",
        DisputeKind::Equivocation => "D6 equivocation",
        DisputeKind::NoBatch => "D8 no-batch",
        DisputeKind::PriceFault => "D9 price",
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no disputes".to_owned();
    }
    let said = |guilty: Option<bool>| match guilty {
        Some(true) => "against the accused",
        Some(false) => "against the challenger",
        None => "",
    };
    let cells = rows.iter().map(|row| {
        vec![
            row.dispute.clone(),
            row.kind.to_owned(),
            row.state.to_owned(),
            row.target.clone(),
            row.index.to_string(),
            output::aic(row.bond_aic),
            row.amount_nc.to_string(),
            if row.left_s > 0 { input::span_text(row.left_s) } else { String::new() },
            said(row.guilty).to_owned(),
        ]
    });
    output::table(&["dispute", "kind", "state", "about", "index", "bond", "nc", "time left", "outcome now"], cells)
}

// evidence

pub fn read_json<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        let file = file.display();
        format!("{file} has not the evidence that is needed; `waybill receipt verify ID --out FILE` saves all of it")
    })
}

fn inclusion(bundle: &Bundle) -> anyhow::Result<&Inclusion> {
    bundle.batch.as_ref().with_context(|| {
        format!("receipt {} is not in a batch yet; fetch it again when its epoch is posted", bundle.id)
    })
}

fn batch_of(inclusion: &Inclusion) -> Pubkey {
    let gateway = Pubkey::new_from_array(inclusion.gateway.0);
    settlement::seeds::find_batch(&gateway, inclusion.epoch, inclusion.shard).0
}

fn line_of(inclusion: &Inclusion) -> anyhow::Result<Line> {
    Line::from_bytes(&inclusion.line).context("the bundle's line cannot be read")
}

fn proof(nodes: &[ProofNode]) -> Vec<[u8; 40]> {
    nodes.iter().map(|node| node.node().to_bytes()).collect()
}

fn exact<const N: usize>(bytes: &[u8], what: &str) -> anyhow::Result<[u8; N]> {
    bytes.try_into().map_err(|_| anyhow::anyhow!("the bundle's {what} has {} bytes, expected {N}", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_dispute_has_its_own_name() {
        let kinds = [
            DisputeKind::UnderpaidWorker,
            DisputeKind::Overcharge,
            DisputeKind::OpenLine,
            DisputeKind::OpenReceipt,
            DisputeKind::OrderFault,
            DisputeKind::Equivocation,
            DisputeKind::NoBatch,
            DisputeKind::PriceFault,
        ];
        for kind in kinds {
            assert!(kind_name(kind).starts_with(&format!("D{} ", kind.number())));
        }
    }

    #[test]
    fn evidence_of_the_wrong_size_is_refused_by_name() {
        let error = exact::<64>(&[0; 63], "note signature").map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(error, Err("the bundle's note signature has 63 bytes, expected 64".to_owned()));
    }
}
