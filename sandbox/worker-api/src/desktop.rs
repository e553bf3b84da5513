//! What the broker says to the process that draws a session's desktop.
//!
//! The workspace draws; it does not decide what is seen. Its pixels lie in a memory file that the broker
//! made and reads ([`Begin`]): the broker compares, marks, records and sends them, so that a workspace that
//! was taken over can neither leave the watermark out nor go unrecorded. It has no key, no data file and no
//! network: what it shows of data is what the broker's answers hold.
//!
//! ```text
//! broker ── Begin + pixels, fonts ──▶ workspace
//!        ◀───────── Ready ───────────
//!        ── Input ──▶ … ◀── Frame ── … ── Taken ──▶     one frame under way at a time
//!        ◀── Ask ── … ── Answer ──▶                      each ask has one answer
//!        ── Job, Rows, Outputs, TypingHeld, Watched ──▶  whenever they change
//! ```

use std::collections::BTreeMap;

use kekkai_analysis_api::{Job, Program, Programs, SqlError};
use kekkai_frames::{Cursor, Input, Rect};
use kekkai_review_api::{OutputDetail, Said};
use kekkai_types::{
    DatasetCatalog, DisplayClass, JobId, Lang, OutputId, Refusal, ServerId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// Questions that a workspace may have open.
pub const ASKS_OPEN_MAX: usize = 32;
/// Notebooks of one person in one project.
pub const NOTEBOOKS_MAX: usize = 200;
/// The longest notebook, in bytes of its JSON.
pub const NOTEBOOK_MAX: usize = 1024 * 1024;
/// Rectangles that one frame may name as moved.
pub const SCROLLS_MAX: usize = 4;
/// A tile's bytes in the memory file: 64 x 64 pixels of red, green, blue and a fourth that is not looked at.
pub const TILE_BYTES: usize = 64 * 64 * 4;

/// From the broker to the process that draws.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToDesktop {
    /// Once, after [`FromDesktop::Jailed`] was checked. With it come descriptors: the pixels (written with
    /// `pwrite`), then the fonts (read), in the order of [`Begin::fonts`].
    Begin(Box<Begin>),
    /// What the person did. `Resize` clears the pixels: the next frame names every tile.
    Input(Vec<Input>),
    /// The frame's pixels were copied: they may be written again.
    Taken {
        /// Which.
        frame: u32,
    },
    /// The answer to [`FromDesktop::Ask`]. With [`Answer::Rows`] comes the reading end of a pipe: an Arrow
    /// IPC stream, whole only when [`ToDesktop::RowsEnd`] said so.
    Answer {
        /// Which.
        request: u32,
        /// What.
        answer: Answer,
    },
    /// A job changed. With a result when it is done; the log holds lines that were not sent yet.
    Job(Box<Job>),
    /// Rows that were asked for have ended.
    RowsEnd {
        /// Which.
        job: JobId,
        /// Whether they are whole: how many there were.
        outcome: Result<u64, SqlError>,
    },
    /// The person's outputs, where one changed.
    Outputs(Vec<OutputDetail>),
    /// More text came than a person types; it waits for [`Ask::Typing`]. 0: nothing is held any more.
    TypingHeld {
        /// Characters that wait.
        chars: u32,
        /// Characters that the agreement still lets in today.
        left: u32,
    },
    /// Staff look at this screen.
    Watched {
        /// How many.
        watchers: u32,
    },
    /// The session ends, or becomes longer.
    Closes {
        /// When.
        at: Timestamp,
    },
}

/// What a workspace is told at its beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// The session.
    pub session: SessionId,
    /// Whose it is, as screens call them.
    pub person: String,
    /// The project's title.
    pub project: String,
    /// The person's language.
    pub lang: Lang,
    /// Where it runs.
    pub server: ServerId,
    /// The server's TPM is emulated: the screen says so.
    pub emulated: bool,
    /// What the terminal is.
    pub display: DisplayClass,
    /// Of each table, `DATASET.TABLE`, the display that its rows need.
    pub rows_need: BTreeMap<String, DisplayClass>,
    /// Granted tables and columns.
    pub catalogs: Vec<DatasetCatalog>,
    /// Persons below which a cell is suppressed.
    pub threshold: u32,
    /// What programs there are.
    pub programs: Programs,
    /// Functions that statements may call, for completion.
    pub functions: Vec<String>,
    /// When the session ends at the latest.
    pub closes: Timestamp,
    /// The screen's size at first, in pixels, and pixels per point in percent.
    pub size: (u16, u16, u16),
    /// File names of the fonts that come, in the order of their descriptors: text first, then monospaced.
    pub fonts: Vec<String>,
}

/// From the process that draws.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromDesktop {
    /// In the jail, before anything is known; as [`FromWorker::Jailed`](crate::FromWorker::Jailed).
    Jailed {
        /// Layer by layer.
        layers: BTreeMap<String, String>,
    },
    /// Fonts are read; a frame follows.
    Ready,
    /// Pixels changed. Until [`ToDesktop::Taken`] no other frame comes, and the pixels stay.
    Frame(Frame),
    /// A question or a wish.
    Ask {
        /// The workspace's number for it.
        request: u32,
        /// What.
        ask: Ask,
    },
}

/// Pixels that changed. Tile (x, y) lies at byte `(y * tiles_in_a_row + x) * TILE_BYTES` of the memory file,
/// row by row; a tile at the right or lower edge has its full size, and what is outside is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Counts up by one from 1.
    pub number: u32,
    /// The screen's size that it is drawn for: the last that was asked for.
    pub width: u16,
    /// The same.
    pub height: u16,
    /// What moved, a hint: the broker compares by itself.
    pub scrolls: Vec<(Rect, i16, i16)>,
    /// Tiles that changed: column and row.
    pub tiles: Vec<(u16, u16)>,
    /// The pointer's shape, the place of text.
    pub cursor: Cursor,
}

/// What a workspace asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Run a statement: [`Answer::Started`].
    Query {
        /// The statement.
        sql: String,
    },
    /// Look at rows: [`Answer::Rows`], where agreement and display allow it.
    Rows {
        /// The statement.
        sql: String,
    },
    /// Run a program: [`Answer::Started`].
    Run {
        /// Which.
        program: Program,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Stop a job: [`Answer::Done`].
    Cancel {
        /// Which.
        job: JobId,
    },
    /// What programs there are: [`Answer::Programs`].
    Programs,
    /// Keep a script: [`Answer::Done`].
    PutScript {
        /// Its name.
        name: String,
        /// Its text.
        source: String,
    },
    /// A script's text: [`Answer::Text`].
    GetScript {
        /// Its name.
        name: String,
    },
    /// Erase a script: [`Answer::Done`].
    RemoveScript {
        /// Its name.
        name: String,
    },
    /// The names of notebooks: [`Answer::Names`].
    Notebooks,
    /// Keep a notebook: [`Answer::Done`].
    PutNotebook {
        /// Its name, at most 64 characters.
        name: String,
        /// At most [`NOTEBOOK_MAX`] bytes.
        body: String,
    },
    /// A notebook: [`Answer::Text`].
    GetNotebook {
        /// Its name.
        name: String,
    },
    /// Erase a notebook: [`Answer::Done`].
    RemoveNotebook {
        /// Its name.
        name: String,
    },
    /// What the automatic checks would say of a job's result: [`Answer::Findings`].
    Preview {
        /// Which job.
        job: JobId,
    },
    /// Ask to take a job's result out: [`Answer::Submitted`].
    Submit {
        /// Which job.
        job: JobId,
        /// For reviewers, at most 200 characters.
        title: String,
        /// For reviewers, at most 2,000 characters.
        purpose: String,
        /// For reviewers, at most 2,000 characters.
        method: String,
        /// An output of the same person that was returned, which this one is in place of.
        replaces: Option<OutputId>,
    },
    /// The person's outputs: [`Answer::Outputs`].
    Outputs,
    /// What to do with text that is held: let it in, or drop it. [`Answer::Done`].
    Typing {
        /// Let it in.
        admit: bool,
    },
    /// The screen is to be locked now: [`Answer::Done`].
    Lock,
    /// The person leaves: the session ends. [`Answer::Done`].
    Leave,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// A job began; [`ToDesktop::Job`] tells of it.
    Started(JobId),
    /// A job began whose rows come by the pipe.
    Rows(JobId),
    /// A script or a notebook.
    Text(String),
    /// Names.
    Names(Vec<String>),
    /// Programs.
    Programs(Programs),
    /// What the checks say.
    Findings(Vec<Said>),
    /// The output's id.
    Submitted(OutputId),
    /// Outputs, newest first.
    Outputs(Vec<OutputDetail>),
    /// Not done. [`Refusal::code`] is one of those that the console explains.
    Refused(Refusal),
    /// A statement that can't run.
    Wrong(SqlError),
}
