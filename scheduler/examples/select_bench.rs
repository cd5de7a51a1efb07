//! Prints what one choice of a worker costs: `cargo run --release -p waybill-scheduler --example select_bench`.

use rand::{SeedableRng, rngs::SmallRng};
use std::{hint::black_box, sync::Arc, time::Instant};
use waybill_protocol::{RouteWish, WalletId, WorkerId, frame::Report};
use waybill_scheduler::{
    select::{Candidate, Demand, Load, Query, Snapshot},
    time::Tick,
};

const ROUNDS: u32 = 1_000_000;

fn main() {
    println!("{:>8}  {:>12}  {:>16}", "workers", "ns/choice", "ns with a region");
    for workers in [2, 10, 100, 1_000, 10_000] {
        let snapshot = fleet(workers);
        let anywhere = measure(&snapshot, &RouteWish::default());
        let region = measure(&snapshot, &RouteWish { regions: vec!["r1".into()], ..RouteWish::default() });
        println!("{workers:>8}  {anywhere:>12.0}  {region:>16.0}");
    }
}

fn measure(snapshot: &Snapshot<()>, wish: &RouteWish) -> f64 {
    let mut rng = SmallRng::seed_from_u64(1);
    let demand = Demand { prompt: 200, output: 100 };
    let query = Query { wish, demand, tried: &[], tried_operators: &[], now: Tick(1) };
    let started = Instant::now();
    for _ in 0..ROUNDS {
        let _ = black_box(snapshot.choose(black_box(&query), &mut rng));
    }
    started.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}

fn fleet(workers: u32) -> Snapshot<()> {
    let candidate = |index: u32| {
        let load = Arc::new(Load::new(64, Tick(0)));
        (0..5).for_each(|_| {
            load.reported(&Report { free_slots: 64, queued_tokens: index % 500, ..Report::default() }, Tick(0))
        });
        let mut key = [0; 32];
        key[..4].copy_from_slice(&index.to_be_bytes());
        Arc::new(Candidate {
            worker: WorkerId(key),
            operator: WalletId(key),
            region: format!("r{}", index % 4).into(),
            class: 2,
            kind: 0,
            offered: (1_000.0, [1_000.0, 100.0, 10.0][index as usize % 3]),
            ask: None,
            load,
            track: Arc::default(),
            handle: (),
        })
    };
    Snapshot::new((0..workers).map(candidate).collect(), Tick(0))
}
