//! `waybill ask history`: what a container's stage cost and how its price was shared, pricing epoch by pricing epoch,
//! from the snapshots on chain.

use crate::{context::Context, lookup, output, plot};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use waybill_chain::market::{self, state::SplitSnapshot};
use waybill_mechanism::{
    amount::bps_floor,
    stack::{OEM, VENDOR, WEAVER},
};

/// Where a snapshot names its container: behind discriminator, version, bump, stage and pricing epoch.
const CONTAINER_OFFSET: usize = 8 + 1 + 1 + 1 + 4;
/// Shares in the order of the chain.
const SHARES: [&str; 6] = ["vendor", "OEM", "provider", "curator", "weaver", "fee"];

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Name or id of a container
    container: String,
    /// Stage of the container
    #[arg(long, default_value_t = 0)]
    stage: u8,
    /// Draw it
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// What to draw
    #[arg(long, value_enum, default_value_t = Curves::Shares, requires = "plot")]
    curves: Curves,
}

/// What a chart shows over pricing epochs.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Curves {
    /// The six shares of the price
    Shares,
    /// The price, its base cost and what the asking roles get of it
    Prices,
}

/// One pricing epoch. Amounts are nc per 1,000 BU, shares basis points.
#[derive(Serialize)]
struct Epoch {
    pricing_epoch: u32,
    price_nc: u64,
    base_nc: u64,
    /// What vendor, OEM and weaver get: their asks, or less where a cap binds.
    vendor_nc: u64,
    oem_nc: u64,
    weaver_nc: u64,
    /// Vendor, OEM, provider, curator, weaver, fee.
    bps: [u16; 6],
}

impl Epoch {
    fn of(snapshot: &SplitSnapshot) -> Self {
        let [vendor_nc, oem_nc, weaver_nc] =
            [VENDOR, OEM, WEAVER].map(|role| bps_floor(snapshot.price_nc, snapshot.bps[role]));
        let SplitSnapshot { pricing_epoch, price_nc, base_nc, bps, .. } = *snapshot;
        Self { pricing_epoch, price_nc, base_nc, vendor_nc, oem_nc, weaver_nc, bps }
    }
}

pub async fn run(args: HistoryArgs, context: &Context) -> anyhow::Result<()> {
    let container = lookup::container(&context.chain, &args.container).await?;
    let found: Vec<(Pubkey, SplitSnapshot)> =
        context.chain.all_where(&market::ID, CONTAINER_OFFSET, &container.id).await?;
    let of_stage = found.iter().map(|(_, snapshot)| snapshot).filter(|snapshot| snapshot.stage == args.stage);
    let mut epochs: Vec<Epoch> = of_stage.map(Epoch::of).collect();
    if epochs.is_empty() {
        bail!("{} has no price for stage {} yet: a snapshot is frozen every pricing epoch", container.name, args.stage);
    }
    epochs.sort_by_key(|epoch| epoch.pricing_epoch);
    if let Some(path) = &args.plot {
        chart(&container.name, &epochs, args.curves).write_svg(path)?;
    }
    output::print(context.json, &epochs, |epochs| {
        let rows = epochs.iter().map(|epoch| {
            let amounts = [epoch.price_nc, epoch.base_nc, epoch.vendor_nc, epoch.oem_nc, epoch.weaver_nc];
            let shares = epoch.bps.iter().map(|bps| format!("{:.2} %", f64::from(*bps) / 100.0));
            std::iter::once(epoch.pricing_epoch.to_string())
                .chain(amounts.iter().map(u64::to_string))
                .chain(shares)
                .collect()
        });
        let header = ["epoch", "price", "base", "vendor nc", "OEM nc", "weaver nc"];
        output::table(&header.iter().chain(&SHARES).copied().collect::<Vec<_>>(), rows)
    })
}

fn chart(name: &str, epochs: &[Epoch], curves: Curves) -> plot::Chart {
    let curve = |label: &str, of: &dyn Fn(&Epoch) -> f64| plot::Series {
        label: label.to_owned(),
        points: epochs.iter().map(|epoch| (f64::from(epoch.pricing_epoch), of(epoch))).collect(),
    };
    let (y_label, series) = match curves {
        Curves::Shares => {
            let share = |(role, label): (usize, &&str)| curve(label, &move |e| f64::from(e.bps[role]) / 100.0);
            ("share of the price, %", SHARES.iter().enumerate().map(share).collect())
        }
        Curves::Prices => {
            let series = vec![
                curve("price", &|epoch| epoch.price_nc as f64),
                curve("base", &|epoch| epoch.base_nc as f64),
                curve("vendor", &|epoch| epoch.vendor_nc as f64),
                curve("OEM", &|epoch| epoch.oem_nc as f64),
                curve("weaver", &|epoch| epoch.weaver_nc as f64),
            ];
            ("nano-credits per 1,000 units", series)
        }
    };
    plot::Chart {
        title: format!("{name}: price and shares"),
        x_label: "pricing epoch".to_owned(),
        y_label: y_label.to_owned(),
        series,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anchor_lang::{AccountDeserialize, AccountSerialize, Space};

    fn snapshot(pricing_epoch: u32) -> SplitSnapshot {
        let zeroes = [0; 8 + SplitSnapshot::INIT_SPACE];
        let mut snapshot = SplitSnapshot::try_deserialize_unchecked(&mut &zeroes[..]).unwrap();
        (snapshot.container, snapshot.pricing_epoch) = ([9; 32], pricing_epoch);
        (snapshot.price_nc, snapshot.base_nc) = (21_690, 12_154);
        snapshot.bps = [1_198, 1_198, 5_606, 500, 1_198, 300];
        snapshot
    }

    #[test]
    fn a_snapshot_names_its_container_where_the_query_looks() {
        let mut bytes = Vec::new();
        snapshot(7).try_serialize(&mut bytes).unwrap();
        assert_eq!(bytes[CONTAINER_OFFSET..CONTAINER_OFFSET + 32], [9; 32]);
        assert_ne!(bytes[CONTAINER_OFFSET - 1], 9);
    }

    #[test]
    fn both_charts_have_a_curve_for_everything_they_name() {
        let epochs = [7, 8].map(|pricing_epoch| Epoch::of(&snapshot(pricing_epoch)));
        assert_eq!(epochs[0].vendor_nc, 2_598);
        let shares = chart("chat", &epochs, Curves::Shares);
        assert_eq!(shares.series.len(), 6);
        assert_eq!(shares.series[2].points, [(7.0, 56.06), (8.0, 56.06)]);
        let prices = chart("chat", &epochs, Curves::Prices);
        assert_eq!(prices.series[0].points[1], (8.0, 21_690.0));
    }
}
