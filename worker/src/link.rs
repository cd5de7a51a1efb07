//! The session towards a scheduler. The worker dials out and asks to switch protocols; after that the roles turn and the
//! scheduler is the HTTP/2 client on the worker's connection, so a worker needs no open port.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Empty, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Body, Frame, Incoming},
    client::conn::http1,
    header,
    server::conn::http2,
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, ClientConfig, RootCertStore, pki_types::ServerName},
};
use tokio_util::sync::CancellationToken;
use waybill_protocol::{
    audit::{AuditAnswer, AuditJob, AuditOutcome, EvidenceRequest},
    frame::{Ack, Challenge, Job, MAX_FRAME_BYTES, Report, Welcome, encode},
};

use crate::service::Worker;

/// Path and protocol name of the upgrade.
pub const SESSION_PATH: &str = "/v1/worker/session";
pub const PROTOCOL: &str = "waybill-h2";

const PROTOBUF: &str = "application/protobuf";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// More than a worker has slots; a job beyond them is refused by the worker, not by the transport.
const MAX_STREAMS: u32 = 1024;
const MAX_CONTROL_BYTES: usize = 1 << 20;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(20);
/// A session that lived this long was a good one: the next attempt starts with the first delay again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// Why there is no session. All of them are tried again.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("cannot reach {address}: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("no answer within {CONNECT_TIMEOUT:?}")]
    Timeout,
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the scheduler answered {0} instead of switching protocols")]
    Refused(StatusCode),
}

/// Why a scheduler's address is not usable.
#[derive(Debug, thiserror::Error)]
#[error("{url:?} is not a scheduler URL such as https://scheduler.example:7443: {reason}")]
pub struct UrlError {
    url: String,
    reason: String,
}

/// Where the scheduler listens.
#[derive(Clone)]
pub(crate) struct Target {
    authority: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let error = |reason: String| UrlError { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|e: hyper::http::uri::InvalidUri| error(e.to_string()))?;
        let authority = uri.authority().ok_or_else(|| error("no host".into()))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(error("the scheme must be http or https".into())),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = if is_tls {
            let name = ServerName::try_from(host.clone()).map_err(|e| error(e.to_string()))?;
            Some((connector().map_err(|e| error(e.to_string()))?, name))
        } else {
            None
        };
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { authority: authority.to_string(), host, port, tls })
    }
}

fn connector() -> Result<TlsConnector, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Keeps a session until `shutdown`, then lets the work in progress end within `drain`.
pub(crate) async fn keep(worker: Arc<Worker>, target: Target, drain: Duration, shutdown: CancellationToken) {
    let mut delay = FIRST_DELAY;
    loop {
        let started = Instant::now();
        let attempt = async {
            // An open session ends itself on shutdown; dialling is cut short.
            let upgraded = tokio::select! {
                upgraded = dial(&target) => upgraded?,
                () = shutdown.cancelled() => return Ok(()),
            };
            tracing::info!(scheduler = target.authority, worker = %worker.id(), "session open");
            serve(&worker, upgraded, drain, &shutdown).await
        };
        let outcome = attempt.await;
        if shutdown.is_cancelled() {
            return;
        }
        match outcome {
            Ok(()) => tracing::info!(scheduler = target.authority, "session closed"),
            Err(error) => tracing::warn!(scheduler = target.authority, %error, "no session"),
        }
        if started.elapsed() >= GOOD_SESSION {
            delay = FIRST_DELAY;
        }
        // Full jitter: many workers that lost one scheduler do not come back together.
        let wait = delay.mul_f64(rand::random_range(0.1..1.0));
        delay = (delay * 2).min(MAX_DELAY);
        tokio::select! {
            () = sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Connects and switches protocols.
async fn dial(target: &Target) -> Result<Upgraded, LinkError> {
    let connect = async {
        let address = (target.host.as_str(), target.port);
        let to_error = |source| LinkError::Connect { address: target.authority.clone(), source };
        let tcp = TcpStream::connect(address).await.map_err(to_error)?;
        tcp.set_nodelay(true).map_err(to_error)?;
        match &target.tls {
            None => switch(tcp, target).await,
            Some((tls, name)) => switch(tls.connect(name.clone(), tcp).await.map_err(to_error)?, target).await,
        }
    };
    timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| LinkError::Timeout)?
}

async fn switch(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    target: &Target,
) -> Result<Upgraded, LinkError> {
    let (mut client, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::from_static(SESSION_PATH);
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static(PROTOCOL));
    if let Ok(host) = target.authority.parse() {
        headers.insert(header::HOST, host);
    }
    let response = client.send_request(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(LinkError::Refused(response.status()));
    }
    Ok(hyper::upgrade::on(response).await?)
}

/// Answers the scheduler on the turned connection until it ends, or until the work has ended after `shutdown`.
async fn serve(
    worker: &Arc<Worker>,
    upgraded: Upgraded,
    drain: Duration,
    shutdown: &CancellationToken,
) -> Result<(), LinkError> {
    // Ends the report stream, which alone would keep the connection open for ever.
    let leaving = CancellationToken::new();
    let service = service_fn(|request| {
        let (worker, leaving) = (worker.clone(), leaving.clone());
        async move { Ok::<_, Infallible>(answer(worker, leaving, request).await) }
    });
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS)
            // Consumers who leave in a crowd are no attack.
            .max_pending_accept_reset_streams(MAX_STREAMS as usize)
            .serve_connection(upgraded, service)
    );
    let end = async {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {
                    worker.drain(drain).await;
                    return;
                }
                () = sleep(REPORT_INTERVAL) => {
                    // Lost countersignatures are settled by the next session's welcome.
                    if worker.needs_welcome() {
                        tracing::warn!("too many receipts without countersignature: asking for a new session");
                        return;
                    }
                }
            }
        }
    };
    tokio::select! {
        result = connection.as_mut() => return Ok(result?),
        () = end => {}
    }
    connection.as_mut().graceful_shutdown();
    leaving.cancel();
    let _ = timeout(drain, connection).await;
    Ok(())
}

type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(worker: Arc<Worker>, leaving: CancellationToken, request: Request<Incoming>) -> Response<AnswerBody> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let result = match (&method, path.as_str()) {
        (&Method::POST, "/hello") => read::<Challenge>(request, MAX_CONTROL_BYTES).await.and_then(|challenge| {
            let hello = worker.hello(&challenge).ok_or(StatusCode::MISDIRECTED_REQUEST)?;
            Ok(protobuf(Full::new(Bytes::from(hello.encode_to_vec())).boxed_unsync()))
        }),
        (&Method::POST, "/welcome") => read::<Welcome>(request, MAX_FRAME_BYTES).await.map(|welcome| {
            worker.welcome(&welcome);
            status(StatusCode::NO_CONTENT)
        }),
        (&Method::POST, "/ack") => read::<Ack>(request, MAX_CONTROL_BYTES).await.map(|ack| {
            worker.acknowledge(&ack);
            status(StatusCode::NO_CONTENT)
        }),
        (&Method::GET, "/ping") => Ok(status(StatusCode::NO_CONTENT)),
        (&Method::GET, "/reports") => Ok(frames(reports(worker, leaving))),
        (&Method::POST, "/evidence") => read::<EvidenceRequest>(request, MAX_CONTROL_BYTES).await.and_then(|request| {
            let record = worker.evidence(&request).ok_or(StatusCode::NOT_FOUND)?;
            Ok(protobuf(Full::new(Bytes::from(record.encode_to_vec())).boxed_unsync()))
        }),
        (&Method::POST, "/audit") => match read::<AuditJob>(request, MAX_FRAME_BYTES).await {
            Ok(job) => {
                let outcome = worker.audit(&job).await.map_or_else(AuditOutcome::Fault, AuditOutcome::Verdict);
                let answer = AuditAnswer { outcome: Some(outcome) };
                Ok(protobuf(Full::new(Bytes::from(answer.encode_to_vec())).boxed_unsync()))
            }
            Err(status) => Err(status),
        },
        (&Method::POST, "/run") => read::<Job>(request, MAX_FRAME_BYTES).await.map(|job| frames(worker.run_job(job))),
        _ => Err(StatusCode::NOT_FOUND),
    };
    result.unwrap_or_else(status)
}

async fn read<M: Message + Default>(
    request: Request<impl Body<Data = Bytes, Error = hyper::Error>>,
    limit: usize,
) -> Result<M, StatusCode> {
    let body = Limited::new(request.into_body(), limit).collect().await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    M::decode(body.to_bytes()).map_err(|_| StatusCode::BAD_REQUEST)
}

/// One report now, one per interval, and one on each change of load.
fn reports(worker: Arc<Worker>, leaving: CancellationToken) -> impl Stream<Item = Report> + Send {
    stream::unfold((worker, leaving, true), |(worker, leaving, is_first)| async move {
        if !is_first {
            tokio::select! {
                () = worker.load_change() => {}
                () = sleep(REPORT_INTERVAL) => {}
                () = leaving.cancelled() => return None,
            }
        }
        Some((worker.report(), (worker, leaving, false)))
    })
}

fn frames<M: Message + 'static>(messages: impl Stream<Item = M> + Send + 'static) -> Response<AnswerBody> {
    let frames = messages.map(|message| Ok::<_, Infallible>(Frame::data(encode(&message))));
    protobuf(StreamBody::new(frames).boxed_unsync())
}

fn protobuf(body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(PROTOBUF));
    response
}

fn status(code: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = code;
    response
}
