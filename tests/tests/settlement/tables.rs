//! The tables in the repository name everything that the programs' interfaces name.

use std::collections::BTreeSet;

use waybill_tests::{compute::INNER, probe::idl::Idls};

fn read(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first cells of the rows of a page's tables, without their backticks.
fn rows(page: &str, cells: usize) -> BTreeSet<Vec<&str>> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| line.split(" | ").take(cells).map(|cell| cell.trim_matches('`')).collect())
        .collect()
}

#[test]
fn every_account_of_every_instruction_is_in_the_table_of_checks() {
    let page = read("programs/CHECKS.md");
    let known = rows(&page, 2);
    let idls = Idls::load();
    let mut missing = Vec::new();
    for described in idls.all() {
        let title = described.title();
        // Its accounts are those of the call that makes it, where they are broken.
        if INNER.iter().any(|(inner, _)| *inner == title) {
            continue;
        }
        for account in described.accounts() {
            if !known.contains(&vec![title.as_str(), account.as_str()]) {
                missing.push(format!("{title} {account}"));
            }
        }
        // A row without a single outcome says that no test calls the instruction.
        let called =
            page.lines().any(|line| line.starts_with(&format!("| `{title}` | ")) && !line.contains("|  |  |  |  |"));
        if !called {
            missing.push(format!("{title}: no accepted call was probed"));
        }
    }
    assert!(missing.is_empty(), "programs/CHECKS.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn every_instruction_is_in_the_table_of_compute() {
    let page = read("programs/COMPUTE.md");
    let known = rows(&page, 1);
    let missing: Vec<String> = Idls::load()
        .all()
        .map(|described| described.title())
        .filter(|title| !known.contains(&vec![title.as_str()]))
        .collect();
    assert!(missing.is_empty(), "programs/COMPUTE.md lacks {}", missing.join(", "));
}

#[test]
fn every_power_is_in_the_list_of_authorities() {
    let page = read("docs/AUTHORITIES.md");
    let idls = Idls::load();
    let mut missing: Vec<String> = idls.all().map(|described| described.title()).collect();
    missing.extend(idls.authority_fields());
    missing.retain(|name| !page.contains(&format!("`{name}`")));
    assert!(missing.is_empty(), "docs/AUTHORITIES.md lacks {}", missing.join(", "));
}
