//! Attacks on the market, and what they earn over playing by the rules.

use waybill_mechanism::amount::{AmountError, bps_floor};
use waybill_mechanism::clearing::{MAX_TICKS, clear};
use waybill_mechanism::routing::nest_weights;
use waybill_mechanism::stack::{CURATOR, FEE, split_amount, split_fee};

use crate::compute::{ComputeMarket, run};
use crate::draws::Draws;
use crate::prism::{Network, Policy, ROLES};

/// Shares of the fee: audit, gateway, burn, treasury, basis points of the gross.
const FEE_BPS: [u16; 4] = [120, 60, 60, 60];
const BASE_NC: u64 = 12_000;
const VENDOR: usize = 0;
const WEAVER: usize = ROLES - 1;

/// What an owner earns who keeps a part of its machines off the market.
#[derive(Clone, Copy, Debug)]
pub struct Withheld {
    /// Part of the capacity that would work and is not offered.
    pub part: f64,
    /// Base price the market settles at, nc per 1 000 BU.
    pub base_nc: f64,
    /// Earnings above running costs, relative to offering everything: 1 = the same.
    pub profit: f64,
    /// Earnings, relative to offering everything: what counts when costs are sunk.
    pub revenue: f64,
}

/// Which machines are withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withholding {
    /// The same part of each.
    Alike,
    /// The dearest of those that would work: they earn the least.
    DearestFirst,
}

/// One owner holds about `share` of a book of `n` workers and withholds machines that would work, from none of them to
/// half. Demand is steady and a third of all capacity; `owner_cap` is the most of all work that goes to one owner while
/// others have room.
pub fn withhold(
    n: usize,
    share: f64,
    how: Withholding,
    owner_cap: f64,
    seed: u64,
) -> Result<Vec<Withheld>, AmountError> {
    const EPOCHS: usize = 60;
    const STEPS: u32 = 10;
    let (book, owner, asked) = settled_book(n, share, EPOCHS, seed)?;
    let order: Vec<usize> = (0..n).rev().filter(|i| book.works(&book.workers[*i], owner)).collect();
    let mine: u64 = order.iter().map(|i| book.workers[*i].capacity).sum();
    let mut outcomes: Vec<Withheld> = Vec::new();
    for step in 0..=STEPS {
        let part = f64::from(step) / f64::from(2 * STEPS);
        let mut market = book.clone();
        let mut left = mine as f64 * part;
        for i in &order {
            let worker = &mut market.workers[*i];
            let most = match how {
                Withholding::Alike => worker.capacity as f64 * part,
                Withholding::DearestFirst => left,
            };
            let withheld = (most as u64).min(worker.capacity);
            worker.capacity -= withheld;
            left -= withheld as f64;
        }
        run(&mut market, EPOCHS, |_| asked)?;
        let (mut profit, mut revenue, mut base_nc) = (0.0, 0.0, 0.0);
        for _ in 0..EPOCHS {
            let earned = market.earned(owner, asked, owner_cap);
            revenue += earned.revenue_nc;
            profit += earned.profit_nc;
            base_nc += market.base_nc as f64 / EPOCHS as f64;
            market.advance(asked)?;
        }
        outcomes.push(Withheld { part, base_nc, profit, revenue });
    }
    if let Some(Withheld { profit, revenue, .. }) = outcomes.first().copied() {
        for outcome in &mut outcomes {
            outcome.profit /= profit;
            outcome.revenue /= revenue;
        }
    }
    Ok(outcomes)
}

/// A book in order of cost, one owner of about `share` of it who has cheap and dear machines alike, and the steady
/// demand it has settled at: (book, owner, units asked for in a pricing epoch).
fn settled_book(n: usize, share: f64, epochs: usize, seed: u64) -> Result<(ComputeMarket, usize, u64), AmountError> {
    let mut book = ComputeMarket::usual(n, 14_000, seed)?;
    let asked = book.demand;
    book.workers.sort_by_key(|worker| worker.cost_nc);
    let owner = n;
    let mut held = 0.0;
    for (rank, worker) in (1u32..).zip(&mut book.workers) {
        if held < f64::from(rank) * share {
            held += 1.0;
            worker.owner = owner;
        }
    }
    run(&mut book, epochs, |_| asked)?;
    Ok((book, owner, asked))
}

/// How containers of one lineage share the traffic of class requests. Inside a nest traffic goes by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// Not at all: every container stands for itself.
    Absent,
    /// The nest weighs as much as its best member.
    Best,
    /// The nest weighs as much as what a request in it meets: the mean of its members, weighted with themselves. This
    /// is the rule of the mechanism.
    Met,
}

/// What one weaver's revenue becomes, relative to before, when it lists `clones` copies of its container whose weaver
/// asks `factor` times the original's, among `n` containers in equilibrium.
pub fn clone_containers(n: usize, clones: usize, factor: f64, nesting: Nesting) -> Result<f64, AmountError> {
    const COPIED: usize = 0;
    let policy = Policy::default();
    let (roles, provider) = policy.predicted(n);
    let ask = BASE_NC as f64 * roles[WEAVER] / provider;
    let mut network = Network::equal(policy, BASE_NC, n, ask as u64);
    let quote = network.quotes()?[COPIED];
    let before = quote.effective_nc[WEAVER] as f64 * quote.traffic;

    let mut copy = network.asks_nc[COPIED];
    copy[WEAVER] = (copy[WEAVER] as f64 * factor) as u64;
    network.asks_nc.extend(std::iter::repeat_n(copy, clones));
    let weights = network.weights(&network.prices()?)?;
    let mine: Vec<usize> = std::iter::once(COPIED).chain(n..n + clones).collect();
    let own: Vec<u64> = mine.iter().map(|i| weights[*i]).collect();
    let nested: Vec<f64> = match nesting {
        Nesting::Absent => own.iter().map(|weight| *weight as f64).collect(),
        Nesting::Best => {
            let (best, total) = (own.iter().copied().max().unwrap_or(0) as f64, own.iter().sum::<u64>() as f64);
            own.iter().map(|weight| best * *weight as f64 / total).collect()
        }
        Nesting::Met => nest_weights(&own).into_iter().map(|weight| weight as f64).collect(),
    };
    let rivals: f64 = weights[1..n].iter().map(|weight| *weight as f64).sum();
    let total = rivals + nested.iter().sum::<f64>();
    let quotes = network.quotes()?;
    let after: f64 = mine.iter().zip(&nested).map(|(i, w)| quotes[*i].effective_nc[WEAVER] as f64 * w / total).sum();
    Ok(after / before)
}

/// What a washer who owns every role and the gateway loses by paying itself `paid_nc`, when usage releases `rho_bps` of
/// the fees to it. nc; negative is a gain.
pub fn wash(paid_nc: u64, bps: &[u16; 6], rho_bps: u16) -> i128 {
    let parts = split_amount(paid_nc, bps);
    let fee = parts[FEE];
    let [_, gateway, _, _] = split_fee(fee, &FEE_BPS).unwrap_or_default();
    let own: u64 = parts.iter().sum::<u64>() - fee;
    let released = bps_floor(fee, rho_bps);
    i128::from(paid_nc) - i128::from(own) - i128::from(gateway) - i128::from(released)
}

/// The same for a washer without a curator of its own: the curator's part is burned.
pub fn wash_without_curator(paid_nc: u64, bps: &[u16; 6], rho_bps: u16) -> i128 {
    wash(paid_nc, bps, rho_bps) + i128::from(split_amount(paid_nc, bps)[CURATOR])
}

/// What a consumer gets back who is its own curator and pays `daily_nc` to one container every day for `days` days, of
/// which all consumers together pay `container_daily_nc`: (paid, got back), nc. Full β for 30 days after the first paid
/// request, half of it later, and after 30 days at most a fifth of the container's curator money.
pub fn refer_oneself(daily_nc: u64, container_daily_nc: u64, days: u32, bps: &[u16; 6]) -> (u64, u64) {
    let (mut paid, mut back) = (0, 0);
    for day in 0..days {
        paid += daily_nc;
        let full = split_amount(daily_nc, bps)[CURATOR];
        back += if day < 30 {
            full
        } else {
            let most = bps_floor(split_amount(container_daily_nc, bps)[CURATOR], 2_000);
            bps_floor(full, 5_000).min(most)
        };
    }
    (paid, back)
}

/// What the vendor of container 0 earns over `epochs` pricing epochs by posting last, with everybody's next asks before
/// its eyes, relative to posting blind: 1 = nothing gained. Asks start at random.
pub fn snipe(n: usize, epochs: usize, limited: bool, seed: u64) -> Result<f64, AmountError> {
    let policy = Policy { limited, ..Policy::default() };
    let start = Network::random(policy, BASE_NC, n, 2_400, 3.0, &mut Draws::new(seed));
    let mut earned = [0.0; 2];
    for (informed, earned) in [false, true].into_iter().zip(&mut earned) {
        let mut network = start.clone();
        for _ in 0..epochs {
            let quote = network.quotes()?[0];
            *earned += quote.effective_nc[VENDOR] as f64 * quote.traffic;
            let mut wants = network.best_responses(network.base_nc)?;
            if informed {
                let mut seen = network.clone();
                let mut others = wants.clone();
                others[0][VENDOR] = network.asks_nc[0][VENDOR];
                seen.advance(&others, network.base_nc)?;
                let prices = seen.prices()?;
                wants[0][VENDOR] = seen.best_response(0, VENDOR, &prices)?;
            }
            let base_nc = network.base_nc;
            network.advance(&wants, base_nc)?;
        }
    }
    Ok(earned[1] / earned[0])
}

/// The largest change of the clearing price, nc, when an owner spreads its capacity below the marginal tick over other
/// ticks below it, as many sybils would: `tries` random books and spreads.
pub fn spread_over_ticks(tries: u32, draws: &mut Draws) -> Result<u64, AmountError> {
    let mut largest = 0;
    for _ in 0..tries {
        let mut book = [0u64; MAX_TICKS];
        for _ in 0..80 {
            book[(draws.word() % 32) as usize] += 5_000 + draws.word() % 10_000;
        }
        let demand = book.iter().sum::<u64>() / 3;
        let Some(honest) = clear(4_000, 500, &book, demand, 2_500)? else { continue };
        for tick in 0..honest.index {
            // A third of each tick is the owner's, and may go to any tick below the margin.
            let mine = book[tick] / 3;
            book[tick] -= mine;
            book[(draws.word() % honest.index as u64) as usize] += mine;
        }
        let after = clear(4_000, 500, &book, demand, 2_500)?.map_or(u64::MAX, |cleared| cleared.price_nc);
        largest = largest.max(after.abs_diff(honest.price_nc));
    }
    Ok(largest)
}
