//! Compute units of every instruction, as the programs' tests measured and wrote them down.

use crate::figures::{print, table};
use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs, path::Path};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/COMPUTE.md");

/// Most compute units of an instruction in any scenario, and what the design allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Most {
    used: u64,
    design: Option<u64>,
}

/// Prints each instruction's maximum.
pub fn run() -> Result<()> {
    println!("Compute units per instruction: the most of any scenario, measured in LiteSVM (programs/COMPUTE.md)");
    let file = Path::new(FILE);
    if !file.is_file() {
        println!("skipped: programs/COMPUTE.md is not there; the tests of the programs write it\n");
        return Ok(());
    }
    let text = fs::read_to_string(file).context("programs/COMPUTE.md")?;
    let mut table = table(["instruction", "used", "design"]);
    for (name, most) in read(&text) {
        let design = most.design.map_or_else(String::new, |units| units.to_string());
        table.add_row([name.to_owned(), most.used.to_string(), design]);
    }
    print(&table);
    Ok(())
}

/// Rows `| instruction | scenario | used | design | creates |` of the file; other lines are text.
fn read(text: &str) -> BTreeMap<&str, Most> {
    let mut all: BTreeMap<&str, Most> = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, used, design, _] = cells[..] else { continue };
        let Ok(used) = used.parse::<u64>() else { continue };
        let most = all.entry(name.trim_matches('`')).or_default();
        most.used = most.used.max(used);
        most.design = design.trim_end_matches(" ⚠").parse().ok();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_of_several_scenarios_counts_and_text_does_not() {
        let text = "# Title\n\n| instruction | scenario | used | design | creates |\n| --- | --- | ---: | ---: | --- |\n\
                    | `a::x` | one | 10 | 15 | |\n| `a::x` | two | 20 | 15 ⚠ | |\n| `b::y` | one | 5 | – | c::D 9 |\n";
        let all = read(text);
        assert_eq!(all.len(), 2);
        assert_eq!(all["a::x"], Most { used: 20, design: Some(15) });
        assert_eq!(all["b::y"], Most { used: 5, design: None });
    }
}
