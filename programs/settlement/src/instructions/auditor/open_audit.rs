//! Opens the audit of one draw: shows that the staged receipt is the leaf that the draw hits, seats the panel and asks
//! the first verifier. Anyone may; the seed and the set decide everything.

use anchor_lang::prelude::*;
use coin::authority::pause;
use market::state::Node;
use waybill_mechanism::{
    audit::{audit_draw, contains, is_spared},
    batch::claim_amount,
    merkle::{self, PROOF_NODE_LEN},
};

use crate::{
    constants::{CHAIRS, SEAT_HOLD_S, VERSION},
    error::SettleError,
    events::AuditOpened,
    seeds,
    state::{Audit, Batch, Bond, Outcome, SettleConfig, StagedReceipt, VerifierSet, Vote, WorkerRecord},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct OpenAuditArgs {
    /// Below `Batch.draws`.
    pub draw: u32,
    /// Index of the receipt in the receipts tree.
    pub receipt: u32,
    /// Siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[derive(Accounts)]
#[instruction(args: OpenAuditArgs)]
pub struct OpenAudit<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut, close = stager, constraint = staged.rent_payer == stager.key() @ SettleError::AccountMismatch)]
    pub staged: Box<Account<'info, StagedReceipt>>,
    /// CHECK: receives the rent of `staged`; the address recorded in it.
    #[account(mut)]
    pub stager: UncheckedAccount<'info>,
    pub node: Box<Account<'info, Node>>,
    pub set: Box<Account<'info, VerifierSet>>,
    /// Never closed, so creating it on first use forgets nothing.
    #[account(
        init_if_needed,
        payer = payer,
        space = 8 + WorkerRecord::INIT_SPACE,
        seeds = [seeds::RECORD, staged.worker.as_ref()],
        bump
    )]
    pub record: Box<Account<'info, WorkerRecord>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Audit::INIT_SPACE,
        seeds = [seeds::AUDIT, batch.key().as_ref(), &args.draw.to_le_bytes()],
        bump
    )]
    pub audit: Box<Account<'info, Audit>>,
    pub system_program: Program<'info, System>,
}

impl OpenAudit<'_> {
    /// `batch` is drawn and can be challenged; `staged` is a receipt of it, `stager` paid for that; `node` is the
    /// receipt's worker, `record` its record, `set` judges its class; `audit` is new at the address of its draw.
    fn validate(&self, args: &OpenAuditArgs, now: i64) -> Result<()> {
        self.config.require_running(pause::DISPUTES)?;
        self.batch.require_challengeable(now, self.config.challenge_s)?;
        require!(self.batch.seed_slot > 0, SettleError::NotSeeded);
        require!(args.draw < u32::from(self.batch.draws), SettleError::DrawMismatch);
        require!(
            self.staged.gateway == self.batch.gateway && self.staged.epoch == self.batch.epoch,
            SettleError::ReceiptMismatch
        );
        require_keys_eq!(self.node.worker, self.staged.worker, SettleError::NodeMismatch);
        require!(self.set.det_class == self.staged.det_class, SettleError::AccountMismatch);
        Ok(())
    }

    /// The staged receipt is the leaf whose share of the batch's value contains the draw.
    fn prove(&self, args: &OpenAuditArgs) -> Result<()> {
        let batch = &self.batch;
        let root = merkle::Node { hash: batch.receipts_root, sum: batch.sum_nc };
        let leaf = merkle::Node { hash: self.staged.leaf, sum: self.staged.price_nc };
        let proof: Vec<merkle::Node> = args.proof.iter().map(merkle::Node::from_bytes).collect();
        let prefix = merkle::verify(&root, batch.n_receipts, args.receipt, &leaf, &proof)
            .map_err(|_| SettleError::InvalidProof)?;
        let point = audit_draw(&batch.seed, args.draw, batch.sum_nc).ok_or(SettleError::InvalidBatch)?;
        require!(contains(prefix, self.staged.price_nc, point), SettleError::DrawMismatch);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<OpenAudit>, args: OpenAuditArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    ctx.accounts.validate(&args, now)?;
    ctx.accounts.prove(&args)?;
    let bumps = ctx.bumps;
    let accounts = &mut *ctx.accounts;
    let payer = accounts.payer.key();
    let (batch_key, worker) = (accounts.batch.key(), accounts.staged.worker);
    if accounts.record.version == 0 {
        accounts.record.set_inner(WorkerRecord::new(worker, VERSION, bumps.record, payer));
    }
    let batch = &mut accounts.batch;
    require!(!is_spared(&batch.seed, args.draw, accounts.record.passes), SettleError::DrawSpared);
    let seats_until = batch.posted_at.checked_add(SEAT_HOLD_S).ok_or(SettleError::Overflow)?;
    require!(now < seats_until, SettleError::ChallengeOver);
    let set = accounts.set.to_account_info();
    let panel = VerifierSet::draw_panel(
        &set.try_borrow_data()?,
        &batch.seed,
        args.draw,
        batch.posted_at,
        &[accounts.node.operator, worker, batch.gateway],
    )?;
    let staged = &accounts.staged;
    // Rounds down. A verifier repeats the computation, so it is paid what the request cost.
    let fee_aic = claim_amount(batch.sum_nc, batch.aic, staged.price_nc).map_err(SettleError::from)?;
    let verdict_s = i64::from(accounts.config.audit.verdict_s());
    let mut audit = Audit {
        version: VERSION,
        bump: bumps.audit,
        enforce: accounts.config.audit.enforce,
        round: 1,
        judged: Outcome::Open,
        settled: false,
        canary: false,
        worker_punished: false,
        line_done: false,
        paid: 0,
        punished: 0,
        n_chairs: 0,
        seats: [0; CHAIRS],
        votes: [Vote::None; CHAIRS],
        det_class: staged.det_class,
        batch: batch_key,
        epoch: batch.epoch,
        draw: args.draw,
        receipt: args.receipt,
        receipt_hash: staged.hash,
        worker,
        operator: accounts.node.operator,
        output_hash: staged.output_hash,
        evidence_hash: staged.evidence_hash,
        price_nc: staged.price_nc,
        fee_aic,
        seed_slot: batch.seed_slot,
        seats_until,
        opened_at: now,
        deadline: now.checked_add(verdict_s).ok_or(SettleError::Overflow)?,
        bonds: [Bond::NONE; 2],
        seq: 0,
        rent_payer: payer,
        _reserved: [0; 32],
    };
    audit.seat(&panel);
    let seq = audit.next_seq()?;
    audit.invariant()?;
    batch.open_audits = batch.open_audits.checked_add(1).ok_or(SettleError::Overflow)?;
    batch.invariant()?;
    accounts.audit.set_inner(audit);
    emit!(AuditOpened {
        audit: accounts.audit.key(),
        batch: batch_key,
        draw: args.draw,
        receipt_hash: accounts.audit.receipt_hash,
        worker,
        det_class: accounts.audit.det_class,
        price_nc: accounts.audit.price_nc,
        seats: accounts.audit.seats,
        n_chairs: accounts.audit.n_chairs,
        enforce: accounts.audit.enforce,
        deadline: accounts.audit.deadline,
        seq
    });
    Ok(())
}
