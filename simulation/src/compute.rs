//! A compute market: workers who offer their capacity at the lowest tick that covers their cost, and the base price that
//! clears it.

use waybill_mechanism::amount::AmountError;
use waybill_mechanism::clearing::{MAX_TICKS, clear, ema, next_base, ticks};

use crate::draws::Draws;

/// Lowest tick of the book, nc per 1 000 BU: low enough that the ticks reach from a third of the median cost to eight
/// times of it.
const LOWEST_TICK_NC: u64 = 4_000;
const TICK_RATIO_BPS: u16 = 500;
const HEADROOM_BPS: u16 = 2_500;
const DEMAND_ALPHA_BPS: u16 = 2_000;
const UP_BPS: u16 = 500;
const DOWN_BPS: u16 = 1_000;
const FLOOR_NC: u64 = 1_000;
/// Most of all dispatched work that goes to one owner while others have room.
pub const OWNER_CAP: f64 = 0.25;
/// Median cost of a worker, nc per 1 000 BU, and the standard deviation of its logarithm.
const MEDIAN_COST_NC: f64 = 14_355.0;
const COST_SIGMA: f64 = 0.35;
/// Part of all capacity that is asked for.
const LOAD: f64 = 0.346;

/// One machine.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Who owns it.
    pub owner: usize,
    /// What 1 000 BU cost it, nc.
    pub cost_nc: u64,
    /// BU per pricing epoch that it offers.
    pub capacity: u64,
}

/// What happened in one pricing epoch.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// Base price, nc per 1 000 BU.
    pub base_nc: u64,
    /// Part of the units asked for that was served.
    pub fill: f64,
    /// Capacity eligible at the base price, BU.
    pub eligible: u64,
}

/// What an owner earns in one pricing epoch.
#[derive(Clone, Copy, Debug)]
pub struct Earned {
    /// All of it.
    pub revenue_nc: f64,
    /// Above the costs of the machines that worked.
    pub profit_nc: f64,
}

/// The book and its workers.
#[derive(Clone, Debug)]
pub struct ComputeMarket {
    /// All machines.
    pub workers: Vec<Worker>,
    /// Base price, nc per 1 000 BU.
    pub base_nc: u64,
    /// Smoothed demand, BU per pricing epoch.
    pub demand: u64,
    tick_prices: Vec<u64>,
}

impl ComputeMarket {
    /// `n` workers of one owner each, whose costs are log-normal and whose capacities differ by up to a quarter from
    /// 10 000 BU. Demand is [`LOAD`] of all capacity.
    pub fn usual(n: usize, base_nc: u64, seed: u64) -> Result<Self, AmountError> {
        let mut draws = Draws::new(seed);
        let workers: Vec<Worker> = (0..n)
            .map(|owner| Worker {
                owner,
                cost_nc: draws.log_normal(MEDIAN_COST_NC, COST_SIGMA) as u64,
                capacity: draws.between(7_500.0, 12_500.0) as u64,
            })
            .collect();
        let demand = (workers.iter().map(|worker| worker.capacity).sum::<u64>() as f64 * LOAD) as u64;
        Ok(Self { workers, base_nc, demand, tick_prices: ticks(LOWEST_TICK_NC, MAX_TICKS, TICK_RATIO_BPS)? })
    }

    /// The lowest tick that covers a cost; `None` above the book.
    fn tick(&self, cost_nc: u64) -> Option<usize> {
        self.tick_prices.iter().position(|price| *price >= cost_nc)
    }

    /// Capacity per tick.
    fn book(&self) -> [u64; MAX_TICKS] {
        let mut book = [0; MAX_TICKS];
        for worker in &self.workers {
            if let Some(tick) = self.tick(worker.cost_nc) {
                book[tick] += worker.capacity;
            }
        }
        book
    }

    fn is_eligible(&self, worker: &Worker) -> bool {
        let ask = self.tick(worker.cost_nc).and_then(|tick| self.tick_prices.get(tick));
        ask.is_some_and(|ask| *ask <= self.base_nc)
    }

    /// Serves what is asked for in this pricing epoch and sets the base price of the next.
    pub fn advance(&mut self, asked: u64) -> Result<Epoch, AmountError> {
        let eligible = self.workers.iter().filter(|worker| self.is_eligible(worker)).map(|w| w.capacity).sum::<u64>();
        let epoch = Epoch { base_nc: self.base_nc, fill: (eligible as f64 / asked.max(1) as f64).min(1.0), eligible };
        // Observed demand is what was served and what was not.
        self.demand = ema(self.demand, asked, DEMAND_ALPHA_BPS)?;
        let cleared = clear(LOWEST_TICK_NC, TICK_RATIO_BPS, &self.book(), self.demand, HEADROOM_BPS)?;
        let marginal = cleared.map(|cleared| cleared.price_nc);
        self.base_nc = next_base(self.base_nc, marginal, FLOOR_NC, u64::MAX, UP_BPS, DOWN_BPS)?;
        Ok(epoch)
    }

    /// Whether a machine is this owner's and works at the present base price.
    pub fn works(&self, worker: &Worker, owner: usize) -> bool {
        worker.owner == owner && self.is_eligible(worker)
    }

    /// What one owner earns in this pricing epoch: dispatch is in proportion to eligible capacity, and no owner gets
    /// more than `owner_cap` of it while others have room.
    pub fn earned(&self, owner: usize, asked: u64, owner_cap: f64) -> Earned {
        let owners = self.workers.iter().map(|worker| worker.owner).max().map_or(0, |most| most + 1);
        let mut room = vec![0.0; owners];
        for worker in self.workers.iter().filter(|worker| self.is_eligible(worker)) {
            room[worker.owner] += worker.capacity as f64;
        }
        let used = dispatch(&room, asked as f64, owner_cap)[owner] / room[owner].max(1.0);
        let mut earned = Earned { revenue_nc: 0.0, profit_nc: 0.0 };
        for worker in self.workers.iter().filter(|worker| self.works(worker, owner)) {
            let thousands = worker.capacity as f64 * used / 1_000.0;
            earned.revenue_nc += self.base_nc as f64 * thousands;
            earned.profit_nc += (self.base_nc as f64 - worker.cost_nc as f64) * thousands;
        }
        earned
    }
}

/// Units per owner: in proportion to room, each at most its room and, while others have room, at most the owner cap.
fn dispatch(room: &[f64], asked: f64, owner_cap: f64) -> Vec<f64> {
    let mut served = vec![0.0; room.len()];
    for limit in [owner_cap * asked, f64::INFINITY] {
        // Filling in proportion meets a limit at most once per owner.
        for _ in 0..=room.len() {
            let left = asked - served.iter().sum::<f64>();
            let open: Vec<usize> = (0..room.len()).filter(|i| served[*i] + 1e-9 < room[*i].min(limit)).collect();
            let total: f64 = open.iter().map(|i| room[*i]).sum();
            if left < 1e-6 || total <= 0.0 {
                break;
            }
            for i in open {
                served[i] = (served[i] + left * room[i] / total).min(room[i].min(limit));
            }
        }
    }
    served
}

/// Runs a market whose demand is `asked(epoch)`.
pub fn run(
    market: &mut ComputeMarket,
    epochs: usize,
    mut asked: impl FnMut(usize) -> u64,
) -> Result<Vec<Epoch>, AmountError> {
    (0..epochs).map(|epoch| market.advance(asked(epoch))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatch_respects_room_and_the_owner_cap_while_others_have_room() {
        assert_eq!(
            dispatch(&[50.0, 50.0], 60.0, OWNER_CAP),
            [30.0, 30.0],
            "two owners share all there is, whatever the cap"
        );
        let served = dispatch(&[800.0, 100.0, 100.0, 100.0, 100.0], 200.0, OWNER_CAP);
        assert_eq!(served[0], 50.0, "a quarter and no more");
        assert!((served.iter().sum::<f64>() - 200.0).abs() < 1e-6);
        assert_eq!(dispatch(&[10.0, 20.0], 100.0, OWNER_CAP), [10.0, 20.0], "nobody serves more than its room");
    }
}
