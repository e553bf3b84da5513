//! Errors as the producer's staff reads them: in their language, with what to do next.

use std::error::Error as _;

use kekkai_dataset::Check;
use kekkai_types::Lang;

use crate::error::{IngestError, Place};

impl IngestError {
    /// The error in a person's language, with its cause. Holds no value of the data.
    pub fn message(&self, lang: Lang) -> String {
        match lang {
            Lang::En => {
                let mut text = self.to_string();
                let mut cause = self.source();
                while let Some(inner) = cause {
                    text.push_str(&format!(": {inner}"));
                    cause = inner.source();
                }
                text
            }
            Lang::Ja => self.japanese(),
        }
    }

    fn japanese(&self) -> String {
        match self {
            Self::AlreadyThere { path } => {
                format!(
                    "「{}」は既にあります。新しい版（version）として取り込んでください。",
                    path.display()
                )
            }
            Self::Busy { path } => {
                format!(
                    "同じデータセットの取込みが実行中です（{}）。",
                    path.display()
                )
            }
            Self::NoRecipient => {
                "鍵の宛先がありません。解析サーバまたは復旧鍵の公開鍵を指定してください。"
                    .to_owned()
            }
            Self::NoFile { table, pattern } => {
                format!("表「{table}」: 「{pattern}」に合うファイルがありません。")
            }
            Self::Read { file, source } => format!("「{file}」を読めません: {source}"),
            Self::Write { path, source } => {
                format!("「{}」に書き込めません: {source}", path.display())
            }
            Self::Encoding {
                file,
                line,
                declared,
                is_cp932,
            } => {
                let remedy = if *is_cp932 {
                    "Shift_JISのようです。マニフェストに encoding = \"cp932\" と書いてください。"
                } else {
                    "ファイルの文字コードを確かめてください。"
                };
                format!("「{file}」{line}行目: {declared}として読めません。{remedy}")
            }
            Self::NoHeader { file } => format!("「{file}」は空です。見出し行が必要です。"),
            Self::ColumnMissing { file, column } => {
                format!("「{file}」: マニフェストにある列「{column}」が見出し行にありません。")
            }
            Self::ColumnUnknown { file, position } => format!(
                "「{file}」: 見出し行の{position}番目の列がマニフェストにないか、重複しています。"
            ),
            Self::Ragged {
                file,
                line,
                expected,
                found,
            } => {
                format!("「{file}」{line}行目: 項目数が{found}です（見出し行は{expected}）。")
            }
            Self::RecordTooLong { file, line, max } => format!(
                "「{file}」{line}行目: 1件が{max}バイトを超えています。引用符が閉じていない可能性があります。"
            ),
            Self::Type {
                file,
                place,
                column,
                expected,
            } => {
                let place = match place {
                    Place::Line(line) => format!("{line}行目"),
                    Place::Row(row) => format!("{row}件目"),
                };
                format!("「{file}」{place}、列「{column}」: 型が違います。必要な型: {expected}")
            }
            Self::ColumnType {
                file,
                column,
                expected,
                found,
            } => {
                format!("「{file}」、列「{column}」: 型が{found}です。必要な型: {expected}")
            }
            Self::NotParquet { file } => {
                format!("「{file}」はParquetではないか、途中で切れているか、壊れています。")
            }
            Self::PersonMissing {
                table,
                column,
                rows,
            } => {
                format!("表「{table}」、列「{column}」: 患者の番号がない行が{rows}件あります。")
            }
            Self::PseudonymCollision { table, column } => format!(
                "表「{table}」、列「{column}」: 2人の仮IDが重なりました。別の秘密鍵で取り込んでください。"
            ),
            Self::TooManyPersons { max } => format!("患者が{max}人を超えています。"),
            Self::TooManyIdentifiers { max } => {
                format!("直接識別子として除く列の値が{max}件を超えています。")
            }
            Self::Identifiers(findings) => {
                let list: Vec<String> = findings
                    .iter()
                    .map(|finding| {
                        format!(
                            "表「{}」、列「{}」: {}（{}）が{}行",
                            finding.table,
                            finding.column,
                            japanese_name(finding.check),
                            finding.check,
                            finding.rows
                        )
                    })
                    .collect();
                format!(
                    "残す予定のデータに識別子が含まれています。取り込みませんでした。{}",
                    list.join("、")
                )
            }
            Self::File(error) => format!("暗号化ファイルの処理に失敗しました: {error}"),
            Self::Escrow(error) => format!("患者番号の封緘ファイルを作れません: {error}"),
            Self::Wrap { recipient, source } => {
                format!("{recipient}宛てにデータ鍵を包めません: {source}")
            }
            Self::Randomness => "OSから乱数を得られません。".to_owned(),
            Self::Internal(what) => format!("内部エラー: {what}"),
        }
    }
}

/// What a check looks for.
fn japanese_name(check: Check) -> &'static str {
    match check {
        Check::DroppedValue => "除く列の値または患者番号",
        Check::Name => "氏名",
        Check::MyNumber => "個人番号",
        Check::Insurance => "保険者番号・記号・番号",
        Check::Phone => "電話番号",
        Check::Email => "メールアドレス",
        Check::Card => "カード番号",
        Check::Bank => "口座番号",
        Check::PostalCode => "郵便番号",
        Check::Address => "町丁目・番地",
        Check::Passport => "旅券・在留カード番号",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Finding;

    #[test]
    fn both_languages_tell_table_column_rows_and_rule() {
        let error = IngestError::Identifiers(vec![Finding {
            table: "dpc".to_owned(),
            column: "ward".to_owned(),
            check: Check::Phone,
            rows: 12,
        }]);
        for lang in [Lang::Ja, Lang::En] {
            let text = error.message(lang);
            for part in ["dpc", "ward", "12", "phone"] {
                assert!(text.contains(part), "{text}");
            }
        }
        assert!(error.message(Lang::Ja).contains("電話番号"));
    }

    #[test]
    fn english_message_holds_the_cause() {
        let error = IngestError::Read {
            file: "a.csv".to_owned(),
            source: std::io::Error::other("gone"),
        };
        assert_eq!(error.message(Lang::En), "\"a.csv\" can't be read: gone");
    }
}
