//! What the client draws itself: the sign-in form and notices. Pure: state in, pixels out, and every pixel
//! of the window is drawn, so that none of a session is left behind.

use kekkai_types::Lang;

use crate::link::Step;
use crate::paint::{Colour, Font, Pixels};
use crate::text::{self, Notice};

const GROUND: Colour = 0x00f4_f5f7;
const CARD: Colour = 0x00ff_ffff;
const BORDER: Colour = 0x00c9_ced6;
const INK: Colour = 0x001c_2430;
const QUIET: Colour = 0x005a_6675;
const ACCENT: Colour = 0x0023_4a7d;
const WARNING_GROUND: Colour = 0x00ff_f1d6;
const WARNING_INK: Colour = 0x0075_4300;
/// What stands where a session's pixels were.
pub const BLACK: Colour = 0;

/// The longest text that a field takes, in characters.
pub const FIELD_CHARS_MAX: usize = 200;
/// Digits of a token's code: 6, and 8 of some tokens.
pub const CODE_DIGITS_MAX: usize = 8;

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub enum Screen<'a> {
    /// Who signs in.
    Name {
        /// So far.
        typed: &'a str,
        /// It can't be a name.
        is_malformed: bool,
    },
    /// Signing in goes on.
    Step(Step),
    /// The token's code is typed.
    Code {
        /// How many digits so far; they are not shown.
        digits: usize,
    },
    /// The line is over.
    Notice {
        /// Why.
        notice: &'a Notice,
        /// Enter signs in again.
        can_go_on: bool,
    },
}

/// What all screens share.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The language.
    pub lang: Lang,
    /// Device pixels per point, in percent.
    pub scale: u16,
    /// Nobody leaves; another person may sign in.
    pub is_kiosk: bool,
    /// Says that the display is not protected.
    pub is_unprotected: bool,
}

impl Style {
    fn px(self, points: u16) -> usize {
        usize::from(points) * usize::from(self.scale) / 100
    }

    fn size(self, points: u16) -> u16 {
        u16::try_from(self.px(points)).unwrap_or(u16::MAX)
    }
}

/// Draws a screen on the whole window.
pub fn draw(pixels: &mut Pixels<'_>, font: &mut Font, style: Style, screen: &Screen<'_>) {
    let lang = style.lang;
    pixels.clear(GROUND);
    let width = style.px(520).min(pixels.width());
    let left = (pixels.width() - width) / 2;
    let padding = style.px(28);
    let inner = width.saturating_sub(2 * padding);
    let top = pixels.height() / 5;
    let height = style.px(300).min(pixels.height().saturating_sub(top));
    pixels.fill(left, top, width, height, BORDER);
    let line = style.px(1).max(1);
    pixels.fill(
        left + line,
        top + line,
        width.saturating_sub(2 * line),
        height.saturating_sub(2 * line),
        CARD,
    );
    let mut pen = Pen {
        pixels,
        font,
        style,
        x: left + padding,
        y: top + padding,
        inner,
    };
    pen.line(20, ACCENT, text::title(lang));
    pen.gap(14);
    match screen {
        Screen::Name {
            typed,
            is_malformed,
        } => {
            pen.paragraph(15, INK, text::who(lang));
            pen.field(typed);
            if *is_malformed {
                pen.paragraph(14, WARNING_INK, text::who_malformed(lang));
            }
            pen.gap(8);
            pen.line(13, QUIET, text::go_on(lang));
            if !style.is_kiosk {
                pen.line(13, QUIET, text::leave(lang));
            }
        }
        Screen::Step(step) => {
            pen.paragraph(17, INK, text::step(*step, lang));
            pen.gap(16);
            pen.line(13, QUIET, text::give_up(lang));
        }
        Screen::Code { digits } => {
            pen.paragraph(15, INK, text::code(lang));
            // As long as what was typed, and nothing of it.
            pen.field(&"●".repeat(*digits));
            pen.gap(8);
            pen.line(13, QUIET, text::go_on(lang));
            pen.line(13, QUIET, text::give_up(lang));
        }
        Screen::Notice { notice, can_go_on } => {
            pen.paragraph(17, INK, &notice.title);
            pen.gap(8);
            pen.paragraph(14, QUIET, &notice.advice);
            pen.gap(12);
            if *can_go_on {
                pen.line(13, INK, text::sign_in_again(lang));
            }
            let aside = if style.is_kiosk {
                text::another(lang)
            } else {
                text::leave(lang)
            };
            pen.line(13, QUIET, aside);
        }
    }
    if style.is_unprotected {
        warning(pixels, font, style);
    }
}

/// The strip at the foot that says that the display is not protected.
fn warning(pixels: &mut Pixels<'_>, font: &mut Font, style: Style) {
    let lines = font.wrap(
        style.size(13),
        pixels.width().saturating_sub(style.px(32)),
        text::unprotected(style.lang),
    );
    let height = lines.len() * style.px(20) + style.px(12);
    let top = pixels.height().saturating_sub(height);
    pixels.fill(0, top, pixels.width(), height, WARNING_GROUND);
    for (number, line) in lines.iter().enumerate() {
        let y = top + style.px(20) * (number + 1);
        let at = (style.px(16), y);
        pixels.text(font, style.size(13), at, WARNING_INK, line);
    }
}

/// Draws what the input method composes, at the caret; gives the rectangle that it covers.
pub fn composition(
    pixels: &mut Pixels<'_>,
    font: &mut Font,
    scale: u16,
    caret: kekkai_frames::Rect,
    composed: &str,
) -> kekkai_frames::Rect {
    // As high as the text around it, within reason.
    let size = caret
        .height
        .saturating_mul(4)
        .div_ceil(5)
        .clamp(scale / 8, scale / 3);
    let width = font.width(size, composed) + 6;
    let height = usize::from(size) * 3 / 2;
    let x = usize::from(caret.x).min(pixels.width().saturating_sub(width));
    let y = usize::from(caret.y).min(pixels.height().saturating_sub(height));
    pixels.fill(x, y, width, height, BORDER);
    let (inner_width, inner_height) = (width.saturating_sub(2), height.saturating_sub(3));
    pixels.fill(x + 1, y + 1, inner_width, inner_height, CARD);
    let baseline = y + usize::from(size) * 11 / 10;
    pixels.text(font, size, (x + 3, baseline), INK, composed);
    let side = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    kekkai_frames::Rect {
        x: side(x),
        y: side(y),
        width: side(width.min(pixels.width())),
        height: side(height.min(pixels.height())),
    }
}

struct Pen<'a, 'b> {
    pixels: &'a mut Pixels<'b>,
    font: &'a mut Font,
    style: Style,
    x: usize,
    y: usize,
    inner: usize,
}

impl Pen<'_, '_> {
    fn gap(&mut self, points: u16) {
        self.y += self.style.px(points);
    }

    fn line(&mut self, points: u16, colour: Colour, text: &str) {
        let size = self.style.size(points);
        let at = (self.x, self.y + usize::from(size));
        self.pixels.text(self.font, size, at, colour, text);
        self.y += usize::from(size) * 8 / 5;
    }

    fn paragraph(&mut self, points: u16, colour: Colour, text: &str) {
        for line in self.font.wrap(self.style.size(points), self.inner, text) {
            self.line(points, colour, &line);
        }
    }

    /// A field with the end of what was typed, and a caret that doesn't blink.
    fn field(&mut self, typed: &str) {
        let style = self.style;
        let (height, size, edge) = (style.px(34), style.size(17), style.px(1).max(1));
        self.gap(4);
        self.pixels.fill(self.x, self.y, self.inner, height, ACCENT);
        let (inner, inside) = (self.inner.saturating_sub(2 * edge), height - 2 * edge);
        self.pixels
            .fill(self.x + edge, self.y + edge, inner, inside, CARD);
        let room = self.inner.saturating_sub(style.px(20));
        let mut shown = typed;
        while self.font.width(size, shown) > room {
            let mut rest = shown.chars();
            rest.next();
            shown = rest.as_str();
        }
        let at = (self.x + style.px(8), self.y + style.px(23));
        let width = self.pixels.text(self.font, size, at, INK, shown);
        let caret = self.x + style.px(9) + width;
        self.pixels
            .fill(caret, self.y + style.px(7), style.px(2), style.px(20), INK);
        self.y += height + style.px(8);
    }
}
