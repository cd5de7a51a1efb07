//! `waybill market history`: what compute cost in a market and what containers on it charged, pricing epoch by pricing
//! epoch, from the snapshots on chain.

use crate::{context::Context, output, plot};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};
use waybill_chain::market::{
    self,
    state::{Container, SplitSnapshot, Stage},
};
use waybill_mechanism::amount::{BPS, mul_div_floor};

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Number of the market
    market: u32,
    /// Draw it
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// One pricing epoch. Amounts are nc per 1,000 BU.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Epoch {
    pricing_epoch: u32,
    /// The market's base price; within rounding where only stages of small weight buy in it.
    base_nc: u64,
    /// Prices of the cheapest and the dearest stage.
    least_nc: u64,
    most_nc: u64,
    /// Stages with a price.
    stages: u32,
}

pub async fn run(args: HistoryArgs, context: &Context) -> anyhow::Result<()> {
    let containers: Vec<(Pubkey, Container)> = context.chain.all(&market::ID).await?;
    let snapshots: Vec<(Pubkey, SplitSnapshot)> = context.chain.all(&market::ID).await?;
    let stages = containers.into_iter().map(|(_, container)| (container.id, container.stages)).collect();
    let prices = snapshots.into_iter().map(|(_, snapshot)| Price::of(&snapshot));
    let epochs = epochs(args.market, &stages, prices);
    if epochs.is_empty() {
        bail!(
            "no container that buys in market {} has a price yet: snapshots are frozen every pricing epoch",
            args.market
        );
    }
    if let Some(path) = &args.plot {
        chart(args.market, &epochs).write_svg(path)?;
    }
    output::print(context.json, &epochs, |epochs| {
        let rows = epochs.iter().map(|epoch| {
            let numbers = [epoch.base_nc, epoch.least_nc, epoch.most_nc];
            let numbers = numbers.iter().map(u64::to_string);
            std::iter::once(epoch.pricing_epoch.to_string()).chain(numbers).chain([epoch.stages.to_string()]).collect()
        });
        output::table(&["epoch", "base nc/1,000", "cheapest", "dearest", "stages"], rows)
    })
}

/// What a snapshot says of one stage.
struct Price {
    container: [u8; 32],
    stage: u8,
    pricing_epoch: u32,
    /// Weighted base price.
    base_nc: u64,
    price_nc: u64,
}

impl Price {
    fn of(snapshot: &SplitSnapshot) -> Self {
        let SplitSnapshot { container, stage, pricing_epoch, base_nc, price_nc, .. } = *snapshot;
        Self { container, stage, pricing_epoch, base_nc, price_nc }
    }
}

/// The market's epochs in order, from the stages of containers by id and their prices.
fn epochs(market: u32, stages: &HashMap<[u8; 32], Vec<Stage>>, prices: impl IntoIterator<Item = Price>) -> Vec<Epoch> {
    // Per epoch, with the largest weight its base price was read at: the larger, the less of it is rounding.
    let mut epochs: BTreeMap<u32, (u16, Epoch)> = BTreeMap::new();
    for Price { container, stage, pricing_epoch, base_nc, price_nc } in prices {
        let stage = stages.get(&container).and_then(|stages| stages.get(usize::from(stage)));
        let Some(stage) = stage.filter(|stage| stage.market == market) else { continue };
        let Some(base_nc) = mul_div_floor(base_nc, BPS, u64::from(stage.weight_bps)) else { continue };
        let (weight_bps, epoch) = epochs
            .entry(pricing_epoch)
            .or_insert_with(|| (0, Epoch { pricing_epoch, base_nc, least_nc: price_nc, most_nc: price_nc, stages: 0 }));
        if stage.weight_bps > *weight_bps {
            (*weight_bps, epoch.base_nc) = (stage.weight_bps, base_nc);
        }
        (epoch.least_nc, epoch.most_nc) = (epoch.least_nc.min(price_nc), epoch.most_nc.max(price_nc));
        epoch.stages += 1;
    }
    epochs.into_values().map(|(_, epoch)| epoch).collect()
}

fn chart(market: u32, epochs: &[Epoch]) -> plot::Chart {
    let curve = |label: &str, of: fn(&Epoch) -> u64| plot::Series {
        label: label.to_owned(),
        points: epochs.iter().map(|epoch| (f64::from(epoch.pricing_epoch), of(epoch) as f64)).collect(),
    };
    plot::Chart {
        title: format!("Market {market}: base price and prices of its containers"),
        x_label: "pricing epoch".to_owned(),
        y_label: "nano-credits per 1,000 units".to_owned(),
        series: vec![
            curve("base", |epoch| epoch.base_nc),
            curve("cheapest", |epoch| epoch.least_nc),
            curve("dearest", |epoch| epoch.most_nc),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_chain::market::state::StageKind;

    fn stages(of: &[(u32, u16)]) -> Vec<Stage> {
        let stage = |(market, weight_bps): &(u32, u16)| Stage {
            artifact: [0; 32],
            kind: StageKind::Chat,
            market: *market,
            weight_bps: *weight_bps,
        };
        of.iter().map(stage).collect()
    }

    #[test]
    fn a_markets_base_and_prices_are_read_from_the_stages_that_buy_in_it() {
        let containers =
            HashMap::from([([1; 32], stages(&[(1, 10_000)])), ([2; 32], stages(&[(2, 10_000), (1, 3_333)]))]);
        let price = |container, stage, pricing_epoch, base_nc, price_nc| Price {
            container: [container; 32],
            stage,
            pricing_epoch,
            base_nc,
            price_nc,
        };
        let prices = || {
            [
                price(2, 1, 8, 4_051, 7_000),
                price(1, 0, 8, 12_154, 21_690),
                price(2, 0, 8, 50_000, 90_000),
                price(1, 0, 7, 11_576, 21_061),
                price(9, 0, 7, 1, 1),
            ]
        };
        let of = |pricing_epoch, base_nc, least_nc, most_nc, stages| Epoch {
            pricing_epoch,
            base_nc,
            least_nc,
            most_nc,
            stages,
        };
        let expected = [of(7, 11_576, 21_061, 21_061, 1), of(8, 12_154, 7_000, 21_690, 2)];
        assert_eq!(epochs(1, &containers, prices()), expected);
        assert_eq!(chart(1, &expected).series[0].points, [(7.0, 11_576.0), (8.0, 12_154.0)]);
        assert!(epochs(3, &containers, prices()).is_empty());
    }
}
