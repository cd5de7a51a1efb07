//! The session, against a scheduler made of nothing but hyper.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    header,
    server::conn::http1,
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use solana_keypair::Keypair;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use waybill_protocol::{
    frame::{Challenge, Event, EventKind, FrameReader, Hello, Job, Report, Welcome},
    signing,
};
use waybill_worker::{Engines, SESSION_PATH, Trust, WorkerConfig, WorkerDeps, WorkerError};

use crate::setup::{DOMAIN, EPOCH_S, FixedFunds, Gateway, chat_input, profile, tiny_engines};

/// Accepts workers; each upgraded session comes out of the receiver as an HTTP/2 client.
async fn scheduler() -> (String, mpsc::Receiver<SendRequest<Full<Bytes>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sessions, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let sessions = sessions.clone();
            tokio::spawn(async move {
                let service = service_fn(move |mut request: Request<Incoming>| {
                    let sessions = sessions.clone();
                    async move {
                        assert_eq!(request.uri().path(), SESSION_PATH);
                        assert_eq!(request.headers()[header::UPGRADE], "waybill-h2");
                        let upgrade = hyper::upgrade::on(&mut request);
                        tokio::spawn(async move { sessions.send(turn(upgrade.await.unwrap()).await).await });
                        let mut response = Response::new(Full::<Bytes>::default());
                        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                        let headers = response.headers_mut();
                        headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
                        headers.insert(header::UPGRADE, header::HeaderValue::from_static("waybill-h2"));
                        Ok::<_, Infallible>(response)
                    }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service).with_upgrades().await;
            });
        }
    });
    (url, receiver)
}

async fn turn(upgraded: Upgraded) -> SendRequest<Full<Bytes>> {
    let (client, connection) = http2::Builder::new(TokioExecutor::new()).handshake(upgraded).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn call(client: &mut SendRequest<Full<Bytes>>, method: Method, path: &str, body: Vec<u8>) -> Response<Incoming> {
    let request = Request::builder().method(method).uri(format!("http://worker{path}")).body(Full::from(body)).unwrap();
    client.send_request(request).await.unwrap()
}

struct Frames<M>(Incoming, FrameReader<M>);

impl<M: Message + Default> Frames<M> {
    fn new(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        Self(response.into_body(), FrameReader::default())
    }

    async fn next(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.1.next_message().unwrap() {
                return Some(message);
            }
            match self.0.frame().await {
                Some(frame) => self.1.push(&frame.unwrap().into_data().unwrap()),
                None => {
                    self.1.finish().unwrap();
                    return None;
                }
            }
        }
    }
}

type Running = (CancellationToken, JoinHandle<Result<(), WorkerError>>);

fn start(url: &str, engines: Arc<Engines>, gateway: &Gateway) -> Running {
    let config = WorkerConfig {
        scheduler_url: url.into(),
        key: Keypair::new(),
        profile: profile(2),
        domain: DOMAIN,
        epoch_s: EPOCH_S,
        trust: Trust::default(),
        drain: Duration::from_secs(30),
        archive: None,
    };
    let deps = WorkerDeps {
        engines,
        funding: Arc::new(FixedFunds(gateway.funds(1_000_000_000))),
        gate: Arc::default(),
        rules: None,
    };
    let shutdown = CancellationToken::new();
    (shutdown.clone(), tokio::spawn(waybill_worker::run(config, deps, shutdown)))
}

async fn run(client: &mut SendRequest<Full<Bytes>>, job: &Job) -> Frames<Event> {
    Frames::new(call(client, Method::POST, "/run", job.encode_to_vec()).await)
}

#[tokio::test]
async fn a_session_greets_reports_works_and_drains() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let (url, mut sessions) = scheduler().await;
    let (shutdown, running) = start(&url, engines, &gateway);
    let mut client = sessions.recv().await.unwrap();

    let challenge = Challenge { nonce: vec![5; 32].into(), domain: DOMAIN.to_vec().into(), gateways: vec![] };
    let hello = call(&mut client, Method::POST, "/hello", challenge.encode_to_vec()).await;
    let hello = Hello::decode(hello.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let worker: [u8; 32] = hello.worker[..].try_into().unwrap();
    assert!(signing::verify(&worker, &signing::hello_message(&DOMAIN, &challenge.nonce), &hello.signature));
    assert_eq!(hello.models[0].artifact, gateway.artifact.0.to_vec());
    assert!(hello.models[0].decode_tps > 0.0, "speeds are measured at warm-up");
    let foreign = Challenge { domain: vec![1; 8].into(), ..challenge };
    let refused = call(&mut client, Method::POST, "/hello", foreign.encode_to_vec()).await;
    assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);

    let welcome = call(&mut client, Method::POST, "/welcome", Welcome::default().encode_to_vec()).await;
    assert_eq!(welcome.status(), StatusCode::NO_CONTENT);
    assert_eq!(call(&mut client, Method::GET, "/ping", vec![]).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(call(&mut client, Method::GET, "/nothing", vec![]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(call(&mut client, Method::POST, "/run", vec![0xff]).await.status(), StatusCode::BAD_REQUEST);

    let mut reports: Frames<Report> = Frames::new(call(&mut client, Method::GET, "/reports", vec![]).await);
    assert_eq!(reports.next().await.unwrap().free_slots, 2);

    let mut events = run(&mut client, &gateway.job(1, chat_input("hello", 20))).await;
    let mut last = None;
    while let Some(event) = events.next().await {
        last = event.kind;
    }
    assert!(matches!(last, Some(EventKind::Closed(_))), "{last:?}");
    while reports.next().await.unwrap().received_jobs == 0 {}

    // A shutdown lets the job in progress end, and then the worker leaves.
    let mut events = run(&mut client, &gateway.job(2, chat_input("hello", 100))).await;
    events.next().await.unwrap();
    shutdown.cancel();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = event.kind;
    }
    assert!(matches!(last, Some(EventKind::Closed(_))), "{last:?}");
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_response_cancels_and_a_lost_session_is_dialled_again() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let (url, mut sessions) = scheduler().await;
    let (shutdown, running) = start(&url, engines, &gateway);
    let mut client = sessions.recv().await.unwrap();
    let mut reports: Frames<Report> = Frames::new(call(&mut client, Method::GET, "/reports", vec![]).await);

    let mut events = run(&mut client, &gateway.job(1, chat_input("hello", 200))).await;
    events.next().await.unwrap();
    drop(events);
    while {
        let report = reports.next().await.unwrap();
        report.received_jobs == 0 || report.active > 0
    } {}

    drop((client, reports));
    let mut client = sessions.recv().await.unwrap();
    assert_eq!(call(&mut client, Method::GET, "/ping", vec![]).await.status(), StatusCode::NO_CONTENT);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// A frame of HTTP/2: length, type, flags, stream, payload.
fn raw_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn a_burst_of_cancellations_does_not_close_the_session() {
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (shutdown, running) = start(&format!("http://{}", listener.local_addr().unwrap()), engines, &gateway);
    let mut socket = listener.accept().await.unwrap().0;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }

    // In one write, so that the resets are there before the worker looks at the requests.
    let request: &[u8] = b"\x82\x86\x84\x41\x06worker"; // GET http / worker
    let mut burst = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: waybill-h2\r\n\r\n".to_vec();
    burst.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    burst.extend(raw_frame(SETTINGS, 0, 0, &[]));
    let cancelled = (0..250).map(|n| 2 * n + 1);
    for stream in cancelled {
        burst.extend(raw_frame(HEADERS, 0x5, stream, request));
        burst.extend(raw_frame(RESET, 0, stream, &8u32.to_be_bytes()));
    }
    let served = 501;
    burst.extend(raw_frame(HEADERS, 0x5, served, request));
    socket.write_all(&burst).await.unwrap();
    loop {
        let mut header = [0; 9];
        socket.read_exact(&mut header).await.unwrap();
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.unwrap();
        let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
        assert_ne!(header[3], GOAWAY, "{payload:?}");
        if (header[3], stream) == (HEADERS, served) {
            break;
        }
    }
    shutdown.cancel();
    drop(socket);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_be_a_scheduler_is_an_error_at_once() {
    let Some(engines) = tiny_engines() else { return };
    let gateway = Gateway::new(&engines);
    for url in ["ftp://host", "nonsense", "http://"] {
        let (_, running) = start(url, engines.clone(), &gateway);
        assert!(matches!(running.await.unwrap(), Err(WorkerError::Url(_))), "{url}");
    }
}
