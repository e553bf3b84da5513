//! Marks on every screen: one that people read, one that only the reader finds.
//!
//! What a screen shows can be photographed. [`Watermark::apply`] writes two marks into its pixels, before
//! they are encoded, sent or recorded, so that each picture of a screen says whose it was:
//!
//! - **The text**: person, time (to the minute, Japan's) and session, in lines 64 pixels apart that run
//!   diagonally over the screen, 13 levels darker on light ground and lighter on dark. What holds three rows
//!   of a table holds some of it.
//! - **The invisible mark**: 32 bits, drawn at random for each session and written to the ledger with it.
//!   Cells of 16 x 16 pixels are, or are not, 5 levels less blue: eyes see such differences worst, and
//!   pictures keep large patches of colour best. Each cell is of one colour where the screen is, so lossless
//!   compression keeps its grip. 16 x 16 cells make a square that repeats all over the screen; 64 of them
//!   are the same in every picture and tell where a square begins, 192 carry the mark and 32 bits of a hash
//!   of it, in an error-correcting code.
//!
//! What a pixel becomes depends only on its value and place: any rectangle is marked alone.
//!
//! # Reading
//! [`read()`] takes each pixel's blue against pixels like it around it, and looks for the square: at the scales
//! that screenshots have, then wherever the signal repeats (its autocorrelation shows two steps of a
//! lattice), then upright at every scale. From a start that holds somewhere it follows the pattern outwards,
//! patch by patch, and fits the projection of a camera to where the patches are. All squares laid upon one
//! another give each cell's strength; the template gives its beginning and turn, and a Viterbi decoder the
//! word.
//!
//! # A mark that is not there is not read
//! A decoder finds *some* word in any picture. It is taken for a mark only if the 32 bits behind it are those
//! of SHA-256 over the mark. The picture of a screen without a mark, or of a cat, was not made with that hash
//! in mind: whatever word comes out, its check fits by chance once in 2^32. At most 256 words are decoded
//! for one picture, in all scales, turns, beginnings and refinements together, and then the reader gives up:
//! so an unmarked picture gives a mark with a probability of at most 256 / 2^32 = 2^-24 = 6 x 10^-8
//! ([`FALSE_POSITIVE_MAX`]). The same holds for another mark than the one in the picture. A test counts that
//! words of noise fit the first 1, 4, 8 and 12 bits as often as this says.
//!
//! # What it survives, and what not
//! Measured by `tests/survives.rs` on tables, editors, charts and text, light and dark, at 1280 x 800 and
//! 1920 x 1080: a screenshot at half its size, JPEG of quality 50 with colours at half resolution, a quarter
//! cut out, 400 x 300 pixels cut out, turning, mirroring, other scales, half the size and then JPEG of
//! quality 70; photographs from up to 12 degrees beside and above the screen. The rates are the tests'.
//!
//! It does not survive a quarter cut out and *then* saved as JPEG of quality 50 (three of four times it does),
//! less than about one square (256 x 256 pixels of the screen), black and white, printing in grey, or a
//! picture whose blue was painted over, blurred or replaced. The layout is no secret: a person who knows it
//! can remove the mark, and one who has seen another session's picture can copy that one's. So it deters and
//! it traces; it prevents nothing, and what it says is a lead to be checked against the ledger and the
//! recording, not proof on its own.

mod code;
mod mark;
mod pattern;
mod read;
mod visible;
mod watermark;

pub use mark::{Mark, MarkError};
pub use read::{FALSE_POSITIVE_MAX, Hints, NotFound, Picture, Reading, read};
pub use watermark::{Rect, Watermark};
