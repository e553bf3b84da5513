//! What can go wrong while an extract is made. Names, places and counts: never a value.

use std::error::Error as _;
use std::path::PathBuf;

use kekkai_dataset::escrow::EscrowError;
use kekkai_dataset::{FileError, KeyError, WorkError};
use kekkai_types::Lang;
use parquet::errors::ParquetError;

/// Why there is no extract. After each of these nothing is at the final place.
/// [`ExtractError::message`] says it in a person's language.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The agreement names a table that the dataset doesn't have.
    #[error("the dataset has no table \"{0}\": compare the agreement with the dataset's catalogue")]
    NoTable(String),
    /// The agreement names a column that the table doesn't have.
    #[error(
        "table \"{table}\" has no column \"{column}\": compare the agreement with the dataset's catalogue"
    )]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A condition on a column of another type, or on a key: the extract has other keys.
    #[error("rows can't be chosen by column \"{0}\": its type doesn't fit, or it is a key")]
    Condition(String),
    /// Nothing is granted.
    #[error("the agreement grants no table of this dataset")]
    Nothing,
    /// No analysis server could ever open the extract.
    #[error(
        "no analysis server is enrolled: enrol one first, since an extract's key goes to no one else"
    )]
    NoServer,
    /// Ingested by a build that didn't number persons.
    #[error(
        "table \"{0}\" doesn't number its persons: ingest the dataset anew, as its next version"
    )]
    NotNumbered(String),
    /// A key of a type that pseudonyms don't have.
    #[error("key \"{column}\" of table \"{table}\" is no pseudonym: ingest the dataset anew")]
    KeyType {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The dataset's files contradict each other or the catalogue.
    #[error(
        "the files of table \"{0}\" are not those of the catalogue, or contradict other tables"
    )]
    Contradiction(String),
    /// Two persons would get one pseudonym.
    #[error("two persons got one pseudonym: make the extract anew, under another secret")]
    Collision,
    /// The folder of work.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// An encrypted file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A source file can't be decoded.
    #[error("a file of table \"{table}\" can't be decoded")]
    Decode {
        /// The table.
        table: String,
        /// Why; the reader's own words may quote bytes, so that they are not printed.
        source: Hidden,
    },
    /// A source file can't be opened.
    #[error("\"{path}\" can't be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The escrow failed.
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    /// The extract's key could not be wrapped.
    #[error("the extract's key can't be wrapped for server \"{server}\"")]
    Wrap {
        /// For whom.
        server: String,
        /// Why.
        source: KeyError,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// A bug.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// A cause whose words could hold bytes of the data.
#[derive(Debug)]
pub struct Hidden(());

impl Hidden {
    pub(crate) fn new<E>(_: E) -> Self {
        Self(())
    }
}

impl std::fmt::Display for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("damaged, or of another build")
    }
}

impl std::error::Error for Hidden {}

impl ExtractError {
    pub(crate) fn decode(table: &str) -> impl Fn(ParquetError) -> Self {
        move |error| Self::Decode {
            table: table.to_owned(),
            source: Hidden::new(error),
        }
    }

    /// The error in a person's language, with its cause. Holds no value of the data.
    pub fn message(&self, lang: Lang) -> String {
        let mut text = match lang {
            Lang::En => self.to_string(),
            Lang::Ja => self.japanese(),
        };
        let mut cause = self.source();
        while let Some(inner) = cause {
            text.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
        text
    }

    fn japanese(&self) -> String {
        match self {
            Self::NoTable(table) => format!(
                "データセットに表「{table}」がありません。取決めとデータセットの目録を照らし合わせてください。"
            ),
            Self::NoColumn { table, column } => format!(
                "表「{table}」に列「{column}」がありません。取決めとデータセットの目録を照らし合わせてください。"
            ),
            Self::Condition(column) => format!(
                "列「{column}」では行を選べません。型が合わないか、鍵の列です。"
            ),
            Self::Nothing => "取決めはこのデータセットの表を何も認めていません。".to_owned(),
            Self::NoServer => {
                "解析サーバが登録されていません。抽出データの鍵はほかの誰にも渡らないため、先に登録してください。"
                    .to_owned()
            }
            Self::NotNumbered(table) => format!(
                "表「{table}」には人の番号がありません。データセットを次の版として取り込み直してください。"
            ),
            Self::KeyType { table, column } => format!(
                "表「{table}」の鍵「{column}」が仮名ではありません。データセットを取り込み直してください。"
            ),
            Self::Contradiction(table) => {
                format!("表「{table}」のファイルが目録と違うか、ほかの表と矛盾しています。")
            }
            Self::Collision => {
                "2人の仮名が重なりました。別の秘密鍵で抽出し直してください。".to_owned()
            }
            Self::Work(WorkError::AlreadyThere { path }) => {
                format!("「{}」は既にあります。", path.display())
            }
            Self::Work(WorkError::Busy { path }) => {
                format!("同じ抽出データを別の処理が作成中です（{}）。", path.display())
            }
            Self::Work(WorkError::Write { path, .. }) => {
                format!("「{}」に書き込めません", path.display())
            }
            Self::Work(WorkError::Randomness) | Self::Randomness => {
                "OSから乱数を得られません。".to_owned()
            }
            Self::File(error) => format!("暗号化ファイルの処理に失敗しました: {error}"),
            Self::Decode { table, .. } => format!("表「{table}」のファイルを読み取れません"),
            Self::Open { path, .. } => format!("「{}」を開けません", path.display()),
            Self::Escrow(error) => format!("封緘ファイルを作れません: {error}"),
            Self::Wrap { server, .. } => {
                format!("解析サーバ「{server}」宛てに鍵を包めません")
            }
            Self::Internal(what) => format!("内部エラー: {what}"),
        }
    }
}
