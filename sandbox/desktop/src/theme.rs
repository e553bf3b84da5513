//! Colours, sizes and fonts.
//!
//! The watermark's invisible part moves each pixel a little either way: no large area is brighter than
//! [`BRIGHTEST`] or darker than [`DARKEST`], so that there is room for it.

use std::collections::BTreeMap;

use egui::{
    Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Visuals,
};

/// The brightest level of a large area.
pub const BRIGHTEST: u8 = 250;
/// The darkest level of a large area.
pub const DARKEST: u8 = 8;

/// The look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contrast {
    /// Dark on light, calm.
    #[default]
    Normal,
    /// Light on dark, with strong lines.
    High,
}

/// Colours that egui's visuals have no name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind everything.
    pub back: Color32,
    /// Behind what is read and written: editors, tables.
    pub paper: Color32,
    /// Bars and heads of tables.
    pub bar: Color32,
    /// Every other row.
    pub stripe: Color32,
    /// Thin lines.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Text beside the point.
    pub weak: Color32,
    /// What is chosen or may be pressed.
    pub accent: Color32,
    /// Behind what is chosen.
    pub chosen: Color32,
    /// Text on [`Self::accent`].
    pub on_accent: Color32,
    /// It went well.
    pub good: Color32,
    /// Look at this.
    pub warn: Color32,
    /// It went wrong.
    pub bad: Color32,
    /// Behind a warning.
    pub warn_back: Color32,
    /// Behind an error.
    pub bad_back: Color32,
    /// Code: words of the language.
    pub keyword: Color32,
    /// Code: functions and types.
    pub function: Color32,
    /// Code: text in quotes.
    pub string: Color32,
    /// Code: numbers.
    pub number: Color32,
    /// Code: comments.
    pub comment: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    let [_, r, g, b] = hex.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

/// Grounds and common texts are grey: tiles are sent as green and what red and blue differ from it by, so that
/// the edges of grey letters are sent once and not three times.
const LIGHT: Palette = Palette {
    back: rgb(0x00f0_f0f0),
    paper: rgb(0x00fa_fafa),
    bar: rgb(0x00e8_e8e8),
    stripe: rgb(0x00f4_f4f4),
    line: rgb(0x00d1_d1d1),
    text: rgb(0x0025_2525),
    weak: rgb(0x0065_6565),
    accent: rgb(0x001d_5f8a),
    chosen: rgb(0x00cf_e2ef),
    on_accent: rgb(0x00fa_fafa),
    good: rgb(0x001f_7a4d),
    warn: rgb(0x008a_5a00),
    bad: rgb(0x00b3_2a2a),
    warn_back: rgb(0x00f8_edd2),
    bad_back: rgb(0x00f8_e1e1),
    keyword: rgb(0x001d_4f9c),
    function: rgb(0x0075_4a9a),
    string: rgb(0x0026_7347),
    number: rgb(0x009a_4a12),
    comment: rgb(0x0070_7070),
};

const HIGH: Palette = Palette {
    back: rgb(0x000c_0c0c),
    paper: rgb(0x0008_0808),
    bar: rgb(0x001c_1c1c),
    stripe: rgb(0x0016_1616),
    line: rgb(0x009a_9a9a),
    text: rgb(0x00fa_fafa),
    weak: rgb(0x00d6_d6d6),
    accent: rgb(0x00ff_d84a),
    chosen: rgb(0x0000_4a80),
    on_accent: rgb(0x0008_0808),
    good: rgb(0x0063_e6a0),
    warn: rgb(0x00ff_c247),
    bad: rgb(0x00ff_8a8a),
    warn_back: rgb(0x003a_2c00),
    bad_back: rgb(0x003a_0e0e),
    keyword: rgb(0x0085_c8ff),
    function: rgb(0x00e2_b6ff),
    string: rgb(0x0095_eeb0),
    number: rgb(0x00ff_c89a),
    comment: rgb(0x00bd_bdbd),
};

impl Contrast {
    /// Its colours.
    pub const fn palette(self) -> &'static Palette {
        match self {
            Self::Normal => &LIGHT,
            Self::High => &HIGH,
        }
    }
}

/// The colours in use, for a pane.
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    if ui.visuals().dark_mode {
        &HIGH
    } else {
        &LIGHT
    }
}

/// The style of a look. Nothing in it moves by itself: an idle screen sends nothing.
pub fn style(contrast: Contrast) -> Style {
    let mut style = Style {
        text_styles: text_styles(),
        visuals: visuals(contrast),
        animation_time: 0.0,
        scroll_animation: egui::style::ScrollAnimation::none(),
        ..Style::default()
    };
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    let spacing = &mut style.spacing;
    spacing.item_spacing = egui::vec2(8.0, 6.0);
    spacing.button_padding = egui::vec2(10.0, 4.0);
    spacing.interact_size = egui::vec2(32.0, 26.0);
    spacing.menu_margin = Margin::same(6);
    spacing.window_margin = Margin::same(14);
    spacing.combo_height = 320.0;
    spacing.tooltip_width = 420.0;
    spacing.scroll = egui::style::ScrollStyle::solid();
    spacing.scroll.bar_width = 10.0;
    // A row that is half faded is hard to read, and costs bytes.
    spacing.scroll.fade.strength = 0.0;
    style
}

fn text_styles() -> BTreeMap<TextStyle, FontId> {
    BTreeMap::from([
        (TextStyle::Small, FontId::proportional(12.0)),
        (TextStyle::Body, FontId::proportional(14.0)),
        (TextStyle::Button, FontId::proportional(14.0)),
        (TextStyle::Heading, FontId::proportional(19.0)),
        (TextStyle::Monospace, FontId::monospace(13.5)),
    ])
}

fn visuals(contrast: Contrast) -> Visuals {
    let p = contrast.palette();
    let mut visuals = match contrast {
        Contrast::Normal => Visuals::light(),
        Contrast::High => Visuals::dark(),
    };
    let is_high = contrast == Contrast::High;
    let line = Stroke::new(if is_high { 1.5 } else { 1.0 }, p.line);
    let radius = CornerRadius::same(4);
    visuals.panel_fill = p.back;
    visuals.window_fill = p.paper;
    visuals.window_stroke = line;
    visuals.window_corner_radius = CornerRadius::same(6);
    visuals.menu_corner_radius = CornerRadius::same(5);
    visuals.window_shadow = Shadow {
        offset: [0, 4],
        blur: 12,
        spread: 0,
        color: Color32::from_black_alpha(40),
    };
    visuals.popup_shadow = Shadow {
        offset: [0, 2],
        blur: 6,
        spread: 0,
        color: Color32::from_black_alpha(36),
    };
    visuals.extreme_bg_color = p.paper;
    visuals.text_edit_bg_color = Some(p.paper);
    visuals.code_bg_color = p.bar;
    visuals.faint_bg_color = p.stripe;
    visuals.hyperlink_color = p.accent;
    visuals.warn_fg_color = p.warn;
    visuals.error_fg_color = p.bad;
    visuals.weak_text_color = Some(p.weak);
    visuals.selection.bg_fill = p.chosen;
    visuals.selection.stroke = Stroke::new(1.0, p.text);
    visuals.text_cursor.stroke = Stroke::new(2.0, p.accent);
    // A caret that blinks sends frames for ever.
    visuals.text_cursor.blink = false;
    visuals.button_frame = true;
    visuals.slider_trailing_fill = true;
    let w = &mut visuals.widgets;
    for (widget, fill, stroke, text) in [
        (&mut w.noninteractive, p.back, line, p.text),
        (&mut w.inactive, p.bar, line, p.text),
        (
            &mut w.hovered,
            p.chosen,
            Stroke::new(line.width, p.accent),
            p.text,
        ),
        (&mut w.active, p.chosen, Stroke::new(2.0, p.accent), p.text),
        (
            &mut w.open,
            p.chosen,
            Stroke::new(line.width, p.accent),
            p.text,
        ),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = stroke;
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    visuals
}

/// A place for one line of text, as high as a button.
pub fn field<'t>(text: &'t mut String, hint: &'static str) -> egui::TextEdit<'t> {
    egui::TextEdit::singleline(text)
        .hint_text(hint)
        .margin(Margin::symmetric(8, 5))
        .desired_width(f32::INFINITY)
}

/// Fonts: `text` for everything, egui's own monospaced one for code, `text` where that has no glyph.
/// The bytes live as long as the process: a copy for each size would be megabytes.
pub fn fonts(text: Option<&'static [u8]>, mono: Option<&'static [u8]>) -> egui::FontDefinitions {
    let mut fonts = egui::FontDefinitions::default();
    let mut add = |name: &str, bytes: &'static [u8], family: FontFamily, first: bool| {
        let data = egui::FontData::from_static(bytes);
        fonts.font_data.insert(name.to_owned(), data.into());
        let names = fonts.families.entry(family).or_default();
        let at = if first { 0 } else { 1.min(names.len()) };
        names.insert(at, name.to_owned());
    };
    if let Some(bytes) = text {
        add("text", bytes, FontFamily::Proportional, true);
        add("text", bytes, FontFamily::Monospace, false);
    }
    if let Some(bytes) = mono {
        add("mono", bytes, FontFamily::Monospace, true);
    }
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(color: Color32) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
    }

    fn ratio(a: Color32, b: Color32) -> f64 {
        let (a, b) = (level(a), level(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn texts_can_be_read_on_every_ground() {
        // WCAG 2.2: 4.5 for text (AA), 7 for the high contrast (AAA).
        for (contrast, least) in [(Contrast::Normal, 4.5), (Contrast::High, 7.0)] {
            let p = contrast.palette();
            let texts = [
                p.text, p.weak, p.keyword, p.function, p.string, p.number, p.comment,
            ];
            for text in texts.into_iter().chain([p.good, p.warn, p.bad, p.accent]) {
                assert!(
                    ratio(text, p.paper) >= least,
                    "{contrast:?} {text:?} {}",
                    ratio(text, p.paper)
                );
            }
            for (text, back) in [
                (p.text, p.chosen),
                (p.text, p.bar),
                (p.weak, p.back),
                (p.on_accent, p.accent),
                (p.warn, p.warn_back),
                (p.bad, p.bad_back),
            ] {
                assert!(
                    ratio(text, back) >= least,
                    "{contrast:?} {text:?} {back:?} {}",
                    ratio(text, back)
                );
            }
        }
    }

    #[test]
    fn grounds_leave_room_for_the_invisible_mark() {
        for contrast in [Contrast::Normal, Contrast::High] {
            let p = contrast.palette();
            for ground in [
                p.back,
                p.paper,
                p.bar,
                p.stripe,
                p.chosen,
                p.warn_back,
                p.bad_back,
            ] {
                let green = ground.g();
                assert!(
                    (DARKEST..=BRIGHTEST).contains(&green),
                    "{contrast:?} {ground:?}"
                );
            }
        }
    }

    #[test]
    fn grounds_and_common_texts_are_grey() {
        for contrast in [Contrast::Normal, Contrast::High] {
            let p = contrast.palette();
            for colour in [
                p.back, p.paper, p.bar, p.stripe, p.line, p.text, p.weak, p.comment,
            ] {
                let [red, green, blue, _] = colour.to_array();
                assert!(red == green && green == blue, "{contrast:?} {colour:?}");
            }
        }
    }

    #[test]
    fn nothing_moves_by_itself() {
        for contrast in [Contrast::Normal, Contrast::High] {
            let style = style(contrast);
            assert!(!style.visuals.text_cursor.blink);
            assert_eq!(style.animation_time, 0.0);
        }
    }
}
