//! A worker that has nothing to compute: it checks the order, answers at once and signs a real receipt. What remains of a
//! request's time is what everything around the model costs.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    client::conn::http1,
    header,
    rt::{Read, Write},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use waybill_mechanism::message::{Order, ctx_hash, line_key};
use waybill_protocol::{
    ArtifactId, WorkerId,
    frame::{
        Ack, Challenge, Closed, Event, EventKind, Fault, FaultCode, Finish, Hello, Job, ModelOffer, Report, TextDelta,
        Welcome, encode,
    },
    signing,
};
use waybill_worker::{
    PROTOCOL, ReceiptBook, SESSION_PATH, Trust,
    receipt::{Price, Work},
};

/// The determinism class it is registered with.
pub const DET_CLASS: u16 = 1;
/// Units of every answer, whatever was asked.
const UNITS: (u32, u32) = (8, 1);
const ANSWER: &str = "ok";
const SLOTS: u32 = 256;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub struct NullWorker {
    book: ReceiptBook,
    artifact: ArtifactId,
    received: AtomicU64,
    reports: AtomicU64,
    active: AtomicU32,
    load_changed: Notify,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl NullWorker {
    pub fn new(artifact: ArtifactId, domain: [u8; 8], epoch_s: u32) -> Arc<Self> {
        Arc::new(Self {
            book: ReceiptBook::new(Keypair::new(), domain, epoch_s, Trust::default()),
            artifact,
            received: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            active: AtomicU32::new(0),
            load_changed: Notify::new(),
        })
    }

    pub fn id(&self) -> WorkerId {
        self.book.worker()
    }

    /// Receipts that no gateway has countersigned yet.
    pub fn receipts_waiting(&self) -> usize {
        self.book.waiting()
    }

    /// Forgets all lines and receipts, for callers that countersign nothing.
    pub fn forget(&self) {
        self.book.welcome(&[]);
    }

    /// Opens a session with a scheduler and serves it until the scheduler ends it.
    pub async fn dial(self: &Arc<Self>, scheduler: SocketAddr) -> Result<tokio::task::JoinHandle<()>> {
        let socket = TcpStream::connect(scheduler).await?;
        socket.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection.with_upgrades());
        let request = Request::get(SESSION_PATH)
            .header(header::HOST, "scheduler")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, PROTOCOL)
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        ensure!(response.status() == StatusCode::SWITCHING_PROTOCOLS, "the scheduler answered {}", response.status());
        let upgraded = hyper::upgrade::on(response).await?;
        let worker = Arc::clone(self);
        Ok(tokio::spawn(async move { worker.serve(upgraded).await }))
    }

    /// Listens for callers that reach it without gateway and scheduler, over the same protocol.
    pub async fn listen(self: &Arc<Self>) -> Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let worker = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let worker = Arc::clone(&worker);
                if socket.set_nodelay(true).is_ok() {
                    tokio::spawn(async move { worker.serve(TokioIo::new(socket)).await });
                }
            }
        });
        Ok(address)
    }

    async fn serve(self: Arc<Self>, io: impl Read + Write + Unpin + Send + 'static) {
        let service = service_fn(move |request| {
            let worker = Arc::clone(&self);
            async move {
                Ok::<_, Infallible>(worker.answer(request).await.unwrap_or_else(|_| status(StatusCode::BAD_REQUEST)))
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        // It ends when its peer goes, which is how both kinds of peers end it.
        let _ = builder.timer(TokioTimer::new()).serve_connection(io, service).await;
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/run") => full(self.run(&Job::decode(body)?)),
            (&Method::POST, "/ack") => {
                // Unknown where a resync was quicker.
                let _ = self.book.acknowledge(&Ack::decode(body)?);
                status(StatusCode::NO_CONTENT)
            }
            (&Method::POST, "/hello") => full(self.hello(&Challenge::decode(body)?).encode_to_vec().into()),
            (&Method::POST, "/welcome") => {
                let Welcome { lines, resync } = Welcome::decode(body)?;
                if resync {
                    self.book.resync(&lines, now_ms());
                } else {
                    self.book.welcome(&lines);
                }
                status(StatusCode::NO_CONTENT)
            }
            (&Method::GET, "/ping") => status(StatusCode::NO_CONTENT),
            (&Method::GET, "/reports") => Response::new(StreamBody::new(self.reports()).boxed_unsync()),
            _ => status(StatusCode::NOT_FOUND),
        })
    }

    fn hello(&self, challenge: &Challenge) -> Hello {
        Hello {
            worker: self.id().0.to_vec().into(),
            signature: self.book.sign_hello(&challenge.nonce).to_vec().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            region: "local".into(),
            slots: SLOTS,
            models: vec![ModelOffer {
                artifact: self.artifact.0.to_vec().into(),
                det_class: DET_CLASS.into(),
                prefill_tps: 1e6,
                decode_tps: 1e6,
                ..ModelOffer::default()
            }],
            ..Hello::default()
        }
    }

    /// As often as a real worker: at first, on each change of load, and every second.
    fn reports(self: Arc<Self>) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
        stream::unfold((self, true), |(worker, is_first)| async move {
            if !is_first {
                let _ = tokio::time::timeout(REPORT_INTERVAL, worker.load_changed.notified()).await;
            }
            let active = worker.active.load(Relaxed);
            let report = Report {
                seq: worker.reports.fetch_add(1, Relaxed) + 1,
                received_jobs: worker.received.load(Relaxed),
                active,
                free_slots: SLOTS.saturating_sub(active),
                prefill_tps: 1e6,
                decode_tps: 1e6,
                ..Report::default()
            };
            Some((Ok(Frame::data(encode(&report))), (worker, false)))
        })
    }

    /// All events of a job, as they go over the wire.
    fn run(&self, job: &Job) -> Bytes {
        self.received.fetch_add(1, Relaxed);
        self.active.fetch_add(1, Relaxed);
        self.load_changed.notify_one();
        let events = match self.work(job) {
            Ok(closed) => {
                let text = Event::from(EventKind::Text(TextDelta { text: ANSWER.into(), tokens: UNITS.1 }));
                [encode(&text), encode(&Event::from(EventKind::Closed(closed)))].concat()
            }
            Err(error) => {
                let fault = Fault::new(FaultCode::Protocol, format!("{error:#}"));
                encode(&Event::from(EventKind::Fault(fault))).to_vec()
            }
        };
        self.active.fetch_sub(1, Relaxed);
        self.load_changed.notify_one();
        events.into()
    }

    /// What a worker does for its money besides the model: check the order, sign the receipt.
    fn work(&self, job: &Job) -> Result<Closed> {
        let started_ms = now_ms();
        let order = Order::from_bytes(&job.order).ok().context("the order is malformed")?;
        let key = |bytes: &Bytes| <[u8; 32]>::try_from(&bytes[..]).context("a key has not 32 bytes");
        let (gateway, container, referrer) = (key(&job.gateway)?, key(&job.container)?, key(&job.referrer)?);
        ensure!(signing::verify(&gateway, &job.order, &job.order_signature), "the order is not signed by its gateway");
        let input_hash = job.input.as_ref().context("no input")?.hash();
        let context = ctx_hash(&container, &input_hash, order.max_price_nc, &referrer, None);
        ensure!(order.domain == self.book.domain() && order.ctx_hash == context, "the order is for other work");
        let work = Work {
            flags: u8::try_from(job.flags)?,
            det_class: DET_CLASS,
            gateway,
            line_key: line_key(&container, u8::try_from(job.stage)?, &self.id().0, &referrer),
            artifact: self.artifact.0,
            request_hash: order.hash(),
            input_hash,
            output_hash: Sha256::digest(ANSWER).into(),
            evidence_hash: [0; 32],
            units_in: UNITS.0,
            units_out: UNITS.1,
            price: Price {
                per_1k: job.price_per_1k,
                pricing_epoch: job.pricing_epoch,
                next_per_1k: job.next_price_per_1k,
            },
            max_price_nc: order.max_price_nc,
            started_ms,
        };
        let signed = self.book.close(&work, now_ms())?;
        Ok(Closed {
            finish: Finish::Stop.into(),
            receipt: signed.receipt.to_bytes().to_vec().into(),
            worker_signature: signed.signature.to_vec().into(),
            device: "none".into(),
            ..Closed::default()
        })
    }
}

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn full(bytes: Bytes) -> Response<Body> {
    Response::new(Full::new(bytes).boxed_unsync())
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = code;
    response
}
