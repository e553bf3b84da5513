//! What every drawing has: axes with their words, guide lines, a legend.

use kekkai_output::Figure;

use crate::canvas::{Anchor, Canvas, FAINT, INK, LETTER, Pen, cut, width};
use crate::scale::Scale;

/// Width of a drawing, in pixels.
pub(crate) const WIDTH: f64 = 720.0;
/// Height of the area inside the axes.
pub(crate) const PLOT_HEIGHT: f64 = 320.0;
/// Room for the words left of the vertical axis.
pub(crate) const LEFT: f64 = 84.0;
/// Room right of the area inside the axes.
pub(crate) const RIGHT: f64 = 24.0;
const TOP: f64 = 16.0;
const LEGEND_ROW: f64 = 20.0;
const LEGEND_WORDS_MAX: f64 = 200.0;

/// Which places the legend's entries have, and where the area inside the axes begins.
pub(crate) struct Legend {
    entries: Vec<(usize, f64, f64, String)>,
    /// The upper end of the area inside the axes.
    pub(crate) top: f64,
}

impl Legend {
    /// Places an entry for each series; one series alone needs none.
    pub(crate) fn of(figure: &Figure) -> Self {
        let mut entries = Vec::new();
        let (mut x, mut row) = (LEFT, 0.0);
        if figure.series.len() > 1 {
            for (index, series) in figure.series.iter().enumerate() {
                let name = cut(&series.name, LEGEND_WORDS_MAX);
                let wide = width(&name) + 40.0;
                if x + wide > WIDTH - RIGHT && x > LEFT {
                    x = LEFT;
                    row += 1.0;
                }
                entries.push((index, x, TOP + row * LEGEND_ROW, name));
                x += wide;
            }
            row += 1.0;
        }
        Self {
            entries,
            top: TOP + row * LEGEND_ROW + 8.0,
        }
    }

    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        for (series, x, y, name) in &self.entries {
            let pen = Pen::of(*series);
            canvas.polyline(&[(*x, y + 6.0), (x + 18.0, y + 6.0)], pen);
            canvas.text((x + 24.0, y + 10.0), Anchor::Start, name);
        }
    }
}

/// The title of a drawing: its axes.
pub(crate) fn title(figure: &Figure) -> String {
    format!("{} × {}", figure.y_label, figure.x_label)
}

/// The vertical axis at the left, with guide lines to the right end.
pub(crate) fn vertical(canvas: &mut Canvas, scale: &Scale, label: &str, top: f64, bottom: f64) {
    for (value, words) in &scale.ticks {
        let y = scale.at(*value);
        canvas.line((LEFT, y), (WIDTH - RIGHT, y), FAINT, 1.0);
        canvas.text((LEFT - 8.0, y + 4.0), Anchor::End, words);
    }
    canvas.line((LEFT, top), (LEFT, bottom), INK, 1.0);
    let middle = f64::midpoint(top, bottom);
    let label = cut(label, bottom - top);
    canvas.turned_text((18.0, middle), Anchor::Middle, &label, -90.0);
}

/// A horizontal axis of numbers.
pub(crate) fn horizontal(canvas: &mut Canvas, scale: &Scale, left: f64, bottom: f64) {
    for (value, words) in &scale.ticks {
        let x = scale.at(*value);
        canvas.line((x, bottom), (x, bottom + 5.0), INK, 1.0);
        canvas.text((x, bottom + 5.0 + LETTER), Anchor::Middle, words);
    }
    canvas.line((left, bottom), (WIDTH - RIGHT, bottom), INK, 1.0);
}

/// Words under the horizontal axis.
pub(crate) fn under(canvas: &mut Canvas, label: &str, left: f64, y: f64) {
    let label = cut(label, WIDTH - RIGHT - left);
    let middle = f64::midpoint(left, WIDTH - RIGHT);
    canvas.text((middle, y), Anchor::Middle, &label);
}
