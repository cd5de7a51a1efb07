//! Everything that can go wrong for a consumer, and the one function that turns it into an answer of OpenAI's shape.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use rand::Rng;
use serde::Serialize;
use std::time::Duration;
use waybill_protocol::DispatchError;
use waybill_protocol::frame::{Fault, FaultCode};

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// The official SDKs honour no longer wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What went wrong; [`Kind::row`] is the table of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value of the wrong type or out of range.
    InvalidValue,
    /// A field that OpenAI's API does not know either.
    UnknownField,
    /// A field or value that OpenAI's API knows and this network does not serve.
    UnsupportedValue,
    InvalidJson,
    ContextExceeded,
    /// No, malformed, unknown or revoked API key.
    InvalidKey,
    /// The key is good but may not see this.
    Forbidden,
    ModelNotFound,
    NotFound,
    UnknownUrl,
    MethodNotAllowed,
    /// The request's body did not arrive in time.
    SlowRequest,
    TooLarge,
    /// The consumer's own wishes exclude every worker.
    NoEligibleWorker,
    RateLimited,
    /// The channel or its grant is used up: waiting does not help.
    InsufficientQuota,
    Internal,
    Overloaded,
    NotReady,
    Draining,
    /// No first event before the deadline.
    UpstreamTimeout,
}

/// Whether the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Never,
    /// The client decides (its own backoff).
    May,
    /// After the error's own wait, or this one.
    After(Duration),
}

struct Row {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    retry: Retry,
}

impl Kind {
    /// Status, `type`, `code` and retry advice of each kind: the table that clients see.
    fn row(self) -> Row {
        use Retry::{After, May, Never};
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        let second = After(Duration::from_secs(1));
        let (status, kind, code, retry) = match self {
            Self::InvalidValue => (400, INVALID, "invalid_value", Never),
            Self::UnknownField => (400, INVALID, "unknown_parameter", Never),
            Self::UnsupportedValue => (400, INVALID, "unsupported_value", Never),
            Self::InvalidJson => (400, INVALID, "invalid_json", Never),
            Self::ContextExceeded => (400, INVALID, "context_length_exceeded", Never),
            Self::InvalidKey => (401, "authentication_error", "invalid_api_key", Never),
            Self::Forbidden => (403, "permission_error", "not_allowed", Never),
            Self::ModelNotFound => (404, INVALID, "model_not_found", Never),
            Self::NotFound => (404, INVALID, "not_found", Never),
            Self::UnknownUrl => (404, INVALID, "unknown_url", Never),
            Self::MethodNotAllowed => (405, INVALID, "method_not_allowed", Never),
            Self::SlowRequest => (408, INVALID, "request_timeout", May),
            Self::TooLarge => (413, INVALID, "request_too_large", Never),
            Self::NoEligibleWorker => (422, INVALID, "no_eligible_worker", Never),
            Self::RateLimited => (429, "rate_limit_error", "rate_limit_exceeded", second),
            Self::InsufficientQuota => (429, "insufficient_quota", "insufficient_quota", Never),
            Self::Internal => (500, SERVER, "internal_error", May),
            Self::Overloaded => (503, SERVER, "overloaded", second),
            Self::NotReady => (503, SERVER, "not_ready", second),
            Self::Draining => (503, SERVER, "draining", second),
            Self::UpstreamTimeout => (504, SERVER, "upstream_timeout", May),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Row { status, kind, code: Some(code), retry }
    }
}

/// A failure as the consumer sees it. The message names no secret, no prompt and no inner address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: Kind,
    pub message: String,
    /// The request's field at fault, such as `messages[0].content`.
    pub param: Option<String>,
    /// When to come back, for kinds that carry retry headers.
    pub retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'static str>,
}

impl ApiError {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None }
    }

    /// An error about one field.
    pub fn of(kind: Kind, param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: Some(param.into()), retry_after: None }
    }

    /// Our own failure: the cause goes to the log, the consumer learns only that it happened.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed inside the gateway");
        Self::new(Kind::Internal, "The server had an error while processing your request. Sorry about that!")
    }

    /// The database does not answer: nothing was charged, and another attempt may work.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a dependency of the gateway does not answer");
        Self::new(Kind::Overloaded, "The service is temporarily unavailable, please try again.")
    }

    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.kind.row().status
    }

    fn body(&self) -> Body<'_> {
        let row = self.kind.row();
        Body {
            error: Detail { message: &self.message, r#type: row.kind, param: self.param.as_deref(), code: row.code },
        }
    }

    /// The JSON text of the error, for an event of a stream that has begun.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.body()).unwrap_or_else(|_| r#"{"error":{"message":"internal error"}}"#.into())
    }

    /// What a worker's fault means to the consumer.
    pub fn from_fault(fault: &Fault) -> Self {
        let wait = fault.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
        let error = match fault.code() {
            FaultCode::BadInput => {
                Self::new(Kind::InvalidValue, format!("The model refused the input: {}", fault.detail))
            }
            FaultCode::ContextExceeded => Self::of(Kind::ContextExceeded, "messages", fault.detail.clone()),
            FaultCode::PastDeadline => Self::new(Kind::UpstreamTimeout, "No worker answered in time."),
            FaultCode::Busy | FaultCode::UnknownModel => {
                Self::new(Kind::Overloaded, "Every worker of this model is busy, please try again.")
            }
            FaultCode::Unfunded => {
                Self::new(Kind::Overloaded, "The workers do not see the channel's funds yet, please try again.")
            }
            FaultCode::Internal | FaultCode::Protocol | FaultCode::Lost => {
                Self::new(Kind::Internal, "The worker failed while processing your request; nothing was charged.")
            }
        };
        Self { retry_after: wait, ..error }
    }

    /// What a failed dispatch means to the consumer; `constrained` when the request carried routing wishes.
    pub fn from_dispatch(error: &DispatchError, constrained: bool) -> Self {
        match error {
            DispatchError::NoWorker(drops) if constrained => {
                Self::of(Kind::NoEligibleWorker, "route", format!("No worker meets the request's constraints: {drops}"))
            }
            DispatchError::NoWorker(_) => {
                Self::new(Kind::Overloaded, "No worker serves this model at the moment, please try again.")
            }
            DispatchError::Busy { retry_after_ms } => {
                Self::new(Kind::Overloaded, "Every worker of this model is busy, please try again.")
                    .after(Duration::from_millis((*retry_after_ms).into()))
            }
            DispatchError::Refused(fault) | DispatchError::Exhausted { last: fault, .. } => Self::from_fault(fault),
            DispatchError::Timeout => Self::new(Kind::UpstreamTimeout, "No worker answered in time."),
            DispatchError::Unavailable(_) => {
                Self::new(Kind::Overloaded, "The service is temporarily unavailable, please try again.")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let row = self.kind.row();
        let mut response = (row.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match row.retry {
            Retry::Never => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Retry::May => {}
            Retry::After(default) => {
                let wait = jittered(self.retry_after.unwrap_or(default)).min(LONGEST_WAIT);
                let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
                headers.insert(RETRY_AFTER_MS, millis.into());
                headers.insert(RETRY_AFTER, millis.div_ceil(1000).into());
            }
        }
        response
    }
}

/// ±20 %, so that refused clients do not return together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.8..=1.2))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn waits_are_told_twice_and_final_refusals_say_so() {
        let busy = ApiError::new(Kind::Overloaded, "busy").after(Duration::from_secs(2)).into_response();
        assert_eq!(busy.status(), 503);
        let millis: u64 = busy.headers()["retry-after-ms"].to_str().unwrap().parse().unwrap();
        assert!((1600..=2400).contains(&millis), "{millis}");
        assert_eq!(busy.headers()["retry-after"], millis.div_ceil(1000).to_string());

        let broke = ApiError::new(Kind::InsufficientQuota, "out of credit").into_response();
        assert_eq!(broke.status(), 429);
        assert_eq!(broke.headers()["x-should-retry"], "false");
        assert!(!broke.headers().contains_key("retry-after"));
    }

    #[test]
    fn no_worker_is_the_consumers_fault_only_when_it_asked_for_constraints() {
        let none = DispatchError::NoWorker("region 3".into());
        assert_eq!(ApiError::from_dispatch(&none, true).status(), 422);
        assert_eq!(ApiError::from_dispatch(&none, false).status(), 503);
    }
}
