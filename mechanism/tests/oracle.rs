//! A second implementation of the vector protocol, in Python's unbounded integers and written from the specification
//! alone, draws requests and answers them; the vector runner must answer each with the same bytes. Needs `python3`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Map, Value};

#[path = "../examples/vectors/runner.rs"]
mod runner;

const SEED: &str = "20261125";
const CASES_PER_OPERATION: usize = 1_000;

#[test]
fn two_implementations_agree_on_every_operation() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle.py");
    let run = Command::new("python3").args([script, SEED, &CASES_PER_OPERATION.to_string()]).output();
    let told = run.expect("python3 is needed to run the second implementation");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).unwrap();

    let mut cases: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let mut request: Map<String, Value> = serde_json::from_str(line).unwrap();
        let op = request["op"].as_str().unwrap().to_owned();
        request.retain(|field, _| field == "op" || field == "in");
        let answer = runner::respond(Value::Object(request).to_string().as_bytes());
        // The script writes its answer last, so the request's line ends in the runner's own bytes.
        assert!(line.ends_with(&format!(",{}", &answer[1..])), "{answer}\nis not the answer of\n{line}");
        *cases.entry(op).or_default() += 1;
    }
    assert_eq!(cases.len(), 25, "every operation is drawn");
    assert!(cases.values().all(|drawn| *drawn == CASES_PER_OPERATION));
}
