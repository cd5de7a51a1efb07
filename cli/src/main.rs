//! The `waybill` program: reads the command line and the environment, nothing below it does.

mod args;
mod commands;
mod context;
mod genesis;
mod input;
mod lookup;
mod output;
mod place;
mod plot;
mod progress;
mod receipt_check;
mod role;
mod services;
mod up;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let json = args.global.json;
    init_logging(&args.global.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(json, &error.into()),
    };
    match runtime.block_on(commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<commands::receipt::Told>() {
            Some(told) => ExitCode::from(told.exit_code()),
            None if error.is::<commands::audit::Rejected>() => ExitCode::FAILURE,
            None => output::fail(json, &error),
        },
    }
}

/// Logs go to standard error; standard output carries results only.
fn init_logging(filter: &str) {
    let filter =
        tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
