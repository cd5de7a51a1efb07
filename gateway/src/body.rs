//! Reads a request's body within its limits of size and time.

use crate::error::{ApiError, Kind};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;

/// A refused body is read to its end up to this size, so that a client still sending it sees the answer and not a reset.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// The whole body of at most `limit` bytes.
pub async fn read(request: Request, limit: usize, time: Duration) -> Result<Bytes, ApiError> {
    let headers = request.headers();
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::new(Kind::UnsupportedValue, "Compressed request bodies are not supported."));
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) && headers.contains_key(EXPECT) {
        return Err(too_large(limit));
    }
    let mut body = request.into_body();
    match tokio::time::timeout(time, collect(&mut body, limit, declared.unwrap_or(0))).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            let _ = tokio::time::timeout(DISCARD_TIME, discard(&mut body)).await;
            Err(too_large(limit))
        }
        Ok(Err(error)) => {
            Err(ApiError::new(Kind::InvalidJson, format!("The request body could not be read: {error}.")))
        }
        Err(_) => Err(ApiError::new(Kind::SlowRequest, "The request body did not arrive in time.")),
    }
}

/// `None` when there is more than `limit`.
async fn collect(body: &mut Body, limit: usize, declared: usize) -> Result<Option<Bytes>, axum::Error> {
    if declared > limit {
        return Ok(None);
    }
    let mut bytes = BytesMut::with_capacity(declared);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes.freeze()))
}

async fn discard(body: &mut Body) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > DISCARD_BYTES {
            return;
        }
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(Kind::TooLarge, format!("The request body is too large: the limit is {limit} bytes."))
}
