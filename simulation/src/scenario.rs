//! The scenarios: what is simulated, with which numbers, and the report of each.

use waybill_mechanism::amount::AmountError;
use waybill_mechanism::clearing::next_base;
use waybill_mechanism::stack::{CURATOR, FEE, INFRA, OEM, StackInput, VENDOR, WEAVER, price_stack, split_bps};

use crate::attack::{self, Nesting, Withheld, Withholding};
use crate::compute::{self, ComputeMarket, OWNER_CAP};
use crate::draws::Draws;
use crate::prism::{Climb, Network, Path, Policy, climb, respond};
use crate::promotion;
use crate::report::{Report, Row, Series};

/// One scenario.
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    run: fn(u64) -> Result<Table, AmountError>,
}

impl Scenario {
    /// Runs it; the same seed gives the same report.
    pub fn run(&self, seed: u64) -> Result<Report, AmountError> {
        let Table { columns, rows, x_label, y_label, series } = (self.run)(seed)?;
        Ok(Report { scenario: self.name, about: self.about, columns, rows, x_label, y_label, series })
    }

    /// The scenario of a name.
    pub fn find(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}

/// All scenarios, markets first, then attacks.
pub const SCENARIOS: [Scenario; 13] = [
    Scenario {
        name: "equilibrium",
        about: "Where shares settle when 1, 2, 3, 5 and 10 containers compete",
        run: equilibrium,
    },
    Scenario { name: "convergence", about: "How long shares take to settle from asks far off", run: convergence },
    Scenario {
        name: "shock",
        about: "Base price from 12,000 to 24,000 nc: who bears it while asks follow",
        run: shock,
    },
    Scenario {
        name: "elasticity",
        about: "Shares when all demand reacts to the price level with elasticity 1.5",
        run: elasticity,
    },
    Scenario { name: "climbers", about: "Roles that know nothing but their own noisy revenue", run: climbers },
    Scenario {
        name: "compute",
        about: "The compute market from far off, and when demand jumps by 62 %",
        run: compute_market,
    },
    Scenario {
        name: "withholding",
        about: "Profit of an owner who keeps machines off the market; 1 = offering all",
        run: withholding,
    },
    Scenario {
        name: "cloning",
        about: "Revenue of a weaver who lists copies of its container; 1 = none",
        run: cloning,
    },
    Scenario { name: "wash", about: "Loss of one who owns every role and the gateway and pays itself $100", run: wash },
    Scenario { name: "self-referral", about: "What a consumer gets back who is its own curator", run: self_referral },
    Scenario { name: "sniping", about: "Revenue of a vendor who posts last; 1 = posting blind", run: sniping },
    Scenario {
        name: "sybil-ticks",
        about: "What spreading capacity over ticks does to the clearing price",
        run: sybil_ticks,
    },
    Scenario {
        name: "promotion",
        about: "What a lie gains in the slot auction, under VCG and under second price",
        run: promotion_lies,
    },
];

struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    x_label: &'static str,
    y_label: &'static str,
    series: Vec<Series>,
}

const BASE_NC: u64 = 12_000;
/// About what a role asks in equilibrium when five containers compete.
const ASK_NC: u64 = 2_400;
const CONTAINERS: usize = 5;
/// Shares this near to their last value count as settled, basis points.
const SETTLED_BPS: f64 = 60.0;
const ROLE_NAMES: [(&str, usize); 4] = [("vendor", VENDOR), ("OEM", OEM), ("provider", INFRA), ("weaver", WEAVER)];

fn steady(base_nc: u64) -> Result<u64, AmountError> {
    Ok(base_nc)
}

fn share_curves(path: &Path) -> Vec<Series> {
    ROLE_NAMES
        .iter()
        .map(|(name, role)| Series::over_epochs(*name, (0..path.quotes.len()).map(|e| path.mean_bps(e)[*role] / 100.0)))
        .collect()
}

fn shares_over_time(columns: Vec<&'static str>, rows: Vec<Row>, series: Vec<Series>) -> Table {
    Table { columns, rows, x_label: "pricing epoch", y_label: "share of the price, %", series }
}

fn equilibrium(_: u64) -> Result<Table, AmountError> {
    let policy = Policy::default();
    let (mut rows, mut provider) = (Vec::new(), Vec::new());
    let capped = Policy { capped_from: 3, ..policy };
    for (label, policy, n) in [
        ("n = 1", policy, 1),
        ("n = 2", policy, 2),
        ("n = 3", policy, 3),
        ("n = 5", policy, 5),
        ("n = 10", policy, 10),
        ("n = 3, traffic capped at 40 %", capped, 3),
    ] {
        let path = respond(Network::equal(policy, BASE_NC, n, ASK_NC), 80, steady)?;
        let shares = path.mean_bps(path.last());
        let (roles, rest) = policy.predicted(n);
        let values =
            [shares[VENDOR], shares[OEM], shares[WEAVER], shares[INFRA], roles[0], rest, path.mean_price(path.last())];
        rows.push(Row::new(label, values));
        provider.push(Series::over_epochs(label, (0..path.quotes.len()).map(|e| path.mean_bps(e)[INFRA] / 100.0)));
    }
    Ok(Table {
        columns: vec!["V", "O", "W", "I", "V predicted", "I predicted", "price nc"],
        rows,
        x_label: "pricing epoch",
        y_label: "provider's share, %",
        series: provider,
    })
}

fn convergence(seed: u64) -> Result<Table, AmountError> {
    let policy = Policy::default();
    let start = |policy, ask| Network::equal(policy, BASE_NC, CONTAINERS, ask);
    let random = |seed| Network::random(policy, BASE_NC, CONTAINERS, ASK_NC, 5.0, &mut Draws::new(seed));
    let mut runs = vec![
        ("8x too low".to_owned(), start(policy, ASK_NC / 8)),
        ("23x too high".to_owned(), start(policy, ASK_NC * 23)),
        ("23x too high, asks not overwritten".to_owned(), start(Policy { clamp: false, ..policy }, ASK_NC * 23)),
        ("8x too low, steps unlimited".to_owned(), start(Policy { limited: false, ..policy }, ASK_NC / 8)),
        ("23x too high, steps unlimited".to_owned(), start(Policy { limited: false, ..policy }, ASK_NC * 23)),
    ];
    runs.extend((0..12).map(|i| (format!("random {i}"), random(seed + i))));
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for (label, network) in runs {
        let path = respond(network, 80, steady)?;
        let shares = path.mean_bps(path.last());
        let values = [
            path.settled(SETTLED_BPS) as f64,
            shares[VENDOR],
            shares[OEM],
            shares[WEAVER],
            shares[INFRA],
            path.mean_price(path.last()),
            f64::from(path.largest_step()),
        ];
        if !label.starts_with("random") || label == "random 0" {
            series.push(Series::over_epochs(
                label.clone(),
                (0..path.quotes.len()).map(|e| path.mean_bps(e)[INFRA] / 100.0),
            ));
        }
        rows.push(Row::new(label, values));
    }
    Ok(Table {
        columns: vec!["epochs", "V", "O", "W", "I", "price nc", "largest step bps"],
        rows,
        x_label: "pricing epoch",
        y_label: "provider's share, %",
        series,
    })
}

fn shock(_: u64) -> Result<Table, AmountError> {
    const SETTLE: usize = 60;
    const NEW_BASE_NC: u64 = 24_000;
    let policy = Policy::default();
    let mut network = Network::equal(policy, BASE_NC, CONTAINERS, ASK_NC);
    for _ in 0..SETTLE {
        let wants = network.best_responses(BASE_NC)?;
        network.advance(&wants, BASE_NC)?;
    }
    let path = respond(network, 40, |base| {
        next_base(base, Some(NEW_BASE_NC), 1_000, u64::MAX, policy.up_bps, policy.down_bps)
    })?;
    let provider: Vec<f64> = (0..path.quotes.len()).map(|epoch| path.mean_bps(epoch)[INFRA]).collect();
    let arrived = path.base_nc.iter().position(|base| *base == NEW_BASE_NC).unwrap_or_else(|| path.last());
    let peak = provider.iter().copied().fold(f64::MIN, f64::max) - provider[0];
    let step = provider.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    let back = provider.iter().rposition(|share| (share - provider[0]).abs() > 25.0).map_or(0, |before| before + 1);
    let values = [arrived as f64, peak, step, back as f64, path.mean_price(0), path.mean_price(path.last())];
    Ok(shares_over_time(
        vec![
            "epochs until through",
            "I at peak, bps more",
            "largest step of I, bps",
            "epochs until I is back",
            "price before nc",
            "price after nc",
        ],
        vec![Row::new("12,000 to 24,000 nc", values)],
        vec![Series::over_epochs("provider", provider.into_iter().map(|share| share / 100.0))],
    ))
}

fn elasticity(_: u64) -> Result<Table, AmountError> {
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for elasticity in [0.0, 0.5, 1.0, 1.5, 2.0] {
        let policy = Policy { elasticity, ..Policy::default() };
        let path = respond(Network::equal(policy, BASE_NC, CONTAINERS, ASK_NC), 80, steady)?;
        let shares = path.mean_bps(path.last());
        let (roles, rest) = policy.predicted(CONTAINERS);
        let values =
            [shares[VENDOR], shares[OEM], shares[WEAVER], shares[INFRA], roles[0], rest, path.mean_price(path.last())];
        series.push(Series::over_epochs(
            format!("elasticity {elasticity}"),
            (0..path.quotes.len()).map(|e| path.mean_bps(e)[INFRA] / 100.0),
        ));
        rows.push(Row::new(format!("{elasticity}"), values));
    }
    Ok(Table {
        columns: vec!["V", "O", "W", "I", "V predicted", "I predicted", "price nc"],
        rows,
        x_label: "pricing epoch",
        y_label: "provider's share, %",
        series,
    })
}

fn climbers(seed: u64) -> Result<Table, AmountError> {
    const EPOCHS: usize = 500;
    const SEEDS: u64 = 12;
    /// Epochs that count: the last half.
    const TAIL: usize = EPOCHS / 2;
    let how = Climb { noise: 0.03, stride: 0.02, patience: 1 };
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    let mut all: Vec<[f64; 6]> = Vec::new();
    for i in 0..SEEDS {
        let mut draws = Draws::new(seed + i);
        let network = Network::random(Policy::default(), BASE_NC, CONTAINERS, ASK_NC, 2.0, &mut draws);
        let path = climb(network, EPOCHS, how, &mut draws)?;
        let tail: Vec<[f64; 6]> = (EPOCHS - TAIL..EPOCHS).map(|epoch| path.mean_bps(epoch)).collect();
        let mean = mean(&tail);
        rows.push(Row::new(format!("seed {}", seed + i), climber_row(mean, &tail)));
        if i == 0 {
            series = share_curves(&path);
        }
        all.extend(tail);
    }
    rows.push(Row::new("all", climber_row(mean(&all), &all)));
    Ok(shares_over_time(vec!["V", "O", "W", "I", "I least", "I most", "deviation of I"], rows, series))
}

fn climber_row(mean: [f64; 6], tail: &[[f64; 6]]) -> [f64; 7] {
    let provider = || tail.iter().map(|shares| shares[INFRA]);
    let variance = provider().map(|share| (share - mean[INFRA]).powi(2)).sum::<f64>() / tail.len() as f64;
    let (least, most) = (provider().fold(f64::MAX, f64::min), provider().fold(f64::MIN, f64::max));
    [mean[VENDOR], mean[OEM], mean[WEAVER], mean[INFRA], least, most, variance.sqrt()]
}

fn mean(shares: &[[f64; 6]]) -> [f64; 6] {
    let mut mean = [0.0; 6];
    for one in shares {
        for (mean, share) in mean.iter_mut().zip(one) {
            *mean += share / shares.len() as f64;
        }
    }
    mean
}

const WORKERS: usize = 80;
/// Relative deviation of the demand of one pricing epoch.
const DEMAND_NOISE: f64 = 0.05;

fn compute_market(seed: u64) -> Result<Table, AmountError> {
    const EPOCHS: usize = 80;
    const JUMP_AT: usize = 20;
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    let mut settled_at = 0;
    for (label, base_nc, jump) in
        [("from 4,000 nc", 4_000, 1.0), ("from 40,000 nc", 40_000, 1.0), ("demand +62 %", 0, 1.62)]
    {
        let mut market = ComputeMarket::usual(WORKERS, if base_nc == 0 { settled_at } else { base_nc }, seed)?;
        let usual = market.demand as f64;
        let mut draws = Draws::new(seed + 1);
        let epochs = compute::run(&mut market, EPOCHS, |epoch| {
            let level = if epoch >= JUMP_AT { usual * jump } else { usual };
            (level * (1.0 + DEMAND_NOISE * draws.normal())) as u64
        })?;
        let base: Vec<f64> = epochs.iter().map(|epoch| epoch.base_nc as f64).collect();
        let tail = &base[EPOCHS / 2..];
        let level = tail.iter().sum::<f64>() / tail.len() as f64;
        let deviation = (tail.iter().map(|b| (b - level).powi(2)).sum::<f64>() / tail.len() as f64).sqrt();
        // Within one tick of where it ends up.
        let arrived = base.iter().position(|b| (b / level - 1.0).abs() <= 0.05).unwrap_or(EPOCHS);
        let least_fill = epochs.iter().map(|epoch| epoch.fill).fold(1.0, f64::min);
        rows.push(Row::new(
            label,
            [
                base[0],
                base[JUMP_AT],
                base[36],
                base[EPOCHS - 1],
                arrived as f64,
                level,
                deviation / level * 100.0,
                least_fill,
            ],
        ));
        series.push(Series::over_epochs(label, base));
        settled_at = level as u64;
    }
    Ok(Table {
        columns: vec!["B start", "B at 20", "B at 36", "B at 79", "epochs", "B tail", "tail CV %", "least fill"],
        rows,
        x_label: "pricing epoch",
        y_label: "base price, nc per 1,000 BU",
        series,
    })
}

fn withholding(seed: u64) -> Result<Table, AmountError> {
    const BOOKS: u64 = 12;
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for (how, name) in [(Withholding::Alike, "a part of each"), (Withholding::DearestFirst, "dearest first")] {
        for (workers, share, owner_cap) in
            [(80, 0.1, OWNER_CAP), (80, 0.2, OWNER_CAP), (80, 0.4, OWNER_CAP), (80, 0.4, 1.0), (8, 0.25, OWNER_CAP)]
        {
            let cap = if owner_cap < 1.0 { "" } else { ", no owner cap" };
            let label = format!("{:.0} % of {workers}, {name}{cap}", share * 100.0);
            let books = (0..BOOKS).map(|i| attack::withhold(workers, share, how, owner_cap, seed + i));
            let books = books.collect::<Result<Vec<_>, _>>()?;
            let mut values = Vec::new();
            for earned in [(|w| w.profit) as fn(&Withheld) -> f64, |w| w.revenue] {
                // The least of the parts that earn the most.
                let best = |book: &Vec<Withheld>| {
                    book.iter().rev().max_by(|a, b| earned(a).total_cmp(&earned(b))).map(|b| (b.part, earned(b)))
                };
                let best: Vec<(f64, f64)> = books.iter().filter_map(best).collect();
                let mean = best.iter().map(|(_, earned)| earned).sum::<f64>() / best.len() as f64;
                let most = best.iter().map(|(_, earned)| *earned).fold(0.0, f64::max);
                values.extend([mean, most, best.iter().filter(|(part, _)| *part == 0.0).count() as f64]);
            }
            rows.push(Row::new(label.clone(), values));
            if let Some(book) = books.first() {
                series.push(Series { label, points: book.iter().map(|o| (o.part * 100.0, o.profit)).collect() });
            }
        }
    }
    Ok(Table {
        columns: vec![
            "profit at best",
            "most of 12 books",
            "books where 0 is best",
            "revenue at best",
            "most revenue",
            "0 is best for revenue",
        ],
        rows,
        x_label: "part of the owner's working capacity withheld, %",
        y_label: "profit, 1 = offering all",
        series,
    })
}

fn cloning(_: u64) -> Result<Table, AmountError> {
    const COPIES: [usize; 4] = [1, 2, 5, 20];
    const FACTORS: [(&str, f64); 4] =
        [("equal copies", 1.0), ("half the ask", 0.5), ("1.5 times the ask", 1.5), ("twice the ask", 2.0)];
    let rules = [("no nests", Nesting::Absent), ("nest as its best", Nesting::Best), ("nest as met", Nesting::Met)];
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for (name, nesting) in rules {
        for (what, factor) in FACTORS {
            let label = format!("{name}, {what}");
            let values = COPIES.map(|copies| attack::clone_containers(CONTAINERS, copies, factor, nesting));
            let values = values.into_iter().collect::<Result<Vec<f64>, _>>()?;
            let points = COPIES.into_iter().map(|copies| copies as f64).zip(values.clone()).collect();
            if nesting != Nesting::Absent {
                series.push(Series { label: label.clone(), points });
            }
            rows.push(Row::new(label, values));
        }
    }
    Ok(Table {
        columns: vec!["1 copy", "2", "5", "20"],
        rows,
        x_label: "copies",
        y_label: "revenue, 1 = no copy",
        series,
    })
}

/// The worked row of the design: asks 2 600, C 12 154.
fn usual_shares() -> Result<[u16; 6], AmountError> {
    let input = StackInput {
        base_nc: 12_154,
        asks_nc: [2_600; 3],
        beta_bps: 500,
        phi_bps: 300,
        caps_bps: [3_000, 2_000, 2_000],
    };
    let priced = price_stack(&input)?;
    split_bps(priced.price_nc, priced.effective_nc, input.beta_bps, input.phi_bps)
}

fn wash(_: u64) -> Result<Table, AmountError> {
    /// $100 in nc.
    const PAID_NC: u64 = 100_000_000_000;
    let bps = usual_shares()?;
    let dollars = |nc: i128| nc as f64 / 1e9;
    let (mut rows, mut curve) = (Vec::new(), Vec::new());
    for rho_bps in [0u16, 5_000, 6_000, 8_000, 10_000] {
        let rho = f64::from(rho_bps) / 10_000.0;
        let loss = dollars(attack::wash(PAID_NC, &bps, rho_bps));
        let stated = (f64::from(bps[FEE]) - 60.0 - rho * f64::from(bps[FEE])) / 100.0;
        curve.push((rho, loss));
        rows.push(Row::new(
            format!("rho {rho}"),
            [loss, stated, dollars(attack::wash_without_curator(PAID_NC, &bps, rho_bps))],
        ));
    }
    Ok(Table {
        columns: vec!["loss $", "stated loss $", "loss without a curator of its own $"],
        rows,
        x_label: "part of the fees that usage releases",
        y_label: "loss per $100, $",
        series: vec![Series { label: "all roles and the gateway".to_owned(), points: curve }],
    })
}

fn self_referral(_: u64) -> Result<Table, AmountError> {
    /// $1 a day.
    const DAILY_NC: u64 = 1_000_000_000;
    let bps = usual_shares()?;
    let mut rows = Vec::new();
    for (label, container_daily, days) in
        [("30 days", 100 * DAILY_NC, 30), ("90 days", 100 * DAILY_NC, 90), ("90 days, sole customer", DAILY_NC, 90)]
    {
        let (paid, back) = attack::refer_oneself(DAILY_NC, container_daily, days, &bps);
        rows.push(Row::new(
            label,
            [paid as f64 / 1e9, back as f64 / 1e9, back as f64 / paid as f64 * 1e4, f64::from(bps[CURATOR])],
        ));
    }
    Ok(Table {
        columns: vec!["paid $", "got back $", "rebate bps", "bound bps"],
        rows,
        x_label: "",
        y_label: "",
        series: Vec::new(),
    })
}

fn sniping(seed: u64) -> Result<Table, AmountError> {
    let mut rows = Vec::new();
    for (label, limited) in [("steps limited", true), ("steps unlimited", false)] {
        let gains =
            (0..6).map(|i| attack::snipe(CONTAINERS, 40, limited, seed + i)).collect::<Result<Vec<f64>, _>>()?;
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        rows.push(Row::new(label, [mean, gains.into_iter().fold(f64::MIN, f64::max)]));
    }
    Ok(Table { columns: vec!["mean", "most"], rows, x_label: "", y_label: "", series: Vec::new() })
}

fn sybil_ticks(seed: u64) -> Result<Table, AmountError> {
    const BOOKS: u32 = 10_000;
    let change = attack::spread_over_ticks(BOOKS, &mut Draws::new(seed))?;
    let rows = vec![Row::new("capacity below the marginal tick", [f64::from(BOOKS), change as f64])];
    Ok(Table {
        columns: vec!["books", "largest change of the price nc"],
        rows,
        x_label: "",
        y_label: "",
        series: Vec::new(),
    })
}

fn promotion_lies(seed: u64) -> Result<Table, AmountError> {
    const AUCTIONS: u32 = 2_000;
    let mut rows = Vec::new();
    for (label, second_price) in [("VCG", false), ("second price", true)] {
        let found = promotion::misreport(AUCTIONS, second_price, &mut Draws::new(seed))?;
        rows.push(Row::new(
            label,
            [f64::from(found.bidders), f64::from(found.tempted), found.largest_gain_nc, found.revenue_nc],
        ));
    }
    Ok(Table {
        columns: vec!["bidders", "better off lying", "largest gain nc", "revenue nc"],
        rows,
        x_label: "",
        y_label: "",
        series: Vec::new(),
    })
}
