//! Writes `programs/CHECKS.md` from what the probe saw: run the tests with `WAYBILL_WRITE_CHECKS=1` first.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt::Write as _};

use waybill_tests::probe::{exceptions, idl::Idls, record_path};

/// Breaks of one account, in the order of the columns.
const OF_ACCOUNTS: [&str; 13] = [
    "unsigned",
    "another signer",
    "another owner",
    "another type",
    "another subject",
    "a copy elsewhere",
    "another address",
    "closed",
    "read only",
    "duplicate",
    "another mint",
    "another token owner",
    "another program",
];
/// Breaks of a whole call.
const OF_CALLS: [&str; 4] = ["one account short", "one account more", "cut data", "twice"];
const ARGUMENTS: [&str; 2] = ["argument 0", "argument at its maximum"];

type Outcomes = BTreeMap<(String, String, String), String>;

fn main() {
    let mut outcomes = Outcomes::new();
    for line in std::fs::read_to_string(record_path()).unwrap().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [instruction, account, check, outcome] = fields[..] {
            let known =
                outcomes.entry((instruction.into(), account.into(), check.into())).or_insert_with(|| outcome.into());
            // Of several scenarios one that refuses, always the same.
            if (is_accepted(outcome), outcome) < (is_accepted(known), known.as_str()) {
                *known = outcome.to_owned();
            }
        }
    }
    let page = page(&outcomes);
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/CHECKS.md"), page).unwrap();
    println!("{} checks", outcomes.len());
}

fn is_accepted(outcome: &str) -> bool {
    outcome == "accepted" || outcome.starts_with("allowed")
}

fn page(outcomes: &Outcomes) -> String {
    let idls = Idls::load();
    let mut page = String::from(INTRODUCTION);
    heading(&mut page, "Accounts", "instruction | account", &OF_ACCOUNTS);
    for described in idls.all() {
        let title = described.title();
        let mut accounts = described.accounts();
        accounts.extend(remaining(outcomes, &title));
        for account in accounts {
            row(&mut page, &format!("`{title}` | `{account}`"), outcomes, &title, &account, &OF_ACCOUNTS);
        }
    }
    heading(&mut page, "Calls", "instruction", &OF_CALLS);
    for described in idls.all() {
        row(&mut page, &format!("`{}`", described.title()), outcomes, &described.title(), "", &OF_CALLS);
    }
    heading(&mut page, "Arguments", "instruction | argument", &ARGUMENTS);
    for (title, argument) in arguments(outcomes) {
        row(&mut page, &format!("`{title}` | `{argument}`"), outcomes, &title, &argument, &ARGUMENTS);
    }
    page.push_str(
        "\n## What is rightly accepted\n\n| instruction | account | break | reason |\n| --- | --- | --- | --- |\n",
    );
    for (instruction, account, check, reason) in exceptions::all() {
        writeln!(page, "| `{instruction}` | `{account}` | {check} | {reason} |").unwrap();
    }
    page
}

const INTRODUCTION: &str = "# Checks\n\nEvery instruction, broken in one place at a time, on the SBF binaries in LiteSVM. \
    The first accepted call of each instruction in the tests is repeated with each of these breaks on a copy of the chain; \
    a cell names the error that refused it. Empty: the break does not apply. *ok*: rightly accepted, with its reason at \
    the end.\nWritten by `cargo run -p waybill-tests --example checks` after a test run with `WAYBILL_WRITE_CHECKS=1`; \
    a test fails when an instruction or an account of the interface is missing here.\n";

fn heading(page: &mut String, title: &str, first: &str, checks: &[&str]) {
    let columns = first.matches('|').count() + 1 + checks.len();
    write!(page, "\n## {title}\n\n| {first} | {} |\n|{}\n", checks.join(" | "), " --- |".repeat(columns)).unwrap();
}

fn row(page: &mut String, head: &str, outcomes: &Outcomes, title: &str, account: &str, checks: &[&str]) {
    let cells: Vec<&str> = checks
        .iter()
        .map(|check| {
            let key = (title.to_owned(), account.to_owned(), (*check).to_owned());
            let outcome = outcomes.get(&key).map_or("", String::as_str);
            if outcome.starts_with("allowed") { "*ok*" } else { outcome }
        })
        .collect();
    writeln!(page, "| {head} | {} |", cells.join(" | ")).unwrap();
}

fn remaining(outcomes: &Outcomes, title: &str) -> Vec<String> {
    let mut names: Vec<String> = outcomes
        .keys()
        .filter(|key| key.0 == title && key.1.starts_with("remaining"))
        .map(|key| key.1.clone())
        .collect();
    names.dedup();
    names
}

fn arguments(outcomes: &Outcomes) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = outcomes
        .keys()
        .filter(|(_, _, check)| ARGUMENTS.contains(&check.as_str()))
        .map(|(title, argument, _)| (title.clone(), argument.clone()))
        .collect();
    rows.dedup();
    rows
}
