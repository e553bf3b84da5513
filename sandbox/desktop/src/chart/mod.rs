//! Charts of results: from columns to numbers ([`data`], [`spec`], [`series`]), and from numbers to strokes
//! ([`paint`]). Only the last knows egui.
//!
//! A cell that is withheld is a gap, and the chart says so: it is never drawn as zero, and nothing is computed
//! across it.

pub mod bins;
pub mod build;
pub mod data;
pub mod paint;
pub mod pens;
pub mod plot;
pub mod scale;
pub mod spec;
pub mod survival;
pub(crate) mod words;

pub use build::build;
pub use data::{Column, Gap, Source, Values};
pub use plot::{Axis, Mark, Plot, Series, Warning};
pub use spec::{Role, Spec};
