//! SVG text: elements, escaped words, numbers in one spelling.

use std::fmt::Write as _;

/// Colours that people with any colour vision tell apart (Okabe and Ito), without their yellow, which
/// white paper swallows.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000",
];
/// After all colours were used once, lines are dashed.
const DASHES: [&str; 4] = ["none", "6 3", "2 3", "8 3 2 3"];
/// Ink of axes and words.
pub(crate) const INK: &str = "#22272e";
/// Ink of lines that only guide the eye.
pub(crate) const FAINT: &str = "#d5d9de";
/// Height of letters, in pixels.
pub(crate) const LETTER: f64 = 12.0;

/// How the words stand to their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing that grows.
pub(crate) struct Canvas {
    body: String,
}

/// A series' colour and dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pen {
    pub(crate) colour: &'static str,
    pub(crate) dash: &'static str,
}

impl Pen {
    /// The pen of the series with this index.
    pub(crate) fn of(series: usize) -> Self {
        let pick = |list: &[&'static str], at: usize| {
            list.get(at % list.len().max(1)).copied().unwrap_or(INK)
        };
        Self {
            colour: pick(&COLOURS, series),
            dash: pick(&DASHES, series / COLOURS.len()),
        }
    }
}

impl Canvas {
    /// White paper of this size, in pixels. `title` is for readers who hear it.
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut body = String::new();
        let (w, h) = (place(width), place(height));
        let title = escape(title);
        // Writing to a String can't fail.
        let _ = write!(
            body,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" role=\"img\" font-family=\"system-ui, 'Noto Sans JP', 'Hiragino Sans', \
             'IPAexGothic', sans-serif\" font-size=\"{LETTER}\" fill=\"{INK}\">\n\
             <title>{title}</title>\n\
             <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n"
        );
        Self { body }
    }

    /// The finished text.
    pub(crate) fn finish(mut self) -> String {
        self.body.push_str("</svg>\n");
        self.body
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let (x1, y1) = (place(from.0), place(from.1));
        let (x2, y2) = (place(to.0), place(to.1));
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        );
    }

    /// A rectangle between two corners, in any order.
    pub(crate) fn rect(&mut self, a: (f64, f64), b: (f64, f64), pen: Pen, opacity: f64) {
        let (x, y) = (a.0.min(b.0), a.1.min(b.1));
        let (w, h) = ((a.0 - b.0).abs(), (a.1 - b.1).abs());
        let (x, y, w, h) = (place(x), place(y), place(w), place(h));
        let colour = pen.colour;
        let _ = writeln!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\" stroke=\"{colour}\"/>"
        );
    }

    pub(crate) fn dot(&mut self, at: (f64, f64), pen: Pen, radius: f64) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\" fill=\"{}\" fill-opacity=\"0.7\"/>",
            place(at.0),
            place(at.1),
            pen.colour
        );
    }

    /// A line through points.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], pen: Pen) {
        let path = path(points);
        let _ = writeln!(
            self.body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"/>",
            pen.colour, pen.dash
        );
    }

    /// An area inside points.
    pub(crate) fn area(&mut self, points: &[(f64, f64)], pen: Pen) {
        let path = path(points);
        let _ = writeln!(
            self.body,
            "<path d=\"{path}Z\" fill=\"{}\" fill-opacity=\"0.15\"/>",
            pen.colour
        );
    }

    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, text: &str) {
        self.turned_text(at, anchor, text, 0.0);
    }

    /// Words turned by this many degrees, clockwise, around their place.
    pub(crate) fn turned_text(&mut self, at: (f64, f64), anchor: Anchor, text: &str, turn: f64) {
        let (x, y) = (place(at.0), place(at.1));
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let turned = if turn == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({turn} {x} {y})\"")
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{turned}>{}</text>",
            escape(text)
        );
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        path.push(if index == 0 { 'M' } else { 'L' });
        let _ = write!(path, "{} {}", place(*x), place(*y));
    }
    path
}

/// A coordinate: tenths of a pixel, without needless zeros.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0" } else { text }.to_owned()
}

/// Words as XML has them. Control characters, which XML forbids, are gone.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// About how wide words are, in pixels: East Asian letters are square, others half of that.
pub(crate) fn width(text: &str) -> f64 {
    text.chars()
        .map(|c| {
            if u32::from(c) >= 0x2e80 {
                LETTER
            } else {
                LETTER * 0.58
            }
        })
        .sum()
}

/// The words, cut to about this many pixels.
pub(crate) fn cut(text: &str, max: f64) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept) + LETTER > max {
            break;
        }
    }
    kept.push('…');
    kept
}
