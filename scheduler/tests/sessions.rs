//! Worker sessions over real sockets: who is admitted, who is not, and what a session carries.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use futures_util::StreamExt;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;
use support::{Behaviour, Network, TestWorker, closed, text, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};
use waybill_protocol::{
    Dispatch, RouteWish, WorkerId,
    frame::{Ack, FaultCode, LineState, Report, Welcome},
};

#[tokio::test]
async fn an_admitted_worker_learns_its_lines_runs_jobs_and_gets_countersignatures() {
    let network = Network::start().await;
    let key = Keypair::new();
    let id = WorkerId(key.pubkey().to_bytes());
    network.register(id, "eu-west", 0);
    let line = LineState { seq: 41, cum_nc: 12_345, ..LineState::default() };
    network.book.lines.lock().unwrap().insert(id, vec![line.clone()]);
    let worker = network.join(key, 4, Behaviour::Answer(2)).await;
    assert_eq!(worker.welcomed().await.lines, [line]);

    let scheduler = &network.running.scheduler;
    let dispatched = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!((dispatched.worker, &*dispatched.region, dispatched.attempts), (id, "eu-west", 1));
    let events: Vec<_> = within(dispatched.events.collect()).await;
    assert_eq!(events, [Ok(text("0 ")), Ok(text("1 ")), Ok(closed())]);

    let ack =
        Ack { worker: id.0.to_vec().into(), receipt_hash: vec![1; 32].into(), gateway_signature: vec![2; 64].into() };
    scheduler.acknowledge(ack.clone()).await;
    let mut acks = worker.probe.acks.subscribe();
    assert_eq!(*within(acks.wait_for(|acks| !acks.is_empty())).await.unwrap(), [ack]);
    assert_eq!(*worker.probe.cancelled.borrow(), 0);
}

#[tokio::test]
async fn a_resync_tells_a_worker_its_lines_within_its_session() {
    let network = Network::start().await;
    let worker = network.worker(0, 4, Behaviour::Gate(Arc::new(Notify::new()))).await;
    assert_eq!(worker.welcomed().await, Welcome::default());
    let scheduler = &network.running.scheduler;
    let mut running = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!(within(running.events.next()).await, Some(Ok(text("begun"))));

    let line = LineState { seq: 41, cum_nc: 12_345, ..LineState::default() };
    network.book.lines.lock().unwrap().insert(worker.id, vec![line.clone()]);
    within(scheduler.resync(worker.id)).await;
    assert_eq!(worker.welcomed().await, Welcome { lines: vec![line], resync: true });
    assert_eq!(*worker.probe.cancelled.borrow(), 0, "its job goes on");
    within(scheduler.resync(WorkerId([9; 32]))).await;
}

async fn is_turned_away(network: &Network, worker: TestWorker) {
    let welcome = worker.probe.welcome.subscribe();
    worker.ended().await;
    assert!(welcome.borrow().is_none());
    assert!(network.running.scheduler.workers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_signature_by_another_key_is_turned_away() {
    let network = Network::start().await;
    let key = Keypair::new();
    network.register(WorkerId(key.pubkey().to_bytes()), "eu-west", 0);
    let address = network.running.sessions;
    let worker = TestWorker::dial(address, key, Some(Keypair::new()), 4, Behaviour::Answer(1)).await;
    is_turned_away(&network, worker).await;
}

#[tokio::test]
async fn a_key_that_is_unknown_expired_revoked_or_unstaked_is_turned_away() {
    let network = Network::start().await;
    for case in ["unknown", "expired", "revoked", "unstaked"] {
        let key = Keypair::new();
        let id = WorkerId(key.pubkey().to_bytes());
        network.register(id, "eu-west", 0);
        {
            let mut nodes = network.book.nodes.lock().unwrap();
            let node = nodes.get_mut(&id).unwrap();
            match case {
                "expired" => node.expires = 1,
                "revoked" => node.revoked = true,
                "unstaked" => node.staked = false,
                _ => {
                    nodes.remove(&id);
                }
            }
        }
        let worker = network.dial(key, 4, Behaviour::Answer(1)).await;
        is_turned_away(&network, worker).await;
    }
}

#[tokio::test]
async fn a_new_session_of_the_same_key_replaces_the_old_one_and_its_jobs_are_lost() {
    let network = Network::start().await;
    let key = Keypair::new();
    let id = WorkerId(key.pubkey().to_bytes());
    network.register(id, "eu-west", 0);
    let old = network.join(key.insecure_clone(), 4, Behaviour::Gate(Arc::new(Notify::new()))).await;
    let scheduler = &network.running.scheduler;
    let mut running = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!(within(running.events.next()).await, Some(Ok(text("begun"))));

    let new = network.join(key, 4, Behaviour::Answer(1)).await;
    let lost = within(running.events.next()).await.unwrap().unwrap_err();
    assert_eq!(lost.code(), FaultCode::Lost);
    assert!(within(running.events.next()).await.is_none());
    old.ended().await;
    let views = scheduler.workers().await.unwrap();
    assert_eq!(views.iter().map(|view| view.worker).collect::<Vec<_>>(), [id]);
    within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!(new.jobs(), 1);
}

#[tokio::test]
async fn a_worker_that_sends_garbage_for_reports_loses_its_session() {
    let network = Network::start().await;
    let key = Keypair::new();
    network.register(WorkerId(key.pubkey().to_bytes()), "eu-west", 0);
    let worker = network.dial(key, 4, Behaviour::Answer(1)).await;
    *worker.probe.raw_reports.lock().unwrap() = Some(Bytes::from_static(&[0xff; 64]));
    worker.ended().await;
    within(network.running.scheduler.until_workers(<[_]>::is_empty)).await;
}

#[tokio::test]
async fn a_worker_whose_key_is_revoked_later_loses_its_session() {
    let network = Network::start_with(|config| {
        config.timing.ping = std::time::Duration::from_millis(5);
        config.timing.recheck = std::time::Duration::ZERO;
    })
    .await;
    let worker = network.worker(0, 4, Behaviour::Answer(1)).await;
    network.book.nodes.lock().unwrap().get_mut(&worker.id).unwrap().revoked = true;
    worker.ended().await;
    within(network.running.scheduler.until_workers(<[_]>::is_empty)).await;
}

#[tokio::test]
async fn the_fleet_has_a_limit_that_a_replacement_does_not_count_against() {
    let network = Network::start_with(|config| config.limits.sessions = 1).await;
    let key = Keypair::new();
    network.register(WorkerId(key.pubkey().to_bytes()), "eu-west", 0);
    let _first = network.join(key.insecure_clone(), 4, Behaviour::Answer(1)).await;
    let other = Keypair::new();
    network.register(WorkerId(other.pubkey().to_bytes()), "eu-west", 0);
    let refused = network.dial(other, 4, Behaviour::Answer(1)).await;
    refused.ended().await;
    network.join(key, 4, Behaviour::Answer(1)).await;
    assert_eq!(network.running.scheduler.workers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_draining_worker_is_shown_as_such_and_gets_no_jobs() {
    let network = Network::start().await;
    let worker = network.worker(0, 4, Behaviour::Answer(1)).await;
    worker.probe.report.send_replace(Report { draining: true, ..Report::default() });
    let scheduler = &network.running.scheduler;
    let error = loop {
        // The report travels on its own; until it is in, the worker takes jobs.
        match within(scheduler.dispatch(network.job(), RouteWish::default())).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.to_string(), "no eligible worker: 1 dropped by draining");
    assert!(scheduler.workers().await.unwrap()[0].draining);
}

#[tokio::test]
async fn a_plain_request_for_a_session_is_told_what_is_missing() {
    let network = Network::start().await;
    let mut socket = tokio::net::TcpStream::connect(network.running.sessions).await.unwrap();
    socket.write_all(b"GET /v1/worker/session HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}
