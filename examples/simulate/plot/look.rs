//! How servers are told apart: by colour, by marks, and from the ninth on by dashes.

use plotters::prelude::*;
use plotters::style::ShapeStyle;

use crate::plot::{Area, DrawnSvg};

/// The colours of Okabe and Ito, which people with any kind of colour vision tell apart ("Color
/// Universal Design", 2008); those with the best contrast to white first.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),   // blue
    RGBColor(213, 94, 0),    // vermillion
    RGBColor(0, 158, 115),   // bluish green
    RGBColor(230, 159, 0),   // orange
    RGBColor(86, 180, 233),  // sky blue
    RGBColor(204, 121, 167), // reddish purple
    RGBColor(0, 0, 0),       // black
    RGBColor(240, 228, 66),  // yellow
];

/// The look of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    /// How often all colours have been used before.
    pub(super) cycle: usize,
    index: usize,
}

impl Look {
    pub(super) fn of(index: usize) -> Self {
        Self {
            colour: COLOURS.into_iter().cycle().nth(index).unwrap_or(BLACK),
            cycle: index / COLOURS.len(),
            index,
        }
    }

    pub(super) fn line(self) -> ShapeStyle {
        self.colour.stroke_width(2)
    }

    /// Dash and gap; none for a solid line.
    pub(super) const fn dashes(self) -> Option<(u32, u32)> {
        match self.cycle {
            0 => None,
            1 => Some((9, 5)),
            _ => Some((3, 4)),
        }
    }

    /// Where between `from` and `to` the line has gaps.
    pub(super) fn gaps(self, from: i32, to: i32) -> Vec<(i32, i32)> {
        let Some((dash, gap)) = self.dashes() else {
            return Vec::new();
        };
        let (dash, gap) = (dash.cast_signed(), gap.cast_signed());
        let starts = (0..).map(|number| from + number * (dash + gap) + dash);
        starts
            .take_while(|start| *start < to)
            .map(|start| (start, (start + gap).min(to)))
            .collect()
    }

    /// Black or white, whichever is read better on the colour.
    pub(super) fn ink(self) -> RGBColor {
        let RGBColor(red, green, blue) = self.colour;
        let luminance = 3 * u32::from(red) + 6 * u32::from(green) + u32::from(blue);
        if luminance > 1300 { BLACK } else { WHITE }
    }

    /// Fills a rectangle; colours that come again are striped.
    pub(super) fn fill(self, area: &Area<'_>, corners: [(i32, i32); 2]) -> DrawnSvg {
        let [(left, top), (right, bottom)] = corners;
        if bottom <= top {
            return Ok(());
        }
        area.draw(&Rectangle::new(corners, self.colour.filled()))?;
        if self.cycle > 0 {
            let distance = if self.cycle == 1 { 8 } else { 4 };
            for y in (top..bottom).step_by(distance).skip(1) {
                let stripe = vec![(left, y), (right, y)];
                area.draw(&PathElement::new(stripe, WHITE.stroke_width(1)))?;
            }
        }
        area.draw(&Rectangle::new(corners, WHITE.stroke_width(1)))
    }

    /// Draws the mark of the server around a point of an area in pixels.
    pub(super) fn mark(self, area: &Area<'_>, (x, y): (i32, i32)) -> DrawnSvg {
        let (fill, edge) = (self.colour.filled(), WHITE.stroke_width(1));
        let corners: &[(i32, i32)] = match self.index % 6 {
            0 => {
                area.draw(&Circle::new((x, y), 5, fill))?;
                return area.draw(&Circle::new((x, y), 5, edge));
            }
            1 => &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
            2 => &[(0, -6), (6, 5), (-6, 5)],
            3 => &[(0, -7), (7, 0), (0, 7), (-7, 0)],
            4 => &[(0, 6), (6, -5), (-6, -5)],
            // A plus.
            _ => &[
                (-2, -6),
                (2, -6),
                (2, -2),
                (6, -2),
                (6, 2),
                (2, 2),
                (2, 6),
                (-2, 6),
                (-2, 2),
                (-6, 2),
                (-6, -2),
                (-2, -2),
            ],
        };
        let mut shape: Vec<(i32, i32)> = corners.iter().map(|(a, b)| (x + a, y + b)).collect();
        area.draw(&Polygon::new(shape.clone(), fill))?;
        shape.extend(shape.first().copied());
        area.draw(&PathElement::new(shape, edge))
    }
}
