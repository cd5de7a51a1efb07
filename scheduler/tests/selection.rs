//! The choice of a worker in virtual time: what it promises of fairness, feedback and refusal, with a fixed seed.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use waybill_protocol::{RouteWish, WalletId, WorkerId, frame::Report};
use waybill_scheduler::{
    select::{Candidate, Demand, Failure, Load, NoChoice, Query, Snapshot, load::JobNumber},
    time::Tick,
};

const DEMAND: Demand = Demand { prompt: 100, output: 0 };

/// A worker that embeds at `speed` tokens per second, as it says and as five reports have shown.
fn candidate(index: usize, speed: f32, region: &str) -> Arc<Candidate<()>> {
    let load = Arc::new(Load::new(1_000, Tick(0)));
    load.pinged(0.001, 0.001);
    for _ in 0..5 {
        load.reported(&Report { free_slots: 1_000, ..Report::default() }, Tick(0));
    }
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(index as u64).to_be_bytes());
    Arc::new(Candidate {
        worker: WorkerId(key),
        operator: WalletId(key),
        region: region.into(),
        class: 2,
        kind: 1,
        offered: (speed, speed),
        ask: None,
        load,
        track: Arc::default(),
        handle: (),
    })
}

fn query<'a>(wish: &'a RouteWish, now: Tick) -> Query<'a> {
    Query { wish, demand: DEMAND, tried: &[], tried_operators: &[], now }
}

/// Each worker serves one request after another. Returns the seconds that requests took, in ascending order.
fn simulate(speeds: &[f32], choose: impl Fn(&Snapshot<()>, Tick, &mut SmallRng) -> usize) -> Vec<f64> {
    let fleet: Vec<_> = speeds.iter().enumerate().map(|(index, speed)| candidate(index, *speed, "eu")).collect();
    let snapshot = Snapshot::new(fleet.clone(), Tick(0));
    let mut rng = SmallRng::seed_from_u64(3);
    let mut free_at = vec![0.0_f64; fleet.len()];
    let mut received = vec![0_u64; fleet.len()];
    let mut running: Vec<VecDeque<(f64, f64, JobNumber)>> = vec![VecDeque::new(); fleet.len()];
    let mut took = Vec::new();
    let arrivals = 0.6 * speeds.iter().map(|speed| f64::from(*speed)).sum::<f64>() / f64::from(DEMAND.prompt);
    let (mut now, mut next_report) = (0.0, 1.0);
    while now < 120.0 {
        now += -f64::ln(1.0 - rng.random::<f64>()) / arrivals;
        let tick = Tick((now * 1e6) as u64);
        for (index, worker) in fleet.iter().enumerate() {
            while running[index].front().is_some_and(|(end, ..)| *end <= now) {
                let (_, seconds, number) = running[index].pop_front().unwrap();
                worker.load.finished(number);
                worker.track.answered(Duration::from_secs_f64(seconds), seconds, tick, false);
            }
        }
        if now >= next_report {
            next_report = now + 1.0;
            for (index, worker) in fleet.iter().enumerate() {
                let queued = (free_at[index] - now).max(0.0) * f64::from(speeds[index]);
                let (active, free_slots) =
                    (running[index].len() as u32, 1_000 - running[index].len().min(1_000) as u32);
                let report = Report {
                    received_jobs: received[index],
                    queued_tokens: queued as u32,
                    active,
                    free_slots,
                    ..Report::default()
                };
                worker.load.reported(&report, tick);
            }
        }
        let index = choose(&snapshot, tick, &mut rng);
        let number = fleet[index].load.sent(DEMAND.tokens());
        received[index] += 1;
        let end = free_at[index].max(now) + f64::from(DEMAND.prompt) / f64::from(speeds[index]);
        free_at[index] = end;
        running[index].push_back((end, end - now, number));
        took.push(end - now);
    }
    took.sort_unstable_by(f64::total_cmp);
    took
}

fn position(snapshot: &Snapshot<()>, worker: WorkerId) -> usize {
    snapshot.candidates().iter().position(|candidate| candidate.worker == worker).unwrap()
}

#[test]
fn draws_by_capacity_beat_uniform_draws_on_a_fleet_of_100_to_10_to_1() {
    let speeds: Vec<f32> = (0..30).map(|index| [10_000.0, 1_000.0, 100.0][index % 3]).collect();
    let wish = RouteWish::default();
    let weighted = simulate(&speeds, |snapshot, now, rng| {
        position(snapshot, snapshot.choose(&query(&wish, now), rng).unwrap().candidate.worker)
    });
    // The same comparison of the same two costs, but between two workers drawn uniformly.
    let uniform = simulate(&speeds, |snapshot, now, rng| {
        let all = snapshot.candidates();
        let (one, other) = (rng.random_range(0..all.len()), rng.random_range(0..all.len()));
        if all[one].seconds(DEMAND, now) <= all[other].seconds(DEMAND, now) { one } else { other }
    });
    let p = |sorted: &[f64], share: f64| sorted[(sorted.len() as f64 * share) as usize];
    let mean = |sorted: &[f64]| sorted.iter().sum::<f64>() / sorted.len() as f64;
    let (by_capacity, by_chance) = ((mean(&weighted), p(&weighted, 0.9)), (mean(&uniform), p(&uniform, 0.9)));
    assert!(by_capacity.0 * 5.0 < by_chance.0, "means: {by_capacity:?} against {by_chance:?}");
    assert!(by_capacity.1 * 5.0 < by_chance.1, "90th percentiles: {by_capacity:?} against {by_chance:?}");
}

/// Of 1,000 choices over ten seconds, how many the first worker gets when it answers `slowness` times slower than predicted.
fn traffic_of_first(snapshot: &Snapshot<()>, from_s: u64, slowness: f64, rng: &mut SmallRng) -> usize {
    let wish = RouteWish::default();
    let first = snapshot.candidates()[0].worker;
    let choices = (0..1_000).map(|step| {
        let now = Tick::from_millis(from_s * 1_000 + step * 10);
        for worker in snapshot.candidates() {
            worker.load.reported(&Report { free_slots: 1_000, ..Report::default() }, now);
        }
        let chosen = snapshot.choose(&query(&wish, now), rng).unwrap();
        let is_first = chosen.candidate.worker == first;
        let observed = chosen.predicted * if is_first { slowness } else { 1.0 };
        chosen.candidate.track.answered(Duration::from_secs_f64(observed), chosen.predicted, now, chosen.probe);
        is_first
    });
    choices.filter(|is_first| *is_first).count()
}

#[test]
fn a_slow_worker_loses_its_traffic_and_regains_it() {
    let fleet: Vec<_> = (0..10).map(|index| candidate(index, 1_000.0, "eu")).collect();
    let snapshot = Snapshot::new(fleet, Tick(0));
    let mut rng = SmallRng::seed_from_u64(5);
    let before = traffic_of_first(&snapshot, 0, 1.0, &mut rng);
    let during = traffic_of_first(&snapshot, 10, 20.0, &mut rng);
    traffic_of_first(&snapshot, 20, 1.0, &mut rng);
    traffic_of_first(&snapshot, 30, 1.0, &mut rng);
    traffic_of_first(&snapshot, 60, 1.0, &mut rng);
    let after = traffic_of_first(&snapshot, 120, 1.0, &mut rng);
    assert!((60..=240).contains(&before), "{before} of 1,000 for one of ten equals");
    assert!(during * 5 < before, "{during} while slow, {before} before");
    assert!(after * 2 > before, "{after} after, {before} before");
}

#[test]
fn between_two_reports_requests_do_not_herd() {
    let fleet: Vec<_> = (0..10).map(|index| candidate(index, 1_000.0, "eu")).collect();
    let snapshot = Snapshot::new(fleet.clone(), Tick(0));
    let (wish, mut rng) = (RouteWish::default(), SmallRng::seed_from_u64(11));
    let mut counts = [0; 10];
    for _ in 0..200 {
        let chosen = snapshot.choose(&query(&wish, Tick(1)), &mut rng).unwrap();
        chosen.candidate.load.sent(DEMAND.tokens());
        counts[position(&snapshot, chosen.candidate.worker)] += 1;
    }
    assert!(counts.iter().all(|count| (15..=25).contains(count)), "{counts:?}");
}

#[test]
fn when_every_breaker_is_open_requests_are_shed_until_one_probe_succeeds() {
    let fleet: Vec<_> = (0..3).map(|index| candidate(index, 1_000.0, "eu")).collect();
    for worker in &fleet {
        (0..5).for_each(|_| worker.track.failed(Failure::Broken, None, 0.1, Tick(0), false, 0.5));
    }
    let snapshot = Snapshot::new(fleet, Tick(0));
    let (wish, mut rng) = (RouteWish::default(), SmallRng::seed_from_u64(1));
    let shed = snapshot.choose(&query(&wish, Tick::from_millis(400)), &mut rng).unwrap_err();
    assert_eq!((shed.drops.breaker, shed.retry_after), (3, Some(Duration::from_millis(600))));

    let now = Tick::from_millis(1_000);
    let probes: Vec<_> = (0..3).map(|_| snapshot.choose(&query(&wish, now), &mut rng).unwrap()).collect();
    assert!(probes.iter().all(|chosen| chosen.probe), "one probe for each worker");
    assert!(matches!(snapshot.choose(&query(&wish, now), &mut rng), Err(NoChoice { retry_after: Some(_), .. })));
    probes[0].candidate.track.answered(Duration::from_millis(100), 0.1, now, true);
    let next = snapshot.choose(&query(&wish, now), &mut rng).unwrap();
    assert_eq!((next.candidate.worker, next.probe), (probes[0].candidate.worker, false));
}

#[test]
fn a_second_attempt_is_no_probe_and_prefers_another_operator() {
    let mut fleet: Vec<_> = (0..3).map(|index| candidate(index, 1_000.0, "eu")).collect();
    let operator = fleet[0].operator;
    Arc::get_mut(&mut fleet[1]).unwrap().operator = operator;
    let snapshot = Snapshot::new(fleet.clone(), Tick(0));
    let (wish, mut rng) = (RouteWish::default(), SmallRng::seed_from_u64(1));
    let (tried, tried_operators) = ([fleet[0].worker], [operator]);
    let again = Query { tried: &tried, tried_operators: &tried_operators, ..query(&wish, Tick(0)) };
    for _ in 0..100 {
        assert_eq!(snapshot.choose(&again, &mut rng).unwrap().candidate.worker, fleet[2].worker);
    }
    (0..5).for_each(|_| fleet[2].track.failed(Failure::Broken, None, 0.1, Tick(0), false, 0.5));
    let later = Query { now: Tick::from_millis(1_500), ..again };
    let chosen = snapshot.choose(&later, &mut rng).unwrap();
    assert_eq!((chosen.candidate.worker, chosen.probe), (fleet[1].worker, false));
}

#[test]
fn a_silent_worker_leaves_the_choice_and_returns_with_its_next_report() {
    let fleet = vec![candidate(0, 1_000.0, "eu")];
    let snapshot = Snapshot::new(fleet.clone(), Tick(0));
    let (wish, mut rng) = (RouteWish::default(), SmallRng::seed_from_u64(1));
    let later = Tick::from_millis(10_001);
    assert_eq!(snapshot.choose(&query(&wish, later), &mut rng).unwrap_err().drops.silent, 1);
    fleet[0].load.reported(&Report { free_slots: 1, ..Report::default() }, later);
    assert!(snapshot.choose(&query(&wish, later), &mut rng).is_ok());
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let choices = || {
        let fleet: Vec<_> = (0..50).map(|index| candidate(index, 100.0 + index as f32, "eu")).collect();
        let snapshot = Snapshot::new(fleet, Tick(0));
        let (wish, mut rng) = (RouteWish::default(), SmallRng::seed_from_u64(9));
        let choose = |_| {
            let chosen = snapshot.choose(&query(&wish, Tick(1)), &mut rng).unwrap();
            chosen.candidate.load.sent(50);
            chosen.candidate.worker
        };
        (0..500).map(choose).collect::<Vec<_>>()
    };
    assert_eq!(choices(), choices());
}

#[derive(Debug, Clone)]
struct Case {
    /// Region, round trip in ms, free slots, draining, open breaker.
    workers: Vec<(u8, u16, bool, bool, bool)>,
    regions: Vec<u8>,
    only: Vec<u8>,
    ignore: Vec<u8>,
    max_rtt_ms: Option<u32>,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let worker = (0_u8..3, 1_u16..200, prop::bool::weighted(0.8), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let few = |most| prop::collection::vec(0_u8..40, 0..most);
    (
        prop::collection::vec(worker, 0..40),
        prop::collection::vec(0_u8..4, 0..3),
        few(4),
        few(6),
        prop::option::of(1_u32..200),
        any::<u64>(),
    )
        .prop_map(|(workers, regions, only, ignore, max_rtt_ms, seed)| Case {
            workers,
            regions,
            only,
            ignore,
            max_rtt_ms,
            seed,
        })
}

proptest! {
    /// Against an oracle that looks at every worker: a choice is always eligible, and a refusal means that nobody is.
    #[test]
    fn wishes_and_states_are_never_relaxed(case in cases()) {
        let region = |number: u8| format!("r{number}");
        let fleet: Vec<_> = case.workers.iter().enumerate().map(|(index, (number, rtt, free, draining, open))| {
            let worker = candidate(index, 1_000.0, &region(*number));
            worker.load.pinged(f64::from(*rtt) / 1_000.0, 0.0);
            worker.load.reported(&Report { free_slots: u32::from(*free), draining: *draining, ..Report::default() }, Tick(0));
            if *open {
                (0..5).for_each(|_| worker.track.failed(Failure::Broken, None, 0.1, Tick(0), false, 0.5));
            }
            worker
        }).collect();
        let id = |index: &u8| candidate(usize::from(*index), 1.0, "").worker;
        let wish = RouteWish {
            regions: case.regions.iter().copied().map(region).collect(),
            only: case.only.iter().map(id).collect(),
            ignore: case.ignore.iter().map(id).collect(),
            max_rtt_ms: case.max_rtt_ms,
            ..RouteWish::default()
        };
        let fits = |index: usize| {
            let (number, rtt, free, draining, open) = case.workers[index];
            let worker = fleet[index].worker;
            (wish.regions.is_empty() || wish.regions.contains(&region(number)))
                && (wish.only.is_empty() || wish.only.contains(&worker))
                && !wish.ignore.contains(&worker)
                // The round trip is kept in single precision.
                && wish.max_rtt_ms.is_none_or(|most| f64::from((f64::from(rtt) / 1_000.0) as f32) * 1_000.0 <= f64::from(most))
                && free && !draining && !open
        };
        let snapshot = Snapshot::new(fleet.clone(), Tick(0));
        match snapshot.choose(&query(&wish, Tick(1)), &mut SmallRng::seed_from_u64(case.seed)) {
            Ok(chosen) => prop_assert!(fits(position(&snapshot, chosen.candidate.worker))),
            Err(none) => {
                prop_assert!(!(0..fleet.len()).any(fits));
                let d = none.drops;
                let counted = d.tried + d.only + d.ignore + d.region + d.max_rtt + d.silent + d.draining + d.breaker + d.full;
                prop_assert_eq!(counted as usize, fleet.len(), "every worker is counted at one filter");
            }
        }
    }
}
