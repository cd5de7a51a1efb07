//! What became of a transaction.

use anchor_lang::{Discriminator, Event, event::EVENT_IX_TAG_LE};
use base64::Engine as _;
use litesvm::types::{FailedTransactionMetadata, TransactionMetadata};

/// A transaction that succeeded.
#[derive(Debug)]
pub struct Sent {
    /// Logs, inner instructions and compute units.
    pub meta: TransactionMetadata,
}

impl Sent {
    /// Compute units of the whole transaction.
    #[must_use]
    pub fn compute_units(&self) -> u64 {
        self.meta.compute_units_consumed
    }

    /// The events of a type that were emitted through CPI (money and stake), in order.
    #[must_use]
    pub fn cpi_events<T: Event>(&self) -> Vec<T> {
        self.meta
            .inner_instructions
            .iter()
            .flatten()
            .filter_map(|inner| decode(inner.instruction.data.strip_prefix(EVENT_IX_TAG_LE)?))
            .collect()
    }

    /// The events of a type that were emitted as logs (everything else), in order.
    #[must_use]
    pub fn log_events<T: Event>(&self) -> Vec<T> {
        let base64 = base64::engine::general_purpose::STANDARD;
        self.meta
            .logs
            .iter()
            .filter_map(|line| line.strip_prefix("Program data: "))
            .filter_map(|text| decode(&base64.decode(text).ok()?))
            .collect()
    }
}

fn decode<T: Event + Discriminator>(data: &[u8]) -> Option<T> {
    T::try_from_slice(data.strip_prefix(T::DISCRIMINATOR)?).ok()
}

/// A transaction that failed.
#[derive(Debug)]
pub struct Refused {
    /// The error and the logs.
    pub failure: FailedTransactionMetadata,
}

impl Refused {
    /// The error code of the instruction that failed: a program's own from 6000, Anchor's below. `None` for errors
    /// without a code, such as a missing signature.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        let text = format!("{:?}", self.failure.err);
        text.split_once("Custom(")?.1.split_once(')')?.0.parse().ok()
    }
}

/// Asserts that a transaction was refused with exactly this error.
///
/// # Panics
/// When it succeeded or failed differently; the message has the logs.
#[track_caller]
pub fn assert_refused<E: Into<u32> + std::fmt::Debug + Copy>(result: Result<Sent, Refused>, error: E) {
    let code: u32 = error.into();
    match result {
        Ok(_) => panic!("succeeded, expected {error:?} ({code})"),
        Err(refused) => assert_eq!(
            refused.code(),
            Some(code),
            "expected {error:?}, got {:?}\n{}",
            refused.failure.err,
            refused.failure.meta.logs.join("\n")
        ),
    }
}
