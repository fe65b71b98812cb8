//! Connections per server over time, for one scheduler.

use plotters::prelude::*;

use crate::compare::Comparison;
use crate::figures::Figures;
use crate::plot::look::Look;
use crate::plot::{Area, DrawnSvg};

/// How many marks there are in a chart, as far as each line has at least two.
const MARKS: usize = 30;

/// The axes. They are the same for all schedulers, so that their charts can be compared, unless one
/// has so many connections that the others would be flat lines.
#[derive(Debug)]
pub(super) struct Scale {
    x_unit: &'static str,
    /// Samples' positions per unit.
    per_unit: f64,
    x_end: f64,
    y_name: &'static str,
    /// None if each chart has its own.
    y_end: Option<f64>,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "a picture")]
    pub(super) fn of(comparison: &Comparison, shown: &[usize]) -> Self {
        let samples = || {
            let figures = comparison.figures.iter();
            figures.flat_map(|figures| &figures.samples)
        };
        let end = samples().map(|sample| sample.at).max().unwrap_or(0).max(1);
        let (x_unit, per_unit) = if comparison.timed {
            unit(end)
        } else {
            ("events", 1.0)
        };
        let highest = comparison.figures.iter().map(|it| most(it, shown));
        let (least, most) = (highest.clone().min(), highest.max());
        let shared = least.zip(most).filter(|(least, most)| 3 * least >= *most);
        Self {
            x_unit,
            per_unit,
            x_end: end as f64 / per_unit,
            y_name: comparison.counted.name(),
            y_end: shared.map(|(_, most)| top(most)),
        }
    }

    /// Whether connections have the same scale in all charts.
    pub(super) const fn is_shared(&self) -> bool {
        self.y_end.is_some()
    }
}

/// The most connections that one of these servers had.
fn most(figures: &Figures, shown: &[usize]) -> u32 {
    let samples = figures.samples.iter();
    let connections = samples.flat_map(|sample| {
        let columns = shown.iter();
        columns.filter_map(|&column| sample.connections.get(column))
    });
    connections.copied().max().unwrap_or(0)
}

/// Where an axis for so many connections ends.
fn top(connections: u32) -> f64 {
    1.06 * f64::from(connections.max(1))
}

/// A unit in which so many microseconds are a handy number.
const fn unit(microseconds: u64) -> (&'static str, f64) {
    match microseconds / 1_000_000 {
        0..2 => ("time, ms", 1e3),
        2..600 => ("time, s", 1e6),
        600..14_400 => ("time, min", 60e6),
        14_400..345_600 => ("time, h", 3600e6),
        _ => ("time, d", 86_400e6),
    }
}

pub(super) fn draw(area: &Area<'_>, figures: &Figures, shown: &[usize], scale: &Scale) -> DrawnSvg {
    let y_end = scale.y_end.unwrap_or_else(|| top(most(figures, shown)));
    let mut chart = ChartBuilder::on(area)
        .caption(&figures.scheduler, ("sans-serif", 18))
        .margin(8)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..scale.x_end, 0.0..y_end)?;
    chart
        .configure_mesh()
        .x_desc(scale.x_unit)
        .y_desc(scale.y_name)
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|x| label(*x, scale.x_end))
        .y_label_formatter(&|y| label(*y, y_end))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_desc_style(("sans-serif", 14))
        .label_style(("sans-serif", 13))
        .draw()?;
    for (place, &column) in shown.iter().enumerate() {
        let look = Look::of(place);
        let points: Vec<(f64, f64)> = figures
            .samples
            .iter()
            .map(|sample| {
                let connections = sample.connections.get(column).copied().unwrap_or(0);
                #[expect(clippy::cast_precision_loss, reason = "a picture")]
                let x = sample.at as f64 / scale.per_unit;
                (x, f64::from(connections))
            })
            .collect();
        match look.dashes() {
            None => {
                let line = LineSeries::new(points.iter().copied(), look.line());
                chart.draw_series(line)?;
            }
            Some((dash, gap)) => {
                let line = DashedLineSeries::new(points.iter().copied(), dash, gap, look.line());
                chart.draw_series(line)?;
            }
        }
        // Marks of different servers are not above each other.
        let lines = shown.len();
        let distance = (points.len() / (MARKS / lines).clamp(2, 6)).max(1);
        let first = distance * (place + 1) / (lines + 1);
        for point in points.iter().skip(first).step_by(distance) {
            let pixel = chart.backend_coord(point);
            let (left, top) = area.get_base_pixel();
            look.mark(area, (pixel.0 - left, pixel.1 - top))?;
        }
    }
    Ok(())
}

/// A number with as many decimals as the length of its axis asks for.
fn label(number: f64, end: f64) -> String {
    if end < 3.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}
