//! The vector runner answers as the specification says: its samples byte for byte, a second implementation's answers on
//! all operations, and each refusal in its order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Map, Value, json};

#[path = "../examples/vectors/runner.rs"]
mod runner;

/// The specification's samples.
const SAMPLES: &str = include_str!("samples.jsonl");
/// Drawn at random and answered by a separate implementation of the specification, in another language.
const REFERENCE: &str = include_str!("reference.jsonl");

fn respond(line: &str) -> String {
    runner::respond(line.as_bytes())
}

fn ask(op: &str, input: &Value) -> Value {
    serde_json::from_str(&respond(&json!({ "op": op, "in": input }).to_string())).unwrap()
}

/// `base` with some of its fields replaced.
fn with(base: &Value, changes: &Value) -> Value {
    let mut fields = base.as_object().unwrap().clone();
    fields.extend(changes.as_object().unwrap().clone());
    Value::Object(fields)
}

fn refused(error: &str) -> Value {
    json!({ "error": error })
}

/// Every line ends in the very text the runner writes: `…,"out":{…}}` is answered by `{"out":{…}}`.
fn assert_answers(lines: &str) {
    assert!(lines.lines().count() > 0);
    for line in lines.lines() {
        let mut request: Map<String, Value> = serde_json::from_str(line).unwrap();
        let answer = request.remove("out").or_else(|| request.remove("error")).unwrap();
        let answered = respond(&Value::Object(request).to_string());
        let (key, written) = answered[1..answered.len() - 1].split_once(':').unwrap();
        assert_eq!(serde_json::from_str::<Value>(written).unwrap(), answer, "{line}");
        assert!(line.ends_with(&format!(",{key}:{written}}}")), "{answered} is not the text of {line}");
    }
}

#[test]
fn the_samples_of_the_specification() {
    assert_answers(SAMPLES);
}

#[test]
fn the_answers_of_a_second_implementation() {
    assert_answers(REFERENCE);
    let ops: std::collections::BTreeSet<String> = REFERENCE
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["op"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ops.len(), 25, "every operation is covered");
}

#[test]
fn what_is_not_a_request_is_bad_input_and_still_has_an_answer() {
    let lines: [&[u8]; 9] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        br#"{"in":{}}"#,
        br#"{"op":7,"in":{}}"#,
        br#"{"op":"ema"}"#,
        br#"{"op":"ema","in":[]}"#,
    ];
    for line in lines {
        assert_eq!(runner::respond(line), r#"{"error":"bad_input"}"#, "{}", String::from_utf8_lossy(line));
    }
    assert_eq!(respond(r#"{"op":"emma","in":{}}"#), r#"{"error":"unknown_op"}"#);
    assert_eq!(respond(r#"{"op":"emma"}"#), r#"{"error":"unknown_op"}"#, "no operation says what its input is");
}

#[test]
fn every_field_of_every_operation_is_required() {
    for line in SAMPLES.lines().chain(REFERENCE.lines()) {
        let request: Value = serde_json::from_str(line).unwrap();
        if request.get("out").is_none() {
            continue;
        }
        for field in request["in"].as_object().unwrap().keys() {
            let mut input = request["in"].clone();
            input.as_object_mut().unwrap().remove(field);
            assert_eq!(ask(request["op"].as_str().unwrap(), &input), refused("bad_input"), "without {field}: {line}");
        }
    }
}

#[test]
fn numbers_have_one_spelling() {
    let base = json!({ "old": "5", "obs": "5", "alpha_bps": 2_000 });
    assert_eq!(
        ask("ema", &with(&base, &json!({ "old": "18446744073709551615", "alpha_bps": 0 })))["out"]["value"],
        "18446744073709551615"
    );
    let not_u64 = [
        json!("05"),
        json!("00"),
        json!("+5"),
        json!("-5"),
        json!("-0"),
        json!(" 5"),
        json!("5.0"),
        json!("0x5"),
        json!("5e0"),
        json!(""),
        json!("\u{ff15}"),
        json!("18446744073709551616"),
        json!(5),
        json!(null),
        json!(true),
        json!(["5"]),
    ];
    for spelling in not_u64 {
        assert_eq!(ask("ema", &with(&base, &json!({ "old": spelling }))), refused("bad_input"), "{spelling}");
    }
    for share in [json!(10_001), json!(65_536), json!(-1), json!(5.0), json!("5"), json!(null)] {
        assert_eq!(ask("ema", &with(&base, &json!({ "alpha_bps": share }))), refused("bad_input"), "{share}");
    }
}

#[test]
fn expiry_is_a_signed_number_of_one_spelling() {
    let zero = "00".repeat(32);
    let base = json!({
        "domain": "00".repeat(8), "channel": zero, "nonce": "1", "acked_nc": "2", "cum_nc": "3", "expires": "0", "ctx_hash": zero,
    });
    for (expires, bytes) in [
        ("-1", "ffffffffffffffff"),
        ("-9223372036854775808", "0000000000000080"),
        ("9223372036854775807", "ffffffffffffff7f"),
    ] {
        let answer = ask("voucher_bytes", &with(&base, &json!({ "expires": expires })));
        assert_eq!(&answer["out"]["bytes"].as_str().unwrap()[132..148], bytes);
    }
    for expires in ["-0", "+1", "-01", "9223372036854775808", "-9223372036854775809"] {
        assert_eq!(
            ask("voucher_bytes", &with(&base, &json!({ "expires": expires }))),
            refused("bad_input"),
            "{expires}"
        );
    }
    for bytes in ["00".repeat(31), "00".repeat(33), "0".repeat(63), "AA".repeat(32), "zz".repeat(32)] {
        assert_eq!(ask("voucher_bytes", &with(&base, &json!({ "channel": bytes }))), refused("bad_input"), "{bytes}");
    }
    assert_eq!(ask("voucher_bytes", &with(&base, &json!({ "acked_nc": "4" }))), refused("bad_input"));
}

#[test]
fn a_claim_is_refused_for_its_first_reason() {
    let base = json!({ "settled_nc": "10", "claim_cum_nc": "20", "ceiling_nc": "30", "balance_aic": "100", "rate": "1000000000" });
    let cases = [
        (json!({ "rate": "0", "claim_cum_nc": "10" }), "bad_input"),
        (json!({ "claim_cum_nc": "10" }), "stale_claim"),
        (json!({ "claim_cum_nc": "10", "ceiling_nc": "9" }), "stale_claim"),
        (json!({ "claim_cum_nc": "31" }), "above_ceiling"),
    ];
    for (changes, error) in cases {
        assert_eq!(ask("settle_amount", &with(&base, &changes)), refused(error), "{changes}");
    }
    assert_eq!(ask("settle_amount", &base)["out"], json!({ "delta_nc": "10", "delta_aic": "10" }));
}

#[test]
fn a_delegated_claim_is_refused_for_its_first_reason() {
    let base = json!({
        "now": "100", "expires": "200", "period_s": 50, "period_start": "60", "limit_nc": "30", "used_nc": "5", "settled_nc": "10",
        "claim_cum_nc": "20", "balance_aic": "100", "rate": "1000000000",
    });
    let cases = [
        (json!({ "period_s": 0 }), "bad_input"),
        (json!({ "rate": "0", "now": "200" }), "bad_input"),
        (json!({ "now": "59" }), "bad_input"),
        (json!({ "used_nc": "31" }), "bad_input"),
        (json!({ "expires": "-1" }), "bad_input"),
        (json!({ "period_start": "-1" }), "bad_input"),
        (json!({ "limit_nc": "0", "used_nc": "0" }), "inactive"),
        (json!({ "now": "200" }), "inactive"),
        (json!({ "now": "200", "claim_cum_nc": "10" }), "inactive"),
        (json!({ "claim_cum_nc": "10" }), "stale_claim"),
    ];
    for (changes, error) in cases {
        assert_eq!(ask("delegated_amount", &with(&base, &changes)), refused(error), "{changes}");
    }
    let last = ask("delegated_amount", &with(&base, &json!({ "now": "199" })));
    assert_eq!(last["out"]["period_start"], "160", "two periods on, still on the grid");
}

#[test]
fn a_condition_comes_before_an_overflow() {
    let most = u64::MAX.to_string();
    let ticks = json!({ "p0": most, "n": 2, "ratio_bps": 500 });
    assert_eq!(ask("ticks", &ticks), refused("overflow"));
    assert_eq!(ask("ticks", &with(&ticks, &json!({ "n": 65 }))), refused("bad_input"));
    let book = json!({ "p0": most, "ratio_bps": 500, "cap": ["9", "9"], "demand": "0", "headroom_bps": 0 });
    assert_eq!(ask("clear", &book), refused("overflow"), "all ticks are computed, also those above the marginal one");
    assert_eq!(ask("clear", &with(&book, &json!({ "headroom_bps": 10_001 }))), refused("bad_input"));
    let stack =
        json!({ "c": most, "a_v": "0", "a_o": "0", "a_w": "0", "beta": 500, "phi": 300, "k_v": 0, "k_o": 0, "k_w": 0 });
    assert_eq!(ask("price_stack", &stack), refused("overflow"));
    assert_eq!(ask("price_stack", &with(&stack, &json!({ "k_v": 9_200 }))), refused("bad_input"));

    let leaves = json!([{ "data": "", "sum": most }, { "data": "00", "sum": "1" }]);
    assert_eq!(ask("merkle_root", &json!({ "leaves": leaves })), refused("overflow"));
    assert_eq!(ask("merkle_proof", &json!({ "leaves": leaves, "index": 1 })), refused("overflow"));
    assert_eq!(ask("merkle_proof", &json!({ "leaves": leaves, "index": 2 })), refused("bad_input"));
    let proof = json!([{ "hash": "00".repeat(32), "sum": "1" }]);
    let told = json!({ "root": "00".repeat(32), "root_sum": "0", "n_leaves": 2, "index": 0, "data": "", "sum": most, "proof": proof });
    assert_eq!(
        ask("merkle_verify", &told)["out"],
        json!({ "ok": false, "prefix": "0" }),
        "a proof that overflows proves nothing"
    );
}
