//! What every request passes: an id, the clock, a net under panics, and the promise that each failure has OpenAI's shape.

use crate::api::{Arrived, ROUTES};
use crate::error::{ApiError, Kind};
use crate::state::App;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use waybill_protocol::RequestId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) fn wrap(routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes.layer(CatchPanicLayer::custom(panicked)).layer(from_fn(track))
}

/// The panic's text may hold anything, so it stays in the log.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::internal(format!("panic: {}", text.unwrap_or("of no text"))).into_response()
}

async fn track(mut request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let id = RequestId::new(rand::random());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", |path| known_route(path.as_str()));
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(Arrived(arrived));
    let mut response = shaped(next.run(request).await);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status();
    metrics::counter!("waybill_http_requests_total", "route" => route, "code" => status.as_u16().to_string())
        .increment(1);
    metrics::histogram!("waybill_http_request_duration_seconds", "route" => route).record(arrived.elapsed());
    tracing::debug!(request = %id, route, status = status.as_u16(), "answered");
    response
}

/// Labels are the routes' own patterns: a fixed set.
fn known_route(path: &str) -> &'static str {
    ROUTES.iter().map(|(route, _)| *route).find(|route| *route == path).unwrap_or("unmatched")
}

/// Errors of the framework (an undecodable path, a method) are plain text: they get the shape of ours.
fn shaped(response: Response) -> Response {
    let status = response.status();
    let json =
        response.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (kind, message) = match status {
        StatusCode::NOT_FOUND => (Kind::UnknownUrl, "Unknown request URL."),
        StatusCode::METHOD_NOT_ALLOWED => (Kind::MethodNotAllowed, "The method is not allowed here."),
        StatusCode::PAYLOAD_TOO_LARGE => (Kind::TooLarge, "The request is too large."),
        status if status.is_client_error() => (Kind::InvalidValue, "The request could not be understood."),
        _ => (Kind::Internal, "The server had an error while processing your request."),
    };
    ApiError::new(kind, message).into_response()
}
