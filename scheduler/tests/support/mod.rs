//! A worker for tests that speaks the real link over real sockets, well or badly, and a scheduler to dial.
#![allow(dead_code, clippy::unwrap_used)]

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prost::Message;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use waybill_protocol::{
    ArtifactId, WalletId, WorkerId,
    frame::{
        Ack, Challenge, Chat, Closed, Event, EventKind, Fault, FaultCode, Hello, Input, InputKind, Job, LineState,
        ModelOffer, Report, TextDelta, Turn, Welcome, encode,
    },
    signing,
};
use waybill_scheduler::{
    LineStates, NodeView, Registry, Running, SchedulerConfig, SchedulerDeps, start, time::SystemClock,
};

pub const DOMAIN: [u8; 8] = *b"testnet!";
pub const ARTIFACT: ArtifactId = ArtifactId([7; 32]);
/// Nothing in a test takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub struct Book {
    pub nodes: Mutex<HashMap<WorkerId, NodeView>>,
    pub lines: Mutex<HashMap<WorkerId, Vec<LineState>>>,
}

impl Registry for Book {
    fn node(&self, worker: WorkerId) -> Option<NodeView> {
        self.nodes.lock().unwrap().get(&worker).cloned()
    }
}

#[async_trait]
impl LineStates for Book {
    async fn lines(&self, worker: WorkerId) -> Result<Vec<LineState>, String> {
        Ok(self.lines.lock().unwrap().get(&worker).cloned().unwrap_or_default())
    }
}

pub struct Network {
    pub running: Running,
    pub book: Arc<Book>,
    pub gateway: Keypair,
    pub shutdown: CancellationToken,
}

impl Network {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(adjust: impl FnOnce(&mut SchedulerConfig)) -> Self {
        let gateway = Keypair::new();
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = SchedulerConfig::new(local, DOMAIN, vec![WalletId(gateway.pubkey().to_bytes())]);
        config.gateway_listen = Some(local);
        config.timing.rebuild = Duration::from_millis(1);
        adjust(&mut config);
        let book = Arc::new(Book::default());
        let shutdown = CancellationToken::new();
        let deps = SchedulerDeps {
            registry: Arc::clone(&book) as Arc<dyn Registry>,
            lines: Arc::clone(&book) as Arc<dyn LineStates>,
            clock: Arc::new(SystemClock::default()),
            seed: 7,
            metrics: None,
        };
        let running = start(config, deps, shutdown.clone()).await.unwrap();
        Self { running, book, gateway, shutdown }
    }

    pub fn register(&self, worker: WorkerId, region: &str, class: u16) {
        let node = NodeView {
            operator: WalletId(worker.0),
            region: region.into(),
            class,
            expires: i64::MAX,
            revoked: false,
            staked: true,
            ask: None,
        };
        self.book.nodes.lock().unwrap().insert(worker, node);
    }

    /// A registered worker that jobs can reach. A higher class attracts them.
    pub async fn worker(&self, class: u16, slots: u32, behaviour: Behaviour) -> TestWorker {
        let key = Keypair::new();
        self.register(WorkerId(key.pubkey().to_bytes()), "eu-west", class);
        self.join(key, slots, behaviour).await
    }

    pub async fn join(&self, key: Keypair, slots: u32, behaviour: Behaviour) -> TestWorker {
        let worker = self.dial(key, slots, behaviour).await;
        let id = worker.id;
        within(worker.welcomed()).await;
        within(self.running.scheduler.until_workers(|views| views.iter().any(|view| view.worker == id))).await;
        worker
    }

    pub async fn dial(&self, key: Keypair, slots: u32, behaviour: Behaviour) -> TestWorker {
        TestWorker::dial(self.running.sessions, key, None, slots, behaviour).await
    }

    pub fn job(&self) -> Job {
        let order = Bytes::from_static(&[9; 90]);
        Job {
            request_id: "req-test".into(),
            order_signature: signing::sign(&self.gateway, &order).to_vec().into(),
            order,
            gateway: self.gateway.pubkey().to_bytes().to_vec().into(),
            artifact: ARTIFACT.0.to_vec().into(),
            deadline_ms: 20_000,
            input: Some(Input {
                kind: Some(InputKind::Chat(Chat {
                    turns: vec![Turn { role: "user".into(), content: "hello".into() }],
                    max_tokens: 64,
                    ..Chat::default()
                })),
            }),
            ..Job::default()
        }
    }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

#[derive(Clone)]
pub enum Behaviour {
    /// So many pieces of text, then the end.
    Answer(u32),
    Fault(FaultCode),
    /// Fails once, then does the other.
    FaultThen(FaultCode, Box<Behaviour>),
    /// Cuts the whole link when a job arrives.
    DieBeforeFirst,
    /// One piece of text, then cuts the link.
    DieMidStream,
    /// Bytes that are no frame.
    Garbage,
    /// Takes the job and sends nothing, not even a response head.
    Silent,
    /// One piece of text, then waits for the signal before it closes.
    Gate(Arc<Notify>),
    /// Text without end, as fast as it is taken.
    Flood,
}

#[derive(Clone)]
pub struct Probe {
    pub welcome: watch::Sender<Option<Welcome>>,
    pub jobs: watch::Sender<u32>,
    /// Jobs whose stream was dropped before its end.
    pub cancelled: watch::Sender<u32>,
    pub acks: watch::Sender<Vec<Ack>>,
    pub produced: watch::Sender<usize>,
    pub report: watch::Sender<Report>,
    pub behaviour: Arc<Mutex<Behaviour>>,
    pub raw_reports: Arc<Mutex<Option<Bytes>>>,
}

pub struct TestWorker {
    pub id: WorkerId,
    pub probe: Probe,
    pub stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl TestWorker {
    /// `sign_as`: another key than the one that `Hello` names.
    pub async fn dial(
        address: SocketAddr,
        key: Keypair,
        sign_as: Option<Keypair>,
        slots: u32,
        behaviour: Behaviour,
    ) -> Self {
        let id = WorkerId(key.pubkey().to_bytes());
        let stop = CancellationToken::new();
        let probe = Probe {
            welcome: watch::Sender::new(None),
            jobs: watch::Sender::new(0),
            cancelled: watch::Sender::new(0),
            acks: watch::Sender::new(Vec::new()),
            produced: watch::Sender::new(0),
            report: watch::Sender::new(Report { free_slots: slots, ..Report::default() }),
            behaviour: Arc::new(Mutex::new(behaviour)),
            raw_reports: Arc::default(),
        };
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let request = Request::get("/v1/worker/session")
            .header(header::HOST, "scheduler")
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "waybill-h2")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let upgraded = hyper::upgrade::on(response).await.unwrap();
        let state = Arc::new(Served { key, sign_as, slots, probe: probe.clone(), stop: stop.clone() });
        let serve = {
            let stop = stop.clone();
            async move {
                let service = service_fn(move |request| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(state.answer(request).await) }
                });
                let executor = StoppingExecutor(stop);
                let mut builder = hyper::server::conn::http2::Builder::new(executor);
                builder.timer(TokioTimer::new()).max_send_buf_size(64 << 10);
                let _ = builder.serve_connection(upgraded, service).await;
            }
        };
        let task = {
            let stop = stop.clone();
            tokio::spawn(async move {
                let _ = stop.run_until_cancelled(serve).await;
            })
        };
        Self { id, probe, stop, task }
    }

    pub async fn welcomed(&self) -> Welcome {
        self.probe.welcome.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    /// Resolves when the session is over.
    pub async fn ended(self) {
        within(self.task).await.unwrap();
    }

    pub fn jobs(&self) -> u32 {
        *self.probe.jobs.borrow()
    }

    pub async fn until_cancelled(&self, count: u32) {
        within(self.probe.cancelled.subscribe().wait_for(|seen| *seen >= count)).await.unwrap();
    }

    pub async fn until_jobs(&self, count: u32) {
        within(self.probe.jobs.subscribe().wait_for(|seen| *seen >= count)).await.unwrap();
    }
}

#[derive(Clone)]
struct StoppingExecutor(CancellationToken);

impl<F> hyper::rt::Executor<F> for StoppingExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let stop = self.0.clone();
        tokio::spawn(async move { stop.run_until_cancelled_owned(future).await });
    }
}

struct Served {
    key: Keypair,
    sign_as: Option<Keypair>,
    slots: u32,
    probe: Probe,
    stop: CancellationToken,
}

type Body = BoxBody<Bytes, Infallible>;

impl Served {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return empty(StatusCode::BAD_REQUEST),
        };
        match (parts.method, parts.uri.path()) {
            (Method::POST, "/hello") => {
                let challenge = Challenge::decode(body).unwrap();
                let message = signing::hello_message(&challenge.domain, &challenge.nonce);
                let hello = Hello {
                    worker: self.key.pubkey().to_bytes().to_vec().into(),
                    signature: signing::sign(self.sign_as.as_ref().unwrap_or(&self.key), &message).to_vec().into(),
                    slots: self.slots,
                    models: vec![ModelOffer {
                        artifact: ARTIFACT.0.to_vec().into(),
                        prefill_tps: 10_000.0,
                        decode_tps: 10_000.0,
                        ..ModelOffer::default()
                    }],
                    ..Hello::default()
                };
                Response::new(Full::new(hello.encode_to_vec().into()).boxed())
            }
            (Method::POST, "/welcome") => {
                self.probe.welcome.send_replace(Some(Welcome::decode(body).unwrap()));
                empty(StatusCode::NO_CONTENT)
            }
            (Method::GET, "/ping") => empty(StatusCode::NO_CONTENT),
            (Method::GET, "/reports") => {
                let raw = self.probe.raw_reports.lock().unwrap().clone();
                if let Some(raw) = raw {
                    return Response::new(Full::new(raw).boxed());
                }
                let reports =
                    stream::unfold((self.probe.report.subscribe(), true), |(mut reports, first)| async move {
                        if !first {
                            // A worker repeats itself every second.
                            let _ = tokio::time::timeout(Duration::from_secs(1), reports.changed()).await;
                        }
                        let report = encode(&*reports.borrow_and_update());
                        Some((report, (reports, false)))
                    });
                Response::new(streamed(reports))
            }
            (Method::POST, "/ack") => {
                let ack = Ack::decode(body).unwrap();
                self.probe.acks.send_modify(|acks| acks.push(ack));
                empty(StatusCode::NO_CONTENT)
            }
            (Method::POST, "/run") => {
                let _job = Job::decode(body).unwrap();
                self.probe.jobs.send_modify(|jobs| *jobs += 1);
                self.run().await
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn run(&self) -> Response<Body> {
        let behaviour = self.probe.behaviour.lock().unwrap().clone();
        let guard = Unfinished { cancelled: self.probe.cancelled.clone(), done: false };
        let stop = self.stop.clone();
        match behaviour {
            Behaviour::Answer(pieces) => {
                let events = (0..pieces).map(|n| text(&format!("{n} "))).chain([closed()]);
                guard.finish();
                Response::new(streamed(stream::iter(events.map(|event| encode(&event)).collect::<Vec<_>>())))
            }
            Behaviour::Fault(code) => {
                guard.finish();
                let fault = Event::from(EventKind::Fault(Fault::new(code, "as told")));
                Response::new(Full::new(encode(&fault)).boxed())
            }
            Behaviour::FaultThen(code, next) => {
                guard.finish();
                *self.probe.behaviour.lock().unwrap() = *next;
                Response::new(Full::new(encode(&Event::from(EventKind::Fault(Fault::new(code, "once"))))).boxed())
            }
            Behaviour::DieBeforeFirst => {
                stop.cancel();
                std::future::pending().await
            }
            Behaviour::DieMidStream => Response::new(streamed(stream::unfold(0, move |step| {
                let stop = stop.clone();
                async move {
                    match step {
                        0 => Some((encode(&text("half")), 1)),
                        _ => {
                            // The first piece has to be on the wire before the link is cut.
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            stop.cancel();
                            std::future::pending().await
                        }
                    }
                }
            }))),
            Behaviour::Garbage => {
                guard.finish();
                Response::new(Full::new(Bytes::from_static(&[0xff; 64])).boxed())
            }
            Behaviour::Silent => {
                let _guard = guard;
                std::future::pending().await
            }
            Behaviour::Gate(open) => {
                Response::new(streamed(stream::unfold((0, guard, open), |(step, guard, open)| async move {
                    match step {
                        0 => Some((encode(&text("begun")), (1, guard, open))),
                        1 => {
                            open.notified().await;
                            Some((encode(&closed()), (2, guard, open)))
                        }
                        _ => {
                            guard.finish();
                            None
                        }
                    }
                })))
            }
            Behaviour::Flood => {
                let produced = self.probe.produced.clone();
                let piece = "x".repeat(8 << 10);
                let guarded = stream::unfold(guard, move |guard| {
                    produced.send_modify(|bytes| *bytes += piece.len());
                    let frame = encode(&text(&piece));
                    async move { Some((frame, guard)) }
                });
                Response::new(streamed(guarded))
            }
        }
    }
}

/// Counts a stream that is dropped before its end.
struct Unfinished {
    cancelled: watch::Sender<u32>,
    done: bool,
}

impl Unfinished {
    fn finish(mut self) {
        self.done = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            self.cancelled.send_modify(|count| *count += 1);
        }
    }
}

fn streamed(pieces: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed());
    *response.status_mut() = status;
    response
}

pub fn text(content: &str) -> Event {
    EventKind::Text(TextDelta { text: content.into(), tokens: 1 }).into()
}

pub fn closed() -> Event {
    EventKind::Closed(Closed { device: "test".into(), ..Closed::default() }).into()
}
