//! What the automatic checks say: by weight, each with its place.

use egui::{Button, RichText, Ui};
use kekkai_review_api::{Said, Weight};
use kekkai_types::{Lang, Text};

use super::words;
use crate::theme::palette;

/// A place in a table: row and column from 0; `None`: all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) row: Option<usize>,
    pub(super) column: Option<usize>,
}

impl Place {
    /// Reads `row 3, column 2`, `row 3`, `column 2`; anything else names no place.
    pub(super) fn of(said: &Text) -> Option<Self> {
        let mut place = Self::default();
        for part in said.en.split(", ") {
            let (what, number) = part.split_once(' ')?;
            let from_0 = number.parse::<usize>().ok()?.checked_sub(1)?;
            match what {
                "row" => place.row = Some(from_0),
                "column" => place.column = Some(from_0),
                _ => return None,
            }
        }
        Some(place)
    }

    /// Whether a cell lies in it.
    pub(super) fn holds(&self, row: usize, column: usize) -> bool {
        self.row.is_none_or(|of| of == row) && self.column.is_none_or(|of| of == column)
    }
}

/// The heaviest weight; `None` without findings.
pub(super) fn worst(findings: &[Said]) -> Option<Weight> {
    findings.iter().map(|said| said.weight).max()
}

/// Draws them, the heaviest first. Returns a place that was pressed.
pub(super) fn ui(ui: &mut Ui, findings: &[Said], lang: Lang, has_table: bool) -> Option<Place> {
    let mut pressed = None;
    if findings.is_empty() {
        ui.label(RichText::new(words::CHECKS_NONE.get(lang)).weak());
    }
    for weight in [Weight::Fail, Weight::Review, Weight::Pass] {
        let of_this: Vec<&Said> = findings
            .iter()
            .filter(|said| said.weight == weight)
            .collect();
        if of_this.is_empty() {
            continue;
        }
        let colors = palette(ui);
        let (title, ink) = match weight {
            Weight::Fail => (words::WEIGHT_FAIL, colors.bad),
            Weight::Review => (words::WEIGHT_REVIEW, colors.warn),
            Weight::Pass => (words::WEIGHT_PASS, colors.weak),
        };
        let title = format!("{} ({})", title.get(lang), of_this.len());
        ui.label(RichText::new(title).strong().color(ink));
        for said in of_this {
            ui.horizontal_wrapped(|ui| {
                let place = Place::of(&said.place);
                match place {
                    Some(place) if has_table => {
                        let button = Button::new(RichText::new(said.place.get(lang)).small());
                        let response = ui.add(button).on_hover_text(words::SHOW_PLACE.get(lang));
                        if response.clicked() {
                            pressed = Some(place);
                        }
                    }
                    _ if !said.place.get(lang).is_empty() => {
                        ui.label(RichText::new(said.place.get(lang)).small().weak());
                    }
                    _ => {}
                }
                ui.label(said.text.get(lang));
            });
        }
        ui.add_space(4.0);
    }
    pressed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_the_checks_write_them() {
        let place = |en: &str| {
            Place::of(&Text {
                ja: String::new(),
                en: en.to_owned(),
            })
        };
        let cell = place("row 3, column 2").unwrap();
        assert_eq!((cell.row, cell.column), (Some(2), Some(1)));
        assert!(cell.holds(2, 1) && !cell.holds(2, 0));
        assert!(place("column 1").unwrap().holds(7, 0));
        assert!(place("row 1").unwrap().holds(0, 9));
        for none in ["as a whole", "", "row 0", "row x", "row 1, cell 2"] {
            assert_eq!(place(none), None, "{none}");
        }
    }
}
