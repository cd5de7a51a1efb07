//! The probe: takes every measured call, breaks it in one place at a time and demands that the built program refuses each
//! of them. So an account constraint that nobody thought of testing is tested, and an instruction without a check is found
//! as soon as its compute is measured.
//!
//! Each break runs on a copy of the chain as it was before the call. What is rightly accepted stands in
//! [`exceptions`], each with its reason. With `WAYBILL_WRITE_CHECKS=1` every outcome is appended to `checks.tsv` in the
//! target directory, from which `cargo run -p waybill-tests --example checks` writes `programs/CHECKS.md`.

mod breaks;
pub mod exceptions;
pub mod idl;

use std::{
    collections::HashSet,
    io::Write as _,
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
};

use anchor_lang::solana_program::instruction::Instruction;
use litesvm::{LiteSVM, types::FailedTransactionMetadata};
use solana_keypair::Keypair;

use crate::world::{self, World};
use breaks::{Break, Subject};
use idl::Idls;

static IDLS: LazyLock<Idls> = LazyLock::new(Idls::load);
/// What this process has probed, by instruction and scenario: every world begins with the same calls.
static PROBED: LazyLock<Mutex<HashSet<(String, String)>>> = LazyLock::new(Mutex::default);

/// A call to be probed once it was accepted: the chain before it, and which instruction it is about.
pub(crate) struct Candidate {
    before: LiteSVM,
    at: usize,
    name: String,
}

impl Candidate {
    /// The last of `instructions`, before they are sent; `None` when this scenario was probed.
    pub(crate) fn new(svm: &LiteSVM, name: &str, scenario: &str, instructions: &[Instruction]) -> Option<Self> {
        let mut probed = PROBED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = probed.insert((name.to_owned(), scenario.to_owned()));
        is_new.then(|| Self { before: svm.clone(), at: instructions.len() - 1, name: name.to_owned() })
    }

    /// Breaks the accepted call in every way and demands that each is refused.
    ///
    /// # Panics
    /// When the call is none of the named instruction, or the program accepts a broken one or stops without a named error.
    #[track_caller]
    pub(crate) fn probe(self, world: &World, instructions: &[Instruction], signers: &[&Keypair], logs: &[String]) {
        let built = &instructions[self.at];
        let described = IDLS.instruction(&built.program_id, &built.data).expect("a described instruction");
        assert_eq!(described.title(), self.name, "measured under another name");
        let subject = Subject {
            svm: &self.before,
            idls: &IDLS,
            built,
            described,
            others: instructions.iter().enumerate().filter(|(at, _)| *at != self.at).map(|(_, other)| other).collect(),
            slashed: logs.iter().any(|line| line.contains("Instruction: Slash")),
        };
        let mut faults = Vec::new();
        for attempt in subject.breaks() {
            let outcome = self.attempt(world, instructions, signers, &attempt);
            let exception = exceptions::find(&self.name, &attempt.account, attempt.check);
            let cell = match (&outcome, exception) {
                (Outcome::Refused(error), _) => error.clone(),
                (Outcome::Stopped(error), _) => {
                    faults.push(format!("{} {}: stops without a named error: {error}", attempt.account, attempt.check));
                    "FAULT: stops".to_owned()
                }
                (Outcome::Accepted, _) if attempt.may_succeed => "accepted".to_owned(),
                (Outcome::Accepted, Some(reason)) => format!("allowed: {reason}"),
                (Outcome::Accepted, None) => {
                    faults.push(format!("{} {}: accepted", attempt.account, attempt.check));
                    "FAULT: accepted".to_owned()
                }
            };
            record(&self.name, &attempt.account, attempt.check, &cell);
        }
        // A recording run lists them all.
        assert!(
            faults.is_empty() || recording(),
            "{} does not refuse what it must:\n  {}",
            self.name,
            faults.join("\n  ")
        );
    }

    fn attempt(&self, world: &World, instructions: &[Instruction], signers: &[&Keypair], broken: &Break) -> Outcome {
        let mut svm = self.before.clone();
        for (address, account) in &broken.accounts {
            svm.set_account(*address, account.clone()).unwrap();
        }
        let mut all = instructions.to_vec();
        all[self.at] = broken.built.clone();
        if broken.twice {
            all.push(broken.built.clone());
        }
        let stranger = breaks::stranger();
        let mut keys = signers.to_vec();
        keys.push(&stranger);
        svm.expire_blockhash();
        let transaction = world::transaction(&svm, &world.payer, &all, &keys);
        match svm.send_transaction(transaction) {
            Ok(_) => Outcome::Accepted,
            Err(failure) => Outcome::of(&failure),
        }
    }
}

enum Outcome {
    Accepted,
    /// With the name of the error.
    Refused(String),
    /// The program panicked or ran out of something: nobody can say why it refused.
    Stopped(String),
}

impl Outcome {
    fn of(failure: &FailedTransactionMetadata) -> Self {
        let named = failure.meta.logs.iter().rev().find_map(|line| {
            let rest = line.split_once("Error Code: ")?.1;
            Some(rest.split(['.', ' ']).next()?.to_owned())
        });
        if let Some(name) = named {
            return Self::Refused(name);
        }
        let text = format!("{:?}", failure.err);
        let stopped = ["ProgramFailedToComplete", "ComputationalBudgetExceeded", "AccessViolation"];
        if stopped.iter().any(|word| text.contains(word)) {
            return Self::Stopped(format!("{text}\n    {}", failure.meta.logs.join("\n    ")));
        }
        // The runtime, the system or the token program refused: `InstructionError(1, MissingRequiredSignature)`.
        let inner = text.split_once(", ").map_or(text.as_str(), |(_, rest)| rest);
        Self::Refused(inner.trim_end_matches(')').replace("Custom(", "runtime error "))
    }
}

/// Where outcomes are kept between the tests and the generator.
#[must_use]
pub fn record_path() -> PathBuf {
    world::target_dir().join("checks.tsv")
}

fn recording() -> bool {
    std::env::var_os("WAYBILL_WRITE_CHECKS").is_some()
}

fn record(instruction: &str, account: &str, check: &str, outcome: &str) {
    if !recording() {
        return;
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(record_path()).unwrap();
    // One write per line, so lines of tests that run at the same time do not mix.
    file.write_all(format!("{instruction}\t{account}\t{check}\t{outcome}\n").as_bytes()).unwrap();
}
