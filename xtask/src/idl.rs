//! `cargo xtask idl`: the programs' interface descriptions, as `anchor idl build` writes them.
//!
//! Under the feature `idl-build` Anchor generates tests that print parts of the description between marker lines. This
//! module runs them and puts the parts together.

use crate::{
    process,
    programs::SOURCES,
    progress::{Step, step},
    stamp,
    tree::{PROGRAMS, Tree},
};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

/// Writes `idls/*.json`, or with `check` compares them with what the sources give.
pub fn run(tree: &Tree, check: bool) -> Result<()> {
    step("IDLs", |step| {
        let done = tree.target.join("idl/waybill.stamp");
        let inputs = inputs(tree)?;
        let complete = PROGRAMS.iter().all(|(folder, _)| committed(tree, folder).is_file());
        if complete && stamp::holds(&done, &inputs) {
            return Ok("unchanged".to_owned());
        }
        let mut differing = Vec::new();
        for (folder, package) in PROGRAMS {
            let idl = generate(tree, step, folder, package).with_context(|| package.to_owned())?;
            let path = committed(tree, folder);
            let present = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if present.as_ref() == Some(&idl) {
                continue;
            }
            differing.push(format!("idls/{folder}.json"));
            if !check {
                stamp::write(&path, &format!("{}\n", serde_json::to_string_pretty(&idl)?))?;
            }
        }
        if check && !differing.is_empty() {
            bail!("{} out of date: run `cargo xtask idl` and commit the result", differing.join(", "));
        }
        stamp::write(&done, &self::inputs(tree)?)?;
        Ok(if differing.is_empty() { "up to date".to_owned() } else { format!("wrote {}", differing.join(", ")) })
    })
}

fn committed(tree: &Tree, folder: &str) -> PathBuf {
    tree.join("idls").join(folder).with_extension("json")
}

fn inputs(tree: &Tree) -> Result<String> {
    let mut paths: Vec<PathBuf> = SOURCES.iter().map(|path| tree.join(path)).collect();
    paths.push(tree.join("idls"));
    paths.push(tree.join("xtask/src/idl.rs"));
    stamp::tree(&tree.root, &paths)
}

fn generate(tree: &Tree, step: &Step, folder: &str, package: &str) -> Result<Value> {
    step.working(&format!("{package}: compiling with the feature idl-build"));
    let mut cargo = process::cargo(tree);
    // A target folder of its own: these variables are compiled into Anchor's macros, so that with a shared one this
    // command and the ordinary build would each make the other start over. Nothing here is worth optimising.
    cargo
        .args(["test", "--lib", "--package", package, "--features", "idl-build"])
        .args(["--config", "profile.dev.package.\"*\".opt-level=0", "--config", "profile.dev.opt-level=0"])
        .args(["--", "__anchor_private_print_idl", "--show-output", "--quiet", "--test-threads=1"])
        .env("CARGO_TARGET_DIR", tree.target.join("idl"))
        .env("ANCHOR_IDL_BUILD_NO_DOCS", "FALSE")
        .env("ANCHOR_IDL_BUILD_RESOLUTION", "TRUE")
        .env("ANCHOR_IDL_BUILD_SKIP_LINT", "FALSE")
        .env("ANCHOR_IDL_BUILD_PROGRAM_PATH", tree.join("programs").join(folder))
        .env("RUSTFLAGS", "-Awarnings");
    assemble(&process::read(&mut cargo)?)
}

/// Puts the printed parts together.
fn assemble(printed: &str) -> Result<Value> {
    let mut address = None;
    let mut program = None;
    let mut errors = Value::Array(Vec::new());
    let mut constants = Vec::new();
    let mut events = Vec::new();
    let mut types = BTreeMap::new();
    for (name, text) in sections(printed) {
        if name == "address" {
            address = Some(text.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
            continue;
        }
        let mut value: Value = serde_json::from_str(&text).with_context(|| format!("the part {name}"))?;
        match name.as_str() {
            "const" => constants.push(value),
            "errors" => errors = value,
            "event" => {
                add_types(&mut types, value["types"].take());
                events.push(value["event"].take());
            }
            "program" => {
                add_types(&mut types, value["types"].take());
                program = Some(value);
            }
            other => bail!("unknown part {other:?} of an IDL"),
        }
    }
    let mut idl = match program {
        Some(Value::Object(map)) => map,
        _ => bail!("the tests printed no program"),
    };
    idl.insert("address".to_owned(), Value::String(address.context("the tests printed no address")?));
    put(&mut idl, "constants", constants);
    put(&mut idl, "events", events);
    put(&mut idl, "types", types.into_values().collect());
    if let Value::Array(errors) = errors
        && !errors.is_empty()
    {
        idl.insert("errors".to_owned(), Value::Array(errors)); // in the order of their codes
    }
    for list in ["accounts", "instructions"] {
        let items = match idl.remove(list) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        put(&mut idl, list, items);
    }
    for list in ["accounts", "events", "instructions"] {
        distinct_discriminators(list, idl.get(list))?;
    }
    let mut idl = Value::Object(idl);
    shorten_paths(&mut idl);
    Ok(idl)
}

/// The text between each pair of marker lines, with the marker's name.
fn sections(printed: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in printed.lines() {
        let marker = |edge: &str| line.strip_prefix("--- IDL ")?.strip_prefix(edge)?.strip_suffix(" ---");
        if let Some(name) = marker("begin ") {
            open = Some((name.to_owned(), String::new()));
        } else if marker("end ").is_some() {
            found.extend(open.take());
        } else if let Some((_, text)) = &mut open {
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

fn add_types(types: &mut BTreeMap<String, Value>, more: Value) {
    if let Value::Array(more) = more {
        types.extend(more.into_iter().map(|definition| (name(&definition).to_owned(), definition)));
    }
}

/// Sets a list, sorted by name; an empty one is left out.
fn put(idl: &mut Map<String, Value>, key: &str, mut items: Vec<Value>) {
    items.sort_by(|a, b| name(a).cmp(name(b)));
    if !items.is_empty() {
        idl.insert(key.to_owned(), Value::Array(items));
    }
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

fn distinct_discriminators(list: &str, items: Option<&Value>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for item in items.and_then(Value::as_array).into_iter().flatten() {
        let discriminator = item["discriminator"].to_string();
        if discriminator.len() <= 2 || !seen.insert(discriminator) {
            bail!("{list}: {} has an empty discriminator or one that another has", name(item));
        }
    }
    Ok(())
}

/// Turns `crate::module::Type` into `Type` where no other path ends in the same name.
fn shorten_paths(idl: &mut Value) {
    let mut paths = BTreeMap::<String, BTreeSet<String>>::new();
    each_string(idl, &mut |text| {
        if let Some(last) = path_end(text) {
            paths.entry(last.to_owned()).or_default().insert(text.clone());
        }
    });
    each_string(idl, &mut |text| {
        if let Some(last) = path_end(text)
            && paths.get(last).is_some_and(|all| all.len() == 1)
        {
            *text = last.to_owned();
        }
    });
}

fn each_string(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, visit)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_string(field, visit)),
        _ => {}
    }
}

/// The last word of a path of at least two words.
fn path_end(text: &str) -> Option<&str> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let (_, last) = text.rsplit_once("::")?;
    text.split("::").all(word).then_some(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PRINTED: &str = r#"
running 4 tests
--- IDL begin address ---
"Abc1"
--- IDL end address ---
--- IDL begin event ---
{"event": {"name": "b::Paid", "discriminator": [2]}, "types": [{"name": "b::Paid"}]}
--- IDL end event ---
--- IDL begin errors ---
[{"code": 6001, "name": "Zero"}, {"code": 6000, "name": "A"}]
--- IDL end errors ---
--- IDL begin program ---
{"address": "", "instructions": [{"name": "z", "discriminator": [3]}, {"name": "a", "discriminator": [4]}],
 "accounts": [], "types": [{"name": "x::Same"}, {"name": "y::Same"}]}
--- IDL end program ---
"#;

    #[test]
    fn parts_become_one_sorted_description() {
        let idl = assemble(PRINTED).unwrap();
        assert_eq!(idl["address"], "Abc1");
        assert_eq!(idl["events"][0]["name"], "Paid");
        assert_eq!(idl["errors"][0]["name"], "Zero");
        assert_eq!(idl["instructions"][0]["name"], "a");
        assert!(idl.get("accounts").is_none());
        let types: Vec<&str> = idl["types"].as_array().unwrap().iter().map(name).collect();
        assert_eq!(types, ["Paid", "x::Same", "y::Same"]);
    }

    #[test]
    fn two_instructions_with_one_discriminator_are_refused() {
        let clash = PRINTED.replace("[4]", "[3]");
        assert!(assemble(&clash).unwrap_err().to_string().contains("discriminator"));
    }
}
