//! What a gateway in another process and the scheduler say to each other beyond the shared frames.

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use waybill_protocol::{
    DispatchError,
    frame::{Fault, Job},
};

pub(crate) const PROTOBUF: &str = "application/protobuf";

/// Body of `POST /v1/dispatch`, length-delimited.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DispatchRequest {
    /// `RouteWish` as JSON; empty means no wishes.
    #[prost(bytes = "bytes", tag = "1")]
    pub wish: Bytes,
    #[prost(message, optional, tag = "2")]
    pub job: Option<Job>,
}

/// Headers of the answer to a dispatch. Its body is `Event` frames, a `Fault` last where the link to the worker broke.
pub(crate) const WORKER: &str = "x-waybill-worker";
pub(crate) const REGION: &str = "x-waybill-region";
pub(crate) const ATTEMPTS: &str = "x-waybill-attempts";

/// `DispatchError` as the JSON body of a response that is not 200.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    pub error: Refusal,
    /// For people; the fields above say the same.
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Refusal {
    NoWorker { detail: String },
    Busy { retry_after_ms: u32 },
    Refused { fault: FaultBody },
    Exhausted { attempts: u32, last: FaultBody },
    Timeout,
    Unavailable { detail: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FaultBody {
    code: i32,
    detail: String,
    retry_after_ms: Option<u32>,
}

impl From<Fault> for FaultBody {
    fn from(Fault { code, detail, retry_after_ms }: Fault) -> Self {
        Self { code, detail, retry_after_ms }
    }
}

impl From<FaultBody> for Fault {
    fn from(FaultBody { code, detail, retry_after_ms }: FaultBody) -> Self {
        Self { code, detail, retry_after_ms }
    }
}

impl From<DispatchError> for Refusal {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::NoWorker(detail) => Self::NoWorker { detail },
            DispatchError::Busy { retry_after_ms } => Self::Busy { retry_after_ms },
            DispatchError::Refused(fault) => Self::Refused { fault: fault.into() },
            DispatchError::Exhausted { attempts, last } => Self::Exhausted { attempts, last: last.into() },
            DispatchError::Timeout => Self::Timeout,
            DispatchError::Unavailable(detail) => Self::Unavailable { detail },
        }
    }
}

impl From<Refusal> for DispatchError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoWorker { detail } => Self::NoWorker(detail),
            Refusal::Busy { retry_after_ms } => Self::Busy { retry_after_ms },
            Refusal::Refused { fault } => Self::Refused(fault.into()),
            Refusal::Exhausted { attempts, last } => Self::Exhausted { attempts, last: last.into() },
            Refusal::Timeout => Self::Timeout,
            Refusal::Unavailable { detail } => Self::Unavailable(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use waybill_protocol::frame::FaultCode;

    #[test]
    fn every_error_survives_the_trip() {
        let fault = Fault { retry_after_ms: Some(7), ..Fault::new(FaultCode::BadInput, "no") };
        for error in [
            DispatchError::NoWorker("x".into()),
            DispatchError::Busy { retry_after_ms: 5 },
            DispatchError::Refused(fault.clone()),
            DispatchError::Exhausted { attempts: 3, last: fault },
            DispatchError::Timeout,
            DispatchError::Unavailable("y".into()),
        ] {
            let json = serde_json::to_vec(&Refusal::from(error.clone())).unwrap();
            assert_eq!(DispatchError::from(serde_json::from_slice::<Refusal>(&json).unwrap()), error);
        }
    }
}
