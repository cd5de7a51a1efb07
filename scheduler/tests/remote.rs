//! A gateway in another process: the same promises over one HTTP/2 connection.
#![allow(clippy::unwrap_used)]

mod support;

use futures_util::StreamExt;
use solana_keypair::Keypair;
use std::sync::Arc;
use support::{Behaviour, Network, closed, text, within};
use tokio::sync::Notify;
use waybill_protocol::{
    Dispatch, DispatchError, RouteWish,
    frame::{Ack, FaultCode, LineState, Welcome},
    signing,
};
use waybill_scheduler::RemoteScheduler;

fn remote(network: &Network) -> RemoteScheduler {
    RemoteScheduler::new(&format!("http://{}", network.running.gateways.unwrap())).unwrap()
}

#[tokio::test]
async fn a_remote_dispatch_is_a_local_one() {
    let network = Network::start().await;
    let worker = network.worker(0, 4, Behaviour::Answer(3)).await;
    let remote = remote(&network);
    let dispatched = within(remote.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!((dispatched.worker, &*dispatched.region, dispatched.attempts), (worker.id, "eu-west", 1));
    let events: Vec<_> = within(dispatched.events.collect()).await;
    assert_eq!(events, [Ok(text("0 ")), Ok(text("1 ")), Ok(text("2 ")), Ok(closed())]);
    assert_eq!(remote.workers().await.unwrap()[0].worker, worker.id);

    let ack = Ack { worker: worker.id.0.to_vec().into(), ..Ack::default() };
    remote.acknowledge(ack.clone()).await;
    let mut acks = worker.probe.acks.subscribe();
    assert_eq!(*within(acks.wait_for(|acks| !acks.is_empty())).await.unwrap(), [ack]);

    let line = LineState { seq: 3, cum_nc: 70, ..LineState::default() };
    network.book.lines.lock().unwrap().insert(worker.id, vec![line.clone()]);
    within(remote.resync(worker.id)).await;
    assert_eq!(worker.welcomed().await, Welcome { lines: vec![line], resync: true });
}

#[tokio::test]
async fn errors_and_faults_arrive_typed() {
    let network = Network::start().await;
    let worker = network.worker(0, 4, Behaviour::Fault(FaultCode::ContextExceeded)).await;
    let remote = remote(&network);
    let refused = within(remote.dispatch(network.job(), RouteWish::default())).await;
    assert!(matches!(refused, Err(DispatchError::Refused(fault)) if fault.code() == FaultCode::ContextExceeded));
    let nowhere = RouteWish { regions: vec!["ap-south".into()], ..RouteWish::default() };
    let none = within(remote.dispatch(network.job(), nowhere)).await;
    assert!(matches!(none, Err(DispatchError::NoWorker(text)) if text == "1 dropped by region"));

    *worker.probe.behaviour.lock().unwrap() = Behaviour::DieMidStream;
    let mut dispatched = within(remote.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!(within(dispatched.events.next()).await, Some(Ok(text("half"))));
    assert_eq!(within(dispatched.events.next()).await.unwrap().unwrap_err().code(), FaultCode::Lost);
}

#[tokio::test]
async fn an_order_that_its_gateway_did_not_sign_is_not_brought() {
    let network = Network::start().await;
    let worker = network.worker(0, 4, Behaviour::Answer(1)).await;
    let mut job = network.job();
    job.order_signature = signing::sign(&Keypair::new(), &job.order).to_vec().into();
    let refused = within(remote(&network).dispatch(job, RouteWish::default())).await;
    assert!(matches!(refused, Err(DispatchError::Refused(fault)) if fault.code() == FaultCode::Unfunded));
    assert_eq!(worker.jobs(), 0);
}

#[tokio::test]
async fn cancellation_crosses_both_hops() {
    let network = Network::start().await;
    let worker = network.worker(0, 4, Behaviour::Gate(Arc::new(Notify::new()))).await;
    let remote = Arc::new(remote(&network));
    let mut dispatched = within(remote.dispatch(network.job(), RouteWish::default())).await.unwrap();
    within(dispatched.events.next()).await.unwrap().unwrap();
    drop(dispatched);
    worker.until_cancelled(1).await;

    *worker.probe.behaviour.lock().unwrap() = Behaviour::Silent;
    let waiting = tokio::spawn({
        let (remote, job) = (Arc::clone(&remote), network.job());
        async move { remote.dispatch(job, RouteWish::default()).await.map(drop) }
    });
    worker.until_jobs(2).await;
    waiting.abort();
    worker.until_cancelled(2).await;
}

#[tokio::test]
async fn the_connection_comes_back_after_a_restart_of_the_scheduler() {
    let network = Network::start().await;
    let address = network.running.gateways.unwrap();
    let remote = remote(&network);
    assert_eq!(within(remote.workers()).await.unwrap().len(), 0);
    network.shutdown.cancel();
    within(network.running.finished()).await.unwrap();
    assert!(matches!(within(remote.workers()).await, Err(DispatchError::Unavailable(_))));

    let again = Network::start_with(|config| config.gateway_listen = Some(address)).await;
    let worker = again.worker(0, 4, Behaviour::Answer(1)).await;
    let views = loop {
        match within(remote.workers()).await {
            Ok(views) => break views,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(views[0].worker, worker.id);
}

#[tokio::test]
async fn a_bad_address_is_refused_at_once() {
    for bad in ["", "scheduler:1", "https://scheduler", "not a url"] {
        assert!(RemoteScheduler::new(bad).is_err(), "{bad}");
    }
}
