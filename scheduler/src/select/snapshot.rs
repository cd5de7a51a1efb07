//! All candidates for one artifact, frozen with what makes the choice O(1): an alias table over the whole fleet and one
//! per region, both weighted by capacity. Replaced as a whole when workers come and go; what moves (load, experience)
//! sits behind atomics in the candidates.

use super::{
    alias::AliasTable,
    breaker::Gate,
    candidate::{Candidate, Demand, Scale},
    load::SILENT,
};
use crate::time::Tick;
use rand::Rng;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use waybill_protocol::{RouteWish, WalletId, WorkerId};

/// Draws before the whole pool is looked at.
const DRAWS: usize = 10;
/// Pools up to this size are always looked at as a whole.
const SMALL: usize = 8;
/// Share of the requests that go to newcomers.
const EXPLORE: f64 = 0.02;
/// A request of this size sets the scale of seconds.
const REFERENCE: Demand = Demand { prompt: 256, output: 64 };
/// A cost within this share of the other is a tie, which goes to the first draw: predictions are not that precise, and
/// without ties a trace of old experience would keep all traffic from one of two equals.
const TIE: f64 = 0.02;
const DEFAULT_RETRY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Snapshot<H> {
    candidates: Vec<Arc<Candidate<H>>>,
    by_worker: HashMap<WorkerId, u32>,
    all: Pool,
    regions: HashMap<Arc<str>, Pool>,
    scale: Scale,
}

#[derive(Debug)]
struct Pool {
    members: Vec<u32>,
    table: AliasTable,
    capacity: f64,
}

/// One request's wishes, and what its earlier attempts taught.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub wish: &'a RouteWish,
    pub demand: Demand,
    /// Workers that failed this request already.
    pub tried: &'a [WorkerId],
    /// Their operators: avoided where another one is near in cost.
    pub tried_operators: &'a [WalletId],
    pub now: Tick,
}

#[derive(Debug)]
pub struct Chosen<H> {
    pub candidate: Arc<Candidate<H>>,
    /// This request holds the breaker's one probe and must report its outcome.
    pub probe: bool,
    /// Predicted seconds to the first event.
    pub predicted: f64,
}

/// Candidates dropped, each counted at the first filter that excluded it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    pub tried: u32,
    pub only: u32,
    pub ignore: u32,
    pub region: u32,
    pub max_rtt: u32,
    pub silent: u32,
    pub draining: u32,
    pub breaker: u32,
    pub full: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Tried,
    Only,
    Ignore,
    Region,
    MaxRtt,
    Silent,
    Draining,
    Breaker(Tick),
    Full,
}

impl Drops {
    fn count(&mut self, filter: Filter) {
        let counter = match filter {
            Filter::Tried => &mut self.tried,
            Filter::Only => &mut self.only,
            Filter::Ignore => &mut self.ignore,
            Filter::Region => &mut self.region,
            Filter::MaxRtt => &mut self.max_rtt,
            Filter::Silent => &mut self.silent,
            Filter::Draining => &mut self.draining,
            Filter::Breaker(_) => &mut self.breaker,
            Filter::Full => &mut self.full,
        };
        *counter += 1;
    }

    fn record(&self) {
        for (name, count) in self.named().into_iter().filter(|(_, count)| *count > 0) {
            metrics::counter!("waybill_filter_drops_total", "filter" => name).increment(count.into());
        }
    }

    fn named(&self) -> [(&'static str, u32); 9] {
        [
            ("only", self.only),
            ("ignore", self.ignore),
            ("region", self.region),
            ("max_rtt", self.max_rtt),
            ("silent", self.silent),
            ("draining", self.draining),
            ("breaker", self.breaker),
            ("full", self.full),
            ("tried", self.tried),
        ]
    }
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, count) in self.named() {
            if count > 0 {
                write!(f, "{separator}{count} dropped by {name}")?;
                separator = ", ";
            }
        }
        if separator.is_empty() { f.write_str("no worker is connected") } else { Ok(()) }
    }
}

/// Nobody can take the request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoChoice {
    pub drops: Drops,
    /// Set when somebody who fits is only full or resting.
    pub retry_after: Option<Duration>,
}

impl<H> Snapshot<H> {
    pub fn new(candidates: Vec<Arc<Candidate<H>>>, now: Tick) -> Self {
        let mut regions: HashMap<Arc<str>, Vec<u32>> = HashMap::new();
        let mut by_worker = HashMap::with_capacity(candidates.len());
        for (index, candidate) in candidates.iter().enumerate() {
            regions.entry(Arc::clone(&candidate.region)).or_default().push(index as u32);
            by_worker.insert(candidate.worker, index as u32);
        }
        let weights: Vec<f64> = candidates.iter().map(|candidate| candidate.capacity()).collect();
        let pool = |members: Vec<u32>| {
            let weights: Vec<f64> = members.iter().map(|&index| weights[index as usize]).collect();
            Pool { table: AliasTable::new(&weights), capacity: weights.iter().sum(), members }
        };
        let scale = Scale {
            seconds: median(candidates.iter().map(|candidate| candidate.seconds(REFERENCE, now))),
            price: median(candidates.iter().filter_map(|candidate| candidate.ask).map(|ask| ask as f64)),
        };
        let all = pool((0..candidates.len() as u32).collect());
        let regions = regions.into_iter().map(|(region, members)| (region, pool(members))).collect();
        Self { candidates, by_worker, all, regions, scale }
    }

    pub fn candidates(&self) -> &[Arc<Candidate<H>>] {
        &self.candidates
    }

    /// Draws two candidates with probability proportional to capacity and takes the cheaper one.
    pub fn choose(&self, query: &Query<'_>, rng: &mut impl Rng) -> Result<Chosen<H>, NoChoice> {
        let first_try = query.tried.is_empty();
        if first_try
            && rng.random_bool(EXPLORE)
            && let Some(chosen) = self.newcomer(query, rng)
        {
            return Ok(chosen);
        }
        // A probe that somebody else takes in the same moment is a reason to draw again, not to fail.
        for _ in 0..DRAWS {
            let index = self.draw_pair(query, rng).map_or_else(|| self.look_at_all(query, rng), Ok)?;
            let candidate = &self.candidates[index];
            let probe = match candidate.gate(query.now) {
                Gate::Closed => false,
                _ if candidate.track.breaker.take_probe(query.now) => true,
                _ => continue,
            };
            return Ok(self.chosen(index, probe, query));
        }
        self.look_at_all(query, rng).map(|index| self.chosen(index, false, query))
    }

    fn chosen(&self, index: usize, probe: bool, query: &Query<'_>) -> Chosen<H> {
        let candidate = Arc::clone(&self.candidates[index]);
        let predicted = candidate.predicted(query.demand, query.now);
        Chosen { candidate, probe, predicted }
    }

    fn newcomer(&self, query: &Query<'_>, rng: &mut impl Rng) -> Option<Chosen<H>> {
        let index = (0..4).find_map(|_| {
            let index = rng.random_range(0..self.candidates.len().max(1));
            let candidate = self.candidates.get(index)?;
            let fits = candidate.track.is_newcomer(query.now)
                && candidate.gate(query.now) == Gate::Closed
                && self.excluded(candidate, query).is_none();
            fits.then_some(index)
        })?;
        metrics::counter!("waybill_explore_total").increment(1);
        Some(self.chosen(index, false, query))
    }

    /// The hot path. `None`: this pool is small or the wishes are rare, so look at every member.
    fn draw_pair(&self, query: &Query<'_>, rng: &mut impl Rng) -> Option<usize> {
        if !query.wish.only.is_empty() {
            return None;
        }
        let mut best: Option<(usize, f64)> = None;
        for _ in 0..DRAWS {
            let pool = self.pool(query.wish, rng)?;
            if pool.members.len() <= SMALL {
                return None;
            }
            let index = pool.members[pool.table.draw(rng)?] as usize;
            if best.is_some_and(|(first, _)| first == index) {
                continue;
            }
            let candidate = &self.candidates[index];
            if self.excluded(candidate, query).is_some() {
                continue;
            }
            if candidate.gate(query.now) == Gate::ProbeDue {
                return Some(index);
            }
            let cost = self.cost(candidate, query);
            match best {
                None => best = Some((index, cost)),
                Some((_, first)) if is_cheaper(cost, first) => return Some(index),
                Some((first, _)) => return Some(first),
            }
        }
        best.map(|(index, _)| index)
    }

    /// The whole fleet, or one of the wished regions, drawn by capacity.
    fn pool(&self, wish: &RouteWish, rng: &mut impl Rng) -> Option<&Pool> {
        match wish.regions.as_slice() {
            [] => Some(&self.all),
            [region] => self.regions.get(region.as_str()),
            several => {
                let pools = || several.iter().filter_map(|region| self.regions.get(region.as_str()));
                let mut rest = rng.random::<f64>() * pools().map(|pool| pool.capacity).sum::<f64>();
                pools().find(|pool| {
                    rest -= pool.capacity;
                    rest <= 0.0
                })
            }
        }
    }

    /// Every candidate that the wishes name, in one pass: exponential clocks (`-ln u / capacity`) make the two that ring
    /// first a weighted draw without replacement.
    fn look_at_all(&self, query: &Query<'_>, rng: &mut impl Rng) -> Result<usize, NoChoice> {
        let mut drops = Drops::default();
        let mut reopens: Option<Tick> = None;
        let mut pair: [Option<(f64, usize)>; 2] = [None, None];
        let mut probe: Option<usize> = None;
        let mut look = |index: usize, rng: &mut _| {
            let candidate = &self.candidates[index];
            match self.excluded(candidate, query) {
                Some(filter) => {
                    drops.count(filter);
                    if let Filter::Breaker(until) = filter {
                        reopens = Some(reopens.map_or(until, |earliest| earliest.min(until)));
                    }
                }
                None => {
                    if candidate.gate(query.now) == Gate::ProbeDue {
                        probe = Some(index);
                    }
                    let rings = -f64::ln(1.0 - Rng::random::<f64>(rng)) / candidate.capacity();
                    if pair[0].is_none_or(|(first, _)| rings < first) {
                        pair = [Some((rings, index)), pair[0]];
                    } else if pair[1].is_none_or(|(second, _)| rings < second) {
                        pair[1] = Some((rings, index));
                    }
                }
            }
        };
        if query.wish.only.is_empty() {
            (0..self.candidates.len()).for_each(|index| look(index, rng));
        } else {
            let mut named: Vec<usize> =
                query.wish.only.iter().filter_map(|worker| self.by_worker.get(worker)).map(|i| *i as usize).collect();
            named.sort_unstable();
            named.dedup();
            named.iter().for_each(|index| look(*index, rng));
            drops.only = (self.candidates.len() - named.len()) as u32;
        }
        // Only a first attempt probes: a request that has failed once should not pay for curiosity.
        match (probe.filter(|_| query.tried.is_empty()), pair) {
            (Some(index), _) => Ok(index),
            (None, [Some((_, one)), Some((_, other))]) => {
                let cost = |index: usize| self.cost(&self.candidates[index], query);
                Ok(if is_cheaper(cost(other), cost(one)) { other } else { one })
            }
            (None, [Some((_, one)), None]) => Ok(one),
            (None, _) => {
                drops.record();
                let busy = drops.full > 0 || drops.breaker > 0;
                let wait = reopens.map_or(DEFAULT_RETRY, |until| until.since(query.now));
                let retry_after = busy.then(|| if drops.full > 0 { wait.min(DEFAULT_RETRY) } else { wait });
                Err(NoChoice { drops, retry_after })
            }
        }
    }

    fn cost(&self, candidate: &Candidate<H>, query: &Query<'_>) -> f64 {
        candidate.cost(query.demand, self.scale, query.wish.sort, query.tried_operators, query.now)
    }

    /// Wishes first, then the state of the worker, so that the counts tell a consumer what his own wishes cost him.
    fn excluded(&self, candidate: &Candidate<H>, query: &Query<'_>) -> Option<Filter> {
        let wish = query.wish;
        if !wish.only.is_empty() && !wish.only.contains(&candidate.worker) {
            return Some(Filter::Only);
        }
        if wish.ignore.contains(&candidate.worker) {
            return Some(Filter::Ignore);
        }
        if !wish.regions.is_empty() && !wish.regions.iter().any(|region| **region == *candidate.region) {
            return Some(Filter::Region);
        }
        let load = &candidate.load;
        if wish.max_rtt_ms.is_some_and(|most| load.rtt_average() * 1_000.0 > f64::from(most)) {
            return Some(Filter::MaxRtt);
        }
        if query.tried.contains(&candidate.worker) {
            return Some(Filter::Tried);
        }
        if load.is_gone() || load.age(query.now) > SILENT {
            return Some(Filter::Silent);
        }
        if load.is_draining() {
            return Some(Filter::Draining);
        }
        match candidate.gate(query.now) {
            Gate::Open { until } => return Some(Filter::Breaker(until)),
            Gate::ProbeDue if !query.tried.is_empty() => return Some(Filter::Breaker(query.now)),
            _ => {}
        }
        load.is_full(query.now).then_some(Filter::Full)
    }
}

fn is_cheaper(cost: f64, first: f64) -> bool {
    cost < first * (1.0 - TIE)
}

/// 1 when there is nothing to take the middle of: it is used as a divisor.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
    if values.is_empty() {
        return 1.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
