//! Draws a chart with egui's strokes. Every word lies level: turned letters are hard to read.

mod axes;
mod marks;
mod readout;

use egui::{Color32, FontId, Painter, Pos2, Rect, Sense, Stroke, Ui, Vec2, pos2, vec2};
use kekkai_output::FigureKind;
use kekkai_types::Lang;

use crate::chart::pens::{Pen, pen};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::Scale;

/// A mark: of which series, which one.
pub type Chosen = (usize, usize);

/// What stands around a chart.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Above it.
    pub title: &'a str,
    /// Under the horizontal axis.
    pub x: &'a str,
    /// Above the vertical axis.
    pub y: &'a str,
    /// Whose words.
    pub lang: Lang,
}

/// A mark as it was drawn, for the pointer.
#[derive(Debug, Clone, Copy)]
struct Spot {
    chosen: Chosen,
    rect: Rect,
}

/// Inks and letters.
struct Ink {
    text: Color32,
    weak: Color32,
    guide: Color32,
    ground: Color32,
    is_dark: bool,
    font: FontId,
    small: FontId,
}

/// What is drawn with and where.
struct Sheet<'a> {
    painter: Painter,
    plot: &'a Plot,
    labels: Labels<'a>,
    ink: Ink,
    /// Inside the axes.
    area: Rect,
    x: Scale,
    y: Scale,
}

/// Draws; the pointer or the arrow keys choose a mark, whose values are shown.
pub fn show(
    ui: &mut Ui,
    plot: &Plot,
    labels: Labels<'_>,
    chosen: &mut Option<Chosen>,
    size: Vec2,
) -> egui::Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let visuals = ui.visuals();
    let ink = Ink {
        text: visuals.text_color(),
        weak: visuals.weak_text_color(),
        guide: crate::theme::palette(ui).line.gamma_multiply(0.55),
        ground: crate::theme::palette(ui).paper,
        is_dark: visuals.dark_mode,
        font: FontId::proportional(13.0),
        small: FontId::proportional(12.0),
    };
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 4.0, ink.ground);
    let (x, y) = scales(plot);
    let mut sheet = Sheet {
        painter,
        plot,
        labels,
        ink,
        area: rect.shrink(14.0),
        x,
        y,
    };
    sheet.frame();
    let spots = sheet.marks();
    if response.clicked() {
        response.request_focus();
    }
    let pointer = response
        .hover_pos()
        .filter(|at| sheet.area.expand(6.0).contains(*at));
    if let Some(at) = pointer {
        *chosen = nearest(&spots, at);
    } else if response.has_focus() {
        readout::keys(ui, &response, plot, chosen);
    } else {
        *chosen = None;
    }
    if let Some(spot) = spots.iter().find(|spot| Some(spot.chosen) == *chosen) {
        sheet.readout(spot);
    }
    if response.has_focus() {
        let stroke = ui.visuals().widgets.hovered.bg_stroke;
        ui.painter()
            .rect_stroke(rect, 4.0, stroke, egui::StrokeKind::Inside);
    }
    response
}

/// The mark under the pointer, or close to it.
fn nearest(spots: &[Spot], at: Pos2) -> Option<Chosen> {
    const REACH: f32 = 22.0;
    spots
        .iter()
        .map(|spot| (spot.rect.distance_to_pos(at), spot))
        .filter(|(distance, _)| *distance <= REACH)
        .min_by(|(a, one), (b, other)| {
            // Inside several, the smaller one: a bar behind another is reached, too.
            a.total_cmp(b)
                .then(one.rect.area().total_cmp(&other.rect.area()))
        })
        .map(|(_, spot)| spot.chosen)
}

fn scales(plot: &Plot) -> (Scale, Scale) {
    let is_log = |axis: &Axis| matches!(axis, Axis::Numbers { is_log: true });
    let marks = || plot.series.iter().flat_map(|series| &series.marks);
    let values = || {
        marks().flat_map(|mark| {
            let ends = [mark.interval, mark.whiskers].into_iter().flatten();
            let ends = ends.flat_map(|(low, high)| [low, high]);
            mark.y.ok().into_iter().chain(ends)
        })
    };
    let places = || marks().flat_map(|mark| std::iter::once(mark.x).chain(mark.x_end));
    let names = |axis: &Axis| match axis {
        Axis::Names(names) => Some(Scale::between(
            -0.5,
            crate::chart::bins::float(names.len().max(1)) - 0.5,
        )),
        _ => None,
    };
    match plot.kind {
        FigureKind::Forest => {
            let neutral = if is_log(&plot.x) { 1.0 } else { 0.0 };
            let x = Scale::over(values(), &[neutral], is_log(&plot.x));
            let rows = names(&plot.y).unwrap_or(Scale::between(-0.5, 0.5));
            (x, rows.turned())
        }
        FigureKind::KaplanMeier => (
            Scale::over(places(), &[0.0], false),
            Scale::between(0.0, 1.0),
        ),
        kind => {
            let is_histogram = kind == FigureKind::Histogram;
            let exact: Vec<f64> = if is_histogram {
                places().collect()
            } else {
                Vec::new()
            };
            let x = names(&plot.x).unwrap_or_else(|| Scale::over(places(), &exact, false));
            // Bars that don't begin at 0 mislead.
            let stands = matches!(kind, FigureKind::Bar | FigureKind::Histogram);
            let also: &[f64] = if stands && !is_log(&plot.y) {
                &[0.0]
            } else {
                &[]
            };
            (x, Scale::over(values(), also, is_log(&plot.y)))
        }
    }
}

/// Points on the screen: far outside it, one place is as good as another.
#[allow(
    clippy::cast_possible_truncation,
    reason = "clamped to what a screen has"
)]
fn points(number: f64) -> f32 {
    number.clamp(-1e6, 1e6) as f32
}

impl Sheet<'_> {
    fn at_x(&self, number: f64) -> Option<f32> {
        let share = self.x.share(number)?;
        Some(points(
            f64::from(self.area.left()) + share * f64::from(self.area.width()),
        ))
    }

    fn at_y(&self, number: f64) -> Option<f32> {
        let share = self.y.share(number)?;
        Some(points(
            f64::from(self.area.bottom()) - share * f64::from(self.area.height()),
        ))
    }

    fn at(&self, x: f64, y: f64) -> Option<Pos2> {
        Some(pos2(self.at_x(x)?, self.at_y(y)?))
    }

    fn pen(&self, series: usize) -> Pen {
        pen(series, self.ink.is_dark)
    }

    /// Words with one of nine places at `at`; cut to `max` points.
    fn words(&self, at: Pos2, align: egui::Align2, text: &str, colour: Color32, max: f32) -> Rect {
        let galley = self.layout(text, &self.ink.small, colour, max);
        let rect = align.anchor_size(at, galley.size());
        self.painter.galley(rect.min, galley, colour);
        rect
    }

    fn layout(
        &self,
        text: &str,
        font: &FontId,
        colour: Color32,
        max: f32,
    ) -> std::sync::Arc<egui::Galley> {
        let mut job =
            egui::text::LayoutJob::simple_singleline(text.to_owned(), font.clone(), colour);
        job.wrap = egui::text::TextWrapping::truncate_at_width(max);
        self.painter.layout_job(job)
    }

    /// A line with a series' dashes.
    fn dashed(&self, painter: &Painter, path: &[Pos2], pen: Pen, width: f32) {
        let stroke = Stroke::new(width, pen.colour);
        if pen.dash.is_empty() {
            painter.line(path.to_vec(), stroke);
            return;
        }
        let on: Vec<f32> = pen.dash.iter().copied().step_by(2).collect();
        let off: Vec<f32> = pen.dash.iter().copied().skip(1).step_by(2).collect();
        painter.extend(egui::Shape::dashed_line_with_offset(
            path, stroke, &on, &off, 0.0,
        ));
    }

    /// A guide line from edge to edge.
    fn guide(&self, from: Pos2, to: Pos2) {
        self.painter
            .line_segment([from, to], Stroke::new(1.0, self.ink.guide));
    }

    /// Takes a strip off the area's left side and so on.
    fn inset(&mut self, left: f32, top: f32, right: f32, bottom: f32) {
        let min = self.area.min + vec2(left, top);
        let max = self.area.max - vec2(right, bottom);
        // Never inside out, however small the window.
        self.area = Rect::from_min_max(min, max.max(min + vec2(20.0, 20.0)));
    }
}
