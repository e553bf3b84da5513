//! An editor for code: colours, line numbers, places that are wrong.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use egui::text::{CCursor, CCursorRange, LayoutJob, TextFormat};
use egui::{
    Align2, Color32, FontId, Galley, Id, Pos2, Rect, Response, Stroke, TextEdit, Ui, pos2, vec2,
};

use crate::theme::{Palette, palette};

/// Points between the line numbers and the text.
const GUTTER_GAP: f32 = 10.0;
/// Points between two waves of a line under what is wrong.
const WAVE: f32 = 4.0;

/// What a part of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeKind {
    /// A word of the language.
    Keyword,
    /// A function or a type.
    Function,
    /// A text in quotes.
    String,
    /// A number.
    Number,
    /// A comment.
    Comment,
}

impl CodeKind {
    fn color(self, palette: &Palette) -> Color32 {
        match self {
            Self::Keyword => palette.keyword,
            Self::Function => palette.function,
            Self::String => palette.string,
            Self::Number => palette.number,
            Self::Comment => palette.comment,
        }
    }
}

/// A part of a text: bytes, in order and apart from each other. What no part names is plain.
pub type CodePart = (Range<usize>, CodeKind);

/// A place that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Squiggle {
    /// Characters from the beginning.
    pub chars: Range<usize>,
    /// Shown beside the pointer.
    pub message: String,
}

/// A text that is edited, and what is computed from it only once.
#[derive(Debug, Default)]
pub struct Editor {
    /// The text.
    pub text: String,
    cached: Option<(u64, LayoutJob)>,
    /// Where the caret is to be in the next frame, in characters.
    caret_wanted: Option<usize>,
    /// The keyboard is to come here in the next frame.
    focus_wanted: bool,
}

/// What an editor looked like.
#[derive(Debug)]
pub struct EditorOutput {
    /// Of the text.
    pub response: Response,
    /// The caret: characters from the beginning, and the end of what is chosen besides it.
    pub caret: Option<(usize, usize)>,
    /// Where the caret stands on the screen.
    pub caret_rect: Option<Rect>,
}

impl Editor {
    /// With a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The keyboard comes here.
    pub fn focus(&mut self) {
        self.focus_wanted = true;
    }

    /// The caret goes there: characters from the beginning.
    pub fn set_caret(&mut self, at: usize) {
        self.caret_wanted = Some(at);
        self.focus_wanted = true;
    }

    /// Draws in all the room that there is.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        id: Id,
        highlight: &dyn Fn(&str) -> Vec<CodePart>,
        squiggles: &[Squiggle],
    ) -> EditorOutput {
        let colors = palette(ui);
        let font = egui::TextStyle::Monospace.resolve(ui.style());
        let lines = self.text.split('\n').count();
        let digits = lines.to_string().len().max(2);
        let gutter = digit_width(ui, &font) * small(digits) + GUTTER_GAP * 2.0;
        let Self {
            text,
            cached,
            caret_wanted,
            focus_wanted,
        } = self;
        egui::Frame::new()
            .fill(colors.paper)
            .stroke(ui.visuals().widgets.noninteractive.bg_stroke)
            .show(ui, |ui| {
                egui::ScrollArea::both()
                    .id_salt(id.with("scroll"))
                    .auto_shrink(false)
                    .show(ui, |ui| {
                        if let Some(at) = caret_wanted.take() {
                            let mut state = TextEdit::load_state(ui.ctx(), id).unwrap_or_default();
                            let range = CCursorRange::one(CCursor::new(at));
                            state.cursor.set_char_range(Some(range));
                            state.store(ui.ctx(), id);
                        }
                        let mut layouter = |ui: &Ui, text: &dyn egui::TextBuffer, _: f32| {
                            let job = layout(cached, text.as_str(), &font, colors, highlight);
                            ui.fonts_mut(|fonts| fonts.layout_job(job))
                        };
                        ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
                        ui.horizontal_top(|ui| {
                            let at = ui.cursor().min;
                            ui.add_space(gutter);
                            let output = TextEdit::multiline(text)
                                .id(id)
                                .code_editor()
                                .frame(egui::Frame::new())
                                .margin(egui::Margin::symmetric(4, 6))
                                .desired_width(f32::INFINITY)
                                .min_size(ui.available_size())
                                .layouter(&mut layouter)
                                .show(ui);
                            if std::mem::take(focus_wanted) {
                                output.response.request_focus();
                            }
                            let galley = &output.galley;
                            paint_numbers(
                                ui,
                                at.x + gutter - GUTTER_GAP,
                                output.galley_pos,
                                galley,
                            );
                            for squiggle in squiggles {
                                paint_squiggle(ui, squiggle, output.galley_pos, galley, colors.bad);
                            }
                            let caret = output
                                .cursor_range
                                .map(|range| (range.primary.index, range.secondary.index));
                            let caret_rect = output.cursor_range.map(|range| {
                                galley
                                    .pos_from_cursor(range.primary)
                                    .translate(output.galley_pos.to_vec2())
                            });
                            EditorOutput {
                                response: output.response.response,
                                caret,
                                caret_rect,
                            }
                        })
                        .inner
                    })
                    .inner
            })
            .inner
    }
}

#[allow(clippy::cast_precision_loss, reason = "a few digits")]
fn small(count: usize) -> f32 {
    count as f32
}

fn digit_width(ui: &Ui, font: &FontId) -> f32 {
    ui.fonts_mut(|fonts| fonts.glyph_width(font, '0'))
}

/// The text with its colours; computed anew only when text or colours changed.
fn layout(
    cached: &mut Option<(u64, LayoutJob)>,
    text: &str,
    font: &FontId,
    colors: &'static Palette,
    highlight: &dyn Fn(&str) -> Vec<CodePart>,
) -> LayoutJob {
    let mut hasher = DefaultHasher::new();
    (text, std::ptr::from_ref(colors).addr()).hash(&mut hasher);
    let key = hasher.finish();
    if let Some((known, job)) = cached
        && *known == key
    {
        return job.clone();
    }
    let mut job = LayoutJob::default();
    let mut append = |range: Range<usize>, color| {
        if let Some(part) = text.get(range).filter(|part| !part.is_empty()) {
            job.append(part, 0.0, TextFormat::simple(font.clone(), color));
        }
    };
    let mut at = 0;
    for (range, kind) in highlight(text) {
        append(at..range.start, colors.text);
        at = range.end.max(at);
        append(range, kind.color(colors));
    }
    append(at..text.len(), colors.text);
    // An empty text still needs a font, for the caret's height.
    if job.sections.is_empty() {
        job =
            LayoutJob::simple_format(String::new(), TextFormat::simple(font.clone(), colors.text));
    }
    job.wrap.max_width = f32::INFINITY;
    *cached = Some((key, job.clone()));
    job
}

fn paint_numbers(ui: &Ui, right: f32, at: Pos2, galley: &Arc<Galley>) {
    let font = egui::TextStyle::Small.resolve(ui.style());
    let color = palette(ui).weak;
    let clip = ui.clip_rect();
    let mut number: u32 = 1;
    let mut begins_line = true;
    for row in &galley.rows {
        if begins_line {
            let y = at.y + row.rect().center().y;
            if clip.y_range().contains(y) {
                let at = pos2(right, y);
                ui.painter()
                    .text(at, Align2::RIGHT_CENTER, number, font.clone(), color);
            }
            number = number.saturating_add(1);
        }
        begins_line = row.ends_with_newline;
    }
}

fn paint_squiggle(ui: &Ui, squiggle: &Squiggle, at: Pos2, galley: &Arc<Galley>, color: Color32) {
    let place = |chars| {
        galley
            .pos_from_cursor(CCursor::new(chars))
            .translate(at.to_vec2())
    };
    let (first, last) = (place(squiggle.chars.start), place(squiggle.chars.end));
    // A place that goes over lines is marked on its first.
    let right = if (last.min.y - first.min.y).abs() < 1.0 {
        last.min.x
    } else {
        first.min.x
    };
    let right = right.max(first.min.x + 2.0 * WAVE);
    let y = first.max.y - 1.0;
    let mut points = Vec::new();
    let mut x = first.min.x;
    let mut is_up = false;
    while x <= right {
        points.push(pos2(x, if is_up { y - 2.0 } else { y }));
        is_up = !is_up;
        x += WAVE / 2.0;
    }
    ui.painter()
        .add(egui::Shape::line(points, Stroke::new(1.2, color)));
    let area = Rect::from_min_max(first.min, pos2(right, first.max.y));
    if ui.rect_contains_pointer(area) {
        let id = ui.id().with(("squiggle", squiggle.chars.start));
        egui::Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), id, area)
            .gap(4.0)
            .show(|ui| ui.label(&squiggle.message));
    }
}

/// The byte at which a character begins; the text's end where it has fewer.
pub fn byte_of(text: &str, chars: usize) -> usize {
    text.char_indices()
        .nth(chars)
        .map_or(text.len(), |(at, _)| at)
}

/// Characters before a byte.
pub fn char_of(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_bytes_are_not_mixed_up() {
        let text = "a年b";
        assert_eq!(
            [0, 1, 2, 3, 9].map(|chars| byte_of(text, chars)),
            [0, 1, 4, 5, 5]
        );
        assert_eq!([0, 1, 4, 5].map(|byte| char_of(text, byte)), [0, 1, 2, 3]);
    }

    #[test]
    fn colours_cover_the_text_whole_and_are_computed_once() {
        let text = "SELECT 年齢 -- x";
        let parts = |_: &str| vec![(0..6, CodeKind::Keyword), (14..18, CodeKind::Comment)];
        let colors = crate::theme::Contrast::Normal.palette();
        let mut cached = None;
        let font = FontId::monospace(13.0);
        let job = layout(&mut cached, text, &font, colors, &parts);
        assert_eq!(job.text, text);
        assert_eq!(job.sections.len(), 3);
        let never = |_: &str| -> Vec<CodePart> { panic!("computed twice") };
        assert_eq!(layout(&mut cached, text, &font, colors, &never), job);
    }

    #[test]
    fn parts_that_overlap_lose_no_text() {
        let parts = |_: &str| vec![(0..4, CodeKind::Keyword), (4..6, CodeKind::Number)];
        let colors = crate::theme::Contrast::High.palette();
        let job = layout(
            &mut None,
            "abcdef gh",
            &FontId::monospace(13.0),
            colors,
            &parts,
        );
        assert_eq!(job.text, "abcdef gh");
    }
}
