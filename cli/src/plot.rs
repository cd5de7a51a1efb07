//! Line charts as SVG: what `--plot FILE.svg` writes.

use anyhow::{Context, bail};
use plotters::coord::{Shift, types::RangedCoordf64};
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

const SIZE: (u32, u32) = (960, 540);
/// Width of a legend's line and gaps, and about that of a letter, pixels.
const LEGEND_LINE: usize = 40;
const LETTER: usize = 7;
/// Colours that stay apart for colour-blind readers (Okabe and Ito), reused in order.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(120, 94, 240),
];
const GREY: RGBColor = RGBColor(220, 220, 220);

/// One curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// For the legend.
    pub label: String,
    /// (x, y), x rising.
    pub points: Vec<(f64, f64)>,
}

/// Curves over common axes.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
}

impl Chart {
    /// Writes the chart; the file's name must end in `.svg`, and there must be something to draw.
    pub fn write_svg(&self, path: &Path) -> anyhow::Result<()> {
        if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("svg")) {
            bail!("{} is no SVG file: name it like shares.svg", path.display());
        }
        let svg = self.svg()?;
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The chart as SVG text.
    fn svg(&self) -> anyhow::Result<String> {
        let (Some(x), Some(y)) = (self.range(|(x, _)| x, 0.0), self.range(|(_, y)| y, 0.05)) else {
            bail!("there is nothing to plot yet");
        };
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&root, x, y).map_err(|error| anyhow::anyhow!("cannot draw the chart: {error}"))?;
        drop(root);
        Ok(svg)
    }

    fn draw<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, Shift>,
        x: Range<f64>,
        y: Range<f64>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        root.fill(&WHITE)?;
        // The legend stands beside the curves and never on them.
        let letters = self.series.iter().map(|series| series.label.chars().count()).max().unwrap_or(0);
        let legend_width = u32::try_from(LEGEND_LINE + letters * LETTER).unwrap_or(0).min(SIZE.0 / 2);
        let (plot, legend) = root.split_horizontally(SIZE.0 - legend_width);
        let mut chart = ChartBuilder::on(&plot)
            .caption(&self.title, ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(axis(x), axis(y))?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .bold_line_style(GREY)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 16))
            .draw()?;
        for ((series, colour), row) in self.series.iter().zip(COLOURS.iter().cycle()).zip(0i32..) {
            let style = colour.stroke_width(2);
            match series.points[..] {
                [point] => chart.draw_series([Circle::new(point, 3, colour.filled())]).map(drop)?,
                _ => chart.draw_series(LineSeries::new(series.points.iter().copied(), style)).map(drop)?,
            }
            let y = 64 + 22 * row;
            legend.draw(&PathElement::new([(0, y), (18, y)], style))?;
            legend.draw(&Text::new(series.label.as_str(), (26, y - 7), ("sans-serif", 14)))?;
        }
        root.present()
    }

    /// From the least to the greatest value with `margin` of their distance on both sides; never empty. `None` without
    /// a point.
    fn range(&self, of: impl Fn((f64, f64)) -> f64, margin: f64) -> Option<Range<f64>> {
        let values = || self.series.iter().flat_map(|series| &series.points).map(|point| of(*point));
        let least = values().min_by(f64::total_cmp)?;
        let most = values().max_by(f64::total_cmp)?;
        if !least.is_finite() || !most.is_finite() {
            return None;
        }
        if least == most {
            let around = (least.abs() * 0.05).max(0.5);
            return Some(least - around..most + around);
        }
        let room = (most - least) * margin;
        Some(least - room..most + room)
    }
}

fn axis(range: Range<f64>) -> RangedCoordf64 {
    range.into()
}

/// As many decimals as the value needs, and thousands set apart: 12,500 or 0.25.
fn number(value: f64) -> String {
    let text = format!("{:.4}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chart(points: &[(f64, f64)]) -> Chart {
        let series = Series { label: "provider".to_owned(), points: points.to_vec() };
        Chart {
            title: "Shares & prices".to_owned(),
            x_label: "pricing epoch".to_owned(),
            y_label: "share, %".to_owned(),
            series: vec![series],
        }
    }

    #[test]
    fn a_chart_carries_its_title_its_axes_and_its_legend() {
        let svg = chart(&[(0.0, 20.0), (1.0, 30.0), (2.0, 25.0)]).svg().unwrap();
        for text in ["<svg", "Shares &amp; prices", "pricing epoch", "share, %", "provider", "<polyline", "</svg>"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn one_point_and_a_level_line_have_axes_too() {
        assert!(chart(&[(3.0, 7.0)]).svg().unwrap().contains("<circle"));
        assert!(chart(&[(0.0, 5.0), (1.0, 5.0)]).svg().unwrap().contains("<polyline"));
    }

    #[test]
    fn nothing_to_plot_and_other_files_are_refused() {
        assert!(chart(&[]).svg().unwrap_err().to_string().contains("nothing to plot"));
        assert!(chart(&[(0.0, f64::NAN)]).svg().is_err());
        let folder = tempfile::tempdir().unwrap();
        let png = folder.path().join("shares.png");
        assert!(chart(&[(0.0, 1.0)]).write_svg(&png).unwrap_err().to_string().contains("shares.svg"));
        assert!(!png.exists());
        let svg = folder.path().join("shares.SVG");
        chart(&[(0.0, 1.0)]).write_svg(&svg).unwrap();
        assert!(svg.exists());
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.25, "0.25"),
            (12_500.0, "12,500"),
            (-1_234_567.5, "-1,234,567.5"),
            (999.0, "999"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
