//! Draws one plot as SVG: a few dozen elements, written out. A plotting library would bring more code than this
//! and could not follow the reader's light or dark page.

use std::fmt::Write as _;

use super::axis::{Axis, Scale, bytes, number};
use super::ink::{LIMIT_INK, STYLE, marker};
use super::sweep::{Chart, Growth};
use crate::record::LIMIT;
use crate::spread::Spread;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 58.0;

/// One server's points: where, and the rounds' median and range.
pub(super) struct Curve<'a> {
    /// Whose.
    pub(super) server: &'a str,
    /// In rising order; not empty.
    pub(super) points: Vec<(f64, Spread)>,
}

/// The area of a plot.
struct Field {
    x: Axis,
    y: Axis,
}

impl Field {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The plot of `curves`. Writing to a `String` cannot fail.
pub(super) fn svg(growth: &Growth, chart: &Chart, curves: &[Curve<'_>]) -> String {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let (low, high) = all().fold((f64::MAX, 0.0f64), |(low, high), (_, y)| (low.min(y.low), high.max(y.high)));
    let (first, last) = all().fold((f64::MAX, 0.0f64), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
    let field = Field { x: Axis::exact(Scale::Log, first, last), y: Axis::roomy(chart.scale, low, high) };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>{0}, by {1}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"card\" x=\".5\" y=\".5\" width=\"{2}\" height=\"{3}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"26\">{0}</text>\n",
        chart.title,
        growth.axis,
        WIDTH - 1.0,
        HEIGHT - 1.0,
    );
    text.push_str(&axes(growth, chart, &field));
    text.push_str(&legend(curves));
    for (index, curve) in curves.iter().enumerate() {
        text.push_str(&drawn(curve, ink(index, curve), &field));
    }
    text.push_str("</svg>\n");
    text
}

/// Lines and their values on both axes, and what the axes are.
fn axes(growth: &Growth, chart: &Chart, field: &Field) -> String {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut text = String::new();
    for value in field.y.lines() {
        let y = field.y(value);
        let _ = writeln!(text, "<line class=\"line\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        let (x, y, label) = (LEFT - 8.0, y + 4.0, number(value));
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>");
    }
    for point in growth.points {
        let value = *point as f64;
        let place = field.x.place(value);
        if !(-0.001..=1.001).contains(&place) {
            continue;
        }
        let (x, label) = (field.x(value), if growth.in_bytes { bytes(value) } else { number(value) });
        let _ = writeln!(text, "<line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", bottom + 18.0);
    }
    let (middle_x, middle_y) = (f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom));
    let _ = writeln!(
        text,
        "<text x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        HEIGHT - 16.0,
        growth.axis
    );
    let _ = writeln!(
        text,
        "<text transform=\"translate(18 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        chart.axis
    );
    text
}

/// Who is who, in a row under the title.
fn legend(curves: &[Curve<'_>]) -> String {
    let mut text = String::new();
    for (index, curve) in curves.iter().enumerate() {
        let (ink, x) = (ink(index, curve), LEFT + 130.0 * index as f64);
        let _ =
            writeln!(text, "<line class=\"curve c{ink}\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"46\" y2=\"46\"/>", x + 26.0);
        text.push_str(&marker(ink, x + 13.0, 46.0));
        let _ = writeln!(text, "<text x=\"{:.1}\" y=\"50\">{}</text>", x + 34.0, curve.server);
    }
    text
}

/// A curve through the medians, with the range of the rounds at each point.
fn drawn(curve: &Curve<'_>, ink: usize, field: &Field) -> String {
    let (mut path, mut ranges, mut markers) = (String::new(), String::new(), String::new());
    for (at, spread) in &curve.points {
        let (x, y) = (field.x(*at), field.y(spread.median));
        let _ = write!(path, "{x:.1},{y:.1} ");
        let (low, high) = (field.y(spread.low), field.y(spread.high));
        if low - high > 1.0 {
            let _ = writeln!(
                ranges,
                "<line class=\"range c{ink}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>"
            );
        }
        markers.push_str(&marker(ink, x, y));
    }
    format!("{ranges}<polyline class=\"curve c{ink}\" points=\"{}\"/>\n{markers}", path.trim_end())
}

fn ink(index: usize, curve: &Curve<'_>) -> usize {
    if curve.server == LIMIT { LIMIT_INK } else { index.min(LIMIT_INK - 1) }
}
