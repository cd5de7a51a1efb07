//! Audits on chain: what was drawn, who said what, what follows, and the two things that somebody may add to them: an
//! appeal, and a planted receipt.

use crate::{
    commands::dispute::{read_json, require_bond},
    context::Context,
    input, output,
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::path::PathBuf;
use waybill_chain::{
    Chain, ix,
    settlement::{
        self,
        state::{Audit, Canary, Outcome, Vote},
    },
};
use waybill_mechanism::{audit::canary_commitment, message::Receipt};

#[derive(Debug, Args)]
pub struct CasesArgs {
    /// Only of this worker
    #[arg(long, value_parser = input::address)]
    worker: Option<Pubkey>,
    /// Only of this determinism class
    #[arg(long)]
    class: Option<u16>,
}

#[derive(Debug, Subcommand)]
pub enum CanaryCommand {
    /// Commit to a receipt of the authority's own worker, before its batch is drawn
    Commit {
        /// The receipt, as `waybill receipt verify ID --out FILE` saves it
        receipt: PathBuf,
    },
    /// Say that an audited receipt was planted, before its audit is settled
    Reveal {
        #[arg(value_parser = input::address)]
        audit: Pubkey,
    },
}

/// An audit on chain as people and programs read it. Times are Unix seconds.
#[derive(Debug, Serialize)]
pub struct Case {
    pub audit: String,
    batch: String,
    draw: u32,
    receipt_hash: String,
    worker: String,
    operator: String,
    class: u16,
    price_nc: u64,
    /// 1: one verifier, 2: three more, 3: the bench of seven.
    round: u8,
    outcome: &'static str,
    /// Nothing can change the outcome any more.
    settled: bool,
    /// Verdicts slash.
    enforce: bool,
    /// The receipt was planted.
    canary: bool,
    /// One a chair.
    votes: Vec<&'static str>,
    deadline: i64,
    /// What each verdict that stands is paid, AIC base units.
    fee_aic: u64,
    line_done: bool,
    worker_punished: bool,
    bonds: Vec<BondLine>,
    /// What it waits for.
    next: &'static str,
}

#[derive(Debug, Serialize)]
struct BondLine {
    by: String,
    aic: u64,
    against: &'static str,
    settled: bool,
}

#[derive(Serialize)]
struct Planted {
    receipt_hash: String,
    commitment: String,
    /// Nothing when it was so already.
    signature: Option<String>,
}

/// What a saved receipt has in any case.
#[derive(Deserialize)]
struct Saved {
    #[serde(with = "hex::serde")]
    receipt: Vec<u8>,
}

#[derive(Serialize)]
struct Appealed {
    #[serde(flatten)]
    case: Case,
    /// Nothing when this wallet's appeal was there already.
    signature: Option<String>,
}

impl Case {
    fn of(address: &Pubkey, audit: &Audit, now: i64) -> Self {
        let votes = audit.votes.iter().take(usize::from(audit.n_chairs)).map(|vote| vote_name(*vote));
        let laid = audit.bonds.iter().filter(|bond| bond.by != Pubkey::default());
        Self {
            audit: address.to_string(),
            batch: audit.batch.to_string(),
            draw: audit.draw,
            receipt_hash: hex::encode(audit.receipt_hash),
            worker: audit.worker.to_string(),
            operator: audit.operator.to_string(),
            class: audit.det_class,
            price_nc: audit.price_nc,
            round: audit.round,
            outcome: outcome_name(audit.judged),
            settled: audit.settled,
            enforce: audit.enforce,
            canary: audit.canary,
            votes: votes.collect(),
            deadline: audit.deadline,
            fee_aic: audit.fee_aic,
            line_done: audit.line_done,
            worker_punished: audit.worker_punished,
            bonds: laid
                .map(|bond| BondLine {
                    by: bond.by.to_string(),
                    aic: bond.aic,
                    against: outcome_name(bond.against),
                    settled: bond.settled,
                })
                .collect(),
            next: next(audit, now),
        }
    }

    /// The audit of a draw; `None` when nobody opened it, or when it is over and closed.
    pub async fn of_draw(chain: &Chain, batch: &Pubkey, draw: u32) -> anyhow::Result<Option<Self>> {
        let address = settlement::seeds::find_audit(batch, draw).0;
        let Some(audit) = chain.account::<Audit>(&address).await? else { return Ok(None) };
        Ok(Some(Self::of(&address, &audit, chain.unix_time().await?)))
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Open => "open",
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Undecided => "undecided",
    }
}

fn vote_name(vote: Vote) -> &'static str {
    match vote {
        Vote::None => "-",
        Vote::Pass => "pass",
        Vote::Mismatch => "mismatch",
        Vote::Absent => "absent",
    }
}

/// What an audit waits for.
fn next(audit: &Audit, now: i64) -> &'static str {
    match (audit.judged, audit.settled) {
        (_, true) if audit.is_finished() => "the end of its batch's challenge",
        (_, true) if audit.convicts() && !audit.line_done => "its line to be forfeited",
        (_, true) => "payments and penalties",
        (Outcome::Open, false) if now < audit.deadline => "verdicts",
        (_, false) if now < audit.deadline => "an appeal, or the end of the time for it",
        _ => "the outcome to be booked",
    }
}

/// One line an audit.
pub fn table(cases: &[Case]) -> String {
    let rows = cases.iter().map(|case| {
        vec![
            case.audit.clone(),
            case.worker.clone(),
            case.class.to_string(),
            output::usd(case.price_nc),
            case.outcome.to_owned(),
            case.votes.join(" "),
            case.deadline.to_string(),
            case.next.to_owned(),
        ]
    });
    output::table(&["audit", "worker", "class", "price", "outcome", "votes", "deadline", "waits for"], rows)
}

/// Lists what is under audit now, the earliest deadline first.
pub async fn list(args: CasesArgs, context: &Context) -> anyhow::Result<()> {
    let now = context.chain.unix_time().await?;
    let mut audits: Vec<(Pubkey, Audit)> = context.chain.all(&settlement::ID).await?;
    audits.retain(|(_, audit)| args.worker.is_none_or(|worker| worker == audit.worker));
    audits.retain(|(_, audit)| args.class.is_none_or(|class| class == audit.det_class));
    audits.sort_unstable_by_key(|(address, audit)| (audit.deadline, *address));
    let cases: Vec<Case> = audits.iter().map(|(address, audit)| Case::of(address, audit, now)).collect();
    output::print(context.json, &cases, |cases| table(cases))
}

async fn read(chain: &Chain, address: &Pubkey) -> anyhow::Result<Audit> {
    Ok(chain.expect("audit", address, "`waybill audit cases` lists those on chain; one that is over is closed").await?)
}

/// Contests a pass by one verifier, or appeals a panel's decision.
pub async fn appeal(address: Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let chain = &context.chain;
    let audit = read(chain, &address).await?;
    let now = chain.unix_time().await?;
    let mut signature = None;
    if !has_appealed(&audit, &wallet.pubkey()) {
        if let Some(reason) = refusal(&audit, now) {
            bail!("the audit {address} cannot be appealed: {reason}");
        }
        require_bond(context, &wallet.pubkey()).await?;
        let appeal = ix::audits::appeal_audit(wallet.pubkey(), address);
        signature = Some(chain.send(&wallet, &[], &[appeal]).await?.to_string());
    }
    let case = Case::of(&address, &read(chain, &address).await?, now);
    output::print(context.json, &Appealed { case, signature }, |appealed| table(std::slice::from_ref(&appealed.case)))
}

/// Whether the wallet's bond is what the present round votes on.
fn has_appealed(audit: &Audit, wallet: &Pubkey) -> bool {
    let laid = usize::from(audit.round).checked_sub(2).and_then(|index| audit.bonds.get(index));
    audit.judged == Outcome::Open && laid.is_some_and(|bond| bond.by == *wallet && bond.is_held())
}

/// Why the chain would refuse an appeal; `None` when it would not.
fn refusal(audit: &Audit, now: i64) -> Option<&'static str> {
    match audit.judged {
        _ if audit.settled => Some("its outcome is booked"),
        Outcome::Open => Some("its verdicts are not in yet"),
        _ if !audit.may_be_appealed() => Some("no larger panel exists for this decision"),
        _ if now >= audit.deadline => Some("the time for it is over"),
        _ => None,
    }
}

pub async fn canary(command: CanaryCommand, context: &Context) -> anyhow::Result<()> {
    match command {
        CanaryCommand::Commit { receipt } => {
            let Saved { receipt } = read_json(&receipt)?;
            let receipt = Receipt::from_bytes(&receipt).context("the receipt cannot be read")?;
            commit(&receipt, context).await
        }
        CanaryCommand::Reveal { audit } => reveal(audit, context).await,
    }
}

/// What hides a planted receipt until it is revealed. It follows from the wallet and the receipt, so there is nothing to keep.
fn salt(wallet: &Keypair, receipt_hash: &[u8; 32]) -> [u8; 32] {
    let signature = wallet.sign_message(&[b"waybill canary salt".as_slice(), receipt_hash].concat());
    Sha256::digest(signature.as_ref()).into()
}

async fn commit(receipt: &Receipt, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let (key, hash) = (wallet.pubkey(), receipt.hash());
    let commitment = canary_commitment(&hash, &salt(&wallet, &hash));
    let known: Option<Canary> = context.chain.account(&settlement::seeds::find_canary(&commitment).0).await?;
    let mut signature = None;
    if known.is_none() {
        let commit = ix::audits::commit_canary(key, key, commitment);
        signature = Some(context.chain.send(&wallet, &[], &[commit]).await?.to_string());
    }
    let planted = Planted { receipt_hash: hex::encode(hash), commitment: hex::encode(commitment), signature };
    output::print(context.json, &planted, |planted| {
        format!("committed to receipt {}; reveal it once it is under audit", planted.receipt_hash)
    })
}

async fn reveal(address: Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let audit = read(&context.chain, &address).await?;
    let salt = salt(&wallet, &audit.receipt_hash);
    let commitment = canary_commitment(&audit.receipt_hash, &salt);
    let mut signature = None;
    if !audit.canary {
        let canary = settlement::seeds::find_canary(&commitment).0;
        let hint = "this wallet did not commit to the audited receipt";
        let canary: Canary = context.chain.expect("canary", &canary, hint).await?;
        let reveal = ix::audits::reveal_canary(wallet.pubkey(), address, &audit, canary.rent_payer, salt);
        signature = Some(
            context.chain.send(&wallet, &[], &[reveal]).await.context("revealing the planted receipt")?.to_string(),
        );
    }
    let planted =
        Planted { receipt_hash: hex::encode(audit.receipt_hash), commitment: hex::encode(commitment), signature };
    output::print(context.json, &planted, |planted| {
        format!("receipt {} was planted: nothing follows for its worker", planted.receipt_hash)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use waybill_chain::settlement::{constants::CHAIRS, state::Bond};

    fn audit(n_chairs: u8) -> Audit {
        let key = Pubkey::new_from_array([1; 32]);
        Audit {
            version: 1,
            bump: 1,
            enforce: true,
            round: 1,
            judged: Outcome::Open,
            settled: false,
            canary: false,
            worker_punished: false,
            line_done: false,
            paid: 0,
            punished: 0,
            n_chairs,
            seats: [0; CHAIRS],
            votes: [Vote::None; CHAIRS],
            det_class: 1,
            batch: key,
            epoch: 1,
            draw: 0,
            receipt: 0,
            receipt_hash: [2; 32],
            worker: key,
            operator: key,
            output_hash: [0; 32],
            evidence_hash: [0; 32],
            price_nc: 1,
            fee_aic: 1,
            seed_slot: 1,
            seats_until: i64::MAX,
            opened_at: 0,
            deadline: 100,
            bonds: [Bond::NONE; 2],
            seq: 0,
            rent_payer: key,
            _reserved: [0; 32],
        }
    }

    #[test]
    fn an_audit_says_what_it_waits_for_from_its_opening_to_its_end() {
        let mut audit = audit(8);
        assert_eq!(next(&audit, 99), "verdicts");
        assert_eq!(next(&audit, 100), "the outcome to be booked");
        for chair in 0..3 {
            audit.submit(chair, false, 10, 100).unwrap();
        }
        assert_eq!(next(&audit, 11), "an appeal, or the end of the time for it");
        assert_eq!(next(&audit, audit.deadline), "the outcome to be booked");
        audit.resolve(audit.deadline, 100).unwrap();
        assert_eq!(next(&audit, 500), "its line to be forfeited");
        audit.line_done = true;
        assert_eq!(next(&audit, 500), "payments and penalties");
        (audit.worker_punished, audit.paid) = (true, 0b111);
        assert_eq!(next(&audit, 500), "the end of its batch's challenge");
        let case = Case::of(&Pubkey::new_from_array([7; 32]), &audit, 500);
        assert_eq!(case.votes, ["mismatch", "mismatch", "mismatch", "-", "-", "-", "-", "-"]);
        assert_eq!((case.outcome, case.round), ("failed", 2));
    }

    #[test]
    fn an_appeal_is_refused_before_it_is_paid_for_and_made_once() {
        let wallet = Pubkey::new_from_array([9; 32]);
        let mut small = audit(3);
        assert_eq!(refusal(&small, 10), Some("its verdicts are not in yet"));
        small.submit(0, true, 10, 100).unwrap();
        assert_eq!(refusal(&small, 10), Some("no larger panel exists for this decision"));
        let mut audit = audit(8);
        audit.submit(0, true, 10, 100).unwrap();
        assert_eq!(refusal(&audit, 109), None);
        assert_eq!(refusal(&audit, 110), Some("the time for it is over"));
        assert!(!has_appealed(&audit, &wallet));
        audit.appeal(wallet, 5, 20, 100).unwrap();
        assert!(has_appealed(&audit, &wallet) && !has_appealed(&audit, &audit.worker));
        audit.submit(1, true, 30, 100).unwrap();
        audit.submit(2, true, 30, 100).unwrap();
        assert!(!has_appealed(&audit, &wallet), "the panel's own decision can be appealed again");
        audit.resolve(audit.deadline, 100).unwrap();
        assert_eq!(refusal(&audit, 300), Some("its outcome is booked"));
    }

    #[test]
    fn a_salt_follows_from_wallet_and_receipt_alone() {
        let (wallet, other) = (Keypair::new(), Keypair::new());
        assert_eq!(salt(&wallet, &[1; 32]), salt(&wallet, &[1; 32]));
        assert_ne!(salt(&wallet, &[1; 32]), salt(&wallet, &[2; 32]));
        assert_ne!(salt(&wallet, &[1; 32]), salt(&other, &[1; 32]));
    }
}
