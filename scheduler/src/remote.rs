//! The scheduler of another process: the same trait over one multiplexed HTTP/2 connection that is renewed when it
//! breaks.

use crate::{
    job_stream::JobStream,
    link::SessionExecutor,
    messages::Messages,
    wire::{ATTEMPTS, DispatchRequest, ErrorBody, PROTOBUF, REGION, WORKER},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    header::CONTENT_TYPE,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prost::Message;
use std::{io, time::Duration};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use waybill_protocol::{
    Dispatch, DispatchError, Dispatched, RouteWish, WorkerId, WorkerView,
    frame::{Ack, Job, encode},
};

const CONNECT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The scheduler watches for stalls; this is only for a scheduler that hangs itself.
const STALL: Duration = Duration::from_secs(120);
const MAX_JSON_BYTES: usize = 16 << 20;
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 1 << 30;

type Sender = SendRequest<Full<Bytes>>;

/// Cheap to share. The connection ends with the last use.
#[derive(Debug)]
pub struct RemoteScheduler {
    base: Uri,
    connection: watch::Receiver<Option<Sender>>,
    _stop: DropGuard,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the address of a scheduler, such as http://10.0.0.7:7070")]
pub struct BadAddress(String);

impl RemoteScheduler {
    /// Starts connecting in the background, in the current Tokio runtime. `url` is `http://host:port`.
    pub fn new(url: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(url.into());
        let base: Uri = url.parse().map_err(|_| bad())?;
        let host = base.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let port = base.port_u16().unwrap_or(80);
        if base.scheme_str() != Some("http") {
            return Err(bad());
        }
        let stop = CancellationToken::new();
        let (publish, connection) = watch::channel(None);
        tokio::spawn(stop.clone().run_until_cancelled_owned(stay_connected(host, port, publish, stop.clone())));
        Ok(Self { base, connection, _stop: stop.drop_guard() })
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, DispatchError> {
        let unavailable = |error: &dyn std::fmt::Display| DispatchError::Unavailable(error.to_string());
        let mut connection = self.connection.clone();
        let connected = connection.wait_for(|sender| sender.as_ref().is_some_and(|sender| !sender.is_closed()));
        let mut sender = match timeout(CONNECT, connected).await {
            Ok(Ok(sender)) => sender.clone().ok_or_else(|| unavailable(&"not connected"))?,
            _ => return Err(unavailable(&"not connected")),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(path);
        request.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(PROTOBUF));
        sender.ready().await.map_err(|e| unavailable(&e))?;
        sender.send_request(request).await.map_err(|e| unavailable(&e))
    }

    fn uri(&self, path: &str) -> Uri {
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).unwrap_or_default()
    }
}

#[async_trait]
impl Dispatch for RemoteScheduler {
    async fn dispatch(&self, job: Job, wish: RouteWish) -> Result<Dispatched, DispatchError> {
        let unavailable = |detail: &str| DispatchError::Unavailable(detail.into());
        let wish = serde_json::to_vec(&wish).map_err(|e| unavailable(&e.to_string()))?;
        let request = DispatchRequest { wish: wish.into(), job: Some(job) };
        let response = self.call(Method::POST, "/v1/dispatch", encode(&request)).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body: ErrorBody = read_json(response).await.map_err(|e| unavailable(&format!("{status}: {e}")))?;
            return Err(body.error.into());
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let worker: Option<WorkerId> = header(WORKER).and_then(|text| text.parse().ok());
        let attempts = header(ATTEMPTS).and_then(|text| text.parse().ok());
        let region = header(REGION).unwrap_or_default().to_owned();
        let (Some(worker), Some(attempts)) = (worker, attempts) else {
            return Err(unavailable("the scheduler's answer names no worker"));
        };
        let events = JobStream::new(Messages::new(response.into_body()), None, STALL, ()).boxed();
        Ok(Dispatched { worker, region, attempts, events })
    }

    async fn acknowledge(&self, ack: Ack) {
        if let Err(error) = self.call(Method::POST, "/v1/ack", ack.encode_to_vec().into()).await {
            tracing::debug!(%error, "a countersignature did not reach the scheduler");
        }
    }

    async fn resync(&self, worker: WorkerId) {
        if let Err(error) = self.call(Method::POST, &format!("/v1/workers/{worker}/resync"), Bytes::new()).await {
            tracing::warn!(%worker, %error, "a request for a resync did not reach the scheduler");
        }
    }

    async fn workers(&self) -> Result<Vec<WorkerView>, DispatchError> {
        let response = self.call(Method::GET, "/v1/workers", Bytes::new()).await?;
        read_json(response).await.map_err(DispatchError::Unavailable)
    }
}

async fn read_json<T: serde::de::DeserializeOwned>(response: Response<Incoming>) -> Result<T, String> {
    let body = Limited::new(response.into_body(), MAX_JSON_BYTES).collect().await.map_err(|e| e.to_string())?;
    serde_json::from_slice(&body.to_bytes()).map_err(|e| e.to_string())
}

async fn stay_connected(host: String, port: u16, publish: watch::Sender<Option<Sender>>, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = stop.child_token();
        match timeout(CONNECT, connect(&host, port, ended.clone())).await {
            Ok(Ok((sender, connection))) => {
                pause = FIRST_PAUSE;
                publish.send_replace(Some(sender));
                if let Err(error) = connection.await {
                    tracing::warn!(%host, port, %error, "the connection to the scheduler broke");
                }
                publish.send_replace(None);
            }
            Ok(Err(error)) => tracing::debug!(%host, port, %error, "the scheduler cannot be reached"),
            Err(_) => tracing::debug!(%host, port, "the scheduler does not answer"),
        }
        tokio::time::sleep(pause.mul_f64(0.8 + 0.4 * rand::random::<f64>())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(
    host: &str,
    port: u16,
    ended: CancellationToken,
) -> io::Result<(Sender, impl Future<Output = Result<(), hyper::Error>>)> {
    let socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    http2::Builder::new(SessionExecutor(ended))
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(io::Error::other)
}
