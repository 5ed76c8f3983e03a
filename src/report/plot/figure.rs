//! [`Figure`]: title, legend, axes and marks, laid out so that nothing lies on the data but data.

use super::scale::Scale;
use plotters::{
    backend::{DrawingBackend, SVGBackend},
    style::{
        Color, FontFamily, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// Okabe and Ito's colours (2008), told apart by people with any colour vision, without the yellow that vanishes on white.
pub(super) const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x33, 0x33, 0x33),
];
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const QUIET: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const FAINT: RGBColor = RGBColor(0xC4, 0xC8, 0xCC);
pub(super) const GRID: RGBColor = RGBColor(0xE6, 0xE8, 0xEA);

/// Width of every figure, pixels.
const WIDTH: i32 = 1000;
const RIGHT: i32 = WIDTH - 28;
/// Average width of a letter over the size of its font: sans-serif fonts stay below.
const LETTER: f64 = 0.56;

/// An entry of the legend.
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) color: RGBColor,
}

/// Where a text hangs on its point.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// A drawing in the making.
pub(super) struct Figure<'a> {
    backend: SVGBackend<'a>,
    x: Scale,
    y: Option<Scale>,
    left: i32,
    top: i32,
    bottom: i32,
}

/// What a figure has around its data.
pub(super) struct Layout<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) legend: &'a [Entry],
    pub(super) x: Scale,
    /// None: the caller labels the rows.
    pub(super) y: Option<Scale>,
    /// Height of the data's area, pixels.
    pub(super) height: i32,
    /// Room for labels on the left, pixels.
    pub(super) left: i32,
}

/// Draws a figure: `layout`, then what `marks` adds.
pub(super) fn draw(layout: Layout<'_>, marks: impl FnOnce(&mut Figure<'_>)) -> String {
    let lines = wrap(layout.subtitle, f64::from(WIDTH - 48) / (12.5 * LETTER));
    let rows = legend_rows(layout.legend);
    let top = 42 + 17 * lines.len() as i32 + if rows.is_empty() { 6 } else { 20 + 20 * rows.len() as i32 };
    let bottom = top + layout.height;
    let mut svg = String::new();
    {
        let size = (WIDTH as u32, (bottom + 56) as u32);
        let backend = SVGBackend::with_string(&mut svg, size);
        let mut figure = Figure { backend, x: layout.x, y: layout.y, left: layout.left, top, bottom };
        figure.rect((0, 0), (WIDTH, bottom + 56), RGBColor(0xFF, 0xFF, 0xFF));
        figure.text((24, 26), layout.title, 17, INK, Align::Left, true);
        for (place, line) in lines.iter().enumerate() {
            figure.text((24, 48 + 17 * place as i32), line, 12, QUIET, Align::Left, false);
        }
        figure.legend(&rows, 52 + 17 * lines.len() as i32);
        figure.grid();
        marks(&mut figure);
        figure.labels();
        figure.backend.present().expect("drawing into memory does not fail");
    }
    svg
}

impl Figure<'_> {
    /// The pixel of a data point.
    pub(super) fn at(&self, x: f64, y: f64) -> (i32, i32) {
        let y = self.y.as_ref().map_or(0.0, |scale| scale.place(y));
        let height = f64::from(self.bottom - self.top);
        (self.column(x), self.bottom - (y * height).round() as i32)
    }

    /// The pixel column of an x value.
    pub(super) fn column(&self, x: f64) -> i32 {
        self.left + (self.x.place(x) * f64::from(RIGHT - self.left)).round() as i32
    }

    /// Upper edge of the data's area.
    pub(super) const fn top(&self) -> i32 {
        self.top
    }

    /// Left and right edge of the data's area.
    pub(super) const fn sides(&self) -> (i32, i32) {
        (self.left, RIGHT)
    }

    /// A line through data points; `step` holds each value until the next point.
    pub(super) fn line(&mut self, points: &[(f64, f64)], color: RGBColor, width: u32, step: bool) {
        let mut path: Vec<(i32, i32)> = Vec::with_capacity(points.len());
        for (x, y) in points {
            let point = self.at(*x, *y);
            if let Some(&(_, before)) = path.last().filter(|before| step && before.1 != point.1) {
                path.push((point.0, before));
            }
            path.push(point);
        }
        let path = straightened(path);
        self.path(&path, color, width);
    }

    /// A small square on each data point.
    pub(super) fn dots(&mut self, points: &[(f64, f64)], color: RGBColor) {
        for (x, y) in points {
            let (column, row) = self.at(*x, *y);
            self.rect((column - 2, row - 2), (column + 3, row + 3), color);
        }
    }

    /// A line through pixels.
    pub(super) fn path(&mut self, path: &[(i32, i32)], color: RGBColor, width: u32) {
        let style = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: width };
        self.backend.draw_path(path.iter().copied(), &style).expect("drawing into memory does not fail");
    }

    /// A horizontal dashed line at `y` with its `label` at the right end, above it.
    pub(super) fn threshold(&mut self, y: f64, label: &str) {
        let (_, row) = self.at(0.0, y);
        let mut column = self.left;
        while column < RIGHT {
            self.path(&[(column, row), ((column + 6).min(RIGHT), row)], QUIET, 1);
            column += 11;
        }
        self.text((RIGHT - 4, row - 8), label, 11, QUIET, Align::Right, false);
    }

    /// A filled rectangle of pixels.
    pub(super) fn rect(&mut self, from: (i32, i32), to: (i32, i32), color: RGBColor) {
        self.backend.draw_rect(from, to, &color.filled(), true).expect("drawing into memory does not fail");
    }

    /// A text, centred vertically on its point.
    pub(super) fn text(
        &mut self,
        at: (i32, i32),
        text: &str,
        size: u32,
        color: RGBColor,
        align: Align,
        bold: bool,
    ) {
        self.turned_text(at, text, size, color, align, bold, FontTransform::None);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a text's looks are that many, and only this file calls it"
    )]
    fn turned_text(
        &mut self,
        at: (i32, i32),
        text: &str,
        size: u32,
        color: RGBColor,
        align: Align,
        bold: bool,
        turn: FontTransform,
    ) {
        let hang = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        let weight = if bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides the size by 1.24 to get the letter's em.
        let font = (FontFamily::SansSerif, f64::from(size) * 1.24).into_font().style(weight).transform(turn);
        let style = TextStyle::from(font).color(&color).pos(Pos::new(hang, VPos::Center));
        self.backend.draw_text(text, &style, at).expect("drawing into memory does not fail");
    }

    fn grid(&mut self) {
        for (value, _) in self.x.ticks.clone() {
            let column = self.column(value);
            self.path(&[(column, self.top), (column, self.bottom)], GRID, 1);
        }
        for (value, _) in self.y.clone().map(|y| y.ticks).unwrap_or_default() {
            let (_, row) = self.at(0.0, value);
            self.path(&[(self.left, row), (RIGHT, row)], GRID, 1);
        }
    }

    fn labels(&mut self) {
        let (left, top, bottom) = (self.left, self.top, self.bottom);
        self.path(&[(left, top), (left, bottom), (RIGHT, bottom)], QUIET, 1);
        for (value, label) in self.x.ticks.clone() {
            let column = self.column(value);
            self.path(&[(column, bottom), (column, bottom + 4)], QUIET, 1);
            self.text((column, bottom + 14), &label, 12, INK, Align::Centre, false);
        }
        let title = self.x.title.clone();
        self.text((i32::midpoint(left, RIGHT), bottom + 38), &title, 12, INK, Align::Centre, false);
        let Some(y) = self.y.clone() else { return };
        for (value, label) in &y.ticks {
            let (_, row) = self.at(0.0, *value);
            self.text((left - 8, row), label, 12, INK, Align::Right, false);
        }
        let middle = (20, i32::midpoint(top, bottom));
        self.turned_text(middle, &y.title, 12, INK, Align::Centre, false, FontTransform::Rotate270);
    }

    fn legend(&mut self, rows: &[Vec<(i32, &Entry)>], top: i32) {
        for (place, row) in rows.iter().enumerate() {
            let middle = top + 8 + 20 * place as i32;
            for (column, entry) in row {
                self.rect((*column, middle - 5), (column + 16, middle + 5), entry.color);
                self.text((column + 22, middle), &entry.label, 12, INK, Align::Left, false);
            }
        }
    }
}

/// `text` cut to `letters`, with an ellipsis where something is missing.
pub(super) fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.into();
    }
    text.chars().take(letters - 1).chain(['…']).collect()
}

/// Legend entries in rows that fit the width, each with its column.
fn legend_rows(entries: &[Entry]) -> Vec<Vec<(i32, &Entry)>> {
    let mut rows: Vec<Vec<(i32, &Entry)>> = Vec::new();
    let mut column = WIDTH;
    for entry in entries {
        let width = 22 + (entry.label.chars().count() as f64 * 12.0 * LETTER) as i32 + 22;
        if column + width > WIDTH - 24 {
            rows.push(Vec::new());
            column = 24;
        }
        if let Some(row) = rows.last_mut() {
            row.push((column, entry));
        }
        column += width;
    }
    rows
}

fn wrap(text: &str, letters: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if ((line.chars().count() + 1 + word.chars().count()) as f64) <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// The same line without points that lie between two others on a horizontal or vertical stretch.
fn straightened(path: Vec<(i32, i32)>) -> Vec<(i32, i32)> {
    let mut kept: Vec<(i32, i32)> = Vec::with_capacity(path.len());
    for point in path {
        if kept.last() == Some(&point) {
            continue;
        }
        if let [.., a, b] = kept[..] {
            let flat = a.1 == b.1 && b.1 == point.1 && (a.0 <= b.0) == (b.0 <= point.0);
            let steep = a.0 == b.0 && b.0 == point.0 && (a.1 <= b.1) == (b.1 <= point.1);
            if flat || steep {
                kept.pop();
            }
        }
        kept.push(point);
    }
    kept
}
