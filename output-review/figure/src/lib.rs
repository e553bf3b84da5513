//! Draws a program's figure as SVG.
//!
//! A program hands in numbers, never a drawing: a drawing could hold anything. Here is the only pen, so
//! that what reviewers see is what the numbers say. The same figure gives the same bytes. There are no
//! scripts, links, styles or fonts in it, only shapes, text and presentation attributes: it can stand
//! inside a page whose policy forbids everything else.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod canvas;
mod frame;
mod grouped;
mod numeric;
mod scale;

use kekkai_output::{Figure, FigureKind};

/// Draws a figure whose shape was checked ([`kekkai_output::ProgramBody::check_shape`]). One of another
/// shape gives an incomplete drawing, never a panic.
pub fn svg(figure: &Figure) -> String {
    match figure.kind {
        FigureKind::Bar | FigureKind::Box => grouped::columns(figure),
        FigureKind::Forest => grouped::forest(figure),
        FigureKind::Line
        | FigureKind::Scatter
        | FigureKind::Histogram
        | FigureKind::KaplanMeier => numeric::draw(figure),
    }
}

#[cfg(test)]
mod tests;
