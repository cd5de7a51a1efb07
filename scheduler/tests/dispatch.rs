//! From a job to a worker, over real sockets: failover before the first event and none after it, cancellation, bounded
//! memory, waiting for a slot, and the graceful end.
#![allow(clippy::unwrap_used)]

mod support;

use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};
use support::{Behaviour, Network, closed, text, within};
use tokio::sync::Notify;
use waybill_protocol::{Dispatch, DispatchError, RouteWish, WalletId, frame::FaultCode};

/// The first worker is of a better class, so that it is the first choice.
const BETTER: u16 = 2;
const WORSE: u16 = 0;

#[tokio::test]
async fn until_the_first_event_another_worker_takes_over() {
    let failures = [
        ("dies", Behaviour::DieBeforeFirst),
        ("garbage", Behaviour::Garbage),
        ("silent", Behaviour::Silent),
        ("busy", Behaviour::Fault(FaultCode::Busy)),
        ("internal", Behaviour::Fault(FaultCode::Internal)),
        ("unknown model", Behaviour::Fault(FaultCode::UnknownModel)),
        ("protocol", Behaviour::Fault(FaultCode::Protocol)),
    ];
    for (name, failure) in failures {
        let network = Network::start().await;
        let bad = network.worker(BETTER, 4, failure).await;
        let good = network.worker(WORSE, 4, Behaviour::Answer(1)).await;
        let mut job = network.job();
        job.deadline_ms = 2_000;
        let dispatched = within(network.running.scheduler.dispatch(job, RouteWish::default())).await;
        let dispatched = dispatched.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((dispatched.worker, dispatched.attempts, bad.jobs()), (good.id, 2, 1), "{name}");
        assert_eq!(within(dispatched.events.collect::<Vec<_>>()).await, [Ok(text("0 ")), Ok(closed())], "{name}");
    }
}

#[tokio::test]
async fn after_the_first_event_a_lost_link_ends_the_stream_and_nobody_else_is_tried() {
    let network = Network::start().await;
    let bad = network.worker(BETTER, 4, Behaviour::DieMidStream).await;
    let good = network.worker(WORSE, 4, Behaviour::Answer(1)).await;
    let mut dispatched = within(network.running.scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!(dispatched.worker, bad.id);
    assert_eq!(within(dispatched.events.next()).await, Some(Ok(text("half"))));
    assert_eq!(within(dispatched.events.next()).await.unwrap().unwrap_err().code(), FaultCode::Lost);
    assert!(within(dispatched.events.next()).await.is_none());
    assert_eq!(good.jobs(), 0);
}

#[tokio::test]
async fn the_only_worker_is_asked_again_when_it_was_full_and_not_when_it_failed() {
    let network = Network::start().await;
    let behaviour = |code| Behaviour::FaultThen(code, Box::new(Behaviour::Answer(1)));
    let worker = network.worker(WORSE, 4, behaviour(FaultCode::Busy)).await;
    let scheduler = &network.running.scheduler;
    let dispatched = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!((dispatched.attempts, worker.jobs()), (2, 2));

    *worker.probe.behaviour.lock().unwrap() = behaviour(FaultCode::Internal);
    let failed = within(scheduler.dispatch(network.job(), RouteWish::default())).await;
    assert!(matches!(failed, Err(DispatchError::Exhausted { attempts: 1, .. })));
}

#[tokio::test]
async fn many_requests_at_once_all_find_the_few_slots_in_turn() {
    let network = Network::start().await;
    let workers =
        [network.worker(WORSE, 2, Behaviour::Answer(3)).await, network.worker(WORSE, 2, Behaviour::Answer(3)).await];
    let scheduler = &network.running.scheduler;
    let requests = (0..200).map(|_| async {
        let dispatched = scheduler.dispatch(network.job(), RouteWish::default()).await.unwrap();
        dispatched.events.count().await
    });
    let counts = within(futures_util::future::join_all(requests)).await;
    assert!(counts.iter().all(|count| *count == 4));
    assert_eq!(workers.iter().map(|worker| worker.jobs()).sum::<u32>(), 200);
}

#[tokio::test]
async fn a_fault_that_every_worker_would_report_is_the_answer() {
    for code in [FaultCode::BadInput, FaultCode::ContextExceeded, FaultCode::Unfunded] {
        let network = Network::start().await;
        let _picky = network.worker(BETTER, 4, Behaviour::Fault(code)).await;
        let other = network.worker(WORSE, 4, Behaviour::Answer(1)).await;
        let refused = within(network.running.scheduler.dispatch(network.job(), RouteWish::default())).await;
        assert!(matches!(refused, Err(DispatchError::Refused(fault)) if fault.code() == code));
        assert_eq!(other.jobs(), 0);
    }
}

#[tokio::test]
async fn three_attempts_at_three_workers_and_no_more() {
    let network = Network::start().await;
    let mut workers = Vec::new();
    for _ in 0..5 {
        workers.push(network.worker(WORSE, 4, Behaviour::Fault(FaultCode::Internal)).await);
    }
    let outcome = within(network.running.scheduler.dispatch(network.job(), RouteWish::default())).await;
    assert!(
        matches!(outcome, Err(DispatchError::Exhausted { attempts: 3, last }) if last.code() == FaultCode::Internal)
    );
    let mut tried: Vec<u32> = workers.iter().map(|worker| worker.jobs()).collect();
    tried.sort_unstable();
    assert_eq!(tried, [0, 0, 1, 1, 1]);
}

#[tokio::test]
async fn the_deadline_holds_when_nobody_answers() {
    let network = Network::start().await;
    let worker = network.worker(WORSE, 4, Behaviour::Silent).await;
    let mut job = network.job();
    job.deadline_ms = 100;
    let outcome = within(network.running.scheduler.dispatch(job, RouteWish::default())).await;
    assert!(matches!(outcome, Err(DispatchError::Timeout)));
    worker.until_cancelled(1).await;
}

#[tokio::test]
async fn a_consumer_who_leaves_stops_the_worker_before_and_after_the_first_event() {
    let network = Network::start().await;
    let worker = network.worker(WORSE, 4, Behaviour::Gate(Arc::new(Notify::new()))).await;
    let scheduler = &network.running.scheduler;
    let mut dispatched = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    assert_eq!(within(dispatched.events.next()).await, Some(Ok(text("begun"))));
    drop(dispatched);
    worker.until_cancelled(1).await;

    *worker.probe.behaviour.lock().unwrap() = Behaviour::Silent;
    let waiting = tokio::spawn({
        let (scheduler, job) = (Arc::clone(scheduler), network.job());
        async move { scheduler.dispatch(job, RouteWish::default()).await.map(drop) }
    });
    worker.until_jobs(2).await;
    waiting.abort();
    worker.until_cancelled(2).await;
}

#[tokio::test]
async fn a_stalled_consumer_holds_back_its_worker_and_nobody_else() {
    let network = Network::start().await;
    let worker = network.worker(WORSE, 64, Behaviour::Flood).await;
    let scheduler = &network.running.scheduler;
    let mut stalled = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    within(stalled.events.next()).await.unwrap().unwrap();

    // Meanwhile the same link carries other answers, in full.
    *worker.probe.behaviour.lock().unwrap() = Behaviour::Answer(2_000);
    for _ in 0..10 {
        let other = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
        assert_eq!(within(other.events.collect::<Vec<_>>()).await.len(), 2_001);
    }
    let produced = *worker.probe.produced.borrow();
    assert!(produced < 512 << 10, "{produced} bytes were produced for a consumer who reads nothing");

    // The stream is intact: reading on takes what comes next.
    for _ in 0..200 {
        within(stalled.events.next()).await.unwrap().unwrap();
    }
    drop(stalled);
    worker.until_cancelled(1).await;
}

#[tokio::test]
async fn when_all_are_full_a_request_waits_for_a_slot() {
    let network = Network::start().await;
    let open = Arc::new(Notify::new());
    let worker = network.worker(WORSE, 1, Behaviour::Gate(Arc::clone(&open))).await;
    let scheduler = &network.running.scheduler;
    let first = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    *worker.probe.behaviour.lock().unwrap() = Behaviour::Answer(1);
    let second = tokio::spawn({
        let (scheduler, job) = (Arc::clone(scheduler), network.job());
        async move { scheduler.dispatch(job, RouteWish::default()).await.map(|dispatched| dispatched.attempts) }
    });
    open.notify_one();
    assert_eq!(within(first.events.collect::<Vec<_>>()).await, [Ok(text("begun")), Ok(closed())]);
    assert_eq!(within(second).await.unwrap(), Ok(1));
}

#[tokio::test]
async fn a_request_that_finds_no_slot_in_time_is_told_to_come_back() {
    let network = Network::start_with(|config| config.timing.slot_wait = Duration::from_millis(10)).await;
    let _worker = network.worker(WORSE, 1, Behaviour::Gate(Arc::new(Notify::new()))).await;
    let scheduler = &network.running.scheduler;
    let _held = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    let busy = within(scheduler.dispatch(network.job(), RouteWish::default())).await;
    assert!(matches!(busy, Err(DispatchError::Busy { retry_after_ms: 1.. })));
}

#[tokio::test]
async fn wishes_narrow_and_the_refusal_counts_what_they_cost() {
    let network = Network::start().await;
    let worker = network.worker(WORSE, 4, Behaviour::Answer(1)).await;
    let other = network.worker(WORSE, 4, Behaviour::Answer(1)).await;
    let scheduler = &network.running.scheduler;
    let ask = async |wish: RouteWish| within(scheduler.dispatch(network.job(), wish)).await;

    let only = RouteWish { only: vec![worker.id], ..RouteWish::default() };
    for _ in 0..20 {
        assert_eq!(ask(only.clone()).await.unwrap().worker, worker.id);
    }
    let ignore = RouteWish { ignore: vec![worker.id], ..RouteWish::default() };
    assert_eq!(ask(ignore).await.unwrap().worker, other.id);
    let nowhere = RouteWish { regions: vec!["ap-south".into()], ..RouteWish::default() };
    let Err(DispatchError::NoWorker(text)) = ask(nowhere).await else { panic!("the wish was relaxed") };
    assert_eq!(text, "2 dropped by region");
    let mut job = network.job();
    job.artifact = vec![1; 32].into();
    let unknown = within(scheduler.dispatch(job, RouteWish::default())).await;
    assert!(matches!(unknown, Err(DispatchError::NoWorker(text)) if text == "no worker is connected"));
}

#[tokio::test]
async fn orders_of_foreign_gateways_are_not_brought() {
    let network = Network::start().await;
    let worker = network.worker(WORSE, 4, Behaviour::Answer(1)).await;
    let mut job = network.job();
    job.gateway = WalletId([3; 32]).0.to_vec().into();
    let refused = within(network.running.scheduler.dispatch(job, RouteWish::default())).await;
    assert!(matches!(refused, Err(DispatchError::Refused(fault)) if fault.code() == FaultCode::Unfunded));
    assert_eq!(worker.jobs(), 0);
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let network = Network::start().await;
    let open = Arc::new(Notify::new());
    let worker = network.worker(WORSE, 4, Behaviour::Gate(Arc::clone(&open))).await;
    let scheduler = Arc::clone(&network.running.scheduler);
    let running = within(scheduler.dispatch(network.job(), RouteWish::default())).await.unwrap();
    let job = network.job();
    network.shutdown.cancel();
    while !scheduler.is_draining() {
        tokio::task::yield_now().await;
    }
    let refused = within(scheduler.dispatch(job, RouteWish::default())).await;
    assert!(matches!(refused, Err(DispatchError::Unavailable(why)) if why == "draining"));
    open.notify_one();
    assert_eq!(within(running.events.collect::<Vec<_>>()).await, [Ok(text("begun")), Ok(closed())]);
    within(network.running.finished()).await.unwrap();
    worker.ended().await;
}
