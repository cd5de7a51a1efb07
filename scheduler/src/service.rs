//! The HTTP routes: sessions for workers on the public listener; dispatch, acknowledgements and the list of workers for
//! gateways of other processes on the private one.

use crate::{
    scheduler::Scheduler,
    session,
    wire::{ATTEMPTS, DispatchRequest, ErrorBody, PROTOBUF, REGION, Refusal, WORKER},
};
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::StreamExt;
use prost::Message;
use std::{convert::Infallible, sync::Arc};
use waybill_protocol::{
    Dispatch, DispatchError, Dispatched, RouteWish, WorkerId,
    frame::{Ack, Event, EventKind, Fault, FaultCode, MAX_FRAME_BYTES, encode},
};

/// The protocol that a worker asks for in its upgrade.
pub(crate) const UPGRADE: &str = "waybill-h2";
const MAX_WISH_BYTES: usize = 64 << 10;

type Shared = State<Arc<Scheduler>>;

pub(crate) fn sessions(scheduler: Arc<Scheduler>) -> Router {
    Router::new()
        .route("/v1/worker/session", get(worker_session))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(scheduler)
}

pub(crate) fn gateways(scheduler: Arc<Scheduler>) -> Router {
    Router::new()
        .route("/v1/dispatch", post(dispatch))
        .route("/v1/ack", post(acknowledge))
        .route("/v1/workers", get(workers))
        .route("/v1/workers/{worker}/resync", post(resync))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MAX_FRAME_BYTES + MAX_WISH_BYTES))
        .with_state(scheduler)
}

async fn healthz() -> &'static str {
    "ok"
}

async fn readyz(State(scheduler): Shared) -> Response {
    if scheduler.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining").into_response()
    } else {
        "ready".into_response()
    }
}

async fn metrics(State(scheduler): Shared) -> Response {
    match &scheduler.metrics {
        Some(render) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn worker_session(State(scheduler): Shared, mut request: Request) -> Response {
    let asks = |name, token: &str| {
        let value = request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    if !asks(header::CONNECTION, "upgrade") || !asks(header::UPGRADE, UPGRADE) {
        let headers = [(header::UPGRADE, UPGRADE)];
        return (StatusCode::UPGRADE_REQUIRED, headers, "a worker session needs HTTP/1.1 and Upgrade: waybill-h2")
            .into_response();
    }
    if scheduler.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining").into_response();
    }
    let Ok(handshake) = Arc::clone(&scheduler.handshakes).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "too many handshakes").into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let task = session::serve(Arc::clone(&scheduler), upgrade, handshake);
    scheduler.sessions.spawn(task);
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, UPGRADE)]).into_response()
}

async fn dispatch(State(scheduler): Shared, body: Bytes) -> Response {
    let begun = async {
        let bad = |detail: String| DispatchError::Refused(Fault::new(FaultCode::BadInput, detail));
        let request = DispatchRequest::decode_length_delimited(body).map_err(|e| bad(e.to_string()))?;
        let job = request.job.ok_or_else(|| bad("no job in the request".into()))?;
        if request.wish.len() > MAX_WISH_BYTES {
            return Err(bad("the wishes are too long".into()));
        }
        let wish = match &*request.wish {
            [] => RouteWish::default(),
            json => serde_json::from_slice(json).map_err(|e| bad(format!("wishes: {e}")))?,
        };
        scheduler.check_order(&job)?;
        scheduler.dispatch(job, wish).await
    };
    match begun.await {
        Ok(Dispatched { worker, region, attempts, events }) => {
            let frames = events.map(|event| {
                let event = event.unwrap_or_else(|fault| Event::from(EventKind::Fault(fault)));
                Ok::<_, Infallible>(encode(&event))
            });
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
            headers.insert(ATTEMPTS, attempts.into());
            for (name, value) in [(WORKER, worker.to_string()), (REGION, region)] {
                if let Ok(value) = value.try_into() {
                    headers.insert(name, value);
                }
            }
            (headers, Body::from_stream(frames)).into_response()
        }
        Err(error) => refuse(error),
    }
}

fn refuse(error: DispatchError) -> Response {
    let status = match &error {
        DispatchError::NoWorker(_) => StatusCode::UNPROCESSABLE_ENTITY,
        DispatchError::Refused(fault) if fault.code() == FaultCode::Unfunded => StatusCode::FORBIDDEN,
        DispatchError::Refused(_) => StatusCode::BAD_REQUEST,
        DispatchError::Exhausted { .. } => StatusCode::BAD_GATEWAY,
        DispatchError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        DispatchError::Busy { .. } | DispatchError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let message = error.to_string();
    (status, Json(ErrorBody { error: Refusal::from(error), message })).into_response()
}

async fn acknowledge(State(scheduler): Shared, body: Bytes) -> Response {
    match Ack::decode(body) {
        Ok(ack) => {
            scheduler.acknowledge(ack).await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn resync(State(scheduler): Shared, Path(worker): Path<String>) -> Response {
    match worker.parse::<WorkerId>() {
        Ok(worker) => {
            scheduler.resync(worker).await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn workers(State(scheduler): Shared) -> Response {
    match scheduler.workers().await {
        Ok(workers) => Json(workers).into_response(),
        Err(error) => refuse(error),
    }
}
