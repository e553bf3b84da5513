//! A session's screen: what the workspace drew, marked, and for each viewer what to send next.
//!
//! ```text
//!  workspace's tiles ──put_tile──▶ Screen ──present: marks──▶ tiles, never changed again, shared
//!                                                               │ next            │ next
//!                                                          View (recorder)   View (a viewer)
//! ```
//! A [`View`] knows what its viewer shows, tile by tile, and [`View::next`] is the difference between that and
//! what is. So a viewer is right by construction, and one that lags gets the latest picture and never those
//! between. Nothing that isn't marked leaves a [`Screen`]. The workspace is not believed: its hints are tried
//! out, its sizes are checked.
//!
//! No input or output, no clock: time is an argument, the wall clock for the mark and any monotonic
//! milliseconds for views.

mod flow;
mod marker;
mod picture;
mod screen;
mod scroll;
mod step;
mod view;

pub use flow::AcknowledgeError;
pub use marker::Marker;
pub use screen::{Screen, ScreenError, TILE_BYTES};
pub use view::View;
