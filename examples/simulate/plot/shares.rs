//! The share of the flows that each server got, a bar for each scheduler and one for the weights.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::compare::Comparison;
use crate::plot::look::Look;
use crate::plot::{Area, DrawnSvg, OTHERS, style};

pub(super) fn draw(area: &Area<'_>, comparison: &Comparison, shown: &[usize]) -> DrawnSvg {
    let Some(first) = comparison.figures.first() else {
        return Ok(());
    };
    let servers = shown.iter().filter_map(|&it| first.servers.get(it));
    let shares_due = servers.clone().map(|server| first.share_due(server));
    let mut bars = vec![("by weight".to_owned(), shares_due.collect::<Vec<f64>>())];
    for figures in &comparison.figures {
        let servers = shown.iter().filter_map(|&it| figures.servers.get(it));
        let shares = servers.map(|server| figures.share(server));
        bars.push((figures.scheduler.clone(), shares.collect()));
    }
    let ids: Vec<u32> = servers.map(|server| server.id).collect();

    let mut chart = ChartBuilder::on(area)
        .caption("share of the flows", ("sans-serif", 18))
        .margin(8)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d((0..bars.len() - 1).into_segmented(), 0.0..100.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(bars.len())
        .x_label_formatter(&|value| match value {
            SegmentValue::CenterOf(index) | SegmentValue::Exact(index) => bars
                .get(*index)
                .map_or_else(String::new, |bar| bar.0.clone()),
            SegmentValue::Last => String::new(),
        })
        .x_desc("scheduler")
        .y_desc("share of the flows, %")
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .y_label_formatter(&|share| format!("{share:.0}"))
        .axis_desc_style(("sans-serif", 14))
        .label_style(("sans-serif", 14))
        .draw()?;

    let (left_edge, top_edge) = area.get_base_pixel();
    // Where the weights want the borders, seen between the bars.
    let mut border = 0.0;
    for share in bars.iter().take(1).flat_map(|bar| &bar.1) {
        border += 100.0 * share;
        if border > 99.9 {
            break;
        }
        let from = chart.backend_coord(&(SegmentValue::Exact(0), border));
        let to = chart.backend_coord(&(SegmentValue::Exact(bars.len()), border));
        let (mut x, end) = (from.0 - left_edge, to.0 - left_edge);
        let y = from.1 - top_edge;
        while x < end {
            let dash = vec![(x, y), ((x + 5).min(end), y)];
            area.draw(&PathElement::new(dash, BLACK.mix(0.6)))?;
            x += 10;
        }
    }
    let part = |index, below, above| {
        let low = chart.backend_coord(&(SegmentValue::Exact(index), below));
        let high = chart.backend_coord(&(SegmentValue::Exact(index + 1), above));
        let margin = (high.0 - low.0) / 6;
        let (left, right) = (low.0 - left_edge + margin, high.0 - left_edge - margin);
        [(left, high.1 - top_edge), (right, low.1 - top_edge)]
    };
    for (index, (_, shares)) in bars.iter().enumerate() {
        let mut below = 0.0;
        for (column, share) in shares.iter().enumerate() {
            let above = below + 100.0 * share;
            let corners = part(index, below, above);
            let [(left, top), (right, bottom)] = corners;
            Look::of(column).fill(area, corners)?;
            if bottom - top >= 15 {
                let id = ids.get(column).copied().unwrap_or(0);
                // As much as there is room for.
                let words = match right - left {
                    ..36 => String::new(),
                    36..68 => format!("{:.0} %", 100.0 * share),
                    _ => format!("{id}: {:.1} %", 100.0 * share),
                };
                write(area, Look::of(column), &words, corners)?;
            }
            below = above;
        }
        // Those that are not shown, unless nobody got anything.
        if shown.len() < first.servers.len() && below > 0.0 {
            area.draw(&Rectangle::new(part(index, below, 100.0), OTHERS.filled()))?;
        }
    }
    Ok(())
}

/// Words in the middle of a part of a bar.
fn write(area: &Area<'_>, look: Look, words: &str, corners: [(i32, i32); 2]) -> DrawnSvg {
    let [(left, top), (right, bottom)] = corners;
    let (x, y) = ((left + right) / 2, (top + bottom) / 2);
    if look.cycle > 0 {
        // A place without stripes.
        let half = (right - left).min(68) / 2;
        let plate = [(x - half, y - 7), (x + half, y + 7)];
        area.draw(&Rectangle::new(plate, look.colour.filled()))?;
    }
    let ink = look.ink();
    area.draw(&Text::new(
        words.to_owned(),
        (x, y),
        style(13, HPos::Center).color(&ink),
    ))
}
