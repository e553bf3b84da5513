//! Colours and dashes that people with any colour vision tell apart.

use egui::Color32;

/// Okabe and Ito, without their yellow, which white paper swallows.
const ON_LIGHT: [Color32; 7] = [
    Color32::from_rgb(0x00, 0x72, 0xb2),
    Color32::from_rgb(0xd5, 0x5e, 0x00),
    Color32::from_rgb(0x00, 0x9e, 0x73),
    Color32::from_rgb(0xcc, 0x79, 0xa7),
    Color32::from_rgb(0x56, 0xb4, 0xe9),
    Color32::from_rgb(0xe6, 0x9f, 0x00),
    Color32::from_rgb(0x22, 0x27, 0x2e),
];
/// The same on black: their blue and black would not be seen.
const ON_DARK: [Color32; 7] = [
    Color32::from_rgb(0x56, 0xb4, 0xe9),
    Color32::from_rgb(0xe6, 0x9f, 0x00),
    Color32::from_rgb(0x00, 0xc8, 0x91),
    Color32::from_rgb(0xf0, 0xa6, 0xcf),
    Color32::from_rgb(0xf0, 0xe4, 0x42),
    Color32::from_rgb(0xff, 0x7f, 0x3f),
    Color32::from_rgb(0xf5, 0xf5, 0xf5),
];
/// Points on and off, in turn. Empty: a whole line. Each series has its own, since some see no colour.
const DASHES: [&[f32]; 4] = [&[], &[7.0, 4.0], &[2.0, 3.0], &[9.0, 3.0, 2.0, 3.0]];

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pen {
    /// Its colour.
    pub colour: Color32,
    /// Points on and off; empty: a whole line.
    pub dash: &'static [f32],
    /// The shape of its points.
    pub dot: Dot,
}

/// The shape of a series' points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "shapes")]
pub enum Dot {
    Circle,
    Square,
    Triangle,
    Diamond,
}

const DOTS: [Dot; 4] = [Dot::Circle, Dot::Square, Dot::Triangle, Dot::Diamond];

/// The pen of the series with this index.
pub fn pen(series: usize, is_dark: bool) -> Pen {
    let colours = if is_dark { &ON_DARK } else { &ON_LIGHT };
    let pick = |count: usize| series.checked_rem(count).unwrap_or(0);
    Pen {
        colour: colours
            .get(pick(colours.len()))
            .copied()
            .unwrap_or(Color32::GRAY),
        dash: DASHES.get(pick(DASHES.len())).copied().unwrap_or(&[]),
        dot: DOTS.get(pick(DOTS.len())).copied().unwrap_or(Dot::Circle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::plot::SERIES_MAX;

    #[test]
    fn no_two_series_share_colour_and_dashes() {
        for is_dark in [false, true] {
            for a in 0..SERIES_MAX {
                for b in 0..a {
                    assert_ne!(pen(a, is_dark), pen(b, is_dark), "{a} {b}");
                }
            }
            // Neighbours differ without any colour.
            for a in 1..SERIES_MAX {
                assert_ne!(pen(a, is_dark).dash, pen(a - 1, is_dark).dash);
            }
        }
    }
}
