//! The benchmark runs from end to end: every answer is charged once, both engines agree with bare loops, every table prints.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_quick_run_prints_every_section() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_waybill-bench"))
        .args(["--quick", "--folder"])
        .arg(folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let expected =
        ["added p50", "resident MiB", "Chat engine", "Embedding engine", "instruction", "lamports per request"];
    for text in expected {
        assert!(printed.contains(text), "no {text:?} in\n{printed}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "databases are removed");
}
