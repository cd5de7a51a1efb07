//! The scheduler's end of a worker session: an HTTP/2 client on the connection that the worker opened.

use crate::{messages::Messages, wire::PROTOBUF};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    header::CONTENT_TYPE,
    rt::{Executor, Read, Write},
};
use hyper_util::rt::TokioTimer;
use prost::Message;
use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;
use waybill_protocol::{
    audit::{AuditAnswer, AuditJob, EvidenceRecord, EvidenceRequest},
    frame::{Ack, Challenge, Event, Hello, Job, MAX_FRAME_BYTES, Report, Welcome},
};

/// Per job. What a stalled consumer leaves unread stays below this.
const STREAM_WINDOW: u32 = 128 << 10;
/// For hello and reports beside the jobs.
const CONTROL_WINDOW: u32 = 1 << 20;
const MAX_HELLO_BYTES: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the link broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the worker answered {path} with {status}")]
    Status { path: &'static str, status: StatusCode },
    #[error("the worker's hello is not one: {0}")]
    Hello(String),
    #[error("the worker's answer to {path} cannot be read: {reason}")]
    Answer { path: &'static str, reason: String },
}

/// Runs a connection's tasks until the session ends. Dropping hyper's connection handle alone would let streams that
/// are under way finish first; a replaced or unresponsive worker must go at once.
#[derive(Clone)]
pub(crate) struct SessionExecutor(pub CancellationToken);

impl<F> Executor<F> for SessionExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let ended = self.0.clone();
        tokio::spawn(async move { ended.run_until_cancelled_owned(future).await });
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
}

impl Link {
    /// Starts HTTP/2 on an upgraded connection. The link lives until `ended` is cancelled or the peer leaves; the
    /// returned future resolves when it is over.
    pub async fn handshake<T>(
        io: T,
        jobs: u32,
        ended: CancellationToken,
    ) -> Result<(Self, impl Future<Output = Result<(), hyper::Error>> + Send), LinkError>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        // Room for every job's window at once: jobs whose consumers stall never hold up the others.
        let connection_window = STREAM_WINDOW.saturating_mul(jobs).saturating_add(CONTROL_WINDOW).min(1 << 30);
        let (sender, connection) = http2::Builder::new(SessionExecutor(ended))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window)
            .keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .handshake(io)
            .await?;
        Ok((Self { sender }, connection))
    }

    pub async fn hello(&self, challenge: &Challenge) -> Result<Hello, LinkError> {
        let body = self.post("/hello", challenge, StatusCode::OK).await?.into_body();
        let body = Limited::new(body, MAX_HELLO_BYTES).collect().await.map_err(|e| LinkError::Hello(e.to_string()))?;
        Hello::decode(body.to_bytes()).map_err(|e| LinkError::Hello(e.to_string()))
    }

    pub async fn welcome(&self, welcome: &Welcome) -> Result<(), LinkError> {
        self.post("/welcome", welcome, StatusCode::NO_CONTENT).await.map(drop)
    }

    pub async fn acknowledge(&self, ack: &Ack) -> Result<(), LinkError> {
        self.post("/ack", ack, StatusCode::NO_CONTENT).await.map(drop)
    }

    pub async fn ping(&self) -> Result<(), LinkError> {
        self.call(Method::GET, "/ping", Bytes::new(), StatusCode::NO_CONTENT).await.map(drop)
    }

    pub async fn reports(&self) -> Result<Messages<Report>, LinkError> {
        let response = self.call(Method::GET, "/reports", Bytes::new(), StatusCode::OK).await?;
        Ok(Messages::new(response.into_body()))
    }

    /// Dropping the stream, or this future, resets the HTTP/2 stream: the worker stops.
    pub async fn run(&self, job: &Job) -> Result<Messages<Event>, LinkError> {
        Ok(Messages::new(self.post("/run", job, StatusCode::OK).await?.into_body()))
    }

    /// The record that the worker kept for one of its receipts; refused with 404 when there is none.
    pub async fn evidence(&self, request: &EvidenceRequest) -> Result<EvidenceRecord, LinkError> {
        self.ask("/evidence", request).await
    }

    /// The worker's word on somebody else's receipt. Takes as long as the re-execution.
    pub async fn audit(&self, job: &AuditJob) -> Result<AuditAnswer, LinkError> {
        self.ask("/audit", job).await
    }

    /// Posts one message and reads one.
    async fn ask<M: Message + Default>(&self, path: &'static str, message: &impl Message) -> Result<M, LinkError> {
        let unreadable = |reason: String| LinkError::Answer { path, reason };
        let body = self.post(path, message, StatusCode::OK).await?.into_body();
        let body = Limited::new(body, MAX_FRAME_BYTES).collect().await.map_err(|e| unreadable(e.to_string()))?;
        M::decode(body.to_bytes()).map_err(|e| unreadable(e.to_string()))
    }

    async fn post(
        &self,
        path: &'static str,
        message: &impl Message,
        expected: StatusCode,
    ) -> Result<Response<Incoming>, LinkError> {
        self.call(Method::POST, path, message.encode_to_vec().into(), expected).await
    }

    async fn call(
        &self,
        method: Method,
        path: &'static str,
        body: Bytes,
        expected: StatusCode,
    ) -> Result<Response<Incoming>, LinkError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri(path);
        request.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(PROTOBUF));
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        if response.status() == expected {
            Ok(response)
        } else {
            Err(LinkError::Status { path, status: response.status() })
        }
    }
}

/// HTTP/2 requests name an authority; on a session there is only one.
fn uri(path: &'static str) -> hyper::Uri {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(hyper::http::uri::Scheme::HTTP);
    parts.authority = Some(hyper::http::uri::Authority::from_static("worker"));
    parts.path_and_query = Some(hyper::http::uri::PathAndQuery::from_static(path));
    hyper::Uri::from_parts(parts).unwrap_or_default()
}
