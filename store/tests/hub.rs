//! What a hub promises: the same statements about the one in process and the one on a real Redis server.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;
use waybill_store::hub::MAX_LIMIT;
use waybill_store::ledger::Clock;
use waybill_store::testing::RedisServer;
use waybill_store::{Hub, LocalHub, RedisHub};

struct Turned(Arc<AtomicU64>);

impl Turned {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000)))
    }

    fn clock(&self) -> Clock {
        let now_ms = self.0.clone();
        Arc::new(move || now_ms.load(Ordering::SeqCst))
    }

    fn turn(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

async fn grants_stop_at_the_limit(a: Arc<dyn Hub>, b: Arc<dyn Hub>) {
    assert_eq!(a.lease("limit", 60, 100).await.unwrap(), 60);
    assert_eq!(b.lease("limit", 60, 100).await.unwrap(), 40);
    assert_eq!(b.lease("limit", 1, 100).await.unwrap(), 0);
    assert_eq!(b.lease("limit", 10, 50).await.unwrap(), 0, "a limit that shrank grants nothing");
    a.give_back("limit", 25).await.unwrap();
    assert_eq!(b.lease("limit", 60, 100).await.unwrap(), 25);
    b.give_back("limit", 1_000).await.unwrap();
    assert_eq!(a.outstanding("limit").await.unwrap(), 35, "nobody can return what another holds");
    assert_eq!(a.lease("other", 7, 7).await.unwrap(), 7, "keys do not share limits");
    assert_eq!(a.lease("large", u64::MAX, u64::MAX).await.unwrap(), MAX_LIMIT);
    assert_eq!(b.lease("large", 1, u64::MAX).await.unwrap(), 0);
    a.give_back("large", 1).await.unwrap();
    assert_eq!(b.lease("large", 9, u64::MAX).await.unwrap(), 1, "large amounts are counted exactly");
}

async fn a_race_never_exceeds_the_limit(a: Arc<dyn Hub>, b: Arc<dyn Hub>) {
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let hub = if caller % 2 == 0 { a.clone() } else { b.clone() };
        callers.spawn(async move { hub.lease("race", 7, 100).await.unwrap() });
    }
    assert_eq!(callers.join_all().await.into_iter().sum::<u64>(), 100);
}

async fn leases_of_a_dead_holder_return(a: Arc<dyn Hub>, b: Arc<dyn Hub>, time: &Turned) {
    assert_eq!(a.lease("dead", 100, 100).await.unwrap(), 100);
    time.turn(100_000);
    a.heartbeat().await.unwrap();
    time.turn(100_000);
    assert_eq!(b.lease("dead", 50, 100).await.unwrap(), 0, "a heartbeat keeps leases");
    time.turn(120_001);
    assert_eq!(b.lease("dead", 50, 100).await.unwrap(), 50, "without one they return");
    assert_eq!(a.lease("dead", 100, 100).await.unwrap(), 50, "who was taken for dead starts from nothing");
    a.give_back("dead", 1_000).await.unwrap();
    assert_eq!(b.outstanding("dead").await.unwrap(), 50);
}

#[tokio::test]
async fn in_process() {
    let time = Turned::new();
    let a = LocalHub::with_clock("a", time.clock());
    let (a, b): (Arc<dyn Hub>, Arc<dyn Hub>) = (Arc::new(a.clone()), Arc::new(a.join("b")));
    grants_stop_at_the_limit(a.clone(), b.clone()).await;
    a_race_never_exceeds_the_limit(a.clone(), b.clone()).await;
    leases_of_a_dead_holder_return(a, b, &time).await;
}

#[tokio::test]
async fn on_redis() {
    let Some(server) = RedisServer::start().unwrap() else { return };
    let time = Turned::new();
    let first = RedisHub::connect(&server.url(), "waybill", "a").await.unwrap();
    let second = RedisHub::connect(&server.url(), "waybill", "b").await.unwrap();
    let (a, b): (Arc<dyn Hub>, Arc<dyn Hub>) =
        (Arc::new(first.clone().with_clock(time.clock())), Arc::new(second.with_clock(time.clock())));
    grants_stop_at_the_limit(a.clone(), b.clone()).await;
    a_race_never_exceeds_the_limit(a.clone(), b.clone()).await;
    leases_of_a_dead_holder_return(a, b, &time).await;

    let on_server_time = RedisHub::connect(&server.url(), "elsewhere", "a").await.unwrap();
    assert_eq!(on_server_time.lease("limit", 5, 9).await.unwrap(), 5);
    assert_eq!(on_server_time.join("c").lease("limit", 9, 9).await.unwrap(), 4);
    drop(server);
    assert!(!first.healthy().await);
    assert!(first.lease("limit", 1, 100).await.is_err(), "a hub that is down grants nothing");
}
