//! The picture: connections per server over time for each scheduler, and the share of the flows that
//! each server got.

mod look;
mod shares;
mod time;

use core::fmt::Display;

use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::compare::Comparison;
use crate::figures::Figures;
use look::Look;

const WIDTH: u32 = 1200;
const HEADER: u32 = 64;
const LEGEND: u32 = 210;
/// The height of a chart over time: of one alone, and of several.
const ALONE: u32 = 440;
const PANEL: u32 = 290;
const SHARES: u32 = 400;
/// More servers than this are not told apart by anybody.
const SERVERS: usize = 24;
/// The colour of all the others together.
const OTHERS: RGBColor = RGBColor(170, 170, 170);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The servers that are drawn each by itself, in the order of their appearance: those with the
/// largest share of the flows of any scheduler, if there are too many.
fn shown(comparison: &Comparison) -> Vec<usize> {
    let servers = comparison.figures.first().map_or(0, |it| it.servers.len());
    let largest = |column: usize| {
        let shares = comparison.figures.iter();
        let shares = shares.filter_map(|it| Some(it.share(it.servers.get(column)?)));
        shares.fold(0.0, f64::max)
    };
    let mut columns: Vec<(usize, f64)> = (0..servers).map(|it| (it, largest(it))).collect();
    columns.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut columns: Vec<usize> = columns.into_iter().map(|it| it.0).take(SERVERS).collect();
    columns.sort_unstable();
    columns
}

/// Draws the comparison as an SVG document.
pub(crate) fn draw(comparison: &Comparison) -> Result<String, String> {
    let text = |error: &dyn Display| error.to_string();
    let mut image = String::new();
    let panels = u32::try_from(comparison.figures.len()).map_err(|error| text(&error))?;
    let (columns, rows, height) = if panels == 1 {
        (1, 1, ALONE)
    } else {
        (2, panels.div_ceil(2), panels.div_ceil(2) * PANEL)
    };
    {
        let size = (WIDTH, HEADER + height + SHARES);
        let root = SVGBackend::with_string(&mut image, size).into_drawing_area();
        root.fill(&WHITE).map_err(|error| text(&error))?;
        let (header, body) = root.split_vertically(HEADER);
        let shown = shown(comparison);
        let scale = time::Scale::of(comparison, &shown);
        title(&header, comparison, &scale).map_err(|error| text(&error))?;
        let (charts, side) = body.split_horizontally(WIDTH - LEGEND);
        let (over_time, shares) = charts.split_vertically(height);
        let areas = over_time.split_evenly((rows as usize, columns));
        for (area, figures) in areas.iter().zip(&comparison.figures) {
            time::draw(area, figures, &shown, &scale).map_err(|error| text(&error))?;
        }
        shares::draw(&shares, comparison, &shown).map_err(|error| text(&error))?;
        if let Some(figures) = comparison.figures.first() {
            legend(&side, figures, &shown).map_err(|error| text(&error))?;
        }
        root.present().map_err(|error| text(&error))?;
    }
    Ok(image)
}

type Drawn<E> = Result<(), DrawingAreaErrorKind<E>>;
type DrawnSvg = Drawn<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

fn title(area: &Area<'_>, comparison: &Comparison, scale: &time::Scale) -> DrawnSvg {
    let flows = comparison
        .figures
        .first()
        .map_or(0, |figures| figures.flows);
    let names: Vec<&str> = comparison
        .figures
        .iter()
        .map(|figures| figures.scheduler.as_str())
        .collect();
    let middle = i32::try_from(WIDTH / 2).unwrap_or(0);
    let service = &comparison.service;
    let lines = [
        (
            format!("{service}: {flows} flows through {}", names.join(", ")),
            22,
            20,
        ),
        (
            format!(
                "Top: {} per server over time{}. Bottom: which share of the flows each server got; \
                 dashes: its share by weight.",
                comparison.counted.name(),
                if scale.is_shared() {
                    ""
                } else {
                    ", each chart with a scale of its own"
                }
            ),
            15,
            46,
        ),
    ];
    for (line, size, y) in lines {
        // Longer than the picture is wide would be cut off on both sides.
        let size = size.min(2 * i32::try_from(WIDTH).unwrap_or(0) / (line.len().max(1) as i32));
        area.draw(&Text::new(line, (middle, y), style(size, HPos::Center)))?;
    }
    Ok(())
}

/// Which line and colour is which server.
fn legend(area: &Area<'_>, figures: &Figures, shown: &[usize]) -> DrawnSvg {
    area.draw(&Text::new(
        "server (weight)",
        (16, 24),
        style(15, HPos::Left),
    ))?;
    let mut y = 50;
    let servers = shown.iter().filter_map(|&it| figures.servers.get(it));
    for (index, server) in servers.enumerate() {
        let look = Look::of(index);
        area.draw(&PathElement::new(vec![(16, y), (52, y)], look.line()))?;
        if look.cycle > 0 {
            for gap in look.gaps(16, 52) {
                area.draw(&Rectangle::new(
                    [(gap.0, y - 2), (gap.1, y + 2)],
                    WHITE.filled(),
                ))?;
            }
        }
        look.mark(area, (34, y))?;
        look.fill(area, [(60, y - 9), (80, y + 9)])?;
        let name = format!("{} ({})", server.id, server.weight);
        area.draw(&Text::new(name, (88, y), style(14, HPos::Left)))?;
        y += 22;
    }
    let hidden = figures.servers.len().saturating_sub(shown.len());
    if hidden > 0 {
        let swatch = [(60, y - 9), (80, y + 9)];
        area.draw(&Rectangle::new(swatch, OTHERS.filled()))?;
        let note = format!("{hidden} others");
        area.draw(&Text::new(note, (88, y), style(14, HPos::Left)))?;
        let note = Text::new("(only in the bars)", (16, y + 22), style(13, HPos::Left));
        area.draw(&note)?;
    }
    Ok(())
}

/// Text of that size, in the middle of its line.
fn style(size: i32, horizontal: HPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size).into_font())
        .transform(FontTransform::None)
        .pos(Pos::new(horizontal, VPos::Center))
}
