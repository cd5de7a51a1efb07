//! `waybill simulate`: agents of every role on the mechanism's own arithmetic. It needs no network.

use crate::{output, plot};
use anyhow::bail;
use clap::{Args, builder::PossibleValuesParser};
use std::path::PathBuf;
use waybill_simulation::{Report, SCENARIOS, Scenario};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill simulate                                   every scenario\n  waybill simulate equilibrium shock                  some of them\n  waybill simulate convergence --plot shares.svg      one, with its curves\n  waybill simulate --list                             what there is\n\nThe same seed gives the same numbers on every run. Shares are basis points of the price,\nprices nano-credits per 1,000 billable units, epochs pricing epochs."
)]
pub struct SimulateArgs {
    /// Scenarios to run [default: all]
    #[arg(value_parser = PossibleValuesParser::new(SCENARIOS.map(|scenario| scenario.name)), hide_possible_values = true)]
    scenarios: Vec<String>,
    /// Say what the scenarios are, and run none
    #[arg(long, conflicts_with_all = ["scenarios", "plot"])]
    list: bool,
    /// Seed of all random draws
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Draw the curves of one scenario
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

pub fn run(args: &SimulateArgs, json: bool) -> anyhow::Result<()> {
    if args.list {
        return list(json);
    }
    let chosen = SCENARIOS.iter().filter(|s| args.scenarios.is_empty() || args.scenarios.iter().any(|n| n == s.name));
    let chosen: Vec<&Scenario> = chosen.collect();
    if let (Some(_), [_, _, ..]) = (&args.plot, &chosen[..]) {
        bail!("--plot draws one scenario: name it, as in `waybill simulate {} --plot shares.svg`", chosen[0].name);
    }
    let reports = chosen.iter().map(|scenario| scenario.run(args.seed)).collect::<Result<Vec<Report>, _>>()?;
    if let (Some(path), [report]) = (&args.plot, &reports[..]) {
        chart(report).write_svg(path)?;
    }
    output::print(json, &reports, |reports| reports.iter().map(text).collect::<Vec<_>>().join("\n\n"))
}

fn list(json: bool) -> anyhow::Result<()> {
    let all = SCENARIOS.map(|scenario| serde_json::json!({ "scenario": scenario.name, "about": scenario.about }));
    output::print(json, &all, |_| {
        output::table(&["scenario", "what it shows"], SCENARIOS.map(|s| vec![s.name.to_owned(), s.about.to_owned()]))
    })
}

fn text(report: &Report) -> String {
    let header: Vec<&str> = std::iter::once("").chain(report.columns.iter().copied()).collect();
    let rows = report
        .rows
        .iter()
        .map(|row| std::iter::once(row.label.clone()).chain(row.values.iter().map(|value| number(*value))).collect());
    format!("{}: {}\n{}", report.scenario, report.about, output::table(&header, rows))
}

/// Four decimals for ratios and small amounts, one for shares and prices.
fn number(value: f64) -> String {
    let text = if value.abs() < 100.0 { format!("{value:.4}") } else { format!("{value:.1}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn chart(report: &Report) -> plot::Chart {
    let series = report.series.iter().map(|s| plot::Series { label: s.label.clone(), points: s.points.clone() });
    plot::Chart {
        title: report.about.to_owned(),
        x_label: report.x_label.to_owned(),
        y_label: report.y_label.to_owned(),
        series: series.collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args(scenarios: &[&str], plot: Option<PathBuf>) -> SimulateArgs {
        let scenarios = scenarios.iter().map(|name| (*name).to_owned()).collect();
        SimulateArgs { scenarios, list: false, seed: 1, plot }
    }

    #[test]
    fn a_report_is_a_table_with_a_line_for_every_row() {
        let report = Scenario::find("wash").unwrap().run(1).unwrap();
        let text = text(&report);
        assert!(text.starts_with("wash: Loss of one who owns every role"));
        assert_eq!(text.lines().count(), 2 + report.rows.len());
        assert!(text.contains("rho 0.6") && text.contains("0.6"));
    }

    #[test]
    fn one_scenario_is_plotted_and_several_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shares.svg");
        let refused = run(&args(&["wash", "shock"], Some(path.clone())), true).unwrap_err().to_string();
        assert!(refused.contains("one scenario") && !path.exists());
        run(&args(&["shock"], Some(path.clone())), true).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("provider"));
        assert!(run(&args(&["sniping"], Some(path)), true).is_err(), "a scenario without curves has no chart");
    }
}
