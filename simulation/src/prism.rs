//! Competing containers, each with a vendor, an OEM and a weaver who ask for themselves: how prices and shares move when
//! every role seeks its own revenue.

use waybill_mechanism::amount::AmountError;
use waybill_mechanism::ask::step_ask;
use waybill_mechanism::routing::route_weight;
use waybill_mechanism::stack::{StackInput, price_stack, split_bps};

use crate::draws::Draws;

/// Asking roles: vendor, OEM, weaver.
pub const ROLES: usize = 3;
/// Neutral quality of a container, basis points.
const QUALITY_BPS: u16 = 10_000;

/// The rules the containers compete under.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Price sensitivity of routing.
    pub theta: u32,
    /// Curator share.
    pub beta_bps: u16,
    /// Protocol fee.
    pub phi_bps: u16,
    /// Caps of vendor, OEM and weaver.
    pub caps_bps: [u16; ROLES],
    /// Largest rise of an ask in a pricing epoch.
    pub up_bps: u16,
    /// Largest fall of an ask in a pricing epoch.
    pub down_bps: u16,
    /// Whether asks move in limited steps at all.
    pub limited: bool,
    /// Whether a capped role's stored ask is overwritten by the effective one.
    pub clamp: bool,
    /// Elasticity of all demand in the price level; 0 = every request is made whatever it costs.
    pub elasticity: f64,
    /// Most traffic of one container, once `capped_from` of them compete.
    pub traffic_cap: f64,
    /// From how many containers on traffic is capped. Where the others' caps together leave something over, they leave
    /// it to whoever asks the most: at a cap of 40 %, three are too few.
    pub capped_from: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            theta: 10,
            beta_bps: 500,
            phi_bps: 300,
            caps_bps: [3_000, 2_000, 2_000],
            up_bps: 500,
            down_bps: 1_000,
            limited: true,
            clamp: true,
            elasticity: 0.0,
            traffic_cap: 0.4,
            capped_from: 4,
        }
    }
}

impl Policy {
    /// What an asking role's share tends to when `n` equal containers compete, and the rest: (each of the three roles,
    /// provider), basis points. Demand as a whole does not react. A role alone stands at its cap.
    pub fn predicted(&self, n: usize) -> ([f64; ROLES], f64) {
        let open = 10_000.0 - f64::from(self.beta_bps) - f64::from(self.phi_bps);
        let caps = self.caps_bps.map(f64::from);
        let shares = if n < 2 {
            caps
        } else {
            let own = 1.0 / n as f64;
            let sensitivity = f64::from(self.theta) * (1.0 - own) + self.elasticity * own;
            caps.map(|cap| (open / sensitivity).min(cap))
        };
        (shares, open - shares.iter().sum::<f64>())
    }
}

/// One container's price, shares and traffic.
#[derive(Clone, Copy, Debug)]
pub struct Quote {
    /// nc per 1 000 BU.
    pub price_nc: u64,
    /// Effective asks of vendor, OEM and weaver, nc per 1 000 BU.
    pub effective_nc: [u64; ROLES],
    /// Six shares in the order of the stack.
    pub bps: [u16; 6],
    /// Part of all requests, 0 to 1.
    pub traffic: f64,
}

/// Containers that serve the same class of requests on the same compute market.
#[derive(Clone, Debug)]
pub struct Network {
    /// The rules.
    pub policy: Policy,
    /// The market's base price, nc per 1 000 BU.
    pub base_nc: u64,
    /// Asks of vendor, OEM and weaver per container, nc per 1 000 BU.
    pub asks_nc: Vec<[u64; ROLES]>,
}

impl Network {
    /// `n` containers that all ask `ask_nc`.
    pub fn equal(policy: Policy, base_nc: u64, n: usize, ask_nc: u64) -> Self {
        Self { policy, base_nc, asks_nc: vec![[ask_nc; ROLES]; n] }
    }

    /// `n` containers whose asks are drawn independently, each factor of `ask_nc` between 1/`spread` and `spread`
    /// equally likely.
    pub fn random(policy: Policy, base_nc: u64, n: usize, ask_nc: u64, spread: f64, draws: &mut Draws) -> Self {
        let mut ask = || (ask_nc as f64 * draws.log_between(1.0 / spread, spread)) as u64;
        let asks_nc = (0..n).map(|_| [ask(), ask(), ask()]).collect();
        Self { policy, base_nc, asks_nc }
    }

    fn stack(&self, asks_nc: [u64; ROLES]) -> Result<(u64, [u64; ROLES]), AmountError> {
        let Policy { beta_bps, phi_bps, caps_bps, .. } = self.policy;
        let priced = price_stack(&StackInput { base_nc: self.base_nc, asks_nc, beta_bps, phi_bps, caps_bps })?;
        Ok((priced.price_nc, priced.effective_nc))
    }

    /// Every container's price, nc per 1 000 BU.
    pub fn prices(&self) -> Result<Vec<u64>, AmountError> {
        self.asks_nc.iter().map(|asks| Ok(self.stack(*asks)?.0)).collect()
    }

    /// Every container's price, shares and traffic under the present asks.
    pub fn quotes(&self) -> Result<Vec<Quote>, AmountError> {
        let stacks = self.asks_nc.iter().map(|asks| self.stack(*asks)).collect::<Result<Vec<_>, _>>()?;
        let prices: Vec<u64> = stacks.iter().map(|(price, _)| *price).collect();
        let traffic = self.traffic(&prices)?;
        stacks
            .into_iter()
            .zip(traffic)
            .map(|((price_nc, effective_nc), traffic)| {
                let bps = split_bps(price_nc, effective_nc, self.policy.beta_bps, self.policy.phi_bps)?;
                Ok(Quote { price_nc, effective_nc, bps, traffic })
            })
            .collect()
    }

    /// Parts of all requests by the routing weights, none above the cap when three or more compete.
    pub fn traffic(&self, prices_nc: &[u64]) -> Result<Vec<f64>, AmountError> {
        let cap = if prices_nc.len() >= self.policy.capped_from { self.policy.traffic_cap } else { 1.0 };
        Ok(capped_shares(&self.weights(prices_nc)?, cap))
    }

    /// Routing weights at these prices; every container is as good as the others.
    pub fn weights(&self, prices_nc: &[u64]) -> Result<Vec<u64>, AmountError> {
        let cheapest = prices_nc.iter().copied().min().ok_or(AmountError::BadInput)?;
        let weight = |price| route_weight(QUALITY_BPS, price, QUALITY_BPS, cheapest, self.policy.theta);
        prices_nc.iter().copied().map(weight).collect()
    }

    /// What one role of one container believes to earn if it asked `ask_nc` and nobody else moved, in nc per 1 000 BU
    /// of all demand. It reckons in millionths of a nano-credit and without rounding of weights: whole ones would hide
    /// how little its revenue changes near the best ask.
    pub fn revenue(&self, container: usize, role: usize, ask_nc: f64, prices_nc: &[u64]) -> Result<f64, AmountError> {
        const FINE: f64 = 1e6;
        let mut asks_nc = self.asks_nc[container].map(|ask| (ask as f64 * FINE) as u64);
        asks_nc[role] = (ask_nc * FINE) as u64;
        let Policy { beta_bps, phi_bps, caps_bps, theta, elasticity, .. } = self.policy;
        let base_nc = (self.base_nc as f64 * FINE) as u64;
        let priced = price_stack(&StackInput { base_nc, asks_nc, beta_bps, phi_bps, caps_bps })?;
        let price = priced.price_nc as f64 / FINE;
        // Weight relative to this container's own, so that its traffic is one over their sum.
        let rival =
            |(i, p): (usize, &u64)| if i == container { 1.0 } else { (price / *p as f64).powi(theta.cast_signed()) };
        let relative: f64 = prices_nc.iter().enumerate().map(rival).sum();
        let mut traffic = 1.0 / relative;
        if prices_nc.len() >= self.policy.capped_from {
            let cap = self.policy.traffic_cap;
            traffic = traffic.min(cap).max(1.0 - cap * (prices_nc.len() - 1) as f64);
        }
        // The price level is the generalised mean in which every container weighs as much as its traffic.
        let level = price / (relative / prices_nc.len() as f64).powf(1.0 / f64::from(theta));
        let demand = (level / self.base_nc as f64).powf(-elasticity);
        Ok(priced.effective_nc[role] as f64 / FINE * traffic * demand)
    }

    /// The ask that earns one role the most when nobody else moves. The revenue rises to one peak and falls, or stays,
    /// beyond it: what is asked above the cap changes nothing.
    pub fn best_response(&self, container: usize, role: usize, prices_nc: &[u64]) -> Result<u64, AmountError> {
        let (mut low, mut high) = (0.0, (self.base_nc as f64 * 20.0).ln());
        for _ in 0..64 {
            let third = (high - low) / 3.0;
            let (left, right): (f64, f64) = (low + third, high - third);
            let at = |log: f64| self.revenue(container, role, log.exp(), prices_nc);
            if at(left)? < at(right)? {
                low = left;
            } else {
                high = right;
            }
        }
        Ok(f64::midpoint(low, high).exp().round() as u64)
    }

    /// What every role would ask for the next pricing epoch if nobody else moved. Its base price is known by then: it
    /// follows from the book.
    pub fn best_responses(&self, next_base_nc: u64) -> Result<Vec<[u64; ROLES]>, AmountError> {
        let next = Self { base_nc: next_base_nc, ..self.clone() };
        let prices = next.prices()?;
        (0..next.asks_nc.len())
            .map(|container| {
                let mut wants = [0; ROLES];
                for (role, want) in wants.iter_mut().enumerate() {
                    *want = next.best_response(container, role, &prices)?;
                }
                Ok(wants)
            })
            .collect()
    }

    /// The next pricing epoch: asks step towards what the roles want, then the new base price applies and, where the
    /// policy says so, capped asks are overwritten.
    pub fn advance(&mut self, wants_nc: &[[u64; ROLES]], base_nc: u64) -> Result<(), AmountError> {
        let Policy { up_bps, down_bps, limited, clamp, .. } = self.policy;
        for (asks, wants) in self.asks_nc.iter_mut().zip(wants_nc) {
            for (ask, want) in asks.iter_mut().zip(wants) {
                *ask = if limited { step_ask(*ask, *want, up_bps, down_bps, u64::MAX)? } else { *want };
            }
        }
        self.base_nc = base_nc;
        if clamp {
            let quotes = self.quotes()?;
            for (asks, quote) in self.asks_nc.iter_mut().zip(quotes) {
                *asks = quote.effective_nc;
            }
        }
        Ok(())
    }
}

/// Shares in proportion to `weights`, none above `cap`; what a capped one cannot take goes to the others in proportion.
/// When all are capped the rest is equal among them.
pub fn capped_shares(weights: &[u64], cap: f64) -> Vec<f64> {
    let mut shares = vec![0.0; weights.len()];
    let mut open: Vec<usize> = (0..weights.len()).collect();
    let mut left = 1.0;
    loop {
        let total: f64 = open.iter().map(|i| weights[*i] as f64).sum();
        let share = |i: usize| if total > 0.0 { left * weights[i] as f64 / total } else { 0.0 };
        let (over, under): (Vec<usize>, Vec<usize>) = open.iter().partition(|i| share(**i) > cap);
        if over.is_empty() || under.is_empty() {
            for i in open {
                shares[i] = share(i);
            }
            return shares;
        }
        for i in over {
            shares[i] = cap;
            left -= cap;
        }
        open = under;
    }
}

/// Shares and prices over time.
#[derive(Clone, Debug, Default)]
pub struct Path {
    /// Per pricing epoch, per container.
    pub quotes: Vec<Vec<Quote>>,
    /// Base price per pricing epoch.
    pub base_nc: Vec<u64>,
}

impl Path {
    /// Mean shares of all containers in one pricing epoch.
    pub fn mean_bps(&self, epoch: usize) -> [f64; 6] {
        let quotes = &self.quotes[epoch];
        let mut mean = [0.0; 6];
        for quote in quotes {
            for (mean, bps) in mean.iter_mut().zip(quote.bps) {
                *mean += f64::from(bps) / quotes.len() as f64;
            }
        }
        mean
    }

    /// Mean price of all containers in one pricing epoch.
    pub fn mean_price(&self, epoch: usize) -> f64 {
        let quotes = &self.quotes[epoch];
        quotes.iter().map(|quote| quote.price_nc as f64).sum::<f64>() / quotes.len() as f64
    }

    /// The last pricing epoch.
    pub fn last(&self) -> usize {
        self.quotes.len() - 1
    }

    /// The first pricing epoch from which every share of every container stays within `bps` of its last value.
    pub fn settled(&self, bps: f64) -> usize {
        let last = &self.quotes[self.last()];
        let near = |quotes: &[Quote]| {
            quotes
                .iter()
                .zip(last)
                .all(|(now, last)| now.bps.iter().zip(last.bps).all(|(now, last)| f64::from(now.abs_diff(last)) <= bps))
        };
        self.quotes.iter().rposition(|quotes| !near(quotes)).map_or(0, |before| before + 1)
    }

    /// The largest move of any share of any container from one pricing epoch to the next, basis points.
    pub fn largest_step(&self) -> u16 {
        let moves = self.quotes.windows(2).flat_map(|pair| {
            pair[0].iter().zip(&pair[1]).flat_map(|(before, after)| {
                before.bps.iter().zip(after.bps).map(|(before, after)| before.abs_diff(after)).collect::<Vec<_>>()
            })
        });
        moves.max().unwrap_or(0)
    }
}

/// Best responders for `epochs` pricing epochs; the base price follows `next_base`.
pub fn respond(
    mut network: Network,
    epochs: usize,
    next_base: impl Fn(u64) -> Result<u64, AmountError>,
) -> Result<Path, AmountError> {
    let mut path = Path::default();
    for _ in 0..epochs {
        path.quotes.push(network.quotes()?);
        path.base_nc.push(network.base_nc);
        let base_nc = next_base(network.base_nc)?;
        let wants = network.best_responses(base_nc)?;
        network.advance(&wants, base_nc)?;
    }
    Ok(path)
}

/// How a hill climber learns: it knows nothing but its own revenue.
#[derive(Clone, Copy, Debug)]
pub struct Climb {
    /// Standard deviation of what it believes to have earned, relative.
    pub noise: f64,
    /// How far it moves its ask at a time, relative.
    pub stride: f64,
    /// Pricing epochs it waits between two moves.
    pub patience: usize,
}

/// Hill climbers for `epochs` pricing epochs: each moves its ask, keeps its direction when it believes to have earned
/// more than before and turns round otherwise.
pub fn climb(mut network: Network, epochs: usize, how: Climb, draws: &mut Draws) -> Result<Path, AmountError> {
    let n = network.asks_nc.len();
    let mut up: Vec<[bool; ROLES]> = (0..n).map(|_| [0; ROLES].map(|_| draws.unit() < 0.5)).collect();
    let mut earned = vec![[0.0; ROLES]; n];
    let mut path = Path::default();
    for epoch in 0..epochs {
        let quotes = network.quotes()?;
        let mut wants = network.asks_nc.clone();
        for (container, quote) in quotes.iter().enumerate() {
            for role in 0..ROLES {
                // Roles move in turns, so that not everybody's move hides one's own.
                if !(epoch + container * ROLES + role).is_multiple_of(how.patience) {
                    continue;
                }
                let revenue = quote.effective_nc[role] as f64 * quote.traffic * (1.0 + how.noise * draws.normal());
                if revenue < earned[container][role] {
                    up[container][role] = !up[container][role];
                }
                earned[container][role] = revenue;
                let factor = if up[container][role] { 1.0 + how.stride } else { 1.0 / (1.0 + how.stride) };
                wants[container][role] = (wants[container][role] as f64 * factor).round() as u64;
            }
        }
        path.quotes.push(quotes);
        path.base_nc.push(network.base_nc);
        let base_nc = network.base_nc;
        network.advance(&wants, base_nc)?;
    }
    Ok(path)
}
