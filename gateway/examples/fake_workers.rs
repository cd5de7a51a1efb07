//! A gateway with workers and a chain that exist only in this process: prints its address and an API key, and serves until
//! its input ends. For trying clients without models: `cargo run -p waybill-gateway --example fake_workers`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use support::Harness;
use tokio::io::{AsyncReadExt, stdin};

#[tokio::main]
async fn main() {
    let harness = Harness::start().await;
    let broke = harness.new_key(Some(0)).await;
    println!(
        "{}",
        serde_json::json!({"gateway": harness.url, "api_key": harness.api_key, "spent_key": broke.reveal()})
    );
    let _ = stdin().read_to_end(&mut Vec::new()).await;
    harness.stop().await;
}
