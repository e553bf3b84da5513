//! What can be wrong: with writing, and with what is read.

use std::path::PathBuf;

use kekkai_frames::{CanvasError, WireError};
use kekkai_types::{Digest, Lang, SessionId};

use crate::key::KeyError;

/// A recording can't be written. Whatever was to be shown is not to be shown.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file can't be made or written: the disk is full, or gone. [`Recorder::retry`](crate::Recorder::retry)
    /// may help.
    #[error("\"{path}\" can't be {action}")]
    File {
        /// Which.
        path: PathBuf,
        /// Created, written, synced.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The recording has reached its bound. Nothing helps: the session has to end.
    #[error("the recording has reached its bound of {max} bytes")]
    Limit {
        /// The bound.
        max: u64,
    },
    /// An earlier failure was not mended by a retry.
    #[error("the recording stopped at an earlier failure")]
    Stopped,
    /// The caller's mistake: a recording begins with a `Size` message, and goes on with one after messages
    /// that could not be written.
    #[error("a keyframe is needed, which begins with a size")]
    KeyframeMissing,
    /// The caller's mistake: messages that no protocol carries.
    #[error("a message can't be recorded")]
    Content(#[from] ContentError),
    /// The caller's mistake: a mark that is none.
    #[error("the mark is not one of printable characters, or too long")]
    Mark,
    /// A bug, or no randomness.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl RecordingError {
    /// The disk is full, or the account's quota, or a file's bound.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind as K;
        matches!(self, Self::File { source, .. }
            if matches!(source.kind(), K::StorageFull | K::QuotaExceeded | K::FileTooLarge))
    }

    /// A word for the ledger.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } if self.is_full() => "storage-full",
            Self::File { .. } => "storage-failed",
            Self::Limit { .. } => "recording-limit",
            Self::Stopped => "recording-stopped",
            Self::KeyframeMissing | Self::Content(_) | Self::Mark | Self::Key(_) => "internal",
        }
    }
}

/// Messages that can't be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not messages.
    #[error("the content is too long or cut off")]
    Shape,
    /// A message.
    #[error("a message is malformed")]
    Wire(#[from] WireError),
    /// Pixels.
    #[error("a message does not fit the screen")]
    Canvas(#[from] CanvasError),
    /// Changes of a screen whose size nobody said.
    #[error("changes come before a keyframe")]
    NoSize,
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In which file.
    pub path: PathBuf,
    /// The chunk's number.
    pub chunk: u64,
    /// Where the chunk begins, in bytes from the file's start.
    pub offset: u64,
}

/// A recording that is not what was recorded, or can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system's reason.
    #[error("\"{path}\" can't be read")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its first line is none of this format, or was changed beyond recognition.
    #[error("\"{path}\": its first line is not that of a recording")]
    NotARecording {
        /// Which.
        path: PathBuf,
    },
    /// No file was named.
    #[error("no file was named")]
    Nothing,
    /// Files of two recordings.
    #[error("\"{path}\" belongs to another recording than session \"{session}\"")]
    OtherRecording {
        /// Which.
        path: PathBuf,
        /// The session of the first.
        session: SessionId,
    },
    /// A part is not among the files.
    #[error("part {part} of session \"{session}\" is missing")]
    PartMissing {
        /// Whose.
        session: SessionId,
        /// Which.
        part: u32,
    },
    /// A part is there twice.
    #[error("\"{path}\": this part is there twice")]
    PartTwice {
        /// The second.
        path: PathBuf,
    },
    /// A part does not go on where the one before ended.
    #[error(
        "\"{path}\" does not go on where the part before ended: one of the two was changed or cut off"
    )]
    PartNotNext {
        /// Which.
        path: PathBuf,
    },
    /// The first line is not the one that the ledger knows.
    #[error("\"{path}\": its first line is not the one in the ledger ({expected})")]
    HeaderNotRecorded {
        /// Which.
        path: PathBuf,
        /// The ledger's digest.
        expected: Digest,
    },
    /// Bytes where a chunk should begin.
    #[error("{0}: this is no chunk")]
    NoChunk(Place),
    /// Another chunk than the next.
    #[error("{place}: chunk {found} stands here: chunks were dropped or moved")]
    OutOfOrder {
        /// Where.
        place: Place,
        /// The number that stands there.
        found: u64,
    },
    /// Earlier than the chunk before.
    #[error("{0}: its time lies before that of the chunk before")]
    BackInTime(Place),
    /// Bytes were changed.
    #[error("{0}: its bytes were changed, or those before it")]
    Changed(Place),
    /// Something follows the end.
    #[error("{0}: something follows the end of the recording")]
    AfterEnd(Place),
    /// The ledger has another link for this chunk.
    #[error("{0}: the ledger has another link for it: the recording was written anew")]
    NotRecorded(Place),
    /// The recording is shorter than the ledger says.
    #[error("only {found} chunks are there, the ledger knows of {expected}: the end was cut off")]
    Shorter {
        /// There are.
        found: u64,
        /// There should be.
        expected: u64,
    },
    /// Another key.
    #[error("the recording is for the key {recipient}, this is {key}")]
    OtherKey {
        /// Whose it is.
        recipient: Digest,
        /// The one at hand.
        key: Digest,
    },
    /// The part's key can't be made.
    #[error("\"{path}\": its key can't be made")]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The right key does not open it: sealed by somebody else, or changed with its links.
    #[error("{0}: the key does not open it")]
    DoesNotOpen(Place),
    /// It opens, and holds no screen.
    #[error("{place}: its messages can't be replayed")]
    Content {
        /// Where.
        place: Place,
        /// Why.
        source: ContentError,
    },
    /// A time before the first picture.
    #[error("nothing was shown yet at that time")]
    BeforeStart,
    /// A picture can't be written.
    #[error("a picture can't be written")]
    Picture(#[source] std::io::Error),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            chunk,
            offset,
        } = self;
        write!(f, "\"{}\", chunk {chunk}, byte {offset}", path.display())
    }
}

impl Fault {
    /// In a person's language.
    pub fn message(&self, lang: Lang) -> String {
        if lang == Lang::En {
            return self.to_string();
        }
        let at = |place: &Place| {
            format!(
                "「{}」のチャンク{}({}バイト目)",
                place.path.display(),
                place.chunk,
                place.offset
            )
        };
        match self {
            Self::File { path, .. } => format!("「{}」を読めません", path.display()),
            Self::NotARecording { path } => {
                format!("「{}」の先頭行は録画のものではありません", path.display())
            }
            Self::Nothing => "ファイルが指定されていません".to_owned(),
            Self::OtherRecording { path, session } => format!(
                "「{}」はセッション{session}とは別の録画です",
                path.display()
            ),
            Self::PartMissing { session, part } => {
                format!("セッション{session}の第{part}部がありません")
            }
            Self::PartTwice { path } => format!("「{}」と同じ部がほかにもあります", path.display()),
            Self::PartNotNext { path } => format!(
                "「{}」は前の部の終わりに続いていません(どちらかが改変または切断されています)",
                path.display()
            ),
            Self::HeaderNotRecorded { path, expected } => format!(
                "「{}」の先頭行は台帳に記録されたもの({expected})ではありません",
                path.display()
            ),
            Self::NoChunk(place) => format!("{}: チャンクではありません", at(place)),
            Self::OutOfOrder { place, found } => format!(
                "{}: チャンク{found}があります(チャンクの欠落または移動)",
                at(place)
            ),
            Self::BackInTime(place) => format!("{}: 時刻が前のチャンクより前です", at(place)),
            Self::Changed(place) => format!("{}: 内容、またはその前が改変されています", at(place)),
            Self::AfterEnd(place) => format!("{}: 録画の終わりの後に続きがあります", at(place)),
            Self::NotRecorded(place) => format!(
                "{}: 台帳に記録された連鎖値と異なります(録画が書き直されています)",
                at(place)
            ),
            Self::Shorter { found, expected } => format!(
                "チャンクが{found}個しかありません。台帳では{expected}個です(末尾が切り捨てられています)"
            ),
            Self::OtherKey { recipient, key } => {
                format!("録画は別の鍵({recipient})宛てです。指定された鍵は{key}です")
            }
            Self::Key { path, .. } => format!("「{}」の鍵を作れません", path.display()),
            Self::DoesNotOpen(place) => format!("{}: 鍵で復号できません", at(place)),
            Self::Content { place, .. } => format!("{}: 画面を再現できません", at(place)),
            Self::BeforeStart => "その時刻には、まだ何も表示されていません".to_owned(),
            Self::Picture(_) => "画像を書き込めません".to_owned(),
        }
    }
}
